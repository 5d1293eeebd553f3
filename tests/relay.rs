//! `relay`: every accepted connection gets one of its own to a target; half-closes, resets and failures are passed on.
//! Absent: what TLS and PROXY headers are tested for elsewhere.

use std::io::{Read, Write};
use std::net::Shutdown;
use std::sync::Arc;

use rustix::process::Signal;

use crate::harness::peer::{
    accept, assert_echo, assert_gone, assert_silent, dial, hash, listener, noise, read, read_all, refusing,
    reset,
};
use crate::harness::{Run, connect, eventually, netkit, serve};

fn relay<const N: usize>(args: [&str; N]) -> Run {
    netkit([&["relay"], &args[..]].concat()).start()
}

#[test]
fn every_kind_of_stream_is_forwarded_to_every_other() {
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| format!("unix:{}", directory.path().join(name).display());
    let echo = serve([
        "echo",
        "tcp:0:127.0.0.1",
        &path("echo"),
        "haproxy:tcp:0:127.0.0.1",
    ]);
    for (number, target) in echo.endpoints(3).iter().enumerate() {
        let relay = relay([
            "tcp:0:127.0.0.1",
            &path(&format!("relay{number}")),
            "--to",
            target,
        ]);
        for endpoint in relay.endpoints(2) {
            let sent = noise(3_000_000);
            let outcome = connect([&endpoint]).input(&sent[..]).run().status(0);
            assert_eq!(hash(&outcome.stdout), hash(&sent), "{endpoint} to {target}");
        }
        relay.stop().status(0);
    }
}

#[test]
fn each_direction_ends_on_its_own() {
    let (target, endpoint) = listener();
    let relay = relay(["tcp:0:127.0.0.1", &endpoint]);
    for client_first in [true, false] {
        let mut client = dial(relay.address());
        let mut server = accept(&target);
        let (first, second) = match client_first {
            true => (&mut client, &mut server),
            false => (&mut server, &mut client),
        };
        first.write_all(b"all that I have to say").unwrap();
        first.shutdown(Shutdown::Write).unwrap();
        assert_eq!(read_all(&*second), b"all that I have to say");
        // The other goes on for as long as it likes.
        let more = noise(500_000);
        let sent = more.clone();
        let mut writer = second.try_clone().unwrap();
        let writing = std::thread::spawn(move || {
            writer.write_all(&sent).unwrap();
            writer.shutdown(Shutdown::Write).unwrap();
        });
        assert_eq!(hash(&read_all(&*first)), hash(&more));
        writing.join().unwrap();
    }
    relay.stop().status(0);
}

#[test]
fn a_reset_becomes_a_reset() {
    let (target, endpoint) = listener();
    let relay = relay(["tcp:0:127.0.0.1", &endpoint]);
    for client_first in [true, false] {
        let client = dial(relay.address());
        let server = accept(&target);
        let (first, mut second) = if client_first {
            (client, server)
        } else {
            (server, client)
        };
        second.write_all(b"x").unwrap();
        assert_eq!(read(&first, 1), b"x");
        reset(first);
        let error = std::io::Read::read(&mut second, &mut [0]).unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset);
    }
    relay.stop().status(0);
}

#[test]
fn a_target_that_cannot_be_had_costs_one_client_and_says_why() {
    let (_held, nobody) = refusing();
    let relay = relay(["tcp:0:127.0.0.1", &format!("tcp:{nobody}")]);
    for _ in 0..2 {
        // The reset comes when the connection stands or a moment before.
        let outcome = connect([relay.endpoint()]).run();
        assert!(matches!(outcome.status, 3 | 8), "{}", outcome.stderr);
    }
    relay
        .stop()
        .status(0)
        .mentions(&format!("could not connect to tcp:{nobody}: connection refused"));
}

#[test]
fn a_target_that_is_down_under_load_does_not_fill_the_log() {
    let (_held, nobody) = refusing();
    let relay = relay(["tcp:0:127.0.0.1", &format!("tcp:{nobody}")]);
    for _ in 0..60 {
        // The reset comes when the connection stands or a moment before.
        if let Ok(client) = std::net::TcpStream::connect(relay.address()) {
            assert_gone(&client);
        }
    }
    let outcome = relay.stop().status(0).mentions("the next are only counted");
    assert_eq!(outcome.stderr.matches("connection refused").count(), 20);
}

