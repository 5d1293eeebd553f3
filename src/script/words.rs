//! The words of a line: keywords, names, times, numbers, hexadecimal bytes; and what stops the parsers.
//! Absent: texts (`texts`), and which of them stand where.

use std::time::Duration;

use nom::bytes::complete::take_till;
use nom::character::complete::space0;
use nom::error::{ErrorKind, ParseError};
use nom::{IResult, Parser};

use super::RESERVED;
use super::refusal::{Kind, Wrong};
use super::step::{Name, Place};
use crate::diagnostic::{Span, listed, quoted};
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

pub(super) fn is_blank(c: char) -> bool {
    c == ' ' || c == '\t'
}

pub(super) fn is_part(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_'
}

/// What may be called something: a letter or `_`, then letters, digits, `_`.
pub(super) fn is_name(text: &str) -> bool {
    text.chars().all(is_part) && !text.starts_with(|c: char| c.is_ascii_digit()) && !text.is_empty()
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
            Err(_) if word.starts_with('-') => refused(format!("{} is less than nothing", quoted(word))),
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
