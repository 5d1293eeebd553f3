//! One conversation in datagrams, spoken for whoever sits at this end: pieces of their input go out as messages.
//! Absent: datagrams that are passed on (`flows`), or lie in a stream (`framed`).

use std::future::poll_fn;
use std::io;
use std::task::Poll;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::Instant;
use tracing::warn;

use super::{Broken, Ending};
use crate::connection::Datagram;
use crate::connection::datagram::{LARGEST, Messages, ROOM};

/// How bytes become datagrams, and when nothing more is expected.
#[derive(Debug, Clone, Copy, Default)]
pub struct DatagramTerms {
    /// Each line is a datagram, its line end included; otherwise each read is one.
    pub by_line: bool,
    /// After the end of our input: how long nothing may come before the conversation is over. `None`: for ever.
    pub quiet: Option<Duration>,
}

/// Talks for `local` in datagrams. There is no end to pass on: it is over when nothing comes for a while after our
/// input has ended.
///
/// # Errors
/// What broke, and on which side.
pub async fn converse_in_datagrams<L: AsyncRead + AsyncWrite + Unpin>(
    local: &mut L,
    peer: &mut Datagram,
    terms: DatagramTerms,
) -> Result<Ending, Broken> {
    let mut outgoing = Outgoing::new(terms.by_line);
    let mut incoming = vec![0; ROOM];
    let mut input = vec![0; LARGEST];
    let mut quiet_since = Instant::now();
    let mut turn = false;
    loop {
        let ended = outgoing.ended;
        let message = outgoing.message();
        let sending = message.is_some();
        turn = !turn;
        let quiet = async {
            let until = terms.quiet.and_then(|quiet| quiet_since.checked_add(quiet));
            match until {
                Some(until) if ended && !sending => tokio::time::sleep_until(until).await,
                _ => std::future::pending().await,
            }
        };
        tokio::select! {
            moved = exchange(peer, message, &mut incoming, turn) => {
                quiet_since = Instant::now();
                match moved.map_err(Broken::Peer)? {
                    Moved::Sent => outgoing.sent(),
                    Moved::Received(None) => return Ok(Ending::Peer),
                    Moved::Received(Some(length)) => {
                        let written = async {
                            local.write_all(&incoming[..length]).await?;
                            local.flush().await
                        };
                        match written.await {
                            Ok(()) => {}
                            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => return Ok(Ending::Ours),
                            Err(error) => return Err(Broken::Output(error)),
                        }
                    }
                }
            }
            () = quiet => return Ok(Ending::Quiet),
            // Whatever waits is sent before anything is read, so that at most one buffer is held.
            read = local.read(&mut input), if !sending && !ended => {
                match read.map_err(Broken::Input)? {
                    0 => {
                        outgoing.ended = true;
                        quiet_since = Instant::now();
                    }
                    length => outgoing.take(&input[..length]),
                }
            }
        }
    }
}

/// What became of an [`exchange`].
enum Moved {
    /// The message left.
    Sent,
    /// One came, of this length; `None`: no more will.
    Received(Option<usize>),
}

/// Receives, or sends the message if there is one, whichever is possible first; which is tried first is up to `turn`,
/// so that neither waits for the other to run dry. Cancel safe: one of the two happened, or nothing did.
async fn exchange(
    peer: &mut Datagram,
    message: Option<&[u8]>,
    incoming: &mut [u8],
    turn: bool,
) -> io::Result<Moved> {
    poll_fn(|cx| {
        for send in [turn, !turn] {
            let polled = match message {
                Some(message) if send => peer.poll_send(cx, message).map_ok(|()| Moved::Sent),
                None if send => Poll::Pending,
                _ => peer.poll_recv(cx, incoming).map_ok(Moved::Received),
            };
            if polled.is_ready() {
                return polled;
            }
        }
        Poll::Pending
    })
    .await
}

/// Input on its way to become datagrams.
struct Outgoing {
    by_line: bool,
    ended: bool,
    pending: Vec<u8>,
    /// What stands before it has been sent.
    start: usize,
    /// Where the next datagram ends, once that is known.
    end: Option<usize>,
}

impl Outgoing {
    fn new(by_line: bool) -> Self {
        Outgoing {
            by_line,
            ended: false,
            pending: Vec::new(),
            start: 0,
            end: None,
        }
    }

    fn take(&mut self, bytes: &[u8]) {
        // At most the beginning of a line is moved.
        self.pending.drain(..self.start);
        self.start = 0;
        self.pending.extend_from_slice(bytes);
    }

    /// The next datagram, the same one until it is said to be sent. A line longer than the largest one is cut; a last
    /// line without an end is one too.
    fn message(&mut self) -> Option<&[u8]> {
        if self.end.is_none() {
            self.end = self.length().map(|length| self.start + length);
        }
        self.end.map(|end| &self.pending[self.start..end])
    }

    fn length(&self) -> Option<usize> {
        let rest = &self.pending[self.start..];
        if rest.is_empty() {
            return None;
        }
        let most = &rest[..rest.len().min(LARGEST)];
        if !self.by_line {
            return Some(most.len());
        }
        match most.iter().position(|&byte| byte == b'\n') {
            Some(at) => Some(at + 1),
            None if most.len() == LARGEST => {
                warn!("a line is longer than a datagram can be, {LARGEST} bytes: it is cut");
                Some(most.len())
            }
            None if self.ended => Some(most.len()),
            None => None,
        }
    }

