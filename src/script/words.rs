//! The words of a line: names, times, texts in quotes, variables, regexes, hexadecimal bytes; escapes undone once.
//! Absent: which of them stand where.
//!
//! ```text
//! text     = variable | '"' { any but " \ $ | escape | dollar } '"'
//! argument = { any but blank " ' $ | quoted | "'" { any but ' } "'" | dollar }      at least one; no # at its start
//! dollar   = "$$" | variable
//! variable = "$" path | "${" path "}"
//! path     = name { "." part }
//! pattern  = "/" { any but / \ | "\" any | "${" path "}" } "/"
//! ```

use std::time::Duration;

use nom::branch::alt;
use nom::bytes::complete::{is_not, tag, take_till, take_while1};
use nom::character::complete::{anychar, char, space0};
use nom::combinator::{recognize, verify};
use nom::error::{ErrorKind, ParseError};
use nom::multi::many0;
use nom::sequence::{delimited, pair, preceded};
use nom::{IResult, Parser};

use super::refusal::{Kind, Wrong};
use super::step::{Fact, Field, Holder, Name, Pattern, Piece, Place, Text, Variable};
use super::{RESERVED, pattern};
use crate::diagnostic::{Span, listed, quoted};
use crate::escape::unescape;
use crate::units::{UnitError, duration, duration_text};

/// A longer wait than any test's.
const WAIT_MAX: Duration = Duration::from_secs(86_400);

/// One line of a file, its end cut off.
#[derive(Debug, Clone, Copy)]
pub(super) struct Line<'a> {
    pub(super) source: usize,
    /// From 1.
    pub(super) number: usize,
    /// Where it begins in the file.
    pub(super) base: usize,
    pub(super) text: &'a str,
}

/// The error of the parsers: what is wrong, or merely "not this alternative" and where.
#[derive(Debug)]
pub(super) struct Stop<'a> {
    pub(super) wrong: Option<Box<Wrong>>,
    pub(super) rest: &'a str,
}

impl<'a> ParseError<&'a str> for Stop<'a> {
    fn from_error_kind(rest: &'a str, _: ErrorKind) -> Self {
        Stop { wrong: None, rest }
    }

    fn append(_: &'a str, _: ErrorKind, other: Self) -> Self {
        other
    }
}

pub(super) type Parsed<'a, T> = IResult<&'a str, T, Stop<'a>>;

pub(super) fn stop<'a, T>(wrong: Wrong) -> Parsed<'a, T> {
    Err(nom::Err::Failure(Stop {
        wrong: Some(Box::new(wrong)),
        rest: "",
    }))
}

/// Behind the blanks.
pub(super) fn skip(input: &str) -> &str {
    input.trim_start_matches([' ', '\t'])
}

/// Nothing follows but blanks and a comment.
pub(super) fn at_end(input: &str) -> bool {
    let rest = skip(input);
    rest.is_empty() || rest.starts_with('#')
}

fn is_blank(c: char) -> bool {
    c == ' ' || c == '\t'
}

fn is_part(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_'
}

/// What may be called something: a letter or `_`, then letters, digits, `_`.
fn is_name(text: &str) -> bool {
    text.chars().all(is_part) && !text.starts_with(|c: char| c.is_ascii_digit()) && !text.is_empty()
}

/// What a piece of a text is written as.
enum Chunk<'a> {
    Plain(&'a str),
    Bytes(Vec<u8>),
    Pieces(Vec<Piece>),
    Variable(Variable),
}

fn joined(chunks: Vec<Chunk<'_>>) -> Vec<Piece> {
    let mut pieces = Vec::new();
    for chunk in chunks {
        match chunk {
            Chunk::Plain(text) => push(&mut pieces, text.as_bytes()),
            Chunk::Bytes(bytes) => push(&mut pieces, &bytes),
            Chunk::Variable(variable) => pieces.push(Piece::Variable(variable)),
            Chunk::Pieces(more) => {
                for piece in more {
                    match piece {
                        Piece::Bytes(bytes) => push(&mut pieces, &bytes),
                        variable => pieces.push(variable),
                    }
                }
            }
        }
    }
    pieces
}

fn push(pieces: &mut Vec<Piece>, more: &[u8]) {
    match pieces.last_mut() {
        _ if more.is_empty() => {}
        Some(Piece::Bytes(bytes)) => bytes.extend_from_slice(more),
        _ => pieces.push(Piece::Bytes(more.to_vec())),
    }
}

