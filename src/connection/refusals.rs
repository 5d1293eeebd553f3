//! How often it is worth a line that a connection could not be established: a scanner makes thousands of them.
//! Absent: whose fault it was.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use tracing::{debug, warn};

use crate::diagnostic::counted;
use crate::units::duration_text;

/// Lines for as many of them in [`WINDOW`]; more tell nothing new, and fill a disk.
const LINES: u32 = 20;

/// How long a count goes on.
const WINDOW: Duration = Duration::from_secs(10);

/// Counts connections that could not be established.
#[derive(Debug, Default)]
pub struct Refusals(Mutex<Option<Count>>);

#[derive(Debug)]
struct Count {
    since: Instant,
    seen: u32,
}

/// What to say of one of them.
#[derive(Debug, PartialEq, Eq)]
enum Say {
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
    /// A line for a connection that could not be established, unless there are too many; with `-v` each has one.
    pub fn tell(&self, peer: &str, why: &str) {
        let say = self.another(Instant::now());
        match say {
            Say::Nothing => debug!("{peer}: {why}"),
            Say::It | Say::ItAndNoMore | Say::ItAfter(_) => warn!("{peer}: {why}"),
        }
        match say {
            Say::ItAndNoMore => warn!(
                "so many connections fail that the next are only counted, for {}; -v shows each",
                duration_text(WINDOW)
            ),
            Say::ItAfter(count) => {
                let connections = counted(count as usize, "connection");
                warn!("{connections} failed before without a line");
            }
            Say::It | Say::Nothing => {}
        }
    }

    fn another(&self, now: Instant) -> Say {
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
