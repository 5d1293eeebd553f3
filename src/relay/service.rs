//! Forwarding as a service: each accepted connection, and each flow of datagrams, gets one of its own to a target.
//! Absent: accepting.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::net::TcpStream;
use tracing::{Level, debug, enabled};

use super::flows::{self, Told};
use super::forward::{Forwarding, Parted, Side, forward, reset};
use super::framed::{self, Client};
use super::framing::Framing;
use super::pipe;
use super::targets::{Taken, Targets};
use crate::connection::refusals::Refusals;
use crate::connection::{Address, BoxFuture, Connection, Datagram, Facts, Stream};
use crate::error::{Error, Status, reason};
use crate::layer::fault::chance::Chance;
use crate::layer::fault::{Faults, Subject};
use crate::layer::idle::IdleLimit;
use crate::need::Need;
use crate::protocol::{Descriptors, Exchange, Talk};

/// Forwards what a client says to a target, and back.
#[derive(Clone)]
pub struct Relay(Arc<Shared>);

/// How long, and in what form.
#[derive(Debug, Clone, Copy)]
pub struct Terms {
    /// A pair on which nothing moves for so long is parted.
    pub idle: Option<Duration>,
    /// A client's stream that has ended waits for datagrams that answer it until none came for so long.
    pub quiet: Duration,
    /// How datagrams lie in a stream, where one end has these and the other one that.
    pub framing: Option<Framing>,
    /// There is one pair, whose failure is told by whoever runs it, as its own.
    pub sole: bool,
}

struct Shared {
    targets: Targets,
    terms: Terms,
    refusals: Refusals,
    faulting: Option<Faulting>,
}

/// What goes wrong on purpose, in both directions.
struct Faulting {
    faults: Faults,
    seed: u64,
    /// Pairs so far: each has chances of its own.
    pairs: AtomicU64,
}

impl Faulting {
    /// Each end has faults in what is read of it, so that nothing passes through both.
    fn between<C: Subject, T: Subject>(&self, client: C, target: T) -> (C, T) {
        let pair = self.pairs.fetch_add(1, Relaxed).wrapping_mul(2);
        let seed = |number| Chance::branch(self.seed, number);
        (
            client.faulty(&self.faults, seed(pair)),
            target.faulty(&self.faults, seed(pair.wrapping_add(1))),
        )
    }
}

impl Relay {
    /// A relay to `targets`.
    #[must_use]
    pub fn new(targets: Targets, terms: Terms) -> Self {
        Relay::of(targets, terms, None)
    }

    /// A relay as [`Relay::new`] makes it, with faults in both directions. Chance is drawn by `seed`, for each pair anew.
    #[must_use]
    pub fn with_faults(targets: Targets, terms: Terms, faults: Faults, seed: u64) -> Self {
        let pairs = AtomicU64::new(0);
        Relay::of(targets, terms, Some(Faulting { faults, seed, pairs }))
    }

    fn of(targets: Targets, terms: Terms, faulting: Option<Faulting>) -> Self {
        Relay(Arc::new(Shared {
            targets,
            terms,
            refusals: Refusals::default(),
            faulting,
        }))
    }
}

impl Talk for Relay {
    fn talk(&self, stream: Stream) -> BoxFuture<'static, io::Result<()>> {
        let relay = Arc::clone(&self.0);
        Box::pin(Pair::Apart(Box::pin(async move { relay.meet(stream).await })))
    }

    fn needs(&self) -> Vec<Need> {
        let mut needs = self.0.targets.needs();
        needs.push(Need::Dial);
        needs
    }

    fn descriptors(&self) -> Descriptors {
        Descriptors {
            // The connection to the target.
            each: 1,
            common: pipe::descriptors_max(),
        }
    }
}

impl Exchange for Relay {
    fn exchange(&self, datagram: Datagram) -> BoxFuture<'static, io::Result<()>> {
        let relay = Arc::clone(&self.0);
        Box::pin(async move { relay.exchange(datagram).await })
    }
}

/// A client and its target. What it takes to connect is given back once that is done: a pair may be idle for long.
#[expect(clippy::large_enum_variant, reason = "it is the large one that stays")]
enum Pair {
    /// All that there is to do where two streams are not, or no longer, forwarded to each other; what it gives are such.
    Apart(BoxFuture<'static, io::Result<Option<Met>>>),
    Met(Met),
}

/// Two streams that stand, and what counts the target as taken.
struct Met {
    forwarding: Forwarding,
    taken: Taken,
}

impl Future for Pair {
    type Output = io::Result<()>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        loop {
            match &mut *self {
                Pair::Apart(apart) => match ready!(apart.as_mut().poll(cx))? {
                    None => return Poll::Ready(Ok(())),
                    Some(met) => *self = Pair::Met(met),
                },
                Pair::Met(met) => {
                    let done = ready!(Pin::new(&mut met.forwarding).poll(cx));
                    if !met.lasts(&done) {
                        return Poll::Ready(done.map_err(why));
                    }
                    let over = Pair::Apart(Box::pin(std::future::ready(Ok(None))));
                    if let Pair::Met(met) = std::mem::replace(&mut *self, over) {
                        *self = Pair::Apart(Box::pin(met.part(done)));
                    }
                }
            }
        }
    }
}

impl Met {
    /// Whether there is more to do once the two have parted than to let go of them.
    fn lasts(&self, done: &Result<(), Parted>) -> bool {
        match done {
            Ok(()) => self.forwarding.leaves_unread(),
            Err(Parted::Enough(_)) => true,
            Err(Parted::Lost(..)) => self.forwarding.owes(),
            Err(Parted::Idle(_)) => false,
        }
    }

