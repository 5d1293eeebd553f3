//! What flows, escaped, in the log: `received b"..."`, `sent b"..."`.
//! Absent: where the log goes.

use tracing::trace;

use super::{Direction, Tap};
use crate::escape::bytes_literal;

/// Bytes in one line of the log; longer data takes several.
const LINE: usize = 4096;

/// The tap that logs data.
#[derive(Debug)]
pub struct Log {
    peer: Option<String>,
}

impl Log {
    /// Logs without naming the peer, where there is only one.
    #[must_use]
    pub fn new() -> Self {
        Log { peer: None }
    }

    /// Logs what flows to and from `peer`.
    #[must_use]
    pub fn of(peer: String) -> Self {
        Log { peer: Some(peer) }
    }

    fn say(&self, line: &str) {
        match &self.peer {
            Some(peer) => trace!(%peer, "{line}"),
            None => trace!("{line}"),
        }
    }
}

impl Default for Log {
    fn default() -> Self {
        Log::new()
    }
}

fn verb(direction: Direction) -> &'static str {
    match direction {
        Direction::Received => "received",
        Direction::Sent => "sent",
    }
}

impl Tap for Log {
    fn data(&mut self, direction: Direction, bytes: &[u8]) {
        if bytes.is_empty() {
            // An empty datagram is one all the same.
            self.say(&format!("{} b\"\"", verb(direction)));
        }
        for (number, line) in bytes.chunks(LINE).enumerate() {
            // A datagram that takes several lines is not to look like several.
            let more = if number > 0 { "more " } else { "" };
            self.say(&format!("{} {more}{}", verb(direction), bytes_literal(line)));
        }
    }

    fn end(&mut self, direction: Direction) {
        self.say(&format!("{} the end", verb(direction)));
    }
}
