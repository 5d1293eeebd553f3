//! The pulse of the threads that serve: each shows that its loop turns, and the watchdog of the service manager hears of
//! it only while all of them do.
//! Absent: what they serve, and any repair; a process that hangs is the service manager's to end.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering::Relaxed};
use std::time::Duration;

use super::notify;

/// How often the service manager hears of us within the time after which it takes us for hung.
const TOLD: u32 = 2;

/// How often a thread shows that it is alive between two of those.
const SHOWN: u32 = 4;

/// A time limit that is absurdly short is not to keep us busy with nothing else.
const OFTENEST: Duration = Duration::from_millis(1);

/// Nothing was shown since the last look.
const SILENT: u8 = 0;
/// The thread was alive.
const ALIVE: u8 = 1;
/// The thread has done its work, and nothing more is to be heard of it.
const ENDED: u8 = 2;

/// The pulse of a process, watched by the service manager.
#[derive(Debug)]
pub struct Pulse {
    every: Duration,
    beats: Vec<Arc<AtomicU8>>,
}

/// The pulse of one thread.
#[derive(Debug)]
pub struct Beat {
    every: Duration,
    shown: Arc<AtomicU8>,
}

impl Pulse {
    /// The pulse that the service manager asks for, where it does (`WATCHDOG_USEC`).
    #[must_use]
    pub fn asked_for() -> Option<Self> {
        notify::watchdog_limit().map(Pulse::within)
    }

    fn within(limit: Duration) -> Self {
        Pulse {
            every: (limit / TOLD).max(OFTENEST),
            beats: Vec::new(),
        }
    }

    /// One more thread whose pulse counts.
    pub fn beat(&mut self) -> Beat {
        let shown = Arc::new(AtomicU8::new(ALIVE));
        self.beats.push(Arc::clone(&shown));
        Beat {
            every: self.every / SHOWN,
            shown,
        }
    }

    /// Tells the service manager for as long as it is polled, on a runtime that serves too.
    pub async fn told(self) {
        self.told_to(notify::watchdog).await;
    }

    async fn told_to(self, tell: impl Fn()) {
        let mut turn = tokio::time::interval(self.every);
        loop {
            turn.tick().await;
            let mut all = true;
            for beat in &self.beats {
                all &= beat.compare_exchange(ALIVE, SILENT, Relaxed, Relaxed) != Err(SILENT);
            }
            if all {
                tell();
            }
        }
    }
}

impl Beat {
    /// Shows that this runtime's loop turns, for as long as it is polled.
    pub async fn shown(&self) {
        let mut turn = tokio::time::interval(self.every);
        loop {
            turn.tick().await;
            self.shown.store(ALIVE, Relaxed);
        }
    }
}

impl Drop for Beat {
    fn drop(&mut self) {
        self.shown.store(ENDED, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicUsize;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn the_watchdog_hears_of_us_while_all_threads_are_alive() {
        let mut pulse = Pulse::within(Duration::from_secs(10));
        let (one, two) = (pulse.beat(), pulse.beat());
        let heard = Arc::new(AtomicUsize::new(0));
        let told = {
            let heard = Arc::clone(&heard);
            tokio::spawn(pulse.told_to(move || {
                heard.fetch_add(1, Relaxed);
            }))
        };
        let alive = tokio::spawn(async move { one.shown().await });
        let hangs = tokio::spawn(async move {
            two.shown().await;
        });
        tokio::time::sleep(Duration::from_secs(61)).await;
        // Twice in ten seconds.
        assert_eq!(heard.swap(0, Relaxed), 13);
        // A thread that hangs neither shows anything nor ends.
        let held = {
            let mut pulse = Pulse::within(Duration::from_secs(10));
            let hung = pulse.beat();
            let heard = Arc::clone(&heard);
            tokio::spawn(pulse.told_to(move || {
                heard.fetch_add(1000, Relaxed);
            }));
            hung
        };
        tokio::time::sleep(Duration::from_secs(60)).await;
        assert_eq!(heard.swap(0, Relaxed), 1012);
        // One that has ended is missed by nobody.
        drop(held);
        hangs.abort();
        tokio::time::sleep(Duration::from_secs(60)).await;
        assert_eq!(heard.load(Relaxed), 12_012);
        alive.abort();
        told.abort();
    }
}
