//! One file, read whole: what it may be, how much of it is taken, and how long somebody may take to write it.
//! Absent: what is in it.

use std::fmt;
use std::fs::{self, File, Metadata};
use std::io::{self, Read};
use std::os::unix::fs::FileTypeExt;
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;

use crate::error::reason;
use crate::units::size_text;

/// Whoever is at the other end of a pipe has this long to write all of it: a shell's `<(...)` is there at once.
const PATIENCE: Duration = Duration::from_secs(5);

/// What was read, and from what.
#[derive(Debug)]
pub(crate) struct Whole {
    pub(crate) bytes: Vec<u8>,
    /// Of the open file, so that it is the one that was read. If it is a pipe, it is not there a second time.
    pub(crate) metadata: Metadata,
}

/// Why nothing was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Unread {
    /// The system refused, and why.
    Failed(String),
    /// It is no file, but this.
    Other(&'static str),
    /// It has more bytes than these.
    TooLarge(u64),
    /// A pipe that nobody wrote to for so long.
    Unwritten(Duration),
    /// A pipe that somebody still had open for writing after so long.
    Unended(Duration),
}

/// Goes on from a name: `could not read users.toml: it is a directory, not a file`.
impl fmt::Display for Unread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Unread::Failed(why) => f.write_str(why),
            Unread::Other(kind) => write!(f, "it is {kind}, not a file"),
            Unread::TooLarge(most) => write!(f, "it is longer than {}", size_text(*most)),
            Unread::Unwritten(limit) => {
                write!(
                    f,
                    "it is a pipe, and nobody wrote to it within {}s",
                    limit.as_secs()
                )
            }
            Unread::Unended(limit) => {
                let seconds = limit.as_secs();
                write!(
                    f,
                    "it is a pipe, and whoever writes to it did not end within {seconds}s"
                )
            }
        }
    }
}

fn failed(error: impl Into<io::Error>) -> Unread {
    Unread::Failed(reason(&error.into()))
}

/// Reads a regular file, or a pipe that somebody writes to now, of `most` bytes. Everything else is refused rather than
/// waited for.
pub(crate) fn read(path: &Path, most: u64) -> Result<Whole, Unread> {
    read_within(path, most, PATIENCE)
}

fn read_within(path: &Path, most: u64, patience: Duration) -> Result<Whole, Unread> {
    // Not to wait here for whoever might open the other end, nor to make a terminal ours.
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC | OFlags::NOCTTY;
    let file = rustix::fs::open(path, flags, Mode::empty()).map_err(|error| {
        // A socket has a name, and nobody can open it.
        match fs::metadata(path).map(|found| found.file_type()) {
            Ok(kind) if error == Errno::NXIO && kind.is_socket() => Unread::Other("a socket"),
            _ => failed(error),
        }
    })?;
    let file = File::from(file);
    let metadata = file.metadata().map_err(failed)?;
    let kind = metadata.file_type();
    let bytes = if kind.is_file() {
        let mut bytes = Vec::new();
        file.take(most.saturating_add(1))
            .read_to_end(&mut bytes)
            .map_err(failed)?;
        bytes
    } else if kind.is_fifo() {
        through_pipe(&file, most, patience)?
    } else {
        return Err(Unread::Other(if kind.is_dir() {
            "a directory"
        } else if kind.is_socket() {
            "a socket"
        } else if kind.is_char_device() && rustix::termios::isatty(&file) {
            "a terminal"
        } else {
            "a device"
        }));
    };
    if bytes.len() as u64 > most {
        return Err(Unread::TooLarge(most));
    }
    Ok(Whole { bytes, metadata })
}

/// All that comes through a pipe until its writers are gone; at most one byte more than is wanted.
fn through_pipe(pipe: &File, most: u64, patience: Duration) -> Result<Vec<u8>, Unread> {
    let deadline = Instant::now() + patience;
    let mut bytes = Vec::new();
    let mut piece = vec![0; 64 * 1024];
    while bytes.len() as u64 <= most {
        match rustix::io::read(pipe, &mut piece[..]) {
            // Before the first writer came this says nothing; after it, that there is no more.
            Ok(0) if bytes.is_empty() => {}
            Ok(0) => break,
            Ok(count) => {
                bytes.extend_from_slice(&piece[..count]);
                continue;
            }
            Err(Errno::AGAIN | Errno::INTR) => {}
            Err(error) => return Err(failed(error)),
        }
        let left = deadline.saturating_duration_since(Instant::now());
        let mut waited = [PollFd::new(pipe, PollFlags::IN)];
        let limit = Timespec::try_from(left).unwrap_or_default();
        match poll(&mut waited, Some(&limit)) {
            Ok(0) => {
                return Err(match bytes.is_empty() {
                    true => Unread::Unwritten(patience),
                    false => Unread::Unended(patience),
                });
            }
            // A writer came and went, and left nothing.
            Ok(_) if waited[0].revents() == PollFlags::HUP && bytes.is_empty() => break,
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) => return Err(failed(error)),
        }
    }
    Ok(bytes)
}

