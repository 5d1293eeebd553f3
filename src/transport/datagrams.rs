//! `Datagrams`: a bound UDP socket, read and written in batches; edges and addresses are kept.
//! Absent: peers with a connection each (`flows`), and what is answered.

pub mod flows;

mod connected;
mod order;
mod outlet;
mod paired;
mod pile;
mod queue;
mod wire;

pub use connected::Connected;
pub use flows::Flows;
pub use paired::{News, Paired};

use std::future::poll_fn;
use std::io::{self, ErrorKind, IoSliceMut};
use std::net::{IpAddr, SocketAddr};
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::{array, fmt};

use quinn_udp::{BATCH_SIZE, RecvMeta};
use rustix::io::Errno;
use tokio::io::Interest;

use self::wire::{Prepared, Wire};
use crate::connection::datagram::{LARGEST, ROOM};

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

    /// How many datagrams there are.
    #[must_use]
    pub fn count(&self) -> usize {
        self.bytes.len().div_ceil(self.each.max(1)).max(1)
    }

    /// Whether it holds more than one datagram.
    #[must_use]
    pub fn joined(&self) -> bool {
        self.bytes.len() > self.each
    }

    /// The part that one system call can take, where datagrams longer than `joined_max` leave one by one; and the rest.
    fn split(self, joined_max: usize) -> (Self, Option<Self>) {
        let count = if self.each > joined_max {
            1
        } else {
            RUN_MESSAGES_MAX.min(LARGEST / self.each.max(1)).max(1)
        };
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

/// A bound UDP socket that is ready for batches, but on no runtime yet.
pub struct Socket(Prepared);

impl Socket {
    /// Takes over a bound socket and sets its options.
    ///
    /// # Errors
    /// What the system says.
    pub fn from_std(socket: std::net::UdpSocket) -> io::Result<Self> {
        Prepared::new(socket).map(Socket)
    }

    /// The address that it is bound to.
    #[must_use]
    pub fn local_addr(&self) -> SocketAddr {
        self.0.local()
    }

    /// The socket on the current runtime, beside those that it is on already: they share what arrives.
    ///
    /// # Errors
    /// What the system says.
    pub fn listen(&self) -> io::Result<Datagrams> {
        Datagrams::new(self.0.try_clone()?)
    }
}

impl AsFd for Socket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl fmt::Debug for Socket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Socket")
            .field("local", &self.0.local())
            .finish_non_exhaustive()
    }
}

impl Datagrams {
    /// Takes over a bound socket. Needs a runtime.
    ///
    /// # Errors
    /// What the system says.
    pub fn from_std(socket: std::net::UdpSocket) -> io::Result<Self> {
        Datagrams::new(Prepared::new(socket)?)
    }

