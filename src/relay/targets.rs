//! Where connections are forwarded to: one target or several, and which of them is next.
//! Absent: what is forwarded.

use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tracing::{debug, info};

use crate::connection::refusals::Refusals;
use crate::connection::{Connection, Facts};
use crate::error::{Error, Result, Status};
use crate::need::Need;
use crate::transport::Connector;
use crate::transport::reading::ClientEndpoint;
use crate::units::duration_text;

/// How one of several targets is chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Balance {
    /// One after the other.
    #[default]
    RoundRobin,
    /// The one with the fewest open connections.
    Least,
    /// The first that can be had; the others stand by.
    First,
}

impl Balance {
    /// Every way, by the name that users give it.
    pub const ALL: [(&str, Balance); 3] = [
        ("round-robin", Balance::RoundRobin),
        ("least", Balance::Least),
        ("first", Balance::First),
    ];
}

/// After its first failure a target is passed over for so long, while there are others; then twice as long, and so on.
const PASSED_OVER: Duration = Duration::from_secs(1);

/// But no longer than this.
const PASSED_OVER_MAX: Duration = Duration::from_secs(30);

/// Where connections are forwarded to.
#[derive(Debug)]
pub struct Targets {
    targets: Vec<Arc<Target>>,
    balance: Balance,
    connect_timeout: Option<Duration>,
    next: AtomicUsize,
}

#[derive(Debug)]
struct Target {
    endpoint: ClientEndpoint,
    open: AtomicUsize,
    health: Mutex<Health>,
}

#[derive(Debug, Default)]
struct Health {
    failures: u32,
    /// When the last of them was seen.
    failed: Option<Instant>,
    until: Option<Instant>,
}

impl Target {
    fn health(&self) -> MutexGuard<'_, Health> {
        self.health.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_passed_over(&self, now: Instant) -> bool {
        self.health().until.is_some_and(|until| now < until)
    }
}

/// A connection to a target, which counts as open for as long as this is held.
pub(super) struct Taken(Arc<Target>);

impl Drop for Taken {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, Relaxed);
    }
}

impl Targets {
    /// These, of which `balance` chooses. `connect_timeout` limits each attempt, besides the endpoint's own limit.
    #[must_use]
    pub fn new(endpoints: Vec<ClientEndpoint>, balance: Balance, connect_timeout: Option<Duration>) -> Self {
        let targets = endpoints.into_iter().map(|endpoint| {
            Arc::new(Target {
                endpoint,
                open: AtomicUsize::new(0),
                health: Mutex::default(),
            })
        });
        Targets {
            targets: targets.collect(),
            balance,
            connect_timeout,
            next: AtomicUsize::new(0),
        }
    }

    /// What reaching them asks of the system, besides the network.
    pub(super) fn needs(&self) -> Vec<Need> {
        self.targets
            .iter()
            .flat_map(|target| target.endpoint.needs())
            .collect()
    }

    /// Connects on behalf of `client` to the first target, in the order of the moment, that can be had.
    ///
    /// # Errors
    /// That of the last one tried; the others' are told to `refusals`.
    pub(super) async fn connect(&self, client: &Facts, refusals: &Refusals) -> Result<(Connection, Taken)> {
        let mut failed = None;
        for place in self.order(Instant::now()) {
            let target = &self.targets[place];
            if let Some(error) = failed.take() {
                refusals.tell(&client.peer.to_string(), &format!("{error}; trying the next"));
            }
            target.open.fetch_add(1, Relaxed);
            let start = Instant::now();
            let taken = Taken(Arc::clone(target));
            match self.attempt(target, client).await {
                Ok(connection) => {
                    let mut health = target.health();
                    if health.failures > 0 && self.targets.len() > 1 {
                        info!("{} is back", target.endpoint.text());
                    }
                    *health = Health::default();
                    drop(health);
                    return Ok((connection, taken));
                }
                Err(error) => {
                    // The others would be tried in vain, and are no better.
                    if error.is_shortage() {
                        return Err(error);
                    }
                    self.pass_over(target, start);
                    failed = Some(error);
                }
            }
        }
        Err(failed.unwrap_or_else(|| Error::new(Status::Connect, "there is no target")))
    }

