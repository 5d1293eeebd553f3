//! `Wire`: the socket itself and the sending of runs, which flows share.
//! Absent: receiving, and its buffers.

use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use nix::sys::socket::{setsockopt, sockopt};
use quinn_udp::{Transmit, UdpSocketState};
use rustix::io::Errno;
use rustix::net::sockopt::{
    ip_mtu_discover, ipv6_mtu_discover, set_ip_mtu_discover, set_ip_recvtos, set_ipv6_mtu_discover,
    set_ipv6_recvtclass,
};
use tokio::io::Interest;
use tokio::net::UdpSocket;
use tracing::debug;

use super::Run;
use crate::connection::datagram::LARGEST;

/// A bound socket whose options are set, for as many runtimes as want to use it.
///
/// They are set once: with every runtime setting them anew, one could read back what another had set for a moment.
pub(super) struct Prepared {
    socket: std::net::UdpSocket,
    state: Arc<UdpSocketState>,
    local: SocketAddr,
}

impl Prepared {
    pub(super) fn new(socket: std::net::UdpSocket) -> io::Result<Self> {
        let local = socket.local_addr()?;
        // quinn-udp makes it non-blocking, as tokio needs it.
        let state = Arc::new(prepared(&socket, &local)?);
        Ok(Prepared { socket, state, local })
    }

    pub(super) fn local(&self) -> SocketAddr {
        self.local
    }

    /// The socket again, for one more runtime.
    pub(super) fn try_clone(&self) -> io::Result<Self> {
        Ok(Prepared {
            socket: self.socket.try_clone()?,
            state: Arc::clone(&self.state),
            local: self.local,
        })
    }
}

impl AsFd for Prepared {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

/// The sending side, which flows share.
pub(super) struct Wire {
    pub(super) socket: Arc<UdpSocket>,
    pub(super) state: Arc<UdpSocketState>,
    pub(super) local: SocketAddr,
    /// Datagrams longer than this leave one by one; learnt from refusals.
    joined_max: AtomicUsize,
}

impl Wire {
    /// Needs a runtime.
    pub(super) fn new(prepared: Prepared) -> io::Result<Self> {
        let Prepared { socket, state, local } = prepared;
        Ok(Wire::of(Arc::new(UdpSocket::from_std(socket)?), state, local))
    }

    /// A socket that is on this runtime already. From here on nothing else may receive from it: the kernel joins what
    /// arrives.
    pub(super) fn over(socket: Arc<UdpSocket>) -> io::Result<Self> {
        let local = socket.local_addr()?;
        let state = Arc::new(prepared(&*socket, &local)?);
        Ok(Wire::of(socket, state, local))
    }

    fn of(socket: Arc<UdpSocket>, state: Arc<UdpSocketState>, local: SocketAddr) -> Self {
        let joined_max = if state.max_gso_segments() > 1 { LARGEST } else { 0 };
        Wire {
            socket,
            state,
            local,
            joined_max: AtomicUsize::new(joined_max),
        }
    }

    pub(super) async fn send(&self, run: Run<'_>) -> usize {
        let mut losses = Losses::default();
        let mut left = run;
        while let Some(rest) = self.send_now(left, &mut losses) {
            if self.socket.writable().await.is_err() {
                // The runtime is shutting down.
                return losses.count() + rest.count();
            }
            left = rest;
        }
        losses.count()
    }

