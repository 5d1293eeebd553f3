//! Two connections wired to each other, each direction ending on its own: the engine of `connect` and `listen`.
//! Absent: where the connections came from, and what is printed when they end.

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::{Instant, Sleep};

use crate::connection::datagram::LARGEST;
use crate::connection::pump::{Across, Failed, Pump};
use crate::connection::{Datagram, Stream};

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

/// Talks for `local` with the peer until the peer has ended.
///
/// The end of `local`'s input ends our half towards the peer, and no more. Once the peer has ended and all that it
/// sent has been written, the conversation is over even if `local` has more to come; what is already waiting there is
/// still sent, for a peer that only ended its own half. `local` itself is never shut down, so that another
/// conversation can follow.
///
/// # Errors
/// What broke, and on which side.
pub async fn converse<L: AsyncRead + AsyncWrite + Unpin>(
    local: &mut L,
    peer: &mut Stream,
    half_close_timeout: Option<Duration>,
) -> Result<Ending, Broken> {
    let mut talk = Talk::new(half_close_timeout);
    poll_fn(|cx| talk.poll(cx, local, peer)).await
}

/// After the peer has ended: how long our input may be silent before it counts as nothing more that waits. A program
/// that writes into a pipe without a pause is not cut off between two of its writes.
const LAST_INPUT: Duration = Duration::from_millis(50);

struct Talk {
    up: Pump,
    down: Pump,
    /// The peer takes no more from us; it may still have something to say.
    deaf: bool,
    /// It broke the connection off. The system says so once, to whoever asks first, and that was our writing.
    lost: Option<io::Error>,
    half_close_timeout: Option<Duration>,
    deadline: Option<Pin<Box<Sleep>>>,
    /// Runs while our input is silent after the peer's end.
    last_input: Option<Pin<Box<Sleep>>>,
    moved_before: u64,
    /// Which direction goes first alternates, so that neither starves the other.
    turn: bool,
}

impl Talk {
    fn new(half_close_timeout: Option<Duration>) -> Self {
        Talk {
            up: Pump::default(),
            down: Pump::default(),
            deaf: false,
            lost: None,
            half_close_timeout,
            deadline: None,
            last_input: None,
            moved_before: 0,
            turn: false,
        }
    }

    fn poll<L: AsyncRead + AsyncWrite + Unpin>(
        &mut self,
        cx: &mut Context<'_>,
        local: &mut L,
        peer: &mut Stream,
    ) -> Poll<Result<Ending, Broken>> {
        self.turn = !self.turn;
        if self.turn {
            self.poll_up(cx, local, peer)?;
        }
        if !self.down.ended() {
            let mut ends = Across {
                from: &mut *peer,
                to: &mut Unending(&mut *local),
            };
            match self.down.poll(cx, &mut ends) {
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

    fn poll_up<L: AsyncRead + Unpin>(
        &mut self,
        cx: &mut Context<'_>,
        local: &mut L,
        peer: &mut Stream,
    ) -> Result<(), Broken> {
        if self.deaf || self.up.ended() {
            return Ok(());
        }
        match self.up.poll(
            cx,
            &mut Across {
                from: local,
                to: peer,
            },
        ) {
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
    let mut quiet_since = Instant::now();
    loop {
        // Whatever waits is sent before anything is read, so that at most one buffer is held.
        while let Some(message) = outgoing.next_message() {
            peer.send(&message).await.map_err(Broken::Peer)?;
        }
        let quiet = async {
            match terms.quiet {
                Some(quiet) if outgoing.ended => tokio::time::sleep_until(quiet_since + quiet).await,
                _ => std::future::pending().await,
            }
        };
        tokio::select! {
            received = peer.recv(&mut incoming) => {
                quiet_since = Instant::now();
                let Some(length) = received.map_err(Broken::Peer)? else { return Ok(Ending::Peer) };
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
            () = quiet => return Ok(Ending::Quiet),
            read = local.read(&mut outgoing.buffer), if !outgoing.ended => {
                match read.map_err(Broken::Input)? {
                    0 => {
                        outgoing.ended = true;
                        quiet_since = Instant::now();
                    }
                    length => outgoing.take(length),
                }
            }
        }
    }
}

/// Input on its way to become datagrams.
struct Outgoing {
    by_line: bool,
    ended: bool,
    buffer: Vec<u8>,
    pending: Vec<u8>,
}

impl Outgoing {
    fn new(by_line: bool) -> Self {
        Outgoing {
            by_line,
            ended: false,
            buffer: vec![0; LARGEST],
            pending: Vec::new(),
        }
    }

    fn take(&mut self, length: usize) {
        self.pending.extend_from_slice(&self.buffer[..length]);
    }

    /// The next datagram. A line longer than the largest one is cut; a last line without an end is one too.
    fn next_message(&mut self) -> Option<Vec<u8>> {
        if self.pending.is_empty() {
            return None;
        }
        let length = if self.by_line {
            match self.pending.iter().position(|&byte| byte == b'\n') {
                Some(at) => (at + 1).min(LARGEST),
                None if self.ended || self.pending.len() >= LARGEST => self.pending.len().min(LARGEST),
                None => return None,
            }
        } else {
            self.pending.len().min(LARGEST)
        };
        let rest = self.pending.split_off(length);
        Some(std::mem::replace(&mut self.pending, rest))
    }
}

#[cfg(test)]
mod tests {
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
        assert_eq!(converse(&mut local, &mut near, None).await.unwrap(), Ending::Peer);
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
        assert_eq!(converse(&mut local, &mut near, None).await.unwrap(), Ending::Peer);
        let mut got = [0; 3];
        user.read_exact(&mut got).await.unwrap();
        assert_eq!(&got, b"bye");
    }

    #[tokio::test]
    async fn waiting_input_is_sent_to_a_peer_that_only_ended_its_half() {
        let (mut local, mut user, mut near, mut peer) = wires();
        peer.shutdown().await.unwrap();
        user.write_all(b"last words").await.unwrap();
        assert_eq!(converse(&mut local, &mut near, None).await.unwrap(), Ending::Peer);
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
        let broken = converse(&mut local, &mut near, Some(limit)).await.unwrap_err();
        assert!(matches!(broken, Broken::HalfClosed(_)), "{broken:?}");
        assert_eq!(start.elapsed(), limit);
    }

    #[tokio::test]
    async fn output_that_is_closed_early_is_a_quiet_end() {
        let (mut local, user, mut near, mut peer) = wires();
        drop(user);
        peer.write_all(b"much").await.unwrap();
        assert_eq!(converse(&mut local, &mut near, None).await.unwrap(), Ending::Ours);
    }

    #[test]
    fn lines_become_datagrams() {
        let mut outgoing = Outgoing::new(true);
        outgoing.pending = b"one\n\ntwo".to_vec();
        assert_eq!(outgoing.next_message().unwrap(), b"one\n");
        assert_eq!(outgoing.next_message().unwrap(), b"\n");
        assert_eq!(outgoing.next_message(), None);
        outgoing.ended = true;
        assert_eq!(outgoing.next_message().unwrap(), b"two");
        outgoing.pending = vec![b'x'; LARGEST + 1];
        assert_eq!(outgoing.next_message().unwrap().len(), LARGEST);
        assert_eq!(outgoing.next_message().unwrap().len(), 1);
    }
}
