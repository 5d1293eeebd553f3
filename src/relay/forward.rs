//! Two peers wired to each other: each direction ends on its own, and what breaks one connection breaks the other.
//! Absent: where the connections came from, and which of the peers asked for it.

use std::io;
use std::os::fd::AsFd;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use socket2::SockRef;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tracing::{Level, debug, enabled};

use super::bare::is_socket;
use super::direction::{Direction, tell};
use super::idle::Idle;
use super::lookout::Lookout;
use super::owed::{knows_resets, owed, taken};
use super::resting::{self, Resting};
use super::stall::{Stall, broken, failure, queued};
use super::waking;
use crate::connection::pump::Failed;
use crate::connection::{Address, Stream, Wire};
use crate::layer::fault::CloseAfter;
use crate::transport::given::Given;

/// Which of the two.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// The one that was given first: whoever was accepted.
    Client,
    /// The other one.
    Target,
}

/// Why the two were parted before both had ended.
#[derive(Debug)]
pub enum Parted {
    /// A connection failed. All that had arrived on it was passed on; [`Forwarding::owes`] tells whether it was taken.
    Lost(Side, io::Error),
    /// Nothing moved for so long.
    Idle(Duration),
    /// So many bytes have passed in one direction, and no more were to. Unlike the others it resets nobody:
    /// [`Forwarding::part`] is to follow.
    Enough(u64),
}

impl Parted {
    fn lost(side: Side, error: io::Error) -> Self {
        match CloseAfter::caused(&error) {
            Some(bytes) => Parted::Enough(bytes),
            None => Parted::Lost(side, error),
        }
    }

    /// It was reset after it had ended its half, which the system has another word for.
    fn reset(side: Side) -> Self {
        Parted::Lost(side, io::ErrorKind::ConnectionReset.into())
    }
}

/// How long two peers may take to end their halves once we have ended ours. Until then what they send is thrown away:
/// closing with input unread would be a reset, which may cost them what passed before.
const LINGER: Duration = Duration::from_secs(1);

/// Forwards until both peers have ended, or one connection is lost.
///
/// The end of one peer ends our half towards the other, for as long as that one likes to go on. A connection that is
/// reset resets the other, so that nobody takes a part for the whole. What comes of it is to be dropped when it is done: the
/// last end may be passed on by no more than that.
///
/// # Errors
/// What parted them.
#[must_use]
pub fn forward(client: Stream, target: Stream, idle: Option<Duration>) -> Forwarding {
    Forwarding {
        peer: enabled!(Level::DEBUG).then(|| Box::new(client.facts().peer.clone())),
        told: false,
        client: client.into_wire(),
        target: target.into_wire(),
        up: Way::default(),
        down: Way::default(),
        idle: idle.map(|limit| Box::new(Idle::new(limit))),
        lookout: Lookout::default(),
        stall: Stall::default(),
        given_up: false,
        rests: None,
        turn: false,
    }
}

/// Two peers and what is under way between them. It is a future with a name, as an idle pair should cost little: one
/// that the compiler makes holds its arguments twice.
pub struct Forwarding {
    client: Wire,
    target: Wire,
    /// Who the client is, for the log; all else that is known of the two is forgotten, as it would be held for long.
    peer: Option<Box<Address>>,
    /// Which way bulk takes was said.
    told: bool,
    up: Way,
    down: Way,
    idle: Option<Box<Idle>>,
    lookout: Lookout,
    stall: Stall,
    /// What was written last is not taken, and was waited for already.
    given_up: bool,
    /// Who rests, as the other one takes nothing of what he sent.
    rests: Option<Side>,
    /// Which direction goes first alternates, so that neither starves the other.
    turn: bool,
}

impl Future for Forwarding {
    type Output = Result<(), Parted>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        waking::woken();
        let polled = self.advance(cx);
        if let Poll::Ready(Err(Parted::Lost(..) | Parted::Idle(_))) = polled {
            reset_wire(&self.client);
            reset_wire(&self.target);
        }
        polled
    }
}

/// A direction, and what became of it.
#[derive(Default)]
struct Way {
    direction: Direction,
    /// Its writer takes no more; it may still have something to say.
    deaf: bool,
    /// It was reset, which the system says but once: reading from there just finds an end afterwards, and that is none
    /// to pass on.
    lost: Option<io::Error>,
    /// It was reset after an end that is to be passed on, and some of what was for it is left.
    cut_off: bool,
}

impl Way {
    fn over(&self) -> bool {
        self.deaf || self.direction.ended()
    }

    /// All of `from` was passed on, and letting go of that socket is all that the end of the other direction, the last one,
    /// takes: closing says the same as a shutdown does, and follows.
    fn closes(&self, from: &Wire) -> bool {
        self.direction.ended() && is_socket(from)
    }

