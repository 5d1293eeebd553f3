//! The text of one argument, typed and checked against its range.
//! Absent: which argument it is among others, and anything that looks at the machine.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use super::param::{Param, ValueKind};
use super::{Kind, nearest};
use crate::diagnostic::{listed, quoted};
use crate::units::{self, UnitError};

/// RFC 1035, section 2.3.4.
const LABEL_MAX: usize = 63;
/// RFC 1035, section 2.3.4, as text and without the final dot.
const NAME_MAX: usize = 253;

/// What the text of an argument means.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Value {
    Absent,
    Text,
    /// The name in ASCII, as the resolver and certificates want it.
    Host(String),
    Number(u64),
    Duration(Duration),
    Flag(bool),
    Address(IpAddr, Option<String>),
    List(Vec<String>),
}

/// Why a text is no such value.
#[derive(Debug)]
pub(super) struct Fault {
    pub(super) kind: Kind,
    pub(super) message: String,
    pub(super) help: Option<String>,
}

impl Fault {
    fn new(kind: Kind, message: String) -> Self {
        Fault {
            kind,
            message,
            help: None,
        }
    }

    fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }
}

pub(super) fn read(param: &Param, text: &str) -> Result<Value, Fault> {
    let what = format!("{} {}", param.name, quoted(text));
    match param.value {
        ValueKind::Host => host(param.name, text).map(Value::Host),
        ValueKind::Port { zero_ok } => {
            let range = (u64::from(!zero_ok), u64::from(u16::MAX));
            integer(&what, text, range, Kind::PortOutOfRange).map(Value::Number)
        }
        ValueKind::Integer { min, max } => {
            integer(&what, text, (min, max), Kind::OutOfRange).map(Value::Number)
        }
        ValueKind::Descriptor => {
            // The kernel counts descriptors in an int.
            integer(&what, text, (0, 0x7fff_ffff), Kind::NoSuchDescriptor).map(Value::Number)
        }
        ValueKind::Duration { zero_ok } => duration(&what, text, zero_ok).map(Value::Duration),
        ValueKind::Size => units::size(text).map(Value::Number).map_err(|error| match error {
            UnitError::NotANumber => Fault::new(Kind::NotASize, format!("{what} is not a size"))
                .help("a size is written like 4096, 64k or 1MiB"),
            UnitError::OutOfRange => Fault::new(Kind::OutOfRange, format!("{what} is out of range")),
        }),
        ValueKind::Flag => flag(&what, text).map(Value::Flag),
        ValueKind::Mode => mode(&what, text).map(Value::Number),
        ValueKind::Path if text.is_empty() => Err(Fault::new(
            Kind::EmptyPath,
            format!("the {} is empty", param.name),
        )),
        ValueKind::AddressV4 | ValueKind::AddressV6 | ValueKind::Address => address(&what, text, param.value),
        ValueKind::Choice(words) if !words.contains(&text) => {
            let fault = Fault::new(Kind::NotAChoice, format!("{what} is not {}", listed(words, "or")));
            Err(match nearest(text, words.iter().copied()) {
                Some(word) => fault.help(format!("did you mean `{word}`?")),
                None => fault,
            })
        }
        ValueKind::List => list(&what, text).map(Value::List),
        ValueKind::Path | ValueKind::Text | ValueKind::Choice(_) | ValueKind::Endpoint => Ok(Value::Text),
    }
}

fn integer(what: &str, text: &str, (min, max): (u64, u64), out_of_range: Kind) -> Result<u64, Fault> {
    // A sign makes a number that is out of range, rather than no number.
    let digits = text.strip_prefix('-').unwrap_or(text);
    if !is_digits(digits) {
        return Err(Fault::new(Kind::NotAnInteger, format!("{what} is not a number")));
    }
    // Digits that do not parse are too many.
    match text.parse::<u64>() {
        Ok(number) if (min..=max).contains(&number) => Ok(number),
        _ if max == u64::MAX => Err(Fault::new(out_of_range, format!("{what} is out of range"))),
        _ => Err(Fault::new(
            out_of_range,
            format!("{what} is not between {min} and {max}"),
        )),
    }
}

