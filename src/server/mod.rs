//! The server: accepts on every bound endpoint, talks on each connection in a task of its own, stops in good order.
//! Absent: what is said, and what the endpoints are made of.

pub mod access;
pub mod book;
pub mod door;
#[cfg(feature = "metrics")]
pub mod exposition;
pub mod gate;
#[cfg(feature = "metrics")]
pub mod monitor;
pub mod ready;
pub mod reserve;
pub mod room;
pub mod shortage;
pub mod stop;

mod datagrams;
mod flows;
mod limits;
mod noted;
mod open;
mod sole;
mod watched;

use std::collections::BTreeSet;
use std::future::poll_fn;
use std::io;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinSet;
use tracing::{debug, error, warn};

use self::book::{Book, Outcome, Row, Unaccepted};
use self::door::{Door, established};
use self::gate::{Keeper, Visit};
pub use self::limits::Limits;
use self::open::{Guard, Open};
use self::reserve::Behind;
use self::room::Within;
use self::shortage::{Next, Shortage};
use self::sole::Sole;
use self::stop::Stop;
use self::watched::{Watched, noted};
use crate::connection::refusals::Refusals;
use crate::connection::{Connection, Stream};
use crate::diagnostic::counted;
use crate::error::{Status, reason};
use crate::layer::idle::limited_stream;
use crate::protocol::Service;
use crate::transport::{Accept, Bound, Incoming, Listener, Stage};
use crate::units::duration_text;

/// A protocol, served. Clones are one server: they share its limits, so that each worker can have one.
#[derive(Clone)]
pub struct Server(Arc<Shared>);

/// Clients that are still taken from a backlog when the server stops: as many as it can hold by default on Linux
/// (`net.core.somaxconn`).
const WAITING_MAX: usize = 4096;

/// How long that may take.
const LAST_LOOK: Duration = Duration::from_millis(200);

struct Shared {
    service: Service,
    limits: Limits,
    keeper: Option<Keeper>,
    book: Option<Arc<Book>>,
    open: Arc<Open>,
    permits: Option<Arc<Semaphore>>,
    /// `once`: the one connection was had.
    had_one: AtomicBool,
    refusals: Refusals,
    /// That connections were closed at the end of the grace period was said.
    said_closing: AtomicBool,
    sole: Sole,
    /// The endpoints, by place, whose datagrams a worker sorts into flows.
    sorted: Mutex<BTreeSet<usize>>,
}

impl Server {
    /// A server of `service` within `limits`, for those whom the keeper of its gate lets in; without one, for everybody.
    /// What happens is noted in the book, which has a row for each endpoint that [`Server::run`] is given.
    #[must_use]
    pub fn new(service: Service, limits: Limits, keeper: Option<Keeper>, book: Option<Arc<Book>>) -> Self {
        let permits = limits
            .max_connections
            .map(|most| Arc::new(Semaphore::new(most.min(Semaphore::MAX_PERMITS))));
        Server(Arc::new(Shared {
            service,
            limits,
            keeper,
            book,
            open: Arc::default(),
            permits,
            had_one: AtomicBool::new(false),
            refusals: Refusals::default(),
            said_closing: AtomicBool::new(false),
            sole: Sole::default(),
            sorted: Mutex::default(),
        }))
    }

    /// What became of the connection, where there was to be but one and it has ended.
    ///
    /// # Errors
    /// Why it was lost, or that it was idle for too long.
    pub fn sole_result(&self) -> crate::error::Result<Status> {
        self.0.sole.result()
    }

    /// How it goes, as a line: `2 connections open, 57 accepted`.
    #[must_use]
    pub fn status(&self) -> String {
        let open = counted(self.0.open.count(), "connection");
        format!("{open} open, {} accepted", self.0.open.all())
    }

