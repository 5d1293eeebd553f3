//! netkit's own certificate: issued when a server starts, and again while it runs, for the same key.
//! Absent: where the authority is kept.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError, TryLockError};
use std::time::{Duration, Instant};

use time::OffsetDateTime;

use super::issue::{Leaf, Validity, self_signed, self_signed_again};
use super::local::Store;
use super::{CertificateDer, Fault, Identity, Name, PrivateKeyDer, inspect};

/// How long a certificate of netkit's own lives.
pub(super) const LEAF_DAYS: u32 = 397;

/// It is renewed when less than one part in so many of its life is left.
const LAST_PART: i64 = 3;

/// After a renewal that failed, or was of no use, the next one is tried no sooner.
const BETWEEN_TRIES: Duration = Duration::from_secs(3600);

/// A certificate for this machine.
#[derive(Debug)]
pub struct Local {
    /// The certificate and its key; they are nowhere else.
    pub identity: Identity,
    /// Why the authority could not vouch for it, so that only its pin makes it known; `None`: it does vouch.
    pub alone: Option<Fault>,
    /// The certificate of the authority that vouches.
    authority: Option<CertificateDer<'static>>,
}

/// The certificate of a server that was given none.
#[derive(Debug)]
pub struct Own {
    store: Option<Store>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    local: Option<Arc<Local>>,
    tried: Option<Instant>,
}

impl Own {
    /// Of the authority in `store`; without a store, alone. Nothing is made yet.
    #[must_use]
    pub fn new(store: Option<Store>) -> Self {
        Own {
            store,
            state: Mutex::default(),
        }
    }

    /// The file that changes with the authority.
    #[must_use]
    pub fn file(&self) -> Option<PathBuf> {
        self.store.as_ref().map(Store::certificate_file)
    }

    /// The directory that the authority is kept in.
    #[must_use]
    pub fn directory(&self) -> Option<PathBuf> {
        self.store.as_ref().map(Store::directory)
    }

    /// The certificate; issued the first time.
    ///
    /// # Errors
    /// No key could be made.
    pub fn current(&self) -> Result<Arc<Local>, Fault> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(local) = &state.local {
            return Ok(Arc::clone(local));
        }
        let leaf = leaf();
        let local = match self.vouched(&leaf, None) {
            Ok(local) => local,
            Err(fault) => alone(self_signed(&leaf)?, fault),
        };
        Ok(Arc::clone(state.local.insert(Arc::new(local))))
    }

    /// Whether it is time to renew it, and nobody does. It never waits: renewing may take seconds.
    #[must_use]
    pub fn is_due(&self) -> bool {
        let state = match self.state.try_lock() {
            Ok(state) => state,
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            Err(TryLockError::WouldBlock) => return false,
        };
        let resting = state.tried.is_some_and(|at| at.elapsed() < BETWEEN_TRIES);
        !resting && state.local.as_ref().is_some_and(|local| is_old(local))
    }

    /// Issues it again if it is old or the authority is another one. The key stays, and with it the pin. Whether there
    /// is a new one.
    ///
    /// # Errors
    /// The authority cannot be had any more; what was issued stays.
    pub fn renew(&self) -> Result<bool, Fault> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(known) = state.local.clone() else {
            return Ok(false);
        };
        let old = is_old(&known);
        if old {
            state.tried = Some(Instant::now());
        }
        let leaf = leaf();
        let key = &known.identity.key;
        let new = match self.vouched(&leaf, Some(&known)) {
            Ok(new) if !old && new.authority == known.authority => return Ok(false),
            Ok(new) => new,
            Err(_) if known.alone.is_some() && !old => return Ok(false),
            Err(fault) if known.alone.is_some() => alone(self_signed_again(&leaf, key)?, fault),
            Err(fault) => return Err(fault),
        };
        state.local = Some(Arc::new(new));
        Ok(true)
    }

    /// A certificate that the authority vouches for, with the key of an earlier one where there is one.
    fn vouched(&self, leaf: &Leaf, earlier: Option<&Local>) -> Result<Local, Fault> {
        let Some(store) = &self.store else {
            return Err(Fault::new(
                "there is no data directory, as neither XDG_DATA_HOME nor HOME is set",
            ));
        };
        let authority = store.authority()?;
        let key: Option<&PrivateKeyDer<'_>> = earlier.map(|local| &local.identity.key);
        Ok(Local {
            identity: match key {
                Some(key) => authority.issue_again(leaf, key)?,
                None => authority.issue(leaf)?,
            },
            alone: None,
            authority: authority.identity().chain.first().cloned(),
        })
    }
}

