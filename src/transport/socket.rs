//! What TCP endpoint types share: names to addresses, raced; socket options; an accepting socket.
//! Absent: endpoint text.

use std::future::Future;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use socket2::{Domain, Protocol, SockRef, Socket, TcpKeepalive, Type};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::task::JoinSet;

use super::{Accept, Incoming, Stage};
use crate::connection::{Address, Connection, Facts, Stream};
use crate::error::{Error, Result, Status, reason};
use crate::units::duration_text;

/// How long an attempt has before the next address is tried beside it (RFC 8305, section 8, recommends 250 ms).
const ATTEMPT_DELAY: Duration = Duration::from_millis(250);

/// Which addresses of a name are wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Family {
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
pub struct Target {
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
    /// Small writes leave at once (`TCP_NODELAY`).
    pub nodelay: bool,
    /// Idle time after which the kernel probes the peer.
    pub keepalive: Option<Duration>,
}

impl Target {
    /// Connects to whichever address of the host answers first, as RFC 8305 has it.
    ///
    /// # Errors
    /// Status 3 with each address and its reason, status 4 when the time limit comes first.
    pub async fn connect(&self) -> Result<TcpStream> {
        let mut failures = Vec::new();
        match tokio::time::timeout(self.timeout, self.attempt_all(&mut failures)).await {
            Ok(Ok(Some(stream))) => Ok(stream),
            Ok(Ok(None)) => Err(Error::new(Status::Connect, list(&failures))),
            Ok(Err(error)) => Err(error),
            Err(_elapsed) => {
                let mut why = format!("no answer within {}", duration_text(self.timeout));
                if !failures.is_empty() {
                    why = format!("{}; then {why}", list(&failures));
                }
                Err(Error::new(Status::Timeout, why))
            }
        }
    }

    async fn attempt_all(&self, failures: &mut Vec<Failure>) -> Result<Option<TcpStream>> {
        let addresses = resolve(&self.host, self.port, self.family).await?;
        let local: Arc<[SocketAddr]> = match &self.bind_address {
            None => Arc::new([]),
            Some(name) => resolve(name, 0, self.family).await?.into(),
        };
        if let [address] = addresses[..] {
            // The common case takes no task of its own.
            return match attempt(address, local, self.nodelay, self.keepalive).await {
                Ok(stream) => Ok(Some(stream)),
                Err(error) => {
                    failures.push((address, error));
                    Ok(None)
                }
            };
        }
        let (nodelay, keepalive) = (self.nodelay, self.keepalive);
        let one = move |address| attempt(address, Arc::clone(&local), nodelay, keepalive);
        Ok(race(interleave(addresses), ATTEMPT_DELAY, one, failures).await)
    }
}

type Failure = (SocketAddr, io::Error);

fn list(failures: &[Failure]) -> String {
    match failures {
        [(_, error)] => reason(error),
        _ => {
            let each: Vec<_> =
                failures.iter().map(|(address, error)| format!("{address}: {}", reason(error))).collect();
            each.join("; ")
        }
    }
}

/// The addresses of a name, in the order that the system prefers.
///
/// # Errors
/// Status 3: the name is not found, or has no address of the family.
pub async fn resolve(host: &str, port: u16, family: Family) -> Result<Vec<SocketAddr>> {
    let found = tokio::net::lookup_host((host, port)).await.map_err(|error| {
        let text = reason(&error);
        let why = text.strip_prefix("failed to lookup address information: ").unwrap_or(&text);
        Error::new(Status::Connect, format!("cannot find `{host}`: {}", why.to_lowercase()))
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
        return Err(Error::new(Status::Connect, format!("`{host}` has no {kind}address")));
    }
    Ok(addresses)
}

async fn attempt(
    address: SocketAddr,
    local: Arc<[SocketAddr]>,
    nodelay: bool,
    keepalive: Option<Duration>,
) -> io::Result<TcpStream> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    if !local.is_empty() {
        let Some(local) = local.iter().find(|local| local.is_ipv4() == address.is_ipv4()) else {
            return Err(io::Error::new(
                io::ErrorKind::AddrNotAvailable,
                "the bind address is of the other family",
            ));
        };
        socket.bind(*local)?;
    }
    if nodelay {
        socket.set_nodelay(true)?;
    }
    if let Some(idle) = keepalive {
        SockRef::from(&socket).set_tcp_keepalive(&keep_alive(idle))?;
    }
    socket.connect(address).await
}

