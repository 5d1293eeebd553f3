//! Forwarding against a model of it: two peers in memory, who write, read, stall, end and break off in any order, and
//! what each of them may and must have seen.
//! Absent: sockets, the kernel's pipes, and what time it is.

use std::collections::VecDeque;
use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use proptest::prelude::*;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::runtime::{Builder, Runtime};

use super::{Forwarding, Parted, Side, forward};
use crate::connection::{Address, Facts, Stream};

/// What a peer does, or what happens to both.
#[derive(Debug, Clone, Copy)]
enum Move {
    /// It sends so many bytes.
    Say(Side, usize),
    /// It reads so many, which makes room for as many more.
    Hear(Side, usize),
    /// It ends its half.
    End(Side),
    /// It breaks off: what it sent so far is still there to be read, then reading fails; writing fails at once.
    Break(Side),
    /// It closes in good order, with no ear any more for what comes.
    Leave(Side),
    /// The relay gets a turn, if it asked for one.
    Turn,
    /// Nobody does anything for some seconds.
    Wait,
}

/// How a peer's half came to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Last {
    Ended,
    Broken,
}

/// A peer, and the two ways between it and the relay.
#[derive(Debug)]
struct Peer {
    /// What it sent and the relay has not read.
    sent: VecDeque<u8>,
    /// All that it has sent, ever.
    said: Vec<u8>,
    last: Option<Last>,
    /// It made an end, whatever came after.
    ended: bool,
    /// It takes no more: the relay's writes fail.
    deaf: bool,
    /// The system says so once that the connection was reset.
    told: bool,
    /// Its end was read, so that nothing that happens later takes it back.
    end_read: bool,
    /// What the relay has written, those bytes included that a layer still holds back.
    got: Vec<u8>,
    /// So many of them can be seen by the peer.
    visible: usize,
    /// So many of those it has read.
    heard: usize,
    /// So many may be written that it has not read.
    window: usize,
    /// So many at most come with one read.
    piece: usize,
    /// What is written stays back until the flush, as TLS may have it.
    holds_back: bool,
    /// The relay ended its half.
    shut: bool,
    reader: Option<Waker>,
    writer: Option<Waker>,
}

impl Peer {
    fn new(window: usize, piece: usize, holds_back: bool) -> Arc<Mutex<Peer>> {
        Arc::new(Mutex::new(Peer {
            sent: VecDeque::new(),
            said: Vec::new(),
            last: None,
            ended: false,
            deaf: false,
            told: false,
            end_read: false,
            got: Vec::new(),
            visible: 0,
            heard: 0,
            window,
            piece,
            holds_back,
            shut: false,
            reader: None,
            writer: None,
        }))
    }

    fn say(&mut self, bytes: &[u8]) {
        if self.last.is_none() {
            self.sent.extend(bytes);
            self.said.extend(bytes);
            wake(&mut self.reader);
        }
    }

    fn hear(&mut self, most: usize) {
        self.heard = self.visible.min(self.heard + most);
        wake(&mut self.writer);
    }

    fn end(&mut self, last: Last) {
        self.ended |= last == Last::Ended && self.last.is_none();
        // A reset overtakes an end.
        if self.last.is_none() || last == Last::Broken {
            self.last = Some(last);
        }
        wake(&mut self.reader);
        wake(&mut self.writer);
    }

    /// The failure that stands on the connection: the reset, to whoever asks first; then nothing is there any more.
    fn failure(&mut self) -> io::Error {
        if self.last == Some(Last::Broken) && !std::mem::replace(&mut self.told, true) {
            io::ErrorKind::ConnectionReset.into()
        } else {
            io::ErrorKind::BrokenPipe.into()
        }
    }
}

fn wake(waker: &mut Option<Waker>) {
    if let Some(waker) = waker.take() {
        waker.wake();
    }
}

/// The relay's end of the connection to a peer.
struct Near(Arc<Mutex<Peer>>);

impl AsyncRead for Near {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let mut peer = self.0.lock().unwrap();
        if !peer.sent.is_empty() {
            let length = peer.sent.len().min(buf.remaining()).min(peer.piece);
            let bytes: Vec<u8> = peer.sent.drain(..length).collect();
            buf.put_slice(&bytes);
            return Poll::Ready(Ok(()));
        }
        match peer.last {
            Some(Last::Ended) => {
                peer.end_read = true;
                Poll::Ready(Ok(()))
            }
            // Once a write was told, a read just finds the end: as sockets have it.
            Some(Last::Broken) if peer.told => Poll::Ready(Ok(())),
            Some(Last::Broken) => Poll::Ready(Err(peer.failure())),
            None => {
                peer.reader = Some(cx.waker().clone());
                Poll::Pending
            }
        }
    }
}

