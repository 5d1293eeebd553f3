//! A listening socket in the file system: its lock, what a dead server left there, its mode, and its removal.
//! Absent: abstract names, endpoint text, and accepting.

use std::ffi::{OsStr, OsString};
use std::fs::{self, Permissions};
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use rustix::fs::{
    AtFlags, FlockOperation, Mode, OFlags, fchmod, flock, fstat, open, openat, statat, unlinkat,
};
use socket2::{Domain, SockAddr, Socket, Type};
use tracing::warn;

use super::lock::{self, Lock};
use crate::error::reason;

/// How long others that bind in the same directory are waited for. They need a few system calls; whoever takes longer
/// has locked it for a reason of its own.
const TURN_MAX: Duration = Duration::from_secs(1);

/// How a socket is made.
#[derive(Debug, Clone, Copy)]
pub(super) struct Making {
    /// The permissions, whatever the process's mask.
    pub(super) mode: u32,
    /// How many connections wait to be accepted.
    pub(super) backlog: u32,
    /// A lock is kept beside it.
    pub(super) locked: bool,
}

/// The socket that we made. Dropping it removes the file, if it is still the same, and then the lock.
///
/// The directory is held open, so that both are found when the process has changed its directory or its root.
#[derive(Debug)]
pub(super) struct SocketFile {
    /// As the user wrote it.
    path: PathBuf,
    directory: OwnedFd,
    name: OsString,
    inode: (u64, u64),
    _lock: Option<Lock>,
}

impl Making {
    /// Takes the lock, removes what a dead server left, binds with no more than the permissions asked for, and listens.
    ///
    /// # Errors
    /// `AddrInUse` where another server or file is there; what the system says. Nothing stays behind.
    pub(super) fn listen(self, path: &Path) -> io::Result<(SocketFile, Socket)> {
        let (Some(name), false) = (
            path.file_name(),
            path.as_os_str().as_encoded_bytes().ends_with(b"/"),
        ) else {
            return Err(io::Error::new(
                io::ErrorKind::IsADirectory,
                "the path is that of a directory",
            ));
        };
        let parent = match path.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent,
            _ => Path::new("."),
        };
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let directory = open(parent, flags, Mode::empty())?;
        let _turn = turn(parent);
        if self.locked {
            // Asked first: looking for a server by connecting makes us its client, and for one that takes a single
            // connection that is its end.
            lock::refuse_the_living(path)?;
        }
        // Before the lock, for one with our own number may be that of an endpoint of this very process.
        let found = Found::at(path)?;
        let lock = if self.locked {
            Some(Lock::take(path, directory.try_clone()?)?)
        } else {
            None
        };
        if found == Found::Stale {
            fs::remove_file(path)?;
        }
        let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
        socket.set_nonblocking(true)?;
        // Linux gives the file the mode of the socket, less the process's mask: at no time is it wider than asked, and
        // the mask, which belongs to all threads, stays as it is.
        fchmod(&socket, Mode::from_raw_mode(self.mode))?;
        socket.bind(&SockAddr::unix(path)?)?;
        let file = SocketFile::made(path, directory, name, lock)?;
        file.widen(self.mode)?;
        socket.listen(i32::try_from(self.backlog).unwrap_or(i32::MAX))?;
        Ok((file, socket))
    }
}

impl SocketFile {
    fn made(path: &Path, directory: OwnedFd, name: &OsStr, lock: Option<Lock>) -> io::Result<Self> {
        let made = statat(&directory, name, AtFlags::SYMLINK_NOFOLLOW)?;
        Ok(SocketFile {
            path: path.to_owned(),
            directory,
            name: name.to_owned(),
            inode: (made.st_dev, made.st_ino),
            _lock: lock,
        })
    }

    /// Where it is, as the user wrote it.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Gives back the permissions that the process's mask took away.
    fn widen(&self, mode: u32) -> io::Result<()> {
        // By descriptor: in a directory that others can write to, the name may lead elsewhere by now.
        let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let own = openat(&self.directory, &*self.name, flags, Mode::empty())?;
        let found = fstat(&own)?;
        if (found.st_dev, found.st_ino) != self.inode {
            return Err(io::Error::other("the socket was replaced while it was made"));
        }
        if found.st_mode & 0o7777 == mode {
            return Ok(());
        }
        fs::set_permissions(
            format!("/proc/self/fd/{}", own.as_raw_fd()),
            Permissions::from_mode(mode),
        )
        .map_err(|error| io::Error::other(format!("its mode could not be set: {}", reason(&error))))
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        // The listening socket keeps its inode, so that no other file has the same number while we compare.
        let ours = statat(&self.directory, &*self.name, AtFlags::SYMLINK_NOFOLLOW)
            .is_ok_and(|found| (found.st_dev, found.st_ino) == self.inode);
        if ours && let Err(error) = unlinkat(&self.directory, &*self.name, AtFlags::empty()) {
            // We may have become somebody else since. Who comes next sees that nobody answers there.
            warn!(
                "the socket {} stays behind: {}",
                self.path.display(),
                reason(&error.into())
            );
        }
    }
}

