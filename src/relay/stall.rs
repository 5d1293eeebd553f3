//! A peer of which nothing is read for now, as the other one takes nothing: whether it has broken off all the same.
//! Absent: what follows then.

use std::io;
use std::os::fd::AsFd;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags};
use rustix::io::Errno;
use rustix::net::sockopt::socket_error;

use super::bare::{Bare, Reach};
use super::idle::Idle;
use super::waking::Waking;
use crate::connection::Wire;
use crate::kernel;
use crate::transport::given::Given;
use crate::transport::waiting::look;

/// How long nothing moves before there is a look.
const LOOK: Duration = Duration::from_secs(5);

/// So many looks in a row find the same before it counts. A far end takes more only when a part of its own buffer is free
/// again, which may be a megabyte or two: in 30 s that is a reader of less than 100 kB/s.
const LOOKS: u32 = 6;

/// Whoever takes nothing for so long is not waited for when all else is over.
pub(super) const TAKES_NOTHING: Duration = Duration::from_secs(LOOK.as_secs() * LOOKS as u64);

/// When to look. The timer is there from the first stall on until nothing has waited for a while, as one for each of them
/// would cost more than all the rest.
#[derive(Debug, Default)]
pub(super) struct Stall(Option<Box<Watch>>);

#[derive(Debug)]
struct Watch {
    idle: Idle,
    /// What had moved by the last time, and what was still in the sockets then.
    seen: Option<(u64, usize)>,
    /// So many looks found that unchanged.
    unchanged: u32,
    waking: Waking,
}

impl Watch {
    fn new(waking: Waking) -> Self {
        Watch {
            idle: Idle::new(LOOK),
            seen: None,
            unchanged: 0,
            waking,
        }
    }
}

impl Stall {
    /// By which each stall is to be rested through.
    #[cfg(test)]
    pub(super) fn at_rest() -> Self {
        Stall(Some(Box::new(Watch::new(Waking::always()))))
    }

    /// Whether a socket is to rest while one direction waits: see [`Waking::pays`].
    pub(super) fn pays_to_rest(&mut self, is_one: bool, steps: u64) -> bool {
        let watch = self.0.as_mut();
        watch.is_some_and(|watch| watch.waking.pays(is_one, steps))
    }

    /// Ready when neither `steps` nor what is `queued` has changed for [`LOOKS`], while something waits to be taken, and then
    /// with each further look. It is to be asked again then.
    pub(super) fn poll(
        &mut self,
        cx: &mut Context<'_>,
        waits: bool,
        steps: u64,
        queued: impl Fn() -> usize,
    ) -> Poll<()> {
        if self.0.is_none() && !waits {
            return Poll::Pending;
        }
        let watch = self
            .0
            .get_or_insert_with(|| Box::new(Watch::new(Waking::default())));
        loop {
            ready!(watch.idle.poll(cx, steps));
            if !waits {
                self.0 = None;
                return Poll::Pending;
            }
            watch.idle = Idle::new(LOOK);
            let now = Some((steps, queued()));
            let same = std::mem::replace(&mut watch.seen, now) == now;
            watch.unchanged = if same { watch.unchanged + 1 } else { 0 };
            if watch.unchanged >= LOOKS {
                watch.unchanged = LOOKS;
                return Poll::Ready(());
            }
        }
    }
}

/// Bytes that were written there and that the far end has not taken, as far as the system says.
pub(super) fn queued(to: &Wire) -> usize {
    let socket = Bare::reached(to, Given::sink, Reach::Carrier).ok();
    socket.map_or(0, |socket| kernel::unsent(socket.as_fd()).unwrap_or(0))
}

/// Why nothing more will come from there, if it has broken off: the system knows that before anything is read.
pub(super) fn broken(from: &Wire) -> Option<io::Error> {
    match failure(from)? {
        // It had ended in good order, and only takes nothing any more: what it sent is whole.
        Errno::PIPE => None,
        error => Some(error.into()),
    }
}

