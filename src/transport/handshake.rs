//! From accepted to established: what layers have to do in between, and the gate that is asked once they have said who
//! it is that came.
//! Absent: who may come in, and time limits.

use std::sync::Arc;

use tokio::net::TcpStream;

use crate::connection::{Address, BoxFuture, Connection, Stream};
use crate::error::{Error, Result, Status};
use crate::layer::Layer;

/// Decides whether a connection may go on. It has been heard before a byte is spent on TLS.
pub trait Gate: Send + Sync {
    /// Whether this client may come in. It is asked once for a connection, with the address that is to be believed, and
    /// for datagrams as they come.
    fn admits(&self, peer: &Address) -> bool;
}

/// What is left to do on a connection that was accepted.
pub struct Handshake {
    stream: Stream,
    names_peer: bool,
    steps: Steps,
}

/// What is done on the stream. The gate is given where a layer among them says who speaks.
type Steps = Box<dyn FnOnce(Stream, Option<Arc<dyn Gate>>) -> BoxFuture<'static, Result<Connection>> + Send>;

impl Handshake {
    /// What `steps` make of `stream`. `names_peer`: one of them says who speaks, and then asks the gate.
    pub fn new(
        stream: Stream,
        names_peer: bool,
        steps: impl FnOnce(Stream, Option<Arc<dyn Gate>>) -> BoxFuture<'static, Result<Connection>>
        + Send
        + 'static,
    ) -> Self {
        Handshake {
            stream,
            names_peer,
            steps: Box::new(steps),
        }
    }

    /// Whether a layer will say who speaks: until then nobody knows.
    #[must_use]
    pub fn names_peer(&self) -> bool {
        self.names_peer
    }

    /// Does it. `gate` is asked if, and as soon as, a layer has said who speaks.
    #[must_use]
    pub fn establish(self, gate: Option<Arc<dyn Gate>>) -> BoxFuture<'static, Result<Connection>> {
        (self.steps)(self.stream, gate.filter(|_| self.names_peer))
    }

    pub(super) fn refuse(self) {
        refuse(&self.stream);
    }
}

/// Makes the end of a TCP connection a reset: the client sees that this was no answer, and the system, which keeps
/// nothing of it, has no more work with it. Any other stream just ends.
pub(super) fn refuse(stream: &Stream) {
    if let Some(tcp) = stream.beneath::<TcpStream>() {
        // Where it can't be set, the connection is ended the usual way.
        let _ = tcp.set_zero_linger();
    }
}

/// Whether one of these layers says who speaks.
pub(super) fn names_peer(layers: &[Arc<dyn Layer>]) -> bool {
    layers.iter().any(|layer| layer.names_peer())
}

/// Runs the layers, and asks the gate after the last one that says who speaks.
pub(super) async fn layered(
    mut stream: Stream,
    layers: &[Arc<dyn Layer>],
    gate: Option<Arc<dyn Gate>>,
) -> Result<Stream> {
    let naming = layers.iter().filter(|layer| layer.names_peer()).count();
    let mut named = 0;
    for layer in layers {
        stream = layer.accept(stream).await?;
        named += usize::from(layer.names_peer());
        if let Some(gate) = &gate
            && layer.names_peer()
            && named == naming
            && !gate.admits(&stream.facts().peer)
        {
            return Err(Error::new(Status::Failure, "this client is not admitted"));
        }
    }
    Ok(stream)
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;
    use crate::connection::Facts;

    /// Says that a certain one speaks, or nothing.
    #[derive(Debug)]
    struct Says(Option<&'static str>);

    impl Layer for Says {
        fn connect<'a>(&'a self, stream: Stream, _: Option<&'a Facts>) -> BoxFuture<'a, Result<Stream>> {
            Box::pin(async { Ok(stream) })
        }

        fn accept(&self, mut stream: Stream) -> BoxFuture<'_, Result<Stream>> {
            if let Some(peer) = self.0 {
                stream.facts_mut().peer = Address::Inet(peer.parse().unwrap());
            }
            Box::pin(async { Ok(stream) })
        }

        fn names_peer(&self) -> bool {
            self.0.is_some()
        }
    }

    /// Lets in all but one, and notes who asked.
    #[derive(Default)]
    struct Noting(Mutex<Vec<String>>);

    impl Gate for Noting {
        fn admits(&self, peer: &Address) -> bool {
            let peer = peer.to_string();
            let admitted = peer != "192.0.2.66:1";
            self.0.lock().unwrap().push(peer);
            admitted
        }
    }

    async fn asked(layers: &[Option<&'static str>]) -> (bool, Vec<String>) {
        let layers: Vec<Arc<dyn Layer>> = layers.iter().map(|says| Arc::new(Says(*says)) as _).collect();
        let gate = Arc::new(Noting::default());
        let stream = Stream::new(
            tokio::io::duplex(1).0,
            Facts::new(Address::Unnamed, Address::Unnamed),
        );
        let stood = layered(stream, &layers, Some(gate.clone())).await.is_ok();
        let asked = gate.0.lock().unwrap().clone();
        (stood, asked)
    }

    #[tokio::test]
    async fn the_gate_is_asked_once_about_the_last_one_named() {
        let named = |peer: &str| vec![peer.to_owned()];
        let one = Some("192.0.2.1:1");
        let bad = Some("192.0.2.66:1");
        assert_eq!(asked(&[None]).await, (true, vec![]));
        assert_eq!(asked(&[None, one, None]).await, (true, named("192.0.2.1:1")));
        assert_eq!(asked(&[bad, one]).await, (true, named("192.0.2.1:1")));
        assert_eq!(asked(&[one, bad, None]).await, (false, named("192.0.2.66:1")));
    }
}