    fn sent(&mut self) {
        if let Some(end) = self.end.take() {
            self.start = end;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;
    use std::task::{Context, Waker};

    use tokio::io::duplex;

    use super::*;
    use crate::connection::{Address, Facts, Stream};

    fn stream(io: impl crate::connection::stream::Io) -> Stream {
        Stream::new(io, Facts::new(Address::Unnamed, Address::Unnamed))
    }

    /// An echo that holds little: what it is sent beyond that is lost.
    struct Narrow {
        waiting: VecDeque<Vec<u8>>,
        receiver: Option<Waker>,
    }

    impl Narrow {
        const HOLDS: usize = 4;

        fn peer() -> Datagram {
            let narrow = Narrow {
                waiting: VecDeque::new(),
                receiver: None,
            };
            Datagram::new(narrow, Facts::new(Address::Unnamed, Address::Unnamed))
        }
    }

    impl Messages for Narrow {
        fn poll_recv(&mut self, cx: &mut Context<'_>, buf: &mut [u8]) -> Poll<io::Result<Option<usize>>> {
            let Some(message) = self.waiting.pop_front() else {
                self.receiver = Some(cx.waker().clone());
                return Poll::Pending;
            };
            buf[..message.len()].copy_from_slice(&message);
            Poll::Ready(Ok(Some(message.len())))
        }

        fn poll_send(&mut self, _cx: &mut Context<'_>, message: &[u8]) -> Poll<io::Result<()>> {
            if self.waiting.len() < Self::HOLDS {
                self.waiting.push_back(message.to_vec());
            }
            if let Some(receiver) = self.receiver.take() {
                receiver.wake();
            }
            Poll::Ready(Ok(()))
        }
    }

    #[tokio::test(start_paused = true)]
    async fn answers_are_received_while_much_is_sent() {
        let lines: String = (0..5000).map(|number| format!("{number}\n")).collect();
        let (local, mut user) = duplex(lines.len());
        user.write_all(lines.as_bytes()).await.unwrap();
        user.shutdown().await.unwrap();
        let terms = DatagramTerms {
            by_line: true,
            quiet: Some(Duration::from_secs(1)),
        };
        let ending = converse_in_datagrams(&mut stream(local), &mut Narrow::peer(), terms).await;
        assert_eq!(ending.unwrap(), Ending::Quiet);
        let mut got = String::new();
        user.read_to_string(&mut got).await.unwrap();
        assert!(got == lines, "{} of {} bytes", got.len(), lines.len());
    }

    #[tokio::test(start_paused = true)]
    async fn a_quiet_time_beyond_all_times_is_waited_for() {
        let (local, mut user) = duplex(1000);
        user.shutdown().await.unwrap();
        let terms = DatagramTerms {
            by_line: false,
            quiet: Some(Duration::MAX),
        };
        let (mut local, mut peer) = (stream(local), Narrow::peer());
        let talk = converse_in_datagrams(&mut local, &mut peer, terms);
        let day = Duration::from_secs(24 * 60 * 60);
        assert!(tokio::time::timeout(day, talk).await.is_err());
    }

    #[tokio::test(start_paused = true)]
    async fn the_largest_of_ipv6_is_received_whole() {
        const LARGEST_OF_IPV6: usize = 65_527;
        let (local, mut user) = duplex(ROOM);
        user.shutdown().await.unwrap();
        let narrow = Narrow {
            waiting: [vec![7; LARGEST_OF_IPV6]].into(),
            receiver: None,
        };
        let mut peer = Datagram::new(narrow, Facts::new(Address::Unnamed, Address::Unnamed));
        let terms = DatagramTerms {
            by_line: false,
            quiet: Some(Duration::from_secs(1)),
        };
        let ending = converse_in_datagrams(&mut stream(local), &mut peer, terms).await;
        assert_eq!(ending.unwrap(), Ending::Quiet);
        let mut got = Vec::new();
        user.read_to_end(&mut got).await.unwrap();
        assert_eq!(got.len(), LARGEST_OF_IPV6);
    }

    #[test]
    fn lines_become_datagrams() {
        fn next(outgoing: &mut Outgoing) -> Option<Vec<u8>> {
            let message = outgoing.message().map(<[u8]>::to_vec);
            // Until it is sent, it stays the next one.
            assert_eq!(outgoing.message().map(<[u8]>::to_vec), message);
            outgoing.sent();
            message
        }
        let mut outgoing = Outgoing::new(true);
        outgoing.take(b"one\n\ntw");
        assert_eq!(next(&mut outgoing).unwrap(), b"one\n");
        assert_eq!(next(&mut outgoing).unwrap(), b"\n");
        assert_eq!(next(&mut outgoing), None);
        outgoing.take(b"o");
        assert_eq!(next(&mut outgoing), None);
        outgoing.take(&[b'x'; LARGEST]);
        let cut = next(&mut outgoing).unwrap();
        assert!(cut.len() == LARGEST && cut.starts_with(b"twox"));
        assert_eq!(next(&mut outgoing), None);
        outgoing.ended = true;
        assert_eq!(next(&mut outgoing).unwrap(), b"xxx");
        assert_eq!(next(&mut outgoing), None);
    }
}
