//! What went wrong with TLS, in words: who did what, and the option that would change it.
//! Absent: the command line.

use std::io;

use rustls::pki_types::UnixTime;
use rustls::{AlertDescription as Alert, CertificateError, Error as Fault, PeerIncompatible};
use time::OffsetDateTime;

use super::config::ClientConfig;
use super::trust::Refused;
use crate::cert::chain::Kind;
use crate::cert::{Name, cut};
use crate::error::{Error, Status, reason};

fn tls(why: impl Into<String>) -> Error {
    Error::new(Status::Tls, why)
}

/// The error of rustls inside one of a stream.
fn fault(error: &io::Error) -> Option<&Fault> {
    error.get_ref()?.downcast_ref()
}

/// Why a client's handshake failed; `first` is how the server began.
pub(super) fn client(
    error: &io::Error,
    first: &[u8],
    config: &ClientConfig,
    asked: bool,
    refused: Option<Box<Refused>>,
) -> Error {
    if !first.is_empty() && !is_tls(first) {
        let why = format!(
            "the server does not speak TLS{}; it said {}",
            instead(first),
            line(first)
        );
        return tls(why).help("a server without TLS is reached by tcp:HOST:PORT");
    }
    // A client's first message, as the first thing that a server says: ours.
    if matches!(first, [0x16, 3, _, _, _, 1, ..]) {
        return tls("the server does not speak TLS; it sends back what we say")
            .help("a server without TLS is reached by tcp:HOST:PORT");
    }
    let Some(fault) = fault(error) else {
        return match error.kind() {
            io::ErrorKind::UnexpectedEof if first.is_empty() => {
                tls("the server closed the connection without an answer")
                    .help("does it speak TLS on this port?")
            }
            io::ErrorKind::UnexpectedEof => tls("the server closed the connection during the TLS handshake"),
            _ => tls(format!("{} during the TLS handshake", reason(error))),
        };
    };
    match fault {
        Fault::InvalidCertificate(error) => certificate(error, config, refused),
        Fault::AlertReceived(alert) => {
            let error = refusal("the server", *alert);
            match alert {
                Alert::UnrecognisedName => error.help("serverName=NAME asks for another name"),
                // Up to TLS 1.2 there is no alert of its own for this, and every server picks another one.
                Alert::HandshakeFailure
                | Alert::BadCertificate
                | Alert::NoCertificate
                | Alert::UnknownCA
                | Alert::CertificateUnknown
                    if asked && !config.has_identity =>
                {
                    refusal("the server", Alert::CertificateRequired)
                }
                _ => error,
            }
        }
        Fault::NoApplicationProtocol => tls("the server speaks none of the application protocols in alpn="),
        fault => tls(ours(fault, "the server")),
    }
}

/// Why a server's handshake failed; `first` is how the client began.
pub(super) fn server(error: &io::Error, first: &[u8], refused: Option<Box<Refused>>) -> Error {
    if !first.is_empty() && !is_tls(first) {
        return tls(not_tls(first));
    }
    if let Some(version) = old_version(first) {
        return tls(format!(
            "the client offers {version} at most, and TLS 1.2 is the least here"
        ));
    }
    let Some(fault) = fault(error) else {
        return match error.kind() {
            io::ErrorKind::UnexpectedEof => {
                tls("the client closed the connection before the TLS handshake was done")
            }
            _ => tls(format!("{} during the TLS handshake", reason(error))),
        };
    };
    match fault {
        Fault::AlertReceived(alert) => refusal("the client", *alert),
        Fault::NoCertificatesPresented => tls("the client sent no certificate, and clientCA= wants one"),
        Fault::InvalidCertificate(error) => {
            let subject = refused.map(|refused| format!(", `{}`,", refused.subject));
            tls(format!(
                "the client's certificate{} is refused: {}",
                subject.unwrap_or_default(),
                client_certificate(error)
            ))
        }
        fault => tls(ours(fault, "the client")),
    }
}

/// An error of an established connection, with its words inside.
pub(super) fn established(error: io::Error) -> io::Error {
    let kind = error.kind();
    let words = match fault(&error) {
        Some(Fault::AlertReceived(alert)) => refusal("the peer", *alert),
        Some(Fault::NoCertificatesPresented) => {
            tls("the client sent no certificate, and clientCA= wants one")
        }
        Some(fault) => tls(ours(fault, "the peer")),
        None if kind == io::ErrorKind::UnexpectedEof => Error::new(
            Status::Lost,
            "the peer ended without TLS close_notify, so something may be missing",
        ),
        None => return error,
    };
    io::Error::new(kind, words)
}

/// RFC 8446, section 5.1: a type of content, and a version that begins with 3.
fn is_tls(first: &[u8]) -> bool {
    matches!(first, [0x14..=0x17, 3, ..] | [0x14..=0x17])
}

