//! Serves a protocol on datagrams: each is answered by itself, and answers of a kind leave together.
//! Absent: flows, streams, and what the answers say.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tracing::{Level, debug, enabled, warn};

use super::book::Row;
use super::gate::Keeper;
use crate::connection::Address;
use crate::connection::datagram::LARGEST;
use crate::connection::tally::Lost;
use crate::connection::tap::hexdump::Hexdump;
use crate::connection::tap::log::Log;
use crate::connection::tap::{Direction, Tap};
use crate::error::reason;
use crate::protocol::{Answer, Respond};
use crate::transport::datagrams::{Datagrams, RUN_MESSAGES_MAX, Run, transient};

/// Ports whose services answer whatever they get, or may: echo, discard, daytime, qotd, chargen and time, and 0, to
/// which nothing can be sent. To answer a datagram from there may start a conversation without an end, between two
/// servers that a third party introduced by a false source address (CERT CA-1996-01).
const UNANSWERED_PORTS: [u16; 7] = [0, 7, 9, 13, 17, 19, 37];

/// Below this a copy is cheaper than a system call of its own.
const COPIED_MAX: usize = 16 * 1024;

/// After an error that may have to do with memory, so that the socket is not asked in a loop.
const PAUSE: Duration = Duration::from_millis(5);

/// Who is answered, and how long.
#[derive(Default)]
pub(super) struct Terms {
    /// Only the first one is.
    pub(super) once: bool,
    /// Shown on standard error.
    pub(super) hexdump: bool,
    /// Those whom it lets in; without it everybody is.
    pub(super) keeper: Option<Keeper>,
    /// Where they are counted.
    pub(super) row: Option<Arc<Row>>,
}

/// Answers datagrams until the future is dropped, or the first one is served if it is to be served `once`.
///
/// What can't be sent is lost and logged; while the socket has no room for answers nothing is received, so that the
/// kernel's buffer is the only queue.
pub(super) async fn serve(mut datagrams: Datagrams, respond: Arc<dyn Respond>, terms: Terms) {
    let watch = Watch::new(terms.hexdump);
    let mut outbox = Outbox {
        row: terms.row.clone(),
        ..Outbox::default()
    };
    let mut answer = Vec::new();
    loop {
        if let Err(error) = datagrams.recv().await {
            if !transient(&error) {
                warn!(
                    "{}: no more datagrams: {}",
                    datagrams.local_addr(),
                    reason(&error)
                );
                return;
            }
            debug!(%error, "receiving datagrams");
            tokio::time::sleep(PAUSE).await;
            continue;
        }
        let mut pending: Option<Pending<'_>> = None;
        for run in datagrams.runs() {
            if !answered(run.peer) {
                debug!(peer = %run.peer, "datagrams from the port of a small service are not answered");
                continue;
            }
            if let Some(keeper) = &terms.keeper
                && !keeper.admits_datagrams(run.peer, run.messages().count())
            {
                continue;
            }
            if let Some(row) = &terms.row {
                row.datagrams()
                    .count_received(run.messages().count() as u64, run.bytes.len() as u64);
            }
            if run.bytes.len() >= COPIED_MAX {
                outbox.flush(&datagrams, pending.take()).await;
            }
            for (index, message) in run.messages().enumerate() {
                answer.clear();
                watch.data(run.peer, Direction::Received, message);
                let reply = match respond.respond(message, &mut answer) {
                    Answer::Nothing => None,
                    Answer::Request => Some(Reply::Received {
                        offset: index * run.each,
                        length: message.len(),
                    }),
                    Answer::Text => Some(Reply::Written(&answer)),
                };
                match &reply {
                    Some(Reply::Received { .. }) => watch.data(run.peer, Direction::Sent, message),
                    Some(Reply::Written(text)) => watch.data(run.peer, Direction::Sent, text),
                    None => {}
                }
                if let Some(reply) = reply
                    && let Some(full) = outbox.add(&mut pending, &run, &reply)
                {
                    outbox.flush(&datagrams, Some(full)).await;
                    // Nothing is pending now, so that it is taken.
                    let _ = outbox.add(&mut pending, &run, &reply);
                }
                if terms.once {
                    outbox.flush(&datagrams, pending.take()).await;
                    return;
                }
            }
        }
        outbox.flush(&datagrams, pending.take()).await;
    }
}

