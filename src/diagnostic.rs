//! Errors that point: `Span`, and `Diagnostic`, the user's line with carets under a part of it, and help.
//! Absent: any grammar, and colours; a picture is plain text.

use std::fmt;

use unicode_width::UnicodeWidthChar;

use crate::error::{Error, Status};
use crate::escape::misleads;

/// A picture is at most this wide, indentation apart: what most terminals show without wrapping.
const COLUMNS_MAX: usize = 100;
/// More characters without a width than this on top of one another belong to no script, and would hide the line.
const COMBINED_MAX: usize = 8;
/// Words of the user that a message repeats are clipped here, so that a message stays one line.
const WORD_MAX: usize = 60;

/// A part of a text, as byte offsets; `start` is inside, `end` is not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Span {
    /// The first byte.
    pub start: usize,
    /// One past the last byte.
    pub end: usize,
}

impl Span {
    /// The bytes from `start` up to `end`.
    #[must_use]
    pub const fn new(start: usize, end: usize) -> Self {
        Span { start, end }
    }

    /// The empty place at `offset`.
    #[must_use]
    pub const fn at(offset: usize) -> Self {
        Span {
            start: offset,
            end: offset,
        }
    }

    /// From the start of `self` to the end of `other`.
    #[must_use]
    pub const fn to(self, other: Span) -> Self {
        Span {
            start: self.start,
            end: other.end,
        }
    }
}

/// What is wrong with a text, and where in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnostic {
    /// One line: lower case, no full stop.
    pub message: String,
    /// The whole text, as the user wrote it.
    pub source: String,
    /// The part that the carets go under.
    pub span: Span,
    /// What the user can do about it.
    pub help: Option<String>,
}

impl Diagnostic {
    /// Two lines, both indented by two columns: the user's text, and carets under the span.
    ///
    /// The span may be anything: it is moved to the nearest whole characters, and where it is empty or lies past
    /// the end, one caret marks the place.
    #[must_use]
    pub fn picture(&self) -> String {
        let cells = cells(&self.source);
        let width = cells.last().map_or(0, |cell| cell.column + cell.width);
        let (from, to) = columns(&cells, width, self.span, self.source.len());
        // The view is moved only if something does not fit; the caret after the end needs a column too.
        let (low, high) = if width.max(to) <= COLUMNS_MAX {
            (0, usize::MAX)
        } else {
            view(from, to)
        };

        let mut line = String::from("  ");
        let mut marks = String::from("  ");
        // What the columns of the source are moved by on the screen.
        let mut shown_from = None;
        let mut cut_right = false;
        for cell in &cells {
            if cell.column < low {
                continue;
            }
            if cell.column + cell.width > high {
                cut_right = true;
                break;
            }
            if shown_from.is_none() {
                if low > 0 {
                    line.push('…');
                    marks.push(' ');
                }
                shown_from = Some(cell.column);
            }
            line.push(cell.shown);
        }
        if cut_right {
            line.push('…');
        }
        let base = shown_from.unwrap_or(low);
        let from = from.clamp(base, base + COLUMNS_MAX);
        let to = to.min(high).max(from + 1);
        marks.extend(std::iter::repeat_n(' ', from - base));
        marks.extend(std::iter::repeat_n('^', (to - from).min(COLUMNS_MAX)));
        format!("{line}\n{marks}\n")
    }
}

/// The message; the alternate form (`{:#}`) adds the picture and the help line.
impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        if f.alternate() {
            write!(f, "\n{}", self.picture().trim_end_matches('\n'))?;
            if let Some(help) = &self.help {
                write!(f, "\nhelp: {help}")?;
            }
        }
        Ok(())
    }
}

impl From<Diagnostic> for Error {
    fn from(diagnostic: Diagnostic) -> Self {
        let picture = diagnostic.picture();
        let error = Error::new(Status::Usage, diagnostic.message).picture(picture);
        match diagnostic.help {
            Some(help) => error.help(help),
            None => error,
        }
    }
}

/// One character on the screen.
struct Cell {
    offset: usize,
    column: usize,
    width: usize,
    shown: char,
}

fn cells(text: &str) -> Vec<Cell> {
    let mut column = 0;
    let mut combined = 0;
    text.char_indices()
        .map(|(offset, c)| {
            let (mut shown, mut width) = shown(c);
            combined = if width == 0 { combined + 1 } else { 0 };
            if combined > COMBINED_MAX {
                (shown, width) = (char::REPLACEMENT_CHARACTER, 1);
            }
            let cell = Cell {
                offset,
                column,
                width,
                shown,
            };
            column += width;
            cell
        })
        .collect()
}