fn is_digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

fn duration(what: &str, text: &str, zero_ok: bool) -> Result<Duration, Fault> {
    match units::duration(text) {
        Ok(Duration::ZERO) if !zero_ok => Err(Fault::new(
            Kind::TimeoutOutOfRange,
            format!("{what} leaves no time at all"),
        )),
        Ok(duration) if duration <= units::WAIT_MAX => Ok(duration),
        Ok(_) | Err(UnitError::OutOfRange) => Err(Fault::new(
            Kind::TimeoutOutOfRange,
            format!("{what} is out of range"),
        )),
        Err(UnitError::NotANumber) => Err(Fault::new(
            Kind::NotADuration,
            format!("{what} is not a length of time"),
        )
        .help("a length of time is written like 30s, 250ms or 2m; a number alone is seconds")),
    }
}

fn flag(what: &str, text: &str) -> Result<bool, Fault> {
    match text.to_ascii_lowercase().as_str() {
        "yes" | "on" | "true" | "1" => Ok(true),
        "no" | "off" | "false" | "0" => Ok(false),
        _ => Err(Fault::new(
            Kind::NotAFlag,
            format!("{what} is neither yes nor no"),
        )),
    }
}

fn mode(what: &str, text: &str) -> Result<u64, Fault> {
    let digits = text.strip_prefix('-').unwrap_or(text);
    if digits.is_empty() || !digits.bytes().all(|byte| (b'0'..=b'7').contains(&byte)) {
        return Err(
            Fault::new(Kind::NotOctal, format!("{what} is not an octal number"))
                .help("permissions are written like 660 or 0600"),
        );
    }
    if digits.len() != text.len() || digits.len() > 4 {
        return Err(Fault::new(
            Kind::ModeOutOfRange,
            format!("{what} is not between 0 and 7777"),
        ));
    }
    Ok(digits
        .bytes()
        .fold(0, |sum, digit| sum * 8 + u64::from(digit - b'0')))
}

fn address(what: &str, text: &str, kind: ValueKind) -> Result<Value, Fault> {
    let (address, zone) = match literal(text) {
        Some((address, zone)) => (address, zone.map(str::to_owned)),
        None => {
            let wanted = match kind {
                ValueKind::AddressV4 => "an IPv4",
                ValueKind::AddressV6 => "an IPv6",
                _ => "an IP",
            };
            return Err(Fault::new(
                Kind::NotAnAddress,
                format!("{what} is not {wanted} address"),
            ));
        }
    };
    match (kind, address) {
        (ValueKind::AddressV4, IpAddr::V6(_)) => Err(Fault::new(
            Kind::WrongAddressFamily,
            format!("{what} is an IPv6 address, an IPv4 one is needed"),
        )),
        (ValueKind::AddressV6, IpAddr::V4(_)) => Err(Fault::new(
            Kind::WrongAddressFamily,
            format!("{what} is an IPv4 address, an IPv6 one is needed"),
        )),
        _ => Ok(Value::Address(address, zone)),
    }
}

/// An IP address, and the zone of a link-local one.
pub(super) fn literal(text: &str) -> Option<(IpAddr, Option<&str>)> {
    if let Ok(address) = text.parse::<Ipv4Addr>() {
        return Some((IpAddr::V4(address), None));
    }
    let (address, zone) = match text.split_once('%') {
        Some((address, zone)) => (address, Some(zone)),
        None => (text, None),
    };
    // What an interface may be called, as far as an address is concerned: something, and no blanks.
    if zone
        .is_some_and(|zone| zone.is_empty() || zone.contains(|c: char| c.is_whitespace() || c.is_control()))
    {
        return None;
    }
    address
        .parse::<Ipv6Addr>()
        .ok()
        .map(|address| (IpAddr::V6(address), zone))
}

