//! `relay` with datagrams: a flow for each peer, its answers and its end; datagrams framed in a stream, both ways round.
//! Absent: streams at both ends.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream, UdpSocket};
use std::process::Stdio;

use rustix::process::Signal;
use socket2::Type;

use crate::harness::installed::{installed, reserved};
use crate::harness::peer::{accept, assert_gone, dial, listener, noise, read, read_all};
use crate::harness::{A_MOMENT, PATIENCE, Run, address, connect, eventually, netkit, program, serve};

fn relay<const N: usize>(args: [&str; N]) -> Run {
    let run = netkit([&["relay"], &args[..]].concat())
        .stdin(Stdio::null())
        .start();
    run.endpoint();
    run
}

/// A peer with a deadline, that hears this address alone.
fn peer(to: SocketAddr) -> UdpSocket {
    let own = if to.is_ipv6() { "[::1]:0" } else { "127.0.0.1:0" };
    let socket = UdpSocket::bind(own).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    socket.connect(to).unwrap();
    socket
}

/// A target that answers nobody by itself.
fn target() -> (UdpSocket, String) {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    let endpoint = format!("udp:{}", socket.local_addr().unwrap());
    (socket, endpoint)
}

fn heard(socket: &UdpSocket) -> Vec<u8> {
    let mut bytes = vec![0; 65_536];
    let length = socket.recv(&mut bytes).unwrap();
    bytes.truncate(length);
    bytes
}

#[track_caller]
fn assert_answers(socket: &UdpSocket, bytes: &[u8]) {
    socket.send(bytes).unwrap();
    assert!(heard(socket) == bytes, "{} bytes", bytes.len());
}

fn assert_silent(socket: &UdpSocket) {
    socket.set_read_timeout(Some(A_MOMENT)).unwrap();
    socket.recv(&mut [0; 9]).unwrap_err();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
}

/// A frame of a length and that many bytes.
fn framed(bytes: &[u8]) -> Vec<u8> {
    [&(bytes.len() as u16).to_be_bytes(), bytes].concat()
}

fn read_frame(mut stream: &TcpStream) -> Vec<u8> {
    let mut head = [0; 2];
    stream.read_exact(&mut head).unwrap();
    read(stream, usize::from(u16::from_be_bytes(head)))
}

#[cfg(feature = "metrics")]
fn counts(run: &Run, name: &str, label: &str, value: u64) {
    use crate::harness::peer::ask;
    let said = run.await_stderr("metrics on ");
    let at = said
        .lines()
        .find_map(|line| line.strip_prefix("metrics on "))
        .unwrap();
    eventually(&format!("{name} {label} to be {value}"), || {
        let text = ask(address(at), b"GET /metrics HTTP/1.0\r\n\r\n");
        let text = String::from_utf8(text).unwrap();
        let samples = text
            .lines()
            .filter(|line| line.starts_with(name) && line.contains(label));
        let sum: u64 = samples
            .map(|line| line.rsplit_once(' ').unwrap().1.parse::<u64>().unwrap())
            .sum();
        (sum == value).then_some(())
    });
}

#[test]
fn many_peers_each_get_their_own_answers() {
    let echo = serve(["echo", "udp:0:127.0.0.1"]);
    // What looks on must not change anything.
    for looking in [&[][..], &["--hexdump"], &["-vv"]] {
        let run = netkit(
            [
                &["relay", "udp:0:127.0.0.1", &echo.endpoint(), "--workers", "2"],
                looking,
            ]
            .concat(),
        )
        .start();
        let to = run.address();
        let peers: Vec<_> = (0..60).map(|_| peer(to)).collect();
        for round in 0..3_u8 {
            for (number, peer) in peers.iter().enumerate() {
                for message in [
                    &b""[..],
                    &[round],
                    &[number as u8; 700],
                    &[number as u8; 700],
                    b"end",
                ] {
                    peer.send(message).unwrap();
                }
            }
            for (number, peer) in peers.iter().enumerate() {
                for message in [
                    &b""[..],
                    &[round],
                    &[number as u8; 700],
                    &[number as u8; 700],
                    b"end",
                ] {
                    assert_eq!(heard(peer), message);
                }
            }
        }
        assert_answers(&peers[0], &noise(65_507));
        run.stop().status(0);
    }
}

