//! Keys and certificates: `Identity`, `Name`, `KeyType`, `Pin`; and `Fault`, why one of them is no good.
//! Absent: TLS, endpoints, and who trusts whom.

pub mod chain;
pub mod files;
pub mod held;
pub mod inspect;
pub mod issue;
pub mod local;
pub mod output;
pub mod own;
pub mod passphrase;

mod base64;
mod brief;
mod constraints;
mod encrypted;
mod finding;
mod name;
mod open;
mod pem;
mod pin;
mod sound;

use std::fmt;

// Plain types that every crate around certificates shares; no TLS comes with them.
pub use rustls_pki_types::{CertificateDer, PrivateKeyDer};

pub(crate) use brief::{brief, cut};
pub use name::Name;
pub use passphrase::Passphrases;
pub use pin::Pin;

use crate::error::{Error, Status};

/// A private key and the certificates that vouch for it, the leaf first.
pub struct Identity {
    /// The certificates, the leaf first, each vouched for by the next.
    pub chain: Vec<CertificateDer<'static>>,
    /// The key of the leaf.
    pub key: PrivateKeyDer<'static>,
}

impl Clone for Identity {
    fn clone(&self) -> Self {
        Identity {
            chain: self.chain.clone(),
            key: self.key.clone_key(),
        }
    }
}

/// The key is never shown.
impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Identity")
            .field("certificates", &self.chain.len())
            .finish_non_exhaustive()
    }
}

/// The kinds of keys that are made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyType {
    /// ECDSA on P-256: small, fast, and known to everyone.
    EcdsaP256,
    /// ECDSA on P-384.
    EcdsaP384,
    /// Ed25519; browsers do not take it.
    Ed25519,
    /// RSA with 2048 bits.
    Rsa2048,
    /// RSA with 3072 bits.
    Rsa3072,
    /// RSA with 4096 bits; takes a second or so to make.
    Rsa4096,
}

impl KeyType {
    /// Every kind with the name by which users ask for it.
    pub const ALL: [(&'static str, KeyType); 6] = [
        ("ecdsa-p256", KeyType::EcdsaP256),
        ("ecdsa-p384", KeyType::EcdsaP384),
        ("ed25519", KeyType::Ed25519),
        ("rsa-2048", KeyType::Rsa2048),
        ("rsa-3072", KeyType::Rsa3072),
        ("rsa-4096", KeyType::Rsa4096),
    ];
}

/// Why a key, a certificate or a file of them is no good. The status depends on what it was wanted for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// The reason.
    pub why: String,
    /// What can be done about it.
    pub help: Option<String>,
    /// The status, where it does not depend on what it was wanted for.
    pub status: Option<Status>,
}

impl Fault {
    pub(crate) fn new(why: impl Into<String>) -> Self {
        Fault {
            why: why.into(),
            help: None,
            status: None,
        }
    }

    pub(crate) fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// The reason and what can be done about it, within a line of a log.
    #[must_use]
    pub fn in_full(&self) -> String {
        match &self.help {
            Some(help) => format!("{}; {help}", self.why),
            None => self.why.clone(),
        }
    }

    /// As an error that ends a run with `status`, or with its own.
    #[must_use]
    pub fn at(self, status: Status) -> Error {
        let error = Error::new(self.status.unwrap_or(status), self.why);
        match self.help {
            Some(help) => error.help(help),
            None => error,
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.why)
    }
}

impl std::error::Error for Fault {}
