//! Scripts: what a test of a network service says, a step a line; `Script` is one that was read and makes sense.
//! Absent: flags and verbs, and how a part of ours is started; whoever plays a script is told.

mod block;
mod check;
pub mod chosen;
pub mod cut;
pub mod difference;
mod expected;
mod grammar;
mod literal;
pub(crate) mod pattern;
pub mod play;
mod reading;
mod refusal;
pub mod report;
pub mod step;
#[cfg(test)]
mod tests;
mod texts;
mod words;
mod written;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use crate::diagnostic::line_of;

pub use pattern::Compiled;
pub use refusal::{Kind, Refusal};
pub use step::{Action, Place, Step};

/// The manual of scripts, as sections of a page: a line at the margin is a heading. Behind a line that is the name of a file
/// and a colon stands what is in that file, two columns further in.
pub const MANUAL: &str = include_str!("manual.txt");

/// The verbs that `start` runs: those that serve until they are told to stop.
pub const VERBS: &[&str] = &["serve", "relay"];
/// The alerts of TLS that break a connection, by their names in RFC 8446.
pub const ALERTS: &[&str] = &[
    "unexpected_message",
    "bad_record_mac",
    "record_overflow",
    "handshake_failure",
    "bad_certificate",
    "unsupported_certificate",
    "certificate_revoked",
    "certificate_expired",
    "certificate_unknown",
    "illegal_parameter",
    "unknown_ca",
    "access_denied",
    "decode_error",
    "decrypt_error",
    "protocol_version",
    "insufficient_security",
    "internal_error",
    "inappropriate_fallback",
    "missing_extension",
    "unsupported_extension",
    "unrecognized_name",
    "bad_certificate_status_response",
    "unknown_psk_identity",
    "certificate_required",
    "no_application_protocol",
];
/// Words of the language, which nothing can be called: those that a line begins with, and the names of our own variables.
const RESERVED: &[&str] = &[
    "start", "launch", "stop", "wait", "connect", "listen", "accept", "check", "set", "sleep", "repeat",
    "parallel", "and", "end", "include", "limit", "env", "TMP", "DIR",
];
/// How often a block is repeated at most: a test, not a load.
pub const REPEAT_MAX: u32 = 10_000;
/// How many branches run at once at most.
pub const BRANCHES_MAX: usize = 16;
/// How deep blocks and includes may stand in one another.
pub const DEPTH_MAX: usize = 8;
/// How large a script may be, all its includes together, in bytes.
pub const SIZE_MAX: u64 = 1024 * 1024;
/// How many files a script may be made of.
pub const SOURCES_MAX: usize = 64;
/// How many things wrong are told of at once.
pub const REFUSALS_MAX: usize = 10;

/// A script that makes sense: every name is known where it is used, every literal endpoint and regex can be read.
#[derive(Debug, Clone)]
pub struct Script {
    /// The files it was read from, the one that was named first.
    pub sources: Vec<Source>,
    /// How long anything may take.
    pub limits: Limits,
    /// What is done, in order.
    pub steps: Vec<Step>,
}

/// A file of a script.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// As it was named, an included one joined to the directory of the file that names it.
    pub path: PathBuf,
    /// All of it.
    pub text: Arc<str>,
}

/// How long things may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Each step that waits, unless it has a limit of its own.
    pub step: Duration,
    /// The whole script.
    pub script: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            step: Duration::from_secs(5),
            script: Duration::from_secs(60),
        }
    }
}

impl Script {
    /// Reads a script and all that it includes, and checks everything that can be known before it is played.
    ///
    /// # Errors
    /// What is wrong with it, in the order it was written: at least one, at most [`REFUSALS_MAX`].
    pub fn read(path: &Path) -> Result<Script, Vec<Refusal>> {
        let script = reading::read(path)?;
        check::check(&script)?;
        Ok(script)
    }

    /// Reads a script that is not in a file; what it includes or names is looked for beside `path`.
    ///
    /// # Errors
    /// As [`Script::read`].
    pub fn parse(path: &Path, text: &str) -> Result<Script, Vec<Refusal>> {
        let script = reading::parse(path, text)?;
        check::check(&script)?;
        Ok(script)
    }

    /// Cuts a script into steps, without reading what it includes, and without asking whether it makes sense.
    ///
    /// # Errors
    /// As [`Script::read`], of this text alone.
    pub fn cut(path: &Path, text: &str) -> Result<Script, Vec<Refusal>> {
        reading::cut(path, text)
    }

    /// The file that something was written in.
    #[must_use]
    pub fn source(&self, place: Place) -> Option<&Source> {
        self.sources.get(place.source)
    }

    /// The line that something was written in, without what it is indented by.
    #[must_use]
    pub fn line(&self, place: Place) -> &str {
        self.source(place)
            .map_or("", |source| line_of(&source.text, place.span).1.trim())
    }

    /// The directory of the file that something was written in: what `$DIR` stands for, absolute if that can be known.
    #[must_use]
    pub fn folder(&self, place: Place) -> PathBuf {
        let path = self
            .source(place)
            .map_or(Path::new(""), |source| source.path.as_path());
        let folder = path.parent().unwrap_or(Path::new(""));
        std::path::absolute(if folder.as_os_str().is_empty() {
            Path::new(".")
        } else {
            folder
        })
        .unwrap_or_else(|_| folder.to_owned())
    }
}
