//! A conversation that outlives its connection: what one did not take, the next one gets.
//! Absent: how the next connection is made, and whether what was sent on a lost one arrived.

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::AsyncWrite;
use tokio::sync::watch;
use tokio::time::Sleep;

use super::Broken;
use super::conversation::LAST_INPUT;
use super::direction::{Direction, tell};
use super::limits::{Hearing, Limits, Waits};
use super::stall::queued;
use crate::connection::pump::Failed;
use crate::connection::{Stream, Wire};

/// Our input on its way to one connection after the other.
#[derive(Debug, Default)]
pub struct Outbound {
    way: Direction,
    /// Whether the connection there is has all of it, the end included.
    passed_on: watch::Sender<bool>,
}

impl Outbound {
    /// Bytes that were read from our input and that no connection has taken.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.way.unwritten()
    }

    /// Our input has ended, and a connection has taken all of it.
    #[must_use]
    pub fn is_done(&self) -> bool {
        self.way.has_read_all() && self.waiting() == 0
    }

    /// Returns when the connection that there is then has taken all of our input, and knows that it has ended.
    pub fn passed_on(&self) -> impl Future<Output = ()> + use<> {
        let mut passed_on = self.passed_on.subscribe();
        async move {
            if passed_on.wait_for(|all| *all).await.is_err() {
                std::future::pending().await
            }
        }
    }
}

/// How a conversation, or one connection's part of it, came to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Parting {
    /// The peer ended after our input had, and all was sent before.
    Done,
    /// Our own side no longer takes what the peer sends.
    Ours,
    /// The peer ended while there was, or may yet be, something to send.
    Left,
}

/// Talks for `local` with the peer until the peer has ended: `head` is said first, then what `outbound` has, then what
/// `local` has to say. Nothing more is read of it once the peer has ended, other than to see whether it has ended too.
///
/// Dropping the future loses nothing that was read: `outbound` has it. `local` is never shut down.
///
/// # Errors
/// What broke, and on which side.
pub async fn converse_resumably(
    local: &mut Stream,
    peer: &mut Stream,
    head: &[u8],
    outbound: &mut Outbound,
    waits: Waits,
) -> Result<Parting, Broken> {
    outbound.way.begin_anew();
    outbound.passed_on.send_replace(false);
    let mut part = Part {
        head,
        up: &mut outbound.way,
        passed_on: &outbound.passed_on,
        down: Direction::unending(),
        hearing: Hearing::default(),
        gone: false,
        limits: Limits::new(waits),
        last_look: None,
        turn: false,
        told: false,
    };
    let (local, peer) = (local.wire(), peer.wire());
    poll_fn(|cx| part.poll(cx, local, peer)).await
}

/// One connection's part of the conversation.
struct Part<'a> {
    /// What is left of it.
    head: &'a [u8],
    up: &'a mut Direction,
    passed_on: &'a watch::Sender<bool>,
    down: Direction,
    hearing: Hearing,
    /// Nothing more comes from it.
    gone: bool,
    limits: Limits,
    /// Runs after the peer's end, while our input may turn out to have ended too.
    last_look: Option<Pin<Box<Sleep>>>,
    /// Which direction goes first alternates, so that neither starves the other.
    turn: bool,
    /// Which way bulk takes was said.
    told: bool,
}

