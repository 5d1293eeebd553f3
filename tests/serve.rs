//! `serve`: every protocol on every kind of endpoint, how many connections, how long, and how it ends.
//! Absent: telling that it is ready, and running out of descriptors; and what is a script: `tests/scripts/once.netkit` and
//! `backlog.netkit`.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener};
use std::os::fd::OwnedFd;
use std::os::unix::fs::FileTypeExt;
use std::os::unix::net::UnixListener;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use rustix::process::Signal;

use crate::harness::peer::{
    Wire, ask, assert_echo, assert_gone, await_refusal, dial, dial_endpoint, noise, read, read_all, reset,
    undisturbed,
};
use crate::harness::{A_MOMENT, PATIENCE, Run, address, connect, netkit, netkit_after, serve};

/// A server endpoint of each kind that carries streams. `DIR` is a directory of the test's own.
const STREAMS: &[&str] = &[
    "tcp:0:127.0.0.1",
    "tcp6:0:interface=[::1]",
    "unix:DIR/socket",
    "unix:@netkit-test-DIR",
];

const DATAGRAMS: &[&str] = &["udp:0:127.0.0.1", "udp6:0:interface=[::1]"];

/// A server of `protocol` on each kind of endpoint in turn.
fn on_each(kinds: &[&str], args: &[&str], mut test: impl FnMut(&Run, &str)) {
    for kind in kinds {
        let directory = tempfile::tempdir().unwrap();
        let endpoint = kind.replace("DIR", directory.path().to_str().unwrap());
        let server = serve(args.iter().copied().chain(["--grace", "0", endpoint.as_str()]));
        let leads_here = server.endpoint();
        test(&server, &leads_here);
        server.stop().status(0);
    }
}

fn on_streams(args: &[&str], mut test: impl FnMut(Box<dyn Wire>)) {
    on_each(STREAMS, args, |_, endpoint| test(dial_endpoint(endpoint)));
}

/// One datagram there, and the answer.
fn ask_datagram(endpoint: &str, bytes: &[u8]) -> Vec<u8> {
    let socket = udp_client(endpoint);
    socket.send(bytes).unwrap();
    let mut answer = vec![0; 65_536];
    let length = undisturbed(|| socket.recv(&mut answer)).unwrap();
    answer.truncate(length);
    answer
}

fn udp_client(endpoint: &str) -> std::net::UdpSocket {
    let address = address(endpoint);
    let ours = if address.is_ipv4() {
        "127.0.0.1:0"
    } else {
        "[::1]:0"
    };
    let socket = std::net::UdpSocket::bind(ours).unwrap();
    socket.connect(address).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    socket
}

// The protocols

#[test]
fn echo_answers_everything_and_then_ends_its_half() {
    let bytes = noise(1 << 20);
    on_streams(&["echo"], |mut wire| {
        let mut sender = wire.another();
        let sent = bytes.clone();
        let feeder = std::thread::spawn(move || {
            sender.write_all(&sent).unwrap();
            sender.end();
        });
        let mut got = Vec::new();
        wire.read_to_end(&mut got).unwrap();
        feeder.join().unwrap();
        assert!(
            got == bytes,
            "{} of {} bytes came back, or others",
            got.len(),
            bytes.len()
        );
    });
}

#[test]
fn echo_answers_a_client_that_sends_and_ends_at_once() {
    let server = serve(["echo", "tcp:0:127.0.0.1"]);
    for round in 0..50 {
        let said = format!("round {round}");
        assert_eq!(ask(server.address(), said.as_bytes()), said.as_bytes());
    }
}

#[test]
fn discard_takes_everything_and_says_nothing() {
    on_streams(&["discard"], |mut wire| {
        wire.write_all(&noise(1 << 20)).unwrap();
        wire.end();
        assert_eq!(read_all(&mut wire), b"");
    });
}

