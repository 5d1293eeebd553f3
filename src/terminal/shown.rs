//! What a peer sends, made fit to be seen: whole lines, and nothing in them that drives the terminal.
//! Absent: the terminal.

use std::fmt::Write as _;

use crate::escape::misleads;

/// A line, or what there is of it, is shown once it is so long.
const LINE_MAX: usize = 16 * 1024;

/// Bytes on their way to a terminal.
#[derive(Debug, Default)]
pub(super) struct Shown {
    /// Of a line whose end has not come yet.
    rest: Vec<u8>,
}

impl Shown {
    /// Takes what came; gives the lines that are whole now.
    pub(super) fn take(&mut self, bytes: &[u8]) -> Option<String> {
        self.rest.extend_from_slice(bytes);
        let end = match self.rest.iter().rposition(|&byte| byte == b'\n') {
            Some(at) => at + 1,
            None if self.rest.len() >= LINE_MAX => self.rest.len(),
            None => return None,
        };
        let whole: Vec<u8> = self.rest.drain(..end).collect();
        Some(harmless(&whole))
    }

    /// Whether there is a line whose end has not come.
    pub(super) fn has_rest(&self) -> bool {
        !self.rest.is_empty()
    }

    /// What there is of a line whose end may never come, such as a question. It is shown as a line of its own.
    pub(super) fn rest(&mut self) -> String {
        let mut text = harmless(&std::mem::take(&mut self.rest));
        text.push('\n');
        text
    }
}

/// The bytes as text. What would move the cursor, change colours or titles, ask the terminal to type answers, or make
/// it look like another text is shown as an escape; so is what is no UTF-8.
fn harmless(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        let mut chars = chunk.valid().chars().peekable();
        while let Some(c) = chars.next() {
            match c {
                '\n' | '\t' => text.push(c),
                // The other half of a line end.
                '\r' if chars.peek() == Some(&'\n') => {}
                '\r' => text.push_str("\\r"),
                '\0'..='\x7f' if c.is_control() => escaped(&mut text, c as u8),
                c if c.is_control() || misleads(c) => {
                    // Writing to a String does not fail.
                    let _ = write!(text, "{}", c.escape_unicode());
                }
                c => text.push(c),
            }
        }
        for &byte in chunk.invalid() {
            escaped(&mut text, byte);
        }
    }
    text
}

fn escaped(text: &mut String, byte: u8) {
    let _ = write!(text, "\\x{byte:02x}");
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn lines_come_whole() {
        let mut shown = Shown::default();
        assert_eq!(shown.take(b"one\r\ntwo\nth"), Some("one\ntwo\n".into()));
        assert_eq!(shown.take(b"re"), None);
        assert!(shown.has_rest());
        assert_eq!(shown.rest(), "thre\n");
        assert!(!shown.has_rest());
        assert_eq!(
            shown.take(&[b'x'; LINE_MAX]).map(|text| text.len()),
            Some(LINE_MAX)
        );
    }

    #[test]
    fn a_letter_cut_in_two_is_whole_in_its_line() {
        let mut shown = Shown::default();
        assert_eq!(shown.take(b"\xc3"), None);
        assert_eq!(shown.take(b"\xa9\n"), Some("é\n".into()));
    }

    #[test]
    fn nothing_drives_the_terminal() {
        assert_eq!(
            harmless(b"\x1b]0;title\x07\t\x1b[2J\rx\x7f"),
            "\\x1b]0;title\\x07\t\\x1b[2J\\rx\\x7f"
        );
        assert_eq!(
            harmless("\u{9b}2J \u{202e}txt é".as_bytes()),
            "\\u{9b}2J \\u{202e}txt é"
        );
        assert_eq!(
            harmless("a\u{2028}b\u{2029}c\u{feff}d\u{200f}".as_bytes()),
            "a\\u{2028}b\\u{2029}c\\u{feff}d\\u{200f}"
        );
        assert_eq!(harmless(b"\xff\xc3"), "\\xff\\xc3");
    }

    proptest! {
        #[test]
        fn whatever_comes_no_control_is_shown(bytes: Vec<u8>) {
            let text = harmless(&bytes);
            prop_assert!(!text.chars().any(|c| c.is_control() && c != '\n' && c != '\t'));
        }
    }
}
