//! The book of a server: what came to each endpoint, how it ended, how much was said and how long it took.
//! Absent: the format in which it is published; and whoever serves without a book, which then costs nothing.

use std::collections::HashMap;
use std::io;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::connection::tally::Tally;
use crate::connection::tap::count::{Count, Counts};
use crate::error::Status;
use crate::layer::idle::IdleLimit;
use crate::transport::Bound;
use crate::transport::datagrams::flows::Evicted;

/// How a connection ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// The conversation was over.
    Closed,
    /// The peer was lost, or broke the protocol.
    Lost,
    /// Nothing moved for too long.
    Idle,
    /// We ended it: the server was told to stop.
    Cut,
    /// It was never established.
    Failed,
    /// It was not let in.
    Refused,
    /// A flow of datagrams that made room for another one.
    Evicted,
}

impl Outcome {
    /// All of them, in the order of their counters.
    pub const ALL: [(Outcome, &'static str); 7] = [
        (Outcome::Closed, "closed"),
        (Outcome::Lost, "lost"),
        (Outcome::Idle, "idle"),
        (Outcome::Cut, "cut"),
        (Outcome::Failed, "failed"),
        (Outcome::Refused, "refused"),
        (Outcome::Evicted, "evicted"),
    ];
}

/// Why a connection was never established.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Failure {
    /// TLS was refused, by either end.
    Tls,
    /// No valid PROXY header came.
    Header,
    /// The time for it was over.
    Timeout,
    /// The peer was lost on the way.
    Lost,
    /// Something of our own went wrong.
    Other,
}

impl Failure {
    /// All of them, in the order of their counters.
    pub const ALL: [(Failure, &'static str); 5] = [
        (Failure::Tls, "tls"),
        (Failure::Header, "proxy_header"),
        (Failure::Timeout, "timeout"),
        (Failure::Lost, "lost"),
        (Failure::Other, "other"),
    ];

    /// The failure that an error with this status stands for.
    #[must_use]
    pub(super) fn of(status: Status) -> Self {
        match status {
            Status::Tls => Failure::Tls,
            Status::Expectation => Failure::Header,
            Status::Timeout => Failure::Timeout,
            Status::Lost => Failure::Lost,
            _ => Failure::Other,
        }
    }
}

/// Why a connection could not be accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unaccepted {
    /// The client had left.
    Gone,
    /// Descriptors or memory ran out, and clients waited.
    Shortage,
    /// The listener is of no more use.
    Listener,
}

impl Unaccepted {
    /// All of them, in the order of their counters.
    pub const ALL: [(Unaccepted, &'static str); 3] = [
        (Unaccepted::Gone, "gone"),
        (Unaccepted::Shortage, "shortage"),
        (Unaccepted::Listener, "listener"),
    ];
}

/// The bounds of the buckets in which durations are counted, in seconds: from a request to a session of a day.
pub const BUCKETS: [f64; 9] = [0.001, 0.01, 0.1, 1.0, 10.0, 60.0, 600.0, 3600.0, 86_400.0];

/// The rows of a server's endpoints, in their order.
#[derive(Debug)]
pub struct Book {
    rows: Vec<Arc<Row>>,
}

impl Book {
    /// An empty book about these endpoints.
    #[must_use]
    pub fn new(bound: &[Arc<dyn Bound>]) -> Self {
        Book::about(bound.iter().map(|bound| bound.endpoint()))
    }

    /// A row of its own for each. Where one socket was passed twice, one string leads to both, and they are numbered:
    /// two samples of one name would be an error in what is published.
    fn about(endpoints: impl Iterator<Item = String>) -> Self {
        let mut named = HashMap::new();
        let row = |endpoint: String| {
            let times: &mut u32 = named.entry(endpoint.clone()).or_default();
            *times += 1;
            Arc::new(Row::new(match *times {
                1 => endpoint,
                times => format!("{endpoint} ({times})"),
            }))
        };
        Book {
            rows: endpoints.map(row).collect(),
        }
    }

