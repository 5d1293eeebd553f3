//! Bytes that go from one bare socket to another inside the kernel: splice(2) through a pipe.
//! Absent: when that pays, and what happens at the ends.

use std::cell::RefCell;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::task::{Context, Poll, ready};

use rustix::pipe::{PipeFlags, SpliceFlags, fcntl_setpipe_size, pipe_with, splice};
use tokio::io::Interest;
use tokio::net::{TcpStream, UnixStream};

use crate::connection::Stream;

/// What a pipe can hold, where the system allows it: the most that an ordinary user may ask for
/// (`fs.pipe-max-size`). With the 64 KiB of a new pipe, splicing is no faster than copying.
const HOLDS: usize = 1024 * 1024;

/// Empty pipes that a thread keeps for the next one in need. An empty one holds no memory but its descriptors.
const POOLED_MAX: usize = 64;

thread_local! {
    static POOL: RefCell<Vec<Pipe>> = const { RefCell::new(Vec::new()) };
}

/// A pipe, and how much is in it.
#[derive(Debug)]
pub(super) struct Pipe {
    reader: OwnedFd,
    writer: OwnedFd,
    holds: u32,
    held: u32,
}

impl Pipe {
    /// An empty pipe; `None` where the system has none to give.
    pub(super) fn take() -> Option<Pipe> {
        POOL.with_borrow_mut(Vec::pop).or_else(Pipe::make)
    }

    fn make() -> Option<Pipe> {
        let (reader, writer) = pipe_with(PipeFlags::CLOEXEC | PipeFlags::NONBLOCK).ok()?;
        // A user who has many of them gets smaller ones (pipe-user-pages-soft).
        let holds = fcntl_setpipe_size(&writer, HOLDS).unwrap_or(64 * 1024);
        let holds = u32::try_from(holds).unwrap_or(64 * 1024);
        Some(Pipe {
            reader,
            writer,
            holds,
            held: 0,
        })
    }

    /// Bytes in it.
    pub(super) fn held(&self) -> usize {
        self.held as usize
    }

    pub(super) fn is_empty(&self) -> bool {
        self.held == 0
    }

    /// Gives an empty pipe back. One that still holds something is of no use to others, and is closed.
    pub(super) fn give_back(self) {
        POOL.with_borrow_mut(|pool| {
            if self.held == 0 && pool.len() < POOLED_MAX {
                pool.push(self);
            }
        });
    }

    /// Takes in what the socket has; 0 at its end. The pipe has to be empty, so that only the socket can be what is
    /// waited for.
    pub(super) fn poll_fill(&mut self, cx: &mut Context<'_>, from: &Bare<'_>) -> Poll<io::Result<usize>> {
        loop {
            ready!(from.poll_read_ready(cx))?;
            let moved = from.try_io(Interest::READABLE, || {
                let flags = SpliceFlags::NONBLOCK | SpliceFlags::MOVE;
                Ok(splice(
                    from,
                    None,
                    &self.writer,
                    None,
                    self.holds as usize,
                    flags,
                )?)
            });
            match moved {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Poll::Ready(Err(error)),
                Ok(moved) => {
                    self.held += moved as u32;
                    return Poll::Ready(Ok(moved));
                }
            }
        }
    }

    /// Hands all that it holds to the socket.
    pub(super) fn poll_empty(&mut self, cx: &mut Context<'_>, to: &Bare<'_>) -> Poll<io::Result<()>> {
        while self.held > 0 {
            ready!(to.poll_write_ready(cx))?;
            let moved = to.try_io(Interest::WRITABLE, || {
                let flags = SpliceFlags::NONBLOCK | SpliceFlags::MOVE;
                Ok(splice(&self.reader, None, to, None, self.held as usize, flags)?)
            });
            match moved {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Poll::Ready(Err(error)),
                Ok(0) => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                Ok(moved) => self.held -= moved as u32,
            }
        }
        Poll::Ready(Ok(()))
    }
}

/// A socket with nothing in front of it.
#[derive(Debug)]
pub(super) enum Bare<'a> {
    Tcp(&'a TcpStream),
    Unix(&'a UnixStream),
}

impl<'a> Bare<'a> {
    /// The socket of a stream, unless a layer or a tap stands in front of it.
    pub(super) fn of(stream: &'a Stream) -> Option<Self> {
        let tcp = stream.downcast_ref().map(Bare::Tcp);
        tcp.or_else(|| stream.downcast_ref().map(Bare::Unix))
    }

    fn poll_read_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Bare::Tcp(socket) => socket.poll_read_ready(cx),
            Bare::Unix(socket) => socket.poll_read_ready(cx),
        }
    }

    fn poll_write_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Bare::Tcp(socket) => socket.poll_write_ready(cx),
            Bare::Unix(socket) => socket.poll_write_ready(cx),
        }
    }

    fn try_io<R>(&self, interest: Interest, work: impl FnOnce() -> io::Result<R>) -> io::Result<R> {
        match self {
            Bare::Tcp(socket) => socket.try_io(interest, work),
            Bare::Unix(socket) => socket.try_io(interest, work),
        }
    }
}

impl AsFd for Bare<'_> {
    fn as_fd(&self) -> std::os::fd::BorrowedFd<'_> {
        match self {
            Bare::Tcp(socket) => socket.as_fd(),
            Bare::Unix(socket) => socket.as_fd(),
        }
    }
}