#[test]
fn answers_leave_from_the_address_that_was_written_to() {
    let echo = serve(["echo", "udp:0:127.0.0.1"]);
    for looking in [&[][..], &["--hexdump"]] {
        let run = netkit([&["relay", "udp:0", &echo.endpoint()], looking].concat()).start();
        let port = run.address().port();
        for ip in [[127, 0, 0, 1], [127, 0, 0, 2]] {
            assert_answers(&peer((ip, port).into()), b"hello");
        }
        run.stop().status(0);
    }
}

#[test]
fn a_flow_expires_and_its_peer_may_begin_anew() {
    let (target, endpoint) = target();
    let run = relay(["-v", "udp:0:127.0.0.1", &endpoint, "--udp-idle", "300ms"]);
    let peer = peer(run.address());
    let mut last = None;
    for _ in 0..2 {
        peer.send(b"hello").unwrap();
        let (_, from) = target.recv_from(&mut [0; 9]).unwrap();
        assert_ne!(last.replace(from), Some(from));
        target.send_to(b"hi", from).unwrap();
        assert_eq!(heard(&peer), b"hi");
        run.await_stderr(&format!("peer={} received=5 sent=2", peer.local_addr().unwrap()));
        run.await_stderr("closed: nothing moved for 300ms");
        eventually("the flow to be over", || {
            let said = run.await_stderr("closed: ");
            let closed = said.matches("closed: nothing moved").count();
            let begun = said.matches("accepted on").count();
            (closed == begun).then_some(())
        });
    }
    run.stop().status(0);
}

#[cfg(feature = "metrics")]
#[test]
fn the_flow_that_was_idle_for_the_longest_makes_room() {
    let echo = serve(["echo", "udp:0:127.0.0.1"]);
    let run = relay([
        "udp:0:127.0.0.1",
        &echo.endpoint(),
        "--max-flows",
        "2",
        "--metrics",
        "tcp:0:127.0.0.1",
    ]);
    let [one, two, three] = [(); 3].map(|()| peer(run.address()));
    for peer in [&one, &two, &one, &three, &one] {
        assert_answers(peer, b"hello");
    }
    counts(&run, "netkit_connections_total", "\"evicted\"", 1);
    counts(&run, "netkit_open_connections", "udp:", 2);
    // It was the second, and it may come again.
    assert_answers(&two, b"again");
    counts(&run, "netkit_connections_total", "\"evicted\"", 2);
    assert_answers(&one, b"still there");
    counts(&run, "netkit_connections_total", "\"evicted\"", 2);
    counts(&run, "netkit_datagrams_total", "\"received\"", 7);
    counts(&run, "netkit_datagrams_total", "\"sent\"", 7);
    let outcome = run.stop().status(0);
    // A line now and then, not one for each.
    assert_eq!(
        outcome.stderr.matches("made room").count(),
        1,
        "{}",
        outcome.stderr
    );
}

#[test]
fn a_target_that_refuses_is_told_once_and_found_when_it_is_up() {
    for looking in [&[][..], &["--hexdump"]] {
        // Connected elsewhere, it holds the port and refuses all others.
        let (down, endpoint) = target();
        down.connect("127.0.0.1:9").unwrap();
        let args = [&["relay", "udp:0:127.0.0.1", &endpoint], looking].concat();
        let run = netkit(args).start();
        let peer = peer(run.address());
        for _ in 0..20 {
            peer.send(b"anybody?").unwrap();
        }
        run.await_stderr(&format!(
            "warning: {}: datagrams do not reach",
            peer.local_addr().unwrap()
        ));
        drop(down);
        let _up = serve(["echo", &format!("udp:{}:127.0.0.1", address(&endpoint).port())]);
        // The first on its way may be the last to be refused.
        peer.set_read_timeout(Some(A_MOMENT)).unwrap();
        eventually("an answer", || {
            peer.send(b"now?").unwrap();
            peer.recv(&mut [0; 9]).ok()
        });
        let outcome = run.stop().status(0);
        assert_eq!(
            outcome.stderr.matches("connection refused").count(),
            1,
            "{}",
            outcome.stderr
        );
    }
}

