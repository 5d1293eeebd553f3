//! Bytes as they come -> lines: CRLF or LF ends one, and no more than the limit is ever held of one.
//! Absent: where the bytes come from, and what the lines mean.

/// A line is longer than the limit. Nothing behind it is read as lines any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Overlong;

/// What has come and is not taken yet. Empty, it holds no memory.
#[derive(Debug)]
pub(super) struct Split {
    /// The longest line that is taken, its end not counted.
    limit: usize,
    held: Vec<u8>,
    /// Where the next line begins.
    at: usize,
    /// Up to here no line end was found, so that a line that comes byte by byte is not searched over and over.
    searched: usize,
    overlong: bool,
}

impl Split {
    pub(super) fn new(limit: usize) -> Self {
        Split {
            limit,
            held: Vec::new(),
            at: 0,
            searched: 0,
            overlong: false,
        }
    }

    /// Takes what came. Ask for lines until there is none before more is pushed: that bounds what is held.
    pub(super) fn push(&mut self, bytes: &[u8]) {
        self.held.extend_from_slice(bytes);
    }

    /// The next whole line without its end, or that it is too long; `None`: more has to come first.
    pub(super) fn next(&mut self) -> Option<Result<&[u8], Overlong>> {
        if self.overlong {
            return Some(Err(Overlong));
        }
        let found = self.held[self.searched..].iter().position(|byte| *byte == b'\n');
        let Some(found) = found else {
            self.searched = self.held.len();
            if self.cannot_fit() {
                return Some(Err(self.give_up()));
            }
            self.give_back();
            return None;
        };
        let (start, end) = (self.at, self.searched + found);
        self.at = end + 1;
        self.searched = self.at;
        let length = match self.held[start..end] {
            [.., b'\r'] => end - start - 1,
            _ => end - start,
        };
        if length > self.limit {
            return Some(Err(self.give_up()));
        }
        Some(Ok(&self.held[start..start + length]))
    }

    /// Whether the unfinished line is too long whatever comes. A CR may still turn out to belong to its end.
    fn cannot_fit(&self) -> bool {
        let pending = &self.held[self.at..];
        let counted = pending.strip_suffix(b"\r").unwrap_or(pending);
        counted.len() > self.limit
    }

    fn give_up(&mut self) -> Overlong {
        self.overlong = true;
        self.held = Vec::new();
        (self.at, self.searched) = (0, 0);
        Overlong
    }

    /// Keeps the unfinished line alone, and no more memory than it needs.
    fn give_back(&mut self) {
        if self.at > 0 {
            self.held.drain(..self.at);
            self.held.shrink_to_fit();
            self.searched -= self.at;
            self.at = 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn lines_of<'a>(
        limit: usize,
        pieces: impl IntoIterator<Item = &'a [u8]>,
    ) -> Vec<Result<Vec<u8>, Overlong>> {
        let mut split = Split::new(limit);
        let mut lines = Vec::new();
        for piece in pieces {
            split.push(piece);
            while let Some(line) = split.next() {
                lines.push(line.map(<[u8]>::to_vec));
                if lines.last() == Some(&Err(Overlong)) {
                    return lines;
                }
            }
            assert!(split.held.len() <= limit + 1, "{} held", split.held.len());
        }
        lines
    }

    /// What the rules say, without any cleverness.
    fn expected(limit: usize, bytes: &[u8]) -> Vec<Result<Vec<u8>, Overlong>> {
        let mut lines = Vec::new();
        let mut pieces: Vec<&[u8]> = bytes.split(|byte| *byte == b'\n').collect();
        let rest = pieces.pop().unwrap_or_default();
        for line in pieces {
            let line = line.strip_suffix(b"\r").unwrap_or(line);
            if line.len() > limit {
                lines.push(Err(Overlong));
                return lines;
            }
            lines.push(Ok(line.to_vec()));
        }
        if rest.strip_suffix(b"\r").unwrap_or(rest).len() > limit {
            lines.push(Err(Overlong));
        }
        lines
    }

    #[test]
    fn either_end_is_one_and_a_bare_cr_is_none() {
        let lines = lines_of(99, [&b"a\r\nb\n\n\r\nc\rd\r\r\ne"[..]]);
        let lines: Vec<_> = lines.into_iter().map(Result::unwrap).collect();
        assert_eq!(lines, [&b"a"[..], b"b", b"", b"", b"c\rd\r"]);
    }

    #[test]
    fn the_limit_is_on_the_line_itself() {
        for end in [&b"\n"[..], b"\r\n"] {
            assert_eq!(lines_of(3, [b"abc", end]), [Ok(b"abc".to_vec())]);
            assert_eq!(lines_of(3, [b"abcd", end]), [Err(Overlong)]);
        }
        // Before its end has come, too.
        assert_eq!(lines_of(3, [&b"abc"[..]]), []);
        assert_eq!(lines_of(3, [&b"abc"[..], b"\r"]), []);
        assert_eq!(
            lines_of(3, [&b"ok\nabcd"[..]]),
            [Ok(b"ok".to_vec()), Err(Overlong)]
        );
        assert_eq!(lines_of(3, [&b"abc\r"[..], b"x"]), [Err(Overlong)]);
    }

    #[test]
    fn what_was_taken_is_given_back() {
        let mut split = Split::new(10);
        split.push(b"one\ntwo\n");
        assert_eq!(split.next(), Some(Ok(&b"one"[..])));
        assert_eq!(split.next(), Some(Ok(&b"two"[..])));
        assert_eq!(split.next(), None);
        assert_eq!(split.held.capacity(), 0);
    }

    proptest! {
        #[test]
        fn every_split_gives_the_same_lines(
            bytes in proptest::collection::vec(prop_oneof![Just(b'\n'), Just(b'\r'), Just(b'x'), any::<u8>()], 0..60),
            cuts in proptest::collection::vec(0_usize..61, 0..6),
            limit in 0_usize..8,
        ) {
            let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.min(bytes.len())).collect();
            cuts.push(0);
            cuts.push(bytes.len());
            cuts.sort_unstable();
            let pieces = cuts.windows(2).map(|pair| &bytes[pair[0]..pair[1]]);
            prop_assert_eq!(lines_of(limit, pieces), expected(limit, &bytes));
            prop_assert_eq!(lines_of(limit, bytes.chunks(1)), expected(limit, &bytes));
        }
    }
}
