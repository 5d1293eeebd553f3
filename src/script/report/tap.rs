//! The report as TAP, version 14: a test point a script, with a block of YAML where it failed.
//! Absent: the steps, which are no tests of their own.

use std::fmt::Write as _;

use super::{Told, Verdict};
use crate::error::Status;

/// What comes first: the version, and how many there will be.
#[must_use]
pub fn head(count: usize) -> String {
    format!("TAP version 14\n1..{count}\n")
}

/// The test point of one script; numbers begin with 1.
#[must_use]
pub fn point(number: usize, told: &Told) -> String {
    let name = described(&told.name);
    let mut text = String::new();
    // Writing to a String cannot fail.
    match &told.verdict {
        Verdict::Passed => {
            let _ = writeln!(text, "ok {number} - {name}");
            let _ = writeln!(text, "  ---\n  duration_ms: {}\n  ...", told.took.as_millis());
        }
        Verdict::Failed(failure) => {
            let _ = writeln!(text, "not ok {number} - {name}\n  ---");
            let _ = writeln!(text, "  message: {}", quoted(&failure.why));
            let severity = if failure.status == Status::Timeout {
                "timeout"
            } else {
                "fail"
            };
            let _ = writeln!(text, "  severity: {severity}");
            let _ = writeln!(text, "  duration_ms: {}", told.took.as_millis());
            let _ = writeln!(
                text,
                "  at:\n    file: {}\n    line: {}",
                quoted(&failure.file),
                failure.number
            );
            let _ = writeln!(text, "  detail: |");
            for line in failure.lines() {
                let _ = writeln!(text, "    {line}");
            }
            let _ = writeln!(text, "  ...");
        }
        Verdict::Interrupted => {
            let _ = writeln!(text, "Bail out! interrupted");
        }
    }
    text
}

/// A description: on one line, with `#` and `\` escaped as the format asks for.
fn described(text: &str) -> String {
    let mut line = String::new();
    for c in text.chars() {
        match c {
            '#' | '\\' => line.extend(['\\', c]),
            c if c.is_control() => line.push('\u{fffd}'),
            c => line.push(c),
        }
    }
    line
}

/// A scalar of YAML in double quotes.
fn quoted(text: &str) -> String {
    let mut line = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => line.extend(['\\', c]),
            c if c.is_control() => {
                let _ = write!(line, "\\u{:04x}", u32::from(c));
            }
            c => line.push(c),
        }
    }
    line.push('"');
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_hold_no_directives_and_no_line_ends() {
        assert_eq!(described("a # TODO\n\\b"), "a \\# TODO\u{fffd}\\\\b");
        assert_eq!(quoted("a\"\\\n"), "\"a\\\"\\\\\\u000a\"");
    }
}
