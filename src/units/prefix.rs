//! Blocks of addresses in CIDR notation, `10.0.0.0/8` and `2001:db8::/32`: read, printed, and asked what is in them.
//! Absent: what becomes of those who are.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

/// The addresses that begin with the same bits. One of IPv4 that is mapped into IPv6 counts as IPv4, here and in what
/// is asked about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Prefix {
    /// Its first address: no bit is set beyond `length`.
    base: IpAddr,
    length: u8,
}

/// Why a text is no block of addresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PrefixError {
    /// What stands before the `/` is no address.
    NotAnAddress,
    /// What stands after it is no number of bits that such an address has.
    NotALength {
        /// The most that there can be.
        most: u8,
    },
    /// The address lies within a block of this length and does not begin it.
    Within(Prefix),
}

impl fmt::Display for PrefixError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            PrefixError::NotAnAddress => {
                f.write_str("not an IP address, with or without /LENGTH, as in 10.0.0.0/8 or 2001:db8::1")
            }
            PrefixError::NotALength { most } => {
                write!(f, "the length of a block of such addresses is 0 to {most}")
            }
            PrefixError::Within(prefix) => write!(
                f,
                "the address has bits beyond the length: it is {prefix}, or the address alone"
            ),
        }
    }
}

impl std::error::Error for PrefixError {}

/// Bits before the address that an IPv6 address maps.
const MAPPED: u8 = 96;

impl Prefix {
    /// Whether the address is one of them.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        match (self.base, address.to_canonical()) {
            (IpAddr::V4(base), IpAddr::V4(address)) => {
                (base.to_bits() ^ address.to_bits()) & mask_v4(self.length) == 0
            }
            (IpAddr::V6(base), IpAddr::V6(address)) => {
                (base.to_bits() ^ address.to_bits()) & mask_v6(self.length) == 0
            }
            (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => false,
        }
    }

    /// How many bits they have in common: the more, the fewer they are.
    #[must_use]
    pub fn length(&self) -> u8 {
        self.length
    }

    /// The block of this length in which the address lies; `None` where an address has fewer bits.
    fn around(address: IpAddr, length: u8) -> Option<Self> {
        let base = match address {
            IpAddr::V4(v4) if length <= 32 => Ipv4Addr::from_bits(v4.to_bits() & mask_v4(length)).into(),
            IpAddr::V6(v6) if length <= 128 => Ipv6Addr::from_bits(v6.to_bits() & mask_v6(length)).into(),
            IpAddr::V4(_) | IpAddr::V6(_) => return None,
        };
        Some(Prefix { base, length })
    }
}

fn mask_v4(length: u8) -> u32 {
    u32::MAX
        .checked_shl(32_u32.saturating_sub(length.into()))
        .unwrap_or(0)
}

fn mask_v6(length: u8) -> u128 {
    u128::MAX
        .checked_shl(128_u32.saturating_sub(length.into()))
        .unwrap_or(0)
}

/// `10.0.0.0/8`; an address alone is the block of that one.
impl FromStr for Prefix {
    type Err = PrefixError;

    fn from_str(text: &str) -> Result<Self, PrefixError> {
        let (address, length) = match text.split_once('/') {
            Some((address, length)) => (address, Some(length)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().map_err(|_| PrefixError::NotAnAddress)?;
        let most = if address.is_ipv4() { 32 } else { 128 };
        let length = match length {
            None => most,
            Some(digits) => {
                let is_number = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
                let length = digits.parse().ok().filter(|length| is_number && *length <= most);
                length.ok_or(PrefixError::NotALength { most })?
            }
        };
        // Only a block of mapped addresses alone is one of IPv4.
        let (address, length) = match (address.to_canonical(), length.checked_sub(MAPPED)) {
            (IpAddr::V4(v4), Some(length)) if address.is_ipv6() => (v4.into(), length),
            _ => (address, length),
        };
        let around = Prefix::around(address, length).ok_or(PrefixError::NotALength { most })?;
        if around.base != address {
            return Err(PrefixError::Within(around));
        }
        Ok(around)
    }
}

/// As it is read; the block of one address is that address.
impl fmt::Display for Prefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.base, self.length) {
            (IpAddr::V4(base), 32) => write!(f, "{base}"),
            (IpAddr::V6(base), 128) => write!(f, "{base}"),
            (base, length) => write!(f, "{base}/{length}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn prefix(text: &str) -> Prefix {
        text.parse().unwrap_or_else(|error| panic!("{text}: {error}"))
    }

