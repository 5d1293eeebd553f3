//! What the TLS endpoint types share: TCP, or any client endpoint, with TLS on it; a bound server and its reload.
//! Absent: the tables of their fields, and the handshakes.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::{Arc, OnceLock, PoisonError, RwLock};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use socket2::Socket;
use tokio::time::{Instant, timeout_at};
use tracing::info;

use super::listening::accept_on;
use super::socket::{Listen, Target, not_bound, reachable};
use super::{Accept, Binder, Bound, Connector, Incoming, Listener, Stage};
use crate::cert::{Fault, Name, files};
use crate::connection::{Address, BoxFuture, Connection, Facts, Stream};
use crate::diagnostic::quoted;
use crate::endpoint::{Args, Kind, Refused, Spec};
use crate::error::{Error, Result, Status};
use crate::layer::tls;
use crate::layer::tls::config::{
    ClientConfig, ClientSettings, KeyFiles, ServerConfig, ServerName, ServerSettings, Trust, server_name,
};
use crate::units::duration_text;

/// What `timeout` defaults to; the tables say the same in words.
pub(super) const TIMEOUT: Duration = Duration::from_secs(30);

/// The name to verify: that of the field `instead`, or the host.
pub(super) fn verified_name(args: &Args, instead: &str) -> Result<ServerName<'static>, Refused> {
    let named = if args.given(instead) { instead } else { "host" };
    server_name(args.host(named)).ok_or_else(|| {
        let message = format!("no certificate can be for {}", quoted(args.text(named)));
        let refused = args.refuse(named, Kind::BadHostname, message);
        refused.help(format!("{instead}=NAME gives the name to verify"))
    })
}

/// Our certificate as a client; the key is in the same file where no other is named.
pub(super) fn client_identity(
    args: &Args,
    certificate: &str,
    passphrase: Option<PathBuf>,
) -> Result<Option<KeyFiles>, Refused> {
    let key = args.text_if("privateKey");
    match (args.text_if(certificate), key) {
        (None, None) => Ok(None),
        (Some(certificate), key) => Ok(Some(KeyFiles {
            key: key.unwrap_or(certificate).into(),
            certificate: certificate.into(),
            extra: None,
            passphrase,
        })),
        (None, Some(_)) => {
            let message = "a private key is of no use without its certificate";
            let refused = args.refuse("privateKey", Kind::KeyWithoutCertificate, message);
            Err(refused.help(format!("{certificate}=FILE names it")))
        }
    }
}

/// What TLS is spoken on.
#[derive(Debug)]
pub(super) enum Below {
    /// TCP to the host.
    Tcp(Target),
    /// Whatever another endpoint leads to.
    Endpoint(Box<dyn Connector>),
}

/// A client that speaks TLS.
#[derive(Debug)]
pub(super) struct SecureClient {
    below: Below,
    settings: ClientSettings,
    /// The limit on everything: names, addresses, what is below, and the handshake.
    timeout: Duration,
    /// Made by the first connection and kept, so that later ones can resume its session.
    config: OnceLock<ClientConfig>,
}

impl SecureClient {
    pub(super) fn new(below: Below, settings: ClientSettings, timeout: Duration) -> Self {
        SecureClient {
            below,
            settings,
            timeout,
            config: OnceLock::new(),
        }
    }

    fn config(&self) -> Result<&ClientConfig> {
        if let Some(config) = self.config.get() {
            return Ok(config);
        }
        let config = self.settings.read()?;
        Ok(self.config.get_or_init(|| config))
    }

    async fn open(&self, deadline: Instant) -> Result<Stream> {
        match &self.below {
            Below::Tcp(target) => {
                let stream = target.connect().await?;
                let local = stream.local_addr().map_or(Address::Unnamed, Address::Inet);
                let peer = stream.peer_addr().map_or(Address::Unnamed, Address::Inet);
                Ok(Stream::new(stream, Facts::new(local, peer)))
            }
            Below::Endpoint(connector) => {
                let connected = timeout_at(deadline, connector.connect()).await;
                match connected.map_err(|_elapsed| self.too_late("no connection"))?? {
                    Connection::Stream(stream) => Ok(stream),
                    Connection::Datagram(_) => Err(Error::new(
                        Status::Usage,
                        "TLS needs a stream, and the inner endpoint carries datagrams",
                    )),
                }
            }
        }
    }

    fn too_late(&self, what: &str) -> Error {
        let limit = duration_text(self.timeout);
        Error::new(Status::Timeout, format!("{what} within {limit}"))
    }
}

