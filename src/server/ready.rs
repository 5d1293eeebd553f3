//! Telling that all endpoints are bound: a line each in the log, a file that appears whole, a descriptor.
//! Absent: the service manager.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, OFlags, open};
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
    fn tell(self, lines: &[u8]) -> io::Result<()> {
        let null = || open("/dev/null", OFlags::WRONLY | OFlags::CLOEXEC, Mode::empty());
        match self {
            Descriptor::Own(own) => File::from(own).write_all(lines),
            Descriptor::Output => {
                let mut out = io::stdout().lock();
                out.write_all(lines)?;
                out.flush()?;
                Ok(rustix::stdio::dup2_stdout(null()?)?)
            }
            Descriptor::Error => {
                io::stderr().lock().write_all(lines)?;
                Ok(rustix::stdio::dup2_stderr(null()?)?)
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
    #[must_use]
    pub fn withdraw(&self) -> Earlier {
        let moved = self.file.as_ref().and_then(|file| {
            let aside = beside(file, "old").ok()?;
            // Where it cannot be moved, writing it will say why.
            fs::rename(file, &aside).ok()?;
            Some((file.clone(), aside))
        });
        Earlier { moved }
    }

    /// Tells. `endpoints` are client strings that lead here.
    ///
    /// # Errors
    /// Status 1: the file or the descriptor could not be written.
    pub fn tell(self, endpoints: &[String]) -> Result<()> {
        for endpoint in endpoints {
            info!(target: TARGET, "listening on {endpoint}");
        }
        let lines: String = endpoints
            .iter()
            .flat_map(|endpoint| [endpoint.as_str(), "\n"])
            .collect();
        if let Some(file) = &self.file {
            appear(file, lines.as_bytes()).map_err(|error| {
                Error::io(Status::Failure, &error)
                    .on(format!("could not write the ready file {}", file.display()))
            })?;
        }
        if let Some(descriptor) = self.descriptor {
            descriptor.tell(lines.as_bytes()).map_err(|error| {
                Error::io(Status::Failure, &error).on("could not write to the ready descriptor")
            })?;
        }
        Ok(())
    }
}

/// A name of our own beside a file.
fn beside(path: &Path, what: &str) -> io::Result<PathBuf> {
    let mut name = path.file_name().ok_or(io::ErrorKind::IsADirectory)?.to_owned();
    name.push(format!(".{what}.{}", std::process::id()));
    Ok(path.with_file_name(name))
}

/// Writes a file so that it is seen whole or not at all.
fn appear(path: &Path, content: &[u8]) -> io::Result<()> {
    let draft = beside(path, "new")?;
    let create = || OpenOptions::new().write(true).create_new(true).open(&draft);
    // Never through a link that somebody has put there.
    let file = match create() {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            fs::remove_file(&draft)?;
            create()
        }
        file => file,
    };
    let written = file
        .and_then(|mut file| file.write_all(content))
        .and_then(|()| fs::rename(&draft, path));
    if written.is_err() {
        let _ = fs::remove_file(&draft);
    }
    written
}

#[cfg(test)]
mod tests {
    use std::io::Read;

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
        let earlier = ready.withdraw();
        assert!(!file.exists());
        earlier.forget();
        ready.tell(&["tcp:127.0.0.1:1".into(), "unix:/x".into()]).unwrap();
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
        .tell(&[])
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
        drop(ready.withdraw());
        assert_eq!(fs::read_to_string(&file).unwrap(), "tcp:127.0.0.1:1\n");
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
