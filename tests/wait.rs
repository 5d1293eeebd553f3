//! `wait`: ports that open and close, greetings, what is missing at the limit, and the command that takes its place.
//! Absent: the steps between attempts, which unit tests show.

use std::net::{TcpListener, UdpSocket};
use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::harness::{Netkit, Run, eventually, netkit, serve};

fn wait(args: &[&str]) -> Netkit {
    netkit(["wait"]).args(args)
}

/// A port that nobody listens on, kept from others as long as the socket lives.
fn closed() -> (socket2::Socket, String) {
    let (socket, address) = crate::harness::installed::reserved(socket2::Type::STREAM);
    (socket, format!("tcp:{address}"))
}

#[test]
fn what_is_there_already_costs_no_word() {
    let directory = tempfile::tempdir().unwrap();
    let path = format!("unix:{}/s", directory.path().display());
    let server = serve(["echo", "tcp:0:127.0.0.1", &path]);
    let endpoints = server.endpoints(2);
    wait(&[&endpoints[0], &endpoints[1]])
        .run()
        .status(0)
        .said("")
        .wrote("");
}

#[test]
fn a_server_that_comes_later_is_waited_for() {
    let directory = tempfile::tempdir().unwrap();
    let path = format!("unix:{}/s", directory.path().display());
    let waiting = wait(&[&path, "-v"]).start();
    waiting.await_stderr("no such file or directory");
    let _server = serve(["echo", &path]);
    waiting.wait().status(0).mentions("is there after");
}

#[test]
fn all_have_to_be_there_and_the_missing_are_named() {
    let server = serve(["echo", "tcp:0:127.0.0.1"]);
    let (_held, missing) = closed();
    wait(&[
        &server.endpoint(),
        &missing,
        "unix:/nonexistent/socket",
        "--timeout",
        "50ms",
    ])
    .run()
    .status(4)
    .wrote("")
    .said(&format!(
        "error: gave up after 50ms: {missing}: connection refused; unix:/nonexistent/socket: no such file or directory\n"
    ));
    wait(&[&missing, "--timeout", "50ms"])
        .run()
        .status(4)
        .said(&format!(
            "error: gave up on {missing} after 50ms: connection refused\n"
        ));
}

#[test]
fn a_server_that_accepts_and_never_speaks_is_not_there() {
    // The backlog accepts, nobody answers: TLS is not established.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = silent.local_addr().unwrap();
    let endpoint = format!("tcp:{address}");
    wait(&[&endpoint]).run().status(0);
    wait(&[
        &endpoint,
        "--expect",
        "x",
        "--timeout",
        "300ms",
        "--attempt-timeout",
        "100ms",
    ])
    .run()
    .status(4)
    .mentions("no answer within 100ms");
    #[cfg(feature = "tls")]
    wait(&[
        &format!("tls:{address}"),
        "--timeout",
        "300ms",
        "--attempt-timeout",
        "100ms",
    ])
    .run()
    .status(4)
    .mentions("no answer within 100ms");
}

#[cfg(feature = "tls")]
#[test]
fn a_certificate_that_is_refused_is_named_in_the_end() {
    let place = crate::harness::place::Place::new();
    let (_server, port) = place.serve(&["echo"], "");
    let endpoint = format!("tls:127.0.0.1:{port}");
    place
        .netkit(["wait", &endpoint, "--timeout", "300ms"])
        .run()
        .status(4)
        .wrote("")
        .mentions(&format!(
            "error: gave up on {endpoint} after 300ms: the certificate of `127.0.0.1` was issued by"
        ));
    let trusted = format!("{endpoint}:trustRoots=ca/cert.pem");
    place.netkit(["wait", &trusted]).run().status(0).said("");
    // A file of ours that cannot be read is no matter of time.
    place
        .netkit(["wait", &format!("{endpoint}:trustRoots=none.pem")])
        .run()
        .status(2)
        .mentions("none.pem");
}

#[test]
fn a_greeting_has_to_hold_what_is_expected() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("file").display().to_string();
    let server = serve(["lines", "tcp:0:127.0.0.1", "--file", &file]);
    let endpoint = server.endpoint();
    wait(&[&endpoint, "--expect", "established!\\r\\n"])
        .run()
        .status(0);
    wait(&[&endpoint, "--send", "hello\\r\\n", "--expect", "How are you?"])
        .run()
        .status(0);
    wait(&[&endpoint, "--expect", "ready", "--timeout", "200ms"])
        .run()
        .status(4)
        .said(&format!(
            "error: gave up on {endpoint} after 200ms: b\"Connection with the server established!\\r\\n\" \
             and no more within 200ms came, not b\"ready\"\n"
        ));
    let closing = serve(["drop", "tcp:0:127.0.0.1"]);
    wait(&[&closing.endpoint(), "--expect", "x", "--timeout", "100ms"])
        .run()
        .status(4)
        .mentions("b\"\" and the end came, not b\"x\"");
}

