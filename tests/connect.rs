//! `connect`: bytes unchanged both ways, each direction ending on its own, and how it ends when something goes wrong.
//! Absent: bad endpoint strings, and peers that are programs.

use std::io::{Read, Write};
use std::net::{Shutdown, UdpSocket};
use std::os::unix::net::UnixListener;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use serde_json::Value;

use crate::harness::peer::{
    accept, deaf, hash, listener, noise, read, read_all, refusing, reset, undisturbed,
};
use crate::harness::{A_MOMENT, PATIENCE, connect, contains, file_of, file_when_there, netkit_after, serve};

// Both directions

#[test]
fn our_end_is_passed_on_and_the_answer_still_comes() {
    let (listener, endpoint) = listener();
    let client = connect([endpoint]).input("question").start();
    let mut peer = accept(&listener);
    assert_eq!(read_all(&peer), b"question");
    assert!(!client.has_ended());
    peer.write_all(b"answer").unwrap();
    drop(peer);
    client.wait().status(0).wrote("answer").said("");
}

#[test]
fn it_is_over_with_the_peer_even_if_standard_input_is_open() {
    let (listener, endpoint) = listener();
    let mut client = connect([endpoint]).start();
    let mut peer = accept(&listener);
    client.write("hello");
    assert_eq!(read(&peer, 5), b"hello");
    peer.write_all(b"bye").unwrap();
    drop(peer);
    client.wait().status(0).wrote("bye").said("");
}

#[test]
fn waiting_input_still_goes_to_a_peer_that_only_ended_its_half() {
    let bytes = noise(5_000_000);
    let (listener, endpoint) = listener();
    let client = connect([endpoint]).stdin(file_of(&bytes)).start();
    let mut peer = accept(&listener);
    peer.write_all(b"go on").unwrap();
    peer.shutdown(Shutdown::Write).unwrap();
    // Far more than the buffers in between hold, so that most of it was waiting when our end arrived.
    client.await_stdout("go on");
    let got = read_all(&peer);
    assert!(got == bytes, "{} of {} bytes arrived", got.len(), bytes.len());
    client.wait().status(0).wrote("go on");
}

#[test]
fn what_waits_in_a_pipe_still_goes_to_a_peer_that_only_ended_its_half() {
    let (listener, endpoint) = listener();
    let mut client = connect([endpoint]).start();
    let peer = accept(&listener);
    client.signal(Signal::STOP);
    client.write("last words");
    peer.shutdown(Shutdown::Write).unwrap();
    client.signal(Signal::CONT);
    assert_eq!(read_all(&peer), b"last words");
    client.wait().status(0);
}

#[test]
fn all_bytes_pass_unchanged() {
    let bytes: Vec<u8> = (0..=255).cycle().take(4096).collect();
    let server = serve(["echo", "tcp:0:127.0.0.1"]);
    connect([server.endpoint()])
        .input(bytes.clone())
        .run()
        .status(0)
        .wrote(bytes);
}

#[test]
fn a_hundred_megabytes_go_there_and_come_back_intact() {
    let bytes = noise(100_000_000);
    let server = serve(["echo", "tcp:0:127.0.0.1"]);
    let outcome = connect([server.endpoint()])
        .stdin(file_of(&bytes))
        .run()
        .status(0);
    assert_eq!(outcome.stdout.len(), bytes.len());
    assert_eq!(hash(&outcome.stdout), hash(&bytes));
}

#[test]
fn a_hundred_megabytes_pass_through_pipes_intact() {
    let bytes = noise(100_000_000);
    let expected = hash(&bytes);
    let directory = tempfile::tempdir().unwrap();
    let server = serve([
        "echo",
        &format!("unix:{}", directory.path().join("socket").display()),
    ]);
    let outcome = connect([server.endpoint()]).input(bytes).run().status(0);
    assert_eq!(outcome.stdout.len(), 100_000_000);
    assert_eq!(hash(&outcome.stdout), expected);
}