/// Whether it is a pipe, so that what it held is gone once it was read.
pub(crate) fn is_pipe(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|found| found.file_type().is_fifo())
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::os::fd::{AsRawFd, OwnedFd};
    use std::os::unix::net::UnixListener;

    use rustix::fs::FileType;

    use super::*;

    const LARGEST: u64 = 1024 * 1024;

    fn why(path: &Path) -> String {
        read_within(path, LARGEST, Duration::from_millis(50))
            .map(|_| ())
            .unwrap_err()
            .to_string()
    }

    #[test]
    fn what_is_no_file_is_called_what_it_is() {
        let home = tempfile::tempdir().unwrap();
        let at = |name: &str| home.path().join(name);
        let _socket = UnixListener::bind(at("socket")).unwrap();
        let (_master, terminal) = terminal();
        fs::write(at("large"), vec![b' '; LARGEST as usize + 1]).unwrap();
        for (path, words) in [
            (home.path(), "it is a directory, not a file"),
            (&at("socket"), "it is a socket, not a file"),
            (&terminal, "it is a terminal, not a file"),
            (Path::new("/dev/zero"), "it is a device, not a file"),
            (&at("large"), "it is longer than 1MiB"),
            (&at("none"), "no such file or directory"),
        ] {
            assert_eq!(why(path), words);
        }
        fs::write(at("full"), vec![b' '; LARGEST as usize]).unwrap();
        assert_eq!(read(&at("full"), LARGEST).unwrap().bytes.len() as u64, LARGEST);
    }

    fn terminal() -> (OwnedFd, std::path::PathBuf) {
        use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
        let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        grantpt(&master).unwrap();
        unlockpt(&master).unwrap();
        let name = ptsname(&master, Vec::new()).unwrap().into_string().unwrap();
        (master, name.into())
    }

    #[test]
    fn a_pipe_is_read_to_its_end_and_waited_for_no_longer_than_that() {
        let (reader, mut writer) = io::pipe().unwrap();
        let path = Path::new("/proc/self/fd").join(reader.as_raw_fd().to_string());
        // More than fits, so that it comes in pieces.
        let writing = std::thread::spawn(move || writer.write_all(&[b'x'; 200_000]).unwrap());
        let whole = read(&path, LARGEST).unwrap();
        assert!(whole.metadata.file_type().is_fifo());
        assert_eq!(whole.bytes.len(), 200_000);
        writing.join().unwrap();

        // Its writer is gone, and the kernel remembers that there was one.
        assert_eq!(read(&path, LARGEST).unwrap().bytes, b"");
        let (reader, mut writer) = io::pipe().unwrap();
        let path = Path::new("/proc/self/fd").join(reader.as_raw_fd().to_string());
        assert_eq!(why(&path), "it is a pipe, and nobody wrote to it within 0s");
        writer.write_all(b"half").unwrap();
        assert_eq!(
            why(&path),
            "it is a pipe, and whoever writes to it did not end within 0s"
        );
        // Written before anybody looked, as a shell's substitution often is.
        writer.write_all(b"whole").unwrap();
        drop(writer);
        assert_eq!(read(&path, LARGEST).unwrap().bytes, b"whole");
        assert!(is_pipe(&path));
    }

    #[test]
    fn a_writer_that_leaves_nothing_leaves_an_empty_file() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("pipe");
        rustix::fs::mknodat(
            rustix::fs::CWD,
            &path,
            FileType::Fifo,
            Mode::from_raw_mode(0o600),
            0,
        )
        .unwrap();
        assert_eq!(why(&path), "it is a pipe, and nobody wrote to it within 0s");
        let there = path.clone();
        // Waits for a reader, and is gone at once.
        let writing = std::thread::spawn(move || drop(fs::OpenOptions::new().write(true).open(there)));
        assert_eq!(read(&path, LARGEST).unwrap().bytes, b"");
        writing.join().unwrap();
    }
}
