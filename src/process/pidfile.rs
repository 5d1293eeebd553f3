//! The pid file: locked for as long as its process lives, so that what a dead one left is told from a live one's.
//! Absent: who reads it.

use std::ffi::OsString;
use std::fs;
use std::io::{self, Read, Seek, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use rustix::fs::{
    AtFlags, FileType, FlockOperation, Mode, OFlags, Stat, fchmod, flock, fstat, ftruncate, open, openat,
    statat, unlinkat,
};
use rustix::io::Errno;
use rustix::process::{Pid, geteuid, getpid};
use tracing::warn;

use crate::error::{Error, Result, Status, reason};
use crate::living::is_there;

/// More than the longest number: what is longer is no pid file.
const LENGTH_MAX: u64 = 32;

/// A lock that is held is tried again for so long: the children that its owner starts have it until they become
/// another program.
const HELD_MAX: Duration = Duration::from_millis(200);

/// Others may take and remove the file while we look.
const ATTEMPTS: u32 = 10;

/// A pid file that is held. Dropping it removes the file, if it is still the same.
///
/// The directory is held open, so that the file is found when the process has another root or another user.
#[derive(Debug)]
pub struct PidFile {
    path: PathBuf,
    directory: OwnedFd,
    name: OsString,
    /// The lock lasts for as long as this is open. It is open for reading: whoever takes over a server that is not
    /// root must not be able to write a number that root will send a signal to.
    file: fs::File,
}

/// What a file says of the process that made it.
#[derive(Debug, PartialEq, Eq)]
enum Content {
    /// Nothing yet, or nothing any more.
    Nothing,
    /// A process number.
    Number(Pid),
    /// Something else.
    Other,
}

impl Content {
    fn of(bytes: &[u8]) -> Self {
        let text = bytes.trim_ascii();
        if text.is_empty() {
            return Content::Nothing;
        }
        // A sign would name a group of processes.
        let digits = text.iter().all(u8::is_ascii_digit);
        std::str::from_utf8(text)
            .ok()
            .filter(|_| digits)
            .and_then(|text| Pid::from_raw(text.parse().ok()?))
            .map_or(Content::Other, Content::Number)
    }
}

impl PidFile {
    /// Makes the file, or takes over that of a dead process, and writes our number to it.
    ///
    /// # Errors
    /// Status 1: a process that is there has it, it is no pid file, or what the system says.
    pub fn take(path: &Path) -> Result<Self> {
        let failed = |error: Error| error.on(format!("could not take the pid file {}", path.display()));
        let (mut taken, writer) = PidFile::locked(path).map_err(failed)?;
        taken.judge().map_err(failed)?;
        if let Err(error) = write(&writer) {
            // On a full disk, say: nothing may be left that reads as another number.
            let _ = ftruncate(&writer, 0);
            return Err(failed(Error::io(Status::Failure, &error)));
        }
        Ok(taken)
    }

    /// Where it is, as the user wrote it.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Opens the file and locks it. The second is for writing.
    fn locked(path: &Path) -> Result<(Self, fs::File)> {
        let system = |error: Errno| Error::io(Status::Failure, &error.into());
        let Some(name) = path.file_name() else {
            return Err(Error::io(Status::Failure, &io::ErrorKind::IsADirectory.into()));
        };
        let parent = match path.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent,
            _ => Path::new("."),
        };
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let directory = open(parent, flags, Mode::empty()).map_err(system)?;
        for _ in 0..ATTEMPTS {
            // Never through a link that somebody has put there, and never waiting, as for somebody else at a pipe.
            let flags = OFlags::CLOEXEC | OFlags::NOFOLLOW | OFlags::NONBLOCK;
            let mode = Mode::RUSR | Mode::WUSR | Mode::RGRP | Mode::ROTH;
            let writer =
                openat(&directory, name, flags | OFlags::RDWR | OFlags::CREATE, mode).map_err(|error| {
                    match error {
                        Errno::LOOP => Error::new(Status::Failure, "it is a symbolic link"),
                        error => system(error),
                    }
                })?;
            let found = fstat(&writer).map_err(system)?;
            make_readable(&writer, &found).map_err(system)?;
            if FileType::from_raw_mode(found.st_mode) != FileType::RegularFile {
                return Err(Error::new(Status::Failure, "it is not a regular file"));
            }
            let file = match openat(&directory, name, flags | OFlags::RDONLY, Mode::empty()) {
                Ok(file) => file,
                // It was removed meanwhile, or replaced by what is seen next time.
                Err(Errno::NOENT | Errno::LOOP) => continue,
                Err(error) => return Err(system(error)),
            };
            let opened = fstat(&file).map_err(system)?;
            if (opened.st_dev, opened.st_ino) != (found.st_dev, found.st_ino) {
                continue;
            }
            let mut taken = PidFile {
                path: path.to_owned(),
                directory: directory
                    .try_clone()
                    .map_err(|error| Error::io(Status::Failure, &error))?,
                name: name.to_owned(),
                file: file.into(),
            };
            if let Err(error) = taken.lock() {
                // Nobody's but the holder's to remove, if there is one.
                taken.name.clear();
                return Err(match error {
                    Errno::WOULDBLOCK => taken.held(),
                    // Locks are made on the server there, as those of fcntl(2).
                    Errno::BADF => Error::new(
                        Status::Failure,
                        "its file system, NFS perhaps, locks only what is open for writing",
                    )
                    .help("a directory of this machine, such as one below /run, is the place for it"),
                    error => system(error),
                });
            }
            if taken.is_ours() {
                return Ok((taken, writer.into()));
            }
            // It was removed between opening and locking.
        }
        Err(Error::new(Status::Failure, "others come and go there"))
    }

    fn lock(&self) -> Result<(), Errno> {
        /// Between two attempts.
        const PAUSE: Duration = Duration::from_millis(10);
        let start = Instant::now();
        loop {
            match flock(&self.file, FlockOperation::NonBlockingLockExclusive) {
                Err(Errno::WOULDBLOCK) if start.elapsed() < HELD_MAX => thread::sleep(PAUSE),
                done => return done,
            }
        }
    }

    /// Who has locked it. Whoever may read the file can, so that what is in it need not be the answer.
    fn held(&mut self) -> Error {
        match self.content() {
            Ok(Content::Number(pid)) if self.was_written_by(pid) || pid == getpid() => {
                Error::new(Status::Failure, format!("process {pid} holds it"))
            }
            Ok(Content::Number(pid)) => Error::new(
                Status::Failure,
                format!("process {pid}, which it names, is not there, and another one has locked it"),
            )
            .help("lslocks(8) says who"),
            _ => Error::new(Status::Failure, "another process holds it"),
        }
    }

    /// Refuses what is no pid file, or that of a process that is there and locks nothing.
    fn judge(&mut self) -> Result<()> {
        let content = self
            .content()
            .map_err(|error| Error::io(Status::Failure, &error))?;
        let refused = match content {
            Content::Nothing => return Ok(()),
            Content::Number(pid) if !self.was_written_by(pid) => {
                warn!(
                    "took over the pid file {}: process {pid} is gone",
                    self.path.display()
                );
                return Ok(());
            }
            Content::Number(pid) => {
                Error::new(Status::Failure, format!("process {pid} is there")).help(format!(
                    "if process {pid} does something else by now, remove {}",
                    self.path.display()
                ))
            }
            Content::Other => Error::new(Status::Failure, "something else than a process number is in it"),
        };
        // Nor is it ours to remove.
        self.name.clear();
        Err(refused)
    }

    /// Whether the process is there, is another one than this, and was there when the file was written.
    fn was_written_by(&self, pid: Pid) -> bool {
        // After a restart in a container, the old server may have had our own number.
        if pid == getpid() || !is_there(pid) {
            return false;
        }
        let written = self.file.metadata().and_then(|found| found.modified());
        let since = written.map(|at| SystemTime::now().duration_since(at).unwrap_or_default());
        match (since, age(pid)) {
            (Ok(since), Some(age)) => could_have_written(age, since),
            // Where nobody can tell, it might be.
            _ => true,
        }
    }

    fn content(&mut self) -> io::Result<Content> {
        let mut bytes = Vec::new();
        (&self.file).rewind()?;
        (&self.file).take(LENGTH_MAX + 1).read_to_end(&mut bytes)?;
        Ok(if bytes.len() as u64 > LENGTH_MAX {
            Content::Other
        } else {
            Content::of(&bytes)
        })
    }

    /// Whether the name still leads to the file that is open.
    fn is_ours(&self) -> bool {
        let named = statat(&self.directory, &*self.name, AtFlags::SYMLINK_NOFOLLOW);
        let held = self.file.metadata();
        matches!((named, held), (Ok(named), Ok(held)) if (named.st_dev, named.st_ino) == (held.dev(), held.ino()))
    }
}

