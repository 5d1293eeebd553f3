//! netkit's own authority: it lives in the data directory of the user and vouches for this machine only.
//! Absent: who trusts it.

use std::ffi::OsString;
use std::fs;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

use rustix::fs::{CWD, FlockOperation, Mode, OFlags, RenameFlags, flock, renameat_with};
use rustix::io::Errno;

use super::issue::{Authority, Permit, Validity};
use super::open::shown;
use super::own::LEAF_DAYS;
use super::sound::{self, Kind};
use super::{CertificateDer, Fault, Identity, KeyType, Passphrases, files, inspect, output};
use crate::error::reason;

/// How long the authority lives.
const AUTHORITY_DAYS: u32 = 3650;

/// An authority with less time than this is replaced, so that what it issues is not cut short.
const RENEW_BEFORE: Duration = Duration::from_secs(LEAF_DAYS as u64 * 86_400);

/// Making an authority takes milliseconds; whoever holds the lock for longer hangs.
const LOCK_PATIENCE: Duration = Duration::from_secs(5);
const LOCK_PAUSE: Duration = Duration::from_millis(5);

const KEY: &str = "key.pem";
const CERTIFICATE: &str = "cert.pem";

/// Where the authority is kept.
#[derive(Debug, Clone)]
pub struct Store {
    directory: PathBuf,
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
        self.authority_directory().join(CERTIFICATE)
    }

    /// The directory that all of it is kept in.
    #[must_use]
    pub fn directory(&self) -> PathBuf {
        self.directory.clone()
    }

    fn authority_directory(&self) -> PathBuf {
        self.directory.join("authority")
    }

    /// The authority's certificate, where there is one. Makes nothing.
    ///
    /// # Errors
    /// There is one that is not to be believed.
    pub fn certificate(&self) -> Result<Option<CertificateDer<'static>>, Fault> {
        self.if_sound(|| {
            let certificate = files::certificates(&self.certificate_file())?.into_iter().next();
            certificate
                .map(|certificate| believable(certificate, self))
                .transpose()
        })
    }

    /// What `read` reads of the authority, once it is sure that nobody else could have written it; `None` where there
    /// is no authority.
    fn if_sound<T>(&self, read: impl FnOnce() -> Result<Option<T>, Fault>) -> Result<Option<T>, Fault> {
        let directory = self.authority_directory();
        match fs::symlink_metadata(&directory) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            // What else is wrong is said below.
            _ => {}
        }
        self.directory_is_ours()?;
        let sound = || {
            sound::ours(&directory, Kind::Directory, false)?;
            sound::ours(&self.certificate_file(), Kind::File, false)?;
            sound::ours(&directory.join(KEY), Kind::File, false)?;
            read()
        };
        sound().map_err(|fault| {
            let help = format!(
                "delete the directory {}, and a new authority is made",
                shown(&directory)
            );
            Fault::new(format!("the local authority is no good: {fault}")).help(help)
        })
    }

    /// Whoever can write there can put another authority in the place of this one.
    fn directory_is_ours(&self) -> Result<(), Fault> {
        sound::ours(&self.directory, Kind::Directory, true).map_err(|fault| Fault {
            why: format!("the local authority is not safe: {fault}"),
            ..fault
        })
    }

    /// The authority; made on first use, and anew when it is about to end. Those who ask at the same time get the same
    /// one.
    ///
    /// # Errors
    /// It cannot be read or is not to be believed; or there is none and none can be kept.
    pub fn authority(&self) -> Result<Authority, Fault> {
        if let Some(authority) = self.load()? {
            return Ok(authority);
        }
        private_directory(&self.directory).map_err(|error| self.not_kept(&error))?;
        self.directory_is_ours()?;
        let _lock = self.lock()?;
        // Whoever held the lock may have made it.
        if let Some(authority) = self.load()? {
            return Ok(authority);
        }
        self.make().map_err(|error| self.not_kept(&error))?;
        self.load()?
            .ok_or_else(|| Fault::new("the local authority was removed while it was made"))
    }

    /// What is kept; `None` where nothing is, or what is will soon be of no use.
    fn load(&self) -> Result<Option<Authority>, Fault> {
        self.if_sound(|| {
            let nobody = Passphrases::new(None, "passphraseFile=FILE");
            nobody.hush();
            let key = self.authority_directory().join(KEY);
            let mut identity = files::identity(&key, &nobody, &self.certificate_file(), None)?;
            let leaf = believable(identity.chain.swap_remove(0), self)?;
            let left = inspect::not_after(&leaf).map(|end| end - seconds_since_1970());
            if left.is_none_or(|left| left < RENEW_BEFORE.as_secs() as i64) {
                return Ok(None);
            }
            let chain = vec![leaf];
            Authority::from_identity(Identity { chain, ..identity }).map(Some)
        })
    }

    fn not_kept(&self, error: &io::Error) -> Fault {
        Fault::new(format!(
            "cannot keep the local authority in {}: {}",
            shown(&self.directory),
            reason(error)
        ))
    }

    /// Holds off others who would make or renew the authority, until what it gives is dropped.
    fn lock(&self) -> Result<Option<OwnedFd>, Fault> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let directory = rustix::fs::open(&self.directory, flags, Mode::empty())
            .map_err(|error| self.not_kept(&error.into()))?;
        let start = Instant::now();
        loop {
            match flock(&directory, FlockOperation::NonBlockingLockExclusive) {
                Ok(()) => return Ok(Some(directory)),
                Err(Errno::AGAIN | Errno::INTR) if start.elapsed() < LOCK_PATIENCE => {
                    std::thread::sleep(LOCK_PAUSE);
                }
                Err(Errno::AGAIN | Errno::INTR) => {
                    let why = "another process has been making the local authority for too long";
                    return Err(Fault::new(why));
                }
                // A file system without locks: the one step at the end has to do.
                Err(_) => return Ok(None),
            }
        }
    }

    /// Makes an authority in a directory beside its place and puts it there in one step, in the place of an old one. If
    /// somebody was faster who knows no lock, theirs stands.
    fn make(&self) -> io::Result<()> {
        let name = format!("netkit local authority of {}", owner());
        let permits = Permit::loopback();
        let authority = Authority::new(
            &name,
            &permits,
            KeyType::EcdsaP256,
            Validity::days(AUTHORITY_DAYS),
        )
        .map_err(io::Error::other)?;
        let draft = Draft::new(&self.directory)?;
        private_directory(&draft.0)?;
        let identity = authority.identity();
        files::write_secret(&draft.0.join(KEY), &files::key_pem(&identity.key))?;
        files::write_secret(
            &draft.0.join(CERTIFICATE),
            &files::certificates_pem(&identity.chain),
        )?;
        let place = self.authority_directory();
        if !place.exists() {
            return match fs::rename(&draft.0, &place) {
                Err(_) if matches!(self.load(), Ok(Some(_))) => Ok(()),
                moved => moved,
            };
        }
        // What stands there is old, and is removed with the draft's name.
        match renameat_with(CWD, &draft.0, CWD, &place, RenameFlags::EXCHANGE) {
            Err(Errno::INVAL | Errno::NOSYS | Errno::NOTSUP) => {
                let old = Draft::new(&self.directory)?;
                fs::rename(&place, &old.0)?;
                fs::rename(&draft.0, &place)
            }
            exchanged => Ok(exchanged?),
        }
    }
}

