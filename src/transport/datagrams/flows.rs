//! `Flows`: a bound UDP socket as a listener; each peer that writes to it is a connection, its flow.
//! Absent: what is said on a flow, streams, and who has to make room (`table`).

mod table;

use std::any::Any;
use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::task::AbortHandle;
use tokio::task::coop::poll_proceed;
use tokio::time::{Instant, sleep, sleep_until};
use tracing::debug;

use self::table::Table;
pub use self::table::{BACKLOG, Evicted};
pub(super) use self::table::{Key, Slot, remember};
use super::pile::Pile;
use super::wire::Wire;
use super::{Datagrams, Run, transient};
use crate::connection::datagram::Messages;
use crate::connection::tally::{Lost, Tally};
use crate::connection::tap::Direction;
use crate::connection::{Address, BoxFuture, Connection, Datagram, Facts};
use crate::transport::handshake::Gate;
use crate::transport::{Accept, Incoming, Stage};

/// Bytes that wait in one flow, as in the kernel's own buffer of a socket (`net.core.rmem_default`).
pub(super) const WAITING_BYTES_MAX: usize = 208 * 1024;

/// Bytes that wait in all flows, of which each has an equal share.
const ALL_BYTES_MAX: usize = 64 * 1024 * 1024;

/// After an error that may have to do with memory, so that the socket is not asked in a loop.
const PAUSE: Duration = Duration::from_millis(5);

/// How many flows, and for how long.
#[derive(Debug, Clone)]
pub struct Settings {
    /// A flow ends when nothing came or went for so long; `None`: it stays until it is dropped.
    pub idle: Option<Duration>,
    /// So many flows at a time.
    pub flows_max: usize,
    /// A further peer takes the place of the flow that was idle for the longest, which ends with [`Evicted`]; otherwise
    /// its datagrams are lost.
    pub evicts: bool,
    /// Where what comes, goes and gets lost is counted.
    pub tally: Arc<Tally>,
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            idle: None,
            flows_max: 4096,
            evicts: false,
            tally: Arc::default(),
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
        Flows::with(datagrams, Settings::default(), None)
    }

    /// The same for those whom the gate admits; what others send is dropped, and takes no room from them.
    #[must_use]
    pub fn behind(gate: Arc<dyn Gate>, datagrams: Datagrams) -> Self {
        Flows::with(datagrams, Settings::default(), Some(gate))
    }

    /// A connection for each peer whom the gate admits. One task on this runtime sorts what arrives, so that flows
    /// receive whether or not anybody accepts; it ends with the last of the listener and its flows.
    #[must_use]
    pub fn with(datagrams: Datagrams, settings: Settings, gate: Option<Arc<dyn Gate>>) -> Self {
        let shared = Arc::new(Shared {
            wire: Arc::clone(&datagrams.wire),
            table: Mutex::new(Table::new(settings.idle, Arc::clone(&settings.tally))),
            settings,
            gate,
            sooner: Notify::new(),
        });
        let task = tokio::spawn(pump(datagrams, Arc::clone(&shared)));
        Flows {
            shared,
            pump: Arc::new(Pump(task.abort_handle())),
        }
    }

    /// What brings them to their end, whoever has them then.
    #[must_use]
    pub fn closing(&self) -> Closing {
        Closing(Arc::downgrade(&self.shared))
    }
}

/// Brings flows to their end. It keeps no socket open.
pub struct Closing(Weak<Shared>);

impl Closing {
    /// No further flow begins, and each that there is ends once nothing moved on it for so long.
    pub fn wind_down(self, quiet: Duration) {
        let Some(shared) = self.0.upgrade() else { return };
        let mut table = shared.table();
        table.close();
        table.idle = Some(table.idle.map_or(quiet, |idle| idle.min(quiet)));
        drop(table);
        shared.sooner.notify_one();
    }
}

