//! The table of a socket's flows: who there is, who waits to be accepted, who has to go.
//! Absent: the socket.

use std::collections::VecDeque;
use std::collections::hash_map::{Entry, HashMap};
use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Waker};
use std::time::Duration;

use tokio::time::Instant;
use tracing::{debug, warn};

use super::super::order::{Order, Place};
use super::super::outlet::Outlet;
use super::super::queue::Queue;
use crate::connection::tally::{Lost, Tally};
use crate::connection::tap::count::Count;
use crate::diagnostic::counted;
use crate::layer::idle::IdleLimit;

/// Flows that wait to be accepted. More peers than this at a time have to write again.
pub const BACKLOG: usize = 64;

/// Between two lines that say how many flows had to make room: under a flood each datagram may be a new peer.
const EVICTED_EVERY: Duration = Duration::from_secs(10);

/// Two addresses that talk. A peer that writes to two of ours has two flows, so that each is answered from its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(in super::super) struct Key {
    pub(in super::super) peer: SocketAddr,
    pub(in super::super) local: Option<IpAddr>,
}

/// The reason inside the `io::Error` of a flow that made room for another one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Evicted;

impl Evicted {
    /// Whether an error is that of such a flow.
    #[must_use]
    pub fn caused(error: &io::Error) -> bool {
        error.get_ref().is_some_and(|inner| inner.is::<Evicted>())
    }
}

impl fmt::Display for Evicted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("it made room for another peer")
    }
}

impl std::error::Error for Evicted {}

/// Why a flow ended that its owner had not dropped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in super::super) enum End {
    /// Nothing moved for so long.
    Idle(Duration),
    /// Another one needed its room.
    Evicted,
    /// The socket is of no more use.
    Closed,
}

impl End {
    pub(in super::super) fn result(self) -> io::Result<()> {
        match self {
            End::Idle(limit) => Err(io::Error::new(io::ErrorKind::TimedOut, IdleLimit(limit))),
            End::Evicted => Err(io::Error::other(Evicted)),
            End::Closed => Ok(()),
        }
    }
}

/// A flow as both see it, the task that sorts what arrives and its owner.
#[derive(Default)]
pub(in super::super) struct Slot {
    state: Mutex<State>,
    pub(in super::super) count: Count,
}

