//! netkit's own authority: it lives in the data directory of the user and vouches for this machine only.
//! Absent: who trusts it.

use std::ffi::OsString;
use std::fs;
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::time::{Duration, SystemTime};

use super::issue::{Authority, Leaf, Permit, Validity, self_signed};
use super::{CertificateDer, Fault, Identity, KeyType, Name, Passphrases, files, inspect};
use crate::error::reason;

/// How long the authority lives.
const AUTHORITY_DAYS: u32 = 3650;

/// How long what it issues lives: a server makes itself a new one each time it starts or reloads.
const LEAF_DAYS: u32 = 397;

/// An authority with less time than this is replaced, so that what it issues is not cut short.
const RENEW_BEFORE: Duration = Duration::from_secs(LEAF_DAYS as u64 * 86_400);

/// Where the authority is kept.
#[derive(Debug, Clone)]
pub struct Store {
    directory: PathBuf,
}

/// A certificate for this machine.
#[derive(Debug)]
pub struct Local {
    /// The certificate and its key; they are nowhere else.
    pub identity: Identity,
    /// Why the authority could not vouch for it, so that only its pin makes it known; `None`: it does vouch.
    pub alone: Option<Fault>,
}

impl Store {
    /// The user's: `$XDG_DATA_HOME/netkit`, else `~/.local/share/netkit`. `None` where there is neither.
    #[must_use]
    pub fn of_user() -> Option<Self> {
        Store::within(std::env::var_os("XDG_DATA_HOME"), std::env::var_os("HOME"))
    }

    fn within(data: Option<OsString>, home: Option<OsString>) -> Option<Self> {
        // A relative path is to be ignored (XDG base directory specification).
        let absolute = |path: Option<OsString>| path.map(PathBuf::from).filter(|path| path.is_absolute());
        let data = absolute(data).or_else(|| absolute(home).map(|home| home.join(".local/share")))?;
        Some(Store::at(&data.join("netkit")))
    }

    /// The one kept in this directory.
    #[must_use]
    pub fn at(directory: &Path) -> Self {
        Store {
            directory: directory.to_owned(),
        }
    }

    /// The file of the authority's certificate.
    #[must_use]
    pub fn certificate_file(&self) -> PathBuf {
        self.authority_directory().join("cert.pem")
    }

    fn authority_directory(&self) -> PathBuf {
        self.directory.join("authority")
    }

    /// The authority's certificate, where there is one. Makes nothing.
    #[must_use]
    pub fn certificate(&self) -> Option<CertificateDer<'static>> {
        files::certificates(&self.certificate_file())
            .ok()?
            .into_iter()
            .next()
    }

    /// The authority; made on first use. Those who ask at the same time get the same one.
    ///
    /// # Errors
    /// It cannot be read, or there is none and none can be kept.
    pub fn authority(&self) -> Result<Authority, Fault> {
        match self.load()? {
            Some(authority) => Ok(authority),
            None => {
                self.make()?;
                self.load()?
                    .ok_or_else(|| Fault::new("the local authority was removed while it was made"))
            }
        }
    }

    /// What is kept; `None` where nothing is, or what is will soon be of no use.
    fn load(&self) -> Result<Option<Authority>, Fault> {
        let directory = self.authority_directory();
        if !directory.exists() {
            return Ok(None);
        }
        let (key, certificate) = (directory.join("key.pem"), self.certificate_file());
        let nobody = Passphrases::new(None, "passphraseFile=FILE");
        let identity = files::identity(&key, &nobody, &certificate, None)?;
        let left = identity
            .chain
            .first()
            .and_then(|certificate| inspect::not_after(certificate))
            .map(|end| end - seconds_since_1970());
        if left.is_none_or(|left| left < RENEW_BEFORE.as_secs() as i64) {
            return Ok(None);
        }
        Authority::from_identity(identity).map(Some)
    }

    /// Makes an authority in a directory beside its place and puts it there in one step. If somebody else was
    /// faster, theirs stands.
    fn make(&self) -> Result<(), Fault> {
        let failed = |error: io::Error| {
            let directory = self.directory.display().to_string();
            Fault::new(format!(
                "cannot keep the local authority in `{}`: {}",
                directory.escape_debug(),
                reason(&error)
            ))
        };
        let private = |directory: &Path| {
            fs::DirBuilder::new()
                .mode(0o700)
                .recursive(true)
                .create(directory)
        };
        private(&self.directory).map_err(failed)?;
        let name = format!("netkit local authority of {}", owner());
        let permits = Permit::loopback();
        let authority = Authority::new(
            &name,
            &permits,
            KeyType::EcdsaP256,
            Validity::days(AUTHORITY_DAYS),
        )?;
        let draft = Draft::new(&self.directory);
        private(&draft.0).map_err(failed)?;
        let identity = authority.identity();
        files::write_secret(&draft.0.join("key.pem"), &files::key_pem(&identity.key)).map_err(failed)?;
        files::write_secret(
            &draft.0.join("cert.pem"),
            &files::certificates_pem(&identity.chain),
        )
        .map_err(failed)?;
        let place = self.authority_directory();
        // A directory with something in it is never replaced, so the first one stays.
        match fs::rename(&draft.0, &place) {
            Ok(()) => Ok(()),
            Err(_) if matches!(self.load(), Ok(Some(_))) => Ok(()),
            Err(error) if place.exists() && matches!(self.load(), Ok(None)) => {
                // What stands there is old: it gives way, and is removed with the draft's name.
                let old = Draft::new(&self.directory);
                fs::rename(&place, &old.0).map_err(|_| failed(error))?;
                match fs::rename(&draft.0, &place) {
                    Err(error) if !place.exists() => Err(failed(error)),
                    _ => Ok(()),
                }
            }
            Err(error) => Err(failed(error)),
        }
    }
}

