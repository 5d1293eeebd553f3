//! Texts and what stands in them: quotes, escapes, variables; the words of a command; regexes. Escapes are undone once.
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

use nom::Parser;
use nom::branch::alt;
use nom::bytes::complete::{is_not, tag, take_till, take_while1};
use nom::character::complete::{anychar, char};
use nom::combinator::{recognize, verify};
use nom::multi::many0;
use nom::sequence::{delimited, pair, preceded};

use super::pattern;
use super::refusal::{Kind, Wrong};
use super::step::{Fact, Field, Holder, Pattern, Piece, Text, Variable};
use super::words::{Line, Parsed, Stop, is_blank, is_name, is_part, skip, stop};
use crate::diagnostic::quoted;
use crate::escape::unescape;

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
