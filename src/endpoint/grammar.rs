//! Text to pieces and back: colons, the first `=`, backslashes, brackets; each undone once, with its place kept.
//! Absent: what a field means, and which is the type.
//!
//! ```text
//! endpoint   = segment { ":" segment }
//! segment    = bracketed | positional [ "=" ( bracketed | value ) ]
//! positional = { any but `:` `=` `\`  |  `\` any }
//! value      = { any but `:` `\`      |  `\` any }
//! bracketed  = "[" balanced "]"            then ":" or the end
//! ```

use std::fmt::{self, Write as _};

use nom::branch::alt;
use nom::bytes::complete::is_not;
use nom::character::complete::{anychar, char};
use nom::combinator::opt;
use nom::error::{ErrorKind, ParseError};
use nom::multi::{fold_many0, separated_list1};
use nom::sequence::preceded;
use nom::{IResult, Parser};

use super::{Field, Kind, Piece, Refused};
use crate::diagnostic::Span;

/// What cannot be cut, and where in the text that was to be cut.
#[derive(Debug)]
pub(super) struct Fault {
    pub(super) kind: Kind,
    pub(super) span: Span,
}

impl Fault {
    pub(super) fn refused(&self, source: &str, span: Span) -> Refused {
        let (message, help) = match self.kind {
            Kind::TrailingEscape => (
                "nothing follows the backslash",
                "a backslash itself is written `\\\\`",
            ),
            Kind::TextAfterBracket => (
                "only a colon may follow the closing bracket",
                "a bracket that is part of the text is written `\\[`",
            ),
            _ => (
                "the bracket is not closed",
                "a bracket that is part of the text is written `\\[`",
            ),
        };
        Refused::new(self.kind, source, span, message).help(help)
    }
}

/// The error of the parsers: a fault with what was left to read, or merely "not this alternative".
#[derive(Debug)]
struct Stop<'a> {
    fault: Option<Kind>,
    rest: &'a str,
    len: usize,
}

impl<'a> ParseError<&'a str> for Stop<'a> {
    fn from_error_kind(rest: &'a str, _: ErrorKind) -> Self {
        Stop {
            fault: None,
            rest,
            len: 0,
        }
    }

    fn append(_: &'a str, _: ErrorKind, other: Self) -> Self {
        other
    }
}

fn stop<'a, T>(fault: Kind, rest: &'a str, len: usize) -> Parsed<'a, T> {
    Err(nom::Err::Failure(Stop {
        fault: Some(fault),
        rest,
        len,
    }))
}

type Parsed<'a, T> = IResult<&'a str, T, Stop<'a>>;

/// Cuts a whole endpoint string. No parser ever goes back, so the time is in proportion to the length.
pub(super) fn cut(text: &str) -> Result<Vec<Field>, Fault> {
    let total = text.len();
    let parsed = separated_list1(char(':'), |input| segment(total, input)).parse(text);
    match parsed {
        Ok(("", fields)) => Ok(fields),
        // Every segment runs to a colon or to the end, so that nothing can be left; if something were, it would be said.
        Ok((rest, _)) => Err(Fault {
            kind: Kind::TextAfterBracket,
            span: Span::new(total - rest.len(), total),
        }),
        Err(nom::Err::Error(stop) | nom::Err::Failure(stop)) => {
            let start = total - stop.rest.len();
            let kind = stop.fault.unwrap_or(Kind::UnmatchedBracket);
            Err(Fault {
                kind,
                span: Span::new(start, start + stop.len),
            })
        }
        Err(nom::Err::Incomplete(_)) => Err(Fault {
            kind: Kind::UnmatchedBracket,
            span: Span::at(total),
        }),
    }
}

fn segment(total: usize, input: &str) -> Parsed<'_, Field> {
    if input.starts_with('[') {
        return bracketed(total, input).map(|(rest, value)| (rest, Field { name: None, value }));
    }
    let (rest, first) = escaped(total, ":=\\", input)?;
    let (rest, equals) = opt(char('=')).parse(rest)?;
    if equals.is_none() {
        return Ok((
            rest,
            Field {
                name: None,
                value: first,
            },
        ));
    }
    let (rest, value) = if rest.starts_with('[') {
        bracketed(total, rest)?
    } else {
        escaped(total, ":\\", rest)?
    };
    Ok((
        rest,
        Field {
            name: Some(first),
            value,
        },
    ))
}

