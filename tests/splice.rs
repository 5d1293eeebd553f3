//! Bulk that stays in the kernel: which way it takes, and that ends, failures and figures are those of any other way.
//! Absent: how fast it is.

use std::fs::OpenOptions;
use std::io::{Seek, Write};
use std::net::Shutdown;
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::process::Stdio;
use std::time::{Duration, Instant};

use rustix::fs::{OFlags, fcntl_getfl};
use rustix::process::{Resource, Rlimit, prlimit};

use crate::harness::peer::{accept, assert_gone, dial, hash, listener, noise, read, read_all, reset};
use crate::harness::{Run, connect, eventually, file_of, listen, netkit, netkit_after, serve};

/// More than all the buffers and pipes on a way hold.
const MUCH: usize = 20_000_000;

fn is_nonblocking(descriptor: impl AsFd) -> bool {
    fcntl_getfl(descriptor).unwrap().contains(OFlags::NONBLOCK)
}

#[test]
fn files_pipes_and_what_is_thrown_away_are_spliced() {
    let echo = serve(["echo", "tcp:0:127.0.0.1"]);
    let sent = noise(MUCH);
    let from_file = connect(["-v", &echo.endpoint()]).stdin(file_of(&sent)).run();
    let from_pipe = connect(["-v", &echo.endpoint()]).input(&sent[..]).run();
    for outcome in [from_file, from_pipe] {
        assert_eq!(hash(&outcome.stdout), hash(&sent));
        let outcome = outcome
            .status(0)
            .mentions(&format!("received={MUCH} sent={MUCH}"));
        let told: Vec<_> = outcome.stderr.matches("splicing").collect();
        assert_eq!(told.len(), 1, "{}", outcome.stderr);
    }
    connect(["-v", &echo.endpoint()])
        .stdin(file_of(&sent))
        .stdout(Stdio::null())
        .run()
        .status(0)
        .mentions("splicing")
        .mentions(&format!("received={MUCH} sent={MUCH}"));
}

#[test]
fn a_listener_and_a_unix_socket_splice_as_well() {
    let directory = tempfile::tempdir().unwrap();
    let path = format!("unix:{}", directory.path().join("s").display());
    let sent = noise(MUCH);
    let server = netkit(["listen", "-v", &path]).stdin(file_of(&sent)).start();
    let endpoint = server.endpoint();
    let outcome = connect([&endpoint]).input(&sent[..]).run().status(0);
    assert_eq!(hash(&outcome.stdout), hash(&sent));
    let outcome = server.wait().status(0).mentions("splicing");
    assert_eq!(hash(&outcome.stdout), hash(&sent));
}

#[test]
fn whatever_looks_on_or_changes_bytes_takes_them_through_a_buffer() {
    let echo = serve(["echo", "tcp:0:127.0.0.1"]);
    let bytes = noise(300_000);
    for option in ["--crlf", "--hexdump", "-vv"] {
        let outcome = connect(["-v", option, &echo.endpoint()])
            .stdin(file_of(&bytes))
            .run()
            .status(0)
            .mentions("through a buffer, as TLS or another layer, or a tap, is in between");
        assert!(outcome.stdout.len() >= bytes.len());
    }
}

#[test]
fn a_file_is_written_through_a_buffer_and_may_be_appended_to() {
    let echo = serve(["echo", "tcp:0:127.0.0.1"]);
    let sent = noise(MUCH);
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("out");
    std::fs::write(&path, b"before").unwrap();
    let output = OpenOptions::new().append(true).open(&path).unwrap();
    connect(["-v", &echo.endpoint()])
        .stdin(file_of(&sent))
        .stdout(output)
        .run()
        .status(0);
    let written = std::fs::read(&path).unwrap();
    assert_eq!(&written[..6], b"before");
    assert_eq!(hash(&written[6..]), hash(&sent));
    let (target, endpoint) = listener();
    let output = OpenOptions::new().append(true).open(&path).unwrap();
    let client = connect(["-v", "--no-stdin", &endpoint]).stdout(output).start();
    accept(&target).write_all(&sent).unwrap();
    client
        .wait()
        .status(0)
        .mentions("through a buffer, as a file is written");
}

