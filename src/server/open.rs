//! How many connections are open, and waiting for them to end.
//! Absent: what they are.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::AcqRel, Ordering::Acquire};

use tokio::sync::Notify;

/// The connections of a server, counted over all its workers.
#[derive(Debug, Default)]
pub(super) struct Open {
    count: AtomicUsize,
    /// Flows among them.
    flows: AtomicUsize,
    /// Those that have ended included.
    all: AtomicUsize,
    ended: Notify,
}

impl Open {
    pub(super) fn count(&self) -> usize {
        self.count.load(Acquire)
    }

    /// How many streams are among them.
    pub(super) fn streams(&self) -> usize {
        // One that begins in between may count as a stream, for that moment.
        let flows = self.flows.load(Acquire);
        self.count().saturating_sub(flows)
    }

    /// How many there have been.
    pub(super) fn all(&self) -> usize {
        self.all.load(Acquire)
    }

    /// Returns once none is open.
    pub(super) async fn none_left(&self) {
        loop {
            // Registered before the count is read, so that an end in between is not missed.
            let ended = self.ended.notified();
            if self.count() == 0 {
                return;
            }
            ended.await;
        }
    }

    /// Returns when the next one ends.
    pub(super) async fn one_left(&self) {
        self.ended.notified().await;
    }
}

/// Counts a connection for as long as it lives, however its task ends.
#[derive(Debug)]
pub(super) struct Guard(Arc<Open>);

impl Guard {
    pub(super) fn new(open: &Arc<Open>) -> Self {
        open.count.fetch_add(1, AcqRel);
        open.all.fetch_add(1, AcqRel);
        Guard(Arc::clone(open))
    }
}

/// The same for a flow, beside its guard.
#[derive(Debug)]
pub(super) struct FlowGuard(Arc<Open>);

impl FlowGuard {
    pub(super) fn new(open: &Arc<Open>) -> Self {
        open.flows.fetch_add(1, AcqRel);
        FlowGuard(Arc::clone(open))
    }
}

impl Drop for FlowGuard {
    fn drop(&mut self) {
        self.0.flows.fetch_sub(1, AcqRel);
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        self.0.count.fetch_sub(1, AcqRel);
        self.0.ended.notify_waiters();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_wait_ends_with_the_last_one() {
        let open = Arc::new(Open::default());
        open.none_left().await;
        let (one, two) = (Guard::new(&open), Guard::new(&open));
        let waiting = tokio::spawn({
            let open = Arc::clone(&open);
            async move { open.none_left().await }
        });
        tokio::task::yield_now().await;
        drop(one);
        tokio::task::yield_now().await;
        assert!(!waiting.is_finished());
        drop(two);
        waiting.await.unwrap();
        assert_eq!(open.count(), 0);
    }
}
