//! stunnel in front of our server and of our client, each side verifying the other.
//! Absent: its protocols other than TLS itself.

use std::net::SocketAddr;

use socket2::{Socket, Type};

use crate::harness::installed::{await_listening, installed, reserved};
use crate::harness::peer::noise;
use crate::harness::place::{Place, WITH_CERTIFICATE};
use crate::harness::{Run, connect, netkit, serve};

/// stunnel with one service, from the port that it is given to `to`.
fn stunnel(place: &Place, to: u16, options: &str) -> Option<(Run, SocketAddr, Socket)> {
    let program = installed(&["stunnel4", "stunnel"])?;
    let (held, address) = reserved(Type::STREAM);
    let config = format!(
        "foreground = yes\npid =\ndebug = 6\nsocket = a:SO_REUSEADDR=1\n\
         [it]\naccept = {address}\nconnect = 127.0.0.1:{to}\nverifyChain = yes\nCAfile = ca/cert.pem\n{options}\n"
    );
    place.write("stunnel.conf", &config);
    let run = place.program(program, [place.path("stunnel.conf")]).start();
    await_listening(address);
    Some((run, address, held))
}

const AS_CLIENT: &str = "client = yes\ncheckHost = localhost\ncert = client.pem";

#[test]
fn stunnel_is_a_client() {
    let place = Place::new();
    let (_server, port) = place.serve(&["echo"], "clientCA=ca/cert.pem");
    for version in ["TLSv1.2", "TLSv1.3"] {
        let options = format!("{AS_CLIENT}\nsslVersion = {version}");
        let Some((peer, address, _held)) = stunnel(&place, port, &options) else {
            return;
        };
        let bytes = noise(1_000_000);
        let outcome = connect([format!("tcp:{address}")])
            .input(bytes.clone())
            .run()
            .status(0);
        assert!(outcome.stdout == bytes, "{} bytes", outcome.stdout.len());
        peer.await_stderr(&format!("{version} ciphersuite: "));
    }
}

#[test]
fn stunnel_refuses_what_is_not_for_it() {
    let place = Place::new();
    let (_server, port) = place.serve(&["echo"], "");
    let options = "client = yes\ncheckHost = other.example";
    let Some((peer, address, _held)) = stunnel(&place, port, options) else {
        return;
    };
    let outcome = netkit(["connect", &format!("tcp:{address}")])
        .input("hello")
        .run();
    assert_eq!(outcome.stdout, b"");
    peer.await_stderr("Subject checks failed");
}

#[test]
fn stunnel_is_a_server() {
    let place = Place::new();
    let behind = serve(["echo", "tcp:0:127.0.0.1"]);
    for version in ["TLSv1.2", "TLSv1.3"] {
        let options = format!(
            "cert = server/cert.pem\nkey = server/key.pem\nrequireCert = yes\nsslVersion = {version}"
        );
        let Some((_peer, address, _held)) = stunnel(&place, behind.address().port(), &options) else {
            return;
        };
        let bytes = noise(1_000_000);
        let outcome = place
            .connect(address.port(), WITH_CERTIFICATE)
            .input(bytes.clone())
            .run()
            .status(0);
        assert!(outcome.stdout == bytes, "{} bytes", outcome.stdout.len());
        place
            .connect(address.port(), "")
            .input("hello")
            .run()
            .status(5)
            .wrote("")
            .mentions("client certificate");
    }
}