#[test]
fn a_reader_that_is_slow_loses_nothing() {
    let bytes = noise(3_000_000);
    let (listener, endpoint) = listener();
    let (mut reader, writer) = std::io::pipe().unwrap();
    let client = connect([endpoint]).stdout(writer).start();
    let mut peer = accept(&listener);
    let sent = bytes.clone();
    let sender = std::thread::spawn(move || peer.write_all(&sent).unwrap());
    let mut got = Vec::new();
    let mut piece = vec![0; 10_000];
    while got.len() < bytes.len() {
        let length = reader.read(&mut piece).unwrap();
        assert!(length > 0, "it ended after {} bytes", got.len());
        got.extend_from_slice(&piece[..length]);
        std::thread::yield_now();
    }
    sender.join().unwrap();
    assert!(got == bytes);
    drop(client);
}

// What is sent

#[test]
fn text_to_send_goes_before_standard_input() {
    let (listener, endpoint) = listener();
    let client = connect([&endpoint, "--send", r"GET /\r\n\t\x00\xff\\"])
        .input("rest")
        .start();
    assert_eq!(read_all(accept(&listener)), b"GET /\r\n\t\x00\xff\\rest");
    client.wait().status(0);
}

#[test]
fn text_to_send_is_enough_without_standard_input() {
    let (listener, endpoint) = listener();
    let client = connect([&endpoint, "--no-stdin", "--send", "just this"])
        .input("not this")
        .start();
    assert_eq!(read_all(accept(&listener)), b"just this");
    client.wait().status(0);
}

#[test]
fn a_bad_escape_in_text_to_send_is_a_usage_error() {
    let outcome = connect(["tcp:h:1", "--send", r"a\q"]).run().status(2);
    assert!(
        outcome.stderr.contains(r"unknown escape `\q`"),
        "{}",
        outcome.stderr
    );
}

#[test]
fn line_feeds_become_line_ends_of_the_network() {
    let (listener, endpoint) = listener();
    let client = connect([&endpoint, "--crlf"])
        .input("one\ntwo\r\nthree\n\n")
        .start();
    assert_eq!(read_all(accept(&listener)), b"one\r\ntwo\r\nthree\r\n\r\n");
    client.wait().status(0);
}

#[test]
fn without_standard_input_our_half_ends_at_once() {
    let (listener, endpoint) = listener();
    let client = connect([&endpoint, "--no-stdin"]).start();
    let mut peer = accept(&listener);
    assert_eq!(read_all(&peer), b"");
    peer.write_all(b"said anyway").unwrap();
    drop(peer);
    client.wait().status(0).wrote("said anyway");
}

#[test]
fn a_closed_standard_input_is_an_empty_one() {
    let server = serve(["qotd", "--quote", "x", "tcp:0:127.0.0.1"]);
    netkit_after("", "<&-", ["connect", &server.endpoint()])
        .run()
        .status(0)
        .wrote("x\r\n");
}

// Time limits

#[test]
fn a_silent_peer_ends_with_status_4_when_idle() {
    let server = serve(["hold", "tcp:0:127.0.0.1"]);
    let endpoint = server.endpoint();
    let start = Instant::now();
    let mut client = connect([&endpoint, "--idle-timeout", "300ms"]).start();
    client.write("x");
    client.wait().status(4).said(&format!(
        "error: gave up on {endpoint}: nothing moved for 300ms\n"
    ));
    assert!(start.elapsed() >= Duration::from_millis(300));
}

#[test]
fn the_whole_run_has_a_limit() {
    let server = serve(["chargen", "tcp:0:127.0.0.1"]);
    let endpoint = server.endpoint();
    let outcome = connect([&endpoint, "--timeout", "500ms"]).run().status(4);
    assert!(outcome.stdout.starts_with(b" !\"#$%&'()*+,-./"));
    outcome.said(&format!(
        "error: gave up on {endpoint}: the run was to take no longer than 500ms\n"
    ));
}

