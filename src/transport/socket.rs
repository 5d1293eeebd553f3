//! What TCP endpoint types share: names to addresses, raced; socket options.
//! Absent: endpoint text.

use std::future::poll_fn;
use std::io;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::os::fd::AsFd;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use rustix::io::Errno;
use socket2::{Domain, Protocol, Socket, TcpKeepalive, Type};
use tokio::io::Interest;
use tokio::net::TcpStream;
use tokio::time::error::Elapsed;

use super::race::{ATTEMPT_DELAY, Attempt, interleave, lacking, list, race};
use crate::connection::{Address, Facts};
use crate::endpoint::ValueKind;
use crate::error::{Error, Result, Status, reason};
use crate::kernel;
use crate::lacking::is_shortage;
use crate::units::duration_text;

/// Which addresses of a name are wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Family {
    /// Both, raced.
    Any,
    /// IPv4 alone.
    V4,
    /// IPv6 alone.
    V6,
}

impl Family {
    fn takes(self, address: IpAddr) -> bool {
        match self {
            Family::Any => true,
            Family::V4 => address.is_ipv4(),
            Family::V6 => address.is_ipv6(),
        }
    }
}

/// Where a client connects to, and how.
#[derive(Debug, Clone)]
pub(crate) struct Target {
    /// A name or an address.
    pub host: String,
    /// The port, 1 to 65535.
    pub port: u16,
    /// Which addresses of the name are taken.
    pub family: Family,
    /// The local name or address to leave from.
    pub bind_address: Option<String>,
    /// The limit on resolving and connecting together.
    pub timeout: Duration,
    /// What the socket is told.
    pub options: Options,
}

/// Options of a client's socket.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Options {
    /// Small writes leave at once (`TCP_NODELAY`).
    pub nodelay: bool,
    /// Idle time after which the kernel probes the peer.
    pub keepalive: Option<Duration>,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            nodelay: true,
            keepalive: None,
        }
    }
}

impl Target {
    /// Connects to whichever address of the host answers first, as RFC 8305 has it. As [`Connector::connect`] has it, our end
    /// stays unnamed where it is on behalf of a `client`.
    ///
    /// [`Connector::connect`]: super::Connector::connect
    ///
    /// # Errors
    /// Status 3 with each address and its reason, status 4 when the time limit comes first.
    pub(crate) async fn connect(&self, client: Option<&Facts>) -> Result<(TcpStream, Facts)> {
        let mut attempts = Vec::new();
        let attempted = {
            let attempting = pin!(self.attempt_all(&mut attempts));
            within(self.timeout, attempting).await
        };
        match attempted {
            Ok(Ok(Some((stream, address)))) => {
                let local = match client {
                    None => stream.local_addr().map_or(Address::Unnamed, Address::Inet),
                    Some(_) => Address::Unnamed,
                };
                // The system is asked for what we know only where it was told "any".
                let peer = match address.ip().is_unspecified() {
                    false => Address::Inet(address),
                    true => stream.peer_addr().map_or(Address::Unnamed, Address::Inet),
                };
                Ok((stream, Facts::new(local, peer)))
            }
            Ok(Ok(None)) => {
                let nobody = attempts.iter().all(|(_, why)| why.as_ref().is_some_and(nobody));
                let error = Error::new(Status::Connect, list(&attempts, "no answer"));
                Err(error.absence(nobody).shortage(lacking(&attempts)))
            }
            Ok(Err(error)) => Err(error),
            Err(_elapsed) => {
                let silence = format!("no answer within {}", duration_text(self.timeout));
                Err(Error::new(Status::Timeout, list(&attempts, &silence)))
            }
        }
    }

    async fn attempt_all(&self, attempts: &mut Vec<Attempt>) -> Result<Option<(TcpStream, SocketAddr)>> {
        let (mut one, mut addresses) = (self.literal(), Vec::new());
        if one.is_none() {
            addresses = resolve(&self.host, self.port, self.family).await?;
            one = addresses.first().copied().filter(|_| addresses.len() == 1);
        }
        let local = match &self.bind_address {
            None => Vec::new(),
            Some(name) => resolve(name, 0, self.family).await?,
        };
        let options = self.options;
        if let Some(address) = one {
            // The common case takes no task of its own.
            return match attempt(address, &local, options).await {
                Ok(stream) => Ok(Some((stream, address))),
                Err(error) => {
                    attempts.push((address, Some(error)));
                    Ok(None)
                }
            };
        }
        let local: Arc<[SocketAddr]> = local.into();
        let one = move |address| {
            let local = Arc::clone(&local);
            async move { Ok((attempt(address, &local, options).await?, address)) }
        };
        // In a box, as most connections have no need of the room.
        let racing = Box::pin(race(interleave(addresses), ATTEMPT_DELAY, one, attempts));
        Ok(racing.await)
    }

