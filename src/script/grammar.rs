//! A line to a step, or to a line that begins, divides or ends a block.
//! Absent: words and texts (`words`, `texts`), what stands behind them (`expected`), blocks (`block`), and whether a name means
//! anything (`check`).
//!
//! Each line in its own words: see `manual.txt`, which holds the whole grammar.

use std::time::Duration;

use super::expected::{check, expectation, fails, payload};
use super::refusal::{Kind, Wrong};
use super::step::{Action, Expectation, Payload, Place, Text, Value};
use super::words::{Line, Parsed, Stop, at_end, skip, stop};
use super::{REPEAT_MAX, VERBS};
use crate::diagnostic::{listed, quoted};
use crate::endpoint::nearest;

/// What a line can begin with, names apart.
const FIRST: &[&str] = &[
    "start", "launch", "stop", "wait", "connect", "listen", "accept", "check", "set", "sleep", "repeat",
    "parallel", "and", "end", "include", "limit",
];

/// What can follow a name at the beginning of a line.
const SECOND: &[&str] = &["sends", "expects", "ends", "closes", "resets", "exits"];

/// A line that says something.
#[derive(Debug)]
pub(super) struct Said {
    pub(super) what: What,
    pub(super) place: Place,
}

/// What a line is to those around it.
#[derive(Debug)]
pub(super) enum What {
    Step(Action, Option<Duration>),
    Limit {
        step: Option<Duration>,
        script: Option<Duration>,
    },
    Repeat {
        times: u32,
    },
    Parallel,
    And,
    End,
}

/// Reads a line; nothing where it is blank, or a comment.
pub(super) fn said(line: Line<'_>) -> Result<Option<Said>, Wrong> {
    if at_end(line.text) {
        return Ok(None);
    }
    match what(line, line.text) {
        Ok((rest, what)) => Ok(Some(Said {
            what,
            place: line.whole(rest),
        })),
        Err(
            nom::Err::Error(Stop {
                wrong: Some(wrong), ..
            })
            | nom::Err::Failure(Stop {
                wrong: Some(wrong), ..
            }),
        ) => Err(*wrong),
        // Every parser that is tried alone says what is wrong; should one not, the place is told.
        Err(nom::Err::Error(Stop { rest, .. }) | nom::Err::Failure(Stop { rest, .. })) => Err(Wrong::new(
            Kind::UnknownWord,
            line.place(rest, ""),
            "this is not understood",
        )),
        Err(nom::Err::Incomplete(_)) => Err(Wrong::new(
            Kind::Missing,
            line.whole(""),
            "the line ends too early",
        )),
    }
}

/// The word that a line begins with.
pub(super) fn first(text: &str) -> &str {
    skip(text).split([' ', '\t']).next().unwrap_or_default()
}

fn what<'a>(line: Line<'a>, input: &'a str) -> Parsed<'a, What> {
    let (rest, word) = line.word("a step", input)?;
    let alone = |what| line.end(rest).map(|(rest, ())| (rest, what));
    match word {
        "repeat" => repeat(line, rest),
        "parallel" => alone(What::Parallel),
        "and" => alone(What::And),
        "end" => alone(What::End),
        "limit" => limit(line, rest),
        _ => {
            let (rest, (action, limit)) = action(line, word, input, rest)?;
            let (rest, within) = within(line, limit, rest)?;
            let (rest, ()) = line.end(rest)?;
            Ok((rest, What::Step(action, within)))
        }
    }
}

/// Where a step has a time limit of its own.
#[derive(Debug, Clone, Copy)]
enum Limit {
    /// Behind it, if anywhere.
    Behind,
    /// Nowhere.
    Never,
    /// It was read already.
    Read(Option<Duration>),
}

type Limited = (Action, Limit);

fn action<'a>(line: Line<'a>, word: &str, input: &'a str, rest: &'a str) -> Parsed<'a, Limited> {
    match word {
        "start" | "launch" => part(line, word == "start", rest),
        "stop" => line
            .name(rest)
            .map(|(rest, name)| (rest, (Action::Stop { name }, Limit::Behind))),
        "wait" => wait(line, rest),
        "connect" => connect(line, rest),
        "listen" => {
            let (rest, name) = line.name(rest)?;
            let (rest, _) = line.keyword(&["on"], rest)?;
            let (rest, endpoint) = line.argument("a server endpoint", rest)?;
            Ok((rest, (Action::Listen { name, endpoint }, Limit::Never)))
        }
        "accept" => {
            let (rest, name) = line.name(rest)?;
            let (rest, _) = line.keyword(&["on"], rest)?;
            let (rest, door) = line.name(rest)?;
            let (rest, fails) = fails(line, rest)?;
            Ok((rest, (Action::Accept { name, door, fails }, Limit::Behind)))
        }
        "check" => check(line, rest).map(|(rest, action)| (rest, (action, Limit::Never))),
        "set" => {
            let (rest, name) = line.name(rest)?;
            let (rest, _) = line.keyword(&["to"], rest)?;
            let (rest, value) = match line.optional("a", rest) {
                Some(rest) => {
                    let (rest, _) = line.keyword(&["free"], rest)?;
                    let (rest, _) = line.keyword(&["port"], rest)?;
                    (rest, Value::FreePort)
                }
                None => line.text(rest).map(|(rest, text)| (rest, Value::Text(text)))?,
            };
            Ok((rest, (Action::Set { name, value }, Limit::Never)))
        }
        "sleep" => line
            .time(rest)
            .map(|(rest, time)| (rest, (Action::Sleep(time), Limit::Never))),
        "include" => {
            let (rest, file) = line.text(rest)?;
            let steps = Vec::new();
            Ok((rest, (Action::Include { file, steps }, Limit::Never)))
        }
        _ => subject(line, input),
    }
}

