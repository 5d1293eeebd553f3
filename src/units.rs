//! Quantities as people write them: `1.5s`, `250ms`, `64k`, `1MiB`; read, and printed so that they read back.
//! Absent: floating point, flags and arguments, and limits that depend on what a quantity is for.

pub mod prefix;

use std::fmt;
use std::time::Duration;

/// A longer wait than anybody's; it keeps an instant plus a duration within what the clock can say.
pub const WAIT_MAX: Duration = Duration::from_secs(100 * 366 * 86_400);

/// Why a text is no quantity.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UnitError {
    /// No number, or a unit that is not known.
    NotANumber,
    /// A number that does not fit, or that is below zero.
    OutOfRange,
}

impl fmt::Display for UnitError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            UnitError::NotANumber => "not a number with a known unit",
            UnitError::OutOfRange => "out of range",
        })
    }
}

impl std::error::Error for UnitError {}

const NANOS_PER_SECOND: u128 = 1_000_000_000;
/// From the coarsest, in nanoseconds.
const TIMES: [(&str, u128); 8] = [
    ("d", 86_400 * NANOS_PER_SECOND),
    ("h", 3_600 * NANOS_PER_SECOND),
    ("m", 60 * NANOS_PER_SECOND),
    ("s", NANOS_PER_SECOND),
    ("ms", 1_000_000),
    ("us", 1_000),
    ("µs", 1_000),
    ("ns", 1),
];
/// From the coarsest, in bytes.
const SIZES: [(&str, u64); 6] = [
    ("EiB", 1 << 60),
    ("PiB", 1 << 50),
    ("TiB", 1 << 40),
    ("GiB", 1 << 30),
    ("MiB", 1 << 20),
    ("KiB", 1 << 10),
];
/// More digits than this before the point fit in no quantity; it keeps the product below 128 bits.
const WHOLE_DIGITS_MAX: usize = 20;
/// Digits after the point beyond this are too small to count in any unit.
const FRACTION_DIGITS_MAX: usize = 15;

/// Reads `250ms`, `5s`, `2m`, `1h`, `1.5s`; a bare number is seconds. What is finer than a nanosecond is dropped.
///
/// # Errors
///
/// [`UnitError`]: no number or an unknown unit, or too long, or below zero.
pub fn duration(text: &str) -> Result<Duration, UnitError> {
    let number = number(text)?;
    let unit = if number.unit.is_empty() { "s" } else { number.unit };
    let (_, unit) = TIMES
        .iter()
        .find(|(name, _)| *name == unit)
        .ok_or(UnitError::NotANumber)?;
    let nanos = number.times(*unit)?;
    let seconds = u64::try_from(nanos / NANOS_PER_SECOND).map_err(|_| UnitError::OutOfRange)?;
    let rest = u32::try_from(nanos % NANOS_PER_SECOND).map_err(|_| UnitError::OutOfRange)?;
    Ok(Duration::new(seconds, rest))
}

/// Reads `4096`, `64k`, `1MiB`, `10kB`: `k`, `M`, `G` and `KiB`, `MiB`, `GiB` count in 1024s, `kB`, `MB`, `GB` in
/// 1000s, whatever the case. What is finer than a byte is dropped.
///
/// # Errors
///
/// [`UnitError`]: no number or an unknown unit, or too many bytes, or below zero.
pub fn size(text: &str) -> Result<u64, UnitError> {
    let number = number(text)?;
    let unit = number.unit.to_ascii_lowercase();
    let (prefix, base) = match unit.strip_suffix("ib").or_else(|| unit.strip_suffix('i')) {
        Some(prefix) => (prefix, 1024_u128),
        None => match unit.strip_suffix('b') {
            Some(prefix) => (prefix, 1000),
            None => (unit.as_str(), 1024),
        },
    };
    let power = match prefix {
        "" if unit.is_empty() || unit == "b" => 0,
        "k" => 1,
        "m" => 2,
        "g" => 3,
        "t" => 4,
        "p" => 5,
        "e" => 6,
        _ => return Err(UnitError::NotANumber),
    };
    u64::try_from(number.times(base.pow(power))?).map_err(|_| UnitError::OutOfRange)
}

