//! Having a descriptor without changing what others see of it, and waiting until it can be read or written.
//! Absent: bytes' ends, and what a descriptor stands for.

use std::cell::Cell;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::task::{Context, Poll, ready};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{Mode, OFlags, fcntl_getfl, fstat, major, minor, open};
use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags, recv, send};
use rustix::termios::isatty;
use tokio::io::unix::AsyncFd;
use tokio::io::{Interest, ReadBuf};
use tokio::task::coop;

use super::descriptor::Kind;
use crate::kernel;

/// The size that pipes are asked to have: fewer wake-ups of the process at their other end. Linux allows this much to
/// everybody by default.
const PIPE_SIZE: usize = 1 << 20;

/// What a pipe that says it can be written takes without making us wait (PIPE_BUF, pipe(7)).
const WRITE_MAX: usize = 4096;

/// A descriptor of our own.
#[derive(Debug)]
pub(crate) struct Waiting {
    wait: Wait,
    call: Call,
    kind: Kind,
    /// A read that is not filled has taken all there was, and what comes next will be told.
    short_is_all: bool,
    /// Nothing may be told of an end that came before we opened it anew.
    last_look: bool,
    /// Something is there, whatever was last told.
    passed_by: Cell<bool>,
}

/// How the system lets us wait.
#[derive(Debug)]
enum Wait {
    /// It says when it is ready.
    Polled(AsyncFd<OwnedFd>),
    /// It is always ready: files, /dev/null and the like.
    Never(OwnedFd),
}

/// How a descriptor is read and written without stopping everything else.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Call {
    /// A socket: each call says that it does not wait.
    Socket,
    /// Opened anew, so that it is ours not to block, or never waits.
    Plain,
    /// Open for others too, who rely on it to block: asked before each call.
    Shared,
}

impl Waiting {
    /// A duplicate of `descriptor`, or the same pipe or terminal opened anew; `access` is what it is for.
    pub(super) fn new(descriptor: BorrowedFd<'_>, kind: Kind, access: OFlags) -> io::Result<Self> {
        let packets = kind == Kind::Pipe && fcntl_getfl(descriptor)?.contains(OFlags::DIRECT);
        let (own, call) = own(descriptor, kind, access)?;
        let interest = if access == OFlags::WRONLY {
            Interest::WRITABLE
        } else {
            Interest::READABLE
        };
        let (wait, call) = match kind {
            Kind::File => (Wait::Never(own), Call::Plain),
            _ => match kernel::watch(own, interest) {
                Ok(polled) => (Wait::Polled(polled), call),
                // epoll(7) takes nothing that is always ready.
                Err((own, error)) if error.kind() == io::ErrorKind::PermissionDenied => {
                    (Wait::Never(own), Call::Plain)
                }
                Err((_, error)) => return Err(error),
            },
        };
        Ok(Waiting {
            wait,
            call,
            kind,
            // A terminal gives a line at a time, other sockets and pipes of packets a message, and say nothing of the
            // lines and messages behind it.
            short_is_all: kind == Kind::Pipe && !packets,
            last_look: kind == Kind::Pipe,
            passed_by: Cell::new(false),
        })
    }

    /// The descriptor.
    pub(crate) fn get(&self) -> &OwnedFd {
        match &self.wait {
            Wait::Polled(polled) => polled.get_ref(),
            Wait::Never(own) => own,
        }
    }

    /// What it is.
    pub(crate) fn kind(&self) -> Kind {
        self.kind
    }

    /// Whether a call that cannot be told not to wait may wait: the open file is others' too, and they have it so.
    pub(crate) fn blocks(&self) -> bool {
        let blocks = |flags: OFlags| !flags.contains(OFlags::NONBLOCK);
        self.call == Call::Socket && fcntl_getfl(self.get()).is_ok_and(blocks)
    }

    /// Whether reading alone shows the end, at times: Linux tells a FIFO opened without blocking nothing of a last writer
    /// who left before that, so that it can wait for the first one.
    pub(crate) fn may_end_unheard(&self) -> bool {
        self.last_look && coop::has_budget_remaining()
    }

    /// Says that something is there although a call has found nothing, as one that stops in front of urgent data does.
    pub(crate) fn look_anew(&self) {
        self.passed_by.set(true);
    }

