//! Forwarding as a service: each accepted connection gets one of its own to a target.
//! Absent: accepting.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use tracing::{debug, warn};

use super::forward::{Parted, Side, forward, reset};
use super::targets::Targets;
use crate::connection::{BoxFuture, Connection, Stream};
use crate::error::reason;
use crate::layer::fault::chance::Chance;
use crate::layer::fault::{Faults, faulty};
use crate::need::Need;
use crate::protocol::Talk;
use crate::units::duration_text;

/// Forwards what a client says to a target, and back.
#[derive(Clone)]
pub struct Relay(Arc<Shared>);

struct Shared {
    targets: Targets,
    idle: Option<Duration>,
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
    /// Each stream has faults in what is read of it, so that nothing passes through both.
    fn between(&self, client: Stream, target: Stream) -> (Stream, Stream) {
        let pair = self.pairs.fetch_add(1, Relaxed).wrapping_mul(2);
        let faulty = |stream, number| faulty(stream, &self.faults, Chance::branch(self.seed, number));
        (faulty(client, pair), faulty(target, pair.wrapping_add(1)))
    }
}

impl Relay {
    /// A relay to `targets`. A pair on which nothing moves for `idle` is parted.
    #[must_use]
    pub fn new(targets: Targets, idle: Option<Duration>) -> Self {
        Relay::of(targets, idle, None)
    }

    /// A relay as [`Relay::new`] makes it, with faults in both directions. Chance is drawn by `seed`, for each pair anew.
    #[must_use]
    pub fn with_faults(targets: Targets, idle: Option<Duration>, faults: Faults, seed: u64) -> Self {
        let pairs = AtomicU64::new(0);
        Relay::of(targets, idle, Some(Faulting { faults, seed, pairs }))
    }

    fn of(targets: Targets, idle: Option<Duration>, faulting: Option<Faulting>) -> Self {
        Relay(Arc::new(Shared {
            targets,
            idle,
            faulting,
        }))
    }
}

impl Talk for Relay {
    fn talk(&self, stream: Stream) -> BoxFuture<'static, io::Result<()>> {
        let relay = Arc::clone(&self.0);
        Box::pin(async move { relay.talk(stream).await })
    }

    fn needs(&self) -> Vec<Need> {
        let mut needs = self.0.targets.needs();
        needs.push(Need::Dial);
        needs
    }
}

impl Shared {
    async fn talk(&self, client: Stream) -> io::Result<()> {
        let connected = Box::pin(self.targets.connect(client.facts())).await;
        let (target, _taken) = match connected {
            Ok((Connection::Stream(stream), taken)) => (stream, taken),
            Ok((Connection::Datagram(_), _)) => {
                return Err(io::Error::other("the target carries datagrams"));
            }
            Err(error) => {
                warn!("{}: {error}", client.facts().peer);
                // An end in good order would say that there was nothing to come.
                reset(&client);
                return Err(io::Error::other(error.to_string()));
            }
        };
        debug!(
            peer = %client.facts().peer,
            "forwarding to {} from {}",
            target.facts().peer,
            target.facts().local
        );
        let (client, target) = match &self.faulting {
            None => (client, target),
            Some(faulting) => faulting.between(client, target),
        };
        let mut forwarding = forward(client, target, self.idle);
        match (&mut forwarding).await {
            Ok(()) => Ok(()),
            Err(Parted::Lost(Side::Client, error)) => Err(error),
            Err(Parted::Lost(Side::Target, error)) => Err(io::Error::new(
                error.kind(),
                format!("the target's: {}", reason(&error)),
            )),
            Err(Parted::Idle(limit)) => Err(io::Error::new(
                io::ErrorKind::TimedOut,
                format!("nothing moved for {}", duration_text(limit)),
            )),
            Err(Parted::Enough(_)) => {
                Box::pin(forwarding.part()).await;
                Ok(())
            }
        }
    }
}
