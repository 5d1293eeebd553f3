//! `relay` with faults: what comes late, slowly, cut off or corrupted, and what stays as it was.
//! Absent: how right the clock is, which unit tests see; here nothing comes too early.

use std::io::Write;
use std::net::{Shutdown, TcpStream, UdpSocket};
use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::harness::peer::{accept, assert_gone, dial, hash, listener, noise, read, read_all, reset};
use crate::harness::{PATIENCE, Run, address, connect, netkit, netkit_after, serve};

fn relay<S: AsRef<str>>(args: &[&str], target: S) -> Run {
    let ends = ["relay", "tcp:0:127.0.0.1", target.as_ref()];
    netkit([&ends[..], args].concat()).start()
}

/// What a client that says this, and ends its half, gets from an echo behind a relay; and how long that took.
fn echoed(args: &[&str], sent: &[u8]) -> (Vec<u8>, Duration) {
    let echo = serve(["echo", "tcp:0:127.0.0.1"]);
    let relay = relay(args, echo.endpoint());
    let start = Instant::now();
    let outcome = connect([relay.endpoint()]).input(sent).run().status(0);
    let took = start.elapsed();
    relay.stop().status(0);
    (outcome.stdout, took)
}

#[test]
fn a_delay_holds_for_each_way_and_for_the_end() {
    let sent = noise(3_000_000);
    let (got, took) = echoed(&["--delay", "150ms", "--jitter", "20ms"], &sent);
    assert_eq!(hash(&got), hash(&sent));
    assert!(took >= Duration::from_millis(300), "{took:?}");
    let (target, endpoint) = listener();
    let relay = relay(&["--delay", "150ms"], endpoint);
    let client = dial(relay.address());
    let server = accept(&target);
    let start = Instant::now();
    client.shutdown(Shutdown::Write).unwrap();
    assert_eq!(read_all(&server), b"");
    assert!(start.elapsed() >= Duration::from_millis(150));
}

#[test]
fn a_rate_holds_for_each_way() {
    let sent = noise(50_000);
    let (got, took) = echoed(&["--rate", "100kB/s"], &sent);
    assert_eq!(hash(&got), hash(&sent));
    assert!(took >= Duration::from_millis(490), "{took:?}");
}

#[test]
fn exactly_so_many_bytes_pass_and_both_are_closed() {
    let (target, endpoint) = listener();
    for (limit, delay) in [(0, "0s"), (1, "0s"), (100_000, "0s"), (100_000, "5ms")] {
        let relay = relay(
            &["--close-after", &limit.to_string(), "--delay", delay],
            &endpoint,
        );
        for up in [true, false] {
            let client = dial(relay.address());
            let server = accept(&target);
            let (mut from, to) = if up { (client, server) } else { (server, client) };
            let mut writer = from.try_clone().unwrap();
            // Once it is closed, the rest is refused.
            let writing = std::thread::spawn(move || drop(writer.write_all(&noise(400_000))));
            let got = read_all(&to);
            assert_eq!(hash(&got), hash(&noise(400_000)[..limit]), "{} bytes", got.len());
            drop(to);
            writing.join().unwrap();
            assert_gone(&from);
            let _ = from.flush();
        }
        relay.stop().status(0);
    }
}

#[test]
fn what_ends_before_the_limit_is_not_touched() {
    let sent = noise(10_000);
    let (got, _) = echoed(&["--close-after", "10000"], &sent[..9_999]);
    assert_eq!(hash(&got), hash(&sent[..9_999]));
}

#[cfg(feature = "tls")]
#[test]
fn tls_is_closed_in_good_order_too() {
    let place = crate::harness::place::Place::empty();
    let chargen = place.netkit(["serve", "chargen", "tls:0"]).start();
    let relay = place
        .netkit(["relay", "tls:0", &chargen.endpoint(), "--close-after", "100000"])
        .start();
    // Without close_notify the status would be 8.
    let outcome = place
        .netkit(["connect", "--no-stdin", &relay.endpoint()])
        .run()
        .status(0);
    assert_eq!(outcome.stdout.len(), 100_000);
}