impl<'a> Line<'a> {
    /// The place between two remainders of the line.
    pub(super) fn place(&self, from: &str, to: &str) -> Place {
        let offset = |rest: &str| self.base + self.text.len().saturating_sub(rest.len());
        Place {
            source: self.source,
            line: self.number,
            span: Span::new(offset(from), offset(to).max(offset(from))),
        }
    }

    /// The line without its indentation and its end.
    pub(super) fn whole(&self, rest: &str) -> Place {
        let text = &self.text[..self.text.len().saturating_sub(rest.len())];
        let kept = text.trim_end_matches([' ', '\t']).len();
        self.place(skip(self.text), &self.text[kept..])
    }

    /// The next word, to a blank; it must be there.
    pub(super) fn word(&self, what: &str, input: &'a str) -> Parsed<'a, &'a str> {
        let input = skip(input);
        if at_end(input) {
            let wrong = Wrong::new(
                Kind::Missing,
                self.place(input, input),
                format!("{what} is missing"),
            );
            return stop(wrong);
        }
        take_till(is_blank).parse(input)
    }

    /// The same, to a blank or a colon.
    fn labelled(&self, what: &str, input: &'a str) -> Parsed<'a, &'a str> {
        let (_, word) = self.word(what, input)?;
        let word = word.split(':').next().unwrap_or(word);
        Ok((&skip(input)[word.len()..], word))
    }

