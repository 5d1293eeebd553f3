//! What openssl thinks of every kind of key, certificate and request that the verbs make or take.
//! Absent: any connection.

use crate::harness::Outcome;
use crate::harness::installed::installed;
use crate::harness::place::Place;

const KEY_TYPES: [(&str, &str); 6] = [
    ("ecdsa-p256", "ASN1 OID: prime256v1"),
    ("ecdsa-p384", "ASN1 OID: secp384r1"),
    ("ed25519", "ED25519 Private-Key"),
    ("rsa-2048", "(2048 bit"),
    ("rsa-3072", "(3072 bit"),
    ("rsa-4096", "(4096 bit"),
];

/// A name of each kind, and how openssl shows it.
const NAMES: [(&str, &str); 6] = [
    ("a.example", "DNS:a.example"),
    ("*.b.example", "DNS:*.b.example"),
    ("192.0.2.7", "IP Address:192.0.2.7"),
    ("2001:db8::7", "IP Address:2001:DB8:0:0:0:0:0:7"),
    ("me@a.example", "email:me@a.example"),
    ("https://a.example/x", "URI:https://a.example/x"),
];

fn names() -> impl Iterator<Item = &'static str> {
    NAMES.iter().map(|(name, _)| *name)
}

/// `openssl verify` of a file by these authorities.
fn verify(place: &Place, authority: &str, args: &[&str], file: &str) -> Outcome {
    place
        .program("openssl", ["verify", "-x509_strict", "-CAfile", authority])
        .args(args)
        .args([file])
        .run()
}

/// That a key and a certificate are of a pair.
#[track_caller]
fn belong_together(place: &Place, key: &str, certificate: &str, more: &[&str]) {
    let public = place.openssl(["x509", "-noout", "-pubkey", "-in", certificate]);
    let derived = place.openssl([&["pkey", "-pubout", "-in", key], more].concat());
    assert_eq!(derived, public, "{key} and {certificate}");
}

#[test]
fn openssl_agrees_with_every_kind_of_key() {
    if installed(&["openssl"]).is_none() {
        return;
    }
    for (key_type, shown) in KEY_TYPES {
        let place = Place::empty();
        place.write("pass", "open sesame\n");
        place.write("wrong", "open barley\n");
        let kind = ["--key-type", key_type];
        place.cert([&["ca", "--out", "ca"][..], &kind].concat());
        place.cert([&["self-signed", "--out", "self"][..], &kind].concat());
        let issue = |out: &str, args: &[&str]| {
            let args = [&["issue", "--ca", "ca", "--out", out][..], &kind, args].concat();
            place.cert(args);
        };
        issue("server", &names().collect::<Vec<_>>());
        issue("client", &["--client", "--combined", "me@a.example"]);
        issue("locked", &["--passphrase-file", "pass", "a.example"]);

        let key = place.openssl(["pkey", "-check", "-noout", "-text", "-in", "server/key.pem"]);
        assert!(key.contains(shown), "{key_type}: {key}");
        assert!(key.contains("Key is valid"), "{key_type}: {key}");
        belong_together(&place, "ca/key.pem", "ca/cert.pem", &[]);
        belong_together(&place, "self/key.pem", "self/cert.pem", &[]);
        belong_together(&place, "server/key.pem", "server/cert.pem", &[]);
        belong_together(&place, "client/combined.pem", "client/combined.pem", &[]);
        let with = ["-passin", "file:pass"];
        belong_together(&place, "locked/key.pem", "locked/cert.pem", &with);
        assert!(
            place
                .read("locked/key.pem")
                .contains("BEGIN ENCRYPTED PRIVATE KEY")
        );
        let args = ["pkey", "-noout", "-in", "locked/key.pem", "-passin", "file:wrong"];
        place.program("openssl", args).run().status(1);

        verify(
            &place,
            "self/cert.pem",
            &["-purpose", "sslserver"],
            "self/cert.pem",
        )
        .status(0);
        verify(&place, "ca/cert.pem", &[], "ca/cert.pem").status(0);
        for file in ["server/cert.pem", "locked/cert.pem"] {
            verify(&place, "ca/cert.pem", &["-purpose", "sslserver"], file).status(0);
            verify(&place, "ca/cert.pem", &["-purpose", "sslclient"], file).status(2);
        }
        let client = "client/combined.pem";
        verify(&place, "ca/cert.pem", &["-purpose", "sslclient"], client).status(0);
        verify(&place, "ca/cert.pem", &["-purpose", "sslserver"], client).status(2);
        verify(&place, "self/cert.pem", &[], "server/cert.pem").status(2);
    }
}

