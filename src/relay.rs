//! Two connections wired to each other, each direction ending on its own: the engine of `connect` and `listen`, and
//! with two peers as equals (`forward`, for datagrams `flows` and `framed`) that of `relay`.
//! Absent: where the connections came from, and what is printed when they end.

mod bare;
mod direction;
mod flows;
pub mod forward;
mod framed;
pub mod framing;
mod idle;
mod owed;
mod pipe;
mod resting;
pub mod resumable;
pub mod service;
mod stall;
mod straight;
pub mod targets;
mod waking;

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::{Instant, Sleep};
use tracing::warn;

use self::direction::{Direction, tell};
use self::idle::Idle;
use crate::connection::datagram::{LARGEST, Messages};
use crate::connection::pump::Failed;
use crate::connection::{Datagram, Stream, Wire};
use crate::layer::idle::IdleLimit;

/// How a conversation came to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// The peer ended, and all that it sent has been passed on.
    Peer,
    /// Our own side no longer takes what the peer sends, as `| head` does.
    Ours,
    /// Nothing came for as long as was waited after our end (datagrams have no end of their own).
    Quiet,
}

/// Why a conversation broke off.
#[derive(Debug)]
pub enum Broken {
    /// The peer's connection failed. All that had arrived was passed on.
    Peer(io::Error),
    /// Our own input could not be read.
    Input(io::Error),
    /// Our own output could not be written.
    Output(io::Error),
    /// The peer did not end in time after we had.
    HalfClosed(Duration),
}

impl Broken {
    fn idle(limit: Duration) -> Self {
        Broken::Peer(io::Error::new(io::ErrorKind::TimedOut, IdleLimit(limit)))
    }
}

/// Talks for `local` with the peer until the peer has ended.
///
/// The end of `local`'s input ends our half towards the peer, and no more. Once the peer has ended and all that it
/// sent has been written, the conversation is over even if `local` has more to come; what is already waiting there is
/// still sent, for a peer that only ended its own half. `local` itself is never shut down, so that another
/// conversation can follow. `head` is said before anything that `local` has to say.
///
/// # Errors
/// What broke, and on which side.
pub async fn converse(
    local: &mut Stream,
    peer: &mut Stream,
    head: Vec<u8>,
    waits: Waits,
) -> Result<Ending, Broken> {
    let mut talk = Talk::new(head, waits);
    let (local, peer) = (local.wire(), peer.wire());
    poll_fn(|cx| talk.poll(cx, local, peer)).await
}

/// How long a conversation waits; `None`: for ever.
#[derive(Debug, Clone, Copy, Default)]
pub struct Waits {
    /// For the other direction, once one is done.
    pub half_close: Option<Duration>,
    /// For anything to move. Then the peer's connection fails with [`IdleLimit`].
    pub idle: Option<Duration>,
}

/// After the peer has ended: how long our input may be silent before it counts as nothing more that waits. A program
/// that writes into a pipe without a pause is not cut off between two of its writes.
const LAST_INPUT: Duration = Duration::from_millis(50);

struct Talk {
    up: Direction,
    down: Direction,
    /// The peer takes no more from us; it may still have something to say.
    deaf: bool,
    /// It broke the connection off. The system says so once, to whoever asks first, and that was our writing.
    lost: Option<io::Error>,
    idle: Option<Idle>,
    half_close_timeout: Option<Duration>,
    deadline: Option<Pin<Box<Sleep>>>,
    /// Runs while our input is silent after the peer's end.
    last_input: Option<Pin<Box<Sleep>>>,
    moved_before: u64,
    /// Which direction goes first alternates, so that neither starves the other.
    turn: bool,
    /// Which way bulk takes was said.
    told: bool,
}

impl Talk {
    fn new(head: Vec<u8>, waits: Waits) -> Self {
        Talk {
            up: Direction::after(head),
            down: Direction::unending(),
            deaf: false,
            lost: None,
            idle: waits.idle.map(Idle::new),
            half_close_timeout: waits.half_close,
            deadline: None,
            last_input: None,
            moved_before: 0,
            turn: false,
            told: false,
        }
    }

