//! What went by on a connection, for the report of a failure: the latest of it, in order.
//! Absent: what is still unread.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// Events that are kept.
const EVENTS_MAX: usize = 24;

/// Bytes that are kept of what went one way before the other side spoke.
const BYTES_MAX: usize = 512;

/// Something that happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum What {
    /// We sent these bytes; the number counts those that are not kept.
    Sent(Vec<u8>, u64),
    /// These came, and so many more.
    Received(Vec<u8>, u64),
    /// Anything else, in words: `ended its half`.
    Noted(String),
}

/// Something that happened, and when.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// The time since the connection stood.
    pub at: Duration,
    /// What it was.
    pub what: What,
}

/// The latest events.
#[derive(Debug)]
pub(super) struct History {
    since: Instant,
    events: VecDeque<Event>,
    left_out: u64,
}

impl History {
    pub(super) fn new() -> Self {
        History {
            since: Instant::now(),
            events: VecDeque::new(),
            left_out: 0,
        }
    }

    pub(super) fn sent(&mut self, bytes: &[u8]) {
        if let Some(Event {
            what: What::Sent(kept, more),
            ..
        }) = self.events.back_mut()
        {
            return add(kept, more, bytes);
        }
        self.sent_apart(bytes);
    }

    pub(super) fn received(&mut self, bytes: &[u8]) {
        if let Some(Event {
            what: What::Received(kept, more),
            ..
        }) = self.events.back_mut()
        {
            return add(kept, more, bytes);
        }
        self.received_apart(bytes);
    }

    /// What has a boundary before and behind it.
    pub(super) fn sent_apart(&mut self, bytes: &[u8]) {
        let (kept, more) = beginning(bytes);
        self.push(What::Sent(kept, more));
    }

    /// What has a boundary before and behind it.
    pub(super) fn received_apart(&mut self, bytes: &[u8]) {
        let (kept, more) = beginning(bytes);
        self.push(What::Received(kept, more));
    }

    pub(super) fn noted(&mut self, what: impl Into<String>) {
        self.push(What::Noted(what.into()));
    }

    fn push(&mut self, what: What) {
        if self.events.len() == EVENTS_MAX {
            self.events.pop_front();
            self.left_out += 1;
        }
        self.events.push_back(Event {
            at: self.since.elapsed(),
            what,
        });
    }

    /// The events, and how many there were before them.
    pub(super) fn so_far(&self) -> (Vec<Event>, u64) {
        (self.events.iter().cloned().collect(), self.left_out)
    }
}

fn beginning(bytes: &[u8]) -> (Vec<u8>, u64) {
    let (mut kept, mut more) = (Vec::new(), 0);
    add(&mut kept, &mut more, bytes);
    (kept, more)
}

fn add(kept: &mut Vec<u8>, more: &mut u64, bytes: &[u8]) {
    let room = bytes.len().min(BYTES_MAX - kept.len());
    kept.extend_from_slice(&bytes[..room]);
    *more += (bytes.len() - room) as u64;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_goes_one_way_is_one_event_and_much_of_it_is_counted() {
        let mut history = History::new();
        history.sent(b"a");
        history.sent(b"b");
        history.received(&[b'x'; 600]);
        history.received(b"y");
        history.noted("ended");
        let (events, left_out) = history.so_far();
        let whats: Vec<What> = events.into_iter().map(|event| event.what).collect();
        assert_eq!(left_out, 0);
        assert_eq!(
            whats,
            [
                What::Sent(b"ab".to_vec(), 0),
                What::Received(vec![b'x'; BYTES_MAX], 89),
                What::Noted("ended".into())
            ]
        );
    }

    #[test]
    fn the_latest_events_are_kept() {
        let mut history = History::new();
        for _ in 0..100 {
            history.sent(b"a");
            history.received(b"b");
        }
        let (events, left_out) = history.so_far();
        assert_eq!((events.len(), left_out), (EVENTS_MAX, 200 - EVENTS_MAX as u64));
    }
}
