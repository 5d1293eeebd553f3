//! Datagrams of a peer to a target and back: between two bare sockets in batches, else one by one.
//! Absent: when a flow is idle for too long, and streams.

use std::future::poll_fn;
use std::io::{self, ErrorKind};
use std::task::{Context, Poll};

use tracing::debug;

use crate::connection::Datagram;
use crate::connection::datagram::Messages;
use crate::connection::pump::with_scratch;
use crate::connection::refusals::Refusals;
use crate::connection::tally::Lost;
use crate::error::reason;
use crate::transport::datagrams::{News, Paired, transient};

/// Datagrams moved one way before the other one, and other tasks, get a turn.
const PER_TURN: u32 = 32;

/// Tells, once, that datagrams do not reach the target; the pair goes on.
pub(super) struct Told<'a> {
    pub(super) refusals: &'a Refusals,
    peer: String,
    target: String,
    said: bool,
}

impl<'a> Told<'a> {
    pub(super) fn new(refusals: &'a Refusals, peer: String, target: String) -> Self {
        Told {
            refusals,
            peer,
            target,
            said: false,
        }
    }

    pub(super) fn refused(&mut self, error: &io::Error) {
        let why = format!("datagrams do not reach {}: {}", self.target, reason(error));
        if self.said {
            debug!("{}: {why}", self.peer);
        } else {
            self.said = true;
            self.refusals.tell(&self.peer, &why);
        }
    }
}

/// Whether an error may be about an earlier datagram, so that this one has not been sent (ICMP).
pub(super) fn is_news(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::ConnectionRefused | ErrorKind::HostUnreachable | ErrorKind::NetworkUnreachable
    )
}

/// Why the system did not take a datagram.
pub(super) fn lost_for(error: &io::Error) -> Lost {
    match error.raw_os_error().map(rustix::io::Errno::from_raw_os_error) {
        Some(rustix::io::Errno::MSGSIZE) => Lost::TooLong,
        _ => Lost::Unsent,
    }
}

/// Passes datagrams on until the client's flow has ended.
///
/// # Errors
/// Why the flow was ended, or what became of a socket.
pub(super) async fn exchange(client: Datagram, target: Datagram, mut told: Told<'_>) -> io::Result<()> {
    if let Some(paired) = Paired::of(&client, &target) {
        let mut paired = paired?;
        debug!(peer = %told.peer, "in batches");
        loop {
            match poll_fn(|cx| paired.poll(cx)).await {
                News::Refused(error) => told.refused(&error),
                News::Over(result) => return result,
                News::Lost(error) => return Err(error),
            }
        }
    }
    debug!(peer = %told.peer, "one by one");
    let mut ways = [Way::new(true), Way::new(false)];
    let (mut client, mut target) = (client, target);
    poll_fn(|cx| {
        let [up, down] = &mut ways;
        // Asked by itself: a target that takes nothing must not keep a flow that has ended.
        if let Poll::Ready(over) = client.poll_over(cx) {
            return Poll::Ready(over);
        }
        if let Poll::Ready(over) = up.poll(cx, &mut client, &mut target, &mut told) {
            return Poll::Ready(over);
        }
        down.poll(cx, &mut target, &mut client, &mut told)
    })
    .await
}

/// One direction, with the datagram for which there was no room yet.
struct Way {
    to_target: bool,
    held: Option<Vec<u8>>,
    again: bool,
}

impl Way {
    fn new(to_target: bool) -> Self {
        Way {
            to_target,
            held: None,
            again: false,
        }
    }

    /// Ready when no more will come.
    fn poll(
        &mut self,
        cx: &mut Context<'_>,
        from: &mut Datagram,
        to: &mut Datagram,
        told: &mut Told<'_>,
    ) -> Poll<io::Result<()>> {
        if let Some(message) = self.held.take()
            && self.poll_send(cx, from, to, &message, told).is_pending()
        {
            self.held = Some(message);
            return Poll::Pending;
        }
        with_scratch(|scratch| {
            for _ in 0..PER_TURN {
                match from.poll_recv(cx, scratch) {
                    Poll::Pending => return Poll::Pending,
                    Poll::Ready(Ok(None)) => return Poll::Ready(Ok(())),
                    Poll::Ready(Ok(Some(length))) => {
                        let message = &scratch[..length];
                        if self.poll_send(cx, from, to, message, told).is_pending() {
                            self.held = Some(message.to_vec());
                            return Poll::Pending;
                        }
                    }
                    Poll::Ready(Err(error)) if transient(&error) && !self.to_target => told.refused(&error),
                    Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                }
            }
            cx.waker().wake_by_ref();
            Poll::Pending
        })
    }

    /// Ready when it was sent, or lost.
    fn poll_send(
        &mut self,
        cx: &mut Context<'_>,
        from: &Datagram,
        to: &mut Datagram,
        message: &[u8],
        told: &mut Told<'_>,
    ) -> Poll<()> {
        loop {
            match to.poll_send(cx, message) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Ok(())) => break,
                Poll::Ready(Err(error)) if self.to_target && is_news(&error) && !self.again => {
                    told.refused(&error);
                    self.again = true;
                }
                Poll::Ready(Err(error)) => {
                    let why = lost_for(&error);
                    debug!(peer = %told.peer, length = message.len(), %error, "datagram not sent");
                    if let Some(tally) = from.tally().or(to.tally()) {
                        tally.count_lost(why, 1);
                    }
                    break;
                }
            }
        }
        self.again = false;
        Poll::Ready(())
    }
}
