//! What people and programs ask of a certificate.
//! Absent: sockets, and whether it is to be trusted.

use std::net::IpAddr;

use x509_parser::extensions::GeneralName;
use x509_parser::prelude::{FromDer, X509Certificate};

use super::Name;

fn parse(der: &[u8]) -> Option<X509Certificate<'_>> {
    match X509Certificate::from_der(der) {
        Ok(([], certificate)) => Some(certificate),
        _ => None,
    }
}

/// Whether the bytes are a certificate and nothing else.
#[must_use]
pub fn is_certificate(der: &[u8]) -> bool {
    parse(der).is_some()
}

/// The DER of the public key, its algorithm included.
#[must_use]
pub fn public_key(der: &[u8]) -> Option<&[u8]> {
    parse(der).map(|certificate| certificate.tbs_certificate.subject_pki.raw)
}

/// Whom it was issued to, on one line.
#[must_use]
pub fn subject(der: &[u8]) -> String {
    parse(der).map_or_else(String::new, |certificate| {
        shown(&certificate.subject().to_string())
    })
}

/// Who issued it, on one line.
#[must_use]
pub fn issuer(der: &[u8]) -> String {
    parse(der).map_or_else(String::new, |certificate| {
        shown(&certificate.issuer().to_string())
    })
}

fn shown(name: &str) -> String {
    name.escape_debug().to_string()
}

/// Whether it vouches for itself.
#[must_use]
pub fn is_self_signed(der: &[u8]) -> bool {
    parse(der).is_some_and(|certificate| {
        certificate.subject().as_raw() == certificate.issuer().as_raw()
            && certificate.verify_signature(None).is_ok()
    })
}

/// Whether it may vouch for others.
#[must_use]
pub fn is_authority(der: &[u8]) -> bool {
    parse(der).is_some_and(|certificate| certificate.is_ca())
}

/// From when it is valid, in seconds since 1970.
#[must_use]
pub fn not_before(der: &[u8]) -> Option<i64> {
    parse(der).map(|certificate| certificate.validity().not_before.timestamp())
}

/// Until when it is valid, in seconds since 1970.
#[must_use]
pub fn not_after(der: &[u8]) -> Option<i64> {
    parse(der).map(|certificate| certificate.validity().not_after.timestamp())
}

/// The names that it is good for. A common name is none: nobody looks at it any more (RFC 6125, section 6.4.4).
#[must_use]
pub fn names(der: &[u8]) -> Vec<Name> {
    let Some(certificate) = parse(der) else {
        return Vec::new();
    };
    let Ok(Some(names)) = certificate.subject_alternative_name() else {
        return Vec::new();
    };
    names
        .value
        .general_names
        .iter()
        .filter_map(|name| match name {
            GeneralName::DNSName(name) => Some(Name::Dns((*name).to_owned())),
            GeneralName::RFC822Name(address) => Some(Name::Mail((*address).to_owned())),
            GeneralName::URI(uri) => Some(Name::Uri((*uri).to_owned())),
            GeneralName::IPAddress(bytes) => address(bytes).map(Name::Ip),
            _ => None,
        })
        .collect()
}

fn address(bytes: &[u8]) -> Option<IpAddr> {
    match bytes.len() {
        4 => <[u8; 4]>::try_from(bytes).ok().map(IpAddr::from),
        16 => <[u8; 16]>::try_from(bytes).ok().map(IpAddr::from),
        _ => None,
    }
}
