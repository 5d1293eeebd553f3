//! The `tcp`, `tcp4` and `tcp6` endpoints.
//! Absent: resolving, racing and socket options, which TCP-based types share in `socket`.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use socket2::Socket;

use super::listening::{accept_on, endpoint_of};
use super::socket::{BACKLOG, Family, Listen, Options, Target, bind_beside, not_bound};
use super::{Binder, Bound, ClientRole, Connector, Listener, ServerRole, Transport};
use crate::connection::{BoxFuture, Connection, Facts, Stream};
use crate::endpoint::{Args, Param, ValueKind};
use crate::error::Result;

const CLIENT: &[Param] = &[
    Param::required(
        "host",
        ValueKind::Host,
        "name or address; an IPv6 address goes in brackets",
    ),
    Param::required("port", ValueKind::Port { zero_ok: false }, "port, 1 to 65535"),
    Param::optional(
        "timeout",
        ValueKind::Duration { zero_ok: false },
        "30s",
        "limit on resolving and connecting together",
    ),
    Param::absent(
        "bindAddress",
        ValueKind::Host,
        "local name or address to leave from",
    ),
    Param::absent(
        "keepalive",
        ValueKind::Duration { zero_ok: false },
        "idle time after which the kernel probes the peer",
    )
    .by_name(),
    Param::optional(
        "nodelay",
        ValueKind::Flag,
        "yes",
        "send small writes at once (TCP_NODELAY)",
    )
    .by_name(),
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
    Param::optional("backlog", BACKLOG, "1024", "connections that wait to be accepted"),
];

const SERVER_V6: &[Param] = &[
    Param::required(
        "port",
        ValueKind::Port { zero_ok: true },
        "port; 0: the system picks one",
    ),
    Param::optional("interface", ValueKind::AddressV6, "::", "IPv6 address to bind"),
    Param::optional("backlog", BACKLOG, "1024", "connections that wait to be accepted"),
    Param::optional("v6only", ValueKind::Flag, "no", "take no IPv4 clients").by_name(),
];

/// TCP on both families for a client, on IPv4 for a server.
pub(super) static TCP: Transport = Transport {
    name: "tcp",
    summary: "TCP; a client tries both address families, a server takes IPv4",
    client: Some(ClientRole {
        params: CLIENT,
        examples: &[
            "tcp:localhost:1234",
            "tcp:[::1]:1234",
            "tcp:host=example.com:port=80:timeout=5s",
        ],
        connector: |args| Ok(connector(args, Family::Any)),
    }),
    server: Some(ServerRole {
        params: SERVER_V4,
        examples: &["tcp:1234", "tcp:1234:interface=127.0.0.1", "tcp:0"],
        binder: |args| Ok(binder(args, IpAddr::V4(Ipv4Addr::UNSPECIFIED), false)),
    }),
};

/// TCP on IPv4.
pub(super) static TCP4: Transport = Transport {
    name: "tcp4",
    summary: "TCP on IPv4",
    client: Some(ClientRole {
        params: CLIENT,
        examples: &["tcp4:localhost:1234"],
        connector: |args| Ok(connector(args, Family::V4)),
    }),
    server: Some(ServerRole {
        params: SERVER_V4,
        examples: &["tcp4:1234"],
        binder: |args| Ok(binder(args, IpAddr::V4(Ipv4Addr::UNSPECIFIED), false)),
    }),
};

/// TCP on IPv6; a server takes IPv4 clients too unless told otherwise.
pub(super) static TCP6: Transport = Transport {
    name: "tcp6",
    summary: "TCP on IPv6; a server takes IPv4 clients too, unless v6only=yes",
    client: Some(ClientRole {
        params: CLIENT,
        examples: &["tcp6:localhost:1234"],
        connector: |args| Ok(connector(args, Family::V6)),
    }),
    server: Some(ServerRole {
        params: SERVER_V6,
        examples: &["tcp6:1234", "tcp6:1234:interface=[::1]", "tcp6:1234:v6only=yes"],
        binder: |args| {
            Ok(binder(
                args,
                IpAddr::V6(Ipv6Addr::UNSPECIFIED),
                args.flag("v6only"),
            ))
        },
    }),
};

/// What `timeout` defaults to; the table says the same in words.
const TIMEOUT: Duration = Duration::from_secs(30);

fn connector(args: &Args, family: Family) -> Box<dyn Connector> {
    Box::new(Tcp(Target {
        host: args.host("host").to_owned(),
        port: args.port("port"),
        family,
        bind_address: args
            .given("bindAddress")
            .then(|| args.host("bindAddress").to_owned()),
        timeout: args.duration("timeout").unwrap_or(TIMEOUT),
        options: Options {
            nodelay: args.flag("nodelay"),
            keepalive: args.duration("keepalive"),
        },
    }))
}

#[derive(Debug)]
struct Tcp(Target);

impl Connector for Tcp {
    fn connect<'a>(&'a self, client: Option<&'a Facts>) -> BoxFuture<'a, Result<Connection>> {
        Box::pin(async move {
            let (stream, facts) = self.0.connect(client).await?;
            Ok(Connection::Stream(Stream::new(stream, facts)))
        })
    }
}

fn binder(args: &Args, any: IpAddr, v6only: bool) -> Box<dyn Binder> {
    Box::new(TcpServer(Listen {
        ip: args.address("interface").unwrap_or(any),
        zone: args.zone("interface").map(str::to_owned),
        port: args.port("port"),
        backlog: u32::try_from(args.integer("backlog")).unwrap_or(u32::MAX),
        v6only,
    }))
}

#[derive(Debug)]
struct TcpServer(Listen);

impl Binder for TcpServer {
    fn bind(&self) -> Result<Box<dyn Bound>> {
        let bound = self.0.bind().and_then(|socket| {
            let endpoint = endpoint_of(&socket)?;
            Ok(TcpBound {
                socket,
                endpoint,
                backlog: self.0.backlog,
            })
        });
        match bound {
            Ok(bound) => Ok(Box::new(bound)),
            Err(error) => Err(not_bound(&error, self.0.port)),
        }
    }
}

struct TcpBound {
    socket: Socket,
    endpoint: String,
    backlog: u32,
}

impl Bound for TcpBound {
    fn endpoint(&self) -> String {
        self.endpoint.clone()
    }

    fn listen(&self) -> io::Result<Listener> {
        Ok(Listener::Connections(accept_on(&self.socket)?))
    }

    fn beside(&self) -> Option<Box<dyn Bound>> {
        Some(Box::new(TcpBound {
            socket: bind_beside(&self.socket, self.backlog).ok()?,
            endpoint: self.endpoint.clone(),
            backlog: self.backlog,
        }))
    }
}