    /// Serves on the current runtime until `stop` says so or no listener has more to come, then waits for the open
    /// connections: without a limit if the end came by itself, for the grace period if we were told to stop.
    ///
    /// `bound` is dropped as soon as nothing more is accepted, which gives the addresses back.
    ///
    /// # Errors
    /// What the system says when an endpoint can't be listened on, or no longer can.
    pub async fn run(&self, bound: Vec<Arc<dyn Bound>>, mut stop: Stop) -> io::Result<()> {
        let mut accepting = JoinSet::new();
        for (index, endpoint) in bound.iter().enumerate() {
            let row = self.0.book.as_ref().and_then(|book| book.rows().get(index));
            let row = row.map(Arc::clone);
            match endpoint.listen()? {
                Listener::Connections(listener) => {
                    let listener = match &self.0.limits.reserve {
                        None => listener,
                        Some(reserve) => Box::new(Behind::new(listener, Arc::clone(reserve))),
                    };
                    let listener = match self.0.limits.streams_max {
                        None => listener,
                        Some(most) => Box::new(Within::new(listener, Arc::clone(&self.0.open), most)),
                    };
                    let at = At {
                        endpoint: endpoint.endpoint(),
                        row,
                    };
                    accepting.spawn(self.clone().accept_all(listener, at, stop.clone()));
                }
                Listener::Datagrams(socket) if self.0.service.exchange.is_some() => {
                    let (server, mut stop) = (self.clone(), stop.clone());
                    // A peer's datagrams belong to one flow, and the kernel would give them to any thread.
                    let mine = self
                        .0
                        .sorted
                        .lock()
                        .unwrap_or_else(PoisonError::into_inner)
                        .insert(index);
                    let at = At {
                        endpoint: endpoint.endpoint(),
                        row,
                    };
                    accepting.spawn(async move {
                        if mine {
                            return server.accept_flows(socket, at, stop).await;
                        }
                        drop(socket);
                        stop.told().await;
                        Ok(())
                    });
                }
                Listener::Datagrams(socket) => {
                    let Some(respond) = self.0.service.respond.clone() else {
                        continue;
                    };
                    let (server, mut stop) = (self.clone(), stop.clone());
                    let terms = datagrams::Terms {
                        once: self.0.limits.once,
                        hexdump: self.0.limits.hexdump,
                        keeper: self.0.keeper.clone(),
                        row,
                    };
                    accepting.spawn(async move {
                        let once = terms.once;
                        tokio::select! {
                            () = stop.told() => return Ok(()),
                            () = datagrams::serve(socket, respond, terms) => {}
                        }
                        server.0.had_one.store(once, Relaxed);
                        Ok(())
                    });
                }
            }
        }
        let accepted = tokio::select! {
            () = stop.told() => None,
            accepted = self.all_accepted(&mut accepting) => Some(accepted),
        };
        if accepted.is_none() {
            // They hear of it themselves, and look into their backlogs once more.
            let looked = async { while accepting.join_next().await.is_some() {} };
            let _ = tokio::time::timeout(LAST_LOOK, looked).await;
        }
        drop(accepting);
        drop(bound);
        match accepted {
            None => {
                self.drain(&mut stop).await;
                Ok(())
            }
            Some(accepted) => {
                tokio::select! {
                    () = self.0.open.none_left() => {}
                    () = stop.told() => self.drain(&mut stop).await,
                }
                accepted
            }
        }
    }

    /// Waits until every listener has ended, or, with `once`, until one of them has had its connection. A listener that
    /// failed is the result, but the others are served to their end.
    async fn all_accepted(&self, accepting: &mut JoinSet<io::Result<()>>) -> io::Result<()> {
        let mut result = Ok(());
        while let Some(ended) = accepting.join_next().await {
            // A task that panicked has said so.
            if let Ok(Err(error)) = ended {
                result = Err(error);
            }
            if self.0.limits.once && self.0.had_one.load(Relaxed) {
                break;
            }
        }
        result
    }

    async fn drain(&self, stop: &mut Stop) {
        let left = self.0.open.count();
        if left > 0 {
            debug!(
                "waiting up to {} for {}",
                duration_text(self.0.limits.grace),
                counted(left, "open connection")
            );
        }
        tokio::select! {
            () = self.0.open.none_left() => {}
            () = tokio::time::sleep(self.0.limits.grace) => {
                // Each worker comes here; one says it.
                if !self.0.said_closing.swap(true, Relaxed) {
                    let left = counted(self.0.open.count(), "connection");
                    warn!("closed {left} still open when the grace period ended");
                }
            }
            () = stop.now() => {}
        }
    }