#[test]
fn chargen_rotates_lines_of_72_characters() {
    on_streams(&["chargen"], |mut wire| {
        let lines = read(&mut wire, 74 * 96);
        for (number, line) in lines.chunks(74).enumerate() {
            assert_eq!(&line[72..], b"\r\n");
            let first = b' ' + u8::try_from(number % 95).unwrap();
            assert_eq!(line[0], first, "line {number}");
            assert!(line[..72].iter().all(|byte| (b' '..=b'~').contains(byte)));
        }
    });
}

#[test]
fn a_chargen_client_that_leaves_is_let_go() {
    let server = serve(["chargen", "tcp:0:127.0.0.1"]);
    // Served, so that all that the server opens for itself is open too.
    let stays = dial(server.address());
    read(&stays, 1000);
    let before = server.descriptors();
    let clients: Vec<_> = (0..5).map(|_| dial(server.address())).collect();
    for client in &clients {
        read(client, 1000);
    }
    drop(clients);
    crate::harness::eventually("the connections to be closed", || {
        (server.descriptors() <= before).then_some(())
    });
}

#[test]
fn daytime_is_one_line_and_the_end() {
    on_streams(&["daytime"], |mut wire| {
        let line = String::from_utf8(read_all(&mut wire)).unwrap();
        assert!(line.ends_with("\r\n") && line.trim_end().len() > 10, "{line:?}");
        assert_eq!(line.lines().count(), 1);
    });
}

#[test]
fn time_is_seconds_since_1900() {
    on_streams(&["time"], |mut wire| {
        let bytes: [u8; 4] = read_all(&mut wire).try_into().unwrap();
        assert_time(bytes);
    });
}

fn assert_time(bytes: [u8; 4]) {
    // RFC 868: 2,208,988,800 seconds lie between 1900 and 1970; the count wraps at 32 bits.
    let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let expected = u32::try_from((since_1970 + 2_208_988_800) % (1 << 32)).unwrap();
    let off = u32::from_be_bytes(bytes).wrapping_sub(expected).cast_signed();
    assert!(off.abs() <= 2, "off by {off} seconds");
}

#[test]
fn qotd_is_a_short_quote_and_the_end() {
    on_streams(&["qotd"], |mut wire| {
        let quote = read_all(&mut wire);
        assert!(quote.ends_with(b"\r\n") && quote.len() < 512);
    });
    on_streams(&["qotd", "--quote", "to be"], |mut wire| {
        assert_eq!(read_all(&mut wire), b"to be\r\n");
    });
}

#[test]
fn drop_closes_at_once() {
    on_streams(&["drop"], |mut wire| assert_eq!(read_all(&mut wire), b""));
}

#[test]
fn hold_says_nothing_and_stays() {
    on_streams(&["hold"], |mut wire| {
        wire.write_all(b"anyone?").unwrap();
        wire.assert_silent();
    });
}

#[test]
fn the_answer_survives_input_that_nobody_reads() {
    // Closing with input unread resets the connection, and the answer would be lost with it.
    for protocol in ["daytime", "qotd", "time"] {
        let server = serve([protocol, "tcp:0:127.0.0.1"]);
        for _ in 0..20 {
            let mut client = dial(server.address());
            client.write_all(b"hello\r\n").unwrap();
            client.shutdown(Shutdown::Write).unwrap();
            assert!(!read_all(client).is_empty(), "{protocol}");
        }
    }
}

#[test]
fn echo_keeps_the_edges_of_datagrams() {
    on_each(DATAGRAMS, &["echo"], |_, endpoint| {
        for length in [0, 1, 1400, 65_507] {
            let bytes = noise(length);
            assert_eq!(ask_datagram(endpoint, &bytes).len(), length);
            assert!(ask_datagram(endpoint, &bytes) == bytes);
        }
    });
}

