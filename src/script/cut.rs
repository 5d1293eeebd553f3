//! A line cut into words as a shell would cut it: spaces part them, quotes and backslashes keep them together.
//! Absent: variables, patterns, and everything else that a shell does.

use crate::diagnostic::{Diagnostic, Span};

/// Cuts a line. Between `'` all stays as it is; between `"`, and outside, a backslash takes the meaning from what follows.
///
/// # Errors
/// A quote that is not closed, or a backslash at the end.
pub fn words(line: &str) -> Result<Vec<String>, Diagnostic> {
    let refused = |message: &str, at: usize| Diagnostic {
        message: message.to_owned(),
        source: line.to_owned(),
        span: Span::new(at, at + 1),
        help: None,
    };
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quote: Option<(char, usize)> = None;
    let mut chars = line.char_indices();
    while let Some((at, c)) = chars.next() {
        match (c, quote) {
            (c, Some((open, _))) if c == open => quote = None,
            ('\\', Some(('"', _)) | None) => match chars.next() {
                Some((_, next)) => word.get_or_insert_default().push(next),
                None => return Err(refused("nothing follows the last backslash", at)),
            },
            (c, Some(_)) => word.get_or_insert_default().push(c),
            ('\'' | '"', None) => {
                quote = Some((c, at));
                // Nothing between quotes is a word too.
                word.get_or_insert_default();
            }
            (c, None) if c.is_whitespace() => words.extend(word.take()),
            (c, None) => word.get_or_insert_default().push(c),
        }
    }
    if let Some((_, at)) = quote {
        return Err(refused("this quote is not closed", at));
    }
    words.extend(word);
    Ok(words)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_cut_as_a_shell_does() {
        let cut = |line| words(line).unwrap();
        assert_eq!(cut("serve  echo\ttcp:0 "), ["serve", "echo", "tcp:0"]);
        assert_eq!(cut(r#"a 'b c'"d\" e"\ f ''"#), ["a", "b cd\" e f", ""]);
        assert_eq!(cut(r"'\'"), [r"\"]);
        assert!(cut(" ").is_empty());
        assert_eq!(words("a 'b").unwrap_err().span, Span::new(2, 3));
        assert_eq!(words(r"a\").unwrap_err().span, Span::new(1, 2));
    }
}
