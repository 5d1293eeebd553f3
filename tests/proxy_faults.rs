//! PROXY headers that are wrong, slow, long or twice there, over real sockets; a service manager that lies; and what is
//! left after a thousand connections. Absent: what a header means, which the parser's tests show.

use std::fs::File;
use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, UdpSocket};
use std::os::fd::OwnedFd;
use std::process::Stdio;

use serde_json::Value;
use socket2::{Domain, Socket, Type};

use crate::harness::peer::{ask, assert_echo, dial, reset};
use crate::harness::{A_MOMENT, Run, eventually, netkit, netkit_after, serve};

const V1: &[u8] = b"PROXY TCP4 192.0.2.1 192.0.2.2 1111 2222\r\n";

fn echo(args: &[&str]) -> Run {
    serve(["echo", "haproxy:tcp:0:127.0.0.1"].iter().chain(args))
}

/// Sends all, ends its half, and gives what comes, whether it ends or breaks off. What is no header need not be read to
/// its end.
fn answered(to: SocketAddr, bytes: &[u8]) -> Vec<u8> {
    let mut stream = dial(to);
    let _ = stream.write_all(bytes);
    let _ = stream.shutdown(Shutdown::Write);
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    answer
}

fn vectors() -> Vec<Value> {
    let files = [
        include_str!("vectors/proxy_v1.json"),
        include_str!("vectors/proxy_v2.json"),
    ];
    let lists = files.map(|file| serde_json::from_str::<Vec<Value>>(file).unwrap());
    lists.concat()
}

fn bytes(hex: &Value) -> Vec<u8> {
    let digits = hex.as_str().unwrap().as_bytes();
    let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap();
    digits.chunks(2).map(byte).collect()
}

/// A header of version 2 that names nobody and has as many bytes behind its fixed part as it can tell of.
fn longest() -> Vec<u8> {
    let mut header = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\xff\xff".to_vec();
    header.extend([192, 0, 2, 1, 192, 0, 2, 2, 4, 87, 8, 174]);
    // PP2_TYPE_NOOP, so often as there is room.
    let mut left = 65_535 - 12_usize;
    while left > 0 {
        // A value of three bytes and more, so that nothing is left that is too short for another.
        let value = if left > 4096 { 1021 } else { left - 3 };
        header.push(4);
        header.extend(u16::try_from(value).unwrap().to_be_bytes());
        header.resize(header.len() + value, 0);
        left -= value + 3;
    }
    header
}

#[test]
fn no_vector_that_is_wrong_gets_a_byte_and_each_that_is_right_gets_its_payload() {
    let server = echo(&[]);
    let to = server.address();
    let mut judged = [0, 0];
    for vector in vectors() {
        let name = &vector["name"];
        let answer = answered(to, &bytes(&vector["hex"]));
        let is_right = vector["ok"] == true;
        judged[usize::from(is_right)] += 1;
        if is_right {
            assert_eq!(answer, bytes(&vector["payload_hex"]), "{name}");
        } else {
            assert!(answer.is_empty(), "{name}: {}", answer.escape_ascii());
        }
    }
    assert!(judged.iter().all(|count| *count > 40), "{judged:?}");
    assert_eq!(
        ask(to, &[V1, b"as if nothing had been"].concat()),
        b"as if nothing had been"
    );
    let outcome = server.stop().status(0);
    assert!(!outcome.stderr.contains("panicked"), "{}", outcome.stderr);
}

#[test]
fn of_two_headers_the_second_is_payload() {
    let server = echo(&[]);
    assert_eq!(
        ask(server.address(), &[V1, V1, b"x"].concat()),
        [V1, b"x"].concat()
    );
    server.stop().status(0);
}

