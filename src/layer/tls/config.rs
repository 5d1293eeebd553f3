//! From what the user asked for to what rustls takes: identities, trust, ALPN, versions.
//! Absent: endpoint text, sockets, and signals; files are read here and nowhere earlier.

use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use rustls::crypto::{CryptoProvider, aws_lc_rs};
pub use rustls::pki_types::ServerName;
use rustls::server::NoServerSessionStorage;
use rustls::sign::CertifiedKey;
use rustls::version::{TLS12, TLS13};
use rustls::{InconsistentKeys, KeyLogFile, SupportedProtocolVersion};
use tracing::warn;

use super::by_name::ByName;
use super::clients::ClientVerifier;
use super::doctor::{Asked, Seen};
use super::trust::{self, Believe, Given, Verifier};
use super::words;
use crate::cert::files::shown;
use crate::cert::local::Store;
use crate::cert::own::Own;
use crate::cert::{CertificateDer, Fault, Identity, Name, Passphrases, Pin, files, inspect};
use crate::error::{Result, Status};

/// The one crypto provider, made when the first endpoint needs TLS.
pub(super) fn provider() -> &'static Arc<CryptoProvider> {
    static PROVIDER: OnceLock<Arc<CryptoProvider>> = OnceLock::new();
    PROVIDER.get_or_init(|| Arc::new(aws_lc_rs::default_provider()))
}

/// A version of TLS; there is none below 1.2 here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Version {
    /// RFC 5246.
    Tls12,
    /// RFC 8446.
    Tls13,
}

/// The versions that are spoken, both ends included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Versions {
    /// The lowest.
    pub min: Version,
    /// The highest; not below `min`.
    pub max: Version,
}

impl Versions {
    fn spoken(self) -> &'static [&'static SupportedProtocolVersion] {
        static BOTH: [&SupportedProtocolVersion; 2] = [&TLS13, &TLS12];
        match (self.min, self.max) {
            (Version::Tls12, Version::Tls13) => &BOTH,
            (_, Version::Tls12) => &BOTH[1..],
            (Version::Tls13, Version::Tls13) => &BOTH[..1],
        }
    }
}

/// The files of an identity.
#[derive(Debug, Clone)]
pub struct KeyFiles {
    /// PEM with the private key.
    pub key: PathBuf,
    /// PEM with the certificate and what vouches for it; it may be the same file.
    pub certificate: PathBuf,
    /// PEM with more certificates to send.
    pub extra: Option<PathBuf>,
    /// Where the passphrase of the key comes from, if it has one.
    pub passphrases: Passphrases,
}

impl KeyFiles {
    fn read(&self) -> Result<CertifiedKey, Fault> {
        let identity = files::identity(
            &self.key,
            &self.passphrases,
            &self.certificate,
            self.extra.as_deref(),
        )?;
        certified(&identity).map_err(|fault| Fault {
            why: format!("{} (key in {})", fault.why, shown(&self.key)),
            ..fault
        })
    }

    /// Reads them where the passphrases are for this key alone.
    fn read_alone(&self) -> Result<CertifiedKey, Fault> {
        let key = self.read()?;
        self.passphrases.say_if_unused(shown(&self.key))?;
        Ok(key)
    }
}

/// An identity whose key and certificate belong together.
pub(super) fn certified(identity: &Identity) -> Result<CertifiedKey, Fault> {
    CertifiedKey::from_der(identity.chain.clone(), identity.key.clone_key(), provider()).map_err(|error| {
        Fault::new(match error {
            rustls::Error::InconsistentKeys(InconsistentKeys::KeyMismatch) => {
                "the private key does not belong to the certificate"
            }
            _ => "the private key is damaged, or of a kind that is not known here",
        })
    })
}

/// Whom a client trusts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Trust {
    /// The platform's roots and, for the names of this machine, netkit's local authority.
    Platform,
    /// The certificates of a file, or of a directory.
    Roots(PathBuf),
    /// Whoever has one of these keys, whatever the certificate says.
    Pins(Vec<Pin>),
    /// Anybody.
    Anybody,
}

/// What a client asked for.
#[derive(Debug, Clone)]
pub struct ClientSettings {
    /// The name or address that is verified; a name is sent too.
    pub server_name: ServerName<'static>,
    /// Whom to trust.
    pub trust: Trust,
    /// Who we are, if the server wants to know.
    pub identity: Option<KeyFiles>,
    /// Application protocols, the preferred one first.
    pub alpn: Vec<String>,
    /// Versions of TLS.
    pub versions: Versions,
}

