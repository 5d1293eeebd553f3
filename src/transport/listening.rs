//! Accepting on a listening socket, TCP or UNIX, whoever bound it.
//! Absent: binding, and removing what a socket leads to.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::linux::net::SocketAddrExt;
use std::task::{Context, Poll, ready};

use rustix::net::sockopt::socket_acceptconn;
use socket2::{Domain, Socket, Type};
use tokio::net::{TcpListener, UnixListener};

use super::descriptor::Kind;
use super::socket::reachable;
use super::{Accept, Bound, Incoming, Listener, Stage};
use crate::connection::stream::Io;
use crate::connection::{Address, Connection, Facts, Stream};
use crate::endpoint::Spec;

/// Accepts, on the current runtime, with a duplicate of `socket`, which listens and does not block.
///
/// # Errors
/// What the system says; `Unsupported` for a family other than IPv4, IPv6 and UNIX.
pub(crate) fn accept_on(socket: &Socket) -> io::Result<Box<dyn Accept>> {
    let own = socket.try_clone()?;
    match socket.domain()? {
        Domain::UNIX => Ok(Box::new(UnixAccept::new(own)?)),
        Domain::IPV4 | Domain::IPV6 => Ok(Box::new(TcpAccept::new(own)?)),
        _ => Err(io::ErrorKind::Unsupported.into()),
    }
}

/// The client endpoint string that leads to a listening socket.
///
/// # Errors
/// What the system says; `Unsupported` for a family other than IPv4, IPv6 and UNIX.
pub(crate) fn endpoint_of(socket: &Socket) -> io::Result<String> {
    let address = socket.local_addr()?;
    if let Some(inet) = address.as_socket() {
        return Ok(format!("tcp:{}", reachable(inet)));
    }
    if !address.is_unix() {
        return Err(io::ErrorKind::Unsupported.into());
    }
    let path = match (address.as_pathname(), address.as_abstract_namespace()) {
        (Some(path), _) => path.to_string_lossy().into_owned(),
        (None, Some(name)) => format!("@{}", String::from_utf8_lossy(name)),
        (None, None) => String::new(),
    };
    Ok(unix_endpoint(&path))
}

/// The client endpoint string for a path, or an abstract name that begins with `@`.
#[must_use]
pub(crate) fn unix_endpoint(path: &str) -> String {
    Spec::new("unix").positional(path).to_string()
}

/// A listening socket that somebody else bound. It is closed with this, and what it leads to stays.
#[derive(Debug)]
pub(crate) struct Adopted {
    socket: Socket,
    endpoint: String,
}

impl Adopted {
    /// Takes the socket, if it is one and listens.
    ///
    /// # Errors
    /// What the descriptor is instead, and what the system says.
    pub(crate) fn new(descriptor: OwnedFd) -> io::Result<Self> {
        if Kind::of(descriptor.as_fd())? != Kind::Socket {
            return Err(io::Error::other("the descriptor is not a socket"));
        }
        let socket = Socket::from(descriptor);
        if socket.r#type()? != Type::STREAM {
            return Err(io::Error::other("the socket is not one of streams"));
        }
        if !socket_acceptconn(&socket)? {
            return Err(io::Error::other("the socket does not listen"));
        }
        // A blocking accept would stop everything else; whoever shares the listening socket has to live with it.
        socket.set_nonblocking(true)?;
        let endpoint = endpoint_of(&socket)?;
        Ok(Adopted { socket, endpoint })
    }

    /// The family of its addresses.
    ///
    /// # Errors
    /// What the system says.
    pub(crate) fn domain(&self) -> io::Result<Domain> {
        self.socket.domain()
    }
}

impl Bound for Adopted {
    fn endpoint(&self) -> String {
        self.endpoint.clone()
    }

    fn listen(&self) -> io::Result<Listener> {
        Ok(Listener::Connections(accept_on(&self.socket)?))
    }
}

struct TcpAccept {
    listener: TcpListener,
    /// Our end of every connection, where the bound address says it without a system call.
    local: Option<Address>,
}

impl TcpAccept {
    fn new(socket: Socket) -> io::Result<Self> {
        let listener = TcpListener::from_std(socket.into())?;
        let local = listener
            .local_addr()
            .ok()
            .filter(|address| !address.ip().is_unspecified());
        Ok(TcpAccept {
            listener,
            local: local.map(Address::Inet),
        })
    }
}

impl Accept for TcpAccept {
    fn poll_accept(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Option<Incoming>>> {
        let (stream, peer) = ready!(self.listener.poll_accept(cx))?;
        let local = match &self.local {
            Some(local) => local.clone(),
            None => stream.local_addr().map_or(Address::Unnamed, Address::Inet),
        };
        Poll::Ready(Ok(Some(established(stream, local, Address::Inet(peer)))))
    }
}

struct UnixAccept {
    listener: UnixListener,
    local: Address,
}

impl UnixAccept {
    fn new(socket: Socket) -> io::Result<Self> {
        let listener = UnixListener::from_std(socket.into())?;
        let local = unix_address(&listener.local_addr()?.into());
        Ok(UnixAccept { listener, local })
    }
}

impl Accept for UnixAccept {
    fn poll_accept(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Option<Incoming>>> {
        let (stream, peer) = ready!(self.listener.poll_accept(cx))?;
        let peer = unix_address(&peer.into());
        Poll::Ready(Ok(Some(established(stream, self.local.clone(), peer))))
    }
}

fn established(stream: impl Io, local: Address, peer: Address) -> Incoming {
    let stream = Stream::new(stream, Facts::new(local, peer.clone()));
    Incoming {
        peer,
        stage: Stage::Established(Connection::Stream(stream)),
    }
}

/// The name of a UNIX socket.
pub(super) fn unix_address(address: &std::os::unix::net::SocketAddr) -> Address {
    if let Some(path) = address.as_pathname() {
        Address::Path(path.to_owned())
    } else if let Some(name) = address.as_abstract_name() {
        Address::Abstract(name.to_owned())
    } else {
        Address::Unnamed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_with_the_languages_own_characters_reads_back() {
        for path in ["/run/a.sock", "/run/a:b", "/run/a=b", "/run/a\\b", "[x", "@name"] {
            let spec = Spec::parse(&unix_endpoint(path)).unwrap();
            assert_eq!(spec.type_name(), "unix");
            assert_eq!(spec.fields.len(), 1);
            assert!(spec.fields[0].name.is_none());
            assert_eq!(spec.fields[0].value.text, path);
        }
    }
}
