//! A chain of certificates beside those that are trusted: all that is wrong with it, each with the certificate it is
//! wrong with. Absent: whether anybody is let in; TLS decides that, and here is said why.

use std::cell::Cell;

use x509_parser::extensions::{GeneralName, ParsedExtension};
use x509_parser::oid_registry::OID_PKIX_ACCESS_DESCRIPTOR_CA_ISSUERS;
use x509_parser::prelude::{FromDer, X509Certificate};

use super::constraints::forbidden;
pub use super::finding::{Finding, Kind};
use super::{CertificateDer, Name, inspect};

/// Looks at a chain, the leaf first, as a server sent it. `now` is in seconds since 1970; without a name none is
/// compared.
#[must_use]
pub fn examine(
    chain: &[CertificateDer<'_>],
    roots: &[CertificateDer<'_>],
    name: Option<&Name>,
    now: i64,
) -> Vec<Finding> {
    let mut found = Vec::new();
    let chain: Vec<_> = chain.iter().map(|der| inspect::parse(der)).collect();
    for (place, certificate) in chain.iter().enumerate() {
        if certificate.is_none() {
            found.push(Finding::new(Kind::Damaged, place, "it is no certificate"));
        }
    }
    if let Some(Some(leaf)) = chain.first() {
        let mut walk = Walk {
            chain: &chain,
            roots: roots.iter().filter_map(|der| inspect::parse(der)).collect(),
            now,
            path: vec![0],
            checks: Cell::new(CHECKS_MAX),
            found,
        };
        walk.leaf(leaf, name);
        walk.up(leaf);
        walk.rest();
        found = walk.found;
    }
    // By certificate; what was found first about one stays first.
    found.sort_by_key(|finding| finding.place);
    found
}

/// More signatures than any honest chain needs: a server could send hundreds of namesakes.
const CHECKS_MAX: u32 = 100;

type Certificate<'a> = X509Certificate<'a>;

/// The way from the leaf to somebody who is trusted.
struct Walk<'a> {
    chain: &'a [Option<Certificate<'a>>],
    roots: Vec<Certificate<'a>>,
    now: i64,
    /// The places that were passed.
    path: Vec<usize>,
    /// How many signatures may still be computed.
    checks: Cell<u32>,
    found: Vec<Finding>,
}

impl<'a> Walk<'a> {
    fn say(&mut self, kind: Kind, place: usize, why: impl Into<String>) {
        self.found.push(Finding::new(kind, place, why));
    }

    fn leaf(&mut self, leaf: &Certificate<'a>, name: Option<&Name>) {
        self.dates(leaf, 0);
        if let Some(name) = name {
            let names = inspect::names_of(leaf);
            if !names.iter().any(|pattern| pattern.covers(name)) {
                let why = match &names[..] {
                    [] => format!("it is not for `{name}`: it names no host (a common name does not count)"),
                    names => format!("it is not for `{name}`, but for {}", some(names)),
                };
                self.say(Kind::WrongName, 0, why);
            }
        }
        if !serves(leaf) {
            let why = "it is not for servers: its extended key usage says what for, and that is not among it";
            self.say(Kind::WrongPurpose, 0, why);
        }
        // A certificate that was named itself may be of any kind.
        if leaf.is_ca() && !self.is_root(leaf) {
            let why = "it is one for an authority, and a server shows it as its own";
            self.say(Kind::AuthorityAsServer, 0, why);
        }
        self.strength(leaf, 0);
    }

    fn dates(&mut self, certificate: &Certificate<'_>, place: usize) {
        let (from, to) = (
            certificate.validity().not_before.timestamp(),
            certificate.validity().not_after.timestamp(),
        );
        if self.now < from {
            let why = format!("it is not valid before {}", inspect::day(from));
            self.found.push(Finding {
                help: Some("is the clock of this machine right?".into()),
                ..Finding::new(Kind::NotYetValid, place, why)
            });
        } else if self.now > to {
            let why = format!("it expired on {}", inspect::day(to));
            self.found.push(Finding {
                help: Some("whoever runs the server has to renew it".into()),
                ..Finding::new(Kind::Expired, place, why)
            });
        }
    }