#[test]
fn udp_has_replied_was_refused_or_is_silent() {
    let server = serve(["echo", "udp:0:127.0.0.1"]);
    let endpoint = server.endpoint();
    wait(&[&endpoint, "--send", "ping"]).run().status(0).said("");
    wait(&[&endpoint, "--send", "ping", "--expect", "in"])
        .run()
        .status(0);
    wait(&[
        &endpoint,
        "--send",
        "ping",
        "--expect",
        "pong",
        "--timeout",
        "100ms",
    ])
    .run()
    .status(4)
    .mentions("b\"ping\" came, not b\"pong\"");
    wait(&[&endpoint]).run().status(2).mentions("--send TEXT asks");
    drop(server);
    wait(&[&endpoint, "--send", "", "--timeout", "100ms"])
        .run()
        .status(4)
        .mentions("connection refused");
    wait(&[&endpoint, "--send", "", "--gone"]).run().status(0);
    let silent = UdpSocket::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("udp:{}", silent.local_addr().unwrap());
    wait(&[&endpoint, "--send", "ping", "--timeout", "100ms"])
        .run()
        .status(4)
        .mentions("no answer within 100ms");
}

#[test]
fn stable_means_all_the_time() {
    let server = serve(["echo", "tcp:0:127.0.0.1"]);
    let start = Instant::now();
    wait(&[&server.endpoint(), "--stable", "300ms"]).run().status(0);
    assert!(start.elapsed() >= Duration::from_millis(300));
    // A server that answers every other time is never stable.
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("tcp:{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for (turn, client) in listener.incoming().enumerate() {
            if turn % 2 == 0 {
                let _ = std::io::Write::write_all(&mut client.unwrap(), b"ready");
            }
        }
    });
    wait(&[
        &endpoint,
        "--expect",
        "ready",
        "--stable",
        "200ms",
        "--timeout",
        "1s",
        "-i",
        "20ms",
    ])
    .run()
    .status(4);
    wait(&[&endpoint, "--stable", "1s", "--timeout", "1s"])
        .run()
        .status(2)
        .said("error: could not wait: --timeout 1s is over before --stable 1s\n");
}

#[test]
fn gone_means_that_nobody_accepts() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("s");
    let server = serve(["echo", "tcp:0:127.0.0.1", &format!("unix:{}", path.display())]);
    let endpoints = server.endpoints(2);
    let gone = ["--gone", &endpoints[0], &endpoints[1]];
    wait(&[&gone[..], &["--timeout", "100ms"]].concat())
        .run()
        .status(4)
        .mentions(&format!("{}: it still accepts", endpoints[1]));
    let waiting = wait(&gone).start();
    waiting.stays();
    server.signal(Signal::KILL);
    waiting.wait().status(0).said("");
    assert!(
        path.exists(),
        "the socket of a server that was killed stays behind"
    );
}

#[test]
fn silence_and_refused_handshakes_are_not_gone() {
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("tls:{}", silent.local_addr().unwrap());
    if cfg!(feature = "tls") {
        let times = ["--timeout", "200ms", "--attempt-timeout", "50ms"];
        wait(&[&["--gone", &endpoint][..], &times].concat())
            .run()
            .status(4)
            .mentions("no answer within 50ms");
    }
    // The directory may not be searched: who is behind it cannot be told.
    if !rustix::process::geteuid().is_root() {
        wait(&["--gone", "unix:/root/socket", "--timeout", "50ms"])
            .run()
            .status(4)
            .mentions("permission denied");
    }
}

#[test]
fn a_command_takes_its_place() {
    let server = serve(["echo", "tcp:0:127.0.0.1"]);
    let endpoint = server.endpoint();
    let run = wait(&[&endpoint, "--", "sh", "-c", "echo $$; read line; exit 7"]).start();
    let said = run.await_stdout("\n");
    let number: u32 = String::from_utf8_lossy(&said).trim().parse().unwrap();
    assert_eq!(run.proc("").split('/').nth(2), Some(number.to_string().as_str()));
    finish(run, "\n", 7);
    // Signals are the command's own again.
    let run = wait(&[&endpoint, "--", "cat"]).start();
    eventually("the command to run", || {
        std::fs::read_to_string(run.proc("comm"))
            .is_ok_and(|name| name == "cat\n")
            .then_some(())
    });
    run.signal(Signal::INT);
    run.wait().status(128 + 2);
    wait(&[&endpoint, "--", "/nonexistent"])
        .run()
        .status(127)
        .said("error: could not run `/nonexistent`: no such file or directory\n");
    wait(&[&endpoint, "--", "/dev/null"])
        .run()
        .status(126)
        .failed_in_one_line();
    let (_held, missing) = closed();
    wait(&[&missing, "--timeout", "50ms", "--", "echo", "ready"])
        .run()
        .status(4)
        .wrote("");
}

fn finish(mut run: Run, input: &str, status: i32) {
    run.write(input);
    run.wait().status(status);
}

#[test]
fn an_interrupt_ends_the_wait() {
    let (_held, missing) = closed();
    let run = wait(&[&missing, "-v"]).start();
    run.await_stderr("connection refused");
    run.signal(Signal::INT);
    run.wait().status(130);
}

#[test]
fn what_no_waiting_mends_is_said_at_once() {
    for (args, why) in [
        (&["tcp:1234"][..], "a client tcp endpoint needs host and port"),
        (&["stdio"], "what is open already is there already"),
        (&["fd:0"], "what is open already is there already"),
        (&["gopher:1"], "unknown endpoint type `gopher`"),
        (
            &["tcp:127.0.0.1:1", "--interval", "0"],
            "a time limit must be longer than 0",
        ),
        (
            &["tcp:127.0.0.1:1", "--gone", "--expect", "x"],
            "cannot be used with",
        ),
        (&[], "required"),
    ] {
        wait(args).run().status(2).wrote("").mentions(why);
    }
}