    fn poll(
        &mut self,
        cx: &mut Context<'_>,
        local: &mut Wire,
        peer: &mut Wire,
    ) -> Poll<Result<Ending, Broken>> {
        let polled = self.advance(cx, local, peer);
        tell(&mut self.told, None, [&self.up, &self.down]);
        match &mut self.idle {
            Some(idle) if polled.is_pending() => {
                let steps = self.up.steps() + self.down.steps();
                idle.poll(cx, steps).map(|limit| Err(Broken::idle(limit)))
            }
            _ => polled,
        }
    }

    fn advance(
        &mut self,
        cx: &mut Context<'_>,
        local: &mut Wire,
        peer: &mut Wire,
    ) -> Poll<Result<Ending, Broken>> {
        self.turn = !self.turn;
        if self.turn {
            self.poll_up(cx, local, peer)?;
        }
        if !self.down.ended() {
            match self.down.poll(cx, peer, local) {
                Poll::Pending | Poll::Ready(Ok(())) => {}
                Poll::Ready(Err(Failed::Reading(error))) => return Poll::Ready(Err(Broken::Peer(error))),
                Poll::Ready(Err(Failed::Writing(error))) if error.kind() == io::ErrorKind::BrokenPipe => {
                    return Poll::Ready(Ok(Ending::Ours));
                }
                Poll::Ready(Err(Failed::Writing(error))) => return Poll::Ready(Err(Broken::Output(error))),
            }
        }
        if !self.turn || self.down.ended() {
            self.poll_up(cx, local, peer)?;
        }
        let sent = self.deaf || self.up.ended();
        if self.down.ended() {
            if let Some(error) = self.lost.take() {
                return Poll::Ready(Err(Broken::Peer(error)));
            }
            if sent {
                return Poll::Ready(Ok(Ending::Peer));
            }
            if !self.up.is_starved() {
                self.last_input = None;
            } else if self.poll_last_input(cx).is_ready() {
                // Nothing waits to be sent: our half may end.
                self.up.end();
                self.poll_up(cx, local, peer)?;
                if self.deaf || self.up.ended() {
                    return Poll::Ready(Ok(Ending::Peer));
                }
            }
        }
        if sent || self.down.ended() {
            self.poll_deadline(cx)
        } else {
            Poll::Pending
        }
    }

    fn poll_up(&mut self, cx: &mut Context<'_>, local: &mut Wire, peer: &mut Wire) -> Result<(), Broken> {
        if self.deaf || self.up.ended() {
            return Ok(());
        }
        match self.up.poll(cx, local, peer) {
            Poll::Pending | Poll::Ready(Ok(())) => Ok(()),
            Poll::Ready(Err(Failed::Reading(error))) => Err(Broken::Input(error)),
            Poll::Ready(Err(Failed::Writing(error))) if error.kind() == io::ErrorKind::TimedOut => {
                Err(Broken::Peer(error))
            }
            Poll::Ready(Err(Failed::Writing(error))) => {
                // What the peer still has to say must not get lost with what it no longer wants to hear. One that left
                // in good order before gives a broken pipe; a reset is a lost connection, whoever notices it.
                self.deaf = true;
                if error.kind() == io::ErrorKind::ConnectionReset {
                    self.lost = Some(error);
                }
                Ok(())
            }
        }
    }

    fn poll_last_input(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        // Set anew with every input: only a silence of that length is the last.
        if self.last_input.is_none() || self.up.moved() != self.moved_before {
            self.moved_before = self.up.moved();
            self.last_input = Some(Box::pin(tokio::time::sleep(LAST_INPUT)));
        }
        match &mut self.last_input {
            Some(silence) => silence.as_mut().poll(cx),
            None => Poll::Pending,
        }
    }

    /// One direction is done: the other has its time limit.
    fn poll_deadline(&mut self, cx: &mut Context<'_>) -> Poll<Result<Ending, Broken>> {
        let Some(limit) = self.half_close_timeout else {
            return Poll::Pending;
        };
        let deadline = self
            .deadline
            .get_or_insert_with(|| Box::pin(tokio::time::sleep(limit)));
        deadline
            .as_mut()
            .poll(cx)
            .map(|()| Err(Broken::HalfClosed(limit)))
    }
}

/// A writer that outlives the conversation: its end is not passed on.
struct Unending<'a, W>(&'a mut W);

