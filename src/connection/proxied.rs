//! What a proxy says of a client besides its address: `Proxied`.
//! Absent: how it says so.

use std::fmt;

/// The client's connection to the proxy, as far as the proxy tells. None of it is text for certain.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Proxied {
    /// The application protocol that was agreed on.
    pub alpn: Option<Vec<u8>>,
    /// The host name that the client asked for.
    pub authority: Option<Vec<u8>>,
    /// The proxy's name for the connection.
    pub unique_id: Option<Vec<u8>>,
    /// The network namespace that the client came from.
    pub namespace: Option<Vec<u8>>,
    /// What its TLS came to, where there is TLS in front of the proxy.
    pub tls: Option<ProxiedTls>,
    /// Everything else, by number.
    pub others: Vec<(u8, Vec<u8>)>,
}

/// A TLS connection that ends at the proxy.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ProxiedTls {
    /// The version.
    pub version: Option<Vec<u8>>,
    /// The cipher suite.
    pub cipher: Option<Vec<u8>>,
    /// Whether the client showed a certificate.
    pub certificate: bool,
    /// Whether the proxy found that certificate good.
    pub verified: bool,
    /// The common name in the certificate.
    pub common_name: Option<Vec<u8>>,
}

/// `authority=example.com alpn=h2`: one line, whatever the bytes.
impl fmt::Display for Proxied {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut words = Words::default();
        words.text("authority", self.authority.as_deref());
        words.text("alpn", self.alpn.as_deref());
        words.text("unique-id", self.unique_id.as_deref());
        words.text("namespace", self.namespace.as_deref());
        if let Some(tls) = &self.tls {
            words.text("tls", Some(tls.version.as_deref().unwrap_or(b"yes")));
            words.text("cipher", tls.cipher.as_deref());
            words.text("certificate", tls.certificate.then_some(&b"shown"[..]));
            words.text("verified", tls.verified.then_some(&b"yes"[..]));
            words.text("name", tls.common_name.as_deref());
        }
        for (kind, value) in &self.others {
            words.text(&format!("0x{kind:02x}"), Some(value));
        }
        f.write_str(&words.0)
    }
}

/// Values are cut: some proxies pass on whole certificates.
const SHOWN_MAX: usize = 128;

/// A line with more words than this says no more to anybody.
const LINE_MAX: usize = 2048;

#[derive(Default)]
struct Words(String);

impl Words {
    fn text(&mut self, name: &str, value: Option<&[u8]>) {
        let Some(value) = value else { return };
        if self.0.len() > LINE_MAX {
            if !self.0.ends_with('…') {
                self.0.push_str(" …");
            }
            return;
        }
        let (shown, rest) = value.split_at(value.len().min(SHOWN_MAX));
        let blank = if self.0.is_empty() { "" } else { " " };
        let cut = if rest.is_empty() { "" } else { "…" };
        self.0
            .push_str(&format!("{blank}{name}={}{cut}", shown.escape_ascii()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_one_line_of_bounded_length() {
        let proxied = Proxied {
            authority: Some(b"a\nb".to_vec()),
            unique_id: Some(vec![b'x'; 4000]),
            others: vec![(0xea, vec![1]); 20_000],
            ..Proxied::default()
        };
        let line = proxied.to_string();
        assert!(line.starts_with("authority=a\\nb unique-id=xxx"));
        assert!(line.contains("x… 0xea=\\x01 ") && line.ends_with(" …"));
        assert!(line.len() < LINE_MAX + 600 && line.lines().count() == 1);
    }

    #[test]
    fn tls_in_front_of_the_proxy_is_told() {
        let tls = ProxiedTls {
            version: Some(b"TLSv1.3".to_vec()),
            certificate: true,
            verified: true,
            common_name: Some(b"alice".to_vec()),
            ..ProxiedTls::default()
        };
        let proxied = Proxied {
            tls: Some(tls),
            ..Proxied::default()
        };
        assert_eq!(
            proxied.to_string(),
            "tls=TLSv1.3 certificate=shown verified=yes name=alice"
        );
    }
}
