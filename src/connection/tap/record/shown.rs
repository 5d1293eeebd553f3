//! The addresses that a recording shows: those of the connection, or made-up ones where it has no such addresses.
//! Absent: packets.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

#[cfg(feature = "tls")]
use crate::cert::{Name, inspect};
use crate::connection::facts::Tls;
use crate::connection::{Address, Facts};
use crate::endpoint::Role;

/// The ends that have no IP address: from a block that nobody has (RFC 5737).
const SERVER: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)), 1);
const CLIENT: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 2);

/// The first port of made-up clients, and how many they have.
const PORTS: (u16, u32) = (16_384, 49_152);

/// Two addresses of one family, and what else is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Shown {
    pub(super) ours: SocketAddr,
    pub(super) theirs: SocketAddr,
    pub(super) comment: Option<String>,
}

impl Shown {
    /// What is shown of the `number`th connection.
    pub(super) fn of(facts: &Facts, role: Role, number: u32) -> Self {
        let client = SocketAddr::new(CLIENT.into(), PORTS.0 + (number % PORTS.1) as u16);
        let (our_stand_in, their_stand_in) = match role {
            Role::Client => (client, SERVER),
            Role::Server => (SERVER, client),
        };
        let ours = inet(&facts.local).unwrap_or(our_stand_in);
        let theirs = inet(&facts.peer).unwrap_or(their_stand_in);
        let (ours, theirs) = match (ours, theirs) {
            (SocketAddr::V4(_), SocketAddr::V4(_)) | (SocketAddr::V6(_), SocketAddr::V6(_)) => (ours, theirs),
            mixed => (mapped(mixed.0), mapped(mixed.1)),
        };
        let comment = comment(facts);
        Shown {
            ours,
            theirs,
            comment,
        }
    }
}

fn inet(address: &Address) -> Option<SocketAddr> {
    match address {
        Address::Inet(address) => Some(SocketAddr::new(address.ip().to_canonical(), address.port())),
        _ => None,
    }
}

fn mapped(address: SocketAddr) -> SocketAddr {
    match address.ip() {
        IpAddr::V4(v4) => SocketAddr::new(v4.to_ipv6_mapped().into(), address.port()),
        IpAddr::V6(_) => address,
    }
}

/// What the addresses do not say.
fn comment(facts: &Facts) -> Option<String> {
    let mut lines = Vec::new();
    if inet(&facts.local).is_none() || inet(&facts.peer).is_none() {
        let (local, peer) = (&facts.local, &facts.peer);
        lines.push(format!(
            "between {local} and {peer}; addresses of 192.0.2.0/24 are made up"
        ));
    }
    if let Some(via) = &facts.via {
        lines.push(format!("handed on by the proxy {via}"));
    }
    if let Some(tls) = &facts.tls {
        lines.push(of_tls(tls));
    }
    (!lines.is_empty()).then(|| lines.join("\n"))
}

fn of_tls(tls: &Tls) -> String {
    let mut line = format!("decrypted: {}, {}", tls.version, tls.cipher);
    if let Some(alpn) = &tls.alpn {
        line += &format!(", ALPN {alpn}");
    }
    if let Some(name) = &tls.server_name {
        line += &format!(", asked for {}", name.escape_debug());
    }
    #[cfg(feature = "tls")]
    if let Some(peer) = tls
        .peer_certificates
        .first()
        .and_then(|der| inspect::describe(der))
    {
        let names: Vec<_> = peer.names.iter().map(Name::whole).collect();
        line += &format!(
            "\nthe peer's certificate: {}, for {}",
            peer.subject,
            names.join(", ")
        );
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(local: Address, peer: Address, role: Role) -> (String, String, Option<String>) {
        let shown = Shown::of(&Facts::new(local, peer), role, 49_152 + 3);
        (shown.ours.to_string(), shown.theirs.to_string(), shown.comment)
    }

    fn at(text: &str) -> Address {
        Address::Inet(text.parse().unwrap())
    }

    #[test]
    fn addresses_are_those_of_the_connection_in_one_family() {
        let (ours, theirs, comment) = shown(at("[::ffff:10.0.0.1]:80"), at("10.0.0.2:5555"), Role::Server);
        assert_eq!(
            (&*ours, &*theirs, comment),
            ("10.0.0.1:80", "10.0.0.2:5555", None)
        );
        let (ours, theirs, _) = shown(at("[2001:db8::1]:80"), at("10.0.0.2:5555"), Role::Server);
        assert_eq!((&*ours, &*theirs), ("[2001:db8::1]:80", "[::ffff:10.0.0.2]:5555"));
    }

    #[test]
    fn what_has_no_address_gets_one_and_is_named() {
        let path = || Address::Path("/run/a".into());
        let (ours, theirs, comment) = shown(path(), Address::Unnamed, Role::Server);
        assert_eq!((&*ours, &*theirs), ("192.0.2.1:1", "192.0.2.2:16387"));
        let comment = comment.unwrap();
        assert!(comment.starts_with("between /run/a and unnamed"), "{comment}");
        let (ours, theirs, _) = shown(Address::Unnamed, path(), Role::Client);
        assert_eq!((&*ours, &*theirs), ("192.0.2.2:16387", "192.0.2.1:1"));
    }
}
