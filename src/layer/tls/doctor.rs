//! Looking at a server without believing it: what it shows, and all that speaks against it.
//! Absent: words for a handshake that fails, and where the stream comes from.

use std::cell::Cell;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use rustls::SignatureScheme;
use rustls::client::ResolvesClientCert;
use rustls::sign::CertifiedKey;

use super::config::{ClientSettings, Trust};
use super::platform;
use super::trust::believed;
use crate::cert::chain::{self, Finding, Kind};
use crate::cert::local::Store;
use crate::cert::{CertificateDer, Name, Pin, files};
use crate::error::{Result, Status};

/// What a server showed in a handshake that believes anybody.
#[derive(Debug, Clone, Default)]
pub(super) struct Seen(Arc<Mutex<Vec<CertificateDer<'static>>>>);

impl Seen {
    pub(super) fn put(&self, leaf: &CertificateDer<'_>, between: &[CertificateDer<'_>]) {
        let chain = [leaf].into_iter().chain(between);
        let chain = chain
            .map(|certificate| certificate.clone().into_owned())
            .collect();
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = chain;
    }

    pub(super) fn take(&self) -> Vec<CertificateDer<'static>> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// What a client verifies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verifies {
    /// Chain, dates and name.
    Chain,
    /// That the key is a pinned one.
    Key,
    /// Nothing.
    Nothing,
}

impl ClientSettings {
    /// What is verified.
    #[must_use]
    pub fn verifies(&self) -> Verifies {
        match self.trust {
            Trust::Platform | Trust::Roots(_) => Verifies::Chain,
            Trust::Pins(_) => Verifies::Key,
            Trust::Anybody => Verifies::Nothing,
        }
    }

    /// What speaks against a chain, the leaf first. Where no chain is verified, it is judged by the platform's roots.
    ///
    /// # Errors
    /// Status 2: the file of roots is no good.
    pub fn examine(&self, chain: &[CertificateDer<'_>]) -> Result<Vec<Finding>> {
        let name = self.server_name.to_str().parse::<Name>().ok();
        let mut found = Vec::new();
        let roots = match &self.trust {
            Trust::Roots(path) => {
                files::roots(path)
                    .map_err(|fault| fault.at(Status::Usage))?
                    .certificates
            }
            Trust::Pins(pins) => {
                let pin = chain.first().and_then(|leaf| Pin::of(leaf));
                if !pin.is_some_and(|pin| pins.contains(&pin)) {
                    let found_pin = pin.map_or_else(|| "none".into(), |pin| pin.to_string());
                    let why = format!("its key is not the pinned one, but {found_pin}");
                    found.push(Finding::new(Kind::OtherKey, 0, why));
                }
                platform::certificates()
            }
            Trust::Platform | Trust::Anybody => platform::certificates(),
        };
        let ours = match &self.trust {
            Trust::Platform if name.as_ref().is_some_and(Name::is_loopback) => {
                Store::of_user().and_then(|store| believed(&store))
            }
            _ => None,
        };
        let roots: Vec<_> = roots.into_iter().chain(ours).collect();
        found.extend(chain::examine(chain, &roots, name.as_ref(), now()));
        Ok(found)
    }
}

fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
}

thread_local! {
    /// Set when a server asks, taken in the same poll of the same handshake: a resolver belongs to many connections,
    /// which could not resume each other's sessions if each had its own.
    static ASKED: Cell<bool> = const { Cell::new(false) };
}

/// Whether a server has asked for a certificate of ours since this was last called, on this thread.
pub(super) fn take_asked() -> bool {
    ASKED.take()
}

/// A client's certificate, if it has one; it says when somebody asks.
#[derive(Debug)]
pub(super) struct Asked(Option<Arc<CertifiedKey>>);

impl Asked {
    pub(super) fn new(key: Option<CertifiedKey>) -> Self {
        Asked(key.map(Arc::new))
    }
}

impl ResolvesClientCert for Asked {
    fn resolve(&self, _issuers: &[&[u8]], _schemes: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        ASKED.set(true);
        self.0.clone()
    }

    fn has_certs(&self) -> bool {
        self.0.is_some()
    }
}