/// What the system says once of a connection that was broken off.
pub(super) fn failure(wire: &Wire) -> Option<Errno> {
    let socket = Bare::reached(wire, Given::source, Reach::Carrier).ok()?;
    let mut looked = [PollFd::new(&socket, PollFlags::empty())];
    look(&mut looked).ok()?;
    if !looked[0].revents().contains(PollFlags::ERR) {
        return None;
    }
    socket_error(socket).ok()?.err()
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::future::poll_fn;

    use socket2::SockRef;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::{TcpListener, TcpStream};
    use tokio::time::{Instant, timeout};

    use super::*;
    use crate::connection::{Address, Facts, Stream};

    #[tokio::test(start_paused = true)]
    async fn one_who_takes_nothing_is_looked_at_again_and_again() {
        let (mut stall, start) = (Stall::default(), Instant::now());
        for looks in [LOOKS + 1, LOOKS + 2, LOOKS + 3] {
            poll_fn(|cx| stall.poll(cx, true, 7, || 100)).await;
            assert_eq!(start.elapsed(), looks * LOOK);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn one_who_takes_a_little_is_left_alone() {
        let mut stall = Stall::default();
        let queue = Cell::new(1_000_000);
        let looked = poll_fn(|cx| stall.poll(cx, true, 7, || queue.replace(queue.get() - 1)));
        assert!(timeout(100 * LOOK, looked).await.is_err());
    }

    #[tokio::test(start_paused = true)]
    async fn what_moves_is_not_looked_at_and_leaves_no_timer() {
        let mut stall = Stall::default();
        let asked = |_| panic!("it is asked of nobody");
        for steps in 0..100 {
            let looked = poll_fn(|cx| stall.poll(cx, true, steps, || asked(())));
            assert!(timeout(LOOK / 2, looked).await.is_err());
        }
        let over = poll_fn(|cx| stall.poll(cx, false, 100, || asked(())));
        assert!(timeout(2 * LOOK, over).await.is_err());
        assert!(stall.0.is_none());
    }

    async fn pair() -> (Stream, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let far = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let near = listener.accept().await.unwrap().0;
        let facts = Facts::new(Address::Unnamed, Address::Unnamed);
        (Stream::new(near, facts), far)
    }

    fn hung_up(stream: &Stream) -> bool {
        let socket: &TcpStream = stream.downcast_ref().unwrap();
        let mut looked = [PollFd::new(socket, PollFlags::empty())];
        look(&mut looked).unwrap();
        looked[0].revents().contains(PollFlags::HUP)
    }

    #[tokio::test]
    async fn a_reset_is_known_before_anything_is_read() {
        let (mut near, mut far) = pair().await;
        far.write_all(b"unread").await.unwrap();
        assert!(broken(near.wire()).is_none());
        SockRef::from(&far).set_linger(Some(Duration::ZERO)).unwrap();
        drop(far);
        while !hung_up(&near) {
            tokio::task::yield_now().await;
        }
        let error = broken(near.wire()).unwrap();
        assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
    }

    #[tokio::test]
    async fn one_who_ended_in_good_order_has_not_broken_off() {
        let (mut near, mut far) = pair().await;
        far.write_all(b"unread").await.unwrap();
        drop(far);
        // Nobody is there for this, which the system tells of with a reset.
        near.write_all(b"too late").await.unwrap();
        while !hung_up(&near) {
            tokio::task::yield_now().await;
        }
        assert!(broken(near.wire()).is_none());
        let mut got = Vec::new();
        near.read_to_end(&mut got).await.unwrap();
        assert_eq!(got, b"unread");
    }

    #[tokio::test]
    async fn a_reset_after_the_end_is_a_failure_all_the_same() {
        let (mut near, mut far) = pair().await;
        far.shutdown().await.unwrap();
        near.read_to_end(&mut Vec::new()).await.unwrap();
        assert_eq!(failure(near.wire()), None);
        SockRef::from(&far).set_linger(Some(Duration::ZERO)).unwrap();
        drop(far);
        while !hung_up(&near) {
            tokio::task::yield_now().await;
        }
        assert_eq!(failure(near.wire()), Some(Errno::PIPE));
    }

    #[tokio::test]
    async fn what_is_queued_is_what_the_far_end_has_not_taken() {
        let (mut near, far) = pair().await;
        assert_eq!(queued(near.wire()), 0);
        // More than the far end's kernel takes by itself.
        let much = vec![0; 1 << 20];
        while timeout(Duration::from_millis(50), near.write_all(&much))
            .await
            .is_ok()
        {}
        let full = queued(near.wire());
        assert!(full > 0);
        drop(far);
    }
}
