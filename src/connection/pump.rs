//! Moves bytes one way, from a reader to a writer, and passes the end on.
//! Absent: a buffer while nothing flows, and what the bytes mean.

use std::cell::Cell;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Bytes asked of a reader at once. Measured on loopback: CPU per byte falls up to about here.
pub const CHUNK: usize = 256 * 1024;

/// Chunks moved before other tasks get a turn: a few milliseconds at memory speed.
const CHUNKS_PER_TURN: u32 = 16;

thread_local! {
    /// One buffer for all the pumps of a thread: data is there for the length of one call only.
    static SCRATCH: Cell<Option<Box<[u8]>>> = const { Cell::new(None) };
}

/// Lends the thread's buffer of [`CHUNK`] bytes. A call within a call gets a buffer of its own.
pub fn with_scratch<R>(work: impl FnOnce(&mut [u8]) -> R) -> R {
    let mut scratch = SCRATCH
        .take()
        .unwrap_or_else(|| vec![0; CHUNK].into_boxed_slice());
    let result = work(&mut scratch);
    SCRATCH.set(Some(scratch));
    result
}

/// The two ends of a pump, which may be one and the same stream.
pub trait Ends {
    /// Where bytes come from.
    type Reader: AsyncRead + Unpin;
    /// Where they go.
    type Writer: AsyncWrite + Unpin;

    /// Where bytes come from.
    fn reader(&mut self) -> Pin<&mut Self::Reader>;
    /// Where they go.
    fn writer(&mut self) -> Pin<&mut Self::Writer>;
}

/// A stream that gets back what it sends.
impl<T: AsyncRead + AsyncWrite + Unpin> Ends for T {
    type Reader = T;
    type Writer = T;

    fn reader(&mut self) -> Pin<&mut T> {
        Pin::new(self)
    }
    fn writer(&mut self) -> Pin<&mut T> {
        Pin::new(self)
    }
}

/// From one stream to another.
#[derive(Debug)]
pub struct Across<'a, R, W> {
    /// Where bytes come from.
    pub from: &'a mut R,
    /// Where they go.
    pub to: &'a mut W,
}

impl<R: AsyncRead + Unpin, W: AsyncWrite + Unpin> Ends for Across<'_, R, W> {
    type Reader = R;
    type Writer = W;

    fn reader(&mut self) -> Pin<&mut R> {
        Pin::new(self.from)
    }
    fn writer(&mut self) -> Pin<&mut W> {
        Pin::new(self.to)
    }
}

/// Which end failed.
#[derive(Debug)]
pub enum Failed {
    /// Reading did.
    Reading(io::Error),
    /// Writing did.
    Writing(io::Error),
}

impl From<Failed> for io::Error {
    fn from(failed: Failed) -> Self {
        match failed {
            Failed::Reading(error) | Failed::Writing(error) => error,
        }
    }
}

/// How far a pump has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    /// The end was passed on.
    Ended,
    /// There is more at once than was asked to be told of.
    Bulk,
}

/// One direction: its bytes that could not be written yet, and how far it is.
#[derive(Debug, Default)]
pub struct Pump {
    rest: Vec<u8>,
    written: usize,
    unflushed: bool,
    starved: bool,
    moved: u64,
    stage: Stage,
    endless: bool,
    /// Reading failed; the writer is to let go of what it holds back before that is told.
    failure: Option<io::Error>,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Stage {
    #[default]
    Moving,
    /// The reader has ended; the writer is to be told.
    Ending,
    Ended,
}

impl Pump {
    /// One that writes `head` before anything that is read.
    #[must_use]
    pub fn after(head: Vec<u8>) -> Self {
        Pump {
            moved: head.len() as u64,
            unflushed: !head.is_empty(),
            rest: head,
            ..Pump::default()
        }
    }

    /// Has read these bytes some other way; what it read itself before has all been written.
    pub fn keep(&mut self, bytes: Vec<u8>) {
        debug_assert_eq!(self.unwritten(), 0);
        (self.rest, self.written, self.unflushed) = (bytes, 0, true);
    }

    /// The end was read, everything before it was written, and the writer was shut down, unless that was withheld.
    #[must_use]
    pub fn ended(&self) -> bool {
        self.stage == Stage::Ended
    }

    /// Everything that was read has been written, and the reader had no more when it was last asked.
    #[must_use]
    pub fn is_starved(&self) -> bool {
        self.starved && self.rest.is_empty()
    }

    /// Bytes read so far.
    #[must_use]
    pub fn moved(&self) -> u64 {
        self.moved
    }

    /// What has been read so far is taken as all; the next poll passes the end on.
    pub fn end(&mut self) {
        if self.stage == Stage::Moving {
            self.stage = Stage::Ending;
        }
    }

    /// An end is no more passed on when it is read: the reader is known to be lost and made none, or whoever closes the
    /// writer says as much.
    pub fn withhold_end(&mut self) {
        self.endless = true;
    }

    /// Why reading failed, before that is told: the writer has not let go yet of all that came before.
    pub fn failure(&mut self) -> &mut Option<io::Error> {
        &mut self.failure
    }