#[test]
fn a_given_socket_that_blocks_holds_up_no_time_limit() {
    let (target, endpoint) = listener();
    let theirs = std::net::TcpStream::connect(crate::harness::address(&endpoint)).unwrap();
    let mut peer = accept(&target);
    let client = netkit_after(
        "",
        "3<&0 0</dev/null",
        ["connect", "fd:3", "--idle-timeout=500ms"],
    )
    .stdin(std::os::fd::OwnedFd::from(theirs))
    .start();
    let sent = noise(MUCH);
    peer.write_all(&sent).unwrap();
    // Nothing more comes, and no end either.
    let outcome = client.wait().status(4);
    assert_eq!(hash(&outcome.stdout), hash(&sent));
}

#[test]
fn sockets_that_we_were_given_stay_as_they_are() {
    for nonblocking in [false, true] {
        let (target, endpoint) = listener();
        let (ours, theirs) = UnixStream::pair().unwrap();
        theirs.set_nonblocking(nonblocking).unwrap();
        let kept = theirs.try_clone().unwrap();
        let client = connect(["-v", &endpoint])
            .stdin(std::os::fd::OwnedFd::from(theirs.try_clone().unwrap()))
            .stdout(std::os::fd::OwnedFd::from(theirs))
            .start();
        let peer = accept(&target);
        let sent = noise(MUCH);
        for (mut from, to) in [
            (Box::new(peer.try_clone().unwrap()) as Box<dyn Write + Send>, 0),
            (Box::new(ours.try_clone().unwrap()) as Box<dyn Write + Send>, 1),
        ] {
            let copy = sent.clone();
            let writing = std::thread::spawn(move || from.write_all(&copy).unwrap());
            let got = match to {
                0 => read(&ours, MUCH),
                _ => read(&peer, MUCH),
            };
            assert_eq!(hash(&got), hash(&sent));
            writing.join().unwrap();
        }
        assert_eq!(is_nonblocking(&kept), nonblocking);
        drop(kept);
        ours.shutdown(Shutdown::Write).unwrap();
        assert_eq!(read_all(&peer), b"");
        drop(peer);
        let outcome = client.wait().status(0);
        match nonblocking {
            true => outcome.mentions("splicing"),
            false => outcome.mentions("through a buffer, as the socket that was left open for us blocks"),
        };
        assert_eq!(read_all(&ours), b"");
    }
}

#[test]
fn pipes_that_we_were_given_stay_as_they_are() {
    let echo = serve(["echo", "tcp:0:127.0.0.1"]);
    let (from, mut to_us) = std::io::pipe().unwrap();
    let (from_us, to) = std::io::pipe().unwrap();
    let (stdin, stdout) = (from.try_clone().unwrap(), to.try_clone().unwrap());
    let client = connect([echo.endpoint()]).stdin(stdin).stdout(stdout).start();
    let sent = noise(MUCH);
    let copy = sent.clone();
    let writing = std::thread::spawn(move || to_us.write_all(&copy).unwrap());
    assert_eq!(hash(&read(&from_us, MUCH)), hash(&sent));
    writing.join().unwrap();
    client.wait().status(0);
    assert!(!is_nonblocking(&from) && !is_nonblocking(&to));
}

#[test]
fn a_file_is_left_where_the_sending_stopped() {
    let (target, endpoint) = listener();
    let sent = noise(MUCH);
    let mut file = file_of(&sent);
    let client = connect([&endpoint]).stdin(file.try_clone().unwrap()).start();
    let peer = accept(&target);
    read(&peer, 5_000_000);
    reset(peer);
    client.wait().status(8);
    let at = file.stream_position().unwrap();
    assert!((5_000_000..MUCH as u64).contains(&at), "{at}");
}

