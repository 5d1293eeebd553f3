//! What is said on a connection: the table of built-in protocols.
//! Absent: transports, command-line flags, and how many connections there are.

use std::io;
use std::sync::Arc;

use crate::connection::{BoxFuture, Stream};
use crate::endpoint::Refused;
use crate::endpoint::args::{Args, Param};

/// A built-in protocol: one entry in [`PROTOCOLS`].
pub struct Protocol {
    /// Its name on the command line.
    pub name: &'static str,
    /// What it does, in a few words, with its source.
    pub summary: &'static str,
    /// Its settings, which become flags.
    pub settings: &'static [Param],
    /// Makes the service of checked settings.
    pub service: fn(&Args) -> Result<Service, Refused>,
}

/// A protocol that is ready to serve, on streams, on datagrams or on both.
#[derive(Clone)]
pub struct Service {
    /// Talks on a stream.
    pub talk: Arc<dyn Talk>,
    /// Answers datagrams, where the protocol can.
    pub respond: Option<Arc<dyn Respond>>,
}

/// One side of a conversation on a stream.
pub trait Talk: Send + Sync + 'static {
    /// Talks until the conversation is over. Dropping the future ends it at once.
    fn talk(&self, stream: Stream) -> BoxFuture<'static, io::Result<()>>;
}

/// Answers datagrams one by one, without a memory of the peer.
pub trait Respond: Send + Sync + 'static {
    /// The answer to `request`. Where it is [`Answer::Text`], it stands in `answer`, which was empty before.
    fn respond(&self, request: &[u8], answer: &mut Vec<u8>) -> Answer;
}

/// How a datagram is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// Not at all.
    Nothing,
    /// With the request itself, so that nothing is copied.
    Request,
    /// With the text that was written.
    Text,
}
