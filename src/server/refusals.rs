//! How often it is worth a line that a connection could not be established: a scanner makes thousands of them.
//! Absent: the lines.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Lines for as many of them in [`WINDOW`]; more tell nothing new, and fill a disk.
const LINES: u32 = 20;

/// How long a count goes on.
pub(super) const WINDOW: Duration = Duration::from_secs(10);

/// Counts connections that could not be established.
#[derive(Debug, Default)]
pub(super) struct Refusals(Mutex<Option<Count>>);

#[derive(Debug)]
struct Count {
    since: Instant,
    seen: u32,
}

/// What to say of one of them.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Say {
    /// What happened to it.
    It,
    /// The same, and that so many before it got no line.
    ItAfter(u32),
    /// What happened to it, and that those that follow get no line for a while.
    ItAndNoMore,
    /// Nothing.
    Nothing,
}

impl Refusals {
    pub(super) fn another(&self, now: Instant) -> Say {
        let mut held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match &mut *held {
            Some(count) if now.saturating_duration_since(count.since) < WINDOW => {
                count.seen = count.seen.saturating_add(1);
                match count.seen.cmp(&LINES) {
                    std::cmp::Ordering::Less => Say::It,
                    std::cmp::Ordering::Equal => Say::ItAndNoMore,
                    std::cmp::Ordering::Greater => Say::Nothing,
                }
            }
            before => {
                let unsaid = before
                    .as_ref()
                    .map_or(0, |count| count.seen.saturating_sub(LINES));
                *before = Some(Count { since: now, seen: 1 });
                if unsaid == 0 {
                    Say::It
                } else {
                    Say::ItAfter(unsaid)
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_few_get_a_line_each_and_the_rest_of_a_flood_is_counted() {
        let refusals = Refusals::default();
        let start = Instant::now();
        for _ in 1..LINES {
            assert_eq!(refusals.another(start), Say::It);
        }
        assert_eq!(refusals.another(start), Say::ItAndNoMore);
        for _ in 0..1000 {
            assert_eq!(refusals.another(start), Say::Nothing);
        }
        assert_eq!(refusals.another(start + WINDOW), Say::ItAfter(1000));
        assert_eq!(refusals.another(start + WINDOW), Say::It);
        assert_eq!(refusals.another(start + WINDOW * 3), Say::It);
    }
}
