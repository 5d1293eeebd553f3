//! `Name`: what a certificate is good for.
//! Absent: whether a certificate is.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use super::{Fault, brief};

/// One name in a certificate.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Name {
    /// A host name in its ASCII form, perhaps with `*` as its first label.
    Dns(String),
    /// An IP address.
    Ip(IpAddr),
    /// A mail address.
    Mail(String),
    /// A URI, such as a SPIFFE identity.
    Uri(String),
}

impl Name {
    /// The names by which this machine reaches itself, and nobody reaches another.
    #[must_use]
    pub fn of_this_machine() -> [Name; 3] {
        [
            Name::Dns("localhost".into()),
            Name::Ip(std::net::Ipv4Addr::LOCALHOST.into()),
            Name::Ip(std::net::Ipv6Addr::LOCALHOST.into()),
        ]
    }

    /// Whether a certificate with this name is good for `name`: the same, or a wildcard for one more label (RFC 6125,
    /// section 6.4.3).
    #[must_use]
    pub fn covers(&self, name: &Name) -> bool {
        match (self, name) {
            (Name::Dns(pattern), Name::Dns(name)) => {
                let under = pattern.strip_prefix("*.").zip(name.split_once('.'));
                pattern.eq_ignore_ascii_case(name)
                    || under.is_some_and(|(under, (_, rest))| under.eq_ignore_ascii_case(rest))
            }
            (ours, theirs) => ours == theirs,
        }
    }

    /// Whether the name leads to this machine wherever it is used: `localhost`, 127.0.0.0/8 or ::1.
    #[must_use]
    pub fn is_loopback(&self) -> bool {
        match self {
            Name::Dns(name) => name.eq_ignore_ascii_case("localhost"),
            Name::Ip(address) => address.is_loopback(),
            Name::Mail(_) | Name::Uri(_) => false,
        }
    }
}

impl Name {
    /// The host that somebody means who meets this name in a certificate, as it is verified; `None` where there is none.
    #[must_use]
    pub fn host(&self) -> Option<String> {
        let host = match self {
            // One of those that the wildcard stands for.
            Name::Dns(name) => name.replacen("*.", "www.", 1),
            Name::Ip(address) => address.to_string(),
            Name::Mail(_) | Name::Uri(_) => return None,
        };
        // What stands in a certificate may be anything.
        matches!(host.parse(), Ok(Name::Dns(_) | Name::Ip(_))).then_some(host)
    }

    /// The name with what could drive a terminal escaped, and of any length, for a report that is to tell it from others.
    #[must_use]
    pub fn whole(&self) -> String {
        match self {
            Name::Dns(text) | Name::Mail(text) | Name::Uri(text) => text.escape_debug().to_string(),
            Name::Ip(address) => address.to_string(),
        }
    }
}

impl FromStr for Name {
    type Err = Fault;

    fn from_str(text: &str) -> Result<Self, Fault> {
        if let Ok(address) = text.parse() {
            return Ok(Name::Ip(address));
        }
        if text.contains(':') {
            // RFC 3986, section 3.1: what a scheme looks like.
            let (scheme, rest) = text.split_once(':').unwrap_or_default();
            let is_scheme = scheme.starts_with(|c: char| c.is_ascii_alphabetic())
                && scheme
                    .chars()
                    .all(|c| c.is_ascii_alphanumeric() || "+-.".contains(c));
            let is_rest = !rest.is_empty() && rest.chars().all(|c| c.is_ascii_graphic());
            return match is_scheme && is_rest {
                true => Ok(Name::Uri(text.to_owned())),
                false => Err(Fault::new(format!("`{text}` is neither an address nor a URI"))),
            };
        }
        if let Some((user, host)) = text.split_once('@') {
            let is_user = !user.is_empty() && user.chars().all(|c| c.is_ascii_graphic() && c != '@');
            if !is_user {
                return Err(Fault::new(format!("`{text}` is not a mail address")));
            }
            return Ok(Name::Mail(format!("{user}@{}", host_name(host, text)?)));
        }
        match text.strip_prefix("*.") {
            Some(rest) => Ok(Name::Dns(format!("*.{}", host_name(rest, text)?))),
            None => Ok(Name::Dns(host_name(text, text)?)),
        }
    }
}

