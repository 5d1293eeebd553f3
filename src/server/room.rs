//! How many conversations there are descriptors for, where each of them opens more than it comes with.
//! Absent: counting descriptors, and what becomes of those for whom there is no room.

use std::io;
use std::sync::Arc;
use std::task::{Context, Poll};

use tracing::warn;

use super::Limits;
use super::open::Open;
use crate::connection::BoxFuture;
use crate::diagnostic::counted;
use crate::protocol::Descriptors;
use crate::transport::{Accept, Incoming};

/// What a thread that serves opens for itself, its runtime above all. Seven were seen of the first one, five of each further
/// one, which may have a listener of its own besides.
const PER_WORKER: usize = 7;

/// Of so many descriptors one is left to whatever else comes by: files that are read, names that are looked up.
const SPARE_ONE_OF: usize = 8;

/// But no more of them than these.
const SPARE_MAX: usize = 64;

/// What a server is offered on, and by how many threads.
#[derive(Debug, Clone, Copy)]
pub struct Doors {
    /// Whether streams come to any endpoint.
    pub streams: bool,
    /// To so many endpoints datagrams come.
    pub datagrams: usize,
    /// Threads that serve.
    pub workers: usize,
}

impl Limits {
    /// Lowers the limits to what the `left` descriptors are enough for when each conversation `opens` more of its own. Who
    /// comes beyond that waits, or makes somebody else go, as with any limit, rather than being taken in and let down.
    pub fn fit(&mut self, left: usize, opens: Descriptors, doors: Doors) {
        if opens.each == 0 {
            return;
        }
        let taken = opens
            .common
            .saturating_add(PER_WORKER.saturating_mul(doors.workers));
        let room = left.saturating_sub(taken);
        let room = room - (room / SPARE_ONE_OF).min(SPARE_MAX);
        // Neither kind takes the other's.
        let share = if doors.streams && doors.datagrams > 0 {
            room / 2
        } else {
            room
        };
        // A flow has no descriptor but those that it opens.
        if let Some(flows) = share.checked_div(doors.datagrams * opens.each) {
            self.flows_max = self.flows_max.min(flows.max(1));
        }
        if doors.streams {
            self.streams_max = Some((share / (1 + opens.each)).max(1));
        }
    }
}

/// A listener that takes nobody in while there are as many streams as there is room for.
pub(super) struct Within {
    listener: Box<dyn Accept>,
    open: Arc<Open>,
    most: usize,
    /// Until somebody leaves.
    full: Option<BoxFuture<'static, ()>>,
    /// That there is no room was said.
    said: bool,
}

impl Within {
    pub(super) fn new(listener: Box<dyn Accept>, open: Arc<Open>, most: usize) -> Self {
        Within {
            listener,
            open,
            most,
            full: None,
            said: false,
        }
    }
}

impl Accept for Within {
    fn poll_accept(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Option<Incoming>>> {
        loop {
            if self.open.streams() < self.most {
                self.full = None;
                return self.listener.poll_accept(cx);
            }
            if !self.said {
                self.said = true;
                let most = counted(self.most, "connection");
                warn!("{most} at once is what there are descriptors for (`ulimit -n`): further clients wait");
            }
            let full = self.full.get_or_insert_with(|| {
                let open = Arc::clone(&self.open);
                Box::pin(async move { open.one_left().await })
            });
            // Looked at once more: somebody may have left before this was heard of.
            if full.as_mut().poll(cx).is_pending() && self.open.streams() >= self.most {
                return Poll::Pending;
            }
            self.full = None;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use super::*;
    use crate::connection::{Address, Connection, Facts, Stream};
    use crate::server::open::{FlowGuard, Guard};
    use crate::transport::Stage;

    fn fitted(left: usize, each: usize, streams: bool, datagrams: usize) -> (Option<usize>, usize) {
        let mut limits = Limits::default();
        let doors = Doors {
            streams,
            datagrams,
            workers: 1,
        };
        limits.fit(left, Descriptors { each, common: 12 }, doors);
        (limits.streams_max, limits.flows_max)
    }

    /// Clients without end, each a stream that nobody serves.
    struct Clients;

    impl Accept for Clients {
        fn poll_accept(&mut self, _cx: &mut Context<'_>) -> Poll<io::Result<Option<Incoming>>> {
            let stream = Stream::new(tokio::io::empty(), Facts::new(Address::Unnamed, Address::Unnamed));
            Poll::Ready(Ok(Some(Incoming {
                peer: Address::Unnamed,
                stage: Stage::Established(Connection::Stream(stream)),
            })))
        }
    }

    #[tokio::test]
    async fn who_finds_no_room_waits_for_somebody_to_leave() {
        let open = Arc::new(Open::default());
        let mut within = Within::new(Box::new(Clients), Arc::clone(&open), 2);
        let first = Guard::new(&open);
        // Flows have descriptors of their own.
        let flow = (FlowGuard::new(&open), Guard::new(&open));
        poll_fn(|cx| within.poll_accept(cx)).await.unwrap();
        let second = Guard::new(&open);
        let accepted = tokio::spawn(async move { poll_fn(|cx| within.poll_accept(cx)).await.is_ok() });
        tokio::task::yield_now().await;
        assert!(!accepted.is_finished());
        drop(second);
        assert!(accepted.await.unwrap());
        drop((first, flow));
    }

    #[test]
    fn a_pair_takes_two_and_some_are_left_over() {
        for (left, pairs) in [(1000, 458), (80, 27), (24, 2), (20, 1), (0, 1)] {
            assert_eq!(fitted(left, 1, true, 0).0, Some(pairs), "{left}");
        }
        assert!(fitted(usize::MAX, 1, true, 0).0 > Some(1 << 40));
    }

    #[test]
    fn who_opens_nothing_is_not_limited() {
        let usual = Limits::default();
        assert_eq!(fitted(10, 0, true, 1), (usual.streams_max, usual.flows_max));
    }

    #[test]
    fn flows_share_what_there_is_and_leave_streams_theirs() {
        assert_eq!(fitted(1000, 1, false, 1), (None, 917));
        assert_eq!(fitted(1000, 1, false, 2), (None, 458));
        assert_eq!(fitted(1000, 1, true, 1), (Some(229), 458));
    }
}
