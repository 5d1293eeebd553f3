//! One conversation between standard input and output and a peer: what `connect` and `listen` have in common.
//! Absent: where the peer comes from.

use std::future::Future;
use std::io::{self, IsTerminal};
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tracing::{Level, debug, enabled, warn};

use super::record::Record;
use crate::cli::options::TalkOptions;
use crate::cli::values::Payload;
use netkit::connection::prefixed::Prefixed;
use netkit::connection::stream::Io;
use netkit::connection::tap::count::{Count, Counts};
use netkit::connection::tap::hexdump::Hexdump;
use netkit::connection::tap::log::Log;
use netkit::connection::tap::{Tap, tapped};
use netkit::connection::{Address, Connection, Datagram, Facts, Stream};
use netkit::endpoint::Role;
use netkit::error::{Error, Result, Status, reason};
use netkit::layer::crlf::Crlf;
use netkit::layer::idle::{IdleLimit, limited};
use netkit::relay::resumable::{Outbound, Parting, converse_resumably};
use netkit::relay::{Broken, DatagramTerms, Ending, Waits, converse, converse_in_datagrams};
use netkit::terminal::progress::Progress;
use netkit::transport::stdio;

/// How long nothing may come from a UDP peer, after our end of file, before the conversation counts as over.
const QUIET: Duration = Duration::from_secs(1);

/// How long a connection that we leave may take to be ended in good order, as TLS does.
pub(super) const GOODBYE: Duration = Duration::from_secs(1);

/// Runs `work` within a limit on the whole run.
pub(super) async fn within(
    limit: Option<Duration>,
    endpoint: &str,
    work: impl Future<Output = Result<Status>>,
) -> Result<Status> {
    let Some(limit) = limit else { return work.await };
    match tokio::time::timeout(limit, work).await {
        Ok(done) => done,
        Err(_elapsed) => {
            let why = format!(
                "the run was to take no longer than {}",
                netkit::units::duration_text(limit)
            );
            Err(Error::new(Status::Timeout, why).on(format!("gave up on {endpoint}")))
        }
    }
}

/// What holds for a conversation.
pub(super) struct Terms<'a> {
    endpoint: &'a str,
    /// Whether we open connections, or they are opened to us.
    role: Role,
    options: &'a TalkOptions,
}

impl<'a> Terms<'a> {
    pub(super) fn of(options: &'a TalkOptions, endpoint: &'a str, role: Role) -> Self {
        Terms {
            endpoint,
            role,
            options,
        }
    }

    fn waits(&self) -> Waits {
        Waits {
            half_close: self.options.half_close_timeout,
            idle: self.options.idle_timeout,
        }
    }

    /// How long a UDP peer may be silent once our input has ended.
    pub(super) fn quiet(&self) -> Duration {
        self.options.half_close_timeout.unwrap_or(QUIET)
    }
}

/// Our end: standard input and output.
pub(super) struct Console {
    stream: Stream,
    /// Bytes that are left in the file on standard input, if it is one.
    size: Option<u64>,
    /// What shows lines where standard error would get in the way.
    dump: Option<Arc<Liner>>,
    record: Record,
    /// Nobody takes what we write any more.
    gone: bool,
}

type Liner = dyn Fn(&str) -> bool + Send + Sync;

/// A writer of whole lines on a [`Liner`].
struct Lines(Arc<Liner>);

