//! Where a test listens: a free port, a socket file or a TLS identity that nobody else has, and all of it gone afterwards.
//! Absent: what is said there.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

#[cfg(feature = "tls")]
use super::authority;
use crate::endpoint::{Role, Spec};
use crate::error::Result;
use crate::script::play::scratch::Scratch;
use crate::transport::reading::{Reading, ServerEndpoint};

/// Where to listen. A string is a server endpoint, so that `"tcp6:0"` is a place too; its port should be 0.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum On {
    /// A free TCP port of 127.0.0.1.
    #[default]
    Tcp,
    /// The same with TLS, and a certificate for `localhost`, 127.0.0.1 and `::1` of an authority that is made for this place
    /// alone. The client endpoint that leads there trusts it, and nobody else does.
    #[cfg(feature = "tls")]
    Tls,
    /// A UNIX socket in a directory of its own.
    Unix,
    /// A free UDP port of 127.0.0.1.
    Udp,
    /// Any server endpoint, as on the command line.
    At(String),
}

impl From<&str> for On {
    fn from(endpoint: &str) -> Self {
        On::At(endpoint.to_owned())
    }
}

impl From<String> for On {
    fn from(endpoint: String) -> Self {
        On::At(endpoint)
    }
}

/// A place that is prepared, and cleared up when this is dropped.
pub(super) struct Place {
    pub(super) endpoint: ServerEndpoint,
    /// What vouches for it, where nobody else would.
    trust: Option<PathBuf>,
    _scratch: Option<Scratch>,
}

impl Place {
    pub(super) fn prepare(on: &On) -> Result<Self> {
        let (text, trust, scratch) = match on {
            On::Tcp => ("tcp:0:interface=127.0.0.1".to_owned(), None, None),
            On::Udp => ("udp:0:interface=127.0.0.1".to_owned(), None, None),
            On::At(text) => (text.clone(), None, None),
            On::Unix => {
                let scratch = Scratch::new()?;
                let path = scratch.path().join("socket").display().to_string();
                let spec = Spec::new("unix").positional(path);
                (spec.to_string(), None, Some(scratch))
            }
            #[cfg(feature = "tls")]
            On::Tls => {
                let scratch = Scratch::new()?;
                let files = authority::found(scratch.path())?;
                let spec = Spec::new("tls")
                    .positional("0")
                    .keyword("interface", "127.0.0.1")
                    .keyword("privateKey", files.key.display().to_string())
                    .keyword("certKey", files.certificate.display().to_string());
                (spec.to_string(), Some(files.roots), Some(scratch))
            }
        };
        Ok(Place {
            endpoint: ServerEndpoint::parse(text.as_ref())?,
            trust,
            _scratch: scratch,
        })
    }

    /// The client endpoint that leads here, made of the one that was bound.
    pub(super) fn led_to(&self, bound: &str) -> String {
        #[cfg(feature = "tls")]
        if let Some(trust) = &self.trust
            && let Some(port) = field(bound, "port")
        {
            // Its certificate is good for the address, too, so that no name has to be looked up.
            return Spec::new("tls")
                .positional("127.0.0.1")
                .positional(port)
                .keyword("trustRoots", trust.display().to_string())
                .to_string();
        }
        bound.to_owned()
    }

    pub(super) fn trust(&self) -> Option<&Path> {
        self.trust.as_deref()
    }
}

/// The address in a client endpoint, where it has one in figures.
pub(super) fn address(endpoint: &str) -> Option<SocketAddr> {
    let host = field(endpoint, "host")?;
    let ip = match host.trim_matches(['[', ']']) {
        // What listens on all addresses of the machine may be told by this name.
        "localhost" => Ipv4Addr::LOCALHOST.into(),
        figures => figures.parse().ok()?,
    };
    Some(SocketAddr::new(ip, field(endpoint, "port")?.parse().ok()?))
}

/// The path in a client endpoint, where it has one.
pub(super) fn path(endpoint: &str) -> Option<PathBuf> {
    field(endpoint, "path").map(PathBuf::from)
}

fn field(endpoint: &str, name: &str) -> Option<String> {
    let reading = Reading::parse(endpoint.as_ref(), Role::Client).ok()?;
    let mut fields = reading.layers.into_iter().rev().flat_map(|layer| layer.fields);
    fields.find(|field| field.name == name)?.value
}
