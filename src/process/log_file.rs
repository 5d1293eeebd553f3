//! The file of a log: appended to, and opened anew after it was moved away, wherever the process has gone since.
//! Absent: what is written.

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, OnceLock, PoisonError};

use rustix::fs::{
    Access, AtFlags, CWD, Gid, Mode, OFlags, Uid, access, accessat, fchown, fcntl_getfl, fcntl_setfl, openat,
};
use rustix::io::Errno;

use crate::error::{Error, Result, Status, reason};

/// The file.
pub(super) struct LogFile {
    /// As the user wrote it.
    path: PathBuf,
    /// The same, wherever the process goes.
    absolute: PathBuf,
    /// Where the file is found once the process has another root.
    directory: OnceLock<OwnedFd>,
    /// It was missing when it was opened first.
    made: bool,
    open: Mutex<State>,
}

struct State {
    file: File,
    /// The last write failed, and that was said.
    failing: bool,
}

impl LogFile {
    /// Opens it, and makes it where it is missing.
    pub(super) fn open(path: &Path) -> Result<Self> {
        let (file, made) = match open(CWD, path, OFlags::EXCL) {
            Ok(file) => (Ok(file), true),
            // Nor is it ours where it cannot be made.
            Err(_) => (open(CWD, path, OFlags::empty()), false),
        };
        let file = file.map_err(|error| not_opened(path, &error))?;
        Ok(LogFile {
            path: path.to_owned(),
            absolute: std::path::absolute(path).unwrap_or_else(|_| path.to_owned()),
            directory: OnceLock::new(),
            made,
            open: Mutex::new(State { file, failing: false }),
        })
    }

    /// Opens it anew; the old one stays in use where that fails.
    pub(super) fn reopen(&self) -> Result<()> {
        let file = match (self.directory.get(), self.absolute.file_name()) {
            (Some(directory), Some(name)) => open(directory, Path::new(name), OFlags::empty()),
            _ => open(CWD, &self.absolute, OFlags::empty()),
        };
        let file = file.map_err(|error| not_opened(&self.path, &error))?;
        *self.open.lock().unwrap_or_else(PoisonError::into_inner) = State { file, failing: false };
        Ok(())
    }

    /// Gives it to somebody, if it was made here: what was there before is whose it is.
    pub(super) fn give(&self, user: Option<Uid>, group: Option<Gid>) -> io::Result<()> {
        if !self.made {
            return Ok(());
        }
        let state = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(fchown(&state.file, user, group)?)
    }

    /// Whether it can be opened anew by who we are now: as it is, or made where it is missing.
    pub(super) fn check_reopening(&self) -> io::Result<()> {
        let parent = self.absolute.parent().unwrap_or(&self.absolute);
        let may = |directory: Option<&OwnedFd>, path: &Path| match directory {
            Some(directory) => accessat(directory, path, Access::WRITE_OK, AtFlags::empty()),
            None => access(path, Access::WRITE_OK),
        };
        let (file, place) = match (self.directory.get(), self.absolute.file_name()) {
            (Some(directory), Some(name)) => {
                let directory = Some(directory);
                (may(directory, Path::new(name)), may(directory, Path::new(".")))
            }
            _ => (may(None, &self.absolute), may(None, parent)),
        };
        let told = if file == Err(Errno::NOENT) { place } else { file };
        told.map_err(io::Error::from)
    }

    /// From now on it is found through its directory.
    pub(super) fn keep_directory(&self) -> Result<()> {
        let parent = self.absolute.parent().unwrap_or(&self.absolute);
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let directory = openat(CWD, parent, flags, Mode::empty())
            .map_err(|error| not_opened(&self.path, &error.into()))?;
        let _ = self.directory.set(directory);
        Ok(())
    }

    /// Where it is, whatever the current directory.
    pub(super) fn absolute(&self) -> &Path {
        &self.absolute
    }

    pub(super) fn write(&self, line: &str) {
        let mut state = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        match state.file.write_all(line.as_bytes()) {
            Ok(()) => state.failing = false,
            Err(error) => {
                if !state.failing {
                    let path = self.path.display();
                    let _ = writeln!(
                        io::stderr(),
                        "warning: could not write the log {path}: {}",
                        reason(&error)
                    );
                }
                state.failing = true;
            }
        }
    }
}

/// For appending, made where it is missing. A terminal that is named does not become ours.
fn open(directory: impl AsFd, path: &Path, more: OFlags) -> io::Result<File> {
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::APPEND | OFlags::NOCTTY | OFlags::CLOEXEC;
    // Or the whole process would wait for somebody to read a FIFO.
    let at_once = OFlags::NONBLOCK;
    let file = match openat(
        directory,
        path,
        flags | more | at_once,
        Mode::from_raw_mode(0o666),
    ) {
        Err(Errno::NXIO) => return Err(io::Error::other("it is a FIFO that nobody reads")),
        file => file?,
    };
    // A line is not cut short because whoever reads is slow.
    fcntl_setfl(&file, fcntl_getfl(&file)?.difference(at_once))?;
    Ok(file.into())
}

fn not_opened(path: &Path, error: &io::Error) -> Error {
    Error::io(Status::Failure, error).on(format!("could not open the log {}", path.display()))
}

#[cfg(test)]
mod tests {
    use rustix::fs::{FileType, mknodat};

    use super::*;

    #[test]
    fn a_fifo_is_a_log_as_long_as_somebody_reads_it() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("log");
        mknodat(CWD, &path, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
        let refused = LogFile::open(&path).err().unwrap();
        assert_eq!(refused.why(), "it is a FIFO that nobody reads");
        let reader = openat(CWD, &path, OFlags::RDONLY | OFlags::NONBLOCK, Mode::empty()).unwrap();
        let log = LogFile::open(&path).unwrap();
        log.write("a line\n");
        let mut line = [0; 7];
        rustix::io::read(&reader, &mut line).unwrap();
        assert_eq!(&line, b"a line\n");
        drop(reader);
        assert!(log.reopen().is_err());
    }
}
