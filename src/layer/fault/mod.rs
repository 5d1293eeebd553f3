//! Faults for testing: what is read through this layer comes late, slowly, with flipped bits, or stops short.
//! Absent: the other direction, which is the far end's, and who asked for it.
//!
//! `chance`, `corrupt`, `lag` and `pace` decide, for pieces of a stream as for datagrams, and touch nothing.

pub mod chance;
mod corrupt;
pub mod datagrams;
mod lag;
mod pace;

use std::collections::VecDeque;
use std::fmt;
use std::io;
use std::mem::MaybeUninit;
use std::num::NonZeroU64;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep};

use self::chance::Chance;
use self::corrupt::Corrupt;
use self::datagrams::faulty_datagram;
use self::lag::Lag;
use self::pace::Pace;
use crate::connection::stream::{Io, Through};
use crate::connection::{Datagram, Stream};

/// Bytes that are under way in one direction at most; the sender has to wait when it is more, as with the window of a
/// connection. With a delay of 100 ms it comes to 10 MB a second.
pub const UNDER_WAY_MAX: usize = 1024 * 1024;

/// Bytes that have been on their way for long enough, and wait for their turn by the rate. What a slow line has not
/// taken is the sender's to keep.
const RIPE_MAX: usize = 64 * 1024;

/// Pieces under way at most: a sender of single bytes costs no more than one of many.
const PIECES_MAX: usize = 16 * 1024;

/// What comes within this time is one piece, as late as the last of it. Timers are no finer.
const PIECE: Duration = Duration::from_millis(1);

/// Bytes read at once.
const READ: usize = 16 * 1024;

/// What is to go wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Faults {
    /// Every byte, and the end, arrives so much later.
    pub delay: Duration,
    /// Each piece is late by up to so much more; none overtakes another.
    pub jitter: Duration,
    /// Bytes a second.
    pub rate: Option<NonZeroU64>,
    /// Exactly so many bytes arrive; then reading fails with [`CloseAfter`].
    pub close_after: Option<u64>,
    /// On average one bit flips in so many bytes.
    pub corrupt: Option<NonZeroU64>,
}

impl Faults {
    /// Whether nothing goes wrong.
    #[must_use]
    pub fn is_none(&self) -> bool {
        *self == Faults::default()
    }

    /// So much later something arrives at most, where no rate holds it up.
    #[must_use]
    pub fn late_by(&self) -> Duration {
        self.delay.saturating_add(self.jitter)
    }

    /// Whether chance decides any of it, so that a seed makes a difference.
    #[must_use]
    pub fn is_by_chance(&self) -> bool {
        self.corrupt.is_some() || !self.jitter.is_zero()
    }
}

/// What has faults put in front of it.
pub trait Subject: Sized {
    /// The same, with faults in what is read of it. What chance decides, the seed does.
    #[must_use]
    fn faulty(self, faults: &Faults, seed: u64) -> Self;
}

impl Subject for Stream {
    fn faulty(self, faults: &Faults, seed: u64) -> Self {
        faulty(self, faults, seed)
    }
}

impl Subject for Datagram {
    fn faulty(self, faults: &Faults, seed: u64) -> Self {
        faulty_datagram(self, faults, seed)
    }
}

/// The stream, with faults in what is read of it. What chance decides, the seed does.
#[must_use]
pub fn faulty(stream: Stream, faults: &Faults, seed: u64) -> Stream {
    let seed_of = |number| Chance::branch(seed, number);
    stream.map_through(|io| Faulty {
        inner: io,
        lag: Lag::new(faults.delay, faults.jitter, seed_of(0)),
        pace: faults.rate.map(|rate| Pace::new(rate, Instant::now())),
        corrupt: faults.corrupt.map(|every| Corrupt::new(every, seed_of(1))),
        limit: faults.close_after.map(|all| Limit {
            all,
            left: all,
            told: false,
        }),
        bytes: VecDeque::new(),
        ripe: 0,
        pieces: VecDeque::new(),
        end: None,
        timer: None,
    })
}

/// The reason inside the `io::Error` of a connection on which as much has arrived as was to. Whoever reads on after it
/// gets what the peer sends, as it comes and without faults, to throw it away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CloseAfter(pub u64);

impl CloseAfter {
    /// How much has arrived, if this is the error of such a connection.
    #[must_use]
    pub fn caused(error: &io::Error) -> Option<u64> {
        error.get_ref()?.downcast_ref().map(|CloseAfter(bytes)| *bytes)
    }
}

impl fmt::Display for CloseAfter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "it was to be closed after {} bytes", self.0)
    }
}

impl std::error::Error for CloseAfter {}