/// What a client needs for a handshake; made once, so that sessions can be resumed.
#[derive(Debug)]
pub struct ClientConfig {
    pub(super) rustls: Arc<rustls::ClientConfig>,
    pub(super) name: ServerName<'static>,
    pub(super) has_identity: bool,
    pub(super) pinned: bool,
    seen: Seen,
}

impl ClientConfig {
    /// What a server showed in a handshake that was for looking at it; once.
    #[must_use]
    pub fn seen(&self) -> Vec<CertificateDer<'static>> {
        self.seen.take()
    }
}

/// The name that a host is verified by; `None` where no certificate can be for it.
#[must_use]
pub fn server_name(host: &str) -> Option<ServerName<'static>> {
    // The zone of an address says where it is from here, not what it is; the final dot is for the resolver alone.
    let host = host.split('%').next().unwrap_or(host);
    let host = host.strip_suffix('.').unwrap_or(host);
    ServerName::try_from(host.to_owned()).ok()
}

impl ClientSettings {
    /// Reads the files.
    ///
    /// # Errors
    /// Status 2: a file is missing or no good.
    pub fn read(&self) -> Result<ClientConfig> {
        let believe = match &self.trust {
            Trust::Platform => Believe::Platform(Store::of_user()),
            Trust::Roots(path) => Believe::Roots(given(path).map_err(|fault| fault.at(Status::Usage))?),
            Trust::Pins(pins) => Believe::Pins(pins.clone()),
            Trust::Anybody => Believe::Anybody,
        };
        let key = self.identity.as_ref().map(KeyFiles::read_alone).transpose();
        let key = key.map_err(|fault| fault.at(Status::Usage))?;
        self.with(believe, key, Seen::default())
    }

    /// For looking at who answers: anybody is taken, and not told who we are.
    ///
    /// # Errors
    /// TLS cannot be set up.
    pub fn looking(&self) -> Result<ClientConfig> {
        let seen = Seen::default();
        self.with(Believe::Looking(seen.clone()), None, seen)
    }

    fn with(&self, believe: Believe, key: Option<CertifiedKey>, seen: Seen) -> Result<ClientConfig> {
        let builder = rustls::ClientConfig::builder_with_provider(Arc::clone(provider()))
            .with_protocol_versions(self.versions.spoken())
            .map_err(|error| unexpected(&error).at(Status::Tls))?
            .dangerous()
            .with_custom_certificate_verifier(Verifier::new(believe));
        let has_identity = key.is_some();
        let resolver = Asked::new(key);
        let mut config = builder.with_client_cert_resolver(Arc::new(resolver));
        config.alpn_protocols = self.alpn.iter().map(|name| name.clone().into_bytes()).collect();
        if key_log().is_some() {
            config.key_log = Arc::new(KeyLogFile::new());
        }
        Ok(ClientConfig {
            rustls: Arc::new(config),
            name: self.server_name.clone(),
            has_identity,
            pinned: matches!(self.trust, Trust::Pins(_)),
            seen,
        })
    }
}

fn given(path: &Path) -> Result<Given, Fault> {
    let roots = files::roots(path)?;
    for fault in &roots.skipped {
        warn!("passed over for trust: {fault}");
    }
    Given::new(roots.certificates)
        .ok_or_else(|| Fault::new(format!("no certificate in {} can be a root", shown(path))))
}

/// As every TLS library does, so that Wireshark can read along.
pub(super) fn key_log() -> Option<PathBuf> {
    std::env::var_os("SSLKEYLOGFILE")
        .filter(|path| !path.is_empty())
        .map(PathBuf::from)
}

fn unexpected(error: &rustls::Error) -> Fault {
    Fault::new(format!("TLS could not be set up: {error}"))
}

/// Where a server's certificate comes from.
#[derive(Debug, Clone)]
pub enum Source {
    /// From files.
    Files(KeyFiles),
    /// From the combined files of a directory, chosen by server name.
    Directory {
        /// The directory.
        path: PathBuf,
        /// Where the passphrases of the keys come from that have one.
        passphrases: Passphrases,
        /// For names that are nobody's; without it the first of the directory.
        otherwise: Option<KeyFiles>,
    },
    /// From netkit's local authority. The key stays while this does, so that a pin that was told stays good.
    Local(Arc<Own>),
}

