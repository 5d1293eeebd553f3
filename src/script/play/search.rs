//! Looking for what is expected in the bytes that have come so far, again as more come.
//! Absent: waiting for them.

use regex::bytes::Regex;

/// What is expected.
#[derive(Debug, Clone)]
pub(crate) enum Wanted {
    /// These bytes, anywhere.
    Within(Vec<u8>),
    /// These bytes, and nothing before them.
    Next(Vec<u8>),
    /// These bytes as the next line, which ends with CRLF or LF.
    Line(Vec<u8>),
    /// Something of this kind, anywhere.
    Pattern(Regex),
}

/// What is known so far.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Look {
    /// It is there.
    Found(Found),
    /// It may still come.
    NotYet,
    /// Something else came in its place.
    Never,
}

/// Where it is.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Found {
    /// One past its last byte: all up to there is read.
    pub(crate) end: usize,
    /// The named parts of a pattern that took part.
    pub(crate) captures: Vec<(String, Vec<u8>)>,
}

/// One search through bytes to which more are added at the end.
#[derive(Debug)]
pub(super) struct Search {
    wanted: Wanted,
    /// No match begins before this.
    passed: usize,
    /// The length when a pattern was last tried.
    tried: Option<usize>,
}

/// Patterns are tried on every byte that comes up to here; beyond, when an eighth has been added, or nothing comes.
const SHORT: usize = 64 * 1024;

impl Search {
    pub(super) fn new(wanted: Wanted) -> Self {
        Search {
            wanted,
            passed: 0,
            tried: None,
        }
    }

    pub(super) fn wanted(&self) -> &Wanted {
        &self.wanted
    }

    /// Looks at all that is unread. `last`: no more comes for now, so nothing is put off.
    pub(super) fn look(&mut self, unread: &[u8], last: bool) -> Look {
        match &self.wanted {
            Wanted::Next(bytes) => {
                let count = unread.len().min(bytes.len());
                if unread[..count] != bytes[..count] {
                    Look::Never
                } else if count == bytes.len() {
                    Look::Found(Found {
                        end: count,
                        captures: Vec::new(),
                    })
                } else {
                    Look::NotYet
                }
            }
            Wanted::Line(bytes) => line(unread, bytes),
            Wanted::Within(bytes) => {
                let found = find(&unread[self.passed.min(unread.len())..], bytes).map(|at| self.passed + at);
                // What is there may be the beginning of it.
                self.passed = (unread.len() + 1).saturating_sub(bytes.len()).max(self.passed);
                match found {
                    Some(at) => Look::Found(Found {
                        end: at + bytes.len(),
                        captures: Vec::new(),
                    }),
                    None => Look::NotYet,
                }
            }
            Wanted::Pattern(pattern) => {
                let grown = self.tried.is_none_or(|tried| {
                    unread.len() > tried && (unread.len() <= SHORT || unread.len() - tried > tried / 8)
                });
                let due = grown || last && self.tried != Some(unread.len());
                if !due {
                    return Look::NotYet;
                }
                self.tried = Some(unread.len());
                match pattern.captures(unread) {
                    None => Look::NotYet,
                    Some(captures) => Look::Found(Found {
                        end: captures.get(0).map_or(0, |whole| whole.end()),
                        captures: pattern
                            .capture_names()
                            .flatten()
                            .map(|name| {
                                // A group that took no part is empty: the script may use it all the same.
                                let value = captures.name(name).map_or(&b""[..], |part| part.as_bytes());
                                (name.to_owned(), value.to_vec())
                            })
                            .collect(),
                    }),
                }
            }
        }
    }
}

fn line(unread: &[u8], wanted: &[u8]) -> Look {
    let Some(end) = unread.iter().position(|byte| *byte == b'\n') else {
        // What is there may still become it: a part of it, or all of it and the CR.
        let whole = [wanted, b"\r"].concat();
        return match whole.starts_with(unread) {
            true => Look::NotYet,
            false => Look::Never,
        };
    };
    let line = unread[..end].strip_suffix(b"\r").unwrap_or(&unread[..end]);
    match line == wanted {
        true => Look::Found(Found {
            end: end + 1,
            captures: Vec::new(),
        }),
        false => Look::Never,
    }
}

