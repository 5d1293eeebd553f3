//! What may be shown: text without control characters, in either direction, and CRLF at the end of every line.
//! Absent: what the text says.

use crate::escape::misleads;

/// The text of `bytes` that a terminal can be shown: line ends and tabs stay, other control characters and marks that
/// turn a line round are left out, and what is not UTF-8 becomes the replacement character.
#[must_use]
pub fn screened(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    text.chars()
        .filter(|c| matches!(c, '\n' | '\t') || is_harmless(*c))
        .collect()
}

/// The same for what has to stay on one line.
#[must_use]
pub fn one_line(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    text.chars()
        .map(|c| if c == '\t' { ' ' } else { c })
        .filter(|c| is_harmless(*c))
        .collect()
}

/// Whether a character stays where it is put: RFC 1288, 3.3, written for ASCII, and what Unicode added to it.
fn is_harmless(c: char) -> bool {
    !c.is_control() && !misleads(c)
}

/// An answer as RFC 1288, 2.2 wants it: screened, every line ended by CRLF, the last one too.
#[must_use]
pub fn answer(bytes: &[u8]) -> Vec<u8> {
    let text = screened(bytes);
    let mut answer = Vec::with_capacity(text.len() + text.len() / 16 + 2);
    for line in text.lines() {
        answer.extend_from_slice(line.as_bytes());
        answer.extend_from_slice(b"\r\n");
    }
    answer
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn escape_sequences_lose_what_makes_them_one() {
        assert_eq!(screened(b"\x1b[31mred\x07\x00\x7f"), "[31mred");
        assert_eq!(screened("\u{9b}31m\u{202e}rot\tü\n".as_bytes()), "31mrot\tü\n");
        assert_eq!(screened(b"\xff\xf4"), "\u{fffd}\u{fffd}");
        assert_eq!(one_line(b"a\tb\r\nc"), "a bc");
    }

    #[test]
    fn every_line_ends_in_crlf() {
        assert_eq!(answer(b""), b"");
        assert_eq!(answer(b"a"), b"a\r\n");
        assert_eq!(answer(b"a\r\nb\n\nc\r\n"), b"a\r\nb\r\n\r\nc\r\n");
        assert_eq!(answer(b"a\rb"), b"ab\r\n");
    }

    proptest! {
        #[test]
        fn no_answer_moves_a_cursor(bytes: Vec<u8>) {
            let answer = String::from_utf8(answer(&bytes)).unwrap();
            prop_assert!(answer.is_empty() || answer.ends_with("\r\n"));
            let rest = answer.replace("\r\n", "");
            prop_assert!(rest.chars().all(|c| c == '\t' || !c.is_control()), "{rest:?}");
            prop_assert!(one_line(&bytes).chars().all(|c| !c.is_control()));
        }

        #[test]
        fn plain_text_stays(text in "[ -~äöü€]{0,40}") {
            prop_assert_eq!(screened(text.as_bytes()), text);
        }
    }
}
