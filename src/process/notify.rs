//! What the service manager is told, where `NOTIFY_SOCKET` says that there is one (sd_notify(3)).
//! Absent: a failure when nobody listens; a server serves all the same.

use std::env;
use std::ffi::OsStr;
use std::fmt::Write;
use std::io;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::sync::OnceLock;
use std::time::Duration;

use sd_notify::NotifyState;
use tracing::debug;

/// The way to the service manager from another root, or as another user.
static CONNECTED: OnceLock<UnixDatagram> = OnceLock::new();

/// Connects now what is connected for each message otherwise: the process is about to go where the socket is not.
pub fn connect() {
    let Some(name) = env::var_os("NOTIFY_SOCKET") else {
        return;
    };
    match connected(&name) {
        Ok(socket) => drop(CONNECTED.set(socket)),
        Err(error) => debug!("could not connect to the service manager: {error}"),
    }
}

fn connected(name: &OsStr) -> io::Result<UnixDatagram> {
    let socket = UnixDatagram::unbound()?;
    match name.as_bytes().strip_prefix(b"@") {
        Some(name) => socket.connect_addr(&SocketAddr::from_abstract_name(name)?)?,
        None => socket.connect(name)?,
    }
    Ok(socket)
}

/// We are the process to watch, though another one was started.
pub fn main_process() {
    tell(&[NotifyState::MainPid(std::process::id())]);
}

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
    let told = match CONNECTED.get() {
        Some(socket) => {
            let text = states.iter().fold(String::new(), |mut text, state| {
                let _ = writeln!(text, "{state}");
                text
            });
            socket.send(text.as_bytes()).map(drop)
        }
        None => sd_notify::notify(states),
    };
    if let Err(error) = told {
        debug!("could not tell the service manager: {error}");
    }
}
