//! Where the process is: its root, its directory, and the mask of its files.
//! Absent: when to go there.

use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, OFlags, open};
use rustix::io::Errno;
use rustix::process::{chdir, chroot, fchdir, geteuid, umask};

use crate::error::{Error, Result, Status};

/// A directory that was found while the caller's paths held.
#[derive(Debug)]
pub struct Place {
    shown: PathBuf,
    open: OwnedFd,
}

impl Place {
    /// Finds a directory, for the option `flag`.
    ///
    /// # Errors
    /// Status 1: what the system says.
    pub fn find(path: &Path, flag: &str) -> Result<Self> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let open = open(path, flags, Mode::empty()).map_err(|error| {
            Error::io(Status::Failure, &error.into()).on(format!("could not use {flag} {}", path.display()))
        })?;
        Ok(Place {
            shown: path.to_owned(),
            open,
        })
    }

    /// Its path, as the user wrote it.
    #[must_use]
    pub fn shown(&self) -> &Path {
        &self.shown
    }

    /// Makes it the current directory.
    ///
    /// # Errors
    /// Status 1: what the system says.
    pub fn enter(&self) -> Result<()> {
        fchdir(&self.open).map_err(|error| not_entered(&self.shown, error))
    }

    /// Makes it the current directory and the root.
    ///
    /// # Errors
    /// Status 1: what the system says.
    pub fn become_root(&self) -> Result<()> {
        self.enter()?;
        chroot(".").map_err(|error| {
            let error = Error::io(Status::Failure, &error.into())
                .on(format!("could not change the root to {}", self.shown.display()));
            if geteuid().is_root() {
                error
            } else {
                error.help("only root can do that")
            }
        })
    }
}

/// Makes `path` the current directory.
///
/// # Errors
/// Status 1: what the system says.
pub fn change_directory(path: &Path) -> Result<()> {
    chdir(path).map_err(|error| not_entered(path, error))
}

fn not_entered(path: &Path, error: Errno) -> Error {
    Error::io(Status::Failure, &error.into())
        .on(format!("could not change the directory to {}", path.display()))
}

/// Sets the permissions that no new file of ours gets.
pub fn set_mask(mask: u32) {
    umask(Mode::from_raw_mode(mask));
}