/// Who looks on. Most of the time nobody does, and then it costs a comparison.
struct Watch {
    log: bool,
    hexdump: bool,
}

impl Watch {
    fn new(hexdump: bool) -> Self {
        Watch {
            log: enabled!(Level::TRACE),
            hexdump,
        }
    }

    fn data(&self, peer: SocketAddr, direction: Direction, message: &[u8]) {
        if self.log {
            Log::of(peer.to_string()).data(direction, message);
        }
        if self.hexdump {
            Hexdump::of(Address::from(peer).to_string()).data(direction, message);
        }
    }
}

/// Whether a datagram from there gets an answer.
fn answered(peer: SocketAddr) -> bool {
    !UNANSWERED_PORTS.contains(&peer.port())
}

/// One answer.
enum Reply<'a> {
    /// A part of the run that was received.
    Received { offset: usize, length: usize },
    /// Text of our own.
    Written(&'a [u8]),
}

/// Answers that will leave together.
struct Pending<'a> {
    /// Whose addresses they have, and, where nothing was copied, whose bytes.
    source: Run<'a>,
    /// Where they stand in the bytes of the source; `None`: in the outbox.
    range: Option<(usize, usize)>,
    each: usize,
    count: usize,
    /// A shorter one was the last: nothing can follow it.
    closed: bool,
}

/// Where answers that don't lie end to end are laid so.
#[derive(Default)]
struct Outbox {
    bytes: Vec<u8>,
    /// Where those that left are counted.
    row: Option<Arc<Row>>,
}

