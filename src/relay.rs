//! Two connections wired to each other, each direction ending on its own: the engine of `connect` and `listen`, and
//! with two peers as equals (`forward`, for datagrams `flows` and `framed`) that of `relay`.
//! Absent: where the connections came from, and what is printed when they end.

mod bare;
mod conversation;
mod direction;
mod flows;
pub mod forward;
mod framed;
pub mod framing;
mod idle;
mod limits;
mod lookout;
mod messages;
mod owed;
mod pipe;
mod resting;
pub mod resumable;
pub mod service;
mod stall;
mod straight;
pub mod targets;
mod waking;

use std::io;
use std::time::Duration;

pub use self::conversation::converse;
pub use self::limits::Waits;
pub use self::messages::{DatagramTerms, converse_in_datagrams};
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
