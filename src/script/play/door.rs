//! A server endpoint that a script itself listens on: clients are accepted and established ahead of the step that takes them.
//! Absent: what is said to them.

use std::future::poll_fn;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Mutex, mpsc};
use tokio::task::{JoinHandle, JoinSet};

use crate::connection::Connection;
use crate::error::{Error, Result, Status, reason};
use crate::transport::datagrams::Flows;
use crate::transport::reading::ServerEndpoint;
use crate::transport::{Accept, Bound, Listener, Stage};
use crate::units::duration_text;

/// Connections that stand and wait to be taken; further clients wait in the backlog.
const WAITING_MAX: usize = 16;

/// How long a client may take for TLS or a PROXY header.
const HANDSHAKE: Duration = Duration::from_secs(10);

/// A bound endpoint. Dropping it gives the address back and closes what nobody took.
pub(crate) struct Door {
    bound: Arc<dyn Bound>,
    arrived: Mutex<mpsc::Receiver<Result<Connection>>>,
    task: JoinHandle<()>,
}

impl Drop for Door {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Door {
    /// Binds, on the current runtime.
    pub(crate) fn open(endpoint: &ServerEndpoint) -> Result<Self> {
        let bound: Arc<dyn Bound> = Arc::from(endpoint.bind()?);
        let listener = bound
            .listen()
            .map_err(|error| Error::new(Status::Bind, reason(&error)).on("could not listen"))?;
        let listener: Box<dyn Accept> = match listener {
            Listener::Connections(listener) => listener,
            Listener::Datagrams(socket) => Box::new(Flows::new(socket)),
        };
        let (sender, receiver) = mpsc::channel(WAITING_MAX);
        Ok(Door {
            bound,
            arrived: Mutex::new(receiver),
            task: tokio::spawn(keep(listener, sender)),
        })
    }

    /// Gives the address back, as dropping does, and returns when it can be had.
    #[cfg(feature = "testing")]
    pub(crate) async fn shut(mut self) {
        self.task.abort();
        // It was called off, or had ended before.
        let _ = (&mut self.task).await;
    }

    /// The client endpoint that leads here.
    pub(crate) fn endpoint(&self) -> String {
        self.bound.endpoint()
    }

    /// The next client that was established, or why one was not. Cancel safe.
    pub(crate) async fn accept(&self) -> Result<Connection> {
        let next = self.arrived.lock().await.recv().await;
        next.unwrap_or_else(|| Err(Error::new(Status::Failure, "no more clients will come")))
    }
}

/// After nobody could be accepted, as when there are no more descriptors.
const PAUSE: Duration = Duration::from_millis(100);

/// Accepts for as long as somebody may take it. In TLS both ends have work to do before a connection stands, so a script that
/// connects to itself would otherwise wait for its own next step.
async fn keep(mut listener: Box<dyn Accept>, arrived: mpsc::Sender<Result<Connection>>) {
    let mut establishing = JoinSet::new();
    let mut failing = false;
    loop {
        let incoming = tokio::select! {
            biased;
            Some(done) = establishing.join_next() => match done {
                Ok(done) => {
                    if arrived.send(done).await.is_err() {
                        return;
                    }
                    continue;
                }
                Err(_panicked) => continue,
            },
            incoming = poll_fn(|cx| listener.poll_accept(cx)), if establishing.len() < WAITING_MAX => incoming,
        };
        let done = match incoming {
            Ok(None) => return,
            Ok(Some(incoming)) => match incoming.stage {
                Stage::Established(connection) => Ok(connection),
                Stage::Handshake(handshake) => {
                    failing = false;
                    establishing.spawn(async move {
                        let limit = || {
                            let why =
                                format!("the handshake was not done within {}", duration_text(HANDSHAKE));
                            Error::new(Status::Timeout, why)
                        };
                        tokio::time::timeout(HANDSHAKE, handshake.establish(None))
                            .await
                            .unwrap_or_else(|_elapsed| Err(limit()))
                    });
                    continue;
                }
            },
            Err(error) => Err(Error::io(Status::Failure, &error)),
        };
        let failed = done.is_err();
        // Once for as long as it lasts: who is told of it is not to find it again when it is over.
        if !(failed && failing) && arrived.send(done).await.is_err() {
            return;
        }
        failing = failed;
        if failed {
            tokio::time::sleep(PAUSE).await;
        }
    }
}
