//! Pipes of ours, which bytes pass on their way from one end to the other inside the kernel: splice(2).
//! Absent: when that pays, and what happens at the ends.

use std::cell::{Cell, RefCell};
use std::io;
use std::os::fd::OwnedFd;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::task::{Context, Poll, ready};

use rustix::pipe::{PipeFlags, SpliceFlags, fcntl_setpipe_size, pipe_with, splice};
use rustix::process::{Resource, getrlimit};

use super::bare::{Bare, Hindrance};
use super::straight::Fill;

/// What a pipe can hold: the most that an ordinary user may ask for (`fs.pipe-max-size`).
const HOLDS: usize = 1024 * 1024;

/// With the 64 KiB of a new pipe splicing is no faster than copying, and a user who has many pipes gets such ones, or
/// smaller ones, and no others (`fs.pipe-user-pages-soft`). Then a buffer does it.
const HOLDS_MIN: usize = 256 * 1024;

/// Empty pipes that a thread keeps for the next one in need. An empty one holds no memory, but
/// descriptors that connections may lack.
const POOLED_MAX: usize = 16;

/// Limit on the pipes of all threads together: an ordinary user gets no more of this size anyway
/// (`fs.pipe-user-pages-soft`), and 256 of them hold a good part of what passes on any machine.
const PIPES_MAX: usize = 256;

/// Limit on the share of pipes in the descriptors that the process may have, one in four; each pipe takes two.
const ONE_OF: usize = 4;

/// How many requests for a pipe go unasked after the system had none: asking each time would cost more than it brings.
const REST: u32 = 64;

/// What one splice(2) is asked to do.
const FLAGS: SpliceFlags = SpliceFlags::NONBLOCK.union(SpliceFlags::MOVE);

/// How many there are.
static PIPES: AtomicUsize = AtomicUsize::new(0);

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
    _counted: Counted,
}

/// One of [`PIPES`], for as long as it lives.
#[derive(Debug)]
struct Counted;

impl Counted {
    /// `None`: there are as many as there may be.
    fn one() -> Option<Self> {
        let counted = Counted;
        // If it was one too many, it is given back here and now.
        (PIPES.fetch_add(1, Relaxed) < descriptors_max() / 2).then_some(counted)
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        PIPES.fetch_sub(1, Relaxed);
    }
}

/// So many descriptors all pipes take at most. It is asked once what the process may have, after a server has raised it.
pub(super) fn descriptors_max() -> usize {
    static MAX: OnceLock<usize> = OnceLock::new();
    *MAX.get_or_init(|| {
        let limit = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
        usize::try_from(limit).map_or(2 * PIPES_MAX, |limit| (limit / ONE_OF).min(2 * PIPES_MAX))
    })
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
        let counted = Counted::one()?;
        let (reader, writer) = pipe_with(PipeFlags::CLOEXEC | PipeFlags::NONBLOCK).ok()?;
        let holds = [HOLDS, HOLDS_MIN]
            .into_iter()
            .find_map(|size| fcntl_setpipe_size(&writer, size).ok())?;
        Some(Pipe {
            reader,
            writer,
            holds: u32::try_from(holds).ok()?,
            held: 0,
            _counted: counted,
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
            // Of the few that there may be, no thread keeps more than some of the others may need.
            if self.held == 0 && pool.len() < POOLED_MAX.min(descriptors_max() / 8) {
                pool.push(self);
            }
        });
    }

    /// Takes in what the source has; `Starved` has the caller woken when something comes. The pipe has to be empty, so that
    /// only the source can be what is waited for.
    pub(super) fn fill(&mut self, cx: &mut Context<'_>, from: &Bare<'_>) -> io::Result<Fill> {
        loop {
            if from.poll_read_ready(cx)?.is_pending() {
                return Ok(Fill::Starved);
            }
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
                Err(error) if error.kind() == io::ErrorKind::WouldBlock && from.has_urgent() => {
                    return Ok(Fill::Hindered(Hindrance::Urgent));
                }
                Err(error) if is_passing(&error) => {}
                Err(error) => return Err(error),
                Ok(moved) => {
                    self.held += moved as u32;
                    return Ok(Fill::Bytes(moved));
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
