//! A failure in lines of text: the place, expected against arrived, the conversations so far, and what the parts said.
//! Absent: what stands around it.

use super::{ConversationTold, Failure, PartTold, shown, time_text};
use crate::diagnostic::{Diagnostic, clean, counted};
use crate::escape::escape;
use crate::script::play::history::What;

/// Lines of what one part said.
const SAID_MAX: usize = 20;

/// Bytes of one event.
const EVENT_MAX: usize = 160;

/// Characters of one line of a log.
const LINE_MAX: usize = 200;

impl Failure {
    /// `file:line: why`.
    #[must_use]
    pub fn headline(&self) -> String {
        format!("{}:{}: {}", clean(&self.file), self.number, self.why)
    }

    /// All of it. No line holds a control character.
    #[must_use]
    pub fn lines(&self) -> Vec<String> {
        let mut lines = vec![self.headline()];
        let diagnostic = Diagnostic {
            message: String::new(),
            source: self.line.clone(),
            span: self.span,
            help: None,
        };
        lines.extend(diagnostic.picture().lines().map(str::to_owned));
        lines.extend(self.picture.iter().map(|line| format!("  {line}")));
        for told in &self.conversations {
            conversation(told, &mut lines);
        }
        for told in &self.parts {
            part(told, &mut lines);
        }
        if let Some(kept) = &self.kept {
            lines.push(format!("  its files are kept in {}", kept.escape_debug()));
        }
        lines
    }
}

/// What was said on a connection, below a line that names it.
pub(crate) fn conversation(told: &ConversationTold, lines: &mut Vec<String>) {
    lines.push(format!("  {} so far, with {}:", told.name, told.peer));
    if told.left_out > 0 {
        let count = usize::try_from(told.left_out).unwrap_or(usize::MAX);
        lines.push(format!("    ({} before)", counted(count, "event")));
    }
    if told.events.is_empty() {
        lines.push("    (nothing)".to_owned());
    }
    for event in &told.events {
        let (word, text) = match &event.what {
            What::Sent(bytes, more) => ("sent", bytes_text(bytes, *more)),
            What::Received(bytes, more) => ("received", bytes_text(bytes, *more)),
            What::Noted(words) => ("", words.escape_debug().to_string()),
        };
        let line = match word {
            "" => text,
            word => format!("{word:8}  {text}"),
        };
        lines.push(format!("    {:>7}  {line}", time_text(event.at)));
    }
}

fn bytes_text(bytes: &[u8], more: u64) -> String {
    let shown = &bytes[..bytes.len().min(EVENT_MAX)];
    let more = more + (bytes.len() - shown.len()) as u64;
    match more {
        0 => format!("b\"{}\"", escape(shown)),
        more => format!("b\"{}…\" and {more} bytes more", escape(shown)),
    }
}

fn part(told: &PartTold, lines: &mut Vec<String>) {
    let said: Vec<&str> = told.said.lines().collect();
    let ended = told
        .ended
        .as_ref()
        .map(|ended| format!(" ended with {ended}, and"));
    let ended = ended.unwrap_or_default();
    if said.is_empty() {
        if !ended.is_empty() {
            lines.push(format!("  {}{ended} said nothing", told.name));
        }
        return;
    }
    lines.push(format!("  {}{ended} said:", told.name));
    let skipped = said.len().saturating_sub(SAID_MAX);
    if skipped > 0 || told.left_out > 0 {
        lines.push("    …".to_owned());
    }
    for line in &said[skipped..] {
        let mut text: String = line.chars().take(LINE_MAX).collect();
        if line.chars().nth(LINE_MAX).is_some() {
            text.push('…');
        }
        lines.push(format!("    {}", shown(&text)));
    }
}