impl Accept for Flows {
    fn poll_accept(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Option<Incoming>>> {
        let mut table = self.shared.table();
        while let Some(key) = table.backlog.pop_front() {
            // One that has ended has left the table already.
            let Some(slot) = table.get(key).map(Arc::clone) else {
                continue;
            };
            let wire = &self.shared.wire;
            let local = SocketAddr::new(key.local.unwrap_or(wire.local.ip()), wire.local.port());
            let facts = Facts::new(local.into(), key.peer.into());
            let (tally, count) = (Arc::clone(&self.shared.settings.tally), slot.count.clone());
            let flow = Flow {
                key,
                slot,
                shared: Arc::clone(&self.shared),
                _pump: Arc::clone(&self.pump),
                writable: None,
            };
            return Poll::Ready(Ok(Some(Incoming {
                peer: Address::Inet(key.peer),
                stage: Stage::Established(Connection::Datagram(
                    Datagram::new(flow, facts).counted(tally, count),
                )),
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
        self.shared.table().close();
    }
}

/// Ends the sorting task with its last owner.
struct Pump(AbortHandle);

impl Drop for Pump {
    fn drop(&mut self) {
        self.0.abort();
    }
}

pub(super) struct Shared {
    pub(super) wire: Arc<Wire>,
    pub(super) settings: Settings,
    gate: Option<Arc<dyn Gate>>,
    table: Mutex<Table>,
    /// Flows end sooner than was said before.
    sooner: Notify,
}

impl Shared {
    fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Reads the socket and sorts what it gives, until the last owner of [`Pump`] is gone.
async fn pump(mut datagrams: Datagrams, shared: Arc<Shared>) {
    // No flow is idle for too long before this.
    let mut next_sweep: Option<Instant> = None;
    let mut pile = Pile::default();
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
                    let idle = sort(&datagrams, &shared, &mut pile, now);
                    if next_sweep.is_none() {
                        next_sweep = idle.and_then(|idle| now.checked_add(idle));
                    }
                }
                Err(error) if transient(&error) => {
                    debug!(%error, "receiving datagrams");
                    sleep(PAUSE).await;
                }
                Err(error) => return shared.table().fail(error),
            },
            () = swept => next_sweep = shared.table().sweep(Instant::now()),
            () = shared.sooner.notified() => next_sweep = shared.table().sweep(Instant::now()),
        }
    }
}

/// Gives each flow what arrived for it, and says how long one may be idle.
fn sort(datagrams: &Datagrams, shared: &Shared, pile: &mut Pile, now: Instant) -> Option<Duration> {
    let mut sorted: Vec<(Arc<Slot>, Run<'_>)> = Vec::new();
    let mut table = shared.table();
    let Settings {
        flows_max, evicts, ..
    } = shared.settings;
    for run in datagrams.runs() {
        let key = Key {
            peer: unlabelled(run.peer),
            local: run.local,
        };
        let mut denied = false;
        let may_begin = || {
            denied = shared
                .gate
                .as_ref()
                .is_some_and(|gate| !gate.admits(&run.peer.into()));
            !denied
        };
        match table.slot(key, now, (flows_max, evicts), may_begin) {
            Some(slot) => sorted.push((slot, run)),
            None if denied => {}
            None => {
                shared.settings.tally.count_lost(Lost::Room, run.count() as u64);
                debug!(peer = %run.peer, "no room for a further flow");
            }
        }
    }
    let share = (ALL_BYTES_MAX / table.len().max(1)).min(WAITING_BYTES_MAX);
    let idle = table.idle;
    drop(table);
    while let Some(slot) = sorted.first().map(|(slot, _)| Arc::clone(slot)) {
        let own = sorted.iter().filter(|(other, _)| Arc::ptr_eq(other, &slot));
        deliver(&slot, own.map(|(_, run)| *run), shared, pile, share, now);
        sorted.retain(|(other, _)| !Arc::ptr_eq(other, &slot));
    }
    idle
}

fn deliver<'a>(
    slot: &Slot,
    runs: impl Iterator<Item = Run<'a>>,
    shared: &Shared,
    pile: &mut Pile,
    share: usize,
    now: Instant,
) {
    let tally = &shared.settings.tally;
    let runs = runs.inspect(|run| {
        tally.count_received(run.count() as u64, run.bytes.len() as u64);
        slot.count.add(Direction::Received, run.bytes.len() as u64);
    });
    let mut state = slot.state();
    state.last = Some(now);
    let Some(outlet) = state.outlet.clone() else {
        let lost: usize = runs
            .map(|run| {
                run.messages()
                    .filter(|message| !state.queue.push(message, share))
                    .count()
            })
            .sum();
        tally.count_lost(Lost::Queue, lost as u64);
        return state.wake();
    };
    let mut passed = outlet.pass(runs, pile, &mut state.queue, share);
    passed.count_losses(tally);
    state.news = passed.news().or(state.news.take());
    if state.news.is_some() || !state.queue.is_empty() {
        state.wake();
    }
}

/// IPv6 flow labels may change within what is one flow to us.
fn unlabelled(mut peer: SocketAddr) -> SocketAddr {
    if let SocketAddr::V6(v6) = &mut peer {
        v6.set_flowinfo(0);
    }
    peer
}

/// The datagrams of one peer.
pub(super) struct Flow {
    pub(super) key: Key,
    pub(super) slot: Arc<Slot>,
    pub(super) shared: Arc<Shared>,
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
        if received.is_some() || state.end.is_some() {
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
                    if outcome.is_ok() {
                        self.shared.settings.tally.count_sent(1, message.len() as u64);
                        self.slot.count.add(Direction::Sent, message.len() as u64);
                    }
                    return Poll::Ready(outcome);
                }
            }
        }
    }

    fn poll_over(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut state = self.slot.state();
        if let Some(end) = state.end {
            return Poll::Ready(end.result());
        }
        remember(&mut state.waker, cx);
        Poll::Pending
    }

    fn as_any(&self) -> Option<&dyn Any> {
        Some(self)
    }
}

impl Drop for Flow {
    fn drop(&mut self) {
        let waiting = {
            let mut state = self.slot.state();
            state.outlet = None;
            state.queue.clear()
        };
        self.shared.settings.tally.count_lost(Lost::Queue, waiting as u64);
        let mut table = self.shared.table();
        // After its end the peer may have a new flow by now.
        if table
            .get(self.key)
            .is_some_and(|slot| Arc::ptr_eq(slot, &self.slot))
        {
            table.remove(self.key);
        }
    }
}

#[cfg(test)]
mod tests;
