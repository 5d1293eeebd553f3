//! The report for programs: one object.
//! Absent: anything that the report for people does not say.

use std::time::Duration;

use serde_json::{Value, json};

use super::{Failure, Told, Verdict, worst};
use crate::script::play::history::{Event, What};

/// All scripts of a run.
#[must_use]
pub fn report(all: &[Told], took: Duration) -> Value {
    let count = |word: &str| all.iter().filter(|told| told.verdict.word() == word).count();
    json!({
        "status": worst(all).code(),
        "passed": count("passed"),
        "failed": count("failed"),
        "late": count("late"),
        "interrupted": count("interrupted"),
        "seconds": seconds(took),
        "scripts": all.iter().map(script).collect::<Vec<_>>(),
    })
}

fn script(told: &Told) -> Value {
    let steps: Vec<Value> = told
        .steps
        .iter()
        .map(|step| {
            json!({
                "file": step.file,
                "line": step.number,
                "text": step.line,
                "seconds": seconds(step.took),
                "times": step.times,
                "passed": step.passed,
            })
        })
        .collect();
    json!({
        "name": told.name,
        "verdict": told.verdict.word(),
        "seconds": seconds(told.took),
        "steps": steps,
        "more_steps": told.more_steps,
        "failure": match &told.verdict {
            Verdict::Failed(failure) => of(failure),
            _ => Value::Null,
        },
    })
}

fn of(failure: &Failure) -> Value {
    let conversations: Vec<Value> = failure
        .conversations
        .iter()
        .map(|told| {
            json!({
                "name": told.name,
                "peer": told.peer,
                "left_out": told.left_out,
                "events": told.events.iter().map(event).collect::<Vec<_>>(),
            })
        })
        .collect();
    let parts: Vec<Value> = failure
        .parts
        .iter()
        .map(|told| json!({ "name": told.name, "said": told.said, "left_out": told.left_out, "ended": told.ended }))
        .collect();
    json!({
        "status": failure.status.code(),
        "file": failure.file,
        "line": failure.number,
        "text": failure.line,
        "span": [failure.span.start, failure.span.end],
        "why": failure.why,
        "detail": failure.lines(),
        "conversations": conversations,
        "parts": parts,
        "kept": failure.kept,
    })
}

/// Bytes are written as [`crate::escape::escape`] does it.
fn event(event: &Event) -> Value {
    let (what, text, more) = match &event.what {
        What::Sent(bytes, more) => ("sent", crate::escape::escape(bytes), *more),
        What::Received(bytes, more) => ("received", crate::escape::escape(bytes), *more),
        What::Noted(words) => ("noted", words.clone(), 0),
    };
    json!({ "seconds": seconds(event.at), "what": what, "text": text, "more": more })
}

fn seconds(time: Duration) -> f64 {
    time.as_secs_f64()
}
