//! openssl's s_client and s_server with every kind of key, application protocols and certificates chosen by name.
//! Absent: sessions, ends and secrets, which `sessions` has.

use socket2::{Socket, Type};

use crate::harness::Run;
use crate::harness::installed::{await_listening, installed, reserved};
use crate::harness::place::{Place, WITH_CERTIFICATE};

/// Each kind of key that we make certificates for, and how openssl is asked for one.
pub(super) const KEYS: [(&str, &[&str]); 6] = [
    ("rsa2048", &["rsa:2048"]),
    ("rsa3072", &["rsa:3072"]),
    ("rsa4096", &["rsa:4096"]),
    ("p256", &["ec", "-pkeyopt", "ec_paramgen_curve:P-256"]),
    ("p384", &["ec", "-pkeyopt", "ec_paramgen_curve:P-384"]),
    ("ed25519", &["ed25519"]),
];

const OUR_KEYS: [&str; 5] = ["rsa-2048", "rsa-3072", "ecdsa-p256", "ecdsa-p384", "ed25519"];

/// `s_client`, which takes our certificate or ends.
pub(super) fn s_client(place: &Place, port: u16, args: &[&str]) -> Option<Run> {
    let program = installed(&["openssl"])?;
    let run = place
        .program(
            program,
            ["s_client", "-verify_return_error", "-CAfile", "ca/cert.pem"],
        )
        .args(["-connect", &format!("127.0.0.1:{port}")])
        .args(args)
        .start();
    Some(run)
}

/// `s_server` with the certificate for this machine, or that in `args`.
pub(super) fn s_server(place: &Place, args: &[&str]) -> Option<(Run, u16, Socket)> {
    let program = installed(&["openssl"])?;
    let (held, address) = reserved(Type::STREAM);
    let own: &[&str] = if args.contains(&"-cert") {
        &[]
    } else {
        &["-cert", "server/cert.pem", "-key", "server/key.pem"]
    };
    let run = place
        .program(program, ["s_server", "-accept", &address.to_string()])
        .args(own)
        .args(args)
        .start();
    await_listening(address);
    Some((run, address.port(), held))
}

/// A pair for this machine and one for a client, with such keys.
fn pairs(place: &Place, key_type: &str) {
    let args = ["issue", "--ca", "ca", "--key-type", key_type, "--force", "--out"];
    place.cert([&args[..], &["server", "localhost", "127.0.0.1"]].concat());
    place.cert([&args[..], &["client", "--client", "me@a.example"]].concat());
}

#[test]
fn every_key_of_ours_serves_openssl_in_both_versions() {
    let place = Place::new();
    for key_type in OUR_KEYS {
        pairs(&place, key_type);
        for (version, flag) in [("1.2", "-tls1_2"), ("1.3", "-tls1_3")] {
            for mutual in [false, true] {
                let fields = if mutual { "clientCA=ca/cert.pem" } else { "" };
                let (_server, port) = place.serve(&["echo"], fields);
                let certificate = ["-cert", "client/cert.pem", "-key", "client/key.pem"];
                let own = if mutual { &certificate[..] } else { &[] };
                let args = [&["-quiet", flag, "-verify_hostname", "localhost"], own].concat();
                let Some(mut peer) = s_client(&place, port, &args) else {
                    return;
                };
                peer.write("hello\n");
                let got = peer.await_stdout("\n");
                assert_eq!(got, b"hello\n", "{key_type} {version} {mutual}");
            }
        }
    }
}

#[test]
fn every_key_of_ours_is_taken_by_openssl_and_openssl_with_it_by_us() {
    let place = Place::new();
    for key_type in OUR_KEYS {
        pairs(&place, key_type);
        for version in ["-tls1_2", "-tls1_3"] {
            for mutual in [false, true] {
                let wanted = ["-Verify", "1", "-verify_return_error", "-CAfile", "ca/cert.pem"];
                let wanted = if mutual { &wanted[..] } else { &[] };
                let args = [&["-quiet", "-rev", version], wanted].concat();
                let Some((_peer, port, _held)) = s_server(&place, &args) else {
                    return;
                };
                let us = if mutual { WITH_CERTIFICATE } else { "" };
                place
                    .connect(port, us)
                    .input("hello\n")
                    .run()
                    .status(0)
                    .wrote("olleh\n");
            }
        }
    }
}

#[test]
fn application_protocols_are_agreed_on_with_openssl() {
    let place = Place::new();
    for (ours, theirs, agreed) in [
        ("alpn=b,a", "a,b", "ALPN protocol: b"),
        ("alpn=a", "a,b", "ALPN protocol: a"),
        ("", "a,b", "No ALPN negotiated"),
    ] {
        let (_server, port) = place.serve(&["echo"], ours);
        let Some(peer) = s_client(&place, port, &["-alpn", theirs]) else {
            return;
        };
        peer.await_stdout(agreed);
    }
    let (server, port) = place.serve(&["echo"], "alpn=a");
    let peer = s_client(&place, port, &["-alpn", "c"]).unwrap();
    assert!(peer.wait().stderr.contains("no application protocol"));
    server.await_stderr("application protocol");

    let (peer, port, _held) = s_server(&place, &["-alpn", "b,a"]).unwrap();
    let client = place.connect(port, "alpn=a,b").start();
    peer.await_stdout("ALPN protocols selected: b");
    drop(client);
    // A server that knows none agrees to none, and that is no failure.
    let (_peer, port, _held) = s_server(&place, &["-quiet", "-rev"]).unwrap();
    let client = place.connect(port, "alpn=a,b").input("hello\n");
    client.run().status(0).wrote("olleh\n");
}

#[test]
fn openssl_gets_the_certificate_of_the_name_that_it_asks_for() {
    let place = Place::new();
    std::fs::create_dir(place.path("names")).unwrap();
    for (file, name) in [("1", "a.example"), ("2", "*.b.example"), ("3", "x.b.example")] {
        let args = [
            "issue",
            "--ca",
            "ca",
            "--combined",
            "--force",
            "--out",
            "made",
            name,
        ];
        place.cert(args);
        place.write(&format!("names/{file}.pem"), &place.read("made/combined.pem"));
    }
    let (_server, port) = place.serve_on(&["echo"], "tls:0:certDir=names:interface=127.0.0.1");
    for (asked, got) in [
        ("a.example", "subject=CN = a.example\n"),
        ("A.EXAMPLE", "subject=CN = a.example\n"),
        ("y.b.example", "subject=CN = *.b.example\n"),
        ("x.b.example", "subject=CN = x.b.example\n"),
        // For the rest the first is as good as any.
        ("b.example", "subject=CN = a.example\n"),
        ("", "subject=CN = a.example\n"),
    ] {
        let name = ["-servername", asked];
        let args = if asked.is_empty() {
            &["-noservername"][..]
        } else {
            &name
        };
        let Some(mut peer) = s_client(&place, port, args) else {
            return;
        };
        peer.await_stdout(got);
        peer.end_input();
        peer.wait().status(0);
    }
}
