//! What can be wrong with a script, and the error that says so: file, line, carets, help.
//! Absent: finding it.

use std::path::{Path, PathBuf};

use super::{Place, Source};
use crate::diagnostic::{Diagnostic, Span, line_of, quoted};
use crate::endpoint::nearest;
use crate::error::Error;

/// What kind of thing is wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// A line begins with no step and no name.
    UnknownStep,
    /// A word stands where others are known.
    UnknownWord,
    /// The line ends too early.
    Missing,
    /// The line goes on where it should end.
    Leftover,
    /// A text without its quotes, or with one of them.
    BadText,
    /// An escape that means nothing.
    BadEscape,
    /// A dollar sign with no variable behind it, or a field that nothing has.
    BadVariable,
    /// No number, or one out of range.
    BadNumber,
    /// No time, or one out of range.
    BadDuration,
    /// No hexadecimal digits, or an odd number of them.
    BadHex,
    /// Not a regex.
    BadRegex,
    /// Not a name, or a word of the language.
    BadName,
    /// A block without its end, or an end without its block.
    UnmatchedBlock,
    /// A block with nothing in it.
    EmptyBlock,
    /// Blocks, includes or branches beyond what is taken.
    TooMuch,
    /// A limit that stands in the wrong place, or twice.
    MisplacedLimit,
    /// A variable that nothing has set by then.
    UndefinedVariable,
    /// A name that stands for nothing by then.
    UnknownName,
    /// A name that stands for something else.
    WrongKind,
    /// An endpoint string that cannot be read.
    BadEndpoint,
    /// A file that cannot be read.
    BadFile,
    /// A file that includes itself, perhaps by way of others.
    EndlessInclude,
}

/// One thing that is wrong with a script, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// What kind of thing.
    pub kind: Kind,
    /// The file, as [`Source::path`].
    pub path: PathBuf,
    /// The line, from 1; 0 where the file itself is what is wrong.
    pub line: usize,
    /// What; its source is that one line.
    pub diagnostic: Diagnostic,
}

impl Refusal {
    /// Of a file as a whole.
    pub(super) fn of_file(path: &Path, message: impl Into<String>) -> Self {
        let diagnostic = Diagnostic {
            message: message.into(),
            source: String::new(),
            span: Span::at(0),
            help: None,
        };
        Refusal {
            kind: Kind::BadFile,
            path: path.to_owned(),
            line: 0,
            diagnostic,
        }
    }
}

/// `error: FILE:LINE: WHAT`, the line with carets under it, and help; status 2.
impl From<Refusal> for Error {
    fn from(refusal: Refusal) -> Self {
        let file = shown(&refusal.path);
        let error = Error::from(refusal.diagnostic);
        match refusal.line {
            0 => Error::new(error.status(), error.why()).on(format!("could not read {file}")),
            line => error.on(format!("{file}:{line}")),
        }
    }
}

/// The same before it is known which file it is in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Wrong {
    pub(super) kind: Kind,
    pub(super) place: Place,
    pub(super) message: String,
    pub(super) help: Option<String>,
}

impl Wrong {
    pub(super) fn new(kind: Kind, place: Place, message: impl Into<String>) -> Self {
        Wrong {
            kind,
            place,
            message: message.into(),
            help: None,
        }
    }

    pub(super) fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// Asks whether one of the known words was meant; keeps the help there is where none is near.
    pub(super) fn meant<'a>(self, word: &str, known: impl IntoIterator<Item = &'a str>) -> Self {
        match nearest(word, known) {
            Some(near) => self.help(format!("did you mean {}?", quoted(near))),
            None => self,
        }
    }

    pub(super) fn within(self, source: &Source) -> Refusal {
        let (_, line, span) = line_of(&source.text, self.place.span);
        // What a line is indented by is nobody's mistake.
        let bare = line.trim_start();
        let indent = line.len() - bare.len();
        let span = Span::new(span.start.saturating_sub(indent), span.end.saturating_sub(indent));
        Refusal {
            kind: self.kind,
            path: source.path.clone(),
            line: self.place.line,
            diagnostic: Diagnostic {
                message: self.message,
                source: bare.to_owned(),
                span,
                help: self.help,
            },
        }
    }
}

/// A path on one line of an error.
pub(super) fn shown(path: &Path) -> String {
    path.display().to_string().escape_debug().to_string()
}
