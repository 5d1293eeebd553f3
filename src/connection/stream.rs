//! `Stream`: a boxed reader and writer with its facts. Shutting it down ends our half only.
//! Absent: layers, and who opened it.

use std::any::Any;
use std::fmt;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::facts::Facts;
use super::prefixed::Prefixed;
use super::tap::Direction;
use super::tap::count::Count;

/// What a stream is made of: any reader and writer that a task may own.
pub trait Io: AsyncRead + AsyncWrite + Send + Unpin + 'static {
    /// The concrete type, for an engine that can do better with a bare socket.
    fn as_any(&self) -> &dyn Any;

    /// The same, for whoever takes it.
    fn into_any(self: Box<Self>) -> Box<dyn Any>;
}

impl<T: AsyncRead + AsyncWrite + Send + Unpin + 'static> Io for T {
    fn as_any(&self) -> &dyn Any {
        self
    }

    fn into_any(self: Box<Self>) -> Box<dyn Any> {
        self
    }
}

/// What stands in front of another stream, and through which that one can be seen.
pub trait Through: Io {
    /// What it stands in front of.
    fn inner(&self) -> &dyn Io;
}

/// From something of a known type to what it stands in front of.
#[derive(Debug, Clone, Copy)]
struct Step {
    down: fn(&dyn Io) -> Option<&dyn Io>,
    /// It says nothing of its own, so that what happens to the one may as well happen to the other.
    mute: bool,
}

impl Step {
    fn through<T: Through>(mute: bool) -> Self {
        Step {
            down: |io| io.as_any().downcast_ref().map(T::inner),
            mute,
        }
    }
}

/// The way down through what stands in front of a socket, the nearest to the wire first.
#[derive(Debug, Default)]
#[expect(
    clippy::box_collection,
    reason = "a pointer, as most streams have nothing in front"
)]
pub struct Steps(Option<Box<Vec<Step>>>);

impl Steps {
    fn push(&mut self, step: Step) {
        self.0.get_or_insert_default().push(step);
    }

    fn downward(&self) -> impl Iterator<Item = &Step> {
        self.0.iter().flat_map(|steps| steps.iter().rev())
    }
}

/// A connection that carries bytes in order. `poll_shutdown` ends our half; reading goes on.
///
/// Both parts sit behind pointers: a task that holds a stream stays small, and ten thousand idle ones cheap.
pub struct Stream {
    wire: Wire,
    facts: Box<Facts>,
}

/// What bytes go through, and who counts them: a stream of which no more is asked.
pub struct Wire {
    io: Box<dyn Io>,
    /// Rarely any; then one or two.
    #[expect(clippy::box_collection, reason = "a pointer, as most streams have none")]
    counts: Option<Box<Vec<Count>>>,
    /// Bytes that were read too early, the first at the end; rarely any.
    #[expect(clippy::box_collection, reason = "a pointer, as most streams have none")]
    early: Option<Box<Vec<u8>>>,
    steps: Steps,
}

impl Stream {
    /// A stream of `io`, of which `facts` are known.
    pub fn new(io: impl Io, facts: Facts) -> Self {
        let wire = Wire {
            io: Box::new(io),
            counts: None,
            early: None,
            steps: Steps::default(),
        };
        Stream {
            wire,
            facts: Box::new(facts),
        }
    }

    /// What is known of the connection.
    #[must_use]
    pub fn facts(&self) -> &Facts {
        &self.facts
    }

    /// The facts, for a layer that learns more.
    pub fn facts_mut(&mut self) -> &mut Facts {
        &mut self.facts
    }

    /// Puts something in front of the bytes: a stream in, a stream out, the facts kept.
    #[must_use]
    pub fn map<T: Io>(mut self, layer: impl FnOnce(Box<dyn Io>) -> T) -> Self {
        let counts = self.wire.counts.take();
        let (io, facts, _) = self.into_parts();
        let mut stream = Stream::new(layer(io), facts);
        stream.wire.counts = counts;
        stream
    }

