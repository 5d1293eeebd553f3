//! What new connections are opened or served with: replaced when the files behind it change, if what is in them is good.
//! Absent: signals, and telling anybody.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use tracing::{info, warn};

use super::config::{ClientConfig, ClientSettings, ServerConfig, ServerSettings, Trust, key_log};
use super::platform;
use super::watched::{Watched, readable_again};
use crate::cert::Fault;
use crate::cert::local::Store;
use crate::cert::own::Own;
use crate::error::Result;
use crate::need::Need;

/// A server looks at its files when a client comes, and no more often than this.
const BETWEEN_LOOKS: Duration = Duration::from_secs(1);

/// A server's configuration and the files that it was read from.
#[derive(Debug)]
pub struct Current {
    settings: ServerSettings,
    config: RwLock<Arc<ServerConfig>>,
    watched: Watched,
    /// Held by whoever reads files: what was read later is in use later.
    reading: Mutex<()>,
}

impl Current {
    /// Reads the files.
    ///
    /// # Errors
    /// A file is missing or no good.
    pub fn new(settings: ServerSettings) -> Result<Self, Fault> {
        let watched = Watched::new(BETWEEN_LOOKS);
        let anchored = settings.anchored();
        watched.look(&anchored.files());
        let config = settings.read()?;
        settings.hush();
        Ok(Current {
            settings: anchored,
            config: RwLock::new(Arc::new(config)),
            watched,
            reading: Mutex::default(),
        })
    }

    /// What a new connection is served with.
    #[must_use]
    pub fn get(&self) -> Arc<ServerConfig> {
        Arc::clone(&self.config.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Reads the files again. Whether there are any of the user's; without, there is little to read.
    ///
    /// # Errors
    /// A file is missing or no good; what was in use stays in use.
    pub fn reload(&self) -> Result<bool, Fault> {
        let _reading = self.reading.lock().unwrap_or_else(PoisonError::into_inner);
        let files = self.settings.files();
        self.watched.look(&files);
        let renewed = self.renew()?;
        let given = match self.settings.own() {
            Some(_) => self.settings.client_auth.is_some(),
            None => !files.is_empty(),
        };
        if given || renewed {
            self.replace()?;
        }
        Ok(given)
    }

    /// What reading again asks for.
    #[must_use]
    pub fn needs(&self) -> Vec<Need> {
        let mut needs: Vec<Need> = self.settings.files().into_iter().map(Need::Read).collect();
        // An authority that has to be made anew is written.
        let own = self.settings.own().and_then(Own::directory);
        needs.extend(own.filter(|directory| directory.is_dir()).map(Need::Write));
        needs.extend(key_log().map(Need::Write));
        needs
    }

    /// Whether it is time to look at the files again. It opens nothing.
    #[must_use]
    pub fn is_due(&self) -> bool {
        self.watched.is_due(&self.settings.files()) || self.settings.own().is_some_and(Own::is_due)
    }

    /// The same where the files have changed since they were last looked at, or netkit's own certificate is about to
    /// end; `None` where nothing is new. It may block.
    #[must_use]
    pub fn refresh(&self) -> Option<Result<(), Fault>> {
        // Whoever is at it will be done before long.
        let Ok(_reading) = self.reading.try_lock() else {
            return None;
        };
        let changed = self.watched.glance(&self.settings.files());
        let due = self.settings.own().is_some_and(Own::is_due);
        if !changed && !due {
            return None;
        }
        match self.renew() {
            Ok(false) if self.settings.own().is_some() && self.settings.client_auth.is_none() => None,
            Ok(_) => Some(self.replace()),
            Err(fault) => Some(Err(fault)),
        }
    }

    fn renew(&self) -> Result<bool, Fault> {
        self.settings.own().map_or(Ok(false), Own::renew)
    }

    fn replace(&self) -> Result<(), Fault> {
        readable_again(&self.settings.read_again())?;
        let config = Arc::new(self.settings.read()?);
        *self.config.write().unwrap_or_else(PoisonError::into_inner) = config;
        Ok(())
    }
}

/// A client's configuration: read by its first connection, kept so that later ones can resume its session, and read
/// again by a later one that finds its files changed.
#[derive(Debug)]
pub struct CurrentClient {
    settings: ClientSettings,
    config: Mutex<Option<Arc<ClientConfig>>>,
    watched: Watched,
}

impl CurrentClient {
    /// Reads nothing yet.
    #[must_use]
    pub fn new(settings: ClientSettings) -> Self {
        CurrentClient {
            settings,
            config: Mutex::new(None),
            watched: Watched::new(Duration::ZERO),
        }
    }

    /// What was asked for.
    #[must_use]
    pub fn settings(&self) -> &ClientSettings {
        &self.settings
    }

    /// What connecting asks of the system.
    #[must_use]
    pub fn needs(&self) -> Vec<Need> {
        let mut needs: Vec<Need> = self.settings.files().into_iter().map(Need::Read).collect();
        if matches!(self.settings.trust, Trust::Platform) {
            needs.extend(Store::of_user().map(|store| Need::Read(store.directory())));
            needs.extend(platform::named().into_iter().map(Need::Read));
        }
        needs.extend(key_log().map(Need::Write));
        needs
    }

    /// What a new connection is opened with, where it was read and there is no file that could have changed.
    #[must_use]
    pub fn fixed(&self) -> Option<Arc<ClientConfig>> {
        // Whoever reads files holds the lock meanwhile, and a disk or a question for a passphrase may take its time.
        if !self.settings.files().is_empty() {
            return None;
        }
        self.config.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// What a new connection is opened with. It may block.
    ///
    /// # Errors
    /// Status 2, the first time alone: a file is missing or no good. Later what was in use stays in use.
    pub fn get(&self) -> Result<Arc<ClientConfig>> {
        let mut config = self.config.lock().unwrap_or_else(PoisonError::into_inner);
        let changed = self.watched.glance(&self.settings.files());
        if let Some(known) = &*config {
            if changed {
                match self.read_again() {
                    Ok(new) => {
                        info!("our certificate, or whom we trust, has changed");
                        *config = Some(Arc::clone(&new));
                        return Ok(new);
                    }
                    Err(error) => warn!("kept the certificates that were read before: {error}"),
                }
            }
            return Ok(Arc::clone(known));
        }
        let new = Arc::new(self.settings.read()?);
        self.settings.hush();
        *config = Some(Arc::clone(&new));
        Ok(new)
    }

    fn read_again(&self) -> Result<Arc<ClientConfig>> {
        let files: Vec<PathBuf> = self.settings.read_again();
        readable_again(&files).map_err(|fault| fault.at(crate::error::Status::Usage))?;
        self.settings.read().map(Arc::new)
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::cert::issue::{Leaf, Validity, self_signed};
    use crate::cert::local::Store;
    use crate::cert::{Name, Passphrases, files};
    use crate::layer::tls::config::{KeyFiles, ServerName, Source, Trust, Version, Versions};

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
                passphrases: Passphrases::new(None, "passphraseFile=FILE"),
            }),
            client_auth: None,
            alpn: Vec::new(),
            versions: Versions {
                min: Version::Tls12,
                max: Version::Tls13,
            },
        })
        .unwrap();
        let later = || current.watched.a_moment_later();
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

