//! One direction between two streams: through the thread's buffer, or, for bulk between two ends that nothing stands in
//! front of, inside the kernel. Absent: the other direction.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use rustix::io::Errno;
use tokio::io::{AsyncRead, AsyncWrite};
use tracing::debug;

use super::bare::{Bare, Hindrance, Route, is_socket, route};
use super::pipe::Pipe;
use super::resting;
use super::straight::{Fill, poll_sendfile, poll_splice};
use crate::connection::pump::{Across, Failed, Progress, Pump};
use crate::connection::{Address, Wire, tap};

/// A read of so much at once is bulk, which goes through a pipe of ours. Below, one copy costs less than two more system
/// calls: 64 connections in both directions took 1.27 times the CPU with a quarter of it.
const BULK: usize = 128 * 1024;

/// The same where one call moves it, or may, and where a buffer does.
const BULK_GIVEN: usize = 32 * 1024;

/// A fill of less is thin. It is less than [`BULK`], so that a connection stays with what it does.
const THIN: usize = 32 * 1024;

/// So many thin fills in a row, and it is bulk no more.
const THIN_MAX: u8 = 8;

/// Fills before other tasks get a turn: a few milliseconds at memory speed.
const FILLS_PER_TURN: u32 = 16;

/// One direction, with what could not be written yet.
#[derive(Debug, Default)]
pub(super) struct Direction {
    pump: Pump,
    /// There is one while something is in it.
    pipe: Option<Pipe>,
    /// Something is there that a call for bulk has passed by, and the runtime was told that nothing is.
    passed_by: bool,
    /// Bytes taken from the reader without the pump.
    spliced: u64,
    thin: u8,
    bulk: bool,
    /// The reader had nothing when it was last spliced from.
    starved: bool,
    /// The writer outlives this direction: the end is not passed on.
    unending: bool,
    chosen: Chosen,
}

/// Which way bulk takes.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Chosen {
    /// There was none.
    #[default]
    Nothing,
    Spliced,
    Buffered(Hindrance),
}

impl Direction {
    /// One that writes `head` first.
    pub(super) fn after(head: Vec<u8>) -> Self {
        Direction {
            pump: Pump::after(head),
            ..Direction::default()
        }
    }

    /// One whose writer goes on after the end.
    pub(super) fn unending() -> Self {
        Direction {
            unending: true,
            ..Direction::default()
        }
    }

    /// The end was passed on, or withheld.
    pub(super) fn ended(&self) -> bool {
        self.pump.ended()
    }

    /// The reader has ended, whether or not the writer knows.
    pub(super) fn has_read_all(&self) -> bool {
        self.pump.has_read_all()
    }

    /// Bytes read so far.
    pub(super) fn moved(&self) -> u64 {
        self.pump.moved() + self.spliced
    }

    /// What the source still has is passed on, but no end: it made none, as it is known to be lost, or the writer is about to be
    /// closed, which is one.
    pub(super) fn withhold_end(&mut self) {
        self.pump.withhold_end();
    }

    /// Why reading failed, if it has, and what was read before is still on its way.
    pub(super) fn failure(&mut self) -> &mut Option<io::Error> {
        self.pump.failure()
    }

    /// Bytes that were read and that the writer has not taken.
    pub(super) fn unwritten(&self) -> usize {
        self.pump.unwritten() + self.pipe.as_ref().map_or(0, Pipe::held)
    }

    /// Bytes read and bytes written: what does not change while nothing moves.
    pub(super) fn steps(&self) -> u64 {
        2 * self.moved() - self.unwritten() as u64 + u64::from(self.ended())
    }

    /// Everything that was read has been written, and the reader had no more when it was last asked.
    pub(super) fn is_starved(&self) -> bool {
        match self.bulk {
            true => self.starved,
            false => self.pump.is_starved(),
        }
    }

    /// What has been read so far is taken as all; the next poll passes the end on.
    pub(super) fn end(&mut self) {
        self.bulk = false;
        self.pump.end();
    }

    /// Goes on with another writer, which gets what the last one did not take, and the end anew.
    pub(super) fn begin_anew(&mut self) {
        (self.bulk, self.chosen) = (false, Chosen::Nothing);
        self.pump.begin_anew();
    }

