//! `Datagram`: whole messages to and from one peer, their edges kept, empty ones too.
//! Absent: streams, and how many peers share the socket below.

use std::any::Any;
use std::fmt;
use std::future::poll_fn;
use std::io;
use std::sync::Arc;
use std::task::{Context, Poll};

use super::facts::Facts;
use super::tally::Tally;
use super::tap::count::Count;

/// The largest payload of a UDP datagram over IPv4: 65,535 bytes less the IP and UDP headers (RFC 768).
pub const LARGEST: usize = 65_507;

/// Bytes to receive a datagram in: none that IP carries is longer, over IPv6 neither (RFC 8200), and the kernel joins no
/// more than this in one read (GRO).
pub const ROOM: usize = 65_536;

/// What a datagram connection is made of.
pub trait Messages: Send + 'static {
    /// The next message, copied into `buf`, and its length; what does not fit is cut off. `None`: no more will come.
    fn poll_recv(&mut self, cx: &mut Context<'_>, buf: &mut [u8]) -> Poll<io::Result<Option<usize>>>;

    /// Sends one message whole.
    fn poll_send(&mut self, cx: &mut Context<'_>, message: &[u8]) -> Poll<io::Result<()>>;

    /// Ready when no more will come, whatever is still waiting: for one that does something else than receive. The
    /// error says why it was ended. It is woken as often as something comes.
    fn poll_over(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let _ = cx;
        Poll::Pending
    }

    /// The concrete type, for an engine that can do better with a bare socket. What changes or watches the messages has
    /// none.
    fn as_any(&self) -> Option<&dyn Any> {
        None
    }
}

/// A connection that carries whole messages.
pub struct Datagram {
    messages: Box<dyn Messages>,
    facts: Box<Facts>,
    /// Where the socket counts by itself.
    counted: Option<(Arc<Tally>, Count)>,
}

impl Datagram {
    /// A connection of `messages`, of which `facts` are known.
    pub fn new(messages: impl Messages, mut facts: Facts) -> Self {
        facts.datagrams = true;
        Datagram {
            messages: Box::new(messages),
            facts: Box::new(facts),
            counted: None,
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
            counted: self.counted,
        }
    }

    /// The messages count themselves: in the tally of their socket, and in a count of their own.
    #[must_use]
    pub fn counted(mut self, tally: Arc<Tally>, count: Count) -> Self {
        self.counted = Some((tally, count));
        self
    }

    /// The tally of the socket, where it keeps one.
    #[must_use]
    pub fn tally(&self) -> Option<&Tally> {
        self.counted.as_ref().map(|(tally, _)| &**tally)
    }

    /// The bytes of this peer, where they are counted.
    #[must_use]
    pub fn count(&self) -> Option<&Count> {
        self.counted.as_ref().map(|(_, count)| count)
    }

    /// The bare `T` below, if nothing stands in front of it.
    #[must_use]
    pub fn downcast_ref<T: 'static>(&self) -> Option<&T> {
        self.messages.as_any()?.downcast_ref()
    }

    /// Waits until no more will come, and leaves what is still waiting where it is. Cancel safe.
    ///
    /// # Errors
    /// Why it was ended.
    pub async fn over(&mut self) -> io::Result<()> {
        poll_fn(|cx| self.messages.poll_over(cx)).await
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

    fn poll_over(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.messages.poll_over(cx)
    }

    fn as_any(&self) -> Option<&dyn Any> {
        self.messages.as_any()
    }
}

impl Messages for Box<dyn Messages> {
    fn poll_recv(&mut self, cx: &mut Context<'_>, buf: &mut [u8]) -> Poll<io::Result<Option<usize>>> {
        (**self).poll_recv(cx, buf)
    }

    fn poll_send(&mut self, cx: &mut Context<'_>, message: &[u8]) -> Poll<io::Result<()>> {
        (**self).poll_send(cx, message)
    }

    fn poll_over(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        (**self).poll_over(cx)
    }

    fn as_any(&self) -> Option<&dyn Any> {
        (**self).as_any()
    }
}

impl fmt::Debug for Datagram {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Datagram")
            .field("facts", &self.facts)
            .finish_non_exhaustive()
    }
}