    /// The same, for what says nothing of its own: [`Stream::beneath`] still finds the socket.
    #[must_use]
    pub fn map_through<T: Through>(mut self, layer: impl FnOnce(Box<dyn Io>) -> T) -> Self {
        let counts = self.wire.counts.take();
        let (io, facts, steps) = self.into_parts();
        let mut stream = Stream::over(layer(io), facts, steps, true);
        stream.wire.counts = counts;
        stream
    }

    /// What comes of the [parts](Stream::into_parts) of a stream on which a layer speaks, which has an end of its own:
    /// [`Stream::beneath`] no longer finds the socket, but [`Wire::carrier`] does.
    #[must_use]
    pub fn spoken<T: Through>(layer: T, facts: Facts, steps: Steps) -> Self {
        Stream::over(layer, facts, steps, false)
    }

    fn over<T: Through>(layer: T, facts: Facts, mut steps: Steps, mute: bool) -> Self {
        steps.push(Step::through::<T>(mute));
        let mut stream = Stream::new(layer, facts);
        stream.wire.steps = steps;
        stream
    }

    /// Gives back, before all the rest, what a layer read beyond its own part. Nothing stands in front of the socket for
    /// that, once it is read.
    #[must_use]
    pub fn preceded_by(mut self, mut bytes: Vec<u8>) -> Self {
        if !bytes.is_empty() {
            bytes.reverse();
            self.wire.early.get_or_insert_default().append(&mut bytes);
        }
        self
    }

    /// Counts what goes by from here on. Unlike a tap it does not see the bytes, so an engine may still take the bare
    /// socket, and tell with [`Wire::passed`].
    #[must_use]
    pub fn counted(mut self, count: Count) -> Self {
        self.wire.counts.get_or_insert_default().push(count);
        self
    }

    /// What bytes go through.
    pub fn wire(&mut self) -> &mut Wire {
        &mut self.wire
    }

    /// What bytes go through, for whoever has read the facts: an idle connection costs less without them.
    #[must_use]
    pub fn into_wire(self) -> Wire {
        self.wire
    }

    /// What it is made of, for a layer that has to talk before there is a stream again.
    #[must_use]
    pub fn into_parts(self) -> (Box<dyn Io>, Facts, Steps) {
        let Wire {
            io, early, mut steps, ..
        } = self.wire;
        let io = match early {
            None => io,
            Some(mut early) => {
                early.reverse();
                steps.push(Step::through::<Prefixed<Box<dyn Io>>>(true));
                Box::new(Prefixed::new(io, *early))
            }
        };
        (io, *self.facts, steps)
    }

    /// The bare `T` below, if nothing stands in front of it, and whoever reads from it misses nothing.
    #[must_use]
    pub fn downcast_ref<T: 'static>(&self) -> Option<&T> {
        self.wire.downcast_ref()
    }

    /// The bare `T` below, if nothing stands in front of it that cannot be seen through: see [`Wire::beneath`].
    #[must_use]
    pub fn beneath<T: 'static>(&self) -> Option<&T> {
        self.wire.beneath()
    }
}

impl Wire {
    /// Whether something was read too early, and is to be read from here first.
    #[must_use]
    pub fn has_early(&self) -> bool {
        self.early.is_some()
    }

    /// So much went by without being read or written here.
    pub fn passed(&self, direction: Direction, bytes: usize) {
        for count in self.counts.iter().flat_map(|counts| counts.iter()) {
            count.add(direction, bytes as u64);
        }
    }

    fn written(&self, polled: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        if let Poll::Ready(Ok(length)) = polled {
            self.passed(Direction::Sent, length);
        }
        polled
    }