fn leaf() -> Leaf {
    Leaf::server(Name::of_this_machine(), Validity::days(LEAF_DAYS))
}

fn alone(identity: Identity, why: Fault) -> Local {
    Local {
        identity,
        alone: Some(why),
        authority: None,
    }
}

fn is_old(local: &Local) -> bool {
    let dates = local
        .identity
        .chain
        .first()
        .and_then(|leaf| inspect::not_before(leaf).zip(inspect::not_after(leaf)));
    let now = OffsetDateTime::now_utc().unix_timestamp();
    dates.is_none_or(|(start, end)| (end - now).saturating_mul(LAST_PART) < end - start)
}

#[cfg(test)]
impl Own {
    /// One that was issued long ago, vouched for or alone.
    pub(crate) fn aged(store: Option<Store>) -> Self {
        let now = OffsetDateTime::now_utc();
        let leaf = Leaf {
            validity: Validity {
                not_before: now - time::Duration::days(300),
                not_after: now + time::Duration::days(97),
            },
            ..leaf()
        };
        let own = Own::new(store);
        let local = own
            .vouched(&leaf, None)
            .unwrap_or_else(|fault| alone(self_signed(&leaf).unwrap(), fault));
        own.state.lock().unwrap().local = Some(Arc::new(local));
        own
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::cert::Pin;

    fn pin(local: &Local) -> Option<Pin> {
        Pin::of(&local.identity.chain[0])
    }

    #[test]
    fn an_old_certificate_is_renewed_with_its_key() {
        let home = tempfile::tempdir().unwrap();
        for store in [Some(Store::at(home.path())), None] {
            let own = Own::aged(store);
            let old = own.current().unwrap();
            assert!(own.is_due());
            assert!(own.renew().unwrap());
            let new = own.current().unwrap();
            assert_eq!(pin(&old), pin(&new));
            assert_eq!(old.alone, new.alone);
            let end = |local: &Local| inspect::not_after(&local.identity.chain[0]).unwrap();
            assert!(end(&new) > end(&old) + 200 * 86_400);
            assert!(!own.is_due());
            assert!(!own.renew().unwrap());
        }
    }

    #[test]
    fn another_authority_vouches_for_the_same_key_and_a_bad_one_for_nothing() {
        let home = tempfile::tempdir().unwrap();
        let store = Store::at(home.path());
        let own = Own::new(Some(store.clone()));
        let first = own.current().unwrap();
        assert!(!own.is_due() && !own.renew().unwrap());
        fs::remove_dir_all(home.path().join("authority")).unwrap();
        assert!(own.renew().unwrap());
        let second = own.current().unwrap();
        assert_eq!(pin(&first), pin(&second));
        assert_eq!(second.authority, store.certificate().unwrap());
        assert_ne!(first.authority, second.authority);

        fs::write(home.path().join("authority/key.pem"), "").unwrap();
        own.renew().unwrap_err();
        assert!(Arc::ptr_eq(&second, &own.current().unwrap()));
        // Who starts now is alone, until the authority is put right.
        let later = Own::new(Some(store));
        let local = later.current().unwrap();
        assert!(local.alone.as_ref().unwrap().why.ends_with("is empty"));
        assert!(inspect::is_self_signed(&local.identity.chain[0]));
        assert!(!later.renew().unwrap());
        fs::remove_dir_all(home.path().join("authority")).unwrap();
        assert!(later.renew().unwrap());
        assert_eq!(later.current().unwrap().alone, None);
        assert_eq!(pin(&local), pin(&later.current().unwrap()));
    }
}
