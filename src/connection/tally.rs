//! `Tally`: datagrams that came to a socket and left it, and what was lost of them, by why.
//! Absent: who reads it, and streams.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// Why a datagram was lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lost {
    /// More of its flow waited already than there is room for.
    Queue,
    /// There was no flow for it, nor room for a further one.
    Room,
    /// It is longer than what the other end can take.
    TooLong,
    /// The system did not send it.
    Unsent,
}

impl Lost {
    /// All of them, in the order of their counters.
    pub const ALL: [(Lost, &'static str); 4] = [
        (Lost::Queue, "queue_full"),
        (Lost::Room, "no_flow"),
        (Lost::TooLong, "too_long"),
        (Lost::Unsent, "not_sent"),
    ];
}

/// Datagrams, the bytes in them, and losses. All counters only grow.
#[derive(Debug, Default)]
pub struct Tally {
    received: AtomicU64,
    received_bytes: AtomicU64,
    sent: AtomicU64,
    sent_bytes: AtomicU64,
    lost: [AtomicU64; Lost::ALL.len()],
}

impl Tally {
    /// So many came, with so many bytes.
    pub fn count_received(&self, count: u64, bytes: u64) {
        self.received.fetch_add(count, Relaxed);
        self.received_bytes.fetch_add(bytes, Relaxed);
    }

    /// So many left, with so many bytes.
    pub fn count_sent(&self, count: u64, bytes: u64) {
        self.sent.fetch_add(count, Relaxed);
        self.sent_bytes.fetch_add(bytes, Relaxed);
    }

    /// So many were lost.
    pub fn count_lost(&self, why: Lost, count: u64) {
        if count > 0 {
            self.lost[why as usize].fetch_add(count, Relaxed);
        }
    }

    /// Datagrams received and sent so far.
    #[must_use]
    pub fn datagrams(&self) -> (u64, u64) {
        (self.received.load(Relaxed), self.sent.load(Relaxed))
    }

    /// Bytes received and sent in them.
    #[must_use]
    pub fn bytes(&self) -> (u64, u64) {
        (self.received_bytes.load(Relaxed), self.sent_bytes.load(Relaxed))
    }

    /// Datagrams lost so far for this reason.
    #[must_use]
    pub fn lost(&self, why: Lost) -> u64 {
        self.lost[why as usize].load(Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_loss_has_its_counter() {
        let tally = Tally::default();
        for (place, (why, _)) in Lost::ALL.into_iter().enumerate() {
            assert_eq!(why as usize, place);
            tally.count_lost(why, place as u64 + 1);
            assert_eq!(tally.lost(why), place as u64 + 1);
        }
    }
}
