//! What the TLS endpoint types share: fields, and a client with TLS on TCP or on any other client endpoint.
//! Absent: the tables of their fields, and the handshakes.

mod server;

use std::borrow::Borrow;
use std::future::ready;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, timeout_at};

pub(super) use self::server::SecureServer;
use super::socket::Target;
use super::{Connector, Doctor, Look};
use crate::cert::CertificateDer;
use crate::cert::Passphrases;
use crate::cert::chain::Finding;
use crate::connection::{BoxFuture, Connection, Facts, Stream};
use crate::diagnostic::quoted;
use crate::endpoint::{Args, Kind, Param, Refused, ValueKind};
use crate::error::{Error, Result, Status};
use crate::layer::tls::config::{ClientConfig, ClientSettings, KeyFiles, ServerName, server_name};
use crate::layer::tls::current::CurrentClient;
use crate::layer::tls::doctor::Verifies;
use crate::layer::{Layer, tls};
use crate::need::Need;
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

/// The field that both types have at either end.
pub(super) const PASSPHRASE_FILE: Param = Param::absent(
    "passphraseFile",
    ValueKind::Path,
    "file whose first line is the passphrase of the key; without it the terminal is asked",
)
.by_name();

/// Where the passphrases of keys come from.
pub(super) fn passphrases(args: &Args) -> Passphrases {
    let file = args.text_if(PASSPHRASE_FILE.name).map(PathBuf::from);
    Passphrases::new(file, "passphraseFile=FILE")
}

/// Refuses a field that is given without the one that it serves.
pub(super) fn needs(args: &Args, name: &str, what: &str) -> Refused {
    let message = format!("{name} is of no use without {what}");
    args.refuse(name, Kind::MissingArgument, message)
}

/// Our certificate as a client; the key is in the same file where no other is named.
pub(super) fn client_identity(args: &Args, certificate: &str) -> Result<Option<KeyFiles>, Refused> {
    let key = args.text_if("privateKey");
    match (args.text_if(certificate), key) {
        (None, None) if args.given(PASSPHRASE_FILE.name) => {
            Err(needs(args, PASSPHRASE_FILE.name, certificate))
        }
        (None, None) => Ok(None),
        (Some(certificate), key) => Ok(Some(KeyFiles {
            key: key.unwrap_or(certificate).into(),
            certificate: certificate.into(),
            extra: None,
            passphrases: passphrases(args),
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
    /// The limit on everything: names, addresses, what is below, and the handshake.
    timeout: Duration,
    /// Read by the first connection, and again by later ones where its files have changed.
    current: Arc<CurrentClient>,
    /// What comes before TLS on the wire, such as a PROXY header.
    beneath: Vec<Arc<dyn Layer>>,
}

impl SecureClient {
    pub(super) fn new(below: Below, settings: ClientSettings, timeout: Duration) -> Self {
        SecureClient {
            below,
            timeout,
            current: Arc::new(CurrentClient::new(settings)),
            beneath: Vec::new(),
        }
    }

    async fn config(&self) -> Result<Arc<ClientConfig>> {
        match self.current.fixed() {
            Some(config) => Ok(config),
            None => {
                let current = Arc::clone(&self.current);
                aside(move || current.get()).await
            }
        }
    }

    async fn open(&self, deadline: Instant, client: Option<&Facts>) -> Result<Stream> {
        match &self.below {
            Below::Tcp(target) => {
                let (stream, facts) = target.connect(client).await?;
                Ok(Stream::new(stream, facts))
            }
            Below::Endpoint(connector) => {
                let connected = timeout_at(deadline, connector.connect(client)).await;
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
    async fn secure(
        &self,
        config: impl Future<Output = Result<impl Borrow<ClientConfig>>>,
        client: Option<&Facts>,
    ) -> Result<Connection> {
        let deadline = Instant::now() + self.timeout;
        // Bad files are said before anybody is bothered.
        let config = timeout_at(deadline, config).await;
        let config =
            config.map_err(|_elapsed| self.too_late("no certificates, keys or roots could be read"))??;
        let config = config.borrow();
        let mut stream = self.open(deadline, client).await?;
        let secured = async {
            for layer in &self.beneath {
                stream = layer.connect(stream, client).await?;
            }
            tls::connect(stream, config).await
        };
        match timeout_at(deadline, secured).await {
            Ok(secured) => secured.map(Connection::Stream),
            Err(_elapsed) => Err(self
                .too_late("connected, but no TLS handshake")
                .help("does it speak TLS on this port? a server without TLS may wait for us: tcp:HOST:PORT")),
        }
    }
}

impl Connector for SecureClient {
    fn connect<'a>(&'a self, client: Option<&'a Facts>) -> BoxFuture<'a, Result<Connection>> {
        Box::pin(self.secure(self.config(), client))
    }

    fn needs(&self) -> Vec<Need> {
        let mut needs = self.current.needs();
        if let Below::Endpoint(connector) = &self.below {
            needs.extend(connector.needs());
        }
        needs
    }

    fn beneath(&mut self, layer: &Arc<dyn Layer>) -> bool {
        self.beneath.push(Arc::clone(layer));
        true
    }

    fn doctor(&self) -> Option<&dyn Doctor> {
        Some(self)
    }
}

impl Doctor for SecureClient {
    fn look(&self) -> BoxFuture<'_, Result<Look>> {
        Box::pin(async move {
            let config = self.current.settings().looking()?;
            let connection = self.secure(ready(Ok(&config)), None).await;
            match (config.seen(), connection) {
                (chain, Err(error)) if chain.is_empty() => Err(error),
                (chain, connection) => Ok(Look { chain, connection }),
            }
        })
    }

    fn examine(&self, chain: &[CertificateDer<'_>]) -> Result<Vec<Finding>> {
        self.current.settings().examine(chain)
    }

    fn verifies(&self) -> Verifies {
        self.current.settings().verifies()
    }
}

/// Does what reads files where it holds up nobody: a disk may be slow, and a pipe may never say anything.
async fn aside<T: Send + 'static>(read: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    let done = tokio::task::spawn_blocking(read).await;
    // It panicked, and has said so, or the runtime is on its way out.
    done.unwrap_or_else(|_gone| Err(Error::new(Status::Failure, "files were not read to their end")))
}
