//! What the end of the one connection means for a run that is about nothing else.
//! Absent: runs that serve many, where one that fails is no matter of the rest.

use std::io;
use std::sync::{Mutex, PoisonError};

use crate::error::{Error, Result, Status, reason};

/// How it ended, once it has.
#[derive(Debug, Default)]
pub(super) struct Sole(Mutex<Option<Result<Status>>>);

impl Sole {
    /// That the connection of `peer` came to this.
    pub(super) fn end(&self, peer: &str, result: &io::Result<()>) {
        let Err(error) = result else { return };
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(Err(meaning(peer, error)));
    }

    /// The status of the run, or the error that is to be told.
    pub(super) fn result(&self) -> Result<Status> {
        let ended = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        ended.unwrap_or(Ok(Status::Done))
    }
}

/// An error of ours says what went wrong; any other one was the connection's.
fn meaning(peer: &str, error: &io::Error) -> Error {
    if let Some(own) = error.get_ref().and_then(|inner| inner.downcast_ref::<Error>()) {
        return own.clone();
    }
    let status = match error.kind() {
        io::ErrorKind::TimedOut => Status::Timeout,
        _ => Status::Lost,
    };
    Error::new(status, reason(error)).on(format!("the connection from {peer} was not forwarded to its end"))
}

#[cfg(test)]
mod tests {
    use rustix::io::Errno;

    use super::*;

    #[test]
    fn the_failure_is_that_of_the_run() {
        let after = |result| {
            let sole = Sole::default();
            sole.end("192.0.2.1:5", &result);
            sole.result().map_err(|error| (error.status(), error.to_string()))
        };
        assert_eq!(after(Ok(())), Ok(Status::Done));
        let own = Error::new(Status::Connect, "refused").on("could not connect to tcp:x:1");
        assert_eq!(
            after(Err(io::Error::other(own.clone()))),
            Err((Status::Connect, own.to_string()))
        );
        let lost =
            "the connection from 192.0.2.1:5 was not forwarded to its end: connection reset by the peer";
        assert_eq!(
            after(Err(Errno::CONNRESET.into())),
            Err((Status::Lost, lost.to_owned()))
        );
        let late = after(Err(io::ErrorKind::TimedOut.into()));
        assert!(matches!(late, Err((Status::Timeout, _))), "{late:?}");
    }
}
