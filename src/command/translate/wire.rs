//! The ends of a wire as peers describe them, and the endpoint strings that name them.
//! Absent: how a peer writes them.

use std::net::{IpAddr, Ipv6Addr};
use std::time::Duration;

use netkit::diagnostic::quoted;
use netkit::endpoint::Spec;
use netkit::transport::reading::ClientEndpoint;
use netkit::units::{self, WAIT_MAX, duration_text};

use super::told::Told;
use super::words::{Read, Word};

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Kind {
    #[default]
    Tcp,
    Udp,
    Unix,
    Tls,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Family {
    V4,
    V6,
}

/// What a peer says of TLS.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Tls {
    pub(super) cert: Option<String>,
    pub(super) key: Option<String>,
    /// Roots to verify the other end by.
    pub(super) trust: Option<String>,
    /// The name to verify, where it is not the host.
    pub(super) server_name: Option<String>,
    pub(super) alpn: Option<String>,
    pub(super) lowest: Option<&'static str>,
    pub(super) highest: Option<&'static str>,
    pub(super) passphrase_file: Option<String>,
    pub(super) chain: Option<String>,
    /// As a client: nothing is to be verified, and the line says so.
    pub(super) insecure: bool,
    /// As a server: whether clients show a certificate; `None`: they are not asked.
    pub(super) client_auth: Option<&'static str>,
}

/// One end.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct End {
    pub(super) kind: Kind,
    pub(super) family: Option<Family>,
    /// A server that takes both families.
    pub(super) dual: bool,
    /// The host, the address to bind, or the path.
    pub(super) host: String,
    pub(super) port: String,
    /// A client's local address.
    pub(super) leaving_from: Option<String>,
    /// A client's limit on connecting.
    pub(super) timeout: Option<String>,
    /// Further fields, by name.
    pub(super) fields: Vec<(&'static str, String)>,
    pub(super) tls: Tls,
}

impl End {
    pub(super) fn client(&self) -> String {
        self.client_spec().to_string()
    }

    fn client_spec(&self) -> Spec {
        let mut spec = match self.kind {
            Kind::Unix => Spec::new("unix").positional(&self.host),
            Kind::Tls => Spec::new("tls").positional(&self.host).positional(&self.port),
            Kind::Tcp | Kind::Udp => Spec::new(self.named(match self.family {
                None => "",
                Some(Family::V4) => "4",
                Some(Family::V6) => "6",
            }))
            .positional(&self.host)
            .positional(&self.port),
        };
        let mut below = None;
        if self.kind == Kind::Tls && self.family.is_some() {
            // TLS leaves the family to what it is spoken on.
            below = Some(End {
                kind: Kind::Tcp,
                fields: Vec::new(),
                ..self.clone()
            });
        }
        if let (Some(timeout), true) = (&self.timeout, self.kind != Kind::Udp) {
            spec = spec.keyword("timeout", timeout);
        }
        if let (Some(local), None) = (&self.leaving_from, &below) {
            spec = spec.keyword("bindAddress", local);
        }
        for (name, value) in &self.fields {
            spec = spec.keyword(*name, value);
        }
        if self.kind == Kind::Tls {
            let tls = &self.tls;
            let ours = [
                ("certificate", tls.cert.as_ref()),
                ("privateKey", tls.key.as_ref().filter(|_| tls.cert.is_some())),
                ("trustRoots", tls.trust.as_ref().filter(|_| !tls.insecure)),
                (
                    "serverName",
                    tls.server_name.as_ref().filter(|name| **name != self.host),
                ),
            ];
            for (name, value) in ours {
                spec = with(spec, name, value);
            }
            spec = tls.both(spec);
        }
        spec = with(spec, "endpoint", below.map(|below| below.client()).as_ref());
        // At the end, so that a note only adds to the line.
        if self.kind == Kind::Tls && self.tls.insecure {
            spec = spec.keyword("insecure", "yes");
        }
        spec
    }