/// What a server speaks, by how it began.
fn instead(first: &[u8]) -> &'static str {
    let begins = |with: &[u8]| {
        let head = first.iter().take(with.len());
        head.map(u8::to_ascii_lowercase)
            .eq(with.iter().map(u8::to_ascii_lowercase))
    };
    match first {
        _ if begins(b"HTTP/") || begins(b"<!doctype html") || begins(b"<html") => ", but HTTP",
        _ if begins(b"SSH-") => ", but SSH",
        // The greeting of mail (RFC 5321, RFC 3501, RFC 1939) and of FTP (RFC 959).
        [b'2', b'2', b'0', b' ' | b'-', ..] => " at once, but greets as a mail or FTP server",
        _ if begins(b"* OK") || begins(b"+OK") => " at once, but greets as a mailbox does",
        _ => "",
    }
}

/// The version that a client's first message offers at most, where that is below TLS 1.2: its record (RFC 5246,
/// section 6.2.1), then its header, then the version. TLS 1.3 says 1.2 there.
fn old_version(first: &[u8]) -> Option<&'static str> {
    match first {
        [0x16, 3, _, _, _, 1, _, _, _, 3, 0, ..] => Some("SSL 3.0"),
        [0x16, 3, _, _, _, 1, _, _, _, 3, 1, ..] => Some("TLS 1.0"),
        [0x16, 3, _, _, _, 1, _, _, _, 3, 2, ..] => Some("TLS 1.1"),
        _ => None,
    }
}

/// What came instead of TLS.
fn not_tls(first: &[u8]) -> String {
    const METHODS: [&[u8]; 10] = [
        b"GET ",
        b"HEAD ",
        b"POST ",
        b"PUT ",
        b"DELETE ",
        b"OPTIONS ",
        b"CONNECT ",
        b"PATCH ",
        b"TRACE ",
        b"PRI ",
    ];
    if METHODS.iter().any(|method| first.starts_with(method)) {
        return "plain HTTP was sent to a TLS port; the client should use https".into();
    }
    if first.starts_with(b"PROXY ") || first.starts_with(b"\r\n\r\n\0\r\nQUIT\n") {
        return "a PROXY header came before TLS; haproxy:tls: takes it".into();
    }
    if matches!(first, [0x80..=0xff, _, 1, ..]) {
        return "the client offers SSL 2.0, which nobody should speak".into();
    }
    format!("the client does not speak TLS; it said {}", line(first))
}

/// The first line of what a peer said.
fn line(first: &[u8]) -> String {
    let end = first.iter().position(|byte| b"\r\n".contains(byte));
    let line = &first[..end.unwrap_or(first.len())];
    format!("`{}`", line.escape_ascii())
}

fn certificate(error: &CertificateError, config: &ClientConfig, refused: Option<Box<Refused>>) -> Error {
    let name = config.name.to_str();
    let pin = match refused.as_ref().and_then(|refused| refused.pin) {
        Some(pin) => format!("pin={pin}"),
        None => "pin=sha256/…".into(),
    };
    let by_key = format!("{pin} takes this key, if you know that it is the right one");
    if let Some(refused) = &refused
        && let Some(error) = fault_in_chain(&name, refused, &by_key)
    {
        return error;
    }
    match error {
        CertificateError::ApplicationVerificationFailure if config.pinned => {
            let found = refused.and_then(|refused| refused.pin);
            let found = found.map_or_else(|| "another one".into(), |pin| pin.to_string());
            tls(format!(
                "the key of the server is not the pinned one, but {found}"
            ))
        }
        CertificateError::Revoked => tls(format!("the certificate of `{name}` was revoked")),
        // What stands in the chain is accounted for; this is what the server itself has signed.
        CertificateError::BadSignature => tls(format!(
            "the server did not prove that it has the key of the certificate of `{name}`"
        )),
        CertificateError::BadEncoding => tls("the certificate of the server is damaged"),
        error => tls(format!(
            "the certificate of `{name}` is refused: {}",
            quoted(error)
        ))
        .help(by_key),
    }
}

fn by_trust(by_key: &str) -> String {
    format!("trustRoots=FILE trusts the certificates in a file; {by_key}")
}

