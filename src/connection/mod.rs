//! The two things a wire can be, a stream of bytes or datagrams to and from one peer, and what is known of it.
//! Absent: who opened it, and what will be said on it.

use std::pin::Pin;

pub mod datagram;
pub mod dial;
pub mod facts;
pub mod prefixed;
pub mod proxied;
pub mod pump;
pub mod refusals;
pub mod stream;
pub mod tally;
pub mod tap;

pub use datagram::Datagram;
pub use dial::Dial;
pub use facts::{Address, Facts};
pub use proxied::Proxied;
pub use stream::{Stream, Wire};

/// A boxed future that a task may own.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// An established connection.
#[derive(Debug)]
pub enum Connection {
    /// Bytes in order, each direction ending on its own.
    Stream(Stream),
    /// Whole messages, without an end.
    Datagram(Datagram),
}

impl Connection {
    /// What is known of the connection.
    #[must_use]
    pub fn facts(&self) -> &Facts {
        match self {
            Connection::Stream(stream) => stream.facts(),
            Connection::Datagram(datagram) => datagram.facts(),
        }
    }
}
