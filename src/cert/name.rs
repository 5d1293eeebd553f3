//! `Name`: what a certificate is good for.
//! Absent: whether a certificate is.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use super::Fault;

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

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            // What comes out of a certificate is anybody's text.
            Name::Dns(text) | Name::Mail(text) | Name::Uri(text) => write!(f, "{}", text.escape_debug()),
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
