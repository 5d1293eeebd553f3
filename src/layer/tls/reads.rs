//! Which files a configuration is read from, and whether anybody may be asked on the way.
//! Absent: reading them.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::config::{ClientAuth, ClientSettings, KeyFiles, ServerSettings, Source, Trust};
use crate::cert::Passphrases;
use crate::cert::own::Own;
use crate::cert::passphrase::anchored;

impl KeyFiles {
    /// The same, wherever the process goes.
    fn anchored(&self) -> Self {
        KeyFiles {
            key: anchored(&self.key),
            certificate: anchored(&self.certificate),
            extra: self.extra.as_deref().map(anchored),
            passphrases: self.passphrases.anchored(),
        }
    }

    /// The files that every reading reads; what a pipe said of passphrases is known.
    fn read_again(&self) -> Vec<PathBuf> {
        let mut all = vec![self.key.clone(), self.certificate.clone()];
        all.extend(self.extra.clone());
        all
    }
}

impl ClientSettings {
    /// The files and directories that are read.
    pub(super) fn files(&self) -> Vec<PathBuf> {
        let mut all = self.read_again();
        let passphrases = self.identity.as_ref().map(|files| &files.passphrases);
        all.extend(passphrases.and_then(Passphrases::file).map(Path::to_owned));
        all
    }

    /// The same without the passphrases'.
    pub(super) fn read_again(&self) -> Vec<PathBuf> {
        let mut all = self.identity.as_ref().map_or_else(Vec::new, KeyFiles::read_again);
        if let Trust::Roots(path) = &self.trust {
            all.push(path.clone());
        }
        all
    }

    /// The start is over: nobody is asked for a passphrase any more.
    pub(super) fn hush(&self) {
        if let Some(files) = &self.identity {
            files.passphrases.hush();
        }
    }
}

impl ServerSettings {
    /// The same, wherever the process goes: what is read at the start is read again from another directory.
    pub(super) fn anchored(&self) -> Self {
        ServerSettings {
            source: match &self.source {
                Source::Files(files) => Source::Files(files.anchored()),
                Source::Directory {
                    path,
                    passphrases,
                    otherwise,
                } => Source::Directory {
                    path: anchored(path),
                    passphrases: passphrases.anchored(),
                    otherwise: otherwise.as_ref().map(KeyFiles::anchored),
                },
                Source::Local(own) => Source::Local(Arc::clone(own)),
            },
            client_auth: self.client_auth.as_ref().map(|auth| ClientAuth {
                authority: anchored(&auth.authority),
                ..*auth
            }),
            ..self.clone()
        }
    }

    /// The files and directories that are read.
    pub(super) fn files(&self) -> Vec<PathBuf> {
        let mut all = self.read_again();
        all.extend(
            self.passphrases()
                .filter_map(Passphrases::file)
                .map(Path::to_owned),
        );
        all
    }

    /// The same without the passphrases'.
    pub(super) fn read_again(&self) -> Vec<PathBuf> {
        let mut all = match &self.source {
            Source::Files(files) => files.read_again(),
            Source::Directory { path, otherwise, .. } => {
                let mut all = vec![path.clone()];
                all.extend(otherwise.iter().flat_map(KeyFiles::read_again));
                all
            }
            Source::Local(own) => own.file().into_iter().collect(),
        };
        all.extend(self.client_auth.as_ref().map(|auth| auth.authority.clone()));
        all
    }

    /// Netkit's own certificate, where it is that which is served.
    pub(super) fn own(&self) -> Option<&Own> {
        match &self.source {
            Source::Local(own) => Some(own),
            Source::Files(_) | Source::Directory { .. } => None,
        }
    }

    fn passphrases(&self) -> impl Iterator<Item = &Passphrases> {
        let (several, files) = match &self.source {
            Source::Files(files) => (None, Some(files)),
            Source::Directory {
                passphrases,
                otherwise,
                ..
            } => (Some(passphrases), otherwise.as_ref()),
            Source::Local(..) => (None, None),
        };
        several.into_iter().chain(files.map(|files| &files.passphrases))
    }

    /// The start is over: nobody is asked for a passphrase any more.
    pub(super) fn hush(&self) {
        self.passphrases().for_each(Passphrases::hush);
    }
}