#[cfg(feature = "metrics")]
#[test]
fn what_is_too_long_for_the_target_is_dropped_and_counted() {
    let echo = serve(["echo", "udp:0:127.0.0.1"]);
    for (number, looking) in [&[][..], &["--hexdump"]].into_iter().enumerate() {
        let args = [
            "relay",
            "udp6:0:[::1]",
            &echo.endpoint(),
            "--metrics",
            "tcp:0:127.0.0.1",
        ];
        let run = netkit([&args, looking].concat()).start();
        let peer = peer(run.address());
        assert_answers(&peer, b"before");
        // IPv6 carries 20 bytes more.
        peer.send(&noise(65_527)).unwrap();
        counts(&run, "netkit_datagrams_lost_total", "\"too_long\"", 1);
        assert_answers(&peer, &[number as u8; 9]);
        run.stop().status(0);
    }
}

#[test]
fn targets_take_turns_and_limits_hold_for_flows() {
    let (one, two) = (target(), target());
    let run = relay([
        "udp:0",
        "--to",
        &one.1,
        "--to",
        &two.1,
        "--deny",
        "127.0.0.2",
        "--max-connections-per-ip",
        "2",
        "--idle-timeout",
        "50s",
        "-v",
    ]);
    let to = run.address();
    let peers = [peer(to), peer(to)];
    for (peer, (target, _)) in peers.iter().zip([&one, &two]) {
        peer.send(b"x").unwrap();
        assert_eq!(heard(target), b"x");
        peer.send(b"y").unwrap();
        assert_eq!(heard(target), b"y");
    }
    peer(to).send(b"one too many").unwrap();
    run.await_stderr("refused: the address has 2 connections already");
    let denied = UdpSocket::bind("127.0.0.2:0").unwrap();
    denied.send_to(b"denied", to).unwrap();
    run.await_stderr("refused 1 datagram");
    assert_silent(&one.0);
    run.stop().status(0);
}

#[test]
fn one_flow_is_had_and_a_stop_waits_for_answers_alone() {
    let (target, endpoint) = target();
    let run = relay(["udp:0:127.0.0.1", &endpoint, "--once", "--udp-idle", "400ms"]);
    let peer = peer(run.address());
    peer.send(b"x").unwrap();
    assert_eq!(heard(&target), b"x");
    run.wait().status(0);
    // Long before the grace period ends, and with what is still coming.
    let run = relay(["udp:0:127.0.0.1", &endpoint, "--grace", "50s"]);
    let peer = self::peer(run.address());
    peer.send(b"x").unwrap();
    let (_, from) = target.recv_from(&mut [0; 9]).unwrap();
    run.signal(Signal::TERM);
    target.send_to(b"late", from).unwrap();
    assert_eq!(heard(&peer), b"late");
    let outcome = run.wait().status(0);
    assert!(!outcome.stderr.contains("still open"), "{}", outcome.stderr);
}

#[test]
fn dns_over_udp_is_put_onto_tcp() {
    let (server, endpoint) = listener();
    let run = relay(["udp:0:127.0.0.1", &endpoint, "--framing", "length"]);
    let answering = std::thread::spawn(move || {
        let mut stream = accept(&server);
        for _ in 0..3 {
            let query = read_frame(&stream);
            let answer = framed(&[&query[..2], b" is the answer"].concat());
            // However the stream is cut.
            for piece in answer.chunks(3) {
                stream.write_all(piece).unwrap();
            }
        }
        // One that is idle is closed by most servers.
        drop(stream);
        let stream = accept(&server);
        assert_eq!(read_frame(&stream), b"again");
        stream
    });
    let peer = peer(run.address());
    for number in [&b"01"[..], b"02", b"03"] {
        peer.send(&[number, b" what?"].concat()).unwrap();
        assert_eq!(heard(&peer), [number, b" is the answer"].concat());
    }
    // The end of the stream was that of the flow.
    eventually("the next stream", || {
        peer.send(b"again").unwrap();
        std::thread::sleep(A_MOMENT / 10);
        answering.is_finished().then_some(())
    });
    drop(answering.join().unwrap());
    run.stop().status(0);
}

