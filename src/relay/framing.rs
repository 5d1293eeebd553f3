//! Framing: how datagrams lie in a stream of bytes, so that their edges can be found again. Pure.
//! Absent: streams, datagrams, and what becomes of a stream that is framed wrongly.

use std::fmt;

use crate::connection::datagram::LARGEST;

/// How datagrams are framed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Framing {
    /// Two bytes before each say how long it is, the high one first, as in DNS over TCP (RFC 1035, section 4.2.2).
    Length,
    /// LF or CRLF ends each. On the way into a stream LF is added where there is none.
    Line,
}

impl Framing {
    /// Every way, by the name that users give it.
    pub const ALL: [(&str, Framing); 2] = [("length", Framing::Length), ("line", Framing::Line)];
}

/// The length before a datagram.
const HEAD: usize = 2;

/// An empty framer that once held more than this gives the memory back.
const KEPT_MAX: usize = 16 * 1024;

impl Framing {
    /// Lays a datagram, framed, behind what is in `out`. `false`: it is too long to be framed, and is not there.
    #[must_use]
    pub fn lay(self, datagram: &[u8], out: &mut Vec<u8>) -> bool {
        match self {
            Framing::Length => {
                let Ok(length) = u16::try_from(datagram.len()) else {
                    return false;
                };
                out.extend_from_slice(&length.to_be_bytes());
                out.extend_from_slice(datagram);
            }
            Framing::Line => {
                out.extend_from_slice(datagram);
                if !datagram.ends_with(b"\n") {
                    out.push(b'\n');
                }
            }
        }
        true
    }
}

/// What is wrong with a framed stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Misframed {
    /// A length that no datagram has.
    Length(usize),
    /// A line that no datagram can hold.
    Line,
    /// The stream ended within a datagram: so much of it had come, of so much.
    Cut(usize, usize),
    /// The stream ended within the length of a datagram.
    CutHead,
}

impl fmt::Display for Misframed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Misframed::Length(length) => {
                write!(
                    f,
                    "a frame of {length} bytes, and a datagram holds {LARGEST} at most"
                )
            }
            Misframed::Line => write!(f, "a line of more than {LARGEST} bytes, which no datagram holds"),
            Misframed::Cut(came, length) => {
                write!(
                    f,
                    "the stream ended within a frame, after {came} of {length} bytes"
                )
            }
            Misframed::CutHead => f.write_str("the stream ended within the length of a frame"),
        }
    }
}

impl std::error::Error for Misframed {}

/// Finds the datagrams in a stream, however it is cut. What it holds is a datagram and what was fed with its end, at
/// most.
#[derive(Debug)]
pub struct Framer {
    framing: Framing,
    bytes: Vec<u8>,
    /// What is before was taken.
    start: usize,
    /// No line ends before here.
    looked: usize,
    ended: bool,
}

/// A datagram in the bytes: where it begins and ends, and where the next one may begin.
struct Cut {
    from: usize,
    to: usize,
    next: usize,
}

impl Framer {
    /// Nothing has come yet.
    #[must_use]
    pub fn new(framing: Framing) -> Self {
        Framer {
            framing,
            bytes: Vec::new(),
            start: 0,
            looked: 0,
            ended: false,
        }
    }

    /// More has come. It is meant for a framer that has no whole datagram.
    pub fn feed(&mut self, bytes: &[u8]) {
        self.bytes.drain(..self.start);
        self.looked = self.looked.saturating_sub(self.start);
        self.start = 0;
        self.bytes.extend_from_slice(bytes);
    }

    /// Nothing more will come.
    pub fn end(&mut self) {
        self.ended = true;
    }

    /// The next datagram, which stays there until it is taken.
    ///
    /// # Errors
    /// It cannot be one, or will never be whole.
    pub fn frame(&mut self) -> Result<Option<&[u8]>, Misframed> {
        Ok(self.cut()?.map(|cut| &self.bytes[cut.from..cut.to]))
    }

    /// Takes the datagram that [`Framer::frame`] gave.
    pub fn take(&mut self) {
        if let Ok(Some(cut)) = self.cut() {
            self.start = cut.next;
            self.looked = cut.next;
        }
        if self.start == self.bytes.len() {
            (self.start, self.looked) = (0, 0);
            self.bytes.clear();
            if self.bytes.capacity() > KEPT_MAX {
                self.bytes = Vec::new();
            }
        }
    }

    fn cut(&mut self) -> Result<Option<Cut>, Misframed> {
        match self.framing {
            Framing::Length => self.cut_length(),
            Framing::Line => self.cut_line(),
        }
    }

    fn cut_length(&self) -> Result<Option<Cut>, Misframed> {
        let rest = &self.bytes[self.start..];
        let Some((head, rest)) = rest.split_first_chunk::<HEAD>() else {
            return match rest {
                [_] if self.ended => Err(Misframed::CutHead),
                _ => Ok(None),
            };
        };
        let length = usize::from(u16::from_be_bytes(*head));
        if length > LARGEST {
            return Err(Misframed::Length(length));
        }
        if rest.len() < length {
            return match self.ended {
                true => Err(Misframed::Cut(rest.len(), length)),
                false => Ok(None),
            };
        }
        let from = self.start + HEAD;
        Ok(Some(Cut {
            from,
            to: from + length,
            next: from + length,
        }))
    }

