//! Files that may change: whether they have since they were last looked at.
//! Absent: what is in them.

use std::fs;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::cert::{Fault, files};

/// What tells one version of a file from another: its number, its length, and when it was changed.
type Stamp = (PathBuf, Option<(u64, u64, i64, i64)>);

/// Files and directories, with the state in which they were last seen.
#[derive(Debug)]
pub(super) struct Watched {
    /// They are looked at no more often than this.
    pub(super) between_looks: Duration,
    looked: Mutex<Option<(Instant, Vec<Stamp>)>>,
}

impl Watched {
    pub(super) fn new(between_looks: Duration) -> Self {
        let looked = Mutex::new(None);
        Watched {
            between_looks,
            looked,
        }
    }

    /// Looks at `files`, which are about to be read: a change meanwhile is seen as one. Whether they are not as they
    /// were; a version that is no good is so reported once.
    pub(super) fn look(&self, files: &[PathBuf]) -> bool {
        let stamps = stamps(files);
        let mut looked = self.looked.lock().unwrap_or_else(PoisonError::into_inner);
        let changed = looked.as_ref().is_none_or(|(_, known)| *known != stamps);
        *looked = Some((Instant::now(), stamps));
        changed
    }

    /// Whether there is something to look at, and it was not done a moment ago.
    pub(super) fn is_due(&self, files: &[PathBuf]) -> bool {
        let looked = self.looked.lock().unwrap_or_else(PoisonError::into_inner);
        let due = looked
            .as_ref()
            .is_none_or(|(at, _)| at.elapsed() >= self.between_looks);
        due && !files.is_empty()
    }

    /// The same, unless it has been done a moment ago.
    pub(super) fn glance(&self, files: &[PathBuf]) -> bool {
        let due = {
            let looked = self.looked.lock().unwrap_or_else(PoisonError::into_inner);
            looked
                .as_ref()
                .is_none_or(|(at, _)| at.elapsed() >= self.between_looks)
        };
        due && self.look(files)
    }

    #[cfg(test)]
    pub(super) fn a_moment_later(&self) {
        if let Some((at, _)) = &mut *self.looked.lock().unwrap() {
            *at -= self.between_looks;
        }
    }
}

/// Refuses what cannot be read a second time.
pub(super) fn readable_again(files: &[PathBuf]) -> Result<(), Fault> {
    match files.iter().find(|path| files::is_pipe(path)) {
        Some(pipe) => {
            let why = format!(
                "{} is a pipe, and what came through it at the start is not there again",
                files::shown(pipe)
            );
            Err(Fault::new(why))
        }
        None => Ok(()),
    }
}

fn stamps(files: &[PathBuf]) -> Vec<Stamp> {
    let mut stamps = Vec::new();
    for path in files {
        stamps.push((path.clone(), stamp(path)));
        // A directory does not change with the files in it.
        for entry in fs::read_dir(path).into_iter().flatten().flatten() {
            stamps.push((entry.path(), stamp(&entry.path())));
        }
    }
    stamps.sort();
    stamps
}

fn stamp(path: &Path) -> Option<(u64, u64, i64, i64)> {
    let metadata = fs::metadata(path).ok()?;
    if metadata.file_type().is_fifo() {
        // It changes by being read.
        return Some((metadata.ino(), 0, 0, 0));
    }
    let changed = (metadata.mtime(), metadata.mtime_nsec());
    Some((metadata.ino(), metadata.len(), changed.0, changed.1))
}