    #[test]
    fn blocks_hold_what_begins_like_them() {
        for (block, inside, outside) in [
            ("10.0.0.0/8", "10.255.0.1", "11.0.0.0"),
            ("192.0.2.4/31", "192.0.2.5", "192.0.2.6"),
            ("192.0.2.7", "192.0.2.7", "192.0.2.8"),
            ("0.0.0.0/0", "255.255.255.255", "::1"),
            ("::/0", "2001:db8::1", "127.0.0.1"),
            ("2001:db8::/33", "2001:db8:7fff::", "2001:db8:8000::"),
            ("::1", "::1", "::2"),
            ("::ffff:10.0.0.0/104", "10.1.2.3", "11.0.0.1"),
            ("10.0.0.0/8", "::ffff:10.1.2.3", "::10.1.2.3"),
            ("::/0", "::10.1.2.3", "::ffff:10.1.2.3"),
        ] {
            let block = prefix(block);
            assert!(block.contains(inside.parse().unwrap()), "{inside} in {block}");
            assert!(!block.contains(outside.parse().unwrap()), "{outside} in {block}");
        }
    }

    #[test]
    fn what_is_no_block_says_why() {
        let refused = |text: &str| text.parse::<Prefix>().unwrap_err();
        for text in [
            "",
            "/8",
            "10",
            "10.0.0",
            "010.0.0.1",
            "10.0.0.0 /8",
            "[::1]",
            "fe80::1%eth0/64",
            "localhost",
            "::1::",
        ] {
            assert_eq!(refused(text), PrefixError::NotAnAddress, "{text}");
        }
        for text in [
            "10.0.0.0/",
            "10.0.0.0/33",
            "10.0.0.0/+8",
            "10.0.0.0/8/8",
            "10.0.0.0/-1",
            "10.0.0.0/999",
        ] {
            assert_eq!(refused(text), PrefixError::NotALength { most: 32 }, "{text}");
        }
        assert_eq!(refused("::/129"), PrefixError::NotALength { most: 128 });
        assert_eq!(refused("10.1.2.3/8"), PrefixError::Within(prefix("10.0.0.0/8")));
        assert_eq!(
            refused("2001:db8::1/32"),
            PrefixError::Within(prefix("2001:db8::/32"))
        );
        assert_eq!(
            refused("::ffff:10.1.2.3/104"),
            PrefixError::Within(prefix("10.0.0.0/8"))
        );
    }

    proptest! {
        #[test]
        fn a_printed_block_reads_back(bits: u128, four: bool, length in 0_u8..=128) {
            let address = if four {
                Ipv4Addr::from_bits(bits as u32).into()
            } else {
                Ipv6Addr::from_bits(bits).into()
            };
            let length = if four { length % 33 } else { length };
            let block = Prefix::around(address, length).unwrap();
            prop_assert_eq!(block.to_string().parse(), Ok(block));
            prop_assert!(block.contains(address) || address.to_canonical() != address);
        }

        #[test]
        fn a_block_holds_what_shares_its_bits(base: u32, other: u32, length in 0_u8..=32) {
            let block = Prefix::around(Ipv4Addr::from_bits(base).into(), length).unwrap();
            let shared = (base ^ other).leading_zeros() >= u32::from(length);
            let other = Ipv4Addr::from_bits(other);
            prop_assert_eq!(block.contains(other.into()), shared);
            prop_assert_eq!(block.contains(other.to_ipv6_mapped().into()), shared);
        }

        #[test]
        fn any_text_is_answered(text in "[0-9a-f.:/%\\[\\] ]{0,45}") {
            let _ = text.parse::<Prefix>();
        }
    }
}