    /// Sends as much as there is room for without waiting, and gives back the rest. What the system refuses is lost.
    pub(super) fn send_now<'a>(&self, run: Run<'a>, losses: &mut Losses) -> Option<Run<'a>> {
        let mut left = Some(run);
        let mut again = false;
        while let Some(whole) = left {
            let (head, rest) = whole.split(self.joined_max.load(Ordering::Relaxed));
            match self.try_send(&head) {
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Some(whole),
                // From now on one by one.
                Err(error) if head.joined() && self.learn(&head, &error) => continue,
                // That an earlier one did not arrive is told to whoever sends next, whose datagram then stays here.
                Err(error) if is_news(&error) && !again => {
                    losses.news = Some(error);
                    again = true;
                    continue;
                }
                Err(error) => {
                    debug!(peer = %head.peer, length = head.bytes.len(), %error, "datagram not sent");
                    match errno(&error) {
                        Some(Errno::MSGSIZE) => losses.too_long += head.count(),
                        _ => losses.unsent += head.count(),
                    }
                }
                Ok(()) => {}
            }
            again = false;
            left = rest;
        }
        None
    }

    /// One system call, or two where the address that the peer wrote to can't be sent from.
    pub(super) fn try_send(&self, run: &Run<'_>) -> io::Result<()> {
        if run.local.is_none() && !run.joined() {
            // Without control messages to build and to read.
            return self.socket.try_send_to(run.bytes, run.peer).map(drop);
        }
        match self.transmit(run) {
            // A broadcast address of one of our networks: it looks like any other until it is refused.
            Err(error)
                if run.local.is_some()
                    && matches!(
                        errno(&error),
                        Some(Errno::INVAL | Errno::NETUNREACH | Errno::ADDRNOTAVAIL)
                    ) =>
            {
                self.transmit(&Run { local: None, ..*run })
            }
            outcome => outcome,
        }
    }

    fn transmit(&self, run: &Run<'_>) -> io::Result<()> {
        let transmit = Transmit {
            destination: run.peer,
            ecn: None,
            contents: run.bytes,
            segment_size: run.joined().then_some(run.each),
            src_ip: run.local,
        };
        self.socket.try_io(Interest::WRITABLE, || {
            self.state.try_send((&*self.socket).into(), &transmit)
        })
    }

    /// Whether the error means that such datagrams must leave one by one; from now on they do.
    fn learn(&self, run: &Run<'_>, error: &io::Error) -> bool {
        let joined_max = match errno(error) {
            // The device can't compute checksums.
            Some(Errno::IO) => 0,
            // Longer than the device's packets: only a datagram that leaves alone is cut into fragments.
            Some(Errno::INVAL | Errno::MSGSIZE) => run.each.saturating_sub(1),
            _ => return false,
        };
        self.joined_max.fetch_min(joined_max, Ordering::Relaxed);
        true
    }
}

/// Datagrams that the system did not take, and what it told of earlier ones.
#[derive(Debug, Default)]
pub(super) struct Losses {
    pub(super) too_long: usize,
    pub(super) unsent: usize,
    pub(super) news: Option<io::Error>,
}

impl Losses {
    pub(super) fn count(&self) -> usize {
        self.too_long + self.unsent
    }
}

/// Whether an error may be about an earlier datagram (ICMP).
fn is_news(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::ConnectionRefused | ErrorKind::HostUnreachable | ErrorKind::NetworkUnreachable
    )
}

fn errno(error: &io::Error) -> Option<Errno> {
    error.raw_os_error().map(Errno::from_raw_os_error)
}

/// Readies the socket for batches, and takes back what quinn-udp sets for QUIC only: datagrams beyond the path MTU are
/// cut into fragments, as with every other UDP program, and nobody here reads ECN marks, nor the destination where
/// there is only one.
fn prepared(socket: impl AsFd, local: &SocketAddr) -> io::Result<UdpSocketState> {
    let socket = socket.as_fd();
    let wildcard = local.ip().is_unspecified();
    // On IPv6 sockets this one counts for mapped addresses.
    let discover_v4 = ip_mtu_discover(socket)?;
    let state;
    match local {
        SocketAddr::V4(_) => {
            state = UdpSocketState::new((&socket).into())?;
            set_ip_recvtos(socket, false)?;
            setsockopt(&socket, sockopt::Ipv4PacketInfo, &wildcard)?;
        }
        SocketAddr::V6(_) => {
            let discover_v6 = ipv6_mtu_discover(socket)?;
            state = UdpSocketState::new((&socket).into())?;
            set_ipv6_mtu_discover(socket, discover_v6)?;
            setsockopt(&socket, sockopt::Ipv6DontFrag, &false)?;
            set_ip_recvtos(socket, false)?;
            set_ipv6_recvtclass(socket, false)?;
            setsockopt(&socket, sockopt::Ipv6RecvPacketInfo, &wildcard)?;
        }
    }
    set_ip_mtu_discover(socket, discover_v4)?;
    Ok(state)
}