    /// Whether key and signature are of a strength that is taken.
    fn strength(&mut self, certificate: &Certificate<'_>, place: usize) {
        if let Some(why) = inspect::weak_key(certificate) {
            self.say(Kind::WeakKey, place, why);
        }
        // What somebody signed for himself proves nothing anyway.
        let own = certificate.subject().as_raw() == certificate.issuer().as_raw();
        if let Some(why) = inspect::weak_signature(certificate)
            && !own
        {
            self.say(Kind::WeakSignature, place, why);
        }
    }

    fn is_root(&self, certificate: &Certificate<'_>) -> bool {
        self.roots
            .iter()
            .any(|root| root.as_raw() == certificate.as_raw())
    }

    /// Whether `issuer` issued `certificate`, as far as can be told: what cannot be computed here is not held against
    /// it, as the strength of the key or of the signature is found wanting anyway.
    fn issued(&self, issuer: &Certificate<'_>, certificate: &Certificate<'_>) -> bool {
        use x509_parser::error::X509Error::SignatureUnsupportedAlgorithm;
        if !named(issuer, certificate) || self.checks.get() == 0 {
            return false;
        }
        self.checks.set(self.checks.get() - 1);
        match certificate.verify_signature(Some(issuer.public_key())) {
            Ok(()) | Err(SignatureUnsupportedAlgorithm) => true,
            Err(_) => inspect::weak_key(issuer).is_some(),
        }
    }

    /// From certificate to issuer. Each step takes another certificate of the chain, so that there is an end.
    fn up(&mut self, leaf: &Certificate<'a>) {
        let chain = self.chain;
        let (mut place, mut current) = (0, leaf);
        loop {
            if self.is_root(current) {
                return;
            }
            if let Some(root) = self
                .roots
                .iter()
                .find(|root| self.issued(root, current) && root.is_ca())
            {
                let names = names_beyond(root, leaf);
                let valid = root.validity();
                let (from, to) = (valid.not_before.timestamp(), valid.not_after.timestamp());
                let root = inspect::line(root.subject());
                if !(from..=to).contains(&self.now) {
                    let (from, to) = (inspect::day(from), inspect::day(to));
                    let why =
                        format!("its root `{root}`, which is trusted, is valid only from {from} to {to}");
                    self.say(Kind::RootOutdated, place, why);
                }
                if let Some(name) = names {
                    let why = format!("its root `{root}` may not vouch for `{name}` (name constraints)");
                    self.say(Kind::NameForbidden, place, why);
                }
                return;
            }
            let candidates = chain
                .iter()
                .enumerate()
                .filter_map(|(place, certificate)| Some((place, certificate.as_ref()?)))
                .filter(|(next, issuer)| !self.path.contains(next) && named(issuer, current));
            let mut by_name = None;
            let next = candidates
                .inspect(|(place, _)| by_name = by_name.or(Some(*place)))
                .find(|(_, issuer)| self.issued(issuer, current));
            let Some((next, issuer)) = next else {
                self.end(place, current, by_name);
                return;
            };
            self.issuer(next, issuer, place, leaf);
            self.path.push(next);
            (place, current) = (next, issuer);
        }
    }

    /// Nobody vouches for the last certificate.
    fn end(&mut self, place: usize, last: &Certificate<'a>, by_name: Option<usize>) {
        let issuer = inspect::line(last.issuer());
        let impostor = self.roots.iter().any(|root| named(root, last));
        if named(last, last) && self.issued(last, last) {
            match place {
                0 => self.say(
                    Kind::SelfSigned,
                    place,
                    "it is self-signed, and not among those trusted",
                ),
                _ => {
                    let why = "it is a root, and not among those trusted";
                    self.say(Kind::RootUntrusted, place, why);
                }
            }
        } else if let Some(by_name) = by_name {
            let why = format!(
                "its signature is not by the key of certificate {}, `{issuer}`, which it names as its issuer",
                by_name + 1
            );
            self.say(Kind::BadSignature, place, why);
        } else if impostor {
            let why = format!(
                "its signature is not by the key of the `{issuer}` that is trusted, but of a namesake"
            );
            self.say(Kind::BadSignature, place, why);
        } else {
            let why = format!("its issuer `{issuer}` is neither sent by the server nor trusted");
            let mut finding = Finding::new(Kind::IssuerMissing, place, why);
            let from = issuer_url(last)
                .map(|url| format!(", from {}", url.escape_debug()))
                .unwrap_or_default();
            finding.help = Some(format!(
                "if `{issuer}` is an intermediate authority, whoever runs the server should add its certificate{from} \
                 (netkit: extraCertChain=FILE)"
            ));
            self.found.push(finding);
        }
    }