#[test]
fn halves_end_on_their_own() {
    let (target, endpoint) = listener();
    let sent = noise(MUCH);
    let client = connect([&endpoint]).stdin(file_of(&sent)).start();
    let mut peer = accept(&target);
    assert_eq!(hash(&read_all(&peer)), hash(&sent));
    peer.write_all(&sent).unwrap();
    client.stays();
    drop(peer);
    assert_eq!(hash(&client.wait().status(0).stdout), hash(&sent));
}

#[test]
fn what_waits_still_goes_to_a_peer_that_only_ended_its_half() {
    let (target, endpoint) = listener();
    let sent = noise(MUCH);
    let client = connect([&endpoint]).input(&sent[..]).start();
    let peer = accept(&target);
    let first = read(&peer, 1_000_000);
    peer.shutdown(Shutdown::Write).unwrap();
    assert_eq!(hash(&[first, read_all(&peer)].concat()), hash(&sent));
    client.wait().status(0);
}

#[test]
fn a_reader_that_leaves_is_a_quiet_end() {
    let (target, endpoint) = listener();
    let (reader, writer) = std::io::pipe().unwrap();
    let client = connect([&endpoint]).stdout(writer).start();
    let mut peer = accept(&target);
    // The kernels may hold all that is written at once, so there is more.
    let writing = std::thread::spawn(move || while peer.write_all(&noise(MUCH)).is_ok() {});
    read(&reader, 3_000_000);
    drop(reader);
    client.wait().status(0).said("");
    writing.join().unwrap();
}

#[test]
fn what_came_before_a_reset_is_written_and_the_reset_told() {
    let (target, endpoint) = listener();
    let (reader, writer) = std::io::pipe().unwrap();
    let client = connect([&endpoint]).stdout(writer).start();
    let mut peer = accept(&target);
    let sent = noise(MUCH);
    let copy = sent.clone();
    let reading = std::thread::spawn(move || read_all(reader));
    peer.write_all(&copy).unwrap();
    // All of it has left, and most of it has arrived.
    let at_least = 10_000_000;
    reset(peer);
    client.wait().status(8).said(&format!(
        "error: lost the connection to {endpoint}: connection reset by the peer\n"
    ));
    let got = reading.join().unwrap();
    assert!(got.len() >= at_least, "{} bytes", got.len());
    assert_eq!(hash(&got), hash(&sent[..got.len()]));
}

#[test]
fn the_idle_limit_is_about_bytes_that_are_spliced_too() {
    let (target, endpoint) = listener();
    let client = connect(["-v", "--idle-timeout", "1s", &endpoint])
        .stdout(Stdio::null())
        .start();
    let mut peer = accept(&target);
    // Longer than the limit in all, and never as long without a byte.
    let start = Instant::now();
    while start.elapsed() < Duration::from_millis(1500) {
        peer.write_all(&noise(200_000)).unwrap();
        std::thread::sleep(Duration::from_millis(50));
    }
    assert!(!client.has_ended());
    client
        .wait()
        .status(4)
        .mentions("splicing")
        .mentions("nothing moved for 1s");
}

#[test]
fn the_wait_for_the_peers_end_has_its_limit_after_a_splice() {
    let (target, endpoint) = listener();
    let client = connect(["--half-close-timeout", "200ms", &endpoint])
        .stdin(file_of(&noise(MUCH)))
        .start();
    let peer = accept(&target);
    assert_eq!(read_all(&peer).len(), MUCH);
    client.wait().status(4).mentions("within 200ms");
}