    pub(super) fn server(&self) -> String {
        let mut spec = match self.kind {
            Kind::Unix => Spec::new("unix").positional(&self.host),
            Kind::Tls => Spec::new("tls").positional(&self.port),
            Kind::Tcp | Kind::Udp => {
                let v6 = self.is_v6() || (self.dual && self.family.is_none() && self.host.is_empty());
                Spec::new(self.named(if v6 { "6" } else { "" })).positional(&self.port)
            }
        };
        if self.kind == Kind::Tls {
            spec = with(
                spec,
                "privateKey",
                self.tls.key.as_ref().or(self.tls.cert.as_ref()),
            );
            let cert = self.tls.cert.as_ref();
            spec = with(spec, "certKey", cert.filter(|_| self.tls.key.is_some()));
        }
        if self.kind != Kind::Unix {
            let interface = match (self.host.as_str(), self.kind, self.family) {
                ("", Kind::Tls, Some(Family::V4)) => "0.0.0.0",
                ("", Kind::Tls, Some(Family::V6)) => "::",
                (host, ..) => host,
            };
            if !interface.is_empty() {
                spec = spec.keyword("interface", interface);
            }
            if self.kind == Kind::Tcp && self.family == Some(Family::V6) && self.host.is_empty() {
                spec = spec.keyword("v6only", "yes");
            }
        }
        for (name, value) in &self.fields {
            spec = spec.keyword(*name, value);
        }
        if self.kind == Kind::Tls {
            let tls = &self.tls;
            spec = with(spec, "extraCertChain", tls.chain.as_ref());
            if let (Some(auth), Some(trust)) = (tls.client_auth, &tls.trust) {
                spec = spec.keyword("clientCA", trust);
                if auth == "optional" {
                    spec = spec.keyword("clientAuth", auth);
                }
            }
            spec = tls.both(spec);
        }
        spec.to_string()
    }

    fn named(&self, family: &str) -> String {
        let kind = if self.kind == Kind::Udp { "udp" } else { "tcp" };
        format!("{kind}{family}")
    }

    fn is_v6(&self) -> bool {
        self.family == Some(Family::V6) || self.host.parse::<Ipv6Addr>().is_ok()
    }

    /// Says that this client verifies where the peer does not, and how to have it the peer's way.
    pub(super) fn note_verified(&self, program: &str, told: &mut Told) {
        let mut same = self.clone();
        same.tls.insecure = true;
        told.note(format!(
            "{program} takes any certificate here; netkit verifies chain and name. To trust anybody, as {program} does: {}",
            same.client()
        ));
    }

    /// Says that nobody is verified by the roots that are given, which are left out then.
    pub(super) fn note_unused_trust(&mut self, option: &str, told: &mut Told) {
        if self.tls.trust.take().is_some() {
            told.note(format!("{option} is not used: no certificate is verified by it"));
        }
    }

    /// A client's key without its certificate is of no use.
    pub(super) fn lose_lonely_key(&self, listens: bool, told: &mut Told) {
        if let (false, None, Some(key)) = (listens, &self.tls.cert, &self.tls.key) {
            told.lose(
                format!("the key {key}"),
                "privateKey= needs certificate=, which is not given",
            );
        }
    }

    /// Takes the address to bind, which an endpoint needs as a number.
    pub(super) fn bind(&mut self, address: &Word) -> Read<()> {
        let text = bare(&address.text);
        self.host = match text.as_str() {
            "localhost" if self.family == Some(Family::V6) => "::1".into(),
            "localhost" => "127.0.0.1".into(),
            "*" | "any" => String::new(),
            text if text.parse::<IpAddr>().is_ok() => text.to_owned(),
            "" => String::new(),
            _ => {
                let message = format!(
                    "{} is no address, and netkit binds addresses only",
                    quoted(&address.text)
                );
                return Err(address.refuse(message));
            }
        };
        Ok(())
    }
}

