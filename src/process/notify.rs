//! What the service manager is told, where `NOTIFY_SOCKET` says that there is one (sd_notify(3)).
//! Absent: a failure when nobody listens; a server serves all the same.

use std::time::Duration;

use sd_notify::NotifyState;
use tracing::debug;

/// Everything is bound, clients may come.
pub fn ready() {
    tell(&[NotifyState::Ready]);
}

/// Nothing more is accepted.
pub fn stopping() {
    tell(&[NotifyState::Stopping]);
}

/// Logs and the like are read anew; [`ready`] follows.
pub fn reloading() {
    match NotifyState::monotonic_usec_now() {
        Ok(now) => tell(&[NotifyState::Reloading, now]),
        Err(error) => debug!("could not read the clock for the service manager: {error}"),
    }
}

/// Whether there is anybody to tell.
#[must_use]
pub fn is_heard() -> bool {
    std::env::var_os("NOTIFY_SOCKET").is_some_and(|socket| !socket.is_empty())
}

/// A line for people, about how it goes.
pub fn status(line: &str) {
    tell(&[NotifyState::Status(line)]);
}

/// We are alive.
pub fn watchdog() {
    tell(&[NotifyState::Watchdog]);
}

/// The time without a word after which we are taken for hung, where somebody watches.
#[must_use]
pub fn watchdog_limit() -> Option<Duration> {
    sd_notify::watchdog_enabled().filter(|limit| is_heard() && !limit.is_zero())
}

fn tell(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        debug!("could not tell the service manager: {error}");
    }
}
