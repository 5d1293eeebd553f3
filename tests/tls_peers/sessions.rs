//! Sessions with openssl and others: resumed, ended half by half, broken off, and written down for Wireshark.
//! Absent: what is said in them, but for how much of it arrives.

use std::collections::BTreeSet;
use std::ffi::OsStr;

use netkit::connection::Connection;
use netkit::transport::reading::ClientEndpoint;
use rustix::process::Signal;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::openssl::{s_client, s_server};
use crate::harness::installed::installed;
use crate::harness::place::{Place, port};

#[test]
fn openssl_resumes_its_session_with_us() {
    let place = Place::new();
    let (_server, port) = place.serve(&["echo"], "");
    for (flag, shown) in [("-tls1_2", "TLSv1.2"), ("-tls1_3", "TLSv1.3")] {
        for (args, kind) in [
            (["-sess_out", "session"], "New"),
            (["-sess_in", "session"], "Reused"),
        ] {
            let Some(mut peer) = s_client(&place, port, &[flag, args[0], args[1]]) else {
                return;
            };
            peer.write("hello\n");
            peer.await_stdout(format!("{kind}, {shown}, Cipher is"));
            peer.await_stdout("\nhello\n");
            peer.write("Q\n");
            peer.wait().status(0);
        }
    }
    // Five times in a row, each without a word of data. With TLS 1.3 it does not wait for the ticket.
    let mut peer = s_client(&place, port, &["-tls1_2", "-reconnect"]).unwrap();
    peer.write("hello\n");
    let said = String::from_utf8(peer.await_stdout("\nhello\n")).unwrap();
    assert_eq!(said.matches("Reused, TLSv1.2").count(), 5, "{said}");
}

#[test]
fn we_resume_our_session_with_openssl() {
    let place = Place::new();
    for version in ["-tls1_2", "-tls1_3"] {
        let Some((_peer, port, _held)) = s_server(&place, &["-quiet", "-rev", version]) else {
            return;
        };
        let roots = place.path("ca/cert.pem");
        let text = format!("tls:localhost:{port}:trustRoots={}", roots.display());
        let endpoint = ClientEndpoint::parse(OsStr::new(&text)).unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        let resumed: Vec<_> = (0..3)
            .map(|_| {
                runtime.block_on(async {
                    let Connection::Stream(mut stream) = endpoint.connect().await.unwrap() else {
                        panic!("no stream");
                    };
                    stream.write_all(b"hello\n").await.unwrap();
                    stream.flush().await.unwrap();
                    let mut answer = [0; 6];
                    stream.read_exact(&mut answer).await.unwrap();
                    assert_eq!(&answer, b"olleh\n");
                    stream.shutdown().await.unwrap();
                    stream.facts().tls.as_ref().unwrap().resumed
                })
            })
            .collect();
        assert_eq!(resumed, [false, true, true], "{version}");
    }
}

#[test]
fn we_end_our_half_and_hear_what_socat_still_has_to_say() {
    let Some(socat) = installed(&["socat"]) else {
        return;
    };
    let place = Place::new();
    let endpoint = "tls:0:server/key.pem:server/cert.pem:127.0.0.1";
    for version in ["1.2", "1.3"] {
        let listener = place
            .netkit([
                "listen",
                "--no-stdin",
                &format!("{endpoint}:maxVersion={version}"),
            ])
            .start();
        let there = format!(
            "OPENSSL:localhost:{},cafile=ca/cert.pem",
            port(&listener.endpoint())
        );
        let mut peer = place.program(socat, ["-d", "-d", "-t60", "-", &there]).start();
        // Our end is there before it says a word.
        peer.await_stderr("is at EOF");
        peer.write("late\n");
        peer.end_input();
        peer.wait().status(0);
        listener.wait().status(0).wrote("late\n");
    }
}

