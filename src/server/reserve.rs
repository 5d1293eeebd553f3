//! Descriptors that are held for nothing, so that there are some for who asks how it goes when all others are in use.
//! Absent: who asks.

use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixDatagram;
use std::sync::atomic::{AtomicBool, Ordering::Acquire, Ordering::Release};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use rustix::io::Errno;
use rustix::process::{Resource, getrlimit};

use crate::transport::{Accept, Incoming};

/// At most so many are held.
const MOST: usize = 8;

/// Of so many descriptors, one is held.
const ONE_OF: u64 = 16;

/// The descriptors. Who lends one out has it free for a moment; whoever else accepts asks [`Reserve::refill`] before, and
/// so leaves it alone.
#[derive(Debug)]
pub struct Reserve {
    /// What they are made of; `None` where there was no descriptor even for that.
    pattern: Option<OwnedFd>,
    /// As many as there are when it is whole.
    size: usize,
    held: Mutex<Vec<OwnedFd>>,
    /// Some are lent. So that asking costs no lock.
    lent: AtomicBool,
}

impl Reserve {
    /// Some of those that the process may have: more where it may have many.
    #[must_use]
    pub fn new() -> Self {
        let limit = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
        Reserve::of(usize::try_from(limit / ONE_OF).unwrap_or(MOST).clamp(1, MOST))
    }

    /// So many, or fewer where there are not so many any more.
    #[must_use]
    pub fn of(size: usize) -> Self {
        let pattern = UnixDatagram::unbound().ok().map(OwnedFd::from);
        let made = (0..size).map_while(|_| pattern.as_ref()?.try_clone().ok());
        let held: Vec<OwnedFd> = made.collect();
        Reserve {
            pattern,
            size: held.len(),
            held: Mutex::new(held),
            lent: AtomicBool::new(false),
        }
    }

    /// Closes one, so that its number is free. `false` where none is left.
    #[must_use]
    pub fn lend(&self) -> bool {
        let mut held = self.locked();
        // Before it is free: whoever asks from now on hears of it.
        self.lent.store(true, Release);
        held.pop().is_some()
    }

    /// Has back what was lent, as far as the system has room; says whether all are held.
    pub fn refill(&self) -> bool {
        if !self.lent.load(Acquire) {
            return true;
        }
        let mut held = self.locked();
        while held.len() < self.size {
            match self.pattern.as_ref().map(OwnedFd::try_clone) {
                Some(Ok(another)) => held.push(another),
                Some(Err(_)) | None => return false,
            }
        }
        self.lent.store(false, Release);
        true
    }

    fn locked(&self) -> MutexGuard<'_, Vec<OwnedFd>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for Reserve {
    fn default() -> Self {
        Reserve::new()
    }
}

/// A listener that takes nobody in while some of the reserve are lent.
pub(super) struct Behind {
    listener: Box<dyn Accept>,
    reserve: Arc<Reserve>,
}

impl Behind {
    pub(super) fn new(listener: Box<dyn Accept>, reserve: Arc<Reserve>) -> Self {
        Behind { listener, reserve }
    }
}

impl Accept for Behind {
    fn poll_accept(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Option<Incoming>>> {
        if !self.reserve.refill() {
            return Poll::Ready(Err(Errno::MFILE.into()));
        }
        self.listener.poll_accept(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_lent_comes_back() {
        let reserve = Reserve::of(2);
        assert!(reserve.refill());
        assert!(reserve.lend());
        assert!(reserve.lend());
        assert!(!reserve.lend());
        assert!(reserve.refill());
        assert_eq!(reserve.locked().len(), 2);
    }
}
