//! haproxy that ends TLS for our client, begins it for our server, and only passes it on, with a PROXY header or without.
//! Absent: HTTP, and headers without TLS, which tests/proxy.rs has.

use std::net::SocketAddr;

use socket2::{Socket, Type};

use crate::harness::installed::{await_listening, installed, reserved};
use crate::harness::peer::noise;
use crate::harness::place::{Place, WITH_CERTIFICATE, port};
use crate::harness::{Run, connect, serve};

/// haproxy from a port of its own, with options of `bind`, to `to` with options of `server`.
fn haproxy(place: &Place, bind: &str, to: u16, server: &str) -> Option<(Run, SocketAddr, Socket)> {
    let program = installed(&["haproxy"])?;
    let (held, address) = reserved(Type::STREAM);
    place.write(
        "server.pem",
        &(place.read("server/key.pem") + &place.read("server/cert.pem")),
    );
    let config = format!(
        "global\n  nbthread 1\n  log stdout format raw local0\n\
         defaults\n  mode tcp\n  log global\n  timeout connect 30s\n  timeout client 60s\n  timeout server 60s\n\
         frontend in\n  bind {address} {bind}\n  default_backend out\n\
         backend out\n  server s 127.0.0.1:{to} {server}\n"
    );
    place.write("haproxy.cfg", &config);
    let run = place.program(program, ["-db", "-f", "haproxy.cfg"]).start();
    await_listening(address);
    Some((run, address, held))
}

#[test]
fn haproxy_ends_tls_for_our_client() {
    let place = Place::new();
    let behind = serve(["echo", "tcp:0:127.0.0.1"]);
    for version in ["TLSv1.2", "TLSv1.3"] {
        let bind = format!(
            "ssl crt server.pem ca-file ca/cert.pem verify required alpn other,echo ssl-min-ver {version} ssl-max-ver {version}"
        );
        let Some((_peer, address, _held)) = haproxy(&place, &bind, behind.address().port(), "") else {
            return;
        };
        let bytes = noise(1_000_000);
        let outcome = place
            .connect(address.port(), &format!("{WITH_CERTIFICATE}:alpn=echo"))
            .input(bytes.clone())
            .run()
            .status(0);
        assert!(
            outcome.stdout == bytes,
            "{version}: {} bytes",
            outcome.stdout.len()
        );
        place
            .connect(address.port(), "")
            .input("hello")
            .run()
            .status(5)
            .wrote("");
    }
}

const VERIFIED: &str = "ssl verify required ca-file ca/cert.pem verifyhost localhost crt client.pem";

#[test]
fn haproxy_begins_tls_to_our_server() {
    let place = Place::new();
    let (_server, port) = place.serve(&["echo"], "clientCA=ca/cert.pem");
    for version in ["TLSv1.2", "TLSv1.3"] {
        let options = format!("{VERIFIED} ssl-min-ver {version} ssl-max-ver {version}");
        let Some((_peer, address, _held)) = haproxy(&place, "", port, &options) else {
            return;
        };
        // The second time it resumes.
        for _ in 0..2 {
            let bytes = noise(1_000_000);
            let outcome = connect([format!("tcp:{address}")])
                .input(bytes.clone())
                .run()
                .status(0);
            assert!(
                outcome.stdout == bytes,
                "{version}: {} bytes",
                outcome.stdout.len()
            );
        }
    }
    let wrong = VERIFIED.replace("verifyhost localhost", "verifyhost other.example");
    let (_peer, address, _held) = haproxy(&place, "", port, &wrong).unwrap();
    let outcome = connect([format!("tcp:{address}")]).input("hello").run();
    assert_eq!(outcome.stdout, b"");
}

#[test]
fn haproxy_says_whom_it_speaks_for_before_tls() {
    let place = Place::new();
    let endpoint = "haproxy:tls:0:server/key.pem:server/cert.pem:interface=127.0.0.1";
    // It speaks TLS itself, or hands on that of the client.
    for (options, client) in [
        (format!("send-proxy-v2 {VERIFIED}"), "tcp"),
        (format!("send-proxy {VERIFIED}"), "tcp"),
        ("send-proxy-v2".to_owned(), "tls"),
    ] {
        let server = place.netkit(["-v", "serve", "echo", endpoint]).start();
        let told = server.endpoint();
        let inner = port(told.strip_prefix("haproxy:").unwrap());
        let Some((_peer, address, _held)) = haproxy(&place, "", inner, &options) else {
            return;
        };
        let run = match client {
            "tcp" => connect(["-v".to_owned(), format!("tcp:{address}")]),
            _ => place.connect(address.port(), "").arg("-v"),
        };
        let outcome = run.input("hello").run().status(0).wrote("hello");
        let said = server.await_stderr("handed on by the proxy");
        // The address that our client had, as it says itself.
        let own = outcome
            .stderr
            .split(" from ")
            .nth(1)
            .and_then(|rest| rest.split_whitespace().next())
            .unwrap_or_else(|| panic!("{}", outcome.stderr));
        assert!(said.contains(&format!("peer={own} ")), "{options}: {own}: {said}");
    }
}
