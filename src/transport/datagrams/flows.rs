//! `Flows`: a bound UDP socket as a listener; each peer that writes to it is a connection, its flow.
//! Absent: what is said on a flow, and streams.

use std::collections::VecDeque;
use std::collections::hash_map::{Entry, HashMap};
use std::io::{self, ErrorKind};
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;

use tokio::task::AbortHandle;
use tokio::task::coop::poll_proceed;
use tokio::time::{Instant, sleep, sleep_until};
use tracing::debug;

use super::queue::Queue;
use super::wire::Wire;
use super::{Datagrams, Run, transient};
use crate::connection::datagram::Messages;
use crate::connection::{Address, BoxFuture, Connection, Datagram, Facts};
use crate::transport::handshake::Gate;
use crate::transport::{Accept, Incoming, Stage};

/// Flows that wait to be accepted. More peers than this at a time have to write again.
pub const BACKLOG: usize = 64;

/// Bytes that wait in one flow, as in the kernel's own buffer of a socket (`net.core.rmem_default`).
const WAITING_BYTES_MAX: usize = 208 * 1024;

/// Bytes that wait in all flows, of which each has an equal share.
const ALL_BYTES_MAX: usize = 64 * 1024 * 1024;

/// After an error that may have to do with memory, so that the socket is not asked in a loop.
const PAUSE: Duration = Duration::from_millis(5);

/// How many flows, and for how long.
#[derive(Debug, Clone, Copy)]
pub struct Settings {
    /// A flow ends when nothing came or went for so long; `None`: it stays until it is dropped.
    pub idle: Option<Duration>,
    /// So many flows at a time; datagrams of further peers are lost.
    pub flows_max: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            idle: None,
            flows_max: 4096,
        }
    }
}

/// A listener of flows. Those that were accepted go on when it is dropped.
pub struct Flows {
    shared: Arc<Shared>,
    pump: Arc<Pump>,
}

impl Flows {
    /// A connection for each peer, that stays until it is dropped. Needs a runtime.
    #[must_use]
    pub fn new(datagrams: Datagrams) -> Self {
        Flows::with(datagrams, Settings::default())
    }

    /// The same for those whom the gate admits; what others send is dropped, and takes no room from them.
    #[must_use]
    pub fn behind(gate: Arc<dyn Gate>, datagrams: Datagrams) -> Self {
        Flows::start(datagrams, Settings::default(), Some(gate))
    }

    /// A connection for each peer. One task on this runtime sorts what arrives, so that flows receive whether or not
    /// anybody accepts; it ends with the last of the listener and its flows.
    #[must_use]
    pub fn with(datagrams: Datagrams, settings: Settings) -> Self {
        Flows::start(datagrams, settings, None)
    }

    fn start(datagrams: Datagrams, settings: Settings, gate: Option<Arc<dyn Gate>>) -> Self {
        let shared = Arc::new(Shared {
            wire: Arc::clone(&datagrams.wire),
            settings,
            gate,
            table: Mutex::new(Table {
                open: true,
                ..Table::default()
            }),
        });
        let task = tokio::spawn(pump(datagrams, Arc::clone(&shared)));
        Flows {
            shared,
            pump: Arc::new(Pump(task.abort_handle())),
        }
    }
}