    /// The address, where it is none that has to be looked up.
    fn literal(&self) -> Option<SocketAddr> {
        let ip = self.host.parse().ok().filter(|&ip| self.family.takes(ip))?;
        Some(SocketAddr::new(ip, self.port))
    }
}

/// As `tokio::time::timeout`, but the clock is started only once the runtime has heard what came of the first attempt: a
/// timer wakes the runtime, and costs two system calls that a connection nearby, which stands by then, can do without.
async fn within<T>(
    limit: Duration,
    mut work: Pin<&mut impl Future<Output = T>>,
) -> std::result::Result<T, Elapsed> {
    if let Poll::Ready(done) = poll_fn(|cx| Poll::Ready(work.as_mut().poll(cx))).await {
        return Ok(done);
    }
    tokio::task::yield_now().await;
    tokio::time::timeout(limit, work).await
}

/// The addresses of a name, in the order that the system prefers.
///
/// # Errors
/// Status 3: the name is not found, or has no address of the family.
pub(crate) async fn resolve(host: &str, port: u16, family: Family) -> Result<Vec<SocketAddr>> {
    let found = tokio::net::lookup_host((host, port)).await.map_err(|error| {
        let text = reason(&error);
        let why = text
            .strip_prefix("failed to lookup address information: ")
            .unwrap_or(&text);
        Error::new(
            Status::Connect,
            format!("cannot find `{host}`: {}", why.to_lowercase()),
        )
        .absence(!is_shortage(&error))
        .shortage(is_shortage(&error))
    })?;
    let mut addresses: Vec<SocketAddr> = Vec::new();
    for address in found {
        if family.takes(address.ip()) && !addresses.contains(&address) {
            addresses.push(address);
        }
    }
    if addresses.is_empty() {
        let kind = match family {
            Family::Any => "",
            Family::V4 => "IPv4 ",
            Family::V6 => "IPv6 ",
        };
        return Err(Error::new(Status::Connect, format!("`{host}` has no {kind}address")).absence(true));
    }
    Ok(addresses)
}

/// Whether an attempt failed because nobody listens there, or because there is no way there at all, as where a machine has
/// no IPv6.
fn nobody(error: &io::Error) -> bool {
    use io::ErrorKind as Kind;
    let kinds = [
        Kind::ConnectionRefused,
        Kind::HostUnreachable,
        Kind::NetworkUnreachable,
        Kind::AddrNotAvailable,
    ];
    kinds.contains(&error.kind()) || error.raw_os_error() == Some(Errno::AFNOSUPPORT.raw_os_error())
}

/// One attempt. It differs from [`tokio::net::TcpSocket::connect`] in what it costs where it succeeds: the system is asked what
/// went wrong only after it has said that something did.
async fn attempt(address: SocketAddr, local: &[SocketAddr], options: Options) -> io::Result<TcpStream> {
    let kind = Type::STREAM.nonblocking();
    let socket = Socket::new(Domain::for_address(address), kind, Some(Protocol::TCP))?;
    if let Some(local) = leaving_from(local, address)? {
        socket.bind(&local.into())?;
    }
    if options.nodelay {
        socket.set_tcp_nodelay(true)?;
    }
    if let Some(idle) = options.keepalive {
        socket.set_tcp_keepalive(&keep_alive(idle))?;
    }
    match socket.connect(&address.into()) {
        Err(error) if error.raw_os_error() != Some(Errno::INPROGRESS.raw_os_error()) => return Err(error),
        _ => {}
    }
    let stream = TcpStream::from_std(socket.into())?;
    poll_fn(|cx| stream.poll_write_ready(cx)).await?;
    // A socket that could not be connected is one that takes no more.
    if stream.ready(Interest::WRITABLE).await?.is_write_closed()
        // What became of one that stood is for whoever reads: what arrived before a reset comes first.
        && !kernel::has_been_connected(stream.as_fd()).unwrap_or(false)
        && let Some(error) = stream.take_error()?
    {
        return Err(error);
    }
    if is_itself(&stream, address) {
        return Err(Errno::CONNREFUSED.into());
    }
    Ok(stream)
}

/// The lowest port that Linux lends to those who ask for none, as long as nobody changes that (`ip_local_port_range`).
const LENT_MIN: u16 = 32_768;

