//! What flows as packets in a pcapng file, so that Wireshark shows it: conversations in plain text, made up around the
//! payload. Absent: the layout of blocks and packets, and the writing of the file.

mod shown;
mod spool;

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::time::{Instant, SystemTime};

use self::shown::Shown;
use self::spool::Spool;
use super::packet::{ACK, FIN, PSH, RST, SEGMENT_MAX, SYN, Segment, tcp, udp};
use super::{Direction, Tap, pcapng};
use crate::connection::Facts;
use crate::endpoint::Role;
use crate::error::{Error, Result, Status, reason};

/// Bytes that nobody has acknowledged, at most: well below the windows that the handshake tells of.
const UNACKNOWLEDGED_MAX: u32 = 1024 * 1024;

/// A file that connections are recorded in. Clones are one file.
#[derive(Clone)]
pub struct Recording(Arc<Shared>);

struct Shared {
    name: String,
    spool: Spool,
    connections: AtomicU32,
    /// The same moment on both clocks: time never goes back within a file.
    begun: (SystemTime, Instant),
}

impl fmt::Debug for Recording {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Recording").field(&self.0.name).finish()
    }
}

impl Recording {
    /// Makes the file, for its owner alone; one that is there is emptied, and keeps its permissions.
    ///
    /// # Errors
    /// Status 1: what the system says.
    pub fn create(path: &Path) -> Result<Self> {
        let name = path.display().to_string().escape_debug().to_string();
        let mut head = Vec::new();
        pcapng::begin(&mut head);
        let spool = Spool::create(path, name.clone(), &head).map_err(|error| {
            Error::new(Status::Failure, reason(&error)).on(format!("could not record to {name}"))
        })?;
        Ok(Recording(Arc::new(Shared {
            name,
            spool,
            connections: AtomicU32::new(0),
            begun: (SystemTime::now(), Instant::now()),
        })))
    }

    /// The tap of a stream. `role` is ours: whether we opened the connection, or it was opened to us.
    #[must_use]
    pub fn stream(&self, facts: &Facts, role: Role) -> Box<dyn Tap> {
        let number = self.0.connections.fetch_add(1, Relaxed);
        let mut conversation = Conversation::new(self.clone(), Shown::of(facts, role, number), number);
        conversation.begin(role);
        Box::new(conversation)
    }

    /// The tap of datagrams.
    #[must_use]
    pub fn datagrams(&self, facts: &Facts, role: Role) -> Box<dyn Tap> {
        let number = self.0.connections.fetch_add(1, Relaxed);
        Box::new(Messages {
            recording: self.clone(),
            shown: Shown::of(facts, role, number),
        })
    }

    /// Waits until all that was recorded is in the file; whoever has a tap is to be gone.
    ///
    /// # Errors
    /// Status 1: it is not, and why.
    pub fn finish(&self) -> Result<()> {
        self.0.spool.finish().map_err(|why| {
            Error::new(Status::Failure, why).on(format!("the recording in {} is not whole", self.0.name))
        })
    }

    /// Writes packets that the closure makes of a moment.
    fn write(&self, make: impl FnOnce(&mut Vec<u8>, u64)) {
        self.0.spool.put(|out| make(out, self.0.nanos()));
    }
}

impl Shared {
    /// Nanoseconds since 1970.
    fn nanos(&self) -> u64 {
        let (wall, begun) = self.begun;
        let before = wall.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        u64::try_from((before + begun.elapsed()).as_nanos()).unwrap_or(u64::MAX)
    }
}

/// One side of a conversation over TCP.
#[derive(Debug, Clone, Copy)]
struct Side {
    address: SocketAddr,
    /// The number of its next byte.
    next: u32,
    /// What it has told the other side to have got.
    told: u32,
    ended: bool,
}

/// A stream, as a conversation over TCP.
struct Conversation {
    recording: Recording,
    ours: Side,
    theirs: Side,
    comment: Option<String>,
    /// There is nothing more to tell.
    over: bool,
}

impl Conversation {
    fn new(recording: Recording, shown: Shown, number: u32) -> Self {
        // Numbers begin elsewhere each time: two conversations between the same addresses are two.
        let first = number.wrapping_add(1).wrapping_mul(0x9e37_79b9);
        let side = |address, next| Side {
            address,
            next,
            told: 0,
            ended: false,
        };
        Conversation {
            recording,
            ours: side(shown.ours, first),
            theirs: side(shown.theirs, !first),
            comment: shown.comment,
            over: false,
        }
    }

