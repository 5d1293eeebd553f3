//! What stands at either end of a direction when nothing stands in front of it, and which way the kernel can move bytes
//! between the two. Absent: moving them, and when that pays.

use std::fmt;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::task::{Context, Poll};

use rustix::event::{PollFd, PollFlags};
use rustix::fs::{fstat, major, minor};
use rustix::io::Errno;
use rustix::net::sockopt::socket_type;
use rustix::net::{RecvFlags, SocketType, recv};
use tokio::io::Interest;
use tokio::net::{TcpStream, UnixStream};

use super::resting::Resting;
use crate::connection::Wire;
use crate::transport::descriptor::Kind;
use crate::transport::given::Given;
use crate::transport::waiting::{Waiting, ask, look};

/// A socket, a pipe or a file with nothing in front of it.
#[derive(Debug, Clone, Copy)]
pub(super) enum Bare<'a> {
    Tcp(&'a TcpStream),
    Unix(&'a UnixStream),
    /// One of these that is not waited for.
    Resting(&'a Resting),
    /// A descriptor that somebody else opened.
    Given(&'a Waiting),
}

/// How far to go for one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reach {
    /// There is to be nothing in front of it.
    Front,
    /// Below whatever stands in front of it.
    Carrier,
}

/// How the kernel moves bytes from one to the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Route {
    /// By splice(2) alone, as one of the two is a pipe.
    Straight,
    /// By sendfile(2), which takes from the file what the socket has room for and no more.
    Sendfile,
    /// Through a pipe of ours.
    Piped,
}

/// Why bytes go through a buffer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Hindrance {
    /// Something looks on or changes them.
    Covered,
    /// Some were read too early, and go first.
    Early,
    /// The kernel would copy them into the file all the same. Measured: 1.2 times the CPU of reading and writing.
    IntoFile,
    /// There is nothing to read or to write, or a terminal or a device.
    Device,
    /// splice(2) heeds `O_NONBLOCK` of a socket's open file alone, which others share: it would wait with all of us.
    Blocks,
    /// The system said no.
    Refused,
    /// No pipe was to be had.
    NoPipe,
    /// splice(2) stops for good in front of urgent data (RFC 6093), which reading goes past.
    Urgent,
}

impl Hindrance {
    /// Whether it stays as it is for these two.
    pub(super) fn is_lasting(self) -> bool {
        !matches!(self, Hindrance::NoPipe | Hindrance::Early | Hindrance::Urgent)
    }
}

impl fmt::Display for Hindrance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Hindrance::Covered => "TLS or another layer, or a tap, is in between",
            Hindrance::Early => "some were read too early",
            Hindrance::IntoFile => "a file is written",
            Hindrance::Device => "one end is no socket, pipe or file",
            Hindrance::Blocks => "the socket that was left open for us blocks",
            Hindrance::Refused => "the system splices no such ends",
            Hindrance::NoPipe => "no pipe is to be had",
            Hindrance::Urgent => "urgent data is among them",
        })
    }
}

/// Whether it is a socket that we opened ourselves.
pub(super) fn is_socket(wire: &Wire) -> bool {
    wire.downcast_ref::<TcpStream>().is_some()
        || wire.downcast_ref::<UnixStream>().is_some()
        || wire.downcast_ref::<Resting>().is_some()
}

