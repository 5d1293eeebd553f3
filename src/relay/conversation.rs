//! One conversation over a stream, spoken for whoever sits at this end: their input goes out, what the peer says comes in.
//! Absent: moving the bytes (`direction`), and peers that are equals (`forward`).

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::time::Sleep;

use super::direction::{Direction, tell};
use super::limits::{Hearing, Limits, Waits};
use super::stall::queued;
use super::{Broken, Ending};
use crate::connection::pump::Failed;
use crate::connection::{Stream, Wire};

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

/// After the peer has ended: how long our input may be silent before it counts as nothing more that waits. A program
/// that writes into a pipe without a pause is not cut off between two of its writes.
pub(super) const LAST_INPUT: Duration = Duration::from_millis(50);

struct Talk {
    up: Direction,
    down: Direction,
    hearing: Hearing,
    limits: Limits,
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
            hearing: Hearing::default(),
            limits: Limits::new(waits),
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
        if polled.is_ready() {
            return polled;
        }
        let steps = self.up.steps() + self.down.steps();
        self.limits.poll_idle(cx, steps, || queued(peer)).map(Err)
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
        let sent = self.hearing.deaf || self.up.ended();
        if self.down.ended() {
            if let Some(error) = self.hearing.lost.take() {
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
                if self.hearing.deaf || self.up.ended() {
                    return Poll::Ready(Ok(Ending::Peer));
                }
            }
        }
        if sent || self.down.ended() {
            self.limits.poll_half_close(cx).map(Err)
        } else {
            Poll::Pending
        }
    }

    fn poll_up(&mut self, cx: &mut Context<'_>, local: &mut Wire, peer: &mut Wire) -> Result<(), Broken> {
        if self.hearing.deaf || self.up.ended() {
            return Ok(());
        }
        match self.up.poll(cx, local, peer) {
            Poll::Pending | Poll::Ready(Ok(())) => Ok(()),
            Poll::Ready(Err(failed)) => self.hearing.judge(failed),
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
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
    use tokio::time::Instant;

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
}