fn list(what: &str, text: &str) -> Result<Vec<String>, Fault> {
    if text.is_empty() {
        return Ok(Vec::new());
    }
    let items: Vec<String> = text.split(',').map(str::to_owned).collect();
    if items.iter().any(String::is_empty) {
        return Err(Fault::new(
            Kind::EmptyItem,
            format!("{what} has nothing between two commas"),
        ));
    }
    Ok(items)
}

/// The name in the form that goes over the wire; addresses stay as they are.
fn host(what: &str, text: &str) -> Result<String, Fault> {
    if text.is_empty() {
        return Err(Fault::new(Kind::EmptyHost, format!("the {what} is empty")));
    }
    if literal(text).is_some() {
        return Ok(text.to_owned());
    }
    let bad = |why: &str| Fault::new(Kind::BadHostname, format!("{what} {} {why}", quoted(text)));
    if text.contains(':') {
        return Err(bad("is neither a name nor an IPv6 address"));
    }
    if let Some(c) = text
        .chars()
        .find(|c| c.is_whitespace() || c.is_control() || "/\\[]@%\"'".contains(*c))
    {
        return Err(bad(&format!(
            "is not a host name: {} is no part of one",
            quoted(&c.to_string())
        )));
    }
    // Far longer than any name in ASCII can be; the conversion below need not see it.
    if text.len() > 4 * NAME_MAX {
        return Err(bad("is too long for a host name"));
    }
    let ascii = if text.is_ascii() {
        text.to_owned()
    } else {
        idna::domain_to_ascii(text).map_err(|_| {
            bad("is not a host name").help("a name outside ASCII must have a form that begins with `xn--`")
        })?
    };
    // One dot at the end says that the name is complete.
    let labels = ascii.strip_suffix('.').unwrap_or(&ascii);
    if labels.split('.').any(str::is_empty) {
        return Err(bad("has nothing between two dots"));
    }
    if labels.split('.').any(|label| label.len() > LABEL_MAX) || labels.len() > NAME_MAX {
        return Err(bad("is too long for a host name"));
    }
    Ok(ascii)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn typed(kind: ValueKind, text: &str) -> Result<Value, Kind> {
        read(&Param::required("it", kind, "it"), text).map_err(|fault| fault.kind)
    }

    #[test]
    fn ports_are_ascii_digits_in_range() {
        let port = |text| typed(ValueKind::Port { zero_ok: false }, text);
        assert_eq!(port("65535"), Ok(Value::Number(65535)));
        assert_eq!(port("080"), Ok(Value::Number(80)));
        for text in [
            "", "http", " 80", "80 ", "+80", "8_0", "0x50", "80.0", "-", "٨٠", "--1",
        ] {
            assert_eq!(port(text), Err(Kind::NotAnInteger), "{text}");
        }
        for text in ["0", "-1", "65536", "99999999999999999999999"] {
            assert_eq!(port(text), Err(Kind::PortOutOfRange), "{text}");
        }
        assert_eq!(
            typed(ValueKind::Port { zero_ok: true }, "0"),
            Ok(Value::Number(0))
        );
        assert_eq!(
            typed(ValueKind::Integer { min: 1, max: 9 }, "10"),
            Err(Kind::OutOfRange)
        );
        assert_eq!(typed(ValueKind::Descriptor, "-1"), Err(Kind::NoSuchDescriptor));
    }

    #[test]
    fn times_sizes_flags_and_modes() {
        let time = |text| typed(ValueKind::Duration { zero_ok: false }, text);
        assert_eq!(time("1.5"), Ok(Value::Duration(Duration::from_millis(1500))));
        for text in ["0", "0.0000000001", "-5", "9999999999h"] {
            assert_eq!(time(text), Err(Kind::TimeoutOutOfRange), "{text}");
        }
        assert_eq!(time("soon"), Err(Kind::NotADuration));
        assert_eq!(
            typed(ValueKind::Duration { zero_ok: true }, "0"),
            Ok(Value::Duration(Duration::ZERO))
        );
        assert_eq!(typed(ValueKind::Size, "64k"), Ok(Value::Number(65536)));
        assert_eq!(typed(ValueKind::Size, "k"), Err(Kind::NotASize));
        assert_eq!(typed(ValueKind::Flag, "on"), Ok(Value::Flag(true)));
        assert_eq!(typed(ValueKind::Flag, "No"), Ok(Value::Flag(false)));
        assert_eq!(typed(ValueKind::Flag, "2"), Err(Kind::NotAFlag));
        assert_eq!(typed(ValueKind::Mode, "0660"), Ok(Value::Number(0o660)));
        for text in ["888", "", "-", "0o660", "+7"] {
            assert_eq!(typed(ValueKind::Mode, text), Err(Kind::NotOctal), "{text}");
        }
        for text in ["-1", "17777", "00000"] {
            assert_eq!(typed(ValueKind::Mode, text), Err(Kind::ModeOutOfRange), "{text}");
        }
    }

    #[test]
    fn addresses_are_of_the_family_that_is_asked_for() {
        assert!(typed(ValueKind::AddressV4, "127.0.0.1").is_ok());
        assert!(typed(ValueKind::AddressV6, "fe80::1%eth0").is_ok());
        assert!(typed(ValueKind::Address, "::1").is_ok());
        assert_eq!(typed(ValueKind::AddressV4, "::1"), Err(Kind::WrongAddressFamily));
        assert_eq!(
            typed(ValueKind::AddressV6, "127.0.0.1"),
            Err(Kind::WrongAddressFamily)
        );
        for text in [
            "",
            "localhost",
            "127.1",
            "fe80::1%",
            "::1%a b",
            "127.0.0.1%eth0",
            "[::1]",
        ] {
            assert_eq!(typed(ValueKind::Address, text), Err(Kind::NotAnAddress), "{text}");
        }
    }

    #[test]
    fn hosts_are_names_or_addresses() {
        let host = |text: &str| typed(ValueKind::Host, text);
        for text in [
            "h",
            "a_b.example",
            "example.com.",
            "127.1",
            "::1",
            "fe80::1%eth0",
            "10.0.0.1",
        ] {
            assert_eq!(host(text), Ok(Value::Host(text.to_owned())), "{text}");
        }
        assert_eq!(
            host("bücher.example"),
            Ok(Value::Host(String::from("xn--bcher-kva.example")))
        );
        assert_eq!(host(""), Err(Kind::EmptyHost));
        let long = "a".repeat(64);
        let many = "a.".repeat(127) + "b";
        for text in [
            "a..b",
            ".",
            ".a",
            "a b",
            "a\0b",
            "a:b",
            "::1::",
            "a/b",
            "[::1]",
            "a\u{ad}\u{300}..",
            &long,
            &many,
        ] {
            assert_eq!(host(text), Err(Kind::BadHostname), "{text}");
        }
        assert_eq!(host(&"ü".repeat(1 << 16)), Err(Kind::BadHostname));
    }

    #[test]
    fn lists_are_cut_at_commas() {
        let items = Value::List(vec![String::from("h2"), String::from("http/1.1")]);
        assert_eq!(typed(ValueKind::List, "h2,http/1.1"), Ok(items));
        assert_eq!(typed(ValueKind::List, ""), Ok(Value::List(Vec::new())));
        assert_eq!(typed(ValueKind::List, "a,"), Err(Kind::EmptyItem));
        assert_eq!(
            typed(ValueKind::Choice(&["1.2", "1.3"]), "1.4"),
            Err(Kind::NotAChoice)
        );
        assert_eq!(typed(ValueKind::Choice(&["1.2", "1.3"]), "1.3"), Ok(Value::Text));
    }

    proptest! {
        #[test]
        fn any_host_is_answered(text in any::<String>()) {
            if let Ok(Value::Host(ascii)) = typed(ValueKind::Host, &text) {
                prop_assert!(ascii.is_ascii() || literal(&text).is_some());
                prop_assert!(!ascii.is_empty());
            }
        }
    }
}