    /// The reader has ended, whether or not the writer knows.
    #[must_use]
    pub fn has_read_all(&self) -> bool {
        self.stage != Stage::Moving
    }

    /// Bytes that were read and that the writer has not taken.
    #[must_use]
    pub fn unwritten(&self) -> usize {
        self.rest.len() - self.written
    }

    /// Goes on with another writer, which gets what the last one did not take, and the end anew.
    pub fn begin_anew(&mut self) {
        self.unflushed = self.unwritten() > 0;
        if self.stage == Stage::Ended {
            self.stage = Stage::Ending;
        }
    }

    /// Reads once, for a writer to come; ready when there is something for it: bytes, or the end.
    ///
    /// # Errors
    /// Reading failed.
    pub fn poll_ahead<R: AsyncRead + Unpin>(
        &mut self,
        cx: &mut Context<'_>,
        reader: &mut R,
    ) -> Poll<io::Result<()>> {
        if self.unwritten() > 0 || self.has_read_all() {
            return Poll::Ready(Ok(()));
        }
        with_scratch(|scratch| {
            let mut buf = ReadBuf::new(scratch);
            ready!(Pin::new(reader).poll_read(cx, &mut buf))?;
            if buf.filled().is_empty() {
                self.stage = Stage::Ending;
            }
            self.moved += buf.filled().len() as u64;
            self.rest = buf.filled().to_vec();
            Poll::Ready(Ok(()))
        })
    }

    /// Moves what can be moved; ready when the end has been passed on.
    ///
    /// # Errors
    /// Which end failed, and how.
    pub fn poll<E: Ends>(&mut self, cx: &mut Context<'_>, ends: &mut E) -> Poll<Result<(), Failed>> {
        self.poll_until(cx, ends, usize::MAX).map_ok(|_ended| ())
    }

