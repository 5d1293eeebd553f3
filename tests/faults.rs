//! A server when things run short or break off: descriptors, clients that vanish, a stop in the middle of it all.
//! Absent: failures of a single client run.

use std::io::{Read, Write};
use std::net::{TcpStream, UdpSocket};
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

use crate::harness::peer::{ask, assert_echo, assert_gone, dial, read, reset};
use rustix::process::Signal;

use crate::harness::{A_MOMENT, PATIENCE, Run, address, contains, eventually, netkit, netkit_after, serve};

/// A server that may have 64 descriptors.
fn short_of_descriptors(args: &[&str]) -> Run {
    let args = ["serve", "echo", "tcp:0:127.0.0.1"].iter().chain(args);
    netkit_after("ulimit -n 64", "", args).start()
}

/// Whether the server has answered this client's byte.
fn is_served(client: &TcpStream) -> bool {
    client.set_nonblocking(true).unwrap();
    let peeked = client.peek(&mut [0]);
    client.set_nonblocking(false).unwrap();
    matches!(peeked, Ok(1))
}

fn clients(server: &Run, count: usize) -> Vec<TcpStream> {
    let address = server.address();
    (0..count)
        .map(|_| {
            let mut client = dial(address);
            client.write_all(b"x").unwrap();
            client
        })
        .collect()
}

#[test]
fn without_descriptors_it_waits_serves_on_and_recovers() {
    let server = short_of_descriptors(&[]);
    let mut waiting = clients(&server, 200);
    server.await_stderr("too many open files");
    // Those that got in are served all the while.
    let served = |waiting: &[TcpStream]| waiting.iter().filter(|client| is_served(client)).count();
    let first = eventually("the first clients to be served", || {
        let count = served(&waiting);
        (count >= 40).then_some(count)
    });
    assert!(first < 64, "{first} connections with 64 descriptors");
    let oldest = waiting.iter_mut().find(|client| is_served(client)).unwrap();
    assert_eq!(read(&*oldest, 1), b"x");
    assert_echo(oldest, b"served in the shortage");
    oldest.write_all(b"x").unwrap();
    // It waits rather than spins.
    let before = server.cpu();
    std::thread::sleep(5 * A_MOMENT);
    let used = server.cpu() - before;
    assert!(
        used <= Duration::from_millis(150),
        "it used {used:?} in a second of shortage"
    );
    // As clients leave, others get in, to the last one.
    while !waiting.is_empty() {
        let client = eventually("the next client to be served", || {
            let at = waiting.iter().position(is_served)?;
            Some(waiting.swap_remove(at))
        });
        assert_eq!(read(&client, 1), b"x");
    }
    assert_eq!(
        ask(server.address(), b"as if nothing had been"),
        b"as if nothing had been"
    );
    let outcome = server.stop().status(0);
    // A shortage is said, but not once per client.
    assert!(outcome.stderr.lines().count() < 20, "{}", outcome.stderr);
    assert!(!outcome.stderr.contains("panicked"), "{}", outcome.stderr);
}

#[test]
fn a_relay_takes_in_those_alone_whom_it_can_connect() {
    let echo = serve(["echo", "tcp:0:127.0.0.1", "udp:0:127.0.0.1"]);
    let targets = echo.endpoints(2);
    let relay = |from: &str, to: &str, flags: &[&str]| {
        let args = [&["relay", from, to], flags].concat();
        netkit_after("ulimit -n 64", "", args)
            .stdin(Stdio::null())
            .start()
    };
    let streams = relay("tcp:0:127.0.0.1", &targets[0], &["--max-connections", "100"]);
    streams.await_stderr("there are descriptors for 1");
    let mut waiting = clients(&streams, 100);
    // A good part at once.
    eventually("the first clients to be served", || {
        (waiting.iter().filter(|client| is_served(client)).count() >= 10).then_some(())
    });
    // The others wait, and none is let down.
    while !waiting.is_empty() {
        let client = eventually("the next client to be served", || {
            let at = waiting.iter().position(is_served)?;
            Some(waiting.swap_remove(at))
        });
        assert_eq!(read(&client, 1), b"x");
    }
    let said = streams.stop().status(0).stderr;
    assert!(!said.contains("could not connect"), "{said}");
    // Of flows the oldest makes room.
    let datagrams = relay("udp:0:127.0.0.1", &targets[1], &[]);
    let to = address(&datagrams.endpoint());
    let peers: Vec<_> = (0..100)
        .map(|_| {
            let peer = UdpSocket::bind("127.0.0.1:0").unwrap();
            peer.set_read_timeout(Some(PATIENCE)).unwrap();
            peer.connect(to).unwrap();
            peer.send(b"x").unwrap();
            assert_eq!(peer.recv(&mut [0; 2]).unwrap(), 1);
            peer
        })
        .collect();
    peers[0].send(b"again").unwrap();
    assert_eq!(peers[0].recv(&mut [0; 9]).unwrap(), 5);
    let said = datagrams.stop().status(0).stderr;
    assert!(!said.contains("too many open files"), "{said}");
}

