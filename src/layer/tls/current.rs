//! What new connections are served with: replaced when the files behind it change, if what is in them is good.
//! Absent: signals, and telling anybody.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::{Duration, Instant};

use super::config::{ServerConfig, ServerSettings};
use crate::cert::Fault;

/// Files are looked at when a client comes, and no more often than this.
const BETWEEN_LOOKS: Duration = Duration::from_secs(1);

/// A server's configuration and the files that it was read from.
#[derive(Debug)]
pub struct Current {
    settings: ServerSettings,
    config: RwLock<Arc<ServerConfig>>,
    looked: Mutex<Looked>,
}

#[derive(Debug)]
struct Looked {
    at: Instant,
    stamps: Vec<Stamp>,
}

/// What tells one version of a file from another: its number, its length, and when it was changed.
type Stamp = (PathBuf, Option<(u64, u64, i64, i64)>);

impl Current {
    /// Reads the files.
    ///
    /// # Errors
    /// A file is missing or no good.
    pub fn new(settings: ServerSettings) -> Result<Self, Fault> {
        // Before they are read: a change meanwhile is seen as one.
        let stamps = stamps(&settings);
        let config = settings.read()?;
        let at = Instant::now();
        Ok(Current {
            settings,
            config: RwLock::new(Arc::new(config)),
            looked: Mutex::new(Looked { at, stamps }),
        })
    }

    /// What a new connection is served with.
    #[must_use]
    pub fn get(&self) -> Arc<ServerConfig> {
        Arc::clone(&self.config.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Reads the files again. Whether there are any; without, there is nothing to read.
    ///
    /// # Errors
    /// A file is missing or no good; what was in use stays in use.
    pub fn reload(&self) -> Result<bool, Fault> {
        let stamps = stamps(&self.settings);
        if stamps.is_empty() {
            return Ok(false);
        }
        self.note(stamps);
        self.replace().map(|()| true)
    }

    /// Whether it is time to look at the files again. It opens nothing.
    #[must_use]
    pub fn is_due(&self) -> bool {
        let looked = self.looked.lock().unwrap_or_else(PoisonError::into_inner);
        !looked.stamps.is_empty() && looked.at.elapsed() >= BETWEEN_LOOKS
    }

    /// The same where the files have changed since they were last looked at; `None` where they have not. It may block.
    #[must_use]
    pub fn refresh(&self) -> Option<Result<(), Fault>> {
        {
            let mut looked = self.looked.lock().unwrap_or_else(PoisonError::into_inner);
            if looked.stamps.is_empty() || looked.at.elapsed() < BETWEEN_LOOKS {
                return None;
            }
            looked.at = Instant::now();
        }
        let stamps = stamps(&self.settings);
        // A version that is no good is complained of once.
        self.note(stamps).then(|| self.replace())
    }

    /// Whether these are other stamps than those known.
    fn note(&self, stamps: Vec<Stamp>) -> bool {
        let mut looked = self.looked.lock().unwrap_or_else(PoisonError::into_inner);
        let changed = looked.stamps != stamps;
        looked.stamps = stamps;
        changed
    }

    fn replace(&self) -> Result<(), Fault> {
        let config = Arc::new(self.settings.read()?);
        *self.config.write().unwrap_or_else(PoisonError::into_inner) = config;
        Ok(())
    }
}

fn stamps(settings: &ServerSettings) -> Vec<Stamp> {
    let mut stamps = Vec::new();
    for path in settings.files() {
        stamps.push((path.clone(), stamp(&path)));
        // A directory does not change with the files in it.
        for entry in fs::read_dir(&path).into_iter().flatten().flatten() {
            stamps.push((entry.path(), stamp(&entry.path())));
        }
    }
    stamps.sort();
    stamps
}

fn stamp(path: &Path) -> Option<(u64, u64, i64, i64)> {
    let metadata = fs::metadata(path).ok()?;
    let changed = (metadata.mtime(), metadata.mtime_nsec());
    Some((metadata.ino(), metadata.len(), changed.0, changed.1))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cert::issue::{Leaf, Validity, self_signed};
    use crate::cert::{Name, files};
    use crate::layer::tls::config::{KeyFiles, Source, Version, Versions};

    #[test]
    fn changed_files_are_read_and_broken_ones_complained_of_once() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("both.pem");
        let write = || {
            let leaf = Leaf::server(Name::of_this_machine(), Validity::days(1));
            let identity = self_signed(&leaf).unwrap();
            let text = files::key_pem(&identity.key) + &files::certificates_pem(&identity.chain);
            fs::write(&path, text).unwrap();
        };
        write();
        let current = Current::new(ServerSettings {
            source: Source::Files(KeyFiles {
                key: path.clone(),
                certificate: path.clone(),
                extra: None,
                passphrase: None,
            }),
            client_auth: None,
            alpn: Vec::new(),
            versions: Versions {
                min: Version::Tls12,
                max: Version::Tls13,
            },
        })
        .unwrap();
        let later = || current.looked.lock().unwrap().at -= BETWEEN_LOOKS;
        let first = current.get().pin();
        write();
        // Not yet: it was looked at a moment ago.
        assert!(!current.is_due());
        assert!(current.refresh().is_none());
        later();
        assert!(current.is_due());
        current.refresh().unwrap().unwrap();
        let second = current.get().pin();
        assert_ne!(first, second);
        fs::write(&path, "").unwrap();
        later();
        current.refresh().unwrap().unwrap_err();
        later();
        assert!(current.refresh().is_none());
        assert_eq!(current.get().pin(), second);
        current.reload().unwrap_err();
        assert_eq!(current.get().pin(), second);
    }
}
