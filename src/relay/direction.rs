//! One direction between two streams: through the thread's buffer, or, for bulk between two bare sockets, through a
//! pipe that the kernel moves pages by. Absent: the other direction.

use std::task::{Context, Poll, ready};

use super::pipe::{Bare, Pipe};
use crate::connection::pump::{Across, Failed, Progress, Pump};
use crate::connection::{Stream, tap};

/// A read of so much at once is bulk. Below, one copy costs less than two more system calls.
const BULK: usize = 32 * 1024;

/// So many fills below [`BULK`] in a row, and it is bulk no more.
const THIN_MAX: u8 = 8;

/// Fills before other tasks get a turn: a few milliseconds at memory speed.
const FILLS_PER_TURN: u32 = 8;

/// One direction, with what could not be written yet.
#[derive(Debug, Default)]
pub(super) struct Direction {
    pump: Pump,
    /// There is one while something is in it.
    pipe: Option<Pipe>,
    spliced: u64,
    bulk: bool,
    thin: u8,
}

impl Direction {
    /// The end was passed on.
    pub(super) fn ended(&self) -> bool {
        self.pump.ended()
    }

    /// Bytes moved so far.
    pub(super) fn moved(&self) -> u64 {
        self.pump.moved() + self.spliced
    }

    /// The source is known to be lost: what it still has is passed on, but no end, as it made none.
    pub(super) fn withhold_end(&mut self) {
        self.pump.withhold_end();
    }

    /// Moves what can be moved; ready when the end has been passed on.
    pub(super) fn poll(
        &mut self,
        cx: &mut Context<'_>,
        from: &mut Stream,
        to: &mut Stream,
    ) -> Poll<Result<(), Failed>> {
        loop {
            if self.bulk {
                ready!(self.poll_bulk(cx, from, to))?;
            }
            // Asked here and not kept: it costs two comparisons.
            let bulk = match (Bare::of(from), Bare::of(to)) {
                (Some(_), Some(_)) => BULK,
                _ => usize::MAX,
            };
            match ready!(self.pump.poll_until(cx, &mut Across { from, to }, bulk))? {
                Progress::Ended => return Poll::Ready(Ok(())),
                Progress::Bulk => (self.bulk, self.thin) = (true, 0),
            }
        }
    }

    /// Splices until it no longer pays, or has come to the end. The pipe is then empty, and back in the pool.
    fn poll_bulk(
        &mut self,
        cx: &mut Context<'_>,
        source: &Stream,
        sink: &Stream,
    ) -> Poll<Result<(), Failed>> {
        let (Some(from), Some(to)) = (Bare::of(source), Bare::of(sink)) else {
            self.bulk = false;
            return Poll::Ready(Ok(()));
        };
        for _ in 0..FILLS_PER_TURN {
            let Some(mut pipe) = self.pipe.take().or_else(Pipe::take) else {
                // No descriptors left: the buffer does it.
                self.bulk = false;
                return Poll::Ready(Ok(()));
            };
            let fresh = pipe.is_empty();
            let filled = match fresh {
                true => pipe.poll_fill(cx, &from),
                // What it held when the writer took no more.
                false => Poll::Ready(Ok(pipe.held())),
            };
            match filled {
                Poll::Pending => {
                    pipe.give_back();
                    return Poll::Pending;
                }
                Poll::Ready(Err(error)) => return Poll::Ready(Err(Failed::Reading(error))),
                Poll::Ready(Ok(0)) => {
                    pipe.give_back();
                    self.pump.end();
                    self.bulk = false;
                    return Poll::Ready(Ok(()));
                }
                Poll::Ready(Ok(_)) => {}
            }
            let held = pipe.held();
            if fresh {
                source.passed(tap::Direction::Received, held);
            }
            match pipe.poll_empty(cx, &to) {
                Poll::Ready(Ok(())) => {
                    self.spliced += held as u64;
                    sink.passed(tap::Direction::Sent, held);
                    pipe.give_back();
                }
                Poll::Ready(Err(error)) => return Poll::Ready(Err(Failed::Writing(error))),
                Poll::Pending => {
                    self.spliced += (held - pipe.held()) as u64;
                    sink.passed(tap::Direction::Sent, held - pipe.held());
                    self.pipe = Some(pipe);
                    return Poll::Pending;
                }
            }
            self.thin = if held < BULK { self.thin + 1 } else { 0 };
            if self.thin >= THIN_MAX {
                self.bulk = false;
                return Poll::Ready(Ok(()));
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}
