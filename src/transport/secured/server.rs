//! A TLS server: bound, told of, and served with certificates that can change.
//! Absent: which fields it has.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, ToSocketAddrs};
use std::path::PathBuf;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use rustix::io::Errno;
use socket2::Socket;
use tracing::{info, warn};

use super::aside;
use crate::cert::{Fault, Name, files};
use crate::connection::Connection;
use crate::endpoint::Spec;
use crate::error::{Error, Result, Status};
use crate::layer::tls::config::{ServerSettings, server_name};
use crate::layer::tls::current::Current;
use crate::layer::{Layer, tls};
use crate::need::Need;
use crate::transport::handshake::{Handshake, layered, names_peer};
use crate::transport::listening::accept_on;
use crate::transport::socket::{Listen, bind_beside, not_bound, reachable};
use crate::transport::{Accept, Binder, Bound, Incoming, Listener, Stage};

/// A server that speaks TLS.
#[derive(Debug)]
pub(in crate::transport) struct SecureServer {
    /// How to listen; the first that this machine can do.
    pub(in crate::transport) listen: Vec<Listen>,
    /// Its certificates and whom it lets in.
    pub(in crate::transport) settings: ServerSettings,
    /// A file of Diffie-Hellman parameters that is asked for and not needed.
    pub(in crate::transport) dh_parameters: Option<PathBuf>,
    /// What comes before TLS on the wire, such as a PROXY header.
    pub(in crate::transport) beneath: Vec<Arc<dyn Layer>>,
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
                    ) || error.raw_os_error() == Some(Errno::AFNOSUPPORT.raw_os_error());
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

impl Binder for SecureServer {
    fn bind(&self) -> Result<Box<dyn Bound>> {
        if let Some(path) = &self.dh_parameters {
            files::check_dh_parameters(path).map_err(|fault| fault.at(Status::Bind))?;
            warn!("dhParameters are not used: ECDHE gives every connection its own keys");
        }
        // Before the address is taken: what cannot be served is not bound.
        let current = Current::new(self.settings.clone()).map_err(|fault| fault.at(Status::Bind))?;
        if let Some(fault) = current.get().alone() {
            warn!(
                "netkit's own certificate is known by its pin alone: {}",
                fault.in_full()
            );
        }
        let (socket, address) = self.socket()?;
        Ok(Box::new(SecureBound {
            socket,
            address,
            // The same for all of them.
            backlog: self.listen.first().map_or(u32::MAX, |listen| listen.backlog),
            current: Arc::new(current),
            beneath: self.beneath.as_slice().into(),
        }))
    }

    fn beneath(&mut self, layer: &Arc<dyn Layer>) -> bool {
        self.beneath.push(Arc::clone(layer));
        true
    }
}

struct SecureBound {
    socket: Socket,
    address: SocketAddr,
    backlog: u32,
    current: Arc<Current>,
    beneath: Arc<[Arc<dyn Layer>]>,
}

/// Where a string that is told leads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Leads {
    /// To an endpoint, by whatever name is nicest.
    Here,
    /// To it and no other one on the same port.
    NowhereElse,
}

impl SecureBound {
    fn told(&self, leads: Leads) -> String {
        let config = self.current.get();
        let pin = config.alone().and(config.pin()).map(|pin| pin.to_string());
        let mut address = reachable(self.address);
        if self.address.ip() == IpAddr::from(Ipv6Addr::UNSPECIFIED) {
            // It takes both families, and everyone has this one.
            address.set_ip(Ipv4Addr::LOCALHOST.into());
        }
        leading(leads, &config.names(), address, pin, is_localhost)
    }
}

impl Bound for SecureBound {
    fn endpoint(&self) -> String {
        self.told(Leads::Here)
    }

    fn exact_endpoint(&self) -> String {
        self.told(Leads::NowhereElse)
    }

    fn listen(&self) -> io::Result<Listener> {
        Ok(Listener::Connections(Box::new(SecureAccept {
            below: accept_on(&self.socket)?,
            current: Arc::clone(&self.current),
            endpoint: self.endpoint().into(),
            beneath: Arc::clone(&self.beneath),
        })))
    }

    fn beside(&self) -> Option<Box<dyn Bound>> {
        Some(Box::new(SecureBound {
            socket: bind_beside(&self.socket, self.backlog).ok()?,
            address: self.address,
            backlog: self.backlog,
            current: Arc::clone(&self.current),
            beneath: Arc::clone(&self.beneath),
        }))
    }

    fn elsewhere(&self) -> Option<String> {
        let config = self.current.get();
        if !config.is_local() || self.address.ip().to_canonical().is_loopback() {
            return None;
        }
        let pin = config.pin()?;
        Some(format!("tls:HOST:{}:pin={pin}", self.address.port()))
    }

    fn needs(&self) -> Vec<Need> {
        self.current.needs()
    }

