//! gnutls-cli against our server, and gnutls-serv for our client.
//! Absent: what its certtool would say of our certificates.

use socket2::Type;

use crate::harness::installed::{await_listening, installed, reserved};
use crate::harness::place::{Place, WITH_CERTIFICATE};

const VERSIONS: [&str; 2] = ["NORMAL:-VERS-ALL:+VERS-TLS1.2", "NORMAL:-VERS-ALL:+VERS-TLS1.3"];

const WITH_THEIR_CERTIFICATE: [&str; 4] = [
    "--x509certfile",
    "client/cert.pem",
    "--x509keyfile",
    "client/key.pem",
];

/// What every run of gnutls-cli begins with. Its own words go to a file, so that standard output is payload.
fn client_args<'a>(port: &'a str, version: &'a str) -> Vec<&'a str> {
    vec![
        "--logfile",
        "said",
        "--x509cafile",
        "ca/cert.pem",
        "--priority",
        version,
        "--port",
        port,
    ]
}

#[test]
fn gnutls_is_a_client() {
    let Some(program) = installed(&["gnutls-cli"]) else {
        return;
    };
    let place = Place::new();
    for version in VERSIONS {
        for mutual in [false, true] {
            let (server, port) = place.serve(&["echo"], if mutual { "clientCA=ca/cert.pem" } else { "" });
            let port = port.to_string();
            let mut args = client_args(&port, version);
            if mutual {
                args.extend(WITH_THEIR_CERTIFICATE);
            }
            args.push("localhost");
            let text = "a line\n".repeat(10_000);
            place
                .program(program, &args)
                .input(text.clone())
                .run()
                .status(0)
                .wrote(text);
            // Its end was a clean one for us.
            let outcome = server.stop().status(0);
            assert!(!outcome.stderr.contains("close_notify"), "{}", outcome.stderr);
        }
    }
}

#[test]
fn gnutls_refuses_what_is_not_for_it() {
    let Some(program) = installed(&["gnutls-cli"]) else {
        return;
    };
    let place = Place::new();
    let (_server, port) = place.serve(&["echo"], "");
    let port = port.to_string();
    let args = client_args(&port, "NORMAL");
    place
        .program(program, args)
        .args(["--verify-hostname", "other.example", "localhost"])
        .run()
        .status(1);
    assert!(
        place.read("said").contains("does not match"),
        "{}",
        place.read("said")
    );
    // The local authority is one that it takes, name constraints and all, for this machine and for nothing else.
    let (_server, port) = place.serve_on(&["echo"], "tls:0:interface=127.0.0.1");
    let port = port.to_string();
    let ask = |host: &str| {
        place
            .program(program, ["--logfile", "said", "--port", &port])
            .args(["--x509cafile", "data/netkit/authority/cert.pem"])
            .args(["--verify-hostname", host, "127.0.0.1"])
            .input("hello\n")
            .run()
    };
    ask("localhost").status(0).wrote("hello\n");
    ask("127.0.0.1").status(0).wrote("hello\n");
    ask("other.example").status(1).wrote("");
}

#[test]
fn gnutls_resumes_its_session_with_us() {
    let Some(program) = installed(&["gnutls-cli"]) else {
        return;
    };
    let place = Place::new();
    for version in VERSIONS {
        let (_server, port) = place.serve(&["echo"], "");
        let port = port.to_string();
        let mut args = client_args(&port, version);
        args.extend(["--resume", "--waitresumption", "localhost"]);
        place
            .program(program, &args)
            .input("hello\n")
            .run()
            .status(0)
            .wrote("hello\n");
        let said = place.read("said");
        assert!(said.contains("This is a resumed session"), "{version}: {said}");
    }
}

#[test]
fn gnutls_is_a_server() {
    let Some(program) = installed(&["gnutls-serv"]) else {
        return;
    };
    let place = Place::new();
    for version in VERSIONS {
        for mutual in [false, true] {
            let (_held, address) = reserved(Type::STREAM);
            let mut server = place
                .program(program, ["--echo", "--port", &address.port().to_string()])
                .args(["--priority", version, "--x509cafile", "ca/cert.pem"])
                .args([
                    "--x509certfile",
                    "server/cert.pem",
                    "--x509keyfile",
                    "server/key.pem",
                ]);
            if mutual {
                server = server.args(["--require-client-cert", "--verify-client-cert"]);
            }
            let _server = server.start();
            await_listening(address);
            let us = if mutual { WITH_CERTIFICATE } else { "" };
            place
                .connect(address.port(), us)
                .input("hello\n")
                .run()
                .status(0)
                .wrote("hello\n");
            if mutual {
                let outcome = place.connect(address.port(), "").input("hello\n").run();
                let outcome = outcome.status(5).wrote("");
                // With TLS 1.2 it ends on an alert of another name.
                if version.contains("TLS1.3") {
                    outcome.mentions("client certificate");
                }
            }
        }
    }
}
