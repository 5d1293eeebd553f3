//! One file, read whole: what it may be, how much of it is taken, and how long somebody may take to write it.
//! Absent: what is in it.

use std::fs;
use std::io::{self, Read};
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::FileTypeExt;
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{FileType, Mode, OFlags};
use rustix::io::Errno;

use super::Fault;
use crate::error::reason;

/// Several times the certificates of all authorities of the world.
const LARGEST: u64 = 1024 * 1024;

/// Whoever is at the other end of a pipe has this long to write all of it: a shell's `<(...)` is there at once.
const PATIENCE: Duration = Duration::from_secs(5);

/// What was read, and from what.
pub(super) struct Whole {
    pub(super) bytes: Vec<u8>,
    /// It came through a pipe, and is not there a second time.
    pub(super) pipe: bool,
    /// Everybody on this machine could have read it.
    pub(super) for_all: bool,
}

/// A path within a line of a message.
#[must_use]
pub fn shown(path: &Path) -> String {
    format!("`{}`", path.display().to_string().escape_debug())
}

/// A path as a word of a command that is shown to be pasted into a shell: it means this path, and no byte of it reaches
/// a terminal that could heed it.
pub(super) fn in_shell(path: &Path) -> String {
    let bytes = path.as_os_str().as_bytes();
    let is_plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"/._-+,:@%".contains(byte);
    // A tool would take what begins so for an option.
    let prefix = if bytes.starts_with(b"-") { "./" } else { "" };
    let text = path.to_string_lossy();
    if !bytes.is_empty() && bytes.iter().all(is_plain) {
        format!("{prefix}{text}")
    } else if path.to_str().is_some() && text.escape_debug().eq(text.chars()) {
        format!("'{prefix}{text}'")
    } else {
        // What bash, zsh and ksh read; the others have no way to write such bytes.
        format!("$'{prefix}{}'", bytes.escape_ascii())
    }
}

/// Reads a regular file, or a pipe that somebody writes to now. Everything else is refused rather than waited for.
pub(super) fn read(path: &Path) -> Result<Whole, Fault> {
    read_within(path, PATIENCE)
}

fn read_within(path: &Path, patience: Duration) -> Result<Whole, Fault> {
    let failed = |error: io::Error| Fault::new(format!("cannot read {}: {}", shown(path), reason(&error)));
    // Not to wait here for whoever might open the other end, nor to make a terminal ours.
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC | OFlags::NOCTTY;
    let file = rustix::fs::open(path, flags, Mode::empty()).map_err(|error| {
        // A socket has a name, and nobody can open it.
        match fs::metadata(path).map(|found| found.file_type()) {
            Ok(kind) if error == Errno::NXIO && kind.is_socket() => other(path, "a socket"),
            _ => failed(error.into()),
        }
    })?;
    let found = rustix::fs::fstat(&file).map_err(|error| failed(error.into()))?;
    let kind = FileType::from_raw_mode(found.st_mode);
    let bytes = match kind {
        FileType::RegularFile => {
            let mut bytes = Vec::new();
            let file = fs::File::from(file);
            file.take(LARGEST + 1).read_to_end(&mut bytes).map_err(failed)?;
            bytes
        }
        FileType::Fifo => through_pipe(file, path, patience)?,
        FileType::Directory => return Err(other(path, "a directory")),
        FileType::Socket => return Err(other(path, "a socket")),
        FileType::CharacterDevice if rustix::termios::isatty(&file) => return Err(other(path, "a terminal")),
        _ => return Err(other(path, "a device")),
    };
    if bytes.len() as u64 > LARGEST {
        let why = format!(
            "{} is larger than 1 MiB, and nothing of this kind is",
            shown(path)
        );
        return Err(Fault::new(why));
    }
    Ok(Whole {
        bytes,
        pipe: kind == FileType::Fifo,
        for_all: kind == FileType::RegularFile && found.st_mode & 0o004 != 0,
    })
}

fn other(path: &Path, kind: &str) -> Fault {
    Fault::new(format!("{} is {kind}, not a file", shown(path)))
}

