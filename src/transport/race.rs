//! Several addresses, one connection: attempts raced as RFC 8305 has it, and all their failures kept.
//! Absent: what an attempt is.

use std::collections::VecDeque;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::task::JoinSet;

use crate::error::reason;

/// How long an attempt has before the next address is tried beside it (RFC 8305, section 8, recommends 250 ms).
pub(super) const ATTEMPT_DELAY: Duration = Duration::from_millis(250);

/// An address that did not answer, and why.
pub(super) type Failure = (SocketAddr, io::Error);

/// The failures in a line: each address with its reason, unless there was only one.
pub(super) fn list(failures: &[Failure]) -> String {
    match failures {
        [(_, error)] => reason(error),
        _ => {
            let each: Vec<_> = failures
                .iter()
                .map(|(address, error)| format!("{address}: {}", reason(error)))
                .collect();
            each.join("; ")
        }
    }
}

/// Alternates between the families, beginning with the one that the system prefers (RFC 8305, section 4).
pub(super) fn interleave(addresses: Vec<SocketAddr>) -> Vec<SocketAddr> {
    let first_is_v4 = addresses.first().is_some_and(SocketAddr::is_ipv4);
    let (mut ahead, mut behind): (VecDeque<_>, VecDeque<_>) = addresses
        .into_iter()
        .partition(|address| address.is_ipv4() == first_is_v4);
    let mut order = Vec::with_capacity(ahead.len() + behind.len());
    while !ahead.is_empty() || !behind.is_empty() {
        order.extend(ahead.pop_front());
        order.extend(behind.pop_front());
    }
    order
}

/// Tries the addresses one after the other, the next one beside the others after `delay` or as soon as one fails.
/// The first success wins and cancels the rest; what failed is noted in `failures`, which outlives a time limit.
pub(super) async fn race<T, F, Fut>(
    addresses: Vec<SocketAddr>,
    delay: Duration,
    attempt: F,
    failures: &mut Vec<Failure>,
) -> Option<T>
where
    T: Send + 'static,
    F: Fn(SocketAddr) -> Fut,
    Fut: Future<Output = io::Result<T>> + Send + 'static,
{
    let mut waiting = addresses.into_iter();
    // Dropping the set aborts whatever is still under way.
    let mut attempts = JoinSet::new();
    loop {
        match waiting.next() {
            Some(address) => {
                let one = attempt(address);
                attempts.spawn(async move { (address, one.await) });
            }
            None if attempts.is_empty() => return None,
            None => {}
        }
        tokio::select! {
            biased;
            Some(done) = attempts.join_next() => match done {
                Ok((_, Ok(won))) => return Some(won),
                Ok((address, Err(error))) => failures.push((address, error)),
                Err(_cancelled) => {}
            },
            () = tokio::time::sleep(delay), if waiting.len() > 0 => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::time::Instant;

    fn addresses(texts: &[&str]) -> Vec<SocketAddr> {
        texts.iter().map(|text| text.parse().unwrap()).collect()
    }

    #[test]
    fn families_alternate_and_keep_their_own_order() {
        let mixed = addresses(&["[::1]:1", "[::2]:1", "[::3]:1", "1.1.1.1:1", "2.2.2.2:1"]);
        let expected = addresses(&["[::1]:1", "1.1.1.1:1", "[::2]:1", "2.2.2.2:1", "[::3]:1"]);
        assert_eq!(interleave(mixed), expected);
    }

    #[tokio::test(start_paused = true)]
    async fn a_silent_first_address_costs_the_attempt_delay() {
        let start = Instant::now();
        let mut failures = Vec::new();
        let one = |address: SocketAddr| async move {
            if address.port() == 1 {
                std::future::pending::<()>().await;
            }
            Ok::<u16, io::Error>(address.port())
        };
        let won = race(
            addresses(&["1.1.1.1:1", "1.1.1.1:2"]),
            ATTEMPT_DELAY,
            one,
            &mut failures,
        )
        .await;
        assert_eq!(won, Some(2));
        assert_eq!(start.elapsed(), ATTEMPT_DELAY);
        assert!(failures.is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn a_failure_starts_the_next_attempt_at_once_and_all_are_reported() {
        let start = Instant::now();
        let mut failures = Vec::new();
        let one = |_| async { Err::<(), _>(io::Error::from_raw_os_error(111)) };
        let won = race(
            addresses(&["1.1.1.1:1", "[::1]:1"]),
            ATTEMPT_DELAY,
            one,
            &mut failures,
        )
        .await;
        assert_eq!(won, None);
        assert_eq!(start.elapsed(), Duration::ZERO);
        assert_eq!(
            list(&failures),
            "1.1.1.1:1: connection refused; [::1]:1: connection refused"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_slow_first_attempt_can_still_win() {
        let mut failures = Vec::new();
        let one = |address: SocketAddr| async move {
            let wait = if address.port() == 1 { 300 } else { 10_000 };
            tokio::time::sleep(Duration::from_millis(wait)).await;
            Ok::<u16, io::Error>(address.port())
        };
        let won = race(
            addresses(&["1.1.1.1:1", "1.1.1.1:2"]),
            ATTEMPT_DELAY,
            one,
            &mut failures,
        )
        .await;
        assert_eq!(won, Some(1));
    }
}
