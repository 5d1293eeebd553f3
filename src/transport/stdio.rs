//! The `stdio` endpoint: standard input and output as one connection; and what `connect` and `listen` have as their own
//! end.
//! Absent: terminals' line editing.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::task::{Context, Poll};

use rustix::stdio::{stdin, stdout};

use super::descriptor::{Input, Output, length_left};
use super::given::Given;
use super::{Accept, Binder, Bound, ClientRole, Connector, Incoming, Listener, ServerRole, Stage, Transport};
use crate::connection::{Address, BoxFuture, Connection, Facts, Stream};
use crate::error::{Error, Result, Status};

/// The table entry.
pub(super) static STDIO: Transport = Transport {
    name: "stdio",
    summary: "standard input and output, as one connection",
    client: Some(ClientRole {
        params: &[],
        examples: &["stdio"],
        connector: |_| Ok(Box::new(Stdio)),
    }),
    server: Some(ServerRole {
        params: &[],
        examples: &["stdio"],
        binder: |_| Ok(Box::new(Stdio)),
    }),
};

/// Standard input and output. Shutting it down closes standard output.
///
/// # Errors
/// What the system says, as when one of them is closed.
pub fn stream() -> io::Result<Stream> {
    let given = Given::new(Input::new(stdin())?, Output::new(stdout())?);
    Ok(Stream::new(given, Facts::new(Address::Stdio, Address::Stdio)))
}

/// Standard output alone: there is no input, and nothing is read of the standard one.
///
/// # Errors
/// What the system says, as when it is closed.
pub fn stream_without_input() -> io::Result<Stream> {
    let given = Given::without_input(Output::new(stdout())?);
    Ok(Stream::new(given, Facts::new(Address::Stdio, Address::Stdio)))
}

/// Bytes that are left in the file on standard input; `None` where it is no file.
#[must_use]
pub fn input_length() -> Option<u64> {
    length_left(stdin())
}

#[derive(Debug)]
struct Stdio;

impl Connector for Stdio {
    fn connect<'a>(&'a self, _: Option<&'a Facts>) -> BoxFuture<'a, Result<Connection>> {
        let stream = stream().map_err(|error| Error::io(Status::Connect, &error));
        Box::pin(std::future::ready(stream.map(Connection::Stream)))
    }
}

impl Binder for Stdio {
    fn bind(&self) -> Result<Box<dyn Bound>> {
        /// There is one standard input, however many endpoints name it.
        static BOUND: AtomicBool = AtomicBool::new(false);
        if BOUND.swap(true, Relaxed) {
            return Err(Error::new(
                Status::Bind,
                "standard input and output are in use already",
            ));
        }
        Ok(Box::new(Once::default()))
    }
}

/// There is one connection, whichever worker takes it.
#[derive(Default)]
struct Once {
    taken: AtomicBool,
}

impl Bound for Once {
    fn endpoint(&self) -> String {
        "stdio".into()
    }

    fn listen(&self) -> io::Result<Listener> {
        let stream = if self.taken.swap(true, Relaxed) {
            None
        } else {
            Some(stream()?)
        };
        Ok(Listener::Connections(Box::new(One(stream))))
    }
}

struct One(Option<Stream>);

impl Accept for One {
    fn poll_accept(&mut self, _: &mut Context<'_>) -> Poll<io::Result<Option<Incoming>>> {
        let incoming = self.0.take().map(|stream| Incoming {
            peer: Address::Stdio,
            stage: Stage::Established(Connection::Stream(stream)),
        });
        Poll::Ready(Ok(incoming))
    }
}