#[test]
fn openssl_reads_every_kind_of_name() {
    if installed(&["openssl"]).is_none() {
        return;
    }
    let place = Place::new();
    let args = ["issue", "--ca", "ca", "--out", "all"];
    place.cert(args.into_iter().chain(names()));
    let shown = place.openssl(["x509", "-noout", "-ext", "subjectAltName", "-in", "all/cert.pem"]);
    let expected: Vec<_> = NAMES.iter().map(|(_, shown)| *shown).collect();
    assert_eq!(shown.lines().nth(1).unwrap().trim(), expected.join(", "));
    for (check, name, status) in [
        ("-verify_hostname", "a.example", 0),
        ("-verify_hostname", "x.b.example", 0),
        ("-verify_hostname", "b.example", 2),
        ("-verify_hostname", "x.y.b.example", 2),
        ("-verify_hostname", "x.a.example", 2),
        ("-verify_ip", "192.0.2.7", 0),
        ("-verify_ip", "192.0.2.8", 2),
        ("-verify_ip", "2001:db8::7", 0),
        ("-verify_ip", "2001:db8::8", 2),
        ("-verify_email", "me@a.example", 0),
        ("-verify_email", "you@a.example", 2),
    ] {
        verify(&place, "ca/cert.pem", &[check, name], "all/cert.pem").status(status);
    }
}

#[test]
fn openssl_makes_requests_and_takes_what_they_come_to() {
    if installed(&["openssl"]).is_none() {
        return;
    }
    let place = Place::new();
    let all: Vec<_> = NAMES
        .iter()
        .map(|(_, shown)| shown.replace("IP Address:", "IP:"))
        .collect();
    let all = format!("subjectAltName={}", all.join(","));
    for (name, algorithm) in super::openssl::KEYS {
        let (key, request, out) = (
            format!("{name}.key"),
            format!("{name}.csr"),
            format!("for-{name}"),
        );
        place.openssl(
            [
                &["req", "-new", "-nodes", "-subj", "/CN=asked", "-newkey"],
                algorithm,
            ]
            .concat()
            .into_iter()
            .chain(["-keyout", &key, "-out", &request, "-addext", &all]),
        );
        place.cert(["issue", "--ca", "ca", "--csr", &request, "--out", &out]);
        let certificate = format!("{out}/cert.pem");
        assert!(!place.path(&format!("{out}/key.pem")).exists(), "{name}");
        belong_together(&place, &key, &certificate, &[]);
        let args = ["-purpose", "sslserver", "-verify_hostname", "x.b.example"];
        verify(&place, "ca/cert.pem", &args, &certificate).status(0);
        let shown = place.openssl(["x509", "-noout", "-ext", "subjectAltName", "-in", &certificate]);
        for (_, expected) in NAMES {
            assert!(shown.contains(expected), "{name}: {expected} in {shown}");
        }
    }
    // A request that was changed after it was signed is nobody's.
    let request = place.openssl(["req", "-in", "p256.csr", "-outform", "PEM"]);
    let at = request.len() / 2;
    let other = if &request[at..=at] == "A" { "B" } else { "A" };
    place.write(
        "forged.csr",
        &format!("{}{other}{}", &request[..at], &request[at + 1..]),
    );
    let args = [
        "cert",
        "issue",
        "--ca",
        "ca",
        "--csr",
        "forged.csr",
        "--out",
        "forged",
    ];
    assert_ne!(place.netkit(args).run().status, 0);
    assert!(!place.path("forged").exists());
}

/// A certificate of openssl's making, issued with the authority's key by whoever got hold of it.
fn issued_by(place: &Place, authority: (&str, &str), extensions: &[&str], out: &str) {
    let request = [
        "req",
        "-new",
        "-nodes",
        "-subj",
        "/O=x",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:P-256",
        "-keyout",
        "x.key",
        "-out",
        "x.csr",
    ];
    let extensions = extensions.iter().flat_map(|extension| ["-addext", extension]);
    place.openssl(request.into_iter().chain(extensions));
    let (certificate, key) = authority;
    place.openssl([
        "x509",
        "-req",
        "-in",
        "x.csr",
        "-CA",
        certificate,
        "-CAkey",
        key,
        "-copy_extensions",
        "copy",
        "-days",
        "2",
        "-out",
        out,
    ]);
}