#[test]
fn the_next_target_is_tried_and_one_that_recovers_is_found() {
    let (held, nobody) = refusing();
    let echo = serve(["echo", "tcp:0:127.0.0.1"]);
    let (down, up) = (format!("tcp:{nobody}"), echo.endpoint());
    let relay = relay([
        "tcp:0:127.0.0.1",
        "--to",
        &down,
        "--to",
        &up,
        "--balance",
        "first",
    ]);
    for _ in 0..3 {
        assert_echo(&mut dial(relay.address()), b"hello");
    }
    relay.await_stderr("trying the next");
    echo.stop();
    drop(held);
    let _other = serve(["echo", &format!("tcp:{}:127.0.0.1", nobody.port())]);
    // All others are gone, so it is asked at once.
    assert_echo(&mut dial(relay.address()), b"hello");
    relay.stop().status(0);
}

#[test]
fn targets_take_turns() {
    let (one, two) = (listener(), listener());
    let relay = relay(["tcp:0:127.0.0.1", "--to", &one.1, "--to", &two.1]);
    let clients: Vec<_> = (0..4).map(|_| dial(relay.address())).collect();
    for target in [&one.0, &two.0, &one.0, &two.0] {
        accept(target).write_all(b"x").unwrap();
    }
    for client in &clients {
        assert_eq!(read(client, 1), b"x");
    }
    relay.stop().status(0);
}

#[test]
fn a_reader_that_stalls_stops_its_own_sender_alone() {
    let (target, endpoint) = listener();
    let relay = relay(["tcp:0:127.0.0.1", &endpoint]);
    let mut flood = dial(relay.address());
    let stalled = accept(&target);
    flood.set_nonblocking(true).unwrap();
    let chunk = noise(1 << 20);
    let mut taken = 0;
    // Until nothing more fits into all the buffers on the way.
    let mut refusals = 0;
    eventually("the sender to be stopped", || {
        match flood.write(&chunk) {
            Ok(length) => (taken, refusals) = (taken + length, 0),
            Err(error) => {
                assert_eq!(error.kind(), std::io::ErrorKind::WouldBlock);
                refusals += 1;
            }
        }
        (refusals > 20).then_some(())
    });
    assert!(taken < 64 << 20, "{taken} bytes are on the way");
    assert!(relay.memory_peak() < 64 << 20);
    let mut other = dial(relay.address());
    let mut echo = accept(&target);
    other.write_all(b"hello").unwrap();
    assert_eq!(read(&echo, 5), b"hello");
    echo.write_all(b"hi").unwrap();
    assert_eq!(read(&other, 2), b"hi");
    drop(stalled);
    relay.stop().status(0);
}

#[test]
fn small_things_and_large_ones_are_moved_whole() {
    let echo = serve(["echo", "tcp:0:127.0.0.1"]);
    let relay = relay(["tcp:0:127.0.0.1", &echo.endpoint()]);
    // Bulk and small talk in turns on one connection: what is spliced and what is copied stays in order.
    let client = dial(relay.address());
    for round in 0..6 {
        for length in [1, 100, 40_000, 1_000_000, 3, 700_000] {
            let sent = noise(length + round);
            let copy = sent.clone();
            let mut writer = client.try_clone().unwrap();
            let writing = std::thread::spawn(move || writer.write_all(&copy).unwrap());
            assert_eq!(hash(&read(&client, sent.len())), hash(&sent), "{length} bytes");
            writing.join().unwrap();
        }
    }
    client.shutdown(Shutdown::Write).unwrap();
    assert_gone(&client);
    relay.stop().status(0);
}

#[test]
fn nothing_is_left_of_a_thousand_connections() {
    let echo = serve(["echo", "tcp:0:127.0.0.1"]);
    let relay = relay(["tcp:0:127.0.0.1", &echo.endpoint()]);
    assert_echo(&mut dial(relay.address()), &noise(200_000));
    let settled = || {
        let mut before = relay.descriptors();
        eventually("descriptors to settle", || {
            let now = relay.descriptors();
            let settled = now == before;
            before = now;
            settled.then_some(now)
        })
    };
    let before = settled();
    for _ in 0..1000 {
        assert_echo(&mut dial(relay.address()), b"hello");
    }
    eventually("all connections to be gone", || {
        (relay.descriptors() <= before).then_some(())
    });
    relay.stop().status(0);
}