impl Slot {
    pub(in super::super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[derive(Default)]
pub(in super::super) struct State {
    pub(in super::super) queue: Queue,
    pub(in super::super) waker: Option<Waker>,
    pub(in super::super) last: Option<Instant>,
    pub(in super::super) end: Option<End>,
    /// Where what arrives goes at once; without it, or where there is no room, it waits in the queue.
    pub(in super::super) outlet: Option<Arc<Outlet>>,
    /// What the system told of datagrams that went there.
    pub(in super::super) news: Option<io::Error>,
}

impl State {
    pub(in super::super) fn wake(&mut self) {
        wake(&mut self.waker);
    }

    fn end(&mut self, end: End) {
        self.end = Some(end);
        // What leads elsewhere may hold a socket.
        self.outlet = None;
        self.wake();
    }
}

/// All flows of a socket.
pub(super) struct Table {
    slots: HashMap<Key, (Arc<Slot>, Place)>,
    order: Order<Key>,
    /// In the order of their first datagrams; each is in `slots`, unless it has ended since.
    pub(super) backlog: VecDeque<Key>,
    pub(super) waker: Option<Waker>,
    /// Whether there is somebody to accept, and a socket to accept from.
    pub(super) open: bool,
    pub(super) failed: Option<io::Error>,
    pub(super) idle: Option<Duration>,
    tally: Arc<Tally>,
    evicted: u64,
    said_evicted: Option<Instant>,
}

impl Table {
    pub(super) fn new(idle: Option<Duration>, tally: Arc<Tally>) -> Self {
        Table {
            slots: HashMap::new(),
            order: Order::default(),
            backlog: VecDeque::new(),
            waker: None,
            open: true,
            failed: None,
            idle,
            tally,
            evicted: 0,
            said_evicted: None,
        }
    }

    pub(super) fn len(&self) -> usize {
        self.slots.len()
    }

    pub(super) fn get(&self, key: Key) -> Option<&Arc<Slot>> {
        self.slots.get(&key).map(|(slot, _)| slot)
    }

    /// The flow of these addresses: the one there is or, with room for it and where it `may_begin`, a new one.
    pub(super) fn slot(
        &mut self,
        key: Key,
        now: Instant,
        (most, evicts): (usize, bool),
        may_begin: impl FnOnce() -> bool,
    ) -> Option<Arc<Slot>> {
        if let Some(slot) = self.get(key) {
            return Some(Arc::clone(slot));
        }
        if !may_begin() || !self.open || self.backlog.len() >= BACKLOG {
            return None;
        }
        if self.slots.len() >= most && (!evicts || !self.evict(now, most)) {
            return None;
        }
        let Entry::Vacant(entry) = self.slots.entry(key) else {
            return None;
        };
        let place = self.order.add(key, now);
        let (slot, _) = entry.insert((Arc::default(), place));
        let slot = Arc::clone(slot);
        self.backlog.push_back(key);
        wake(&mut self.waker);
        Some(slot)
    }

    fn longest_idle(&mut self) -> Option<(Key, Instant)> {
        let Table { slots, order, .. } = self;
        let mut places = Vec::new();
        let found = order.longest_idle(
            |key| slots.get(&key).and_then(|(slot, _)| slot.state().last),
            |key, place| places.push((key, place)),
        );
        for (key, place) in places {
            if let Some((_, old)) = slots.get_mut(&key) {
                *old = place;
            }
        }
        found
    }

    /// Ends the flow that was idle for the longest. Says whether there was one.
    fn evict(&mut self, now: Instant, most: usize) -> bool {
        let Some((key, since)) = self.longest_idle() else {
            return false;
        };
        self.put_out(key, End::Evicted);
        self.evicted += 1;
        debug!(peer = %key.peer, idle = ?now.saturating_duration_since(since), "the flow made room for another peer");
        if self
            .said_evicted
            .is_none_or(|said| now.saturating_duration_since(said) >= EVICTED_EVERY)
        {
            self.said_evicted = Some(now);
            let flows = counted(usize::try_from(self.evicted).unwrap_or(usize::MAX), "flow");
            warn!(
                "there are more than {most} peers at a time: {flows} made room so far, those that were idle the longest"
            );
        }
        true
    }

    pub(super) fn remove(&mut self, key: Key) -> Option<Arc<Slot>> {
        let (slot, place) = self.slots.remove(&key)?;
        self.order.remove(place);
        Some(slot)
    }

    /// Ends a flow. Where nobody has accepted it, what it holds is lost with it.
    fn put_out(&mut self, key: Key, end: End) {
        let Some(slot) = self.remove(key) else { return };
        let mut state = slot.state();
        state.end(end);
        let waiting = self.backlog.len();
        self.backlog.retain(|waiting| *waiting != key);
        if self.backlog.len() < waiting {
            self.tally.count_lost(Lost::Queue, state.queue.clear() as u64);
        }
    }

    /// Ends the flows that were idle for too long, and says when to look again.
    pub(super) fn sweep(&mut self, now: Instant) -> Option<Instant> {
        let idle = self.idle?;
        while let Some((key, since)) = self.longest_idle() {
            let ends = since.checked_add(idle)?;
            if ends > now {
                return Some(ends);
            }
            debug!(peer = %key.peer, "the flow was idle for too long");
            self.put_out(key, End::Idle(idle));
        }
        None
    }

    /// Nobody accepts any more; those that wait are forgotten.
    pub(super) fn close(&mut self) {
        self.open = false;
        while let Some(key) = self.backlog.pop_front() {
            if let Some(slot) = self.remove(key) {
                self.tally
                    .count_lost(Lost::Queue, slot.state().queue.clear() as u64);
            }
        }
    }

    pub(super) fn fail(&mut self, error: io::Error) {
        for (_, (slot, _)) in self.slots.drain() {
            slot.state().end(End::Closed);
        }
        self.order = Order::default();
        self.backlog.clear();
        self.open = false;
        self.failed = Some(error);
        wake(&mut self.waker);
    }
}

pub(in super::super) fn wake(waker: &mut Option<Waker>) {
    if let Some(waker) = waker.take() {
        waker.wake();
    }
}

pub(in super::super) fn remember(waker: &mut Option<Waker>, cx: &Context<'_>) {
    match waker {
        Some(waker) => waker.clone_from(cx.waker()),
        None => *waker = Some(cx.waker().clone()),
    }
}
