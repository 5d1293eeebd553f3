//! How the values of flags are read: times, sizes, escaped text, tables of settings.
//! Absent: the flags.

use std::num::NonZeroU64;
use std::time::Duration;

use netkit::backoff::Backoff;
use netkit::process::syslog;
use netkit::units::prefix::{Prefix, PrefixError};
use netkit::{escape, units};

/// A length of time: `250ms`, `5s`, `2m`; a bare number is seconds.
pub(crate) fn duration(text: &str) -> Result<Duration, String> {
    let duration = duration_or_zero(text)?;
    if duration.is_zero() {
        return Err("a time limit must be longer than 0".into());
    }
    Ok(duration)
}

/// A length of time that may be none at all.
pub(crate) fn duration_or_zero(text: &str) -> Result<Duration, String> {
    let duration = units::duration(text).map_err(|error| error.to_string())?;
    if duration > units::WAIT_MAX {
        return Err(units::UnitError::OutOfRange.to_string());
    }
    Ok(duration)
}

/// So many bytes, `4096` or `1MiB`; perhaps none.
pub(crate) fn bytes(text: &str) -> Result<u64, String> {
    units::size(text).map_err(|error| error.to_string())
}

/// So many bytes, and not none.
pub(crate) fn some_bytes(text: &str) -> Result<NonZeroU64, String> {
    NonZeroU64::new(bytes(text)?).ok_or_else(|| "it must be more than 0".into())
}

/// Bytes a second: `10KiB/s`, `1MB/s`; the second goes without saying.
pub(crate) fn rate(text: &str) -> Result<NonZeroU64, String> {
    some_bytes(text.strip_suffix("/s").unwrap_or(text))
}

/// A mask of permissions in octal.
pub(crate) fn mask(text: &str) -> Result<u32, String> {
    let octal = (1..=4).contains(&text.len()) && text.bytes().all(|byte| (b'0'..=b'7').contains(&byte));
    u32::from_str_radix(text, 8)
        .ok()
        .filter(|mask| octal && *mask <= 0o777)
        .ok_or_else(|| "a mask is written in octal, from 0 to 777".into())
}

/// Our name in the system's log.
pub(crate) fn log_prefix(text: &str) -> Result<String, String> {
    syslog::check_prefix(text).map(|()| text.to_owned())
}

/// Delays between attempts: `initial=1s,factor=1.5,max=60s,jitter=1s`, any of them.
pub(crate) fn backoff(text: &str) -> Result<Backoff, String> {
    text.parse()
        .map_err(|unfit: netkit::backoff::Unfit| unfit.to_string())
}

/// An address, or a block of them: `10.0.0.0/8`.
pub(crate) fn prefix(text: &str) -> Result<Prefix, String> {
    text.parse().map_err(|error: PrefixError| error.to_string())
}

/// Text with `\r`, `\n`, `\t` and `\xHH` in it.
pub(crate) fn escaped(text: &str) -> Result<Payload, String> {
    escape::unescape(text)
        .map(Payload)
        .map_err(|error| error.to_string())
}

/// Bytes to send.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Payload(pub Vec<u8>);

/// A moment: `2027-01-31`, or `2027-01-31T12:00:00Z`.
#[cfg(feature = "tls")]
pub(crate) fn moment(text: &str) -> Result<time::OffsetDateTime, String> {
    let bad = || "a moment is written 2027-01-31 or 2027-01-31T12:00:00Z".to_owned();
    let (date, clock) = match text.split_once('T') {
        Some((date, clock)) => (date, clock.strip_suffix('Z').ok_or_else(bad)?),
        None => (text, "00:00:00"),
    };
    let numbers = |text: &str, separator: char| -> Option<[u16; 3]> {
        let mut parts = text.split(separator);
        let mut next = || {
            let part = parts.next()?;
            let is_number = !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
            is_number.then(|| part.parse().ok())?
        };
        let three = [next()?, next()?, next()?];
        parts.next().is_none().then_some(three)
    };
    let [year, month, day] = numbers(date, '-').ok_or_else(bad)?;
    let [hour, minute, second] = numbers(clock, ':').ok_or_else(bad)?;
    let small = |number: u16| u8::try_from(number).unwrap_or(u8::MAX);
    let month = time::Month::try_from(small(month)).map_err(|_| bad())?;
    let date = time::Date::from_calendar_date(i32::from(year), month, small(day)).map_err(|_| bad())?;
    let clock = time::Time::from_hms(small(hour), small(minute), small(second)).map_err(|_| bad())?;
    Ok(time::PrimitiveDateTime::new(date, clock).assume_utc())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn masks_are_octal_permissions() {
        for (text, value) in [("0", 0), ("022", 0o022), ("77", 0o77), ("0777", 0o777)] {
            assert_eq!(mask(text), Ok(value));
        }
        for text in ["", "8", "1000", "00022", "0o22", "+22", "-1", " 22", "u=rw"] {
            mask(text).unwrap_err();
        }
    }

    #[test]
    fn rates_are_sizes_a_second() {
        for (text, value) in [
            ("10KiB/s", 10_240),
            ("1MB/s", 1_000_000),
            ("1MB", 1_000_000),
            ("1", 1),
        ] {
            assert_eq!(rate(text), Ok(NonZeroU64::new(value).unwrap()), "{text}");
        }
        for text in ["0", "0/s", "1/m", "/s", "1/s/s", "-1", "1 KiB/s"] {
            rate(text).unwrap_err();
        }
    }

    #[cfg(feature = "tls")]
    #[test]
    fn moments_are_days_or_seconds() {
        let seconds = |text| moment(text).map(time::OffsetDateTime::unix_timestamp).ok();
        assert_eq!(seconds("1970-01-02"), Some(86_400));
        assert_eq!(seconds("1970-01-01T01:02:03Z"), Some(3723));
        for text in [
            "",
            "2027",
            "2027-13-01",
            "2027-02-30",
            "2027-01-01T25:00:00Z",
            "2027-01-01T12:00:00",
            "2027-01-01-01",
            "+2027-01-01",
            "2027-257-01",
        ] {
            assert_eq!(seconds(text), None, "{text}");
        }
    }
}
