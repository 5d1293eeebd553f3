//! The report for people: each script with its steps and their times, each failure in full, and a last line that counts.
//! Absent: the terminal.

use std::fmt::Write as _;
use std::time::Duration;

use super::{Told, Verdict, shown, time_text};
use crate::diagnostic::{counted, listed};

/// Columns of a step before its time.
const STEP_MAX: usize = 72;

/// How much is told.
#[derive(Debug, Clone, Copy, Default)]
pub struct Style {
    /// Verdicts in colour.
    pub colour: bool,
    /// Only what failed.
    pub brief: bool,
}

/// One script.
#[must_use]
pub fn script(told: &Told, style: Style) -> String {
    let mut text = String::new();
    let passed = matches!(told.verdict, Verdict::Passed);
    if style.brief && passed {
        return text;
    }
    let (colour, off) = match (style.colour, passed) {
        (false, _) => ("", ""),
        (true, true) => ("\x1b[32m", "\x1b[0m"),
        (true, false) => ("\x1b[1;31m", "\x1b[0m"),
    };
    let word = told.verdict.word();
    // Writing to a String cannot fail.
    let _ = writeln!(
        text,
        "{colour}{word}{off} {} ({})",
        shown(&told.name),
        time_text(told.took)
    );
    if !style.brief {
        steps(told, &mut text);
    }
    if let Verdict::Failed(failure) = &told.verdict {
        for line in failure.lines() {
            let _ = writeln!(text, "  {line}");
        }
    }
    text
}

fn steps(told: &Told, text: &mut String) {
    let digits = told
        .steps
        .iter()
        .map(|step| step.number.to_string().len())
        .max()
        .unwrap_or(1);
    let rows: Vec<(String, &super::StepTold)> = told
        .steps
        .iter()
        .map(|step| {
            let file = step
                .file
                .as_ref()
                .map(|file| format!("{}:", shown(file)))
                .unwrap_or_default();
            (
                clip(&format!("{file}{:>digits$}  {}", step.number, shown(&step.line))),
                step,
            )
        })
        .collect();
    let width = rows.iter().map(|(row, _)| row.chars().count()).max().unwrap_or(0);
    for (row, step) in rows {
        let pad = " ".repeat(width - row.chars().count());
        let mark = match (step.passed, step.times) {
            (false, _) => "  <- here".to_owned(),
            (true, 1) => String::new(),
            (true, times) => format!("  in {times} rounds"),
        };
        let _ = writeln!(text, "  {row}{pad}  {:>6}{mark}", time_text(step.took));
    }
    if told.more_steps > 0 {
        let _ = writeln!(
            text,
            "  … and {}",
            counted(usize::try_from(told.more_steps).unwrap_or(usize::MAX), "step")
        );
    }
}

fn clip(text: &str) -> String {
    if text.chars().count() <= STEP_MAX {
        return text.to_owned();
    }
    text.chars().take(STEP_MAX - 1).chain(['…']).collect()
}

/// `3 scripts: 1 passed, 1 failed and 1 late, in 1.2s`.
#[must_use]
pub fn summary(all: &[Told], took: Duration) -> String {
    let mut counts = Vec::new();
    for word in ["passed", "failed", "late", "interrupted"] {
        let count = all.iter().filter(|told| told.verdict.word() == word).count();
        if count > 0 {
            counts.push(format!("{count} {word}"));
        }
    }
    let counts = match counts.is_empty() {
        true => "none was played".to_owned(),
        false => listed(&counts, "and"),
    };
    format!(
        "{}: {counts}, in {}\n",
        counted(all.len(), "script"),
        time_text(took)
    )
}
