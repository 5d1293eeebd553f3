//! Accepting when the system has run out of something, and telling whose fault a failed accept is.
//! Absent: accepting.

use std::io;
use std::time::Duration;

use tracing::warn;

use crate::error::reason;

/// How long the accept loop rests when descriptors or memory run out, unless a connection ends before.
pub(super) const PAUSE: Duration = Duration::from_millis(100);

/// Says once, not on every attempt, that clients have to wait because the system has run out of something.
#[derive(Default)]
pub(super) struct Shortage(bool);

impl Shortage {
    pub(super) fn begins(&mut self, endpoint: &str, error: &io::Error) {
        if !self.0 {
            warn!(
                "cannot accept on {endpoint}: {}; clients wait until connections end",
                reason(error)
            );
        }
        self.0 = true;
    }

    pub(super) fn over(&mut self) {
        self.0 = false;
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
