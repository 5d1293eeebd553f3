//! What two kinds of conversation share: how long they wait, and what our writing tells of the peer.
//! Absent: moving bytes, and when a conversation is over.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::time::Sleep;

use super::Broken;
use super::idle::Idle;
use crate::connection::pump::Failed;

/// How long a conversation waits; `None`: for ever.
#[derive(Debug, Clone, Copy, Default)]
pub struct Waits {
    /// For the other direction, once one is done.
    pub half_close: Option<Duration>,
    /// For anything to move. Then the peer's connection fails with [`IdleLimit`](crate::layer::idle::IdleLimit).
    pub idle: Option<Duration>,
}

/// The same, running.
pub(super) struct Limits {
    idle: Option<Idle>,
    half_close: Option<Duration>,
    /// Set when one direction is done.
    deadline: Option<Pin<Box<Sleep>>>,
}

impl Limits {
    pub(super) fn new(waits: Waits) -> Self {
        Limits {
            idle: waits.idle.map(Idle::new),
            half_close: waits.half_close,
            deadline: None,
        }
    }

    /// Ready when neither `steps`, what has moved so far, nor what is `queued` has changed for as long as the limit: see
    /// [`Idle::poll_while`].
    pub(super) fn poll_idle(
        &mut self,
        cx: &mut Context<'_>,
        steps: u64,
        queued: impl Fn() -> usize,
    ) -> Poll<Broken> {
        match &mut self.idle {
            None => Poll::Pending,
            Some(idle) => idle.poll_while(cx, steps, queued).map(Broken::idle),
        }
    }

    /// To be asked from when one direction is done on: ready when the other one has had its time.
    pub(super) fn poll_half_close(&mut self, cx: &mut Context<'_>) -> Poll<Broken> {
        let Some(limit) = self.half_close else {
            return Poll::Pending;
        };
        let deadline = self
            .deadline
            .get_or_insert_with(|| Box::pin(tokio::time::sleep(limit)));
        deadline.as_mut().poll(cx).map(|()| Broken::HalfClosed(limit))
    }
}

/// What our writing, or reading, was told of the peer.
#[derive(Debug, Default)]
pub(super) struct Hearing {
    /// It takes no more from us; it may still have something to say.
    pub(super) deaf: bool,
    /// It broke the connection off. The system says so once, to whoever asks first.
    pub(super) lost: Option<io::Error>,
}

impl Hearing {
    /// Input that cannot be read, and a peer that took nothing for too long, end the conversation. Otherwise what the peer
    /// still has to say must not get lost with what it no longer wants to hear: one that left in good order before gives a
    /// broken pipe, and a reset is a lost connection, whoever notices it.
    pub(super) fn judge(&mut self, failed: Failed) -> Result<(), Broken> {
        match failed {
            Failed::Reading(error) => Err(Broken::Input(error)),
            Failed::Writing(error) if error.kind() == io::ErrorKind::TimedOut => Err(Broken::Peer(error)),
            Failed::Writing(error) => {
                self.deaf = true;
                if error.kind() == io::ErrorKind::ConnectionReset {
                    self.lost = Some(error);
                }
                Ok(())
            }
        }
    }
}