    /// Reads once, for a writer to come; ready when there is something for it: bytes, or the end.
    pub(super) fn poll_ahead<R: AsyncRead + Unpin>(
        &mut self,
        cx: &mut Context<'_>,
        from: &mut R,
    ) -> Poll<io::Result<()>> {
        match &self.pipe {
            Some(_) => Poll::Ready(Ok(())),
            None => self.pump.poll_ahead(cx, from),
        }
    }

    /// Why bulk goes through a buffer, or that it does not; `None` for as long as there was none.
    pub(super) fn chosen(&self) -> Option<Result<(), Hindrance>> {
        match self.chosen {
            Chosen::Nothing => None,
            Chosen::Spliced => Some(Ok(())),
            Chosen::Buffered(hindrance) => Some(Err(hindrance)),
        }
    }

    /// Moves what can be moved; ready when the end has been passed on.
    pub(super) fn poll(
        &mut self,
        cx: &mut Context<'_>,
        from: &mut Wire,
        to: &mut Wire,
    ) -> Poll<Result<(), Failed>> {
        loop {
            // What an earlier writer left in a pipe of ours goes first.
            if self.bulk || self.pipe.is_some() {
                ready!(self.poll_bulk(cx, from, to))?;
            }
            if std::mem::take(&mut self.passed_by) {
                resting::watch_anew(from).map_err(Failed::Reading)?;
            }
            // What bulk there is through a buffer is known by now, and need not be told of again.
            let bulk = match self.chosen {
                Chosen::Buffered(hindrance) if hindrance.is_lasting() => usize::MAX,
                _ if is_socket(from) && is_socket(to) => BULK,
                _ => BULK_GIVEN,
            };
            let moved = match self.unending {
                false => self.pump.poll_until(cx, &mut Across { from, to }, bulk),
                true => {
                    let to = &mut Unending(&mut *to);
                    self.pump.poll_until(cx, &mut Across { from, to }, bulk)
                }
            };
            match ready!(moved)? {
                Progress::Ended => return Poll::Ready(Ok(())),
                Progress::Bulk => (self.bulk, self.thin) = (true, 0),
            }
        }
    }

