//! `Outlet`: a way out for datagrams that came elsewhere: a socket, and who is written to. What there is no room for
//! waits in a queue. Absent: where they came from.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use super::Run;
use super::pile::Pile;
use super::queue::Queue;
use super::wire::{Losses, Wire};
use crate::connection::tally::{Lost, Tally};

/// From here on a run leaves as it is; below, a copy is cheaper than a system call of its own.
const COPIED_BYTES_MAX: usize = 16 * 1024;

/// The same, in datagrams.
const COPIED_MAX: usize = 16;

/// A way out.
pub(super) struct Outlet {
    pub(super) wire: Arc<Wire>,
    pub(super) peer: SocketAddr,
    pub(super) local: Option<IpAddr>,
}

/// What became of datagrams at an outlet.
#[derive(Debug, Default)]
pub(super) struct Passed {
    pub(super) messages: usize,
    pub(super) bytes: usize,
    queue_full: usize,
    losses: Losses,
}

impl Passed {
    /// Whether any of them left.
    pub(super) fn any(&self) -> bool {
        self.messages > 0
    }

    /// What the system told of earlier datagrams.
    pub(super) fn news(&mut self) -> Option<io::Error> {
        self.losses.news.take()
    }

    pub(super) fn count_losses(&self, tally: &Tally) {
        tally.count_lost(Lost::Queue, self.queue_full as u64);
        tally.count_lost(Lost::TooLong, self.losses.too_long as u64);
        tally.count_lost(Lost::Unsent, self.losses.unsent as u64);
    }

    fn wait(&mut self, run: &Run<'_>, queue: &mut Queue, room: usize) {
        self.queue_full += run
            .messages()
            .filter(|message| !queue.push(message, room))
            .count();
    }
}

impl Outlet {
    /// Sends all that waits, as far as there is room. Says whether nothing waits any more.
    pub(super) fn flush(&self, queue: &mut Queue, passed: &mut Passed) -> bool {
        while let Some(message) = queue.front() {
            let run = self.run(message, message.len());
            if self.send_now(run, passed).is_some() {
                return false;
            }
            queue.skip();
        }
        true
    }

    /// Sends these in as few system calls as their lengths allow. From the first on that there is no room for, they
    /// wait in the queue, which takes `room` bytes; `pile` is only lent, and empty.
    pub(super) fn pass<'a>(
        &self,
        runs: impl Iterator<Item = Run<'a>>,
        pile: &mut Pile,
        queue: &mut Queue,
        room: usize,
    ) -> Passed {
        let mut passed = Passed::default();
        for run in runs {
            if !queue.is_empty() {
                passed.wait(&run, queue, room);
            } else if run.bytes.len() >= COPIED_BYTES_MAX || run.count() >= COPIED_MAX {
                self.leave(pile, queue, room, &mut passed);
                self.hand(self.run(run.bytes, run.each), queue, room, &mut passed);
            } else {
                for message in run.messages() {
                    if !pile.add(message) {
                        self.leave(pile, queue, room, &mut passed);
                        pile.add(message);
                    }
                }
            }
        }
        self.leave(pile, queue, room, &mut passed);
        passed
    }

    fn run<'a>(&self, bytes: &'a [u8], each: usize) -> Run<'a> {
        Run {
            peer: self.peer,
            local: self.local,
            bytes,
            each,
        }
    }

    fn leave(&self, pile: &mut Pile, queue: &mut Queue, room: usize, passed: &mut Passed) {
        if !pile.is_empty() {
            let (bytes, each) = pile.laid();
            self.hand(self.run(bytes, each), queue, room, passed);
            pile.clear();
        }
    }

    fn hand(&self, run: Run<'_>, queue: &mut Queue, room: usize, passed: &mut Passed) {
        if !queue.is_empty() {
            passed.wait(&run, queue, room);
        } else if let Some(rest) = self.send_now(run, passed) {
            passed.wait(&rest, queue, room);
        }
    }

    fn send_now<'a>(&self, run: Run<'a>, passed: &mut Passed) -> Option<Run<'a>> {
        let before = passed.losses.count();
        let rest = self.wire.send_now(run, &mut passed.losses);
        let lost = passed.losses.count() - before;
        let (left, left_bytes) = rest.map_or((0, 0), |rest| (rest.count(), rest.bytes.len()));
        let gone = run.count() - left - lost;
        passed.messages += gone;
        // What was lost was as long as each, but for the last of a run.
        passed.bytes += (run.bytes.len() - left_bytes).saturating_sub(lost * run.each);
        rest
    }
}

#[cfg(test)]
mod tests {
    use std::net::UdpSocket;

    use super::super::tests::{bound, client, receive};
    use super::*;

    #[tokio::test]
    async fn small_ones_leave_together_and_all_keep_their_edges_and_order() {
        let (mut there, here) = (bound("127.0.0.1:0"), bound("127.0.0.1:0"));
        let outlet = Outlet {
            wire: Arc::clone(&here.wire),
            peer: there.local_addr(),
            local: None,
        };
        // Nobody knows that of a new socket.
        outlet.wire.socket.writable().await.unwrap();
        let (mut pile, mut queue) = (Pile::default(), Queue::default());
        let (long, many) = (vec![7; 30_000], vec![8; 100]);
        let sent = [
            (&b"abc"[..], 3),
            (b"", 0),
            (b"defgh", 3),
            (&long, 9000),
            (b"i", 1),
            (&many, 2),
        ];
        let runs = || sent.iter().map(|(bytes, each)| outlet.run(bytes, *each));
        let mut passed = outlet.pass(runs(), &mut pile, &mut queue, 1000);
        assert!(passed.any() && passed.news().is_none() && queue.is_empty() && pile.is_empty());
        let expected: Vec<_> = runs()
            .flat_map(|run| run.messages())
            .map(<[u8]>::to_vec)
            .collect();
        assert_eq!(
            (passed.messages, passed.bytes),
            (expected.len(), expected.concat().len())
        );
        assert_eq!(receive(&mut there, expected.len()).await, expected);
        // What waits goes first.
        queue.push(b"waits", 1000);
        assert!(
            !outlet
                .pass([outlet.run(b"more", 4)].into_iter(), &mut pile, &mut queue, 1000)
                .any()
        );
        let mut passed = Passed::default();
        assert!(outlet.flush(&mut queue, &mut passed));
        assert_eq!(receive(&mut there, 2).await, [&b"waits"[..], b"more"]);
    }

    #[tokio::test]
    async fn what_is_too_long_is_lost_alone() {
        let server = bound("127.0.0.1:0");
        let client = client("127.0.0.1:0", server.local_addr());
        let outlet = Outlet {
            wire: Arc::clone(&server.wire),
            peer: client.local_addr().unwrap(),
            local: None,
        };
        outlet.wire.socket.writable().await.unwrap();
        let long = vec![0; 65_508];
        let tally = Tally::default();
        let runs = [outlet.run(&long, long.len()), outlet.run(b"after", 5)];
        let passed = outlet.pass(
            runs.into_iter(),
            &mut Pile::default(),
            &mut Queue::default(),
            1000,
        );
        passed.count_losses(&tally);
        assert_eq!(
            (passed.messages, passed.bytes, tally.lost(Lost::TooLong)),
            (1, 5, 1)
        );
        assert_eq!(UdpSocket::recv(&client, &mut [0; 9]).unwrap(), 5);
    }
}
