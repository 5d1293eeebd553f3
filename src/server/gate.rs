//! The gate of a server: who is let in by the rules, and how many from one address.
//! Absent: what the rules say, and the layers that find out who it is.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use tracing::debug;

use super::access::Access;
use crate::connection::Address;
use crate::diagnostic::counted;
use crate::transport::Incoming;
use crate::transport::handshake::Gate;

/// Who was turned away so far.
#[derive(Debug, Default)]
pub struct Refused {
    denied: AtomicU64,
    crowding: AtomicU64,
    datagrams: AtomicU64,
}

impl Refused {
    /// Connections from addresses that the rules deny.
    #[must_use]
    pub fn denied(&self) -> u64 {
        self.denied.load(Relaxed)
    }

    /// Connections from addresses that had as many as they may.
    #[must_use]
    pub fn crowding(&self) -> u64 {
        self.crowding.load(Relaxed)
    }

    /// Datagrams from addresses that the rules deny.
    #[must_use]
    pub fn datagrams(&self) -> u64 {
        self.datagrams.load(Relaxed)
    }
}

/// Decides who comes in. Clones are one gate.
///
/// Who has no address, as the client of a UNIX socket, comes in: the mode of the socket's file is what keeps others out.
#[derive(Debug, Clone)]
pub struct Keeper(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    access: Access,
    most: Option<u64>,
    /// How many connections each address has; those that have none are not in it.
    inside: Mutex<HashMap<IpAddr, u64>>,
    refused: Refused,
}

impl Keeper {
    /// A keeper who lets in whom `access` does, and at most so many connections from one address at once.
    #[must_use]
    pub fn new(access: Access, most_of_one: Option<u64>) -> Self {
        Keeper(Arc::new(Shared {
            access,
            most: most_of_one,
            inside: Mutex::default(),
            refused: Refused::default(),
        }))
    }

    /// Who was turned away.
    #[must_use]
    pub fn refused(&self) -> &Refused {
        &self.0.refused
    }

    /// A client at the gate. One whose name is known is let in or turned away now, the others by the layer that names
    /// them: the visit tells how that went, and takes a place for as long as it lasts.
    #[must_use]
    pub fn receive(&self, incoming: Incoming) -> Option<(Incoming, Arc<Visit>)> {
        let visit = Arc::new(Visit {
            keeper: self.clone(),
            verdict: OnceLock::new(),
        });
        if !incoming.is_to_be_named() && !visit.admits(&incoming.peer) {
            incoming.refuse();
            return None;
        }
        Some((incoming, visit))
    }

    /// The gate that datagrams come through: the rules alone decide.
    #[must_use]
    pub fn of_datagrams(&self) -> Arc<dyn Gate> {
        Arc::new(Datagrams(self.clone()))
    }

    /// Whether datagrams from there are read; so many there are.
    pub(super) fn admits_datagrams(&self, peer: SocketAddr, count: usize) -> bool {
        let Err(why) = self.0.access.decide(peer.ip()) else {
            return true;
        };
        self.0.refused.datagrams.fetch_add(count as u64, Relaxed);
        debug!(peer = %Address::from(peer), "refused {}: {why}", counted(count, "datagram"));
        false
    }

    /// A place for one more of this address, or why there is none.
    fn place(&self, address: IpAddr) -> Result<Option<Place>, String> {
        self.0.access.decide(address).map_err(|why| {
            self.0.refused.denied.fetch_add(1, Relaxed);
            why.to_string()
        })?;
        let Some(most) = self.0.most else { return Ok(None) };
        let mut inside = self.0.inside();
        let count = inside.get(&address).copied().unwrap_or(0);
        if count >= most {
            self.0.refused.crowding.fetch_add(1, Relaxed);
            let connections = counted(usize::try_from(most).unwrap_or(usize::MAX), "connection");
            return Err(format!("the address has {connections} already"));
        }
        inside.insert(address, count + 1);
        Ok(Some(Place {
            keeper: self.clone(),
            address,
        }))
    }
}