/// What stands for a character on the screen, and how wide that is.
///
/// A control character would move the cursor, and a direction mark would turn the line round: both get a
/// visible character in their place.
fn shown(c: char) -> (char, usize) {
    match c {
        '\0'..='\x1f' => (char::from_u32(0x2400 + u32::from(c)).unwrap_or('\u{fffd}'), 1),
        '\x7f' => ('\u{2421}', 1),
        c if c.is_control() || misleads(c) => ('\u{fffd}', 1),
        _ => (c, c.width().unwrap_or(1)),
    }
}

/// The columns that the carets stand in.
fn columns(cells: &[Cell], width: usize, span: Span, len: usize) -> (usize, usize) {
    let start = span.start.min(len);
    let end = span.end.clamp(start, len);
    // The cell that holds `start`; a span that begins inside a character begins with that character.
    let first = cells
        .partition_point(|cell| cell.offset <= start)
        .saturating_sub(1);
    let Some(cell) = cells.get(first).filter(|_| start < len) else {
        return (width, width + 1);
    };
    let from = cell.column;
    let last = cells.partition_point(|cell| cell.offset < end);
    let to = cells.get(last).map_or(width, |cell| cell.column);
    if to > from {
        return (from, to);
    }
    if end <= start {
        return (from, from + cell.width.max(1));
    }
    // Nothing but characters without a width: they are drawn on the one before them.
    let base = cells[..=first].iter().rev().find(|cell| cell.width > 0);
    base.map_or((from, from + 1), |cell| (cell.column, cell.column + cell.width))
}

/// Which columns of a long line are shown, so that the start of the span and some of what surrounds it are among them.
fn view(from: usize, to: usize) -> (usize, usize) {
    // Two columns go to the marks of the cut.
    let room = COLUMNS_MAX - 2;
    let carets = (to - from).min(room / 2);
    let low = from.saturating_sub((room - carets) / 2);
    (low, low + room)
}

/// The line of a longer text in which a span begins: its number, from 1, the line itself, and where the span lies in it.
#[must_use]
pub fn line_of(text: &str, span: Span) -> (usize, &str, Span) {
    let bytes = text.as_bytes();
    let at = span.start.min(bytes.len());
    let start = bytes[..at]
        .iter()
        .rposition(|byte| *byte == b'\n')
        .map_or(0, |end| end + 1);
    let end = bytes[at..]
        .iter()
        .position(|byte| *byte == b'\n')
        .map_or(bytes.len(), |length| at + length);
    let number = bytes[..start].iter().filter(|byte| **byte == b'\n').count() + 1;
    // A line end is no part of any other character, so both are edges of one.
    let line = text.get(start..end).unwrap_or_default();
    let line = line.strip_suffix('\r').unwrap_or(line);
    let within = Span::new(at - start, span.end.clamp(at, end) - start);
    (number, line, within)
}

/// A word of the user inside a message: in backticks, on one line, not too long.
#[must_use]
pub fn quoted(word: &str) -> String {
    format!("`{}`", clean(word))
}

/// The same without the backticks.
#[must_use]
pub fn clean(word: &str) -> String {
    let mut text: String = word.chars().take(WORD_MAX).map(|c| shown(c).0).collect();
    if word.chars().nth(WORD_MAX).is_some() {
        text.push('…');
    }
    text
}

/// `x`, `x and y`, `x, y and z`.
#[must_use]
pub fn listed<T: AsRef<str>>(words: &[T], last: &str) -> String {
    match words {
        [] => String::new(),
        [one] => one.as_ref().to_owned(),
        [rest @ .., end] => {
            let rest: Vec<&str> = rest.iter().map(AsRef::as_ref).collect();
            format!("{} {last} {}", rest.join(", "), end.as_ref())
        }
    }
}