    /// What a call has found: nothing may be left that was passed by.
    fn found<R>(&self, done: io::Result<R>) -> io::Result<R> {
        if done
            .as_ref()
            .is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock)
        {
            self.passed_by.set(false);
        }
        done
    }

    /// Waits until something may be there to read.
    pub(crate) fn poll_read_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &self.wait {
            Wait::Never(_) => proceed(cx).map(Ok),
            Wait::Polled(_) if self.passed_by.get() => proceed(cx).map(Ok),
            Wait::Polled(polled) => polled.poll_read_ready(cx).map_ok(|_guard| ()),
        }
    }

    /// Waits until something may be taken.
    pub(crate) fn poll_write_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &self.wait {
            Wait::Never(_) => proceed(cx).map(Ok),
            Wait::Polled(polled) => polled.poll_write_ready(cx).map_ok(|_guard| ()),
        }
    }

    /// Does `work`, and waits anew if it says `WouldBlock`.
    pub(crate) fn try_io<R>(
        &self,
        interest: Interest,
        work: impl FnOnce() -> io::Result<R>,
    ) -> io::Result<R> {
        match &self.wait {
            Wait::Never(_) => work(),
            Wait::Polled(_) if interest.is_readable() && self.passed_by.get() => self.found(work()),
            Wait::Polled(polled) => polled.try_io(interest, |_| work()),
        }
    }

    /// Reads what is there, or waits; nothing read is the end.
    pub(super) fn poll_read(&self, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let room = buf.initialize_unfilled();
        let wanted = room.len();
        let mut read = || retried(|| self.call.read(self.get(), room));
        let read = match &self.wait {
            Wait::Never(_) => {
                ready!(proceed(cx));
                read()
            }
            Wait::Polled(polled) => loop {
                match polled.poll_read_ready(cx)? {
                    Poll::Ready(mut ready) => match ready.try_io(|_| read()) {
                        Ok(done) => {
                            let short = done.as_ref().is_ok_and(|length| 0 < *length && *length < wanted);
                            if short && self.short_is_all {
                                // Asking again would only be told that there is nothing.
                                ready.clear_ready();
                            }
                            break done;
                        }
                        Err(_would_block) => {}
                    },
                    Poll::Pending if self.may_end_unheard() || self.passed_by.get() => {
                        match self.found(read()) {
                            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Poll::Pending,
                            done => break done,
                        }
                    }
                    Poll::Pending => return Poll::Pending,
                }
            },
        };
        Poll::Ready(read.map(|length| buf.advance(length)))
    }

    /// Writes what fits, or waits.
    pub(super) fn poll_write(&self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let write = || retried(|| self.call.write(self.get(), bytes));
        match &self.wait {
            Wait::Never(_) => {
                ready!(proceed(cx));
                Poll::Ready(write())
            }
            Wait::Polled(polled) => loop {
                let mut ready = ready!(polled.poll_write_ready(cx))?;
                match ready.try_io(|_| write()) {
                    Ok(written) => return Poll::Ready(written),
                    Err(_would_block) => {}
                }
            },
        }
    }
}

impl Call {
    fn read(self, own: &OwnedFd, room: &mut [u8]) -> io::Result<usize> {
        Ok(match self {
            Call::Socket => recv(own, room, RecvFlags::DONTWAIT)?.0,
            Call::Plain => rustix::io::read(own, room)?,
            Call::Shared => {
                ask(own, PollFlags::IN)?;
                rustix::io::read(own, room)?
            }
        })
    }

    fn write(self, own: &OwnedFd, bytes: &[u8]) -> io::Result<usize> {
        Ok(match self {
            Call::Socket => send(own, bytes, SendFlags::DONTWAIT | SendFlags::NOSIGNAL)?,
            Call::Plain => rustix::io::write(own, bytes)?,
            Call::Shared => {
                ask(own, PollFlags::OUT)?;
                rustix::io::write(own, &bytes[..bytes.len().min(WRITE_MAX)])?
            }
        })
    }
}

/// What is always ready takes its turns like all else.
fn proceed(cx: &mut Context<'_>) -> Poll<()> {
    coop::poll_proceed(cx).map(|turn| turn.made_progress())
}

