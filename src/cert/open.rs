//! One file, read whole, as far as keys and certificates go: how much of it is taken, who else could have read it, and
//! the words for what is none. Absent: what is in it.

use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::Path;

use super::Fault;
use crate::whole::{self, Unread};

/// Several times the certificates of all authorities of the world.
const LARGEST: u64 = 1024 * 1024;

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
    let whole = whole::read(path, LARGEST).map_err(|unread| fault(path, &unread))?;
    let pipe = whole.metadata.file_type().is_fifo();
    Ok(Whole {
        for_all: !pipe && whole.metadata.mode() & 0o004 != 0,
        pipe,
        bytes: whole.bytes,
    })
}

fn fault(path: &Path, unread: &Unread) -> Fault {
    let path = shown(path);
    Fault::new(match unread {
        Unread::Failed(why) => format!("cannot read {path}: {why}"),
        Unread::Other(kind) => format!("{path} is {kind}, not a file"),
        Unread::TooLarge(_) => format!("{path} is larger than 1 MiB, and nothing of this kind is"),
        Unread::Unwritten(limit) => format!("nobody wrote to the pipe {path} within {}s", limit.as_secs()),
        Unread::Unended(limit) => {
            let seconds = limit.as_secs();
            format!("whoever writes to the pipe {path} did not end within {seconds}s")
        }
    })
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;
    use std::time::Duration;

    use super::*;

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
    fn what_cannot_be_read_is_named() {
        let limit = Duration::from_secs(5);
        for (unread, words) in [
            (Unread::Failed("gone".into()), "cannot read `f`: gone"),
            (Unread::Other("a directory"), "`f` is a directory, not a file"),
            (
                Unread::TooLarge(LARGEST),
                "`f` is larger than 1 MiB, and nothing of this kind is",
            ),
            (Unread::Unwritten(limit), "nobody wrote to the pipe `f` within 5s"),
            (
                Unread::Unended(limit),
                "whoever writes to the pipe `f` did not end within 5s",
            ),
        ] {
            assert_eq!(fault(Path::new("f"), &unread).why, words);
        }
    }
}
