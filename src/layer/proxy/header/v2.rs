//! Version 2: sixteen fixed bytes, the addresses, and values with a type and a length (TLVs).
//! Absent: version 1.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use super::crc32c::crc32c;
use super::{Ends, Header, Invalid, Version, signed};

const SIGNATURE: &[u8; 12] = b"\r\n\r\n\0\r\nQUIT\n";

/// The signature, the version and the command, the family and the protocol, the length of the rest.
pub(super) const FIXED: usize = SIGNATURE.len() + 4;

const LOCAL: u8 = 0;
const PROXY: u8 = 1;

const UNSPEC: u8 = 0;
const INET: u8 = 1;
const INET6: u8 = 2;
const UNIX: u8 = 3;

const STREAM: u8 = 1;
const DGRAM: u8 = 2;

/// The room of a UNIX socket's name.
pub const UNIX_NAME: usize = 108;

/// Something a proxy says beyond the addresses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tlv {
    /// What it is.
    pub kind: u8,
    /// Its bytes; at most 65,535.
    pub value: Vec<u8>,
}

impl Tlv {
    /// The application protocol that was agreed on, as in ALPN.
    pub const ALPN: u8 = 0x01;
    /// The host name that the client asked for.
    pub const AUTHORITY: u8 = 0x02;
    /// A CRC32C over the whole header.
    pub const CRC32C: u8 = 0x03;
    /// Padding.
    pub const NOOP: u8 = 0x04;
    /// What identifies the connection, up to 128 bytes.
    pub const UNIQUE_ID: u8 = 0x05;
    /// What the proxy knows of the client's TLS: five bytes, then TLVs.
    pub const SSL: u8 = 0x20;
    /// Within SSL: the version.
    pub const SSL_VERSION: u8 = 0x21;
    /// Within SSL: the common name in the client's certificate.
    pub const SSL_CN: u8 = 0x22;
    /// Within SSL: the cipher suite.
    pub const SSL_CIPHER: u8 = 0x23;
    /// The network namespace.
    pub const NETNS: u8 = 0x30;
}

/// What a value of [`Tlv::SSL`] holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ssl {
    /// The client showed a certificate, on this connection or earlier in its session.
    pub certificate: bool,
    /// It showed one that the proxy found good.
    pub verified: bool,
    /// The rest.
    pub tlvs: Vec<Tlv>,
}

impl Ssl {
    /// Reads the value.
    ///
    /// # Errors
    /// [`Invalid::Tlv`]
    pub fn read(value: &[u8]) -> Result<Self, Invalid> {
        /// `PP2_CLIENT_CERT_CONN` and `PP2_CLIENT_CERT_SESS`.
        const CERTIFICATE: u8 = 0x02 | 0x04;
        let [client, one, two, three, four, rest @ ..] = value else {
            return Err(Invalid::Tlv);
        };
        let certificate = client & CERTIFICATE != 0;
        Ok(Ssl {
            certificate,
            // Without a certificate there was nothing that could have been found wrong.
            verified: certificate && [one, two, three, four].iter().all(|byte| **byte == 0),
            tlvs: owned(cut(rest)?),
        })
    }
}

pub(super) fn announced(bytes: &[u8]) -> Option<usize> {
    let length = [*bytes.get(FIXED - 2)?, *bytes.get(FIXED - 1)?];
    bytes
        .starts_with(SIGNATURE)
        .then(|| FIXED + usize::from(u16::from_be_bytes(length)))
}

