//! `connect --reconnect`: what is tried again, what is sent again, and what ends it.
//! Absent: the sequence of delays, which has its tests on a clock that is paused.

use std::io::Write;
use std::net::{Shutdown, TcpListener};

use rustix::process::Signal;

use crate::harness::peer::{accept, listener, noise, read, read_all, refusing, reset};
use crate::harness::{Netkit, connect, contains};

/// `connect --reconnect` that waits next to nothing between attempts.
fn stubborn(endpoint: &str) -> Netkit {
    connect([
        endpoint,
        "--reconnect",
        "--backoff",
        "initial=10ms,factor=1,jitter=0",
    ])
}

#[test]
fn a_peer_that_closes_while_there_may_be_more_to_send_is_connected_to_again() {
    let (listener, endpoint) = listener();
    let mut client = stubborn(&endpoint).start();
    let mut first = accept(&listener);
    client.write("one");
    assert_eq!(read(&first, 3), b"one");
    first.write_all(b"bye").unwrap();
    drop(first);
    let mut second = accept(&listener);
    client.await_stderr("the peer closed it; 3 bytes were sent on it and may not all have arrived\n");
    client.write("two");
    client.end_input();
    assert_eq!(read_all(&second), b"two");
    second.write_all(b"!").unwrap();
    drop(second);
    client.wait().status(0).wrote("bye!");
}

#[test]
fn a_reset_after_the_last_of_the_input_is_a_loss_for_good() {
    let (listener, endpoint) = listener();
    let client = stubborn(&endpoint).input("question").start();
    let first = accept(&listener);
    assert_eq!(read_all(&first), b"question");
    reset(first);
    client.wait().status(8).said(&format!(
        "error: lost the connection to {endpoint}: connection reset by the peer\n"
    ));
}

#[test]
fn a_reset_is_no_end_where_there_is_no_input() {
    let (listener, endpoint) = listener();
    let client = stubborn(&endpoint)
        .args(["--no-stdin", "--send", "subscribe"])
        .start();
    let first = accept(&listener);
    assert_eq!(read_all(&first), b"subscribe");
    reset(first);
    let mut second = accept(&listener);
    assert_eq!(read_all(&second), b"subscribe");
    second.write_all(b"news").unwrap();
    drop(second);
    client
        .wait()
        .status(0)
        .wrote("news")
        .mentions("connection reset by the peer; 9 bytes were sent on it");
}

#[test]
fn text_to_send_is_sent_on_each_connection() {
    let (listener, endpoint) = listener();
    let mut client = stubborn(&endpoint).args(["--send", "HELLO "]).start();
    let first = accept(&listener);
    assert_eq!(read(&first, 6), b"HELLO ");
    drop(first);
    let second = accept(&listener);
    client.write("input");
    client.end_input();
    assert_eq!(read_all(&second), b"HELLO input");
    drop(second);
    client.wait().status(0);
}

#[test]
fn input_that_could_not_be_sent_is_kept() {
    let bytes = noise(20_000_000);
    let (listener, endpoint) = listener();
    let client = stubborn(&endpoint).input(bytes.clone()).start();
    let first = accept(&listener);
    let head = read(&first, 100_000);
    assert_eq!(head, &bytes[..100_000]);
    reset(first);
    let rest = read_all(accept(&listener));
    let outcome = client.wait().status(0);
    // What the warning says of the first connection, and what the second got, is all there was.
    let (_, said) = outcome.stderr.split_once("by the peer; ").unwrap();
    let sent: usize = said.split(' ').next().unwrap().parse().unwrap();
    assert_eq!(sent + rest.len(), bytes.len(), "{}", outcome.stderr);
    assert!(bytes.ends_with(&rest));
}

#[test]
fn it_gives_up_after_so_many_failures_with_the_last_ones_status() {
    let (_port, address) = refusing();
    let endpoint = format!("tcp:{address}");
    let outcome = stubborn(&endpoint)
        .args(["--fail-after", "3", "-v"])
        .run()
        .status(3);
    let attempts: Vec<_> = outcome
        .stderr
        .lines()
        .filter(|line| line.starts_with("attempt"))
        .collect();
    assert_eq!(
        attempts,
        [
            "attempt 1 to connect",
            "attempt 2 to connect",
            "attempt 3 to connect"
        ]
    );
    assert!(
        contains(
            outcome.stderr.as_bytes(),
            b"connection refused; trying again in 10ms\n"
        ),
        "{}",
        outcome.stderr
    );
    let last = outcome.stderr.lines().last().unwrap();
    assert_eq!(
        last,
        format!("error: could not connect to {endpoint}: connection refused")
    );
}