#[test]
fn the_small_protocols_answer_datagrams() {
    on_each(DATAGRAMS, &["time"], |_, endpoint| {
        assert_time(ask_datagram(endpoint, b"").try_into().unwrap());
    });
    on_each(DATAGRAMS, &["daytime"], |_, endpoint| {
        assert!(ask_datagram(endpoint, b"?").ends_with(b"\r\n"));
    });
    on_each(DATAGRAMS, &["qotd", "--quote", "not to be"], |_, endpoint| {
        assert_eq!(ask_datagram(endpoint, b"?"), b"not to be\r\n");
    });
    on_each(DATAGRAMS, &["chargen"], |_, endpoint| {
        assert!(ask_datagram(endpoint, b"?").len() <= 512);
    });
    on_each(DATAGRAMS, &["discard"], |_, endpoint| {
        let client = udp_client(endpoint);
        client.send(b"into the void").unwrap();
        client.set_read_timeout(Some(A_MOMENT)).unwrap();
        client.recv(&mut [0; 10]).unwrap_err();
    });
}

#[test]
fn a_datagram_on_a_wildcard_is_answered_from_where_it_was_sent_to() {
    let server = serve(["echo", "udp:0"]);
    let port = address(&server.endpoint()).port();
    for host in ["127.0.0.1", "127.0.0.2", "127.3.2.1"] {
        // A connected socket takes datagrams from this very address only.
        let client = udp_client(&format!("udp:{host}:{port}"));
        client.send(host.as_bytes()).unwrap();
        let mut answer = [0; 20];
        let length = undisturbed(|| client.recv(&mut answer)).unwrap();
        assert_eq!(&answer[..length], host.as_bytes());
    }
}

#[test]
fn what_needs_connections_is_refused_on_datagrams() {
    for protocol in ["hold", "drop"] {
        let outcome = netkit(["serve", protocol, "udp:0"])
            .run()
            .status(2)
            .failed_in_one_line();
        assert!(
            outcome
                .stderr
                .contains(&format!("could not serve {protocol} on udp:0")),
            "{}",
            outcome.stderr
        );
    }
}

// Several endpoints

#[test]
fn several_endpoints_of_any_kind_are_served_at_once() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("socket");
    let unix = format!("unix:{}", path.display());
    let server = serve([
        "echo",
        "tcp:0:127.0.0.1",
        "tcp:0:127.0.0.1",
        "tcp6:0:interface=[::1]",
        &unix,
        "udp:0:127.0.0.1",
    ]);
    let endpoints = server.endpoints(5);
    let mut wires: Vec<_> = endpoints[..4]
        .iter()
        .map(|endpoint| dial_endpoint(endpoint))
        .collect();
    for (number, wire) in wires.iter_mut().enumerate() {
        let said = format!("to {number}");
        wire.write_all(said.as_bytes()).unwrap();
        assert_eq!(read(wire, said.len()), said.as_bytes());
    }
    assert_eq!(ask_datagram(&endpoints[4], b"message"), b"message");
    // Each of the strings can be given to connect as it is.
    for endpoint in &endpoints {
        connect(
            [endpoint.as_str(), "--half-close-timeout", "20s"]
                .iter()
                .take(if endpoint.starts_with("udp") { 1 } else { 3 }),
        )
        .input("as it is")
        .run()
        .status(0)
        .wrote("as it is");
    }
}

#[test]
fn if_one_endpoint_cannot_be_bound_nothing_is_served() {
    let taken = serve(["echo", "tcp:0:127.0.0.1"]);
    let taken_endpoint = format!("tcp:{}:127.0.0.1", taken.address().port());
    let directory = tempfile::tempdir().unwrap();
    let ready = directory.path().join("ready");
    let socket = directory.path().join("socket");
    let outcome = netkit([
        "serve",
        "echo",
        &format!("unix:{}", socket.display()),
        &taken_endpoint,
        "--ready-file",
    ])
    .arg(&ready)
    .run()
    .status(7);
    assert!(
        outcome
            .stderr
            .starts_with(&format!("error: could not bind {taken_endpoint}: address in use")),
        "{}",
        outcome.stderr
    );
    assert!(!outcome.stderr.contains("listening on"));
    assert!(!ready.exists() && !socket.exists(), "something was left behind");
}