    /// What stands in it.
    #[must_use]
    pub fn rows(&self) -> &[Arc<Row>] {
        &self.rows
    }
}

/// What is known of one endpoint. All counters only grow.
#[derive(Debug)]
pub struct Row {
    endpoint: String,
    outcomes: [AtomicU64; Outcome::ALL.len()],
    failures: [AtomicU64; Failure::ALL.len()],
    unaccepted: [AtomicU64; Unaccepted::ALL.len()],
    conversations: Mutex<Conversations>,
    datagrams: Arc<Tally>,
}

/// Connections that stand or stood.
#[derive(Debug, Default)]
struct Conversations {
    /// Those that stand, by number. Each counts for itself while it lasts, so that nothing is shared but this table,
    /// and that twice in its life.
    open: HashMap<u64, Arc<Counts>>,
    next: u64,
    /// Bytes of those that have ended.
    received: u64,
    sent: u64,
    durations: Durations,
}

/// How long conversations took.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Durations {
    /// How many there were in each bucket, and beyond the last one.
    pub buckets: [u64; BUCKETS.len() + 1],
    /// Of all together, in seconds.
    pub sum: f64,
}

impl Durations {
    fn add(&mut self, duration: Duration) {
        let seconds = duration.as_secs_f64();
        let bucket = BUCKETS.iter().position(|bound| seconds <= *bound);
        self.buckets[bucket.unwrap_or(BUCKETS.len())] += 1;
        self.sum += seconds;
    }
}

/// What a row says of conversations at one moment.
#[derive(Debug, Clone, PartialEq)]
pub struct Moment {
    /// Connections that are established and not over.
    pub open: u64,
    /// Bytes received on all so far.
    pub received: u64,
    /// Bytes sent on all so far.
    pub sent: u64,
    /// Of those that are over.
    pub durations: Durations,
}

impl Row {
    fn new(endpoint: String) -> Self {
        Row {
            endpoint,
            outcomes: Default::default(),
            failures: Default::default(),
            unaccepted: Default::default(),
            conversations: Mutex::default(),
            datagrams: Arc::default(),
        }
    }

    /// The client string that led here when the server started; behind it, where others had the same, a number.
    #[must_use]
    pub fn endpoint(&self) -> &str {
        &self.endpoint
    }

    /// Connections that ended so.
    #[must_use]
    pub fn ended(&self, outcome: Outcome) -> u64 {
        self.outcomes[outcome as usize].load(Relaxed)
    }

    /// Connections that were not established for this reason.
    #[must_use]
    pub fn failed(&self, failure: Failure) -> u64 {
        self.failures[failure as usize].load(Relaxed)
    }

    /// Attempts to accept that failed so.
    #[must_use]
    pub fn unaccepted(&self, why: Unaccepted) -> u64 {
        self.unaccepted[why as usize].load(Relaxed)
    }

    /// What came, went and was lost in datagrams.
    #[must_use]
    pub fn datagrams(&self) -> &Arc<Tally> {
        &self.datagrams
    }

    /// What there is to say of conversations now, those that go on included.
    #[must_use]
    pub fn moment(&self) -> Moment {
        let held = self.conversations();
        let sum = |ended: u64, of: fn(&Counts) -> u64| {
            let open = held.open.values().map(|counts| of(counts));
            open.fold(ended, u64::saturating_add)
        };
        Moment {
            open: held.open.len() as u64,
            received: sum(held.received, Counts::received),
            sent: sum(held.sent, Counts::sent),
            durations: held.durations.clone(),
        }
    }

    pub(super) fn end(&self, outcome: Outcome) {
        self.outcomes[outcome as usize].fetch_add(1, Relaxed);
    }

    pub(super) fn fail(&self, failure: Failure) {
        self.failures[failure as usize].fetch_add(1, Relaxed);
        self.end(Outcome::Failed);
    }

    pub(super) fn count_unaccepted(&self, why: Unaccepted) {
        self.unaccepted[why as usize].fetch_add(1, Relaxed);
    }

