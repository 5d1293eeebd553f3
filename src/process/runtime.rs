//! The runtime of a thread.
//! Absent: what runs on it.

use std::io;
use std::os::fd::{AsFd, OwnedFd};

use tokio::runtime::{Builder, Runtime};

use crate::error::{Error, Result, Status};

/// Descriptors that a runtime opens: a selector and its copies, a waker, the socket pair that signals arrive on.
const DESCRIPTORS: usize = 8;

/// A runtime for the current thread: it starts in a fraction of a millisecond, and a connection stays on one CPU.
///
/// # Errors
/// Status 1: the system refuses what it needs.
pub fn current_thread() -> Result<Runtime> {
    enough_descriptors()
        .and_then(|()| Builder::new_current_thread().enable_all().build())
        .map_err(|error| Error::io(Status::Failure, &error).on("could not start the runtime"))
}

/// Fails where the runtime would panic: it takes for granted that the descriptors for signals can be had.
fn enough_descriptors() -> io::Result<()> {
    let input = io::stdin();
    // All are held at once, then given back.
    let held: [io::Result<OwnedFd>; DESCRIPTORS] =
        std::array::from_fn(|_| input.as_fd().try_clone_to_owned());
    held.into_iter().try_for_each(|copy| copy.map(drop))
}
