//! Lag: when what came now is to arrive. Nothing overtakes what came before it.
//! Absent: waiting.

use std::time::Duration;

use tokio::time::Instant;

use super::chance::Chance;

/// Puts off what goes by.
#[derive(Debug, Clone)]
pub(super) struct Lag {
    delay: Duration,
    jitter: Duration,
    chance: Chance,
    last: Option<Instant>,
}

impl Lag {
    /// Everything is late by `delay`, and by up to `jitter` more.
    #[must_use]
    pub(super) fn new(delay: Duration, jitter: Duration, seed: u64) -> Self {
        Lag {
            delay,
            jitter,
            chance: Chance::of(seed),
            last: None,
        }
    }

    /// When a piece, or a datagram, that came `now` is to arrive: not before any that came earlier.
    pub(super) fn due(&mut self, now: Instant) -> Instant {
        let extra = match self.jitter.is_zero() {
            true => Duration::ZERO,
            false => self.jitter.mul_f64(self.chance.unit()),
        };
        // A moment beyond what the clock can say never comes; the flags allow none.
        let due = now.checked_add(self.delay.saturating_add(extra)).unwrap_or(now);
        let due = self.last.map_or(due, |last| last.max(due));
        self.last = Some(due);
        due
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn pieces_are_late_in_order(
            delay in 0_u64..1000,
            jitter in 0_u64..1000,
            steps in proptest::collection::vec(0_u64..300, 1..50),
            seed: u64,
        ) {
            let (delay, jitter) = (Duration::from_millis(delay), Duration::from_millis(jitter));
            let mut lag = Lag::new(delay, jitter, seed);
            let mut now = Instant::now();
            let mut last = now;
            for step in steps {
                now += Duration::from_millis(step);
                let due = lag.due(now);
                prop_assert!(due >= last && due >= now + delay);
                // Later than its own lag only behind one that is as late.
                prop_assert!(due <= now + delay + jitter || due == last);
                last = due;
            }
        }
    }
}