    async fn accept_all(self, mut listener: Box<dyn Accept>, at: At, mut stop: Stop) -> io::Result<()> {
        if self.0.limits.once {
            return self.accept_one(&mut *listener, &at, stop).await;
        }
        let mut shortage = Shortage::default();
        let mut told = pin!(stop.told());
        loop {
            let (accepted, permit) = tokio::select! {
                biased;
                () = &mut told => {
                    // The runtime hears of those who came last before it comes back.
                    tokio::task::yield_now().await;
                    self.accept_waiting(&mut *listener, &at);
                    return Ok(());
                }
                accepted = self.accept(&mut *listener) => accepted,
            };
            match accepted {
                Ok(Some(incoming)) => self.serve(incoming, permit, &at),
                Ok(None) => return Ok(()),
                Err(error) => self.rest(&mut shortage, &at, error).await?,
            }
        }
    }

    /// The first client that could be established is the one that is served.
    async fn accept_one(&self, listener: &mut dyn Accept, at: &At, mut stop: Stop) -> io::Result<()> {
        let mut shortage = Shortage::default();
        let door = Door::new(self.0.limits.handshake_timeout, self.0.keeper.clone());
        let mut door = door.counted(at.row.clone());
        loop {
            let entered = tokio::select! {
                () = stop.told() => return Ok(()),
                entered = door.next(listener, |incoming| noted(incoming, &at.endpoint)) => entered,
            };
            match entered {
                Ok(Some((Connection::Stream(stream), visit, noted))) => {
                    // Another listener may have had the one.
                    if !self.0.had_one.swap(true, Relaxed) {
                        self.spawn(stream, visit, Watched::new(noted, at.row.as_ref()));
                    }
                    return Ok(());
                }
                Ok(Some((Connection::Datagram(datagram), visit, noted))) => {
                    if !self.0.had_one.swap(true, Relaxed) {
                        let watched = Watched::new(noted, at.row.as_ref());
                        self.spawn_flow(datagram, watched, (Guard::new(&self.0.open), visit));
                    }
                    return Ok(());
                }
                Ok(None) => return Ok(()),
                Err(error) => self.rest(&mut shortage, at, error).await?,
            }
        }
    }

    /// After a failure to accept: returns when it makes sense to try again.
    async fn rest(&self, shortage: &mut Shortage, at: &At, error: io::Error) -> io::Result<()> {
        let endpoint = &at.endpoint;
        let judged = shortage.judge(endpoint, error);
        if let Some(row) = &at.row {
            row.count_unaccepted(match &judged {
                Ok(Next::Again) => Unaccepted::Gone,
                Ok(Next::Rest) => Unaccepted::Shortage,
                Err(_) => Unaccepted::Listener,
            });
        }
        match judged.inspect_err(|error| error!("no more connections on {endpoint}: {}", reason(error)))? {
            Next::Again => {}
            Next::Rest => tokio::select! {
                () = self.0.open.one_left() => {}
                () = tokio::time::sleep(shortage::PAUSE) => {}
            },
        }
        Ok(())
    }

    /// Serves those whose connection stood when we were told to stop: closing the listener would reset them.
    fn accept_waiting(&self, listener: &mut dyn Accept, at: &At) {
        let mut cx = Context::from_waker(Waker::noop());
        for _ in 0..WAITING_MAX {
            let permit = match &self.0.permits {
                None => None,
                Some(permits) => match Arc::clone(permits).try_acquire_owned() {
                    Ok(permit) => Some(permit),
                    Err(_full) => return,
                },
            };
            match listener.poll_accept(&mut cx) {
                Poll::Ready(Ok(Some(incoming))) => self.serve(incoming, permit, at),
                _ => return,
            }
        }
    }

