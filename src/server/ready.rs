//! Telling that all endpoints are bound: a line each in the log, a file that appears whole, a descriptor.
//! Absent: the service manager.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::fd::OwnedFd;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, Mode, OFlags, open, statat, unlinkat};
use tracing::info;

use crate::error::{Error, Result, Status};

/// The log target of the lines, so that a log can treat them apart.
pub const TARGET: &str = "netkit::ready";

/// Whom to tell, besides the log.
#[derive(Debug, Default)]
pub struct Ready {
    /// A file that gets the endpoints, a line each, by an atomic rename.
    pub file: Option<PathBuf>,
    /// A descriptor that gets the same and is closed.
    pub descriptor: Option<Descriptor>,
}

/// A descriptor to be told.
#[derive(Debug)]
pub enum Descriptor {
    /// One that was left open for this.
    Own(OwnedFd),
    /// Standard output, which is /dev/null from then on.
    Output,
    /// Standard error, which is /dev/null from then on.
    Error,
}

impl Descriptor {
    fn tell(self, lines: &[u8], null: &OwnedFd) -> io::Result<()> {
        match self {
            Descriptor::Own(own) => File::from(own).write_all(lines),
            Descriptor::Output => {
                let mut out = io::stdout().lock();
                out.write_all(lines)?;
                out.flush()?;
                Ok(rustix::stdio::dup2_stdout(null)?)
            }
            Descriptor::Error => {
                io::stderr().lock().write_all(lines)?;
                Ok(rustix::stdio::dup2_stderr(null)?)
            }
        }
    }
}

/// The ready file of an earlier run, out of the way until we know how this one goes.
#[derive(Debug)]
pub struct Earlier {
    /// Where it was, and where it is.
    moved: Option<(PathBuf, PathBuf)>,
}

impl Earlier {
    /// The run goes on: what an earlier one told no longer matters.
    pub fn forget(mut self) {
        if let Some((_, aside)) = self.moved.take() {
            let _ = fs::remove_file(aside);
        }
    }
}

/// Put back: the run has failed, and an earlier one may still be serving.
impl Drop for Earlier {
    fn drop(&mut self) {
        if let Some((path, aside)) = self.moved.take() {
            let _ = fs::rename(aside, path);
        }
    }
}

impl Ready {
    /// Moves away what an earlier run left: until everything is bound, nobody may take the file for an answer.
    ///
    /// # Errors
    /// Status 1: what is there is no file of an earlier run, and stays: a directory, a device, a FIFO, or a link, such as
    /// `/dev/stdout`.
    pub fn withdraw(&self) -> Result<Earlier> {
        let Some(file) = &self.file else {
            return Ok(Earlier { moved: None });
        };
        let kind = fs::symlink_metadata(file).map(|found| found.file_type());
        let why = match kind {
            Ok(kind) if kind.is_dir() => "it is a directory",
            Ok(kind) if kind.is_symlink() => "it is a symbolic link",
            Ok(kind) if !kind.is_file() => "it is not a regular file",
            // Where nothing can be found or moved, writing it will say why.
            _ => {
                let moved = beside(file, "old").and_then(|aside| {
                    fs::rename(file, &aside)?;
                    Ok((file.clone(), aside))
                });
                return Ok(Earlier { moved: moved.ok() });
            }
        };
        let error = Error::new(Status::Failure, why).on(not_written(file));
        Err(error
            .help("the ready file takes the place of what has its name; --ready-fd N writes to a descriptor"))
    }

    /// Writes the file, which may need what the process is about to give up, and nothing else yet. `endpoints` are
    /// client strings that lead here.
    ///
    /// # Errors
    /// Status 1: the file could not be written.
    pub fn write(self, endpoints: &[String]) -> Result<Written> {
        let lines = lines(endpoints);
        let file = match &self.file {
            None => None,
            Some(file) => Some(
                appear(file, lines.as_bytes())
                    .map_err(|error| Error::io(Status::Failure, &error).on(not_written(file)))?,
            ),
        };
        let null = || open("/dev/null", OFlags::WRONLY | OFlags::CLOEXEC, Mode::empty());
        let descriptor = match self.descriptor {
            None => None,
            Some(descriptor) => Some((descriptor, null().map_err(|error| not_told(&error.into()))?)),
        };
        Ok(Written {
            file,
            descriptor,
            endpoints: endpoints.to_vec(),
        })
    }
}

/// A file that tells, and the others that are still to be told. Dropped before, it takes the file back.
#[derive(Debug)]
pub struct Written {
    file: Option<Appeared>,
    /// The second is /dev/null, which need not be there any more when it is needed.
    descriptor: Option<(Descriptor, OwnedFd)>,
    endpoints: Vec<String>,
}

impl Written {
    /// Tells the others.
    ///
    /// # Errors
    /// Status 1: the descriptor could not be written.
    pub fn tell(mut self) -> Result<()> {
        if let Some((descriptor, null)) = self.descriptor.take() {
            descriptor
                .tell(lines(&self.endpoints).as_bytes(), &null)
                .map_err(|error| not_told(&error))?;
        }
        // Last: whoever waits for the lines may take it that the rest is done.
        for endpoint in &self.endpoints {
            info!(target: TARGET, "listening on {endpoint}");
        }
        self.file = None;
        Ok(())
    }
}

impl Drop for Written {
    fn drop(&mut self) {
        if let Some(file) = self.file.take() {
            file.remove();
        }
    }
}

fn lines(endpoints: &[String]) -> String {
    endpoints
        .iter()
        .flat_map(|endpoint| [endpoint.as_str(), "\n"])
        .collect()
}

fn not_written(file: &Path) -> String {
    format!("could not write the ready file {}", file.display())
}