impl<W: AsyncWrite + Unpin> AsyncWrite for Unending<'_, W> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut *self.0).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.0).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_flush(cx)
    }
}

/// How bytes become datagrams, and when nothing more is expected.
#[derive(Debug, Clone, Copy, Default)]
pub struct DatagramTerms {
    /// Each line is a datagram, its line end included; otherwise each read is one.
    pub by_line: bool,
    /// After the end of our input: how long nothing may come before the conversation is over. `None`: for ever.
    pub quiet: Option<Duration>,
}

/// Talks for `local` in datagrams. There is no end to pass on: it is over when nothing comes for a while after our
/// input has ended.
///
/// # Errors
/// What broke, and on which side.
pub async fn converse_in_datagrams<L: AsyncRead + AsyncWrite + Unpin>(
    local: &mut L,
    peer: &mut Datagram,
    terms: DatagramTerms,
) -> Result<Ending, Broken> {
    let mut outgoing = Outgoing::new(terms.by_line);
    let mut incoming = vec![0; LARGEST + 1];
    let mut input = vec![0; LARGEST];
    let mut quiet_since = Instant::now();
    let mut turn = false;
    loop {
        let ended = outgoing.ended;
        let message = outgoing.message();
        let sending = message.is_some();
        turn = !turn;
        let quiet = async {
            let until = terms.quiet.and_then(|quiet| quiet_since.checked_add(quiet));
            match until {
                Some(until) if ended && !sending => tokio::time::sleep_until(until).await,
                _ => std::future::pending().await,
            }
        };
        tokio::select! {
            moved = exchange(peer, message, &mut incoming, turn) => {
                quiet_since = Instant::now();
                match moved.map_err(Broken::Peer)? {
                    Moved::Sent => outgoing.sent(),
                    Moved::Received(None) => return Ok(Ending::Peer),
                    Moved::Received(Some(length)) => {
                        let written = async {
                            local.write_all(&incoming[..length]).await?;
                            local.flush().await
                        };
                        match written.await {
                            Ok(()) => {}
                            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => return Ok(Ending::Ours),
                            Err(error) => return Err(Broken::Output(error)),
                        }
                    }
                }
            }
            () = quiet => return Ok(Ending::Quiet),
            // Whatever waits is sent before anything is read, so that at most one buffer is held.
            read = local.read(&mut input), if !sending && !ended => {
                match read.map_err(Broken::Input)? {
                    0 => {
                        outgoing.ended = true;
                        quiet_since = Instant::now();
                    }
                    length => outgoing.take(&input[..length]),
                }
            }
        }
    }
}

/// What became of an [`exchange`].
enum Moved {
    /// The message left.
    Sent,
    /// One came, of this length; `None`: no more will.
    Received(Option<usize>),
}

/// Receives, or sends the message if there is one, whichever is possible first; which is tried first is up to `turn`,
/// so that neither waits for the other to run dry. Cancel safe: one of the two happened, or nothing did.
async fn exchange(
    peer: &mut Datagram,
    message: Option<&[u8]>,
    incoming: &mut [u8],
    turn: bool,
) -> io::Result<Moved> {
    poll_fn(|cx| {
        for send in [turn, !turn] {
            let polled = match message {
                Some(message) if send => peer.poll_send(cx, message).map_ok(|()| Moved::Sent),
                None if send => Poll::Pending,
                _ => peer.poll_recv(cx, incoming).map_ok(Moved::Received),
            };
            if polled.is_ready() {
                return polled;
            }
        }
        Poll::Pending
    })
    .await
}

/// Input on its way to become datagrams.
struct Outgoing {
    by_line: bool,
    ended: bool,
    pending: Vec<u8>,
    /// What stands before it has been sent.
    start: usize,
    /// Where the next datagram ends, once that is known.
    end: Option<usize>,
}

impl Outgoing {
    fn new(by_line: bool) -> Self {
        Outgoing {
            by_line,
            ended: false,
            pending: Vec::new(),
            start: 0,
            end: None,
        }
    }

    fn take(&mut self, bytes: &[u8]) {
        // At most the beginning of a line is moved.
        self.pending.drain(..self.start);
        self.start = 0;
        self.pending.extend_from_slice(bytes);
    }

