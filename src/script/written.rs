//! Steps as text again, which reads back to the same steps: `Display` of a script and of its parts.
//! Absent: comments and the user's own spacing.

use std::fmt::{self, Display as _, Write as _};

use super::step::{
    Action, Claim, Expectation, Failure, Field, Holder, Pattern, Payload, Piece, Step, Text, Value, Variable,
};
use super::{Limits, Script};
use crate::escape::escape;
use crate::units::duration_text;

/// What a block is indented by.
const INDENT: usize = 4;

/// The script, without what it includes.
impl fmt::Display for Script {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.limits != Limits::default() {
            let Limits { step, script } = self.limits;
            writeln!(
                f,
                "limit {} each, {} in all",
                duration_text(step),
                duration_text(script)
            )?;
        }
        block(f, 0, &self.steps)
    }
}

/// The step on a line of its own, with the lines of its block.
impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        step(f, 0, self)
    }
}

fn block(f: &mut fmt::Formatter<'_>, indent: usize, steps: &[Step]) -> fmt::Result {
    for inner in steps {
        step(f, indent, inner)?;
        f.write_char('\n')?;
    }
    Ok(())
}

fn step(f: &mut fmt::Formatter<'_>, indent: usize, step: &Step) -> fmt::Result {
    write!(f, "{:indent$}", "")?;
    match &step.action {
        Action::Start { name, command } => {
            write!(f, "start {}", name.text)?;
            if let Some(within) = step.within {
                write!(f, " within {}", duration_text(within))?;
            }
            f.write_char(':')?;
            return arguments(f, command);
        }
        Action::Launch { name, command } => {
            write!(f, "launch {}:", name.text)?;
            arguments(f, command)?;
        }
        Action::Stop { name } => write!(f, "stop {}", name.text)?,
        Action::Exits { name, status } => {
            write!(f, "{} exits", name.text)?;
            if let Some(status) = status {
                write!(f, " with status {status}")?;
            }
        }
        Action::Wait { endpoints, gone } => {
            f.write_str("wait for")?;
            arguments(f, endpoints)?;
            if *gone {
                f.write_str(" to be gone")?;
            }
        }
        Action::Connect {
            name,
            endpoint,
            fails,
        } => {
            write!(f, "connect {} to {}", name.text, Argument(endpoint))?;
            failure(f, fails.as_ref())?;
        }
        Action::Listen { name, endpoint } => write!(f, "listen {} on {}", name.text, Argument(endpoint))?,
        Action::Accept { name, door, fails } => {
            write!(f, "accept {} on {}", name.text, door.text)?;
            failure(f, fails.as_ref())?;
        }
        Action::Send { who, payload, line } => {
            write!(
                f,
                "{} sends {}{payload}",
                who.text,
                if *line { "line " } else { "" }
            )?;
        }
        Action::Expect { who, what } => write!(f, "{} expects {what}", who.text)?,
        Action::End { who } => write!(f, "{} ends", who.text)?,
        Action::Close { who } => write!(f, "{} closes", who.text)?,
        Action::Reset { who } => write!(f, "{} resets", who.text)?,
        Action::Check { subject, claim } => write!(f, "check {subject} {claim}")?,
        Action::Set { name, value } => match value {
            Value::Text(text) => write!(f, "set {} to {text}", name.text)?,
            Value::FreePort => write!(f, "set {} to a free port", name.text)?,
        },
        Action::Sleep(time) => write!(f, "sleep {}", duration_text(*time))?,
        Action::Include { file, .. } => write!(f, "include {file}")?,
        Action::Repeat { times, steps } => {
            writeln!(f, "repeat {times} times")?;
            block(f, indent + INDENT, steps)?;
            write!(f, "{:indent$}end", "")?;
        }
        Action::Parallel { branches } => {
            for (at, steps) in branches.iter().enumerate() {
                match at {
                    0 => f.write_str("parallel\n")?,
                    _ => writeln!(f, "{:indent$}and", "")?,
                }
                block(f, indent + INDENT, steps)?;
            }
            write!(f, "{:indent$}end", "")?;
        }
    }
    match step.within {
        Some(within) => write!(f, " within {}", duration_text(within)),
        None => Ok(()),
    }
}

fn arguments(f: &mut fmt::Formatter<'_>, words: &[Text]) -> fmt::Result {
    words.iter().try_for_each(|word| write!(f, " {}", Argument(word)))
}

fn failure(f: &mut fmt::Formatter<'_>, fails: Option<&Failure>) -> fmt::Result {
    match fails {
        None => Ok(()),
        Some(Failure::Any) => f.write_str(" fails"),
        Some(Failure::Refused) => f.write_str(" fails with refused"),
        Some(Failure::Timeout) => f.write_str(" fails with timeout"),
        Some(Failure::Tls) => f.write_str(" fails with tls"),
        Some(Failure::Reset) => f.write_str(" fails with reset"),
        Some(Failure::Matching(pattern)) => write!(f, " fails with {pattern}"),
    }
}

/// In quotes, or a variable by itself.
impl fmt::Display for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let [Piece::Variable(variable)] = self.pieces.as_slice() {
            return variable.fmt(f);
        }
        f.write_char('"')?;
        pieces(f, &self.pieces, |f, bytes| {
            f.write_str(&escape(bytes).replace('$', "$$"))
        })?;
        f.write_char('"')
    }
}

