//! The temporary directory of one script: nobody else's, and gone with it.
//! Absent: what is put there.

use std::fs::{DirBuilder, remove_dir_all};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::time::{SystemTime, UNIX_EPOCH};

use crate::error::{Error, Result, Status};

/// Names that are tried; each is taken only if somebody means us harm.
const TRIES: u32 = 100;

/// A directory that is removed, with all in it, when this is dropped.
#[derive(Debug)]
pub(crate) struct Scratch {
    path: Option<PathBuf>,
}

impl Scratch {
    pub(crate) fn new() -> Result<Self> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let place = std::env::temp_dir();
        let failed = |error: &io::Error| {
            let what = format!("could not make a directory in {}", place.display());
            Error::io(Status::Failure, error).on(what)
        };
        let mut last = io::Error::from(io::ErrorKind::AlreadyExists);
        for _ in 0..TRIES {
            let count = COUNT.fetch_add(1, Relaxed);
            let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
            let name = format!(
                "netkit-run-{}-{count}-{:x}",
                std::process::id(),
                now.subsec_nanos()
            );
            let path = place.join(name);
            // Made, never found: a name that somebody put there before is another one's.
            match DirBuilder::new().mode(0o700).create(&path) {
                Ok(()) => return Ok(Scratch { path: Some(path) }),
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => last = error,
                Err(error) => return Err(failed(&error)),
            }
        }
        Err(failed(&last))
    }

    pub(crate) fn path(&self) -> &Path {
        self.path.as_deref().unwrap_or(Path::new("/nonexistent"))
    }

    /// Leaves it where it is, and says where.
    pub(crate) fn keep(mut self) -> PathBuf {
        self.path.take().unwrap_or_default()
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if let Some(path) = self.path.take() {
            // What cannot be removed was taken over by somebody else.
            let _ = remove_dir_all(path);
        }
    }
}