impl io::Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if !(self.0)(&String::from_utf8_lossy(bytes)) {
            io::Write::write_all(&mut io::stderr(), bytes)?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Console {
    pub(super) fn open(options: &TalkOptions) -> Result<Self> {
        let failed = |error: io::Error| {
            Error::io(Status::Failure, &error).on("could not use standard input and output")
        };
        let (mut stream, size) = if options.no_stdin {
            (stdio::stream_without_input().map_err(failed)?, None)
        } else {
            (stdio::stream().map_err(failed)?, stdio::input_length())
        };
        if options.crlf {
            stream = stream.map(Crlf::new);
        }
        Ok(Console {
            stream,
            size,
            dump: None,
            record: Record::default(),
            gone: false,
        })
    }

    /// The same end, whose conversations are recorded.
    pub(super) fn recorded(self, record: &Record) -> Self {
        Console {
            record: record.clone(),
            ..self
        }
    }

    /// Another end of ours: `stream`, a terminal where lines are edited. `dump` is where a hexdump goes.
    pub(super) fn at(
        stream: impl Io,
        options: &TalkOptions,
        dump: impl Fn(&str) -> bool + Send + Sync + 'static,
    ) -> Self {
        let mut stream = Stream::new(stream, Facts::new(Address::Stdio, Address::Stdio));
        if options.crlf {
            stream = stream.map(Crlf::new);
        }
        Console {
            stream,
            size: None,
            dump: Some(Arc::new(dump)),
            record: Record::default(),
            gone: false,
        }
    }

    /// Whether nobody takes what we write any more, so that another peer would talk to nobody.
    pub(super) fn is_gone(&self) -> bool {
        self.gone
    }

    /// Talks with a peer on a stream.
    pub(super) async fn converse(&mut self, peer: Stream, terms: &Terms<'_>) -> Result<Status> {
        if terms.options.line {
            warn!(
                "--line changes nothing: {} carries bytes, not datagrams",
                terms.endpoint
            );
        }
        let (connection, watch) = self.prepare(Connection::Stream(peer), terms);
        let Connection::Stream(mut peer) = connection else {
            return Ok(Status::Done);
        };
        let payload = terms.options.send.clone().unwrap_or_default().0;
        let talk = converse(&mut self.stream, &mut peer, payload, terms.waits());
        let done = watch.over(talk).await;
        self.gone = matches!(done, Ok(Ending::Ours));
        finish(done, terms)
    }

    /// Talks with a peer that may be lost and come back: what one connection does not take is left in `outbound`, and
    /// what goes by on it is counted. It is left in good order when `leave` says so.
    pub(super) async fn converse_resumably(
        &mut self,
        peer: Stream,
        terms: &Terms<'_>,
        outbound: &mut Outbound,
        counts: &Count,
        leave: impl Future<Output = ()>,
    ) -> Result<Round> {
        let peer = peer.counted(counts.clone());
        let (connection, watch) = self.prepare(Connection::Stream(peer), terms);
        let Connection::Stream(mut peer) = connection else {
            return Ok(Round::Over(Status::Done));
        };
        let none = Payload::default();
        let head = &terms.options.send.as_ref().unwrap_or(&none).0;
        let talk = converse_resumably(&mut self.stream, &mut peer, head, outbound, terms.waits());
        let done = tokio::select! {
            done = watch.over(talk) => Some(done),
            () = leave => None,
        };
        if matches!(done, None | Some(Ok(Parting::Left))) {
            // In vain where the peer is gone already, or does not listen.
            let _ = tokio::time::timeout(GOODBYE, peer.shutdown()).await;
        }
        let Some(done) = done else {
            return Ok(Round::Left);
        };
        let broken = match done {
            Ok(Parting::Done | Parting::Ours) => return Ok(Round::Over(Status::Done)),
            Ok(Parting::Left) => None,
            // What is cut off may be all that was to come: whoever tolerates that has a clean end.
            Err(Broken::Peer(error))
                if error.kind() == io::ErrorKind::UnexpectedEof
                    && terms.options.tolerate_truncation
                    && outbound.is_done() =>
            {
                return finish(Err(Broken::Peer(error)), terms).map(Round::Over);
            }
            Err(Broken::Peer(error)) if !IdleLimit::caused(&error) => Some(error),
            Err(broken) => return finish(Err(broken), terms).map(Round::Over),
        };
        let sent = counts.0.sent();
        Ok(Round::Lost(Loss {
            // What is said first is said to the next one too.
            all: outbound.is_done() && sent > head.len() as u64,
            broken,
            sent,
            waiting: outbound.waiting(),
        }))
    }

    /// Takes what our end still has to say, up to its end, for nobody; gives how much there was, with what `outbound` has.
    pub(super) async fn unsent(&mut self, outbound: &Outbound) -> usize {
        let mut unsent = outbound.waiting();
        let mut buf = vec![0; 16 * 1024];
        let rest = async {
            while let Ok(read @ 1..) = self.stream.read(&mut buf).await {
                unsent += read;
            }
        };
        let _ = tokio::time::timeout(GOODBYE, rest).await;
        unsent
    }

    /// Talks with a peer in datagrams; `quiet` is how long it may be silent once our input has ended.
    pub(super) async fn converse_in_datagrams(
        &mut self,
        peer: Datagram,
        terms: &Terms<'_>,
        quiet: Option<Duration>,
    ) -> Result<Status> {
        let (connection, watch) = self.prepare(Connection::Datagram(peer), terms);
        let Connection::Datagram(mut peer) = connection else {
            return Ok(Status::Done);
        };
        let payload = terms.options.send.clone().unwrap_or_default().0;
        if terms.options.send.is_some() && payload.is_empty() {
            // A datagram of nothing is one all the same.
            peer.send(&[])
                .await
                .map_err(|error| lost(&error, terms.endpoint))?;
        }
        let mut local = Prefixed::new(&mut self.stream, payload);
        let datagram_terms = DatagramTerms {
            by_line: terms.options.line,
            quiet,
        };
        let talk = converse_in_datagrams(&mut local, &mut peer, datagram_terms);
        let done = watch.over(talk).await;
        self.gone = matches!(done, Ok(Ending::Ours));
        finish(done, terms)
    }

    /// Puts in front of the peer what the options ask for.
    fn prepare(&self, peer: Connection, terms: &Terms<'_>) -> (Connection, Watch) {
        let options = terms.options;
        let watch = Watch {
            size: self.size,
            bar: self.wants_bar(options).then(|| Progress::new(self.size)),
            count: Count::default(),
        };
        let counted = watch.bar.is_some() || enabled!(Level::DEBUG);
        let mut taps: Vec<Box<dyn Tap>> = Vec::new();
        if counted && let Connection::Datagram(_) = peer {
            taps.push(Box::new(watch.count.clone()));
        }
        if options.hexdump {
            taps.push(Box::new(match &self.dump {
                Some(dump) => Hexdump::new(Lines(Arc::clone(dump))),
                None => Hexdump::stderr(),
            }));
        }
        taps.extend(self.record.tap(&peer, terms.role));
        if enabled!(Level::TRACE) {
            taps.push(Box::new(Log::new()));
        }
        let peer = match (tapped(peer, taps), options.idle_timeout) {
            // A stream is counted, and limited, where that does not hide what it is.
            (Connection::Stream(stream), _) if counted => {
                Connection::Stream(stream.counted(watch.count.clone()))
            }
            (peer @ Connection::Datagram(_), Some(limit)) => limited(peer, limit),
            (peer, _) => peer,
        };
        (peer, watch)
    }

    fn wants_bar(&self, options: &TalkOptions) -> bool {
        if options.progress {
            return true;
        }
        !options.no_progress && self.size.is_some() && io::stderr().is_terminal()
    }
}

/// What one connection's part of a conversation came to.
pub(super) enum Round {
    /// That was all.
    Over(Status),
    /// The connection is gone, and the conversation is not over.
    Lost(Loss),
    /// We left.
    Left,
}

/// A connection that was lost.
pub(super) struct Loss {
    /// `None`: the peer closed it.
    broken: Option<io::Error>,
    /// Bytes that it took; how many of them arrived, nobody knows.
    sent: u64,
    /// Our input has ended, and the last of it was among them.
    all: bool,
    /// Bytes that were read and that it did not take.
    waiting: usize,
}

impl Loss {
    /// Whether another connection could not make up for it: the peer broke off, and nothing is left to be sent. With a
    /// peer that closes, the run would have been over.
    pub(super) fn is_final(&self) -> bool {
        self.broken.is_some() && self.all
    }

