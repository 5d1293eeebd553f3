//! Datagrams to and from a stream, in which they lie framed.
//! Absent: the framing itself, and which of the two is the client.

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, ReadBuf};
use tracing::debug;

use super::flows::{Told, is_news, lost_for};
use super::forward::reset;
use super::framing::{Framer, Framing};
use super::idle::Idle;
use crate::connection::datagram::Messages;
use crate::connection::pump::with_scratch;
use crate::connection::tally::Lost;
use crate::connection::{Datagram, Stream};
use crate::layer::idle::IdleLimit;
use crate::transport::datagrams::flows::Evicted;
use crate::transport::datagrams::transient;

/// Bytes asked of a stream at once, and laid for it before they are written.
const CHUNK: usize = 16 * 1024;

/// Chunks before the other direction, and other tasks, get a turn.
const CHUNKS_PER_TURN: u32 = 16;

/// How long the end of a stream may take whose flow has ended: nothing is expected of it any more.
const ENDING: Duration = Duration::from_secs(2);

/// Who asked for it, which decides what ends it.
#[derive(Debug, Clone, Copy)]
pub(super) enum Client {
    /// The datagrams are a flow, which has an end of its own.
    Datagrams,
    /// The stream. After its end answers are waited for until none came for `quiet`; `idle` limits the time in which
    /// nothing moves before.
    Stream { quiet: Duration, idle: Option<Duration> },
}

/// Passes datagrams on until either end is over.
///
/// # Errors
/// Why a flow was ended, what broke, or that the stream is framed wrongly.
pub(super) async fn exchange(
    datagram: Datagram,
    stream: Stream,
    framing: Framing,
    client: Client,
    told: Told<'_>,
) -> io::Result<()> {
    let mut pair = Pair {
        datagram,
        stream,
        framing,
        laid: Vec::new(),
        written: 0,
        unflushed: false,
        framer: Framer::new(framing),
        read_all: false,
        again: false,
        moved: 0,
        told,
    };
    let result = pair.run(client).await;
    let ending = match &result {
        Ok(()) => Some(ENDING),
        Err(error) if IdleLimit::caused(error) => Some(ENDING),
        // There is need of the room now.
        Err(error) if Evicted::caused(error) => Some(Duration::ZERO),
        // What did not end well is not to look as if it had: a TCP peer sees a reset, and a TLS peer learns that something
        // may be missing.
        Err(_) => {
            reset(&mut pair.stream);
            None
        }
    };
    if let Some(limit) = ending {
        // Who takes longer has been told all that there was.
        let _ = tokio::time::timeout(limit, pair.stream.shutdown()).await;
    }
    result
}

struct Pair<'a> {
    datagram: Datagram,
    stream: Stream,
    framing: Framing,
    /// Datagrams that are framed and not all written yet.
    laid: Vec<u8>,
    written: usize,
    unflushed: bool,
    framer: Framer,
    /// The stream has ended, and all that it sent was passed on.
    read_all: bool,
    again: bool,
    /// Datagrams so far, both ways.
    moved: u64,
    told: Told<'a>,
}