#[test]
fn dns_over_tcp_is_put_onto_udp() {
    let (server, endpoint) = target();
    let run = relay([
        "tcp:0:127.0.0.1",
        &endpoint,
        "--framing",
        "length",
        "--udp-idle",
        "500ms",
    ]);
    let mut client = dial(run.address());
    for piece in [framed(b"one"), framed(b""), framed(&[7; 20_000])]
        .concat()
        .chunks(999)
    {
        client.write_all(piece).unwrap();
    }
    for expected in [&b"one"[..], b"", &[7; 20_000]] {
        let mut bytes = vec![0; 65_536];
        let (length, from) = server.recv_from(&mut bytes).unwrap();
        assert!(bytes[..length] == *expected);
        server.send_to(&bytes[..length], from).unwrap();
    }
    // Nothing more comes from the client, and the answers do.
    client.shutdown(Shutdown::Write).unwrap();
    let expected = [framed(b"one"), framed(b""), framed(&[7; 20_000])].concat();
    assert!(read_all(&client) == expected);
    run.stop().status(0);
}

#[test]
fn lines_are_datagrams_and_datagrams_lines() {
    let (server, tcp) = listener();
    let (target, udp) = target();
    let run = relay(["udp:0:127.0.0.1", &tcp, "--framing", "line"]);
    let peer = peer(run.address());
    for message in [&b"hello"[..], b"with its end\n", b""] {
        peer.send(message).unwrap();
    }
    let mut stream = accept(&server);
    assert_eq!(read(&stream, 20), b"hello\nwith its end\n\n");
    stream.write_all(b"one\r\ntwo\n\nthr").unwrap();
    stream.write_all(b"ee").unwrap();
    stream.shutdown(Shutdown::Write).unwrap();
    for expected in [&b"one"[..], b"two", b"", b"three"] {
        assert_eq!(heard(&peer), expected);
    }
    assert_eq!(read_all(&stream), b"");
    run.stop().status(0);
    let run = relay([
        "tcp:0:127.0.0.1",
        &udp,
        "--framing",
        "line",
        "--udp-idle",
        "300ms",
    ]);
    let mut client = dial(run.address());
    client.write_all(b"a line\nand no end").unwrap();
    client.shutdown(Shutdown::Write).unwrap();
    assert_eq!(
        (heard(&target), heard(&target)),
        (b"a line".to_vec(), b"and no end".to_vec())
    );
    assert_eq!(read_all(&client), b"");
    run.stop().status(0);
}

#[test]
fn what_is_framed_wrongly_is_told_and_ends_its_connection_alone() {
    let (target, endpoint) = target();
    let run = relay(["-v", "tcp:0:127.0.0.1", &endpoint, "--framing", "length"]);
    let mut other = dial(run.address());
    let mut client = dial(run.address());
    client.write_all(b"\0\x05abc").unwrap();
    client.shutdown(Shutdown::Write).unwrap();
    assert_gone(&client);
    let name = client.local_addr().unwrap();
    run.await_stderr(&format!(
        "warning: {name}: the stream ended within a frame, after 3 of 5 bytes"
    ));
    let mut client = dial(run.address());
    client
        .write_all(&[&65_508_u16.to_be_bytes()[..], b"x"].concat())
        .unwrap();
    assert_gone(&client);
    run.await_stderr("a frame of 65508 bytes");
    other.write_all(&framed(b"well")).unwrap();
    assert_eq!(heard(&target), b"well");
    run.stop().status(0);
    let run = relay(["tcp:0:127.0.0.1", &endpoint, "--framing", "line"]);
    let mut client = dial(run.address());
    // It is not kept whole before it is refused.
    let mut sent = 0;
    while sent < 100 << 20 {
        match client.write(&[b'x'; 100_000]) {
            Ok(length) => sent += length,
            Err(_) => break,
        }
    }
    assert!(sent < 100 << 20);
    run.await_stderr("a line of more than 65507 bytes");
    assert_silent(&target);
    run.stop().status(0);
}