#[test]
fn the_wait_for_the_peers_end_has_a_limit() {
    let server = serve(["hold", "tcp:0:127.0.0.1"]);
    let endpoint = server.endpoint();
    connect([&endpoint, "--half-close-timeout", "300ms"])
        .input("x")
        .run()
        .status(4)
        .said(&format!(
            "error: gave up on {endpoint}: the peer did not end within 300ms after we had\n"
        ));
}

#[test]
fn an_answer_within_the_half_close_limit_is_taken() {
    let server = serve(["echo", "tcp:0:127.0.0.1"]);
    connect([&server.endpoint(), "--half-close-timeout", "50s"])
        .input("x")
        .run()
        .status(0)
        .wrote("x");
}

#[test]
fn connecting_has_the_limit_of_the_endpoint() {
    let (_held, address) = deaf();
    let endpoint = format!("tcp:{address}:timeout=300ms");
    let outcome = connect([&endpoint]).run().status(4);
    assert!(
        outcome
            .stderr
            .starts_with(&format!("error: could not connect to {endpoint}: ")),
        "{}",
        outcome.stderr
    );
    assert!(outcome.stderr.contains("300ms"), "{}", outcome.stderr);
}

// Not connected at all

#[test]
fn a_refused_connection_is_status_3() {
    let (_held, address) = refusing();
    connect([format!("tcp:{address}")]).run().status(3).said(&format!(
        "error: could not connect to tcp:{address}: connection refused\n"
    ));
}

#[test]
fn every_address_of_a_name_is_reported_with_its_reason() {
    let (_held, address) = refusing();
    let outcome = connect([format!("tcp:localhost:{}", address.port())])
        .run()
        .status(3);
    assert!(
        outcome.stderr.contains("connection refused"),
        "{}",
        outcome.stderr
    );
    assert!(
        outcome.stderr.starts_with(&format!(
            "error: could not connect to tcp:localhost:{}: ",
            address.port()
        )),
        "{}",
        outcome.stderr
    );
}

#[test]
fn a_name_that_does_not_exist_is_status_3() {
    let outcome = connect(["tcp:nobody.invalid:80"])
        .run()
        .status(3)
        .failed_in_one_line();
    assert!(
        outcome
            .stderr
            .starts_with("error: could not connect to tcp:nobody.invalid:80: "),
        "{}",
        outcome.stderr
    );
}

#[test]
fn an_unreachable_network_is_status_3() {
    // TEST-NET-1 from an address that cannot leave this machine.
    let outcome = connect(["tcp:192.0.2.1:80:bindAddress=127.0.0.1:timeout=2s"]).run();
    assert!([3, 4].contains(&outcome.status), "{outcome:?}");
    outcome.failed_in_one_line();
}

#[test]
fn a_unix_socket_that_is_not_there_is_status_3() {
    let directory = tempfile::tempdir().unwrap();
    let endpoint = format!("unix:{}", directory.path().join("nothing").display());
    connect([&endpoint]).run().status(3).said(&format!(
        "error: could not connect to {endpoint}: no such file or directory\n"
    ));
    let path = directory.path().join("dead");
    drop(UnixListener::bind(&path).unwrap());
    let endpoint = format!("unix:{}", path.display());
    connect([&endpoint]).run().status(3).said(&format!(
        "error: could not connect to {endpoint}: connection refused: nobody listens on this socket\n"
    ));
}

#[test]
fn our_own_end_is_no_endpoint_to_connect_to() {
    connect(["stdio"]).run().status(2).failed_in_one_line();
}

// The connection is lost

