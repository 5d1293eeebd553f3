//! Bytes that go from one end to the other in one system call: splice(2) where one of them is a pipe, sendfile(2) from
//! a file. Absent: pipes of ours in between.

use std::io;
use std::task::{Context, Poll, ready};

use rustix::event::{PollFd, PollFlags};
use rustix::fs::sendfile;
use rustix::io::Errno;
use rustix::pipe::{SpliceFlags, splice};

use super::bare::{Bare, Hindrance};
use crate::connection::pump::Failed;
use crate::transport::waiting::look;

/// Asked of one call. A pipe holds no more.
const MOST: usize = 1024 * 1024;

/// Calls that move nothing although both ends say that they are ready, before others get a turn.
const IN_VAIN_MAX: u32 = 4;

/// How one call went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fill {
    /// So many bytes; 0 at the end.
    Bytes(usize),
    /// Nothing was there.
    Starved,
    /// Nothing was moved, and it is to be done in another way.
    Hindered(Hindrance),
}

/// Splices once; `Ok(Starved)` has the caller woken when something comes, `Pending` when there is room.
pub(super) fn poll_splice(
    cx: &mut Context<'_>,
    from: &Bare<'_>,
    to: &Bare<'_>,
) -> Poll<Result<Fill, Failed>> {
    for _ in 0..IN_VAIN_MAX {
        let readable = from.poll_read_ready(cx).map_err(Failed::Reading)?.is_ready();
        if !readable && !from.may_end_unheard() {
            return Poll::Ready(Ok(Fill::Starved));
        }
        ready!(to.poll_write_ready(cx)).map_err(Failed::Writing)?;
        // TCP waits for bytes if the open file says so, whatever this call does: it is not asked for what it has not.
        if from.blocks() && !ask_both(from, to).map_err(Failed::Reading)?.0 {
            from.clear_readable();
            continue;
        }
        match splice(
            from,
            None,
            to,
            None,
            MOST,
            SpliceFlags::NONBLOCK | SpliceFlags::MOVE,
        ) {
            Ok(moved) if moved > 0 && moved < MOST && to.was_cut_off() => {
                return Poll::Ready(Err(Failed::Writing(Errno::CONNRESET.into())));
            }
            Ok(moved) => return Poll::Ready(Ok(Fill::Bytes(moved))),
            Err(Errno::AGAIN) if !readable => return Poll::Ready(Ok(Fill::Starved)),
            // It does not say which of the two is not ready.
            Err(Errno::AGAIN) => {
                let (something, room) = ask_both(from, to).map_err(Failed::Reading)?;
                if !something {
                    from.clear_readable();
                }
                if !room {
                    to.clear_writable();
                }
            }
            Err(Errno::INTR) => {}
            Err(error) => return Poll::Ready(Err(blamed(from, error))),
        }
    }
    if from.has_urgent() {
        return Poll::Ready(Ok(Fill::Hindered(Hindrance::Urgent)));
    }
    cx.waker().wake_by_ref();
    Poll::Pending
}

/// Sends once from a file, which is always ready.
pub(super) fn poll_sendfile(
    cx: &mut Context<'_>,
    from: &Bare<'_>,
    to: &Bare<'_>,
) -> Poll<Result<Fill, Failed>> {
    loop {
        ready!(to.poll_write_ready(cx)).map_err(Failed::Writing)?;
        match to.try_write(|| Ok(sendfile(to, from, None, MOST)?)) {
            Ok(moved) if moved > 0 && moved < MOST && to.was_cut_off() => {
                return Poll::Ready(Err(Failed::Writing(io::ErrorKind::ConnectionReset.into())));
            }
            Ok(moved) => return Poll::Ready(Ok(Fill::Bytes(moved))),
            Err(error) => match error.kind() {
                io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted => {}
                _ if error.raw_os_error() == Some(Errno::IO.raw_os_error()) => {
                    return Poll::Ready(Err(Failed::Reading(error)));
                }
                _ => return Poll::Ready(Err(Failed::Writing(error))),
            },
        }
    }
}

/// Whether there is something to take, and room for it.
fn ask_both(from: &Bare<'_>, to: &Bare<'_>) -> io::Result<(bool, bool)> {
    let mut both = [PollFd::new(from, PollFlags::IN), PollFd::new(to, PollFlags::OUT)];
    look(&mut both)?;
    Ok((!both[0].revents().is_empty(), !both[1].revents().is_empty()))
}

/// Which end an error is about: what goes wrong with a pipe is that nobody reads it.
fn blamed(from: &Bare<'_>, error: Errno) -> Failed {
    if from.is_pipe() || error == Errno::PIPE {
        Failed::Writing(error.into())
    } else {
        Failed::Reading(error.into())
    }
}
