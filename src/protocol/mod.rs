//! What is said on a connection: the table of built-in protocols.
//! Absent: transports, command-line flags, and how many connections there are.

mod chargen;
mod daytime;
mod discard;
mod drop;
mod echo;
pub mod finger;
mod hold;
pub mod lines;
mod qotd;
mod time;

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWriteExt, ReadBuf};

use crate::connection::pump::with_scratch;
use crate::connection::{BoxFuture, Datagram, Dial, Stream};
use crate::endpoint::{Args, Param, Refused, Role, Spec};
use crate::error::{Error, Result, Status};
use crate::need::Need;

/// The built-in protocols, in the order that help shows them.
pub static PROTOCOLS: &[&Protocol] = &[
    &echo::ECHO,
    &discard::DISCARD,
    &chargen::CHARGEN,
    &daytime::DAYTIME,
    &time::TIME,
    &qotd::QOTD,
    &lines::LINES,
    &drop::DROP,
    &hold::HOLD,
    &finger::FINGER,
];

/// A built-in protocol: one entry in [`PROTOCOLS`].
pub struct Protocol {
    /// Its name on the command line.
    pub name: &'static str,
    /// What it does, in a few words, with its source.
    pub summary: &'static str,
    /// Its settings, which become flags.
    pub settings: &'static [Param],
    /// Settings that can be given any number of times, each a text.
    pub repeated: &'static [Param],
    /// Makes the service of checked settings, and reads the files that it needs.
    pub service: fn(&Setup) -> Result<Service, Unfit>,
}

/// What a service is made of.
pub struct Setup<'a> {
    /// The settings, checked by the table.
    pub args: &'a Args,
    /// Those that can be given any number of times, in the order that they were given in, by name.
    pub repeated: &'a [(&'static str, String)],
    /// The way to others, for a protocol that has to ask them.
    pub dial: Arc<dyn Dial>,
}

/// The protocol of that name with these settings, those that can be given any number of times in their order. `dial` is
/// its way to others.
///
/// # Errors
/// Status 2: there is no such protocol, it has no such setting, or a value is refused. Otherwise as what a setting names.
pub fn set_up(name: &str, given: &[(&str, String)], dial: Arc<dyn Dial>) -> Result<Service> {
    let Some(protocol) = PROTOCOLS.iter().find(|protocol| protocol.name == name) else {
        return Err(Error::new(
            Status::Usage,
            format!("there is no protocol `{name}`"),
        ));
    };
    let mut spec = Spec::new(name);
    let mut repeated = Vec::new();
    for (setting, value) in given {
        match protocol.repeated.iter().find(|known| known.name == *setting) {
            Some(known) => repeated.push((known.name, value.clone())),
            None => spec = spec.keyword(*setting, value),
        }
    }
    let made = Args::read(&spec, Role::Server, protocol.settings)
        .map_err(Unfit::Setting)
        .and_then(|args| {
            (protocol.service)(&Setup {
                args: &args,
                repeated: &repeated,
                dial,
            })
        });
    let error = match made {
        Ok(service) => return Ok(service),
        Err(Unfit::Setting(refused)) => Error::new(Status::Usage, refused.diagnostic.message),
        Err(Unfit::Named(error)) => error,
    };
    Err(error.on(format!("could not set up {name}")))
}

/// Why a service could not be made.
#[derive(Debug)]
pub enum Unfit {
    /// A setting is no good.
    Setting(Refused),
    /// Something that a setting names is no good, such as a file.
    Named(Error),
}

impl From<Refused> for Unfit {
    fn from(refused: Refused) -> Self {
        Unfit::Setting(refused)
    }
}

impl From<Error> for Unfit {
    fn from(error: Error) -> Self {
        Unfit::Named(error)
    }
}

/// A protocol that is ready to serve, on streams and perhaps on datagrams.
#[derive(Clone)]
pub struct Service {
    /// Talks on a stream.
    pub talk: Arc<dyn Talk>,
    /// Answers datagrams, where the protocol can.
    pub respond: Option<Arc<dyn Respond>>,
    /// Talks with each peer that sends datagrams; it comes before answering them one by one.
    pub exchange: Option<Arc<dyn Exchange>>,
    /// Keeps the files behind it up to date, where there are any.
    pub upkeep: Option<Arc<dyn Upkeep>>,
}

impl Service {
    /// A service on streams alone.
    #[must_use]
    pub fn streams(talk: impl Talk) -> Self {
        Service {
            talk: Arc::new(talk),
            respond: None,
            exchange: None,
            upkeep: None,
        }
    }

