//! How long to wait after one failure in a row, after two, after three: delays as an iterator.
//! Absent: sleeping, clocks, and where randomness comes from.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use crate::units::{WAIT_MAX, duration, duration_text};

/// Delays that grow: `initial · factor^(n−1)` after the n-th failure in a row, no more than `max`, and up to `jitter`
/// on top, so that many clients of one server do not come back at the same moment.
///
/// It is read from text such as `initial=500ms,factor=2,max=10s,jitter=0`; what is left out has its default, and
/// `Display` writes it so that it reads back.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Backoff {
    initial: Duration,
    factor: f64,
    max: Duration,
    jitter: Duration,
}

/// 1 s, 1.5 s, 2.25 s and so on up to 60 s, and up to 1 s on top of each.
impl Default for Backoff {
    fn default() -> Self {
        Backoff {
            initial: Duration::from_secs(1),
            factor: 1.5,
            max: Duration::from_secs(60),
            jitter: Duration::from_secs(1),
        }
    }
}

/// Why there is no such backoff.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unfit(String);

impl fmt::Display for Unfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Unfit {}

impl Backoff {
    /// A backoff of these parts.
    ///
    /// # Errors
    /// A factor below 1, or none; a first delay longer than the longest.
    pub fn new(initial: Duration, factor: f64, max: Duration, jitter: Duration) -> Result<Self, Unfit> {
        // Written so that what is no number is refused too.
        if !(factor >= 1.0 && factor.is_finite()) {
            return Err(Unfit("the factor must be at least 1".into()));
        }
        if initial > max {
            let (initial, max) = (duration_text(initial), duration_text(max));
            return Err(Unfit(format!(
                "the first delay, {initial}, is longer than the longest, {max}"
            )));
        }
        Ok(Backoff {
            initial,
            factor,
            max,
            jitter,
        })
    }

    /// The delays, from the one after the first failure. `random` gives numbers from 0 up to, but not including, 1.
    /// Success is a new iterator.
    pub fn delays<R: FnMut() -> f64>(&self, random: R) -> Delays<R> {
        Delays {
            backoff: *self,
            next: self.initial,
            random,
        }
    }
}

/// The delays of a [`Backoff`], without end.
#[derive(Debug, Clone)]
pub struct Delays<R> {
    backoff: Backoff,
    next: Duration,
    random: R,
}

impl<R: FnMut() -> f64> Iterator for Delays<R> {
    type Item = Duration;

    fn next(&mut self) -> Option<Duration> {
        let Backoff {
            factor, max, jitter, ..
        } = self.backoff;
        let delay = self.next;
        // In seconds, as a product may lie beyond what a duration can hold.
        let grown = delay.as_secs_f64() * factor;
        self.next = Duration::try_from_secs_f64(grown).map_or(max, |grown| grown.min(max));
        let extra = jitter.as_secs_f64() * (self.random)().clamp(0.0, 1.0);
        // The longest of durations becomes a float that is a little longer still.
        let extra = Duration::try_from_secs_f64(extra).unwrap_or(jitter);
        Some(delay.saturating_add(extra))
    }
}

impl fmt::Display for Backoff {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = duration_text;
        write!(
            f,
            "initial={},factor={},max={},jitter={}",
            text(self.initial),
            self.factor,
            text(self.max),
            text(self.jitter)
        )
    }
}

impl FromStr for Backoff {
    type Err = Unfit;

