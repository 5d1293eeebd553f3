//! What is known of a connection, as scripts ask for it. What is not known is an empty text.
//! Absent: anything that is not in its facts.

use crate::connection::{Address, Facts};
use crate::script::step::Fact;

/// The text of one fact.
pub(super) fn fact(facts: &Facts, asked: Fact) -> String {
    let tls = facts.tls.as_deref();
    match asked {
        Fact::Peer => facts.peer.to_string(),
        Fact::PeerHost => host(&facts.peer),
        Fact::PeerPort => port(&facts.peer),
        Fact::PeerName => names(facts).into_iter().next().unwrap_or_default(),
        Fact::PeerNames => names(facts).join(" "),
        Fact::Local => facts.local.to_string(),
        Fact::LocalHost => host(&facts.local),
        Fact::LocalPort => port(&facts.local),
        Fact::Via => facts.via.as_ref().map(ToString::to_string).unwrap_or_default(),
        Fact::TlsVersion => tls.map(|tls| tls.version.to_owned()).unwrap_or_default(),
        Fact::TlsCipher => tls.map(|tls| tls.cipher.to_owned()).unwrap_or_default(),
        Fact::TlsAlpn => tls.and_then(|tls| tls.alpn.clone()).unwrap_or_default(),
        Fact::TlsServerName => tls.and_then(|tls| tls.server_name.clone()).unwrap_or_default(),
        Fact::TlsResumed => match tls {
            Some(tls) if tls.resumed => "yes".to_owned(),
            Some(_) => "no".to_owned(),
            None => String::new(),
        },
    }
}

fn host(address: &Address) -> String {
    address.ip().map(|ip| ip.to_string()).unwrap_or_default()
}

fn port(address: &Address) -> String {
    match address {
        Address::Inet(address) => address.port().to_string(),
        _ => String::new(),
    }
}

#[cfg(feature = "tls")]
fn names(facts: &Facts) -> Vec<String> {
    let chain = facts.tls.iter().flat_map(|tls| tls.peer_certificates.first());
    chain
        .flat_map(|certificate| crate::cert::inspect::names(certificate))
        .map(|name| name.to_string())
        .collect()
}

#[cfg(not(feature = "tls"))]
fn names(_: &Facts) -> Vec<String> {
    Vec::new()
}