    /// The bare `T` below, if nothing stands in front of it, and whoever reads from it misses nothing.
    #[must_use]
    pub fn downcast_ref<T: 'static>(&self) -> Option<&T> {
        if self.early.is_some() {
            return None;
        }
        self.bare()
    }

    /// The bare `T` below, if nothing stands in front of it; there may be bytes that are to be read first.
    #[must_use]
    pub fn bare<T: 'static>(&self) -> Option<&T> {
        // Through the box: the trait object's own type is asked, not `Box<dyn Io>`.
        (*self.io).as_any().downcast_ref()
    }

    /// Makes something else of the bare `T` below, if nothing stands in front of it; says whether it is one.
    ///
    /// # Errors
    /// What making it comes to. The `T` is gone then, and there is nothing to be read or written any more.
    pub fn exchange<T: 'static>(
        &mut self,
        make: impl FnOnce(T) -> io::Result<Box<dyn Io>>,
    ) -> io::Result<bool> {
        if self.bare::<T>().is_none() {
            return Ok(false);
        }
        let bare = std::mem::replace(&mut self.io, Box::new(tokio::io::empty()));
        if let Ok(bare) = bare.into_any().downcast() {
            self.io = make(*bare)?;
        }
        Ok(true)
    }

    /// The bare `T` below, if nothing stands in front of it that cannot be seen through. It is not to be read or written:
    /// whoever watches or changes the bytes would not know, and there may be bytes that come first.
    #[must_use]
    pub fn beneath<T: 'static>(&self) -> Option<&T> {
        self.steps.downward().all(|step| step.mute).then_some(())?;
        self.carrier()
    }

    /// The `T` that carries it all, whatever speaks on it in between. It is to be looked at, and no more.
    #[must_use]
    pub fn carrier<T: 'static>(&self) -> Option<&T> {
        let mut io = &*self.io;
        for step in self.steps.downward() {
            io = (step.down)(io)?;
        }
        io.as_any().downcast_ref()
    }
}

impl fmt::Debug for Wire {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Wire").finish_non_exhaustive()
    }
}

impl fmt::Debug for Stream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stream")
            .field("facts", &self.facts)
            .finish_non_exhaustive()
    }
}

impl AsyncRead for Wire {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        if let Some(early) = &mut self.early {
            let left = early.len() - early.len().min(buf.remaining());
            early[left..].reverse();
            buf.put_slice(&early[left..]);
            early.truncate(left);
            if left == 0 {
                self.early = None;
            }
            self.passed(Direction::Received, buf.filled().len() - before);
            return Poll::Ready(Ok(()));
        }
        let polled = Pin::new(&mut *self.io).poll_read(cx, buf);
        if self.counts.is_some() {
            self.passed(Direction::Received, buf.filled().len() - before);
        }
        polled
    }
}

impl AsyncWrite for Wire {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut *self.io).poll_write(cx, buf);
        self.written(polled)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut *self.io).poll_write_vectored(cx, bufs);
        self.written(polled)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.io).poll_shutdown(cx)
    }
}

impl AsyncRead for Stream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.wire).poll_read(cx, buf)
    }
}

impl AsyncWrite for Stream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.wire).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.wire).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.wire.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.wire).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.wire).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

    use super::*;
    use crate::connection::Address;

    proptest! {
        #[test]
        fn what_was_read_too_early_comes_first_and_once(
            early in proptest::collection::vec(any::<u8>(), 0..40),
            rest in proptest::collection::vec(any::<u8>(), 0..40),
            piece in 1_usize..50,
            layered in any::<bool>(),
        ) {
            let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
            let got = runtime.block_on(async {
                let (near, mut far) = duplex(100);
                far.write_all(&rest).await.unwrap();
                drop(far);
                let mut stream = Stream::new(near, Facts::new(Address::Unnamed, Address::Unnamed));
                stream = stream.preceded_by(early.clone());
                if layered {
                    stream = stream.map(|io| io);
                }
                let mut got = Vec::new();
                let mut buf = vec![0; piece];
                loop {
                    match stream.read(&mut buf).await.unwrap() {
                        0 => return got,
                        length => got.extend_from_slice(&buf[..length]),
                    }
                }
            });
            prop_assert_eq!(got, [early, rest].concat());
        }
    }
}