struct Faulty<T> {
    inner: T,
    lag: Lag,
    pace: Option<Pace>,
    corrupt: Option<Corrupt>,
    limit: Option<Limit>,
    /// What is under way.
    bytes: VecDeque<u8>,
    /// So many of them, from the front, have been for long enough.
    ripe: usize,
    /// The others.
    pieces: VecDeque<Piece>,
    end: Option<End>,
    timer: Option<Pin<Box<Sleep>>>,
}

/// How many bytes are to arrive.
struct Limit {
    all: u64,
    left: u64,
    /// That they have arrived.
    told: bool,
}

/// Bytes that arrive together.
struct Piece {
    length: usize,
    /// When the first of them came.
    came: Instant,
    due: Instant,
}

/// How reading ended.
struct End {
    due: Instant,
    /// Told once.
    error: Option<io::Error>,
}

impl<T: AsyncRead + Unpin> Faulty<T> {
    /// Takes in what there is, as far as there is room.
    fn fill(&mut self, cx: &mut Context<'_>, now: Instant) {
        while self.end.is_none()
            && self.bytes.len() < UNDER_WAY_MAX
            && self.ripe < RIPE_MAX
            && self.pieces.len() < PIECES_MAX
        {
            let mut raw = [const { MaybeUninit::uninit() }; READ];
            let mut raw = ReadBuf::uninit(&mut raw);
            let mut raw = raw.take(UNDER_WAY_MAX - self.bytes.len());
            let read = match Pin::new(&mut self.inner).poll_read(cx, &mut raw) {
                Poll::Pending => return,
                Poll::Ready(read) => read,
            };
            let due = self.lag.due(now);
            let bytes = raw.filled_mut();
            if read.is_err() || bytes.is_empty() {
                let error = read.err();
                self.end = Some(End { due, error });
                return;
            }
            if let Some(corrupt) = &mut self.corrupt {
                corrupt.apply(bytes);
            }
            self.bytes.extend(&*bytes);
            let length = bytes.len();
            match self.pieces.back_mut() {
                Some(piece) if now - piece.came < PIECE => {
                    piece.length += length;
                    piece.due = due;
                }
                _ => self.pieces.push_back(Piece {
                    length,
                    came: now,
                    due,
                }),
            }
            self.ripen(now);
        }
    }

    fn ripen(&mut self, now: Instant) {
        while let Some(piece) = self.pieces.front()
            && piece.due <= now
        {
            self.ripe += piece.length;
            self.pieces.pop_front();
        }
    }

    fn give(&mut self, buf: &mut ReadBuf<'_>, mut length: usize) {
        self.ripe -= length;
        while length > 0 {
            let (front, _) = self.bytes.as_slices();
            let part = front.len().min(length);
            buf.put_slice(&front[..part]);
            self.bytes.drain(..part);
            length -= part;
        }
        if self.bytes.is_empty() {
            // Given back, not kept: an idle connection holds no buffer.
            self.bytes = VecDeque::new();
        }
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for Faulty<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if buf.remaining() == 0 {
            return Poll::Ready(Ok(()));
        }
        loop {
            let now = Instant::now();
            let mut room = buf.remaining();
            match &mut this.limit {
                None => {}
                Some(Limit { told: true, .. }) => return Pin::new(&mut this.inner).poll_read(cx, buf),
                Some(limit) if limit.left == 0 => {
                    limit.told = true;
                    this.bytes = VecDeque::new();
                    return Poll::Ready(Err(io::Error::other(CloseAfter(limit.all))));
                }
                Some(limit) => room = usize::try_from(limit.left).map_or(room, |left| room.min(left)),
            }
            this.ripen(now);
            this.fill(cx, now);
            room = room.min(this.ripe);
            let length = match &this.pace {
                None => room,
                Some(pace) => usize::try_from(pace.part(now, room as u64)).unwrap_or(room),
            };
            if length > 0 {
                this.give(buf, length);
                if let Some(pace) = &mut this.pace {
                    pace.take(now, length as u64);
                }
                if let Some(limit) = &mut this.limit {
                    limit.left -= length as u64;
                }
                return Poll::Ready(Ok(()));
            }
            let until = match (&this.pace, this.pieces.front(), &mut this.end) {
                (Some(pace), ..) if room > 0 => pace.next(now, room as u64),
                (_, Some(piece), _) => piece.due,
                (_, None, Some(end)) if end.due <= now => {
                    return Poll::Ready(end.error.take().map_or(Ok(()), Err));
                }
                (_, None, Some(end)) => end.due,
                (_, None, None) => return Poll::Pending,
            };
            let timer = this
                .timer
                .get_or_insert_with(|| Box::pin(tokio::time::sleep_until(until)));
            if timer.deadline() != until {
                timer.as_mut().reset(until);
            }
            ready!(timer.as_mut().poll(cx));
        }
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for Faulty<T> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}

impl Through for Faulty<Box<dyn Io>> {
    fn inner(&self) -> &dyn Io {
        &*self.inner
    }
}

#[cfg(test)]
mod tests;
