//! `listen`: one connection wired to standard input and output, or one after the other.
//! Absent: what `connect` shows of the wiring, which is the same.

use std::io::Write;
use std::net::Shutdown;

use rustix::process::Signal;

use crate::harness::peer::{
    assert_gone, await_refusal, dial, dial_endpoint, noise, read, read_all, reset, undisturbed,
};
use crate::harness::{address, connect, eventually, file_of, listen, netkit, serve};

#[test]
fn one_connection_and_it_is_over() {
    let mut listener = listen(["tcp:0:127.0.0.1"]);
    let mut client = dial(listener.address());
    client.write_all(b"hello").unwrap();
    listener.await_stdout("hello");
    listener.write("hi");
    assert_eq!(read(&client, 2), b"hi");
    // Standard input stays open: it is the peer that decides.
    drop(client);
    listener.wait().status(0).wrote("hello");
}

#[test]
fn our_end_is_passed_on_and_the_client_may_go_on() {
    let mut listener = listen(["tcp:0:127.0.0.1"]);
    let mut client = dial(listener.address());
    listener.write("all of it");
    listener.end_input();
    assert_eq!(read_all(&client), b"all of it");
    client.write_all(b"thanks").unwrap();
    client.shutdown(Shutdown::Write).unwrap();
    listener.wait().status(0).wrote("thanks");
}

#[test]
fn a_client_whose_handshake_fails_was_no_connection() {
    let help = netkit(["listen", "--help"]).run().status(0).text();
    assert!(help.contains("A client whose handshake fails"), "{help}");
    let listener = listen(["haproxy:tcp:0:127.0.0.1"]);
    let mut wrong = dial(address(&listener.endpoint()));
    wrong.write_all(b"GET / HTTP/1.1\r\n\r\n").unwrap();
    assert_gone(&wrong);
    listener.await_stderr("no valid PROXY header");
    let mut client = dial(address(&listener.endpoint()));
    client
        .write_all(b"PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\nhello")
        .unwrap();
    listener.await_stdout("hello");
    drop(client);
    listener.wait().status(0).wrote("hello");
}

#[test]
fn further_clients_are_refused() {
    let listener = listen(["tcp:0:127.0.0.1"]);
    let mut client = dial(listener.address());
    client.write_all(b"x").unwrap();
    listener.await_stdout("x");
    await_refusal(listener.address());
    drop(client);
    listener.wait().status(0);
}

#[test]
fn keep_open_goes_on_with_the_next() {
    let listener = listen(["--keep-open", "tcp:0:127.0.0.1"]);
    for said in ["first\n", "second\n", "third\n"] {
        let mut client = dial(listener.address());
        client.write_all(said.as_bytes()).unwrap();
        client.shutdown(Shutdown::Write).unwrap();
        assert_gone(&client);
    }
    listener.await_stdout("third\n");
    listener.stop().status(0).wrote("first\nsecond\nthird\n");
}

#[test]
fn keep_open_ends_when_nobody_takes_what_comes() {
    let (reader, writer) = std::io::pipe().unwrap();
    let listener = netkit(["listen", "--keep-open", "tcp:0:127.0.0.1"])
        .stdout(writer)
        .start();
    let mut client = dial(listener.address());
    client.write_all(b"taken").unwrap();
    assert_eq!(read(&reader, 5), b"taken");
    drop(reader);
    client.write_all(b"not taken").unwrap();
    listener.wait().status(0);
}

#[test]
fn keep_open_survives_a_reset() {
    let listener = listen(["--keep-open", "tcp:0:127.0.0.1"]);
    let mut client = dial(listener.address());
    client.write_all(b"lost ").unwrap();
    listener.await_stdout("lost ");
    reset(client);
    let mut client = dial(listener.address());
    client.write_all(b"found").unwrap();
    listener.await_stdout("lost found");
    drop(client);
    listener.stop().status(0).mentions("connection reset by the peer");
}

#[test]
fn input_goes_to_the_client_that_is_there() {
    let mut listener = listen(["-k", "tcp:0:127.0.0.1"]);
    for said in ["to the first", "to the second"] {
        let client = dial(listener.address());
        listener.write(said);
        assert_eq!(read(&client, said.len()), said.as_bytes());
        client.shutdown(Shutdown::Write).unwrap();
        assert_gone(&client);
    }
    listener.stop().status(0);
}

#[test]
fn a_reset_is_status_8_and_what_arrived_is_written() {
    let listener = listen(["tcp:0:127.0.0.1"]);
    let mut client = dial(listener.address());
    client.write_all(b"so far").unwrap();
    listener.await_stdout("so far");
    reset(client);
    listener
        .wait()
        .status(8)
        .wrote("so far")
        .mentions("error: lost the connection to tcp:0:127.0.0.1: connection reset by the peer\n");
}

#[test]
fn being_told_to_stop_is_a_clean_end() {
    for signal in [Signal::TERM, Signal::INT] {
        let listener = listen(["tcp:0:127.0.0.1"]);
        listener.signal(signal);
        listener.wait().status(0).wrote("");
    }
}