impl Tls {
    fn both(&self, mut spec: Spec) -> Spec {
        spec = with(spec, "alpn", self.alpn.as_ref());
        for (name, value) in [("minVersion", self.lowest), ("maxVersion", self.highest)] {
            if let Some(value) = value {
                spec = spec.keyword(name, value);
            }
        }
        with(
            spec,
            "passphraseFile",
            self.passphrase_file.as_ref().filter(|_| self.cert.is_some()),
        )
    }
}

fn with(spec: Spec, name: &str, value: Option<&String>) -> Spec {
    match value {
        Some(value) => spec.keyword(name, value),
        None => spec,
    }
}

/// An address without the brackets that may stand around it.
pub(super) fn bare(host: &str) -> String {
    let inner = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
    inner.unwrap_or(host).to_owned()
}

/// A host and a port: `host:port`, `[::1]:port`, and `port` alone, which leaves the host empty.
pub(super) fn host_and_port(word: &Word) -> Read<(Word, String)> {
    let text = word.text.as_str();
    let (host, at) = match text.rfind(':') {
        Some(at) => (word.part(0, at), at + 1),
        None => (word.part(0, 0), 0),
    };
    let port = port(&word.part(at, text.len()), false)?;
    Ok((host, port))
}

/// The host that an endpoint needs.
pub(super) fn host(word: &Word) -> Read<String> {
    let host = bare(&word.text);
    if host.is_empty() {
        return Err(word.refuse("a host is missing"));
    }
    let endpoint = Spec::new("tcp").positional(&host).positional("1").to_string();
    match ClientEndpoint::parse(endpoint.as_ref()) {
        Ok(_) => Ok(host),
        Err(refused) => Err(word.refuse(refused.diagnostic.message)),
    }
}

/// A port by its number, or by one of the names that people know.
pub(super) fn port(word: &Word, zero_ok: bool) -> Read<String> {
    let text = word.text.as_str();
    if let Some((_, number)) = SERVICES.iter().find(|(name, _)| *name == text) {
        return Ok((*number).to_owned());
    }
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    match text.parse::<u16>() {
        Ok(number) if digits && (number > 0 || zero_ok) => Ok(number.to_string()),
        _ => Err(word
            .refuse(format!("{} is no port", quoted(text)))
            .help("netkit takes numbers, 1 to 65535")),
    }
}

/// What /etc/services has everywhere. The file is not read, so that a line means the same on every machine.
const SERVICES: &[(&str, &str)] = &[
    ("echo", "7"),
    ("discard", "9"),
    ("daytime", "13"),
    ("qotd", "17"),
    ("chargen", "19"),
    ("ftp", "21"),
    ("ssh", "22"),
    ("telnet", "23"),
    ("smtp", "25"),
    ("time", "37"),
    ("domain", "53"),
    ("finger", "79"),
    ("http", "80"),
    ("www", "80"),
    ("pop3", "110"),
    ("ntp", "123"),
    ("imap", "143"),
    ("imap2", "143"),
    ("ldap", "389"),
    ("https", "443"),
    ("submissions", "465"),
    ("smtps", "465"),
    ("syslog", "514"),
    ("submission", "587"),
    ("ldaps", "636"),
    ("imaps", "993"),
    ("pop3s", "995"),
    ("mysql", "3306"),
    ("postgresql", "5432"),
    ("redis", "6379"),
];

/// A length of time in seconds, or with a unit, as our flags take it; `None`: 0, which means no limit.
pub(super) fn time(word: &Word) -> Read<Option<String>> {
    match units::duration(&word.text) {
        Ok(time) if time.is_zero() => Ok(None),
        Ok(time) if time <= WAIT_MAX => Ok(Some(duration_text(time))),
        _ => Err(word.refuse(format!("{} is no length of time", quoted(&word.text)))),
    }
}

/// The product of a time and a count, as long as anybody waits at the most.
pub(super) fn times(time: Duration, count: u32) -> String {
    duration_text(time.saturating_mul(count).min(WAIT_MAX))
}