/// Whether it is connected to itself: where nobody listens on a port of this machine that is lent, it may be lent to the very
/// socket that asks for it, which then finds itself there.
fn is_itself(stream: &TcpStream, address: SocketAddr) -> bool {
    address.port() >= LENT_MIN && stream.local_addr().is_ok_and(|local| local == address)
}

/// Which of the addresses to leave from, of those that were asked for, leads to `address`; `None`: the system chooses.
///
/// # Errors
/// All of them are of the other family.
pub(super) fn leaving_from(local: &[SocketAddr], address: SocketAddr) -> io::Result<Option<SocketAddr>> {
    let of_family = local.iter().find(|local| local.is_ipv4() == address.is_ipv4());
    if of_family.is_none() && !local.is_empty() {
        return Err(io::Error::new(
            io::ErrorKind::AddrNotAvailable,
            "the bind address is of the other family",
        ));
    }
    Ok(of_family.copied())
}

fn keep_alive(idle: Duration) -> TcpKeepalive {
    // Three probes at a third of the time, so that a dead peer is noticed after twice the time given.
    TcpKeepalive::new()
        .with_time(idle)
        .with_interval((idle / 3).max(Duration::from_secs(1)))
        .with_retries(3)
}

/// The address of an interface, with the zone that a link-local one needs, and a port.
///
/// # Errors
/// The system knows no such zone.
pub(crate) fn with_zone(ip: IpAddr, zone: Option<&str>, port: u16) -> io::Result<SocketAddr> {
    match zone {
        None => Ok(SocketAddr::new(ip, port)),
        // The system knows the numbers of zones; no name is looked up.
        Some(zone) => (format!("{ip}%{zone}").as_str(), port)
            .to_socket_addrs()?
            .next()
            .ok_or_else(|| io::ErrorKind::AddrNotAvailable.into()),
    }
}

/// How a TCP server listens.
#[derive(Debug, Clone)]
pub(crate) struct Listen {
    /// The address to bind.
    pub ip: IpAddr,
    /// The zone that a link-local address needs.
    pub zone: Option<String>,
    /// The port to bind; 0: the system picks one.
    pub port: u16,
    /// How many established connections wait to be accepted; the system may cap it.
    pub backlog: u32,
    /// An IPv6 socket takes no IPv4 clients.
    pub v6only: bool,
}

impl Listen {
    /// Binds and listens; the socket does not block.
    ///
    /// # Errors
    /// What the system says.
    pub(crate) fn bind(&self) -> io::Result<Socket> {
        let address = with_zone(self.ip, self.zone.as_deref(), self.port)?;
        let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
        if address.is_ipv6() {
            socket.set_only_v6(self.v6only)?;
        }
        // A restarted server must not wait for the old connections' TIME_WAIT.
        socket.set_reuse_address(true)?;
        // Accepted sockets inherit the option, which saves a system call on each.
        socket.set_tcp_nodelay(true)?;
        socket.set_nonblocking(true)?;
        socket.bind(&address.into())?;
        socket.listen(i32::try_from(self.backlog).unwrap_or(i32::MAX))?;
        Ok(socket)
    }
}

/// One more socket that listens where `first` does, so that the system spreads clients over the two (`SO_REUSEPORT`).
///
/// On a socket that two workers share, whoever is awake takes all that come at once: of 64 clients that came together 46
/// to 64 had the same worker, here at most 39. Measured on two CPUs, of which the clients had their part, that is no more
/// answers (0.9 to 1.1 times as many) nor connections per second (0.9 to 1); it is the even spread that is wanted, of
/// those that last.
///
/// The option is set after `first` was bound, so that a second server on the same port is still told that it is in use.
///
/// # Errors
/// What the system says, as when the port is one that we may no longer bind.
pub(crate) fn bind_beside(first: &Socket, backlog: u32) -> io::Result<Socket> {
    let address = first.local_addr()?;
    let socket = Socket::new(first.domain()?, Type::STREAM, Some(Protocol::TCP))?;
    if address.is_ipv6() {
        socket.set_only_v6(first.only_v6()?)?;
    }
    socket.set_reuse_address(true)?;
    socket.set_tcp_nodelay(true)?;
    socket.set_nonblocking(true)?;
    socket.set_reuse_port(true)?;
    first.set_reuse_port(true)?;
    socket.bind(&address)?;
    socket.listen(i32::try_from(backlog).unwrap_or(i32::MAX))?;
    Ok(socket)
}

/// How many connections may wait to be accepted. The kernel's own cap, `net.core.somaxconn`, is far below the upper
/// bound.
pub(super) const BACKLOG: ValueKind = ValueKind::Integer {
    min: 1,
    max: i32::MAX as u64,
};