/// Whatever the mask is, who has made the file reads and writes it.
fn make_readable(file: impl AsFd, found: &Stat) -> Result<(), Errno> {
    let mode = Mode::from_raw_mode(found.st_mode);
    let ours = Mode::RUSR | Mode::WUSR;
    let is_new = found.st_size == 0 && found.st_uid == geteuid().as_raw();
    if mode.contains(ours) || !is_new || FileType::from_raw_mode(found.st_mode) != FileType::RegularFile {
        return Ok(());
    }
    fchmod(file, mode | ours)
}

fn write(mut file: &fs::File) -> io::Result<()> {
    file.set_len(0)?;
    file.rewind()?;
    file.write_all(format!("{}\n", std::process::id()).as_bytes())
}

impl Drop for PidFile {
    fn drop(&mut self) {
        if self.name.is_empty() || !self.is_ours() {
            return;
        }
        if let Err(error) = unlinkat(&self.directory, &*self.name, AtFlags::empty()) {
            // Whoever comes next sees that nobody holds it, and that no process by that number is old enough.
            warn!(
                "the pid file {} stays behind: {}",
                self.path.display(),
                reason(&error.into())
            );
        }
    }
}

/// Clocks are not that exact, and a number is written some time after its process starts.
const BLUR: Duration = Duration::from_secs(2);

