//! A limit on how long nothing moves between two ends.
//! Absent: what happens then.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::time::{Instant, Sleep};

/// The limit. The clock is looked at when it runs out and when something has moved, not with every byte.
#[derive(Debug)]
pub(super) struct Idle {
    limit: Duration,
    sleep: Pin<Box<Sleep>>,
    steps: u64,
    since: Instant,
}

impl Idle {
    pub(super) fn new(limit: Duration) -> Self {
        Idle {
            limit,
            sleep: Box::pin(tokio::time::sleep(limit)),
            steps: 0,
            since: Instant::now(),
        }
    }

    pub(super) fn limit(&self) -> Duration {
        self.limit
    }

    /// Ready when `steps` has not changed for as long as the limit.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>, steps: u64) -> Poll<Duration> {
        if steps != self.steps {
            (self.steps, self.since) = (steps, Instant::now());
        }
        while self.sleep.as_mut().poll(cx).is_ready() {
            let Some(until) = self.since.checked_add(self.limit) else {
                // A limit beyond all times is never met. The timer is set as far off as it goes.
                self.sleep.set(tokio::time::sleep(self.limit));
                continue;
            };
            if until <= Instant::now() {
                return Poll::Ready(self.limit);
            }
            self.sleep.as_mut().reset(until);
        }
        Poll::Pending
    }
}
