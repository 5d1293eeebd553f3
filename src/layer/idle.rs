//! The idle limit: a connection on which nothing moves for too long fails with a time-out.
//! Absent: what happens to the connection then.

use std::fmt;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep};

use crate::connection::datagram::Messages;
use crate::connection::{Connection, Datagram, Stream};
use crate::units::duration_text;

/// The connection, failing with [`IdleLimit`] once nothing has moved in either direction for `limit`.
#[must_use]
pub fn limited(connection: Connection, limit: Duration) -> Connection {
    match connection {
        Connection::Stream(stream) => Connection::Stream(limited_stream(stream, limit)),
        Connection::Datagram(datagram) => {
            Connection::Datagram(Datagram::map(datagram, |messages| Idle::new(messages, limit)))
        }
    }
}

/// As [`limited`], for a stream.
#[must_use]
pub fn limited_stream(stream: Stream, limit: Duration) -> Stream {
    stream.map(|io| Idle::new(io, limit))
}

/// The reason inside the `io::Error` of an idle connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IdleLimit(pub Duration);

impl IdleLimit {
    /// Whether an error is that of an idle connection.
    #[must_use]
    pub fn caused(error: &io::Error) -> bool {
        error.get_ref().is_some_and(|inner| inner.is::<IdleLimit>())
    }
}

impl fmt::Display for IdleLimit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "nothing moved for {}", duration_text(self.0))
    }
}

impl std::error::Error for IdleLimit {}

struct Idle<T> {
    inner: T,
    limit: Duration,
    /// When something last moved. The timer is set anew only when it fires, not on every byte.
    moved: Instant,
    timer: Pin<Box<Sleep>>,
}

impl<T> Idle<T> {
    fn new(inner: T, limit: Duration) -> Self {
        Idle {
            inner,
            limit,
            moved: Instant::now(),
            timer: Box::pin(tokio::time::sleep(limit)),
        }
    }

    /// What a poll of the inner connection comes to: progress is noted, waiting has its limit.
    fn judge<R>(&mut self, cx: &mut Context<'_>, polled: Poll<io::Result<R>>) -> Poll<io::Result<R>> {
        if polled.is_ready() {
            self.moved = Instant::now();
            return polled;
        }
        while self.timer.as_mut().poll(cx).is_ready() {
            let Some(due) = self.moved.checked_add(self.limit) else {
                // A limit beyond all times is never met. The timer is set as far off as it goes.
                self.timer.set(tokio::time::sleep(self.limit));
                continue;
            };
            if due <= Instant::now() {
                return Poll::Ready(Err(io::Error::new(
                    io::ErrorKind::TimedOut,
                    IdleLimit(self.limit),
                )));
            }
            self.timer.as_mut().reset(due);
        }
        Poll::Pending
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for Idle<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let polled = Pin::new(&mut self.inner).poll_read(cx, buf);
        self.judge(cx, polled)
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for Idle<T> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.inner).poll_write(cx, buf);
        self.judge(cx, polled)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let polled = Pin::new(&mut self.inner).poll_shutdown(cx);
        self.judge(cx, polled)
    }
}

impl<T: Messages> Messages for Idle<T> {
    fn poll_recv(&mut self, cx: &mut Context<'_>, buf: &mut [u8]) -> Poll<io::Result<Option<usize>>> {
        let polled = self.inner.poll_recv(cx, buf);
        self.judge(cx, polled)
    }

    fn poll_send(&mut self, cx: &mut Context<'_>, message: &[u8]) -> Poll<io::Result<()>> {
        let polled = self.inner.poll_send(cx, message);
        self.judge(cx, polled)
    }

    fn poll_over(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let polled = self.inner.poll_over(cx);
        self.judge(cx, polled)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;
    use crate::connection::{Address, Facts};

    #[tokio::test(start_paused = true)]
    async fn movement_in_either_direction_puts_the_limit_off() {
        let (ours, mut theirs) = tokio::io::duplex(64);
        let limit = Duration::from_secs(10);
        let stream = Stream::new(ours, Facts::new(Address::Unnamed, Address::Unnamed));
        let mut stream = limited_stream(stream, limit);
        let start = Instant::now();
        tokio::spawn(async move {
            tokio::time::sleep(Duration::from_secs(8)).await;
            theirs.write_all(b"x").await.unwrap();
            std::future::pending::<()>().await;
        });
        let mut buf = [0; 8];
        assert_eq!(stream.read(&mut buf).await.unwrap(), 1);
        let error = stream.read(&mut buf).await.unwrap_err();
        assert!(IdleLimit::caused(&error));
        assert_eq!(error.to_string(), "nothing moved for 10s");
        assert_eq!(start.elapsed(), Duration::from_secs(18));
    }

    #[tokio::test(start_paused = true)]
    async fn a_limit_beyond_all_times_is_never_met() {
        let (ours, _theirs) = tokio::io::duplex(64);
        let stream = Stream::new(ours, Facts::new(Address::Unnamed, Address::Unnamed));
        let mut stream = limited_stream(stream, Duration::MAX);
        let lifetime = Duration::from_secs(80 * 365 * 24 * 60 * 60);
        let read = tokio::time::timeout(lifetime, async { stream.read(&mut [0; 8]).await });
        assert!(read.await.is_err());
    }
}