fn keep_alive(idle: Duration) -> TcpKeepalive {
    // Three probes at a third of the time, so that a dead peer is noticed after twice the time given.
    TcpKeepalive::new()
        .with_time(idle)
        .with_interval((idle / 3).max(Duration::from_secs(1)))
        .with_retries(3)
}

/// Alternates between the families, beginning with the one that the system prefers (RFC 8305, section 4).
fn interleave(addresses: Vec<SocketAddr>) -> Vec<SocketAddr> {
    let first_is_v4 = addresses.first().is_some_and(SocketAddr::is_ipv4);
    let (mut ahead, mut behind): (std::collections::VecDeque<_>, std::collections::VecDeque<_>) =
        addresses.into_iter().partition(|address| address.is_ipv4() == first_is_v4);
    let mut order = Vec::with_capacity(ahead.len() + behind.len());
    while !ahead.is_empty() || !behind.is_empty() {
        order.extend(ahead.pop_front());
        order.extend(behind.pop_front());
    }
    order
}

/// Tries the addresses one after the other, the next one beside the others after `delay` or as soon as one fails.
/// The first success wins and cancels the rest; what failed is noted in `failures`, which outlives a time limit.
async fn race<T, F, Fut>(
    addresses: Vec<SocketAddr>,
    delay: Duration,
    attempt: F,
    failures: &mut Vec<Failure>,
) -> Option<T>
where
    T: Send + 'static,
    F: Fn(SocketAddr) -> Fut,
    Fut: Future<Output = io::Result<T>> + Send + 'static,
{
    let mut waiting = addresses.into_iter();
    // Dropping the set aborts whatever is still under way.
    let mut attempts = JoinSet::new();
    loop {
        match waiting.next() {
            Some(address) => {
                let one = attempt(address);
                attempts.spawn(async move { (address, one.await) });
            }
            None if attempts.is_empty() => return None,
            None => {}
        }
        tokio::select! {
            biased;
            Some(done) = attempts.join_next() => match done {
                Ok((_, Ok(won))) => return Some(won),
                Ok((address, Err(error))) => failures.push((address, error)),
                Err(_cancelled) => {}
            },
            () = tokio::time::sleep(delay), if waiting.len() > 0 => {}
        }
    }
}

/// How a TCP server listens.
#[derive(Debug, Clone, Copy)]
pub struct Listen {
    /// The address and port to bind.
    pub address: SocketAddr,
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
    pub fn bind(&self) -> io::Result<Socket> {
        let socket = Socket::new(Domain::for_address(self.address), Type::STREAM, Some(Protocol::TCP))?;
        if self.address.is_ipv6() {
            socket.set_only_v6(self.v6only)?;
        }
        // A restarted server must not wait for the old connections' TIME_WAIT.
        socket.set_reuse_address(true)?;
        // Accepted sockets inherit the option, which saves a system call on each.
        socket.set_tcp_nodelay(true)?;
        socket.set_nonblocking(true)?;
        socket.bind(&self.address.into())?;
        socket.listen(i32::try_from(self.backlog).unwrap_or(i32::MAX))?;
        Ok(socket)
    }
}

/// The address by which a client on this machine reaches a socket bound to `address`.
#[must_use]
pub fn reachable(address: SocketAddr) -> SocketAddr {
    let ip = match address.ip() {
        IpAddr::V4(v4) if v4.is_unspecified() => IpAddr::V4(std::net::Ipv4Addr::LOCALHOST),
        IpAddr::V6(v6) if v6.is_unspecified() => IpAddr::V6(std::net::Ipv6Addr::LOCALHOST),
        ip => ip,
    };
    SocketAddr::new(ip, address.port())
}