    /// A conversation begins: its entry counts until it is dropped.
    pub(super) fn begin(self: &Arc<Self>) -> Entry {
        let count = Count::default();
        let mut held = self.conversations();
        let number = held.next;
        held.next += 1;
        held.open.insert(number, Arc::clone(&count.0));
        Entry {
            row: Arc::clone(self),
            number,
            count,
            since: Instant::now(),
            outcome: Outcome::Cut,
        }
    }

    fn conversations(&self) -> MutexGuard<'_, Conversations> {
        self.conversations.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A conversation that goes on. Dropped before it has ended, it was cut.
#[derive(Debug)]
pub(super) struct Entry {
    row: Arc<Row>,
    number: u64,
    /// The tap that counts its bytes.
    pub(super) count: Count,
    since: Instant,
    outcome: Outcome,
}

impl Entry {
    pub(super) fn end(mut self, result: &io::Result<()>) {
        self.outcome = match result {
            Ok(()) => Outcome::Closed,
            Err(error) if IdleLimit::caused(error) => Outcome::Idle,
            Err(error) if Evicted::caused(error) => Outcome::Evicted,
            Err(_) => Outcome::Lost,
        };
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        self.row.end(self.outcome);
        // Out of the one sum and into the other in one step, so that no reader sees them in neither or both.
        let mut held = self.row.conversations();
        held.open.remove(&self.number);
        held.received += self.count.0.received();
        held.sent += self.count.0.sent();
        held.durations.add(self.since.elapsed());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::connection::tap::{Direction, Tap};

    fn row() -> Arc<Row> {
        Arc::new(Row::new("tcp:127.0.0.1:1".into()))
    }

    #[test]
    fn no_two_rows_have_one_name() {
        let book = Book::about(["a", "b", "a", "a"].into_iter().map(str::to_owned));
        let names: Vec<_> = book.rows().iter().map(|row| row.endpoint()).collect();
        assert_eq!(names, ["a", "b", "a (2)", "a (3)"]);
    }

    #[test]
    fn what_is_told_of_conversations_never_shrinks() {
        let row = row();
        let (mut one, mut two) = (row.begin(), row.begin());
        one.count.data(Direction::Received, &[0; 10]);
        two.count.data(Direction::Sent, &[0; 7]);
        let during = row.moment();
        assert_eq!((during.open, during.received, during.sent), (2, 10, 7));
        one.end(&Ok(()));
        let after = row.moment();
        assert_eq!((after.open, after.received, after.sent), (1, 10, 7));
        two.count.data(Direction::Sent, &[0; 1]);
        drop(two);
        let last = row.moment();
        assert_eq!((last.open, last.received, last.sent), (0, 10, 8));
        assert_eq!(last.durations.buckets.iter().sum::<u64>(), 2);
    }

    #[test]
    fn each_end_is_counted_as_what_it_was() {
        let row = row();
        row.begin().end(&Ok(()));
        row.begin().end(&Err(io::ErrorKind::ConnectionReset.into()));
        drop(row.begin());
        row.begin().end(&Err(io::Error::other(Evicted)));
        row.end(Outcome::Refused);
        row.fail(Failure::of(Status::Tls));
        row.fail(Failure::of(Status::Expectation));
        let ended = Outcome::ALL.map(|(outcome, _)| row.ended(outcome));
        assert_eq!(ended, [1, 1, 0, 1, 2, 1, 1]);
        let failed = Failure::ALL.map(|(failure, _)| row.failed(failure));
        assert_eq!(failed, [1, 1, 0, 0, 0]);
    }

    #[test]
    fn a_duration_falls_into_the_first_bucket_that_holds_it() {
        let mut durations = Durations::default();
        for millis in [1, 2, 100, 90_000_000] {
            durations.add(Duration::from_millis(millis));
        }
        assert_eq!(durations.buckets, [1, 1, 1, 0, 0, 0, 0, 0, 0, 1]);
        assert!((durations.sum - 90_000.103).abs() < 1e-6);
    }
}
