//! `Datagrams`: a bound UDP socket, read and written in batches; edges and addresses are kept.
//! Absent: peers with a connection each (`flows`), and what is answered.

pub mod flows;

use std::future::poll_fn;
use std::io::{self, ErrorKind, IoSliceMut};
use std::net::{IpAddr, SocketAddr};
use std::os::fd::AsFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, ready};
use std::{array, fmt};

use nix::sys::socket::{setsockopt, sockopt};
use quinn_udp::{BATCH_SIZE, RecvMeta, Transmit, UdpSocketState};
use rustix::io::Errno;
use rustix::net::sockopt::{
    ip_mtu_discover, ipv6_mtu_discover, set_ip_mtu_discover, set_ip_recvtos, set_ipv6_mtu_discover,
    set_ipv6_recvtclass,
};
use tokio::io::Interest;
use tokio::net::UdpSocket;
use tracing::debug;

use crate::connection::datagram::LARGEST;

/// Room for one read: no datagram is longer, and the kernel joins no more than this (GRO).
const ROOM: usize = 65_536;

/// What a read asks for while it is quiet. The second place stays empty then, which says without another system call
/// that nothing more is waiting.
const QUIET: usize = 2;

/// So many datagrams may leave in one transmit: `UDP_MAX_SEGMENTS` of Linux before 6.10.
pub const RUN_MESSAGES_MAX: usize = 64;

/// Datagrams between two addresses, laid end to end: all as long as `each`, but the last one may be shorter.
///
/// It is the unit that the kernel joins on receiving (GRO) and splits on sending (GSO).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Run<'a> {
    /// The other end.
    pub peer: SocketAddr,
    /// Our address that the peer wrote to, where the socket has several; the system chooses when there is none.
    pub local: Option<IpAddr>,
    /// The payloads; without any bytes, one empty datagram.
    pub bytes: &'a [u8],
    /// The length of each datagram.
    pub each: usize,
}

impl<'a> Run<'a> {
    /// The datagrams, one by one.
    pub fn messages(&self) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        let empty: Option<&[u8]> = if self.bytes.is_empty() { Some(&[]) } else { None };
        empty.into_iter().chain(self.bytes.chunks(self.each.max(1)))
    }

    /// Whether it holds more than one datagram.
    #[must_use]
    pub fn joined(&self) -> bool {
        self.bytes.len() > self.each
    }

    /// The part that one system call can take, where datagrams longer than `joined_max` leave one by one; and the rest.
    fn split(self, joined_max: usize) -> (Self, Option<Self>) {
        let count =
            if self.each > joined_max { 1 } else { RUN_MESSAGES_MAX.min(LARGEST / self.each.max(1)).max(1) };
        match self.bytes.split_at_checked(count * self.each) {
            Some((head, rest)) if !rest.is_empty() => {
                (Run { bytes: head, ..self }, Some(Run { bytes: rest, ..self }))
            }
            _ => (self, None),
        }
    }
}

/// A bound UDP socket on the runtime that made it.
pub struct Datagrams {
    wire: Arc<Wire>,
    inbox: Inbox,
}

impl Datagrams {
    /// Takes over a bound socket. Needs a runtime.
    ///
    /// # Errors
    /// What the system says.
    pub fn from_std(socket: std::net::UdpSocket) -> io::Result<Self> {
        let wire = Wire::new(socket)?;
        let inbox = Inbox::new(wire.local.ip().is_unspecified());
        Ok(Datagrams { wire: Arc::new(wire), inbox })
    }

    /// The address that the socket is bound to.
    #[must_use]
    pub fn local_addr(&self) -> SocketAddr {
        self.wire.local
    }

    /// Waits for datagrams, which [`Datagrams::runs`] then gives. Cancel safe.
    ///
    /// # Errors
    /// What the socket says; see [`transient`].
    pub async fn recv(&mut self) -> io::Result<()> {
        poll_fn(|cx| self.poll_recv(cx)).await
    }

    /// [`Datagrams::recv`], polled. Only the last caller is woken.
    ///
    /// # Errors
    /// What the socket says.
    pub fn poll_recv(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        loop {
            ready!(self.wire.socket.poll_recv_ready(cx))?;
            match self.inbox.try_recv(&self.wire) {
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                outcome => return Poll::Ready(outcome),
            }
        }
    }

    /// What the last [`Datagrams::recv`] received.
    pub fn runs(&self) -> impl Iterator<Item = Run<'_>> {
        self.inbox.runs()
    }

    /// Sends every datagram of the run, waiting for room as long as it takes. What the system refuses is lost, as
    /// datagrams are; the number of those is returned and the reason is in the log.
    pub async fn send(&self, run: Run<'_>) -> usize {
        self.wire.send(run).await
    }
}

impl fmt::Debug for Datagrams {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Datagrams").field("local", &self.wire.local).finish_non_exhaustive()
    }
}

/// Whether a socket with this error goes on: the error was about one datagram, or about memory just now.
#[must_use]
pub fn transient(error: &io::Error) -> bool {
    !matches!(
        error.raw_os_error().map(Errno::from_raw_os_error),
        // No errno: the runtime is shutting down.
        None | Some(Errno::BADF | Errno::NOTSOCK | Errno::FAULT | Errno::INVAL | Errno::NOTCONN)
    )
}

