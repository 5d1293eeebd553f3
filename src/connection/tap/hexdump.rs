//! What flows as a hexadecimal dump with offsets, one side's lines marked `<`, the other's `>`.
//! Absent: colour.

use std::fmt::Write as _;
use std::io::Write;

use super::{Direction, Tap};

/// Bytes in a line.
const WIDTH: usize = 16;

/// The tap that dumps.
pub struct Hexdump {
    out: Box<dyn Write + Send>,
    received: u64,
    sent: u64,
}

impl Hexdump {
    /// Dumps to `out`. A failing writer ends the dump, not the connection.
    pub fn new(out: impl Write + Send + 'static) -> Self {
        Hexdump {
            out: Box::new(out),
            received: 0,
            sent: 0,
        }
    }

    /// Dumps to standard error.
    #[must_use]
    pub fn stderr() -> Self {
        Hexdump::new(std::io::stderr())
    }
}

impl Tap for Hexdump {
    fn data(&mut self, direction: Direction, bytes: &[u8]) {
        let (mark, offset) = match direction {
            Direction::Received => ('<', &mut self.received),
            Direction::Sent => ('>', &mut self.sent),
        };
        let mut text = String::with_capacity(bytes.len().div_ceil(WIDTH) * 80);
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
}
