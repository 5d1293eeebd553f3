//! What is known of a connection: the addresses of both ends, since when, and what TLS says of the other one.
//! Absent: behaviour, and how any of it is shown beyond one line of text.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use super::proxied::Proxied;

/// One end of a connection.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Address {
    /// An IP address and a port.
    Inet(SocketAddr),
    /// A socket in the file system.
    Path(PathBuf),
    /// A Linux abstract socket, without its leading NUL.
    Abstract(Vec<u8>),
    /// A descriptor that we were given.
    Descriptor(i32),
    /// Standard input and output.
    Stdio,
    /// The end has no name, as the client of a UNIX socket.
    Unnamed,
}

impl Address {
    /// The IP address, where there is one; a v4-mapped v6 address counts as v4.
    #[must_use]
    pub fn ip(&self) -> Option<IpAddr> {
        match self {
            Address::Inet(address) => Some(address.ip().to_canonical()),
            _ => None,
        }
    }
}

impl From<SocketAddr> for Address {
    fn from(address: SocketAddr) -> Self {
        Address::Inet(address)
    }
}

/// `127.0.0.1:80`, `[::1]:80`, `/run/socket`, `@name`, `fd 3`, `stdio`, `unnamed`: one line, whatever the bytes.
impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Address::Inet(address) => match address.ip().to_canonical() {
                // A client seen through a dual-stack socket is shown as what it is.
                IpAddr::V4(v4) => write!(f, "{v4}:{}", address.port()),
                IpAddr::V6(_) => write!(f, "{address}"),
            },
            Address::Path(path) => write!(f, "{}", path.display().to_string().escape_debug()),
            Address::Abstract(name) => write!(f, "@{}", name.escape_ascii()),
            Address::Descriptor(number) => write!(f, "fd {number}"),
            Address::Stdio => f.write_str("stdio"),
            Address::Unnamed => f.write_str("unnamed"),
        }
    }
}

/// Everything that is known of a connection apart from what flows on it.
#[derive(Debug, Clone)]
pub struct Facts {
    /// Our end.
    pub local: Address,
    /// The other end: the one that speaks, even when a proxy stands in between.
    pub peer: Address,
    /// The proxy in between, where one told us who speaks.
    pub via: Option<Address>,
    /// What the proxy says of the client besides its address.
    pub proxied: Option<Arc<Proxied>>,
    /// When it was accepted or connected.
    pub since: Instant,
    /// Whether it carries whole messages rather than bytes in order.
    pub datagrams: bool,
    /// What TLS says, where there is TLS: that of the layer nearest to the payload.
    pub tls: Option<Arc<Tls>>,
}

/// What a TLS handshake came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tls {
    /// `TLS 1.2` or `TLS 1.3`.
    pub version: &'static str,
    /// The cipher suite by its registered name.
    pub cipher: &'static str,
    /// The application protocol that was agreed on, escaped.
    pub alpn: Option<String>,
    /// The name that a client asked us for.
    pub server_name: Option<String>,
    /// The session goes on from an earlier one.
    pub resumed: bool,
    /// As a client: the server has asked for a certificate of ours, in this handshake; a session that goes on has none.
    pub asked_for_certificate: bool,
    /// The peer's certificates in DER, its own first; empty where it showed none.
    pub peer_certificates: Vec<Vec<u8>>,
}

impl Facts {
    /// Facts of a connection that stands since now.
    #[must_use]
    pub fn new(local: Address, peer: Address) -> Self {
        Facts {
            local,
            peer,
            via: None,
            proxied: None,
            since: Instant::now(),
            datagrams: false,
            tls: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mapped_client_is_shown_and_counted_as_ipv4() {
        let mapped = Address::Inet("[::ffff:192.0.2.7]:80".parse().unwrap());
        assert_eq!(mapped.to_string(), "192.0.2.7:80");
        assert_eq!(mapped.ip(), Some("192.0.2.7".parse().unwrap()));
        assert_eq!(Address::Inet("[::1]:80".parse().unwrap()).to_string(), "[::1]:80");
    }

    #[test]
    fn names_with_odd_bytes_stay_on_one_line() {
        assert_eq!(Address::Abstract(b"a\nb".to_vec()).to_string(), "@a\\nb");
        assert_eq!(Address::Path("/run/a\nb".into()).to_string(), "/run/a\\nb");
    }
}