impl AsyncWrite for Near {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let mut peer = self.0.lock().unwrap();
        assert!(!peer.shut, "written after the end");
        if peer.deaf {
            return Poll::Ready(Err(peer.failure()));
        }
        let room = peer.window - (peer.got.len() - peer.heard);
        if room == 0 {
            // A layer that is full lets go of what it holds back, or nobody could ever make room.
            peer.visible = peer.got.len();
            peer.writer = Some(cx.waker().clone());
            return Poll::Pending;
        }
        let length = room.min(buf.len());
        peer.got.extend_from_slice(&buf[..length]);
        if !peer.holds_back {
            peer.visible = peer.got.len();
        }
        Poll::Ready(Ok(length))
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut peer = self.0.lock().unwrap();
        peer.visible = peer.got.len();
        if peer.holds_back && !peer.deaf && peer.got.len() - peer.heard >= peer.window {
            // The last of it is still with the layer.
            peer.writer = Some(cx.waker().clone());
            return Poll::Pending;
        }
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut peer = self.0.lock().unwrap();
        if peer.deaf {
            return Poll::Ready(Err(peer.failure()));
        }
        peer.visible = peer.got.len();
        peer.shut = true;
        Poll::Ready(Ok(()))
    }
}

/// Tells whether the relay asked to be polled: it is polled for no other reason.
struct Asked(AtomicBool);

impl Wake for Asked {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::SeqCst);
    }
}

/// Two peers and the relay between them.
struct World {
    client: Arc<Mutex<Peer>>,
    target: Arc<Mutex<Peer>>,
    relay: Forwarding,
    asked: Arc<Asked>,
    outcome: Option<Result<(), Parted>>,
    /// Has a clock that moves only when it is told to.
    runtime: Runtime,
    /// The end came of a wait for one who took nothing, and what he was to take is lost with the connection.
    abandoned: bool,
}

impl World {
    fn new(windows: (usize, usize), pieces: (usize, usize), holds_back: bool) -> Self {
        let client = Peer::new(windows.0, pieces.0, holds_back);
        let target = Peer::new(windows.1, pieces.1, holds_back);
        let near = |peer: &Arc<Mutex<Peer>>| {
            Stream::new(
                Near(Arc::clone(peer)),
                Facts::new(Address::Unnamed, Address::Unnamed),
            )
        };
        World {
            relay: forward(near(&client), near(&target), None),
            client,
            target,
            asked: Arc::new(Asked(AtomicBool::new(true))),
            outcome: None,
            runtime: Builder::new_current_thread()
                .enable_time()
                .start_paused(true)
                .build()
                .unwrap(),
            abandoned: false,
        }
    }