/// `NAME does ...`
fn subject<'a>(line: Line<'a>, input: &'a str) -> Parsed<'a, Limited> {
    let (rest, first) = line.word("a step", input)?;
    let place = line.place(skip(input), rest);
    let second = first_of(rest);
    let found = SECOND.iter().find(|known| Some(**known) == second);
    let Some(verb) = found else {
        // `alice expect "x"`: it is the second word that is wrong.
        if let Some(second) = second
            && let Some(meant) = nearest(second, SECOND.iter().copied())
        {
            let (after, _) = line.word("a step", rest)?;
            let message = format!("unknown word {}", quoted(second));
            let wrong = Wrong::new(Kind::UnknownStep, line.place(skip(rest), after), message);
            return stop(wrong.help(format!("did you mean {}?", quoted(meant))));
        }
        let wrong = Wrong::new(
            Kind::UnknownStep,
            place,
            format!("unknown step {}", quoted(first)),
        );
        let known: Vec<String> = SECOND.iter().map(|word| quoted(word)).collect();
        let wrong = wrong.help(format!(
            "a line begins with a step, or with a name and {}",
            listed(&known, "or")
        ));
        return stop(wrong.meant(first, FIRST.iter().copied()));
    };
    let (rest, who) = line.name(input)?;
    let (rest, _) = line.keyword(SECOND, rest)?;
    Ok(match *verb {
        "sends" => {
            let (rest, (payload, is_line)) = match line.optional("line", rest) {
                Some(rest) => line
                    .text(rest)
                    .map(|(rest, text)| (rest, (Payload::Text(text), true)))?,
                None => {
                    payload(line, "what is sent", rest).map(|(rest, payload)| (rest, (payload, false)))?
                }
            };
            let action = Action::Send {
                who,
                payload,
                line: is_line,
            };
            (rest, (action, Limit::Behind))
        }
        "expects" => {
            let (rest, what) = expectation(line, rest)?;
            let limit = match what {
                Expectation::Silence(_) => Limit::Never,
                _ => Limit::Behind,
            };
            (rest, (Action::Expect { who, what }, limit))
        }
        "ends" => (rest, (Action::End { who }, Limit::Behind)),
        "closes" => (rest, (Action::Close { who }, Limit::Behind)),
        "resets" => (rest, (Action::Reset { who }, Limit::Never)),
        _ => {
            let (rest, status) = match line.optional("with", rest) {
                Some(rest) => {
                    let (rest, _) = line.keyword(&["status"], rest)?;
                    let (rest, status) = line.number("a status", 0, 255, rest)?;
                    (rest, u8::try_from(status).ok())
                }
                None => (rest, None),
            };
            (rest, (Action::Exits { name: who, status }, Limit::Behind))
        }
    })
}

fn first_of(input: &str) -> Option<&str> {
    (!at_end(input)).then(|| first(input))
}