    async fn part(self, done: Result<(), Parted>) -> io::Result<Option<Met>> {
        let parted = match done {
            Err(Parted::Enough(_)) => {
                self.forwarding.part().await;
                Ok(None)
            }
            done => {
                self.forwarding.settle().await;
                done.map(|()| None).map_err(why)
            }
        };
        drop(self.taken);
        parted
    }
}

impl Shared {
    /// Connects a client with its target; `None`: that carries datagrams, and all is over.
    async fn meet(&self, mut client: Stream) -> io::Result<Option<Met>> {
        let (mut target, taken) = match self.targets.connect(client.facts(), &self.refusals).await {
            Ok((Connection::Stream(stream), taken)) => (stream, taken),
            Ok((Connection::Datagram(target), _taken)) => {
                // In a box, as most clients have no need of the room.
                return Box::pin(self.framed(client, target)).await.map(|()| None);
            }
            Err(error) => {
                self.tell(client.facts(), &error.to_string());
                // An end in good order would say that there was nothing to come.
                reset(&mut client);
                return Err(io::Error::other(error));
            }
        };
        say_stream(client.facts(), &mut target);
        let (client, target) = self.between(client, target);
        Ok(Some(Met {
            forwarding: forward(client, target, self.terms.idle),
            taken,
        }))
    }

    fn between<C: Subject, T: Subject>(&self, client: C, target: T) -> (C, T) {
        match &self.faulting {
            None => (client, target),
            Some(faulting) => faulting.between(client, target),
        }
    }

    async fn framed(&self, mut client: Stream, target: Datagram) -> io::Result<()> {
        let framing = match self.framing(client.facts()) {
            Ok(framing) => framing,
            Err(error) => {
                reset(&mut client);
                return Err(error);
            }
        };
        say(client.facts(), target.facts(), &target.facts().local);
        let told = self.told(client.facts(), target.facts());
        let client_is = Client::Stream {
            quiet: self.terms.quiet,
            idle: self.terms.idle,
        };
        let (client, target) = self.between(client, target);
        framed::exchange(target, client, framing, client_is, told).await
    }

    async fn exchange(&self, mut client: Datagram) -> io::Result<()> {
        let facts = client.facts().clone();
        let connected = tokio::select! {
            biased;
            over = client.over() => return over,
            connected = Box::pin(self.targets.connect(&facts, &self.refusals)) => connected,
        };
        let (target, _taken) = match connected {
            Ok(connected) => connected,
            Err(error) => {
                self.tell(&facts, &error.to_string());
                return Err(io::Error::other(error));
            }
        };
        let told = self.told(&facts, target.facts());
        match target {
            Connection::Datagram(target) => {
                self.closes_none(&facts)?;
                say(&facts, target.facts(), &target.facts().local);
                let (client, target) = self.between(client, target);
                flows::exchange(client, target, told).await
            }
            Connection::Stream(mut target) => {
                let framing = match self.framing(&facts) {
                    Ok(framing) => framing,
                    Err(error) => {
                        reset(&mut target);
                        return Err(error);
                    }
                };
                say_stream(&facts, &mut target);
                let (client, target) = self.between(client, target);
                framed::exchange(client, target, framing, Client::Datagrams, told).await
            }
        }
    }

    fn tell(&self, client: &Facts, why: &str) {
        if !self.terms.sole {
            self.refusals.tell(&client.peer.to_string(), why);
        }
    }

    fn told(&self, client: &Facts, target: &Facts) -> Told<'_> {
        Told::new(&self.refusals, client.peer.to_string(), target.peer.to_string())
    }

    /// Datagrams have no connection that could be closed after so many bytes. What an end is may only be known once it stands,
    /// as that of a descriptor.
    fn closes_none(&self, client: &Facts) -> io::Result<()> {
        match &self.faulting {
            Some(faulting) if faulting.faults.close_after.is_some() => {
                let why = "one end carries datagrams, which have no connection to close after so many bytes";
                self.tell(client, why);
                Err(io::Error::other(Error::new(Status::Usage, why)))
            }
            _ => Ok(()),
        }
    }

    /// How datagrams lie in the stream that one end is; what an end is may only be known once it stands. Where the two do not
    /// go together, the stream is to be reset: an end in good order would say that there was nothing to come.
    fn framing(&self, client: &Facts) -> io::Result<Framing> {
        self.closes_none(client)?;
        self.terms.framing.ok_or_else(|| {
            let why = "one end carries datagrams, the other one bytes, and nothing says how they are framed";
            self.tell(client, why);
            io::Error::other(Error::new(Status::Usage, why))
        })
    }
}

fn say(client: &Facts, target: &Facts, from: &Address) {
    debug!(peer = %client.peer, "forwarding to {} from {from}", target.peer);
}

/// Our own end was not asked for when connecting.
fn say_stream(client: &Facts, target: &mut Stream) {
    if enabled!(Level::DEBUG) {
        let socket = target.wire().carrier::<TcpStream>();
        let asked = socket.and_then(|socket| socket.local_addr().ok());
        let from = asked.map_or_else(|| target.facts().local.clone(), Address::Inet);
        say(client, target.facts(), &from);
    }
}

fn why(parted: Parted) -> io::Error {
    match parted {
        Parted::Lost(Side::Client, error) => error,
        Parted::Lost(Side::Target, error) => of_target(&error),
        Parted::Idle(limit) => io::Error::new(io::ErrorKind::TimedOut, IdleLimit(limit)),
        Parted::Enough(bytes) => io::Error::other(format!("{bytes} bytes have passed")),
    }
}

fn of_target(error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("the target's: {}", reason(error)))
}
