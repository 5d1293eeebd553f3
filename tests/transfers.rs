//! Transfers that break at one point or another: what was passed on is what came before, all of it and once, and the status
//! tells what broke.
//! Absent: which way bulk takes, and ends in good order.

use std::io::{ErrorKind, Read, Write};
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::net::SendFlags;
use rustix::process::Signal;
use socket2::SockRef;

use crate::harness::peer::{accept, assert_echo, dial, hash, listener, noise, read, refusing, reset};
use crate::harness::{A_MOMENT, connect, eventually, file_of, netkit, netkit_after, serve};

/// In the first read, at the edges of buffers and pipes, and in the middle of bulk.
const POINTS: [usize; 6] = [0, 1, 4096, 65_537, 1_048_576, 3_000_001];

/// More than what comes before any of them, and all that fits into buffers besides.
const ALL: usize = 24_000_000;

/// Bytes that the far end's kernel has not confirmed.
fn unacknowledged(peer: &TcpStream) -> usize {
    queued([peer.local_addr().unwrap(), peer.peer_addr().unwrap()])
}

/// Bytes that the far end has sent and our kernel has not confirmed.
fn unacknowledged_to(peer: &TcpStream) -> usize {
    queued([peer.peer_addr().unwrap(), peer.local_addr().unwrap()])
}

/// What the kernel has to send from the first of these ends to the other one.
fn queued(ends: [SocketAddr; 2]) -> usize {
    let end = |address: SocketAddr| match address.ip() {
        IpAddr::V4(ip) => format!("{:08X}:{:04X}", u32::from(ip).swap_bytes(), address.port()),
        IpAddr::V6(_) => panic!("IPv4 is used here"),
    };
    let ends = ends.map(end);
    let table = std::fs::read_to_string("/proc/net/tcp").unwrap();
    let mut rows = table
        .lines()
        .map(|row| row.split_whitespace().collect::<Vec<_>>());
    let row = rows.find(|row| row[1..3] == ends).unwrap();
    let (queued, _) = row[4].split_once(':').unwrap();
    usize::from_str_radix(queued, 16).unwrap()
}

/// Sends it all, as far as it is taken.
fn flood(mut peer: TcpStream) -> std::thread::JoinHandle<()> {
    std::thread::spawn(move || drop(peer.write_all(&noise(ALL))))
}

#[track_caller]
fn assert_begins(got: &[u8], length: usize) {
    assert_eq!(got.len(), length);
    assert_eq!(hash(got), hash(&noise(ALL)[..length]));
}

#[test]
fn a_file_that_takes_no_more_has_all_that_fits() {
    /// What `ulimit -f` counts in.
    const BLOCK: usize = 512;
    let directory = tempfile::tempdir().unwrap();
    for point in POINTS {
        let blocks = point / BLOCK;
        let path = directory.path().join(point.to_string());
        let (target, endpoint) = listener();
        let client = netkit_after(
            &format!("trap '' XFSZ; ulimit -f {blocks}"),
            "> \"$OUT\"",
            ["connect", "--no-stdin", &endpoint],
        )
        .env("OUT", &path)
        .start();
        let flooding = flood(accept(&target));
        client
            .wait()
            .status(1)
            .said("error: could not write standard output: file too large\n");
        assert_begins(&std::fs::read(&path).unwrap(), blocks * BLOCK);
        flooding.join().unwrap();
    }
}

#[test]
fn a_reader_that_leaves_has_got_what_it_read() {
    for point in POINTS {
        let (target, endpoint) = listener();
        let (reader, writer) = std::io::pipe().unwrap();
        let client = connect(["--no-stdin", &endpoint]).stdout(writer).start();
        let flooding = flood(accept(&target));
        assert_begins(&read(&reader, point), point);
        drop(reader);
        client.wait().status(0).said("");
        flooding.join().unwrap();
    }
}

/// Waits until a file has so many bytes.
fn await_length(path: &Path, length: usize) {
    eventually("the file to be written", || {
        (std::fs::metadata(path).is_ok_and(|file| file.len() >= length as u64)).then_some(())
    });
}

#[test]
fn what_came_before_a_reset_is_written() {
    let directory = tempfile::tempdir().unwrap();
    for point in POINTS {
        let (target, endpoint) = listener();
        let path = directory.path().join(point.to_string());
        let to_file = connect([&endpoint])
            .stdout(std::fs::File::create(&path).unwrap())
            .start();
        let mut peer = accept(&target);
        let (reader, writer) = std::io::pipe().unwrap();
        let to_pipe = connect([&endpoint]).stdout(writer).start();
        let mut other = accept(&target);
        peer.write_all(&noise(ALL)[..point]).unwrap();
        await_length(&path, point);
        reset(peer);
        other.write_all(&noise(ALL)[..point]).unwrap();
        let mut got = read(&reader, point);
        reset(other);
        (&reader).read_to_end(&mut got).unwrap();
        for client in [to_file, to_pipe] {
            client.wait().status(8).said(&format!(
                "error: lost the connection to {endpoint}: connection reset by the peer\n"
            ));
        }
        assert_begins(&std::fs::read(&path).unwrap(), point);
        assert_begins(&got, point);
    }
}