/// The way from what is read to what is written, if the kernel has one.
pub(super) fn route<'a>(from: &'a Wire, to: &'a Wire) -> Result<(Bare<'a>, Bare<'a>, Route), Hindrance> {
    if from.has_early() {
        return Err(Hindrance::Early);
    }
    let source = Bare::of(from, Given::source)?;
    let sink = Bare::of(to, Given::sink)?;
    let (from_kind, to_kind) = (source.kind(), sink.kind());
    match from_kind {
        Kind::Socket if !source.is_stream() => return Err(Hindrance::Device),
        Kind::Socket | Kind::Pipe | Kind::File => {}
        Kind::Device | Kind::Other => return Err(Hindrance::Device),
    }
    match to_kind {
        Kind::Socket if !sink.is_stream() => return Err(Hindrance::Device),
        Kind::Socket if sink.blocks() => return Err(Hindrance::Blocks),
        Kind::Device if !sink.is_null() => return Err(Hindrance::Device),
        Kind::File => return Err(Hindrance::IntoFile),
        Kind::Other => return Err(Hindrance::Device),
        Kind::Socket | Kind::Pipe | Kind::Device => {}
    }
    let route = match (from_kind, to_kind) {
        (Kind::Pipe, _) | (_, Kind::Pipe) => Route::Straight,
        (Kind::File, Kind::Socket) => Route::Sendfile,
        _ => Route::Piped,
    };
    Ok((source, sink, route))
}

impl<'a> Bare<'a> {
    fn of(wire: &'a Wire, half: fn(&Given) -> Option<&Waiting>) -> Result<Self, Hindrance> {
        Bare::reached(wire, half, Reach::Front)
    }