/// Makes other netkits that bind in `directory` wait, so that two of them do not take over the same leftovers.
/// `None`: it cannot be read or locked, and there is only their luck.
fn turn(directory: &Path) -> Option<OwnedFd> {
    /// Between two attempts.
    const PAUSE: Duration = Duration::from_millis(5);
    let held = open(
        directory,
        OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC,
        Mode::empty(),
    )
    .ok()?;
    let start = Instant::now();
    while flock(&held, FlockOperation::NonBlockingLockExclusive).is_err() {
        if start.elapsed() >= TURN_MAX {
            return None;
        }
        thread::sleep(PAUSE);
    }
    Some(held)
}

/// What stands where a socket is to be made.
#[derive(Debug, PartialEq, Eq)]
enum Found {
    Nothing,
    /// The socket of a server that is gone.
    Stale,
}

impl Found {
    /// Anything but the socket of a dead server is in the way.
    fn at(path: &Path) -> io::Result<Self> {
        let in_use = |text: &str| {
            Err(io::Error::new(
                io::ErrorKind::AddrInUse,
                format!("address in use: {text}"),
            ))
        };
        match fs::symlink_metadata(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Found::Nothing),
            Err(error) => return Err(error),
            Ok(found) if !found.file_type().is_socket() => {
                return in_use("there is a file of that name that is not a socket");
            }
            Ok(_) => {}
        }
        let probe = Socket::new(Domain::UNIX, Type::STREAM, None)?;
        probe.set_nonblocking(true)?;
        match probe.connect(&SockAddr::unix(path)?) {
            Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => Ok(Found::Stale),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Found::Nothing),
            Ok(()) => in_use("a server answers on this socket"),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                in_use("a server with a full backlog has this socket")
            }
            Err(error) => in_use(&reason(&error)),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{MetadataExt, symlink};
    use std::os::unix::net::{UnixListener, UnixStream};
    use std::process::Command;

    use super::*;

    const MAKING: Making = Making {
        mode: 0o666,
        backlog: 5,
        locked: true,
    };

    fn refusal(making: Making, path: &Path) -> String {
        let error = making.listen(path).expect_err("bound");
        assert_eq!(error.kind(), io::ErrorKind::AddrInUse);
        error.to_string()
    }

    fn is_empty(directory: &Path) -> bool {
        fs::read_dir(directory).unwrap().next().is_none()
    }

    #[test]
    fn the_socket_has_its_mode_and_goes_with_its_lock() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("s");
        for mode in [0o666, 0o600, 0o660, 0o777, 0o000] {
            let made = Making { mode, ..MAKING }.listen(&path).unwrap();
            assert_eq!(fs::symlink_metadata(&path).unwrap().mode() & 0o7777, mode);
            assert!(fs::read_link(directory.path().join("s.lock")).is_ok());
            drop(made);
            assert!(is_empty(directory.path()));
        }
    }

    #[test]
    fn the_processs_mask_does_not_show_in_the_mode() {
        // The mask belongs to the whole process, so the test above runs again in one of its own.
        for mask in ["000", "027", "077"] {
            let output = Command::new("sh")
                .args(["-c", "umask $0; exec \"$1\" --exact \"$2\"", mask])
                .arg(std::env::current_exe().unwrap())
                .arg("transport::socket_file::tests::the_socket_has_its_mode_and_goes_with_its_lock")
                .output()
                .unwrap();
            let report = String::from_utf8_lossy(&output.stdout);
            assert!(report.contains("1 passed"), "umask {mask}: {report}");
        }
    }

    #[test]
    fn the_mode_is_never_wider_than_asked() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("s");
        let socket = Socket::new(Domain::UNIX, Type::STREAM, None).unwrap();
        fchmod(&socket, Mode::from_raw_mode(0o600)).unwrap();
        socket.bind(&SockAddr::unix(&path).unwrap()).unwrap();
        // Before anything else is done to it: what `listen` relies on.
        assert_eq!(fs::symlink_metadata(&path).unwrap().mode() & 0o177, 0);
    }

    #[test]
    fn a_second_server_is_refused_and_changes_nothing() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("s");
        let first = MAKING.listen(&path).unwrap();
        for locked in [true, false] {
            let text = refusal(Making { locked, ..MAKING }, &path);
            assert_eq!(text, "address in use: a server answers on this socket");
        }
        assert!(fs::read_link(directory.path().join("s.lock")).is_ok());
        drop(first);
        assert!(is_empty(directory.path()));
    }

    #[test]
    fn a_server_with_a_full_backlog_is_alive() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("s");
        let _first = Making { backlog: 1, ..MAKING }.listen(&path).unwrap();
        let mut waiting = Vec::new();
        loop {
            let client = Socket::new(Domain::UNIX, Type::STREAM, None).unwrap();
            client.set_nonblocking(true).unwrap();
            if client.connect(&SockAddr::unix(&path).unwrap()).is_err() {
                break;
            }
            waiting.push(client);
        }
        let text = refusal(MAKING, &path);
        assert_eq!(
            text,
            "address in use: a server with a full backlog has this socket"
        );
    }

    #[test]
    fn a_dead_servers_socket_is_replaced_with_or_without_its_lock() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("s");
        drop(UnixListener::bind(&path).unwrap());
        assert!(path.exists());
        let made = MAKING.listen(&path).unwrap();
        assert!(UnixStream::connect(&path).is_ok());
        drop(made);
        drop(UnixListener::bind(&path).unwrap());
        symlink(std::process::id().to_string(), directory.path().join("s.lock")).unwrap();
        drop(MAKING.listen(&path).unwrap());
        assert!(is_empty(directory.path()));
    }

    #[test]
    fn a_living_servers_lock_is_respected_though_its_socket_is_gone() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("s");
        symlink("1", directory.path().join("s.lock")).unwrap();
        drop(UnixListener::bind(&path).unwrap());
        assert!(refusal(MAKING, &path).starts_with("address in use: process 1 holds "));
        assert!(path.exists());
    }

    #[test]
    fn an_ordinary_file_is_never_removed() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("s");
        fs::write(&path, "precious").unwrap();
        assert_eq!(
            refusal(MAKING, &path),
            "address in use: there is a file of that name that is not a socket"
        );
        assert_eq!(fs::read_to_string(&path).unwrap(), "precious");
        fs::remove_file(&path).unwrap();
        symlink("/nonexistent", &path).unwrap();
        refusal(MAKING, &path);
        fs::remove_file(&path).unwrap();
        // Nor does the lock stay behind.
        assert!(is_empty(directory.path()));
    }

    #[test]
    fn a_successors_socket_is_not_ours_to_remove() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("s");
        let made = MAKING.listen(&path).unwrap();
        fs::remove_file(&path).unwrap();
        let _successor = UnixListener::bind(&path).unwrap();
        drop(made);
        assert!(path.exists());
        assert!(fs::symlink_metadata(directory.path().join("s.lock")).is_err());
    }

    #[test]
    fn the_socket_is_found_again_when_its_directory_has_another_name() {
        // As after chroot(2), or with a relative path after chdir(2).
        let outer = tempfile::tempdir().unwrap();
        let (before, after) = (outer.path().join("before"), outer.path().join("after"));
        fs::create_dir(&before).unwrap();
        let made = MAKING.listen(&before.join("s")).unwrap();
        fs::rename(&before, &after).unwrap();
        drop(made);
        assert!(is_empty(&after));
    }

    #[test]
    fn a_directory_that_somebody_keeps_locked_is_not_waited_for_for_ever() {
        let directory = tempfile::tempdir().unwrap();
        let held = fs::File::open(directory.path()).unwrap();
        flock(&held, FlockOperation::LockExclusive).unwrap();
        assert!(MAKING.listen(&directory.path().join("s")).is_ok());
    }

    #[test]
    fn of_many_that_find_a_dead_server_one_takes_its_place() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("s");
        for locked in [true, false] {
            drop(UnixListener::bind(&path).unwrap());
            let all: Vec<_> = thread::scope(|scope| {
                // Each loser's probe waits in the backlog.
                let making = Making {
                    locked,
                    backlog: 50,
                    ..MAKING
                };
                let path = &path;
                let each: Vec<_> = (0..8).map(|_| scope.spawn(move || making.listen(path))).collect();
                each.into_iter().map(|one| one.join().unwrap()).collect()
            });
            assert_eq!(all.iter().filter(|one| one.is_ok()).count(), 1);
            assert!(UnixStream::connect(&path).is_ok());
            drop(all);
            assert!(is_empty(directory.path()));
        }
    }

    #[test]
    fn what_cannot_be_a_socket_is_said() {
        let missing = MAKING.listen(Path::new("/nonexistent/s")).unwrap_err();
        assert_eq!(missing.kind(), io::ErrorKind::NotFound);
        for path in ["/", "/tmp/", "/tmp/.."] {
            let error = MAKING.listen(Path::new(path)).unwrap_err();
            assert_eq!(error.to_string(), "the path is that of a directory", "{path}");
        }
    }
}
