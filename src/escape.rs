//! Bytes as text: `b"..."` for logs, reports and scripts, and back again.
//! Absent: who prints, and any encoding; bytes are bytes.

use std::fmt;
use std::fmt::Write as _;

use crate::diagnostic::{Diagnostic, Span};

/// What stands between the quotes of `b"..."`: printable ASCII as it is, everything else as an escape.
#[must_use]
pub fn escape(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    for &byte in bytes {
        match byte {
            b'\n' => text.push_str("\\n"),
            b'\r' => text.push_str("\\r"),
            b'\t' => text.push_str("\\t"),
            b'\\' => text.push_str("\\\\"),
            b'"' => text.push_str("\\\""),
            b' '..=b'~' => text.push(char::from(byte)),
            // Writing to a String does not fail.
            _ => drop(write!(text, "\\x{byte:02x}")),
        }
    }
    text
}

/// The bytes with quotes around them: `b"GET /\r\n"`.
#[must_use]
pub fn bytes_literal(bytes: &[u8]) -> String {
    format!("b\"{}\"", escape(bytes))
}

/// Whether a character, though no control, makes text look like what it is not: it turns the direction of writing, ends a
/// line where nobody expects that, or is not seen at all.
#[must_use]
pub fn misleads(c: char) -> bool {
    matches!(
        c,
        '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}'
    )
}

/// An escape that means nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EscapeError {
    /// Where it stands in the text.
    pub span: Span,
    /// What is wrong with it.
    pub message: String,
}

impl EscapeError {
    /// The error, shown in the text it was found in.
    #[must_use]
    pub fn within(self, source: &str) -> Diagnostic {
        Diagnostic {
            message: self.message,
            source: source.to_owned(),
            span: self.span,
            help: Some(String::from(
                "the escapes are \\r \\n \\t \\0 \\\\ \\\" and \\xHH",
            )),
        }
    }
}

impl fmt::Display for EscapeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for EscapeError {}

/// Reads `\r \n \t \0 \\ \" \xHH`; every other character stands for its UTF-8 bytes.
///
/// # Errors
///
/// [`EscapeError`]: a backslash before anything else, or at the end.
pub fn unescape(text: &str) -> Result<Vec<u8>, EscapeError> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('\\') {
        let (plain, escaped) = rest.split_at(at);
        bytes.extend_from_slice(plain.as_bytes());
        let start = text.len() - escaped.len();
        let mut chars = escaped.chars();
        chars.next();
        let byte = match chars.next() {
            Some('r') => b'\r',
            Some('n') => b'\n',
            Some('t') => b'\t',
            Some('0') => b'\0',
            Some('\\') => b'\\',
            Some('"') => b'"',
            Some('x') => hex(&mut chars).ok_or_else(|| {
                // At most the two characters where the digits should be.
                let len = escaped.chars().take(4).map(char::len_utf8).sum::<usize>();
                let message = String::from("`\\x` needs two hexadecimal digits");
                EscapeError {
                    span: Span::new(start, start + len),
                    message,
                }
            })?,
            Some(other) => {
                let span = Span::new(start, start + 1 + other.len_utf8());
                let message = format!(
                    "unknown escape {}",
                    crate::diagnostic::quoted(&format!("\\{other}"))
                );
                return Err(EscapeError { span, message });
            }
            None => {
                let message = String::from("nothing follows the last backslash");
                return Err(EscapeError {
                    span: Span::new(start, start + 1),
                    message,
                });
            }
        };
        bytes.push(byte);
        rest = chars.as_str();
    }
    bytes.extend_from_slice(rest.as_bytes());
    Ok(bytes)
}

fn hex(chars: &mut std::str::Chars<'_>) -> Option<u8> {
    let high = chars.next()?.to_digit(16)?;
    let low = chars.next()?.to_digit(16)?;
    u8::try_from(high * 16 + low).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn bytes_are_shown_as_a_literal() {
        assert_eq!(
            bytes_literal(b"GET /\r\n\t\"\\\0\x7f\xff~ "),
            r#"b"GET /\r\n\t\"\\\x00\x7f\xff~ ""#
        );
    }

    #[test]
    fn escapes_are_undone() {
        assert_eq!(
            unescape(r#"a\r\n\t\0\\\"\x41\xfFé"#).unwrap(),
            b"a\r\n\t\0\\\"A\xff\xc3\xa9"
        );
    }

    #[test]
    fn what_means_nothing_is_pointed_at() {
        for (text, span) in [
            (r"a\q", (1, 3)),
            (r"a\é", (1, 4)),
            (r"a\", (1, 2)),
            (r"a\x4", (1, 4)),
            (r"a\x4gh", (1, 5)),
            (r"\x", (0, 2)),
            (r"\x+1", (0, 4)),
        ] {
            assert_eq!(
                unescape(text).unwrap_err().span,
                Span::new(span.0, span.1),
                "{text}"
            );
        }
        let error = unescape("a\\q").unwrap_err().within("a\\q");
        assert!(error.picture().ends_with("\n   ^^\n"));
    }

    proptest! {
        #[test]
        fn escape_and_unescape_are_inverse(bytes: Vec<u8>) {
            let text = escape(&bytes);
            prop_assert!(text.bytes().all(|byte| (b' '..=b'~').contains(&byte)));
            prop_assert_eq!(unescape(&text).unwrap(), bytes);
        }

        #[test]
        fn any_text_is_answered(text in any::<String>()) {
            let _ = unescape(&text);
        }

        #[test]
        fn any_backslashes_are_answered(text in "[\\\\xrn0-9a-fé\"]{0,20}") {
            match unescape(&text) {
                Ok(bytes) => prop_assert_eq!(unescape(&escape(&bytes)).unwrap(), bytes),
                Err(error) => prop_assert!(text.get(error.span.start..error.span.end).is_some()),
            }
        }
    }
}
