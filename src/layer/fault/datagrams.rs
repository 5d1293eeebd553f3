//! Faults for datagrams: what is received through this layer comes late, at a rate, or with flipped bits, and keeps its
//! edges and its order. Absent: the other direction, and losing any, which a line does that is too slow.

use std::collections::VecDeque;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::time::{Instant, Sleep};

use super::chance::Chance;
use super::corrupt::Corrupt;
use super::lag::Lag;
use super::pace::Pace;
use super::{Faults, PIECES_MAX, RIPE_MAX, UNDER_WAY_MAX};
use crate::connection::Datagram;
use crate::connection::datagram::Messages;

/// The connection, with faults in what is received on it; one that ends after so many bytes is not among them. What chance
/// decides, the seed does.
#[must_use]
pub fn faulty_datagram(datagram: Datagram, faults: &Faults, seed: u64) -> Datagram {
    let seed_of = |number| Chance::branch(seed, number);
    datagram.map(|messages| Faulty {
        inner: messages,
        lag: Lag::new(faults.delay, faults.jitter, seed_of(0)),
        pace: faults.rate.map(|rate| Pace::new(rate, Instant::now())),
        corrupt: faults.corrupt.map(|every| Corrupt::new(every, seed_of(1))),
        under_way: VecDeque::new(),
        bytes: 0,
        ripe: 0,
        ripe_bytes: 0,
        passing: None,
        end: None,
        timer: None,
    })
}

struct Faulty<T> {
    inner: T,
    lag: Lag,
    pace: Option<Pace>,
    corrupt: Option<Corrupt>,
    under_way: VecDeque<Late>,
    /// All that is under way.
    bytes: usize,
    /// So many, from the front, have been for long enough, and wait for their turn by the rate.
    ripe: usize,
    ripe_bytes: usize,
    /// When the first of them has passed.
    passing: Option<Instant>,
    /// When it is told that no more will come.
    end: Option<Instant>,
    timer: Option<Pin<Box<Sleep>>>,
}

/// A datagram on its way.
struct Late {
    due: Instant,
    bytes: Box<[u8]>,
}

impl<T: Messages> Faulty<T> {
    /// Takes in what there is, as far as there is room: the rest stays with the socket, which has bounds of its own. `buf` is
    /// only lent.
    fn fill(&mut self, cx: &mut Context<'_>, now: Instant, buf: &mut [u8]) -> io::Result<()> {
        while self.end.is_none()
            && self.bytes < UNDER_WAY_MAX
            && self.ripe_bytes < RIPE_MAX
            && self.under_way.len() < PIECES_MAX
        {
            let Poll::Ready(received) = self.inner.poll_recv(cx, buf)? else {
                return Ok(());
            };
            let due = self.lag.due(now);
            let Some(length) = received else {
                self.end = Some(due);
                return Ok(());
            };
            let bytes = &mut buf[..length];
            if let Some(corrupt) = &mut self.corrupt {
                corrupt.apply(bytes);
            }
            self.bytes += length;
            self.under_way.push_back(Late {
                due,
                bytes: (&*bytes).into(),
            });
            self.ripen(now);
        }
        Ok(())
    }

    fn ripen(&mut self, now: Instant) {
        while let Some(late) = self.under_way.get(self.ripe)
            && late.due <= now
        {
            self.ripe += 1;
            self.ripe_bytes += late.bytes.len();
        }
    }

    /// The first one, if it has passed by now; else when there is to be asked again, if that is known.
    fn next(&mut self, now: Instant) -> Result<Box<[u8]>, Option<Instant>> {
        let first = self.under_way.front().ok_or(None)?;
        if self.ripe == 0 {
            return Err(Some(first.due));
        }
        let length = first.bytes.len();
        let passed = *self.passing.get_or_insert_with(|| match &mut self.pace {
            None => now,
            Some(pace) => pace.due(now, length as u64),
        });
        if passed > now {
            return Err(Some(passed));
        }
        let first = self.under_way.pop_front().ok_or(None)?;
        self.passing = None;
        self.bytes -= length;
        self.ripe -= 1;
        self.ripe_bytes -= length;
        if self.under_way.is_empty() {
            // Given back, not kept: an idle flow holds nothing.
            self.under_way = VecDeque::new();
        }
        Ok(first.bytes)
    }
}

impl<T: Messages> Messages for Faulty<T> {
    fn poll_recv(&mut self, cx: &mut Context<'_>, buf: &mut [u8]) -> Poll<io::Result<Option<usize>>> {
        loop {
            let now = Instant::now();
            self.ripen(now);
            self.fill(cx, now, buf)?;
            let until = match self.next(now) {
                Ok(bytes) => {
                    let length = bytes.len().min(buf.len());
                    buf[..length].copy_from_slice(&bytes[..length]);
                    return Poll::Ready(Ok(Some(length)));
                }
                Err(Some(until)) => until,
                Err(None) => match self.end {
                    None => return Poll::Pending,
                    Some(end) if end <= now => return Poll::Ready(Ok(None)),
                    Some(end) => end,
                },
            };
            let timer = self
                .timer
                .get_or_insert_with(|| Box::pin(tokio::time::sleep_until(until)));
            if timer.deadline() != until {
                timer.as_mut().reset(until);
            }
            ready!(timer.as_mut().poll(cx));
        }
    }

    fn poll_send(&mut self, cx: &mut Context<'_>, message: &[u8]) -> Poll<io::Result<()>> {
        self.inner.poll_send(cx, message)
    }