    /// The next datagram, the same one until it is said to be sent. A line longer than the largest one is cut; a last
    /// line without an end is one too.
    fn message(&mut self) -> Option<&[u8]> {
        if self.end.is_none() {
            self.end = self.length().map(|length| self.start + length);
        }
        self.end.map(|end| &self.pending[self.start..end])
    }

    fn length(&self) -> Option<usize> {
        let rest = &self.pending[self.start..];
        if rest.is_empty() {
            return None;
        }
        let most = &rest[..rest.len().min(LARGEST)];
        if !self.by_line {
            return Some(most.len());
        }
        match most.iter().position(|&byte| byte == b'\n') {
            Some(at) => Some(at + 1),
            None if most.len() == LARGEST => {
                warn!("a line is longer than a datagram can be, {LARGEST} bytes: it is cut");
                Some(most.len())
            }
            None if self.ended => Some(most.len()),
            None => None,
        }
    }

    fn sent(&mut self) {
        if let Some(end) = self.end.take() {
            self.start = end;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;
    use std::task::Waker;

    use tokio::io::{DuplexStream, duplex};

    use super::*;
    use crate::connection::{Address, Facts};

    fn stream(io: impl crate::connection::stream::Io) -> Stream {
        Stream::new(io, Facts::new(Address::Unnamed, Address::Unnamed))
    }

    /// Our side and the user's end of it; the peer's connection and the peer's end of it.
    fn wires() -> (Stream, DuplexStream, Stream, DuplexStream) {
        let (local, user) = duplex(1000);
        let (near, peer) = duplex(1000);
        (stream(local), user, stream(near), peer)
    }

    #[tokio::test]
    async fn the_answer_to_input_that_has_ended_still_arrives() {
        let (mut local, mut user, mut near, mut peer) = wires();
        user.write_all(b"ask").await.unwrap();
        user.shutdown().await.unwrap();
        let far = tokio::spawn(async move {
            let mut got = Vec::new();
            peer.read_to_end(&mut got).await.unwrap();
            peer.write_all(b"answer").await.unwrap();
            got
        });
        assert_eq!(
            converse(&mut local, &mut near, Vec::new(), Waits::default())
                .await
                .unwrap(),
            Ending::Peer
        );
        assert_eq!(far.await.unwrap(), b"ask");
        let mut answer = [0; 6];
        user.read_exact(&mut answer).await.unwrap();
        assert_eq!(&answer, b"answer");
    }

    #[tokio::test]
    async fn it_is_over_with_the_peer_even_if_input_may_come() {
        let (mut local, mut user, mut near, mut peer) = wires();
        peer.write_all(b"bye").await.unwrap();
        drop(peer);
        assert_eq!(
            converse(&mut local, &mut near, Vec::new(), Waits::default())
                .await
                .unwrap(),
            Ending::Peer
        );
        let mut got = [0; 3];
        user.read_exact(&mut got).await.unwrap();
        assert_eq!(&got, b"bye");
    }

    #[tokio::test]
    async fn waiting_input_is_sent_to_a_peer_that_only_ended_its_half() {
        let (mut local, mut user, mut near, mut peer) = wires();
        peer.shutdown().await.unwrap();
        user.write_all(b"last words").await.unwrap();
        assert_eq!(
            converse(&mut local, &mut near, Vec::new(), Waits::default())
                .await
                .unwrap(),
            Ending::Peer
        );
        let mut got = Vec::new();
        peer.read_to_end(&mut got).await.unwrap();
        assert_eq!(got, b"last words");
    }

    #[tokio::test(start_paused = true)]
    async fn the_wait_for_the_peers_end_can_be_limited() {
        let (mut local, mut user, mut near, _peer) = wires();
        user.shutdown().await.unwrap();
        let limit = Duration::from_secs(3);
        let start = Instant::now();
        let waits = Waits {
            half_close: Some(limit),
            idle: None,
        };
        let broken = converse(&mut local, &mut near, Vec::new(), waits)
            .await
            .unwrap_err();
        assert!(matches!(broken, Broken::HalfClosed(_)), "{broken:?}");
        assert_eq!(start.elapsed(), limit);
    }

    #[tokio::test]
    async fn output_that_is_closed_early_is_a_quiet_end() {
        let (mut local, user, mut near, mut peer) = wires();
        drop(user);
        peer.write_all(b"much").await.unwrap();
        assert_eq!(
            converse(&mut local, &mut near, Vec::new(), Waits::default())
                .await
                .unwrap(),
            Ending::Ours
        );
    }

    /// An echo that holds little: what it is sent beyond that is lost.
    struct Narrow {
        waiting: VecDeque<Vec<u8>>,
        receiver: Option<Waker>,
    }

    impl Narrow {
        const HOLDS: usize = 4;

        fn peer() -> Datagram {
            let narrow = Narrow {
                waiting: VecDeque::new(),
                receiver: None,
            };
            Datagram::new(narrow, Facts::new(Address::Unnamed, Address::Unnamed))
        }
    }

    impl Messages for Narrow {
        fn poll_recv(&mut self, cx: &mut Context<'_>, buf: &mut [u8]) -> Poll<io::Result<Option<usize>>> {
            let Some(message) = self.waiting.pop_front() else {
                self.receiver = Some(cx.waker().clone());
                return Poll::Pending;
            };
            buf[..message.len()].copy_from_slice(&message);
            Poll::Ready(Ok(Some(message.len())))
        }

        fn poll_send(&mut self, _cx: &mut Context<'_>, message: &[u8]) -> Poll<io::Result<()>> {
            if self.waiting.len() < Self::HOLDS {
                self.waiting.push_back(message.to_vec());
            }
            if let Some(receiver) = self.receiver.take() {
                receiver.wake();
            }
            Poll::Ready(Ok(()))
        }
    }

    #[tokio::test(start_paused = true)]
    async fn answers_are_received_while_much_is_sent() {
        let lines: String = (0..5000).map(|number| format!("{number}\n")).collect();
        let (local, mut user) = duplex(lines.len());
        user.write_all(lines.as_bytes()).await.unwrap();
        user.shutdown().await.unwrap();
        let terms = DatagramTerms {
            by_line: true,
            quiet: Some(Duration::from_secs(1)),
        };
        let ending = converse_in_datagrams(&mut stream(local), &mut Narrow::peer(), terms).await;
        assert_eq!(ending.unwrap(), Ending::Quiet);
        let mut got = String::new();
        user.read_to_string(&mut got).await.unwrap();
        assert!(got == lines, "{} of {} bytes", got.len(), lines.len());
    }

    #[tokio::test(start_paused = true)]
    async fn a_quiet_time_beyond_all_times_is_waited_for() {
        let (local, mut user) = duplex(1000);
        user.shutdown().await.unwrap();
        let terms = DatagramTerms {
            by_line: false,
            quiet: Some(Duration::MAX),
        };
        let (mut local, mut peer) = (stream(local), Narrow::peer());
        let talk = converse_in_datagrams(&mut local, &mut peer, terms);
        let day = Duration::from_secs(24 * 60 * 60);
        assert!(tokio::time::timeout(day, talk).await.is_err());
    }

    #[test]
    fn lines_become_datagrams() {
        fn next(outgoing: &mut Outgoing) -> Option<Vec<u8>> {
            let message = outgoing.message().map(<[u8]>::to_vec);
            // Until it is sent, it stays the next one.
            assert_eq!(outgoing.message().map(<[u8]>::to_vec), message);
            outgoing.sent();
            message
        }
        let mut outgoing = Outgoing::new(true);
        outgoing.take(b"one\n\ntw");
        assert_eq!(next(&mut outgoing).unwrap(), b"one\n");
        assert_eq!(next(&mut outgoing).unwrap(), b"\n");
        assert_eq!(next(&mut outgoing), None);
        outgoing.take(b"o");
        assert_eq!(next(&mut outgoing), None);
        outgoing.take(&[b'x'; LARGEST]);
        let cut = next(&mut outgoing).unwrap();
        assert!(cut.len() == LARGEST && cut.starts_with(b"twox"));
        assert_eq!(next(&mut outgoing), None);
        outgoing.ended = true;
        assert_eq!(next(&mut outgoing).unwrap(), b"xxx");
        assert_eq!(next(&mut outgoing), None);
    }
}
