//! How the values of flags are read: times, sizes, escaped text, tables of settings.
//! Absent: the flags.

use std::time::Duration;

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

/// Text with `\r`, `\n`, `\t` and `\xHH` in it.
pub(crate) fn escaped(text: &str) -> Result<Payload, String> {
    escape::unescape(text)
        .map(Payload)
        .map_err(|error| error.to_string())
}

/// Bytes to send.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Payload(pub Vec<u8>);