impl Accept for Flows {
    fn poll_accept(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Option<Incoming>>> {
        let mut table = self.shared.table();
        while let Some(key) = table.backlog.pop_front() {
            // One that was idle for too long has left the table already.
            let Some(slot) = table.slots.get(&key).map(Arc::clone) else {
                continue;
            };
            let local = SocketAddr::new(
                key.local.unwrap_or(self.shared.wire.local.ip()),
                self.shared.wire.local.port(),
            );
            let facts = Facts::new(local.into(), key.peer.into());
            let flow = Flow {
                key,
                slot,
                shared: Arc::clone(&self.shared),
                _pump: Arc::clone(&self.pump),
                writable: None,
            };
            return Poll::Ready(Ok(Some(Incoming {
                peer: Address::Inet(key.peer),
                stage: Stage::Established(Connection::Datagram(Datagram::new(flow, facts))),
            })));
        }
        if let Some(error) = table.failed.take() {
            return Poll::Ready(Err(error));
        }
        if !table.open {
            return Poll::Ready(Ok(None));
        }
        remember(&mut table.waker, cx);
        Poll::Pending
    }
}

impl Drop for Flows {
    fn drop(&mut self) {
        let mut table = self.shared.table();
        table.open = false;
        while let Some(key) = table.backlog.pop_front() {
            table.slots.remove(&key);
        }
    }
}

/// Ends the sorting task with its last owner.
struct Pump(AbortHandle);

impl Drop for Pump {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Two addresses that talk. A peer that writes to two of ours has two flows, so that each is answered from its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Key {
    peer: SocketAddr,
    local: Option<IpAddr>,
}

struct Shared {
    wire: Arc<Wire>,
    settings: Settings,
    gate: Option<Arc<dyn Gate>>,
    table: Mutex<Table>,
}

impl Shared {
    fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[derive(Default)]
struct Table {
    slots: HashMap<Key, Arc<Slot>>,
    /// In the order of their first datagrams; each is in `slots`, unless it was idle for too long.
    backlog: VecDeque<Key>,
    waker: Option<Waker>,
    /// Whether there is somebody to accept, and a socket to accept from.
    open: bool,
    failed: Option<io::Error>,
}

#[derive(Default)]
struct Slot(Mutex<State>);

impl Slot {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[derive(Default)]
struct State {
    queue: Queue,
    waker: Option<Waker>,
    last: Option<Instant>,
    ended: bool,
}

impl State {
    fn end(&mut self) {
        self.ended = true;
        wake(&mut self.waker);
    }
}

/// Reads the socket and sorts what it gives, until the last owner of [`Pump`] is gone.
async fn pump(mut datagrams: Datagrams, shared: Arc<Shared>) {
    // No flow is idle for too long before this.
    let mut next_sweep: Option<Instant> = None;
    loop {
        let swept = async {
            match next_sweep {
                Some(at) => sleep_until(at).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            received = datagrams.recv() => match received {
                Ok(()) => {
                    let now = Instant::now();
                    sort(&datagrams, &shared, now);
                    if next_sweep.is_none() {
                        next_sweep = shared.settings.idle.and_then(|idle| now.checked_add(idle));
                    }
                }
                Err(error) if transient(&error) => {
                    debug!(%error, "receiving datagrams");
                    sleep(PAUSE).await;
                }
                Err(error) => return fail(&shared, error),
            },
            () = swept => next_sweep = sweep(&shared, Instant::now()),
        }
    }
}

fn sort(datagrams: &Datagrams, shared: &Shared, now: Instant) {
    let mut table = shared.table();
    for run in datagrams.runs() {
        if let Some(gate) = &shared.gate
            && !gate.admits(&Address::Inet(run.peer))
        {
            continue;
        }
        let Some(slot) = slot(&mut table, shared, &run) else {
            debug!(peer = %run.peer, "no room for a further flow");
            continue;
        };
        let share = (ALL_BYTES_MAX / table.slots.len().max(1)).min(WAITING_BYTES_MAX);
        let mut state = slot.state();
        state.last = Some(now);
        let lost = run
            .messages()
            .filter(|message| !state.queue.push(message, share))
            .count();
        if lost > 0 {
            debug!(peer = %run.peer, lost, "the flow is full");
        }
        wake(&mut state.waker);
    }
}

/// The flow of these addresses: the one there is or, with room for it, a new one.
fn slot(table: &mut Table, shared: &Shared, run: &Run<'_>) -> Option<Arc<Slot>> {
    let room = table.open && table.backlog.len() < BACKLOG && table.slots.len() < shared.settings.flows_max;
    let key = Key {
        peer: unlabelled(run.peer),
        local: run.local,
    };
    match table.slots.entry(key) {
        Entry::Occupied(entry) => Some(Arc::clone(entry.get())),
        Entry::Vacant(entry) if room => {
            let slot = Arc::clone(entry.insert(Arc::default()));
            table.backlog.push_back(key);
            wake(&mut table.waker);
            Some(slot)
        }
        Entry::Vacant(_) => None,
    }
}

/// IPv6 flow labels may change within what is one flow to us.
fn unlabelled(mut peer: SocketAddr) -> SocketAddr {
    if let SocketAddr::V6(v6) = &mut peer {
        v6.set_flowinfo(0);
    }
    peer
}

/// Ends the flows that were idle for too long, and says when to look again.
fn sweep(shared: &Shared, now: Instant) -> Option<Instant> {
    let idle = shared.settings.idle?;
    let mut table = shared.table();
    let mut next: Option<Instant> = None;
    table.slots.retain(|key, slot| {
        let mut state = slot.state();
        let Some(ends) = state.last.unwrap_or(now).checked_add(idle) else {
            return true;
        };
        if ends <= now {
            debug!(peer = %key.peer, "the flow was idle for too long");
            state.end();
            return false;
        }
        next = Some(next.map_or(ends, |next| next.min(ends)));
        true
    });
    let Table { slots, backlog, .. } = &mut *table;
    backlog.retain(|key| slots.contains_key(key));
    next
}

fn fail(shared: &Shared, error: io::Error) {
    let mut table = shared.table();
    for (_, slot) in table.slots.drain() {
        slot.state().end();
    }
    table.backlog.clear();
    table.open = false;
    table.failed = Some(error);
    wake(&mut table.waker);
}

fn wake(waker: &mut Option<Waker>) {
    if let Some(waker) = waker.take() {
        waker.wake();
    }
}

fn remember(waker: &mut Option<Waker>, cx: &Context<'_>) {
    match waker {
        Some(waker) => waker.clone_from(cx.waker()),
        None => *waker = Some(cx.waker().clone()),
    }
}

/// The datagrams of one peer.
struct Flow {
    key: Key,
    slot: Arc<Slot>,
    shared: Arc<Shared>,
    /// What keeps the socket read.
    _pump: Arc<Pump>,
    /// Made when the socket has no room: many flows may wait for it at a time.
    writable: Option<BoxFuture<'static, io::Result<()>>>,
}

impl Messages for Flow {
    fn poll_recv(&mut self, cx: &mut Context<'_>, buf: &mut [u8]) -> Poll<io::Result<Option<usize>>> {
        let coop = ready!(poll_proceed(cx));
        let mut state = self.slot.state();
        let received = state.queue.pop(buf);
        if received.is_some() || state.ended {
            coop.made_progress();
            return Poll::Ready(Ok(received));
        }
        remember(&mut state.waker, cx);
        Poll::Pending
    }

    fn poll_send(&mut self, cx: &mut Context<'_>, message: &[u8]) -> Poll<io::Result<()>> {
        let run = Run {
            peer: self.key.peer,
            local: self.key.local,
            bytes: message,
            each: message.len(),
        };
        loop {
            if let Some(writable) = &mut self.writable {
                let writable = ready!(writable.as_mut().poll(cx));
                self.writable = None;
                writable?;
            }
            match self.shared.wire.try_send(&run) {
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    let wire = Arc::clone(&self.shared.wire);
                    self.writable = Some(Box::pin(async move { wire.socket.writable().await }));
                }
                outcome => {
                    self.slot.state().last = Some(Instant::now());
                    return Poll::Ready(outcome);
                }
            }
        }
    }
}

impl Drop for Flow {
    fn drop(&mut self) {
        let mut table = self.shared.table();
        // After an idle end the peer may have a new flow by now.
        if table
            .slots
            .get(&self.key)
            .is_some_and(|slot| Arc::ptr_eq(slot, &self.slot))
        {
            table.slots.remove(&self.key);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::net::UdpSocket;

    use super::super::queue::WAITING_MAX;
    use super::*;

    const LIMIT: Duration = Duration::from_secs(10);

    fn flows(at: &str, settings: Settings) -> (Flows, SocketAddr) {
        let datagrams = Datagrams::from_std(UdpSocket::bind(at).unwrap()).unwrap();
        let address = datagrams.local_addr();
        (Flows::with(datagrams, settings), address)
    }

    fn client(to: SocketAddr) -> UdpSocket {
        let client = UdpSocket::bind("127.0.0.1:0").unwrap();
        client.connect(to).unwrap();
        client.set_read_timeout(Some(LIMIT)).unwrap();
        client
    }

    async fn accept(flows: &mut Flows) -> Datagram {
        let accepted = tokio::time::timeout(LIMIT, poll_fn(|cx| flows.poll_accept(cx))).await;
        match accepted.unwrap().unwrap().unwrap().stage {
            Stage::Established(Connection::Datagram(flow)) => flow,
            _ => panic!("no flow"),
        }
    }

    async fn recv(flow: &mut Datagram) -> Option<Vec<u8>> {
        let mut buf = vec![0; 65_536];
        let length = tokio::time::timeout(LIMIT, flow.recv(&mut buf))
            .await
            .unwrap()
            .unwrap()?;
        buf.truncate(length);
        Some(buf)
    }

    #[tokio::test]
    async fn each_peer_is_a_connection_with_its_edges() {
        let (mut listener, to) = flows("127.0.0.1:0", Settings::default());
        let (one, two) = (client(to), client(to));
        one.send(b"a").unwrap();
        two.send(b"").unwrap();
        one.send(b"bc").unwrap();
        let (mut first, mut second) = (accept(&mut listener).await, accept(&mut listener).await);
        assert_eq!(first.facts().peer, one.local_addr().unwrap().into());
        assert_eq!(second.facts().local, to.into());
        assert_eq!(recv(&mut first).await.unwrap(), b"a");
        assert_eq!(recv(&mut first).await.unwrap(), b"bc");
        assert_eq!(recv(&mut second).await.unwrap(), b"");
        second.send(b"for two").await.unwrap();
        first.send(b"").await.unwrap();
        let mut buf = [0; 16];
        assert_eq!((two.recv(&mut buf).unwrap(), one.recv(&mut buf).unwrap()), (7, 0));
    }

    #[tokio::test]
    async fn a_slow_flow_loses_its_own_datagrams_only() {
        let (mut listener, to) = flows("127.0.0.1:0", Settings::default());
        let (slow, quick) = (client(to), client(to));
        slow.send(b"slow").unwrap();
        let mut slow_flow = accept(&mut listener).await;
        quick.send(&[0]).unwrap();
        let mut quick_flow = accept(&mut listener).await;
        recv(&mut quick_flow).await;
        for round in 0..40_u8 {
            for _ in 0..20 {
                slow.send(b"more").unwrap();
            }
            quick.send(&[round]).unwrap();
            assert_eq!(recv(&mut quick_flow).await.unwrap(), [round]);
        }
        assert_eq!(recv(&mut slow_flow).await.unwrap(), b"slow");
        for _ in 1..WAITING_MAX {
            assert_eq!(recv(&mut slow_flow).await.unwrap(), b"more");
        }
        slow.send(b"last").unwrap();
        assert_eq!(recv(&mut slow_flow).await.unwrap(), b"last");
    }

    #[tokio::test]
    async fn a_flow_goes_on_when_nobody_accepts_any_more() {
        let (mut listener, to) = flows("127.0.0.1:0", Settings::default());
        let (one, other) = (client(to), client(to));
        one.send(b"1").unwrap();
        let mut flow = accept(&mut listener).await;
        drop(listener);
        other.send(b"nobody listens").unwrap();
        one.send(b"2").unwrap();
        assert_eq!(recv(&mut flow).await.unwrap(), b"1");
        assert_eq!(recv(&mut flow).await.unwrap(), b"2");
        drop(flow);
        // With its last owner the socket is closed.
        let freed = async {
            while UdpSocket::bind(to).is_err() {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(LIMIT, freed).await.unwrap();
    }

    #[tokio::test]
    async fn there_are_no_more_flows_than_allowed() {
        let (mut listener, to) = flows(
            "127.0.0.1:0",
            Settings {
                flows_max: 2,
                ..Settings::default()
            },
        );
        let clients = [client(to), client(to), client(to)];
        for client in &clients {
            client.send(b"x").unwrap();
        }
        let (first, mut second) = (accept(&mut listener).await, accept(&mut listener).await);
        clients[1].send(b"y").unwrap();
        assert_eq!(
            (recv(&mut second).await.unwrap(), recv(&mut second).await.unwrap()),
            (b"x".to_vec(), b"y".to_vec())
        );
        assert_eq!(listener.shared.table().slots.len(), 2);
        drop(first);
        clients[2].send(b"z").unwrap();
        assert_eq!(recv(&mut accept(&mut listener).await).await.unwrap(), b"z");
    }

    #[tokio::test]
    async fn the_backlog_is_bounded() {
        let (listener, to) = flows("127.0.0.1:0", Settings::default());
        let clients: Vec<_> = (0..BACKLOG + 9).map(|_| client(to)).collect();
        for (at, client) in clients.iter().enumerate() {
            client.send(b"x").unwrap();
            while listener.shared.table().backlog.len() < (at + 1).min(BACKLOG) {
                tokio::task::yield_now().await;
            }
        }
        assert_eq!(listener.shared.table().slots.len(), BACKLOG);
    }

    #[tokio::test]
    async fn an_idle_flow_ends_and_its_peer_may_begin_anew() {
        let idle = Some(Duration::from_millis(100));
        let (mut listener, to) = flows(
            "127.0.0.1:0",
            Settings {
                idle,
                ..Settings::default()
            },
        );
        let client = client(to);
        client.send(b"x").unwrap();
        let mut flow = accept(&mut listener).await;
        assert_eq!(recv(&mut flow).await.unwrap(), b"x");
        assert_eq!(recv(&mut flow).await, None);
        client.send(b"y").unwrap();
        let mut again = accept(&mut listener).await;
        drop(flow);
        assert_eq!(recv(&mut again).await.unwrap(), b"y");
        client.send(b"z").unwrap();
        assert_eq!(recv(&mut again).await.unwrap(), b"z");
    }

    #[tokio::test]
    async fn a_flow_that_nobody_accepts_in_time_is_forgotten() {
        let idle = Some(Duration::from_millis(30));
        let (mut listener, to) = flows(
            "127.0.0.1:0",
            Settings {
                idle,
                ..Settings::default()
            },
        );
        client(to).send(b"x").unwrap();
        let came_and_went = async {
            for waiting in [1, 0] {
                while listener.shared.table().backlog.len() != waiting {
                    tokio::task::yield_now().await;
                }
            }
        };
        tokio::time::timeout(LIMIT, came_and_went).await.unwrap();
        let mut cx = Context::from_waker(Waker::noop());
        assert!(listener.poll_accept(&mut cx).is_pending());
    }

    #[tokio::test]
    async fn a_peer_that_writes_to_two_addresses_has_a_flow_for_each() {
        let (mut listener, bound) = flows("0.0.0.0:0", Settings::default());
        let client = UdpSocket::bind("127.0.0.1:0").unwrap();
        client.set_read_timeout(Some(LIMIT)).unwrap();
        for to in ["127.0.0.1", "127.0.0.2"] {
            let to: SocketAddr = SocketAddr::new(to.parse().unwrap(), bound.port());
            client.send_to(b"x", to).unwrap();
            let mut flow = accept(&mut listener).await;
            assert_eq!(flow.facts().local, to.into());
            flow.send(b"y").await.unwrap();
            assert_eq!(client.recv_from(&mut [0; 4]).unwrap(), (1, to));
        }
    }

    #[tokio::test]
    async fn accepting_and_receiving_can_be_given_up_without_loss() {
        let (mut listener, to) = flows("127.0.0.1:0", Settings::default());
        let mut cx = Context::from_waker(Waker::noop());
        assert!(listener.poll_accept(&mut cx).is_pending());
        let client = client(to);
        client.send(b"x").unwrap();
        let mut flow = accept(&mut listener).await;
        assert_eq!(recv(&mut flow).await.unwrap(), b"x");
        assert!(flow.poll_recv(&mut cx, &mut [0; 4]).is_pending());
        client.send(b"y").unwrap();
        assert_eq!(recv(&mut flow).await.unwrap(), b"y");
    }
}
