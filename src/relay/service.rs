//! Forwarding as a service: each accepted connection gets one of its own to a target.
//! Absent: accepting.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tracing::{debug, warn};

use super::forward::{Parted, Side, forward, reset};
use super::targets::Targets;
use crate::connection::{BoxFuture, Connection, Stream};
use crate::error::reason;
use crate::need::Need;
use crate::protocol::Talk;
use crate::units::duration_text;

/// Forwards what a client says to a target, and back.
#[derive(Clone)]
pub struct Relay(Arc<Shared>);

struct Shared {
    targets: Targets,
    idle: Option<Duration>,
}

impl Relay {
    /// A relay to `targets`. A pair on which nothing moves for `idle` is parted.
    #[must_use]
    pub fn new(targets: Targets, idle: Option<Duration>) -> Self {
        Relay(Arc::new(Shared { targets, idle }))
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
        forward(client, target, self.idle)
            .await
            .map_err(|parted| match parted {
                Parted::Lost(Side::Client, error) => error,
                Parted::Lost(Side::Target, error) => {
                    io::Error::new(error.kind(), format!("the target's: {}", reason(&error)))
                }
                Parted::Idle(limit) => io::Error::new(
                    io::ErrorKind::TimedOut,
                    format!("nothing moved for {}", duration_text(limit)),
                ),
            })
    }
}