    fn poll_over(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.inner.poll_over(cx)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;
    use std::num::NonZeroU64;
    use std::sync::{Arc, Mutex};
    use std::task::Waker;
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;
    use crate::connection::{Address, Facts};

    /// What a peer sent: datagrams, failures, and the end.
    #[derive(Default)]
    struct Peer {
        sent: VecDeque<io::Result<Option<Vec<u8>>>>,
        reader: Option<Waker>,
    }

    #[derive(Clone, Default)]
    struct Line(Arc<Mutex<Peer>>);

    impl Line {
        fn send(&self, what: io::Result<Option<&[u8]>>) {
            let mut peer = self.0.lock().unwrap();
            peer.sent.push_back(what.map(|bytes| bytes.map(<[u8]>::to_vec)));
            if let Some(reader) = peer.reader.take() {
                reader.wake();
            }
        }

        fn left(&self) -> usize {
            self.0.lock().unwrap().sent.len()
        }

        fn with(&self, faults: Faults) -> Datagram {
            let facts = Facts::new(Address::Unnamed, Address::Unnamed);
            faulty_datagram(Datagram::new(self.clone(), facts), &faults, 1)
        }
    }

    impl Messages for Line {
        fn poll_recv(&mut self, cx: &mut Context<'_>, buf: &mut [u8]) -> Poll<io::Result<Option<usize>>> {
            let mut peer = self.0.lock().unwrap();
            match peer.sent.pop_front() {
                None => {
                    peer.reader = Some(cx.waker().clone());
                    Poll::Pending
                }
                Some(sent) => Poll::Ready(sent.map(|bytes| {
                    bytes.map(|bytes| {
                        buf[..bytes.len()].copy_from_slice(&bytes);
                        bytes.len()
                    })
                })),
            }
        }

        fn poll_send(&mut self, _cx: &mut Context<'_>, _message: &[u8]) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }
    }

    async fn heard(datagram: &mut Datagram) -> Option<Vec<u8>> {
        let mut buf = [0; 2000];
        let length = datagram.recv(&mut buf).await.unwrap()?;
        Some(buf[..length].to_vec())
    }

    fn rate(rate: u64) -> Faults {
        Faults {
            rate: NonZeroU64::new(rate),
            ..Faults::default()
        }
    }

    #[tokio::test(start_paused = true)]
    async fn each_is_as_late_as_the_other_and_so_is_the_end() {
        let line = Line::default();
        let mut datagram = line.with(Faults {
            delay: Duration::from_secs(2),
            ..Faults::default()
        });
        let start = Instant::now();
        line.send(Ok(Some(b"one")));
        line.send(Ok(Some(b"")));
        let later = line.clone();
        tokio::spawn(async move {
            tokio::time::sleep(Duration::from_secs(1)).await;
            later.send(Ok(Some(b"two")));
            later.send(Ok(None));
        });
        assert_eq!(heard(&mut datagram).await.unwrap(), b"one");
        assert_eq!(heard(&mut datagram).await.unwrap(), b"");
        assert_eq!(start.elapsed(), Duration::from_secs(2));
        assert_eq!(heard(&mut datagram).await.unwrap(), b"two");
        assert_eq!(heard(&mut datagram).await, None);
        assert_eq!(start.elapsed(), Duration::from_secs(3));
    }

    #[tokio::test(start_paused = true)]
    async fn a_failure_is_told_at_once_and_ends_nothing() {
        let line = Line::default();
        let mut datagram = line.with(Faults {
            delay: Duration::from_secs(2),
            ..Faults::default()
        });
        let start = Instant::now();
        line.send(Ok(Some(b"before")));
        line.send(Err(io::ErrorKind::ConnectionRefused.into()));
        let error = datagram.recv(&mut [0; 9]).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused);
        assert_eq!(start.elapsed(), Duration::ZERO);
        assert_eq!(heard(&mut datagram).await.unwrap(), b"before");
    }

    #[tokio::test(start_paused = true)]
    async fn a_rate_is_kept_by_whole_datagrams() {
        let line = Line::default();
        let mut datagram = line.with(rate(1000));
        let start = Instant::now();
        for _ in 0..4 {
            line.send(Ok(Some(&[0; 500])));
        }
        for half_seconds in 1..=4 {
            assert_eq!(heard(&mut datagram).await.unwrap().len(), 500);
            assert_eq!(start.elapsed(), Duration::from_millis(500 * half_seconds));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn what_a_slow_line_has_no_room_for_is_left_to_the_socket() {
        let line = Line::default();
        let mut datagram = line.with(rate(1));
        for _ in 0..1000 {
            line.send(Ok(Some(&[0; 1000])));
        }
        let patience = Duration::from_millis(1);
        let heard = tokio::time::timeout(patience, heard(&mut datagram));
        assert!(heard.await.is_err());
        assert_eq!(line.left(), 1000 - RIPE_MAX.div_ceil(1000));
    }

    proptest! {
        #[test]
        fn none_is_lost_cut_or_overtaken(
            lengths in proptest::collection::vec(0_usize..1500, 1..60),
            delay in 0_u64..100,
            jitter in 0_u64..100,
            limited in any::<bool>(),
        ) {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_time()
                .start_paused(true)
                .build()
                .unwrap();
            runtime.block_on(async {
                let line = Line::default();
                let mut datagram = line.with(Faults {
                    delay: Duration::from_millis(delay),
                    jitter: Duration::from_millis(jitter),
                    rate: NonZeroU64::new(10_000).filter(|_| limited),
                    ..Faults::default()
                });
                let sent: Vec<Vec<u8>> = (0_u8..).zip(&lengths).map(|(at, &length)| vec![at; length]).collect();
                for bytes in &sent {
                    line.send(Ok(Some(bytes)));
                }
                line.send(Ok(None));
                for bytes in &sent {
                    assert_eq!(&heard(&mut datagram).await.unwrap(), bytes);
                }
                assert_eq!(heard(&mut datagram).await, None);
            });
        }
    }
}
