//! What came of the scripts of a run, and the forms in which it is told.
//! Absent: playing them, and where a report goes.

pub mod failure;
#[cfg(feature = "cli")]
pub mod json;
#[cfg(feature = "cli")]
pub mod junit;
pub mod tap;
pub mod text;

use std::time::Duration;

use crate::diagnostic::Span;
use crate::error::Status;
use crate::escape::misleads;
use crate::script::play::history::Event;

/// What came of one script.
#[derive(Debug, Clone)]
pub struct Told {
    /// Its file, as it was named.
    pub name: String,
    /// The steps that were played, in the order in which they ended.
    pub steps: Vec<StepTold>,
    /// Steps beyond those that are listed.
    pub more_steps: u64,
    /// How it went.
    pub verdict: Verdict,
    /// From the first step until all was cleaned up.
    pub took: Duration,
}

/// A step that was played.
#[derive(Debug, Clone)]
pub struct StepTold {
    /// The file, if it is an included one.
    pub file: Option<String>,
    /// The number of its line.
    pub number: usize,
    /// The line, without what stands around it.
    pub line: String,
    /// How long it took, all rounds together.
    pub took: Duration,
    /// How often it was played: more than once in a loop.
    pub times: u64,
    /// Whether it succeeded.
    pub passed: bool,
}

/// How a script went.
#[derive(Debug, Clone)]
pub enum Verdict {
    /// All steps succeeded.
    Passed,
    /// A step did not.
    Failed(Box<Failure>),
    /// The run was broken off.
    Interrupted,
}

/// Why a script failed, and all there is to know about it.
#[derive(Debug, Clone)]
pub struct Failure {
    /// [`Status::Timeout`] where the time was over, [`Status::Expectation`] otherwise.
    pub status: Status,
    /// The file, the number of the line, and the line.
    pub file: String,
    /// From 1.
    pub number: usize,
    /// As it stands in the file.
    pub line: String,
    /// What in the line failed.
    pub span: Span,
    /// One line.
    pub why: String,
    /// Lines: expected against arrived.
    pub picture: Vec<String>,
    /// What was said on the connections.
    pub conversations: Vec<ConversationTold>,
    /// What the parts said.
    pub parts: Vec<PartTold>,
    /// Where the files of the script were kept, if they were.
    pub kept: Option<String>,
}

/// The latest of one conversation.
#[derive(Debug, Clone)]
pub struct ConversationTold {
    /// Its name.
    pub name: String,
    /// With whom: the address of the peer.
    pub peer: String,
    /// What went by.
    pub events: Vec<Event>,
    /// Events before those.
    pub left_out: u64,
}

/// What a part said.
#[derive(Debug, Clone)]
pub struct PartTold {
    /// Its name.
    pub name: String,
    /// The latest of it.
    pub said: String,
    /// Bytes before that.
    pub left_out: u64,
    /// How it ended, where it did before it was told to.
    pub ended: Option<String>,
}

impl Verdict {
    /// The status of a run of this script alone.
    #[must_use]
    pub fn status(&self) -> Status {
        match self {
            Verdict::Passed => Status::Done,
            Verdict::Failed(failure) => failure.status,
            Verdict::Interrupted => Status::Interrupted,
        }
    }

    /// In a word.
    #[must_use]
    pub fn word(&self) -> &'static str {
        match self {
            Verdict::Passed => "passed",
            Verdict::Failed(failure) if failure.status == Status::Timeout => "late",
            Verdict::Failed(_) => "failed",
            Verdict::Interrupted => "interrupted",
        }
    }
}

/// The status of a run: that of the worst script. An interrupted one is worse than a failed one, and a failed one worse than
/// one that ran out of time.
#[must_use]
pub fn worst(all: &[Told]) -> Status {
    let rank = |status: &Status| match status {
        Status::Interrupted => 3,
        Status::Done => 0,
        Status::Timeout => 1,
        _ => 2,
    };
    let statuses = all.iter().map(|told| told.verdict.status());
    statuses.max_by_key(rank).unwrap_or(Status::Done)
}

/// A time as a report shows it: whole milliseconds, then tenths of seconds.
#[must_use]
pub fn time_text(time: Duration) -> String {
    match time.as_millis() {
        millis @ ..1000 => format!("{millis}ms"),
        _ => format!("{:.1}s", time.as_secs_f64()),
    }
}

/// A text on one line, whatever it holds.
#[must_use]
pub fn shown(text: &str) -> String {
    let visible = |c: char| {
        if c.is_control() || misleads(c) {
            '\u{fffd}'
        } else {
            c
        }
    };
    text.chars().map(visible).collect()
}