enum Chunk<'a> {
    Plain(&'a str),
    Escaped(char),
}

/// Text up to one of the `special` characters; a backslash, which is always among them, makes the next one ordinary.
fn escaped<'a>(total: usize, special: &'static str, input: &'a str) -> Parsed<'a, Piece> {
    let start = total - input.len();
    let chunk = alt((is_not(special).map(Chunk::Plain), escape.map(Chunk::Escaped)));
    let begin = || (String::new(), start, Vec::new());
    let (rest, (text, end, jumps)) = fold_many0(chunk, begin, |(mut text, mut at, mut jumps), chunk| {
        match chunk {
            Chunk::Plain(plain) => {
                text.push_str(plain);
                at += plain.len();
            }
            Chunk::Escaped(c) => {
                text.push(c);
                at += 1 + c.len_utf8();
                jumps.push((text.len(), at));
            }
        }
        (text, at, jumps)
    })
    .parse(input)?;
    Ok((rest, Piece::new(text, start, end, jumps)))
}

fn escape(input: &str) -> Parsed<'_, char> {
    match preceded(char('\\'), anychar::<_, Stop<'_>>).parse(input) {
        Err(_) if input.starts_with('\\') => stop(Kind::TrailingEscape, input, 1),
        parsed => parsed,
    }
}

/// From a bracket to the one that matches it; nothing but brackets counts in between.
fn bracketed(total: usize, input: &str) -> Parsed<'_, Piece> {
    let mut depth = 0_usize;
    let mut close = None;
    for (at, byte) in input.bytes().enumerate() {
        match byte {
            b'[' => depth += 1,
            b']' => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            close = Some(at);
            break;
        }
    }
    let Some((text, rest)) = close.and_then(|at| Some((input.get(1..at)?, input.get(at + 1..)?))) else {
        return stop(Kind::UnmatchedBracket, input, 1);
    };
    if !rest.is_empty() && !rest.starts_with(':') {
        return stop(Kind::TextAfterBracket, rest, rest.find(':').unwrap_or(rest.len()));
    }
    let start = total - input.len() + 1;
    Ok((
        rest,
        Piece::new(text.to_owned(), start, start + text.len(), Vec::new()),
    ))
}

pub(super) fn write_name(f: &mut fmt::Formatter<'_>, text: &str) -> fmt::Result {
    write_escaped(f, text, &['\\', ':', '='])
}

pub(super) fn write_positional(f: &mut fmt::Formatter<'_>, text: &str) -> fmt::Result {
    if wants_brackets(text) {
        write!(f, "[{text}]")
    } else {
        write_escaped(f, text, &['\\', ':', '='])
    }
}

pub(super) fn write_value(f: &mut fmt::Formatter<'_>, text: &str) -> fmt::Result {
    if wants_brackets(text) {
        write!(f, "[{text}]")
    } else {
        write_escaped(f, text, &['\\', ':'])
    }
}

fn wants_brackets(text: &str) -> bool {
    if !text.contains(':') {
        return false;
    }
    let mut depth = 0_usize;
    for byte in text.bytes() {
        match byte {
            b'[' => depth += 1,
            b']' if depth == 0 => return false,
            b']' => depth -= 1,
            _ => {}
        }
    }
    depth == 0
}

fn write_escaped(f: &mut fmt::Formatter<'_>, text: &str, special: &[char]) -> fmt::Result {
    if text.starts_with('[') {
        f.write_str("\\")?;
    }
    let mut rest = text;
    while let Some(at) = rest.find(special) {
        let (plain, tail) = rest.split_at(at);
        f.write_str(plain)?;
        let mut chars = tail.chars();
        if let Some(c) = chars.next() {
            f.write_str("\\")?;
            f.write_char(c)?;
        }
        rest = chars.as_str();
    }
    f.write_str(rest)
}
