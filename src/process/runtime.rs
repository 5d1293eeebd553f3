//! The runtime of a thread.
//! Absent: what runs on it.

use tokio::runtime::{Builder, Runtime};

use crate::error::{Error, Result, Status};

/// A runtime for the current thread: it starts in a fraction of a millisecond, and a connection stays on one CPU.
///
/// # Errors
/// Status 1: the system refuses what it needs.
pub fn current_thread() -> Result<Runtime> {
    Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Error::io(Status::Failure, &error).on("could not start the runtime"))
}