/// The buffers of a socket, made once.
struct Inbox {
    /// One [`ROOM`] a place. Memory that was never written to costs nothing.
    room: Box<[u8]>,
    meta: Box<[RecvMeta; BATCH_SIZE]>,
    filled: usize,
    want: usize,
    /// Bound to no address in particular: each datagram says which of ours it was sent to.
    wildcard: bool,
}

impl Inbox {
    fn new(wildcard: bool) -> Self {
        Inbox {
            room: vec![0; BATCH_SIZE * ROOM].into_boxed_slice(),
            meta: Box::new([RecvMeta::default(); BATCH_SIZE]),
            filled: 0,
            want: QUIET,
            wildcard,
        }
    }

    fn try_recv(&mut self, wire: &Wire) -> io::Result<()> {
        let want = self.want;
        self.filled = 0;
        let mut places: [IoSliceMut<'_>; BATCH_SIZE] = array::from_fn(|_| IoSliceMut::new(&mut []));
        for (place, room) in places.iter_mut().zip(self.room.chunks_exact_mut(ROOM)).take(want) {
            *place = IoSliceMut::new(room);
        }
        let mut received = 0;
        let outcome = wire.socket.try_io(Interest::READABLE, || {
            received = wire.state.recv((&wire.socket).into(), &mut places[..want], &mut self.meta[..])?;
            // A place that stayed empty says that nothing is waiting: the readiness is cleared at once, rather than by
            // a read in vain. What arrives meanwhile is a new edge for epoll, so that nothing is missed.
            if received < want { Err(ErrorKind::WouldBlock.into()) } else { Ok(()) }
        });
        if received == 0 {
            return outcome;
        }
        self.filled = received;
        self.want = match received {
            _ if received == want => BATCH_SIZE,
            1 => QUIET,
            _ => want,
        };
        Ok(())
    }

    fn runs(&self) -> impl Iterator<Item = Run<'_>> {
        self.meta.iter().zip(self.room.chunks_exact(ROOM)).take(self.filled).map(|(meta, room)| Run {
            peer: meta.addr,
            local: meta.dst_ip.filter(|ip| self.wildcard && answers(*ip)),
            bytes: &room[..meta.len.min(ROOM)],
            each: if meta.stride == 0 { meta.len } else { meta.stride },
        })
    }
}

/// Whether we may send from this address: nobody is a group or a broadcast.
fn answers(ip: IpAddr) -> bool {
    match ip.to_canonical() {
        IpAddr::V4(v4) => !v4.is_multicast() && !v4.is_broadcast() && !v4.is_unspecified(),
        IpAddr::V6(v6) => !v6.is_multicast() && !v6.is_unspecified(),
    }
}

/// The sending side, which flows share.
struct Wire {
    socket: UdpSocket,
    state: UdpSocketState,
    local: SocketAddr,
    /// Datagrams longer than this leave one by one; learnt from refusals.
    joined_max: AtomicUsize,
}

impl Wire {
    fn new(socket: std::net::UdpSocket) -> io::Result<Self> {
        let local = socket.local_addr()?;
        let state = prepared(&socket, &local)?;
        let joined_max = if state.max_gso_segments() > 1 { LARGEST } else { 0 };
        // quinn-udp made it non-blocking, as tokio needs it.
        let socket = UdpSocket::from_std(socket)?;
        Ok(Wire { socket, state, local, joined_max: AtomicUsize::new(joined_max) })
    }

    async fn send(&self, run: Run<'_>) -> usize {
        let mut lost = 0;
        let (mut head, mut rest) = run.split(self.joined_max.load(Ordering::Relaxed));
        loop {
            match self.try_send(&head) {
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    if self.socket.writable().await.is_err() {
                        // The runtime is shutting down.
                        return lost + head.messages().count() + rest.map_or(0, |rest| rest.messages().count());
                    }
                    continue;
                }
                Err(error) if head.joined() && self.learn(&head, &error) => {
                    // Once more, one by one. The head and the rest lie end to end in the run.
                    let left = head.bytes.len() + rest.map_or(0, |rest| rest.bytes.len());
                    let again = Run { bytes: &run.bytes[run.bytes.len() - left..], ..run };
                    (head, rest) = again.split(self.joined_max.load(Ordering::Relaxed));
                    continue;
                }
                Err(error) => {
                    debug!(peer = %head.peer, length = head.bytes.len(), %error, "datagram not sent");
                    lost += head.messages().count();
                }
                Ok(()) => {}
            }
            match rest {
                None => return lost,
                Some(more) => (head, rest) = more.split(self.joined_max.load(Ordering::Relaxed)),
            }
        }
    }

    /// One system call, or two where the address that the peer wrote to can't be sent from.
    fn try_send(&self, run: &Run<'_>) -> io::Result<()> {
        if run.local.is_none() && !run.joined() {
            // Without control messages to build and to read.
            return self.socket.try_send_to(run.bytes, run.peer).map(drop);
        }
        match self.transmit(run) {
            // A broadcast address of one of our networks: it looks like any other until it is refused.
            Err(error) if run.local.is_some() && errno(&error) == Some(Errno::INVAL) => {
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
        self.socket.try_io(Interest::WRITABLE, || self.state.try_send((&self.socket).into(), &transmit))
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