#[test]
fn an_address_that_is_not_ours_is_named() {
    let outcome = netkit(["serve", "echo", "tcp:0:192.0.2.1"])
        .run()
        .status(7)
        .failed_in_one_line();
    assert_eq!(
        outcome.stderr,
        "error: could not bind tcp:0:192.0.2.1: address not available on this machine\n"
    );
}

#[test]
fn a_bad_string_among_good_ones_is_a_usage_error_before_anything_is_bound() {
    let outcome = netkit(["serve", "echo", "tcp:0:127.0.0.1", "tcp:x"])
        .run()
        .status(2);
    assert!(!outcome.stderr.contains("listening on"), "{}", outcome.stderr);
}

/// A server that is started with this listening socket as descriptor 3, as a service manager does it.
fn passed_a_socket(listening: OwnedFd, environment: &str, endpoint: &str) -> Run {
    let before = format!("exec 3<&0 </dev/null\nexport LISTEN_PID=$$ {environment}");
    let server = netkit_after(&before, "", ["serve", "echo", endpoint])
        .stdin(listening)
        .start();
    server.endpoint();
    server
}

#[test]
fn a_socket_that_the_service_manager_bound_is_served() {
    for (environment, endpoint) in [
        ("LISTEN_FDS=1", "systemd:INET:0"),
        ("LISTEN_FDS=1 LISTEN_FDNAMES=web", "systemd:INET:name=web"),
        ("LISTEN_FDS=1 LISTEN_FDNAMES=web", "systemd:INET:index=0"),
    ] {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let server = passed_a_socket(listener.into(), environment, endpoint);
        assert_eq!(server.endpoint(), format!("tcp:{address}"));
        assert_eq!(ask(address, b"activated"), b"activated");
        server.stop().status(0);
    }
}

#[test]
fn a_socket_that_is_not_ours_is_not_removed() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("socket");
    for endpoint in ["systemd:UNIX:0", "fd:3"] {
        let listener = UnixListener::bind(&path).unwrap();
        let server = passed_a_socket(listener.into(), "LISTEN_FDS=1", endpoint);
        let mut wire = dial_endpoint(&server.endpoint());
        wire.write_all(b"activated").unwrap();
        wire.end();
        assert_eq!(read_all(&mut wire), b"activated");
        server.stop().status(0);
        assert!(path.exists(), "{endpoint} removed the socket of whoever bound it");
        std::fs::remove_file(&path).unwrap();
    }
}

#[test]
fn a_socket_that_was_not_passed_is_status_7() {
    for (environment, endpoint) in [
        ("LISTEN_FDS=1", "systemd:INET:1"),
        ("LISTEN_FDS=1", "systemd:UNIX:0"),
        ("LISTEN_FDS=1 LISTEN_FDNAMES=web", "systemd:INET:name=mail"),
        ("LISTEN_PID=1 LISTEN_FDS=1", "systemd:INET:0"),
        ("LISTEN_FDS=", "systemd:INET:0"),
        ("LISTEN_FDS=1", "fd:9"),
    ] {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let before = format!("exec 3<&0 </dev/null\nexport LISTEN_PID=$$ {environment}");
        let outcome = netkit_after(&before, "", ["serve", "echo", endpoint])
            .stdin(OwnedFd::from(listener))
            .run();
        let outcome = outcome.status(7);
        assert!(
            outcome
                .stderr
                .starts_with(&format!("error: could not bind {endpoint}: ")),
            "{}",
            outcome.stderr
        );
    }
}

// Limits

