//! The `udp`, `udp4` and `udp6` endpoints.
//! Absent: flows and batches, which every bound socket for datagrams has.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::UdpSocket;

use super::datagrams::{self, Connected};
use super::race::{lacking, list};
use super::socket::{Family, leaving_from, not_bound, reachable, resolve, with_zone};
use super::{Binder, Bound, ClientRole, Connector, Listener, ServerRole, Transport};
use crate::connection::{Address, BoxFuture, Connection, Datagram, Facts};
use crate::endpoint::{Args, Param, ValueKind};
use crate::error::{Error, Result, Status};

const CLIENT: &[Param] = &[
    Param::required(
        "host",
        ValueKind::Host,
        "name or address; an IPv6 address goes in brackets",
    ),
    Param::required("port", ValueKind::Port { zero_ok: false }, "port, 1 to 65535"),
    Param::absent(
        "bindAddress",
        ValueKind::Host,
        "local name or address to leave from",
    ),
];

const SERVER_V4: &[Param] = &[
    Param::required(
        "port",
        ValueKind::Port { zero_ok: true },
        "port; 0: the system picks one",
    ),
    Param::optional(
        "interface",
        ValueKind::AddressV4,
        "0.0.0.0",
        "IPv4 address to bind",
    ),
];

const SERVER_V6: &[Param] = &[
    Param::required(
        "port",
        ValueKind::Port { zero_ok: true },
        "port; 0: the system picks one",
    ),
    Param::optional("interface", ValueKind::AddressV6, "::", "IPv6 address to bind"),
];

/// UDP on both families for a client, on IPv4 for a server.
pub(super) static UDP: Transport = Transport {
    name: "udp",
    summary: "UDP; a client takes the first address that there is a way to, a server takes IPv4",
    client: Some(ClientRole {
        params: CLIENT,
        examples: &[
            "udp:localhost:1234",
            "udp:[::1]:1234",
            "udp:192.0.2.1:53:bindAddress=192.0.2.2",
        ],
        connector: |args| Ok(connector(args, Family::Any)),
    }),
    server: Some(ServerRole {
        params: SERVER_V4,
        examples: &["udp:1234", "udp:1234:interface=127.0.0.1", "udp:0"],
        binder: |args| Ok(binder(args, IpAddr::V4(Ipv4Addr::UNSPECIFIED))),
    }),
};

/// UDP on IPv4.
pub(super) static UDP4: Transport = Transport {
    name: "udp4",
    summary: "UDP on IPv4",
    client: Some(ClientRole {
        params: CLIENT,
        examples: &["udp4:localhost:1234"],
        connector: |args| Ok(connector(args, Family::V4)),
    }),
    server: Some(ServerRole {
        params: SERVER_V4,
        examples: &["udp4:1234"],
        binder: |args| Ok(binder(args, IpAddr::V4(Ipv4Addr::UNSPECIFIED))),
    }),
};

/// UDP on IPv6; a server that is bound to no address in particular takes IPv4 clients too.
pub(super) static UDP6: Transport = Transport {
    name: "udp6",
    summary: "UDP on IPv6; a server takes IPv4 clients too, unless it is bound to one address",
    client: Some(ClientRole {
        params: CLIENT,
        examples: &["udp6:localhost:1234"],
        connector: |args| Ok(connector(args, Family::V6)),
    }),
    server: Some(ServerRole {
        params: SERVER_V6,
        examples: &["udp6:1234", "udp6:1234:interface=[::1]"],
        binder: |args| Ok(binder(args, IpAddr::V6(Ipv6Addr::UNSPECIFIED))),
    }),
};

fn connector(args: &Args, family: Family) -> Box<dyn Connector> {
    Box::new(Udp {
        host: args.host("host").to_owned(),
        port: args.port("port"),
        family,
        bind_address: args
            .given("bindAddress")
            .then(|| args.host("bindAddress").to_owned()),
    })
}

#[derive(Debug)]
struct Udp {
    host: String,
    port: u16,
    family: Family,
    bind_address: Option<String>,
}

impl Connector for Udp {
    fn carries_datagrams(&self) -> bool {
        true
    }

    fn connect<'a>(&'a self, _: Option<&'a Facts>) -> BoxFuture<'a, Result<Connection>> {
        Box::pin(async {
            let addresses = in_order(resolve(&self.host, self.port, self.family).await?);
            let local = match &self.bind_address {
                None => Vec::new(),
                Some(name) => resolve(name, 0, self.family).await?,
            };
            let mut attempts = Vec::new();
            for address in addresses {
                match open(address, &local) {
                    Ok(connection) => return Ok(connection),
                    Err(error) => attempts.push((address, Some(error))),
                }
            }
            let error = Error::new(Status::Connect, list(&attempts, "no answer"));
            Err(error.shortage(lacking(&attempts)))
        })
    }
}

