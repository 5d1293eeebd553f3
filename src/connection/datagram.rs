//! `Datagram`: whole messages to and from one peer, their edges kept, empty ones too.
//! Absent: streams, and how many peers share the socket below.

use std::fmt;
use std::future::poll_fn;
use std::io;
use std::task::{Context, Poll};

use super::facts::Facts;

/// The largest payload of a UDP datagram over IPv4: 65,535 bytes less the IP and UDP headers (RFC 768).
pub const LARGEST: usize = 65_507;

/// What a datagram connection is made of.
pub trait Messages: Send + 'static {
    /// The next message, copied into `buf`, and its length; what does not fit is cut off. `None`: no more will come.
    fn poll_recv(&mut self, cx: &mut Context<'_>, buf: &mut [u8]) -> Poll<io::Result<Option<usize>>>;

    /// Sends one message whole.
    fn poll_send(&mut self, cx: &mut Context<'_>, message: &[u8]) -> Poll<io::Result<()>>;
}

/// A connection that carries whole messages.
pub struct Datagram {
    messages: Box<dyn Messages>,
    facts: Box<Facts>,
}

impl Datagram {
    /// A connection of `messages`, of which `facts` are known.
    pub fn new(messages: impl Messages, facts: Facts) -> Self {
        Datagram {
            messages: Box::new(messages),
            facts: Box::new(facts),
        }
    }

    /// What is known of the connection.
    #[must_use]
    pub fn facts(&self) -> &Facts {
        &self.facts
    }

    /// Puts something in front of the messages, the facts kept.
    #[must_use]
    pub fn map<T: Messages>(self, layer: impl FnOnce(Box<dyn Messages>) -> T) -> Self {
        Datagram {
            messages: Box::new(layer(self.messages)),
            facts: self.facts,
        }
    }

    /// Waits for the next message. Cancel safe: a message is either returned or still waiting.
    ///
    /// # Errors
    /// What the socket says, for instance that the peer's port is closed.
    pub async fn recv(&mut self, buf: &mut [u8]) -> io::Result<Option<usize>> {
        poll_fn(|cx| self.messages.poll_recv(cx, buf)).await
    }

    /// Sends one message whole.
    ///
    /// # Errors
    /// What the socket says, for instance that the message is too long.
    pub async fn send(&mut self, message: &[u8]) -> io::Result<()> {
        poll_fn(|cx| self.messages.poll_send(cx, message)).await
    }
}

impl Messages for Datagram {
    fn poll_recv(&mut self, cx: &mut Context<'_>, buf: &mut [u8]) -> Poll<io::Result<Option<usize>>> {
        self.messages.poll_recv(cx, buf)
    }

    fn poll_send(&mut self, cx: &mut Context<'_>, message: &[u8]) -> Poll<io::Result<()>> {
        self.messages.poll_send(cx, message)
    }
}

impl Messages for Box<dyn Messages> {
    fn poll_recv(&mut self, cx: &mut Context<'_>, buf: &mut [u8]) -> Poll<io::Result<Option<usize>>> {
        (**self).poll_recv(cx, buf)
    }

    fn poll_send(&mut self, cx: &mut Context<'_>, message: &[u8]) -> Poll<io::Result<()>> {
        (**self).poll_send(cx, message)
    }
}

impl fmt::Debug for Datagram {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Datagram")
            .field("facts", &self.facts)
            .finish_non_exhaustive()
    }
}