/// The authority that is made where a server has no certificate, as a file and its key.
const LOCAL: (&str, &str) = ("data/netkit/authority/cert.pem", "data/netkit/authority/key.pem");

fn with_local_authority() -> Place {
    let place = Place::empty();
    place.cert(["trust"]);
    place
}

fn verify_loosely(place: &Place, args: &[&str], file: &str) -> Outcome {
    place
        .program("openssl", ["verify", "-CAfile", LOCAL.0])
        .args(args)
        .args([file])
        .run()
}

#[test]
fn with_the_local_authority_s_key_nobody_can_vouch_for_others() {
    if installed(&["openssl"]).is_none() {
        return;
    }
    let place = with_local_authority();
    for (name, status) in [
        ("DNS:localhost", 0),
        ("IP:127.0.0.1", 0),
        ("IP:127.9.9.9", 0),
        ("IP:::1", 0),
        ("DNS:other.example", 2),
        ("DNS:*.example", 2),
        ("DNS:localhost.example", 2),
        ("DNS:localhost,DNS:other.example", 2),
        ("IP:10.0.0.1", 2),
        ("IP:::2", 2),
        ("IP:2001:db8::1", 2),
    ] {
        let names = format!("subjectAltName={name}");
        issued_by(&place, LOCAL, &[&names], "x.pem");
        verify_loosely(&place, &["-purpose", "sslserver"], "x.pem").status(status);
        // For servers alone: no mail is signed with it, and no client is somebody by it.
        for purpose in ["sslclient", "smimesign"] {
            verify_loosely(&place, &["-purpose", purpose], "x.pem").status(2);
        }
    }
    // A name in the subject, where old programs look, is a name too.
    place.openssl([
        "req",
        "-new",
        "-nodes",
        "-subj",
        "/CN=other.example",
        "-newkey",
        "rsa:2048",
        "-keyout",
        "x.key",
        "-out",
        "x.csr",
    ]);
    let args = ["x509", "-req", "-in", "x.csr", "-CA", LOCAL.0, "-CAkey", LOCAL.1];
    place.openssl([&args[..], &["-days", "2", "-out", "x.pem"]].concat());
    verify_loosely(&place, &[], "x.pem").status(2);
}

#[test]
fn an_intermediate_authority_does_not_lead_around_the_local_one_s_limits() {
    if installed(&["openssl"]).is_none() {
        return;
    }
    let place = with_local_authority();
    let authority = ["basicConstraints=critical,CA:TRUE", "keyUsage=keyCertSign"];
    issued_by(&place, LOCAL, &authority, "between.pem");
    std::fs::rename(place.path("x.key"), place.path("between.key")).unwrap();
    for (name, complaints) in [
        (
            "DNS:other.example",
            &["permitted subtree violation", "path length"][..],
        ),
        ("IP:10.0.0.1", &["permitted subtree violation", "path length"]),
        ("DNS:localhost", &["path length"]),
    ] {
        let names = format!("subjectAltName={name}");
        issued_by(&place, ("between.pem", "between.key"), &[&names], "x.pem");
        let outcome = verify_loosely(&place, &["-untrusted", "between.pem"], "x.pem").status(2);
        for complaint in complaints {
            assert!(outcome.stderr.contains(complaint), "{name}: {}", outcome.stderr);
        }
    }
}

#[test]
fn an_authority_with_permitted_names_vouches_for_those() {
    if installed(&["openssl"]).is_none() {
        return;
    }
    let place = Place::empty();
    place.cert([
        "ca",
        "--out",
        "ca",
        "--permit",
        "a.example",
        "--permit",
        "192.0.2.7",
    ]);
    for (name, status) in [
        ("a.example", 0),
        ("www.a.example", 0),
        ("*.a.example", 0),
        ("192.0.2.7", 0),
        ("b.example", 2),
        ("xa.example", 2),
        ("192.0.2.8", 2),
        ("2001:db8::7", 2),
    ] {
        issued_by(
            &place,
            ("ca/cert.pem", "ca/key.pem"),
            &[&format!(
                "subjectAltName={}:{name}",
                if name.parse::<std::net::IpAddr>().is_ok() {
                    "IP"
                } else {
                    "DNS"
                }
            )],
            "x.pem",
        );
        verify(&place, "ca/cert.pem", &[], "x.pem").status(status);
    }
}
