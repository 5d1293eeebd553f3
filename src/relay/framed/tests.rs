//! Datagrams and a stream in memory, and a clock that runs only when nothing else is to be done.
//! Absent: sockets.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::task::Waker;

use tokio::io::{AsyncReadExt, DuplexStream, duplex};
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::*;
use crate::connection::refusals::Refusals;
use crate::connection::{Address, Facts};

/// A peer that sends datagrams and keeps those that it got.
#[derive(Default)]
struct Peer {
    sent: VecDeque<Vec<u8>>,
    got: Vec<Vec<u8>>,
    /// No more will come, whatever waits.
    over: bool,
    /// What the next attempts to send to it come to.
    failures: VecDeque<io::Error>,
    waker: Option<Waker>,
}

#[derive(Clone, Default)]
struct Line(Arc<Mutex<Peer>>);

impl Line {
    fn change(&self, what: impl FnOnce(&mut Peer)) {
        let mut peer = self.0.lock().unwrap();
        what(&mut peer);
        if let Some(waker) = peer.waker.take() {
            waker.wake();
        }
    }

    fn say(&self, bytes: &[u8]) {
        self.change(|peer| peer.sent.push_back(bytes.to_vec()));
    }

    fn got(&self) -> Vec<Vec<u8>> {
        self.0.lock().unwrap().got.clone()
    }
}

impl Messages for Line {
    fn poll_recv(&mut self, cx: &mut Context<'_>, buf: &mut [u8]) -> Poll<io::Result<Option<usize>>> {
        let mut peer = self.0.lock().unwrap();
        match peer.sent.pop_front() {
            Some(message) => {
                buf[..message.len()].copy_from_slice(&message);
                Poll::Ready(Ok(Some(message.len())))
            }
            None if peer.over => Poll::Ready(Ok(None)),
            None => {
                peer.waker = Some(cx.waker().clone());
                Poll::Pending
            }
        }
    }

    fn poll_send(&mut self, _cx: &mut Context<'_>, message: &[u8]) -> Poll<io::Result<()>> {
        let mut peer = self.0.lock().unwrap();
        if let Some(error) = peer.failures.pop_front() {
            return Poll::Ready(Err(error));
        }
        peer.got.push(message.to_vec());
        Poll::Ready(Ok(()))
    }

    fn poll_over(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut peer = self.0.lock().unwrap();
        if peer.over {
            return Poll::Ready(Ok(()));
        }
        peer.waker = Some(cx.waker().clone());
        Poll::Pending
    }
}

const QUIET: Duration = Duration::from_secs(5);
const IDLE: Duration = Duration::from_secs(9);

const STREAM: Client = Client::Stream {
    quiet: QUIET,
    idle: Some(IDLE),
};

/// An exchange under way, the peer of its datagrams, and the far end of its stream.
fn begin(client: Client) -> (JoinHandle<io::Result<()>>, Line, DuplexStream) {
    let line = Line::default();
    let (near, far) = duplex(64);
    let facts = || Facts::new(Address::Unnamed, Address::Unnamed);
    let (datagram, stream) = (Datagram::new(line.clone(), facts()), Stream::new(near, facts()));
    let exchanged = tokio::spawn(async move {
        let refusals = Refusals::default();
        let told = Told::new(&refusals, String::new(), String::new());
        exchange(datagram, stream, Framing::Line, client, told).await
    });
    (exchanged, line, far)
}

async fn pause(seconds: u64) {
    tokio::time::sleep(Duration::from_secs(seconds)).await;
}

#[tokio::test(start_paused = true)]
async fn answers_are_waited_for_until_none_came_for_so_long() {
    let (exchanged, line, mut far) = begin(STREAM);
    let start = Instant::now();
    far.write_all(b"one\ntwo").await.unwrap();
    far.shutdown().await.unwrap();
    pause(3).await;
    assert_eq!(line.got(), [b"one", b"two"]);
    line.say(b"answer");
    let mut answer = Vec::new();
    far.read_to_end(&mut answer).await.unwrap();
    assert_eq!(answer, b"answer\n");
    exchanged.await.unwrap().unwrap();
    // From the answer on.
    assert_eq!(start.elapsed(), Duration::from_secs(3) + QUIET);
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_asks_nothing_has_its_time() {
    let (exchanged, line, mut far) = begin(STREAM);
    let start = Instant::now();
    pause(4).await;
    far.write_all(b"ask\n").await.unwrap();
    pause(4).await;
    line.say(b"answer");
    let error = exchanged.await.unwrap().unwrap_err();
    assert!(IdleLimit::caused(&error), "{error}");
    assert_eq!(start.elapsed(), Duration::from_secs(8) + IDLE);
    // What had come is there, and then an end in good order.
    let mut all = Vec::new();
    far.read_to_end(&mut all).await.unwrap();
    assert_eq!(all, b"answer\n");
}

#[tokio::test(start_paused = true)]
async fn a_flow_has_no_time_limit_here_and_its_end_ends_the_stream() {
    let (exchanged, line, mut far) = begin(Client::Datagrams);
    let day = 24 * 60 * 60;
    pause(day).await;
    line.say(b"last");
    line.change(|peer| peer.over = true);
    let mut all = Vec::new();
    // It is not read to its end: over is over.
    far.read_to_end(&mut all).await.unwrap();
    assert!(all.is_empty());
    exchanged.await.unwrap().unwrap();
}

#[tokio::test(start_paused = true)]
async fn the_end_of_a_stream_ends_its_flow() {
    let (exchanged, line, mut far) = begin(Client::Datagrams);
    far.write_all(b"unfinished").await.unwrap();
    drop(far);
    exchanged.await.unwrap().unwrap();
    assert_eq!(line.got(), [b"unfinished"]);
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_takes_nothing_keeps_no_flow_that_has_ended() {
    let (exchanged, line, far) = begin(Client::Datagrams);
    let start = Instant::now();
    for _ in 0..100 {
        line.say(&[b'.'; 40]);
    }
    pause(1).await;
    line.change(|peer| peer.over = true);
    exchanged.await.unwrap().unwrap();
    assert!(start.elapsed() <= Duration::from_secs(1) + ENDING);
    drop(far);
}

#[tokio::test(start_paused = true)]
async fn what_an_earlier_datagram_met_costs_no_other() {
    let (exchanged, line, mut far) = begin(STREAM);
    let refused = || io::Error::from(io::ErrorKind::ConnectionRefused);
    // The news of an earlier one, whose sender is told in its place; then one that is refused by itself, twice.
    line.change(|peer| peer.failures.extend([refused(), refused()]));
    far.write_all(b"lost\nkept\n").await.unwrap();
    far.shutdown().await.unwrap();
    exchanged.await.unwrap().unwrap();
    assert_eq!(line.got(), [b"kept"]);
    let (exchanged, line, mut far) = begin(STREAM);
    line.change(|peer| peer.failures.push_back(refused()));
    far.write_all(b"kept\nlater\n").await.unwrap();
    far.shutdown().await.unwrap();
    exchanged.await.unwrap().unwrap();
    assert_eq!(line.got(), [&b"kept"[..], b"later"]);
}

#[tokio::test(start_paused = true)]
async fn what_is_framed_wrongly_is_an_error() {
    let (exchanged, line, mut far) = begin(STREAM);
    let writing = tokio::spawn(async move {
        let piece = [b'x'; 1000];
        while far.write_all(&piece).await.is_ok() {}
    });
    let error = exchanged.await.unwrap().unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::InvalidData);
    assert!(line.got().is_empty());
    writing.await.unwrap();
}
