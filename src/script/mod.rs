//! Scripts: what a test of a network service says, a step a line; `Script` is one that was read and makes sense.
//! Absent: flags and verbs, and how a part of ours is started; whoever plays a script is told.

pub mod chosen;
pub mod cut;
pub mod difference;
pub mod play;
pub mod report;
pub mod step;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use crate::diagnostic::{Diagnostic, line_of};
use crate::error::Error;

pub use step::{Action, Place, Step};

/// The verbs that `start` runs: those that serve until they are told to stop.
pub const VERBS: &[&str] = &["serve", "relay"];
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

/// One thing that is wrong with a script, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// The file, as [`Source::path`].
    pub path: PathBuf,
    /// The line, from 1; 0 where the file itself is what is wrong.
    pub line: usize,
    /// What; its source is that one line.
    pub diagnostic: Diagnostic,
}

/// `error: FILE:LINE: WHAT`, the line with carets under it, and help; status 2.
impl From<Refusal> for Error {
    fn from(refusal: Refusal) -> Self {
        let file = shown(&refusal.path);
        let what = match refusal.line {
            0 => file,
            line => format!("{file}:{line}"),
        };
        let error = Error::from(refusal.diagnostic);
        match refusal.line {
            0 => Error::new(error.status(), error.why()).on(what),
            _ => error.on(what),
        }
    }
}

impl Script {
    /// Reads a script and all that it includes, and checks everything that can be known before it is played.
    ///
    /// # Errors
    /// What is wrong with it, in the order it was written: at least one, at most [`REFUSALS_MAX`].
    pub fn read(path: &Path) -> Result<Script, Vec<Refusal>> {
        // The grammar comes with the next commits.
        let diagnostic = Diagnostic {
            message: String::from("not read yet"),
            source: String::new(),
            span: Default::default(),
            help: None,
        };
        Err(vec![Refusal {
            path: path.to_owned(),
            line: 0,
            diagnostic,
        }])
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
}

/// A path on one line of an error.
fn shown(path: &Path) -> String {
    path.display().to_string().escape_debug().to_string()
}
