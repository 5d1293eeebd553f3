//! What was written to a peer that is about to be reset, and that it has not taken: a reset would cost it that.
//! Absent: why it is reset.

use std::os::fd::AsFd;
use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::bare::{Bare, Reach};
use super::stall::TAKES_NOTHING;
use crate::connection::Wire;
use crate::kernel;
use crate::transport::given::Given;

/// The system tells nobody when the last of it is taken. So it is asked, after so long for the first time,
const ASK_FIRST: Duration = Duration::from_millis(2);

/// and at most so long after that.
const ASK: Duration = Duration::from_millis(250);

/// Bytes in a connection that a reset would drop, if it is one that knows resets.
pub(super) fn owed(to: &Wire) -> usize {
    match Bare::reached(to, Given::sink, Reach::Carrier) {
        Ok(socket) if socket.is_tcp() => kernel::unsent(socket.as_fd()).unwrap_or(0),
        _ => 0,
    }
}

/// Returns when nothing is `owed` any more, or none of it was taken for [`TAKES_NOTHING`].
pub(super) async fn taken(owed: impl Fn() -> usize) {
    let (mut left, mut since, mut ask) = (owed(), Instant::now(), ASK_FIRST);
    while left > 0 && since.elapsed() < TAKES_NOTHING {
        sleep(ask).await;
        ask = (2 * ask).min(ASK);
        let now = owed();
        if now != left {
            (left, since) = (now, Instant::now());
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn nothing_is_waited_for_where_nothing_is_owed() {
        let start = Instant::now();
        taken(|| 0).await;
        assert_eq!(start.elapsed(), Duration::ZERO);
    }

    #[tokio::test(start_paused = true)]
    async fn one_who_takes_it_slowly_gets_it_all() {
        let (start, asked) = (Instant::now(), Cell::new(0));
        // A byte every 25 s.
        taken(|| {
            asked.set(asked.get() + 1);
            10_usize.saturating_sub(start.elapsed().as_secs() as usize / 25)
        })
        .await;
        assert_eq!(start.elapsed().as_secs(), 250);
        assert!(asked.get() < 1100, "asked {} times", asked.get());
    }

    #[tokio::test(start_paused = true)]
    async fn one_who_takes_nothing_is_not_waited_for_for_ever() {
        let start = Instant::now();
        taken(|| 1).await;
        assert!(start.elapsed() >= TAKES_NOTHING);
        assert!(start.elapsed() < TAKES_NOTHING + ASK);
    }
}
