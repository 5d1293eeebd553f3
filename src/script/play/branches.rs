//! Several futures side by side on one task, until all are done or the first fails.
//! Absent: what they do.

use std::future::poll_fn;
use std::task::Poll;

use crate::connection::BoxFuture;

/// Drives all of them; the first error ends the rest, which are dropped.
pub async fn all<'a, E>(branches: Vec<BoxFuture<'a, Result<(), E>>>) -> Result<(), E> {
    let mut branches: Vec<Option<_>> = branches.into_iter().map(Some).collect();
    poll_fn(|cx| {
        let mut waits = false;
        for place in &mut branches {
            let Some(branch) = place else { continue };
            match branch.as_mut().poll(cx) {
                Poll::Ready(Ok(())) => *place = None,
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                Poll::Pending => waits = true,
            }
        }
        if waits { Poll::Pending } else { Poll::Ready(Ok(())) }
    })
    .await
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn the_first_failure_ends_all() {
        let start = tokio::time::Instant::now();
        let after = |seconds, done| -> BoxFuture<'_, Result<(), u32>> {
            Box::pin(async move {
                tokio::time::sleep(Duration::from_secs(seconds)).await;
                done
            })
        };
        assert_eq!(all(vec![after(2, Ok(())), after(5, Ok(()))]).await, Ok(()));
        assert_eq!(start.elapsed(), Duration::from_secs(5));
        assert_eq!(
            all(vec![after(9, Ok(())), after(1, Err(7)), after(2, Ok(()))]).await,
            Err(7)
        );
        assert_eq!(start.elapsed(), Duration::from_secs(6));
        assert_eq!(all::<()>(Vec::new()).await, Ok(()));
    }
}
