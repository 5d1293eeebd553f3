//! Serves a protocol on datagrams: each is answered by itself, and answers of a kind leave together.
//! Absent: flows, streams, and what the answers say.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use tracing::debug;

use crate::connection::datagram::LARGEST;
use crate::protocol::{Answer, Respond};
use crate::transport::datagrams::{Datagrams, RUN_MESSAGES_MAX, Run, transient};

/// Ports whose services answer whatever they get, or may: echo, discard, daytime, qotd, chargen and time, and 0, to
/// which nothing can be sent. To answer a datagram from there may start a conversation without an end, between two
/// servers that a third party introduced by a false source address (CERT CA-1996-01).
const UNANSWERED_PORTS: [u16; 7] = [0, 7, 9, 13, 17, 19, 37];

/// Below this a copy is cheaper than a system call of its own.
const COPIED_MAX: usize = 16 * 1024;

/// After an error that may have to do with memory, so that the socket is not asked in a loop.
const PAUSE: Duration = Duration::from_millis(5);

/// Says who may have an answer.
pub type Admit = Arc<dyn Fn(IpAddr) -> bool + Send + Sync>;

/// How datagrams are served.
#[derive(Default, Clone)]
pub struct Settings {
    /// Return once the first datagram is served.
    pub once: bool,
    /// Who is served: everybody where it is not said.
    pub admit: Option<Admit>,
}

/// Answers datagrams until the future is dropped, or the first one is served if that is what the settings say.
///
/// What can't be sent is lost and logged; while the socket has no room for answers nothing is received, so that the
/// kernel's buffer is the only queue.
///
/// # Errors
/// The socket is of no use any more.
pub async fn serve(mut datagrams: Datagrams, respond: Arc<dyn Respond>, settings: &Settings) -> io::Result<()> {
    let mut outbox = Outbox::default();
    let mut answer = Vec::new();
    loop {
        if let Err(error) = datagrams.recv().await {
            if !transient(&error) {
                return Err(error);
            }
            debug!(%error, "receiving datagrams");
            tokio::time::sleep(PAUSE).await;
            continue;
        }
        let mut pending: Option<Pending<'_>> = None;
        for run in datagrams.runs() {
            if !answered(run.peer) {
                debug!(peer = %run.peer, "datagrams from the port of a small service are not answered");
                continue;
            }
            if settings.admit.as_ref().is_some_and(|admit| !admit(run.peer.ip().to_canonical())) {
                debug!(peer = %run.peer, "refused");
                continue;
            }
            if run.bytes.len() >= COPIED_MAX {
                outbox.flush(&datagrams, pending.take()).await;
            }
            for (index, message) in run.messages().enumerate() {
                answer.clear();
                let reply = match respond.respond(message, &mut answer) {
                    Answer::Nothing => None,
                    Answer::Request => Some(Reply::Received { offset: index * run.each, length: message.len() }),
                    Answer::Text => Some(Reply::Written(&answer)),
                };
                if let Some(reply) = reply {
                    if let Some(full) = outbox.add(&mut pending, &run, &reply) {
                        outbox.flush(&datagrams, Some(full)).await;
                        let _ = outbox.add(&mut pending, &run, &reply);
                    }
                }
                if settings.once {
                    outbox.flush(&datagrams, pending.take()).await;
                    return Ok(());
                }
            }
        }
        outbox.flush(&datagrams, pending.take()).await;
    }
}

/// Whether a datagram from there gets an answer.
fn answered(peer: SocketAddr) -> bool {
    !UNANSWERED_PORTS.contains(&peer.port())
}

/// One answer.
enum Reply<'a> {
    /// A part of the run that was received.
    Received { offset: usize, length: usize },
    /// Text of our own.
    Written(&'a [u8]),
}

/// Answers that will leave together.
struct Pending<'a> {
    /// Whose addresses they have, and, where nothing was copied, whose bytes.
    source: Run<'a>,
    /// Where they stand in the bytes of the source; `None`: in the outbox.
    range: Option<(usize, usize)>,
    each: usize,
    count: usize,
    /// A shorter one was the last: nothing can follow it.
    closed: bool,
}

/// Where answers that don't lie end to end are laid so.
#[derive(Default)]
struct Outbox {
    bytes: Vec<u8>,
}

impl Outbox {
    /// Adds the answer to those that are pending, or gives these back: they have to leave first.
    fn add<'a>(
        &mut self,
        pending: &mut Option<Pending<'a>>,
        run: &Run<'a>,
        reply: &Reply<'_>,
    ) -> Option<Pending<'a>> {
        let length = match reply {
            Reply::Received { length, .. } => *length,
            Reply::Written(text) => text.len(),
        };
        let Some(open) = pending else {
            let range = match reply {
                Reply::Received { offset, length } => Some((*offset, offset + length)),
                Reply::Written(text) => {
                    self.bytes.extend_from_slice(text);
                    None
                }
            };
            *pending = Some(Pending { source: *run, range, each: length, count: 1, closed: false });
            return None;
        };
        let fits = !open.closed
            && (open.source.peer, open.source.local) == (run.peer, run.local)
            // No datagram of a transmit is empty.
            && (1..=open.each).contains(&length)
            && open.count < RUN_MESSAGES_MAX
            && open.each * open.count + length <= LARGEST;
        if !fits {
            return pending.take();
        }
        match (open.range, reply) {
            (Some((start, end)), Reply::Received { offset, length })
                if *offset == end && std::ptr::eq(open.source.bytes, run.bytes) =>
            {
                open.range = Some((start, end + length));
            }
            (Some((start, end)), _) if end - start >= COPIED_MAX => return pending.take(),
            (range, reply) => {
                if let Some((start, end)) = range {
                    self.bytes.extend_from_slice(&open.source.bytes[start..end]);
                    open.range = None;
                }
                self.bytes.extend_from_slice(match reply {
                    Reply::Received { offset, length } => &run.bytes[*offset..offset + length],
                    Reply::Written(text) => text,
                });
            }
        }
        open.count += 1;
        open.closed = length < open.each;
        None
    }

    async fn flush(&mut self, datagrams: &Datagrams, pending: Option<Pending<'_>>) {
        let Some(Pending { source, range, each, .. }) = pending else { return };
        let bytes = match range {
            Some((start, end)) => &source.bytes[start..end],
            None => &self.bytes[..],
        };
        datagrams.send(Run { bytes, each, ..source }).await;
        self.bytes.clear();
    }
}