impl Shared {
    fn inside(&self) -> MutexGuard<'_, HashMap<IpAddr, u64>> {
        self.inside.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

struct Datagrams(Keeper);

impl Gate for Datagrams {
    fn admits(&self, peer: &Address) -> bool {
        match peer {
            Address::Inet(peer) => self.0.admits_datagrams(*peer, 1),
            _ => true,
        }
    }
}

/// One client's visit, from the gate to its end.
#[derive(Debug)]
pub struct Visit {
    keeper: Keeper,
    verdict: OnceLock<Verdict>,
}

#[derive(Debug)]
enum Verdict {
    /// It came in, and has a place where places are counted.
    In {
        _place: Option<Place>,
    },
    Refused,
}

impl Visit {
    /// Whether it was turned away, which has been said.
    pub(super) fn was_refused(&self) -> bool {
        matches!(self.verdict.get(), Some(Verdict::Refused))
    }
}

impl Gate for Visit {
    fn admits(&self, peer: &Address) -> bool {
        let verdict = self.verdict.get_or_init(|| {
            let Some(address) = peer.ip() else {
                return Verdict::In { _place: None };
            };
            match self.keeper.place(address) {
                Ok(place) => Verdict::In { _place: place },
                Err(why) => {
                    debug!(%peer, "refused: {why}");
                    Verdict::Refused
                }
            }
        });
        matches!(verdict, Verdict::In { .. })
    }
}

/// One of the places of an address, given back in the end.
#[derive(Debug)]
struct Place {
    keeper: Keeper,
    address: IpAddr,
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut inside = self.keeper.0.inside();
        if let Some(count) = inside.get_mut(&self.address) {
            *count -= 1;
            if *count == 0 {
                inside.remove(&self.address);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::connection::{Connection, Facts, Stream};
    use crate::transport::Stage;
    use crate::transport::handshake::Handshake;

    fn stream(peer: &Address) -> Stream {
        Stream::new(tokio::io::duplex(1).0, Facts::new(Address::Unnamed, peer.clone()))
    }

    fn client(peer: &Address) -> Incoming {
        Incoming {
            peer: peer.clone(),
            stage: Stage::Established(Connection::Stream(stream(peer))),
        }
    }

    fn inet(text: &str) -> Address {
        Address::Inet(text.parse().unwrap())
    }

    fn only_documentation(most: Option<u64>) -> Keeper {
        Keeper::new(Access::new(&["192.0.2.0/24".parse().unwrap()], &[]), most)
    }

    #[test]
    fn who_is_known_is_judged_at_once_and_who_has_no_address_comes_in() {
        let keeper = only_documentation(None);
        assert!(keeper.receive(client(&inet("192.0.2.1:5"))).is_some());
        assert!(keeper.receive(client(&inet("[::ffff:192.0.2.1]:5"))).is_some());
        assert!(keeper.receive(client(&inet("198.51.100.1:5"))).is_none());
        for nameless in [Address::Unnamed, Address::Stdio, Address::Path("/x".into())] {
            assert!(keeper.receive(client(&nameless)).is_some());
        }
        assert_eq!(keeper.refused().denied(), 1);
    }

    #[test]
    fn who_is_to_be_named_is_judged_by_that_name() {
        let keeper = only_documentation(None);
        let proxy = inet("198.51.100.1:5");
        for (named, admitted) in [("192.0.2.1:6", true), ("198.51.100.2:6", false)] {
            let never =
                |_, _| -> crate::connection::BoxFuture<'static, _> { Box::pin(std::future::pending()) };
            let incoming = Incoming {
                peer: proxy.clone(),
                stage: Stage::Handshake(Handshake::new(stream(&proxy), true, never)),
            };
            let (_, visit) = keeper.receive(incoming).unwrap();
            assert!(!visit.was_refused());
            assert_eq!(visit.admits(&inet(named)), admitted);
            assert_eq!(visit.was_refused(), !admitted);
        }
    }

    #[test]
    fn an_address_has_so_many_places_and_gets_them_back() {
        let keeper = Keeper::new(Access::default(), Some(2));
        let at = |port: u16| client(&inet(&format!("192.0.2.1:{port}")));
        let mapped = client(&inet("[::ffff:192.0.2.1]:9"));
        let one = keeper.receive(at(1)).unwrap();
        let two = keeper.receive(mapped).unwrap();
        assert!(keeper.receive(at(3)).is_none());
        let other = keeper.receive(client(&inet("192.0.2.2:1")));
        assert!(other.is_some());
        assert_eq!(keeper.refused().crowding(), 1);
        drop(one);
        assert!(keeper.receive(at(4)).is_some());
        drop((two, other));
        assert!(keeper.0.inside().is_empty());
    }

    #[test]
    fn datagrams_are_judged_by_the_rules_and_counted() {
        let keeper = only_documentation(Some(1));
        for _ in 0..3 {
            assert!(keeper.admits_datagrams("192.0.2.1:5".parse().unwrap(), 1));
        }
        assert!(!keeper.admits_datagrams("198.51.100.1:5".parse().unwrap(), 7));
        assert_eq!(keeper.refused().datagrams(), 7);
    }
}