#[test]
fn what_one_connection_did_not_take_the_next_one_gets() {
    let sent = noise(MUCH);
    for from_file in [true, false] {
        let (target, endpoint) = listener();
        let args = ["--reconnect", "--backoff", "initial=10ms,jitter=0s", &endpoint];
        let client = match from_file {
            true => connect(args).stdin(file_of(&sent)),
            false => connect(args).input(&sent[..]),
        };
        let client = client.start();
        let first = accept(&target);
        read(&first, 2_000_000);
        reset(first);
        let second = accept(&target);
        let rest = read_all(&second);
        drop(second);
        let outcome = client.wait().status(0);
        // The warning says how much the first one took; the rest follows, and no byte of it twice.
        let (_, told) = outcome.stderr.split_once("by the peer; ").unwrap();
        let taken: usize = told.split(' ').next().unwrap().parse().unwrap();
        assert_eq!(taken + rest.len(), MUCH, "{}", outcome.stderr);
        assert_eq!(hash(&rest), hash(&sent[taken..]));
    }
}

fn with_descriptors(run: &Run, limit: usize) {
    let limit = Rlimit {
        current: Some(limit as u64),
        maximum: Some(limit as u64),
    };
    prlimit(Some(run.pid()), Resource::Nofile, limit).unwrap();
}

#[test]
fn without_descriptors_for_a_pipe_bulk_goes_through_a_buffer() {
    let (target, endpoint) = listener();
    let relay = netkit(["relay", "-v", "tcp:0:127.0.0.1", &endpoint]).start();
    let client = dial(relay.address());
    let mut peer = accept(&target);
    let echo = |peer: &mut std::net::TcpStream, sent: &[u8]| {
        let (copy, mut writer) = (sent.to_vec(), client.try_clone().unwrap());
        let writing = std::thread::spawn(move || writer.write_all(&copy).unwrap());
        assert_eq!(hash(&read(&*peer, sent.len())), hash(sent));
        writing.join().unwrap();
    };
    echo(&mut peer, b"x");
    with_descriptors(&relay, relay.descriptors());
    let sent = noise(MUCH);
    echo(&mut peer, &sent);
    relay.await_stderr("through a buffer, as no pipe is to be had");
    peer.write_all(b"and on").unwrap();
    assert_eq!(read(&client, 6), b"and on");
    drop(peer);
    assert_gone(&client);
    relay.stop().status(0);
}

#[test]
fn a_client_that_can_open_its_connection_gets_all_of_it() {
    let (target, endpoint) = listener();
    let sent = noise(MUCH);
    let mut without_a_pipe = 0;
    for limit in 8..20 {
        let args = ["connect", "-v", "--no-stdin", &endpoint];
        let client = netkit_after(&format!("ulimit -n {limit}"), "", args)
            .stdout(Stdio::null())
            .start();
        let mut peer = match eventually("a connection, or the end", || match target.accept() {
            Ok((peer, _)) => Some(Some(peer)),
            Err(_none_yet) => client.has_ended().then_some(None),
        }) {
            Some(peer) => peer,
            None => {
                let outcome = client.wait();
                assert!(outcome.status != 0 && outcome.stderr.lines().count() == 1);
                continue;
            }
        };
        peer.set_nonblocking(false).unwrap();
        peer.write_all(&sent).unwrap();
        drop(peer);
        let outcome = client.wait().status(0).mentions(&format!("received={MUCH}"));
        without_a_pipe += usize::from(outcome.stderr.contains("no pipe is to be had"));
    }
    // Which limits those are is the system's business; there are such.
    assert!(without_a_pipe > 0);
}

#[test]
fn bulk_that_is_wound_up_and_down_stays_in_order() {
    let server = listen(["tcp:0:127.0.0.1"]);
    let (reader, mut writer) = std::io::pipe().unwrap();
    let endpoint = server.endpoint();
    let client = connect([&endpoint]).stdin(reader).start();
    let mut all = Vec::new();
    for round in 0..8 {
        for length in [1, 90_000, 700, 1_500_000, 30_000] {
            let piece = noise(length + round);
            writer.write_all(&piece).unwrap();
            all.extend(piece);
        }
    }
    drop(writer);
    assert_eq!(hash(&server.wait().status(0).stdout), hash(&all));
    client.wait().status(0);
}