    fn new(prepared: Prepared) -> io::Result<Self> {
        let wire = Wire::new(prepared)?;
        let inbox = Inbox::new(wire.local.ip().is_unspecified());
        Ok(Datagrams {
            wire: Arc::new(wire),
            inbox,
        })
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
        f.debug_struct("Datagrams")
            .field("local", &self.wire.local)
            .finish_non_exhaustive()
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
            received = wire
                .state
                .recv((&wire.socket).into(), &mut places[..want], &mut self.meta[..])?;
            // A place that stayed empty says that nothing is waiting: the readiness is cleared at once, rather than by
            // a read in vain. What arrives meanwhile is a new edge for epoll, so that nothing is missed.
            if received < want {
                Err(ErrorKind::WouldBlock.into())
            } else {
                Ok(())
            }
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
        self.meta
            .iter()
            .zip(self.room.chunks_exact(ROOM))
            .take(self.filled)
            .map(|(meta, room)| Run {
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

#[cfg(test)]
mod tests {
    use std::net::UdpSocket as Plain;
    use std::time::Duration;

    use super::*;

    pub(super) fn bound(at: &str) -> Datagrams {
        Datagrams::from_std(Plain::bind(at).unwrap()).unwrap()
    }

    /// A blocking client, connected: it hears answers from that address only.
    pub(super) fn client(from: &str, to: SocketAddr) -> Plain {
        let client = Plain::bind(from).unwrap();
        client.connect(to).unwrap();
        client.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        client
    }

    pub(super) async fn receive(datagrams: &mut Datagrams, count: usize) -> Vec<Vec<u8>> {
        let mut received = Vec::new();
        while received.len() < count {
            tokio::time::timeout(Duration::from_secs(10), datagrams.recv())
                .await
                .unwrap()
                .unwrap();
            received.extend(
                datagrams
                    .runs()
                    .flat_map(|run| run.messages())
                    .map(<[u8]>::to_vec),
            );
        }
        received
    }

    async fn send_back(datagrams: &Datagrams) {
        for run in datagrams.runs() {
            assert_eq!(datagrams.send(run).await, 0);
        }
    }

    pub(super) fn run(bytes: &[u8], each: usize) -> Run<'_> {
        Run {
            peer: SocketAddr::from(([127, 0, 0, 1], 1)),
            local: None,
            bytes,
            each,
        }
    }

    #[test]
    fn a_run_is_its_messages() {
        let lengths = |bytes, each| run(bytes, each).messages().map(<[u8]>::len).collect::<Vec<_>>();
        assert_eq!(lengths(b"", 0), [0]);
        assert_eq!(lengths(b"abc", 3), [3]);
        assert_eq!(lengths(b"abcdefgh", 3), [3, 3, 2]);
        let counts =
            [(&b""[..], 0), (b"abc", 3), (b"abcdefgh", 3)].map(|(bytes, each)| run(bytes, each).count());
        assert_eq!(counts, [1, 1, 3]);
    }

    #[test]
    fn a_run_is_split_where_the_kernel_wants_it() {
        let bytes = vec![0; 65_507];
        let heads = |each, joined_max| {
            let mut heads = Vec::new();
            let mut rest = Some(run(&bytes, each));
            while let Some(more) = rest {
                let head;
                (head, rest) = more.split(joined_max);
                heads.push(head.bytes.len());
            }
            heads
        };
        assert_eq!(heads(1200, LARGEST), [64_800, 707]);
        assert_eq!(heads(1000, LARGEST), [64_000, 1507]);
        assert_eq!(heads(1000, 999)[..2], [1000, 1000]);
        assert_eq!(heads(65_507, LARGEST), [65_507]);
        assert_eq!(run(b"", 0).split(LARGEST), (run(b"", 0), None));
    }

    #[tokio::test]
    async fn every_datagram_arrives_as_it_was_sent_the_empty_ones_too() {
        let mut datagrams = bound("127.0.0.1:0");
        let client = client("127.0.0.1:0", datagrams.local_addr());
        let sent: Vec<Vec<u8>> = [0, 1, 3, 3, 3, 0, 0, 1500, 1500, 9]
            .iter()
            .map(|n| vec![*n as u8; *n])
            .collect();
        for message in &sent {
            client.send(message).unwrap();
        }
        assert_eq!(receive(&mut datagrams, sent.len()).await, sent);
        client.send(b"").unwrap();
        assert_eq!(receive(&mut datagrams, 1).await, [b""]);
        send_back(&datagrams).await;
        assert_eq!(client.recv(&mut [0; 9]).unwrap(), 0);
    }

    #[tokio::test]
    async fn runs_keep_their_edges_both_ways() {
        let (mut here, mut there) = (bound("127.0.0.1:0"), bound("127.0.0.1:0"));
        let bytes: Vec<u8> = (0..100_u32 * 300 + 7).map(|n| (n / 300) as u8).collect();
        let run = Run {
            peer: there.local_addr(),
            local: None,
            bytes: &bytes,
            each: 300,
        };
        assert_eq!(here.send(run).await, 0);
        assert_eq!(
            receive(&mut there, 101).await,
            bytes.chunks(300).collect::<Vec<_>>()
        );
        assert_eq!(here.send(run).await, 0);
        there.recv().await.unwrap();
        send_back(&there).await;
        let back = receive(&mut here, 64).await;
        assert_eq!(back, bytes.chunks(300).take(back.len()).collect::<Vec<_>>());
    }

    #[tokio::test]
    async fn more_than_a_batch_is_not_forgotten() {
        let mut datagrams = bound("127.0.0.1:0");
        let client = client("127.0.0.1:0", datagrams.local_addr());
        // So many that they fit the kernel's buffer and that reads end full, half full and empty.
        for count in [1, 2, 3, 32, 33, 70, 1] {
            for number in 0..count {
                client.send(&[number]).unwrap();
            }
            let numbers: Vec<_> = receive(&mut datagrams, usize::from(count)).await.concat();
            assert_eq!(numbers, (0..count).collect::<Vec<_>>());
        }
    }

    #[tokio::test]
    async fn the_largest_datagrams_pass_both_ways() {
        // 65,527 bytes over IPv6 are more than a packet on the loopback interface holds: they are cut into fragments.
        for (at, length) in [("127.0.0.1:0", LARGEST), ("[::1]:0", 65_527)] {
            let mut datagrams = bound(at);
            let client = client(at, datagrams.local_addr());
            let sent: Vec<u8> = (0..length).map(|n| n as u8).collect();
            client.send(&sent).unwrap();
            assert!(receive(&mut datagrams, 1).await == [&sent[..]], "{at}");
            send_back(&datagrams).await;
            let mut back = vec![0; length];
            assert_eq!(client.recv(&mut back).unwrap(), length);
            assert!(back == sent, "{at}");
        }
    }

    #[tokio::test]
    async fn answers_leave_from_the_address_that_was_written_to() {
        for (at, from, to) in [
            ("0.0.0.0:0", "127.0.0.1:0", "127.0.0.2"),
            ("[::]:0", "127.0.0.1:0", "127.0.0.2"),
            ("[::]:0", "[::1]:0", "::1"),
        ] {
            let mut datagrams = bound(at);
            let to = SocketAddr::new(to.parse().unwrap(), datagrams.local_addr().port());
            let client = client(from, to);
            client.send(b"hello").unwrap();
            assert_eq!(receive(&mut datagrams, 1).await, [b"hello"]);
            assert_eq!(
                datagrams.runs().next().unwrap().local.unwrap().to_canonical(),
                to.ip()
            );
            send_back(&datagrams).await;
            let mut buf = [0; 9];
            assert_eq!(client.recv(&mut buf).unwrap(), 5, "{at} {to}");
        }
        assert!(!answers("224.0.0.1".parse().unwrap()) && !answers("255.255.255.255".parse().unwrap()));
    }

    #[test]
    fn errors_of_one_datagram_do_not_end_a_socket() {
        for errno in [
            Errno::CONNREFUSED,
            Errno::HOSTUNREACH,
            Errno::NETUNREACH,
            Errno::PERM,
            Errno::NOBUFS,
        ] {
            assert!(transient(&errno.into()), "{errno:?}");
        }
        assert!(!transient(&Errno::BADF.into()) && !transient(&io::Error::other("shutting down")));
    }
}
