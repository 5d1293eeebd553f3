//! The line of a peer as words that know where they stand, and words of ours as a shell takes them.
//! Absent: what any of them means.

use std::ffi::OsString;

use netkit::diagnostic::{Diagnostic, Span, quoted};
use netkit::error::{Error, Result, Status};

/// Longer lines are nobody's.
const LINE_MAX: usize = 64 * 1024;

/// One word, and where it stands in the line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Word {
    pub(super) text: String,
    pub(super) span: Span,
}

impl Word {
    /// Refuses the line because of this word.
    pub(super) fn refuse(&self, message: impl Into<String>) -> Unread {
        Unread {
            span: self.span,
            message: message.into(),
            help: None,
        }
    }

    /// A part of it, by its place in the word.
    pub(super) fn part(&self, start: usize, end: usize) -> Word {
        let text = self.text.get(start..end).unwrap_or_default();
        Word {
            text: text.to_owned(),
            span: Span::new(self.span.start + start, self.span.start + end),
        }
    }
}

/// Why a line has no reading.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Unread {
    pub(super) span: Span,
    pub(super) message: String,
    pub(super) help: Option<String>,
}

impl Unread {
    pub(super) fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// The error, shown in the line.
    pub(super) fn within(self, source: &str) -> Error {
        Error::from(Diagnostic {
            message: self.message,
            source: source.to_owned(),
            span: self.span,
            help: self.help,
        })
    }
}

/// What a line reads as, or why it does not.
pub(super) type Read<T> = std::result::Result<T, Unread>;

/// The words of a command line, and the line that they make.
pub(super) fn cut(arguments: &[OsString]) -> Result<(String, Vec<Word>)> {
    let mut source = String::new();
    let mut words = Vec::new();
    for argument in arguments {
        let Some(text) = argument.to_str() else {
            let text = argument.to_string_lossy();
            let why = format!("{} is not UTF-8 text", quoted(&text));
            return Err(Error::new(Status::Usage, why).on("could not read the line"));
        };
        if !source.is_empty() {
            source.push(' ');
        }
        let start = source.len();
        source.push_str(text);
        if source.len() > LINE_MAX {
            return Err(Error::new(Status::Usage, "it is too long").on("could not read the line"));
        }
        words.push(Word {
            text: text.to_owned(),
            span: Span::new(start, source.len()),
        });
    }
    Ok((source, words))
}

/// A word that a POSIX shell takes as it stands.
pub(super) fn in_shell(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "%+,-./:=@_[]".contains(c);
    // Brackets are a pattern, though one that hardly matches a file; a quoted word is never one.
    let pattern = word.contains('[');
    if !word.is_empty() && word.chars().all(plain) && !pattern {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', "'\\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_mean_themselves_to_a_shell() {
        for (word, shown) in [
            ("tcp:80", "tcp:80"),
            ("", "''"),
            ("tcp:[::1]:80", "'tcp:[::1]:80'"),
            ("a b", "'a b'"),
            ("it's", "'it'\\''s'"),
            ("$HOME", "'$HOME'"),
            ("a\\:b", "'a\\:b'"),
            ("~x", "'~x'"),
        ] {
            assert_eq!(in_shell(word), shown);
        }
    }
}