#[test]
fn an_idle_connection_is_closed_and_a_busy_one_is_not() {
    let server = serve(["echo", "--idle-timeout", "300ms", "tcp:0:127.0.0.1"]);
    let idle = dial(server.address());
    let mut busy = dial(server.address());
    let start = Instant::now();
    let idler = std::thread::spawn(move || {
        assert_gone(&idle);
        start.elapsed()
    });
    while !idler.is_finished() {
        assert_echo(&mut busy, b"x");
    }
    assert!(idler.join().unwrap() >= Duration::from_millis(290));
    assert_echo(&mut busy, b"still here");
    assert_gone(&busy);
}

#[test]
fn workers_share_the_clients() {
    let server = serve(["echo", "--workers", "2", "tcp:0:127.0.0.1"]);
    let mut clients: Vec<_> = (0..20).map(|_| dial(server.address())).collect();
    for (number, client) in clients.iter_mut().enumerate() {
        assert_echo(client, format!("client {number}").as_bytes());
    }
    drop(clients);
    server.stop().status(0);
}

#[test]
fn a_reset_client_is_no_news() {
    let server = serve(["echo", "tcp:0:127.0.0.1"]);
    for _ in 0..5 {
        let mut client = dial(server.address());
        assert_echo(&mut client, b"x");
        reset(client);
    }
    assert_echo(&mut dial(server.address()), b"served on");
    let endpoint = server.endpoint();
    server
        .stop()
        .status(0)
        .said(&format!("listening on {endpoint}\n"));
}

// Stopping

#[test]
fn an_open_connection_may_finish_within_the_grace_period() {
    for signal in [Signal::TERM, Signal::INT] {
        let server = serve(["echo", "--grace", "50s", "tcp:0:127.0.0.1"]);
        let mut client = dial(server.address());
        assert_echo(&mut client, b"before");
        server.signal(signal);
        await_refusal(server.address());
        assert_echo(&mut client, b"after");
        client.shutdown(Shutdown::Write).unwrap();
        assert_gone(&client);
        let start = Instant::now();
        server.wait().status(0);
        assert!(
            start.elapsed() < Duration::from_secs(40),
            "it waited for the grace period"
        );
    }
}

#[test]
fn the_grace_period_ends_open_connections() {
    let server = serve(["echo", "--grace", "300ms", "tcp:0:127.0.0.1"]);
    let mut client = dial(server.address());
    assert_echo(&mut client, b"before");
    let start = Instant::now();
    server.signal(Signal::TERM);
    assert_gone(&client);
    assert!(start.elapsed() >= Duration::from_millis(290));
    server.wait().status(0).mentions("warning: closed 1 connection");
}

#[test]
fn without_connections_there_is_no_grace_to_wait_for() {
    let server = serve(["echo", "--grace", "50s", "tcp:0:127.0.0.1"]);
    let start = Instant::now();
    server.stop().status(0);
    assert!(start.elapsed() < Duration::from_secs(40));
}

#[test]
fn no_grace_closes_at_once() {
    let server = serve(["hold", "-v", "--grace", "0", "tcp:0:127.0.0.1"]);
    let client = dial(server.address());
    // Accepted, and not merely in the backlog.
    server.await_stderr(&client.local_addr().unwrap().to_string());
    server.signal(Signal::TERM);
    assert_gone(&client);
    server.wait().status(0);
}

#[test]
fn a_second_signal_ends_at_once() {
    for (first, second) in [
        (Signal::TERM, Signal::TERM),
        (Signal::INT, Signal::INT),
        (Signal::TERM, Signal::INT),
    ] {
        let server = serve(["echo", "--grace", "50s", "--workers", "2", "tcp:0:127.0.0.1"]);
        let mut client = dial(server.address());
        assert_echo(&mut client, b"held open");
        server.signal(first);
        await_refusal(server.address());
        assert!(!server.has_ended());
        let start = Instant::now();
        server.signal(second);
        server.wait().status(0);
        assert!(start.elapsed() < Duration::from_secs(40));
    }
}