    #[test]
    fn a_client_reads_changed_files_for_its_next_connection() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("both.pem");
        let write = |name: &str| {
            let leaf = Leaf::server([name.parse().unwrap()], Validity::days(1));
            let identity = self_signed(&leaf).unwrap();
            let text = files::key_pem(&identity.key) + &files::certificates_pem(&identity.chain);
            fs::write(&path, text).unwrap();
        };
        write("a.example");
        let client = CurrentClient::new(ClientSettings {
            server_name: ServerName::try_from("localhost").unwrap(),
            trust: Trust::Anybody,
            identity: Some(KeyFiles {
                key: path.clone(),
                certificate: path.clone(),
                extra: None,
                passphrases: Passphrases::new(None, "passphraseFile=FILE"),
            }),
            alpn: Vec::new(),
            versions: Versions {
                min: Version::Tls12,
                max: Version::Tls13,
            },
        });
        let first = client.get().unwrap();
        assert!(Arc::ptr_eq(&first, &client.get().unwrap()), "sessions are kept");
        write("another.example");
        let second = client.get().unwrap();
        assert!(!Arc::ptr_eq(&first, &second));
        fs::write(&path, "").unwrap();
        // What is no good replaces nothing.
        assert!(Arc::ptr_eq(&second, &client.get().unwrap()));
        write("c.example");
        assert!(!Arc::ptr_eq(&second, &client.get().unwrap()));
    }

    #[test]
    fn netkits_own_certificate_is_renewed_while_it_is_served() {
        let home = tempfile::tempdir().unwrap();
        let own = Own::aged(Some(Store::at(home.path())));
        let current = Current::new(ServerSettings {
            source: Source::Local(Arc::new(own)),
            client_auth: None,
            alpn: Vec::new(),
            versions: Versions {
                min: Version::Tls12,
                max: Version::Tls13,
            },
        })
        .unwrap();
        let first = current.get();
        current.refresh().unwrap().unwrap();
        let second = current.get();
        assert!(!Arc::ptr_eq(&first, &second));
        assert_eq!(first.pin(), second.pin());
        // Nothing is left to be done.
        assert!(current.refresh().is_none());
        current.watched.a_moment_later();
        assert!(current.refresh().is_none());
        assert!(!current.reload().unwrap());
        assert!(Arc::ptr_eq(&second, &current.get()));
        // A new authority: the clients of this machine trust nobody else.
        std::fs::remove_dir_all(home.path().join("authority")).unwrap();
        current.watched.a_moment_later();
        current.refresh().unwrap().unwrap();
        assert_eq!(first.pin(), current.get().pin());
        assert!(Store::at(home.path()).certificate().unwrap().is_some());
    }
}