pub(super) fn read(bytes: &[u8]) -> Result<Option<(Header, usize)>, Invalid> {
    signed(bytes, SIGNATURE)?;
    let Some(length) = announced(bytes) else {
        return Ok(None);
    };
    let (what, whose) = (bytes[SIGNATURE.len()], bytes[SIGNATURE.len() + 1]);
    if what >> 4 != 2 {
        return Err(Invalid::Version);
    }
    let local = match what & 0x0f {
        LOCAL => true,
        PROXY => false,
        _ => return Err(Invalid::Command),
    };
    // What LOCAL says of addresses has no meaning, whatever it is.
    let layout = if local { None } else { Layout::of(whose)? };
    if layout.is_some_and(|layout| length - FIXED < layout.block()) {
        return Err(Invalid::ShortBlock);
    }
    let Some(header) = bytes.get(..length) else {
        return Ok(None);
    };
    let mut read = Header {
        version: Version::V2,
        local,
        ends: None,
        tlvs: Vec::new(),
    };
    if let Some(layout) = layout {
        let (block, rest) = header[FIXED..].split_at(layout.block());
        read.tlvs = tlvs(rest)?;
        check_sum(header, FIXED + layout.block())?;
        read.ends = Some(layout.ends(block));
    }
    Ok(Some((read, length)))
}

/// What the addresses look like.
#[derive(Debug, Clone, Copy)]
struct Layout {
    family: u8,
    datagrams: bool,
}

impl Layout {
    /// `None` where the proxy did not know what it handed on.
    fn of(byte: u8) -> Result<Option<Layout>, Invalid> {
        let (family, protocol) = (byte >> 4, byte & 0x0f);
        if family > UNIX {
            return Err(Invalid::Family);
        }
        if protocol > DGRAM {
            return Err(Invalid::Protocol);
        }
        let known = family != UNSPEC && protocol != UNSPEC;
        Ok(known.then_some(Layout {
            family,
            datagrams: protocol == DGRAM,
        }))
    }

    /// The length of one address, without its port.
    const fn address(self) -> usize {
        match self.family {
            INET => 4,
            INET6 => 16,
            _ => UNIX_NAME,
        }
    }

    /// The length of both addresses, with the ports.
    const fn block(self) -> usize {
        let ports = if self.family == UNIX { 0 } else { 4 };
        2 * self.address() + ports
    }

    /// `block` is as long as it says.
    fn ends(self, block: &[u8]) -> Ends {
        let (source, rest) = block.split_at(self.address());
        let (destination, ports) = rest.split_at(self.address());
        if self.family == UNIX {
            return Ends::Unix {
                source: name(source),
                destination: name(destination),
                datagrams: self.datagrams,
            };
        }
        let port = |at: usize| u16::from_be_bytes([ports[at], ports[at + 1]]);
        Ends::Inet {
            source: SocketAddr::new(ip(source), port(0)),
            destination: SocketAddr::new(ip(destination), port(2)),
            datagrams: self.datagrams,
        }
    }
}

fn ip(bytes: &[u8]) -> IpAddr {
    match <[u8; 4]>::try_from(bytes) {
        Ok(four) => Ipv4Addr::from(four).into(),
        Err(_) => Ipv6Addr::from(<[u8; 16]>::try_from(bytes).unwrap_or_default()).into(),
    }
}

/// The name of a UNIX socket, without the NULs that fill its room.
fn name(room: &[u8]) -> Vec<u8> {
    let length = room
        .iter()
        .rposition(|byte| *byte != 0)
        .map_or(0, |last| last + 1);
    room[..length].to_vec()
}

/// Cuts TLVs, each with where its value begins.
fn cut(mut bytes: &[u8]) -> Result<Vec<(u8, &[u8])>, Invalid> {
    let mut found = Vec::new();
    while !bytes.is_empty() {
        let [kind, high, low, rest @ ..] = bytes else {
            return Err(Invalid::Tlv);
        };
        let length = usize::from(u16::from_be_bytes([*high, *low]));
        let (value, after) = rest.split_at_checked(length).ok_or(Invalid::Tlv)?;
        found.push((*kind, value));
        bytes = after;
    }
    Ok(found)
}

fn tlvs(bytes: &[u8]) -> Result<Vec<Tlv>, Invalid> {
    let found = cut(bytes)?;
    for (kind, value) in &found {
        match *kind {
            Tlv::UNIQUE_ID if value.len() > 128 => return Err(Invalid::UniqueId),
            Tlv::SSL => drop(Ssl::read(value)?),
            _ => {}
        }
    }
    Ok(owned(found))
}

