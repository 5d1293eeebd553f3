//! How bytes get here: connectors and listeners, and the table of endpoint types.
//! Absent: what is said on a connection, and every other transport's insides.

pub mod datagrams;
pub(crate) mod descriptor;
pub mod distinct;
pub(crate) mod given;
pub mod handshake;
pub(crate) mod listening;
pub mod reading;
pub(crate) mod socket;
pub mod stdio;
pub(crate) mod waiting;

mod fd;
mod lock;
mod race;
#[cfg(feature = "tls")]
mod secured;
mod socket_file;
#[cfg(feature = "tls")]
mod ssl;
mod systemd;
mod tcp;
#[cfg(feature = "tls")]
mod tls;
mod udp;
mod unix;
mod wrapped;

use std::fmt;
use std::io;
use std::sync::Arc;
use std::task::{Context, Poll};

use self::handshake::Handshake;
#[cfg(feature = "tls")]
use crate::cert::{CertificateDer, chain::Finding};
use crate::connection::{Address, BoxFuture, Connection, Facts};
#[cfg(feature = "tls")]
use crate::endpoint::Spec;
use crate::endpoint::{Args, Param, Refused, Role};
use crate::error::Result;
use crate::layer::Layer;
#[cfg(feature = "tls")]
use crate::layer::tls::doctor::Verifies;
use crate::need::Need;

/// The endpoint types, in the order that help shows them.
pub static TRANSPORTS: &[&Transport] = &[
    &tcp::TCP,
    &tcp::TCP4,
    &tcp::TCP6,
    #[cfg(feature = "tls")]
    &tls::TLS,
    #[cfg(feature = "tls")]
    &ssl::SSL,
    &unix::UNIX,
    &udp::UDP,
    &udp::UDP4,
    &udp::UDP6,
    &stdio::STDIO,
    &fd::FD,
    &systemd::SYSTEMD,
];

/// An endpoint type: one entry in [`TRANSPORTS`], from which parsing, errors, `explain`, help, the manual and
/// completions follow.
pub struct Transport {
    /// The name in endpoint strings, in lower case.
    pub name: &'static str,
    /// What it is, in a few words.
    pub summary: &'static str,
    /// The client role, where it exists.
    pub client: Option<ClientRole>,
    /// The server role, where it exists.
    pub server: Option<ServerRole>,
}

impl Transport {
    /// Its fields in this role, if it has it: positional ones first and in order.
    #[must_use]
    pub fn params(&self, role: Role) -> Option<&'static [Param]> {
        self.role(role).map(|(params, _)| params)
    }

    /// Strings of this role that a reader can learn from, if it has it.
    #[must_use]
    pub fn examples(&self, role: Role) -> Option<&'static [&'static str]> {
        self.role(role).map(|(_, examples)| examples)
    }

    fn role(&self, role: Role) -> Option<(&'static [Param], &'static [&'static str])> {
        match role {
            Role::Client => self.client.as_ref().map(|own| (own.params, own.examples)),
            Role::Server => self.server.as_ref().map(|own| (own.params, own.examples)),
        }
    }
}

/// The client role of an endpoint type.
pub struct ClientRole {
    /// Its fields, positional ones first and in order.
    pub params: &'static [Param],
    /// Strings that a reader can learn from; each parses.
    pub examples: &'static [&'static str],
    /// Makes a connector of checked fields. Opens nothing.
    pub connector: fn(&Args) -> Result<Box<dyn Connector>, Refused>,
}

/// The server role of an endpoint type.
pub struct ServerRole {
    /// Its fields, positional ones first and in order.
    pub params: &'static [Param],
    /// Strings that a reader can learn from; each parses.
    pub examples: &'static [&'static str],
    /// Makes a binder of checked fields. Opens nothing.
    pub binder: fn(&Args) -> Result<Box<dyn Binder>, Refused>,
}

/// Opens connections; it may be asked again and again.
pub trait Connector: Send + Sync + fmt::Debug {
    /// Opens one connection, established to its last layer, within the endpoint's own time limit. `client` is what is
    /// known of the connection on whose behalf, where there is one; a layer may tell the other end. Our own end may stay unnamed
    /// then, as to ask the system for it costs each connection and hardly anybody looks.
    fn connect<'a>(&'a self, client: Option<&'a Facts>) -> BoxFuture<'a, Result<Connection>>;

    /// Who can look at the certificates of the far end; `None` where nobody is verified by one.
    #[cfg(feature = "tls")]
    fn doctor(&self) -> Option<&dyn Doctor> {
        None
    }

    /// Whether it opens datagrams rather than connections of bytes, as far as is known before.
    fn carries_datagrams(&self) -> bool {
        false
    }

    /// What a connection asks of the system besides the network.
    fn needs(&self) -> Vec<Need> {
        Vec::new()
    }

