//! The signals that a long run listens to.
//! Absent: what they make it do.

use std::convert::Infallible;
use std::io;
use std::task::Poll;

use rustix::process::{Pid, Signal as Number, getpgrp, kill_process};
use tokio::signal::unix::{self, SignalKind};

/// A signal that came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signal {
    /// SIGINT: the user, at the terminal.
    Interrupt,
    /// SIGTERM: the system, or a script.
    Terminate,
    /// SIGHUP: reopen and reload.
    Hangup,
}

/// The signals of a server. While this lives, and after, they no longer end the process by themselves.
#[derive(Debug)]
pub struct Signals {
    interrupt: unix::Signal,
    terminate: unix::Signal,
    hangup: unix::Signal,
    /// Never asked for: a file that has reached its limit is an error of that write, not the end of the server.
    _file_limit: unix::Signal,
}

impl Signals {
    /// Listens, on the current runtime.
    ///
    /// # Errors
    /// What the system says.
    pub fn new() -> io::Result<Self> {
        Ok(Signals {
            interrupt: unix::signal(SignalKind::interrupt())?,
            terminate: unix::signal(SignalKind::terminate())?,
            hangup: unix::signal(SignalKind::hangup())?,
            _file_limit: file_limit()?,
        })
    }

    /// The next one. Cancel safe.
    pub async fn next(&mut self) -> Signal {
        tokio::select! {
            _ = self.interrupt.recv() => Signal::Interrupt,
            _ = self.terminate.recv() => Signal::Terminate,
            _ = self.hangup.recv() => Signal::Hangup,
        }
    }
}

/// While this lives, and after, a file that has reached its limit is an error of that write.
fn file_limit() -> io::Result<unix::Signal> {
    unix::signal(SignalKind::from_raw(Number::XFSZ.as_raw()))
}

/// For a run that writes a file beside its work: one that has reached its limit no longer ends the process. Where the
/// signal cannot be listened to, it does.
pub fn outlive_file_limit() {
    let _ = file_limit();
}

/// Returns when the user interrupts the run; never, if the signal cannot be listened to.
pub async fn interrupted() {
    match unix::signal(SignalKind::interrupt()) {
        Ok(mut signal) => {
            signal.recv().await;
        }
        // The signal then ends the process as it does by default.
        Err(_) => std::future::pending().await,
    }
}

/// Returns when somebody other than the user at the keyboard wants the process to end: SIGTERM, SIGQUIT, and SIGHUP if
/// that has no other meaning. For those who have something to put back before.
pub async fn told_to_end(hangup_too: bool) {
    let mut kinds = vec![SignalKind::terminate(), SignalKind::quit()];
    if hangup_too {
        kinds.push(SignalKind::hangup());
    }
    // One that cannot be listened to ends the process as it does by default.
    let mut signals: Vec<_> = kinds
        .into_iter()
        .filter_map(|kind| unix::signal(kind).ok())
        .collect();
    std::future::poll_fn(|cx| {
        let came = signals.iter_mut().any(|signal| signal.poll_recv(cx).is_ready());
        if came { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
}

/// Calls `stop` on every SIGTSTP, which no longer stops the process by itself; where the signal cannot be listened to, it
/// does, and nothing is called.
pub async fn on_suspension(stop: impl Fn()) -> Infallible {
    let kind = SignalKind::from_raw(rustix::process::Signal::TSTP.as_raw());
    if let Ok(mut signal) = unix::signal(kind) {
        while signal.recv().await.is_some() {
            stop();
        }
    }
    std::future::pending().await
}

/// Calls `heed` on every SIGHUP, for as long as it is polled; where the signal cannot be listened to, never.
pub async fn on_hangup(mut heed: impl FnMut()) -> Infallible {
    if let Ok(mut signal) = unix::signal(SignalKind::hangup()) {
        while signal.recv().await.is_some() {
            heed();
        }
    }
    std::future::pending().await
}

/// Calls `heed` whenever children have ended, for as long as it is polled; where the signal cannot be listened to, never.
pub async fn on_end_of_child(mut heed: impl FnMut()) -> Infallible {
    if let Ok(mut signal) = unix::signal(SignalKind::child()) {
        while signal.recv().await.is_some() {
            heed();
        }
    }
    std::future::pending().await
}

/// Sends a signal to another process.
///
/// # Errors
/// What the system says: it may have ended.
pub fn send(pid: u32, signal: Signal) -> io::Result<()> {
    let number = match signal {
        Signal::Interrupt => Number::INT,
        Signal::Terminate => Number::TERM,
        Signal::Hangup => Number::HUP,
    };
    let pid = i32::try_from(pid).ok().and_then(Pid::from_raw);
    let pid = pid.ok_or(io::ErrorKind::InvalidInput)?;
    Ok(kill_process(pid, number)?)
}

/// Whether the keys of a terminal are heard by us, and so by all programs of our process group: we are in its foreground.
#[must_use]
pub fn come_from_terminal() -> bool {
    let terminal = std::fs::File::open("/dev/tty");
    terminal.is_ok_and(|terminal| rustix::termios::tcgetpgrp(terminal).is_ok_and(|group| group == getpgrp()))
}
