//! `Connected`: a socket with one peer, read and written message by message.
//! Absent: who the peer is, and batches (`paired`).

use std::any::Any;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use rustix::net::RecvFlags;
use tokio::io::{Interest, Ready};
use tokio::net::UdpSocket;
use tokio::task::coop::poll_proceed;

use crate::connection::BoxFuture;
use crate::connection::datagram::Messages;

/// That the peer's port is closed is an error without anything to read, for which tokio's own `recv` does not wake.
const NEWS: Interest = Interest::READABLE.add(Interest::ERROR);

/// A socket that is connected: it takes datagrams of that peer only, and hears when the peer's port is closed.
pub struct Connected {
    pub(super) socket: Arc<UdpSocket>,
    pub(super) peer: SocketAddr,
    waiting: Waiting,
}

impl Connected {
    /// Takes over a socket that is connected to `peer`.
    #[must_use]
    pub fn new(socket: UdpSocket, peer: SocketAddr) -> Self {
        Connected {
            socket: Arc::new(socket),
            peer,
            waiting: Waiting::default(),
        }
    }

    fn received(&self, buf: &mut [u8]) -> io::Result<usize> {
        self.socket.try_io(Interest::READABLE, || {
            let (length, _) = rustix::net::recv(&*self.socket, buf, RecvFlags::empty())?;
            Ok(length)
        })
    }
}

/// Waiting for something to read, or for an error alone.
#[derive(Default)]
pub(super) struct Waiting(Option<BoxFuture<'static, io::Result<Ready>>>);

impl Waiting {
    /// What `receive` gives, tried whenever there may be something; then the error that waits alone.
    pub(super) fn poll<T>(
        &mut self,
        cx: &mut Context<'_>,
        socket: &Arc<UdpSocket>,
        mut receive: impl FnMut() -> io::Result<T>,
    ) -> Poll<io::Result<T>> {
        loop {
            if let Some(waiting) = &mut self.0 {
                let ready = ready!(waiting.as_mut().poll(cx));
                self.0 = None;
                ready?;
            }
            let received = match receive() {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => refused(socket),
                received => received,
            };
            match received {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    let socket = Arc::clone(socket);
                    self.0 = Some(Box::pin(async move { socket.ready(NEWS).await }));
                }
                received => return Poll::Ready(received),
            }
        }
    }
}

/// The error that waits alone. `try_io` looks at one interest at a time: of two together it says that neither is.
fn refused<T>(socket: &UdpSocket) -> io::Result<T> {
    socket.try_io(Interest::ERROR, || match socket.take_error()? {
        Some(error) => Err(error),
        None => Err(io::ErrorKind::WouldBlock.into()),
    })
}

impl Messages for Connected {
    fn poll_recv(&mut self, cx: &mut Context<'_>, buf: &mut [u8]) -> Poll<io::Result<Option<usize>>> {
        let coop = ready!(poll_proceed(cx));
        let mut waiting = std::mem::take(&mut self.waiting);
        let polled = waiting.poll(cx, &self.socket, || self.received(buf));
        self.waiting = waiting;
        if polled.is_ready() {
            coop.made_progress();
        }
        polled.map_ok(Some)
    }

    fn poll_send(&mut self, cx: &mut Context<'_>, message: &[u8]) -> Poll<io::Result<()>> {
        ready!(self.socket.poll_send(cx, message))?;
        Poll::Ready(Ok(()))
    }

    fn as_any(&self) -> Option<&dyn Any> {
        Some(self)
    }
}
