//! Corruption: on average one bit in every N bytes is flipped. The seed decides which, however the bytes are cut.
//! Absent: whose bytes they are.

use std::num::NonZeroU64;

use super::chance::Chance;

/// Flips bits of bytes that go by.
#[derive(Debug, Clone)]
pub(super) struct Corrupt {
    every: NonZeroU64,
    chance: Chance,
    /// Bytes that pass as they are before the next one is hit.
    spared: u64,
}

impl Corrupt {
    /// Each byte is hit with a probability of 1 in `every`, and one of its bits flips.
    #[must_use]
    pub(super) fn new(every: NonZeroU64, seed: u64) -> Self {
        let mut corrupt = Corrupt {
            every,
            chance: Chance::of(seed),
            spared: 0,
        };
        corrupt.spared = corrupt.gap();
        corrupt
    }

    /// The bytes, a datagram or the next ones of a stream, with what chance does to them; says how many bits flipped.
    pub(super) fn apply(&mut self, mut bytes: &mut [u8]) -> usize {
        let mut flipped = 0;
        loop {
            let length = bytes.len() as u64;
            let Some(at) = usize::try_from(self.spared).ok().filter(|_| self.spared < length) else {
                self.spared -= length;
                return flipped;
            };
            bytes[at] ^= 1 << (self.chance.bits() % 8);
            flipped += 1;
            bytes = &mut bytes[at + 1..];
            self.spared = self.gap();
        }
    }

    /// How many bytes a hit is away, which is geometrically distributed: drawn once a hit, not once a byte.
    fn gap(&mut self) -> u64 {
        if self.every.get() == 1 {
            return 0;
        }
        let spares = (-1.0 / self.every.get() as f64).ln_1p();
        // A float beyond all integers becomes the greatest one.
        ((1.0 - self.chance.unit()).ln() / spares) as u64
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn of(every: u64, seed: u64) -> Corrupt {
        Corrupt::new(NonZeroU64::new(every).unwrap(), seed)
    }

    #[test]
    fn a_bit_in_every_n_bytes_on_average() {
        for every in [1_u64, 2, 10, 1000] {
            let mut bytes = vec![0; 1_000_000];
            let flipped = of(every, 7).apply(&mut bytes) as f64;
            let expected = 1_000_000.0 / every as f64;
            // Five times the standard deviation of so many draws.
            assert!(
                (flipped - expected).abs() <= 5.0 * expected.sqrt(),
                "{every}: {flipped}"
            );
        }
        let mut all = vec![0_u8; 1000];
        assert_eq!(of(1, 7).apply(&mut all), 1000);
        assert!(all.iter().all(|byte| byte.count_ones() == 1));
    }

    #[test]
    fn the_rarest_hit_is_never_met() {
        assert_eq!(of(u64::MAX, 1).apply(&mut [0; 4096]), 0);
    }

    proptest! {
        #[test]
        fn exactly_the_bits_that_are_told_flip(
            bytes in proptest::collection::vec(any::<u8>(), 0..3000),
            every in 1_u64..200,
            seed: u64,
            cuts in proptest::collection::vec(1_usize..400, 1..20),
        ) {
            let mut whole = bytes.clone();
            let flipped = of(every, seed).apply(&mut whole);
            let differ: Vec<u32> = bytes.iter().zip(&whole).map(|(a, b)| (a ^ b).count_ones()).collect();
            prop_assert_eq!(differ.iter().sum::<u32>() as usize, flipped);
            prop_assert!(differ.iter().all(|bits| *bits <= 1));
            // Cut in whatever way, it comes to the same.
            let mut cut = bytes;
            let mut corrupt = of(every, seed);
            let mut rest = &mut cut[..];
            for length in cuts.iter().cycle() {
                if rest.is_empty() { break; }
                let (piece, more) = rest.split_at_mut((*length).min(rest.len()));
                corrupt.apply(piece);
                rest = more;
            }
            prop_assert_eq!(cut, whole);
        }
    }
}
