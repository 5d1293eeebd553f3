//! What lies below TLS: reads are few and large, and the first bytes are remembered for when they turn out to be no TLS.
//! Absent: TLS.

use std::io;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf};

use crate::connection::stream::Io;

/// Bytes asked of the stream below at once while much comes: four full records. rustls by itself asks for a quarter of one.
const AHEAD: usize = 64 * 1024;

/// Bytes asked of it as long as little comes, so that a handshake and short messages cost no large buffer each: giving one
/// to the system and taking it back takes longer than reading does.
const AT_FIRST: usize = 4 * 1024;

/// What is filled becomes so many times larger, and what is emptier than that small again.
const STEP: usize = 4;

/// Enough to tell what a peer speaks that does not speak TLS.
const FIRST: usize = 64;

/// The stream that carries TLS.
pub(super) struct Wire {
    io: Box<dyn Io>,
    /// What was read and not yet asked for. It has no memory of its own while nothing flows.
    ahead: Vec<u8>,
    given: usize,
    /// Bytes asked for at once.
    room: usize,
    first: Vec<u8>,
    /// What a write was told when the peer broke off. The system says so once, and lets whoever reads then find an end.
    lost: Option<io::Error>,
}

impl Wire {
    pub(super) fn new(io: Box<dyn Io>) -> Self {
        Wire {
            io,
            ahead: Vec::new(),
            given: 0,
            room: AT_FIRST,
            first: Vec::new(),
            lost: None,
        }
    }

    /// The first bytes that came.
    pub(super) fn first(&self) -> &[u8] {
        &self.first
    }

    /// What it reads and writes.
    pub(super) fn inner(&self) -> &dyn Io {
        &*self.io
    }

    fn note<T>(&mut self, written: &Poll<io::Result<T>>) {
        if let Poll::Ready(Err(error)) = written
            && error.kind() == io::ErrorKind::ConnectionReset
        {
            let of_kind = || error.kind().into();
            self.lost = Some(
                error
                    .raw_os_error()
                    .map_or_else(of_kind, io::Error::from_raw_os_error),
            );
        }
    }

    /// The handshake is done: nobody will ask for the first bytes any more.
    pub(super) fn forget_first(&mut self) {
        self.first = Vec::new();
    }
}

impl AsyncRead for Wire {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if this.given == this.ahead.len() {
            this.ahead.clear();
            this.given = 0;
            this.ahead.reserve_exact(this.room);
            let read = match pin!(this.io.read_buf(&mut this.ahead)).poll(cx) {
                Poll::Ready(read) => read?,
                Poll::Pending => {
                    this.ahead = Vec::new();
                    return Poll::Pending;
                }
            };
            if read == 0
                && let Some(error) = this.lost.take()
            {
                return Poll::Ready(Err(error));
            }
            if read >= this.room {
                this.room = (this.room * STEP).min(AHEAD);
            } else if read < this.room / STEP {
                this.room = AT_FIRST;
            }
            if this.first.is_empty() {
                this.first = this.ahead.iter().take(FIRST).copied().collect();
            }
        }
        let rest = &this.ahead[this.given..];
        let length = rest.len().min(buf.remaining());
        buf.put_slice(&rest[..length]);
        this.given += length;
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Wire {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut *self.io).poll_write(cx, buf);
        self.note(&written);
        written
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut *self.io).poll_write_vectored(cx, bufs);
        self.note(&written);
        written
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(Pin::new(&mut *self.io).poll_flush(cx))?;
        Pin::new(&mut *self.io).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncWriteExt;

    use super::*;

    #[tokio::test]
    async fn bytes_come_in_order_and_an_idle_wire_holds_none() {
        let (near, mut far) = tokio::io::duplex(1 << 20);
        let mut wire = Wire::new(Box::new(near));
        let sent: Vec<u8> = (0..200_000_u32).map(|n| n as u8).collect();
        far.write_all(&sent).await.unwrap();
        let mut got = vec![0; sent.len()];
        for part in got.chunks_mut(3000) {
            wire.read_exact(part).await.unwrap();
        }
        assert_eq!(got, sent);
        assert_eq!(wire.first(), &sent[..FIRST]);
        assert_eq!(wire.room, AHEAD);
        let read = std::future::poll_fn(|cx| {
            let mut byte = [0];
            let polled = Pin::new(&mut wire).poll_read(cx, &mut ReadBuf::new(&mut byte));
            Poll::Ready(polled.is_pending())
        });
        assert!(read.await);
        assert_eq!(wire.ahead.capacity(), 0);
        far.write_all(b"little").await.unwrap();
        wire.read_exact(&mut got[..6]).await.unwrap();
        assert_eq!((&got[..6], wire.room), (&b"little"[..], AT_FIRST));
        far.shutdown().await.unwrap();
        assert_eq!(wire.read(&mut [0; 9]).await.unwrap(), 0);
        assert_eq!(wire.read(&mut [0; 9]).await.unwrap(), 0);
    }

    /// A socket of which a write has heard that it was reset.
    struct Gone;

    impl AsyncRead for Gone {
        fn poll_read(self: Pin<&mut Self>, _: &mut Context<'_>, _: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }
    }

    impl AsyncWrite for Gone {
        fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, _: &[u8]) -> Poll<io::Result<usize>> {
            Poll::Ready(Err(io::ErrorKind::ConnectionReset.into()))
        }

        fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }

        fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }
    }

    #[tokio::test]
    async fn a_reset_that_a_write_was_told_of_is_no_end_to_whoever_reads() {
        let mut wire = Wire::new(Box::new(Gone));
        assert_eq!(wire.read(&mut [0; 9]).await.unwrap(), 0);
        wire.write(b"x").await.unwrap_err();
        let error = wire.read(&mut [0; 9]).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
    }
}
