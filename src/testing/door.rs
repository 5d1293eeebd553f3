//! `Door`: where the client under test comes in, and meets a peer that the test plays.
//! Absent: servers, which talk by themselves.

use std::fmt;
use std::net::SocketAddr;
use std::panic::Location;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::time::timeout;

use super::place::{self, On, Place};
use super::talker::Talker;
use super::thread::{block, wait};
use super::{AsyncPeer, LIMIT, Peer};
use crate::error::{Error, Result, Status};
use crate::script::play;
use crate::units::duration_text;

/// A server endpoint at which a test itself answers: [`Door::accept`] gives the next client as a [`Peer`].
///
/// Up to 16 clients are established ahead of that. Dropping the door gives its address back; peers that came in stay.
pub struct Door {
    /// Until it is dropped.
    door: Option<Arc<play::door::Door>>,
    place: Place,
    endpoint: String,
}

impl fmt::Debug for Door {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Door({})", self.endpoint)
    }
}

impl Door {
    /// Opens a door.
    ///
    /// # Panics
    /// It is no server endpoint, or cannot be bound.
    #[must_use]
    #[track_caller]
    pub fn open(on: impl Into<On>) -> Self {
        match Door::opened(&on.into()) {
            Ok(door) => door,
            Err(error) => panic!("{error}"),
        }
    }

    fn opened(on: &On) -> Result<Self> {
        let place = Place::prepare(on)?;
        let (place, opened) = block(async move {
            let opened = play::door::Door::open(&place.endpoint);
            (place, opened)
        });
        let door = opened?;
        Ok(Door {
            endpoint: place.led_to(&door.endpoint()),
            door: Some(Arc::new(door)),
            place,
        })
    }

    /// The client endpoint that leads here.
    #[must_use]
    pub fn endpoint(&self) -> &str {
        &self.endpoint
    }

    /// The address, for clients that are not given an endpoint.
    ///
    /// # Panics
    /// It has none, as a UNIX socket has.
    #[must_use]
    #[track_caller]
    pub fn address(&self) -> SocketAddr {
        match place::address(&self.endpoint) {
            Some(address) => address,
            None => panic!("{} has no address", self.endpoint),
        }
    }

    /// The path of a UNIX socket.
    ///
    /// # Panics
    /// It is none.
    #[must_use]
    #[track_caller]
    pub fn path(&self) -> PathBuf {
        match place::path(&self.endpoint) {
            Some(path) => path,
            None => panic!("{} has no path", self.endpoint),
        }
    }

    /// The file with the certificate of the authority that a client has to trust, where the door has one of its own.
    #[must_use]
    pub fn trust(&self) -> Option<&Path> {
        self.place.trust()
    }

    /// Waits for the next client, and its handshake, for 5 seconds.
    ///
    /// # Panics
    /// None came, or it could not be established.
    #[must_use]
    #[track_caller]
    pub fn accept(&self) -> Peer {
        match self.try_accept(LIMIT) {
            Ok(peer) => peer,
            Err(error) => panic!("{error}"),
        }
    }

    /// Waits for the next client, and its handshake, for so long.
    ///
    /// # Errors
    /// Status 4: none came. Otherwise why it was not established.
    pub fn try_accept(&self, limit: Duration) -> Result<Peer> {
        block(next(self.door.clone(), limit)).map(Peer::of)
    }

    /// As [`Door::accept`], for a test whose thread has other work meanwhile.
    #[track_caller]
    pub fn accept_async(&self) -> impl Future<Output = AsyncPeer> + Send + use<> {
        let at = Location::caller();
        let next = next(self.door.clone(), LIMIT);
        async move {
            match wait(next).await {
                Ok(talker) => Peer::of(talker).awaited(),
                Err(error) => panic!("{at}: {error}"),
            }
        }
    }
}

impl Drop for Door {
    fn drop(&mut self) {
        // A future that waits for a client has a share of its own.
        if let Some(door) = self.door.take().and_then(Arc::into_inner) {
            block(door.shut());
        }
    }
}

async fn next(door: Option<Arc<play::door::Door>>, limit: Duration) -> Result<Arc<Talker>> {
    // It is there until the door is dropped.
    let gone = || Error::new(Status::Failure, "the door is closed");
    let door = door.ok_or_else(gone)?;
    let late = || {
        Error::new(
            Status::Timeout,
            format!("no client came within {}", duration_text(limit)),
        )
    };
    let accepted = timeout(limit, door.accept()).await.map_err(|_late| late())?;
    accepted.map(Talker::of)
}