impl Part<'_> {
    fn poll(
        &mut self,
        cx: &mut Context<'_>,
        local: &mut Wire,
        peer: &mut Wire,
    ) -> Poll<Result<Parting, Broken>> {
        let polled = self.advance(cx, local, peer);
        tell(&mut self.told, None, [self.up, &self.down]);
        if polled.is_ready() {
            return polled;
        }
        let steps = self.up.steps() + self.down.steps() - self.head.len() as u64;
        self.limits.poll_idle(cx, steps, || queued(peer)).map(Err)
    }

    fn advance(
        &mut self,
        cx: &mut Context<'_>,
        local: &mut Wire,
        peer: &mut Wire,
    ) -> Poll<Result<Parting, Broken>> {
        self.turn = !self.turn;
        if self.turn {
            self.poll_up(cx, local, peer)?;
        }
        if !self.gone {
            match self.down.poll(cx, peer, local) {
                Poll::Pending => {}
                Poll::Ready(Ok(())) => self.gone = true,
                Poll::Ready(Err(Failed::Reading(error))) => {
                    (self.hearing.lost, self.gone) = (Some(error), true)
                }
                Poll::Ready(Err(Failed::Writing(error))) if error.kind() == io::ErrorKind::BrokenPipe => {
                    return Poll::Ready(Ok(Parting::Ours));
                }
                Poll::Ready(Err(Failed::Writing(error))) => return Poll::Ready(Err(Broken::Output(error))),
            }
        }
        if self.gone {
            return self.poll_parting(cx, local);
        }
        if !self.turn {
            self.poll_up(cx, local, peer)?;
        }
        if self.hearing.deaf || self.up.ended() {
            self.limits.poll_half_close(cx).map(Err)
        } else {
            Poll::Pending
        }
    }

    fn poll_up(&mut self, cx: &mut Context<'_>, local: &mut Wire, peer: &mut Wire) -> Result<(), Broken> {
        // What is read from now on would be sent to nobody.
        if self.hearing.deaf || self.up.ended() || self.gone {
            return Ok(());
        }
        match self.poll_head(cx, peer) {
            Poll::Pending => return Ok(()),
            Poll::Ready(Ok(())) => {}
            Poll::Ready(Err(error)) => return self.hearing.judge(Failed::Writing(error)),
        }
        match self.up.poll(cx, local, peer) {
            Poll::Pending => Ok(()),
            Poll::Ready(Ok(())) => {
                self.passed_on.send_replace(true);
                Ok(())
            }
            Poll::Ready(Err(failed)) => self.hearing.judge(failed),
        }
    }

    fn poll_head(&mut self, cx: &mut Context<'_>, peer: &mut Wire) -> Poll<io::Result<()>> {
        if self.head.is_empty() {
            return Poll::Ready(Ok(()));
        }
        while !self.head.is_empty() {
            match ready!(Pin::new(&mut *peer).poll_write(cx, self.head))? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                written => self.head = &self.head[written..],
            }
        }
        // A layer may hold it back until it is told that no more comes for now.
        Pin::new(peer).poll_flush(cx)
    }

    /// The peer has ended, or broken off: whether that was the end of it all.
    fn poll_parting(&mut self, cx: &mut Context<'_>, local: &mut Wire) -> Poll<Result<Parting, Broken>> {
        // Input that has ended without our having had the time to see it makes this a good end.
        let seen = self.up.poll_ahead(cx, local).map_err(Broken::Input)?;
        if seen.is_pending() {
            let pause = self
                .last_look
                .get_or_insert_with(|| Box::pin(tokio::time::sleep(LAST_INPUT)));
            ready!(pause.as_mut().poll(cx));
        }
        if let Some(error) = self.hearing.lost.take() {
            return Poll::Ready(Err(Broken::Peer(error)));
        }
        let done = self.head.is_empty() && self.up.has_read_all() && self.up.unwritten() == 0;
        Poll::Ready(Ok(if done { Parting::Done } else { Parting::Left }))
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};

    use super::*;
    use crate::connection::{Address, Facts};

    fn connection(room: usize) -> (Stream, DuplexStream) {
        let (ours, theirs) = duplex(room);
        let facts = Facts::new(Address::Unnamed, Address::Unnamed);
        (Stream::new(ours, facts), theirs)
    }

    #[tokio::test(start_paused = true)]
    async fn unsent_input_goes_to_the_next_connection_behind_its_head() {
        let (mut local, mut user) = connection(1000);
        user.write_all(b"0123456789").await.unwrap();
        let mut outbound = Outbound::default();
        let (mut first, mut peer) = connection(4);
        let talk = converse_resumably(&mut local, &mut first, b"hi", &mut outbound, Waits::default());
        let leave = async {
            let mut got = [0; 7];
            peer.read_exact(&mut got).await.unwrap();
            assert_eq!(&got, b"hi01234");
            drop(peer);
        };
        let (parting, ()) = tokio::join!(talk, leave);
        assert_eq!(parting.unwrap(), Parting::Left);
        let waiting = outbound.waiting();
        assert!((1..=5).contains(&waiting), "{waiting}");

        user.write_all(b"abc").await.unwrap();
        user.shutdown().await.unwrap();
        let (mut second, mut peer) = connection(4);
        let talk = converse_resumably(&mut local, &mut second, b"hi", &mut outbound, Waits::default());
        let listen = async {
            let mut got = Vec::new();
            peer.read_to_end(&mut got).await.unwrap();
            drop(peer);
            got
        };
        let (parting, got) = tokio::join!(talk, listen);
        assert_eq!(parting.unwrap(), Parting::Done);
        let expected = [b"hi", &b"0123456789"[10 - waiting..], b"abc"].concat();
        assert_eq!(got, expected);
        assert!(outbound.is_done());
    }

    #[tokio::test(start_paused = true)]
    async fn input_is_not_read_for_a_peer_that_has_ended() {
        let (mut local, mut user) = connection(1000);
        let (mut stream, peer) = connection(100);
        drop(peer);
        let mut outbound = Outbound::default();
        let parting = converse_resumably(&mut local, &mut stream, b"", &mut outbound, Waits::default()).await;
        assert_eq!((parting.unwrap(), outbound.waiting()), (Parting::Left, 0));
        user.write_all(b"later").await.unwrap();
        let mut waiting = [0; 5];
        local.read_exact(&mut waiting).await.unwrap();
        assert_eq!(&waiting, b"later");
    }

    #[tokio::test(start_paused = true)]
    async fn a_peer_that_ends_with_our_input_is_a_good_end() {
        let (mut local, user) = connection(1000);
        drop(user);
        let (mut stream, mut peer) = connection(100);
        peer.write_all(b"12:00").await.unwrap();
        drop(peer);
        let mut outbound = Outbound::default();
        let parting = converse_resumably(&mut local, &mut stream, b"", &mut outbound, Waits::default()).await;
        // The reader is gone as well, so what came could not be passed on.
        assert_eq!(parting.unwrap(), Parting::Ours);
        let (mut local, mut user) = connection(1000);
        user.shutdown().await.unwrap();
        let (mut stream, peer) = connection(100);
        drop(peer);
        let parting = converse_resumably(&mut local, &mut stream, b"", &mut outbound, Waits::default()).await;
        assert_eq!(parting.unwrap(), Parting::Done);
    }

    #[tokio::test(start_paused = true)]
    async fn the_end_is_passed_on_to_each_connection() {
        let (mut local, mut user) = connection(1000);
        user.write_all(b"x").await.unwrap();
        user.shutdown().await.unwrap();
        let mut outbound = Outbound::default();
        let (mut first, mut peer) = connection(100);
        {
            let talk = converse_resumably(&mut local, &mut first, b"", &mut outbound, Waits::default());
            let mut got = Vec::new();
            tokio::select! {
                parting = talk => panic!("{parting:?}"),
                read = peer.read_to_end(&mut got) => assert_eq!(read.unwrap(), 1),
            }
        }
        let (mut second, mut peer) = connection(100);
        let talk = converse_resumably(&mut local, &mut second, b"again", &mut outbound, Waits::default());
        let listen = async {
            let mut got = String::new();
            peer.read_to_string(&mut got).await.unwrap();
            drop(peer);
            got
        };
        let (parting, got) = tokio::join!(talk, listen);
        assert_eq!((parting.unwrap(), got.as_str()), (Parting::Done, "again"));
    }

    #[tokio::test(start_paused = true)]
    async fn it_is_told_when_a_connection_has_all() {
        let (mut local, mut user) = connection(1000);
        user.write_all(b"0123456789").await.unwrap();
        user.shutdown().await.unwrap();
        let mut outbound = Outbound::default();
        let passed_on = outbound.passed_on();
        tokio::pin!(passed_on);
        let (mut stream, mut peer) = connection(4);
        let talk = converse_resumably(&mut local, &mut stream, b"", &mut outbound, Waits::default());
        tokio::pin!(talk);
        let mut got = [0; 4];
        tokio::select! {
            _ = &mut talk => panic!("the peer has not ended"),
            () = &mut passed_on => panic!("the peer has not read"),
            read = peer.read_exact(&mut got) => drop(read.unwrap()),
        }
        let mut rest = Vec::new();
        tokio::select! {
            _ = &mut talk => panic!("the peer has not ended"),
            ((), _) = async { tokio::join!(&mut passed_on, peer.read_to_end(&mut rest)) } => {}
        }
        assert_eq!(rest, b"456789");
    }
}
