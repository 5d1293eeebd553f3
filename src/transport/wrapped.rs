//! Endpoints with wrappers before them: the layers have their say once the connection stands, in its own task.
//! Absent: what the layers say, and which there are.

use std::io;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

#[cfg(feature = "tls")]
use super::Doctor;
use super::handshake::{Handshake, layered, names_peer};
use super::{Accept, Binder, Bound, Connector, Incoming, Listener, Stage};
use crate::connection::{BoxFuture, Connection, Facts, Stream};
use crate::endpoint::{Args, Kind, Refused, Role, Spec};
use crate::error::{Error, Result, Status};
use crate::layer::{Layer, Wrapper};
use crate::need::Need;

/// The wrappers before an endpoint, from the left.
type Wrappers = [(&'static Wrapper, Args)];

/// The layers of an endpoint's wrappers that stand on top of it. The leftmost is nearest to the wire, and so the first
/// to have its say.
type Layers = Arc<[Arc<dyn Layer>]>;

/// `inner`, which `spec` names, with the layers of its wrappers.
pub(super) fn connector(
    mut inner: Box<dyn Connector>,
    wrappers: &Wrappers,
    spec: &Spec,
) -> Result<Box<dyn Connector>, Refused> {
    if wrappers.is_empty() {
        return Ok(inner);
    }
    if inner.carries_datagrams() {
        return Err(no_stream(wrappers, spec));
    }
    let mut layers = made(wrappers, Role::Client)?;
    layers.retain(|layer| !inner.beneath(layer));
    Ok(Box::new(WrappedConnector {
        inner,
        layers: layers.into(),
    }))
}

/// `inner`, which `spec` names, with the layers of its wrappers.
pub(super) fn binder(
    mut inner: Box<dyn Binder>,
    wrappers: &Wrappers,
    spec: &Spec,
) -> Result<Box<dyn Binder>, Refused> {
    if wrappers.is_empty() {
        return Ok(inner);
    }
    if inner.carries_datagrams() {
        return Err(no_stream(wrappers, spec));
    }
    let mut layers = made(wrappers, Role::Server)?;
    layers.retain(|layer| !inner.beneath(layer));
    Ok(Box::new(WrappedBinder {
        inner,
        layers: layers.into(),
        names: wrappers.iter().map(|(wrapper, _)| wrapper.name).collect(),
    }))
}

fn made(wrappers: &Wrappers, role: Role) -> Result<Vec<Arc<dyn Layer>>, Refused> {
    let made = wrappers.iter().filter_map(|(wrapper, args)| {
        let role = wrapper.role(role)?;
        Some((role.layer)(args))
    });
    made.collect()
}

fn no_stream(wrappers: &Wrappers, spec: &Spec) -> Refused {
    let name = wrappers.last().map_or("", |(wrapper, _)| wrapper.name);
    let message = format!(
        "{name} needs a stream of bytes, and {} carries datagrams",
        spec.type_name()
    );
    spec.refuse(Kind::Unsupported, spec.name.span, message)
}

const NO_STREAM: &str = "what stands before the endpoint needs a stream of bytes, and it carries datagrams";

/// The stream of a connection, which may turn out to carry datagrams only when it stands, as that of a descriptor.
fn stream(connection: Connection) -> Result<Stream> {
    match connection {
        Connection::Stream(stream) => Ok(stream),
        Connection::Datagram(_) => Err(Error::new(Status::Usage, NO_STREAM)),
    }
}

#[derive(Debug)]
struct WrappedConnector {
    inner: Box<dyn Connector>,
    layers: Layers,
}

impl Connector for WrappedConnector {
    fn connect<'a>(&'a self, client: Option<&'a Facts>) -> BoxFuture<'a, Result<Connection>> {
        Box::pin(async move {
            let mut stream = stream(self.inner.connect(client).await?)?;
            for layer in self.layers.iter() {
                stream = layer.connect(stream, client).await?;
            }
            Ok(Connection::Stream(stream))
        })
    }

    fn needs(&self) -> Vec<Need> {
        self.inner.needs()
    }

    #[cfg(feature = "tls")]
    fn doctor(&self) -> Option<&dyn Doctor> {
        // Who shows a certificate has taken all layers beneath itself.
        self.inner.doctor().filter(|_| self.layers.is_empty())
    }
}

#[derive(Debug)]
struct WrappedBinder {
    inner: Box<dyn Binder>,
    layers: Layers,
    names: Vec<&'static str>,
}

impl Binder for WrappedBinder {
    fn bind(&self) -> Result<Box<dyn Bound>> {
        Ok(Box::new(WrappedBound {
            inner: self.inner.bind()?,
            layers: Arc::clone(&self.layers),
            names: self.names.clone(),
        }))
    }
}

struct WrappedBound {
    inner: Box<dyn Bound>,
    layers: Layers,
    names: Vec<&'static str>,
}

impl WrappedBound {
    fn wrapped(&self, inner: &str) -> String {
        let wrappers: String = self.names.iter().map(|name| format!("{name}:")).collect();
        wrappers + inner
    }
}

impl Bound for WrappedBound {
    fn endpoint(&self) -> String {
        self.wrapped(&self.inner.endpoint())
    }

    fn exact_endpoint(&self) -> String {
        self.wrapped(&self.inner.exact_endpoint())
    }

    fn listen(&self) -> io::Result<Listener> {
        match self.inner.listen()? {
            Listener::Connections(inner) => Ok(Listener::Connections(Box::new(WrappedAccept {
                inner,
                layers: Arc::clone(&self.layers),
            }))),
            Listener::Datagrams(_) => Err(io::ErrorKind::Unsupported.into()),
        }
    }

    fn beside(&self) -> Option<Box<dyn Bound>> {
        Some(Box::new(WrappedBound {
            inner: self.inner.beside()?,
            layers: Arc::clone(&self.layers),
            names: self.names.clone(),
        }))
    }

    fn elsewhere(&self) -> Option<String> {
        self.inner.elsewhere().map(|inner| self.wrapped(&inner))
    }

    fn needs(&self) -> Vec<Need> {
        self.inner.needs()
    }

    fn reload(&self) -> Result<()> {
        self.inner.reload()
    }
}

struct WrappedAccept {
    inner: Box<dyn Accept>,
    layers: Layers,
}

impl Accept for WrappedAccept {
    fn poll_accept(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Option<Incoming>>> {
        let Some(incoming) = ready!(self.inner.poll_accept(cx))? else {
            return Poll::Ready(Ok(None));
        };
        let layers = Arc::clone(&self.layers);
        let stage = match incoming.stage {
            // Whoever has layers of its own has taken these beneath them.
            stage if layers.is_empty() => stage,
            Stage::Established(Connection::Stream(stream)) => {
                let names_peer = names_peer(&layers);
                Stage::Handshake(Handshake::new(stream, names_peer, |stream, gate| {
                    Box::pin(async move { layered(stream, &layers, gate).await.map(Connection::Stream) })
                }))
            }
            Stage::Established(Connection::Datagram(_)) | Stage::Handshake(_) => {
                return Poll::Ready(Err(io::Error::other(NO_STREAM)));
            }
        };
        Poll::Ready(Ok(Some(Incoming {
            peer: incoming.peer,
            stage,
        })))
    }
}

#[cfg(test)]
mod tests {
    use std::ffi::OsStr;
    use std::future::poll_fn;

    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::super::reading::{ClientEndpoint, Reading, ServerEndpoint};
    use super::*;
    use crate::endpoint::MAX_DEPTH;

    fn refused(text: &str, role: Role) -> (Kind, String) {
        let refused = Reading::parse(OsStr::new(text), role).unwrap_err();
        (refused.kind, refused.diagnostic.message.clone())
    }

    #[test]
    fn every_layer_is_read_and_spelled() {
        let text = OsStr::new("HAProxy:version=1:Tcp:host=h:port=80");
        let reading = Reading::parse(text, Role::Client).unwrap();
        let names: Vec<_> = reading.layers.iter().map(|layer| layer.name).collect();
        assert_eq!(names, ["haproxy", "tcp"]);
        assert_eq!(reading.layers[0].fields[0].value.as_deref(), Some("1"));
        assert_eq!(reading.canonical, "haproxy:version=1:tcp:host=h:port=80");
        let again = Reading::parse(OsStr::new(&reading.canonical), Role::Client).unwrap();
        assert_eq!(again, reading);
    }

    #[test]
    fn examples_parse() {
        for wrapper in crate::layer::WRAPPERS {
            for role in Role::ALL {
                for example in wrapper.examples(role).unwrap_or_default() {
                    assert!(Reading::parse(OsStr::new(example), role).is_ok(), "{example}");
                }
            }
        }
    }

    #[test]
    fn what_stands_behind_a_wrapper_is_read_once_and_whole() {
        let reading = Reading::parse(OsStr::new("haproxy:unix:/srv/x\\:y"), Role::Server).unwrap();
        assert_eq!(reading.layers[1].fields[0].value.as_deref(), Some("/srv/x:y"));
        let reading = Reading::parse(OsStr::new("haproxy:unix:/srv/x\\=y"), Role::Server).unwrap();
        assert_eq!(reading.layers[1].fields[0].value.as_deref(), Some("/srv/x=y"));
    }

    #[test]
    fn wrappers_are_refused_for_what_is_wrong() {
        assert_eq!(refused("haproxy", Role::Server).0, Kind::WrapperAlone);
        assert_eq!(refused("haproxy:", Role::Server).0, Kind::UnknownType);
        assert_eq!(refused("haproxy:tcp\\:80", Role::Server).0, Kind::UnknownType);
        assert_eq!(
            refused("haproxy:version=3:tcp:h:80", Role::Client).0,
            Kind::NotAChoice
        );
        assert_eq!(
            refused("haproxy:version=1:tcp:80", Role::Server).0,
            Kind::UnknownArgument
        );
        assert_eq!(refused("haproxy:tcp:80", Role::Client).0, Kind::WrongRole);
        let message = "haproxy needs a stream of bytes, and udp carries datagrams".to_owned();
        assert_eq!(
            refused("haproxy:udp:80", Role::Server),
            (Kind::Unsupported, message)
        );
        assert_eq!(refused("haproxy:udp:h:80", Role::Client).0, Kind::Unsupported);
        let misspelt = Reading::parse(OsStr::new("haprxy:tcp:80"), Role::Server).unwrap_err();
        assert_eq!(
            misspelt.diagnostic.help.as_deref(),
            Some("did you mean `haproxy`?")
        );
    }

    #[test]
    fn wrappers_stand_before_one_another_so_often_and_no_more() {
        let deep = |wrappers| format!("{}tcp:0", "haproxy:".repeat(wrappers));
        assert!(ServerEndpoint::parse(OsStr::new(&deep(MAX_DEPTH))).is_ok());
        assert_eq!(refused(&deep(MAX_DEPTH + 1), Role::Server).0, Kind::TooDeep);
        assert_eq!(refused(&deep(50_000), Role::Server).0, Kind::TooDeep);
    }

    /// An endpoint with a layer of its own, as TLS has.
    #[derive(Debug, Default)]
    struct Layered(Vec<Arc<dyn Layer>>);

    impl Binder for Layered {
        fn bind(&self) -> Result<Box<dyn Bound>> {
            Err(Error::new(
                Status::Bind,
                format!("{} layers beneath", self.0.len()),
            ))
        }

        fn beneath(&mut self, layer: &Arc<dyn Layer>) -> bool {
            self.0.push(Arc::clone(layer));
            true
        }
    }

    #[test]
    fn an_endpoint_with_layers_takes_the_wrappers_beneath() {
        let haproxy = crate::layer::WRAPPERS[0];
        let (outer, inner) = Spec::parse("haproxy:tls:1").unwrap().split_wrapper();
        let args = Args::read(&outer, Role::Server, &[]).unwrap();
        let binder = binder(Box::new(Layered::default()), &[(haproxy, args)], &inner.unwrap()).unwrap();
        let error = binder.bind().err().unwrap();
        assert_eq!(error.why(), "1 layers beneath");
    }

    #[tokio::test]
    async fn both_ends_of_a_wire() {
        let text = OsStr::new("haproxy:haproxy:tcp:0:interface=127.0.0.1");
        let bound = ServerEndpoint::parse(text).unwrap().bind().unwrap();
        let endpoint = bound.endpoint();
        assert!(
            endpoint.starts_with("haproxy:haproxy:tcp:127.0.0.1:"),
            "{endpoint}"
        );
        let Listener::Connections(mut listener) = bound.listen().unwrap() else {
            panic!("datagrams");
        };
        let client = ClientEndpoint::parse(OsStr::new(&endpoint)).unwrap();
        let client = tokio::spawn(async move {
            let mut stream = stream(client.connect().await.unwrap()).unwrap();
            stream.write_all(b"hello").await.unwrap();
        });
        let incoming = poll_fn(|cx| listener.poll_accept(cx)).await.unwrap().unwrap();
        let Stage::Handshake(handshake) = incoming.stage else {
            panic!("established before the header was read");
        };
        let mut stream = stream(handshake.establish(None).await.unwrap()).unwrap();
        let mut got = Vec::new();
        stream.read_to_end(&mut got).await.unwrap();
        assert_eq!(got, b"hello");
        assert_eq!(stream.facts().peer, incoming.peer);
        client.await.unwrap();
    }
}