    fn reload(&self) -> Result<()> {
        match self.current.reload() {
            Ok(true) => {
                info!("reloaded the certificates of {}", self.endpoint());
                Ok(())
            }
            // Netkit's own: nothing that a user could have changed, and the pin that was told stays good.
            Ok(false) => Ok(()),
            Err(fault) => Err(kept(fault, &self.endpoint())),
        }
    }
}

fn kept(fault: Fault, endpoint: &str) -> Error {
    fault
        .at(Status::Failure)
        .on(format!("kept the certificates of {endpoint}"))
}

/// The client string that leads to `address` and is satisfied with a certificate for `names`; with a pin, whatever
/// they are. Whether `localhost` leads there is asked where it matters.
fn leading(
    leads: Leads,
    names: &[Name],
    address: SocketAddr,
    pin: Option<String>,
    is_localhost: impl Fn(IpAddr) -> bool,
) -> String {
    let leads_here = |name: &Name| match name {
        Name::Dns(name) => leads == Leads::Here && name == "localhost" && is_localhost(address.ip()),
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

/// Whether `localhost` leads there on this machine. 127.0.0.1 is its address everywhere, ::1 not.
fn is_localhost(ip: IpAddr) -> bool {
    let found = || ("localhost", 0).to_socket_addrs();
    ip == IpAddr::from(Ipv4Addr::LOCALHOST)
        || ip == IpAddr::from(Ipv6Addr::LOCALHOST)
            && found().is_ok_and(|mut found| found.any(|found| found.ip() == ip))
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
    endpoint: Arc<str>,
    beneath: Arc<[Arc<dyn Layer>]>,
}

impl Accept for SecureAccept {
    fn poll_accept(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Option<Incoming>>> {
        let Some(incoming) = ready!(self.below.poll_accept(cx))? else {
            return Poll::Ready(Ok(None));
        };
        let stage = match incoming.stage {
            Stage::Established(Connection::Stream(stream)) => {
                let (current, endpoint) = (Arc::clone(&self.current), Arc::clone(&self.endpoint));
                let beneath = Arc::clone(&self.beneath);
                let names_peer = names_peer(&beneath);
                Stage::Handshake(Handshake::new(stream, names_peer, move |stream, gate| {
                    Box::pin(async move {
                        let stream = layered(stream, &beneath, gate).await?;
                        if current.is_due() {
                            refresh(Arc::clone(&current), endpoint).await?;
                        }
                        tls::accept(stream, &current.get()).await.map(Connection::Stream)
                    })
                }))
            }
            other => other,
        };
        Poll::Ready(Ok(Some(Incoming {
            peer: incoming.peer,
            stage,
        })))
    }
}

/// Who comes meanwhile is served with what was good until now.
async fn refresh(current: Arc<Current>, endpoint: Arc<str>) -> Result<()> {
    aside(move || {
        match current.refresh() {
            Some(Ok(())) => info!("the certificates of {endpoint} have changed"),
            Some(Err(fault)) => warn!("{}", kept(fault, &endpoint)),
            None => {}
        }
        Ok(())
    })
    .await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_string_of_one_of_two_leads_nowhere_else() {
        let told = |names: &[&str], address: &str, pin: Option<&str>| {
            let names: Vec<Name> = names.iter().map(|name| name.parse().unwrap()).collect();
            let address = address.parse().unwrap();
            let pin = pin.map(str::to_owned);
            leading(Leads::NowhereElse, &names, address, pin, |ip| ip.is_loopback())
        };
        let ours = ["localhost", "127.0.0.1", "::1"];
        assert_eq!(told(&ours, "127.0.0.1:5", None), "tls:127.0.0.1:5");
        assert_eq!(told(&ours, "[::1]:5", None), "tls:[::1]:5");
        assert_eq!(
            told(&["localhost"], "[::1]:5", None),
            "tls:localhost:5:endpoint=[tcp:[::1]:5]"
        );
        assert_eq!(
            told(&["localhost"], "127.0.0.1:5", Some("sha256/x=")),
            "tls:127.0.0.1:5:pin=sha256/x="
        );
    }

    #[test]
    fn the_string_that_is_told_has_a_name_that_the_certificate_is_good_for() {
        let told = |names: &[&str], address: &str, pin: Option<&str>| {
            let names: Vec<Name> = names.iter().map(|name| name.parse().unwrap()).collect();
            let (address, pin) = (address.parse().unwrap(), pin.map(str::to_owned));
            leading(Leads::Here, &names, address, pin, |ip| ip.is_loopback())
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

    #[test]
    fn where_localhost_has_no_ipv6_it_is_not_told() {
        let told = |names: &[&str]| {
            let names: Vec<Name> = names.iter().map(|name| name.parse().unwrap()).collect();
            let address = "[::1]:5".parse().unwrap();
            leading(Leads::Here, &names, address, None, |ip| ip.is_ipv4())
        };
        assert_eq!(told(&["localhost", "127.0.0.1", "::1"]), "tls:[::1]:5");
        assert_eq!(told(&["localhost"]), "tls:localhost:5:endpoint=[tcp:[::1]:5]");
    }
}