#[test]
fn what_arrived_before_a_reset_is_written() {
    let (listener, endpoint) = listener();
    let client = connect([&endpoint]).start();
    let mut peer = accept(&listener);
    peer.write_all(b"first ").unwrap();
    client.await_stdout("first ");
    // While it stands still, both the data and the reset arrive.
    client.signal(Signal::STOP);
    let bytes = noise(50_000);
    peer.write_all(&bytes).unwrap();
    reset(peer);
    client.signal(Signal::CONT);
    let outcome = client.wait().status(8).said(&format!(
        "error: lost the connection to {endpoint}: connection reset by the peer\n"
    ));
    assert!(
        outcome.stdout == [b"first ".as_slice(), &bytes].concat(),
        "{} bytes",
        outcome.stdout.len()
    );
}

#[test]
fn a_reset_right_after_the_first_words_takes_none_of_them() {
    // As a rule it is there before we have seen that the connection stands.
    for _ in 0..20 {
        let (listener, endpoint) = listener();
        let client = connect([&endpoint]).start();
        let mut peer = accept(&listener);
        peer.write_all(b"hi").unwrap();
        reset(peer);
        client.wait().status(8).wrote("hi").said(&format!(
            "error: lost the connection to {endpoint}: connection reset by the peer\n"
        ));
    }
}

#[test]
fn a_reset_while_we_send_is_status_8() {
    let (listener, endpoint) = listener();
    let client = connect([&endpoint]).stdin(file_of(&noise(20_000_000))).start();
    let mut peer = accept(&listener);
    peer.write_all(b"enough").unwrap();
    read(&peer, 1000);
    client.await_stdout("enough");
    reset(peer);
    client.wait().status(8).wrote("enough").said(&format!(
        "error: lost the connection to {endpoint}: connection reset by the peer\n"
    ));
}

// Interrupted, and output that nobody reads

#[test]
fn an_interrupt_is_status_130() {
    let server = serve(["echo", "tcp:0:127.0.0.1"]);
    let mut client = connect([server.endpoint()]).start();
    client.write("connected");
    client.await_stdout("connected");
    client.signal(Signal::INT);
    client.wait().status(130).wrote("connected").said("");
}

#[test]
fn an_interrupt_while_connecting_is_status_130() {
    let (_held, address) = deaf();
    let client = connect([format!("tcp:{address}"), "-v".into()]).start();
    client.stays();
    client.signal(Signal::INT);
    client.wait().status(130);
}

#[test]
fn output_that_is_closed_early_is_a_quiet_end() {
    let server = serve(["chargen", "tcp:0:127.0.0.1"]);
    let (reader, writer) = std::io::pipe().unwrap();
    let client = connect([server.endpoint()]).stdout(writer).start();
    read(&reader, 1000);
    drop(reader);
    client.wait().status(0).said("");
}

#[test]
fn output_that_cannot_be_written_is_status_1() {
    let server = serve(["chargen", "tcp:0:127.0.0.1"]);
    let full = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    connect([server.endpoint()])
        .stdout(full)
        .run()
        .status(1)
        .said("error: could not write standard output: no space left on the device\n");
}

#[test]
fn input_that_cannot_be_read_is_status_1() {
    let server = serve(["hold", "tcp:0:127.0.0.1"]);
    connect([server.endpoint()])
        .stdin(std::fs::File::open("/").unwrap())
        .run()
        .status(1)
        .said("error: could not read standard input: is a directory\n");
}

// What is shown

#[test]
fn hexdump_shows_both_directions_with_offsets() {
    let (listener, endpoint) = listener();
    let client = connect([&endpoint, "--hexdump"]).input("hello\n").start();
    let mut peer = accept(&listener);
    assert_eq!(read_all(&peer), b"hello\n");
    peer.write_all(b"0123456789abcdefX").unwrap();
    drop(peer);
    client.wait().status(0).wrote("0123456789abcdefX").said(
        "\
> 00000000  68 65 6c 6c 6f 0a                                 |hello.|
< 00000000  30 31 32 33 34 35 36 37  38 39 61 62 63 64 65 66  |0123456789abcdef|
< 00000010  58                                                |X|
",
    );
}