    fn from_str(text: &str) -> Result<Self, Unfit> {
        let mut backoff = Backoff::default();
        let mut seen = Vec::new();
        let mut given_max = false;
        for part in text.split(',') {
            let Some((name, value)) = part.split_once('=') else {
                return Err(Unfit(format!("`{part}` is not name=value")));
            };
            if seen.contains(&name) {
                return Err(Unfit(format!("`{name}` is given twice")));
            }
            seen.push(name);
            let time = || match duration(value) {
                Ok(time) if time <= WAIT_MAX => Ok(time),
                Ok(_) => Err(Unfit(format!("{name}: out of range"))),
                Err(error) => Err(Unfit(format!("{name}: {error}"))),
            };
            match name {
                "initial" => backoff.initial = time()?,
                "max" => (backoff.max, given_max) = (time()?, true),
                "jitter" => backoff.jitter = time()?,
                "factor" => {
                    backoff.factor = value.parse().map_err(|_| Unfit("factor: not a number".into()))?;
                }
                _ => {
                    let known = "initial, factor, max and jitter";
                    return Err(Unfit(format!("`{name}` is not one of {known}")));
                }
            }
        }
        if !given_max {
            // Whoever asks for a long first delay need not say that it may be so long.
            backoff.max = backoff.max.max(backoff.initial);
        }
        Backoff::new(backoff.initial, backoff.factor, backoff.max, backoff.jitter)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn millis(backoff: &Backoff, random: f64, count: usize) -> Vec<u128> {
        let delays = backoff.delays(move || random);
        delays.take(count).map(|delay| delay.as_millis()).collect()
    }

    #[test]
    fn the_sequence() {
        let expected = [
            1000, 1500, 2250, 3375, 5062, 7593, 11_390, 17_085, 25_628, 38_443, 57_665, 60_000, 60_000,
        ];
        assert_eq!(millis(&Backoff::default(), 0.0, 13), expected);
    }

    #[test]
    fn jitter_comes_on_top_of_the_longest_delay_too() {
        let delays = millis(&Backoff::default(), 0.5, 13);
        assert_eq!((delays[0], delays[1], delays[12]), (1500, 2000, 60_500));
    }

    #[test]
    fn each_part_can_be_given() {
        let backoff: Backoff = "initial=500ms,factor=3,max=60s,jitter=0".parse().unwrap();
        assert_eq!(
            millis(&backoff, 0.9, 6),
            [500, 1500, 4500, 13_500, 40_500, 60_000]
        );
        let steady: Backoff = "factor=1".parse().unwrap();
        assert_eq!(millis(&steady, 0.0, 3), [1000, 1000, 1000]);
        let none: Backoff = "initial=0,jitter=0".parse().unwrap();
        assert_eq!(millis(&none, 0.0, 3), [0, 0, 0]);
        let long: Backoff = "initial=2m,jitter=0".parse().unwrap();
        assert_eq!(millis(&long, 0.0, 2), [120_000, 120_000]);
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        for (text, why) in [
            ("", "`` is not name=value"),
            ("5s", "`5s` is not name=value"),
            ("factor=0.5", "the factor must be at least 1"),
            ("factor=nan", "the factor must be at least 1"),
            ("factor=inf", "the factor must be at least 1"),
            ("factor=x", "factor: not a number"),
            ("initial=-1", "initial: out of range"),
            ("max=1000000d", "max: out of range"),
            (
                "initial=2s,max=1s",
                "the first delay, 2s, is longer than the longest, 1s",
            ),
            ("max=1s,max=2s", "`max` is given twice"),
            ("cap=1s", "`cap` is not one of initial, factor, max and jitter"),
        ] {
            assert_eq!(text.parse::<Backoff>().unwrap_err().to_string(), why, "{text}");
        }
    }

    proptest! {
        #[test]
        fn delays_never_shrink_and_never_pass_the_longest(
            initial in 0_u64..100_000, more in 0_u64..u64::MAX / 2, factor in 1.0_f64..1e300,
        ) {
            let max = Duration::from_millis(initial).saturating_add(Duration::from_secs(more));
            let backoff = Backoff::new(Duration::from_millis(initial), factor, max, Duration::ZERO).unwrap();
            let delays: Vec<_> = backoff.delays(|| 0.0).take(50).collect();
            prop_assert!(delays.windows(2).all(|pair| pair[0] <= pair[1]));
            prop_assert!(delays.iter().all(|delay| *delay <= max));
        }

        #[test]
        fn it_reads_back(initial in 0_u64..5000, factor in 1_u32..900, jitter in 0_u64..9_000_000) {
            let backoff = Backoff::new(
                Duration::from_millis(initial),
                f64::from(factor) / 7.0 + 1.0,
                Duration::from_secs(60),
                Duration::from_micros(jitter),
            )
            .unwrap();
            prop_assert_eq!(backoff.to_string().parse::<Backoff>().unwrap(), backoff);
        }
    }
}
