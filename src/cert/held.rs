//! What a file holds, for people to look at: certificates, requests, and of keys what is public.
//! Absent: private keys themselves, and passphrases.

use std::path::Path;

use rcgen::{KeyPair, PublicKeyData};
use x509_parser::extensions::ParsedExtension;
use x509_parser::prelude::{FromDer, X509CertificationRequest};
use x509_parser::x509::SubjectPublicKeyInfo;

use super::{CertificateDer, Fault, Name, Pin, PrivateKeyDer, files, inspect};

/// What a file holds.
#[derive(Debug)]
pub struct Held {
    /// Its certificates, in its order.
    pub certificates: Vec<CertificateDer<'static>>,
    /// Its certificate requests.
    pub requests: Vec<Request>,
    /// Its private keys that are not encrypted.
    pub keys: Vec<Key>,
    /// How many private keys are encrypted.
    pub encrypted: usize,
}

/// A certificate request, taken apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// Who asks.
    pub subject: String,
    /// What the certificate is to be good for.
    pub names: Vec<Name>,
    /// The kind and size of its key.
    pub key: String,
    /// How it was signed.
    pub signature: String,
    /// Whether whoever made it has the key.
    pub proven: bool,
    /// The pin of its key.
    pub pin: Pin,
}

/// What is public of a private key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Key {
    /// Its kind and size.
    pub kind: String,
    /// The pin of the public key.
    pub pin: Pin,
}

/// Reads a file of certificates, requests and keys.
///
/// # Errors
/// The file cannot be read, is no PEM, is damaged, or holds nothing of these.
pub fn held(path: &Path) -> Result<Held, Fault> {
    let (contents, _) = files::read(path)?;
    let shown = files::shown(path);
    let held = Held {
        requests: contents
            .requests
            .iter()
            .map(|der| request(der).ok_or_else(|| Fault::new(format!("the request in {shown} is damaged"))))
            .collect::<Result<_, _>>()?,
        keys: contents
            .keys
            .iter()
            .map(|key| {
                let why =
                    format!("the private key in {shown} is damaged, or of a kind that is not known here");
                public(key).ok_or_else(|| Fault::new(why))
            })
            .collect::<Result<_, _>>()?,
        encrypted: contents.encrypted.len(),
        certificates: contents.certificates,
    };
    if held.certificates.is_empty() && held.requests.is_empty() && held.keys.is_empty() && held.encrypted == 0
    {
        let instead = super::pem::instead(&contents.labels);
        let why = format!("{shown} holds no certificate, request or private key{instead}");
        return Err(Fault::new(why));
    }
    Ok(held)
}

fn public(key: &PrivateKeyDer<'_>) -> Option<Key> {
    let spki = KeyPair::try_from(key).ok()?.subject_public_key_info();
    let (_, parsed) = SubjectPublicKeyInfo::from_der(&spki).ok()?;
    Some(Key {
        kind: inspect::key(&parsed),
        pin: Pin::of_key(&spki)?,
    })
}

fn request(der: &[u8]) -> Option<Request> {
    let (_, request) = X509CertificationRequest::from_der(der).ok()?;
    let info = &request.certification_request_info;
    let names =
        request
            .requested_extensions()
            .into_iter()
            .flatten()
            .filter_map(|extension| match extension {
                ParsedExtension::SubjectAlternativeName(names) => {
                    Some(inspect::general(&names.general_names))
                }
                _ => None,
            });
    Some(Request {
        subject: inspect::whole_line(&info.subject),
        names: names.flatten().collect(),
        key: inspect::key(&info.subject_pki),
        signature: inspect::signature(&request.signature_algorithm.algorithm.to_id_string()),
        proven: request.verify_signature().is_ok(),
        pin: Pin::of_key(info.subject_pki.raw)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_as_large_as_its_curve() {
        for (kind, words) in [
            (&rcgen::PKCS_ECDSA_P256_SHA256, "ECDSA 256 bits"),
            (&rcgen::PKCS_ECDSA_P384_SHA384, "ECDSA 384 bits"),
            // Its points are written in 66 bytes a coordinate.
            (&rcgen::PKCS_ECDSA_P521_SHA512, "ECDSA 521 bits"),
        ] {
            let key = KeyPair::generate_for(kind).unwrap();
            let der = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
            assert_eq!(public(&der).unwrap().kind, words);
        }
    }
}