impl Outbox {
    /// Adds the answer to those that are pending, or gives these back: they have to leave first.
    fn add<'a>(
        &mut self,
        pending: &mut Option<Pending<'a>>,
        run: &Run<'a>,
        reply: &Reply<'_>,
    ) -> Option<Pending<'a>> {
        let length = match reply {
            Reply::Received { length, .. } => *length,
            Reply::Written(text) => text.len(),
        };
        let Some(open) = pending else {
            let range = match reply {
                Reply::Received { offset, length } => Some((*offset, offset + length)),
                Reply::Written(text) => {
                    self.bytes.extend_from_slice(text);
                    None
                }
            };
            *pending = Some(Pending {
                source: *run,
                range,
                each: length,
                count: 1,
                closed: false,
            });
            return None;
        };
        let fits = !open.closed
            && (open.source.peer, open.source.local) == (run.peer, run.local)
            // No datagram of a transmit is empty.
            && (1..=open.each).contains(&length)
            && open.count < RUN_MESSAGES_MAX
            && open.each * open.count + length <= LARGEST;
        if !fits {
            return pending.take();
        }
        match (open.range, reply) {
            (Some((start, end)), Reply::Received { offset, length })
                if *offset == end && std::ptr::eq(open.source.bytes, run.bytes) =>
            {
                open.range = Some((start, end + length));
            }
            (Some((start, end)), _) if end - start >= COPIED_MAX => return pending.take(),
            (range, reply) => {
                if let Some((start, end)) = range {
                    self.bytes.extend_from_slice(&open.source.bytes[start..end]);
                    open.range = None;
                }
                self.bytes.extend_from_slice(match reply {
                    Reply::Received { offset, length } => &run.bytes[*offset..offset + length],
                    Reply::Written(text) => text,
                });
            }
        }
        open.count += 1;
        open.closed = length < open.each;
        None
    }

    async fn flush(&mut self, datagrams: &Datagrams, pending: Option<Pending<'_>>) {
        let Some(Pending {
            source,
            range,
            each,
            count,
            ..
        }) = pending
        else {
            return;
        };
        let bytes = match range {
            Some((start, end)) => &source.bytes[start..end],
            None => &self.bytes[..],
        };
        let run = Run {
            bytes,
            each,
            ..source
        };
        let lost = datagrams.send(run).await;
        if let Some(row) = &self.row {
            let sent = bytes.len().saturating_sub(lost.saturating_mul(each));
            row.datagrams()
                .count_sent(count.saturating_sub(lost) as u64, sent as u64);
            row.datagrams().count_lost(Lost::Unsent, lost as u64);
        }
        self.bytes.clear();
    }
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::net::UdpSocket;

    use tokio::task::JoinHandle;

    use super::*;

    /// `?` is not answered, `+` is answered with two bytes and `*` with many; everything else goes back.
    struct Picky;

    impl Respond for Picky {
        fn respond(&self, request: &[u8], answer: &mut Vec<u8>) -> Answer {
            match request {
                [b'?', ..] => return Answer::Nothing,
                [b'+', ..] => answer.extend_from_slice(b"++"),
                [b'*', ..] => answer.resize(70_000, 0),
                _ => return Answer::Request,
            }
            Answer::Text
        }
    }

    fn served(at: &str, once: bool) -> (SocketAddr, JoinHandle<()>) {
        let datagrams = Datagrams::from_std(UdpSocket::bind(at).unwrap()).unwrap();
        (
            datagrams.local_addr(),
            tokio::spawn(serve(
                datagrams,
                Arc::new(Picky),
                Terms {
                    once,
                    ..Terms::default()
                },
            )),
        )
    }

    fn client(to: SocketAddr) -> tokio::net::UdpSocket {
        let client = UdpSocket::bind("127.0.0.1:0").unwrap();
        client.connect(to).unwrap();
        client.set_nonblocking(true).unwrap();
        tokio::net::UdpSocket::from_std(client).unwrap()
    }

    async fn recv(client: &tokio::net::UdpSocket) -> Vec<u8> {
        let mut buf = vec![0; 65_536];
        let length = tokio::time::timeout(Duration::from_secs(10), client.recv(&mut buf))
            .await
            .unwrap()
            .unwrap();
        buf.truncate(length);
        buf
    }

    #[tokio::test]
    async fn answers_of_all_kinds_keep_their_order_and_edges() {
        let (to, _server) = served("127.0.0.1:0", false);
        let client = client(to);
        let long = vec![1; 9000];
        let largest = vec![2; LARGEST];
        let sent: [&[u8]; 15] = [
            b"abcd", b"", b"efgh", b"+", b"?", b"ijkl", b"mn", b"op", b"*", b"+", b"+", b"", &long, &long,
            &largest,
        ];
        for message in sent {
            client.send(message).await.unwrap();
        }
        for message in sent {
            match message {
                b"?" | b"*" => {}
                b"+" => assert_eq!(recv(&client).await, b"++"),
                other => assert!(recv(&client).await == other, "{} bytes", other.len()),
            }
        }
    }

    #[tokio::test]
    async fn a_run_goes_back_as_a_run() {
        let (to, _server) = served("127.0.0.1:0", false);
        let mut client = Datagrams::from_std(UdpSocket::bind("127.0.0.1:0").unwrap()).unwrap();
        for (count, each, last) in [(60, 20, 20), (60, 1000, 1), (3, 1, 1), (10, 1200, 7)] {
            let mut bytes: Vec<u8> = (0..count)
                .flat_map(|number| vec![100 + number as u8; each])
                .collect();
            bytes.truncate(bytes.len() - each + last);
            assert_eq!(
                client
                    .send(Run {
                        peer: to,
                        local: None,
                        bytes: &bytes,
                        each
                    })
                    .await,
                0
            );
            let mut back = Vec::new();
            while back.len() < count {
                tokio::time::timeout(Duration::from_secs(10), client.recv())
                    .await
                    .unwrap()
                    .unwrap();
                back.extend(client.runs().flat_map(|run| run.messages()).map(<[u8]>::to_vec));
            }
            assert_eq!(back, bytes.chunks(each).collect::<Vec<_>>());
        }
    }

    #[tokio::test]
    async fn peers_get_their_own_answers() {
        let (to, _server) = served("127.0.0.1:0", false);
        let clients = [client(to), client(to), client(to)];
        for round in 0..10_u8 {
            for (number, client) in clients.iter().enumerate() {
                client.send(&[round, number as u8]).await.unwrap();
            }
        }
        for round in 0..10_u8 {
            for (number, client) in clients.iter().enumerate() {
                assert_eq!(recv(client).await, [round, number as u8]);
            }
        }
    }

    #[test]
    fn neighbouring_answers_are_laid_end_to_end() {
        let peer = SocketAddr::from(([127, 0, 0, 1], 5000));
        let one = Run {
            peer,
            local: None,
            bytes: b"abcdef",
            each: 2,
        };
        let two = Run { bytes: b"gh", ..one };
        let mut outbox = Outbox::default();
        let mut pending = None;
        for offset in [0, 2, 4] {
            assert!(
                outbox
                    .add(&mut pending, &one, &Reply::Received { offset, length: 2 })
                    .is_none()
            );
        }
        // Nothing was copied so far.
        assert_eq!(
            (pending.as_ref().unwrap().range, outbox.bytes.len()),
            (Some((0, 6)), 0)
        );
        assert!(
            outbox
                .add(&mut pending, &two, &Reply::Received { offset: 0, length: 2 })
                .is_none()
        );
        assert!(outbox.add(&mut pending, &two, &Reply::Written(b"i")).is_none());
        assert_eq!(
            (pending.as_ref().unwrap().range, &outbox.bytes[..]),
            (None, &b"abcdefghi"[..])
        );
        // The short one was the last.
        assert!(outbox.add(&mut pending, &two, &Reply::Written(b"j")).is_some());
        outbox.bytes.clear();
        assert!(outbox.add(&mut pending, &two, &Reply::Written(b"jk")).is_none());
        let other = Run {
            peer: SocketAddr::from(([127, 0, 0, 1], 5001)),
            ..two
        };
        assert!(outbox.add(&mut pending, &other, &Reply::Written(b"lm")).is_some());
    }

    #[tokio::test]
    async fn once_is_over_after_the_first() {
        let (to, server) = served("127.0.0.1:0", true);
        let client = client(to);
        client.send(b"a").await.unwrap();
        client.send(b"b").await.unwrap();
        assert_eq!(recv(&client).await, b"a");
        tokio::time::timeout(Duration::from_secs(10), server)
            .await
            .unwrap()
            .unwrap();
    }

    #[test]
    fn small_services_are_not_answered() {
        for port in [0, 7, 9, 13, 17, 19, 37] {
            assert!(!answered(SocketAddr::from(([192, 0, 2, 1], port))), "{port}");
            assert!(
                !answered(SocketAddr::new("2001:db8::1".parse().unwrap(), port)),
                "{port}"
            );
        }
        assert!(answered(SocketAddr::from(([192, 0, 2, 1], 53))));
        assert!(answered(SocketAddr::from(([192, 0, 2, 1], 50_007))));
    }

    #[tokio::test]
    async fn a_datagram_from_an_echo_port_starts_no_loop() {
        let chargen = match UdpSocket::bind("127.0.0.77:19") {
            Ok(socket) => socket,
            // Only root may say that it is a small service.
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => return,
            Err(error) => panic!("{error}"),
        };
        chargen.set_nonblocking(true).unwrap();
        let (to, _server) = served("0.0.0.0:0", false);
        let to = SocketAddr::from(([127, 0, 0, 1], to.port()));
        chargen.send_to(b"ABC", to).unwrap();
        let client = client(to);
        client.send(b"after it").await.unwrap();
        assert_eq!(recv(&client).await, b"after it");
        assert_eq!(
            chargen.recv(&mut [0; 9]).unwrap_err().kind(),
            io::ErrorKind::WouldBlock
        );
    }

    #[tokio::test]
    async fn a_client_that_is_gone_does_not_stop_the_server() {
        let (to, _server) = served("127.0.0.1:0", false);
        for _ in 0..5 {
            // The answer meets a closed port.
            client(to).send(b"x").await.unwrap();
            tokio::task::yield_now().await;
        }
        let client = client(to);
        client.send(b"still there?").await.unwrap();
        assert_eq!(recv(&client).await, b"still there?");
    }
}