    /// Takes a layer that belongs beneath this endpoint's own, such as TLS, and right on the wire. Says whether it did:
    /// where it has none of its own, the layer goes on top.
    fn beneath(&mut self, layer: &Arc<dyn Layer>) -> bool {
        let _ = layer;
        false
    }
}

/// Looks at who answers, and says what speaks against them.
#[cfg(feature = "tls")]
pub trait Doctor {
    /// Opens a connection to whoever answers, says nothing on it, and sees what they show.
    fn look(&self) -> BoxFuture<'_, Result<Look>>;

    /// What speaks against a chain of certificates, the leaf first.
    ///
    /// # Errors
    /// Status 2: a file of roots is no good.
    fn examine(&self, chain: &[CertificateDer<'_>]) -> Result<Vec<Finding>>;

    /// What is verified.
    fn verifies(&self) -> Verifies;
}

/// What a server shows to those who do not ask whether to believe it.
#[cfg(feature = "tls")]
#[derive(Debug)]
pub struct Look {
    /// Its certificates, its own first.
    pub chain: Vec<CertificateDer<'static>>,
    /// The connection, or why there is none after all.
    pub connection: Result<Connection>,
}

/// What opens the connections of a client endpoint that stands in another one.
#[cfg(feature = "tls")]
fn client(spec: &Spec) -> Result<Box<dyn Connector>, Refused> {
    reading::connector(spec).map(|(connector, _)| connector)
}

/// Takes an address for a server.
pub trait Binder: Send + Sync + fmt::Debug {
    /// Binds. Needs no runtime, so that it can happen before threads, and before privileges are shed.
    ///
    /// # Errors
    /// Status 7, with the system's reason.
    fn bind(&self) -> Result<Box<dyn Bound>>;

    /// Whether datagrams arrive there rather than connections of bytes.
    fn carries_datagrams(&self) -> bool {
        false
    }

    /// Takes a layer that belongs beneath this endpoint's own, as [`Connector::beneath`] does.
    fn beneath(&mut self, layer: &Arc<dyn Layer>) -> bool {
        let _ = layer;
        false
    }
}

/// A bound server endpoint. Dropping it gives the address back, and removes the socket that it made.
pub trait Bound: Send + Sync {
    /// The client endpoint string that leads here.
    fn endpoint(&self) -> String;

    /// The same where another endpoint of the process has that string too: one that leads nowhere else, if there is one.
    fn exact_endpoint(&self) -> String {
        self.endpoint()
    }

    /// A listener on the runtime that calls this; each worker has its own.
    ///
    /// # Errors
    /// What the system says.
    fn listen(&self) -> io::Result<Listener>;

    /// The same address once more, for one more worker, where the system then spreads clients over the workers; `None`:
    /// they listen on one socket together.
    fn beside(&self) -> Option<Box<dyn Bound>> {
        None
    }

    /// The client endpoint string for other machines, where theirs is another; `HOST` stands for our name.
    fn elsewhere(&self) -> Option<String> {
        None
    }

    /// What it asks of the system from here on.
    fn needs(&self) -> Vec<Need> {
        Vec::new()
    }

    /// Reads again what was read when binding, such as certificates, for connections to come.
    ///
    /// # Errors
    /// Why what is in use stays in use.
    fn reload(&self) -> Result<()> {
        Ok(())
    }
}

/// What a bound endpoint gives a runtime.
pub enum Listener {
    /// Connections, one after the other.
    Connections(Box<dyn Accept>),
    /// Datagrams of many peers on one socket.
    Datagrams(datagrams::Datagrams),
}

/// Accepts connections.
pub trait Accept: Send {
    /// The next connection; `None`: no more will come. Accepting is cheap and cancel safe: handshakes belong to the
    /// connection's own task.
    fn poll_accept(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Option<Incoming>>>;
}

/// A connection that was accepted, but perhaps not established.
pub struct Incoming {
    /// Who connected, as the transport sees it.
    pub peer: Address,
    /// The way to a connection that can be talked on.
    pub stage: Stage,
}

impl Incoming {
    /// Whether a layer will say who speaks: `peer` is then a proxy.
    #[must_use]
    pub fn is_to_be_named(&self) -> bool {
        matches!(&self.stage, Stage::Handshake(handshake) if handshake.names_peer())
    }

    /// Closes it without a word: over TCP with a reset.
    pub fn refuse(self) {
        match self.stage {
            Stage::Established(Connection::Stream(stream)) => handshake::refuse(&stream),
            Stage::Established(Connection::Datagram(_)) => {}
            Stage::Handshake(handshake) => handshake.refuse(),
        }
    }
}

/// How far an [`Incoming`] is.
pub enum Stage {
    /// Nothing is left to do.
    Established(Connection),
    /// Layers have their say first.
    Handshake(Handshake),
}