/// The order in which addresses are tried. A UDP socket connects to a port that nobody listens on as readily as to
/// any other, so that there is no second try where it matters most: on this machine, `localhost` is both `::1` and
/// 127.0.0.1, and a `udp` server has the latter.
fn in_order(mut addresses: Vec<SocketAddr>) -> Vec<SocketAddr> {
    if addresses.iter().all(|address| address.ip().is_loopback()) {
        addresses.sort_by_key(SocketAddr::is_ipv6);
    }
    addresses
}

/// A socket that is connected: it takes datagrams of that peer only, and hears when the peer's port is closed.
fn open(address: SocketAddr, local: &[SocketAddr]) -> io::Result<Connection> {
    let socket = new_socket(address)?;
    if let Some(local) = leaving_from(local, address)? {
        socket.bind(&local.into())?;
    }
    socket.connect(&address.into())?;
    let socket = UdpSocket::from_std(socket.into())?;
    let local = socket.local_addr().map_or(Address::Unnamed, Address::Inet);
    Ok(Connection::Datagram(Datagram::new(
        Connected::new(socket, address),
        Facts::new(local, Address::Inet(address)),
    )))
}

/// The kernel caps it (`net.core.rmem_max`); a burst that does not fit is lost.
const RECEIVE_BUFFER: usize = 4 * 1024 * 1024;

fn new_socket(address: SocketAddr) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), Type::DGRAM, Some(Protocol::UDP))?;
    socket.set_nonblocking(true)?;
    // Where it can't be larger, it stays as it is.
    let _ = socket.set_recv_buffer_size(RECEIVE_BUFFER);
    Ok(socket)
}

fn binder(args: &Args, any: IpAddr) -> Box<dyn Binder> {
    Box::new(UdpServer {
        ip: args.address("interface").unwrap_or(any),
        zone: args.zone("interface").map(str::to_owned),
        port: args.port("port"),
    })
}

#[derive(Debug)]
struct UdpServer {
    ip: IpAddr,
    zone: Option<String>,
    port: u16,
}

impl UdpServer {
    fn open(&self) -> io::Result<UdpBound> {
        let address = with_zone(self.ip, self.zone.as_deref(), self.port)?;
        // No SO_REUSEADDR: for UDP it would let a second server take the first one's datagrams.
        let socket = new_socket(address)?;
        if address.is_ipv6() {
            socket.set_only_v6(false)?;
        }
        socket.bind(&address.into())?;
        Ok(UdpBound(datagrams::Socket::from_std(socket.into())?))
    }
}

impl Binder for UdpServer {
    fn carries_datagrams(&self) -> bool {
        true
    }

    fn bind(&self) -> Result<Box<dyn Bound>> {
        match self.open() {
            Ok(bound) => Ok(Box::new(bound)),
            Err(error) => Err(not_bound(&error, self.port)),
        }
    }
}

struct UdpBound(datagrams::Socket);

impl Bound for UdpBound {
    /// Plain `udp` takes addresses of both families.
    fn endpoint(&self) -> String {
        format!("udp:{}", reachable(self.0.local_addr()))
    }

