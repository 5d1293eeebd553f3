//! The header of the PROXY protocol, versions 1 and 2 (proxy-protocol.txt, revision 2026/04/27): read as far as it has
//! arrived, and written.
//! Absent: connections, and what the addresses are used for.

mod crc32c;
mod invalid;
mod v1;
mod v2;

#[cfg(test)]
mod tests;

use std::net::{IpAddr, SocketAddr};

pub use invalid::Invalid;
pub use v2::{Ssl, Tlv, UNIX_NAME};

/// The longest header there can be: the fixed part of version 2, and what its length can say.
pub const LONGEST: usize = v2::FIXED + u16::MAX as usize;

/// Which of the two formats.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Version {
    /// A line of text.
    V1,
    /// Binary, with room for more than addresses.
    V2,
}

/// What a proxy says of the connection that it hands on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Header {
    /// The format it was written in.
    pub version: Version,
    /// The proxy speaks for itself, for instance to see whether we are well. Version 1 cannot say this.
    pub local: bool,
    /// Both ends of the client's connection to the proxy. `None`, as for `local`, `UNKNOWN` and `UNSPEC`: those of the
    /// connection that carries the header hold.
    pub ends: Option<Ends>,
    /// What else is said, in version 2; of a header without `ends` nothing is read.
    pub tlvs: Vec<Tlv>,
}

/// Both ends of a connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ends {
    /// TCP or UDP; both ends are of the same family.
    Inet {
        /// The client.
        source: SocketAddr,
        /// Where the client connected to.
        destination: SocketAddr,
        /// UDP, not TCP.
        datagrams: bool,
    },
    /// UNIX sockets, whose names are bytes. A name that begins with NUL is abstract, one without a byte is none.
    Unix {
        /// The client.
        source: Vec<u8>,
        /// Where the client connected to.
        destination: Vec<u8>,
        /// SOCK_DGRAM, not SOCK_STREAM.
        datagrams: bool,
    },
}

impl Ends {
    /// TCP between these, or UDP where they are `datagrams`; both become IPv4 where both are, mapped into IPv6 or not, and else both IPv6.
    #[must_use]
    pub fn of_one_family(source: SocketAddr, destination: SocketAddr, datagrams: bool) -> Self {
        let (mut from, mut to) = (source.ip().to_canonical(), destination.ip().to_canonical());
        let mapped = |ip| match ip {
            IpAddr::V4(v4) => IpAddr::V6(v4.to_ipv6_mapped()),
            v6 @ IpAddr::V6(_) => v6,
        };
        if from.is_ipv4() != to.is_ipv4() {
            (from, to) = (mapped(from), mapped(to));
        }
        Ends::Inet {
            source: SocketAddr::new(from, source.port()),
            destination: SocketAddr::new(to, destination.port()),
            datagrams,
        }
    }
}

/// Reads the header at the beginning of what has arrived, and says how long it is. `Ok(None)`: so far it is one, and
/// more has to come.
///
/// What comes after the header does not count, and neither does how the bytes were cut: a header is valid or not, and
/// the reason the same, however it arrives.
///
/// # Errors
/// [`Invalid`]: whatever may still come, this will be no header.
pub fn read(bytes: &[u8]) -> Result<Option<(Header, usize)>, Invalid> {
    let Some(first) = bytes.first() else {
        return Ok(None);
    };
    if *first == v1::SIGNATURE[0] {
        v1::read(bytes)
    } else {
        v2::read(bytes)
    }
}

/// How far a header that begins with `bytes`, and of which more has to come, may be read in one go. In version 2 nothing
/// behind it is read with it.
#[must_use]
pub fn room(bytes: &[u8]) -> usize {
    match (v2::announced(bytes), bytes.first()) {
        (Some(length), _) => length,
        (None, Some(first)) if *first == v1::SIGNATURE[0] => v1::LINE,
        (None, _) => v2::FIXED,
    }
}

impl Header {
    /// A header without addresses: `LOCAL`, or `UNKNOWN` in version 1.
    #[must_use]
    pub fn local(version: Version) -> Self {
        Header {
            version,
            local: version == Version::V2,
            ends: None,
            tlvs: Vec::new(),
        }
    }

    /// The header as it is sent. Version 1 can name TCP over one family of IP only, everything else is `UNKNOWN`, and
    /// has no room for TLVs; in version 2 a CRC32C is added to them.
    #[must_use]
    pub fn write(&self) -> Vec<u8> {
        match self.version {
            Version::V1 => v1::write(self.ends.as_ref()).into_bytes(),
            Version::V2 => v2::write(self),
        }
    }
}

/// Whether `bytes` begin with `signature`, as far as they go.
fn signed(bytes: &[u8], signature: &[u8]) -> Result<(), Invalid> {
    let length = bytes.len().min(signature.len());
    if bytes[..length] == signature[..length] {
        Ok(())
    } else {
        Err(Invalid::Signature)
    }
}
