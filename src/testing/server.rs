//! `Server`: a server of ours on a thread of its own, from the test that starts it to the end of that test.
//! Absent: what it says.

use std::fmt;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use super::place::{self, On, Place};
use super::thread::{Thread, Unjoined};
use super::{AsyncPeer, Peer};
use crate::connection::{BoxFuture, Stream};
use crate::error::{Error, Result, Status, reason};
use crate::protocol::{Service, Talk, set_up};
use crate::relay::service::{Relay, Terms};
use crate::relay::targets::{Balance, Targets};
use crate::server::stop::{Lever, stop};
use crate::server::{self, Limits};
use crate::transport::Bound;
use crate::transport::reading::{ClientEndpoint, Dialler};
use crate::units::duration_text;

/// Time for a server to stop, beside what open connections may take.
const STOP_MAX: Duration = Duration::from_secs(5);

/// A server before it is started.
#[must_use = "a server has to be started"]
pub struct Plan {
    what: What,
    places: Vec<On>,
    limits: Limits,
}

enum What {
    Protocol(String, Vec<(String, String)>),
    Relay(String),
    Service(Service),
}

impl fmt::Debug for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Plan({}, on {:?})", self.what.name(), self.places)
    }
}

impl What {
    fn name(&self) -> String {
        match self {
            What::Protocol(name, _) => name.clone(),
            What::Relay(target) => format!("a relay to {target}"),
            What::Service(_) => "a service of the test".to_owned(),
        }
    }
}

impl Plan {
    fn of(what: What) -> Self {
        Plan {
            what,
            places: Vec::new(),
            limits: Limits::default(),
        }
    }

    /// Where it listens; without this, [`On::Tcp`]. Every further call adds a place.
    pub fn on(mut self, place: impl Into<On>) -> Self {
        self.places.push(place.into());
        self
    }

    /// A setting of the protocol, as the flag of that name on the command line: `.set("max-line", "16")`.
    pub fn set(mut self, name: &str, value: impl Into<String>) -> Self {
        if let What::Protocol(_, settings) = &mut self.what {
            settings.push((name.to_owned(), value.into()));
        }
        self
    }

    /// How many connections, how long, until when.
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// Starts it. Clients can connect when this returns.
    ///
    /// # Panics
    /// There is no such protocol, a setting or an endpoint is refused, or an endpoint cannot be bound.
    #[track_caller]
    pub fn start(self) -> Server {
        match self.try_start() {
            Ok(server) => server,
            Err(error) => panic!("{}", in_full(&error)),
        }
    }

    /// Starts it. Clients can connect when this returns.
    ///
    /// # Errors
    /// Status 2: there is no such protocol, or a setting or an endpoint is refused. Status 7: an endpoint cannot be bound.
    pub fn try_start(self) -> Result<Server> {
        let name = self.what.name();
        let service = self.what.service()?;
        let mut wanted = self.places;
        if wanted.is_empty() {
            wanted.push(On::default());
        }
        let places: Vec<Place> = wanted.iter().map(Place::prepare).collect::<Result<_>>()?;
        let answers = service.respond.is_some() || service.exchange.is_some();
        if let Some(place) = places.iter().find(|place| place.endpoint.carries_datagrams())
            && !answers
        {
            let what = format!("could not serve {name} on {}", place.endpoint.text());
            let why = "it needs connections, and datagrams arrive there";
            return Err(Error::new(Status::Usage, why).on(what));
        }
        let bound: Vec<Arc<dyn Bound>> = places
            .iter()
            .map(|place| place.endpoint.bind().map(Arc::from))
            .collect::<Result<_>>()?;
        let endpoints = places
            .iter()
            .zip(&bound)
            .map(|(place, bound)| place.led_to(&bound.endpoint()))
            .collect();
        let grace = self.limits.grace;
        let server = server::Server::new(service, self.limits, None, None);
        let (lever, stop) = stop();
        let thread = Thread::start(
            "netkit server",
            move |_| async move { server.run(bound, stop).await },
        )?;
        Ok(Server {
            thread,
            lever,
            grace,
            endpoints,
            places,
            is_over: false,
        })
    }
}

impl What {
    fn service(self) -> Result<Service> {
        match self {
            What::Service(service) => Ok(service),
            What::Protocol(name, settings) => {
                let settings: Vec<(&str, String)> = settings
                    .iter()
                    .map(|(name, value)| (name.as_str(), value.clone()))
                    .collect();
                set_up(&name, &settings, Arc::new(Dialler))
            }
            What::Relay(target) => {
                let target = ClientEndpoint::parse(target.as_ref())?;
                let targets = Targets::new(vec![target], Balance::default(), None);
                let terms = Terms {
                    idle: None,
                    quiet: Limits::default().flow_idle,
                    framing: None,
                    sole: false,
                };
                Ok(Service::connections(Relay::new(targets, terms)))
            }
        }
    }
}

