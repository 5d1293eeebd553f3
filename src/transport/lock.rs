//! The lock beside a UNIX socket: a symbolic link `PATH.lock` to the process that serves it, as Twisted makes it.
//! Absent: the socket.

use std::ffi::OsString;
use std::fs;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, readlinkat, unlinkat};
use rustix::process::Pid;
use tracing::warn;

use crate::error::reason;
use crate::living::is_there;

/// A lock that is held. Dropping it removes the link.
#[derive(Debug)]
pub(super) struct Lock {
    path: PathBuf,
    directory: OwnedFd,
    name: OsString,
}

/// What a lock says of the server that made it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Owner {
    /// There is no lock.
    Nobody,
    /// A process that is there.
    Alive(i32),
    /// A process that is gone, or one that cannot be told from ourselves: after a restart in a container the old
    /// server had our number.
    Gone(i32),
}

/// Where the lock of a socket is.
pub(super) fn path_of(socket: &Path) -> PathBuf {
    let mut name: OsString = socket.into();
    name.push(".lock");
    name.into()
}

/// Reads a lock and changes nothing.
///
/// # Errors
/// `InvalidData` where something else bears the name of the lock.
pub(super) fn owner(link: &Path) -> io::Result<Owner> {
    let target = match fs::read_link(link) {
        Ok(target) => target,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Owner::Nobody),
        Err(error) if error.kind() == io::ErrorKind::InvalidInput => return Err(no_lock(link)),
        Err(error) => return Err(error),
    };
    let number = target
        .to_str()
        .and_then(|text| text.parse::<i32>().ok())
        .filter(|number| *number > 0);
    let (Some(number), Some(pid)) = (number, number.and_then(Pid::from_raw)) else {
        return Err(no_lock(link));
    };
    if number == std::process::id() as i32 {
        return Ok(Owner::Gone(number));
    }
    Ok(if is_there(pid) {
        Owner::Alive(number)
    } else {
        Owner::Gone(number)
    })
}

fn no_lock(link: &Path) -> io::Error {
    let text = format!(
        "{} is not the lock of a server, and in the way of one",
        link.display()
    );
    io::Error::new(io::ErrorKind::InvalidData, text)
}

/// Refuses a socket whose lock a living process holds.
///
/// # Errors
/// `AddrInUse`; what [`owner`] says.
pub(super) fn refuse_the_living(socket: &Path) -> io::Result<()> {
    let link = path_of(socket);
    match owner(&link)? {
        Owner::Alive(number) => Err(held(number, &link)),
        Owner::Nobody | Owner::Gone(_) => Ok(()),
    }
}

fn held(number: i32, link: &Path) -> io::Error {
    in_use(&format!("process {number} holds {}", link.display()))
}

impl Lock {
    /// Takes the lock of a socket in `directory`; one that a dead process left is taken over.
    ///
    /// The caller makes other netkits wait, so that two takeovers do not meet. Between the old link and ours there is
    /// none without a link: a server that comes then, of whatever kind, does not slip in.
    ///
    /// # Errors
    /// `AddrInUse` where a process that is there has it; what [`owner`] and the system say.
    pub(super) fn take(socket: &Path, directory: OwnedFd) -> io::Result<Lock> {
        /// Others may take and release it while we look; they need not be netkits and wait for us.
        const ATTEMPTS: u32 = 10;
        let link = path_of(socket);
        let Some(name) = link.file_name().map(ToOwned::to_owned) else {
            return Err(io::ErrorKind::InvalidInput.into());
        };
        let number = std::process::id().to_string();
        for _ in 0..ATTEMPTS {
            match owner(&link)? {
                Owner::Nobody => match symlink(&number, &link) {
                    Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                    done => {
                        return done.map(|()| Lock {
                            path: link,
                            directory,
                            name,
                        });
                    }
                },
                Owner::Gone(_) => {
                    let mut fresh = link.clone().into_os_string();
                    fresh.push(".");
                    fresh.push(&number);
                    // Left by one that died right here with our number.
                    let _ = fs::remove_file(&fresh);
                    symlink(&number, &fresh)?;
                    return match fs::rename(&fresh, &link) {
                        Ok(()) => Ok(Lock {
                            path: link,
                            directory,
                            name,
                        }),
                        Err(error) => {
                            let _ = fs::remove_file(&fresh);
                            Err(error)
                        }
                    };
                }
                Owner::Alive(number) => {
                    return Err(held(number, &link));
                }
            }
        }
        Err(in_use(&format!("others come and go at {}", link.display())))
    }
}

fn in_use(why: &str) -> io::Error {
    io::Error::new(io::ErrorKind::AddrInUse, format!("address in use: {why}"))
}

impl Drop for Lock {
    fn drop(&mut self) {
        // Another may have taken it over, if it took us for dead: then it is not ours to remove.
        let ours = readlinkat(&self.directory, &*self.name, Vec::new())
            .is_ok_and(|target| target.to_bytes() == std::process::id().to_string().as_bytes());
        if ours && let Err(error) = unlinkat(&self.directory, &*self.name, AtFlags::empty()) {
            let path = self.path.display();
            warn!("the lock {path} stays behind: {}", reason(&error.into()));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn take(socket: &Path) -> io::Result<Lock> {
        Lock::take(socket, fs::File::open(socket.parent().unwrap()).unwrap().into())
    }

    /// A process number that was used and is free again.
    fn dead() -> String {
        let mut child = std::process::Command::new("true").spawn().unwrap();
        child.wait().unwrap();
        child.id().to_string()
    }

    #[test]
    fn a_lock_is_a_link_to_our_number_and_goes_with_us() {
        let directory = tempfile::tempdir().unwrap();
        let socket = directory.path().join("s");
        let lock = take(&socket).unwrap();
        let link = directory.path().join("s.lock");
        assert_eq!(
            fs::read_link(&link).unwrap().to_str().unwrap(),
            std::process::id().to_string()
        );
        drop(lock);
        assert!(fs::symlink_metadata(&link).is_err());
    }

    #[test]
    fn the_living_keep_theirs_and_the_dead_do_not() {
        let directory = tempfile::tempdir().unwrap();
        let socket = directory.path().join("s");
        let link = path_of(&socket);
        // Process 1 is always there, and may not be ours to signal.
        symlink("1", &link).unwrap();
        assert_eq!(take(&socket).unwrap_err().kind(), io::ErrorKind::AddrInUse);
        fs::remove_file(&link).unwrap();
        symlink(dead(), &link).unwrap();
        assert!(matches!(owner(&link).unwrap(), Owner::Gone(_)));
        drop(take(&socket).unwrap());
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 0);
    }

    #[test]
    fn what_is_no_lock_is_left_alone() {
        let directory = tempfile::tempdir().unwrap();
        let socket = directory.path().join("s");
        let link = path_of(&socket);
        for target in ["garbage", "-1", "0"] {
            symlink(target, &link).unwrap();
            assert_eq!(
                take(&socket).unwrap_err().kind(),
                io::ErrorKind::InvalidData,
                "{target}"
            );
            fs::remove_file(&link).unwrap();
        }
        fs::write(&link, "file").unwrap();
        assert_eq!(take(&socket).unwrap_err().kind(), io::ErrorKind::InvalidData);
        assert_eq!(fs::read_to_string(&link).unwrap(), "file");
    }
}
