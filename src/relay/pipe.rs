//! Pipes of ours, which bytes pass on their way from one end to the other inside the kernel: splice(2).
//! Absent: when that pays, and what happens at the ends.

use std::cell::{Cell, RefCell};
use std::io;
use std::os::fd::OwnedFd;
use std::task::{Context, Poll, ready};

use rustix::pipe::{PipeFlags, SpliceFlags, fcntl_setpipe_size, pipe_with, splice};

use super::bare::Bare;

/// What a pipe can hold: the most that an ordinary user may ask for (`fs.pipe-max-size`).
const HOLDS: usize = 1024 * 1024;

/// With the 64 KiB of a new pipe splicing is no faster than copying, and a user who has many pipes gets such ones, or
/// smaller ones, and no others (`fs.pipe-user-pages-soft`). Then a buffer does it.
const HOLDS_MIN: usize = 256 * 1024;

/// Empty pipes that a thread keeps for the next one in need. An empty one holds no memory, but
/// descriptors that connections may lack.
const POOLED_MAX: usize = 16;

/// So many are not asked for after the system had none: asking each time would cost more than it brings.
const REST: u32 = 64;

/// What one splice(2) is asked to do.
const FLAGS: SpliceFlags = SpliceFlags::NONBLOCK.union(SpliceFlags::MOVE);

thread_local! {
    static POOL: RefCell<Vec<Pipe>> = const { RefCell::new(Vec::new()) };
    static UNASKED: Cell<u32> = const { Cell::new(0) };
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
    /// An empty pipe; `None` where the system has none to give that would be of use.
    pub(super) fn take() -> Option<Pipe> {
        if let Some(pooled) = POOL.with_borrow_mut(Vec::pop) {
            return Some(pooled);
        }
        let unasked = UNASKED.get();
        if unasked > 0 {
            UNASKED.set(unasked - 1);
            return None;
        }
        let made = Pipe::make();
        if made.is_none() {
            UNASKED.set(REST);
        }
        made
    }

    fn make() -> Option<Pipe> {
        let (reader, writer) = pipe_with(PipeFlags::CLOEXEC | PipeFlags::NONBLOCK).ok()?;
        let holds = [HOLDS, HOLDS_MIN]
            .into_iter()
            .find_map(|size| fcntl_setpipe_size(&writer, size).ok())?;
        Some(Pipe {
            reader,
            writer,
            holds: u32::try_from(holds).ok()?,
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

    /// Takes in what the source has; 0 at its end. The pipe has to be empty, so that only the source can be what is
    /// waited for.
    pub(super) fn poll_fill(&mut self, cx: &mut Context<'_>, from: &Bare<'_>) -> Poll<io::Result<usize>> {
        loop {
            ready!(from.poll_read_ready(cx))?;
            let moved = from.try_read(|| {
                Ok(splice(
                    from,
                    None,
                    &self.writer,
                    None,
                    self.holds as usize,
                    FLAGS,
                )?)
            });
            match moved {
                Err(error) if is_passing(&error) => {}
                Err(error) => return Poll::Ready(Err(error)),
                Ok(moved) => {
                    self.held += moved as u32;
                    return Poll::Ready(Ok(moved));
                }
            }
        }
    }

    /// Hands all that it holds to the sink.
    pub(super) fn poll_empty(&mut self, cx: &mut Context<'_>, to: &Bare<'_>) -> Poll<io::Result<()>> {
        while self.held > 0 {
            ready!(to.poll_write_ready(cx))?;
            let moved = to.try_write(|| Ok(splice(&self.reader, None, to, None, self.held as usize, FLAGS)?));
            match moved {
                Err(error) if is_passing(&error) => {}
                Err(error) => return Poll::Ready(Err(error)),
                Ok(0) => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                Ok(moved) => {
                    let all = moved == self.held as usize;
                    self.held -= moved as u32;
                    if !all && to.was_cut_off() {
                        return Poll::Ready(Err(io::ErrorKind::ConnectionReset.into()));
                    }
                }
            }
        }
        Poll::Ready(Ok(()))
    }

    /// What it holds, for a buffer to go on with.
    pub(super) fn into_bytes(self) -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; self.held()];
        let mut filled = 0;
        while filled < bytes.len() {
            match rustix::io::read(&self.reader, &mut bytes[filled..]) {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(read) => filled += read,
                Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(bytes)
    }
}

/// Whether the call is to be made again, once there is something, or room.
fn is_passing(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted
    )
}