    /// A service on streams, and on the datagrams of each peer by itself.
    #[must_use]
    pub fn connections(service: impl Talk + Exchange) -> Self {
        let service = Arc::new(service);
        Service {
            talk: service.clone(),
            respond: None,
            exchange: Some(service),
            upkeep: None,
        }
    }

    /// A service on streams and on datagrams.
    fn both(service: impl Talk + Respond) -> Self {
        let service = Arc::new(service);
        Service {
            talk: service.clone(),
            respond: Some(service),
            exchange: None,
            upkeep: None,
        }
    }
}

/// One side of a conversation on a stream.
pub trait Talk: Send + Sync + 'static {
    /// Talks until the conversation is over. Dropping the future ends it at once.
    fn talk(&self, stream: Stream) -> BoxFuture<'static, io::Result<()>>;

    /// What it asks of the system while it serves. The rest may be refused it.
    fn needs(&self) -> Vec<Need> {
        Vec::new()
    }

    /// What conversations open besides the descriptors that they come with.
    fn descriptors(&self) -> Descriptors {
        Descriptors::default()
    }
}

/// Descriptors that are in use while there are conversations.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Descriptors {
    /// Each conversation has so many of its own.
    pub each: usize,
    /// All of them together have at most so many more.
    pub common: usize,
}

/// One side of a conversation in datagrams, with one peer.
pub trait Exchange: Send + Sync + 'static {
    /// Talks until the conversation is over. Dropping the future ends it at once.
    fn exchange(&self, datagram: Datagram) -> BoxFuture<'static, io::Result<()>>;
}

/// Answers datagrams one by one, without a memory of the peer.
pub trait Respond: Send + Sync + 'static {
    /// The answer to `request`. Where it is [`Answer::Text`], it stands in `answer`, which was empty before.
    fn respond(&self, request: &[u8], answer: &mut Vec<u8>) -> Answer;
}

/// What a service does when its process is told to read its files again, by SIGHUP.
pub trait Upkeep: Send + Sync + 'static {
    /// Reads or opens the files again. It may block. Says what was reloaded, if anything was.
    ///
    /// # Errors
    /// A file is no good, and what was in use stays in use.
    fn reload(&self) -> Result<Option<String>>;
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

/// How long a client may take to end its half after it was answered and our half has ended.
const LINGER: Duration = Duration::from_secs(2);

/// Says `answer`, ends our half, and throws away what the client sends until it ends its own.
///
/// Closing with input unread would reset the connection, and the answer could be lost with it.
async fn answer_and_end(mut stream: Stream, answer: Vec<u8>) -> io::Result<()> {
    stream.write_all(&answer).await?;
    stream.shutdown().await?;
    // A client that does not end in time has had its answer all the same.
    let _ = tokio::time::timeout(LINGER, drain(&mut stream)).await;
    Ok(())
}

/// Throws away what arrives, until the end.
async fn drain(stream: &mut Stream) -> io::Result<()> {
    poll_fn(|cx| poll_drain(stream, cx)).await
}

/// Reads before other tasks get a turn.
const READS_PER_TURN: u32 = 16;

fn poll_drain(stream: &mut Stream, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
    for _ in 0..READS_PER_TURN {
        let read = with_scratch(|scratch| {
            let mut buf = ReadBuf::new(scratch);
            Pin::new(&mut *stream)
                .poll_read(cx, &mut buf)
                .map_ok(|()| buf.filled().len())
        });
        match read {
            Poll::Pending => return Poll::Pending,
            Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
            Poll::Ready(Ok(0)) => return Poll::Ready(Ok(())),
            Poll::Ready(Ok(_)) => {}
        }
    }
    cx.waker().wake_by_ref();
    Poll::Pending
}

#[cfg(test)]
mod tests {
    use tokio::io::DuplexStream;

    use super::*;
    use crate::connection::{Address, Facts};

    /// A stream for a protocol, and its client's end.
    pub(super) fn pair(capacity: usize) -> (Stream, DuplexStream) {
        let (ours, theirs) = tokio::io::duplex(capacity);
        (
            Stream::new(ours, Facts::new(Address::Unnamed, Address::Unnamed)),
            theirs,
        )
    }

    #[test]
    fn names_are_unique_lower_case_and_documented() {
        let mut names = std::collections::HashSet::new();
        for protocol in PROTOCOLS {
            assert!(names.insert(protocol.name), "{} twice", protocol.name);
            assert_eq!(protocol.name, protocol.name.to_lowercase());
            assert!(!protocol.summary.is_empty());
            assert!(protocol.settings.iter().all(|setting| !setting.doc.is_empty()));
        }
    }
}
