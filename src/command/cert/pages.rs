//! How certificates, requests and keys look in a report: as text, and as JSON.
//! Absent: where they come from.

use std::fmt::Write as _;

use serde_json::{Value, json};
use time::OffsetDateTime;

use netkit::cert::held::{Held, Key, Request};
use netkit::cert::inspect::{Description, describe};
use netkit::cert::{CertificateDer, Name, Pin};

/// A heading, and lines of names and values beneath it.
pub(super) fn lines(text: &mut String, heading: &str, lines: &[(&str, String)]) {
    if !text.is_empty() {
        text.push('\n');
    }
    // Writing to a String cannot fail.
    let _ = writeln!(text, "{heading}");
    for (name, value) in lines {
        let _ = writeln!(text, "  {name:11}  {value}");
    }
}

/// What stands at one place of a chain.
pub(super) enum Entry {
    Certificate(Box<Description>),
    /// So many bytes that are no certificate: they keep their number, by which findings call them.
    Damaged(usize),
}

impl Entry {
    pub(super) fn all(chain: &[CertificateDer<'_>]) -> Vec<Entry> {
        let entry = |der: &CertificateDer<'_>| match describe(der) {
            Some(description) => Entry::Certificate(Box::new(description)),
            None => Entry::Damaged(der.len()),
        };
        chain.iter().map(entry).collect()
    }

    fn has(&self, key: &Pin) -> bool {
        matches!(self, Entry::Certificate(certificate) if certificate.pin == *key)
    }
}

fn damaged(bytes: usize) -> String {
    match bytes {
        1 => "1 byte, no certificate".into(),
        bytes => format!("{bytes} bytes, no certificate"),
    }
}

pub(super) fn certificates(text: &mut String, chain: &[Entry]) {
    for (at, entry) in chain.iter().enumerate() {
        let heading = format!("certificate    {} of {}", at + 1, chain.len());
        match entry {
            Entry::Certificate(certificate) => lines(text, &heading, &of_certificate(certificate)),
            Entry::Damaged(bytes) => lines(text, &heading, &[("damaged", damaged(*bytes))]),
        }
    }
}

fn of_certificate(certificate: &Description) -> Vec<(&'static str, String)> {
    let issuer = match certificate.self_signed {
        true => "itself".to_owned(),
        false => certificate.issuer.clone(),
    };
    vec![
        ("subject", certificate.subject.clone()),
        ("issuer", issuer),
        ("names", listed(&certificate.names)),
        (
            "valid",
            format!(
                "{} to {} ({})",
                moment(certificate.not_before),
                moment(certificate.not_after),
                left(certificate)
            ),
        ),
        ("key", certificate.key.clone()),
        ("signature", certificate.signature.clone()),
        ("authority", yes_or_no(certificate.authority)),
        ("serial", certificate.serial.clone()),
        ("sha256", certificate.fingerprint.clone()),
        ("pin", certificate.pin.to_string()),
    ]
}

/// What a file holds besides certificates, and what of it belongs together.
pub(super) fn others(text: &mut String, held: &Held, chain: &[Entry]) {
    for request in &held.requests {
        let rows = [
            ("subject", request.subject.clone()),
            ("names", listed(&request.names)),
            ("key", request.key.clone()),
            ("signature", request.signature.clone()),
            ("proven", proven(request).to_owned()),
            ("pin", request.pin.to_string()),
        ];
        lines(text, "request", &rows);
    }
    for key in &held.keys {
        let mut rows = vec![("key", key.kind.clone()), ("pin", key.pin.to_string())];
        rows.extend(belongs(key, held, chain).map(|to| ("belongs to", to)));
        lines(text, "private key", &rows);
    }
    for _ in 0..held.encrypted {
        let why = "a passphrase is needed to say more".to_owned();
        lines(text, "private key", &[("encrypted", why)]);
    }
}

fn proven(request: &Request) -> &'static str {
    match request.proven {
        true => "yes: it is signed with its own key",
        false => "no: its signature is wrong, or of a kind that is not known here",
    }
}