/// `WouldBlock` where a call would have to wait. Errors and hang-ups count as ready: the call reports them.
pub(crate) fn ask(own: impl AsFd, wanted: PollFlags) -> rustix::io::Result<()> {
    match look(&mut [PollFd::new(&own, wanted)])? {
        0 => Err(Errno::AGAIN),
        _ => Ok(()),
    }
}

/// poll(2) without a wait: how many of these something is to be said of.
pub(crate) fn look(these: &mut [PollFd<'_>]) -> rustix::io::Result<usize> {
    const NOW: Timespec = Timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    poll(these, Some(&NOW))
}

/// A descriptor that we may wait on without changing the one we were given.
fn own(descriptor: BorrowedFd<'_>, kind: Kind, access: OFlags) -> io::Result<(OwnedFd, Call)> {
    if kind == Kind::Pipe {
        // An unprivileged user's pipes may be limited to less; the size it has then stays.
        let _ = rustix::pipe::fcntl_setpipe_size(descriptor, PIPE_SIZE);
    }
    if kind == Kind::Pipe || is_terminal(descriptor)? {
        let path = format!("/proc/self/fd/{}", descriptor.as_raw_fd());
        let flags = access | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
        if let Ok(own) = open(path, flags, Mode::empty()) {
            return Ok((own, Call::Plain));
        }
        // Without /proc, or where the pipe or terminal is another user's, as under sudo: a duplicate.
    }
    let call = if kind == Kind::Socket {
        Call::Socket
    } else {
        Call::Shared
    };
    Ok((descriptor.try_clone_to_owned()?, call))
}

/// A terminal, and the same one when it is opened again: the device of pseudo-terminals' masters makes a new one each
/// time, and other devices may do as they like.
fn is_terminal(descriptor: BorrowedFd<'_>) -> io::Result<bool> {
    /// /dev/ptmx (devices.txt in the kernel's documentation).
    const MASTERS: (u32, u32) = (5, 2);
    let device = fstat(descriptor)?.st_rdev;
    Ok(isatty(descriptor) && (major(device), minor(device)) != MASTERS)
}

/// Once more for as long as signals interrupt.
fn retried<T>(mut call: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    loop {
        match call() {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            done => return done,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::time::Duration;

    use tokio::time::timeout;

    use super::*;

    /// As where a pipe cannot be opened anew.
    fn shared(pipe: OwnedFd, interest: Interest) -> Waiting {
        Waiting {
            wait: Wait::Polled(kernel::watch(pipe, interest).unwrap()),
            call: Call::Shared,
            kind: Kind::Pipe,
            short_is_all: true,
            last_look: true,
            passed_by: Cell::new(false),
        }
    }

    #[tokio::test]
    async fn a_pipe_that_blocks_for_others_never_stops_us() {
        let (reader, writer) = io::pipe().unwrap();
        let sent: Vec<u8> = (0..300_000_u32).map(|n| (n / 7) as u8).collect();
        let (to, from) = (
            shared(writer.into(), Interest::WRITABLE),
            shared(reader.into(), Interest::READABLE),
        );
        // One thread: a read or write that waits in the kernel would wait for ever.
        let write = async {
            let mut rest = &sent[..];
            while !rest.is_empty() {
                let written = poll_fn(|cx| to.poll_write(cx, rest)).await.unwrap();
                rest = &rest[written..];
            }
            drop(to);
        };
        let read = async {
            let (mut got, mut room) = (Vec::new(), [0; 4096]);
            loop {
                let mut buf = ReadBuf::new(&mut room);
                poll_fn(|cx| from.poll_read(cx, &mut buf)).await.unwrap();
                if buf.filled().is_empty() {
                    return got;
                }
                got.extend_from_slice(buf.filled());
            }
        };
        let both = timeout(Duration::from_secs(10), async { tokio::join!(write, read).1 });
        assert_eq!(both.await.unwrap(), sent);
    }

    #[test]
    fn a_terminal_is_opened_anew_and_the_maker_of_terminals_is_not() {
        use rustix::pty::{OpenptFlags, openpt};
        let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        assert!(isatty(&master));
        assert!(!is_terminal(master.as_fd()).unwrap());
    }
}