/// What is wrong with the chain, where that is known: the first thing that counts. A handshake knows less of it.
fn fault_in_chain(name: &str, refused: &Refused, by_key: &str) -> Option<Error> {
    // Whom to trust comes first: nothing else that a stranger's certificate says means anything.
    let first = refused
        .faults
        .iter()
        .find(|(fault, ..)| fault.kind.is_about_trust());
    let (fault, subject, issuer) = first.or(refused.faults.first())?;
    let no_roots = refused.no_roots.map(|why| format!("; {why}")).unwrap_or_default();
    let whose = match fault.place {
        0 => format!("the certificate of `{name}`"),
        place => format!("certificate {} in the chain of `{name}`, `{subject}`,", place + 1),
    };
    let why = match (fault.kind, fault.place) {
        (Kind::WrongName, _) => format!("the certificate {}", of_it(&fault.why)),
        (Kind::Expired | Kind::NotYetValid, _) => format!("{whose} {}", of_it(&fault.why)),
        (Kind::SelfSigned, _) => format!("{whose} is self-signed, and not among those trusted{no_roots}"),
        (Kind::IssuerMissing, 0) => format!(
            "{whose} was issued by `{issuer}`, which is not trusted, nor was its own certificate sent{no_roots}"
        ),
        (Kind::IssuerMissing, _) => {
            format!("{whose} was issued by `{issuer}`, which is not trusted{no_roots}")
        }
        (Kind::RootUntrusted, _) => {
            format!("{whose} is the root that vouches for it, and is not trusted{no_roots}")
        }
        (_, _) => format!("{whose} is refused: {}", fault.why),
    };
    Some(match fault.kind {
        kind if kind.is_about_trust() => tls(why).help(by_trust(by_key)),
        Kind::AuthorityAsServer => tls(why).help(format!(
            "trustRoots=FILE with this very certificate takes it; {by_key}"
        )),
        // Such a key proves nothing, so that a pin does not help.
        Kind::WeakKey if fault.place == 0 => tls(why).help("the server needs another key and certificate"),
        Kind::NotYetValid => tls(why).help("is the clock of this machine right?"),
        Kind::WrongName => tls(why).help(match refused.names.iter().find_map(Name::host) {
            Some(host) => format!("serverName={host} verifies that name instead"),
            None => by_key.to_owned(),
        }),
        _ => tls(why).help(by_key),
    })
}

/// What is said of a certificate, without the word that stands for it.
fn of_it(why: &str) -> &str {
    why.strip_prefix("it ").unwrap_or(why)
}

fn client_certificate(error: &CertificateError) -> String {
    match error {
        CertificateError::UnknownIssuer => "nobody in clientCA= vouches for it".into(),
        CertificateError::ExpiredContext { not_after, .. } => format!("it expired on {}", day(*not_after)),
        CertificateError::Expired => "it has expired".into(),
        CertificateError::NotValidYetContext { not_before, .. } => {
            format!("it is not valid before {}", day(*not_before))
        }
        CertificateError::InvalidPurpose | CertificateError::InvalidPurposeContext { .. } => {
            "it is not for clients".into()
        }
        CertificateError::Other(other) if other.to_string().contains("CaUsedAsEndEntity") => {
            "it is one for an authority, and not itself in clientCA=".into()
        }
        error => quoted(error),
    }
}

/// Words of rustls: they may quote all the names of a certificate.
fn quoted(error: &CertificateError) -> String {
    cut(error.to_string().chars())
}

/// What is wrong with the dates of a certificate of ours.
pub(super) fn dates(fault: &Fault) -> &'static str {
    match fault {
        Fault::InvalidCertificate(CertificateError::Expired) => "it has expired",
        Fault::InvalidCertificate(CertificateError::NotValidYet) => "it is not valid yet",
        _ => "it is damaged",
    }
}

fn day(time: UnixTime) -> String {
    let moment = i64::try_from(time.as_secs())
        .ok()
        .and_then(|seconds| OffsetDateTime::from_unix_timestamp(seconds).ok());
    moment.map_or_else(|| "an unknown day".into(), |moment| moment.date().to_string())
}

/// What the far end said when it refused.
fn refusal(who: &str, alert: Alert) -> Error {
    refused_with(who, alert).alert(registered(alert))
}

/// The name of an alert as IANA lists it: `unknown_ca`.
fn registered(alert: Alert) -> String {
    match alert {
        Alert::UnknownCA => return "unknown_ca".into(),
        Alert::UnrecognisedName => return "unrecognized_name".into(),
        Alert::UnknownPSKIdentity => return "unknown_psk_identity".into(),
        Alert::EncryptedClientHelloRequired => return "ech_required".into(),
        _ => {}
    }
    let Some(name) = alert.as_str() else {
        return u8::from(alert).to_string();
    };
    let mut text = String::new();
    for letter in name.chars() {
        if letter.is_ascii_uppercase() && !text.is_empty() {
            text.push('_');
        }
        text.push(letter.to_ascii_lowercase());
    }
    text
}

/// The alert with which the far end broke off, if it is what this error is about.
pub(super) fn alert_of(error: &io::Error) -> Option<String> {
    let error: &Error = error.get_ref()?.downcast_ref()?;
    error.alert_name().map(str::to_owned)
}

