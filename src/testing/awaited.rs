//! `AsyncPeer`: one end of a connection, played by a test whose thread has other work meanwhile.
//! Absent: the steps themselves, which are those of `Peer`.

use std::fmt;
use std::future::Future;
use std::panic::Location;
use std::time::Duration;

use super::captures::Captures;
use super::peer::Played;
use super::talker::{Step, Talker};
use super::thread::wait;
use crate::connection::Facts;
use crate::error::Result;
use crate::script::play::conversation::Ending;

/// A [`Peer`](super::Peer) whose steps are awaited: for a `#[tokio::test]` in which the other side runs on the same thread.
///
/// The connection lives on a thread of its own, so any runtime will do, and a clock that is paused does not stop it. The
/// message of a step that fails begins with the line of the test. A step that is not awaited does nothing; one that is
/// dropped has read nothing unless it was done.
pub struct AsyncPeer(Played);

impl fmt::Debug for AsyncPeer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "AsyncPeer({:?})", self.0)
    }
}

impl AsyncPeer {
    /// As [`Peer::connect`](super::Peer::connect).
    #[track_caller]
    pub fn connect(endpoint: impl AsRef<str>) -> impl Future<Output = Self> + Send {
        let at = Location::caller();
        let connecting = AsyncPeer::try_connect(endpoint);
        async move {
            match connecting.await {
                Ok(peer) => peer,
                Err(error) => panic!("{at}: {error}"),
            }
        }
    }

    /// As [`Peer::try_connect`](super::Peer::try_connect).
    ///
    /// # Errors
    /// The same.
    pub fn try_connect(endpoint: impl AsRef<str>) -> impl Future<Output = Result<Self>> + Send {
        let endpoint = endpoint.as_ref().to_owned();
        async move {
            let talker = wait(Talker::connect(endpoint)).await?;
            Ok(AsyncPeer(Played::of(talker)))
        }
    }

    pub(super) fn of_played(played: Played) -> Self {
        AsyncPeer(played)
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
    fn step(&mut self, step: Step) -> impl Future<Output = ()> + Send + '_ {
        let at = Location::caller();
        async move {
            let _ = self.0.take_at(step, at).await;
        }
    }

    /// As [`Peer::send`](super::Peer::send).
    #[track_caller]
    pub fn send(&mut self, bytes: impl AsRef<[u8]>) -> impl Future<Output = ()> + Send + '_ {
        self.step(Step::send(bytes))
    }

    /// As [`Peer::send_line`](super::Peer::send_line).
    #[track_caller]
    pub fn send_line(&mut self, text: impl AsRef<[u8]>) -> impl Future<Output = ()> + Send + '_ {
        self.step(Step::send_line(text))
    }

    /// As [`Peer::expect`](super::Peer::expect).
    #[track_caller]
    pub fn expect(&mut self, bytes: impl AsRef<[u8]>) -> impl Future<Output = ()> + Send + '_ {
        self.step(Step::expect(bytes))
    }

    /// As [`Peer::expect_exactly`](super::Peer::expect_exactly).
    #[track_caller]
    pub fn expect_exactly(&mut self, bytes: impl AsRef<[u8]>) -> impl Future<Output = ()> + Send + '_ {
        self.step(Step::exactly(bytes))
    }

    /// As [`Peer::expect_line`](super::Peer::expect_line).
    #[track_caller]
    pub fn expect_line(&mut self, text: impl AsRef<[u8]>) -> impl Future<Output = ()> + Send + '_ {
        self.step(Step::line(text))
    }

    /// As [`Peer::expect_match`](super::Peer::expect_match).
    #[track_caller]
    pub fn expect_match(&mut self, pattern: &str) -> impl Future<Output = Captures> + Send + '_ {
        let at = Location::caller();
        let step = Step::pattern(pattern);
        async move { self.0.take_at(step, at).await }
    }

    /// As [`Peer::expect_close`](super::Peer::expect_close).
    #[track_caller]
    pub fn expect_close(&mut self) -> impl Future<Output = ()> + Send + '_ {
        self.step(Step::Ends(Ending::Close))
    }

    /// As [`Peer::expect_reset`](super::Peer::expect_reset).
    #[track_caller]
    pub fn expect_reset(&mut self) -> impl Future<Output = ()> + Send + '_ {
        self.step(Step::Ends(Ending::Reset))
    }

    /// As [`Peer::expect_alert`](super::Peer::expect_alert).
    #[track_caller]
    pub fn expect_alert(&mut self, name: Option<&str>) -> impl Future<Output = ()> + Send + '_ {
        self.step(Step::alert(name))
    }

    /// As [`Peer::expect_silence`](super::Peer::expect_silence).
    #[track_caller]
    pub fn expect_silence(&mut self, length: Duration) -> impl Future<Output = ()> + Send + '_ {
        self.step(Step::Silence(length))
    }

    /// As [`Peer::end`](super::Peer::end).
    #[track_caller]
    pub fn end(&mut self) -> impl Future<Output = ()> + Send + '_ {
        self.step(Step::End)
    }

    /// As [`Peer::close`](super::Peer::close).
    #[track_caller]
    pub fn close(&mut self) -> impl Future<Output = ()> + Send + '_ {
        self.step(Step::Close)
    }

    /// As [`Peer::reset`](super::Peer::reset).
    #[track_caller]
    pub fn reset(&mut self) -> impl Future<Output = ()> + Send + '_ {
        self.step(Step::Reset)
    }

    /// What is known of the connection.
    #[must_use]
    pub fn facts(&self) -> &Facts {
        self.0.facts()
    }
}
