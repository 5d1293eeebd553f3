//! Attempts on a clock that is paused: a network of scripted outcomes, and when each was asked for.

use std::sync::Mutex;

use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
use tokio::time::{Instant, sleep, timeout};

use super::*;
use crate::connection::{Address, BoxFuture, Facts};

/// What an attempt comes to.
#[derive(Debug, Clone, Copy)]
enum Outcome {
    Connects,
    Fails(Status),
    /// It never ends by itself.
    Hangs,
}

use Outcome::{Connects, Fails, Hangs};

const REFUSED: Outcome = Fails(Status::Connect);

/// Attempts come to what the script says, its last line for ever; the far ends of connections are kept.
#[derive(Debug)]
struct Network {
    script: Vec<Outcome>,
    started: Instant,
    seen: Mutex<Seen>,
}

#[derive(Debug, Default)]
struct Seen {
    /// Milliseconds from the start.
    attempts: Vec<u128>,
    peers: VecDeque<DuplexStream>,
    cancelled: usize,
}

impl Network {
    fn new(script: impl Into<Vec<Outcome>>) -> Arc<Self> {
        Arc::new(Network {
            script: script.into(),
            started: Instant::now(),
            seen: Mutex::default(),
        })
    }

    /// Without jitter, so that times are exact.
    fn keep_up(self: &Arc<Self>) -> Reconnect {
        let connector = Arc::clone(self);
        Reconnect::with_random(connector, Backoff::default(), || 0.0)
    }

    fn attempts(&self) -> Vec<u128> {
        self.seen.lock().unwrap().attempts.clone()
    }

    fn cancelled(&self) -> usize {
        self.seen.lock().unwrap().cancelled
    }

    /// The far end of the oldest connection.
    fn peer(&self) -> DuplexStream {
        self.seen.lock().unwrap().peers.pop_front().expect("a connection")
    }
}

/// Notes when an attempt is dropped unfinished.
struct Unfinished<'a>(&'a Network);

impl Drop for Unfinished<'_> {
    fn drop(&mut self) {
        self.0.seen.lock().unwrap().cancelled += 1;
    }
}

impl Connector for Network {
    fn connect<'a>(&'a self, _: Option<&'a Facts>) -> BoxFuture<'a, Result<Connection>> {
        let number = {
            let mut seen = self.seen.lock().unwrap();
            seen.attempts.push(self.started.elapsed().as_millis());
            seen.attempts.len()
        };
        let outcome = self.script[(number - 1).min(self.script.len() - 1)];
        Box::pin(async move {
            match outcome {
                Connects => {
                    let (ours, theirs) = duplex(64);
                    self.seen.lock().unwrap().peers.push_back(theirs);
                    let facts = Facts::new(Address::Unnamed, Address::Unnamed);
                    Ok(Connection::Stream(Stream::new(ours, facts)))
                }
                Fails(status) => Err(Error::new(status, format!("failure {number}")).on("no")),
                Hangs => {
                    let _unfinished = Unfinished(self);
                    std::future::pending().await
                }
            }
        })
    }
}

/// Lets so much time pass.
async fn pass(seconds: f64) {
    sleep(Duration::from_secs_f64(seconds)).await;
}

fn said(missed: Missed) -> String {
    Error::from(missed).to_string()
}

