//! The `fd` endpoint: a descriptor that our parent left open, by its number.
//! Absent: opening anything, and removing what the descriptor leads to.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::task::{Context, Poll, ready};

use rustix::net::sockopt::{socket_acceptconn, socket_type};
use rustix::net::{RecvFlags, SendFlags, SocketType, getpeername, recv, send};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

use super::descriptor::{Input, Kind, Output};
use super::given::Given;
use super::listening::Adopted;
use super::{Binder, Bound, ClientRole, Connector, ServerRole, Transport};
use crate::connection::datagram::Messages;
use crate::connection::{Address, BoxFuture, Connection, Datagram, Facts, Stream};
use crate::endpoint::{Param, ValueKind};
use crate::error::{Error, Result, Status};
use crate::kernel;

const CLIENT: &[Param] = &[Param::required(
    "number",
    ValueKind::Descriptor,
    "of a connected socket, or a pipe",
)];

const SERVER: &[Param] = &[Param::required(
    "number",
    ValueKind::Descriptor,
    "of a listening socket",
)];

/// The table entry.
pub(super) static FD: Transport = Transport {
    name: "fd",
    summary: "a descriptor left open by the process that starts us",
    client: Some(ClientRole {
        params: CLIENT,
        examples: &["fd:3"],
        connector: |args| Ok(Box::new(Inherited(number(args.integer("number"))))),
    }),
    server: Some(ServerRole {
        params: SERVER,
        examples: &["fd:3"],
        binder: |args| Ok(Box::new(Inherited(number(args.integer("number"))))),
    }),
};

/// Numbers beyond what the system has are not open, which is what will be said of them.
fn number(given: u64) -> i32 {
    i32::try_from(given).unwrap_or(i32::MAX)
}

#[derive(Debug)]
struct Inherited(i32);

impl Inherited {
    fn adopt(&self, status: Status) -> Result<OwnedFd> {
        kernel::adopt(self.0).map_err(|error| Error::io(status, &error))
    }
}

impl Connector for Inherited {
    fn connect<'a>(&'a self, _: Option<&'a Facts>) -> BoxFuture<'a, Result<Connection>> {
        let connection = self.adopt(Status::Connect).and_then(|descriptor| {
            connection(descriptor, self.0).map_err(|error| Error::io(Status::Connect, &error))
        });
        Box::pin(std::future::ready(connection))
    }
}

fn connection(descriptor: OwnedFd, number: i32) -> io::Result<Connection> {
    let facts = Facts::new(Address::Unnamed, Address::Descriptor(number));
    if Kind::of(descriptor.as_fd())? == Kind::Socket {
        if socket_acceptconn(&descriptor)? {
            return Err(io::Error::other("the socket listens: it is a server endpoint"));
        }
        if getpeername(&descriptor).is_err() {
            return Err(io::Error::other("the socket is not connected"));
        }
        let kind = socket_type(&descriptor)?;
        if kind != SocketType::STREAM {
            let watched = kernel::watch(descriptor, Interest::READABLE | Interest::WRITABLE);
            let socket = watched.map_err(|(_, error)| error)?;
            let ends = kind == SocketType::SEQPACKET;
            return Ok(Connection::Datagram(Datagram::new(Inbox { socket, ends }, facts)));
        }
    }
    let input = Input::new(descriptor.as_fd())?;
    let output = Output::new(descriptor.as_fd())?;
    let given = if input.is_unreadable() {
        Given::outward(output)
    } else {
        Given::new(input, output)
    };
    Ok(Connection::Stream(Stream::new(given, facts)))
}

/// A connected socket of messages.
struct Inbox {
    socket: AsyncFd<OwnedFd>,
    /// An empty read is the end, not an empty message (SOCK_SEQPACKET).
    ends: bool,
}

impl Messages for Inbox {
    fn poll_recv(&mut self, cx: &mut Context<'_>, buf: &mut [u8]) -> Poll<io::Result<Option<usize>>> {
        loop {
            let mut ready = ready!(self.socket.poll_read_ready(cx))?;
            let received =
                ready.try_io(|socket| Ok(recv(socket.get_ref(), &mut *buf, RecvFlags::DONTWAIT)?.0));
            match received {
                Ok(Ok(0)) if self.ends => return Poll::Ready(Ok(None)),
                Ok(received) => return Poll::Ready(received.map(Some)),
                Err(_would_block) => {}
            }
        }
    }

    fn poll_send(&mut self, cx: &mut Context<'_>, message: &[u8]) -> Poll<io::Result<()>> {
        loop {
            let mut ready = ready!(self.socket.poll_write_ready(cx))?;
            let flags = SendFlags::DONTWAIT | SendFlags::NOSIGNAL;
            let sent = ready.try_io(|socket| Ok(send(socket.get_ref(), message, flags)?));
            match sent {
                Ok(sent) => return Poll::Ready(sent.map(|_| ())),
                Err(_would_block) => {}
            }
        }
    }
}

