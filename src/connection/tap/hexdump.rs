//! What flows as a hexadecimal dump with offsets, one side's lines marked `<`, the other's `>`.
//! Absent: colour.

use std::fmt::Write as _;
use std::io::Write;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, PoisonError};

use super::{Direction, Tap};
use crate::connection::{Address, Facts};

/// Bytes in a line.
const WIDTH: usize = 16;

/// The peer that was dumped last on standard error, which all connections share.
static LAST: Mutex<String> = Mutex::new(String::new());

/// Connections so far whose peers have no address.
static CONNECTIONS: AtomicU64 = AtomicU64::new(0);

/// The tap that dumps.
pub struct Hexdump {
    out: Box<dyn Write + Send>,
    /// Whose bytes they are, where there are several peers, and who was dumped last.
    peer: Option<(String, &'static Mutex<String>)>,
    received: u64,
    sent: u64,
}

impl Hexdump {
    /// Dumps to `out`. A failing writer ends the dump, not the connection.
    pub fn new(out: impl Write + Send + 'static) -> Self {
        Hexdump {
            out: Box::new(out),
            peer: None,
            received: 0,
            sent: 0,
        }
    }

    /// Dumps to standard error.
    #[must_use]
    pub fn stderr() -> Self {
        Hexdump::new(std::io::stderr())
    }

    /// Dumps to standard error, beside the dumps of other peers: where the peer is not the one dumped last, a line
    /// such as `# 127.0.0.1:5555` comes first.
    ///
    /// Offsets begin at 0. A server of datagrams, which have nothing to do with each other, makes one for each.
    #[must_use]
    pub fn of(peer: String) -> Self {
        Hexdump::named(std::io::stderr(), peer, &LAST)
    }

    /// As [`Hexdump::of`], for a connection: peers that have no address, as the clients of a UNIX socket, are told apart
    /// by a number.
    #[must_use]
    pub fn of_connection(facts: &Facts) -> Self {
        Hexdump::of(name(&facts.peer, &CONNECTIONS))
    }

    fn named(out: impl Write + Send + 'static, peer: String, last: &'static Mutex<String>) -> Self {
        Hexdump {
            peer: Some((peer, last)),
            ..Hexdump::new(out)
        }
    }
}

fn name(peer: &Address, connections: &AtomicU64) -> String {
    match peer {
        Address::Inet(_) => peer.to_string(),
        _ => {
            let number = connections.fetch_add(1, Relaxed) + 1;
            format!("{peer}, connection {number}")
        }
    }
}

impl Tap for Hexdump {
    fn data(&mut self, direction: Direction, bytes: &[u8]) {
        let (mark, offset) = match direction {
            Direction::Received => ('<', &mut self.received),
            Direction::Sent => ('>', &mut self.sent),
        };
        let mut text = String::with_capacity(bytes.len().div_ceil(WIDTH) * 80);
        // Held until the bytes are written: nobody else's come between them and their peer. Nothing in here panics, so
        // that what a poisoned lock holds is sound.
        let mut last = self
            .peer
            .as_ref()
            .map(|(peer, last)| (peer, last.lock().unwrap_or_else(PoisonError::into_inner)));
        if let Some((peer, last)) = &mut last
            && **last != **peer
        {
            let _ = writeln!(text, "# {peer}");
            last.clone_from(peer);
        }
        if bytes.is_empty() {
            // An empty datagram is one all the same.
            let _ = writeln!(text, "{mark} {offset:08x}  (empty)");
        }
        for line in bytes.chunks(WIDTH) {
            dump_line(&mut text, mark, *offset, line);
            *offset += line.len() as u64;
        }
        // One write, so that dumps of several connections do not mix within a piece.
        let _ = self.out.write_all(text.as_bytes());
    }
}

/// `< 00000010  68 65 6c 6c 6f 0a                                 |hello.|`
fn dump_line(text: &mut String, mark: char, offset: u64, bytes: &[u8]) {
    // Writing to a String cannot fail.
    let _ = write!(text, "{mark} {offset:08x} ");
    for column in 0..WIDTH {
        if column == WIDTH / 2 {
            text.push(' ');
        }
        match bytes.get(column) {
            Some(byte) => {
                let _ = write!(text, " {byte:02x}");
            }
            None => text.push_str("   "),
        }
    }
    text.push_str("  |");
    text.extend(bytes.iter().map(|&byte| {
        if (b' '..=b'~').contains(&byte) {
            byte as char
        } else {
            '.'
        }
    }));
    text.push_str("|\n");
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    #[derive(Clone, Default)]
    struct Shared(Arc<Mutex<Vec<u8>>>);

    impl Write for Shared {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn each_direction_has_its_own_offsets() {
        let out = Shared::default();
        let mut dump = Hexdump::new(out.clone());
        dump.data(Direction::Sent, b"hello\n");
        dump.data(Direction::Received, b"0123456789abcdefX");
        dump.data(Direction::Sent, b"!");
        let text = String::from_utf8(out.0.lock().unwrap().clone()).unwrap();
        let expected = "\
> 00000000  68 65 6c 6c 6f 0a                                 |hello.|
< 00000000  30 31 32 33 34 35 36 37  38 39 61 62 63 64 65 66  |0123456789abcdef|
< 00000010  58                                                |X|
> 00000006  21                                                |!|
";
        assert_eq!(text, expected);
    }

    #[test]
    fn peers_without_an_address_have_numbers() {
        let connections = AtomicU64::new(0);
        let name = |peer| name(&peer, &connections);
        assert_eq!(name(Address::Unnamed), "unnamed, connection 1");
        assert_eq!(name(Address::Inet("127.0.0.1:5".parse().unwrap())), "127.0.0.1:5");
        assert_eq!(name(Address::Unnamed), "unnamed, connection 2");
    }

    #[test]
    fn several_peers_are_told_apart() {
        static LAST: Mutex<String> = Mutex::new(String::new());
        let out = Shared::default();
        let of = |peer: &str| Hexdump::named(out.clone(), peer.to_owned(), &LAST);
        let (mut one, mut two) = (of("127.0.0.1:1"), of("127.0.0.1:2"));
        one.data(Direction::Received, b"a");
        one.data(Direction::Sent, b"b");
        two.data(Direction::Received, b"");
        one.data(Direction::Received, b"c");
        let text = String::from_utf8(out.0.lock().unwrap().clone()).unwrap();
        let expected = "\
# 127.0.0.1:1
< 00000000  61                                                |a|
> 00000000  62                                                |b|
# 127.0.0.1:2
< 00000000  (empty)
# 127.0.0.1:1
< 00000001  63                                                |c|
";
        assert_eq!(text, expected);
    }
}