#[test]
fn a_peer_that_resets_while_it_is_sent_to_is_a_loss() {
    for point in POINTS {
        for from_file in [true, false] {
            let (target, endpoint) = listener();
            let client = match from_file {
                true => connect([&endpoint]).stdin(file_of(&noise(ALL))).start(),
                false => connect([&endpoint]).input(noise(ALL)).start(),
            };
            let peer = accept(&target);
            assert_begins(&read(&peer, point), point);
            reset(peer);
            let outcome = client.wait().status(8);
            assert!(
                outcome.stderr.starts_with("error: lost the connection to "),
                "{}",
                outcome.stderr
            );
        }
    }
}

#[test]
fn a_relay_passes_on_what_came_before_a_reset() {
    let (target, endpoint) = listener();
    let relay = netkit(["relay", "tcp:0:127.0.0.1", &endpoint]).start();
    for point in POINTS {
        for up in [true, false] {
            let client = dial(relay.address());
            let server = accept(&target);
            let (mut first, mut second) = if up { (client, server) } else { (server, client) };
            let mut writer = first.try_clone().unwrap();
            let writing = std::thread::spawn(move || writer.write_all(&noise(ALL)[..point]).unwrap());
            assert_begins(&read(&second, point), point);
            writing.join().unwrap();
            // The other way too, so that there is bulk in both.
            second.write_all(b"x").unwrap();
            first.read_exact(&mut [0]).unwrap();
            reset(first);
            let error = second.read(&mut [0]).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::ConnectionReset, "{point}");
        }
    }
    relay.stop().status(0);
}

#[test]
fn who_reads_slowly_gets_what_came_before_a_reset() {
    // More than one kernel holds, and less than those of the relay and the reader.
    const SENT: usize = 2_000_000;
    let (target, endpoint) = listener();
    let relay = netkit(["relay", "tcp:0:127.0.0.1", &endpoint]).start();
    for up in [true, false] {
        let client = dial(relay.address());
        let server = accept(&target);
        let (mut first, mut second) = if up { (client, server) } else { (server, client) };
        first.write_all(&noise(ALL)[..SENT]).unwrap();
        eventually("the relay to have it", || {
            (unacknowledged(&first) == 0).then_some(())
        });
        reset(first);
        let mut got = Vec::new();
        let mut piece = [0; 65_536];
        let error = loop {
            match second.read(&mut piece) {
                Ok(0) => panic!("an end after {} bytes", got.len()),
                Ok(read) => got.extend_from_slice(&piece[..read]),
                Err(error) => break error,
            }
            std::thread::sleep(Duration::from_millis(2));
        };
        assert_eq!(error.kind(), ErrorKind::ConnectionReset);
        assert_begins(&got, SENT);
    }
    relay.stop().status(0);
}

#[test]
fn who_leaves_a_download_is_not_waited_for() {
    let (target, endpoint) = listener();
    let relay = netkit(["relay", "--once", "tcp:0:127.0.0.1", &endpoint]).start();
    let client = dial(relay.address());
    let flooding = flood(accept(&target));
    // So much that a part of it is not taken by any kernel; all that is unread makes its end a reset.
    read(&client, 1_048_576);
    eventually("much to be under way", || {
        (unacknowledged_to(&client) > 0).then_some(())
    });
    drop(client);
    let start = Instant::now();
    relay.wait().status(8).mentions("reset by the peer");
    assert!(start.elapsed() < Duration::from_secs(10));
    flooding.join().unwrap();
}

#[test]
fn a_reset_in_the_middle_of_what_a_pipe_gives_is_a_loss() {
    // Where exactly it comes is up to the kernels.
    for _ in 0..20 {
        let (listener, endpoint) = listener();
        let (from, mut to) = std::io::pipe().unwrap();
        let client = connect([&endpoint]).stdin(from).start();
        let feeding = std::thread::spawn(move || drop(to.write_all(&noise(ALL))));
        let peer = accept(&listener);
        read(&peer, 3_000_001);
        reset(peer);
        client.wait().status(8);
        feeding.join().unwrap();
    }
}

#[test]
fn an_answer_arrives_although_its_end_left_more_unread() {
    const ANSWER: usize = 1_000_000;
    let (target, endpoint) = listener();
    let relay = netkit(["relay", "tcp:0:127.0.0.1", &endpoint]).start();
    let mut client = dial(relay.address());
    // So that most of the answer waits in the relay.
    SockRef::from(&client).set_recv_buffer_size(16 * 1024).unwrap();
    client.write_all(b"?").unwrap();
    let mut server = accept(&target);
    read(&server, 1);
    server.write_all(&noise(ALL)[..ANSWER]).unwrap();
    eventually("the answer in the relay", || {
        (unacknowledged(&server) == 0).then_some(())
    });
    // An end in good order: nothing is unread yet.
    drop(server);
    let sending = flood(client.try_clone().unwrap());
    let mut got = vec![0; ANSWER];
    for piece in got.chunks_mut(10_000) {
        client.read_exact(piece).unwrap();
        std::thread::sleep(Duration::from_millis(2));
    }
    assert_begins(&got, ANSWER);
    drop(client);
    sending.join().unwrap();
    relay.stop().status(0);
}