fn owned(found: Vec<(u8, &[u8])>) -> Vec<Tlv> {
    let tlv = |(kind, value): (u8, &[u8])| Tlv {
        kind,
        value: value.to_vec(),
    };
    found.into_iter().map(tlv).collect()
}

/// Checks the CRC32C, where there is one; the TLVs, from `at`, are known to be well cut.
fn check_sum(header: &[u8], mut at: usize) -> Result<(), Invalid> {
    let mut sums = 0;
    while let Some([kind, high, low]) = header.get(at..at + 3) {
        let value = at + 3;
        let end = value + usize::from(u16::from_be_bytes([*high, *low]));
        if *kind == Tlv::CRC32C {
            let written = header.get(value..end).unwrap_or_default();
            let written = <[u8; 4]>::try_from(written).map_err(|_| Invalid::CrcLength)?;
            sums += 1;
            // Of two, neither could have been summed with the other in place.
            let sum = crc32c(&[&header[..value], &[0; 4], &header[end..]]);
            if sums > 1 || sum != u32::from_be_bytes(written) {
                return Err(Invalid::Crc);
            }
        }
        at = end;
    }
    Ok(())
}

pub(super) fn write(header: &Header) -> Vec<u8> {
    let mut bytes = SIGNATURE.to_vec();
    let ends = header.ends.as_ref().filter(|_| !header.local);
    bytes.push(0x20 | if header.local { LOCAL } else { PROXY });
    let mut block = Vec::new();
    bytes.push(ends.map_or(0, |ends| write_ends(&mut block, ends)));
    // Without addresses, nobody knows where TLVs would begin.
    let given = if block.is_empty() { &[][..] } else { &header.tlvs };
    let mut length = block.len() + 7;
    for tlv in given.iter().filter(|tlv| tlv.kind != Tlv::CRC32C) {
        // What does not fit is left out, whole.
        let more = 3 + tlv.value.len();
        if length + more <= usize::from(u16::MAX) {
            length += more;
            block.push(tlv.kind);
            block.extend_from_slice(&((more - 3) as u16).to_be_bytes());
            block.extend_from_slice(&tlv.value);
        }
    }
    bytes.extend_from_slice(&(length as u16).to_be_bytes());
    bytes.extend_from_slice(&block);
    bytes.extend_from_slice(&[Tlv::CRC32C, 0, 4]);
    let sum = crc32c(&[&bytes, &[0; 4]]);
    bytes.extend_from_slice(&sum.to_be_bytes());
    bytes
}

/// Writes both ends and returns the byte that says what they are: 0, and nothing written, where they cannot be.
fn write_ends(block: &mut Vec<u8>, ends: &Ends) -> u8 {
    let (family, datagrams) = match ends {
        Ends::Inet {
            source,
            destination,
            datagrams,
        } => {
            let family = match (source.ip(), destination.ip()) {
                (IpAddr::V4(source), IpAddr::V4(destination)) => {
                    block.extend_from_slice(&source.octets());
                    block.extend_from_slice(&destination.octets());
                    INET
                }
                (IpAddr::V6(source), IpAddr::V6(destination)) => {
                    block.extend_from_slice(&source.octets());
                    block.extend_from_slice(&destination.octets());
                    INET6
                }
                _ => return 0,
            };
            block.extend_from_slice(&source.port().to_be_bytes());
            block.extend_from_slice(&destination.port().to_be_bytes());
            (family, datagrams)
        }
        Ends::Unix {
            source,
            destination,
            datagrams,
        } => {
            if source.len().max(destination.len()) > UNIX_NAME {
                return 0;
            }
            for name in [source, destination] {
                let end = block.len() + UNIX_NAME;
                block.extend_from_slice(name);
                block.resize(end, 0);
            }
            (UNIX, datagrams)
        }
    };
    family << 4 | if *datagrams { DGRAM } else { STREAM }
}