impl Binder for Inherited {
    fn bind(&self) -> Result<Box<dyn Bound>> {
        let descriptor = self.adopt(Status::Bind)?;
        let bound = Adopted::new(descriptor).map_err(|error| Error::io(Status::Bind, &error))?;
        Ok(Box::new(bound))
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::{UnixDatagram, UnixListener, UnixStream};

    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;
    use crate::transport::Listener;

    #[tokio::test]
    async fn a_stream_socket_is_a_stream() {
        let (ours, theirs) = UnixStream::pair().unwrap();
        let Connection::Stream(mut stream) = connection(ours.into(), 3).unwrap() else {
            panic!("no stream")
        };
        theirs.set_nonblocking(true).unwrap();
        let mut theirs = tokio::net::UnixStream::from_std(theirs).unwrap();
        stream.write_all(b"ask").await.unwrap();
        stream.shutdown().await.unwrap();
        let mut asked = String::new();
        theirs.read_to_string(&mut asked).await.unwrap();
        assert_eq!(asked, "ask");
    }

    #[tokio::test]
    async fn a_datagram_socket_keeps_messages_apart_and_empty_ones_too() {
        let (ours, theirs) = UnixDatagram::pair().unwrap();
        let Connection::Datagram(mut inbox) = connection(ours.into(), 3).unwrap() else {
            panic!("no datagrams")
        };
        for message in [&b"one"[..], b"", b"three"] {
            theirs.send(message).unwrap();
        }
        let mut buf = [0; 10];
        for length in [3, 0, 5] {
            assert_eq!(inbox.recv(&mut buf).await.unwrap(), Some(length));
        }
        inbox.send(b"").await.unwrap();
        assert_eq!(theirs.recv(&mut buf).unwrap(), 0);
    }

    #[tokio::test]
    async fn a_pipe_goes_one_way() {
        let (reader, writer) = io::pipe().unwrap();
        let Connection::Stream(mut from) = connection(reader.into(), 3).unwrap() else {
            panic!("no stream")
        };
        let Connection::Stream(mut to) = connection(writer.into(), 4).unwrap() else {
            panic!("no stream")
        };
        to.write_all(b"x").await.unwrap();
        drop(to);
        let mut got = String::new();
        from.read_to_string(&mut got).await.unwrap();
        assert_eq!(got, "x");
        assert!(from.write_all(b"x").await.is_err());
    }

    #[test]
    fn the_wrong_kind_is_named() {
        let directory = tempfile::tempdir().unwrap();
        let listener = UnixListener::bind(directory.path().join("s")).unwrap();
        let error = connection(listener.try_clone().unwrap().into(), 3).unwrap_err();
        assert_eq!(error.to_string(), "the socket listens: it is a server endpoint");
        assert!(Adopted::new(listener.into()).unwrap().endpoint().ends_with("/s"));
        let (one, _two) = UnixStream::pair().unwrap();
        assert_eq!(
            Adopted::new(one.into()).err().unwrap().to_string(),
            "the socket does not listen"
        );
        let file = tempfile::tempfile().unwrap();
        assert_eq!(
            Adopted::new(file.into()).err().unwrap().to_string(),
            "the descriptor is not a socket"
        );
        assert_eq!(
            Inherited(i32::MAX).bind().err().unwrap().why(),
            "the descriptor is not open"
        );
    }

    #[tokio::test]
    async fn a_socket_that_leads_nowhere_is_refused() {
        let unconnected = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        let error = connection(unconnected.into(), 3).unwrap_err();
        assert_eq!(error.to_string(), "the socket is not connected");
    }

    #[tokio::test]
    async fn whole_messages_in_order_end_with_the_peer() {
        use rustix::net::{AddressFamily, SocketFlags, socketpair};
        let pair = socketpair(
            AddressFamily::UNIX,
            SocketType::SEQPACKET,
            SocketFlags::CLOEXEC,
            None,
        );
        let (ours, theirs) = pair.unwrap();
        let Connection::Datagram(mut inbox) = connection(ours, 3).unwrap() else {
            panic!("no datagrams")
        };
        for message in [&b"one"[..], b"three"] {
            send(&theirs, message, SendFlags::empty()).unwrap();
        }
        drop(theirs);
        let mut buf = [0; 10];
        for length in [Some(3), Some(5), None] {
            assert_eq!(inbox.recv(&mut buf).await.unwrap(), length);
        }
    }

    #[tokio::test]
    async fn a_listening_tcp_socket_serves_each_worker_and_stays_open() {
        use std::future::poll_fn;
        let given = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = given.local_addr().unwrap();
        let bound = Adopted::new(given.into()).unwrap();
        assert_eq!(bound.endpoint(), format!("tcp:{address}"));
        for _ in 0..2 {
            // The worker before has gone, and taken only its own duplicate with it.
            let Listener::Connections(mut worker) = bound.listen().unwrap() else {
                panic!("no connections")
            };
            let client = std::net::TcpStream::connect(address).unwrap();
            let incoming = poll_fn(|cx| worker.poll_accept(cx)).await.unwrap().unwrap();
            assert_eq!(incoming.peer, Address::Inet(client.local_addr().unwrap()));
        }
    }

    #[test]
    fn a_given_sockets_file_is_not_ours_to_remove() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("s");
        drop(Adopted::new(UnixListener::bind(&path).unwrap().into()).unwrap());
        assert!(path.exists());
    }
}