/// A certificate for this machine: of the store's authority, or, where that cannot be had, alone.
///
/// # Errors
/// No key could be made.
pub fn identity(store: Option<&Store>) -> Result<Local, Fault> {
    let leaf = Leaf::server(Name::of_this_machine(), Validity::days(LEAF_DAYS));
    let issued = match store {
        Some(store) => store.authority().and_then(|authority| authority.issue(&leaf)),
        None => Err(Fault::new(
            "there is no data directory, as neither XDG_DATA_HOME nor HOME is set",
        )),
    };
    Ok(match issued {
        Ok(identity) => Local {
            identity,
            alone: None,
        },
        Err(fault) => Local {
            identity: self_signed(&leaf)?,
            alone: Some(fault),
        },
    })
}

/// A directory that is removed with what is in it, unless it got another name before.
struct Draft(PathBuf);

impl Draft {
    fn new(beside: &Path) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let now = SystemTime::now()
            .duration_since(SystemTime::UNIX_EPOCH)
            .unwrap_or_default();
        let number = COUNT.fetch_add(1, Relaxed);
        let name = format!(
            ".authority-{}-{number}-{}",
            std::process::id(),
            now.subsec_nanos()
        );
        Draft(beside.join(name))
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn seconds_since_1970() -> i64 {
    let now = SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default();
    now.as_secs() as i64
}

/// Whose authority it is, for those who see it in a list. The host's name would be the first thing to change.
fn owner() -> String {
    let user = std::env::var("USER").unwrap_or_default();
    let known = !user.is_empty() && user.len() <= 32 && user.chars().all(|c| c.is_ascii_graphic());
    if known { user } else { "this user".into() }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    #[test]
    fn it_is_made_once_for_everybody_who_asks_and_for_nobody_elses_eyes() {
        let home = tempfile::tempdir().unwrap();
        let store = Store::at(&home.path().join("share/netkit"));
        assert!(store.certificate().is_none());
        let asked: Vec<_> = (0..8)
            .map(|_| {
                let store = store.clone();
                std::thread::spawn(move || store.authority().unwrap().identity().chain.clone())
            })
            .collect();
        let got: Vec<_> = asked.into_iter().map(|thread| thread.join().unwrap()).collect();
        assert!(got.iter().all(|chain| *chain == got[0]));
        assert_eq!(store.certificate().unwrap(), got[0][0]);
        // No draft is left behind.
        let left: Vec<_> = fs::read_dir(&store.directory).unwrap().collect();
        assert_eq!(left.len(), 1, "{left:?}");
        assert_eq!(mode(&store.directory), 0o700);
        assert_eq!(mode(&store.authority_directory()), 0o700);
        assert_eq!(mode(&store.authority_directory().join("key.pem")), 0o600);
        assert_eq!(mode(&store.certificate_file()), 0o600);
    }

    #[test]
    fn an_old_one_is_replaced_and_a_broken_one_is_not() {
        let home = tempfile::tempdir().unwrap();
        let store = Store::at(home.path());
        let directory = store.authority_directory();
        let old = Authority::new("old", &Permit::loopback(), KeyType::EcdsaP256, Validity::days(30)).unwrap();
        fs::create_dir(&directory).unwrap();
        let key = directory.join("key.pem");
        files::write_secret(&key, &files::key_pem(&old.identity().key)).unwrap();
        files::write_secret(
            &store.certificate_file(),
            &files::certificates_pem(&old.identity().chain),
        )
        .unwrap();
        let new = store.authority().unwrap();
        assert_ne!(new.identity().chain, old.identity().chain);
        assert_eq!(store.authority().unwrap().identity().chain, new.identity().chain);
        assert_eq!(fs::read_dir(home.path()).unwrap().count(), 1);

        fs::write(&key, "").unwrap();
        assert!(store.authority().unwrap_err().why.ends_with("is empty"));
        let local = identity(Some(&store)).unwrap();
        assert!(local.alone.unwrap().why.ends_with("is empty"));
        assert!(inspect::is_self_signed(&local.identity.chain[0]));
    }

    #[test]
    fn the_data_directory_is_an_absolute_one() {
        let within = |data: Option<&str>, home: Option<&str>| {
            Store::within(data.map(Into::into), home.map(Into::into)).map(|store| store.directory)
        };
        assert_eq!(
            within(Some("/data"), Some("/home/me")),
            Some("/data/netkit".into())
        );
        let usual = Some(PathBuf::from("/home/me/.local/share/netkit"));
        assert_eq!(within(Some("data"), Some("/home/me")), usual);
        assert_eq!(within(Some(""), Some("/home/me")), usual);
        assert_eq!(within(None, None), None);
    }
}