    /// A certificate of the chain that vouches for the one at `below`.
    fn issuer(&mut self, place: usize, issuer: &Certificate<'a>, below: usize, leaf: &Certificate<'a>) {
        self.dates(issuer, place);
        if !issuer.is_ca() {
            let why = format!("it vouches for certificate {}, and is no authority", below + 1);
            self.say(Kind::NotAuthority, place, why);
        }
        if let Ok(Some(constraints)) = issuer.basic_constraints()
            && let Some(allowed) = constraints.value.path_len_constraint
        {
            // The leaf is none of them, nor are those who issued themselves anew (RFC 5280, section 4.2.1.9).
            let others = self
                .path
                .iter()
                .skip(1)
                .filter_map(|place| self.chain.get(*place)?.as_ref());
            let below = others.filter(|other| !named(other, other)).count();
            if below > usize::try_from(allowed).unwrap_or(usize::MAX) {
                let why = format!(
                    "it allows {} below it, and there {} {below} (path length)",
                    authorities(allowed),
                    if below == 1 { "is" } else { "are" }
                );
                self.say(Kind::TooDeep, place, why);
            }
        }
        if let Some(name) = names_beyond(issuer, leaf) {
            let why = format!("it may not vouch for `{name}` (name constraints)");
            self.say(Kind::NameForbidden, place, why);
        }
        if !serves(issuer) {
            let why = "it does not vouch for servers (extended key usage)";
            self.say(Kind::WrongPurpose, place, why);
        }
        if let Ok(Some(usage)) = issuer.key_usage()
            && !usage.value.key_cert_sign()
        {
            let why =
                "its key usage does not include signing certificates; many clients refuse what it signed";
            self.say(Kind::UsageMissing, place, why);
        }
        self.strength(issuer, place);
    }

    /// The certificates that no step needed, and the order of those that one did.
    fn rest(&mut self) {
        let path = std::mem::take(&mut self.path);
        let missed = self.found.iter().any(|finding| finding.kind.is_about_trust());
        for (place, certificate) in self.chain.iter().enumerate() {
            let Some(certificate) = certificate else { continue };
            if path.contains(&place) {
                continue;
            }
            let why = match self.is_root(certificate) {
                true => "it is trusted already, and need not be sent",
                false if missed => "it belongs to no certificate before it",
                false => "it is not needed",
            };
            self.say(Kind::Surplus, place, why);
        }
        for pair in path.windows(2) {
            if let [below, place] = pair
                && place < below
            {
                let why = format!(
                    "it comes before certificate {}, for which it vouches; old clients want it after",
                    below + 1
                );
                self.say(Kind::OutOfOrder, *place, why);
            }
        }
    }
}

fn authorities(count: u32) -> String {
    match count {
        0 => "no authority".into(),
        1 => "1 authority".into(),
        count => format!("{count} authorities"),
    }
}

/// A few names in words.
fn some(names: &[Name]) -> String {
    /// More than these help nobody.
    const SHOWN: usize = 5;
    let mut shown: Vec<String> = names.iter().take(SHOWN).map(|name| format!("`{name}`")).collect();
    if names.len() > SHOWN {
        shown.push(format!("{} more", names.len() - SHOWN));
    }
    shown.join(", ")
}

