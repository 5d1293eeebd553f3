//! When to look at a socket that nobody waits for: every so often, on one timer for all that a thread has of them.
//! Absent: what there is to be seen.

use std::cell::RefCell;
use std::pin::Pin;
use std::sync::{Arc, Weak};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::sync::futures::OwnedNotified;

/// From one look to the next.
const EVERY: Duration = Duration::from_secs(5);

thread_local! {
    /// Whoever waits for the next look on this thread; its task holds it.
    static NEXT: RefCell<Weak<Notify>> = const { RefCell::new(Weak::new()) };
}

/// One who looks. It costs nothing until it is asked.
#[derive(Debug, Default)]
pub(super) struct Lookout(Option<Pin<Box<OwnedNotified>>>);

impl Lookout {
    /// Ready when it is time for a look. It is to be asked again then.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let next = self.0.get_or_insert_with(|| Box::pin(next().notified_owned()));
        let look = next.as_mut().poll(cx);
        if look.is_ready() {
            self.0 = None;
        }
        look
    }
}

fn next() -> Arc<Notify> {
    NEXT.with_borrow_mut(|next| {
        next.upgrade().unwrap_or_else(|| {
            let new = Arc::new(Notify::new());
            *next = Arc::downgrade(&new);
            tokio::spawn(call(Arc::clone(&new)));
            new
        })
    })
}

/// Calls all who wait, for as long as there are any.
async fn call(looks: Arc<Notify>) {
    // Whoever waits holds it as well.
    while Arc::strong_count(&looks) > 1 {
        tokio::time::sleep(EVERY).await;
        looks.notify_waiters();
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use tokio::time::{Instant, timeout};

    use super::*;

    async fn look(lookout: &mut Lookout) {
        poll_fn(|cx| lookout.poll(cx)).await;
    }

    #[tokio::test(start_paused = true)]
    async fn all_look_at_once_and_again() {
        let (start, mut first, mut second) = (Instant::now(), Lookout::default(), Lookout::default());
        for looks in 1..4 {
            tokio::join!(look(&mut first), look(&mut second));
            assert_eq!(start.elapsed(), looks * EVERY);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn it_ends_when_nobody_looks_and_begins_anew() {
        let mut lookout = Lookout::default();
        assert!(timeout(EVERY / 2, look(&mut lookout)).await.is_err());
        drop(lookout);
        tokio::time::sleep(EVERY).await;
        assert!(NEXT.with_borrow(|next| next.upgrade().is_none()));
        let start = Instant::now();
        look(&mut Lookout::default()).await;
        assert_eq!(start.elapsed(), EVERY);
    }
}
