//! Looking for what is expected in the bytes that have come so far, again as more come.
//! Absent: waiting for them.

use crate::script::pattern::Compiled;

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
    Pattern(Compiled),
}

/// What is known so far.
#[derive(Debug)]
#[cfg_attr(test, derive(PartialEq))]
pub(super) enum Look {
    /// It is there.
    Found(Found),
    /// It may still come.
    NotYet,
    /// Something else came in its place.
    Never,
    /// It takes too long to be done here and now: [`matched`] says it, on a thread of its own.
    Aside(Compiled),
    /// Too much came for this regex, which is searched in no more than so many bytes.
    TooMuch(usize),
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
    sought: Sought,
    /// The length when a pattern was last tried.
    tried: Option<usize>,
}

/// A regex takes its size times the bytes that it is searched in. Up to here, which is some milliseconds, it is tried at once
/// and on every byte that comes; beyond, aside, and when an eighth has been added, or nothing comes.
const AT_ONCE: usize = 1 << 24;

/// Beyond this, which is some seconds, it is not tried: such a search cannot be broken off. The smallest regexes are searched
/// in all that is kept unread.
const WORK_MAX: usize = 1 << 35;

impl Search {
    pub(super) fn new(wanted: Wanted) -> Self {
        Search {
            sought: match &wanted {
                Wanted::Within(bytes) => Sought::new(bytes),
                _ => Sought::default(),
            },
            wanted,
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
            Wanted::Within(bytes) => match self.sought.look(bytes, unread) {
                Some(end) => Look::Found(Found {
                    end,
                    captures: Vec::new(),
                }),
                None => Look::NotYet,
            },
            Wanted::Pattern(pattern) => {
                let most = WORK_MAX / pattern.size.max(1);
                let at_once = unread.len() <= AT_ONCE / pattern.size.max(1);
                let due = match self.tried {
                    None => true,
                    Some(tried) if unread.len() <= tried => false,
                    Some(tried) => at_once || last || unread.len() - tried > tried / 8,
                };
                if !due {
                    return Look::NotYet;
                }
                if unread.len() > most {
                    return Look::TooMuch(most);
                }
                self.tried = Some(unread.len());
                if !at_once {
                    return Look::Aside(pattern.clone());
                }
                matched(pattern, unread).map_or(Look::NotYet, Look::Found)
            }
        }
    }
}

/// Whether searching all of these bytes is too much to be done here and now, or at all.
pub(super) fn is_too_much(pattern: &Compiled, bytes: &[u8]) -> (bool, bool) {
    let work = pattern.size.saturating_mul(bytes.len());
    (work > AT_ONCE, work > WORK_MAX)
}

/// The first match of a pattern.
pub(super) fn matched(pattern: &Compiled, bytes: &[u8]) -> Option<Found> {
    let captures = pattern.regex.captures(bytes)?;
    let names = pattern.regex.capture_names().flatten();
    let named = names.map(|name| {
        // A group that took no part is empty: the script may use it all the same.
        let value = captures.name(name).map_or(&b""[..], |part| part.as_bytes());
        (name.to_owned(), value.to_vec())
    });
    Some(Found {
        end: captures.get(0).map_or(0, |whole| whole.end()),
        captures: named.collect(),
    })
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

/// How far the search for some bytes has come. Each byte is looked at once, whatever they are: Knuth, Morris and Pratt.
#[derive(Debug, Default)]
struct Sought {
    /// For each beginning of what is wanted: how long the longest is that it ends with, too.
    again: Vec<usize>,
    /// So many bytes of what is wanted came last.
    alike: usize,
    /// So many bytes were looked at.
    seen: usize,
}

impl Sought {
    fn new(wanted: &[u8]) -> Self {
        let mut again = vec![0; wanted.len()];
        let mut alike = 0;
        for at in 1..wanted.len() {
            while alike > 0 && wanted[alike] != wanted[at] {
                alike = again[alike - 1];
            }
            alike += usize::from(wanted[alike] == wanted[at]);
            again[at] = alike;
        }
        Sought {
            again,
            alike: 0,
            seen: 0,
        }
    }

    /// One past the first place of what is wanted. `text` begins as it did before.
    fn look(&mut self, wanted: &[u8], text: &[u8]) -> Option<usize> {
        while self.alike < wanted.len() {
            let byte = *text.get(self.seen)?;
            self.seen += 1;
            while self.alike > 0 && wanted[self.alike] != byte {
                self.alike = self.again[self.alike - 1];
            }
            self.alike += usize::from(wanted[self.alike] == byte);
        }
        Some(self.seen)
    }
}

/// The first place of some bytes among others.
pub(super) fn find(text: &[u8], wanted: &[u8]) -> Option<usize> {
    let end = Sought::new(wanted).look(wanted, text)?;
    Some(end - wanted.len())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::script::pattern::compiled;
    use proptest::prelude::*;

    fn pattern(text: &str) -> Wanted {
        Wanted::Pattern(compiled(text).unwrap())
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
    fn a_pattern_is_tried_on_much_aside_and_not_for_every_byte() {
        let mut search = Search::new(pattern("b"));
        let mut text = vec![b'a'; 64 * 1024];
        assert!(matches!(search.look(&text, false), Look::Aside(_)));
        text.push(b'b');
        assert_eq!(search.look(&text, false), Look::NotYet);
        let Look::Aside(pattern) = search.look(&text, true) else {
            panic!()
        };
        assert_eq!(matched(&pattern, &text).unwrap().end, text.len());
        assert_eq!(search.look(&text, true), Look::NotYet);
    }

    #[test]
    fn a_large_pattern_is_tried_on_less() {
        let all = vec![b'a'; 1024 * 1024];
        assert!(matches!(
            Search::new(pattern("b")).look(&all, false),
            Look::Aside(_)
        ));
        let large = pattern("[ab]*[^b][ab]{1500}[ab]*[^a]{300}c");
        let Look::TooMuch(most) = Search::new(large.clone()).look(&all, false) else {
            panic!()
        };
        assert!(matches!(
            Search::new(large.clone()).look(&all[..most], false),
            Look::Aside(_)
        ));
        assert_eq!(Search::new(large).look(&all[..32], false), Look::NotYet);
    }

    #[test]
    fn bytes_that_are_alike_are_looked_at_once() {
        // One after the other from each place, this would take hours.
        let text = vec![b'a'; 1024 * 1024];
        let mut wanted = text[..512 * 1024].to_vec();
        wanted.push(b'b');
        assert_eq!(find(&text, &wanted), None);
        assert_eq!(find(&[&text[..], b"b"].concat(), &wanted), Some(512 * 1024));
    }

    proptest! {
        #[test]
        fn cutting_changes_nothing(text in "[ab]{0,40}", wanted in "[ab]{0,4}", cuts in proptest::collection::vec(0_usize..41, 0..5)) {
            let (text, wanted) = (text.as_bytes(), wanted.as_bytes());
            let mut search = Search::new(Wanted::Within(wanted.to_vec()));
            let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.min(text.len())).collect();
            cuts.sort_unstable();
            cuts.push(text.len());
            let places = 0..=text.len().saturating_sub(wanted.len());
            let mut places = places.filter(|at| text[*at..].starts_with(wanted));
            let whole = places.next().map(|at| at + wanted.len());
            let got = cuts.iter().find_map(|cut| end(search.look(&text[..*cut], false)));
            prop_assert_eq!(got, whole);
        }
    }
}