#[test]
fn verbose_tells_of_the_connection() {
    let server = serve(["echo", "tcp:0:127.0.0.1"]);
    let outcome = connect([&server.endpoint(), "-v"])
        .input("12345")
        .run()
        .status(0)
        .wrote("12345");
    let said = &outcome.stderr;
    assert!(
        said.contains(&format!("connected to {}", server.address())),
        "{said}"
    );
    assert!(said.contains("received=5") && said.contains("sent=5"), "{said}");
    assert!(!said.contains("b\""), "{said}");
}

#[test]
fn twice_verbose_shows_data_escaped() {
    let (listener, endpoint) = listener();
    let client = connect([&endpoint, "-vv"]).input("a\x00\"\n").start();
    let mut peer = accept(&listener);
    assert_eq!(read_all(&peer), b"a\x00\"\n");
    peer.write_all(b"Apology \xfa\r\n").unwrap();
    drop(peer);
    let said = client.wait().status(0).stderr;
    assert!(said.contains("sent b\"a\\x00\\\"\\n\"\n"), "{said}");
    assert!(said.contains("received b\"Apology \\xfa\\r\\n\"\n"), "{said}");
}

#[test]
fn a_json_log_is_an_object_a_line() {
    let server = serve(["echo", "tcp:0:127.0.0.1"]);
    let outcome = connect([&server.endpoint(), "-vv", "--log-format", "json"])
        .input("x")
        .run()
        .status(0);
    let lines: Vec<Value> = outcome
        .stderr
        .lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}")))
        .collect();
    assert!(
        lines
            .iter()
            .all(|line| line["message"].is_string() && line["time"].is_string())
    );
    assert!(
        lines
            .iter()
            .any(|line| line["message"] == "received b\"x\"" && line["level"] == "trace")
    );
    assert!(
        lines
            .iter()
            .any(|line| line["received"] == 1 && line["sent"] == 1)
    );
}

#[test]
fn a_json_log_holds_the_failure_too() {
    let (_held, address) = refusing();
    let outcome = connect([&format!("tcp:{address}"), "--log-format", "json"])
        .run()
        .status(3);
    let line: Value = serde_json::from_str(&outcome.stderr).unwrap();
    assert_eq!(line["level"], "error");
    assert!(
        line["message"].as_str().unwrap().contains("connection refused"),
        "{line}"
    );
}

#[test]
fn progress_is_shown_where_it_is_asked_for() {
    let server = serve(["discard", "tcp:0:127.0.0.1"]);
    let outcome = connect([&server.endpoint(), "--progress"])
        .stdin(file_of(&noise(3 << 20)))
        .run()
        .status(0)
        .wrote("");
    assert!(outcome.stderr.contains("3.00 MiB/3.00 MiB"), "{}", outcome.stderr);
    assert!(
        !outcome.stderr.contains('\x1b'),
        "colours on something that is no terminal"
    );
}

#[test]
fn no_progress_is_shown_where_no_terminal_is() {
    let server = serve(["discard", "tcp:0:127.0.0.1"]);
    connect([server.endpoint()])
        .stdin(file_of(&noise(1 << 20)))
        .run()
        .status(0)
        .said("");
}

#[test]
fn quiet_is_silent_but_for_errors() {
    let (_held, address) = refusing();
    connect([format!("tcp:{address}"), "-q".into()])
        .run()
        .status(3)
        .failed_in_one_line();
}

// Datagrams

#[test]
fn each_read_of_standard_input_is_a_datagram() {
    let server = UdpSocket::bind("127.0.0.1:0").unwrap();
    server.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut client = connect([format!("udp:{}", server.local_addr().unwrap())]).start();
    let mut buffer = [0; 100];
    for said in ["one\ntwo\n", "three"] {
        client.write(said);
        let (length, peer) = undisturbed(|| server.recv_from(&mut buffer)).unwrap();
        assert_eq!(&buffer[..length], said.as_bytes());
        server.send_to(b"answer to ", peer).unwrap();
        server.send_to(said.as_bytes(), peer).unwrap();
        client.await_stdout(format!("answer to {said}"));
    }
    client.end_input();
    client.wait().status(0);
}

