//! What the end of the one connection means for a run that is about nothing else.
//! Absent: runs that serve many, where one that fails is no matter of the rest.

use std::io;
use std::sync::{Mutex, PoisonError};

use crate::error::{Error, Result, Status, reason};

/// How it ended, once it has.
#[derive(Debug, Default)]
pub(super) struct Sole(Mutex<Option<Result<Status>>>);

impl Sole {
    pub(super) fn end(&self, result: &io::Result<()>) {
        let Err(error) = result else { return };
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(meaning(error));
    }

    /// The status of the run, or the error that is to be told.
    pub(super) fn result(&self) -> Result<Status> {
        let ended = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        ended.unwrap_or(Ok(Status::Done))
    }
}

/// An error of ours has been told when it happened, and has its status; any other one was the connection's.
fn meaning(error: &io::Error) -> Result<Status> {
    if let Some(own) = error.get_ref().and_then(|inner| inner.downcast_ref::<Error>()) {
        return Ok(own.status());
    }
    let status = match error.kind() {
        io::ErrorKind::TimedOut => Status::Timeout,
        _ => Status::Lost,
    };
    Err(Error::new(status, reason(error)).on("the connection was not forwarded to its end"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_failure_is_the_status() {
        let after = |result| {
            let sole = Sole::default();
            sole.end(&result);
            sole.result().map_err(|error| error.status())
        };
        assert_eq!(after(Ok(())), Ok(Status::Done));
        let told = Error::new(Status::Connect, "refused");
        assert_eq!(after(Err(io::Error::other(told))), Ok(Status::Connect));
        assert_eq!(after(Err(io::ErrorKind::TimedOut.into())), Err(Status::Timeout));
        assert_eq!(
            after(Err(io::ErrorKind::ConnectionReset.into())),
            Err(Status::Lost)
        );
    }
}
