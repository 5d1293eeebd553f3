//! `Peer`: one end of a connection, played by a test that waits for each step.
//! Absent: tests that must not block their thread; `AsyncPeer` is theirs.

use std::fmt;
use std::panic::Location;
use std::sync::Arc;
use std::time::Duration;

use super::captures::Captures;
use super::talker::{Step, Talker};
use super::thread::{block, wait};
use super::{AsyncPeer, LIMIT};
use crate::connection::Facts;
use crate::error::Result;
use crate::script::play::conversation::Ending;

/// One end of a connection, played by a test: each step blocks until it is done, and panics where it fails, at the line of
/// the test and with what was expected, what arrived, and the conversation so far.
///
/// What arrives is read ahead, up to 1 MiB; then the other side has to wait. Steps look at what is unread. Dropping a peer
/// closes its connection at once and returns when the socket is gone.
pub struct Peer(Played);

/// What both kinds of peers hold.
pub(super) struct Played {
    talker: Arc<Talker>,
    limit: Duration,
    once: Option<Duration>,
}

impl Played {
    pub(super) fn of(talker: Arc<Talker>) -> Self {
        Played {
            talker,
            limit: LIMIT,
            once: None,
        }
    }

    pub(super) fn within(&mut self, limit: Duration) {
        self.once = Some(limit);
    }

    pub(super) fn set_limit(&mut self, limit: Duration) {
        self.limit = limit;
    }

    pub(super) fn facts(&self) -> &Facts {
        self.talker.facts()
    }

    fn limit(&mut self) -> Duration {
        self.once.take().unwrap_or(self.limit)
    }

    #[track_caller]
    fn take(&mut self, step: Step) -> Captures {
        let limit = self.limit();
        match block(Arc::clone(&self.talker).take(step, limit)) {
            Ok(captures) => captures,
            Err(why) => panic!("{why}"),
        }
    }

    /// As a future the step has no line of the test to fail at, so it says which one it was.
    pub(super) async fn take_at(&mut self, step: Step, at: &Location<'_>) -> Captures {
        let limit = self.limit();
        match wait(Arc::clone(&self.talker).take(step, limit)).await {
            Ok(captures) => captures,
            Err(why) => panic!("{at}: {why}"),
        }
    }
}

impl Drop for Played {
    fn drop(&mut self) {
        block(Arc::clone(&self.talker).leave());
    }
}

impl fmt::Debug for Played {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} to {}", self.facts().local, self.facts().peer)
    }
}

impl fmt::Debug for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Peer({:?})", self.0)
    }
}

impl Peer {
    /// Connects to a client endpoint, through all its layers.
    ///
    /// # Panics
    /// It could not; [`Peer::try_connect`] is for tests that expect so.
    #[must_use]
    #[track_caller]
    pub fn connect(endpoint: impl AsRef<str>) -> Self {
        match Peer::try_connect(endpoint) {
            Ok(peer) => peer,
            Err(error) => panic!("{error}"),
        }
    }

    /// Connects to a client endpoint, through all its layers, within the time limit of the endpoint.
    ///
    /// # Errors
    /// Status 2: the string is no client endpoint. Otherwise why there is no connection: 3, 4 or 5.
    pub fn try_connect(endpoint: impl AsRef<str>) -> Result<Self> {
        let talker = block(Talker::connect(endpoint.as_ref().to_owned()))?;
        Ok(Peer(Played::of(talker)))
    }

    pub(super) fn of(talker: Arc<Talker>) -> Self {
        Peer(Played::of(talker))
    }

    /// The next step has so long, instead of the usual time.
    pub fn within(&mut self, limit: Duration) -> &mut Self {
        self.0.within(limit);
        self
    }

    /// Every step from now on has so long; at first 5 seconds.
    pub fn set_limit(&mut self, limit: Duration) -> &mut Self {
        self.0.set_limit(limit);
        self
    }

    #[track_caller]
    fn step(&mut self, step: Step) -> &mut Self {
        let _ = self.0.take(step);
        self
    }