/// The first place of some bytes among others.
pub(super) fn find(text: &[u8], wanted: &[u8]) -> Option<usize> {
    let Some(first) = wanted.first() else {
        return Some(0);
    };
    let mut from = 0;
    while let Some(at) = text.get(from..)?.iter().position(|byte| byte == first) {
        let start = from + at;
        if text[start..].starts_with(wanted) {
            return Some(start);
        }
        from = start + 1;
    }
    None
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use regex::bytes::RegexBuilder;

    use super::*;

    fn pattern(text: &str) -> Wanted {
        Wanted::Pattern(RegexBuilder::new(text).unicode(false).build().unwrap())
    }

    fn end(look: Look) -> Option<usize> {
        match look {
            Look::Found(found) => Some(found.end),
            _ => None,
        }
    }

    #[test]
    fn bytes_are_found_wherever_they_are_cut() {
        let text = b"aab aabaab";
        let mut search = Search::new(Wanted::Within(b"aabaa".to_vec()));
        for length in 0..9 {
            assert_eq!(search.look(&text[..length], false), Look::NotYet, "{length}");
        }
        assert_eq!(end(search.look(&text[..9], false)), Some(9));
    }

    #[test]
    fn what_comes_next_may_be_nothing_else() {
        let mut search = Search::new(Wanted::Next(b"abc".to_vec()));
        assert_eq!(search.look(b"ab", false), Look::NotYet);
        assert_eq!(search.look(b"abd", false), Look::Never);
        assert_eq!(end(search.look(b"abcd", false)), Some(3));
    }

    #[test]
    fn a_line_is_all_of_it_without_its_end() {
        let look = |text: &[u8]| Search::new(Wanted::Line(b"ab".to_vec())).look(text, true);
        for (text, wanted) in [(&b"ab\n"[..], 3), (b"ab\r\nx", 4)] {
            assert_eq!(end(look(text)), Some(wanted));
        }
        for text in [&b""[..], b"a", b"ab", b"ab\r"] {
            assert_eq!(look(text), Look::NotYet);
        }
        for text in [&b"a\n"[..], b"abc", b"ab\r\r", b"b", b"abc\n"] {
            assert_eq!(look(text), Look::Never, "{text:?}");
        }
    }

    #[test]
    fn a_pattern_names_its_parts() {
        let mut search = Search::new(pattern(r"No+(?<dots>\.+)(?<none>x)?\r\n"));
        assert_eq!(search.look(b"Noo..", false), Look::NotYet);
        let Look::Found(found) = search.look(b"Noo...\r\n.", false) else {
            panic!()
        };
        assert_eq!(found.end, 8);
        assert_eq!(
            found.captures,
            [
                ("dots".to_owned(), b"...".to_vec()),
                ("none".to_owned(), Vec::new())
            ]
        );
    }

    #[test]
    fn a_pattern_is_not_tried_again_for_every_byte_of_much() {
        let mut search = Search::new(pattern("b"));
        let mut text = vec![b'a'; 2 * SHORT];
        assert_eq!(search.look(&text, false), Look::NotYet);
        text.push(b'b');
        assert_eq!(search.look(&text, false), Look::NotYet);
        assert_eq!(end(search.look(&text, true)), Some(text.len()));
    }

    proptest! {
        #[test]
        fn cutting_changes_nothing(text in "[ab]{0,40}", wanted in "[ab]{0,4}", cuts in proptest::collection::vec(0_usize..41, 0..5)) {
            let (text, wanted) = (text.as_bytes(), wanted.as_bytes());
            let mut search = Search::new(Wanted::Within(wanted.to_vec()));
            let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.min(text.len())).collect();
            cuts.sort_unstable();
            cuts.push(text.len());
            let whole = find(text, wanted).map(|at| at + wanted.len());
            let got = cuts.iter().find_map(|cut| end(search.look(&text[..*cut], false)));
            prop_assert_eq!(got, whole);
        }
    }
}