#[test]
fn the_first_failure_of_a_row_is_said_and_the_others_are_not() {
    let (_port, address) = refusing();
    let outcome = stubborn(&format!("tcp:{address}"))
        .args(["--fail-after", "4"])
        .run()
        .status(3);
    assert_eq!(outcome.stderr.lines().count(), 2, "{}", outcome.stderr);
    outcome.mentions("connection refused; trying again in 10ms\n");
}

#[test]
fn after_a_loss_a_failure_is_said_again() {
    let (listener, endpoint) = listener();
    let client = stubborn(&endpoint).start();
    let peer = accept(&listener);
    drop(listener);
    reset(peer);
    client.await_stderr("warning: could not connect to ");
    client.signal(Signal::INT);
    client.wait().status(130);
}

#[test]
fn a_single_attempt_fails_as_it_does_without() {
    let (_port, address) = refusing();
    stubborn(&format!("tcp:{address}"))
        .args(["--fail-after", "1"])
        .run()
        .status(3)
        .failed_in_one_line();
}

#[test]
fn a_server_that_comes_later_is_found() {
    let (port, address) = refusing();
    let client = stubborn(&format!("tcp:{address}")).input("there?").start();
    client.await_stderr("trying again");
    drop(port);
    let listener = TcpListener::bind(address).unwrap();
    listener.set_nonblocking(true).unwrap();
    let mut peer = accept(&listener);
    assert_eq!(read_all(&peer), b"there?");
    peer.write_all(b"here").unwrap();
    drop(peer);
    client.wait().status(0).wrote("here");
}

#[test]
fn a_peer_that_ends_at_once_is_a_good_end_where_there_is_nothing_to_send() {
    let (listener, endpoint) = listener();
    let client = stubborn(&endpoint).arg("--no-stdin").start();
    let mut peer = accept(&listener);
    peer.write_all(b"12:00").unwrap();
    peer.shutdown(Shutdown::Write).unwrap();
    client.wait().status(0).wrote("12:00").said("");
}

#[test]
fn the_limit_on_the_run_holds_for_all_attempts_together() {
    let (_port, address) = refusing();
    connect([&format!("tcp:{address}"), "--reconnect", "--timeout", "200ms"])
        .run()
        .status(4)
        .mentions("the run was to take no longer than 200ms");
}

#[test]
fn the_user_may_interrupt_a_wait() {
    let (_port, address) = refusing();
    let client = connect([&format!("tcp:{address}"), "--reconnect"]).start();
    client.await_stderr("trying again");
    client.signal(Signal::INT);
    client.wait().status(130);
}

#[test]
fn what_makes_no_sense_is_a_usage_error() {
    connect(["udp:127.0.0.1:1", "--reconnect"])
        .run()
        .status(2)
        .said("error: could not use --reconnect: a udp endpoint has no connection that could be lost\n");
    connect(["tcp:h:1", "--fail-after", "2"])
        .run()
        .status(2)
        .mentions("--reconnect");
    connect(["tcp:h:1", "--reconnect", "--backoff", "factor=0.1"])
        .run()
        .status(2)
        .mentions("the factor must be at least 1");
}

#[cfg(feature = "tls")]
#[test]
fn a_key_that_cannot_be_read_is_not_tried_again() {
    let endpoint = "tls:127.0.0.1:1:certificate=/nonexistent.pem";
    stubborn(endpoint).run().status(2).failed_in_one_line();
}

#[cfg(feature = "tls")]
#[test]
fn a_certificate_that_is_refused_is_a_failed_attempt() {
    let server = crate::harness::serve(["echo", "tls:0:interface=127.0.0.1"]);
    let port = server.endpoint();
    let port = port.rsplit(':').next().unwrap();
    let pin = "sha256/AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
    let outcome = stubborn(&format!("tls:127.0.0.1:{port}:pin={pin}"))
        .args(["--fail-after", "2", "-v"])
        .run()
        .status(5);
    // Had a connection counted as made before the handshake, there would be no end to it.
    assert!(outcome.stderr.contains("attempt 2"), "{}", outcome.stderr);
    outcome.mentions("trying again");
}