    /// The handshake.
    fn begin(&mut self, role: Role) {
        let (opening, answering) = match role {
            Role::Client => (Direction::Sent, Direction::Received),
            Role::Server => (Direction::Received, Direction::Sent),
        };
        self.write(|this, out, nanos| {
            this.say(out, nanos, opening, SYN, b"");
            this.say(out, nanos, answering, SYN | ACK, b"");
            this.say(out, nanos, opening, ACK, b"");
        });
    }

    fn write(&mut self, make: impl FnOnce(&mut Self, &mut Vec<u8>, u64)) {
        let recording = self.recording.clone();
        recording.write(|out, nanos| make(self, out, nanos));
    }

    /// Who speaks in this direction, and who listens.
    fn sides(&mut self, direction: Direction) -> (&mut Side, &mut Side) {
        match direction {
            Direction::Received => (&mut self.theirs, &mut self.ours),
            Direction::Sent => (&mut self.ours, &mut self.theirs),
        }
    }

    /// One packet.
    fn say(&mut self, out: &mut Vec<u8>, nanos: u64, direction: Direction, flags: u8, payload: &[u8]) {
        let (from, to) = self.sides(direction);
        let acknowledged = if flags & ACK != 0 { to.next } else { 0 };
        let segment = Segment {
            sequence: from.next,
            acknowledged,
            flags,
        };
        let packet = tcp(from.address, to.address, segment, payload);
        from.told = acknowledged;
        // The beginning and the end count as a byte each.
        let counted = u32::from(flags & (SYN | FIN) != 0) + payload.len() as u32;
        from.next = from.next.wrapping_add(counted);
        let comment = self.comment.take();
        pcapng::packet(out, nanos, direction, &packet, comment.as_deref());
    }

    /// The listener says what it has got, where more than so much is open.
    fn acknowledge(&mut self, out: &mut Vec<u8>, nanos: u64, direction: Direction, open_max: u32) {
        let (from, to) = self.sides(direction);
        if from.next.wrapping_sub(to.told) > open_max {
            self.say(out, nanos, opposite(direction), ACK, b"");
        }
    }
}

fn opposite(direction: Direction) -> Direction {
    match direction {
        Direction::Received => Direction::Sent,
        Direction::Sent => Direction::Received,
    }
}

impl Tap for Conversation {
    fn data(&mut self, direction: Direction, bytes: &[u8]) {
        if self.over || self.sides(direction).0.ended {
            return;
        }
        self.write(|this, out, nanos| {
            let mut pieces = bytes.chunks(SEGMENT_MAX).peekable();
            while let Some(piece) = pieces.next() {
                let push = if pieces.peek().is_none() { PSH } else { 0 };
                this.say(out, nanos, direction, ACK | push, piece);
                this.acknowledge(out, nanos, direction, UNACKNOWLEDGED_MAX);
            }
        });
    }

    fn end(&mut self, direction: Direction) {
        if self.over || std::mem::replace(&mut self.sides(direction).0.ended, true) {
            return;
        }
        self.write(|this, out, nanos| {
            this.say(out, nanos, direction, FIN | ACK, b"");
            this.acknowledge(out, nanos, direction, 0);
            this.over = this.ours.ended && this.theirs.ended;
        });
    }

    fn failed(&mut self, direction: Direction, error: &io::Error) {
        match error.kind() {
            io::ErrorKind::ConnectionReset if !self.over => {
                self.over = true;
                self.write(|this, out, nanos| this.say(out, nanos, Direction::Received, RST | ACK, b""));
            }
            // The connection has ended, even if what it carried has not.
            io::ErrorKind::UnexpectedEof if direction == Direction::Received => self.end(direction),
            _ => {}
        }
    }
}

/// Whoever drops a connection that has not ended leaves it with a reset.
impl Drop for Conversation {
    fn drop(&mut self) {
        if !self.over {
            self.write(|this, out, nanos| this.say(out, nanos, Direction::Sent, RST | ACK, b""));
        }
    }
}

/// Datagrams between two addresses.
struct Messages {
    recording: Recording,
    shown: Shown,
}

impl Tap for Messages {
    fn data(&mut self, direction: Direction, bytes: &[u8]) {
        let (from, to) = match direction {
            Direction::Received => (self.shown.theirs, self.shown.ours),
            Direction::Sent => (self.shown.ours, self.shown.theirs),
        };
        let comment = self.shown.comment.take();
        let packet = udp(from, to, bytes);
        self.recording
            .write(|out, nanos| pcapng::packet(out, nanos, direction, &packet, comment.as_deref()));
    }
}

#[cfg(test)]
mod tests;