#[test]
fn values_of_64_kib_are_read_over_and_their_payload_arrives() {
    let server = echo(&[]);
    let header = longest();
    assert_eq!(header.len(), 16 + 65_535);
    assert_eq!(
        ask(server.address(), &[&header[..], b"payload"].concat()),
        b"payload"
    );
    // In pieces that fit nothing.
    let mut stream = dial(server.address());
    stream.set_nodelay(true).unwrap();
    for piece in header.chunks(997) {
        stream.write_all(piece).unwrap();
    }
    assert_echo(&mut stream, b"payload");
    drop(stream);
    server.stop().status(0);
}

#[test]
fn a_line_without_end_is_not_waited_for() {
    // Its limit would be long.
    let server = echo(&["--handshake-timeout", "1h"]);
    let mut line = b"PROXY TCP4 ".to_vec();
    line.resize(1 << 20, b'1');
    assert!(answered(server.address(), &line).is_empty());
    server.await_stderr("warning: 127.0.0.1:");
    server.stop().status(0);
}

#[test]
fn a_header_that_trickles_has_the_whole_limit_and_no_more() {
    let server = echo(&["--handshake-timeout", "1s"]);
    let to = server.address();
    // Slow, and in time.
    let mut slow = dial(to);
    slow.set_nodelay(true).unwrap();
    for byte in V1 {
        slow.write_all(&[*byte]).unwrap();
        std::thread::sleep(A_MOMENT / 100);
    }
    assert_echo(&mut slow, b"x");
    // No byte of it takes longer than the one before, and yet it never comes to an end.
    let mut never = dial(to);
    let cut = eventually("the one that trickles to be cut off", || {
        std::thread::sleep(A_MOMENT / 4);
        never.write_all(b"\r").err()
    });
    assert!(cut.kind() != std::io::ErrorKind::TimedOut, "{cut}");
    assert_echo(&mut slow, b"no other is touched");
    drop(slow);
    server.stop().status(0);
}

/// A thousand clients, well and badly behaved in turn.
fn a_thousand(to: SocketAddr) {
    for number in 0..1000 {
        match number % 5 {
            0 => assert_eq!(ask(to, &[V1, b"x"].concat()), b"x"),
            1 => assert!(answered(to, b"no header at all\r\n").is_empty()),
            2 => drop(dial(to)),
            3 => {
                let mut stream = dial(to);
                stream.write_all(&V1[..number % V1.len()]).unwrap();
                reset(stream);
            }
            _ => {
                let mut stream = dial(to);
                stream.write_all(V1).unwrap();
                assert_echo(&mut stream, b"x");
                reset(stream);
            }
        }
    }
}

#[test]
fn a_thousand_connections_leave_nothing_behind() {
    let server = echo(&[]);
    let to = server.address();
    // Whatever is opened once is open then.
    assert_eq!(ask(to, &[V1, b"x"].concat()), b"x");
    let sockets = || {
        let table = std::fs::read_to_string("/proc/net/tcp").unwrap();
        let port = format!(":{:04X} ", to.port());
        // Ours, of which those that wait out the peer (06, TIME_WAIT) belong to nobody any more.
        let ours = table.lines().filter(|line| {
            let mut fields = line.split_whitespace().skip(1);
            let (local, state) = (
                fields.next().unwrap_or_default(),
                fields.nth(1).unwrap_or_default(),
            );
            format!("{local} ").ends_with(&port) && state != "06"
        });
        ours.count()
    };
    // In this order: a descriptor is gone before its socket is.
    let now = || (sockets(), server.descriptors());
    let before = eventually("the first client to be gone", || {
        let now = now();
        (now.0 == 1).then_some(now)
    });
    a_thousand(to);
    eventually("everything to be as it was", || (now() == before).then_some(()));
    let outcome = server.stop().status(0);
    assert!(!outcome.stderr.contains("panicked"), "{}", outcome.stderr);
    // So many failures are told in a few lines.
    assert!(outcome.stderr.lines().count() < 100, "{}", outcome.stderr);
}

// A service manager that lies

