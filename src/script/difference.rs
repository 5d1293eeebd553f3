//! Where the bytes that were expected and those that arrived part, and the lines that show it.
//! Absent: waiting for more, and what is made of it.

use crate::escape::escape;

/// Columns that are shown of each side.
const COLUMNS_MAX: usize = 90;

/// Of what both have in common, so many columns stand before the difference.
const BEFORE_MAX: usize = 30;

/// Of a long text that arrived, the end is looked at: a difference further up was passed over by the script itself.
const LOOKED_AT: usize = 16 * 1024;

/// Beyond so many bytes in common, two places are as near as each other.
const ALIKE_MAX: usize = 1024;

/// Expected and arrived bytes, which have `at` bytes in common.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// What was expected.
    pub expected: Vec<u8>,
    /// What arrived, from where it looks most like what was expected.
    pub arrived: Vec<u8>,
    /// The offset of the first byte that differs, in both.
    pub at: usize,
}

impl Difference {
    /// For bytes that have to come next.
    #[must_use]
    pub fn next(expected: &[u8], arrived: &[u8]) -> Self {
        Difference {
            expected: expected.to_vec(),
            // More than this is not drawn.
            arrived: arrived[..arrived.len().min(expected.len() + COLUMNS_MAX)].to_vec(),
            at: alike(expected, arrived),
        }
    }

    /// For bytes that have to come anywhere: at the first of the places where most of them did.
    #[must_use]
    pub fn nearest(expected: &[u8], arrived: &[u8]) -> Self {
        let late = &arrived[arrived.len().saturating_sub(LOOKED_AT)..];
        let wanted = &expected[..expected.len().min(ALIKE_MAX)];
        let mut best = (0, 0);
        for start in 0..late.len() {
            let count = alike(wanted, &late[start..]);
            if count > best.1 {
                best = (start, count);
                if count == wanted.len() {
                    break;
                }
            }
        }
        Difference::next(expected, &late[best.0..])
    }

    /// Three lines: expected, arrived, and a caret under the first byte that differs.
    #[must_use]
    pub fn lines(&self) -> [String; 3] {
        let same = &self.expected[..self.at];
        let mut start = self.at;
        let mut column = 0;
        for byte in same.iter().rev() {
            let width = width(*byte);
            if column + width > BEFORE_MAX {
                break;
            }
            column += width;
            start -= 1;
        }
        let cut = if start > 0 { "…" } else { "" };
        let column = column + "b\"".len() + cut.chars().count();
        let side = |bytes: &[u8]| {
            let (shown, whole) = clipped(&bytes[start..]);
            let end = if whole { "" } else { "…" };
            format!("b\"{cut}{shown}{end}\"")
        };
        [
            format!("expected  {}", side(&self.expected)),
            format!("arrived   {}", side(&self.arrived)),
            format!("          {}^", " ".repeat(column)),
        ]
    }
}

fn alike(one: &[u8], other: &[u8]) -> usize {
    one.iter().zip(other).take_while(|(a, b)| a == b).count()
}

fn width(byte: u8) -> usize {
    escape(&[byte]).len()
}

/// As many bytes as fit in a line, escaped, and whether those are all.
#[must_use]
pub fn clipped(bytes: &[u8]) -> (String, bool) {
    let mut columns = 0;
    let count = bytes
        .iter()
        .take_while(|byte| {
            columns += width(**byte);
            columns <= COLUMNS_MAX
        })
        .count();
    (escape(&bytes[..count]), count == bytes.len())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_caret_stands_under_the_first_byte_that_differs() {
        let drawn = Difference::next(b"250 OK\r\n", b"250\tGo\r\n").lines();
        assert_eq!(drawn[0], r#"expected  b"250 OK\r\n""#);
        assert_eq!(drawn[1], r#"arrived   b"250\tGo\r\n""#);
        assert_eq!(drawn[2], r"               ^");
        // What ends too early differs at its end.
        let drawn = Difference::next(b"abc", b"ab").lines();
        assert_eq!(drawn[1], r#"arrived   b"ab""#);
        assert_eq!(drawn[2], "              ^");
    }

    #[test]
    fn the_nearest_place_is_shown() {
        let found = Difference::nearest(b"250 OK", b"220 hello\r\n250 Go\r\nbye");
        assert_eq!(found.arrived, b"250 Go\r\nbye");
        assert_eq!(found.at, 4);
        assert_eq!(Difference::nearest(b"x", b"").at, 0);
        assert_eq!(Difference::nearest(b"", b"abc").at, 0);
    }

    #[test]
    fn what_both_have_in_common_is_cut() {
        let mut other = vec![b'a'; 500];
        other[400] = b'b';
        let drawn = Difference::next(&[b'a'; 500], &other).lines();
        assert!(drawn.iter().all(|line| line.chars().count() < 140), "{drawn:#?}");
        let caret = drawn[2].find('^').unwrap();
        assert_eq!(drawn[1].chars().nth(caret), Some('b'));
    }

    proptest! {
        #[test]
        fn any_two_are_drawn(expected: Vec<u8>, arrived: Vec<u8>) {
            for found in [Difference::next(&expected, &arrived), Difference::nearest(&expected, &arrived)] {
                let drawn = found.lines();
                let caret = drawn[2].chars().count();
                prop_assert!(drawn[..2].iter().any(|line| line.chars().count() >= caret));
                prop_assert!(drawn.iter().all(|line| line.chars().count() < 150));
            }
        }
    }
}