    /// Sends bytes; over UDP, one datagram.
    ///
    /// # Panics
    /// The connection is lost, or not everything was taken in time.
    #[track_caller]
    pub fn send(&mut self, bytes: impl AsRef<[u8]>) -> &mut Self {
        self.step(Step::send(bytes))
    }

    /// Sends a text and CRLF.
    ///
    /// # Panics
    /// As [`Peer::send`].
    #[track_caller]
    pub fn send_line(&mut self, text: impl AsRef<[u8]>) -> &mut Self {
        self.step(Step::send_line(text))
    }

    /// Waits for these bytes somewhere in what is unread, and reads through their end; what came before is skipped.
    ///
    /// # Panics
    /// They did not come in time, or before the end.
    #[track_caller]
    pub fn expect(&mut self, bytes: impl AsRef<[u8]>) -> &mut Self {
        self.step(Step::expect(bytes))
    }

    /// Waits for these bytes, and nothing before them.
    ///
    /// # Panics
    /// Something else came, or they did not come in time.
    #[track_caller]
    pub fn expect_exactly(&mut self, bytes: impl AsRef<[u8]>) -> &mut Self {
        self.step(Step::exactly(bytes))
    }

    /// Waits for this text as the next line, which ends with CRLF or LF.
    ///
    /// # Panics
    /// The next line is another, or did not come in time.
    #[track_caller]
    pub fn expect_line(&mut self, text: impl AsRef<[u8]>) -> &mut Self {
        self.step(Step::line(text))
    }

    /// Waits for something that matches a regex somewhere in what is unread, and reads through its end. Gives its named
    /// parts.
    ///
    /// It is searched in bytes: `^` is where the unread ones begin, `.` any byte but LF, classes are those of ASCII.
    ///
    /// # Panics
    /// The regex is none, or nothing that matches came in time.
    #[track_caller]
    pub fn expect_match(&mut self, pattern: &str) -> Captures {
        self.0.take(Step::pattern(pattern))
    }

    /// Waits for the end of the other side's half, in good order, with nothing unread before it.
    ///
    /// # Panics
    /// Bytes came, or another end, or none in time.
    #[track_caller]
    pub fn expect_close(&mut self) -> &mut Self {
        self.step(Step::Ends(Ending::Close))
    }

    /// Waits for a reset; what is unread is skipped.
    ///
    /// # Panics
    /// Another end came, or none in time.
    #[track_caller]
    pub fn expect_reset(&mut self) -> &mut Self {
        self.step(Step::Ends(Ending::Reset))
    }

    /// Waits for an alert that breaks a TLS connection, by its name in RFC 8446, such as `certificate_required`; without
    /// a name, for any.
    ///
    /// # Panics
    /// Another end came, or none in time.
    #[track_caller]
    pub fn expect_alert(&mut self, name: Option<&str>) -> &mut Self {
        self.step(Step::alert(name))
    }

    /// Waits for so long, in which nothing may come, and with nothing unread before.
    ///
    /// # Panics
    /// Something came.
    #[track_caller]
    pub fn expect_silence(&mut self, length: Duration) -> &mut Self {
        self.step(Step::Silence(length))
    }

    /// Ends our half: the other side reads an end, and what it still sends can be expected.
    ///
    /// # Panics
    /// The connection is lost, or carries datagrams, which have no end.
    #[track_caller]
    pub fn end(&mut self) -> &mut Self {
        self.step(Step::End)
    }

    /// Closes both halves in good order; with TLS, `close_notify` is sent first.
    #[track_caller]
    pub fn close(&mut self) -> &mut Self {
        self.step(Step::Close)
    }

    /// Tears the connection down with a TCP reset.
    ///
    /// # Panics
    /// It is not bare TCP.
    #[track_caller]
    pub fn reset(&mut self) -> &mut Self {
        self.step(Step::Reset)
    }

    /// What is known of the connection: both addresses, and what a TLS handshake came to.
    #[must_use]
    pub fn facts(&self) -> &Facts {
        self.0.facts()
    }

    /// The same peer, for a test that awaits its steps.
    #[must_use]
    pub fn awaited(self) -> AsyncPeer {
        AsyncPeer::of_played(self.0)
    }
}