/// Ports that Linux keeps for the privileged, by default (`net.ipv4.ip_unprivileged_port_start`).
const UNPRIVILEGED: u16 = 1024;

/// Why a port could not be bound.
#[must_use]
pub(crate) fn not_bound(error: &io::Error, port: u16) -> Error {
    let refused = Error::io(Status::Bind, error);
    if error.kind() == io::ErrorKind::PermissionDenied && port < UNPRIVILEGED {
        return refused.help("ports below 1024 need root or CAP_NET_BIND_SERVICE");
    }
    refused
}

/// The address by which a client on this machine reaches a socket bound to `address`.
#[must_use]
pub(crate) fn reachable(address: SocketAddr) -> SocketAddr {
    let ip = match address.ip() {
        IpAddr::V4(v4) if v4.is_unspecified() => IpAddr::V4(std::net::Ipv4Addr::LOCALHOST),
        IpAddr::V6(v6) if v6.is_unspecified() => IpAddr::V6(std::net::Ipv6Addr::LOCALHOST),
        ip => ip,
    };
    SocketAddr::new(ip, address.port())
}

#[cfg(test)]
mod tests {
    use std::future::Future;
    use std::io::Write;
    use std::task::{Context, Waker};

    use socket2::SockRef;
    use tokio::io::AsyncReadExt;
    use tokio::net::TcpListener;

    use super::*;

    fn target(host: &str, port: u16) -> Target {
        Target {
            host: host.to_owned(),
            port,
            family: Family::Any,
            bind_address: None,
            timeout: Duration::from_secs(10),
            options: Options::default(),
        }
    }

    #[tokio::test]
    async fn our_end_is_asked_for_where_the_connection_is_our_own() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let there = listener.local_addr().unwrap();
        let target = target("127.0.0.1", there.port());
        let (stream, own) = target.connect(None).await.unwrap();
        assert_eq!(own.local, Address::Inet(stream.local_addr().unwrap()));
        assert!(stream.nodelay().unwrap());
        let (_stream, of_another) = target.connect(Some(&own)).await.unwrap();
        assert_eq!(of_another.local, Address::Unnamed);
        assert_eq!(of_another.peer, Address::Inet(there));
    }

    /// The peer has accepted, spoken and broken off by the time that we look.
    #[tokio::test]
    async fn what_came_before_an_early_reset_is_there_to_be_read() {
        for said in [&b"hi"[..], b""] {
            let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
            let there = listener.local_addr().unwrap();
            let mut connecting = pin!(attempt(there, &[], Options::default()));
            let polled = connecting.as_mut().poll(&mut Context::from_waker(Waker::noop()));
            assert!(polled.is_pending());
            let (mut peer, _) = listener.accept().unwrap();
            peer.write_all(said).unwrap();
            SockRef::from(&peer).set_linger(Some(Duration::ZERO)).unwrap();
            drop(peer);
            let mut stream = connecting.await.unwrap();
            let mut heard = Vec::new();
            let error = stream.read_to_end(&mut heard).await.unwrap_err();
            assert_eq!(heard, said);
            assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
        }
    }

    #[tokio::test]
    async fn nobody_finds_himself_there() {
        for port in LENT_MIN.. {
            let here = SocketAddr::from(([127, 0, 0, 1], port));
            let error = attempt(here, &[here], Options::default()).await.unwrap_err();
            // Until it is a port that nobody else has.
            if error.kind() != io::ErrorKind::AddrInUse {
                assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused);
                return;
            }
        }
    }

    #[tokio::test]
    async fn nobody_there_is_told_by_address_and_by_name() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        drop(listener);
        for host in ["127.0.0.1", "localhost"] {
            let error = target(host, port).connect(None).await.unwrap_err();
            assert!(error.is_absence(), "{error}");
            assert!(error.to_string().contains("connection refused"), "{error}");
        }
    }

    #[tokio::test]
    async fn an_address_of_the_other_family_is_none() {
        let mut target = target("127.0.0.1", 1);
        target.family = Family::V6;
        let error = target.connect(None).await.unwrap_err();
        assert_eq!(error.to_string(), "`127.0.0.1` has no IPv6 address");
    }

    #[test]
    fn an_unspecified_address_is_shown_as_loopback() {
        assert_eq!(
            reachable("0.0.0.0:5".parse().unwrap()),
            "127.0.0.1:5".parse().unwrap()
        );
        assert_eq!(reachable("[::]:5".parse().unwrap()), "[::1]:5".parse().unwrap());
        assert_eq!(
            reachable("192.0.2.1:5".parse().unwrap()),
            "192.0.2.1:5".parse().unwrap()
        );
    }
}