fn pieces(
    f: &mut fmt::Formatter<'_>,
    pieces: &[Piece],
    mut plain: impl FnMut(&mut fmt::Formatter<'_>, &[u8]) -> fmt::Result,
) -> fmt::Result {
    for (at, piece) in pieces.iter().enumerate() {
        match piece {
            Piece::Bytes(bytes) => plain(f, bytes)?,
            Piece::Variable(variable) => {
                // A letter behind it would be part of the name.
                let goes_on = match pieces.get(at + 1) {
                    Some(Piece::Bytes(next)) => next
                        .first()
                        .is_some_and(|byte| byte.is_ascii_alphanumeric() || b"_.".contains(byte)),
                    _ => false,
                };
                match goes_on {
                    true => write!(f, "{variable:#}")?,
                    false => write!(f, "{variable}")?,
                }
            }
        }
    }
    Ok(())
}

/// A word of a command: without quotes where it needs none.
struct Argument<'a>(&'a Text);

impl fmt::Display for Argument<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Argument(text) = self;
        let plain = |piece: &Piece| match piece {
            Piece::Bytes(bytes) => bytes
                .iter()
                .all(|byte| byte.is_ascii_graphic() && !b"\"'$".contains(byte)),
            Piece::Variable(_) => true,
        };
        // At its beginning a `#` would be a comment, and these words have a meaning behind endpoints.
        let taken = text.pieces.is_empty()
            || matches!(text.pieces.first(), Some(Piece::Bytes(bytes)) if bytes.starts_with(b"#"))
            || text
                .literal()
                .is_some_and(|word| word == b"within" || word == b"to");
        if taken || !text.pieces.iter().all(plain) {
            return quoted(f, text);
        }
        pieces(f, &text.pieces, |f, bytes| {
            f.write_str(&String::from_utf8_lossy(bytes))
        })
    }
}

fn quoted(f: &mut fmt::Formatter<'_>, text: &Text) -> fmt::Result {
    match text.pieces.as_slice() {
        [Piece::Variable(_)] => write!(f, "\"{text}\""),
        _ => text.fmt(f),
    }
}

/// `$NAME`; the alternate form has braces.
impl fmt::Display for Variable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (open, close) = if f.alternate() { ("{", "}") } else { ("", "") };
        write!(f, "${open}")?;
        match &self.of {
            Holder::Temporary => f.write_str("TMP")?,
            Holder::Directory => f.write_str("DIR")?,
            Holder::Environment(name) => write!(f, "env.{name}")?,
            Holder::Named(name) => f.write_str(name)?,
            Holder::Field(name, field) => write!(f, "{name}.{field}")?,
        }
        f.write_str(close)
    }
}

impl fmt::Display for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Field::Endpoint(number) => write!(f, "{number}"),
            Field::Host => f.write_str("host"),
            Field::Port => f.write_str("port"),
            Field::Fact(fact) => f.write_str(fact.name()),
        }
    }
}

/// Between slashes.
impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_char('/')?;
        for piece in &self.pieces {
            match piece {
                Piece::Variable(variable) => write!(f, "{variable:#}")?,
                Piece::Bytes(bytes) => {
                    let source = String::from_utf8_lossy(bytes);
                    let mut chars = source.chars();
                    while let Some(c) = chars.next() {
                        match c {
                            '/' => f.write_str("\\/")?,
                            '\\' => {
                                f.write_char(c)?;
                                // What follows a backslash belongs to it.
                                if let Some(next) = chars.next() {
                                    f.write_char(next)?;
                                }
                            }
                            c => f.write_char(c)?,
                        }
                    }
                }
            }
        }
        f.write_char('/')
    }
}

impl fmt::Display for Payload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Payload::Text(text) => text.fmt(f),
            Payload::File(file) => write!(f, "file {file}"),
            Payload::Hex(bytes) => {
                f.write_str("hex")?;
                bytes.iter().try_for_each(|byte| write!(f, " {byte:02x}"))
            }
        }
    }
}

impl fmt::Display for Expectation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Expectation::Contains(payload) => payload.fmt(f),
            Expectation::Exactly(payload) => write!(f, "exactly {payload}"),
            Expectation::Line(text) => write!(f, "line {text}"),
            Expectation::Matches(pattern) => pattern.fmt(f),
            Expectation::Close => f.write_str("close"),
            Expectation::Reset => f.write_str("reset"),
            Expectation::Alert(None) => f.write_str("tls alert"),
            Expectation::Alert(Some(alert)) => write!(f, "tls alert {}", alert.text),
            Expectation::Silence(time) => write!(f, "silence for {}", duration_text(*time)),
        }
    }
}

impl fmt::Display for Claim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Claim::Is { holds: true, other } => write!(f, "is {other}"),
            Claim::Is { holds: false, other } => write!(f, "is not {other}"),
            Claim::Contains { holds: true, other } => write!(f, "contains {other}"),
            Claim::Contains { holds: false, other } => write!(f, "does not contain {other}"),
            Claim::Matches { holds: true, pattern } => write!(f, "matches {pattern}"),
            Claim::Matches {
                holds: false,
                pattern,
            } => write!(f, "does not match {pattern}"),
        }
    }
}
