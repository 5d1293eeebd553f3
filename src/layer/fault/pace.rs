//! Pace: how much may pass by now, at so many bytes a second. A token bucket, told as a clock: what has passed takes
//! until `free` to pass. Absent: waiting.

use std::num::NonZeroU64;
use std::time::Duration;

use tokio::time::Instant;

/// What a pause saves up: so much time's worth of bytes may pass at once after it. Longer than timers are late (1 ms),
/// and 2 % of a second, so that a second carries what it should.
const BURST: Duration = Duration::from_millis(20);

/// So much time's worth of bytes is waited for at once, if there is as much to pass.
const STEP: Duration = Duration::from_millis(10);

const NANOS: u128 = 1_000_000_000;

/// Holds what goes by to a rate.
#[derive(Debug, Clone)]
pub(super) struct Pace {
    rate: NonZeroU64,
    free: Instant,
}

impl Pace {
    /// So many bytes a second from `now` on; nothing is saved up yet.
    #[must_use]
    pub(super) fn new(rate: NonZeroU64, now: Instant) -> Self {
        Pace { rate, free: now }
    }

    /// Bytes that may pass now.
    #[must_use]
    pub(super) fn room(&self, now: Instant) -> u64 {
        let time = now.saturating_duration_since(self.start(now));
        let room = time.as_nanos() * u128::from(self.rate.get()) / NANOS;
        u64::try_from(room).unwrap_or(u64::MAX)
    }

    /// So many pass, no more than there is [room](Pace::room) for.
    pub(super) fn take(&mut self, now: Instant, bytes: u64) {
        self.free = self.after(now, bytes);
    }

    /// Of so many bytes, those that pass now: none as long as they are fewer than a step brings and not all, so that a fast
    /// reader does not get them one by one.
    #[must_use]
    pub(super) fn part(&self, now: Instant, bytes: u64) -> u64 {
        let most = self.room(now).min(bytes);
        if most < bytes.min(self.step()) { 0 } else { most }
    }

    /// When more may pass: all of `bytes` if that is soon, what a step brings otherwise.
    #[must_use]
    pub(super) fn next(&self, now: Instant, bytes: u64) -> Instant {
        self.after(now, bytes.min(self.step()))
    }

    fn step(&self) -> u64 {
        let step = STEP.as_nanos() * u128::from(self.rate.get()) / NANOS;
        u64::try_from(step).unwrap_or(u64::MAX).max(1)
    }

    /// When a datagram of so many bytes, which passes whole, has passed. It counts as taken.
    pub(super) fn due(&mut self, now: Instant, bytes: u64) -> Instant {
        self.take(now, bytes);
        self.free
    }

    fn after(&self, now: Instant, bytes: u64) -> Instant {
        let start = self.start(now);
        start.checked_add(self.time(bytes)).unwrap_or(start)
    }

    /// When the next byte begins to pass: no longer ago than a burst goes back, which is a byte at least.
    fn start(&self, now: Instant) -> Instant {
        let burst = BURST.max(self.time(1));
        now.checked_sub(burst)
            .map_or(self.free, |earliest| self.free.max(earliest))
    }

    /// Rounded up: a rate is a limit.
    fn time(&self, bytes: u64) -> Duration {
        let nanos = (u128::from(bytes) * NANOS).div_ceil(u128::from(self.rate.get()));
        let rest = u32::try_from(nanos % NANOS).unwrap_or(0);
        Duration::new(u64::try_from(nanos / NANOS).unwrap_or(u64::MAX), rest)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn of(rate: u64, now: Instant) -> Pace {
        Pace::new(NonZeroU64::new(rate).unwrap(), now)
    }

    #[test]
    fn what_passes_is_a_step_or_all_there_is() {
        let start = Instant::now();
        let pace = of(100_000, start);
        let at = |millis| start + Duration::from_millis(millis);
        // A step is 1000 bytes.
        assert_eq!(
            [1, 9, 10, 15].map(|millis| pace.part(at(millis), 5000)),
            [0, 0, 1000, 1500]
        );
        assert_eq!([4, 5].map(|millis| pace.part(at(millis), 500)), [0, 500]);
        assert_eq!(pace.next(start, 5000), at(10));
    }

    #[test]
    fn nothing_is_saved_up_at_first_and_a_burst_later() {
        let start = Instant::now();
        let mut pace = of(1000, start);
        assert_eq!(pace.room(start), 0);
        assert_eq!(pace.room(start + Duration::from_millis(5)), 5);
        assert_eq!(pace.room(start + Duration::from_secs(100)), 20);
        pace.take(start + Duration::from_secs(100), 20);
        assert_eq!(pace.room(start + Duration::from_secs(100)), 0);
    }

    #[test]
    fn a_byte_now_and_then_is_a_rate_too() {
        let start = Instant::now();
        let mut pace = of(1, start);
        assert_eq!(pace.next(start, 1000), start + Duration::from_secs(1));
        assert_eq!(pace.room(start + Duration::from_millis(999)), 0);
        pace.take(start + Duration::from_secs(1), 1);
        assert_eq!(
            pace.next(start + Duration::from_secs(1), 1),
            start + Duration::from_secs(2)
        );
    }

    #[test]
    fn a_datagram_longer_than_a_burst_passes_in_its_time() {
        let start = Instant::now();
        let mut pace = of(1000, start);
        assert_eq!(pace.due(start, 1500), start + Duration::from_millis(1500));
        assert_eq!(pace.due(start, 500), start + Duration::from_secs(2));
    }

    proptest! {
        #[test]
        fn no_second_carries_more_than_its_rate_and_a_burst(
            rate in 1_u64..1 << 40,
            waits in proptest::collection::vec(0_u64..50, 1..100),
        ) {
            let start = Instant::now();
            let mut pace = of(rate, start);
            let (mut now, mut passed) = (start, 0);
            for wait in waits {
                now += Duration::from_millis(wait);
                let room = pace.room(now);
                pace.take(now, room);
                prop_assert_eq!(pace.room(now), 0);
                prop_assert!(pace.next(now, u64::MAX) > now);
                passed += u128::from(room);
            }
            let time = (now - start).as_nanos();
            prop_assert!(passed * NANOS <= u128::from(rate) * time);
        }
    }
}