fn refused_with(who: &str, alert: Alert) -> Error {
    let us = if who == "the client" { "our" } else { "the client" };
    let certificate = |why: &str| {
        let whose = if us == "our" {
            "our certificate"
        } else {
            "the client certificate"
        };
        tls(format!("{who} refused {whose}: {why}"))
    };
    match alert {
        Alert::CertificateRequired => tls(format!("{who} wants a client certificate"))
            .help("certificate=FILE names one, with privateKey=FILE where the key is in another file"),
        Alert::UnknownCA => certificate("nobody whom it trusts vouches for it"),
        Alert::CertificateExpired => certificate("it has expired, or is not valid yet"),
        Alert::CertificateRevoked => certificate("it was revoked"),
        Alert::BadCertificate => certificate("it is bad, or for another name"),
        Alert::UnsupportedCertificate => certificate("it is of a kind that is not taken"),
        Alert::CertificateUnknown => certificate("no reason was given"),
        Alert::AccessDenied => tls(format!("{who} refused us (access denied)")),
        Alert::ProtocolVersion => tls(format!("{who} speaks no version of TLS that is allowed here"))
            .help("minVersion= and maxVersion= say which are: 1.2 and 1.3 at most"),
        Alert::HandshakeFailure | Alert::InsufficientSecurity => tls(format!(
            "{who} gave up: there is no cipher or key in common, or it misses something"
        )),
        Alert::UnrecognisedName => tls(format!("{who} does not know the name that was asked for")),
        Alert::NoApplicationProtocol => {
            tls(format!("{who} speaks none of the application protocols in alpn="))
        }
        Alert::UserCanceled => tls(format!("{who} gave up")),
        Alert::InternalError => tls(format!("{who} failed within")),
        alert => tls(format!(
            "{who} broke off with the alert {}",
            alert.as_str().unwrap_or("of an unknown number")
        )),
    }
}

/// What we found wrong with the far end.
fn ours(fault: &Fault, who: &str) -> String {
    match fault {
        Fault::PeerIncompatible(
            PeerIncompatible::Tls12NotOffered
            | PeerIncompatible::Tls12NotOfferedOrEnabled
            | PeerIncompatible::ServerDoesNotSupportTls12Or13
            | PeerIncompatible::ServerTlsVersionIsDisabledByOurConfig
            | PeerIncompatible::SupportedVersionsExtensionRequired,
        ) => format!("{who} speaks no version of TLS that is allowed here (1.2 and 1.3 at most)"),
        Fault::PeerIncompatible(
            PeerIncompatible::NoCipherSuitesInCommon
            | PeerIncompatible::NoKxGroupsInCommon
            | PeerIncompatible::NoSignatureSchemesInCommon
            | PeerIncompatible::NoCertificateRequestSignatureSchemesInCommon,
        ) => format!("there is no cipher, key exchange or signature in common with {who}"),
        Fault::NoApplicationProtocol => format!("{who} speaks none of the application protocols in alpn="),
        Fault::DecryptError => format!("what {who} sent could not be decrypted"),
        Fault::InvalidMessage(_) | Fault::PeerSentOversizedRecord => {
            format!("{who} sent something that is no TLS")
        }
        fault => format!("{who} and we could not agree: {fault}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_tls_is_named() {
        for (first, words) in [
            (
                &b"GET / HTTP/1.1\r\nHost: x\r\n"[..],
                "plain HTTP was sent to a TLS port; the client should use https",
            ),
            (
                b"PROXY TCP4 ",
                "a PROXY header came before TLS; haproxy:tls: takes it",
            ),
            (
                b"SSH-2.0-x\r\n",
                "the client does not speak TLS; it said `SSH-2.0-x`",
            ),
            (
                b"\x1b[31m\0",
                "the client does not speak TLS; it said `\\x1b[31m\\x00`",
            ),
        ] {
            assert_eq!(not_tls(first), words);
            assert!(!is_tls(first));
        }
        for (first, words) in [
            (&b"HTTP/1.1 400 Bad Request\r\n"[..], ", but HTTP"),
            (b"<!DOCTYPE HTML>", ", but HTTP"),
            (b"SSH-2.0-x\r\n", ", but SSH"),
            (
                b"220 mail ESMTP\r\n",
                " at once, but greets as a mail or FTP server",
            ),
            (b"* OK IMAP4rev1\r\n", " at once, but greets as a mailbox does"),
            (b"Saturday", ""),
            (b"S", ""),
        ] {
            assert_eq!(instead(first), words);
        }
        assert_eq!(
            old_version(&[0x16, 3, 1, 0, 90, 1, 0, 0, 86, 3, 2, 0]),
            Some("TLS 1.1")
        );
        assert_eq!(old_version(&[0x16, 3, 1, 0, 90, 1, 0, 0, 86, 3, 3, 0]), None);
        assert!(is_tls(&[0x16, 3, 1, 2, 0]));
        assert!(is_tls(&[0x15]));
    }
}