#[test]
fn urgent_data_stops_nothing() {
    let (target, endpoint) = listener();
    let relay = netkit(["relay", "tcp:0:127.0.0.1", &endpoint]).start();
    let client = dial(relay.address());
    let server = accept(&target);
    let sending = std::thread::spawn(move || {
        let bytes = noise(ALL);
        let (before, after) = bytes.split_at(ALL / 2);
        (&client).write_all(before).unwrap();
        rustix::net::send(&client, b"!", SendFlags::OOB).unwrap();
        (&client).write_all(after).unwrap();
    });
    assert_begins(&read(&server, ALL), ALL);
    sending.join().unwrap();
    relay.stop().status(0);
}

#[test]
fn what_is_behind_urgent_data_does_not_wait_for_more() {
    for (inherited, blocks) in [(false, true), (true, true), (true, false)] {
        let (target, endpoint) = listener();
        let (_relay, client) = if inherited {
            let (door, _) = listener();
            let client = dial(door.local_addr().unwrap());
            let near = accept(&door);
            near.set_nonblocking(!blocks).unwrap();
            let relay = connect([&endpoint])
                .stdin(std::os::fd::OwnedFd::from(near))
                .start();
            (relay, client)
        } else {
            let relay = netkit(["relay", "tcp:0:127.0.0.1", &endpoint]).start();
            let client = dial(relay.address());
            (relay, client)
        };
        let server = accept(&target);
        // All is queued by the time that it is passed on.
        client.set_write_timeout(Some(A_MOMENT)).unwrap();
        let mut sent = 0;
        while let Ok(length) = (&client).write(&[0; 65_536]) {
            sent += length;
        }
        client.set_write_timeout(None).unwrap();
        assert!(sent > 2_000_000, "{sent} bytes are no bulk");
        read(&server, 2_000_000);
        (&client).write_all(&[1; 100_000]).unwrap();
        rustix::net::send(&client, b"!", SendFlags::OOB).unwrap();
        (&client).write_all(&[2; 100_000]).unwrap();
        let got = read(&server, sent - 2_000_000 + 200_000);
        assert!(
            got.ends_with(&[2; 100_000]),
            "inherited: {inherited}, blocks: {blocks}"
        );
    }
}

#[test]
fn a_pair_ends_with_a_pipe_that_nobody_reads() {
    let (reader, writer) = std::io::pipe().unwrap();
    let args = ["relay", "--once", "tcp:0:127.0.0.1", "fd:3"];
    let relay = netkit_after("", "3>&1 1>/dev/null", args).stdout(writer).start();
    let mut client = dial(relay.address());
    client.write_all(b"taken").unwrap();
    assert_eq!(read(&reader, 5), b"taken");
    drop(reader);
    client.write_all(b"not taken").unwrap();
    relay.wait().status(0);
}

#[test]
fn a_relay_told_to_stop_lets_transfers_finish() {
    let echo = serve(["echo", "tcp:0:127.0.0.1"]);
    let relay = netkit(["relay", "tcp:0:127.0.0.1", &echo.endpoint(), "--grace", "60s"]).start();
    let address = relay.address();
    let mut transfers: Vec<_> = (0..8).map(|_| dial(address)).collect();
    for client in &mut transfers {
        assert_echo(client, b"under way");
    }
    relay.signal(Signal::TERM);
    let transfers: Vec<_> = transfers
        .into_iter()
        .map(|client| {
            std::thread::spawn(move || {
                let flooding = {
                    let mut writer = client.try_clone().unwrap();
                    std::thread::spawn(move || {
                        writer.write_all(&noise(ALL)).unwrap();
                        writer.shutdown(std::net::Shutdown::Write).unwrap();
                    })
                };
                let mut got = Vec::new();
                (&client).read_to_end(&mut got).unwrap();
                assert_begins(&got, ALL);
                flooding.join().unwrap();
            })
        })
        .collect();
    for transfer in transfers {
        transfer.join().unwrap();
    }
    relay.wait().status(0);
}

#[test]
fn a_target_that_was_down_and_then_resets_is_found_at_once_when_it_is_well() {
    let (target, nobody) = refusing();
    let relay = netkit(["relay", "tcp:0:127.0.0.1", &format!("tcp:{nobody}")]).start();
    let lost = |mut client: TcpStream| {
        // The reset comes at once, or when something is said.
        let _ = client.write_all(b"x");
        let error = client.read(&mut [0]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConnectionReset);
    };
    lost(dial(relay.address()));
    relay.await_stderr("connection refused");
    target.listen(8).unwrap();
    let target = std::net::TcpListener::from(target);
    let client = dial(relay.address());
    reset(target.accept().unwrap().0);
    lost(client);
    let mut client = dial(relay.address());
    let mut well = target.accept().unwrap().0;
    client.write_all(b"well?").unwrap();
    assert_eq!(read(&well, 5), b"well?");
    well.write_all(b"yes").unwrap();
    assert_eq!(read(&client, 3), b"yes");
}