impl SecureClient {
    async fn secure(&self, config: &ClientConfig) -> Result<Connection> {
        let deadline = Instant::now() + self.timeout;
        let stream = self.open(deadline).await?;
        match timeout_at(deadline, tls::connect(stream, config)).await {
            Ok(secured) => secured.map(Connection::Stream),
            Err(_elapsed) => Err(self.too_late("connected, but no TLS handshake")),
        }
    }
}

impl Connector for SecureClient {
    fn connect(&self) -> BoxFuture<'_, Result<Connection>> {
        // Bad files are said before anybody is bothered.
        Box::pin(async { self.secure(self.config()?).await })
    }

    fn look(&self) -> Option<BoxFuture<'_, Result<Connection>>> {
        let settings = ClientSettings {
            trust: Trust::Anybody,
            ..self.settings.clone()
        };
        Some(Box::pin(async move { self.secure(&settings.read()?).await }))
    }
}

/// A server that speaks TLS.
#[derive(Debug)]
pub(super) struct SecureServer {
    /// How to listen; the first that this machine can do.
    pub(super) listen: Vec<Listen>,
    /// Its certificates and whom it lets in.
    pub(super) settings: ServerSettings,
    /// A file of Diffie-Hellman parameters that is asked for and not needed.
    pub(super) dh_parameters: Option<PathBuf>,
}

impl SecureServer {
    fn socket(&self) -> Result<(Socket, SocketAddr)> {
        let mut refused = None;
        for listen in &self.listen {
            let bound = listen.bind().and_then(|socket| {
                let address = socket.local_addr()?.as_socket();
                Ok((socket, address.ok_or(io::ErrorKind::Unsupported)?))
            });
            match bound {
                Ok(bound) => return Ok(bound),
                Err(error) => {
                    let another_may_do = matches!(
                        error.kind(),
                        io::ErrorKind::AddrNotAvailable | io::ErrorKind::Unsupported
                    ) || error.raw_os_error() == Some(NO_SUCH_FAMILY);
                    refused = Some(not_bound(&error, listen.port));
                    if !another_may_do {
                        break;
                    }
                }
            }
        }
        Err(refused.unwrap_or_else(|| Error::new(Status::Bind, "there is no address to bind")))
    }
}

/// EAFNOSUPPORT: a kernel without IPv6.
const NO_SUCH_FAMILY: i32 = 97;

impl Binder for SecureServer {
    fn bind(&self) -> Result<Box<dyn Bound>> {
        if let Some(path) = &self.dh_parameters {
            files::check_dh_parameters(path).map_err(|fault| fault.at(Status::Bind))?;
            info!("dhParameters are not used: ECDHE gives every connection its own keys");
        }
        // Before the address is taken: what cannot be served is not bound.
        let config = self.settings.read().map_err(|fault| fault.at(Status::Bind))?;
        if let Some(fault) = config.alone() {
            info!("netkit's own certificate is known by its pin alone: {fault}");
        }
        let (socket, address) = self.socket()?;
        Ok(Box::new(SecureBound {
            socket,
            address,
            settings: self.settings.clone(),
            current: Arc::new(Current(RwLock::new(Arc::new(config)))),
        }))
    }
}

/// What new connections are served with.
struct Current(RwLock<Arc<ServerConfig>>);

impl Current {
    fn get(&self) -> Arc<ServerConfig> {
        Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }
}

struct SecureBound {
    socket: Socket,
    address: SocketAddr,
    settings: ServerSettings,
    current: Arc<Current>,
}

impl Bound for SecureBound {
    fn endpoint(&self) -> String {
        let config = self.current.get();
        let pin = config.alone().and(config.pin()).map(|pin| pin.to_string());
        let mut address = reachable(self.address);
        if self.address.ip() == IpAddr::from(Ipv6Addr::UNSPECIFIED) {
            // It takes both families, and everyone has this one.
            address.set_ip(Ipv4Addr::LOCALHOST.into());
        }
        leading(&config.names(), address, pin)
    }

    fn listen(&self) -> io::Result<Listener> {
        Ok(Listener::Connections(Box::new(SecureAccept {
            below: accept_on(&self.socket)?,
            current: Arc::clone(&self.current),
        })))
    }

    fn elsewhere(&self) -> Option<String> {
        let config = self.current.get();
        if !config.is_local() || self.address.ip().to_canonical().is_loopback() {
            return None;
        }
        let pin = config.pin()?;
        Some(format!("tls:HOST:{}:pin={pin}", self.address.port()))
    }