/// What a key belongs to; `None` where there is nothing beside it.
fn belongs(key: &Key, held: &Held, chain: &[Entry]) -> Option<String> {
    if chain.is_empty() && held.requests.is_empty() {
        return None;
    }
    let mut to: Vec<String> = chain
        .iter()
        .enumerate()
        .filter(|(_, entry)| entry.has(&key.pin))
        .map(|(at, _)| format!("certificate {}", at + 1))
        .collect();
    if held.requests.iter().any(|request| request.pin == key.pin) {
        to.push("the request".into());
    }
    Some(match to.is_empty() {
        true => "nothing else in this file".to_owned(),
        false => to.join(", "),
    })
}

pub(super) fn certificate_json(entry: &Entry) -> Value {
    let certificate = match entry {
        Entry::Certificate(certificate) => certificate,
        Entry::Damaged(bytes) => return json!({ "damaged": damaged(*bytes) }),
    };
    json!({
        "subject": certificate.subject,
        "issuer": certificate.issuer,
        "self_signed": certificate.self_signed,
        "authority": certificate.authority,
        "names": texts(&certificate.names),
        "not_before": moment(certificate.not_before),
        "not_after": moment(certificate.not_after),
        "key": certificate.key,
        "signature": certificate.signature,
        "serial": certificate.serial,
        "sha256": certificate.fingerprint,
        "pin": certificate.pin.to_string(),
    })
}

pub(super) fn held_json(held: &Held, chain: &[Entry]) -> Value {
    let request = |request: &Request| {
        json!({
            "subject": request.subject,
            "names": texts(&request.names),
            "key": request.key,
            "signature": request.signature,
            "proven": request.proven,
            "pin": request.pin.to_string(),
        })
    };
    let key = |key: &Key| {
        let to = chain.iter().position(|entry| entry.has(&key.pin));
        json!({
            "key": key.kind,
            "pin": key.pin.to_string(),
            "certificate": to.map(|at| at + 1),
            "request": held.requests.iter().any(|request| request.pin == key.pin),
        })
    };
    json!({
        "certificates": chain.iter().map(certificate_json).collect::<Vec<_>>(),
        "requests": held.requests.iter().map(request).collect::<Vec<_>>(),
        "keys": held.keys.iter().map(key).collect::<Vec<_>>(),
        "encrypted_keys": held.encrypted,
    })
}

fn texts(names: &[Name]) -> Vec<String> {
    names.iter().map(Name::whole).collect()
}

fn listed(names: &[Name]) -> String {
    match names {
        [] => "none".into(),
        names => texts(names).join(", "),
    }
}

pub(super) fn yes_or_no(flag: bool) -> String {
    if flag { "yes" } else { "no" }.to_owned()
}

fn left(certificate: &Description) -> String {
    let now = OffsetDateTime::now_utc();
    let days = |length: time::Duration| match length.whole_days() {
        1 => "1 day".to_owned(),
        days => format!("{days} days"),
    };
    if now < certificate.not_before {
        format!("not valid for another {}", days(certificate.not_before - now))
    } else if now > certificate.not_after {
        format!("expired {} ago", days(now - certificate.not_after))
    } else {
        format!("{} left", days(certificate.not_after - now))
    }
}

/// `2027-01-31T12:00:00Z`
fn moment(moment: OffsetDateTime) -> String {
    let (date, (hour, minute, second)) = (moment.date(), moment.to_hms());
    format!("{date}T{hour:02}:{minute:02}:{second:02}Z")
}

#[cfg(test)]
mod tests {
    use super::*;
    use netkit::cert::issue::{Leaf, Validity, self_signed};

    #[test]
    fn a_damaged_certificate_keeps_its_number() {
        let leaf = Leaf::server(Name::of_this_machine(), Validity::days(1));
        let good = self_signed(&leaf).unwrap().chain[0].clone();
        let chain = [good.clone(), vec![0; 300].into(), good];
        let entries = Entry::all(&chain);
        let mut text = String::new();
        certificates(&mut text, &entries);
        let damaged =
            "certificate    2 of 3\n  damaged      300 bytes, no certificate\n\ncertificate    3 of 3\n";
        assert!(text.contains(damaged), "{text}");
        let shown: Vec<_> = entries.iter().map(certificate_json).collect();
        assert_eq!(shown[1], json!({ "damaged": "300 bytes, no certificate" }));
        assert_eq!(shown[0], shown[2]);
    }
}