#[cfg(test)]
mod tests {
    use std::net::UdpSocket as Plain;

    use super::super::tests::{bound, client, receive};
    use super::*;

    #[tokio::test]
    async fn a_run_that_is_refused_leaves_one_by_one() {
        let (here, mut there) = (bound("127.0.0.1:0"), bound("127.0.0.1:0"));
        let bytes = vec![5; 4000];
        let run = Run {
            peer: there.local_addr(),
            local: None,
            bytes: &bytes,
            each: 1500,
        };
        assert!(here.wire.learn(&run, &Errno::MSGSIZE.into()));
        assert_eq!(here.wire.joined_max.load(Ordering::Relaxed), 1499);
        assert_eq!(here.send(run).await, 0);
        let lengths: Vec<_> = receive(&mut there, 3).await.iter().map(Vec::len).collect();
        assert_eq!(lengths, [1500, 1500, 1000]);
        assert!(!here.wire.learn(&run, &Errno::PERM.into()));
    }

    #[tokio::test]
    async fn an_address_that_cannot_be_sent_from_is_not_insisted_on() {
        let datagrams = bound("0.0.0.0:0");
        let client = Plain::bind("127.0.0.1:0").unwrap();
        let local = Some("127.255.255.255".parse().unwrap());
        let run = Run {
            peer: client.local_addr().unwrap(),
            local,
            bytes: b"abcdef",
            each: 2,
        };
        assert_eq!(datagrams.send(run).await, 0);
        assert_eq!(datagrams.wire.joined_max.load(Ordering::Relaxed), LARGEST);
        assert_eq!(client.recv(&mut [0; 9]).unwrap(), 2);
    }

    #[tokio::test]
    async fn path_mtu_discovery_is_left_as_the_system_has_it() {
        for at in ["127.0.0.1:0", "[::1]:0"] {
            let (fresh, ours) = (Plain::bind(at).unwrap(), bound(at));
            let socket = ours.wire.socket.as_fd();
            assert_eq!(ip_mtu_discover(&fresh).unwrap(), ip_mtu_discover(socket).unwrap());
            if at.starts_with('[') {
                assert_eq!(
                    ipv6_mtu_discover(&fresh).unwrap(),
                    ipv6_mtu_discover(socket).unwrap()
                );
            }
        }
    }

    #[tokio::test]
    async fn what_cannot_be_sent_is_lost_alone() {
        let mut datagrams = bound("127.0.0.1:0");
        let closed = Plain::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let to_closed = Run {
            peer: closed,
            local: None,
            bytes: b"x",
            each: 1,
        };
        for _ in 0..3 {
            // The answer is ICMP, port unreachable.
            assert_eq!(datagrams.send(to_closed).await, 0);
        }
        let nowhere = Run {
            peer: "127.0.0.1:0".parse().unwrap(),
            ..to_closed
        };
        let too_long = vec![0; LARGEST + 1];
        let too_long = Run {
            bytes: &too_long,
            each: too_long.len(),
            ..to_closed
        };
        assert_eq!(
            (datagrams.send(nowhere).await, datagrams.send(too_long).await),
            (1, 1)
        );
        let client = client("127.0.0.1:0", datagrams.local_addr());
        client.send(b"still there?").unwrap();
        assert_eq!(receive(&mut datagrams, 1).await, [b"still there?"]);
    }
}
