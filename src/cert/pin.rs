//! `Pin`: the digest of a public key, by which a certificate is known without anybody vouching for it.
//! Absent: who checks it.

use std::fmt;
use std::str::FromStr;

use aws_lc_rs::digest::{SHA256, digest};

use super::{base64, inspect};

/// SHA-256 of a certificate's SubjectPublicKeyInfo, as in RFC 7469; written `sha256/BASE64`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Pin([u8; 32]);

impl Pin {
    /// The pin of a certificate's key; `None` where it is no certificate.
    #[must_use]
    pub fn of(certificate: &[u8]) -> Option<Self> {
        Pin::of_key(inspect::public_key(certificate)?)
    }

    /// The pin of a key, given as its SubjectPublicKeyInfo.
    pub(super) fn of_key(public: &[u8]) -> Option<Self> {
        digest(&SHA256, public).as_ref().try_into().ok().map(Pin)
    }
}

impl fmt::Display for Pin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "sha256/{}", base64::encode(&self.0))
    }
}

/// The text is no pin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NoPin;

impl fmt::Display for NoPin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a pin is written sha256/ and the 44 characters of a digest in base64")
    }
}

impl std::error::Error for NoPin {}

impl FromStr for Pin {
    type Err = NoPin;

    fn from_str(text: &str) -> Result<Self, NoPin> {
        let digest = text.strip_prefix("sha256/").ok_or(NoPin)?;
        let bytes = base64::decode(digest).ok_or(NoPin)?;
        bytes.try_into().map(Pin).map_err(|_| NoPin)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_and_pin_are_the_same() {
        let text = "sha256/47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=";
        assert_eq!(text.parse::<Pin>().unwrap().to_string(), text);
        for text in [
            "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=",
            "sha256/47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU",
            "sha256/AAAA",
            "sha1/47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=",
            "",
        ] {
            assert_eq!(text.parse::<Pin>(), Err(NoPin), "{text}");
        }
    }
}
