//! Accepting when the system has run out of something, and telling whose fault a failed accept is.
//! Absent: accepting.

use std::io;
use std::time::{Duration, Instant};

use tracing::warn;

use crate::error::reason;

/// How long the accept loop rests when descriptors or memory run out, unless a connection ends before.
pub(super) const PAUSE: Duration = Duration::from_millis(100);

/// How often it is worth a line that clients have to wait.
const SAID_EVERY: Duration = Duration::from_secs(60);

/// Says that clients have to wait because the system has run out of something; not on every attempt, as a server at
/// its limit gets there again with each connection that ends.
#[derive(Default)]
pub(super) struct Shortage {
    said: Option<Instant>,
}

impl Shortage {
    pub(super) fn met(&mut self, endpoint: &str, error: &io::Error) {
        if self.said.is_none_or(|said| said.elapsed() >= SAID_EVERY) {
            self.said = Some(Instant::now());
            warn!(
                "cannot accept on {endpoint}: {}; clients wait until connections end",
                reason(error)
            );
        }
    }
}

/// Errors that accept(2) passes on from a connection that failed before it was accepted; the socket is well.
pub(super) fn is_of_the_connection(error: &io::Error) -> bool {
    use io::ErrorKind as Kind;
    matches!(
        error.kind(),
        Kind::ConnectionAborted
            | Kind::ConnectionReset
            | Kind::ConnectionRefused
            | Kind::Interrupted
            | Kind::HostUnreachable
            | Kind::NetworkUnreachable
            | Kind::NetworkDown
            | Kind::TimedOut
            | Kind::PermissionDenied
    )
}
