//! Chance that can be had again: numbers that a seed decides (SplitMix64).
//! Absent: secrets. Nobody may rely on these numbers being hard to guess.

/// The step between two states: 2^64 divided by the golden ratio, made odd.
const STEP: u64 = 0x9e37_79b9_7f4a_7c15;

/// A sequence of numbers.
#[derive(Debug, Clone)]
pub struct Chance(u64);

impl Chance {
    /// The sequence of a seed.
    #[must_use]
    pub fn of(seed: u64) -> Self {
        Chance(seed)
    }

    /// A seed of its own for the `number`th of those who share one.
    #[must_use]
    pub fn branch(seed: u64, number: u64) -> u64 {
        // Mixed twice: neighbours are to have nothing in common.
        mix(mix(seed).wrapping_add(number.wrapping_mul(STEP)))
    }

    /// The next number.
    pub fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(STEP);
        mix(self.0)
    }

    /// The next number, from 0 up to, but not including, 1.
    pub fn unit(&mut self) -> f64 {
        /// As many bits as a float holds.
        const BITS: u32 = f64::MANTISSA_DIGITS;
        (self.bits() >> (u64::BITS - BITS)) as f64 / (1_u64 << BITS) as f64
    }
}

fn mix(mut bits: u64) -> u64 {
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ (bits >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_decides_all() {
        // The published first numbers of SplitMix64 for this seed.
        let mut chance = Chance::of(1_234_567);
        assert_eq!(chance.bits(), 6_457_827_717_110_365_317);
        assert_eq!(chance.bits(), 3_203_168_211_198_807_973);
        let mut other = Chance::of(Chance::branch(1_234_567, 1));
        assert_ne!(other.bits(), chance.bits());
    }

    #[test]
    fn units_fill_the_range_evenly() {
        let mut chance = Chance::of(1);
        let units: Vec<f64> = (0..100_000).map(|_| chance.unit()).collect();
        assert!(units.iter().all(|unit| (0.0..1.0).contains(unit)));
        let mean = units.iter().sum::<f64>() / 100_000.0;
        assert!((0.495..0.505).contains(&mean), "{mean}");
    }
}
