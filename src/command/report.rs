//! The report that a verb was asked for, on standard output.
//! Absent: what it says.

use std::io::{self, Write};

use netkit::error::{Error, Result, Status};

/// Writes a report; a reader that has seen enough is no failure.
pub(super) fn print(report: &[u8]) -> Result<Status> {
    let mut out = io::stdout().lock();
    printed(out.write_all(report).and_then(|()| out.flush()))
}

/// What came of writing to standard output.
pub(crate) fn printed(written: io::Result<()>) -> Result<Status> {
    match written {
        Ok(()) => Ok(Status::Done),
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(Status::Done),
        Err(error) => Err(Error::io(Status::Failure, &error).on("could not write standard output")),
    }
}

/// Says on standard error what belongs to a report and is none of it. It may be closed; there is nowhere left to say so.
pub(super) fn say(text: &str) {
    let _ = io::stderr().lock().write_all(text.as_bytes());
}
