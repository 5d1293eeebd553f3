//! Going into the background: a child that binds, and a parent that waits until it serves and ends as it did.
//! Absent: what comes between; see `command/daemon.rs` for the order of all steps.

use std::fs::File;
use std::io::{self, PipeReader, PipeWriter, Read, Write};

use rustix::process::{
    Pid, Signal, WaitOptions, getpid, getppid, set_parent_process_death_signal, setsid, waitpid,
};

use crate::error::{Error, Result, Status};
use crate::kernel;

/// Which of the two processes this is.
#[derive(Debug)]
pub enum Side {
    /// The one that was started. The child serves, and this is to end with the status; or the child has failed, and has
    /// said so.
    Parent(Status),
    /// The one that is to serve.
    Child(Detaching),
}

/// A child that still has its parent's session, terminal and standard error, to ask and to complain.
#[derive(Debug)]
pub struct Detaching {
    told: PipeWriter,
    /// Opened when it can be found: another root need not have one.
    null: File,
}

/// Goes on in a child. It stays in the session at first, so that passphrases can be asked for and an interrupt at the
/// terminal ends both.
///
/// There is no second fork, which would keep the child from ever having a terminal again: its number would change, and
/// pid files and the locks of sockets bear it. Instead it opens nothing that could become its terminal.
///
/// # Errors
/// Status 1: what the system says, and a child that was killed before it served.
pub fn fork() -> Result<Side> {
    let failed = |error: io::Error| Error::io(Status::Failure, &error).on("could not start the daemon");
    let null = File::options()
        .read(true)
        .write(true)
        .open("/dev/null")
        .map_err(|error| Error::io(Status::Failure, &error).on("could not open /dev/null"))?;
    let (hears, told) = io::pipe().map_err(failed)?;
    let parent = getpid();
    match kernel::fork().map_err(failed)? {
        Some(child) => {
            drop(told);
            wait(child, hears).map(Side::Parent)
        }
        None => {
            // Nobody waits for a start whose parent was ended.
            set_parent_process_death_signal(Some(Signal::TERM)).map_err(|error| failed(error.into()))?;
            if getppid() != Some(parent) {
                return Err(abandoned());
            }
            Ok(Side::Child(Detaching { told, null }))
        }
    }
}

/// Waits until the child serves, or has ended.
fn wait(child: Pid, mut hears: PipeReader) -> Result<Status> {
    if hears.read_exact(&mut [0]).is_ok() {
        return Ok(Status::Done);
    }
    // The pipe ends with the child.
    let ended = loop {
        match waitpid(Some(child), WaitOptions::empty()) {
            Ok(Some((_, ended))) => break ended,
            Ok(None) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => {
                return Err(Error::io(Status::Failure, &error.into()).on("could not wait for the daemon"));
            }
        }
    };
    if let Some(code) = ended.exit_status() {
        let known = Status::ALL
            .into_iter()
            .find(|status| i32::from(status.code()) == code);
        return Ok(known.unwrap_or(Status::Failure));
    }
    let why = match ended.terminating_signal() {
        Some(signal) => format!("it was ended by signal {signal}"),
        None => "it has ended".into(),
    };
    Err(Error::new(Status::Failure, why).on("could not start the daemon"))
}

fn abandoned() -> Error {
    Error::new(Status::Failure, "who started it is gone").on("could not start the daemon")
}

fn not_detached(error: io::Error) -> Error {
    Error::io(Status::Failure, &error).on("could not detach the daemon")
}

/// Closes what was left open for somebody else, a lock or a secret of the caller's say. All that was left open for us has
/// to be taken over by now, and the root to be the old one, which has /proc.
///
/// # Errors
/// Status 1: what the system says.
pub fn close_inherited() -> Result<()> {
    let closed = kernel::close_inherited().map(drop);
    closed.map_err(|error| Error::io(Status::Failure, &error).on("could not close what was left open"))
}

impl Detaching {
    /// Leaves the session and its terminal, and the standard descriptors; then lets the parent go. Everything has to be
    /// bound and told by now.
    ///
    /// # Errors
    /// Status 1: what the system says, and a parent that is gone.
    pub fn detach(self) -> Result<()> {
        let failed = |error: rustix::io::Errno| not_detached(error.into());
        setsid().map_err(failed)?;
        set_parent_process_death_signal(None).map_err(failed)?;
        let Detaching { mut told, null } = self;
        rustix::stdio::dup2_stdin(&null).map_err(failed)?;
        rustix::stdio::dup2_stdout(&null).map_err(failed)?;
        rustix::stdio::dup2_stderr(&null).map_err(failed)?;
        drop(null);
        // Last: whoever waits for the parent, and for the end of what it wrote, gets both.
        told.write_all(b"!").map_err(|_gone| abandoned())
    }
}
