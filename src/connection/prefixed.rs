//! Bytes that were read too early, or are to be read first, given back in order before the rest.
//! Absent: why they were read.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::stream::{Io, Through};

/// A reader and writer whose first bytes are already here.
#[derive(Debug)]
pub struct Prefixed<T> {
    inner: T,
    prefix: Vec<u8>,
    given: usize,
}

impl<T> Prefixed<T> {
    /// `inner`, preceded by `prefix`.
    pub fn new(inner: T, prefix: Vec<u8>) -> Self {
        Prefixed {
            inner,
            prefix,
            given: 0,
        }
    }
}

impl Through for Prefixed<Box<dyn Io>> {
    fn inner(&self) -> &dyn Io {
        &*self.inner
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for Prefixed<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.given < self.prefix.len() {
            let length = buf.remaining().min(self.prefix.len() - self.given);
            buf.put_slice(&self.prefix[self.given..self.given + length]);
            self.given += length;
            if self.given == self.prefix.len() {
                self.prefix = Vec::new();
                self.given = 0;
            }
            return Poll::Ready(Ok(()));
        }
        Pin::new(&mut self.inner).poll_read(cx, buf)
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for Prefixed<T> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncReadExt;

    use super::*;

    #[tokio::test]
    async fn the_prefix_comes_first_and_once() {
        let (ours, theirs) = tokio::io::duplex(16);
        drop(theirs);
        let mut reader = Prefixed::new(ours, b"abc".to_vec());
        let mut buf = [0; 2];
        assert_eq!(reader.read(&mut buf).await.unwrap(), 2);
        assert_eq!(&buf, b"ab");
        assert_eq!(reader.read(&mut buf).await.unwrap(), 1);
        assert_eq!(reader.read(&mut buf).await.unwrap(), 0);
    }
}
