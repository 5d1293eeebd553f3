//! curl against our server, which plays a web server of one answer.
//! Absent: HTTP beyond that answer.

use crate::harness::installed::installed;
use crate::harness::place::{Place, port};
use crate::harness::{Outcome, Run};

const ANSWER: &str = r"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello";

/// A server that answers its one client, with these fields besides.
fn listen(place: &Place, more: &str) -> (Run, u16) {
    let endpoint = format!("tls:0:server/key.pem:server/cert.pem:127.0.0.1:{more}");
    let endpoint = endpoint.trim_end_matches(':').to_owned();
    let run = place
        .netkit(["listen", "--no-stdin", "--send", ANSWER, &endpoint])
        .start();
    let port = port(&run.endpoint());
    (run, port)
}

fn curl(place: &Place, program: &str, port: u16, args: &[&str]) -> Outcome {
    place
        .program(program, ["-sS", "--noproxy", "*", "--max-time", "30"])
        .args(args)
        .args([format!("https://localhost:{port}/")])
        .run()
}

/// What curl says of a handshake that failed, of a certificate that it does not take, of a wrong pin.
const NO_HANDSHAKE: i32 = 35;
const NOT_TRUSTED: i32 = 60;
const NOT_PINNED: i32 = 90;

#[test]
fn curl_takes_each_version_and_no_other() {
    let Some(program) = installed(&["curl"]) else {
        return;
    };
    let place = Place::new();
    for (fields, args, status) in [
        ("", &["--tlsv1.2", "--tls-max", "1.2"][..], 0),
        ("", &["--tlsv1.3"], 0),
        ("maxVersion=1.2", &["--tlsv1.2"], 0),
        ("maxVersion=1.2", &["--tlsv1.3"], NO_HANDSHAKE),
        ("minVersion=1.3", &["--tls-max", "1.2"], NO_HANDSHAKE),
        ("", &["--tls-max", "1.1"], NO_HANDSHAKE),
    ] {
        let (server, port) = listen(&place, fields);
        let args = [args, &["--cacert", "ca/cert.pem"]].concat();
        let outcome = curl(&place, program, port, &args).status(status);
        if status == 0 {
            outcome.wrote("hello");
            server.wait().status(0);
        } else {
            // Whoever fails is nobody yet: it goes on to wait for its client.
            server.await_stderr("warning: 127.0.0.1:");
        }
    }
}

#[test]
fn curl_trusts_the_authority_and_our_pin() {
    let Some(program) = installed(&["curl"]) else {
        return;
    };
    let place = Place::new();
    let shown = place.cert(["show", "server/cert.pem"]).text();
    let pin = shown
        .split("sha256/")
        .nth(1)
        .unwrap()
        .split_whitespace()
        .next()
        .unwrap();
    let wrong = "A".repeat(43) + "=";
    for (args, status) in [
        (vec!["--cacert", "ca/cert.pem"], 0),
        (vec![], NOT_TRUSTED),
        (
            vec![
                "--cacert",
                "server/cert.pem",
                "--resolve",
                "localhost:1:127.0.0.1",
            ],
            0,
        ),
    ] {
        let (_server, port) = listen(&place, "");
        let outcome = curl(&place, program, port, &args);
        // Whether a certificate that is not an authority's vouches for itself depends on how curl was built.
        if args.contains(&"server/cert.pem") {
            assert!([0, NOT_TRUSTED].contains(&outcome.status), "{outcome:?}");
        } else {
            outcome.status(status);
        }
    }
    for (pin, status) in [(pin, 0), (&wrong, NOT_PINNED)] {
        // The pin alone: curl checks it besides the chain, or instead of it with -k.
        for trust in [&["-k"][..], &["--cacert", "ca/cert.pem"]] {
            let (_server, port) = listen(&place, "");
            let pinned = format!("sha256//{pin}");
            curl(
                &place,
                program,
                port,
                &[trust, &["--pinnedpubkey", &pinned]].concat(),
            )
            .status(status);
        }
    }
}

#[test]
fn curl_shows_its_certificate() {
    let Some(program) = installed(&["curl"]) else {
        return;
    };
    let place = Place::new();
    place.cert(["self-signed", "--client", "--out", "stranger", "me@a.example"]);
    let trust = ["--cacert", "ca/cert.pem"];
    for version in ["1.2", "1.3"] {
        let fields = format!("clientCA=ca/cert.pem:maxVersion={version}");
        for (args, taken) in [
            (
                &["--cert", "client/cert.pem", "--key", "client/key.pem"][..],
                true,
            ),
            (&["--cert", "client.pem"], true),
            (
                &["--cert", "stranger/cert.pem", "--key", "stranger/key.pem"],
                false,
            ),
            (&[], false),
        ] {
            let (server, port) = listen(&place, &fields);
            let outcome = curl(&place, program, port, &[&trust, args].concat());
            if taken {
                outcome.status(0).wrote("hello");
                server.wait().status(0);
            } else {
                // With TLS 1.3 the refusal comes after curl's request.
                assert_ne!(outcome.status, 0, "{version} {args:?}");
                assert_eq!(outcome.stdout, b"", "{version} {args:?}");
                server.await_stderr("certificate");
            }
        }
    }
}