#[test]
fn a_flow_that_expires_ends_its_stream() {
    let (server, endpoint) = listener();
    let run = relay([
        "udp:0:127.0.0.1",
        &endpoint,
        "--framing",
        "line",
        "--udp-idle",
        "200ms",
    ]);
    peer(run.address()).send(b"x").unwrap();
    let stream = accept(&server);
    assert_eq!(read_all(&stream), b"x\n");
    run.stop().status(0);
}

#[test]
fn a_stream_that_takes_nothing_loses_its_own_datagrams_only() {
    let (server, endpoint) = listener();
    let run = relay(["udp:0:127.0.0.1", &endpoint, "--framing", "length"]);
    let (stalled, quick) = (peer(run.address()), peer(run.address()));
    stalled.send(b"first").unwrap();
    let held = accept(&server);
    quick.send(b"q").unwrap();
    let open = accept(&server);
    assert_eq!(read_frame(&open), b"q");
    let chunk = noise(60_000);
    for round in 0..400_u16 {
        stalled.send(&chunk).unwrap();
        if round % 20 == 0 {
            quick.send(&round.to_be_bytes()).unwrap();
            assert_eq!(read_frame(&open), round.to_be_bytes());
        }
    }
    assert!(resident(&run) < 100 << 20, "{} bytes", resident(&run));
    drop(held);
    run.stop().status(0);
}

/// Bytes of memory that it has, from /proc/PID/status.
fn resident(run: &Run) -> usize {
    let status = std::fs::read_to_string(run.proc("status")).unwrap();
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))
        .unwrap();
    line.trim().trim_end_matches(" kB").parse::<usize>().unwrap() * 1024
}

#[test]
fn a_flood_of_peers_has_its_bounds() {
    // One that answers nobody, and one that cannot be had before its time is over.
    let (_held, deaf) = crate::harness::peer::deaf();
    let (_target, silent) = target();
    for args in [
        &[&silent[..]][..],
        &[&format!("tcp:{deaf}"), "--framing", "length"],
    ] {
        let run = netkit([&["relay", "udp:0:127.0.0.1", "--max-flows", "16"], args].concat()).start();
        let to = run.address();
        let before = (resident(&run), run.descriptors());
        for round in 0..4000_u32 {
            let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
            socket.send_to(&[0; 1000], to).unwrap();
            if round % 500 == 499 {
                // The socket of an evicted flow is closed by its own task.
                eventually("descriptors to be given back", || {
                    (run.descriptors() <= before.1 + 17).then_some(())
                });
            }
        }
        let grown = resident(&run).saturating_sub(before.0);
        assert!(grown < 24 << 20, "{grown} bytes");
        run.await_stderr("more than 16 peers at a time");
        run.stop().status(0);
    }
}

#[test]
fn a_proxy_header_says_that_it_was_udp() {
    let (server, endpoint) = listener();
    for (version, expected) in [("", None), ("version=1:", Some(&b"PROXY UNKNOWN\r\n"[..]))] {
        let to = format!("haproxy:{version}{endpoint}");
        let run = relay(["udp:0:127.0.0.1", &to, "--framing", "length"]);
        let peer = peer(run.address());
        peer.send(b"x").unwrap();
        let stream = accept(&server);
        match expected {
            Some(line) => assert_eq!(read(&stream, line.len()), line),
            None => {
                let head = read(&stream, 16);
                // AF_INET, DGRAM (section 2.2).
                assert_eq!(head[13], 0x12);
                let rest = read(&stream, usize::from(u16::from_be_bytes([head[14], head[15]])));
                assert_eq!(rest[8..10], peer.local_addr().unwrap().port().to_be_bytes());
            }
        }
        assert_eq!(read_frame(&stream), b"x");
        run.stop().status(0);
    }
    netkit(["relay", "udp:0", "haproxy:udp:localhost:1"])
        .run()
        .status(2)
        .mentions("haproxy needs a stream of bytes, and udp carries datagrams");
}

