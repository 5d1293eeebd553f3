//! Regexes over bytes, with variables in them that stand for themselves.
//! Absent: how one is written, and what is searched.

use std::fmt;

use regex::bytes::{Regex, RegexBuilder};

use super::step::{Pattern, Piece, Place, Variable};

/// What a compiled regex may take, in bytes.
const SIZE_MAX: usize = 1024 * 1024;

/// Nothing is known of how much less than this it takes.
const SIZE_LEAST: usize = 16 * 1024;

/// Bytes of its source, with what variables hold: what is longer would not fit once it is compiled.
const SOURCE_MAX: usize = 256 * 1024;

/// A regex, and what it takes, which says how long a search may take.
#[derive(Debug, Clone)]
pub struct Compiled {
    /// The regex itself.
    pub regex: Regex,
    /// At most so many bytes are what it was compiled to, and more than half as many unless they are few.
    pub size: usize,
}

/// Its source.
impl fmt::Display for Compiled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.regex.fmt(f)
    }
}

/// By their source.
impl PartialEq for Compiled {
    fn eq(&self, other: &Self) -> bool {
        self.regex.as_str() == other.regex.as_str()
    }
}

/// The pattern, if it can be compiled whatever its variables hold.
pub(super) fn read(pieces: Vec<Piece>, place: Place) -> Result<Pattern, String> {
    let mut pattern = Pattern {
        pieces,
        groups: Vec::new(),
        place,
    };
    let compiled = pattern.regex(|_| Some(b"x".to_vec()))?;
    pattern.groups = compiled
        .regex
        .capture_names()
        .flatten()
        .map(str::to_owned)
        .collect();
    Ok(pattern)
}

const TOO_LARGE: &str = "the regex grows too large";

impl Pattern {
    /// The regex, once it is known what the variables hold; one that holds nothing is empty.
    ///
    /// Upper and lower case, digits and blanks are those of ASCII, and `.` is any byte but a line feed.
    ///
    /// # Errors
    /// Why it cannot be compiled: with what the variables hold it may have grown too large.
    pub fn regex(&self, mut value: impl FnMut(&Variable) -> Option<Vec<u8>>) -> Result<Compiled, String> {
        let mut source = String::new();
        for piece in &self.pieces {
            match piece {
                // It was cut from text, at its characters.
                Piece::Bytes(bytes) => source.push_str(&String::from_utf8_lossy(bytes)),
                Piece::Variable(variable) => {
                    // One thing, for a `+` that may follow.
                    source.push_str("(?:");
                    let value = value(variable).unwrap_or_default();
                    if value.len() > SOURCE_MAX {
                        return Err(TOO_LARGE.to_owned());
                    }
                    for byte in value {
                        source.push_str(&format!("\\x{byte:02x}"));
                    }
                    source.push(')');
                }
            }
            if source.len() > SOURCE_MAX {
                return Err(TOO_LARGE.to_owned());
            }
        }
        compiled(&source)
    }
}

/// A regex without variables, by the same rules.
///
/// # Errors
/// Why it cannot be compiled, in one line.
pub(crate) fn compiled(source: &str) -> Result<Compiled, String> {
    let mut size = SIZE_LEAST;
    loop {
        let built = RegexBuilder::new(source).unicode(false).size_limit(size).build();
        return match built {
            Ok(regex) => Ok(Compiled { regex, size }),
            Err(regex::Error::CompiledTooBig(_)) if size < SIZE_MAX => {
                size *= 2;
                continue;
            }
            Err(regex::Error::CompiledTooBig(_)) => Err(TOO_LARGE.to_owned()),
            // Several lines with a picture of their own; the last one says what it is.
            Err(error) => {
                let text = error.to_string();
                let last = text.lines().last().unwrap_or_default();
                Err(last.trim_start_matches("error: ").to_owned())
            }
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::script::step::Holder;

    fn pattern(pieces: Vec<Piece>) -> Result<Pattern, String> {
        read(pieces, Place::default())
    }

    #[test]
    fn a_variable_stands_for_its_bytes() {
        let variable = Variable {
            of: Holder::Named("N".to_owned()),
            place: Place::default(),
        };
        let pieces = vec![
            Piece::Bytes(b"^(?<all>a".to_vec()),
            Piece::Variable(variable),
            Piece::Bytes(b"+)$".to_vec()),
        ];
        let pattern = pattern(pieces).unwrap();
        assert_eq!(pattern.groups, ["all"]);
        let regex = pattern.regex(|_| Some(b".\xff".to_vec())).unwrap().regex;
        assert!(regex.is_match(b"a.\xff.\xff"));
        assert!(!regex.is_match(b"a..") && !regex.is_match(b"ax\xff"));
        assert!(pattern.regex(|_| None).unwrap().regex.is_match(b"a"));
    }

    #[test]
    fn its_size_is_known_and_bounded() {
        let size = |source: &str| compiled(source).unwrap().size;
        assert_eq!(size("a+b"), SIZE_LEAST);
        assert!(size("[ab]{5000}") > 8 * SIZE_LEAST);
        let variable = Variable {
            of: Holder::Named("N".to_owned()),
            place: Place::default(),
        };
        let pattern = pattern(vec![Piece::Variable(variable)]).unwrap();
        let long = pattern.regex(|_| Some(vec![b'a'; 1024 * 1024]));
        assert_eq!(long.unwrap_err(), TOO_LARGE);
    }

    #[test]
    fn what_is_no_regex_says_why_in_one_line() {
        for (source, why) in [
            ("a(", "unclosed group"),
            ("[a", "unclosed character class"),
            ("a{100000000}", "the regex grows too large"),
            ("(?<n>a)(?<n>b)", "duplicate capture group name"),
        ] {
            assert_eq!(
                pattern(vec![Piece::Bytes(source.into())]).unwrap_err(),
                why,
                "{source}"
            );
        }
    }

    #[test]
    fn letters_of_no_ascii_are_their_bytes() {
        let regex = pattern(vec![Piece::Bytes("\u{e9}+\\xff".into())])
            .unwrap()
            .regex(|_| None)
            .unwrap()
            .regex;
        assert!(regex.is_match(b"\xc3\xa9\xff"));
    }
}
