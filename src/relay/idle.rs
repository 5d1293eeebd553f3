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
    /// What was still on its way when the limit was over last.
    queued: usize,
}

impl Idle {
    pub(super) fn new(limit: Duration) -> Self {
        Idle {
            limit,
            sleep: Box::pin(tokio::time::sleep(limit)),
            steps: 0,
            since: Instant::now(),
            queued: 0,
        }
    }

    pub(super) fn limit(&self) -> Duration {
        self.limit
    }

    /// Ready when `steps` has not changed for as long as the limit.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>, steps: u64) -> Poll<Duration> {
        self.poll_while(cx, steps, || 0)
    }

    /// The same, but what is `queued` in the sockets counts as moving as long as it is another number each time. It is asked
    /// for when the limit is over, so that may last twice as long.
    pub(super) fn poll_while(
        &mut self,
        cx: &mut Context<'_>,
        steps: u64,
        queued: impl Fn() -> usize,
    ) -> Poll<Duration> {
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
                let before = std::mem::replace(&mut self.queued, queued());
                if self.queued == 0 || self.queued == before {
                    return Poll::Ready(self.limit);
                }
                self.since = Instant::now();
                continue;
            }
            self.sleep.as_mut().reset(until);
        }
        Poll::Pending
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::future::poll_fn;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn what_is_taken_from_a_queue_counts_as_moving() {
        let limit = Duration::from_secs(2);
        let (start, left) = (Instant::now(), Cell::new(10));
        let mut idle = Idle::new(limit);
        // Less is left each time that it is asked for, until nothing is taken any more.
        let queued = || {
            left.set(left.get() - i32::from(left.get() > 7));
            left.get() as usize
        };
        poll_fn(|cx| idle.poll_while(cx, 0, queued)).await;
        assert_eq!(start.elapsed(), 4 * limit);
    }

    #[tokio::test(start_paused = true)]
    async fn an_empty_queue_is_not_waited_for() {
        let limit = Duration::from_secs(2);
        let start = Instant::now();
        let mut idle = Idle::new(limit);
        poll_fn(|cx| idle.poll_while(cx, 0, || 0)).await;
        assert_eq!(start.elapsed(), limit);
    }
}
