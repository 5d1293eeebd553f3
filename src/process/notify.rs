//! What the service manager is told, where `NOTIFY_SOCKET` says that there is one (sd_notify(3)).
//! Absent: a failure when nobody listens; a server serves all the same, and waits for nobody.

use std::collections::VecDeque;
use std::env;
use std::ffi::{OsStr, OsString};
use std::fmt::Write;
use std::io;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::sync::{Mutex, MutexGuard, Once, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use rustix::io::{Errno, retry_on_intr};
use rustix::net::{SendFlags, send};
use sd_notify::NotifyState;
use tracing::{debug, warn};

use crate::diagnostic::quoted;
use crate::error::reason;

/// The way to the service manager.
struct Way {
    /// It stays open in another root, as another user and in the sandbox.
    socket: Option<UnixDatagram>,
    /// The last message did not arrive, and that was said.
    failing: bool,
    /// What it did not take at once, in order. A thread sees to it for as long as there is anything.
    waiting: VecDeque<(String, Instant)>,
}

static WAY: Mutex<Way> = Mutex::new(Way {
    socket: None,
    failing: false,
    waiting: VecDeque::new(),
});

/// A service manager that reads nothing for so long misses what it was to hear.
const PATIENCE: Duration = Duration::from_secs(1);

/// Between two attempts.
const PAUSE: Duration = Duration::from_millis(10);

/// More messages do not wait; the oldest is missed first.
const WAITING_MAX: usize = 16;

/// Connects now what is connected for the first message otherwise: the process is about to go where the socket is not.
pub fn connect() {
    let Some(name) = name() else { return };
    match connected(&name) {
        Ok(socket) => way().socket = Some(socket),
        Err(error) => debug!("could not connect to the service manager: {}", reason(&error)),
    }
}

/// Where the service manager listens.
fn name() -> Option<OsString> {
    static SAID: Once = Once::new();
    let name = env::var_os("NOTIFY_SOCKET").filter(|name| !name.is_empty())?;
    if name.as_bytes().starts_with(b"vsock:") {
        SAID.call_once(|| {
            warn!(
                "the service manager is not told: NOTIFY_SOCKET is {}, and only UNIX sockets are supported",
                quoted(&name.to_string_lossy())
            );
        });
        return None;
    }
    Some(name)
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

/// We are the process to watch, though another one was started. It is waited for; nothing is served yet.
pub fn main_process() {
    let _ = tell_with(&[NotifyState::MainPid(std::process::id())], SendFlags::empty());
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
    // It would overtake them.
    way().waiting.is_empty() && tell_with(&[NotifyState::Status(line)], SendFlags::DONTWAIT)
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

/// In order, and without holding up the caller: what is not taken at once is tried again elsewhere.
fn tell(states: &[NotifyState<'_>]) {
    let Some(name) = name() else { return };
    let text = text(states);
    let mut way = way();
    let others_wait = !way.waiting.is_empty();
    if !others_wait && way.send(&name, &text, SendFlags::DONTWAIT) {
        return;
    }
    if way.waiting.len() == WAITING_MAX {
        way.waiting.pop_front();
    }
    way.waiting.push_back((text, Instant::now()));
    if !others_wait {
        let thread = thread::Builder::new().name("notify".into());
        if thread.spawn(move || see_to_those_who_wait(&name)).is_err() {
            way.waiting.clear();
        }
    }
}

/// Ends when none waits any more, each for [`PATIENCE`] at most.
fn see_to_those_who_wait(name: &OsStr) {
    loop {
        thread::sleep(PAUSE);
        let mut way = way();
        while let Some((text, since)) = way.waiting.pop_front() {
            if !way.send(name, &text, SendFlags::DONTWAIT) && since.elapsed() < PATIENCE {
                way.waiting.push_front((text, since));
                break;
            }
        }
        if way.waiting.is_empty() {
            return;
        }
    }
}

/// Whether no other attempt is worth it: it is told, or nobody is there.
fn tell_with(states: &[NotifyState<'_>], flags: SendFlags) -> bool {
    let Some(name) = name() else { return true };
    way().send(&name, &text(states), flags)
}

fn way() -> MutexGuard<'static, Way> {
    WAY.lock().unwrap_or_else(PoisonError::into_inner)
}

fn text(states: &[NotifyState<'_>]) -> String {
    states.iter().fold(String::new(), |mut text, state| {
        let _ = writeln!(text, "{state}");
        text
    })
}

impl Way {
    /// Whether no other attempt is worth it.
    fn send(&mut self, name: &OsStr, text: &str, flags: SendFlags) -> bool {
        let sent = |socket: &UnixDatagram| {
            // A signal is no sign that nobody listens.
            retry_on_intr(|| send(socket, text.as_bytes(), flags | SendFlags::NOSIGNAL)).map(drop)
        };
        let told = match self.socket.as_ref().map(sent) {
            Some(Ok(())) => Ok(()),
            // It is there, and busy.
            Some(Err(Errno::AGAIN)) => Err(Errno::AGAIN.into()),
            // There is none yet, or whoever listened has gone; another one may listen under that name by now.
            None | Some(Err(_)) => connected(name).and_then(|socket| {
                let told = sent(&socket).map_err(io::Error::from);
                self.socket = Some(socket);
                told
            }),
        };
        let before = std::mem::replace(&mut self.failing, told.is_err());
        let Err(error) = told else { return true };
        // A watchdog would have it said many times a second.
        if !before {
            debug!("could not tell the service manager: {}", reason(&error));
        }
        error.kind() != io::ErrorKind::WouldBlock
    }
}