#[test]
fn a_unix_socket_is_removed_in_the_end() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("socket");
    let server = serve(["echo", &format!("unix:{}", path.display())]);
    assert!(std::fs::metadata(&path).unwrap().file_type().is_socket());
    server.stop().status(0);
    assert_eq!(
        std::fs::read_dir(directory.path()).unwrap().count(),
        0,
        "the socket or its lock stayed"
    );
}

#[test]
fn a_unix_socket_is_removed_even_if_connections_are_cut_off() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("socket");
    let server = serve(["hold", "--grace", "0", &format!("unix:{}", path.display())]);
    let _wire = dial_endpoint(&server.endpoint());
    server.stop().status(0);
    assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 0);
}

#[test]
fn a_stale_unix_socket_is_replaced_and_a_live_one_is_not() {
    let directory = tempfile::tempdir().unwrap();
    let endpoint = format!("unix:{}", directory.path().join("socket").display());
    let killed = serve(["echo", &endpoint]);
    killed.signal(Signal::KILL);
    killed.wait().status(128 + 9);
    let server = serve(["echo", &endpoint]);
    netkit(["serve", "echo", &endpoint])
        .run()
        .status(7)
        .mentions("error: could not bind unix:");
    connect([endpoint.as_str()])
        .input("alive")
        .run()
        .status(0)
        .wrote("alive");
    server.stop().status(0);
}

#[test]
fn what_is_no_socket_is_never_removed() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("precious");
    std::fs::write(&path, "data").unwrap();
    netkit(["serve", "echo", &format!("unix:{}", path.display())])
        .run()
        .status(7)
        .failed_in_one_line();
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "data");
    assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 1);
}

#[test]
fn the_mode_of_a_unix_socket_is_the_one_asked_for() {
    use std::os::unix::fs::PermissionsExt;
    for (field, mode) in [("", 0o666), (":mode=600", 0o600), (":mode=660", 0o660)] {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("socket");
        let _server = serve(["echo", &format!("unix:{}{field}", path.display())]);
        assert_eq!(
            std::fs::metadata(&path).unwrap().permissions().mode() & 0o7777,
            mode
        );
    }
}

// What is said

#[test]
fn one_line_per_endpoint_is_all_that_is_said() {
    let server = serve(["echo", "tcp:0", "tcp6:0"]);
    let endpoints = server.endpoints(2);
    assert!(endpoints[0].starts_with("tcp:127.0.0.1:"), "{endpoints:?}");
    assert!(
        endpoints[1].starts_with("tcp:[::1]:") || endpoints[1].starts_with("tcp6:[::1]:"),
        "{endpoints:?}"
    );
    assert_eq!(ask(address(&endpoints[0]), b"x"), b"x");
    let lines: String = endpoints
        .iter()
        .map(|endpoint| format!("listening on {endpoint}\n"))
        .collect();
    server.stop().status(0).said(&lines).wrote("");
}

