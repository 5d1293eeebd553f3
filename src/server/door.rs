//! The door: clients are accepted and established side by side, so that one that says nothing keeps no other waiting.
//! Absent: what is said once a connection stands.

use std::future::poll_fn;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;

use super::book::{Failure, Outcome, Row};
use super::gate::{Keeper, Visit};
use crate::connection::Connection;
use crate::connection::refusals::Refusals;
use crate::transport::handshake::{Gate, Handshake};
use crate::transport::{Accept, Incoming, Stage};
use crate::units::duration_text;

/// Clients that are established at once; further ones wait in the backlog, for no longer than the time limit.
const ESTABLISHING_MAX: usize = 64;

/// Gives the connections of a listener one by one, as they stand, each with a note of when it came. Its visit is to be
/// held for as long as the connection.
pub struct Door<N> {
    limit: Duration,
    keeper: Option<Keeper>,
    /// Where those are counted who get no connection.
    row: Option<Arc<Row>>,
    refusals: Arc<Refusals>,
    establishing: JoinSet<Option<Entered<N>>>,
    /// The listener has no more to come.
    over: bool,
}

type Entered<N> = (Connection, Option<Arc<Visit>>, N);

impl<N: Send + 'static> Door<N> {
    /// A door at which a client has `limit` to be established, if `keeper` lets it in.
    #[must_use]
    pub fn new(limit: Duration, keeper: Option<Keeper>) -> Self {
        Door {
            limit,
            keeper,
            row: None,
            refusals: Arc::default(),
            establishing: JoinSet::new(),
            over: false,
        }
    }

    /// Those who get no connection are counted in this row of a book.
    #[must_use]
    pub fn counted(self, row: Option<Arc<Row>>) -> Self {
        Door { row, ..self }
    }

    /// The next connection that stands; `None`: no more will come. It is cancel safe.
    ///
    /// # Errors
    /// What the system says when it can't accept. Those under way go on, and the next call may fare better.
    pub async fn next(
        &mut self,
        listener: &mut dyn Accept,
        note: impl Fn(&Incoming) -> N,
    ) -> io::Result<Option<Entered<N>>> {
        loop {
            let room = !self.over && self.establishing.len() < ESTABLISHING_MAX;
            let incoming = tokio::select! {
                biased;
                Some(done) = self.establishing.join_next() => match done {
                    Ok(Some(entered)) => return Ok(Some(entered)),
                    // It was refused, or it panicked, and that has been said.
                    Ok(None) | Err(_) => continue,
                },
                accepted = poll_fn(|cx| listener.poll_accept(cx)), if room => match accepted? {
                    Some(incoming) => incoming,
                    None => {
                        self.over = true;
                        continue;
                    }
                },
                else => return Ok(None),
            };
            let (incoming, visit) = match &self.keeper {
                None => (incoming, None),
                Some(keeper) => match keeper.receive(incoming) {
                    Some((incoming, visit)) => (incoming, Some(visit)),
                    None => {
                        count(self.row.as_deref(), Unestablished::Refused);
                        continue;
                    }
                },
            };
            let note = note(&incoming);
            let peer = incoming.peer;
            match incoming.stage {
                Stage::Established(connection) => return Ok(Some((connection, visit, note))),
                Stage::Handshake(handshake) => {
                    let (limit, refusals, row) = (self.limit, Arc::clone(&self.refusals), self.row.clone());
                    self.establishing.spawn(async move {
                        let peer = peer.to_string();
                        match established(handshake, visit.as_ref(), limit, &peer, &refusals).await {
                            Ok(connection) => Some((connection, visit, note)),
                            Err(why) => {
                                count(row.as_deref(), why);
                                None
                            }
                        }
                    });
                }
            }
        }
    }
}

/// Why a client got no connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unestablished {
    /// It was not let in.
    Refused,
    /// What has to come first went wrong.
    Failed(Failure),
}

/// Notes that there was no connection.
pub(super) fn count(row: Option<&Row>, why: Unestablished) {
    match (row, why) {
        (None, _) => {}
        (Some(row), Unestablished::Refused) => row.end(Outcome::Refused),
        (Some(row), Unestablished::Failed(why)) => row.fail(why),
    }
}

/// What comes of a handshake within the limit; where nothing does, the log says why.
pub(super) async fn established(
    handshake: Handshake,
    visit: Option<&Arc<Visit>>,
    limit: Duration,
    peer: &str,
    refusals: &Refusals,
) -> Result<Connection, Unestablished> {
    let gate = visit.map(|visit| Arc::clone(visit) as Arc<dyn Gate>);
    match tokio::time::timeout(limit, handshake.establish(gate)).await {
        Ok(Ok(connection)) => Ok(connection),
        Ok(Err(_)) if visit.is_some_and(|visit| visit.was_refused()) => Err(Unestablished::Refused),
        Ok(Err(error)) => {
            refusals.tell(peer, &error.to_string());
            Err(Unestablished::Failed(Failure::of(error.status())))
        }
        Err(_elapsed) => {
            let limit = duration_text(limit);
            refusals.tell(peer, &format!("no connection was established within {limit}"));
            Err(Unestablished::Failed(Failure::Timeout))
        }
    }
}

#[cfg(test)]
mod tests {
    use std::task::{Context, Poll};

    use super::*;
    use crate::connection::{Address, Facts, Stream};

    /// Clients that came already; `true` for one whose handshake succeeds, `false` for one that says nothing.
    struct Waiting(Vec<bool>);

    impl Accept for Waiting {
        fn poll_accept(&mut self, _cx: &mut Context<'_>) -> Poll<io::Result<Option<Incoming>>> {
            let Some(honest) = self.0.pop() else {
                return Poll::Ready(Ok(None));
            };
            let facts = Facts::new(Address::Unnamed, Address::Unnamed);
            let stream = Stream::new(tokio::io::duplex(1).0, facts);
            let handshake = Handshake::new(stream, false, move |stream, _gate| match honest {
                true => Box::pin(async { Ok(Connection::Stream(stream)) }),
                false => Box::pin(std::future::pending()),
            });
            Poll::Ready(Ok(Some(Incoming {
                peer: Address::Unnamed,
                stage: Stage::Handshake(handshake),
            })))
        }
    }

    #[tokio::test(start_paused = true)]
    async fn the_silent_keep_no_other_waiting_and_have_their_time() {
        let start = tokio::time::Instant::now();
        let limit = Duration::from_secs(10);
        let mut door = Door::new(limit, None);
        // They come from the last.
        let mut listener = Waiting(vec![true, false, false, true, false]);
        for _ in 0..2 {
            assert!(door.next(&mut listener, |_| ()).await.unwrap().is_some());
            assert_eq!(start.elapsed(), Duration::ZERO);
        }
        assert!(door.next(&mut listener, |_| ()).await.unwrap().is_none());
        assert_eq!(start.elapsed(), limit);
    }

    #[tokio::test(start_paused = true)]
    async fn no_more_are_established_at_once_than_there_is_room_for() {
        let start = tokio::time::Instant::now();
        let limit = Duration::from_secs(10);
        let mut door = Door::new(limit, None);
        let mut clients = vec![true];
        clients.extend([false; ESTABLISHING_MAX]);
        assert!(door.next(&mut Waiting(clients), |_| ()).await.unwrap().is_some());
        assert_eq!(start.elapsed(), limit);
    }
}