#[test]
fn a_stop_lets_the_connection_finish() {
    let listener = listen(["--grace", "50s", "--keep-open", "tcp:0:127.0.0.1"]);
    let mut client = dial(listener.address());
    client.write_all(b"before").unwrap();
    listener.await_stdout("before");
    listener.signal(Signal::TERM);
    await_refusal(listener.address());
    client.write_all(b", after").unwrap();
    client.shutdown(Shutdown::Write).unwrap();
    listener.wait().status(0).wrote("before, after");
}

#[test]
fn the_grace_period_ends_the_connection() {
    let listener = listen(["--grace", "200ms", "tcp:0:127.0.0.1"]);
    let mut client = dial(listener.address());
    client.write_all(b"x").unwrap();
    listener.await_stdout("x");
    listener.signal(Signal::TERM);
    assert_gone(&client);
    listener.wait().status(0);
}

#[test]
fn nobody_coming_is_a_time_out() {
    let listener = listen(["--timeout", "300ms", "tcp:0:127.0.0.1"]);
    listener
        .wait()
        .status(4)
        .mentions("error: gave up on tcp:0:127.0.0.1: ");
}

#[test]
fn a_port_in_use_is_status_7() {
    let taken = serve(["echo", "tcp:0:127.0.0.1"]);
    let endpoint = format!("tcp:{}:127.0.0.1", taken.address().port());
    let outcome = netkit(["listen", &endpoint]).run().status(7);
    assert!(
        outcome
            .stderr
            .starts_with(&format!("error: could not bind {endpoint}: address in use\n")),
        "{}",
        outcome.stderr
    );
}

#[test]
fn the_ready_file_holds_the_endpoint() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("ready");
    let listener = netkit(["listen", "tcp:0:127.0.0.1", "--ready-file"])
        .arg(&path)
        .start();
    let line = crate::harness::file_when_there(&path);
    assert_eq!(line, format!("{}\n", listener.endpoint()));
    drop(dial(address(line.trim_end())));
    listener.wait().status(0);
}

#[test]
fn both_ends_are_ours() {
    let directory = tempfile::tempdir().unwrap();
    let unix = format!("unix:{}", directory.path().join("socket").display());
    let (there, back) = (noise(2_000_000), noise(3_000_000));
    for endpoint in ["tcp:0:127.0.0.1", "tcp6:0:interface=[::1]", &unix] {
        let listener = netkit(["listen", endpoint]).stdin(file_of(&back)).start();
        let client = connect([listener.endpoint()]).stdin(file_of(&there)).start();
        let (got, answered) = (listener.wait().status(0), client.wait().status(0));
        assert!(
            got.stdout == there,
            "{endpoint}: {} of {} bytes",
            got.stdout.len(),
            there.len()
        );
        assert!(
            answered.stdout == back,
            "{endpoint}: {} of {} bytes",
            answered.stdout.len(),
            back.len()
        );
    }
    assert_eq!(
        std::fs::read_dir(directory.path()).unwrap().count(),
        0,
        "the socket stayed"
    );
}

#[test]
fn a_unix_socket_is_gone_once_its_client_is_there() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("socket");
    let listener = listen([format!("unix:{}", path.display())]);
    let mut wire = dial_endpoint(&listener.endpoint());
    wire.write_all(b"x").unwrap();
    listener.await_stdout("x");
    eventually("the socket to be removed", || (!path.exists()).then_some(()));
    drop(wire);
    listener.wait().status(0);
}

#[test]
fn datagrams_come_from_the_client_that_spoke_first() {
    let mut listener = listen(["--grace", "0", "udp:0:127.0.0.1"]);
    let client = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    client.set_read_timeout(Some(crate::harness::PATIENCE)).unwrap();
    client.connect(address(&listener.endpoint())).unwrap();
    client.send(b"knock").unwrap();
    listener.await_stdout("knock");
    listener.write("who is there?");
    let mut buffer = [0; 100];
    let length = undisturbed(|| client.recv(&mut buffer)).unwrap();
    assert_eq!(&buffer[..length], b"who is there?");
    listener.stop().status(0);
}

#[test]
fn our_own_end_is_no_endpoint_to_listen_on() {
    netkit(["listen", "stdio"]).run().status(2).failed_in_one_line();
}

#[test]
fn a_client_that_says_nothing_holds_the_door_for_nobody() {
    let listener = listen([
        "haproxy:tcp:0:127.0.0.1",
        "--handshake-timeout",
        "1h",
        "--no-stdin",
    ]);
    let silent = dial(listener.address());
    let mut honest = dial(listener.address());
    honest.write_all(b"PROXY UNKNOWN\r\nhello").unwrap();
    honest.shutdown(Shutdown::Write).unwrap();
    listener.wait().status(0).wrote("hello");
    assert_gone(&silent);
    assert_gone(&honest);
}

#[test]
fn serving_once_waits_for_nobody_who_says_nothing() {
    let server = serve([
        "echo",
        "haproxy:tcp:0:127.0.0.1",
        "--once",
        "--handshake-timeout",
        "1h",
    ]);
    let silent = dial(server.address());
    let mut honest = dial(server.address());
    honest.write_all(b"PROXY UNKNOWN\r\nhello").unwrap();
    honest.shutdown(Shutdown::Write).unwrap();
    assert_eq!(read_all(&honest), b"hello");
    server.wait().status(0);
    assert_gone(&silent);
}
