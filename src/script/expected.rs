//! What is sent, expected and claimed, and how a connection may fail: the second half of a line.
//! Absent: the first.

use super::ALERTS;
use super::refusal::{Kind, Wrong};
use super::step::{Action, Claim, Expectation, Failure, Payload, Word};
use super::words::{Line, Parsed, at_end, skip, stop};
use crate::diagnostic::quoted;

pub(super) fn fails<'a>(line: Line<'a>, input: &'a str) -> Parsed<'a, Option<Failure>> {
    let Some(rest) = line.optional("fails", input) else {
        return Ok((input, None));
    };
    let Some(rest) = line.optional("with", rest) else {
        return Ok((rest, Some(Failure::Any)));
    };
    if skip(rest).starts_with('/') {
        let (rest, pattern) = line.pattern(rest)?;
        return Ok((rest, Some(Failure::Matching(pattern))));
    }
    let (rest, word) = line.keyword(&["refused", "timeout", "tls", "reset"], rest)?;
    let failure = match word {
        "refused" => Failure::Refused,
        "timeout" => Failure::Timeout,
        "tls" => Failure::Tls,
        _ => Failure::Reset,
    };
    Ok((rest, Some(failure)))
}

/// `"..."`, `$NAME`, `hex ...`, `file "..."`
pub(super) fn payload<'a>(line: Line<'a>, what: &str, input: &'a str) -> Parsed<'a, Payload> {
    let (after, word) = line.word(what, input)?;
    match word {
        "hex" => line.hex(after).map(|(rest, bytes)| (rest, Payload::Hex(bytes))),
        "file" => line.text(after).map(|(rest, text)| (rest, Payload::File(text))),
        _ => line.text(input).map(|(rest, text)| (rest, Payload::Text(text))),
    }
}

pub(super) fn expectation<'a>(line: Line<'a>, input: &'a str) -> Parsed<'a, Expectation> {
    const WORDS: &[&str] = &[
        "exactly", "line", "hex", "file", "close", "reset", "tls", "silence",
    ];
    let (rest, word) = line.word("what is expected", input)?;
    match word {
        "exactly" => payload(line, "what is expected", rest)
            .map(|(rest, payload)| (rest, Expectation::Exactly(payload))),
        "line" => line
            .text(rest)
            .map(|(rest, text)| (rest, Expectation::Line(text))),
        "close" => Ok((rest, Expectation::Close)),
        "reset" => Ok((rest, Expectation::Reset)),
        "tls" => alert(line, rest),
        "silence" => {
            let (rest, _) = line.keyword(&["for"], rest)?;
            line.time(rest)
                .map(|(rest, time)| (rest, Expectation::Silence(time)))
        }
        "hex" | "file" => payload(line, "what is expected", input)
            .map(|(rest, payload)| (rest, Expectation::Contains(payload))),
        _ if word.starts_with('/') => line
            .pattern(input)
            .map(|(rest, pattern)| (rest, Expectation::Matches(pattern))),
        _ if word.starts_with(['"', '$']) => line
            .text(input)
            .map(|(rest, text)| (rest, Expectation::Contains(Payload::Text(text)))),
        _ => {
            let place = line.place(skip(input), rest);
            let wrong = Wrong::new(
                Kind::UnknownWord,
                place,
                format!("{} cannot be expected", quoted(word)),
            );
            let wrong = wrong.help("a text stands in double quotes, a regex between slashes");
            stop(wrong.meant(word, WORDS.iter().copied()))
        }
    }
}

fn alert<'a>(line: Line<'a>, input: &'a str) -> Parsed<'a, Expectation> {
    let (rest, _) = line.keyword(&["alert"], input)?;
    if at_end(rest) || line.optional("within", rest).is_some() {
        return Ok((rest, Expectation::Alert(None)));
    }
    let (after, word) = line.word("an alert", rest)?;
    let place = line.place(skip(rest), after);
    if !ALERTS.contains(&word) {
        let wrong = Wrong::new(
            Kind::UnknownWord,
            place,
            format!("unknown alert {}", quoted(word)),
        );
        let wrong = wrong.help("alerts have the names of RFC 8446, such as `unknown_ca`");
        return stop(wrong.meant(word, ALERTS.iter().copied()));
    }
    let text = word.to_owned();
    Ok((after, Expectation::Alert(Some(Word { text, place }))))
}

/// `check TEXT is TEXT`, and its like.
pub(super) fn check<'a>(line: Line<'a>, input: &'a str) -> Parsed<'a, Action> {
    let (rest, subject) = line.text(input)?;
    let (rest, word) = line.keyword(&["is", "contains", "matches", "does"], rest)?;
    let (rest, word, holds) = match word {
        "is" => match line.optional("not", rest) {
            Some(rest) => (rest, "is", false),
            None => (rest, "is", true),
        },
        "does" => {
            let (rest, _) = line.keyword(&["not"], rest)?;
            match line.keyword(&["contain", "match"], rest)? {
                (rest, "contain") => (rest, "contains", false),
                (rest, _) => (rest, "matches", false),
            }
        }
        word => (rest, word, true),
    };
    let (rest, claim) = match word {
        "matches" if skip(rest).starts_with('/') => line
            .pattern(rest)
            .map(|(rest, pattern)| (rest, Claim::Matches { holds, pattern }))?,
        "matches" => {
            let (after, word) = line.word("a regex", rest)?;
            let message = format!("{} is not a regex", quoted(word));
            let wrong = Wrong::new(Kind::BadRegex, line.place(skip(rest), after), message);
            return stop(wrong.help("a regex stands between slashes"));
        }
        "is" => line
            .text(rest)
            .map(|(rest, other)| (rest, Claim::Is { holds, other }))?,
        _ => line
            .text(rest)
            .map(|(rest, other)| (rest, Claim::Contains { holds, other }))?,
    };
    Ok((rest, Action::Check { subject, claim }))
}