/// Accepts on a listening TCP socket.
pub struct TcpAccept {
    listener: TcpListener,
    /// Our end of every connection, where the bound address says it without a system call.
    local: Option<SocketAddr>,
}

impl TcpAccept {
    /// On the current runtime, a duplicate of a bound socket.
    ///
    /// # Errors
    /// What the system says.
    pub fn new(socket: &Socket) -> io::Result<Self> {
        let listener = TcpListener::from_std(socket.try_clone()?.into())?;
        let local = listener.local_addr().ok().filter(|address| !address.ip().is_unspecified());
        Ok(TcpAccept { listener, local })
    }
}

impl Accept for TcpAccept {
    fn poll_accept(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Option<Incoming>>> {
        let (stream, peer) = ready!(self.listener.poll_accept(cx))?;
        let local = match self.local {
            Some(local) => Address::Inet(local),
            None => stream.local_addr().map_or(Address::Unnamed, Address::Inet),
        };
        let peer = Address::Inet(peer);
        let stream = Stream::new(stream, Facts::new(local, peer.clone()));
        Poll::Ready(Ok(Some(Incoming { peer, stage: Stage::Established(Connection::Stream(stream)) })))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::time::Instant;

    fn addresses(texts: &[&str]) -> Vec<SocketAddr> {
        texts.iter().map(|text| text.parse().unwrap()).collect()
    }

    #[test]
    fn families_alternate_and_keep_their_own_order() {
        let mixed = addresses(&["[::1]:1", "[::2]:1", "[::3]:1", "1.1.1.1:1", "2.2.2.2:1"]);
        let expected = addresses(&["[::1]:1", "1.1.1.1:1", "[::2]:1", "2.2.2.2:1", "[::3]:1"]);
        assert_eq!(interleave(mixed), expected);
    }

    #[tokio::test(start_paused = true)]
    async fn a_silent_first_address_costs_the_attempt_delay() {
        let start = Instant::now();
        let mut failures = Vec::new();
        let one = |address: SocketAddr| async move {
            if address.port() == 1 {
                std::future::pending::<()>().await;
            }
            Ok::<u16, io::Error>(address.port())
        };
        let won = race(addresses(&["1.1.1.1:1", "1.1.1.1:2"]), ATTEMPT_DELAY, one, &mut failures).await;
        assert_eq!(won, Some(2));
        assert_eq!(start.elapsed(), ATTEMPT_DELAY);
        assert!(failures.is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn a_failure_starts_the_next_attempt_at_once_and_all_are_reported() {
        let start = Instant::now();
        let mut failures = Vec::new();
        let one = |_| async { Err::<(), _>(io::Error::from_raw_os_error(111)) };
        let won = race(addresses(&["1.1.1.1:1", "[::1]:1"]), ATTEMPT_DELAY, one, &mut failures).await;
        assert_eq!(won, None);
        assert_eq!(start.elapsed(), Duration::ZERO);
        assert_eq!(list(&failures), "1.1.1.1:1: connection refused; [::1]:1: connection refused");
    }

    #[tokio::test(start_paused = true)]
    async fn a_slow_first_attempt_can_still_win() {
        let mut failures = Vec::new();
        let one = |address: SocketAddr| async move {
            let wait = if address.port() == 1 { 300 } else { 10_000 };
            tokio::time::sleep(Duration::from_millis(wait)).await;
            Ok::<u16, io::Error>(address.port())
        };
        let won = race(addresses(&["1.1.1.1:1", "1.1.1.1:2"]), ATTEMPT_DELAY, one, &mut failures).await;
        assert_eq!(won, Some(1));
    }

    #[test]
    fn an_unspecified_address_is_shown_as_loopback() {
        assert_eq!(reachable("0.0.0.0:5".parse().unwrap()), "127.0.0.1:5".parse().unwrap());
        assert_eq!(reachable("[::]:5".parse().unwrap()), "[::1]:5".parse().unwrap());
        assert_eq!(reachable("192.0.2.1:5".parse().unwrap()), "192.0.2.1:5".parse().unwrap());
    }
}
