//! What people and programs ask of a certificate.
//! Absent: sockets, and whether it is to be trusted.

use std::net::IpAddr;

use aws_lc_rs::digest::{SHA256, digest};
use time::OffsetDateTime;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::{FromDer, X509Certificate, X509Name};
use x509_parser::public_key::PublicKey;
use x509_parser::x509::{SubjectPublicKeyInfo, X509Version};

use super::{Name, Pin, brief};

pub(super) fn parse(der: &[u8]) -> Option<X509Certificate<'_>> {
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

/// Whom it was issued to, on one line of a message.
#[must_use]
pub fn subject(der: &[u8]) -> String {
    parse(der).map_or_else(String::new, |certificate| line(certificate.subject()))
}

/// Who issued it, on one line of a message.
#[must_use]
pub fn issuer(der: &[u8]) -> String {
    parse(der).map_or_else(String::new, |certificate| line(certificate.issuer()))
}

/// A name on one line of a message: it is anybody's text, of any length.
pub(super) fn line(name: &X509Name<'_>) -> String {
    brief(&name.to_string())
}

/// The same for a report that is to tell it from others: nothing is left out.
pub(super) fn whole_line(name: &X509Name<'_>) -> String {
    name.to_string().escape_debug().to_string()
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

/// Why it can neither be believed itself nor be a root, whoever names it: before version 3 a certificate could not say
/// whether it is that of an authority (RFC 5280, section 4.2.1.9).
pub(super) fn cannot_be_trusted(der: &[u8]) -> Option<String> {
    let version = parse(der)?.version();
    (version != X509Version::V3).then(|| {
        format!(
            "version {}, not marked as an authority",
            version.0.saturating_add(1)
        )
    })
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
    parse(der).map_or_else(Vec::new, |certificate| names_of(&certificate))
}

/// The same of a certificate that was taken apart.
pub(super) fn names_of(certificate: &X509Certificate<'_>) -> Vec<Name> {
    let Ok(Some(names)) = certificate.subject_alternative_name() else {
        return Vec::new();
    };
    general(&names.value.general_names)
}

/// Names that are of use to us.
pub(super) fn general(names: &[GeneralName<'_>]) -> Vec<Name> {
    names
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

/// A certificate, taken apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Description {
    /// Whom it was issued to.
    pub subject: String,
    /// Who issued it.
    pub issuer: String,
    /// Its number at the issuer, in hexadecimal.
    pub serial: String,
    /// What it is good for.
    pub names: Vec<Name>,
    /// The first moment of its validity.
    pub not_before: OffsetDateTime,
    /// The last moment of its validity.
    pub not_after: OffsetDateTime,
    /// The kind and size of its key.
    pub key: String,
    /// How it was signed.
    pub signature: String,
    /// It may vouch for others.
    pub authority: bool,
    /// It vouches for itself.
    pub self_signed: bool,
    /// SHA-256 of the whole, in hexadecimal.
    pub fingerprint: String,
    /// The pin of its key.
    pub pin: Pin,
}

/// Takes a certificate apart; `None` where it is none.
#[must_use]
pub fn describe(der: &[u8]) -> Option<Description> {
    let certificate = parse(der)?;
    let moment = |seconds| OffsetDateTime::from_unix_timestamp(seconds).ok();
    let fingerprint = digest(&SHA256, der);
    let hex: Vec<String> = fingerprint
        .as_ref()
        .iter()
        .map(|byte| format!("{byte:02X}"))
        .collect();
    Some(Description {
        subject: whole_line(certificate.subject()),
        issuer: whole_line(certificate.issuer()),
        serial: certificate.raw_serial_as_string(),
        names: names(der),
        not_before: moment(certificate.validity().not_before.timestamp())?,
        not_after: moment(certificate.validity().not_after.timestamp())?,
        key: key(certificate.public_key()),
        signature: signature(&certificate.signature_algorithm.algorithm.to_id_string()),
        authority: certificate.is_ca(),
        self_signed: is_self_signed(der),
        fingerprint: hex.join(":"),
        pin: Pin::of(der)?,
    })
}

/// The kind and size of a key.
pub(super) fn key(key: &SubjectPublicKeyInfo<'_>) -> String {
    let size = key.parsed().map(|key| key.key_size()).unwrap_or(0);
    match key.algorithm.algorithm.to_id_string().as_str() {
        RSA => format!("RSA {size} bits"),
        "1.2.840.10045.2.1" => format!("ECDSA {} bits", curve_bits(key).unwrap_or(size)),
        "1.3.101.112" => "Ed25519".into(),
        "1.3.101.113" => "Ed448".into(),
        "1.2.840.10040.4.1" => "DSA".into(),
        other => other.to_owned(),
    }
}

/// The size of a curve by its name (RFC 5480, section 2.1.1.1): the point itself is written in whole bytes, which are a
/// few bits more. `None` for a curve that fills its bytes, or is not known here.
fn curve_bits(key: &SubjectPublicKeyInfo<'_>) -> Option<usize> {
    let name = key.algorithm.parameters.as_ref()?.as_oid().ok()?;
    match name.to_id_string().as_str() {
        // secp521r1 (P-521) and sect571r1, the ones in use of those.
        "1.3.132.0.35" => Some(521),
        "1.3.132.0.39" => Some(571),
        _ => None,
    }
}

const RSA: &str = "1.2.840.113549.1.1.1";

/// RSA keys below this are taken by nobody any more, rustls included.
const RSA_LEAST_BITS: usize = 2048;

/// Why a key is not taken.
pub(super) fn weak_key(certificate: &X509Certificate<'_>) -> Option<String> {
    let public = certificate.public_key();
    match public.algorithm.algorithm.to_id_string().as_str() {
        RSA => match public.parsed() {
            Ok(PublicKey::RSA(rsa)) if rsa.key_size() < RSA_LEAST_BITS => {
                let bits = rsa.key_size();
                Some(format!(
                    "its key is RSA with {bits} bits, and {RSA_LEAST_BITS} are the least"
                ))
            }
            _ => None,
        },
        "1.2.840.10045.2.1" => match public.parsed() {
            Ok(PublicKey::EC(point)) if point.key_size() < 256 => {
                Some(format!("its key is {}, and 256 are the least", key(public)))
            }
            _ => None,
        },
        "1.3.101.113" | "1.2.840.10040.4.1" => {
            Some(format!("its key is {}, which is not known here", key(public)))
        }
        _ => None,
    }
}

/// Why a signature is not taken, however right it is.
pub(super) fn weak_signature(certificate: &X509Certificate<'_>) -> Option<String> {
    let id = certificate.signature_algorithm.algorithm.to_id_string();
    match id.as_str() {
        "1.2.840.113549.1.1.4"
        | "1.2.840.113549.1.1.5"
        | "1.3.14.3.2.29"
        | "1.2.840.10045.4.1"
        | "1.2.840.10040.4.3" => Some(format!("it is signed by {}, which can be forged", signature(&id))),
        "1.2.840.113549.1.1.14" | "1.2.840.10045.4.3.1" | "1.3.101.113" => Some(format!(
            "it is signed by {}, which is not known here",
            signature(&id)
        )),
        _ => None,
    }
}

/// The day of a moment, given in seconds since 1970.
#[must_use]
pub fn day(seconds: i64) -> String {
    let moment = OffsetDateTime::from_unix_timestamp(seconds);
    moment.map_or_else(|_| "an unknown day".into(), |moment| moment.date().to_string())
}

pub(super) fn signature(id: &str) -> String {
    let known = match id {
        "1.2.840.113549.1.1.4" => "RSA with MD5",
        "1.2.840.113549.1.1.5" | "1.3.14.3.2.29" => "RSA with SHA-1",
        "1.2.840.113549.1.1.10" => "RSA-PSS",
        "1.2.840.113549.1.1.11" => "RSA with SHA-256",
        "1.2.840.113549.1.1.12" => "RSA with SHA-384",
        "1.2.840.113549.1.1.13" => "RSA with SHA-512",
        "1.2.840.113549.1.1.14" => "RSA with SHA-224",
        "1.2.840.10040.4.3" => "DSA with SHA-1",
        "1.2.840.10045.4.1" => "ECDSA with SHA-1",
        "1.2.840.10045.4.3.1" => "ECDSA with SHA-224",
        "1.2.840.10045.4.3.2" => "ECDSA with SHA-256",
        "1.2.840.10045.4.3.3" => "ECDSA with SHA-384",
        "1.2.840.10045.4.3.4" => "ECDSA with SHA-512",
        "1.3.101.112" => "Ed25519",
        "1.3.101.113" => "Ed448",
        other => other,
    };
    known.to_owned()
}

fn address(bytes: &[u8]) -> Option<IpAddr> {
    match bytes.len() {
        4 => <[u8; 4]>::try_from(bytes).ok().map(IpAddr::from),
        16 => <[u8; 16]>::try_from(bytes).ok().map(IpAddr::from),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cert::KeyType;
    use crate::cert::issue::{Authority, Validity};

    #[test]
    fn a_long_subject_is_cut_in_messages_and_whole_in_reports() {
        let name = "\u{1b}[31m".repeat(2000);
        let authority = Authority::new(&name, &[], KeyType::EcdsaP256, Validity::days(1)).unwrap();
        let der = &authority.identity().chain[0];
        for text in [subject(der), issuer(der)] {
            assert!(
                text.starts_with(r"CN=\u{1b}[31m") && text.ends_with('…'),
                "{text}"
            );
            assert_eq!(text.chars().count(), 257);
        }
        let description = describe(der).unwrap();
        let whole = format!("CN={}", name.escape_debug());
        assert_eq!((description.subject, description.issuer), (whole.clone(), whole));
    }
}
