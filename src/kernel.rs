//! The one place with `unsafe`: taking over a descriptor that our parent left open for us, known by its number alone,
//! waiting for a descriptor, and catching signals for a while. Absent: everything for which a crate has a safe form.
#![allow(unsafe_code, reason = "no safe function does any of it")]

use std::io;
use std::os::fd::{AsFd, BorrowedFd, FromRawFd, OwnedFd};
use std::sync::{Mutex, MutexGuard, OnceLock, TryLockError};

use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, Signal, raise, sigaction};
use rustix::io::{FdFlags, fcntl_getfd, fcntl_setfd};
use rustix::pipe::{PipeFlags, pipe_with};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// Takes over the inherited descriptor `number`; from here on it belongs to the value returned, which closes it.
///
/// What this process opened itself is close-on-exec, as everything that Rust and its libraries open; what a parent
/// left open is not. So a descriptor with that mark is somebody's already, and refused; taking one over sets the mark,
/// and nobody takes it twice. Standard input, output and error (0 to 2) are nobody's to take.
///
/// # Errors
/// `InvalidInput` for 0 to 2 and below, `NotFound`-like system errors where the descriptor is not open, `AlreadyExists`
/// where this process uses it for something else.
pub fn adopt(number: i32) -> io::Result<OwnedFd> {
    if number <= 2 {
        return Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            "0, 1 and 2 are standard input, output and error",
        ));
    }
    // SAFETY: the borrow lasts for this function. A number that is not open, or is closed meanwhile by another thread,
    // makes fcntl(2) fail with EBADF; it does nothing else with it.
    let borrowed = unsafe { BorrowedFd::borrow_raw(number) };
    let flags = fcntl_getfd(borrowed).map_err(|error| match error {
        rustix::io::Errno::BADF => io::Error::new(io::ErrorKind::NotFound, "the descriptor is not open"),
        error => error.into(),
    })?;
    if flags.contains(FdFlags::CLOEXEC) {
        return Err(io::Error::new(
            io::ErrorKind::AlreadyExists,
            "the descriptor was not left open for us",
        ));
    }
    fcntl_setfd(borrowed, flags | FdFlags::CLOEXEC)?;
    // SAFETY: the descriptor is open, and by the argument above nothing else in this process owns it.
    Ok(unsafe { OwnedFd::from_raw_fd(number) })
}

/// Lets the current runtime wait for `descriptor`, which is kept open for as long.
///
/// # Errors
/// The descriptor and what the system says: `PermissionDenied` where it is always ready, as files are.
pub fn watch(descriptor: OwnedFd, interest: Interest) -> Result<AsyncFd<OwnedFd>, (OwnedFd, io::Error)> {
    // SAFETY: the runtime needs the number to stay the same and open until it is deregistered. An `OwnedFd` owns it,
    // nothing here gives it out mutably, and `AsyncFd` deregisters before it drops what it holds.
    unsafe { AsyncFd::register_with_interest(descriptor, interest) }.map_err(|refused| refused.into_parts())
}

/// Where the handler says which signal came: the end that is read, and the other. It is never closed, as a handler may
/// still be about to write.
static CAME: OnceLock<(OwnedFd, OwnedFd)> = OnceLock::new();

/// Held by whoever catches signals: there is one pipe, and one handler before ours.
static CATCHING: Mutex<()> = Mutex::new(());

/// More signals than this at once are no others.
const CAME_MAX: usize = 64;

/// Does what a handler may do and no more: it takes no lock, allocates nothing, and makes one system call.
extern "C" fn note(number: std::ffi::c_int) {
    if let (Some((_, pipe)), Ok(number)) = (CAME.get(), u8::try_from(number)) {
        // A pipe that is full says enough already.
        let _ = rustix::io::write(pipe, &[number]);
    }
}

/// Signals that do nothing but make this readable, for as long as it lives. When it is dropped they mean again what they
/// meant before, and those that came, except for SIGINT, come to that.
pub struct Caught {
    /// What each of them meant.
    before: Vec<(Signal, SigAction)>,
    pipe: &'static OwnedFd,
    _alone: MutexGuard<'static, ()>,
}