/// The shortest usual spelling, which [`duration`] reads back to the same value: `30s`, `1.5s`, `250ms`, `2m`.
#[must_use]
pub fn duration_text(duration: Duration) -> String {
    let seconds = duration.as_secs();
    let nanos = duration.subsec_nanos();
    if nanos == 0 {
        return match seconds {
            0 => String::from("0s"),
            s if s % 3_600 == 0 => format!("{}h", s / 3_600),
            s if s % 60 == 0 => format!("{}m", s / 60),
            s => format!("{s}s"),
        };
    }
    // The unit in which at least one stands before the point.
    let (unit, whole, fraction, digits) = match (seconds, nanos) {
        (1.., _) => ("s", seconds, nanos, 9),
        (_, 1_000_000..) => ("ms", u64::from(nanos / 1_000_000), nanos % 1_000_000, 6),
        (_, 1_000..) => ("us", u64::from(nanos / 1_000), nanos % 1_000, 3),
        _ => ("ns", u64::from(nanos), 0, 0),
    };
    if fraction == 0 {
        return format!("{whole}{unit}");
    }
    let fraction = format!("{fraction:0digits$}");
    format!("{whole}.{}{unit}", fraction.trim_end_matches('0'))
}

/// The largest binary unit that divides evenly, which [`size`] reads back to the same value: `64KiB`, `1MiB`, `1000`.
#[must_use]
pub fn size_text(bytes: u64) -> String {
    match SIZES
        .iter()
        .find(|(_, unit)| bytes > 0 && bytes.is_multiple_of(*unit))
    {
        Some((name, unit)) => format!("{}{name}", bytes / unit),
        None => bytes.to_string(),
    }
}

/// A decimal number, cut but not yet scaled.
struct Number<'a> {
    whole: u128,
    fraction: u128,
    fraction_digits: u32,
    unit: &'a str,
}

impl Number<'_> {
    fn times(&self, unit: u128) -> Result<u128, UnitError> {
        let whole = self.whole.checked_mul(unit).ok_or(UnitError::OutOfRange)?;
        let scale = 10_u128.pow(self.fraction_digits);
        let fraction = self.fraction.checked_mul(unit).ok_or(UnitError::OutOfRange)? / scale;
        whole.checked_add(fraction).ok_or(UnitError::OutOfRange)
    }
}

fn number(text: &str) -> Result<Number<'_>, UnitError> {
    // `-5s` is a number all right, only none that anything here can be.
    let negative = text.strip_prefix('-');
    let (whole, rest) = digits(negative.unwrap_or(text));
    let (fraction, unit) = match rest.strip_prefix('.') {
        Some(rest) => digits(rest),
        None => ("", rest),
    };
    if fraction.is_empty() && (whole.is_empty() || rest.starts_with('.')) {
        return Err(UnitError::NotANumber);
    }
    if negative.is_some() {
        return Err(UnitError::OutOfRange);
    }
    let whole = whole.trim_start_matches('0');
    if whole.len() > WHOLE_DIGITS_MAX {
        return Err(UnitError::OutOfRange);
    }
    let fraction = &fraction[..fraction.len().min(FRACTION_DIGITS_MAX)];
    Ok(Number {
        whole: value(whole),
        fraction: value(fraction),
        fraction_digits: u32::try_from(fraction.len()).unwrap_or(0),
        unit,
    })
}

fn digits(text: &str) -> (&str, &str) {
    let end = text
        .bytes()
        .position(|byte| !byte.is_ascii_digit())
        .unwrap_or(text.len());
    text.split_at(end)
}