    fn peer(&self, side: Side) -> std::sync::MutexGuard<'_, Peer> {
        match side {
            Side::Client => self.client.lock().unwrap(),
            Side::Target => self.target.lock().unwrap(),
        }
    }

    fn play(&mut self, step: Move) {
        match step {
            Move::Say(side, length) => {
                let mut peer = self.peer(side);
                let from = peer.said.len();
                // No two places look alike for as long as matters, and the two directions differ.
                let bytes: Vec<u8> = (from..from + length)
                    .map(|at| (at.wrapping_mul(31) >> (at % 5)) as u8 ^ side as u8)
                    .collect();
                peer.say(&bytes);
            }
            Move::Hear(side, most) => self.peer(side).hear(most),
            Move::End(side) => self.peer(side).end(Last::Ended),
            Move::Break(side) => {
                let mut peer = self.peer(side);
                peer.deaf = true;
                peer.end(Last::Broken);
            }
            Move::Leave(side) => {
                let mut peer = self.peer(side);
                peer.deaf = true;
                peer.end(Last::Ended);
            }
            Move::Turn => self.turn(),
            Move::Wait => self.wait(),
        }
        self.check();
    }

    /// Whether so much waits for the peer that nothing more is read for it.
    fn is_full(&self, side: Side) -> bool {
        let peer = self.peer(side);
        !peer.deaf && peer.got.len() - peer.heard == peer.window
    }

    /// Timers run out, one after the other.
    fn wait(&mut self) {
        if self.outcome.is_some() {
            return;
        }
        self.turn();
        for _ in 0..20 {
            if self.outcome.is_none() {
                self.runtime
                    .block_on(tokio::time::advance(Duration::from_secs(3)));
                self.turn();
                self.abandoned = matches!(
                    &self.outcome,
                    Some(Err(Parted::Lost(Side::Client, _))) if self.is_full(Side::Target)
                ) || matches!(
                    &self.outcome,
                    Some(Err(Parted::Lost(Side::Target, _))) if self.is_full(Side::Client)
                );
            }
        }
        for (from, to) in [(Side::Client, Side::Target), (Side::Target, Side::Client)] {
            let known = self.peer(from).told && !self.peer(from).end_read;
            let held_back = self.peer(to).holds_back;
            let waits =
                self.is_full(to) && (held_back || self.peer(from).said.len() > self.peer(to).got.len());
            assert!(
                self.outcome.is_some() || !known || !waits,
                "{from:?} is known to be lost, and waited for"
            );
        }
    }

    fn turn(&mut self) {
        if self.outcome.is_some() || !self.asked.0.swap(false, Ordering::SeqCst) {
            return;
        }
        let waker = Waker::from(Arc::clone(&self.asked));
        let _clock = self.runtime.enter();
        match Pin::new(&mut self.relay).poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(outcome) => self.outcome = Some(outcome),
            Poll::Pending => self.check_rest(),
        }
    }

    /// What holds when the relay wants no turn for now: it has done all that can be done.
    fn check_rest(&self) {
        if self.asked.0.load(Ordering::SeqCst) {
            return;
        }
        for (from, to) in [(Side::Client, Side::Target), (Side::Target, Side::Client)] {
            let (from, to) = (self.peer(from), self.peer(to));
            if !to.deaf && to.got.len() - to.heard < to.window {
                assert!(from.sent.is_empty(), "{} bytes wait for nothing", from.sent.len());
                assert_eq!(to.visible, to.got.len(), "what was written is held back");
                assert!(
                    from.last != Some(Last::Ended) || to.shut,
                    "an end waits for nothing"
                );
            }
        }
    }

    /// What holds at every moment.
    fn check(&self) {
        for (from, to) in [(Side::Client, Side::Target), (Side::Target, Side::Client)] {
            let (from, to) = (self.peer(from), self.peer(to));
            assert!(
                from.said.starts_with(&to.got),
                "{} bytes are not what was sent",
                to.got.len()
            );
            let held = from.said.len() - from.sent.len() - to.got.len();
            assert!(to.deaf || held <= from.piece, "{held} bytes are held");
            if to.shut {
                assert_eq!(
                    from.said.len(),
                    to.got.len(),
                    "the end came before all was passed on"
                );
                assert!(from.ended, "an end that nobody made");
            }
        }
    }

    /// Both hear all there is and come to their end: the relay must come to its own, and to the right one.
    fn finish(&mut self, was: (Option<Last>, Option<Last>)) {
        for side in [Side::Client, Side::Target] {
            // Room for all of it at once: byte by byte was had before.
            self.peer(side).window = usize::MAX;
            self.play(Move::Hear(side, usize::MAX / 2));
            self.play(Move::End(side));
        }
        // Each turn moves something, and there is an end to what there is.
        let bound = 1000 + self.client.lock().unwrap().said.len() + self.target.lock().unwrap().said.len();
        for _ in 0..bound {
            if self.outcome.is_some() {
                break;
            }
            self.turn();
            for side in [Side::Client, Side::Target] {
                self.play(Move::Hear(side, usize::MAX / 2));
            }
        }
        let outcome = self
            .outcome
            .take()
            .expect("the relay came to no end, or was not woken");
        match &outcome {
            Ok(()) => {
                for (was, other) in [(was.0, Side::Target), (was.1, Side::Client)] {
                    // Where nobody is left to hear of it, it is not asked for.
                    let unheard = self.peer(other).deaf;
                    assert!(
                        was != Some(Last::Broken) || unheard,
                        "a reset was taken for an end"
                    );
                }
            }
            Err(Parted::Lost(side, error)) => {
                assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
                assert_eq!(self.peer(*side).last, Some(Last::Broken), "it was the other one");
            }
            Err(Parted::Idle(_) | Parted::Enough(_)) => panic!("there is no limit"),
        }
        for (from, to) in [(Side::Client, Side::Target), (Side::Target, Side::Client)] {
            let (from, to) = (self.peer(from), self.peer(to));
            if to.deaf || self.abandoned || outcome.is_err() && from.last != Some(Last::Broken) {
                continue;
            }
            assert_eq!(from.said, to.got, "something was lost");
            assert_eq!(to.visible, to.got.len(), "something was never flushed");
            assert!(
                to.shut || from.last == Some(Last::Broken),
                "the end was not passed on"
            );
        }
    }
}

fn side() -> impl Strategy<Value = Side> {
    prop_oneof![Just(Side::Client), Just(Side::Target)]
}

fn step() -> impl Strategy<Value = Move> {
    prop_oneof![
        6 => (side(), 1_usize..3000).prop_map(|(side, length)| Move::Say(side, length)),
        // In small pieces it is more than a pump moves in one turn.
        1 => side().prop_map(|side| Move::Say(side, 20_000)),
        6 => (side(), 1_usize..5000).prop_map(|(side, most)| Move::Hear(side, most)),
        1 => side().prop_map(Move::End),
        1 => side().prop_map(Move::Break),
        1 => side().prop_map(Move::Leave),
        8 => Just(Move::Turn),
        1 => Just(Move::Wait),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 600, ..ProptestConfig::default() })]

    #[test]
    fn whatever_the_peers_do_each_gets_what_the_other_said(
        steps in proptest::collection::vec(step(), 0..60),
        windows in (1_usize..4000, prop_oneof![1_usize..4000, Just(100_000)]),
        pieces in (1_usize..4000, 1_usize..4000),
        holds_back in any::<bool>(),
    ) {
        let mut world = World::new(windows, pieces, holds_back);
        for step in steps {
            world.play(step);
            if world.outcome.is_some() {
                break;
            }
        }
        let was = (world.peer(Side::Client).last, world.peer(Side::Target).last);
        world.finish(was);
    }
}
