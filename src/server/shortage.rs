//! What a failed accept means: a client that left, a system that has run out of something, or the end of a listener.
//! Absent: accepting.

use std::io;
use std::time::{Duration, Instant};

use rustix::io::Errno;
use tracing::{debug, warn};

use crate::error::reason;
use crate::lacking::is_shortage;

/// How long an accept loop rests when descriptors or memory run out, unless a connection ends before.
pub const PAUSE: Duration = Duration::from_millis(100);

/// How often it is worth a line that clients have to wait.
const SAID_EVERY: Duration = Duration::from_secs(60);

/// What to do after a failed accept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// Accept again: the failure was that of one connection.
    Again,
    /// Accept again after [`PAUSE`], or when a connection has ended.
    Rest,
}

/// Judges failed accepts of one listener.
#[derive(Debug, Default)]
pub struct Shortage {
    said: Option<Instant>,
}

impl Shortage {
    /// What to do after `error`. That clients have to wait is said, but not on every attempt: a server at its limit gets
    /// there again with each connection that ends.
    ///
    /// # Errors
    /// The error itself, where no further connection will come.
    pub fn judge(&mut self, endpoint: &str, error: io::Error) -> io::Result<Next> {
        if is_of_the_connection(&error) {
            debug!("a client on {endpoint} left before it was accepted");
            return Ok(Next::Again);
        }
        if !is_shortage(&error) {
            return Err(error);
        }
        if self.said.is_none_or(|said| said.elapsed() >= SAID_EVERY) {
            self.said = Some(Instant::now());
            warn!(
                "cannot accept on {endpoint}: {}; clients wait until connections end",
                reason(&error)
            );
        }
        Ok(Next::Rest)
    }
}

/// One that ends when a descriptor is closed.
#[cfg(feature = "metrics")]
pub(super) fn is_of_descriptors(error: &io::Error) -> bool {
    Errno::from_io_error(error).is_some_and(|errno| matches!(errno, Errno::MFILE | Errno::NFILE))
}

/// Errors that accept(2) passes on from a connection that failed before it was accepted; the socket is well.
fn is_of_the_connection(error: &io::Error) -> bool {
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
    ) || Errno::from_io_error(error).is_some_and(|errno| {
        // What else accept(2) names as such.
        [Errno::PROTO, Errno::NOPROTOOPT, Errno::NONET, Errno::HOSTDOWN].contains(&errno)
    })
}

#[cfg(test)]
mod tests {
    use rustix::io::Errno;

    use super::*;

    #[test]
    fn each_failure_means_one_of_three_things() {
        let mut shortage = Shortage::default();
        let mut judge = |errno: Errno| shortage.judge("tcp:1", io::Error::from(errno)).ok();
        assert_eq!(judge(Errno::CONNABORTED), Some(Next::Again));
        assert_eq!(judge(Errno::MFILE), Some(Next::Rest));
        assert_eq!(judge(Errno::INVAL), None);
    }
}