#[test]
fn bits_flip_as_the_seed_has_it() {
    let sent = noise(3_000_000);
    let corrupted = |seed: &str| {
        let (target, endpoint) = listener();
        let relay = relay(&["--corrupt", "1000", "--seed", seed], endpoint);
        let client = dial(relay.address());
        let server = accept(&target);
        let (mut writer, copy) = (client, sent.clone());
        let writing = std::thread::spawn(move || {
            writer.write_all(&copy).unwrap();
            writer
        });
        let got = read(&server, sent.len());
        writing.join().unwrap();
        got
    };
    let got = corrupted("7");
    let flips: Vec<u32> = sent.iter().zip(&got).map(|(a, b)| (a ^ b).count_ones()).collect();
    assert!(flips.iter().all(|bits| *bits <= 1));
    // 3000 are to be expected; this is five times the standard deviation away.
    let flipped: u32 = flips.iter().sum();
    assert!((2726..=3274).contains(&flipped), "{flipped}");
    // However the bytes were cut on the way.
    assert_eq!(hash(&corrupted("7")), hash(&got));
    assert_ne!(hash(&corrupted("8")), hash(&got));
}

#[test]
fn the_seed_that_was_drawn_is_told() {
    let (_target, endpoint) = listener();
    let relay = relay(&["-v", "--corrupt", "1000"], endpoint);
    relay.await_stderr("faults are drawn by --seed ");
}

#[test]
fn a_reset_becomes_a_reset_whoever_looks_on() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("file").display().to_string();
    for args in [&["--delay", "1ms"][..], &["--hexdump"], &["--record", &file]] {
        let (target, endpoint) = listener();
        let relay = relay(args, endpoint);
        for client_first in [true, false] {
            let client = dial(relay.address());
            let server = accept(&target);
            let (first, mut second) = match client_first {
                true => (client, server),
                false => (server, client),
            };
            second.write_all(b"x").unwrap();
            assert_eq!(read(&first, 1), b"x");
            reset(first);
            let error = std::io::Read::read(&mut second, &mut [0]).unwrap_err();
            assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset, "{args:?}");
        }
    }
}

#[test]
fn a_reset_is_as_late_as_what_came_before_it() {
    for fault in [["--delay", "300ms"], ["--rate", "200k"]] {
        let (target, endpoint) = listener();
        let relay = relay(&fault, endpoint);
        let mut client = dial(relay.address());
        let mut server = accept(&target);
        let sent = noise(50_000);
        client.write_all(&sent).unwrap();
        // What a client's own kernel has not sent is dropped by its reset; of so little nothing waits there.
        let first = read(&server, 1);
        reset(client);
        let rest = read(&server, sent.len() - 1);
        assert_eq!(hash(&[first, rest].concat()), hash(&sent), "{fault:?}");
        let error = std::io::Read::read(&mut server, &mut [0]).unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset, "{fault:?}");
    }
}

#[test]
fn a_stop_does_not_wait_for_what_is_late() {
    let (target, endpoint) = listener();
    let relay = relay(&["--delay", "1h", "--grace", "100ms"], endpoint);
    let mut client = dial(relay.address());
    let _server = accept(&target);
    client.write_all(b"late").unwrap();
    relay.signal(Signal::TERM);
    relay.wait().status(0);
}

#[test]
fn what_is_typed_wrong_is_said() {
    let wrong = |args: &[&str]| {
        let ends = ["relay", "tcp:0", "tcp:localhost:1"];
        netkit([&ends[..], args].concat()).run().status(2)
    };
    wrong(&["--rate", "0"]).mentions("more than 0");
    wrong(&["--rate", "1/h"]).mentions("unit");
    wrong(&["--corrupt", "0"]).mentions("more than 0");
    wrong(&["--delay", "soon"]).mentions("unit");
    wrong(&["--close-after", "-1"]);
    for args in [["udp:0", "tcp:localhost:1"], ["tcp:0", "udp:localhost:1"]] {
        let outcome = netkit(["relay", "--close-after=1"]).args(args).run().status(2);
        outcome
            .mentions("could not use --close-after with udp:")
            .mentions("datagrams");
    }
}

/// A relay of datagrams with faults, a peer of it, and its target.
fn datagrams(args: &[&str]) -> (Run, UdpSocket, UdpSocket) {
    let bind = || {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        socket
    };
    let (peer, target) = (bind(), bind());
    let to = format!("udp:{}", target.local_addr().unwrap());
    let relay = netkit([&["relay", "udp:0:127.0.0.1", &to], args].concat()).start();
    peer.connect(address(&relay.endpoint())).unwrap();
    (relay, peer, target)
}