#[test]
fn a_notify_socket_that_leads_nowhere_is_no_failure() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("file");
    File::create(&file).unwrap();
    let long = format!("/{}", "x".repeat(300));
    let places = [
        "/nonexistent/notify",
        file.to_str().unwrap(),
        directory.path().to_str().unwrap(),
        "",
        "@",
        "@netkit-nobody-listens-here",
        "relative",
        &long,
    ];
    for place in places {
        let server = netkit(["serve", "echo", "tcp:0:127.0.0.1"])
            .env("NOTIFY_SOCKET", place)
            .env("WATCHDOG_USEC", "10000")
            .stdin(Stdio::null())
            .start();
        assert_eq!(ask(server.address(), b"served"), b"served", "{place}");
        let outcome = server.stop().status(0);
        assert_eq!(outcome.stderr.lines().count(), 1, "{place}: {}", outcome.stderr);
    }
}

/// `serve echo ENDPOINT` with this as descriptor 3, and this said of it.
fn passed(descriptor: impl Into<OwnedFd>, environment: &str, endpoint: &str) -> crate::harness::Outcome {
    let before = format!("exec 3<&0 </dev/null\nexport LISTEN_PID=$$ {environment}");
    let log = tempfile::tempdir().unwrap();
    let file = log.path().join("log");
    netkit_after(
        &before,
        "",
        ["serve", "echo", endpoint, "--log-file", file.to_str().unwrap()],
    )
    .stdin(descriptor.into())
    .run()
}

#[test]
fn sockets_that_were_not_passed_or_are_none_are_refused_in_words() {
    let listening = || TcpListener::bind("127.0.0.1:0").unwrap();
    let file = || tempfile::tempfile().unwrap();
    let unbound = || Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    let cases: Vec<(OwnedFd, &str, &str, &str)> = vec![
        (
            listening().into(),
            "LISTEN_FDS=2",
            "systemd:INET:1",
            "descriptor 4 is of no use",
        ),
        // More than there are: those that this process has opened for itself are not among them.
        (
            listening().into(),
            "LISTEN_FDS=40",
            "systemd:INET:3",
            "is of no use",
        ),
        (
            listening().into(),
            "LISTEN_FDS=0",
            "systemd:INET:0",
            "0 were passed",
        ),
        (
            listening().into(),
            "LISTEN_FDS=4097",
            "systemd:INET:0",
            "not a number of descriptors",
        ),
        (
            listening().into(),
            "LISTEN_FDS=1x",
            "systemd:INET:0",
            "not a number of descriptors",
        ),
        (
            listening().into(),
            "LISTEN_FDS=1",
            "systemd:INET6:0",
            "of domain INET, not INET6",
        ),
        (file().into(), "LISTEN_FDS=1", "systemd:INET:0", "not a socket"),
        (
            unbound().into(),
            "LISTEN_FDS=1",
            "systemd:INET:0",
            "does not listen",
        ),
        (
            UdpSocket::bind("127.0.0.1:0").unwrap().into(),
            "LISTEN_FDS=1",
            "systemd:INET:0",
            "not one of streams",
        ),
        (
            listening().into(),
            "LISTEN_FDS=2 LISTEN_FDNAMES=a:a",
            "systemd:INET:name=a",
            "several sockets are named `a`",
        ),
        (
            listening().into(),
            "LISTEN_FDS=1 LISTEN_FDNAMES=a:b",
            "systemd:INET:name=a",
            "without names",
        ),
    ];
    for (descriptor, environment, endpoint, why) in cases {
        passed(descriptor, environment, endpoint)
            .status(7)
            .failed_in_one_line()
            .mentions(why);
    }
}

#[test]
fn a_count_that_is_too_high_costs_the_others_nothing() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let to = listener.local_addr().unwrap();
    let server = netkit_after(
        "exec 3<&0 </dev/null\nexport LISTEN_PID=$$ LISTEN_FDS=40",
        "",
        ["serve", "echo", "systemd:INET:0", "tcp:0:127.0.0.1"],
    )
    .stdin(OwnedFd::from(listener))
    .start();
    server.endpoints(2);
    assert_eq!(ask(to, b"served"), b"served");
    server.stop().status(0);
}
