//! A tap sees the bytes and the ends of a connection and changes nothing.
//! Absent: formats; each way of looking has a file of its own below.

pub mod count;
pub mod hexdump;
pub mod log;
pub mod packet;
pub mod pcapng;
pub mod record;

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::datagram::Messages;
use super::stream::{Io, Through};
use super::{Connection, Datagram, Stream};

/// Which way bytes go, seen from us.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// From the peer to us.
    Received,
    /// From us to the peer.
    Sent,
}

/// Watches a connection. It is told of every byte once, in order, when the byte has been received or sent.
pub trait Tap: Send + 'static {
    /// These bytes, or this datagram, went by.
    fn data(&mut self, direction: Direction, bytes: &[u8]);

    /// This half ended.
    fn end(&mut self, direction: Direction) {
        let _ = direction;
    }

    /// This half failed. What failed once may be asked again.
    fn failed(&mut self, direction: Direction, error: &io::Error) {
        let _ = (direction, error);
    }
}

/// The connection with `taps` looking on; the same connection where there are none.
#[must_use]
pub fn tapped(connection: Connection, taps: Vec<Box<dyn Tap>>) -> Connection {
    if taps.is_empty() {
        return connection;
    }
    match connection {
        Connection::Stream(stream) => Connection::Stream(tapped_stream(stream, taps)),
        Connection::Datagram(datagram) => Connection::Datagram(tapped_datagram(datagram, taps)),
    }
}

/// The stream with `taps` looking on; the same stream where there are none.
#[must_use]
pub fn tapped_stream(stream: Stream, taps: Vec<Box<dyn Tap>>) -> Stream {
    if taps.is_empty() {
        stream
    } else {
        stream.map_through(|io| Tapped { inner: io, taps })
    }
}

/// The datagrams with `taps` looking on; the same datagrams where there are none.
#[must_use]
pub fn tapped_datagram(datagram: Datagram, taps: Vec<Box<dyn Tap>>) -> Datagram {
    if taps.is_empty() {
        datagram
    } else {
        datagram.map(|messages| Tapped {
            inner: messages,
            taps,
        })
    }
}

struct Tapped<T> {
    inner: T,
    taps: Vec<Box<dyn Tap>>,
}

impl<T> Tapped<T> {
    fn data(&mut self, direction: Direction, bytes: &[u8]) {
        for tap in &mut self.taps {
            tap.data(direction, bytes);
        }
    }

    fn end(&mut self, direction: Direction) {
        for tap in &mut self.taps {
            tap.end(direction);
        }
    }

    /// A result, the taps having seen the error if it is one.
    fn seen<R>(&mut self, direction: Direction, result: io::Result<R>) -> io::Result<R> {
        result.inspect_err(|error| {
            for tap in &mut self.taps {
                tap.failed(direction, error);
            }
        })
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for Tapped<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let room = buf.remaining();
        let read = ready!(Pin::new(&mut self.inner).poll_read(cx, buf));
        self.seen(Direction::Received, read)?;
        let bytes = &buf.filled()[before..];
        if !bytes.is_empty() {
            self.data(Direction::Received, bytes);
        } else if room > 0 {
            self.end(Direction::Received);
        }
        Poll::Ready(Ok(()))
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for Tapped<T> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let written = ready!(Pin::new(&mut self.inner).poll_write(cx, buf));
        let written = self.seen(Direction::Sent, written)?;
        if written > 0 {
            self.data(Direction::Sent, &buf[..written]);
        }
        Poll::Ready(Ok(written))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let ended = ready!(Pin::new(&mut self.inner).poll_shutdown(cx));
        self.seen(Direction::Sent, ended)?;
        self.end(Direction::Sent);
        Poll::Ready(Ok(()))
    }
}

impl Through for Tapped<Box<dyn Io>> {
    fn inner(&self) -> &dyn Io {
        &*self.inner
    }
}

impl<T: Messages> Messages for Tapped<T> {
    fn poll_recv(&mut self, cx: &mut Context<'_>, buf: &mut [u8]) -> Poll<io::Result<Option<usize>>> {
        let received = ready!(self.inner.poll_recv(cx, buf))?;
        match received {
            Some(length) => self.data(Direction::Received, &buf[..length]),
            None => self.end(Direction::Received),
        }
        Poll::Ready(Ok(received))
    }

    fn poll_send(&mut self, cx: &mut Context<'_>, message: &[u8]) -> Poll<io::Result<()>> {
        ready!(self.inner.poll_send(cx, message))?;
        self.data(Direction::Sent, message);
        Poll::Ready(Ok(()))
    }

    fn poll_over(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.inner.poll_over(cx)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;
    use crate::connection::{Address, Facts};

    #[derive(Clone, Default)]
    struct Notes(Arc<Mutex<Vec<String>>>);

    impl Tap for Notes {
        fn data(&mut self, direction: Direction, bytes: &[u8]) {
            self.0
                .lock()
                .unwrap()
                .push(format!("{direction:?} {}", bytes.escape_ascii()));
        }
        fn end(&mut self, direction: Direction) {
            self.0.lock().unwrap().push(format!("{direction:?} end"));
        }
    }

    #[tokio::test]
    async fn a_tap_sees_each_byte_once_and_both_ends() {
        let notes = Notes::default();
        let (ours, mut theirs) = tokio::io::duplex(4);
        let stream = Stream::new(ours, Facts::new(Address::Unnamed, Address::Unnamed));
        let mut stream = tapped_stream(stream, vec![Box::new(notes.clone())]);
        let far = tokio::spawn(async move {
            let mut got = Vec::new();
            theirs.write_all(b"in").await.unwrap();
            theirs.read_to_end(&mut got).await.unwrap();
            got
        });
        let mut buf = [0; 2];
        stream.read_exact(&mut buf).await.unwrap();
        stream.write_all(b"outward").await.unwrap();
        stream.shutdown().await.unwrap();
        assert_eq!(far.await.unwrap(), b"outward");
        assert_eq!(stream.read(&mut buf).await.unwrap(), 0);
        let notes = notes.0.lock().unwrap().clone();
        assert_eq!(notes[0], "Received in");
        let sent: String = notes
            .iter()
            .filter_map(|note| note.strip_prefix("Sent "))
            .collect();
        assert_eq!(sent, "outwardend");
        assert_eq!(notes.last().unwrap(), "Received end");
    }
}
