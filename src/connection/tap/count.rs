//! Counts what goes by, for progress bars and the log's last line on a connection.
//! Absent: where the figures are shown.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use super::{Direction, Tap};

/// Bytes so far, shared with whoever shows them.
#[derive(Debug, Default)]
pub struct Counts {
    received: AtomicU64,
    sent: AtomicU64,
}

impl Counts {
    /// Bytes received so far.
    #[must_use]
    pub fn received(&self) -> u64 {
        self.received.load(Relaxed)
    }

    /// Bytes sent so far.
    #[must_use]
    pub fn sent(&self) -> u64 {
        self.sent.load(Relaxed)
    }
}

/// The tap that keeps [`Counts`] up to date.
#[derive(Debug, Clone, Default)]
pub struct Count(pub Arc<Counts>);

impl Tap for Count {
    fn data(&mut self, direction: Direction, bytes: &[u8]) {
        self.add(direction, bytes.len() as u64);
    }
}

impl Count {
    /// So many more went by.
    pub fn add(&self, direction: Direction, bytes: u64) {
        let counter = match direction {
            Direction::Received => &self.0.received,
            Direction::Sent => &self.0.sent,
        };
        counter.fetch_add(bytes, Relaxed);
    }
}