/// A process that is younger than a file has not written it.
fn could_have_written(age: Duration, since_written: Duration) -> bool {
    age + BLUR >= since_written
}

/// How long a process has been there.
fn age(pid: Pid) -> Option<Duration> {
    /// USER_HZ, which the kernel counts in towards programs whatever its own clock.
    const TICKS_PER_SECOND: f64 = 100.0;
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let started: f64 = started_ticks(&stat)?.parse().ok()?;
    let uptime = fs::read_to_string("/proc/uptime").ok()?;
    let uptime: f64 = uptime.split(' ').next()?.parse().ok()?;
    Duration::try_from_secs_f64(uptime - started / TICKS_PER_SECOND).ok()
}

/// The field `starttime` of /proc/PID/stat. The name of the program comes before it and may hold anything.
fn started_ticks(stat: &str) -> Option<&str> {
    /// Counted from the field behind the name, which is the third.
    const STARTTIME: usize = 22 - 3;
    stat.rsplit_once(") ")?.1.split(' ').nth(STARTTIME)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;
    use std::process::Command;

    use super::*;

    fn refusal(path: &Path) -> String {
        let error = PidFile::take(path).expect_err("taken");
        assert_eq!(error.status(), Status::Failure);
        assert_eq!(
            error.what(),
            format!("could not take the pid file {}", path.display())
        );
        error.why().to_owned()
    }

    fn dead() -> String {
        let mut child = Command::new("true").spawn().unwrap();
        child.wait().unwrap();
        child.id().to_string()
    }

    #[test]
    fn it_holds_our_number_and_goes_with_us() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("pid");
        let held = PidFile::take(&path).unwrap();
        assert_eq!(
            fs::read_to_string(&path).unwrap(),
            format!("{}\n", std::process::id())
        );
        drop(held);
        assert!(!path.exists());
    }

    #[test]
    fn who_holds_it_cannot_write_it() {
        use rustix::fs::fcntl_getfl;
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("pid");
        let held = PidFile::take(&path).unwrap();
        assert_eq!(fcntl_getfl(&held.file).unwrap() & OFlags::RWMODE, OFlags::RDONLY);
        let open: Vec<_> = fs::read_dir("/proc/self/fd")
            .unwrap()
            .filter(|entry| fs::read_link(entry.as_ref().unwrap().path()).is_ok_and(|to| to == path))
            .collect();
        assert_eq!(open.len(), 1);
    }

    #[test]
    fn a_held_one_is_refused_and_stays() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("pid");
        let held = PidFile::take(&path).unwrap();
        let number = std::process::id();
        assert_eq!(refusal(&path), format!("process {number} holds it"));
        assert_eq!(fs::read_to_string(&path).unwrap(), format!("{number}\n"));
        drop(held);
        assert!(!path.exists());
    }

    #[test]
    fn who_locks_what_the_dead_left_is_not_called_by_their_number() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("pid");
        let dead = dead();
        fs::write(&path, &dead).unwrap();
        let reader = fs::File::open(&path).unwrap();
        flock(&reader, FlockOperation::LockShared).unwrap();
        assert_eq!(
            refusal(&path),
            format!("process {dead}, which it names, is not there, and another one has locked it")
        );
        assert_eq!(fs::read_to_string(&path).unwrap(), dead);
    }

    #[test]
    fn what_the_dead_left_is_taken_over() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("pid");
        for left in [&dead(), "", "\n", &format!("  {} \n", dead()), "1999999999"] {
            fs::write(&path, left).unwrap();
            let held = PidFile::take(&path).unwrap();
            assert_eq!(
                fs::read_to_string(&path).unwrap().trim(),
                std::process::id().to_string()
            );
            drop(held);
            assert!(!path.exists(), "{left:?}");
        }
    }

    #[test]
    fn a_living_process_keeps_its_file_though_it_locks_nothing() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("pid");
        let mut child = Command::new("sleep").arg("60").spawn().unwrap();
        let text = format!("{}\n", child.id());
        fs::write(&path, &text).unwrap();
        let error = PidFile::take(&path).unwrap_err();
        assert_eq!(error.why(), format!("process {} is there", child.id()));
        assert!(error.help_text().unwrap().contains("remove"));
        assert_eq!(fs::read_to_string(&path).unwrap(), text);
        child.kill().unwrap();
        child.wait().unwrap();
        drop(PidFile::take(&path).unwrap());
    }

    #[test]
    fn a_number_that_was_given_anew_is_no_sign_of_life() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("pid");
        let mut child = Command::new("sleep").arg("60").spawn().unwrap();
        fs::write(&path, child.id().to_string()).unwrap();
        // Written an hour before that process started.
        let old = SystemTime::now() - Duration::from_secs(3600);
        fs::File::options()
            .write(true)
            .open(&path)
            .unwrap()
            .set_modified(old)
            .unwrap();
        let taken = PidFile::take(&path);
        child.kill().unwrap();
        child.wait().unwrap();
        drop(taken.unwrap());
        assert!(!path.exists());
        assert!(could_have_written(
            Duration::from_secs(10),
            Duration::from_secs(10)
        ));
        assert!(could_have_written(
            Duration::from_secs(9),
            Duration::from_secs(10)
        ));
        assert!(!could_have_written(
            Duration::from_secs(1),
            Duration::from_secs(10)
        ));
    }

    #[test]
    fn the_age_is_found_behind_any_name() {
        let stat = "12 (a) b (c) S 1 12 12 0 -1 4194560 1 0 0 0 0 0 0 0 20 0 1 0 8812345 5 6 7 8 9 10 11 12 13 14 15";
        assert_eq!(started_ticks(stat), Some("8812345"));
        assert_eq!(started_ticks("nonsense"), None);
        let own = age(getpid()).unwrap();
        assert!(own < Duration::from_secs(24 * 3600), "{own:?}");
    }

    #[test]
    fn what_is_no_pid_file_is_left_alone() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("pid");
        for text in [
            "precious",
            "-1",
            "0",
            "+7",
            "12 13",
            "99999999999",
            &"1".repeat(40),
        ] {
            fs::write(&path, text).unwrap();
            assert_eq!(
                refusal(&path),
                "something else than a process number is in it",
                "{text}"
            );
            assert_eq!(fs::read_to_string(&path).unwrap(), text);
        }
        fs::remove_file(&path).unwrap();
        symlink(directory.path().join("elsewhere"), &path).unwrap();
        assert_eq!(refusal(&path), "it is a symbolic link");
        assert!(!directory.path().join("elsewhere").exists());
        fs::remove_file(&path).unwrap();
        rustix::fs::mknodat(rustix::fs::CWD, &path, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
        assert_eq!(refusal(&path), "it is not a regular file");
        assert!(path.exists());
    }

    #[test]
    fn places_where_there_can_be_none_are_named() {
        assert_eq!(
            refusal(Path::new("/nonexistent/pid")),
            "no such file or directory"
        );
        assert_eq!(
            refusal(Path::new("/proc/netkit.pid")),
            "no such file or directory"
        );
        assert_eq!(refusal(Path::new("/tmp/..")), "is a directory");
    }

    #[test]
    fn a_successors_file_is_not_ours_to_remove() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("pid");
        let held = PidFile::take(&path).unwrap();
        fs::remove_file(&path).unwrap();
        let successor = PidFile::take(&path).unwrap();
        drop(held);
        assert!(path.exists());
        drop(successor);
        assert!(!path.exists());
    }
}