#[test]
fn verbose_tells_of_connections_and_twice_of_data() {
    let server = serve(["-v", "echo", "tcp:0:127.0.0.1"]);
    let client = dial(server.address());
    let ours = client.local_addr().unwrap().to_string();
    client.shutdown(Shutdown::Write).unwrap();
    assert_eq!(read_all(client), b"");
    let said = server.stop().status(0).stderr;
    assert!(said.contains(&ours), "{said}");
    assert!(!said.contains("b\""), "{said}");

    let server = serve(["-vv", "echo", "tcp:0:127.0.0.1"]);
    assert_eq!(ask(server.address(), b"a\x00\"\r\n"), b"a\x00\"\r\n");
    let said = server.stop().status(0).stderr;
    assert!(said.contains(r#"received b"a\x00\"\r\n""#), "{said}");
}

#[test]
fn hexdump_shows_both_directions() {
    let server = serve(["--hexdump", "echo", "tcp:0:127.0.0.1"]);
    assert_eq!(ask(server.address(), b"hello\n"), b"hello\n");
    let said = server.stop().status(0).stderr;
    for mark in ["<", ">"] {
        assert!(
            said.contains(&format!("{mark} 00000000  68 65 6c 6c 6f 0a")),
            "{said}"
        );
    }
}

#[test]
fn quiet_is_silent() {
    let directory = tempfile::tempdir().unwrap();
    let ready = directory.path().join("ready");
    let server = netkit(["-q", "serve", "echo", "tcp:0:127.0.0.1", "--ready-file"])
        .arg(&ready)
        .start();
    let endpoint = crate::harness::file_when_there(&ready);
    assert_eq!(ask(address(endpoint.trim_end()), b"x"), b"x");
    server.stop().status(0).said("");
}

#[test]
fn a_json_log_of_a_server_is_an_object_a_line() {
    let server = netkit(["serve", "echo", "-vv", "--log-format", "json", "tcp:0:127.0.0.1"]).start();
    let said = server.await_stderr("listening on ");
    let line: serde_json::Value = serde_json::from_str(said.lines().next().unwrap()).unwrap();
    let endpoint = line["message"]
        .as_str()
        .unwrap()
        .strip_prefix("listening on ")
        .unwrap();
    assert_eq!(ask(address(endpoint), b"x"), b"x");
    let outcome = server.stop().status(0);
    for line in outcome.stderr.lines() {
        let line: serde_json::Value = serde_json::from_str(line).unwrap();
        assert!(line["level"].is_string() && line["message"].is_string(), "{line}");
    }
    assert!(
        outcome.stderr.contains(r#"received b\"x\""#),
        "{}",
        outcome.stderr
    );
}

// Ports and families

#[test]
fn a_port_is_free_again_after_a_stop() {
    // The server closes first, so that its side of the connection lingers in TIME_WAIT.
    let server = serve(["qotd", "tcp:0:127.0.0.1"]);
    let address = server.address();
    assert!(!ask(address, b"").is_empty());
    server.stop().status(0);
    let endpoint = format!("tcp:{}:127.0.0.1", address.port());
    let again = serve(["echo", &endpoint]);
    assert_eq!(ask(again.address(), b"again"), b"again");
    again.stop().status(0);
}

#[test]
fn tcp6_takes_ipv4_clients_unless_told_otherwise() {
    let both = serve(["echo", "tcp6:0"]);
    let port = both.address().port();
    for host in ["127.0.0.1", "[::1]"] {
        assert_eq!(
            ask(format!("{host}:{port}").parse().unwrap(), b"x"),
            b"x",
            "{host}"
        );
    }
    let alone = serve(["echo", "tcp6:0:v6only=yes"]);
    assert_eq!(ask(alone.address(), b"x"), b"x");
    await_refusal(format!("127.0.0.1:{}", alone.address().port()).parse().unwrap());
}

#[test]
fn standard_input_and_output_are_an_endpoint() {
    let server = netkit(["serve", "echo", "stdio"]).input("piped through").start();
    server.wait().status(0).wrote("piped through");
}

#[test]
fn small_services_are_not_answered() {
    // An address of the loopback network that nobody else uses has all its ports free.
    let echo = serve(["echo", "udp:0"]);
    let port = address(&echo.endpoint()).port();
    for small in [7, 13, 17, 19, 37] {
        let Ok(socket) = std::net::UdpSocket::bind(("127.94.7.19", small)) else {
            eprintln!("skipped: not allowed to bind port {small}");
            return;
        };
        socket
            .send_to(b"to and fro for ever", ("127.94.7.1", port))
            .unwrap();
        socket.set_read_timeout(Some(A_MOMENT)).unwrap();
        let error = undisturbed(|| socket.recv(&mut [0; 100])).expect_err("an answer would never end");
        assert_eq!(error.kind(), std::io::ErrorKind::WouldBlock);
    }
    let other = std::net::UdpSocket::bind("127.94.7.19:0").unwrap();
    other.set_read_timeout(Some(PATIENCE)).unwrap();
    other.send_to(b"once", ("127.94.7.1", port)).unwrap();
    assert_eq!(undisturbed(|| other.recv(&mut [0; 100])).unwrap(), 4);
}

#[test]
fn a_second_server_on_a_socket_is_no_client_of_the_first() {
    let directory = tempfile::tempdir().unwrap();
    let endpoint = format!("unix:{}", directory.path().join("s").display());
    let first = netkit(["serve", "echo", "--once", &endpoint]).start();
    let told = first.endpoints(1);
    netkit(["serve", "echo", &endpoint]).run().status(7);
    let outcome = netkit(["connect", "--send", "still there", "--no-stdin", &told[0]]).run();
    assert_eq!(outcome.stdout, b"still there");
    outcome.status(0);
    first.wait().status(0);
}

#[test]
fn a_hexdump_tells_peers_apart() {
    let server = serve(["--hexdump", "echo", "tcp:0:127.0.0.1"]);
    let (mut one, mut two) = (dial(server.address()), dial(server.address()));
    let named = [one.local_addr().unwrap(), two.local_addr().unwrap()];
    for wire in [&mut one, &mut two] {
        wire.write_all(b"hello\n").unwrap();
        assert_eq!(read(wire, 6), b"hello\n");
    }
    drop((one, two));
    let said = server.stop().status(0).stderr;
    let mut lines = said.lines().filter(|line| line.starts_with(['#', '<', '>']));
    for peer in named {
        assert_eq!(lines.next(), Some(&*format!("# {peer}")), "{said}");
        for mark in ["<", ">"] {
            let line = lines.next().unwrap_or_default();
            assert!(
                line.starts_with(&format!("{mark} 00000000  68 65 6c 6c 6f 0a")),
                "{said}"
            );
        }
    }
}

#[test]
fn a_hexdump_shows_each_datagram_from_its_start() {
    let server = serve(["--hexdump", "echo", "udp:0:127.0.0.1"]);
    let socket = udp_client(&server.endpoint());
    let ours = socket.local_addr().unwrap();
    for message in [&b"ab"[..], b"", b"c"] {
        socket.send(message).unwrap();
        let length = undisturbed(|| socket.recv(&mut [0; 8])).unwrap();
        assert_eq!(length, message.len());
    }
    let said = server.stop().status(0).stderr;
    let dump: Vec<_> = said
        .lines()
        .filter(|line| line.starts_with(['#', '<', '>']))
        .map(|line| line.split("   ").next().unwrap_or_default())
        .collect();
    let expected = [
        &*format!("# {ours}"),
        "< 00000000  61 62",
        "> 00000000  61 62",
        "< 00000000  (empty)",
        "> 00000000  (empty)",
        "< 00000000  63",
        "> 00000000  63",
    ];
    assert_eq!(dump, expected, "{said}");
}

#[test]
fn clients_are_spread_over_the_workers_and_the_port_is_taken() {
    let server = serve(["echo", "--workers", "2", "tcp:0:127.0.0.1"]);
    let mut clients: Vec<_> = (0..64).map(|_| dial(server.address())).collect();
    for client in &mut clients {
        assert_echo(client, b"hello");
    }
    let listening = || {
        let port = format!("{:04X}", server.address().port());
        let table = std::fs::read_to_string("/proc/net/tcp").unwrap();
        let states = table.lines().filter_map(|line| {
            let mut fields = line.split_whitespace().skip(1);
            let (_, local) = fields.next()?.split_once(':')?;
            (local == port && fields.nth(1)? == "0A").then_some(())
        });
        states.count()
    };
    assert_eq!(listening(), 2);
    netkit([
        "serve",
        "echo",
        "--workers",
        "2",
        &format!("tcp:{}:127.0.0.1", server.address().port()),
    ])
    .run()
    .status(7)
    .mentions("in use");
    drop(clients);
    server.stop().status(0);
}