#[test]
fn a_stop_in_the_shortage_is_a_stop() {
    let server = short_of_descriptors(&["--grace", "200ms"]);
    let waiting = clients(&server, 200);
    server.await_stderr("too many open files");
    server.stop().status(0);
    for client in &waiting {
        let mut client = client;
        let mut rest = Vec::new();
        // Served or not, each is let go: its end, or a reset where it was never accepted.
        let _ = client.read_to_end(&mut rest);
        assert!(rest.len() <= 1);
    }
}

#[test]
fn clients_that_reset_are_forgotten() {
    let server = short_of_descriptors(&[]);
    for _ in 0..10 {
        // More in all than there are descriptors: none may be left behind.
        for client in clients(&server, 10) {
            reset(client);
        }
    }
    assert_echo(&mut dial(server.address()), b"served on");
    let outcome = server.stop().status(0);
    assert!(!outcome.stderr.contains("error"), "{}", outcome.stderr);
}

#[test]
fn a_stop_under_load_is_clean() {
    let server = netkit([
        "serve",
        "echo",
        "--grace",
        "300ms",
        "--workers",
        "2",
        "tcp:0:127.0.0.1",
    ])
    .start();
    let address = server.address();
    let flowing = Arc::new(AtomicUsize::new(0));
    let loads: Vec<_> = (0..8)
        .map(|_| {
            let flowing = Arc::clone(&flowing);
            std::thread::spawn(move || {
                let stream = dial(address);
                let mut writer = stream.try_clone().unwrap();
                let feeder = std::thread::spawn(move || while writer.write_all(&[7; 10_000]).is_ok() {});
                let mut got = 0_usize;
                let mut buffer = vec![0; 1 << 16];
                while let Ok(length @ 1..) = (&stream).read(&mut buffer) {
                    assert!(buffer[..length].iter().all(|byte| *byte == 7));
                    if got == 0 {
                        flowing.fetch_add(1, Relaxed);
                    }
                    got += length;
                }
                drop(stream);
                feeder.join().unwrap();
                got
            })
        })
        .collect();
    eventually("all connections to flow", || {
        (flowing.load(Relaxed) == 8).then_some(())
    });
    let outcome = server.stop().status(0);
    assert!(!outcome.stderr.contains("panicked"), "{}", outcome.stderr);
    for load in loads {
        assert!(load.join().unwrap() > 0);
    }
}

#[test]
fn a_client_that_never_reads_holds_up_nobody() {
    let server = netkit(["serve", "echo", "tcp:0:127.0.0.1"]).start();
    let mut mute = dial(server.address());
    mute.set_write_timeout(Some(A_MOMENT)).unwrap();
    // Until no more is taken: its answers wait in the buffers in between.
    while mute.write(&[0; 100_000]).is_ok() {}
    assert_echo(&mut dial(server.address()), b"never mind");
    let before = server.cpu();
    std::thread::sleep(2 * A_MOMENT);
    assert!(
        server.cpu() - before <= Duration::from_millis(50),
        "it spins on a client that does not read"
    );
    mute.set_write_timeout(Some(PATIENCE)).unwrap();
    reset(mute);
    assert_echo(&mut dial(server.address()), b"never mind");
    server.stop().status(0);
}

#[test]
fn a_hundred_clients_at_once_get_their_own_answers() {
    let server = netkit(["serve", "echo", "--workers", "2", "tcp:0:127.0.0.1"]).start();
    let mut clients: Vec<_> = (0..100_u8)
        .map(|number| (number, dial(server.address())))
        .collect();
    for (number, client) in &mut clients {
        client.write_all(&[*number; 1000]).unwrap();
    }
    for (number, client) in &clients {
        assert_eq!(read(client, 1000), [*number; 1000]);
    }
    server.signal(Signal::TERM);
    for (_, client) in clients {
        client.shutdown(std::net::Shutdown::Write).unwrap();
        assert_gone(&client);
    }
    server.wait().status(0);
}

#[test]
fn too_few_descriptors_to_start_is_one_clear_line() {
    for limit in 4..24 {
        let limits = format!("ulimit -n {limit}");
        let server = netkit_after(
            &limits,
            "",
            ["serve", "echo", "tcp:0:127.0.0.1", "--workers", "2"],
        )
        .start();
        eventually("a failure or a server", || {
            let serves = contains(&server.stderr.so_far(), b"listening on");
            (serves || server.has_ended()).then_some(())
        });
        if !server.has_ended() {
            server.signal(Signal::TERM);
        }
        let outcome = server.wait();
        assert!([0, 1, 7].contains(&outcome.status), "{limit}: {outcome:?}");
        let failures: Vec<_> = outcome
            .stderr
            .lines()
            .filter(|line| !line.starts_with("listening on"))
            .collect();
        assert!(
            failures.len() <= 1 && failures.iter().all(|line| line.starts_with("error: ")),
            "{limit}: {outcome:?}"
        );
    }
}

#[test]
fn a_client_with_too_few_descriptors_fails_in_one_clear_line() {
    let server = serve(["qotd", "tcp:0:127.0.0.1"]);
    for limit in 4..24 {
        let outcome = netkit_after(&format!("ulimit -n {limit}"), "", ["connect", &server.endpoint()]).run();
        assert!([0, 1, 3].contains(&outcome.status), "{limit}: {outcome:?}");
        assert!(
            outcome.status == 0 || outcome.stderr.lines().count() == 1,
            "{limit}: {outcome:?}"
        );
    }
}
