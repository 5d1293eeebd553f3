//! What went wrong with TLS, in words: who did what, and the option that would change it.
//! Absent: the command line.

use std::io;

use rustls::pki_types::UnixTime;
use rustls::{AlertDescription as Alert, CertificateError, Error as Fault, PeerIncompatible};
use time::OffsetDateTime;

use super::config::ClientConfig;
use super::trust::Refused;
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
    refused: Option<Box<Refused>>,
) -> Error {
    if !first.is_empty() && !is_tls(first) {
        let why = format!("the server does not speak TLS; it said {}", line(first));
        return tls(why).help("a server without TLS is reached by tcp:HOST:PORT");
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
                Alert::HandshakeFailure if !config.has_identity => {
                    error.help("a server that wants a client certificate may say so too: certificate=FILE")
                }
                _ => error,
            }
        }
        Fault::NoApplicationProtocol => tls("the server speaks none of the application protocols in alpn="),
        fault => tls(ours(fault, "the server")),
    }
}

/// Why a server's handshake failed; `first` is how the client began.
pub(super) fn server(error: &io::Error, first: &[u8]) -> Error {
    if !first.is_empty() && !is_tls(first) {
        return tls(not_tls(first));
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
        Fault::InvalidCertificate(error) => tls(format!(
            "the client's certificate is refused: {}",
            client_certificate(error)
        )),
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
    match error {
        CertificateError::UnknownIssuer => {
            let mut why = match &refused {
                Some(refused) if refused.self_signed => {
                    format!("the certificate of `{name}` is self-signed, and not among those trusted")
                }
                Some(refused) => format!(
                    "the certificate of `{name}` was issued by `{}`, which is not trusted",
                    refused.issuer
                ),
                None => format!("nobody who is trusted vouches for the certificate of `{name}`"),
            };
            if let Some(none) = refused.and_then(|refused| refused.no_roots) {
                why.push_str("; ");
                why.push_str(none);
            }
            tls(why).help(format!(
                "trustRoots=FILE trusts the certificates in a file; {by_key}"
            ))
        }
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            let names = refused.map(|refused| refused.names).unwrap_or_default();
            /// More than these help nobody.
            const SHOWN: usize = 5;
            let mut shown: Vec<String> = names.iter().take(SHOWN).map(|name| format!("`{name}`")).collect();
            if names.len() > SHOWN {
                shown.push(format!("{} more", names.len() - SHOWN));
            }
            match names.first() {
                None => tls(format!(
                    "the certificate is not for `{name}`: it names no host (a common name does not count)"
                ))
                .help(by_key),
                Some(first) => tls(format!(
                    "the certificate is not for `{name}`, but for {}",
                    shown.join(", ")
                ))
                .help(format!("serverName={first} verifies that name instead")),
            }
        }
        CertificateError::ExpiredContext { not_after, .. } => tls(format!(
            "the certificate of `{name}` expired on {}",
            day(*not_after)
        ))
        .help(by_key),
        CertificateError::Expired => tls(format!("the certificate of `{name}` has expired")).help(by_key),
        CertificateError::NotValidYetContext { not_before, .. } => tls(format!(
            "the certificate of `{name}` is not valid before {}",
            day(*not_before)
        ))
        .help("is the clock of this machine right?"),
        CertificateError::NotValidYet => tls(format!("the certificate of `{name}` is not valid yet"))
            .help("is the clock of this machine right?"),
        CertificateError::ApplicationVerificationFailure if config.pinned => {
            let found = refused.and_then(|refused| refused.pin);
            let found = found.map_or_else(|| "another one".into(), |pin| pin.to_string());
            tls(format!(
                "the key of the server is not the pinned one, but {found}"
            ))
        }
        CertificateError::InvalidPurpose | CertificateError::InvalidPurposeContext { .. } => {
            tls(format!("the certificate of `{name}` is not for servers")).help(by_key)
        }
        CertificateError::Revoked => tls(format!("the certificate of `{name}` was revoked")),
        CertificateError::BadSignature => tls(format!(
            "the signature on the certificate of `{name}` is wrong: somebody may have changed it"
        )),
        CertificateError::BadEncoding => tls("the certificate of the server is damaged"),
        CertificateError::Other(other) if other.to_string().contains("CaUsedAsEndEntity") => tls(format!(
            "the certificate of `{name}` is one for an authority, used by a server"
        ))
        .help(format!(
            "trustRoots=FILE with this very certificate takes it; {by_key}"
        )),
        CertificateError::Other(other) if other.to_string().contains("NameConstraintViolation") => tls(
            format!("the certificate of `{name}` is for names that its authority may not vouch for"),
        )
        .help(by_key),
        error => tls(format!("the certificate of `{name}` is refused: {error}")).help(by_key),
    }
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
        error => error.to_string(),
    }
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
        assert!(is_tls(&[0x16, 3, 1, 2, 0]));
        assert!(is_tls(&[0x15]));
    }
}
