//! What the service manager is told, where `NOTIFY_SOCKET` says that there is one (sd_notify(3)).
//! Absent: a failure when nobody listens; a server serves all the same.

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

fn tell(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        debug!("could not tell the service manager: {error}");
    }
}