    /// Splices until it no longer pays, or has come to the end. The pipe is then empty, and back in the pool.
    fn poll_bulk(&mut self, cx: &mut Context<'_>, source: &Wire, sink: &Wire) -> Poll<Result<(), Failed>> {
        let ways = match route(source, sink) {
            Ok(ways) => ways,
            Err(hindrance) => return Poll::Ready(self.go_on_buffered(hindrance)),
        };
        self.starved = false;
        for _ in 0..FILLS_PER_TURN {
            match ready!(self.poll_fill(cx, ways, source, sink)) {
                Ok(Fill::Bytes(0)) if ways.0.has_ended().map_err(Failed::Reading)? => {
                    self.end();
                    return Poll::Ready(Ok(()));
                }
                Ok(Fill::Bytes(0)) => return Poll::Ready(self.go_on_buffered(Hindrance::Urgent)),
                Ok(Fill::Bytes(moved)) => {
                    if self.chosen == Chosen::Nothing {
                        self.chosen = Chosen::Spliced;
                    }
                    self.thin = if moved < THIN { self.thin + 1 } else { 0 };
                    if self.thin >= THIN_MAX {
                        self.bulk = false;
                        return Poll::Ready(Ok(()));
                    }
                }
                Ok(Fill::Starved) => {
                    (self.bulk, self.starved) = (true, true);
                    return Poll::Pending;
                }
                Ok(Fill::Hindered(hindrance)) => return Poll::Ready(self.go_on_buffered(hindrance)),
                Err(failed) if is_refusal(&failed) => {
                    return Poll::Ready(self.go_on_buffered(Hindrance::Refused));
                }
                Err(failed) => return Poll::Ready(Err(failed)),
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    fn poll_fill(
        &mut self,
        cx: &mut Context<'_>,
        (from, to, route): (Bare<'_>, Bare<'_>, Route),
        source: &Wire,
        sink: &Wire,
    ) -> Poll<Result<Fill, Failed>> {
        let filled = match (route, &self.pipe) {
            // What a pipe of ours holds goes first, whichever way is taken now.
            (Route::Piped, _) | (_, Some(_)) => return self.poll_piped(cx, (&from, source), (&to, sink)),
            (Route::Straight, None) => ready!(poll_splice(cx, &from, &to)),
            (Route::Sendfile, None) => ready!(poll_sendfile(cx, &from, &to)),
        };
        if let Ok(Fill::Bytes(moved)) = filled {
            self.spliced += moved as u64;
            source.passed(tap::Direction::Received, moved);
            sink.passed(tap::Direction::Sent, moved);
        }
        Poll::Ready(filled)
    }

    fn poll_piped(
        &mut self,
        cx: &mut Context<'_>,
        (from, source): (&Bare<'_>, &Wire),
        (to, sink): (&Bare<'_>, &Wire),
    ) -> Poll<Result<Fill, Failed>> {
        let Some(mut pipe) = self.pipe.take().or_else(Pipe::take) else {
            return Poll::Ready(Ok(Fill::Hindered(Hindrance::NoPipe)));
        };
        // If not, it is what it held when the writer took no more.
        if pipe.is_empty() {
            match pipe.fill(cx, from) {
                Err(error) => return Poll::Ready(Err(Failed::Reading(error))),
                Ok(Fill::Bytes(moved)) if moved > 0 => {
                    self.spliced += moved as u64;
                    source.passed(tap::Direction::Received, moved);
                }
                Ok(nothing) => {
                    pipe.give_back();
                    return Poll::Ready(Ok(nothing));
                }
            }
        }
        let held = pipe.held();
        let emptied = pipe.poll_empty(cx, to);
        sink.passed(tap::Direction::Sent, held - pipe.held());
        if let Poll::Ready(Ok(())) = emptied {
            pipe.give_back();
        } else {
            // Another writer may want it.
            self.pipe = Some(pipe);
        }
        emptied.map_ok(|()| Fill::Bytes(held)).map_err(Failed::Writing)
    }

    /// What is in a pipe of ours is taken out again.
    fn go_on_buffered(&mut self, hindrance: Hindrance) -> Result<(), Failed> {
        self.bulk = false;
        // The runtime may have been told that nothing is there, and nothing would tell of what is behind it.
        self.passed_by = hindrance == Hindrance::Urgent;
        if hindrance != Hindrance::Early && (hindrance.is_lasting() || self.chosen == Chosen::Nothing) {
            self.chosen = Chosen::Buffered(hindrance);
        }
        if let Some(pipe) = self.pipe.take() {
            self.pump.keep(pipe.into_bytes().map_err(Failed::Reading)?);
        }
        Ok(())
    }
}

/// That the system does not do this with these ends, as opposed to something being wrong with one of them.
fn is_refusal(failed: &Failed) -> bool {
    let (Failed::Reading(error) | Failed::Writing(error)) = failed;
    let refusals = [Errno::INVAL, Errno::NOSYS, Errno::OPNOTSUPP];
    error
        .raw_os_error()
        .is_some_and(|raw| refusals.iter().any(|errno| errno.raw_os_error() == raw))
}

/// Says with -v which way the bulk of a connection goes, as soon as that is known, and once.
pub(super) fn tell(told: &mut bool, peer: Option<&Address>, ways: [&Direction; 2]) {
    if *told {
        return;
    }
    let Some(chosen) = ways.iter().find_map(|way| way.chosen()) else {
        return;
    };
    *told = true;
    let how = match chosen {
        Ok(()) => "splicing".to_owned(),
        Err(hindrance) => format!("through a buffer, as {hindrance}"),
    };
    match peer {
        None => debug!("{how}"),
        Some(peer) => debug!(%peer, "{how}"),
    }
}

/// A writer that outlives the conversation: its end is not passed on.
struct Unending<'a, W>(&'a mut W);

impl<W: AsyncWrite + Unpin> AsyncWrite for Unending<'_, W> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut *self.0).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.0).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_flush(cx)
    }
}