    /// One of some words.
    pub(super) fn keyword(&self, known: &[&'static str], input: &'a str) -> Parsed<'a, &'static str> {
        let one_of = || {
            let shown: Vec<String> = known
                .iter()
                .filter(|word| !word.ends_with(','))
                .map(|word| quoted(word))
                .collect();
            listed(&shown, "or")
        };
        let (rest, word) = self.word(&one_of(), input)?;
        match known.iter().find(|known| **known == word) {
            Some(known) => Ok((rest, known)),
            None => {
                let place = self.place(skip(input), rest);
                let message = format!("expected {}, not {}", one_of(), quoted(word));
                stop(Wrong::new(Kind::UnknownWord, place, message))
            }
        }
    }

    /// Goes on behind a word, if it is the next one.
    pub(super) fn optional(&self, known: &str, input: &'a str) -> Option<&'a str> {
        let rest = skip(input).strip_prefix(known)?;
        (rest.is_empty() || rest.starts_with(is_blank)).then_some(rest)
    }

    /// A name, up to a blank or a colon.
    pub(super) fn name(&self, input: &'a str) -> Parsed<'a, Name> {
        let (rest, word) = self.labelled("a name", input)?;
        let place = self.place(skip(input), rest);
        if !is_name(word) {
            let wrong = Wrong::new(Kind::BadName, place, format!("{} is not a name", quoted(word)));
            return stop(wrong.help("a name is made of letters, digits and `_`, a letter first"));
        }
        if RESERVED.contains(&word) {
            let message = format!("{} is a word of the language", quoted(word));
            return stop(Wrong::new(Kind::BadName, place, message).help("call it something else"));
        }
        let text = word.to_owned();
        Ok((rest, Name { text, place }))
    }

    /// A colon.
    pub(super) fn colon(&self, shape: &str, input: &'a str) -> Parsed<'a, ()> {
        match skip(input).strip_prefix(':') {
            Some(rest) => Ok((rest, ())),
            None => {
                let (rest, _) = take_till(is_blank).parse(skip(input))?;
                let wrong = Wrong::new(Kind::Missing, self.place(skip(input), rest), "a colon is missing");
                stop(wrong.help(format!("it reads {}", quoted(shape))))
            }
        }
    }

    /// A time above zero, up to a blank or a colon.
    pub(super) fn time(&self, input: &'a str) -> Parsed<'a, Duration> {
        let (rest, word) = self.labelled("a time", input)?;
        let place = self.place(skip(input), rest);
        let refused = |message: String| {
            stop(Wrong::new(Kind::BadDuration, place, message).help("a time is written 250ms, 5s, 2m or 1h"))
        };
        match duration(word) {
            Ok(time) if time.is_zero() => refused("a time of nothing".to_owned()),
            Ok(time) if time <= WAIT_MAX => Ok((rest, time)),
            Ok(_) | Err(UnitError::OutOfRange) => {
                let most = duration_text(WAIT_MAX);
                refused(format!("{} is out of range: at most {most}", quoted(word)))
            }
            Err(UnitError::NotANumber) => refused(format!("{} is not a time", quoted(word))),
        }
    }

    /// A number in a range.
    pub(super) fn number(&self, what: &str, min: u32, max: u32, input: &'a str) -> Parsed<'a, u32> {
        let (rest, word) = self.word(what, input)?;
        let place = self.place(skip(input), rest);
        let digits = word.bytes().all(|byte| byte.is_ascii_digit());
        match word.parse().ok().filter(|_| digits) {
            Some(number) if (min..=max).contains(&number) => Ok((rest, number)),
            _ if digits => {
                let message = format!("{} is out of range: {what} is {min} to {max}", quoted(word));
                stop(Wrong::new(Kind::BadNumber, place, message))
            }
            _ => {
                let message = format!("{} is not a number", quoted(word));
                stop(Wrong::new(Kind::BadNumber, place, message))
            }
        }
    }

    /// Bytes in hexadecimal, two digits each, blanks between them or not, up to the end or `within`.
    pub(super) fn hex(&self, input: &'a str) -> Parsed<'a, Vec<u8>> {
        let mut bytes = Vec::new();
        let mut rest = input;
        while !at_end(rest) && self.optional("within", rest).is_none() {
            let (after, word) = self.word("a byte", rest)?;
            let place = self.place(skip(rest), after);
            let digits: Option<Vec<u32>> = word.chars().map(|c| c.to_digit(16)).collect();
            let Some(digits) = digits.filter(|digits| digits.len().is_multiple_of(2)) else {
                let message = format!("{} is not bytes in hexadecimal", quoted(word));
                return stop(
                    Wrong::new(Kind::BadHex, place, message).help("each byte is two digits, as in 0d 0a"),
                );
            };
            // Two digits make no more than a byte holds.
            bytes.extend(
                digits
                    .chunks_exact(2)
                    .map(|two| u8::try_from(two[0] * 16 + two[1]).unwrap_or(u8::MAX)),
            );
            rest = after;
        }
        if bytes.is_empty() {
            let wrong = Wrong::new(
                Kind::Missing,
                self.place(skip(rest), skip(rest)),
                "the bytes are missing",
            );
            return stop(wrong.help("each byte is two hexadecimal digits, as in 0d 0a"));
        }
        Ok((rest, bytes))
    }

    /// A text in quotes, or a variable by itself.
    pub(super) fn text(&self, input: &'a str) -> Parsed<'a, Text> {
        let start = skip(input);
        let (rest, pieces) = match start.chars().next() {
            Some('"') => self.in_quotes(start)?,
            Some('$') => self
                .variable(start)
                .map(|(rest, found)| (rest, vec![Piece::Variable(found)]))?,
            _ => {
                let (rest, word) = self.word("a text", start)?;
                let message = format!("{} is not a text", quoted(word));
                let wrong = Wrong::new(Kind::BadText, self.place(start, rest), message);
                let help = match is_path(word) {
                    true => format!(
                        "a text stands in double quotes, a variable has a dollar: {}",
                        quoted(&format!("${word}"))
                    ),
                    false => String::from("a text stands in double quotes"),
                };
                return stop(wrong.help(help));
            }
        };
        self.apart(start, rest)?;
        let place = self.place(start, rest);
        Ok((rest, Text { pieces, place }))
    }

    /// Behind a quote, a slash or a variable a blank follows, or nothing.
    fn apart(&self, start: &'a str, rest: &'a str) -> Parsed<'a, ()> {
        if rest.is_empty() || rest.starts_with(is_blank) {
            return Ok((rest, ()));
        }
        let (after, more) = take_till(is_blank).parse(rest)?;
        let message = format!("{} follows without a space", quoted(more));
        let wrong = Wrong::new(Kind::Leftover, self.place(rest, after), message);
        if start.starts_with('$') {
            return stop(wrong.help("a text with a variable in it stands in quotes"));
        }
        stop(wrong)
    }

    /// A word of a command, or an endpoint: as a shell would read it, without its backslashes.
    pub(super) fn argument(&self, what: &str, input: &'a str) -> Parsed<'a, Text> {
        // Says what is missing.
        self.word(what, input)?;
        let start = skip(input);
        let chunk = alt((
            is_not(" \t\"'$").map(Chunk::Plain),
            |input| self.dollar(input),
            |input| self.single(input),
            |input| {
                self.in_quotes(input)
                    .map(|(rest, pieces)| (rest, Chunk::Pieces(pieces)))
            },
        ));
        let (rest, chunks) = many0(chunk).parse(start)?;
        let place = self.place(start, rest);
        let pieces = joined(chunks);
        Ok((rest, Text { pieces, place }))
    }

    fn single(&self, input: &'a str) -> Parsed<'a, Chunk<'a>> {
        let (inner, _) = char('\'').parse(input)?;
        match inner.split_once('\'') {
            Some((text, rest)) => Ok((rest, Chunk::Plain(text))),
            None => stop(Wrong::new(
                Kind::BadText,
                self.place(input, inner),
                "the quote is not closed",
            )),
        }
    }

    fn in_quotes(&self, input: &'a str) -> Parsed<'a, Vec<Piece>> {
        let chunk = alt((
            is_not("\"\\$").map(Chunk::Plain),
            |input| self.escape(input),
            |input| self.dollar(input),
        ));
        let (rest, _) = char('"').parse(input)?;
        let (rest, chunks) = many0(chunk).parse(rest)?;
        match rest.strip_prefix('"') {
            Some(rest) => Ok((rest, joined(chunks))),
            None => {
                let place = self.place(input, &input[1..]);
                stop(Wrong::new(Kind::BadText, place, "the quote is not closed"))
            }
        }
    }

    fn escape(&self, input: &'a str) -> Parsed<'a, Chunk<'a>> {
        let (rest, _) = char('\\').parse(input)?;
        let length = match rest.chars().next() {
            Some('x') => 3,
            _ => 1,
        };
        let taken: usize = rest
            .chars()
            .take_while(|c| *c != '"' || length == 1)
            .take(length)
            .map(char::len_utf8)
            .sum();
        let rest = &rest[taken..];
        match unescape(&input[..=taken]) {
            Ok(bytes) => Ok((rest, Chunk::Bytes(bytes))),
            Err(error) => {
                let wrong = Wrong::new(Kind::BadEscape, self.place(input, rest), error.message);
                stop(wrong.help(match input.starts_with("\\$") {
                    true => "a dollar sign is written `$$`",
                    false => "the escapes are \\r \\n \\t \\0 \\\\ \\\" and \\xHH",
                }))
            }
        }
    }

    fn dollar(&self, input: &'a str) -> Parsed<'a, Chunk<'a>> {
        if let Some(rest) = input.strip_prefix("$$") {
            return Ok((rest, Chunk::Plain("$")));
        }
        self.variable(input)
            .map(|(rest, variable)| (rest, Chunk::Variable(variable)))
    }

    fn variable(&self, input: &'a str) -> Parsed<'a, Variable> {
        let (after, _) = char('$').parse(input)?;
        let braced = after.starts_with('{');
        let path = || {
            recognize(pair(
                verify(take_while1(is_part), is_name),
                many0(preceded(char('.'), take_while1(is_part))),
            ))
        };
        let found: Parsed<'a, &'a str> = match braced {
            true => delimited(char('{'), path(), char('}')).parse(after),
            false => path().parse(after),
        };
        let Ok((rest, path)) = found else {
            let end = after.find('}').filter(|_| braced).map_or(0, |at| at + 1);
            let place = self.place(input, &after[end..]);
            let message = match braced {
                true => "the braces do not hold a variable",
                false => "no variable follows the dollar sign",
            };
            return stop(Wrong::new(Kind::BadVariable, place, message).help("a dollar sign is written `$$`"));
        };
        let place = self.place(input, rest);
        match holder(path) {
            Ok(of) => Ok((rest, Variable { of, place })),
            Err(bad) => {
                let wrong = Wrong::new(Kind::BadVariable, place, bad.message);
                stop(match bad.help {
                    Some(help) => wrong.help(help),
                    None => wrong,
                })
            }
        }
    }

    /// A regex between slashes.
    pub(super) fn pattern(&self, input: &'a str) -> Parsed<'a, Pattern> {
        let start = skip(input);
        let (rest, _) = char('/').parse(start)?;
        let pair = alt((
            tag("\\/").map(|_| Chunk::Plain("/")),
            recognize(preceded(char('\\'), anychar)).map(Chunk::Plain),
        ));
        let variable = |input: &'a str| match input.starts_with("${") {
            true => self
                .variable(input)
                .map(|(rest, found)| (rest, Chunk::Variable(found))),
            false => tag("$").map(Chunk::Plain).parse(input),
        };
        let (rest, chunks) = many0(alt((is_not("/\\$").map(Chunk::Plain), pair, variable))).parse(rest)?;
        let Some(rest) = rest.strip_prefix('/') else {
            let wrong = Wrong::new(
                Kind::BadRegex,
                self.place(start, &start[1..]),
                "the regex is not closed",
            );
            return stop(wrong.help("a slash in a regex is written `\\/`"));
        };
        let place = self.place(start, rest);
        if let Err(stop) = self.apart(start, rest) {
            return Err(match stop {
                nom::Err::Failure(Stop {
                    wrong: Some(wrong),
                    rest,
                }) => nom::Err::Failure(Stop {
                    wrong: Some(Box::new(wrong.help("a slash in a regex is written `\\/`"))),
                    rest,
                }),
                other => other,
            });
        }
        match pattern::read(joined(chunks), place) {
            Ok(pattern) => Ok((rest, pattern)),
            Err(message) => stop(Wrong::new(Kind::BadRegex, place, message)),
        }
    }

    /// What follows a word that stands alone, such as a limit: nothing.
    pub(super) fn end(&self, input: &'a str) -> Parsed<'a, ()> {
        if at_end(input) {
            return Ok((input, ()));
        }
        let (start, _) = space0.parse(input)?;
        let (rest, more) = take_till(is_blank).parse(start)?;
        let message = format!("nothing is expected here, not {}", quoted(more));
        stop(Wrong::new(Kind::Leftover, self.place(start, rest), message))
    }
}

/// Whether a dollar in front would make a variable of it.
fn is_path(word: &str) -> bool {
    holder(word).is_ok() && word.split('.').next().is_some_and(is_name)
}

/// Why a path is no variable.
struct Bad {
    message: String,
    help: Option<String>,
}

fn holder(path: &str) -> Result<Holder, Bad> {
    let (name, field) = match path.split_once('.') {
        Some((name, field)) => (name, Some(field)),
        None => (path, None),
    };
    let dot = |field: &str| {
        Some(format!(
            "if the dot belongs to the text, write `${{{name}}}.{field}`"
        ))
    };
    match (name, field) {
        ("env", None) => Err(Bad {
            message: String::from("`$env` wants a name"),
            help: Some(String::from("for example `$env.HOME`")),
        }),
        ("env", Some(field)) if !field.contains('.') => Ok(Holder::Environment(field.to_owned())),
        ("TMP", None) => Ok(Holder::Temporary),
        ("DIR", None) => Ok(Holder::Directory),
        (name, None) => Ok(Holder::Named(name.to_owned())),
        ("env" | "TMP" | "DIR", Some(field)) => Err(Bad {
            message: format!("{} has no parts", quoted(&format!("${name}"))),
            help: dot(field),
        }),
        (name, Some(written)) => match Field::read(written) {
            Some(field) => Ok(Holder::Field(name.to_owned(), field)),
            None => Err(Bad {
                message: format!("nothing has {}", quoted(&format!(".{written}"))),
                help: crate::endpoint::nearest(written, Field::names())
                    .map(|near| format!("did you mean {}?", quoted(&format!(".{near}"))))
                    .or_else(|| dot(written)),
            }),
        },
    }
}

impl Field {
    /// What may stand behind a name and a dot, numbers apart.
    pub(super) fn names() -> impl Iterator<Item = &'static str> {
        ["host", "port"].into_iter().chain(Fact::ALL.map(Fact::name))
    }

    fn read(text: &str) -> Option<Field> {
        match text {
            "host" => Some(Field::Host),
            "port" => Some(Field::Port),
            _ if text.bytes().all(|byte| byte.is_ascii_digit()) && !text.starts_with('0') => {
                text.parse().ok().map(Field::Endpoint)
            }
            _ => Fact::ALL
                .into_iter()
                .find(|fact| fact.name() == text)
                .map(Field::Fact),
        }
    }
}
