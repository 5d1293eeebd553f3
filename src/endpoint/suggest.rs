//! The nearest known name: what a misspelt word was meant to be.
//! Absent: who asks, and what the names mean.

/// Longer words are no misspelling of anything, and need not be compared.
const NAME_MAX: usize = 32;

/// The candidate that `name` is most likely a misspelling of, if one is near enough. The case does not count.
#[must_use]
pub fn nearest<'a>(name: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let name: Vec<char> = name
        .chars()
        .take(NAME_MAX + 1)
        .map(|c| c.to_ascii_lowercase())
        .collect();
    if name.is_empty() || name.len() > NAME_MAX {
        return None;
    }
    // A third of the word may be wrong; more would suggest anything for anything.
    let limit = name.len().div_ceil(3);
    candidates
        .into_iter()
        .filter_map(|candidate| {
            let known: Vec<char> = candidate
                .chars()
                .take(NAME_MAX)
                .map(|c| c.to_ascii_lowercase())
                .collect();
            // `time` is the beginning of `timeout`, although three letters are missing.
            let near = if name.len() >= 3 && known.starts_with(&name) {
                limit.min(1)
            } else {
                distance(&name, &known)
            };
            // In a word of one letter, one wrong letter leaves nothing.
            (near <= limit && near < name.len().max(known.len())).then_some((near, candidate))
        })
        .min_by_key(|(near, _)| *near)
        .map(|(_, candidate)| candidate)
}

/// Letters added, left out, replaced, or swapped with their neighbour.
fn distance(a: &[char], b: &[char]) -> usize {
    let mut before_last: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=b.len()).collect();
    for (i, ca) in a.iter().enumerate() {
        let mut row = Vec::with_capacity(b.len() + 1);
        row.push(i + 1);
        for (j, cb) in b.iter().enumerate() {
            let replaced = last[j] + usize::from(ca != cb);
            let mut best = replaced.min(last[j + 1] + 1).min(row[j] + 1);
            if i > 0 && j > 0 && a[i - 1] == *cb && *ca == b[j - 1] {
                best = best.min(before_last[j - 1] + 1);
            }
            row.push(best);
        }
        before_last = std::mem::replace(&mut last, row);
    }
    last.last().copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const NAMES: [&str; 6] = ["host", "port", "timeout", "bindAddress", "keepalive", "nodelay"];

    #[test]
    fn misspelt_names_are_recognised() {
        for (name, meant) in [
            ("prot", "port"),
            ("Port", "port"),
            ("hots", "host"),
            ("time", "timeout"),
            ("timout", "timeout"),
            ("bindaddress", "bindAddress"),
            ("bind-address", "bindAddress"),
            ("no_delay", "nodelay"),
        ] {
            assert_eq!(nearest(name, NAMES), Some(meant), "{name}");
        }
    }

    #[test]
    fn other_words_are_not() {
        for name in ["", "x", "foo", "certKey", "/srv/a", &"port".repeat(100_000)] {
            assert_eq!(nearest(name, NAMES), None, "{name}");
        }
        assert_eq!(nearest("ab", ["x"]), None);
    }

    #[test]
    fn the_first_of_equals_wins() {
        assert_eq!(nearest("tcp5", ["tcp4", "tcp6"]), Some("tcp4"));
    }

    proptest! {
        #[test]
        fn the_distance_is_one(a in "[a-c]{0,6}", b in "[a-c]{0,6}") {
            let a: Vec<char> = a.chars().collect();
            let b: Vec<char> = b.chars().collect();
            let d = distance(&a, &b);
            prop_assert_eq!(d, distance(&b, &a));
            prop_assert_eq!(d == 0, a == b);
            prop_assert!(d >= a.len().abs_diff(b.len()) && d <= a.len().max(b.len()));
        }
    }
}