/// Catches SIGINT, SIGTERM, SIGHUP and SIGQUIT. What the process was started to ignore stays ignored.
///
/// # Errors
/// `WouldBlock` where somebody does so already; else what the system says.
pub fn catch_ends() -> io::Result<Caught> {
    let alone = match CATCHING.try_lock() {
        Ok(alone) => alone,
        Err(TryLockError::Poisoned(alone)) => alone.into_inner(),
        Err(TryLockError::WouldBlock) => return Err(io::ErrorKind::WouldBlock.into()),
    };
    let (pipe, _) = match CAME.get() {
        Some(ends) => ends,
        None => {
            let ends = pipe_with(PipeFlags::CLOEXEC | PipeFlags::NONBLOCK)?;
            CAME.get_or_init(|| ends)
        }
    };
    let mut caught = Caught {
        before: Vec::new(),
        pipe,
        _alone: alone,
    };
    // What came too late for whoever caught before.
    caught.came();
    let handler = SigAction::new(SigHandler::Handler(note), SaFlags::SA_RESTART, SigSet::empty());
    for signal in [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP, Signal::SIGQUIT] {
        // SAFETY: `note` is sound at any moment in any thread, and does not touch `errno`: the system call that it
        // makes can only fail by the pipe being full, which a few bytes do not make it.
        let before = unsafe { sigaction(signal, &handler) }?;
        if matches!(before.handler(), SigHandler::SigIgn) {
            put_back(signal, &before);
        } else {
            caught.before.push((signal, before));
        }
    }
    Ok(caught)
}

fn is_ours(action: &SigAction) -> bool {
    let ours: extern "C" fn(_) = note;
    matches!(action.handler(), SigHandler::Handler(handler) if std::ptr::fn_addr_eq(handler, ours))
}

/// Unless somebody else has taken the signal from us meanwhile.
fn put_back(signal: Signal, before: &SigAction) {
    // SAFETY: this is what the signal meant before we caught it, for whoever had made that sound; and what is put back
    // in the second step was there a moment ago.
    unsafe {
        if let Ok(ours) = sigaction(signal, before)
            && !is_ours(&ours)
        {
            let _ = sigaction(signal, &ours);
        }
    }
}

impl Caught {
    fn came(&self) -> Vec<u8> {
        let mut came = vec![0; CAME_MAX];
        let count = rustix::io::read(self.pipe, &mut came[..]).unwrap_or(0);
        came.truncate(count);
        came
    }
}

impl AsFd for Caught {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.pipe.as_fd()
    }
}

impl Drop for Caught {
    fn drop(&mut self) {
        for (signal, before) in &self.before {
            put_back(*signal, before);
        }
        let came = self.came();
        for (signal, _) in &self.before {
            if *signal != Signal::SIGINT && came.contains(&(*signal as u8)) {
                let _ = raise(*signal);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::os::fd::{AsRawFd, IntoRawFd};

    use super::*;

    #[test]
    fn an_inherited_descriptor_is_taken_once() {
        let (mut reader, writer) = io::pipe().unwrap();
        fcntl_setfd(&writer, FdFlags::empty()).unwrap();
        let number = OwnedFd::from(writer).into_raw_fd();
        let adopted = adopt(number).unwrap();
        assert_eq!(adopt(number).unwrap_err().kind(), io::ErrorKind::AlreadyExists);
        std::fs::File::from(adopted).write_all(b"x").unwrap();
        let mut got = Vec::new();
        reader.read_to_end(&mut got).unwrap();
        assert_eq!(got, b"x");
    }

    #[test]
    fn what_is_ours_or_not_open_is_refused() {
        let file = tempfile::tempfile().unwrap();
        assert_eq!(
            adopt(file.as_raw_fd()).unwrap_err().kind(),
            io::ErrorKind::AlreadyExists
        );
        assert_eq!(adopt(0).unwrap_err().kind(), io::ErrorKind::InvalidInput);
        assert_eq!(adopt(i32::MAX).unwrap_err().kind(), io::ErrorKind::NotFound);
    }
}
