//! `Paired`: a flow and a connected socket led into one another, in batches and without a copy kept where there is
//! room. Absent: anything that looks at what goes by, and when it is over.

use std::cell::Cell;
use std::io::{self, ErrorKind};
use std::sync::Arc;
use std::task::{Context, Poll};

use tokio::time::Instant;

use super::connected::{Connected, Waiting};
use super::flows::{Flow, Shared, Slot, WAITING_BYTES_MAX, remember};
use super::outlet::{Outlet, Passed};
use super::pile::Pile;
use super::queue::Queue;
use super::wire::Wire;
use super::{Inbox, transient};
use crate::connection::tap::Direction;
use crate::connection::{BoxFuture, Datagram};

/// Batches received before other tasks get a turn.
const BATCHES_PER_TURN: u32 = 4;

thread_local! {
    /// The buffers of a thread: what is in them stays there for the length of one call only.
    static LENT: Cell<Option<Box<(Inbox, Pile)>>> = const { Cell::new(None) };
}

fn with_lent<R>(work: impl FnOnce(&mut Inbox, &mut Pile) -> R) -> R {
    let mut lent = LENT
        .take()
        .unwrap_or_else(|| Box::new((Inbox::new(false), Pile::default())));
    let result = work(&mut lent.0, &mut lent.1);
    LENT.set(Some(lent));
    result
}

/// What there is to say of a pair.
#[derive(Debug)]
pub enum News {
    /// A datagram did not reach the target, which says so itself or somebody on the way (ICMP). Others may.
    Refused(io::Error),
    /// The flow has ended.
    Over(io::Result<()>),
    /// The target's socket is of no more use.
    Lost(io::Error),
}

/// The two halves; the connections that they were made of have to live on.
pub struct Paired {
    slot: Arc<Slot>,
    shared: Arc<Shared>,
    up: Arc<Outlet>,
    down: Outlet,
    /// What found no room towards the flow's peer.
    held: Queue,
    want: usize,
    waiting: Waiting,
    writable: Option<BoxFuture<'static, io::Result<()>>>,
}

impl Paired {
    /// The two, if both are bare. From here on they are not to be received from.
    #[must_use]
    pub fn of(client: &Datagram, target: &Datagram) -> Option<io::Result<Self>> {
        let flow = client.downcast_ref::<Flow>()?;
        let connected = target.downcast_ref::<Connected>()?;
        Some(Paired::new(flow, connected))
    }

    fn new(flow: &Flow, connected: &Connected) -> io::Result<Self> {
        let up = Arc::new(Outlet {
            wire: Arc::new(Wire::over(Arc::clone(&connected.socket))?),
            peer: connected.peer,
            local: None,
        });
        let down = Outlet {
            wire: Arc::clone(&flow.shared.wire),
            peer: flow.key.peer,
            local: flow.key.local,
        };
        // Of a flow that has ended, nothing leads anywhere.
        let mut state = flow.slot.state();
        if state.end.is_none() {
            state.outlet = Some(Arc::clone(&up));
        }
        drop(state);
        Ok(Paired {
            slot: Arc::clone(&flow.slot),
            shared: Arc::clone(&flow.shared),
            up,
            down,
            held: Queue::default(),
            want: super::QUIET,
            waiting: Waiting::default(),
            writable: None,
        })
    }

    /// Moves what can be moved both ways. After [`News::Refused`] it goes on.
    pub fn poll(&mut self, cx: &mut Context<'_>) -> Poll<News> {
        if let Poll::Ready(news) = self.poll_up(cx) {
            return Poll::Ready(news);
        }
        for _ in 0..BATCHES_PER_TURN {
            match self.poll_down(cx) {
                Poll::Ready(Ok(())) => {}
                Poll::Ready(Err(news)) => return Poll::Ready(news),
                Poll::Pending => return Poll::Pending,
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    /// What waited for the target, and what there is to be told.
    fn poll_up(&mut self, cx: &mut Context<'_>) -> Poll<News> {
        let mut state = self.slot.state();
        if !state.queue.is_empty() {
            let mut passed = Passed::default();
            while !self.up.flush(&mut state.queue, &mut passed) {
                if self.up.wire.socket.poll_send_ready(cx).is_pending() {
                    break;
                }
            }
            passed.count_losses(&self.shared.settings.tally);
            state.news = passed.news().or(state.news.take());
        }
        if let Some(error) = state.news.take() {
            return Poll::Ready(News::Refused(error));
        }
        if let Some(end) = state.end {
            return Poll::Ready(News::Over(end.result()));
        }
        remember(&mut state.waker, cx);
        Poll::Pending
    }

    /// One batch of the target's; ready when there may be more.
    fn poll_down(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), News>> {
        let mut passed = Passed::default();
        while !self.down.flush(&mut self.held, &mut passed) {
            let wire = &self.down.wire;
            let writable = self.writable.get_or_insert_with(|| {
                let wire = Arc::clone(wire);
                Box::pin(async move { wire.socket.writable().await })
            });
            let ready = writable.as_mut().poll(cx);
            if ready.is_pending() {
                self.sent(&passed);
                return Poll::Pending;
            }
            self.writable = None;
        }
        let (up, down, held) = (&self.up, &self.down, &mut self.held);
        let want = &mut self.want;
        let polled = self.waiting.poll(cx, &up.wire.socket, || {
            with_lent(|inbox, pile| {
                inbox.want = *want;
                inbox.try_recv(&up.wire)?;
                *want = inbox.want;
                Ok(down.pass(inbox.runs(), pile, held, WAITING_BYTES_MAX))
            })
        });
        self.sent(&passed);
        match polled {
            Poll::Pending => Poll::Pending,
            Poll::Ready(Ok(passed)) => {
                self.sent(&passed);
                Poll::Ready(Ok(()))
            }
            Poll::Ready(Err(error)) if error.kind() == ErrorKind::WouldBlock => Poll::Ready(Ok(())),
            Poll::Ready(Err(error)) if transient(&error) => Poll::Ready(Err(News::Refused(error))),
            Poll::Ready(Err(error)) => Poll::Ready(Err(News::Lost(error))),
        }
    }

    fn sent(&self, passed: &Passed) {
        let tally = &self.shared.settings.tally;
        passed.count_losses(tally);
        if passed.any() {
            self.slot.state().last = Some(Instant::now());
            tally.count_sent(passed.messages as u64, passed.bytes as u64);
            self.slot.count.add(Direction::Sent, passed.bytes as u64);
        }
    }
}

impl Drop for Paired {
    fn drop(&mut self) {
        self.slot.state().outlet = None;
    }
}