    /// The next connection, once there is room for one. A place is held only while it is asked for, so that a listener
    /// to which nobody comes keeps none from the others.
    async fn accept(
        &self,
        listener: &mut dyn Accept,
    ) -> (io::Result<Option<Incoming>>, Option<OwnedSemaphorePermit>) {
        let Some(permits) = &self.0.permits else {
            return (poll_fn(|cx| listener.poll_accept(cx)).await, None);
        };
        let mut waited_for = None;
        loop {
            let accepted = poll_fn(|cx| {
                // The place that was waited for is used before it is given back: two loops that only handed it to
                // each other would never accept.
                let place = waited_for
                    .take()
                    .or_else(|| Arc::clone(permits).try_acquire_owned().ok());
                match place {
                    None => Poll::Ready(None),
                    Some(place) => listener.poll_accept(cx).map(|accepted| Some((accepted, place))),
                }
            });
            if let Some((accepted, place)) = accepted.await {
                return (accepted, Some(place));
            }
            // The semaphore is never closed.
            waited_for = Arc::clone(permits).acquire_owned().await.ok();
        }
    }

    fn serve(&self, incoming: Incoming, permit: Option<OwnedSemaphorePermit>, at: &At) {
        let (incoming, visit) = match &self.0.keeper {
            None => (incoming, None),
            Some(keeper) => match keeper.receive(incoming) {
                Some((incoming, visit)) => (incoming, Some(visit)),
                None => return at.end(Outcome::Refused),
            },
        };
        let guard = Guard::new(&self.0.open);
        let noted = noted(&incoming, &at.endpoint);
        match incoming.stage {
            Stage::Established(Connection::Stream(stream)) if self.is_plain() && noted.is_none() => {
                // The usual case: a task that holds little more than the conversation.
                let talk = self.0.service.talk.talk(stream);
                tokio::spawn(async move {
                    let _ = talk.await;
                    drop((guard, permit, visit));
                });
            }
            Stage::Established(Connection::Stream(stream)) => {
                let (server, watched) = (self.clone(), Watched::new(noted, at.row.as_ref()));
                tokio::spawn(async move {
                    server.converse(stream, watched).await;
                    drop((guard, permit, visit));
                });
            }
            Stage::Established(Connection::Datagram(datagram)) => {
                let watched = Watched::new(noted, at.row.as_ref());
                self.spawn_flow(datagram, watched, (guard, permit, visit));
            }
            Stage::Handshake(handshake) => {
                let (server, row) = (self.clone(), at.row.clone());
                let peer = incoming.peer.to_string();
                tokio::spawn(async move {
                    let limit = server.0.limits.handshake_timeout;
                    let stood =
                        established(handshake, visit.as_ref(), limit, &peer, &server.0.refusals).await;
                    match stood {
                        Ok(Connection::Stream(stream)) => {
                            server.converse(stream, Watched::new(noted, row.as_ref())).await;
                        }
                        Ok(Connection::Datagram(_)) => {}
                        Err(why) => door::count(row.as_deref(), why),
                    }
                    drop((guard, permit, visit));
                });
            }
        }
    }

    /// Serves in a task, so that a stop finds it among the open connections.
    fn spawn(&self, stream: Stream, visit: Option<Arc<Visit>>, watched: Watched) {
        let (server, guard) = (self.clone(), Guard::new(&self.0.open));
        tokio::spawn(async move {
            server.converse(stream, watched).await;
            drop((guard, visit));
        });
    }

    fn is_plain(&self) -> bool {
        let limits = &self.0.limits;
        limits.idle_timeout.is_none()
            && !limits.hexdump
            && !limits.sole
            && limits.record.is_none()
            && self.0.book.is_none()
    }

    async fn converse(&self, stream: Stream, mut watched: Watched) {
        let limits = &self.0.limits;
        let mut stream = watched.look_on(stream, limits);
        if let Some(limit) = limits.idle_timeout {
            stream = limited_stream(stream, limit);
        }
        let sole = limits.sole.then(|| stream.facts().peer.to_string());
        let result = self.0.service.talk.talk(stream).await;
        if let Some(peer) = sole {
            self.0.sole.end(&peer, &result);
        }
        watched.end(&result);
    }
}

/// Where clients come to: what the log calls it, and its row in the book.
struct At {
    endpoint: String,
    row: Option<Arc<Row>>,
}

impl At {
    fn end(&self, outcome: Outcome) {
        if let Some(row) = &self.row {
            row.end(outcome);
        }
    }
}
