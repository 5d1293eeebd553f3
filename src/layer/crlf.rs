//! LF becomes CRLF on the way through a reader; a CR that is already there is not doubled.
//! Absent: the other direction.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Reads at once from the reader below; each byte may become two.
const READ: usize = 64 * 1024;

/// A reader whose lines end in CRLF.
pub struct Crlf<T> {
    inner: T,
    raw: Box<[u8]>,
    /// What was read and is still to be given, as a range of `raw`.
    start: usize,
    end: usize,
    after_cr: bool,
    /// The CR of a line end was given, its LF is next.
    owes_lf: bool,
}

impl<T> Crlf<T> {
    /// `inner`, its lines ending in CRLF.
    pub fn new(inner: T) -> Self {
        Crlf {
            inner,
            raw: vec![0; READ].into_boxed_slice(),
            start: 0,
            end: 0,
            after_cr: false,
            owes_lf: false,
        }
    }

    fn give(&mut self, buf: &mut ReadBuf<'_>) {
        while buf.remaining() > 0 && self.start < self.end {
            let byte = self.raw[self.start];
            if byte == b'\n' && !self.after_cr && !self.owes_lf {
                buf.put_slice(b"\r");
                self.owes_lf = true;
                continue;
            }
            buf.put_slice(&[byte]);
            self.start += 1;
            self.owes_lf = false;
            self.after_cr = byte == b'\r';
        }
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for Crlf<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if this.start == this.end {
            let mut raw = ReadBuf::new(&mut this.raw);
            ready!(Pin::new(&mut this.inner).poll_read(cx, &mut raw))?;
            (this.start, this.end) = (0, raw.filled().len());
        }
        this.give(buf);
        Poll::Ready(Ok(()))
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for Crlf<T> {
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
    use proptest::prelude::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    fn through(pieces: Vec<Vec<u8>>, room: usize) -> Vec<u8> {
        tokio::runtime::Builder::new_current_thread()
            .build()
            .unwrap()
            .block_on(async {
                let (near, mut far) = tokio::io::duplex(4096);
                let mut reader = Crlf::new(near);
                let feed = async {
                    for piece in pieces {
                        far.write_all(&piece).await.unwrap();
                        tokio::task::yield_now().await;
                    }
                    drop(far);
                };
                let take = async {
                    let mut got = Vec::new();
                    let mut buf = vec![0; room];
                    loop {
                        match reader.read(&mut buf).await.unwrap() {
                            0 => return got,
                            n => got.extend_from_slice(&buf[..n]),
                        }
                    }
                };
                tokio::join!(feed, take).1
            })
    }

    #[test]
    fn line_feeds_gain_a_return_once() {
        let text = vec![b"a\nb\r\nc\r".to_vec(), b"\n\n\r\r\n".to_vec()];
        assert_eq!(through(text, 100), b"a\r\nb\r\nc\r\n\r\n\r\r\n");
    }

    proptest! {
        #[test]
        fn cuts_do_not_matter(text in "[a\r\n]{0,40}", cut in 0_usize..40, room in 1_usize..5) {
            let bytes = text.clone().into_bytes();
            let cut = cut.min(bytes.len());
            let whole = through(vec![bytes.clone()], 1000);
            let pieces = through(vec![bytes[..cut].to_vec(), bytes[cut..].to_vec()], room);
            prop_assert_eq!(&whole, &pieces);
            let back = String::from_utf8(whole).unwrap().replace("\r\n", "\n");
            prop_assert_eq!(back, text.replace("\r\n", "\n"));
        }
    }
}