    /// One that may have something in front of it is only to be looked at.
    pub(super) fn reached(
        wire: &'a Wire,
        half: fn(&Given) -> Option<&Waiting>,
        reach: Reach,
    ) -> Result<Self, Hindrance> {
        fn at<T: 'static>(wire: &Wire, reach: Reach) -> Option<&T> {
            match reach {
                Reach::Front => wire.bare(),
                Reach::Carrier => wire.carrier(),
            }
        }
        if let Some(tcp) = at(wire, reach) {
            return Ok(Bare::Tcp(tcp));
        }
        if let Some(unix) = at(wire, reach) {
            return Ok(Bare::Unix(unix));
        }
        if let Some(resting) = at(wire, reach) {
            return Ok(Bare::Resting(resting));
        }
        let given = at::<Given>(wire, reach).ok_or(Hindrance::Covered)?;
        half(given).map(Bare::Given).ok_or(Hindrance::Device)
    }

    fn kind(&self) -> Kind {
        match self {
            Bare::Tcp(_) | Bare::Unix(_) | Bare::Resting(_) => Kind::Socket,
            Bare::Given(given) => given.kind(),
        }
    }

    /// Whether it is one that can be reset.
    pub(super) fn is_tcp(&self) -> bool {
        match self {
            Bare::Tcp(_) => true,
            Bare::Resting(resting) => resting.is_tcp(),
            Bare::Unix(_) | Bare::Given(_) => false,
        }
    }

    pub(super) fn is_pipe(&self) -> bool {
        self.kind() == Kind::Pipe
    }

    /// Whether reading alone shows its end, at times.
    pub(super) fn may_end_unheard(&self) -> bool {
        match self {
            Bare::Tcp(_) | Bare::Unix(_) | Bare::Resting(_) => false,
            Bare::Given(given) => given.may_end_unheard(),
        }
    }

    /// Whether a socket carries bytes rather than messages.
    fn is_stream(&self) -> bool {
        match self {
            Bare::Tcp(_) | Bare::Unix(_) | Bare::Resting(_) => true,
            Bare::Given(given) => socket_type(given.get()).is_ok_and(|kind| kind == SocketType::STREAM),
        }
    }

    pub(super) fn blocks(&self) -> bool {
        match self {
            Bare::Tcp(_) | Bare::Unix(_) | Bare::Resting(_) => false,
            Bare::Given(given) => given.blocks(),
        }
    }

    /// The one device that splice(2) is sure to do well with.
    fn is_null(&self) -> bool {
        /// /dev/null (devices.txt in the kernel's documentation).
        const NULL: (u32, u32) = (1, 3);
        fstat(self).is_ok_and(|stat| (major(stat.st_rdev), minor(stat.st_rdev)) == NULL)
    }

    pub(super) fn poll_read_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Bare::Tcp(socket) => socket.poll_read_ready(cx),
            Bare::Unix(socket) => socket.poll_read_ready(cx),
            Bare::Resting(_) => Poll::Pending,
            Bare::Given(given) => given.poll_read_ready(cx),
        }
    }

    pub(super) fn poll_write_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Bare::Tcp(socket) => socket.poll_write_ready(cx),
            Bare::Unix(socket) => socket.poll_write_ready(cx),
            Bare::Resting(socket) => {
                socket.want();
                Poll::Pending
            }
            Bare::Given(given) => given.poll_write_ready(cx),
        }
    }

    /// Does `work`, which takes something out. A socket that blocks is asked first whether there is something: then a
    /// call that wants what there is does not wait.
    pub(super) fn try_read<R>(&self, work: impl FnOnce() -> io::Result<R>) -> io::Result<R> {
        match self {
            Bare::Tcp(socket) => socket.try_io(Interest::READABLE, work),
            Bare::Unix(socket) => socket.try_io(Interest::READABLE, work),
            Bare::Resting(_) => Err(io::ErrorKind::WouldBlock.into()),
            Bare::Given(given) => given.try_io(Interest::READABLE, || {
                if given.blocks() {
                    ask(given.get(), PollFlags::IN)?;
                }
                work()
            }),
        }
    }

    /// Does `work`, which puts something in.
    pub(super) fn try_write<R>(&self, work: impl FnOnce() -> io::Result<R>) -> io::Result<R> {
        match self {
            Bare::Tcp(socket) => socket.try_io(Interest::WRITABLE, work),
            Bare::Unix(socket) => socket.try_io(Interest::WRITABLE, work),
            Bare::Resting(_) => Err(io::ErrorKind::WouldBlock.into()),
            Bare::Given(given) => given.try_io(Interest::WRITABLE, work),
        }
    }

    /// Whether a call that moved less than it could have ended with a reset. Linux then tells of the bytes, and of the
    /// error nobody ever: the next call just finds that nothing can be written, as after an end in good order.
    pub(super) fn was_cut_off(&self) -> bool {
        let Bare::Tcp(socket) = self else { return false };
        let mut looked = [PollFd::new(*socket, PollFlags::empty())];
        let gone = look(&mut looked).is_ok_and(|found| found > 0);
        let what = looked[0].revents();
        gone && what.contains(PollFlags::HUP) && !what.contains(PollFlags::ERR)
    }

    /// Whether nothing more will come, where a call for bulk took nothing: of a socket that blocks it says the same in front of
    /// urgent data.
    ///
    /// # Errors
    /// What the socket says instead; it says it once.
    pub(super) fn has_ended(&self) -> io::Result<bool> {
        if !self.blocks() {
            return Ok(true);
        }
        match recv(self, &mut [0; 1], RecvFlags::PEEK | RecvFlags::DONTWAIT) {
            Ok((length, _)) => Ok(length == 0),
            Err(Errno::AGAIN | Errno::INTR) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    /// Whether urgent data is in the way of what calls for bulk would take.
    pub(super) fn has_urgent(&self) -> bool {
        if self.kind() != Kind::Socket {
            return false;
        }
        let mut looked = [PollFd::new(self, PollFlags::PRI)];
        look(&mut looked).is_ok_and(|found| found > 0) && looked[0].revents().contains(PollFlags::PRI)
    }

    /// It was found empty: it counts as ready again when something comes.
    pub(super) fn clear_readable(&self) {
        let _ = self.try_read(|| Err::<(), _>(io::ErrorKind::WouldBlock.into()));
    }

    /// It was found full: it counts as ready again when something is taken.
    pub(super) fn clear_writable(&self) {
        let _ = self.try_write(|| Err::<(), _>(io::ErrorKind::WouldBlock.into()));
    }
}

impl AsFd for Bare<'_> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Bare::Tcp(socket) => socket.as_fd(),
            Bare::Unix(socket) => socket.as_fd(),
            Bare::Resting(socket) => socket.as_fd(),
            Bare::Given(given) => given.get().as_fd(),
        }
    }
}
