//! What our server lets itself be talked into, as sslscan finds out.
//! Absent: any opinion of ours on what is weak; the list of suites is short enough to be written down.

use crate::harness::installed::installed;
use crate::harness::place::Place;

/// The elements of this name, each as its attributes and their values.
fn elements<'a>(report: &'a str, name: &str) -> Vec<Vec<(&'a str, &'a str)>> {
    let start = format!("<{name} ");
    report
        .lines()
        .filter_map(|line| line.trim().strip_prefix(&start))
        .map(|attributes| {
            attributes
                .trim_end_matches("/>")
                .split("\" ")
                .filter_map(|pair| pair.trim().trim_end_matches('"').split_once("=\""))
                .collect()
        })
        .collect()
}

fn value<'a>(element: &[(&str, &'a str)], name: &str) -> &'a str {
    let found = element.iter().find(|(key, _)| *key == name);
    found.unwrap_or_else(|| panic!("{element:?} has no {name}")).1
}

#[test]
fn sslscan_finds_nothing_weak() {
    let Some(program) = installed(&["sslscan"]) else {
        return;
    };
    let place = Place::new();
    place.openssl([
        "req", "-newkey", "rsa:2048", "-nodes", "-keyout", "rsa.key", "-out", "rsa.csr", "-subj", "/CN=rsa",
    ]);
    place.cert([
        "issue",
        "--ca",
        "ca",
        "--csr",
        "rsa.csr",
        "--out",
        "rsa",
        "localhost",
    ]);
    for (key, certificate, signs) in [
        ("server/key.pem", "server/cert.pem", "ECDSA"),
        ("rsa.key", "rsa/cert.pem", "RSA"),
    ] {
        let endpoint = format!("tls:0:{key}:{certificate}:interface=127.0.0.1");
        let (server, port) = place.serve_on(&["echo"], &endpoint);
        let report = place
            .program(program, ["--xml=-", &format!("127.0.0.1:{port}")])
            .run()
            .status(0)
            .text();
        let versions: Vec<_> = elements(&report, "protocol")
            .iter()
            .filter(|protocol| value(protocol, "enabled") == "1")
            .map(|protocol| (value(protocol, "type"), value(protocol, "version")))
            .collect();
        assert_eq!(versions, [("tls", "1.2"), ("tls", "1.3")], "{report}");
        let mut suites: Vec<_> = elements(&report, "cipher")
            .iter()
            .map(|suite| (value(suite, "sslversion"), value(suite, "cipher").to_owned()))
            .collect();
        suites.sort();
        // Every one has forward secrecy and authenticates what it encrypts.
        let expected = [
            ("TLSv1.2", format!("ECDHE-{signs}-AES128-GCM-SHA256")),
            ("TLSv1.2", format!("ECDHE-{signs}-AES256-GCM-SHA384")),
            ("TLSv1.2", format!("ECDHE-{signs}-CHACHA20-POLY1305")),
            ("TLSv1.3", "TLS_AES_128_GCM_SHA256".to_owned()),
            ("TLSv1.3", "TLS_AES_256_GCM_SHA384".to_owned()),
            ("TLSv1.3", "TLS_CHACHA20_POLY1305_SHA256".to_owned()),
        ];
        assert_eq!(suites, expected, "{report}");
        let renegotiation = elements(&report, "renegotiation");
        assert_eq!(renegotiation.len(), 1, "{report}");
        assert_eq!(value(&renegotiation[0], "supported"), "0", "{report}");
        // A build without zlib cannot ask, and says nothing of it.
        for compression in elements(&report, "compression") {
            assert_eq!(value(&compression, "supported"), "0", "{report}");
        }
        let heartbleed = elements(&report, "heartbleed");
        assert!(!heartbleed.is_empty(), "{report}");
        assert!(
            heartbleed.iter().all(|found| value(found, "vulnerable") == "0"),
            "{report}"
        );
        // So many broken handshakes later it still serves.
        place
            .connect(port, "")
            .input("hello")
            .run()
            .status(0)
            .wrote("hello");
        server.stop().status(0);
    }
}