    /// Its writer takes nothing, so nothing is read either.
    fn is_stalled(&self) -> bool {
        !self.over() && !self.direction.is_starved()
    }

    /// Why nothing more will come from its reader while it is stalled, if that is so. `back` is the other direction.
    fn abandoned(&mut self, back: &mut Way, from: &Wire) -> Option<io::Error> {
        // Whoever has ended has said all, whatever became of it since.
        if !self.is_stalled() || self.direction.has_read_all() {
            return None;
        }
        // It may be known already: from writing there, or from reading, which waits for what TLS holds back. An end after so
        // many bytes is none that breaks anything off.
        let failure = self.direction.failure();
        if failure
            .as_ref()
            .is_some_and(|error| CloseAfter::caused(error).is_some())
        {
            return None;
        }
        let known = back.lost.take().or_else(|| failure.take());
        known.or_else(|| broken(from))
    }

    /// Moves what can be moved. `to` is the far side of this direction.
    fn poll(&mut self, cx: &mut Context<'_>, from: &mut Wire, to: &mut Wire) -> Result<(), io::Error> {
        if self.over() {
            return Ok(());
        }
        match self.direction.poll(cx, from, to) {
            Poll::Pending | Poll::Ready(Ok(())) => Ok(()),
            Poll::Ready(Err(Failed::Reading(error))) => Err(error),
            Poll::Ready(Err(Failed::Writing(error))) => {
                // What that side still has to say must not get lost with what it no longer wants to hear.
                self.deaf = true;
                if error.kind() != io::ErrorKind::BrokenPipe {
                    self.lost = Some(error);
                } else {
                    // Where no more than an end was to come, it has missed nothing.
                    let left = !self.direction.has_read_all() || self.direction.unwritten() > 0;
                    self.cut_off = left && knows_resets(to);
                }
                Ok(())
            }
        }
    }
}

impl Forwarding {
    /// Whether letting go of the two now, which resets them, would cost one of them something that was written to it.
    #[must_use]
    pub fn owes(&self) -> bool {
        !self.given_up && (owed(&self.client) > 0 || owed(&self.target) > 0)
    }

    /// Whether the two have ended in good order and letting go of them now would reset one all the same, which costs it something
    /// that was written to it: as where not all of what it sent was read, since the other one wanted no more.
    #[must_use]
    pub fn leaves_unread(&self) -> bool {
        (self.up.deaf || self.down.deaf) && self.owes()
    }

    /// Resets each of the two as soon as it has taken what was written to it, or takes nothing any more.
    pub async fn settle(self) {
        if let Some(peer) = &self.peer {
            debug!(%peer, "closing waits for what came before");
        }
        let idle = self.idle.as_ref().map(|idle| idle.limit());
        // What was to go on to the one that is lost.
        drop((self.up, self.down));
        tokio::join!(settle(self.client, idle), settle(self.target, idle));
    }

    /// Ends both connections in good order, so that all that has passed arrives.
    pub async fn part(self) {
        if let Some(peer) = &self.peer {
            debug!(%peer, "enough has passed: closing");
        }
        drop((self.up, self.down));
        let ended = async { tokio::join!(leave(self.client), leave(self.target)) };
        // Who does not end in time has had the end all the same.
        let _ = tokio::time::timeout(LINGER, ended).await;
    }