impl Pair<'_> {
    async fn run(&mut self, client: Client) -> io::Result<()> {
        let Client::Stream { quiet, idle } = client else {
            return poll_fn(|cx| self.poll(cx)).await;
        };
        let limited =
            |pair: &mut Self, limit: Option<Duration>, cx: &mut Context<'_>, timer: &mut Option<Idle>| {
                let polled = pair.poll(cx);
                if polled.is_ready() {
                    return polled;
                }
                let Some(limit) = limit else { return Poll::Pending };
                let timer = timer.get_or_insert_with(|| Idle::new(limit));
                let limit = ready!(timer.poll(cx, pair.moved));
                Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, IdleLimit(limit))))
            };
        let mut timer = None;
        poll_fn(|cx| limited(self, idle, cx, &mut timer)).await?;
        if !self.read_all {
            return Ok(());
        }
        // It has said all, and datagrams have no end that would say the same of the answers.
        let mut timer = Idle::new(quiet);
        poll_fn(|cx| {
            if let Poll::Ready(result) = self.poll_out(cx) {
                return Poll::Ready(result);
            }
            timer.poll(cx, self.moved).map(|_quiet| Ok(()))
        })
        .await
    }

    /// Both ways; ready when one of them is over.
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        // Asked by itself: a stream that takes nothing must not keep a flow that has ended.
        if let Poll::Ready(result) = self.datagram.poll_over(cx) {
            return Poll::Ready(result);
        }
        if let Poll::Ready(result) = self.poll_out(cx) {
            return Poll::Ready(result);
        }
        self.poll_in(cx)
    }

    /// From the datagrams to the stream; ready when no more will come.
    fn poll_out(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        for _ in 0..CHUNKS_PER_TURN {
            while self.written < self.laid.len() {
                let written = ready!(Pin::new(&mut self.stream).poll_write(cx, &self.laid[self.written..]))?;
                if written == 0 {
                    return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
                }
                self.written += written;
                self.unflushed = true;
            }
            self.written = 0;
            // An idle pair holds no buffer.
            self.laid = Vec::new();
            let over = self.lay(cx)?;
            if self.laid.is_empty() {
                if self.unflushed {
                    ready!(Pin::new(&mut self.stream).poll_flush(cx))?;
                    self.unflushed = false;
                }
                return if over { Poll::Ready(Ok(())) } else { Poll::Pending };
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    /// Frames what has come. Says whether no more will.
    fn lay(&mut self, cx: &mut Context<'_>) -> io::Result<bool> {
        with_scratch(|scratch| {
            while self.laid.len() < CHUNK {
                match self.datagram.poll_recv(cx, scratch) {
                    Poll::Pending => return Ok(false),
                    Poll::Ready(Ok(None)) => return Ok(true),
                    Poll::Ready(Ok(Some(length))) => {
                        self.moved += 1;
                        if !self.framing.lay(&scratch[..length], &mut self.laid) {
                            debug!(length, "the datagram is too long to be framed");
                            self.lost(Lost::TooLong);
                        }
                    }
                    Poll::Ready(Err(error)) if transient(&error) => self.told.refused(&error),
                    Poll::Ready(Err(error)) => return Err(error),
                }
            }
            Ok(false)
        })
    }

    /// From the stream to the datagrams; ready when the stream has ended.
    fn poll_in(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.read_all {
            return Poll::Ready(Ok(()));
        }
        for _ in 0..CHUNKS_PER_TURN {
            ready!(self.poll_frames(cx))?;
            if self.read_all {
                return Poll::Ready(Ok(()));
            }
            let read: Poll<io::Result<()>> = with_scratch(|scratch| {
                let mut buf = ReadBuf::new(&mut scratch[..CHUNK]);
                ready!(Pin::new(&mut self.stream).poll_read(cx, &mut buf))?;
                match buf.filled() {
                    [] => {
                        self.framer.end();
                        // So that the last line is passed on.
                        ready!(self.poll_frames(cx))?;
                        self.read_all = true;
                    }
                    bytes => self.framer.feed(bytes),
                }
                Poll::Ready(Ok(()))
            });
            ready!(read)?;
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    /// Sends the datagrams that are whole.
    fn poll_frames(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        loop {
            let message = match self.framer.frame() {
                Ok(Some(message)) => message,
                Ok(None) => return Poll::Ready(Ok(())),
                Err(wrong) => {
                    let peer = self.stream.facts().peer.to_string();
                    self.told.refusals.tell(&peer, &wrong.to_string());
                    return Poll::Ready(Err(io::Error::new(io::ErrorKind::InvalidData, wrong)));
                }
            };
            match ready!(self.datagram.poll_send(cx, message)) {
                Ok(()) => self.moved += 1,
                Err(error) if is_news(&error) && !self.again => {
                    self.told.refused(&error);
                    self.again = true;
                    continue;
                }
                Err(error) => {
                    debug!(length = message.len(), %error, "datagram not sent");
                    self.lost(lost_for(&error));
                }
            }
            self.again = false;
            self.framer.take();
        }
    }

    fn lost(&self, why: Lost) {
        if let Some(tally) = self.datagram.tally() {
            tally.count_lost(why, 1);
        }
    }
}

#[cfg(test)]
mod tests;