#[test]
fn each_line_can_be_a_datagram() {
    let server = UdpSocket::bind("127.0.0.1:0").unwrap();
    server.set_read_timeout(Some(PATIENCE)).unwrap();
    let client = connect([&format!("udp:{}", server.local_addr().unwrap()), "--line"])
        .input("one\n\ntwo")
        .start();
    let mut buffer = [0; 100];
    for said in ["one\n", "\n", "two"] {
        let length = undisturbed(|| server.recv(&mut buffer)).unwrap();
        assert_eq!(&buffer[..length], said.as_bytes());
    }
    client.wait().status(0);
}

#[test]
fn a_datagram_that_nobody_takes_is_status_3() {
    let taken = UdpSocket::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    drop(taken);
    let outcome = connect([format!("udp:{address}")])
        .input("anyone?")
        .run()
        .status(3);
    assert!(
        contains(outcome.stderr.as_bytes(), b"connection refused"),
        "{}",
        outcome.stderr
    );
}

// Inherited descriptors, and sockets without names

#[test]
fn an_inherited_connection_is_an_endpoint() {
    let (ours, theirs) = std::os::unix::net::UnixStream::pair().unwrap();
    ours.set_read_timeout(Some(PATIENCE)).unwrap();
    // The pair's other end is standard input here, so the shell can hand it on as descriptor 3.
    let client = netkit_after(
        "exec 3<&0 </dev/null",
        "",
        ["connect", "fd:3", "--send", "over fd"],
    )
    .stdin(std::os::fd::OwnedFd::from(theirs))
    .start();
    assert_eq!(read_all(&ours), b"over fd");
    (&ours).write_all(b"back").unwrap();
    drop(ours);
    client.wait().status(0).wrote("back");
}

#[test]
fn an_idle_client_uses_no_processor_time() {
    let server = serve(["hold", "tcp:0:127.0.0.1"]);
    let mut client = connect([server.endpoint(), "-v".into()]).start();
    client.await_stderr("connected");
    client.write("x");
    std::thread::sleep(A_MOMENT);
    let (before, server_before) = (client.cpu(), server.cpu());
    std::thread::sleep(5 * A_MOMENT);
    assert!(
        client.cpu() - before <= Duration::from_millis(20),
        "the client spins"
    );
    assert!(
        server.cpu() - server_before <= Duration::from_millis(20),
        "the server spins"
    );
}

#[test]
fn a_wait_beyond_any_clock_is_a_usage_error() {
    for flag in ["--timeout", "--idle-timeout", "--half-close-timeout"] {
        connect(["udp:127.0.0.1:9", flag, "18446744073709551615s"])
            .run()
            .status(2);
    }
}

#[test]
fn hangup_reopens_the_log_file_and_ends_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let log = directory.path().join("log");
    let server = serve(["echo", "tcp:0:127.0.0.1"]);
    let mut client = connect(["-vv", "--log-file"])
        .arg(&log)
        .arg(server.endpoint())
        .start();
    client.write(b"one");
    client.await_stdout("one");
    std::fs::rename(&log, directory.path().join("log.1")).unwrap();
    client.signal(Signal::HUP);
    file_when_there(&log);
    client.end_input();
    client.wait().status(0);
}

#[test]
fn what_line_cannot_do_is_said() {
    let server = serve(["echo", "tcp:0:127.0.0.1", "udp:0:127.0.0.1"]);
    let endpoints = server.endpoints(2);
    connect([endpoints[0].as_str(), "--line"])
        .input("x\n")
        .run()
        .status(0)
        .wrote("x\n")
        .mentions("--line changes nothing");
    let long = [vec![b'x'; 70_000], b"\n".to_vec()].concat();
    connect([endpoints[1].as_str(), "--line"])
        .input(long.clone())
        .run()
        .status(0)
        .wrote(long)
        .mentions("a line is longer than a datagram can be");
}