/// At most [`WHOLE_DIGITS_MAX`] digits, so the sum cannot overflow.
fn value(digits: &str) -> u128 {
    digits
        .bytes()
        .fold(0, |sum, digit| sum * 10 + u128::from(digit - b'0'))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn durations_as_people_write_them() {
        for (text, nanos) in [
            ("0", 0),
            ("5", 5_000_000_000),
            ("1.5", 1_500_000_000),
            (".5", 500_000_000),
            ("250ms", 250_000_000),
            ("5s", 5_000_000_000),
            ("2m", 120_000_000_000),
            ("1h", 3_600_000_000_000),
            ("1.5s", 1_500_000_000),
            ("0.5h", 1_800_000_000_000),
            ("10us", 10_000),
            ("10µs", 10_000),
            ("1d", 86_400_000_000_000),
            ("0.0000000019s", 1),
            ("1.00000000000000000000000000000000000000000001s", 1_000_000_000),
            ("00000000000000000000000000000007ns", 7),
        ] {
            assert_eq!(duration(text), Ok(Duration::from_nanos(nanos)), "{text}");
        }
    }

    #[test]
    fn what_is_no_duration() {
        for text in [
            "", "s", "5.s", "5 s", " 5s", "5sec", "+5", "1e3", "٣s", "5s5", "0x5", "1_0", "-", "-s", "5S",
        ] {
            assert_eq!(duration(text), Err(UnitError::NotANumber), "{text}");
        }
        for text in [
            "-5",
            "-5s",
            "18446744073709551616s",
            "18446744073709551615h",
            "999999999999999999999999999ns",
        ] {
            assert_eq!(duration(text), Err(UnitError::OutOfRange), "{text}");
        }
        assert_eq!(duration(&"9".repeat(1 << 16)), Err(UnitError::OutOfRange));
    }

    #[test]
    fn sizes_as_people_write_them() {
        for (text, bytes) in [
            ("0", 0),
            ("4096", 4096),
            ("64k", 65_536),
            ("64K", 65_536),
            ("1KiB", 1024),
            ("1Ki", 1024),
            ("10kB", 10_000),
            ("1M", 1 << 20),
            ("1MiB", 1 << 20),
            ("1MB", 1_000_000),
            ("1.5M", 3 << 19),
            ("2g", 2 << 30),
            ("1b", 1),
            ("15EiB", 15 << 60),
            ("18446744073709551615", u64::MAX),
        ] {
            assert_eq!(size(text), Ok(bytes), "{text}");
        }
        for text in ["", "k", "1kk", "1ki b", "1ib", "1i", "1x", "1.k", "one"] {
            assert_eq!(size(text), Err(UnitError::NotANumber), "{text}");
        }
        for text in [
            "-1",
            "16EiB",
            "18446744073709551616",
            "99999999999999999999999999999999E",
        ] {
            assert_eq!(size(text), Err(UnitError::OutOfRange), "{text}");
        }
    }

    #[test]
    fn quantities_print_shortly() {
        let text = |nanos| duration_text(Duration::from_nanos(nanos));
        assert_eq!(text(0), "0s");
        assert_eq!(text(30_000_000_000), "30s");
        assert_eq!(text(90_000_000_000), "90s");
        assert_eq!(text(120_000_000_000), "2m");
        assert_eq!(text(7_200_000_000_000), "2h");
        assert_eq!(text(1_500_000_000), "1.5s");
        assert_eq!(text(250_000_000), "250ms");
        assert_eq!(text(1_050), "1.05us");
        assert_eq!(size_text(0), "0");
        assert_eq!(size_text(65_536), "64KiB");
        assert_eq!(size_text(1000), "1000");
    }

    proptest! {
        #[test]
        fn a_printed_duration_reads_back(seconds: u64, nanos in 0_u32..1_000_000_000, small: bool) {
            let value = Duration::new(if small { seconds % 4000 } else { seconds }, nanos);
            prop_assert_eq!(duration(&duration_text(value)), Ok(value));
            let value = Duration::from_nanos(seconds % 2_000_000_000);
            prop_assert_eq!(duration(&duration_text(value)), Ok(value));
            let value = Duration::from_secs(seconds);
            prop_assert_eq!(duration(&duration_text(value)), Ok(value));
        }

        #[test]
        fn a_printed_size_reads_back(bytes: u64, shift in 0_u32..64) {
            let bytes = (bytes >> shift) << (shift / 2);
            prop_assert_eq!(size(&size_text(bytes)), Ok(bytes));
        }

        #[test]
        fn any_text_is_answered(text in any::<String>()) {
            let _ = (duration(&text), size(&text));
        }

        #[test]
        fn numbers_with_units_are_answered(text in "-?[0-9]{0,40}(\\.[0-9]{0,40})?(ns|us|ms|s|m|h|d|k|M|GiB|EB)?") {
            let _ = (duration(&text), size(&text));
        }
    }
}