/// Whether `certificate` names `issuer` as who issued it.
fn named(issuer: &Certificate<'_>, certificate: &Certificate<'_>) -> bool {
    issuer.subject().as_raw() == certificate.issuer().as_raw()
}

/// Whether it may be used for servers (RFC 5280, section 4.2.1.12): what says nothing of it may.
fn serves(certificate: &Certificate<'_>) -> bool {
    match certificate.extended_key_usage() {
        Ok(Some(usage)) => usage.value.server_auth,
        _ => true,
    }
}

/// More names held against subtrees than any honest chain needs: a server could send thousands of each.
const COMPARISONS_MAX: usize = 20_000;

/// The first name of the leaf that an authority may not vouch for, among as many as there is time for.
fn names_beyond(authority: &Certificate<'_>, leaf: &Certificate<'_>) -> Option<Name> {
    let constraints = authority.name_constraints().ok()??.value;
    let count = |subtrees: &Option<Vec<_>>| subtrees.as_ref().map_or(0, Vec::len);
    let subtrees = count(&constraints.permitted_subtrees) + count(&constraints.excluded_subtrees);
    let names = inspect::names_of(leaf);
    let mut names = names.into_iter().take(COMPARISONS_MAX / subtrees.max(1));
    names.find(|name| forbidden(constraints, name))
}

/// What of a leaf its authority may not vouch for, in words: nobody will believe it.
#[must_use]
pub fn beyond(authority: &[u8], leaf: &[u8]) -> Option<String> {
    let (_, authority) = X509Certificate::from_der(authority).ok()?;
    let (_, leaf) = X509Certificate::from_der(leaf).ok()?;
    if let Some(name) = names_beyond(&authority, &leaf) {
        return Some(format!("for `{name}`"));
    }
    let uses = |certificate: &Certificate<'_>| match certificate.extended_key_usage() {
        Ok(Some(usage)) => Some((usage.value.server_auth, usage.value.client_auth)),
        _ => None,
    };
    match (uses(&authority)?, uses(&leaf)?) {
        ((false, _), (true, _)) => Some("for servers".into()),
        ((_, false), (_, true)) => Some("for clients".into()),
        _ => None,
    }
}

