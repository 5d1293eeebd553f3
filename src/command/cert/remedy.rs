//! What would make a server acceptable, as endpoint strings to be pasted, each with what it costs.
//! Absent: what is wrong with the server.

use netkit::cert::chain::{Finding, Kind};
use netkit::cert::{CertificateDer, Name, Pin, inspect};
use netkit::endpoint::Spec;
use netkit::transport::reading::ClientEndpoint;

/// Something that would help.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Remedy {
    /// The user's endpoint with it.
    pub(super) endpoint: String,
    /// What is believed then, and what is lost.
    pub(super) cost: String,
}

/// What would help against all of the faults, what costs least first.
pub(super) fn remedies(endpoint: &str, chain: &[CertificateDer<'_>], faults: &[Finding]) -> Vec<Remedy> {
    let Some(leaf) = chain.first() else {
        return Vec::new();
    };
    let is = |kind: Kind| faults.iter().any(|fault| fault.kind == kind);
    let at_leaf = |kind: Kind| faults.iter().any(|fault| fault.kind == kind && fault.place == 0);
    // Whoever shows such a key cannot prove anything with it.
    if faults.is_empty() || at_leaf(Kind::WeakKey) || at_leaf(Kind::Damaged) {
        return Vec::new();
    }
    let only = |taken: &dyn Fn(&Finding) -> bool| faults.iter().all(taken);
    let other_name = is(Kind::WrongName)
        .then(|| inspect::names(leaf).iter().find_map(Name::host))
        .flatten();
    let name_can_be_mended = !is(Kind::WrongName) || other_name.is_some();
    let named = |fields: &[(&str, &str)]| {
        let name = other_name.as_deref().map(|name| ("serverName", name));
        let fields: Vec<_> = fields.iter().copied().chain(name).collect();
        with(endpoint, &fields)
    };
    let mut remedies = Vec::new();
    let mut add = |endpoint: Option<String>, cost: String| {
        remedies.extend(endpoint.map(|endpoint| Remedy { endpoint, cost }));
    };
    let also = other_name
        .as_deref()
        .map(|name| format!("; and it verifies the name `{name}` instead"))
        .unwrap_or_default();
    if only(&|fault| fault.kind == Kind::WrongName)
        && let Some(name) = &other_name
    {
        let cost = format!("verifies the name `{name}` instead: right only if that is the server you mean");
        add(named(&[]), cost);
    }
    let authority = faults
        .iter()
        .find(|fault| matches!(fault.kind, Kind::IssuerMissing | Kind::RootUntrusted));
    if let Some(authority) = authority
        && name_can_be_mended
        && only(&|fault| fault.kind.is_about_trust() || fault.kind == Kind::WrongName)
        && let Some(last) = chain.get(authority.place)
    {
        let issuer = inspect::issuer(last);
        let cost = format!(
            "once ca.pem holds the certificate of `{issuer}`, got from somebody you trust: believes everything that it \
             signs{also}"
        );
        add(named(&[("trustRoots", "ca.pem")]), cost);
    }
    let dates = at_leaf(Kind::Expired) || at_leaf(Kind::NotYetValid);
    let about_chain = faults
        .iter()
        .any(|fault| !matches!(fault.kind, Kind::WrongName | Kind::OtherKey));
    if about_chain && !dates && name_can_be_mended {
        let cost = format!(
            "once `netkit cert show --pem` has written its own certificate, the first, to server.pem and you have \
             compared its sha256 with somebody who knows it: believes this certificate alone, until {}, and has to be \
             done anew when it is renewed{also}",
            inspect::not_after(leaf).map_or_else(String::new, inspect::day)
        );
        add(named(&[("trustRoots", "server.pem")]), cost);
    }
    if let Some(pin) = Pin::of(leaf) {
        let cost = "believes this key alone, whatever names, dates and issuer the certificate has, if somebody who knows \
                    has told you that it is the right one; breaks when the server gets a new key";
        add(with(endpoint, &[("pin", &pin.to_string())]), cost.to_owned());
    }
    let cost = "believes anybody: whoever is in between can read and change everything; for tests alone";
    add(with(endpoint, &[("insecure", "yes")]), cost.to_owned());
    remedies
}

/// The fields that say whom to believe; one of them takes the place of another.
const TRUST: [&str; 3] = ["trustRoots", "pin", "insecure"];

/// The endpoint with other fields; `None` where its type has no such field.
fn with(endpoint: &str, fields: &[(&str, &str)]) -> Option<String> {
    let mut spec = Spec::parse(endpoint).ok()?;
    let trust = fields.iter().any(|(name, _)| TRUST.contains(name));
    spec.fields.retain(|field| {
        let name = field.name.as_ref().map(|name| name.text.as_str());
        name.is_none_or(|name| {
            !(fields.iter().any(|(other, _)| *other == name) || trust && TRUST.contains(&name))
        })
    });
    let text = fields
        .iter()
        .fold(spec, |spec, (name, value)| spec.keyword(*name, *value))
        .to_string();
    ClientEndpoint::parse(text.as_ref()).ok().map(|_| text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_endpoint_is_given_other_fields_in_the_place_of_its_own() {
        for (endpoint, fields, expected) in [
            (
                "tls:a:1",
                &[("insecure", "yes")][..],
                Some("tls:a:1:insecure=yes"),
            ),
            (
                "tls:a:1:trustRoots=x:alpn=h2",
                &[("trustRoots", "ca.pem"), ("serverName", "b")],
                Some("tls:a:1:alpn=h2:trustRoots=ca.pem:serverName=b"),
            ),
            (
                "haproxy:version=1:tls:a:1:endpoint=[tcp:[::1]:1]",
                &[("insecure", "yes")],
                Some("haproxy:version=1:tls:a:1:endpoint=[tcp:[::1]:1]:insecure=yes"),
            ),
            (
                "tls:a:1:serverName=b:insecure=yes",
                &[("serverName", "c")],
                Some("tls:a:1:insecure=yes:serverName=c"),
            ),
            ("ssl:a:1", &[("insecure", "yes")], None),
            ("tls:a:1:5:b:c:k:roots", &[("trustRoots", "x")], None),
        ] {
            assert_eq!(with(endpoint, fields).as_deref(), expected, "{endpoint}");
        }
    }
}
