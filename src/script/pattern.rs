//! Regexes over bytes, with variables in them that stand for themselves.
//! Absent: how one is written, and what is searched.

use regex::bytes::{Regex, RegexBuilder};

use super::step::{Pattern, Piece, Place, Variable};

/// What a compiled regex may take, in bytes.
const SIZE_MAX: usize = 1024 * 1024;

/// The pattern, if it can be compiled whatever its variables hold.
pub(super) fn read(pieces: Vec<Piece>, place: Place) -> Result<Pattern, String> {
    let mut pattern = Pattern {
        pieces,
        groups: Vec::new(),
        place,
    };
    let regex = pattern.regex(|_| Some(b"x".to_vec()))?;
    pattern.groups = regex.capture_names().flatten().map(str::to_owned).collect();
    Ok(pattern)
}

impl Pattern {
    /// The regex, once it is known what the variables hold; one that holds nothing is empty.
    ///
    /// Upper and lower case, digits and blanks are those of ASCII, and `.` is any byte but a line feed.
    ///
    /// # Errors
    /// Why it cannot be compiled: with what the variables hold it may have grown too large.
    pub fn regex(&self, mut value: impl FnMut(&Variable) -> Option<Vec<u8>>) -> Result<Regex, String> {
        let mut source = String::new();
        for piece in &self.pieces {
            match piece {
                // It was cut from text, at its characters.
                Piece::Bytes(bytes) => source.push_str(&String::from_utf8_lossy(bytes)),
                Piece::Variable(variable) => {
                    // One thing, for a `+` that may follow.
                    source.push_str("(?:");
                    for byte in value(variable).unwrap_or_default() {
                        source.push_str(&format!("\\x{byte:02x}"));
                    }
                    source.push(')');
                }
            }
        }
        compiled(&source)
    }
}

/// A regex without variables, by the same rules.
///
/// # Errors
/// Why it cannot be compiled, in one line.
pub(crate) fn compiled(source: &str) -> Result<Regex, String> {
    let built = RegexBuilder::new(source)
        .unicode(false)
        .size_limit(SIZE_MAX)
        .build();
    built.map_err(|error| match &error {
        regex::Error::CompiledTooBig(_) => "the regex grows too large".to_owned(),
        // Several lines with a picture of their own; the last one says what it is.
        error => {
            let text = error.to_string();
            let last = text.lines().last().unwrap_or_default();
            last.trim_start_matches("error: ").to_owned()
        }
    })
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
        let regex = pattern.regex(|_| Some(b".\xff".to_vec())).unwrap();
        assert!(regex.is_match(b"a.\xff.\xff"));
        assert!(!regex.is_match(b"a..") && !regex.is_match(b"ax\xff"));
        assert!(pattern.regex(|_| None).unwrap().is_match(b"a"));
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
            .unwrap();
        assert!(regex.is_match(b"\xc3\xa9\xff"));
    }
}
