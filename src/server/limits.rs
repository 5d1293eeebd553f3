//! The limits of a server, and what they are unless somebody says otherwise.
//! Absent: holding to them, and what the process has room for.

use std::sync::Arc;
use std::time::Duration;

use super::reserve::Reserve;
use crate::connection::tap::record::Recording;

/// How many connections, how long, until when.
#[derive(Debug, Clone)]
pub struct Limits {
    /// At most so many connections at once; further clients wait in the backlog.
    pub max_connections: Option<usize>,
    /// At most so many streams at once, as there are no descriptors for more: see [`Limits::fit`].
    pub streams_max: Option<usize>,
    /// A connection on which nothing moves for so long is closed.
    pub idle_timeout: Option<Duration>,
    /// The time that layers such as TLS have to establish a connection.
    pub handshake_timeout: Duration,
    /// Serve one connection, then end.
    pub once: bool,
    /// There is but one connection, and its failure is that of the run.
    pub sole: bool,
    /// How long open connections may go on after a stop.
    pub grace: Duration,
    /// Show what flows, on standard error.
    pub hexdump: bool,
    /// A peer that sends datagrams has a flow, where the service talks with each by itself: it ends when nothing moved
    /// on it for so long.
    pub flow_idle: Duration,
    /// What the service lets pass on a flow is late by so much, which counts as nothing for that.
    pub flow_late: Duration,
    /// At most so many flows at once on an endpoint; that which was idle for the longest makes room.
    pub flows_max: usize,
    /// Record what flows.
    pub record: Option<Recording>,
    /// Descriptors that are kept back for somebody else: nobody is accepted while one of them is in use.
    pub reserve: Option<Arc<Reserve>>,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            max_connections: None,
            streams_max: None,
            idle_timeout: None,
            handshake_timeout: Duration::from_secs(10),
            once: false,
            sole: false,
            grace: Duration::from_secs(5),
            hexdump: false,
            flow_idle: Duration::from_secs(60),
            flow_late: Duration::ZERO,
            flows_max: 4096,
            record: None,
            reserve: None,
        }
    }
}