#[test]
fn gnutls_ends_its_half_and_hears_what_we_still_have_to_say() {
    let Some(program) = installed(&["gnutls-cli"]) else {
        return;
    };
    let place = Place::new();
    let endpoint = "tls:0:server/key.pem:server/cert.pem:127.0.0.1";
    for version in ["1.2", "1.3"] {
        let mut listener = place
            .netkit(["-vv", "listen", &format!("{endpoint}:maxVersion={version}")])
            .start();
        let port = port(&listener.endpoint()).to_string();
        let mut peer = place
            .program(program, ["--x509cafile", "ca/cert.pem", "--logfile", "said"])
            .args(["--port", &port, "localhost"])
            .start();
        peer.write("early\n");
        listener.await_stdout("early\n");
        peer.end_input();
        listener.await_stderr("received the end");
        listener.write("late\n");
        peer.await_stdout("late\n");
        listener.end_input();
        listener.wait().status(0).wrote("early\n");
        peer.wait().status(0).wrote("late\n");
    }
}

#[test]
fn openssl_that_is_killed_is_lost_after_all_that_it_sent() {
    let place = Place::new();
    let text = "a line of the peer\n".repeat(5000);
    for version in ["-tls1_2", "-tls1_3"] {
        let Some((mut peer, port, _held)) = s_server(&place, &["-quiet", version]) else {
            return;
        };
        // Its input stays open: nothing of ours is under way to a socket that is gone.
        let mut client = place.connect(port, "").start();
        // s_server reads its own input only once it has heard of its client.
        client.write("a word first\n");
        peer.await_stdout("a word first\n");
        peer.write(&text);
        client.await_stdout(&text);
        peer.signal(Signal::KILL);
        client
            .wait()
            .status(8)
            .wrote(&text)
            .mentions("without TLS close_notify");

        let endpoint = "tls:0:server/key.pem:server/cert.pem:127.0.0.1";
        let listener = place.netkit(["listen", endpoint]).start();
        let there = crate::harness::place::port(&listener.endpoint());
        let mut peer = s_client(&place, there, &["-quiet", version]).unwrap();
        peer.write(&text);
        listener.await_stdout(&text);
        peer.signal(Signal::KILL);
        let outcome = listener.wait().status(8).wrote(&text);
        // Its system sends a reset if there was something that it had not read, such as a ticket.
        let said = ["without TLS close_notify", "reset by the peer"];
        let lost = said.iter().any(|said| outcome.stderr.contains(said));
        assert!(lost, "{}", outcome.stderr);
    }
}

/// What stands in a file of secrets, without the comments.
fn secrets(place: &Place, file: &str) -> BTreeSet<String> {
    let text = place.read(file);
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    lines.map(str::to_owned).collect()
}

#[test]
fn the_secrets_for_wireshark_are_those_of_openssl() {
    let place = Place::new();
    let kinds = |of: &BTreeSet<String>| -> Vec<String> {
        let kinds = of.iter().filter_map(|line| line.split(' ').next());
        kinds.map(str::to_owned).collect()
    };
    for (version, expected) in [
        ("-tls1_2", &["CLIENT_RANDOM"][..]),
        (
            "-tls1_3",
            &[
                "CLIENT_HANDSHAKE_TRAFFIC_SECRET",
                "CLIENT_TRAFFIC_SECRET_0",
                "EXPORTER_SECRET",
                "SERVER_HANDSHAKE_TRAFFIC_SECRET",
                "SERVER_TRAFFIC_SECRET_0",
            ],
        ),
    ] {
        let file = |who: &str| format!("{who}{version}");
        let endpoint = "tls:0:server/key.pem:server/cert.pem:127.0.0.1";
        let server = place
            .netkit(["serve", "echo", endpoint])
            .env("SSLKEYLOGFILE", file("server"))
            .start();
        let there = port(&server.endpoint());
        let args = ["-quiet", version, "-keylogfile", &file("s_client")];
        let Some(mut peer) = s_client(&place, there, &args) else {
            return;
        };
        peer.write("hello\n");
        peer.await_stdout("hello\n");
        let ours = secrets(&place, &file("server"));
        assert_eq!(kinds(&ours), expected);
        assert_eq!(ours, secrets(&place, &file("s_client")), "{version}");

        let args = ["-quiet", "-rev", version, "-keylogfile", &file("s_server")];
        let (_peer, there, _held) = s_server(&place, &args).unwrap();
        place
            .connect(there, "")
            .env("SSLKEYLOGFILE", file("client"))
            .input("hello\n")
            .run()
            .status(0)
            .wrote("olleh\n");
        let ours = secrets(&place, &file("client"));
        assert_eq!(kinds(&ours), expected);
        assert_eq!(ours, secrets(&place, &file("s_server")), "{version}");
    }
}