    fn reload(&self) -> Result<()> {
        if matches!(self.settings.source, tls::config::Source::Local(_)) {
            // Nothing that a user could have changed; the pin that was told stays good.
            return Ok(());
        }
        let config = self.settings.read().map_err(|Fault { why, help }| {
            let error =
                Error::new(Status::Failure, why).on(format!("kept the certificates of {}", self.endpoint()));
            match help {
                Some(help) => error.help(help),
                None => error,
            }
        })?;
        *self.current.0.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(config);
        info!("reloaded the certificates of {}", self.endpoint());
        Ok(())
    }
}

/// The client string that leads to `address` and is satisfied with a certificate for `names`; with a pin, whatever
/// they are.
fn leading(names: &[Name], address: SocketAddr, pin: Option<String>) -> String {
    let leads_here = |name: &Name| match name {
        // What it leads to is tried in both families.
        Name::Dns(name) => {
            name == "localhost"
                && [[127, 0, 0, 1].into(), [0_u16, 0, 0, 0, 0, 0, 0, 1].into()].contains(&address.ip())
        }
        Name::Ip(ip) => *ip == address.ip(),
        Name::Mail(_) | Name::Uri(_) => false,
    };
    let here = Name::Ip(address.ip());
    let host = names
        .iter()
        .find(|name| leads_here(name))
        .or(pin.is_some().then_some(&here));
    if let Some(host) = host {
        return client(host, address, None, pin);
    }
    // A certificate that is good for every name below one is good for this one.
    let named = names.iter().find_map(|name| match name {
        Name::Dns(pattern) => {
            let name = pattern.replacen("*.", "www.", 1);
            server_name(&name).map(|_| Name::Dns(name))
        }
        Name::Ip(_) => Some(name.clone()),
        Name::Mail(_) | Name::Uri(_) => None,
    });
    match named {
        Some(name) => client(&name, address, Some(format!("tcp:{address}")), None),
        None => client(&here, address, None, pin),
    }
}

fn client(host: &Name, address: SocketAddr, over: Option<String>, pin: Option<String>) -> String {
    let mut spec = Spec::new("tls")
        .positional(host.to_string())
        .positional(address.port().to_string());
    if let Some(over) = over {
        spec = spec.keyword("endpoint", over);
    }
    if let Some(pin) = pin {
        spec = spec.keyword("pin", pin);
    }
    spec.to_string()
}

struct SecureAccept {
    below: Box<dyn Accept>,
    current: Arc<Current>,
}

impl Accept for SecureAccept {
    fn poll_accept(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Option<Incoming>>> {
        let Some(incoming) = ready!(self.below.poll_accept(cx))? else {
            return Poll::Ready(Ok(None));
        };
        let current = Arc::clone(&self.current);
        let stage = match incoming.stage {
            Stage::Established(Connection::Stream(stream)) => Stage::Handshake(Box::pin(async move {
                tls::accept(stream, &current.get()).await.map(Connection::Stream)
            })),
            other => other,
        };
        Poll::Ready(Ok(Some(Incoming {
            peer: incoming.peer,
            stage,
        })))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_string_that_is_told_has_a_name_that_the_certificate_is_good_for() {
        let told = |names: &[&str], address: &str, pin: Option<&str>| {
            let names: Vec<Name> = names.iter().map(|name| name.parse().unwrap()).collect();
            leading(&names, address.parse().unwrap(), pin.map(str::to_owned))
        };
        let ours = ["localhost", "127.0.0.1", "::1"];
        assert_eq!(told(&ours, "127.0.0.1:5", None), "tls:localhost:5");
        assert_eq!(told(&ours, "[::1]:5", None), "tls:localhost:5");
        assert_eq!(
            told(&ours, "192.0.2.1:5", None),
            "tls:localhost:5:endpoint=[tcp:192.0.2.1:5]"
        );
        assert_eq!(told(&["x", "192.0.2.1"], "192.0.2.1:5", None), "tls:192.0.2.1:5");
        assert_eq!(told(&["::1"], "[::1]:5", None), "tls:[::1]:5");
        assert_eq!(
            told(&["a.example", "b.example"], "[::1]:5", None),
            "tls:a.example:5:endpoint=[tcp:[::1]:5]"
        );
        assert_eq!(
            told(&["me@a.example", "*.b.example"], "127.0.0.1:5", None),
            "tls:www.b.example:5:endpoint=[tcp:127.0.0.1:5]"
        );
        assert_eq!(
            told(&ours, "127.0.0.1:5", Some("sha256/x=")),
            "tls:localhost:5:pin=sha256/x="
        );
        assert_eq!(
            told(&ours, "192.0.2.1:5", Some("sha256/x=")),
            "tls:192.0.2.1:5:pin=sha256/x="
        );
        for (names, address) in [(&ours[..], "192.0.2.1:5"), (&["a.example"], "[::1]:5")] {
            Spec::parse(&told(names, address, None)).unwrap();
        }
    }
}