    fn listen(&self) -> io::Result<Listener> {
        Ok(Listener::Datagrams(self.0.listen()?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::connection::datagram::LARGEST;
    use crate::endpoint::{Role, Spec};

    fn client(transport: &Transport, text: &str) -> Box<dyn Connector> {
        let role = transport.client.as_ref().unwrap();
        let args = Args::read(&Spec::parse(text).unwrap(), Role::Client, role.params).unwrap();
        (role.connector)(&args).unwrap_or_else(|_| panic!("{text}"))
    }

    fn bound(transport: &Transport, text: &str) -> Result<Box<dyn Bound>> {
        let role = transport.server.as_ref().unwrap();
        let args = Args::read(&Spec::parse(text).unwrap(), Role::Server, role.params).unwrap();
        (role.binder)(&args).unwrap_or_else(|_| panic!("{text}")).bind()
    }

    async fn connected(text: &str) -> Datagram {
        match client(&UDP, text).connect(None).await.unwrap() {
            Connection::Datagram(datagram) => datagram,
            Connection::Stream(_) => panic!("a stream"),
        }
    }

    async fn ping(server: &dyn Bound) {
        let Listener::Datagrams(mut datagrams) = server.listen().unwrap() else {
            panic!("a stream")
        };
        let mut connection = connected(&server.endpoint()).await;
        connection.send(b"ping").await.unwrap();
        datagrams.recv().await.unwrap();
        for run in datagrams.runs() {
            assert_eq!(datagrams.send(run).await, 0);
        }
        let mut buf = [0; 8];
        assert_eq!(connection.recv(&mut buf).await.unwrap(), Some(4));
        assert_eq!(&buf[..4], b"ping");
    }

    #[tokio::test]
    async fn the_string_of_a_server_leads_a_client_there() {
        for (transport, text, shown) in [
            (&UDP, "udp:0", "udp:127.0.0.1:"),
            (&UDP, "udp:0:127.0.0.3", "udp:127.0.0.3:"),
            (&UDP4, "udp4:0:interface=127.0.0.1", "udp:127.0.0.1:"),
            (&UDP6, "udp6:0", "udp:[::1]:"),
            (&UDP6, "udp6:0:interface=[::1]", "udp:[::1]:"),
        ] {
            let server = bound(transport, text).unwrap();
            assert!(
                server.endpoint().starts_with(shown),
                "{} of {text}",
                server.endpoint()
            );
            ping(&*server).await;
        }
    }

    /// Every thread of a server listens on the one socket, all at once.
    #[test]
    fn threads_that_listen_together_leave_path_mtu_discovery_alone() {
        const THREADS: usize = 16;
        let fresh = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        let expected = rustix::net::sockopt::ip_mtu_discover(&fresh).unwrap();
        for _ in 0..50 {
            let server = UdpServer {
                ip: Ipv4Addr::LOCALHOST.into(),
                zone: None,
                port: 0,
            };
            let bound = server.open().unwrap();
            let start = std::sync::Barrier::new(THREADS);
            std::thread::scope(|scope| {
                for _ in 0..THREADS {
                    scope.spawn(|| {
                        let runtime = tokio::runtime::Builder::new_current_thread()
                            .enable_io()
                            .build()
                            .unwrap();
                        let _entered = runtime.enter();
                        start.wait();
                        bound.listen().map(drop).unwrap();
                    });
                }
            });
            assert_eq!(rustix::net::sockopt::ip_mtu_discover(&bound.0).unwrap(), expected);
        }
    }

    #[tokio::test]
    async fn an_ipv6_server_answers_ipv4_clients() {
        let server = bound(&UDP6, "udp6:0").unwrap();
        let Listener::Datagrams(mut datagrams) = server.listen().unwrap() else {
            panic!("a stream")
        };
        let port = datagrams.local_addr().port();
        let mut connection = connected(&format!("udp:127.0.0.2:{port}:bindAddress=127.0.0.4")).await;
        assert_eq!(connection.facts().local.ip(), Some("127.0.0.4".parse().unwrap()));
        connection.send(b"four").await.unwrap();
        datagrams.recv().await.unwrap();
        for run in datagrams.runs() {
            assert_eq!(
                run.peer.ip().to_canonical(),
                "127.0.0.4".parse::<IpAddr>().unwrap()
            );
            assert_eq!(datagrams.send(run).await, 0);
        }
        // Connected to 127.0.0.2, the client would not hear an answer from elsewhere.
        assert_eq!(connection.recv(&mut [0; 8]).await.unwrap(), Some(4));
    }

    #[tokio::test]
    async fn the_name_of_this_machine_leads_to_a_server_on_ipv4() {
        let server = bound(&UDP, "udp:0:127.0.0.1").unwrap();
        let port = server.endpoint().rsplit(':').next().unwrap().to_owned();
        let connection = connected(&format!("udp:localhost:{port}")).await;
        assert_eq!(connection.facts().peer.ip(), Some("127.0.0.1".parse().unwrap()));
    }

    #[tokio::test]
    async fn a_closed_port_is_an_error_of_its_kind() {
        let server = bound(&UDP, "udp:0").unwrap();
        let endpoint = server.endpoint();
        drop(server);
        let mut connection = connected(&endpoint).await;
        connection.send(b"anybody?").await.unwrap();
        let error = connection.recv(&mut [0; 8]).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused);
    }

    #[tokio::test]
    async fn each_address_fails_with_its_reason() {
        let error = client(&UDP, "udp:127.0.0.1:9:bindAddress=[::1]")
            .connect(None)
            .await
            .unwrap_err();
        assert_eq!(error.status(), Status::Connect);
        assert_eq!(error.why(), "the bind address is of the other family");
    }

    #[tokio::test]
    async fn a_port_is_not_shared() {
        let server = bound(&UDP, "udp:0:127.0.0.1").unwrap();
        let port = server.endpoint().rsplit(':').next().unwrap().to_owned();
        let error = bound(&UDP, &format!("udp:{port}:127.0.0.1")).err().unwrap();
        assert_eq!((error.status(), error.why()), (Status::Bind, "address in use"));
    }

    #[tokio::test]
    async fn the_largest_datagram_passes_and_one_byte_more_is_an_error() {
        let server = bound(&UDP, "udp:0:127.0.0.1").unwrap();
        let Listener::Datagrams(mut datagrams) = server.listen().unwrap() else {
            panic!("a stream")
        };
        let mut connection = connected(&server.endpoint()).await;
        assert!(connection.send(&vec![1; LARGEST + 1]).await.is_err());
        connection.send(&vec![7; LARGEST]).await.unwrap();
        datagrams.recv().await.unwrap();
        for run in datagrams.runs() {
            assert_eq!(datagrams.send(run).await, 0);
        }
        let mut buf = vec![0; LARGEST];
        assert_eq!(connection.recv(&mut buf).await.unwrap(), Some(LARGEST));
        assert!(buf.iter().all(|byte| *byte == 7));
    }
}
