//! Who is known, and what is said of them: the one trait of all back-ends, and the names that may reach them.
//! Absent: the back-ends, and the wire.

pub mod command;
#[cfg(feature = "config")]
pub mod file;
pub mod memory;
pub mod system;
#[cfg(feature = "http")]
mod unasked;
#[cfg(feature = "http")]
pub mod web;

use crate::connection::BoxFuture;
use crate::error::Result;
use crate::need::Need;

/// What a back-end may say of one user: longer is a failure of the back-end, so that memory has a bound.
pub const ANSWER_MAX: usize = 64 * 1024;

/// Longer names belong to nobody.
const NAME_MAX: usize = 64;

/// Who is asked about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    /// The name, as it was asked for, control characters left out.
    pub name: String,
    /// More is wanted than usual.
    pub long: bool,
}

/// A back-end. It may take its time: the server limits it, and drops the future when the time is over.
pub trait Users: Send + Sync + 'static {
    /// What it is called in the log.
    fn source(&self) -> &str;

    /// What is to be said of a user; `None`: there is no such user. It need not be text.
    ///
    /// # Errors
    /// The back-end fails. The client hears that something did, and the log why.
    fn find<'a>(&'a self, wanted: &'a Wanted) -> BoxFuture<'a, Result<Option<Vec<u8>>>>;

    /// The names that it would list; `None`: it lists none.
    ///
    /// # Errors
    /// As [`Users::find`].
    fn list(&self) -> BoxFuture<'_, Result<Option<Vec<String>>>> {
        Box::pin(std::future::ready(Ok(None)))
    }

    /// What it asks of the system.
    fn needs(&self) -> Vec<Need> {
        Vec::new()
    }

    /// Reads the files behind it again. It may block. Says what was reloaded, if anything was.
    ///
    /// # Errors
    /// A file is no good; what was in use stays in use.
    fn reload(&self) -> Result<Option<String>> {
        Ok(None)
    }
}

/// Whether a name may be one of this system's, and may be handed to a program: letters, digits, `.`, `_` and `-`, of
/// which neither `.` nor `-` comes first. Nothing in it means anything to a shell, a path or an option parser.
#[must_use]
pub fn is_plain(name: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    (1..=NAME_MAX).contains(&name.len()) && !name.starts_with(['.', '-']) && name.bytes().all(allowed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_mean_something_elsewhere_are_not_plain() {
        for name in ["alice", "a", "j.doe", "www-data", "_apt", "0x1", &"a".repeat(64)] {
            assert!(is_plain(name), "{name}");
        }
        for name in [
            "",
            "-l",
            ".plan",
            "..",
            "../../etc/passwd",
            ";reboot",
            "$(id)",
            "a b",
            "a\nb",
            "a\0",
            "ä",
            "a@b",
            &"a".repeat(65),
        ] {
            assert!(!is_plain(name), "{name}");
        }
    }
}