#[test]
fn connections_that_come_and_go_leave_long_transfers_alone() {
    let echo = serve(["echo", "tcp:0:127.0.0.1"]);
    let relay = relay(["tcp:0:127.0.0.1", &echo.endpoint()]);
    let address = relay.address();
    let all: Arc<[u8]> = noise(3_000_100).into();
    let long: Vec<_> = (0..100)
        .map(|number| {
            let all = Arc::clone(&all);
            std::thread::spawn(move || {
                let length = 3_000_000 + number;
                let client = dial(address);
                let (copy, mut writer) = (Arc::clone(&all), client.try_clone().unwrap());
                let writing = std::thread::spawn(move || {
                    writer.write_all(&copy[..length]).unwrap();
                    writer.shutdown(Shutdown::Write).unwrap();
                });
                assert_eq!(hash(&read_all(&client)), hash(&all[..length]));
                writing.join().unwrap();
            })
        })
        .collect();
    for number in 0..10_000 {
        let mut client = dial(address);
        match number % 3 {
            0 => assert_echo(&mut client, b"short"),
            1 => drop(client),
            _ => reset(client),
        }
    }
    for transfer in long {
        transfer.join().unwrap();
    }
    relay.stop().status(0);
}

#[test]
fn a_pair_on_which_nothing_moves_is_parted() {
    let (target, endpoint) = listener();
    let relay = relay(["-v", "tcp:0:127.0.0.1", &endpoint, "--idle-timeout", "300ms"]);
    let mut client = dial(relay.address());
    let server = accept(&target);
    client.write_all(b"x").unwrap();
    assert_eq!(read(&server, 1), b"x");
    assert_gone(&client);
    assert_gone(&server);
    relay.await_stderr("nothing moved for 300ms");
}

#[test]
fn the_status_of_the_only_connection_is_that_of_the_run() {
    let (target, endpoint) = listener();
    for lost in [true, false] {
        let relay = relay(["tcp:0:127.0.0.1", &endpoint, "--once"]);
        let client = dial(relay.address());
        let server = accept(&target);
        if lost {
            reset(server);
            let from = client.local_addr().unwrap();
            let why = "was not forwarded to its end: the target's: connection reset by the peer";
            relay
                .wait()
                .status(8)
                .mentions(&format!("\nerror: the connection from {from} {why}\n"));
        } else {
            drop((client, server));
            relay.wait().status(0);
        }
    }
    let relay_cut_off = relay(["tcp:0:127.0.0.1", &endpoint, "--once"]);
    let mut client = dial(relay_cut_off.address());
    let mut server = accept(&target);
    client.write_all(b"ask").unwrap();
    client.shutdown(Shutdown::Write).unwrap();
    server.read_to_end(&mut Vec::new()).unwrap();
    let answering = std::thread::spawn(move || server.write_all(&vec![0; 50_000_000]));
    client.read_exact(&mut [0; 10]).unwrap();
    reset(client);
    relay_cut_off
        .wait()
        .status(8)
        .mentions("connection reset by the peer");
    answering.join().unwrap().unwrap_err();

    let relay_idle = relay(["stdio", &endpoint, "--idle-timeout=50ms"]);
    let _server = accept(&target);
    relay_idle.wait().status(4).mentions("50ms");
    let relay_lost = relay(["stdio", &endpoint]);
    reset(accept(&target));
    relay_lost.wait().status(8);
    let (_held, refused) = refusing();
    relay(["-q", "stdio", &format!("tcp:{refused}")])
        .wait()
        .status(3)
        .said(&format!(
            "error: could not connect to tcp:{refused}: connection refused\n"
        ));
}

#[test]
fn a_stop_lets_pairs_finish() {
    let (target, endpoint) = listener();
    let relay = relay(["tcp:0:127.0.0.1", &endpoint]);
    let mut client = dial(relay.address());
    let mut server = accept(&target);
    client.write_all(b"before").unwrap();
    assert_eq!(read(&server, 6), b"before");
    relay.signal(Signal::TERM);
    crate::harness::peer::await_refusal(relay.address());
    server.write_all(b"after").unwrap();
    assert_eq!(read(&client, 5), b"after");
    assert_silent(&client);
    drop(server);
    drop(client);
    relay.wait().status(0);
}

#[test]
fn counts_are_right_whatever_way_bytes_take() {
    let echo = serve(["echo", "tcp:0:127.0.0.1"]);
    let relay = relay(["-v", "tcp:0:127.0.0.1", &echo.endpoint()]);
    let sent = noise(5_000_000);
    connect([relay.endpoint()])
        .input(&sent[..])
        .run()
        .status(0)
        .wrote(&sent);
    relay.await_stderr("received=5000000 sent=5000000");
    relay.stop().status(0);
}

#[test]
fn what_is_typed_wrong_is_said() {
    let wrong = |args: &[&str]| netkit([&["relay"], args].concat()).run().status(2);
    wrong(&["tcp:0"]).mentions("a server endpoint and a client endpoint");
    wrong(&["tcp:0", "tcp:1"]).mentions("needs host and port");
    wrong(&["tcp:0", "stdio"]).mentions("stdio");
}
