//! Who may be a client: rules about blocks of addresses, of which the most specific one decides.
//! Absent: connections, and what becomes of those who may not.

use std::fmt;
use std::net::IpAddr;

use crate::units::prefix::Prefix;

/// Rules about addresses. Without any, everybody may be a client.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Access {
    /// From the most specific; of equal ones those that deny come first.
    rules: Vec<Rule>,
    /// What holds where no rule does.
    others_are_denied: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Rule {
    block: Prefix,
    denies: bool,
}

/// Why somebody may not be a client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Denied {
    /// The addresses of this block are denied.
    By(Prefix),
    /// Only some are allowed, and this is none of them.
    NotAllowed,
}

impl fmt::Display for Denied {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Denied::By(block) => write!(f, "{block} is denied"),
            Denied::NotAllowed => f.write_str("not among those that are allowed"),
        }
    }
}

impl Access {
    /// The most specific rule about an address decides, and of two about the same block the one that denies. Where none
    /// is about it, it is denied if there are any that allow: who names those who may come, means nobody else.
    #[must_use]
    pub fn new(allow: &[Prefix], deny: &[Prefix]) -> Self {
        let allowing = allow.iter().map(|block| (block, false));
        let denying = deny.iter().map(|block| (block, true));
        let mut rules: Vec<_> = denying
            .chain(allowing)
            .map(|(block, denies)| Rule {
                block: *block,
                denies,
            })
            .collect();
        // Stable, so that those that deny stay first.
        rules.sort_by_key(|rule| std::cmp::Reverse(rule.block.length()));
        Access {
            rules,
            others_are_denied: !allow.is_empty(),
        }
    }

    /// Whether there are any rules.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.rules.is_empty()
    }

    /// Whether this address may be a client.
    ///
    /// # Errors
    /// Why not.
    pub fn decide(&self, address: IpAddr) -> Result<(), Denied> {
        match self.rules.iter().find(|rule| rule.block.contains(address)) {
            Some(rule) if rule.denies => Err(Denied::By(rule.block)),
            Some(_) => Ok(()),
            None if self.others_are_denied => Err(Denied::NotAllowed),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, Ipv6Addr};

    use proptest::prelude::*;

    use super::*;

    fn access(allow: &[&str], deny: &[&str]) -> Access {
        let blocks = |texts: &[&str]| texts.iter().map(|text| text.parse().unwrap()).collect::<Vec<_>>();
        Access::new(&blocks(allow), &blocks(deny))
    }

    #[track_caller]
    fn decides(access: &Access, allowed: &[&str], denied: &[&str]) {
        for (addresses, expected) in [(allowed, true), (denied, false)] {
            for address in addresses {
                assert_eq!(
                    access.decide(address.parse().unwrap()).is_ok(),
                    expected,
                    "{address}"
                );
            }
        }
    }

    #[test]
    fn without_rules_everybody_may() {
        assert!(access(&[], &[]).is_open());
        decides(&access(&[], &[]), &["192.0.2.1", "::1"], &[]);
    }

    #[test]
    fn to_allow_some_denies_the_others_and_to_deny_some_allows_them() {
        decides(
            &access(&["10.0.0.0/8"], &[]),
            &["10.0.0.1"],
            &["192.0.2.1", "::1"],
        );
        decides(
            &access(&[], &["10.0.0.0/8"]),
            &["192.0.2.1", "::1"],
            &["10.0.0.1"],
        );
    }

    #[test]
    fn the_most_specific_rule_decides_and_a_tie_denies() {
        let nested = access(
            &["10.0.0.0/8", "10.1.2.3", "2001:db8::/32"],
            &["10.1.0.0/16", "10.9.0.0/16", "2001:db8:1::/48"],
        );
        decides(
            &nested,
            &["10.0.0.1", "10.1.2.3", "::ffff:10.1.2.3", "2001:db8::1"],
            &["10.1.2.4", "10.9.0.1", "2001:db8:1::1", "192.0.2.1"],
        );
        decides(&access(&["10.0.0.0/8"], &["10.0.0.0/8"]), &[], &["10.0.0.1"]);
        let all_but = access(&["0.0.0.0/0"], &["192.0.2.0/24"]);
        decides(&all_but, &["198.51.100.1"], &["192.0.2.1", "::1"]);
    }

    #[test]
    fn who_is_denied_is_told_by_what() {
        let some = access(&["10.0.0.0/8"], &["10.1.0.0/16"]);
        let why = |address: &str| some.decide(address.parse().unwrap()).unwrap_err().to_string();
        assert_eq!(why("10.1.0.1"), "10.1.0.0/16 is denied");
        assert_eq!(why("192.0.2.1"), "not among those that are allowed");
    }

    /// A block, and an address within or near it: of few bits, so that rules meet.
    fn block() -> impl Strategy<Value = Prefix> {
        (0_u32..8, 29_u8..=32, any::<bool>()).prop_map(|(low, length, four)| {
            let low = low & (u32::MAX << (32 - u32::from(length)));
            let text = if four {
                format!("{}/{length}", Ipv4Addr::from_bits(low))
            } else {
                format!("{}/{}", Ipv6Addr::from_bits(low.into()), length + 96)
            };
            text.parse().unwrap()
        })
    }

    proptest! {
        #[test]
        fn it_is_as_the_rule_says(
            allow in proptest::collection::vec(block(), 0..6),
            deny in proptest::collection::vec(block(), 0..6),
            low in 0_u32..10,
            family in 0..3,
        ) {
            let address: IpAddr = match family {
                0 => Ipv4Addr::from_bits(low).into(),
                1 => Ipv4Addr::from_bits(low).to_ipv6_mapped().into(),
                _ => Ipv6Addr::from_bits(low.into()).into(),
            };
            // Said the long way: the longest match of each kind.
            let longest = |blocks: &[Prefix]| {
                blocks.iter().filter(|block| block.contains(address)).map(Prefix::length).max()
            };
            let expected = match (longest(&allow), longest(&deny)) {
                (Some(allowed), Some(denied)) => allowed > denied,
                (Some(_), None) => true,
                (None, Some(_)) => false,
                (None, None) => allow.is_empty(),
            };
            prop_assert_eq!(Access::new(&allow, &deny).decide(address).is_ok(), expected);
        }

        #[test]
        fn the_order_of_rules_does_not_matter(
            mut allow in proptest::collection::vec(block(), 0..6),
            mut deny in proptest::collection::vec(block(), 0..6),
            low in 0_u32..10,
        ) {
            let address = Ipv4Addr::from_bits(low).into();
            let before = Access::new(&allow, &deny).decide(address);
            allow.reverse();
            deny.reverse();
            prop_assert_eq!(Access::new(&allow, &deny).decide(address), before);
        }
    }
}