#[test]
fn a_stream_target_that_is_down_is_told_and_found_when_it_is_up() {
    let (held, nobody) = crate::harness::peer::refusing();
    let run = relay(["udp:0:127.0.0.1", &format!("tcp:{nobody}"), "--framing", "line"]);
    let peer = peer(run.address());
    peer.send(b"x").unwrap();
    run.await_stderr("connection refused");
    drop(held);
    let _echo = serve(["echo", &format!("tcp:{}:127.0.0.1", nobody.port())]);
    peer.set_read_timeout(Some(A_MOMENT)).unwrap();
    eventually("an answer", || {
        peer.send(b"now?").unwrap();
        peer.recv(&mut [0; 9]).ok()
    });
    run.stop().status(0);
}

#[test]
fn kinds_may_be_mixed_on_either_side() {
    let echo = serve(["echo", "tcp:0:127.0.0.1"]);
    let run = netkit([
        "relay",
        "tcp:0:127.0.0.1",
        "udp:0:127.0.0.1",
        "--to",
        &echo.endpoint(),
        "--framing",
        "line",
    ])
    .start();
    let endpoints = run.endpoints(2);
    assert_answers(&peer(address(&endpoints[1])), b"hello");
    connect([&endpoints[0]])
        .input("no lines")
        .run()
        .status(0)
        .wrote("no lines");
    run.stop().status(0);
}

#[test]
fn what_is_typed_wrong_is_said() {
    let wrong = |args: &[&str]| netkit([&["relay"], args].concat()).run().status(2);
    wrong(&["udp:0", "tcp:localhost:1"])
        .said(concat!(
            "error: could not relay: udp:0 carries datagrams and tcp:localhost:1 bytes\n",
            "help: --framing says how datagrams lie among bytes: `--framing length` puts two bytes before each, as DNS ",
            "over TCP does, `--framing line` makes each a line\n",
        ));
    wrong(&["tcp:0", "udp:0", "--to", "udp:localhost:1"])
        .mentions("tcp:0 carries bytes and udp:localhost:1 datagrams");
    wrong(&["tcp:0", "tcp:localhost:1", "--framing", "line"]).mentions("--framing means nothing here");
    wrong(&["udp:0", "udp:localhost:1", "--framing", "line"]).mentions("--framing means nothing here");
    wrong(&["tcp:0", "tcp:localhost:1", "--udp-idle", "1s"]).mentions("--udp-idle means nothing here");
    wrong(&[
        "tcp:0",
        "udp:localhost:1",
        "--framing",
        "line",
        "--max-flows",
        "1",
    ])
    .mentions("--max-flows means nothing here");
    wrong(&["udp:0", "udp:localhost:1", "--max-flows", "0"]).mentions("--max-flows");
    wrong(&["udp:0", "udp:localhost:1", "--framing", "words"]).mentions("length, line");
}

#[test]
fn socat_is_a_peer_and_a_target() {
    let Some(socat) = installed(&["socat"]) else {
        return;
    };
    let (_held, to) = reserved(Type::DGRAM);
    let bind = format!("UDP-LISTEN:{},bind=127.0.0.1,reuseaddr", to.port());
    let server = program(socat, [&bind, "PIPE"]).start();
    let port = format!(":{:04X} ", to.port());
    eventually("socat to bind", || {
        let table = std::fs::read_to_string("/proc/net/udp").unwrap();
        (table.lines().filter(|line| line.contains(&port)).count() > 1).then_some(())
    });
    let run = relay(["udp:0:127.0.0.1", &format!("udp:{to}")]);
    let mut client = program(socat, ["-", &format!("UDP:{}", run.address())]).start();
    client.write("hello\n");
    client.await_stdout("hello\n");
    client.end_input();
    client.wait().status(0);
    run.stop().status(0);
    server.signal(Signal::TERM);
    server.wait();
}