    fn advance(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Parted>> {
        self.move_on(cx)?;
        if let Some(side) = self.rested() {
            self.rests = None;
            let woken = resting::wake(self.wire(side));
            woken.map_err(|error| Parted::Lost(side, error))?;
            // Once more, so that it is waited for.
            self.move_on(cx)?;
        }
        if self.peer.is_some() {
            let ways = [&self.up.direction, &self.down.direction];
            tell(&mut self.told, self.peer.as_deref(), ways);
        }
        for (side, way, to) in [
            (Side::Target, &mut self.up, &self.target),
            (Side::Client, &mut self.down, &self.client),
        ] {
            // Nobody would ever take what else comes that way, and whoever sends it is to hear of that.
            if way.deaf
                && to
                    .beneath::<Given>()
                    .is_some_and(|given| !given.writes_to_socket())
            {
                let lost = way.lost.take();
                return Poll::Ready(lost.map_or(Ok(()), |error| Err(Parted::Lost(side, error))));
            }
        }
        if self.up.over() && self.down.over() {
            return Poll::Ready(match (self.up.lost.take(), self.down.lost.take()) {
                (Some(error), _) => Err(Parted::Lost(Side::Target, error)),
                (None, Some(error)) => Err(Parted::Lost(Side::Client, error)),
                (None, None) if self.up.cut_off => Err(Parted::reset(Side::Target)),
                (None, None) if self.down.cut_off => Err(Parted::reset(Side::Client)),
                (None, None) => Ok(()),
            });
        }
        let steps = self.up.direction.steps() + self.down.direction.steps();
        if let Some(idle) = &mut self.idle
            && let Poll::Ready(limit) =
                idle.poll_while(cx, steps, || queued(&self.client) + queued(&self.target))
        {
            return Poll::Ready(Err(Parted::Idle(limit)));
        }
        // Nothing is told of a socket of which all was read, until there is something for it.
        for (side, way, from) in [
            (Side::Client, &self.up, &self.client),
            (Side::Target, &self.down, &self.target),
        ] {
            while way.direction.ended() && self.lookout.poll(cx).is_ready() {
                if failure(from).is_some() {
                    return Poll::Ready(Err(Parted::reset(side)));
                }
            }
        }
        let (up, down) = (self.up.is_stalled(), self.down.is_stalled());
        let (client, target) = (&self.client, &self.target);
        let left = |stalled, to| if stalled { queued(to) } else { 0 };
        let waiting = || left(up, target) + left(down, client);
        while self.stall.poll(cx, up || down, steps, waiting).is_ready() {
            // Somebody broke off, and what he sent before is not taken by the other one, who is not to wait for an end that
            // will not come. As long as it is taken, it is passed on first.
            let client_lost = self.up.abandoned(&mut self.down, client);
            let lost = client_lost.map(|error| (Side::Client, error)).or_else(|| {
                let target_lost = self.down.abandoned(&mut self.up, target);
                target_lost.map(|error| (Side::Target, error))
            });
            if let Some((side, error)) = lost {
                self.given_up = true;
                return Poll::Ready(Err(Parted::Lost(side, error)));
            }
        }
        let side = match (up, down) {
            (true, false) if !is_given(target) => Some(Side::Client),
            (false, true) if !is_given(client) => Some(Side::Target),
            _ => None,
        };
        if self.rests.is_none()
            && self.stall.pays_to_rest(side.is_some(), steps)
            && let Some(side) = side
        {
            let rests = resting::rest(self.wire(side));
            let rests = rests.map_err(|error| Parted::Lost(side, error))?;
            self.rests = rests.then_some(side);
        }
        Poll::Pending
    }

    /// Moves what can be moved, both ways.
    fn move_on(&mut self, cx: &mut Context<'_>) -> Result<(), Parted> {
        let (client, target) = (&mut self.client, &mut self.target);
        self.turn = !self.turn;
        for up in [self.turn, !self.turn] {
            if up {
                let polled = self.up.poll(cx, client, target);
                polled.map_err(|error| Parted::lost(Side::Client, error))?;
                if self.up.lost.is_some() || self.up.closes(client) {
                    self.down.direction.withhold_end();
                }
            } else {
                let polled = self.down.poll(cx, target, client);
                polled.map_err(|error| Parted::lost(Side::Target, error))?;
                if self.down.lost.is_some() || self.down.closes(target) {
                    self.up.direction.withhold_end();
                }
            }
        }
        Ok(())
    }

    fn wire(&mut self, side: Side) -> &mut Wire {
        match side {
            Side::Client => &mut self.client,
            Side::Target => &mut self.target,
        }
    }

    /// Who rests and is to do so no longer: there is something for it, or all that it sent before is taken.
    fn rested(&self) -> Option<Side> {
        let side = self.rests?;
        let (wire, way) = match side {
            Side::Client => (&self.client, &self.up),
            Side::Target => (&self.target, &self.down),
        };
        let is_wanted = wire.bare().is_some_and(Resting::is_wanted);
        (is_wanted || !way.is_stalled()).then_some(side)
    }
}

/// Whether it is a descriptor that somebody else opened. Such a sink and the socket that it is spliced from are asked in one
/// call, which takes a socket that rests for one that has nothing.
fn is_given(wire: &Wire) -> bool {
    wire.bare::<Given>().is_some()
}

/// Ends our half, and throws away what comes until the other one ends.
async fn leave(mut wire: Wire) {
    if wire.shutdown().await.is_ok() {
        let _ = tokio::io::copy(&mut wire, &mut tokio::io::sink()).await;
    }
}

async fn settle(wire: Wire, idle: Option<Duration>) {
    taken(move || owed(&wire), idle).await;
}

/// Has the connection end with a reset when it is dropped, where it is one that can, whoever looks on: a layer such as TLS
/// leaves out its own end instead, and a UNIX socket knows none.
pub fn reset(stream: &mut Stream) {
    reset_wire(stream.wire());
}

fn reset_wire(wire: &Wire) {
    let resting = wire.bare::<Resting>().filter(|resting| resting.is_tcp());
    let socket = wire.beneath::<TcpStream>().map(AsFd::as_fd);
    if let Some(socket) = socket.or_else(|| resting.map(AsFd::as_fd)) {
        // If it fails, the connection is gone already.
        let _ = SockRef::from(&socket).set_linger(Some(Duration::ZERO));
    }
}

#[cfg(test)]
mod at_rest;
#[cfg(test)]
mod tests;