impl Source {
    /// From netkit's local authority, the user's.
    #[must_use]
    pub fn local() -> Self {
        Source::Local(Arc::new(Own::new(Store::of_user())))
    }
}

/// Whether clients have to show a certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientAuth {
    /// Whose certificates are taken: a file or a directory.
    pub authority: PathBuf,
    /// Clients without one are refused.
    pub required: bool,
}

/// What a server asked for.
#[derive(Debug, Clone)]
pub struct ServerSettings {
    /// Where the certificate comes from.
    pub source: Source,
    /// Whether clients have to show one.
    pub client_auth: Option<ClientAuth>,
    /// Application protocols, the preferred one first.
    pub alpn: Vec<String>,
    /// Versions of TLS.
    pub versions: Versions,
}

/// What a server needs for handshakes.
#[derive(Debug)]
pub struct ServerConfig {
    pub(super) rustls: Arc<rustls::ServerConfig>,
    leaf: CertificateDer<'static>,
    alone: Option<Fault>,
    local: bool,
}

impl ServerConfig {
    /// What the certificate is good for that a client gets who names nobody.
    #[must_use]
    pub fn names(&self) -> Vec<Name> {
        inspect::names(&self.leaf)
    }

    /// The pin of that certificate.
    #[must_use]
    pub fn pin(&self) -> Option<Pin> {
        Pin::of(&self.leaf)
    }

    /// Whether the certificate is netkit's own.
    #[must_use]
    pub fn is_local(&self) -> bool {
        self.local
    }

    /// Why netkit's own certificate is known by its pin alone; `None`: an authority vouches for it.
    #[must_use]
    pub fn alone(&self) -> Option<&Fault> {
        self.alone.as_ref()
    }
}

impl ServerSettings {
    /// Reads the files.
    ///
    /// # Errors
    /// A file is missing or no good.
    pub fn read(&self) -> Result<ServerConfig, Fault> {
        let (otherwise, several, alone) = match &self.source {
            Source::Files(files) => (files.read_alone()?, Vec::new(), None),
            Source::Directory {
                path,
                passphrases,
                otherwise,
            } => {
                let mut several = files::identities(path, passphrases)?
                    .iter()
                    .map(certified)
                    .collect::<Result<Vec<_>, _>>()?;
                let otherwise = match otherwise {
                    Some(files) => files.read()?,
                    None => several.remove(0),
                };
                passphrases.say_if_unused(format_args!("no key in {}", shown(path)))?;
                (otherwise, several, None)
            }
            Source::Local(own) => {
                let local = own.current()?;
                (certified(&local.identity)?, Vec::new(), local.alone.clone())
            }
        };
        let leaf = match otherwise.cert.first() {
            Some(leaf) => leaf.clone(),
            None => return Err(Fault::new("there is no certificate")),
        };
        if let Err(why) = trust::dates(&leaf, rustls::pki_types::UnixTime::now()) {
            warn!("clients will refuse our certificate: {}", words::dates(&why));
        }
        let builder = rustls::ServerConfig::builder_with_provider(Arc::clone(provider()))
            .with_protocol_versions(self.versions.spoken())
            .map_err(|error| unexpected(&error))?;
        let builder = match &self.client_auth {
            None => builder.with_no_client_auth(),
            Some(auth) => {
                let verifier = ClientVerifier::new(given(&auth.authority)?, auth.required)
                    .map_err(|error| Fault::new(error.to_string()))?;
                builder.with_client_cert_verifier(verifier)
            }
        };
        let several = several.into_iter().map(Arc::new).collect();
        let mut config = builder.with_cert_resolver(Arc::new(ByName::new(Arc::new(otherwise), several)));
        config.alpn_protocols = self.alpn.iter().map(|name| name.clone().into_bytes()).collect();
        // Sessions rest with the clients, under a key that a reload throws away: a client certificate that is no
        // longer taken ends there too. Nothing is kept here for clients that never come back.
        config.ticketer = aws_lc_rs::Ticketer::new().map_err(|error| unexpected(&error))?;
        config.session_storage = Arc::new(NoServerSessionStorage {});
        // A client that wants more connections gets a new ticket with each.
        config.send_tls13_tickets = 1;
        if key_log().is_some() {
            config.key_log = Arc::new(KeyLogFile::new());
        }
        Ok(ServerConfig {
            rustls: Arc::new(config),
            leaf,
            alone,
            local: matches!(self.source, Source::Local(..)),
        })
    }
}
