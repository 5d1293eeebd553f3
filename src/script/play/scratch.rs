//! The temporary directory of one script: nobody else's, and gone with it.
//! Absent: what is put there.

use std::fs::{DirBuilder, DirEntry, Permissions, read_dir, remove_dir_all, set_permissions};
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::time::{SystemTime, UNIX_EPOCH};

use rustix::fs::{Mode, OFlags, open};
use tracing::warn;

use crate::error::{Error, Result, Status, reason};
use crate::orphans;

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
            // First, so that nobody fills it again.
            end_inhabitants(&path);
            if remove_dir_all(&path).is_ok() {
                return;
            }
            open_up(&path);
            match remove_dir_all(&path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    warn!("could not remove {}: {}", path.display(), reason(&error));
                }
                _ => {}
            }
        }
    }
}

/// Kills what a script has put in the background, as far as it can be told apart from that of others. Who is left is told of
/// at the end of the run.
fn end_inhabitants(path: &Path) {
    let real = path.canonicalize().unwrap_or_else(|_| path.to_owned());
    orphans::end_at_home(&real);
    if real != path {
        orphans::end_at_home(path);
    }
}

/// Makes all directories writable, so that what is in them can be removed.
fn open_up(path: &Path) {
    let mut found = vec![path.to_owned()];
    while let Some(path) = found.pop() {
        // By its descriptor, as a link may take its place at any time.
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let Ok(directory) = open(&path, flags, Mode::empty()) else {
            continue;
        };
        let itself = format!("/proc/self/fd/{}", directory.as_raw_fd());
        let _ = set_permissions(itself, Permissions::from_mode(0o700));
        let entries = read_dir(&path).into_iter().flatten().flatten();
        let is_directory = |entry: &DirEntry| entry.file_type().is_ok_and(|kind| kind.is_dir());
        found.extend(entries.filter(is_directory).map(|entry| entry.path()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_not_be_written_is_removed_and_a_link_not_followed() {
        let outside = tempfile::tempdir().unwrap();
        let mode = |path: &Path| path.metadata().unwrap().permissions().mode() & 0o777;
        set_permissions(outside.path(), Permissions::from_mode(0o555)).unwrap();
        let scratch = Scratch::new().unwrap();
        let path = scratch.path().to_owned();
        std::fs::create_dir_all(path.join("a/b")).unwrap();
        std::fs::write(path.join("a/b/c"), "").unwrap();
        std::os::unix::fs::symlink(outside.path(), path.join("a/link")).unwrap();
        for name in ["a/b", "a"] {
            set_permissions(path.join(name), Permissions::from_mode(0o0)).unwrap();
        }
        open_up(&path);
        assert_eq!((mode(&path.join("a")), mode(&path.join("a/b"))), (0o700, 0o700));
        drop(scratch);
        assert!(!path.exists());
        assert_eq!(mode(outside.path()), 0o555);
    }
}
