//! A connection that is lent out: its holder reads and writes it, its keeper sees when it is gone, and can close it.
//! Absent: when the next one is made.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::sync::oneshot;

use crate::connection::stream::Io;
use crate::connection::{Facts, Stream};
use crate::error::reason;

/// How long a connection that is closed may take to say goodbye, as TLS does, to a peer that does not listen.
const GOODBYE: Duration = Duration::from_secs(1);

/// Bytes read ahead of a holder, to see whether the connection still stands.
const AHEAD: usize = 4096;

/// The keeper's side.
pub(super) struct Kept {
    shared: Arc<Shared>,
    facts: Facts,
}

/// What became of a connection that nobody holds.
pub(super) struct Gone(pub(super) String);

#[derive(Default)]
struct Shared(Mutex<State>);

#[derive(Default)]
struct State {
    /// `None`: it was closed.
    io: Option<Box<dyn Io>>,
    /// What came while nobody held it.
    ahead: Vec<u8>,
    reader: Option<Waker>,
    writer: Option<Waker>,
    /// How reading or writing it last ended.
    why: Option<String>,
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Kept {
    pub(super) fn new(stream: Stream) -> Self {
        let (io, facts, _) = stream.into_parts();
        let state = State {
            io: Some(io),
            ..State::default()
        };
        Kept {
            shared: Arc::new(Shared(Mutex::new(state))),
            facts,
        }
    }

    /// Gives it to a holder. The receiver says why it is gone once the holder has let go.
    pub(super) fn lend(&self) -> (Stream, oneshot::Receiver<String>) {
        let (gone, receiver) = oneshot::channel();
        let held = Held {
            shared: Arc::clone(&self.shared),
            gone: Some(gone),
        };
        (Stream::new(held, self.facts.clone()), receiver)
    }

    /// Returns when the connection, which nobody holds, is gone. What comes is kept for the holder, and then nothing
    /// more can be seen. Cancel safe.
    pub(super) async fn gone(&self) -> Gone {
        std::future::poll_fn(|cx| self.shared.state().poll_gone(cx)).await
    }

    /// Closes it, whoever holds it.
    pub(super) async fn close(self) {
        let (io, wakers) = {
            let mut state = self.shared.state();
            let wakers = [state.reader.take(), state.writer.take()];
            (state.io.take(), wakers)
        };
        wakers.into_iter().flatten().for_each(Waker::wake);
        if let Some(mut io) = io {
            // In vain where the peer is gone already, or does not listen.
            let _ = tokio::time::timeout(GOODBYE, io.shutdown()).await;
        }
    }
}

impl State {
    fn poll_gone(&mut self, cx: &mut Context<'_>) -> Poll<Gone> {
        if !self.ahead.is_empty() {
            return Poll::Pending;
        }
        let Some(io) = &mut self.io else {
            return Poll::Pending;
        };
        let mut space = [0; AHEAD];
        let mut buf = ReadBuf::new(&mut space);
        match ready!(Pin::new(io).poll_read(cx, &mut buf)) {
            Err(error) => Poll::Ready(Gone(reason(&error))),
            Ok(()) if buf.filled().is_empty() => Poll::Ready(Gone(CLOSED.into())),
            Ok(()) => {
                self.ahead = buf.filled().to_vec();
                Poll::Pending
            }
        }
    }

    /// Notes what a call came to, for whoever asks why the connection is gone.
    fn note<T>(&mut self, done: &io::Result<T>) {
        if let Err(error) = done {
            // The first error is the cause of those that follow.
            self.why.get_or_insert_with(|| reason(error));
        }
    }

    fn writing<T>(
        &mut self,
        cx: &mut Context<'_>,
        work: impl FnOnce(Pin<&mut dyn Io>, &mut Context<'_>) -> Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        let Some(io) = &mut self.io else {
            return Poll::Ready(Err(stopped()));
        };
        let done = work(Pin::new(&mut **io), cx);
        match &done {
            Poll::Pending => remember(&mut self.writer, cx),
            Poll::Ready(done) => self.note(done),
        }
        done
    }
}

/// The peer ended its half, which is the end of a connection that nobody talks on.
const CLOSED: &str = "the peer closed it";

fn stopped() -> io::Error {
    io::Error::new(io::ErrorKind::ConnectionAborted, "the connection was stopped")
}

fn remember(place: &mut Option<Waker>, cx: &Context<'_>) {
    match place {
        Some(waker) => waker.clone_from(cx.waker()),
        None => *place = Some(cx.waker().clone()),
    }
}

/// The holder's side.
struct Held {
    shared: Arc<Shared>,
    gone: Option<oneshot::Sender<String>>,
}

impl Drop for Held {
    fn drop(&mut self) {
        let mut state = self.shared.state();
        let io = state.io.take();
        let why = state.why.take();
        drop(state);
        // Before anybody hears of it, the connection is closed.
        drop(io);
        if let Some(gone) = self.gone.take() {
            // Where nobody keeps it up any more, nobody wants to know.
            let _ = gone.send(why.unwrap_or_else(|| "we closed it".into()));
        }
    }
}

impl AsyncRead for Held {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let mut state = self.shared.state();
        let state = &mut *state;
        let Some(io) = &mut state.io else {
            return Poll::Ready(Err(stopped()));
        };
        if !state.ahead.is_empty() {
            let length = buf.remaining().min(state.ahead.len());
            buf.put_slice(&state.ahead[..length]);
            state.ahead.drain(..length);
            return Poll::Ready(Ok(()));
        }
        let (before, room) = (buf.filled().len(), buf.remaining());
        let done = Pin::new(io).poll_read(cx, buf);
        match &done {
            Poll::Pending => remember(&mut state.reader, cx),
            Poll::Ready(Ok(())) if buf.filled().len() == before && room > 0 => {
                state.why.get_or_insert_with(|| CLOSED.into());
            }
            Poll::Ready(done) => state.note(done),
        }
        done
    }
}

impl AsyncWrite for Held {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.shared.state().writing(cx, |io, cx| io.poll_write(cx, buf))
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.shared.state().writing(cx, |io, cx| io.poll_flush(cx))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.shared.state().writing(cx, |io, cx| io.poll_shutdown(cx))
    }
}