/// The ASCII form of a host name (RFC 1123, section 2.1; underscores are in use all the same).
fn host_name(host: &str, shown: &str) -> Result<String, Fault> {
    let bad = || {
        Fault::new(format!(
            "`{shown}` is not a name that a certificate can be good for"
        ))
    };
    let ascii = if host.is_ascii() {
        host.to_ascii_lowercase()
    } else {
        idna::domain_to_ascii(host).map_err(|_| bad())?
    };
    let is_label = |label: &str| {
        (1..=63).contains(&label.len())
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
    };
    let numeric = |label: &str| label.bytes().all(|byte| byte.is_ascii_digit());
    let fits = ascii.len() <= 253 && ascii.split('.').all(is_label);
    // A last label of digits would make it look like an address that it is not.
    if !fits || ascii.rsplit('.').next().is_none_or(numeric) {
        return Err(bad());
    }
    Ok(ascii)
}

/// For messages: what comes out of a certificate is anybody's text, so that a long one is cut.
impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Name::Dns(text) | Name::Mail(text) | Name::Uri(text) => f.write_str(&brief(text)),
            Name::Ip(address) => write!(f, "{address}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_is_known_by_its_form() {
        let dns = |text: &str| Name::Dns(text.to_owned());
        for (text, name) in [
            ("localhost", dns("localhost")),
            ("*.Example.COM", dns("*.example.com")),
            ("bücher.example", dns("xn--bcher-kva.example")),
            ("_sip.a_b", dns("_sip.a_b")),
            ("127.0.0.1", Name::Ip("127.0.0.1".parse().unwrap())),
            ("::1", Name::Ip("::1".parse().unwrap())),
            ("me@example.com", Name::Mail("me@example.com".into())),
            (
                "spiffe://example.com/me",
                Name::Uri("spiffe://example.com/me".into()),
            ),
            ("urn:x:y", Name::Uri("urn:x:y".into())),
        ] {
            assert_eq!(text.parse::<Name>().unwrap(), name, "{text}");
        }
        for text in [
            "", "a..b", "*", "*.", "a.*.b", "**.b", "-a.b", "127.1", "1", "a b", "a\0", "@b", "a@", "1:2",
            ":x", "a/b", "*.*.b", "a@b@c",
        ] {
            assert!(text.parse::<Name>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_name_covers_itself_and_a_wildcard_one_label() {
        for (pattern, name, is) in [
            ("a.example", "A.example", true),
            ("a.example", "b.a.example", false),
            ("*.example.com", "a.example.com", true),
            ("*.example.com", "b.a.example.com", false),
            ("*.example.com", "example.com", false),
            ("::1", "0:0::1", true),
            ("127.0.0.1", "127.0.0.2", false),
        ] {
            let [pattern, name] = [pattern, name].map(|text| text.parse::<Name>().unwrap());
            assert_eq!(pattern.covers(&name), is, "{pattern} {name}");
        }
    }

    #[test]
    fn a_name_of_any_length_and_any_bytes_is_shown_in_part_and_whole() {
        for (text, shown, whole) in [
            ("a".repeat(253), "a".repeat(253), "a".repeat(253)),
            (
                "a".repeat(60_000),
                format!("{}…", "a".repeat(256)),
                "a".repeat(60_000),
            ),
            (
                "\u{1}".repeat(300),
                r"\u{1}".repeat(52)[..256].to_owned() + "…",
                r"\u{1}".repeat(300),
            ),
        ] {
            let name = Name::Dns(text);
            assert_eq!(name.to_string(), shown);
            assert_eq!(name.whole(), whole);
        }
    }

    #[test]
    fn the_host_of_a_name_is_one_that_can_be_asked_for() {
        let dns = |name: &str| Name::Dns(name.to_owned());
        for (name, host) in [
            (dns("a.example"), Some("a.example")),
            (dns("*.example.com"), Some("www.example.com")),
            (Name::Ip("::1".parse().unwrap()), Some("::1")),
            (dns("a b"), None),
            (dns(&"a".repeat(300)), None),
            (dns("me@a.example"), None),
            (Name::Mail("me@a.example".into()), None),
            (Name::Uri("a:b".into()), None),
        ] {
            assert_eq!(name.host().as_deref(), host, "{name}");
        }
    }

    #[test]
    fn loopback_is_this_machine_and_nothing_else() {
        for text in ["localhost", "127.0.0.1", "127.8.9.10", "::1"] {
            assert!(text.parse::<Name>().unwrap().is_loopback(), "{text}");
        }
        for text in [
            "example.com",
            "localhost.example.com",
            "a.localhost",
            "128.0.0.1",
            "::2",
            "0.0.0.0",
        ] {
            assert!(!text.parse::<Name>().unwrap().is_loopback(), "{text}");
        }
    }
}