    fn cut_line(&mut self) -> Result<Option<Cut>, Misframed> {
        let end = self.bytes[self.looked..].iter().position(|byte| *byte == b'\n');
        let cut = match end {
            Some(offset) => {
                let end = self.looked + offset;
                // So that it is found at once when it is taken.
                self.looked = end;
                let line = &self.bytes[self.start..end];
                let length = line.strip_suffix(b"\r").unwrap_or(line).len();
                Some(Cut {
                    from: self.start,
                    to: self.start + length,
                    next: end + 1,
                })
            }
            None => {
                self.looked = self.bytes.len();
                let cut = Cut {
                    from: self.start,
                    to: self.bytes.len(),
                    next: self.bytes.len(),
                };
                // With one byte more it may still be a CRLF that has come in part.
                if !self.ended && cut.to - cut.from > LARGEST + 1 {
                    return Err(Misframed::Line);
                }
                Some(cut).filter(|cut| self.ended && cut.from < cut.to)
            }
        };
        match cut {
            Some(cut) if cut.to - cut.from > LARGEST => Err(Misframed::Line),
            cut => Ok(cut),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// What comes of a stream that arrives in these pieces, and then ends.
    fn fed<'a>(
        framing: Framing,
        pieces: impl IntoIterator<Item = &'a [u8]>,
    ) -> (Vec<Vec<u8>>, Option<Misframed>) {
        let mut framer = Framer::new(framing);
        let mut datagrams = Vec::new();
        let mut all = |framer: &mut Framer| loop {
            match framer.frame() {
                Ok(Some(datagram)) => datagrams.push(datagram.to_vec()),
                Ok(None) => return None,
                Err(wrong) => return Some(wrong),
            }
            framer.take();
        };
        for piece in pieces {
            framer.feed(piece);
            assert!(framer.bytes.len() <= LARGEST + HEAD + piece.len());
            if let Some(wrong) = all(&mut framer) {
                return (datagrams, Some(wrong));
            }
        }
        framer.end();
        let wrong = all(&mut framer);
        (datagrams, wrong)
    }

    #[test]
    fn lengths_and_lines_are_what_they_are() {
        let (datagrams, wrong) = fed(Framing::Length, [&b"\0\x03abc\0\0\0\x01d"[..]]);
        assert_eq!(
            (datagrams, wrong),
            (vec![b"abc".to_vec(), b"".to_vec(), b"d".to_vec()], None)
        );
        let (datagrams, wrong) = fed(Framing::Line, [&b"abc\r\n\nd\re\nlast"[..]]);
        let expected = [&b"abc"[..], b"", b"d\re", b"last"].map(<[u8]>::to_vec);
        assert_eq!((datagrams, wrong), (expected.to_vec(), None));
    }

    #[test]
    fn an_end_within_a_frame_is_told() {
        let wrong = |framing, bytes: &[u8]| fed(framing, [bytes]).1;
        assert_eq!(wrong(Framing::Length, b"\0\x03ab"), Some(Misframed::Cut(2, 3)));
        assert_eq!(wrong(Framing::Length, b"\0\0\0"), Some(Misframed::CutHead));
        assert_eq!(wrong(Framing::Length, b""), None);
        assert_eq!(wrong(Framing::Line, b"\n"), None);
    }

    #[test]
    fn the_longest_passes_and_one_byte_more_does_not() {
        for (length, passes) in [(LARGEST, true), (LARGEST + 1, false)] {
            let mut framed = Vec::new();
            assert!(Framing::Length.lay(&vec![1; length], &mut framed));
            assert_eq!(fed(Framing::Length, [&framed[..]]).1.is_none(), passes);
            for end in ["\n", "\r\n", ""] {
                let line = [&vec![b'x'; length][..], end.as_bytes()].concat();
                let (datagrams, wrong) = fed(Framing::Line, line.chunks(1000));
                assert_eq!(wrong.is_none(), passes, "{length} {end:?}");
                assert_eq!(datagrams.len(), usize::from(passes));
            }
        }
        assert!(!Framing::Length.lay(&vec![1; 65_536], &mut Vec::new()));
        // It is not waited for what cannot come right.
        let endless = vec![b'x'; 3 * LARGEST];
        assert_eq!(fed(Framing::Line, endless.chunks(4096)).1, Some(Misframed::Line));
    }

    proptest! {
        #[test]
        fn what_is_laid_is_found_however_the_stream_is_cut(
            sent in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..300), 0..20),
            cut in 1..50_usize,
        ) {
            let mut framed = Vec::new();
            for datagram in &sent {
                prop_assert!(Framing::Length.lay(datagram, &mut framed));
            }
            prop_assert_eq!(fed(Framing::Length, framed.chunks(cut)), (sent, None));
        }

        #[test]
        fn lines_are_found_however_the_stream_is_cut(
            text in "[ab\r\n]{0,200}",
            cut in 1..50_usize,
        ) {
            let lines: Vec<Vec<u8>> = text
                .split_inclusive('\n')
                .map(|line| match line.strip_suffix('\n') {
                    Some(line) => line.strip_suffix('\r').unwrap_or(line),
                    None => line,
                })
                .map(|line| line.as_bytes().to_vec())
                .collect();
            prop_assert_eq!(fed(Framing::Line, text.as_bytes().chunks(cut)), (lines, None));
        }

        #[test]
        fn lines_that_are_laid_are_found(sent in prop::collection::vec("[a-z\r]{0,20}[a-z]|", 0..20)) {
            let mut framed = Vec::new();
            for line in &sent {
                prop_assert!(Framing::Line.lay(line.as_bytes(), &mut framed));
            }
            let sent: Vec<_> = sent.into_iter().map(String::into_bytes).collect();
            prop_assert_eq!(fed(Framing::Line, [&framed[..]]), (sent, None));
        }
    }
}