    async fn attempt(&self, target: &Target, client: &Facts) -> Result<Connection> {
        let connecting = target.endpoint.connect_for(Some(client));
        let Some(limit) = self.connect_timeout else {
            return connecting.await;
        };
        match tokio::time::timeout(limit, connecting).await {
            Ok(connected) => connected,
            Err(_elapsed) => {
                let why = format!("no connection within {}", duration_text(limit));
                let what = format!("could not connect to {}", target.endpoint.text());
                Err(Error::new(Status::Timeout, why).on(what))
            }
        }
    }

    /// That an attempt failed which began at `start`. Those that ran side by side failed for the same reason, and count as one.
    fn pass_over(&self, target: &Target, start: Instant) {
        if self.targets.len() < 2 {
            return;
        }
        let mut health = target.health();
        if health.failed.is_some_and(|failed| start < failed) {
            return;
        }
        health.failed = Some(Instant::now());
        let doubled = PASSED_OVER.saturating_mul(1 << health.failures.min(16));
        let rest = doubled.min(PASSED_OVER_MAX);
        health.failures = health.failures.saturating_add(1);
        health.until = Some(Instant::now() + rest);
        debug!(
            "passing over {} for {}",
            target.endpoint.text(),
            duration_text(rest)
        );
    }

    /// All targets, the best first. Those that failed a moment ago come last: if no other can be had, they are tried
    /// all the same, so that one that recovers is found at once.
    fn order(&self, now: Instant) -> Vec<usize> {
        let count = self.targets.len();
        let mut order: Vec<usize> = match self.balance {
            Balance::First => (0..count).collect(),
            Balance::RoundRobin => {
                let first = self.next.fetch_add(1, Relaxed);
                (0..count)
                    .map(|offset| first.wrapping_add(offset) % count)
                    .collect()
            }
            Balance::Least => {
                let mut places: Vec<usize> = (0..count).collect();
                places.sort_by_key(|&place| self.targets[place].open.load(Relaxed));
                places
            }
        };
        if count > 1 {
            order.sort_by_key(|&place| self.targets[place].is_passed_over(now));
        }
        order
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn targets(balance: Balance) -> Targets {
        let endpoints = ["tcp:a:1", "tcp:b:1", "tcp:c:1"];
        let endpoints = endpoints.map(|text| ClientEndpoint::parse(text.as_ref()).unwrap());
        Targets::new(endpoints.into(), balance, None)
    }

    #[test]
    fn the_order_is_that_of_the_balance() {
        let now = Instant::now();
        let first = targets(Balance::First);
        assert_eq!([first.order(now), first.order(now)], [[0, 1, 2], [0, 1, 2]]);
        let turns = targets(Balance::RoundRobin);
        assert_eq!([turns.order(now), turns.order(now)], [[0, 1, 2], [1, 2, 0]]);
        let least = targets(Balance::Least);
        least.targets[0].open.fetch_add(2, Relaxed);
        least.targets[1].open.fetch_add(1, Relaxed);
        assert_eq!(least.order(now), [2, 1, 0]);
    }

    #[test]
    fn who_failed_comes_last_for_a_while_that_doubles() {
        let first = targets(Balance::First);
        for seconds in [1, 2, 4, 8, 16, 30, 30] {
            let start = Instant::now();
            first.pass_over(&first.targets[0], start);
            let now = Instant::now();
            // One that was under way meanwhile.
            first.pass_over(&first.targets[0], start - Duration::from_millis(1));
            assert_eq!(first.order(now), [1, 2, 0]);
            let nearly = now + Duration::from_secs(seconds) - Duration::from_millis(500);
            assert_eq!(first.order(nearly), [1, 2, 0], "{seconds} s");
            assert_eq!(first.order(now + Duration::from_secs(seconds)), [0, 1, 2]);
        }
    }
}
