//! Telling that all endpoints are bound: a line each in the log, a file that appears whole, a descriptor.
//! Absent: the service manager.

use std::fs::{self, File};
use std::io::{self, Write};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

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
    pub descriptor: Option<OwnedFd>,
}

impl Ready {
    /// Removes what an earlier run left: until everything is bound, nobody may take the file for an answer.
    pub fn withdraw(&self) {
        if let Some(file) = &self.file {
            // Where it cannot be removed, writing it will say why.
            let _ = fs::remove_file(file);
        }
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
            File::from(descriptor)
                .write_all(lines.as_bytes())
                .map_err(|error| {
                    Error::io(Status::Failure, &error).on("could not write to the ready descriptor")
                })?;
        }
        Ok(())
    }
}

/// Writes a file so that it is seen whole or not at all.
fn appear(path: &Path, content: &[u8]) -> io::Result<()> {
    let mut name = path.file_name().ok_or(io::ErrorKind::IsADirectory)?.to_owned();
    name.push(format!(".{}", std::process::id()));
    let draft = path.with_file_name(name);
    let written = fs::write(&draft, content).and_then(|()| fs::rename(&draft, path));
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
            descriptor: Some(writer.into()),
        };
        ready.withdraw();
        assert!(!file.exists());
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
}