/// All that comes through a pipe until its writers are gone; at most one byte more than is wanted.
fn through_pipe(pipe: OwnedFd, path: &Path, patience: Duration) -> Result<Vec<u8>, Fault> {
    let failed = |error: Errno| {
        let error = io::Error::from(error);
        Fault::new(format!("cannot read {}: {}", shown(path), reason(&error)))
    };
    let deadline = Instant::now() + patience;
    let mut bytes = Vec::new();
    let mut piece = vec![0; 64 * 1024];
    while bytes.len() as u64 <= LARGEST {
        match rustix::io::read(&pipe, &mut piece[..]) {
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
        let mut waited = [PollFd::new(&pipe, PollFlags::IN)];
        let limit = Timespec::try_from(left).unwrap_or_default();
        match poll(&mut waited, Some(&limit)) {
            Ok(0) => {
                let seconds = patience.as_secs();
                let why = match bytes.is_empty() {
                    true => format!("nobody wrote to the pipe {} within {seconds}s", shown(path)),
                    false => format!(
                        "whoever writes to the pipe {} did not end within {seconds}s",
                        shown(path)
                    ),
                };
                return Err(Fault::new(why));
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
pub(super) fn is_pipe(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|found| found.file_type().is_fifo())
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::os::fd::AsRawFd;
    use std::os::unix::fs::PermissionsExt;
    use std::os::unix::net::UnixListener;

    use super::*;

    fn why(path: &Path) -> String {
        let fault = read_within(path, Duration::from_millis(50))
            .map(|_| ())
            .unwrap_err();
        fault.why.replace(&shown(path), "it")
    }

    #[test]
    fn a_path_in_a_command_means_itself_to_a_shell_and_nothing_to_a_terminal() {
        for (path, word) in [
            (&b"/a/b-c.pem"[..], "/a/b-c.pem"),
            (b"-rf", "./-rf"),
            (b"a b;$(x)`y`", "'a b;$(x)`y`'"),
            (b"it's \"\x1b[31m\\\n", r#"$'it\'s \"\x1b[31m\\\n'"#),
            (b"\xff", r"$'\xff'"),
            ("\u{9b}31m".as_bytes(), r"$'\xc2\x9b31m'"),
        ] {
            let path = Path::new(std::ffi::OsStr::from_bytes(path));
            assert_eq!(in_shell(path), word);
            let echoed = std::process::Command::new("bash")
                .args(["-c", &format!("printf %s {word}")])
                .output();
            if let Ok(echoed) = echoed {
                let meant = echoed.stdout.strip_prefix(b"./").unwrap_or(&echoed.stdout);
                assert_eq!(meant, path.as_os_str().as_bytes());
            }
        }
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
            (
                &at("large"),
                "it is larger than 1 MiB, and nothing of this kind is",
            ),
            (&at("none"), "cannot read it: no such file or directory"),
        ] {
            assert_eq!(why(path), words);
        }
        fs::write(at("full"), vec![b' '; LARGEST as usize]).unwrap();
        assert_eq!(read(&at("full")).unwrap().bytes.len() as u64, LARGEST);
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
    fn a_file_that_everybody_reads_is_told_from_one_that_they_do_not() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("f");
        fs::write(&path, "x").unwrap();
        for (mode, for_all) in [(0o600, false), (0o640, false), (0o644, true)] {
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            assert_eq!(read(&path).unwrap().for_all, for_all, "{mode:o}");
        }
    }

    #[test]
    fn a_pipe_is_read_to_its_end_and_waited_for_no_longer_than_that() {
        let (reader, mut writer) = io::pipe().unwrap();
        let path = Path::new("/proc/self/fd").join(reader.as_raw_fd().to_string());
        // More than fits, so that it comes in pieces.
        let writing = std::thread::spawn(move || writer.write_all(&[b'x'; 200_000]).unwrap());
        let whole = read(&path).unwrap();
        assert!(whole.pipe && !whole.for_all);
        assert_eq!(whole.bytes.len(), 200_000);
        writing.join().unwrap();

        // Its writer is gone, and the kernel remembers that there was one.
        assert_eq!(read(&path).unwrap().bytes, b"");
        let (reader, mut writer) = io::pipe().unwrap();
        let path = Path::new("/proc/self/fd").join(reader.as_raw_fd().to_string());
        assert_eq!(why(&path), "nobody wrote to the pipe it within 0s");
        writer.write_all(b"half").unwrap();
        assert_eq!(why(&path), "whoever writes to the pipe it did not end within 0s");
        // Written before anybody looked, as a shell's substitution often is.
        writer.write_all(b"whole").unwrap();
        drop(writer);
        assert_eq!(read(&path).unwrap().bytes, b"whole");
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
        assert_eq!(why(&path), "nobody wrote to the pipe it within 0s");
        let there = path.clone();
        // Waits for a reader, and is gone at once.
        let writing = std::thread::spawn(move || drop(fs::OpenOptions::new().write(true).open(there)));
        assert_eq!(read(&path).unwrap().bytes, b"");
        writing.join().unwrap();
    }
}