fn not_told(error: &io::Error) -> Error {
    Error::io(Status::Failure, error).on("could not write to the ready descriptor")
}

/// A file that we made, and where it is found again from another directory or root.
#[derive(Debug)]
struct Appeared {
    directory: OwnedFd,
    name: OsString,
    inode: (u64, u64),
}

impl Appeared {
    fn remove(self) {
        let ours = statat(&self.directory, &*self.name, AtFlags::SYMLINK_NOFOLLOW)
            .is_ok_and(|found| (found.st_dev, found.st_ino) == self.inode);
        if ours {
            // Where it is not permitted any more, the failure that led here is what the user hears of.
            let _ = unlinkat(&self.directory, &*self.name, AtFlags::empty());
        }
    }
}

/// A name of our own beside a file.
fn beside(path: &Path, what: &str) -> io::Result<PathBuf> {
    let mut name = path.file_name().ok_or(io::ErrorKind::IsADirectory)?.to_owned();
    name.push(format!(".{what}.{}", std::process::id()));
    Ok(path.with_file_name(name))
}

/// Writes a file so that it is seen whole or not at all.
fn appear(path: &Path, content: &[u8]) -> io::Result<Appeared> {
    let draft = beside(path, "new")?;
    let parent = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    let directory = open(
        parent,
        OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC,
        Mode::empty(),
    )?;
    let create = || OpenOptions::new().write(true).create_new(true).open(&draft);
    // Never through a link that somebody has put there.
    let file = match create() {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            fs::remove_file(&draft)?;
            create()
        }
        file => file,
    };
    let written = file.and_then(|mut file| {
        file.write_all(content)?;
        let made = file.metadata()?;
        fs::rename(&draft, path)?;
        Ok((made.dev(), made.ino()))
    });
    if written.is_err() {
        let _ = fs::remove_file(&draft);
    }
    Ok(Appeared {
        directory,
        name: path.file_name().unwrap_or_default().to_owned(),
        inode: written?,
    })
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use rustix::fs::{CWD, FileType, mknodat};

    use super::*;

    #[test]
    fn the_file_and_the_descriptor_get_the_same_lines() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("ready");
        fs::write(&file, "stale").unwrap();
        let (mut reader, writer) = io::pipe().unwrap();
        let ready = Ready {
            file: Some(file.clone()),
            descriptor: Some(Descriptor::Own(writer.into())),
        };
        let earlier = ready.withdraw().unwrap();
        assert!(!file.exists());
        earlier.forget();
        let written = ready.write(&["tcp:127.0.0.1:1".into(), "unix:/x".into()]);
        written.unwrap().tell().unwrap();
        let mut got = String::new();
        reader.read_to_string(&mut got).unwrap();
        assert_eq!(got, "tcp:127.0.0.1:1\nunix:/x\n");
        assert_eq!(fs::read_to_string(&file).unwrap(), got);
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_file_that_cannot_be_written_is_named() {
        let error = Ready {
            file: Some("/nonexistent/ready".into()),
            descriptor: None,
        }
        .write(&[])
        .unwrap_err();
        assert_eq!(error.what(), "could not write the ready file /nonexistent/ready");
    }

    #[test]
    fn a_run_that_fails_leaves_the_earlier_ones_file() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("ready");
        fs::write(&file, "tcp:127.0.0.1:1\n").unwrap();
        let ready = Ready {
            file: Some(file.clone()),
            descriptor: None,
        };
        drop(ready.withdraw().unwrap());
        assert_eq!(fs::read_to_string(&file).unwrap(), "tcp:127.0.0.1:1\n");
    }

    #[test]
    fn what_no_run_has_left_stays_where_it_is() {
        let directory = tempfile::tempdir().unwrap();
        let at = |name: &str| directory.path().join(name);
        fs::create_dir(at("directory")).unwrap();
        mknodat(CWD, at("fifo"), FileType::Fifo, Mode::RUSR, 0).unwrap();
        fs::write(at("file"), "precious").unwrap();
        std::os::unix::fs::symlink(at("file"), at("link")).unwrap();
        for (name, why) in [
            ("directory", "it is a directory"),
            ("fifo", "it is not a regular file"),
            ("link", "it is a symbolic link"),
            (".", "it is a directory"),
        ] {
            let ready = Ready {
                file: Some(at(name)),
                descriptor: None,
            };
            let error = ready.withdraw().unwrap_err();
            assert_eq!((error.status(), error.why()), (Status::Failure, why), "{name}");
        }
        let mut left: Vec<_> = fs::read_dir(directory.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name())
            .collect();
        left.sort();
        assert_eq!(left, ["directory", "fifo", "file", "link"]);
    }

    #[test]
    fn a_failure_after_it_was_written_takes_it_back() {
        let outer = tempfile::tempdir().unwrap();
        let (before, after) = (outer.path().join("before"), outer.path().join("after"));
        fs::create_dir(&before).unwrap();
        let ready = Ready {
            file: Some(before.join("ready")),
            descriptor: None,
        };
        let written = ready.write(&["tcp:127.0.0.1:1".into()]).unwrap();
        // As with another root: the path leads elsewhere.
        fs::rename(&before, &after).unwrap();
        assert!(after.join("ready").exists());
        drop(written);
        assert_eq!(fs::read_dir(&after).unwrap().count(), 0);
    }

    #[test]
    fn a_planted_link_is_not_followed() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("ready");
        let victim = directory.path().join("victim");
        fs::write(&victim, "precious").unwrap();
        std::os::unix::fs::symlink(&victim, beside(&file, "new").unwrap()).unwrap();
        appear(&file, b"x").unwrap();
        assert_eq!(fs::read_to_string(&victim).unwrap(), "precious");
        assert_eq!(fs::read_to_string(&file).unwrap(), "x");
    }
}
