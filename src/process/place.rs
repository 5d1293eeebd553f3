//! Where the process is: its root, its directory, and the mask of its files.
//! Absent: when to go there.

use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use rustix::fs::{Access, AtFlags, Mode, OFlags, access, accessat, fstat, open};
use rustix::io::Errno;
use rustix::process::{chdir, chroot, fchdir, geteuid, getuid, umask};
use tracing::warn;

use crate::error::{Error, Result, Status, reason};
use crate::need::Need;

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

    /// Finds the directory of a file; `None` where there is none any more.
    #[must_use]
    pub fn of_file(path: &Path) -> Option<Self> {
        let parent = match path.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent,
            _ => Path::new("."),
        };
        Place::find(parent, "").ok()
    }

    /// Whether a file in it that root has made may be removed, by who we are now.
    ///
    /// # Errors
    /// Why not.
    pub fn check_removing(&self) -> io::Result<()> {
        accessat(
            &self.open,
            ".",
            Access::WRITE_OK | Access::EXEC_OK,
            AtFlags::empty(),
        )?;
        let found = fstat(&self.open)?;
        let sticky = Mode::from_raw_mode(found.st_mode).contains(Mode::SVTX);
        // There, only who has made a file or the directory removes one.
        if sticky && !getuid().is_root() && found.st_uid != getuid().as_raw() {
            return Err(Errno::PERM.into());
        }
        Ok(())
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

/// Sees, as who we are now and where we are now, whether what is needed can be had. What was read at the start stays
/// in use, so that only the next reload is at stake; a program that is not there would fail every client.
///
/// # Errors
/// Status 1: a program cannot be run.
pub fn check(needs: &[Need]) -> Result<()> {
    for need in needs {
        match need {
            // Descriptors of our own are not there again, which is for whoever reads them to say.
            Need::Read(path) if path.starts_with("/dev/fd") || path.starts_with("/proc") => {}
            Need::Read(path) => {
                if let Err(error) = access(path, Access::READ_OK) {
                    let why = reason(&error.into());
                    warn!("SIGHUP will not read {} again: {why}", path.display());
                }
            }
            Need::Write(path) => {
                if let Err(error) = check_writing(path) {
                    warn!("{} cannot be written: {}", path.display(), reason(&error.into()));
                }
            }
            // A bare name is looked for when it is run.
            Need::Run(path) if path.components().nth(1).is_some() => {
                access(path, Access::EXEC_OK).map_err(|error| {
                    Error::io(Status::Failure, &error.into())
                        .on(format!("could not run {} as the server will be", path.display()))
                })?;
            }
            Need::Dial if access("/etc/resolv.conf", Access::READ_OK).is_err() => {
                warn!("hosts may not be found by name: there is no /etc/resolv.conf that can be read");
            }
            Need::Run(_) | Need::Remove(_) | Need::Dial => {}
        }
    }
    Ok(())
}

/// A directory is asked only for a file that is missing: it does not make one that is there ours.
fn check_writing(path: &Path) -> std::result::Result<(), Errno> {
    match access(path, Access::WRITE_OK) {
        Err(Errno::NOENT) => {
            let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty());
            access(
                directory.unwrap_or(Path::new(".")),
                Access::WRITE_OK | Access::EXEC_OK,
            )
        }
        told => told,
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn the_directory_does_not_speak_for_a_file_that_is_there() {
        if getuid().is_root() {
            // Modes say nothing to root.
            return;
        }
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("file");
        assert_eq!(check_writing(&file), Ok(()));
        fs::write(&file, "").unwrap();
        assert_eq!(check_writing(&file), Ok(()));
        fs::set_permissions(&file, fs::Permissions::from_mode(0o444)).unwrap();
        assert_eq!(check_writing(&file), Err(Errno::ACCESS));
    }
}