/// A server of ours that runs on a thread of its own.
///
/// Dropping it closes its connections and its endpoints, and returns when its thread has ended; [`Server::stop`] lets open
/// connections finish.
pub struct Server {
    thread: Thread<io::Result<()>>,
    lever: Lever,
    grace: Duration,
    endpoints: Vec<String>,
    places: Vec<Place>,
    is_over: bool,
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Server({})", self.endpoints.join(", "))
    }
}

/// A protocol of the test, as a function of the stream.
struct Told<F>(F);

impl<F, U> Talk for Told<F>
where
    F: Fn(Stream) -> U + Send + Sync + 'static,
    U: Future<Output = io::Result<()>> + Send + 'static,
{
    fn talk(&self, stream: Stream) -> BoxFuture<'static, io::Result<()>> {
        Box::pin((self.0)(stream))
    }
}

impl Server {
    /// A built-in protocol, by the name that `netkit serve` knows it by: `echo`, `lines`, `discard` and so on.
    pub fn protocol(name: impl Into<String>) -> Plan {
        Plan::of(What::Protocol(name.into(), Vec::new()))
    }

    /// Forwards to this client endpoint.
    pub fn relay(target: impl Into<String>) -> Plan {
        Plan::of(What::Relay(target.into()))
    }

    /// Says what this function says on each connection. [`Server::service`] takes a [`Talk`].
    pub fn talking<F, U>(talk: F) -> Plan
    where
        F: Fn(Stream) -> U + Send + Sync + 'static,
        U: Future<Output = io::Result<()>> + Send + 'static,
    {
        Server::service(Service::streams(Told(talk)))
    }

    /// A protocol of the test's own: `Service::streams(talk)` for a [`Talk`].
    pub fn service(service: Service) -> Plan {
        Plan::of(What::Service(service))
    }

    /// The client endpoint that leads to its first place; the port is the one that was bound, and TLS is trusted.
    #[must_use]
    pub fn endpoint(&self) -> &str {
        self.endpoints.first().map_or("", String::as_str)
    }

    /// The client endpoints that lead to its places, in their order.
    #[must_use]
    pub fn endpoints(&self) -> &[String] {
        &self.endpoints
    }

    /// The address of the first place, for clients that are not given an endpoint.
    ///
    /// # Panics
    /// It has none, as a UNIX socket has.
    #[must_use]
    #[track_caller]
    pub fn address(&self) -> SocketAddr {
        match place::address(self.endpoint()) {
            Some(address) => address,
            None => panic!("{} has no address", self.endpoint()),
        }
    }

    /// The path of the UNIX socket that is the first place.
    ///
    /// # Panics
    /// It is none.
    #[must_use]
    #[track_caller]
    pub fn path(&self) -> PathBuf {
        match place::path(self.endpoint()) {
            Some(path) => path,
            None => panic!("{} has no path", self.endpoint()),
        }
    }

    /// The file with the certificate of the authority that a client has to trust, where the first place has one of its own.
    #[must_use]
    pub fn trust(&self) -> Option<&Path> {
        self.places.first().and_then(Place::trust)
    }

    /// A peer that is connected to the first place.
    ///
    /// # Panics
    /// It could not connect.
    #[must_use]
    #[track_caller]
    pub fn connect(&self) -> Peer {
        Peer::connect(self.endpoint())
    }

    /// The same for a test whose thread has other work meanwhile.
    #[track_caller]
    pub fn connect_async(&self) -> impl Future<Output = AsyncPeer> + Send + use<'_> {
        AsyncPeer::connect(self.endpoint())
    }

    /// Stops it in good order: nothing more is accepted, and open connections may go on for the grace period of its limits, 5
    /// seconds unless given. Returns when it has ended.
    ///
    /// # Panics
    /// It had failed to accept, or does not end.
    #[track_caller]
    pub fn stop(mut self) {
        self.lever.pull();
        if let Err(why) = self.over(self.grace + STOP_MAX) {
            panic!("{why}");
        }
    }

    fn over(&mut self, limit: Duration) -> std::result::Result<(), String> {
        self.is_over = true;
        match self.thread.join(limit) {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(format!("{self:?} could not serve: {}", reason(&error))),
            Err(Unjoined::Late) => Err(format!(
                "{self:?} did not stop within {}: does what it talks block its thread?",
                duration_text(limit)
            )),
            Err(Unjoined::Panicked) => Err(format!("{self:?} panicked")),
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if self.is_over {
            return;
        }
        self.lever.pull();
        self.lever.pull();
        let over = self.over(STOP_MAX);
        // A test that fails already has its message.
        if let Err(why) = over
            && !std::thread::panicking()
        {
            panic!("{why}");
        }
    }
}

fn in_full(error: &Error) -> String {
    let mut text = error.to_string();
    for more in [error.picture_text(), error.help_text()].into_iter().flatten() {
        text.push('\n');
        text.push_str(more.trim_end());
    }
    text
}
