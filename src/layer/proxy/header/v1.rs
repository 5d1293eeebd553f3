//! Version 1: a line of at most 107 bytes.
//! Absent: version 2.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::str::FromStr;

use super::{Ends, Header, Invalid, Version, signed};

pub(super) const SIGNATURE: &[u8; 6] = b"PROXY ";

/// The longest line, its end included.
pub(super) const LINE: usize = 107;

pub(super) fn read(bytes: &[u8]) -> Result<Option<(Header, usize)>, Invalid> {
    signed(bytes, SIGNATURE)?;
    let within = &bytes[..bytes.len().min(LINE)];
    let Some(end) = within.windows(2).position(|two| two == b"\r\n") else {
        return if within.len() == LINE {
            Err(Invalid::LineTooLong)
        } else {
            Ok(None)
        };
    };
    // The signature holds no line end, so a line that has one is at least as long.
    let line = within.get(SIGNATURE.len()..end).unwrap_or_default();
    let header = Header {
        version: Version::V1,
        local: false,
        ends: ends(line)?,
        tlvs: Vec::new(),
    };
    Ok(Some((header, end + 2)))
}

/// What follows the signature.
fn ends(line: &[u8]) -> Result<Option<Ends>, Invalid> {
    let mut fields = line.split(|byte| *byte == b' ');
    match fields.next() {
        // Whatever else the line holds is to be ignored.
        Some(b"UNKNOWN") => Ok(None),
        Some(b"TCP4") => inet::<Ipv4Addr>(fields).map(Some),
        Some(b"TCP6") => inet::<Ipv6Addr>(fields).map(Some),
        _ => Err(Invalid::Protocol),
    }
}

fn inet<'a, A>(fields: impl Iterator<Item = &'a [u8]>) -> Result<Ends, Invalid>
where
    A: FromStr + Into<IpAddr>,
{
    let fields: Vec<&[u8]> = fields.collect();
    let [source, destination, source_port, destination_port] = fields[..] else {
        return Err(Invalid::Fields);
    };
    if fields.iter().any(|field| field.is_empty()) {
        return Err(Invalid::Fields);
    }
    // Both addresses first: of several faults the leftmost is named.
    let (source, destination) = (address::<A>(source)?, address::<A>(destination)?);
    Ok(Ends::Inet {
        source: SocketAddr::new(source, port(source_port)?),
        destination: SocketAddr::new(destination, port(destination_port)?),
        datagrams: false,
    })
}

/// The standard library takes no leading zeros in IPv4 and no zones, which is what the specification wants.
fn address<A: FromStr + Into<IpAddr>>(field: &[u8]) -> Result<IpAddr, Invalid> {
    let text = std::str::from_utf8(field).map_err(|_| Invalid::Address)?;
    text.parse::<A>().map(Into::into).map_err(|_| Invalid::Address)
}

/// Digits alone, without leading zeros.
fn port(field: &[u8]) -> Result<u16, Invalid> {
    let plain = field.iter().all(u8::is_ascii_digit) && (field.len() == 1 || !field.starts_with(b"0"));
    let text = std::str::from_utf8(field).ok().filter(|_| plain);
    text.and_then(|text| text.parse().ok()).ok_or(Invalid::Port)
}

pub(super) fn write(ends: Option<&Ends>) -> String {
    match ends {
        Some(Ends::Inet {
            source,
            destination,
            datagrams: false,
        }) if source.is_ipv4() == destination.is_ipv4() => {
            let family = if source.is_ipv4() { "TCP4" } else { "TCP6" };
            format!(
                "PROXY {family} {} {} {} {}\r\n",
                source.ip(),
                destination.ip(),
                source.port(),
                destination.port()
            )
        }
        _ => "PROXY UNKNOWN\r\n".into(),
    }
}