#[tokio::test(start_paused = true)]
async fn the_sequence_of_attempts() {
    let network = Network::new([REFUSED]);
    let _line = network.keep_up();
    pass(300.0).await;
    let expected = [
        0, 1000, 2500, 4750, 8125, 13187, 20781, 32171, 49257, 74886, 113_329, 170_995, 230_995, 290_995,
    ];
    let attempts = network.attempts();
    assert_eq!(attempts.len(), expected.len(), "{attempts:?}");
    // The clock counts whole milliseconds, and waits none too short.
    for (attempt, expected) in attempts.iter().zip(expected) {
        assert!(attempt.abs_diff(expected) <= 13, "{attempts:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn jitter_comes_on_top_of_each_wait() {
    let network = Network::new([REFUSED]);
    let _line = Reconnect::with_random(network.clone(), Backoff::default(), || 0.5);
    pass(4.0).await;
    assert_eq!(network.attempts(), [0, 1500, 3500]);
}

#[test]
fn random_numbers_lie_in_their_range_and_differ() {
    let numbers: Vec<f64> = (0..1000).map(|_| random()).collect();
    assert!(numbers.iter().all(|number| (0.0..1.0).contains(number)));
    assert!(numbers.iter().any(|number| *number < 0.5) && numbers.iter().any(|number| *number >= 0.5));
}

#[tokio::test(start_paused = true)]
async fn the_connection_is_had_across_failures() {
    let network = Network::new([REFUSED, Fails(Status::Timeout), Fails(Status::Tls), Connects]);
    let line = network.keep_up();
    let mut stream = line.when_connected(None).await.unwrap();
    assert_eq!(network.attempts(), [0, 1000, 2500, 4750]);
    network.peer().write_all(b"hello").await.unwrap();
    let mut got = [0; 5];
    stream.read_exact(&mut got).await.unwrap();
    assert_eq!(&got, b"hello");
}

#[tokio::test(start_paused = true)]
async fn a_connection_made_sets_the_count_back_and_a_loss_is_failure_one() {
    let network = Network::new([REFUSED, REFUSED, Connects, REFUSED, Connects]);
    let line = network.keep_up();
    drop(line.when_connected(None).await.unwrap());
    drop(line.when_connected(None).await.unwrap());
    // Lost at 2.5: no attempt before 3.5, which fails, and the next is the second wait later.
    assert_eq!(network.attempts(), [0, 1000, 2500, 3500, 5000]);
}

#[tokio::test(start_paused = true)]
async fn patience_is_counted_from_the_question() {
    let network = Network::new([REFUSED]);
    let line = network.keep_up();
    assert_eq!(
        said(line.when_connected(Some(2)).await.unwrap_err()),
        "no: failure 2"
    );
    // Three more from now on, though two were before.
    assert_eq!(
        said(line.when_connected(Some(3)).await.unwrap_err()),
        "no: failure 5"
    );
    assert_eq!(
        said(line.when_connected(Some(0)).await.unwrap_err()),
        "no: failure 6"
    );
}

#[tokio::test(start_paused = true)]
async fn each_who_waits_has_a_patience_of_their_own() {
    let network = Network::new([REFUSED]);
    let line = network.keep_up();
    let (one, three, ever) = tokio::join!(
        line.when_connected(Some(1)),
        line.when_connected(Some(3)),
        timeout(Duration::from_secs(1000), line.when_connected(None)),
    );
    assert_eq!(said(one.unwrap_err()), "no: failure 1");
    assert_eq!(said(three.unwrap_err()), "no: failure 3");
    assert!(ever.is_err(), "it was to wait for ever");
}

#[tokio::test(start_paused = true)]
async fn the_status_of_the_last_attempt_is_kept() {
    let network = Network::new([REFUSED, Fails(Status::Tls)]);
    let line = network.keep_up();
    let error = Error::from(line.when_connected(Some(2)).await.unwrap_err());
    assert_eq!(error.status(), Status::Tls);
}

#[tokio::test(start_paused = true)]
async fn what_no_attempt_mends_is_not_tried_again() {
    let network = Network::new([Fails(Status::Usage), Connects]);
    let line = network.keep_up();
    for _ in 0..2 {
        assert_eq!(
            said(line.when_connected(None).await.unwrap_err()),
            "no: failure 1"
        );
    }
    pass(100.0).await;
    assert_eq!(network.attempts(), [0]);
    line.stop().await;
}

#[tokio::test(start_paused = true)]
async fn one_holds_it_and_the_next_waits_for_the_next() {
    let network = Network::new([Connects]);
    let line = network.keep_up();
    let first = line.when_connected(None).await.unwrap();
    let (second, ()) = tokio::join!(line.when_connected(Some(1)), async {
        pass(10.0).await;
        drop(first);
    });
    assert!(second.is_ok());
    assert_eq!(network.attempts(), [0, 11_000]);
}

#[tokio::test(start_paused = true)]
async fn what_died_before_anybody_asked_is_never_handed_out() {
    let network = Network::new([Connects]);
    let line = network.keep_up();
    pass(5.0).await;
    drop(network.peer());
    // It is asked for in the moment in which it is lost: nothing has run in between.
    let mut stream = line.when_connected(None).await.unwrap();
    assert_eq!(network.attempts(), [0, 6000]);
    network.peer().write_all(b"!").await.unwrap();
    assert_eq!(stream.read_u8().await.unwrap(), b'!');
}

#[tokio::test(start_paused = true)]
async fn what_came_before_anybody_asked_is_not_lost() {
    let network = Network::new([Connects]);
    let line = network.keep_up();
    pass(5.0).await;
    let mut peer = network.peer();
    peer.write_all(b"welcome").await.unwrap();
    pass(5.0).await;
    drop(peer);
    let mut stream = line.when_connected(None).await.unwrap();
    let mut got = Vec::new();
    stream.read_to_end(&mut got).await.unwrap();
    assert_eq!(got, b"welcome");
    assert_eq!(network.attempts(), [0]);
}

#[tokio::test(start_paused = true)]
async fn stopping_ends_a_wait_at_once() {
    let network = Network::new([REFUSED]);
    let line = network.keep_up();
    pass(114.0).await;
    let start = Instant::now();
    let (missed, ()) = tokio::join!(line.when_connected(None), line.stop());
    assert!(matches!(missed, Err(Missed::Cancelled)));
    assert_eq!(start.elapsed(), Duration::ZERO);
    assert!(matches!(
        line.when_connected(Some(1)).await,
        Err(Missed::Cancelled)
    ));
    let attempts = network.attempts().len();
    pass(1000.0).await;
    assert_eq!(network.attempts().len(), attempts);
}

#[tokio::test(start_paused = true)]
async fn stopping_cancels_an_attempt_at_once() {
    let network = Network::new([Hangs]);
    let line = network.keep_up();
    let start = Instant::now();
    let waiting = line.when_connected(None);
    let stopped = async {
        pass(3.0).await;
        line.stop().await;
    };
    let (missed, ()) = tokio::join!(waiting, stopped);
    assert!(matches!(missed, Err(Missed::Cancelled)));
    assert_eq!((start.elapsed().as_secs(), network.cancelled()), (3, 1));
}

#[tokio::test(start_paused = true)]
async fn stopping_closes_a_connection_whoever_holds_it() {
    let network = Network::new([Connects]);
    let line = network.keep_up();
    let mut stream = line.when_connected(None).await.unwrap();
    let mut peer = network.peer();
    let reading = async {
        let error = stream.read_u8().await.unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::ConnectionAborted);
        // Held on to all the same: that keeps nothing.
        stream
    };
    let stopping = async {
        pass(1.0).await;
        line.stop().await;
        // Gone when `stop` returns.
        assert_eq!(
            timeout(Duration::ZERO, peer.read(&mut [0]))
                .await
                .unwrap()
                .unwrap(),
            0
        );
    };
    let (mut stream, ()) = tokio::join!(reading, stopping);
    assert!(stream.write_all(b"x").await.is_err());
    assert_eq!(network.attempts(), [0]);
}

#[tokio::test(start_paused = true)]
async fn stopping_closes_a_connection_that_nobody_holds() {
    let network = Network::new([Connects]);
    let line = network.keep_up();
    pass(1.0).await;
    line.stop().await;
    assert_eq!(network.peer().read(&mut [0]).await.unwrap(), 0);
    line.stop().await;
}

#[tokio::test(start_paused = true)]
async fn who_gives_up_waiting_takes_nothing_along() {
    let network = Network::new([REFUSED, Connects]);
    let line = network.keep_up();
    assert!(
        timeout(Duration::from_millis(500), line.when_connected(None))
            .await
            .is_err()
    );
    pass(5.0).await;
    assert!(line.when_connected(None).await.is_ok());
    assert_eq!(network.attempts(), [0, 1000]);
}

#[tokio::test(start_paused = true)]
async fn it_ends_when_nobody_wants_it_any_more() {
    let network = Network::new([REFUSED]);
    drop(network.keep_up());
    pass(100.0).await;
    assert!(network.attempts().len() <= 1);
    assert_eq!(Arc::strong_count(&network), 1);
}