/// `1 port`, `2 ports`.
#[must_use]
pub fn counted(count: usize, word: &str) -> String {
    if count == 1 {
        format!("1 {word}")
    } else {
        format!("{count} {word}s")
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn picture(source: &str, start: usize, end: usize) -> String {
        let diagnostic = Diagnostic {
            message: String::from("wrong"),
            source: source.to_owned(),
            span: Span::new(start, end),
            help: None,
        };
        diagnostic.picture()
    }

    #[test]
    fn carets_stand_under_the_span() {
        assert_eq!(picture("tcp:prot=1234", 4, 8), "  tcp:prot=1234\n      ^^^^\n");
    }

    #[test]
    fn a_place_without_characters_gets_one_caret() {
        assert_eq!(picture("tcp", 3, 3), "  tcp\n     ^\n");
        assert_eq!(picture("tcp", 90, 95), "  tcp\n     ^\n");
        assert_eq!(picture("tcp", 1, 1), "  tcp\n   ^\n");
        assert_eq!(picture("tcp", 2, 1), "  tcp\n    ^\n");
        assert_eq!(picture("", 0, 0), "  \n  ^\n");
    }

    #[test]
    fn wide_characters_take_two_carets() {
        assert_eq!(picture("日本:x", 0, 6), "  日本:x\n  ^^^^\n");
        assert_eq!(picture("日本:x", 7, 8), "  日本:x\n       ^\n");
    }

    #[test]
    fn combining_characters_take_no_caret_of_their_own() {
        assert_eq!(picture("e\u{301}:x", 4, 5), "  e\u{301}:x\n    ^\n");
        assert_eq!(picture("e\u{301}:x", 1, 3), "  e\u{301}:x\n  ^\n");
        assert_eq!(picture("\u{301}", 0, 2), "  \u{301}\n  ^\n");
    }

    #[test]
    fn control_characters_are_made_visible() {
        assert_eq!(picture("a\tb\n\0\x7fc", 6, 7), "  a␉b␊␀␡c\n        ^\n");
        assert_eq!(picture("a\u{202e}b", 4, 5), "  a\u{fffd}b\n    ^\n");
    }

    #[test]
    fn a_span_inside_a_character_covers_it() {
        assert_eq!(picture("aéb", 2, 2), "  aéb\n   ^\n");
        assert_eq!(picture("aéb", 2, 3), "  aéb\n   ^\n");
    }

    #[test]
    fn a_long_line_is_cut_around_the_span() {
        let source = format!("{}BAD{}", "a".repeat(300), "c".repeat(300));
        let text = picture(&source, 300, 303);
        let (line, marks) = text.trim_end().split_once('\n').unwrap();
        assert_eq!(line.chars().count(), 102);
        assert!(line.starts_with("  …aaa") && line.ends_with("ccc…"), "{line}");
        assert_eq!(
            line.find("BAD").map(|at| line[..at].chars().count()),
            marks.find('^')
        );
        assert!(marks.ends_with("^^^"));
    }

    #[test]
    fn a_long_span_is_cut_too() {
        let text = picture(&"a".repeat(5000), 0, 5000);
        assert!(text.lines().all(|line| line.chars().count() <= 102), "{text}");
        let text = picture(&"a".repeat(5000), 5000, 5000);
        let (line, marks) = text.trim_end().split_once('\n').unwrap();
        assert_eq!(marks.chars().count(), line.chars().count() + 1);
    }

    #[test]
    fn the_line_of_a_span_is_found() {
        let text = "one\r\ntw\u{e9}\n";
        assert_eq!(line_of(text, Span::new(1, 2)), (1, "one", Span::new(1, 2)));
        assert_eq!(line_of(text, Span::new(7, 9)), (2, "tw\u{e9}", Span::new(2, 4)));
        // What goes on in the next line is shown up to the end of the first.
        assert_eq!(line_of(text, Span::new(0, 9)), (1, "one", Span::new(0, 4)));
        assert_eq!(line_of(text, Span::at(10)), (3, "", Span::at(0)));
        assert_eq!(line_of(text, Span::new(99, 12)), (3, "", Span::at(0)));
        assert_eq!(line_of("", Span::at(0)), (1, "", Span::at(0)));
    }

    #[test]
    fn lists_and_counts_read_as_words() {
        assert_eq!(listed(&["host"], "and"), "host");
        assert_eq!(listed(&["host", "port"], "and"), "host and port");
        assert_eq!(listed(&["x", "y", "z"], "or"), "x, y or z");
        assert_eq!(counted(1, "port"), "1 port");
        assert_eq!(counted(2, "port"), "2 ports");
        assert_eq!(quoted("a\nb"), "`a␊b`");
    }

    proptest! {
        #[test]
        fn any_text_and_any_span_give_two_lines(source in any::<String>(), start: u16, end: u16, huge: bool) {
            let source = if huge { source.repeat(50) } else { source };
            let text = picture(&source, usize::from(start) % 300, usize::from(end));
            let lines: Vec<&str> = text.trim_end_matches('\n').split('\n').collect();
            prop_assert_eq!(lines.len(), 2);
            prop_assert!(lines[1].trim_start_matches(' ').chars().all(|c| c == '^'));
            prop_assert!(lines[1].contains('^') && lines[1].len() <= COLUMNS_MAX + 4);
        }
    }
}
