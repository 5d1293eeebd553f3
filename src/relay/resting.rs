//! A socket that nobody waits for: nothing of it is read for now, and each piece that arrives there would wake us in vain, as
//! a runtime that waits for a socket waits for both of its directions.
//! Absent: who it is that rests, and when.

use std::cell::Cell;
use std::io;
use std::net;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpStream, UnixStream};

use crate::connection::Wire;
use crate::connection::stream::Io;
use crate::transport::given::Given;

/// A socket of ours that the runtime does not know of. It neither gives nor takes anything, and wakes nobody.
#[derive(Debug)]
pub(super) struct Resting {
    socket: Socket,
    /// Somebody has something for it.
    wanted: Cell<bool>,
}

#[derive(Debug)]
enum Socket {
    Tcp(net::TcpStream),
    Unix(unix::net::UnixStream),
}

impl Resting {
    fn new(socket: Socket) -> Self {
        Resting {
            socket,
            wanted: Cell::new(false),
        }
    }

    /// Notes that somebody has something for it.
    pub(super) fn want(&self) {
        self.wanted.set(true);
    }

    pub(super) fn is_wanted(&self) -> bool {
        self.wanted.get()
    }

    pub(super) fn is_tcp(&self) -> bool {
        matches!(self.socket, Socket::Tcp(_))
    }
}

impl AsFd for Resting {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match &self.socket {
            Socket::Tcp(socket) => socket.as_fd(),
            Socket::Unix(socket) => socket.as_fd(),
        }
    }
}

impl AsyncRead for Resting {
    fn poll_read(self: Pin<&mut Self>, _: &mut Context<'_>, _: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Poll::Pending
    }
}

impl AsyncWrite for Resting {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, _: &[u8]) -> Poll<io::Result<usize>> {
        self.want();
        Poll::Pending
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        // A socket holds nothing back.
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.want();
        Poll::Pending
    }
}

/// Lays the socket of a wire to rest, if it is one of ours with nothing in front of it; says whether it is.
///
/// # Errors
/// What the system says; the connection is lost then.
pub(super) fn rest(wire: &mut Wire) -> io::Result<bool> {
    let laid =
        |socket: io::Result<Socket>| -> io::Result<Box<dyn Io>> { Ok(Box::new(Resting::new(socket?))) };
    Ok(
        wire.exchange(|tcp: TcpStream| laid(tcp.into_std().map(Socket::Tcp)))?
            || wire.exchange(|unix: UnixStream| laid(unix.into_std().map(Socket::Unix)))?,
    )
}

/// Has the runtime look once more at what is there already: it tells of what is new, and took our word that there was nothing.
///
/// # Errors
/// What the system says; the connection is lost then.
pub(super) fn watch_anew(wire: &mut Wire) -> io::Result<()> {
    if let Some(source) = wire.bare::<Given>().and_then(Given::source) {
        source.look_anew();
    } else if rest(wire)? {
        wake(wire)?;
    }
    Ok(())
}

/// Has the runtime wait for it again.
///
/// # Errors
/// What the system says; the connection is lost then.
pub(super) fn wake(wire: &mut Wire) -> io::Result<()> {
    let woken = wire.exchange(|resting: Resting| {
        Ok(match resting.socket {
            Socket::Tcp(socket) => {
                // If the runtime has no room for it, the socket is gone, and that is to be no end in good order.
                let _ = SockRef::from(&socket).set_linger(Some(Duration::ZERO));
                let socket = TcpStream::from_std(socket)?;
                SockRef::from(&socket).set_linger(None)?;
                Box::new(socket)
            }
            Socket::Unix(socket) => Box::new(UnixStream::from_std(socket)?),
        })
    });
    woken.map(drop)
}
