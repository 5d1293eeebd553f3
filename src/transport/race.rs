//! Several addresses, one connection: attempts raced as RFC 8305 has it, and all their failures kept.
//! Absent: what an attempt is.

use std::collections::VecDeque;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::task::JoinSet;

use crate::error::reason;
use crate::lacking::is_shortage;

/// How long an attempt has before the next address is tried beside it (RFC 8305, section 8, recommends 250 ms).
pub(super) const ATTEMPT_DELAY: Duration = Duration::from_millis(250);

/// An address that was tried, and why that failed; `None`: it has not answered.
pub(super) type Attempt = (SocketAddr, Option<io::Error>);

/// What came of the attempts in a line: each address with its reason, unless there was only one; `silence` is the
/// reason of those that have not answered.
pub(super) fn list(attempts: &[Attempt], silence: &str) -> String {
    let why = |error: &Option<io::Error>| error.as_ref().map_or_else(|| silence.to_owned(), reason);
    match attempts {
        [] => silence.to_owned(),
        [(_, error)] => why(error),
        _ => {
            let each: Vec<_> = attempts
                .iter()
                .map(|(address, error)| format!("{address}: {}", why(error)))
                .collect();
            each.join("; ")
        }
    }
}

/// Whether one of them failed because we lack something, and so nothing is known of its address.
pub(super) fn lacking(attempts: &[Attempt]) -> bool {
    attempts
        .iter()
        .any(|(_, error)| error.as_ref().is_some_and(is_shortage))
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
/// The first success wins and cancels the rest; what is tried is noted in `attempts`, which outlives a time limit.
pub(super) async fn race<T, F, Fut>(
    addresses: Vec<SocketAddr>,
    delay: Duration,
    attempt: F,
    attempts: &mut Vec<Attempt>,
) -> Option<T>
where
    T: Send + 'static,
    F: Fn(SocketAddr) -> Fut,
    Fut: Future<Output = io::Result<T>> + Send + 'static,
{
    let mut waiting = addresses.into_iter();
    // Dropping the set aborts whatever is still under way.
    let mut running = JoinSet::new();
    loop {
        match waiting.next() {
            Some(address) => {
                let (one, place) = (attempt(address), attempts.len());
                attempts.push((address, None));
                running.spawn(async move { (place, one.await) });
            }
            None if running.is_empty() => return None,
            None => {}
        }
        tokio::select! {
            biased;
            Some(done) = running.join_next() => match done {
                Ok((_, Ok(won))) => return Some(won),
                Ok((place, Err(error))) => {
                    if let Some((_, failed)) = attempts.get_mut(place) {
                        *failed = Some(error);
                    }
                }
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
        let mut attempts = Vec::new();
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
            &mut attempts,
        )
        .await;
        assert_eq!(won, Some(2));
        assert_eq!(start.elapsed(), ATTEMPT_DELAY);
    }

    #[tokio::test(start_paused = true)]
    async fn a_failure_starts_the_next_attempt_at_once_and_all_are_reported() {
        let start = Instant::now();
        let mut attempts = Vec::new();
        let one = |_| async { Err::<(), _>(io::Error::from_raw_os_error(111)) };
        let won = race(
            addresses(&["1.1.1.1:1", "[::1]:1"]),
            ATTEMPT_DELAY,
            one,
            &mut attempts,
        )
        .await;
        assert_eq!(won, None);
        assert_eq!(start.elapsed(), Duration::ZERO);
        assert_eq!(
            list(&attempts, "no answer"),
            "1.1.1.1:1: connection refused; [::1]:1: connection refused"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_time_limit_leaves_what_was_tried_until_then() {
        let mut attempts = Vec::new();
        let one = |address: SocketAddr| async move {
            if address.is_ipv6() {
                return Err(io::Error::from_raw_os_error(111));
            }
            std::future::pending::<io::Result<()>>().await
        };
        let all = addresses(&["[::1]:80", "192.0.2.1:80", "192.0.2.2:80", "192.0.2.3:80"]);
        // The third of them is tried 250 ms after the second, and the last not at all.
        let racing = race(all, ATTEMPT_DELAY, one, &mut attempts);
        let limit = Duration::from_millis(400);
        assert!(tokio::time::timeout(limit, racing).await.is_err());
        assert_eq!(
            list(&attempts, "no answer within 400ms"),
            "[::1]:80: connection refused; 192.0.2.1:80: no answer within 400ms; \
             192.0.2.2:80: no answer within 400ms"
        );
        assert_eq!(
            list(&attempts[1..2], "no answer within 400ms"),
            "no answer within 400ms"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_slow_first_attempt_can_still_win() {
        let mut attempts = Vec::new();
        let one = |address: SocketAddr| async move {
            let wait = if address.port() == 1 { 300 } else { 10_000 };
            tokio::time::sleep(Duration::from_millis(wait)).await;
            Ok::<u16, io::Error>(address.port())
        };
        let won = race(
            addresses(&["1.1.1.1:1", "1.1.1.1:2"]),
            ATTEMPT_DELAY,
            one,
            &mut attempts,
        )
        .await;
        assert_eq!(won, Some(1));
    }
}
