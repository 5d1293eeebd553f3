//! What the service manager is told, where `NOTIFY_SOCKET` says that there is one (sd_notify(3)).
//! Absent: a failure when nobody listens; a server serves all the same, and waits for nobody.

use std::env;
use std::ffi::{OsStr, OsString};
use std::fmt::Write;
use std::io;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use rustix::io::Errno;
use rustix::net::{SendFlags, send};
use sd_notify::NotifyState;
use tracing::debug;

use crate::error::reason;

/// The way to the service manager.
struct Way {
    /// It stays open in another root, as another user and in the sandbox.
    socket: Option<UnixDatagram>,
    /// The last message did not arrive, and that was said.
    failing: bool,
}

static WAY: Mutex<Way> = Mutex::new(Way {
    socket: None,
    failing: false,
});

/// A service manager that reads nothing for so long misses what it was to hear.
const PATIENCE: Duration = Duration::from_secs(1);

/// Connects now what is connected for the first message otherwise: the process is about to go where the socket is not.
pub fn connect() {
    let Some(name) = name() else { return };
    match connected(&name) {
        Ok(socket) => WAY.lock().unwrap_or_else(PoisonError::into_inner).socket = Some(socket),
        Err(error) => debug!("could not connect to the service manager: {}", reason(&error)),
    }
}

/// Where the service manager listens.
fn name() -> Option<OsString> {
    env::var_os("NOTIFY_SOCKET").filter(|name| !name.is_empty())
}

fn connected(name: &OsStr) -> io::Result<UnixDatagram> {
    let socket = UnixDatagram::unbound()?;
    match name.as_bytes().strip_prefix(b"@") {
        Some(name) => socket.connect_addr(&SocketAddr::from_abstract_name(name)?)?,
        None => socket.connect(name)?,
    }
    socket.set_write_timeout(Some(PATIENCE))?;
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
    name().is_some()
}

/// A line for people, about how it goes. Nobody waits for it: where it cannot be taken at once, this says `false`, and
/// it is worth another attempt.
#[must_use]
pub fn status(line: &str) -> bool {
    tell_with(&[NotifyState::Status(line)], SendFlags::DONTWAIT)
}

/// We are alive. Whoever has not even taken the last such word has not missed this one.
pub fn watchdog() {
    let _ = tell_with(&[NotifyState::Watchdog], SendFlags::DONTWAIT);
}

/// The time without a word after which this process is taken for hung, where somebody watches it. A child of it is
/// another one.
#[must_use]
pub fn watchdog_limit() -> Option<Duration> {
    sd_notify::watchdog_enabled().filter(|limit| is_heard() && !limit.is_zero())
}

fn tell(states: &[NotifyState<'_>]) {
    let _ = tell_with(states, SendFlags::empty());
}

/// Whether no other attempt is worth it: it is told, or nobody is there.
fn tell_with(states: &[NotifyState<'_>], flags: SendFlags) -> bool {
    let Some(name) = name() else { return true };
    let text = states.iter().fold(String::new(), |mut text, state| {
        let _ = writeln!(text, "{state}");
        text
    });
    let sent = |socket: &UnixDatagram| send(socket, text.as_bytes(), flags | SendFlags::NOSIGNAL).map(drop);
    let mut way = WAY.lock().unwrap_or_else(PoisonError::into_inner);
    let told = match way.socket.as_ref().map(sent) {
        Some(Ok(())) => Ok(()),
        // It is there, and busy.
        Some(Err(Errno::AGAIN)) => Err(Errno::AGAIN.into()),
        // There is none yet, or whoever listened has gone; another one may listen under that name by now.
        None | Some(Err(_)) => connected(&name).and_then(|socket| {
            let told = sent(&socket).map_err(io::Error::from);
            way.socket = Some(socket);
            told
        }),
    };
    let before = std::mem::replace(&mut way.failing, told.is_err());
    let Err(error) = told else { return true };
    // A watchdog would have it said many times a second.
    if !before {
        debug!("could not tell the service manager: {}", reason(&error));
    }
    error.kind() != io::ErrorKind::WouldBlock
}