/// Where the certificate of the issuer can be had (RFC 5280, section 4.2.2.1).
fn issuer_url<'a>(certificate: &'a Certificate<'_>) -> Option<&'a str> {
    certificate.extensions().iter().find_map(|extension| {
        let ParsedExtension::AuthorityInfoAccess(access) = extension.parsed_extension() else {
            return None;
        };
        access.iter().find_map(|entry| match &entry.access_location {
            GeneralName::URI(url) if entry.access_method == OID_PKIX_ACCESS_DESCRIPTOR_CA_ISSUERS => {
                Some(*url)
            }
            _ => None,
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cert::KeyType;
    use crate::cert::issue::{Authority, Leaf, Permit, Validity};

    const NOW: i64 = 1_800_000_000;

    fn days(from: i64, to: i64) -> Validity {
        let now = time::OffsetDateTime::from_unix_timestamp(NOW).unwrap();
        Validity {
            not_before: now + time::Duration::days(from),
            not_after: now + time::Duration::days(to),
        }
    }

    #[test]
    fn all_that_is_wrong_is_found_at_once() {
        let authority = |name: &str, permits: &[Permit]| {
            Authority::new(name, permits, KeyType::EcdsaP256, days(-9, 9)).unwrap()
        };
        let ours = authority("ours", &[]);
        let namesake = authority("ours", &[]);
        let narrow = authority("narrow", &[Permit::Dns("b.example".into())]);
        let root = |authority: &Authority| authority.identity().chain[0].clone();
        let issue = |authority: &Authority, validity| {
            let leaf = Leaf::server(["a.example".parse().unwrap()], validity);
            authority.issue(&leaf).unwrap().chain[0].clone()
        };
        let (good, old) = (issue(&ours, days(-1, 1)), issue(&ours, days(-2, -1)));
        let client = Leaf {
            client: true,
            ..Leaf::server(["a.example".parse().unwrap()], days(-1, 1))
        };
        let client = ours.issue(&client).unwrap().chain[0].clone();
        for (chain, roots, name, expected) in [
            (vec![good.clone()], vec![root(&ours)], "a.example", &[][..]),
            (
                vec![good.clone()],
                vec![root(&ours)],
                "b.example",
                &[Kind::WrongName],
            ),
            (vec![good.clone()], vec![good.clone()], "a.example", &[]),
            (vec![good.clone()], vec![], "a.example", &[Kind::IssuerMissing]),
            (
                vec![good.clone()],
                vec![root(&namesake)],
                "a.example",
                &[Kind::BadSignature],
            ),
            (
                vec![good.clone(), root(&ours)],
                vec![],
                "a.example",
                &[Kind::RootUntrusted],
            ),
            (
                vec![good.clone(), root(&ours)],
                vec![root(&ours)],
                "a.example",
                &[Kind::Surplus],
            ),
            (
                vec![old],
                vec![],
                "b.example",
                &[Kind::Expired, Kind::WrongName, Kind::IssuerMissing],
            ),
            (
                vec![client],
                vec![root(&ours)],
                "a.example",
                &[Kind::WrongPurpose],
            ),
            (
                vec![issue(&narrow, days(1, 2))],
                vec![root(&narrow)],
                "a.example",
                &[Kind::NotYetValid, Kind::NameForbidden],
            ),
            (
                vec![root(&ours)],
                vec![],
                "a.example",
                &[Kind::WrongName, Kind::AuthorityAsServer, Kind::SelfSigned],
            ),
            (vec![vec![1, 2, 3].into()], vec![], "a.example", &[Kind::Damaged]),
            (vec![], vec![], "a.example", &[]),
        ] {
            let found = examine(&chain, &roots, Some(&name.parse().unwrap()), NOW);
            let kinds: Vec<_> = found.iter().map(|finding| finding.kind).collect();
            assert_eq!(kinds, expected, "{found:?}");
        }
    }

    #[test]
    fn a_server_with_many_namesakes_costs_no_more_than_a_few_signatures() {
        let make = || Authority::new("one", &[], KeyType::EcdsaP256, days(-1, 1)).unwrap();
        let authority = make();
        let leaf = Leaf::server(["a.example".parse().unwrap()], days(-1, 1));
        let mut chain = vec![authority.issue(&leaf).unwrap().chain[0].clone()];
        let namesake = make().identity().chain[0].clone();
        chain.extend(std::iter::repeat_n(namesake, CHECKS_MAX as usize));
        chain.push(authority.identity().chain[0].clone());
        // The right one comes when nobody looks any more.
        let found = examine(&chain, &[], None, NOW);
        assert_eq!(found[0].kind, Kind::BadSignature, "{:?}", found[0]);
    }

    #[test]
    fn of_thousands_of_names_and_subtrees_some_are_looked_at() {
        let permits: Vec<_> = (0..2000).map(|n| Permit::Dns(format!("p{n}.example"))).collect();
        let authority = Authority::new("many", &permits, KeyType::EcdsaP256, days(-9, 9)).unwrap();
        let names = (0..2000).map(|n| format!("n{n}.p{n}.example"));
        // The last one would be found if all were looked at.
        let names = names
            .chain(["b.example".into()])
            .map(|name| name.parse().unwrap());
        let names: Vec<Name> = names.collect();
        let leaf = authority.issue(&Leaf::server(names, days(-1, 1))).unwrap();
        let root = authority.identity().chain[0].clone();
        let (_, issuer) = X509Certificate::from_der(&root).unwrap();
        let (_, certificate) = X509Certificate::from_der(&leaf.chain[0]).unwrap();
        assert_eq!(names_beyond(&issuer, &certificate), None);
        let outside = Leaf::server(["b.example".parse().unwrap()], days(-1, 1));
        let outside = authority.issue(&outside).unwrap();
        let (_, certificate) = X509Certificate::from_der(&outside.chain[0]).unwrap();
        assert!(names_beyond(&issuer, &certificate).is_some());
    }
}