/// The certificate of an authority that can do no harm.
fn believable(certificate: CertificateDer<'static>, store: &Store) -> Result<CertificateDer<'static>, Fault> {
    match sound::for_this_machine_only(&certificate) {
        Ok(()) => Ok(certificate),
        Err(why) => Err(Fault::new(format!(
            "the certificate in {} {why}",
            shown(&store.certificate_file())
        ))),
    }
}

fn private_directory(directory: &Path) -> io::Result<()> {
    fs::DirBuilder::new()
        .mode(0o700)
        .recursive(true)
        .create(directory)
}

/// A directory that is removed with what is in it, unless it got another name before.
struct Draft(PathBuf);

impl Draft {
    fn new(beside: &Path) -> io::Result<Self> {
        output::draft_name("authority").map(|name| Draft(beside.join(name)))
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
        assert!(store.certificate().unwrap().is_none());
        let asked: Vec<_> = (0..8)
            .map(|_| {
                let store = store.clone();
                std::thread::spawn(move || store.authority().unwrap().identity().chain.clone())
            })
            .collect();
        let got: Vec<_> = asked.into_iter().map(|thread| thread.join().unwrap()).collect();
        assert!(got.iter().all(|chain| *chain == got[0]));
        assert_eq!(store.certificate().unwrap().unwrap(), got[0][0]);
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
        let fault = store.authority().unwrap_err();
        assert!(fault.why.ends_with("is empty"), "{fault}");
        assert!(fault.help.unwrap().starts_with("delete the directory"));
    }

    #[test]
    fn what_others_could_have_made_is_never_used() {
        let home = tempfile::tempdir().unwrap();
        let store = Store::at(home.path());
        store.authority().unwrap();
        let directory = store.authority_directory();
        let set = |path: &Path, mode| fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
        for path in [
            home.path(),
            &directory,
            &directory.join(KEY),
            &store.certificate_file(),
        ] {
            let before = mode(path);
            set(path, before | 0o020);
            for fault in [store.authority().unwrap_err(), store.certificate().unwrap_err()] {
                assert!(fault.why.ends_with("can be changed by others"), "{fault}");
                assert!(fault.help.is_some());
            }
            set(path, before);
        }
        store.authority().unwrap();
        // One that vouches for more than this machine, put there by a tool that meant well.
        let wide = Authority::new("wide", &[], KeyType::EcdsaP256, Validity::days(4000)).unwrap();
        fs::write(directory.join(KEY), files::key_pem(&wide.identity().key)).unwrap();
        // So far it is another's key.
        assert!(store.authority().unwrap_err().why.contains("does not belong"));
        fs::write(
            store.certificate_file(),
            files::certificates_pem(&wide.identity().chain),
        )
        .unwrap();
        for fault in [store.authority().unwrap_err(), store.certificate().unwrap_err()] {
            assert!(fault.why.ends_with("vouches for any name"), "{fault}");
        }
    }

    #[test]
    fn what_helps_depends_on_what_is_wrong_with_the_directory() {
        let home = tempfile::tempdir().unwrap();
        let directory = home.path().join("it's \u{1b}[31m");
        let store = Store::at(&directory);
        let fault = || {
            let fault = store.certificate().unwrap_err();
            let text = fault.in_full();
            assert!(!text.contains('\u{1b}'), "{text}");
            text.replace(&home.path().display().to_string(), "")
        };
        store.authority().unwrap();
        fs::set_permissions(&directory, fs::Permissions::from_mode(0o770)).unwrap();
        assert_eq!(
            fault(),
            r"the local authority is not safe: `/it\'s \u{1b}[31m` can be changed by others; chmod go-w $'/it\'s \x1b[31m'"
        );
        if rustix::process::geteuid().is_root() {
            std::os::unix::fs::chown(&directory, Some(12345), None).unwrap();
            let text = fault();
            assert!(
                text.ends_with("belongs to somebody else; is HOME or XDG_DATA_HOME that of another user?"),
                "{text}"
            );
        }
        fs::remove_dir_all(&directory).unwrap();
        fs::write(&directory, "").unwrap();
        let text = store.authority().map(drop).unwrap_err().in_full();
        assert!(!text.contains("chmod"), "{text}");
    }

    #[test]
    fn whoever_renews_waits_for_whoever_does_already() {
        let home = tempfile::tempdir().unwrap();
        let store = Store::at(home.path());
        let lock = store.lock().unwrap().unwrap();
        let (asking, there) = std::sync::mpsc::channel();
        let thread = {
            let store = store.clone();
            std::thread::spawn(move || {
                asking.send(()).unwrap();
                store.authority().unwrap().identity().chain.clone()
            })
        };
        there.recv().unwrap();
        store.make().unwrap();
        let made = store.load().unwrap().unwrap().identity().chain.clone();
        drop(lock);
        assert_eq!(thread.join().unwrap(), made);
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
