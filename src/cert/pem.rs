//! PEM (RFC 7468): what it holds, each way it can be wrong in words of its own; and writing it.
//! Absent: reading and writing files.

use std::path::Path;

use rustls_pemfile::Item;

use super::open::{in_shell, shown};
use super::{CertificateDer, Fault, PrivateKeyDer, base64, inspect};

/// What a PEM file holds.
pub(super) struct Contents {
    pub(super) certificates: Vec<CertificateDer<'static>>,
    pub(super) keys: Vec<PrivateKeyDer<'static>>,
    /// Keys under a passphrase, in DER.
    pub(super) encrypted: Vec<Vec<u8>>,
    pub(super) requests: Vec<Vec<u8>>,
    pub(super) labels: Vec<String>,
}

impl Contents {
    /// What it holds instead of what was looked for.
    pub(super) fn instead(&self) -> String {
        instead(&self.labels)
    }
}

pub(super) fn instead(labels: &[String]) -> String {
    match labels.first() {
        Some(label) => format!(", but a {}", label.escape_debug()),
        None => String::new(),
    }
}

/// Takes PEM apart; `path` is where it came from.
pub(super) fn parse(bytes: &[u8], path: &Path) -> Result<Contents, Fault> {
    let (labels, encrypted) = labels(bytes, path)?;
    let mut contents = Contents {
        certificates: Vec::new(),
        keys: Vec::new(),
        encrypted,
        requests: Vec::new(),
        labels,
    };
    for item in rustls_pemfile::read_all(&mut &*bytes) {
        match item {
            Ok(Item::X509Certificate(certificate)) => {
                if !inspect::is_certificate(&certificate) {
                    let number = contents.certificates.len() + 1;
                    let why = format!("certificate {number} in {} is damaged", shown(path));
                    return Err(Fault::new(why));
                }
                contents.certificates.push(certificate);
            }
            Ok(Item::Pkcs1Key(key)) => contents.keys.push(key.into()),
            Ok(Item::Pkcs8Key(key)) => contents.keys.push(key.into()),
            Ok(Item::Sec1Key(key)) => contents.keys.push(key.into()),
            Ok(Item::Csr(request)) => contents.requests.push(request.to_vec()),
            Ok(_) => {}
            Err(_) => {
                return Err(Fault::new(format!(
                    "{} is damaged: its base64 is wrong",
                    shown(path)
                )));
            }
        }
    }
    Ok(contents)
}

/// The labels of a file's sections, and the keys under a passphrase. The crate that reads sections passes over what it
/// does not know without a word, so that what is wrong is said here.
fn labels(bytes: &[u8], path: &Path) -> Result<(Vec<String>, Vec<Vec<u8>>), Fault> {
    if bytes.iter().all(u8::is_ascii_whitespace) {
        return Err(Fault::new(format!("{} is empty", shown(path))));
    }
    let text = String::from_utf8_lossy(bytes);
    let (mut labels, mut encrypted) = (Vec::new(), Vec::new());
    let mut open: Option<(&str, String)> = None;
    for line in text.lines().map(str::trim_end) {
        let label = |begin: &str| line.strip_prefix(begin)?.strip_suffix("-----");
        if let Some(label) = label("-----BEGIN ") {
            if open.is_some() {
                break;
            }
            open = Some((label, String::new()));
            labels.push(label.to_owned());
        } else if let Some(label) = label("-----END ") {
            match open.take() {
                Some((begun, body)) if begun == label => {
                    if label == ENCRYPTED {
                        let damaged =
                            || Fault::new(format!("{} is damaged: its base64 is wrong", shown(path)));
                        encrypted.push(base64::decode(&body).ok_or_else(damaged)?);
                    }
                }
                begun => {
                    open = begun;
                    break;
                }
            }
        } else if let Some((label, body)) = &mut open {
            if line.starts_with("Proc-Type:") && line.contains("ENCRYPTED") {
                let why = format!("the private key in {} is encrypted in an old way", shown(path));
                let again = format!(
                    "openssl pkcs8 -topk8 -v2 aes256 -in {} -out new.pem",
                    in_shell(path)
                );
                return Err(Fault::new(why).help(format!("encrypt it anew: {again}")));
            }
            if *label == ENCRYPTED {
                body.push_str(line);
            }
        }
    }
    if let Some((label, _)) = open {
        let why = format!("{} is cut off within a {}", shown(path), label.escape_debug());
        return Err(Fault::new(why));
    }
    if !labels.is_empty() {
        return Ok((labels, encrypted));
    }
    // A sequence with a length of two bytes, as every certificate and every key container begins.
    if bytes.starts_with(&[0x30, 0x82]) {
        return Err(Fault::new(format!("{} is DER or PKCS#12, not PEM", shown(path))).help(
            "openssl x509 -inform der, openssl pkey -inform der and openssl pkcs12 -nodes turn it into PEM",
        ));
    }
    Err(Fault::new(format!("{} is not PEM", shown(path))))
}

/// The label of a key under a passphrase (RFC 5958, section 5).
pub(super) const ENCRYPTED: &str = "ENCRYPTED PRIVATE KEY";

/// The PEM of some certificates.
#[must_use]
pub fn certificates_pem(chain: &[CertificateDer<'_>]) -> String {
    chain
        .iter()
        .map(|certificate| section("CERTIFICATE", certificate))
        .collect()
}

/// The PEM of a private key.
#[must_use]
pub fn key_pem(key: &PrivateKeyDer<'_>) -> String {
    let label = match key {
        PrivateKeyDer::Pkcs1(_) => "RSA PRIVATE KEY",
        PrivateKeyDer::Sec1(_) => "EC PRIVATE KEY",
        _ => "PRIVATE KEY",
    };
    section(label, key.secret_der())
}

/// RFC 7468, section 3: 64 characters a line.
pub(super) fn section(label: &str, der: &[u8]) -> String {
    let mut text = format!("-----BEGIN {label}-----\n");
    for line in der.chunks(48) {
        text.push_str(&base64::encode(line));
        text.push('\n');
    }
    text.push_str(&format!("-----END {label}-----\n"));
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cert::issue::{Leaf, Validity, self_signed};
    use crate::cert::{Identity, Name};

    fn fault(text: &[u8]) -> String {
        match parse(text, Path::new("f")) {
            Ok(_) => panic!("{}", text.escape_ascii()),
            Err(fault) => fault.why,
        }
    }

    fn identity() -> Identity {
        self_signed(&Leaf::server(Name::of_this_machine(), Validity::days(1))).unwrap()
    }

    #[test]
    fn each_way_to_be_wrong_has_its_words() {
        let pem = certificates_pem(&identity().chain);
        let half = &pem.as_bytes()[..pem.len() / 2];
        let bent = pem.replacen('M', "*", 1);
        let short = section("CERTIFICATE", &identity().chain[0][..100]);
        for (text, why) in [
            (&b""[..], "`f` is empty"),
            (b" \n\n", "`f` is empty"),
            (b"hello\n", "`f` is not PEM"),
            (&[0xff, 0x00, 0x12], "`f` is not PEM"),
            (&[0x30, 0x82, 1, 2], "`f` is DER or PKCS#12, not PEM"),
            (half, "`f` is cut off within a CERTIFICATE"),
            (bent.as_bytes(), "`f` is damaged: its base64 is wrong"),
            (short.as_bytes(), "certificate 1 in `f` is damaged"),
            (
                b"-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\n\nAAAA\n-----END RSA PRIVATE KEY-----\n",
                "the private key in `f` is encrypted in an old way",
            ),
        ] {
            assert_eq!(fault(text), why);
        }
    }
}