    /// What it means for a run that wants no other connection.
    pub(super) fn end(self, terms: &Terms<'_>) -> Result<Status> {
        finish(
            match self.broken {
                None => Ok(Ending::Peer),
                Some(error) => Err(Broken::Peer(error)),
            },
            terms,
        )
    }

    /// Says so, and what became of our bytes.
    pub(super) fn warn(&self, endpoint: &str) {
        let Loss {
            broken,
            sent,
            waiting,
            ..
        } = self;
        let why = broken
            .as_ref()
            .map_or_else(|| "the peer closed it".into(), reason);
        let sent = match sent {
            0 => "nothing was sent on it".to_owned(),
            1 => "1 byte was sent on it and may not have arrived".to_owned(),
            sent => format!("{sent} bytes were sent on it and may not all have arrived"),
        };
        let kept = match waiting {
            0 => String::new(),
            1 => ", 1 more is kept for the next".to_owned(),
            waiting => format!(", {waiting} more are kept for the next"),
        };
        warn!("lost the connection to {endpoint}: {why}; {sent}{kept}");
    }
}

/// What is shown, and counted, while a conversation runs.
struct Watch {
    bar: Option<Progress>,
    /// Bytes of the file that is sent, if it is one.
    size: Option<u64>,
    count: Count,
}

impl Watch {
    async fn over<T>(self, talk: impl Future<Output = T>) -> T {
        let (counts, size) = (self.count.0, self.size);
        // Of a file it is known how much there is to send; otherwise both directions are progress.
        let gone = |counts: &Counts| match size {
            Some(_) => counts.sent(),
            None => counts.sent() + counts.received(),
        };
        let done = match self.bar {
            None => talk.await,
            Some(bar) => {
                let mut ticks = tokio::time::interval(Progress::interval());
                tokio::pin!(talk);
                let done = loop {
                    tokio::select! {
                        done = &mut talk => break done,
                        _ = ticks.tick() => bar.at(gone(&counts)),
                    }
                };
                bar.at(gone(&counts));
                bar.finish();
                done
            }
        };
        debug!(received = counts.received(), sent = counts.sent(), "closed");
        done
    }
}

/// What an ending, or a break, means for the run.
fn finish(done: Result<Ending, Broken>, terms: &Terms<'_>) -> Result<Status> {
    let endpoint = terms.endpoint;
    Err(match done {
        Ok(Ending::Peer | Ending::Ours | Ending::Quiet) => return Ok(Status::Done),
        Err(Broken::Peer(error)) if IdleLimit::caused(&error) => {
            Error::new(Status::Timeout, error.to_string()).on(format!("gave up on {endpoint}"))
        }
        Err(Broken::Peer(error)) if error.kind() == io::ErrorKind::ConnectionRefused => {
            // The answer to a datagram: nobody has that port.
            Error::io(Status::Connect, &error).on(format!("could not reach {endpoint}"))
        }
        Err(Broken::Peer(error)) if error.kind() == io::ErrorKind::UnexpectedEof => {
            let cut =
                Error::new(Status::Lost, reason(&error)).on(format!("lost the connection to {endpoint}"));
            if terms.options.tolerate_truncation {
                warn!("{cut}");
                return Ok(Status::Done);
            }
            cut.help("--tolerate-truncation takes it for a clean end")
        }
        // A layer that knows what its error means has said so.
        Err(Broken::Peer(error)) if error.get_ref().is_some_and(|inner| inner.is::<Error>()) => {
            match error.downcast::<Error>() {
                Ok(error) => error.on(format!("lost the connection to {endpoint}")),
                Err(error) => Error::new(Status::Lost, reason(&error)),
            }
        }
        Err(Broken::Peer(error)) => lost(&error, endpoint),
        Err(Broken::Input(error)) => Error::io(Status::Failure, &error).on("could not read standard input"),
        Err(Broken::Output(error)) => {
            Error::io(Status::Failure, &error).on("could not write standard output")
        }
        Err(Broken::HalfClosed(limit)) => {
            let limit = netkit::units::duration_text(limit);
            let why = format!("the peer did not end within {limit} after we had");
            Error::new(Status::Timeout, why).on(format!("gave up on {endpoint}"))
        }
    })
}

fn lost(error: &io::Error, endpoint: &str) -> Error {
    Error::new(Status::Lost, reason(error)).on(format!("lost the connection to {endpoint}"))
}