/// `start NAME [within D]: VERB ...`, `launch NAME: PROGRAM ...`
fn part<'a>(line: Line<'a>, ours: bool, input: &'a str) -> Parsed<'a, Limited> {
    let shape = if ours {
        "start NAME: serve ..."
    } else {
        "launch NAME: PROGRAM ..."
    };
    let (rest, name) = line.name(input)?;
    let (rest, within) = match line.optional("within", rest).filter(|_| ours) {
        Some(rest) => line.time(rest).map(|(rest, time)| (rest, Some(time)))?,
        None => (rest, None),
    };
    let (mut rest, ()) = line.colon(shape, rest)?;
    let mut command: Vec<Text> = Vec::new();
    while command.is_empty() || !at_end(rest) {
        let start = skip(rest);
        let what = match (ours, command.is_empty()) {
            (true, _) => "the verb",
            (false, _) => "the program",
        };
        let (after, argument) = line.argument(what, rest)?;
        if ours && command.is_empty() {
            let verb = argument.literal().map(String::from_utf8_lossy);
            if !verb.as_ref().is_some_and(|verb| VERBS.contains(&verb.as_ref())) {
                let place = line.place(start, after);
                let known: Vec<String> = VERBS.iter().map(|verb| quoted(verb)).collect();
                let message = format!("only {} can be started", listed(&known, "and"));
                let wrong = Wrong::new(Kind::UnknownWord, place, message);
                let wrong = wrong.help("`launch` runs every other program");
                return stop(wrong.meant(&verb.unwrap_or_default(), VERBS.iter().copied()));
            }
        }
        if let Some(limit) = line.optional("within", start).filter(|_| ours)
            && let Ok((after, _)) = line.time(limit)
            && at_end(after)
        {
            let wrong = Wrong::new(
                Kind::MisplacedLimit,
                line.place(start, after),
                "`within` stands before the colon",
            );
            return stop(wrong.help(format!(
                "it reads {}",
                quoted(&format!(
                    "start {} {}: ...",
                    name.text,
                    start[..start.len() - after.len()].trim_end()
                ))
            )));
        }
        command.push(argument);
        rest = after;
    }
    // A limit stands in front of the colon: behind it, it would be an argument.
    let action = match ours {
        true => Action::Start { name, command },
        false => Action::Launch { name, command },
    };
    Ok((rest, (action, Limit::Read(within))))
}

/// `wait for ENDPOINT... [to be gone]`
fn wait<'a>(line: Line<'a>, input: &'a str) -> Parsed<'a, Limited> {
    let (rest, _) = line.keyword(&["for"], input)?;
    let (mut rest, first) = line.argument("a client endpoint", rest)?;
    let mut endpoints = vec![first];
    let mut gone = false;
    while !at_end(rest) && line.optional("within", rest).is_none() {
        if let Some(after) = line.optional("to", rest) {
            let (after, _) = line.keyword(&["be"], after)?;
            let (after, _) = line.keyword(&["gone"], after)?;
            (rest, gone) = (after, true);
            break;
        }
        let (after, endpoint) = line.argument("a client endpoint", rest)?;
        endpoints.push(endpoint);
        rest = after;
    }
    Ok((rest, (Action::Wait { endpoints, gone }, Limit::Behind)))
}

/// `connect NAME to ENDPOINT [fails ...]`
fn connect<'a>(line: Line<'a>, input: &'a str) -> Parsed<'a, Limited> {
    let (rest, name) = line.name(input)?;
    let (rest, _) = line.keyword(&["to"], rest)?;
    let (rest, endpoint) = line.argument("a client endpoint", rest)?;
    let (rest, fails) = fails(line, rest)?;
    let action = Action::Connect {
        name,
        endpoint,
        fails,
    };
    Ok((rest, (action, Limit::Behind)))
}

/// `repeat N times`
fn repeat<'a>(line: Line<'a>, input: &'a str) -> Parsed<'a, What> {
    let (rest, times) = line.number("the number of times", 1, REPEAT_MAX, input)?;
    let (rest, _) = line.keyword(&["times"], rest)?;
    let (rest, ()) = line.end(rest)?;
    Ok((rest, What::Repeat { times }))
}

/// `limit D each`, `limit D in all`, or both with a comma in between.
fn limit<'a>(line: Line<'a>, input: &'a str) -> Parsed<'a, What> {
    let (mut step, mut script) = (None, None);
    let mut rest = input;
    loop {
        let start = skip(rest);
        let (after, time) = line.time(rest)?;
        let (after, word) = line.keyword(&["each", "in", "each,"], after)?;
        let (after, more, slot) = match word {
            "in" => {
                let (after, word) = line.keyword(&["all", "all,"], after)?;
                (after, word == "all,", &mut script)
            }
            word => (after, word == "each,", &mut step),
        };
        if slot.replace(time).is_some() {
            return stop(Wrong::new(
                Kind::MisplacedLimit,
                line.place(start, after),
                "this limit is given twice",
            ));
        }
        rest = after;
        if !more {
            break;
        }
    }
    let (rest, ()) = line.end(rest)?;
    Ok((rest, What::Limit { step, script }))
}

/// `within D` behind a step.
fn within<'a>(line: Line<'a>, limit: Limit, input: &'a str) -> Parsed<'a, Option<Duration>> {
    if let Limit::Read(within) = limit {
        return Ok((input, within));
    }
    let Some(rest) = line.optional("within", input) else {
        return Ok((input, None));
    };
    let (after, time) = line.time(rest)?;
    if matches!(limit, Limit::Never) {
        let place = line.place(skip(input), after);
        let wrong = Wrong::new(
            Kind::Leftover,
            place,
            "this step waits for nothing that a limit could end",
        );
        return stop(wrong);
    }
    Ok((after, Some(time)))
}
