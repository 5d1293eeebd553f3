//! `$1`, `${name}` and `$$` in a text of a file of commands -> the places that a line's parts go to.
//! Absent: the lines.

use super::commands::{Part, Template, wired};

/// Parts of the line in one text: an answer stays a small multiple of what was asked.
const CAPTURES_MAX: usize = 16;

/// What the parts of a line are called: by number, and where the pattern says so, by name. Number 0 is all of it.
#[derive(Debug)]
pub(super) struct Names(pub(super) Vec<Option<String>>);

impl Names {
    pub(super) fn numbered(count: usize) -> Self {
        Names(vec![None; count])
    }

    fn find(&self, word: &str) -> Option<usize> {
        match word.parse::<usize>() {
            Ok(number) => (number < self.0.len()).then_some(number),
            Err(_) => self.0.iter().position(|name| name.as_deref() == Some(word)),
        }
    }
}

impl Template {
    /// One part of the line and nothing else.
    pub(super) fn capture(number: usize) -> Self {
        Template(vec![Part::Capture(number)])
    }
}

/// Reads a text. `wire`: its line ends are those of the wire.
pub(super) fn template(text: &str, names: &Names, wire: bool) -> Result<Template, String> {
    let made = |text: &str| if wire { wired(text) } else { text.into() };
    let mut parts = Vec::new();
    let mut plain = String::new();
    let mut rest = text;
    let mut captures = 0;
    while let Some((before, after)) = rest.split_once('$') {
        plain.push_str(before);
        if let Some(after) = after.strip_prefix('$') {
            plain.push('$');
            rest = after;
            continue;
        }
        let (word, after) = word(after).ok_or("a `$` of its own is written `$$`")?;
        let number = names
            .find(word)
            .ok_or_else(|| format!("there is no `${word}` here"))?;
        captures += 1;
        if captures > CAPTURES_MAX {
            return Err(format!("more than {CAPTURES_MAX} parts of the line in one text"));
        }
        if !plain.is_empty() {
            parts.push(Part::Text(made(&plain)));
            plain.clear();
        }
        parts.push(Part::Capture(number));
        rest = after;
    }
    plain.push_str(rest);
    if !plain.is_empty() {
        parts.push(Part::Text(made(&plain)));
    }
    Ok(Template(parts))
}

/// The name after a `$`, and what follows it: digits, or a word, or anything in braces.
fn word(text: &str) -> Option<(&str, &str)> {
    if let Some(inner) = text.strip_prefix('{') {
        return inner.split_once('}');
    }
    let digits = text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let length = if digits > 0 {
        digits
    } else {
        text.len()
            - text
                .trim_start_matches(|c: char| c.is_ascii_alphanumeric() || c == '_')
                .len()
    };
    (length > 0).then(|| text.split_at(length))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Vec<Part>, String> {
        let names = Names(vec![None, None, Some("who".into())]);
        template(text, &names, true).map(|template| template.0)
    }

    fn text(text: &str) -> Part {
        Part::Text(text.into())
    }

    #[test]
    fn parts_of_the_line_have_their_places() {
        assert_eq!(read("").unwrap(), []);
        assert_eq!(read("a\nb").unwrap(), [text("a\r\nb")]);
        assert_eq!(read("$0").unwrap(), [Part::Capture(0)]);
        let expected = [
            text("a "),
            Part::Capture(1),
            text("5 "),
            Part::Capture(2),
            text("$!"),
            Part::Capture(2),
        ];
        assert_eq!(read("a ${1}5 $who$$!${who}").unwrap(), expected);
        assert_eq!(read("$1st").unwrap(), [Part::Capture(1), text("st")]);
        assert_eq!(read("$$1").unwrap(), [text("$1")]);
    }

    #[test]
    fn what_has_no_place_is_refused() {
        for bad in ["$", "a $ b", "${1", "$-"] {
            assert_eq!(
                read(bad).unwrap_err(),
                "a `$` of its own is written `$$`",
                "{bad}"
            );
        }
        assert_eq!(read("$3").unwrap_err(), "there is no `$3` here");
        assert_eq!(read("$15").unwrap_err(), "there is no `$15` here");
        assert_eq!(read("${}").unwrap_err(), "there is no `$` here");
        assert_eq!(read("$nobody").unwrap_err(), "there is no `$nobody` here");
        assert!(read(&"$1".repeat(16)).is_ok());
        assert!(read(&"$1".repeat(17)).is_err());
    }
}