    /// The same, but ready too when so much was read at once, and has been written: the caller may know a better way
    /// for bulk.
    ///
    /// A reader that was never asked for more than it could deliver at once costs no buffer: bytes pass through the
    /// thread's, and only what the writer did not take is kept.
    ///
    /// # Errors
    /// Which end failed, and how.
    pub fn poll_until<E: Ends>(
        &mut self,
        cx: &mut Context<'_>,
        ends: &mut E,
        bulk: usize,
    ) -> Poll<Result<Progress, Failed>> {
        for _ in 0..CHUNKS_PER_TURN {
            ready!(self.poll_rest(cx, ends))?;
            if self.failure.is_some() {
                ready!(ends.writer().poll_flush(cx)).map_err(Failed::Writing)?;
            }
            if let Some(failure) = self.failure.take() {
                return Poll::Ready(Err(Failed::Reading(failure)));
            }
            match self.stage {
                Stage::Moving => {}
                Stage::Ending if self.endless => {
                    ready!(ends.writer().poll_flush(cx)).map_err(Failed::Writing)?;
                    self.stage = Stage::Ended;
                    return Poll::Ready(Ok(Progress::Ended));
                }
                Stage::Ending => {
                    ready!(ends.writer().poll_shutdown(cx)).map_err(Failed::Writing)?;
                    self.stage = Stage::Ended;
                    return Poll::Ready(Ok(Progress::Ended));
                }
                Stage::Ended => return Poll::Ready(Ok(Progress::Ended)),
            }
            self.starved = false;
            let before = self.moved;
            match self.poll_chunk(cx, ends)? {
                Poll::Ready(()) if self.rest.is_empty() && self.moved - before >= bulk as u64 => {
                    return Poll::Ready(Ok(Progress::Bulk));
                }
                Poll::Ready(()) => {}
                Poll::Pending => {
                    self.starved = true;
                    if self.unflushed {
                        // Layers such as TLS may hold bytes back until they are told that no more come for now.
                        ready!(ends.writer().poll_flush(cx)).map_err(Failed::Writing)?;
                        self.unflushed = false;
                    }
                    return Poll::Pending;
                }
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    fn poll_rest<E: Ends>(&mut self, cx: &mut Context<'_>, ends: &mut E) -> Poll<Result<(), Failed>> {
        while self.written < self.rest.len() {
            let written = ready!(ends.writer().poll_write(cx, &self.rest[self.written..]));
            self.written += some(written)?;
        }
        if self.written > 0 {
            // Given back, not kept: an idle connection holds no buffer.
            self.rest = Vec::new();
            self.written = 0;
        }
        Poll::Ready(Ok(()))
    }

    fn poll_chunk<E: Ends>(&mut self, cx: &mut Context<'_>, ends: &mut E) -> Result<Poll<()>, Failed> {
        with_scratch(|scratch| {
            let mut buf = ReadBuf::new(scratch);
            match ends.reader().poll_read(cx, &mut buf) {
                Poll::Pending => return Ok(Poll::Pending),
                Poll::Ready(Ok(())) => {}
                Poll::Ready(Err(error)) => {
                    self.failure = Some(error);
                    return Ok(Poll::Ready(()));
                }
            }
            let mut data = buf.filled();
            if data.is_empty() {
                self.stage = Stage::Ending;
                return Ok(Poll::Ready(()));
            }
            self.unflushed = true;
            self.moved += data.len() as u64;
            while !data.is_empty() {
                match ends.writer().poll_write(cx, data) {
                    Poll::Ready(written) => match some(written) {
                        Ok(written) => data = &data[written..],
                        Err(failed) => {
                            // Another writer may want it.
                            self.rest = data.to_vec();
                            return Err(failed);
                        }
                    },
                    Poll::Pending => {
                        self.rest = data.to_vec();
                        break;
                    }
                }
            }
            Ok(Poll::Ready(()))
        })
    }
}

/// A writer that takes nothing of something will never take anything.
fn some(written: io::Result<usize>) -> Result<usize, Failed> {
    match written {
        Ok(0) => Err(Failed::Writing(io::ErrorKind::WriteZero.into())),
        Ok(written) => Ok(written),
        Err(error) => Err(Failed::Writing(error)),
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use proptest::prelude::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

    use super::*;

    fn block_on<F: Future>(future: F) -> F::Output {
        tokio::runtime::Builder::new_current_thread()
            .build()
            .unwrap()
            .block_on(future)
    }

    proptest! {
        #[test]
        fn all_bytes_arrive_in_order_then_the_end(
            data in proptest::collection::vec(any::<u8>(), 0..5000),
            narrow in 1_usize..50,
            wide in 1_usize..3000,
        ) {
            let (mut source, mut from) = duplex(wide);
            let (mut to, mut sink) = duplex(narrow);
            let sent = data.clone();
            let got = block_on(async move {
                let feed = async { source.write_all(&sent).await.unwrap(); source.shutdown().await.unwrap(); };
                let mut pump = Pump::default();
                let mut ends = Across { from: &mut from, to: &mut to };
                let moved = poll_fn(|cx| pump.poll(cx, &mut ends));
                let mut got = Vec::new();
                let (_, moved, _) = tokio::join!(feed, moved, sink.read_to_end(&mut got));
                moved.unwrap();
                assert!(pump.ended());
                got
            });
            prop_assert_eq!(got, data);
        }
    }

    #[test]
    fn a_call_within_a_call_gets_a_buffer_of_its_own() {
        with_scratch(|outer| {
            outer[0] = 1;
            with_scratch(|inner| inner[0] = 2);
            assert_eq!(outer[0], 1);
        });
    }

    #[test]
    fn what_one_writer_did_not_take_goes_to_the_next() {
        block_on(async {
            let (mut source, mut from) = duplex(64);
            let mut pump = Pump::default();
            source.write_all(b"first, second").await.unwrap();
            let (mut narrow, mut sink) = duplex(5);
            let mut ends = Across {
                from: &mut from,
                to: &mut narrow,
            };
            assert!(
                poll_fn(|cx| Poll::Ready(pump.poll(cx, &mut ends)))
                    .await
                    .is_pending()
            );
            let mut got = [0; 5];
            sink.read_exact(&mut got).await.unwrap();
            assert_eq!((&got, pump.unwritten()), (b"first", 8));
            drop(sink);
            assert!(poll_fn(|cx| pump.poll(cx, &mut ends)).await.is_err());
            assert_eq!(pump.unwritten(), 8);
            source.shutdown().await.unwrap();
            for _ in 0..2 {
                pump.begin_anew();
                let (mut wide, mut sink) = duplex(64);
                let mut ends = Across {
                    from: &mut from,
                    to: &mut wide,
                };
                poll_fn(|cx| pump.poll(cx, &mut ends)).await.unwrap();
                let mut got = Vec::new();
                sink.read_to_end(&mut got).await.unwrap();
                // The second writer gets the end alone.
                assert!(got == b", second" || got.is_empty(), "{got:?}");
            }
            assert!(pump.ended());
        });
    }

    #[test]
    fn what_a_writer_refuses_is_kept() {
        block_on(async {
            let (mut source, mut from) = duplex(8);
            let (mut to, sink) = duplex(8);
            drop(sink);
            source.write_all(b"x").await.unwrap();
            let mut pump = Pump::default();
            let mut ends = Across {
                from: &mut from,
                to: &mut to,
            };
            poll_fn(|cx| pump.poll(cx, &mut ends)).await.unwrap_err();
            assert_eq!(pump.unwritten(), 1);
        });
    }

    #[test]
    fn the_failing_end_is_named() {
        block_on(async {
            let (mut source, mut from) = duplex(8);
            let (mut to, sink) = duplex(8);
            drop(sink);
            source.write_all(b"x").await.unwrap();
            let mut pump = Pump::default();
            let mut ends = Across {
                from: &mut from,
                to: &mut to,
            };
            let failed = poll_fn(|cx| pump.poll(cx, &mut ends)).await.unwrap_err();
            assert!(matches!(failed, Failed::Writing(_)), "{failed:?}");
        });
    }
}