#[test]
fn datagrams_are_late_each_way_and_keep_their_edges_and_order() {
    // Shorter than the way there and back: what is late by our doing is no silence.
    let (relay, peer, target) = datagrams(&["--delay", "700ms", "--jitter", "50ms", "--udp-idle", "1s"]);
    let start = Instant::now();
    let sent: Vec<Vec<u8>> = [3, 0, 1200, 1, 700].iter().map(|&length| noise(length)).collect();
    for bytes in &sent {
        peer.send(bytes).unwrap();
    }
    let mut buf = [0; 2000];
    for bytes in &sent {
        let (length, from) = target.recv_from(&mut buf).unwrap();
        assert!(start.elapsed() >= Duration::from_millis(700));
        assert_eq!(&buf[..length], bytes);
        target.send_to(bytes, from).unwrap();
    }
    for bytes in &sent {
        let length = peer.recv(&mut buf).unwrap();
        assert_eq!(&buf[..length], bytes);
    }
    assert!(start.elapsed() >= Duration::from_millis(1400));
    relay.stop().status(0);
}

#[test]
fn a_stop_leaves_late_datagrams_their_time() {
    let (relay, peer, target) = datagrams(&["-v", "--delay", "2s", "--grace", "20s"]);
    peer.send(b"late").unwrap();
    relay.await_stderr("forwarding to");
    relay.signal(Signal::TERM);
    assert_eq!(target.recv(&mut [0; 9]).unwrap(), 4);
    relay.wait().status(0);
}

#[test]
fn a_close_that_datagrams_cannot_have_is_refused_when_they_turn_up() {
    let (inherited, far) = (
        UdpSocket::bind("127.0.0.1:0").unwrap(),
        UdpSocket::bind("127.0.0.1:0").unwrap(),
    );
    inherited.connect(far.local_addr().unwrap()).unwrap();
    let args = [
        "relay",
        "tcp:0:127.0.0.1",
        "fd:3",
        "--framing",
        "line",
        "--close-after",
        "6",
    ];
    let relay = netkit_after("", "3<&0 0</dev/null", args)
        .stdin(std::os::fd::OwnedFd::from(inherited))
        .start();
    // The reset comes when the connection stands or a moment before.
    match TcpStream::connect(relay.address()) {
        Ok(client) => assert_gone(&client),
        Err(error) => assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset),
    }
    relay.await_stderr("which have no connection to close");
}

#[test]
fn datagrams_are_paced() {
    let (relay, peer, target) = datagrams(&["--rate", "10kB/s"]);
    let start = Instant::now();
    for _ in 0..5 {
        peer.send(&[0; 1000]).unwrap();
    }
    for number in 1..=5 {
        target.recv(&mut [0; 2000]).unwrap();
        assert!(start.elapsed() >= Duration::from_millis(100 * number));
    }
    relay.stop().status(0);
}

#[test]
fn bits_of_datagrams_flip_as_the_seed_has_it() {
    let sent = noise(100_000);
    let corrupted = |seed: &str| {
        let (relay, peer, target) = datagrams(&["--corrupt", "100", "--seed", seed]);
        let mut got = Vec::new();
        for bytes in sent.chunks(1000) {
            peer.send(bytes).unwrap();
            let mut buf = [0; 2000];
            let length = target.recv(&mut buf).unwrap();
            got.extend_from_slice(&buf[..length]);
        }
        relay.stop().status(0);
        got
    };
    let got = corrupted("7");
    let flips = sent
        .iter()
        .zip(&got)
        .map(|(a, b)| (a ^ b).count_ones())
        .sum::<u32>();
    // 1000 are to be expected; this is five times the standard deviation away.
    assert!((842..=1158).contains(&flips), "{flips}");
    assert_eq!(hash(&corrupted("7")), hash(&got));
    assert_ne!(hash(&corrupted("8")), hash(&got));
}

#[test]
fn what_is_framed_is_late_too_and_answers_are_waited_for() {
    let target = UdpSocket::bind("127.0.0.1:0").unwrap();
    target.set_read_timeout(Some(PATIENCE)).unwrap();
    let to = format!("udp:{}", target.local_addr().unwrap());
    let relay = relay(&["--framing", "line", "--delay", "700ms", "--udp-idle", "1s"], to);
    let mut client = dial(relay.address());
    let start = Instant::now();
    client.write_all(b"ask\n").unwrap();
    client.shutdown(Shutdown::Write).unwrap();
    let mut buf = [0; 9];
    let (length, from) = target.recv_from(&mut buf).unwrap();
    assert_eq!(&buf[..length], b"ask");
    target.send_to(b"answer", from).unwrap();
    assert_eq!(read_all(&client), b"answer\n");
    assert!(start.elapsed() >= Duration::from_millis(1400));
    relay.stop().status(0);
}
