//! TLS when peers are slow, break off, or are not what they seem: nobody else notices, and nothing is left behind.
//! Absent: refusals by either side, which have words of their own.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::{Duration, Instant};

use netkit::connection::Connection;
use netkit::transport::reading::ClientEndpoint;
use rustix::process::Signal;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::harness::peer::{accept, dial, listener, noise, reset};
use crate::harness::place::{Place, port};
use crate::harness::{Netkit, Run, eventually};

/// What `--handshake-timeout` is given here.
const LIMIT: Duration = Duration::from_secs(2);
const LIMITED: [&str; 3] = ["echo", "--handshake-timeout", "2s"];

fn at(port: u16) -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], port))
}

/// That an honest client gets its bytes.
#[track_caller]
fn served(place: &Place, port: u16) {
    place
        .connect(port, "")
        .input("hello")
        .run()
        .status(0)
        .wrote("hello");
}

/// Waits until the server holds no more descriptors than it did.
fn nothing_left(server: &Run, before: usize) {
    eventually("its descriptors to be closed", || {
        (server.descriptors() <= before).then_some(())
    });
}

/// How many it has after its first client: what it opens once is open then.
fn descriptors_at_rest(place: &Place, server: &Run, port: u16) -> usize {
    served(place, port);
    server.await_stderr("closed");
    server.descriptors()
}

/// Reads until the end or a reset.
fn drained(mut stream: &TcpStream) -> Vec<u8> {
    let mut rest = Vec::new();
    if let Err(error) = stream.read_to_end(&mut rest) {
        assert_eq!(error.kind(), ErrorKind::ConnectionReset);
    }
    rest
}

/// The bytes with which a client of ours begins.
fn client_hello(place: &Place) -> Vec<u8> {
    let (listener, endpoint) = listener();
    let there = port(&endpoint);
    let _client = place.connect(there, "").start();
    let mut stream = accept(&listener);
    let mut hello = vec![0; 5];
    stream.read_exact(&mut hello).unwrap();
    let length = usize::from(u16::from_be_bytes([hello[3], hello[4]]));
    hello.resize(5 + length, 0);
    stream.read_exact(&mut hello[5..]).unwrap();
    hello
}

#[test]
fn the_stuck_are_gone_after_the_limit_and_leave_nothing() {
    let place = Place::new();
    let (server, port) = place.serve(&[&LIMITED[..], &["-v"]].concat(), "");
    let before = descriptors_at_rest(&place, &server, port);
    let start = Instant::now();
    let silent: Vec<_> = (0..40).map(|_| dial(at(port))).collect();
    let confused: Vec<_> = (0..20_u8)
        .map(|number| {
            let mut stream = dial(at(port));
            // From a record that is cut off to none at all.
            let garbage: Vec<u8> = noise(300).iter().map(|byte| byte ^ number).collect();
            let start = if number % 2 == 0 {
                &[0x16, 3, 1, 1, 44][..]
            } else {
                &[]
            };
            stream.write_all(&[start, &garbage].concat()).unwrap();
            stream
        })
        .collect();
    served(&place, port);
    served(&place, port);
    assert!(start.elapsed() < LIMIT, "held up for {:?}", start.elapsed());
    for stream in &silent {
        assert_eq!(drained(stream), b"");
    }
    assert!(
        start.elapsed() >= LIMIT,
        "before the limit: {:?}",
        start.elapsed()
    );
    confused.iter().for_each(|stream| drop(drained(stream)));
    nothing_left(&server, before);
    served(&place, port);
    let outcome = server.stop().status(0);
    assert!(!outcome.stderr.contains("panicked"), "{}", outcome.stderr);
}

#[test]
fn a_hello_byte_by_byte_ends_at_the_limit() {
    let place = Place::new();
    let hello = client_hello(&place);
    let (server, port) = place.serve(&[&LIMITED[..], &["-v"]].concat(), "");
    let before = descriptors_at_rest(&place, &server, port);
    let slow = dial(at(port));
    let start = Instant::now();
    let mut writer = &slow;
    // Slow enough never to come to its end, fast enough never to be silent.
    let pause = 2 * LIMIT / u32::try_from(hello.len()).unwrap();
    for byte in &hello {
        if writer.write_all(&[*byte]).is_err() {
            break;
        }
        std::thread::sleep(pause);
    }
    // That it was let go is seen when a byte finds nobody; the limit was before the last one.
    drained(&slow);
    assert!(start.elapsed() >= LIMIT, "{:?}", start.elapsed());
    server.await_stderr("2s");
    nothing_left(&server, before);
    served(&place, port);
}

#[test]
fn handshakes_that_break_off_leave_nothing() {
    let place = Place::new();
    let hello = client_hello(&place);
    let (server, port) = place.serve(&["echo", "-v"], "");
    let before = descriptors_at_rest(&place, &server, port);
    for cut in [1, 4, 5, 6, hello.len() / 2, hello.len() - 1, hello.len()] {
        let mut stream = dial(at(port));
        stream.write_all(&hello[..cut]).unwrap();
        reset(stream);
        let mut stream = dial(at(port));
        stream.write_all(&hello[..cut]).unwrap();
        stream.shutdown(Shutdown::Write).unwrap();
        drained(&stream);
    }
    // A hello, and then an alert: fatal, of the kind `handshake_failure` and of a kind that there is not.
    for alert in [[21, 3, 3, 0, 2, 2, 40], [21, 3, 3, 0, 2, 2, 250]] {
        let mut stream = dial(at(port));
        stream.write_all(&hello).unwrap();
        stream.write_all(&alert).unwrap();
        drained(&stream);
    }
    nothing_left(&server, before);
    served(&place, port);
    let outcome = server.stop().status(0);
    assert!(!outcome.stderr.contains("panicked"), "{}", outcome.stderr);
}

#[test]
fn two_hundred_handshakes_leave_nothing() {
    let place = Place::new();
    let (server, port) = place.serve(&["echo", "-v"], "");
    let before = descriptors_at_rest(&place, &server, port);
    let endpoint = format!(
        "tls:localhost:{port}:trustRoots={}",
        place.path("ca/cert.pem").display()
    );
    let endpoint = ClientEndpoint::parse(endpoint.as_ref()).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    for number in 0..200 {
        runtime.block_on(async {
            let Connection::Stream(mut stream) = endpoint.connect().await.unwrap() else {
                panic!("no stream");
            };
            // Every other one ends in order.
            if number % 2 == 0 {
                stream.shutdown().await.unwrap();
                assert_eq!(stream.read(&mut [0]).await.unwrap(), 0);
            }
        });
    }
    nothing_left(&server, before);
    eventually("each of them to be over", || {
        let said = String::from_utf8_lossy(&server.stderr.so_far()).into_owned();
        (said.matches("\nclosed ").count() == 101 && said.matches("\nlost: ").count() == 100).then_some(())
    });
    // Nothing is open that a stop would have to wait for.
    let start = Instant::now();
    server.stop().status(0);
    assert!(start.elapsed() < Duration::from_secs(4), "{:?}", start.elapsed());
}

/// Hands on what comes from either side of one client, and cuts both after so many bytes from `cut`.
fn cutter(to: SocketAddr, from_server: bool, after: usize, end: fn(TcpStream)) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        let (client, _) = listener.accept().unwrap();
        let server = dial(to);
        let (from, into) = if from_server {
            (&server, &client)
        } else {
            (&client, &server)
        };
        let mut back = (into.try_clone().unwrap(), from.try_clone().unwrap());
        let other = std::thread::spawn(move || drop(std::io::copy(&mut back.0, &mut back.1)));
        let mut limited = from.take(u64::try_from(after).unwrap());
        let _ = std::io::copy(&mut limited, &mut &*into);
        for stream in [&client, &server] {
            end(stream.try_clone().unwrap());
            let _ = stream.shutdown(Shutdown::Both);
        }
        drop((client, server));
        let _ = other.join();
    });
    port
}

const SIZE: usize = 1 << 20;

#[test]
fn a_transfer_that_is_cut_anywhere_never_succeeds() {
    let place = Place::new();
    let bytes = noise(SIZE);
    // Points without a pattern, from the handshake to the last record.
    let points: Vec<usize> = noise(12 * 8)
        .chunks_exact(8)
        .map(|chunk| usize::try_from(u64::from_le_bytes(chunk.try_into().unwrap()) % (1 << 20)).unwrap())
        .chain([0, 1, 100, 1500, 5000, SIZE])
        .collect();
    let ends: [fn(TcpStream); 2] = [reset, |stream| {
        let _ = stream.shutdown(Shutdown::Write);
    }];
    for (number, point) in points.into_iter().enumerate() {
        for from_server in [true, false] {
            let end = ends[number % 2];
            // An echo is cut on either way.
            let (_server, there) = place.serve(&["echo"], "");
            let through = cutter(at(there), from_server, point, end);
            let outcome = place.connect(through, "").input(bytes.clone()).run();
            let why = format!("cut at {point}, from the server: {from_server}");
            assert!([3, 5, 8].contains(&outcome.status), "{why}: {}", outcome.stderr);
            assert!(bytes.starts_with(&outcome.stdout), "{why}: other bytes");

            // One side sends, the other receives. Only the receiver has to notice: who has sent it all to his own
            // kernel, and has heard the other's end before, knows no better.
            let input = |run: Netkit, sends: bool| {
                if sends {
                    run.input(bytes.clone())
                } else {
                    run.stdin(Stdio::null())
                }
            };
            let endpoint = "tls:0:server/key.pem:server/cert.pem:127.0.0.1";
            let listening = input(place.netkit(["listen", endpoint]), from_server).start();
            let through = cutter(at(port(&listening.endpoint())), from_server, point, end);
            let client = input(place.connect(through, ""), !from_server).run();
            if from_server {
                assert!([3, 5, 8].contains(&client.status), "{why}: {}", client.stderr);
                assert!(bytes.starts_with(&client.stdout), "{why}: other bytes");
                continue;
            }
            // A client that was never established is none, and it waits for the next.
            let said = eventually("its end or a complaint", || {
                let said = String::from_utf8_lossy(&listening.stderr.so_far()).into_owned();
                (listening.has_ended() || said.contains("warning: ")).then_some(said)
            });
            if !said.contains("warning: ") {
                let outcome = listening.wait().status(8);
                assert!(bytes.starts_with(&outcome.stdout), "{why}: other bytes");
            }
        }
    }
}

#[test]
fn certificates_change_under_load_and_no_connection_notices() {
    let place = Place::new();
    let (server, port) = place.serve(&["echo", "--workers", "2"], "");
    let serial = |place: &Place| {
        let shown = place.cert(["show", "server/cert.pem"]).text();
        let line = shown.lines().find(|line| line.contains("serial")).unwrap();
        line.split_whitespace().last().unwrap().to_owned()
    };
    let shown = || {
        let endpoint = format!("tls:localhost:{port}:trustRoots=ca/cert.pem");
        place.cert(["show", &endpoint]).text()
    };
    let renew = || {
        let args = ["issue", "--ca", "ca", "--out", "server", "--force"];
        place.cert(args.into_iter().chain(["localhost", "127.0.0.1"]));
    };
    let old = serial(&place);
    assert!(shown().contains(&old));

    let mut open: Vec<Run> = (0..4).map(|_| place.connect(port, "").start()).collect();
    let talk = |open: &mut [Run], round: usize| {
        for client in open {
            let line = format!("round {round}\n");
            client.write(&line);
            client.await_stdout(&line);
        }
    };
    talk(&mut open, 0);
    let stop = Arc::new(AtomicBool::new(false));
    std::thread::scope(|scope| {
        let storm = scope.spawn(|| {
            while !stop.load(Relaxed) {
                server.signal(Signal::HUP);
                std::thread::sleep(Duration::from_millis(1));
            }
        });
        for round in 1..12 {
            renew();
            talk(&mut open, round);
            served(&place, port);
        }
        stop.store(true, Relaxed);
        storm.join().unwrap();
    });
    server.signal(Signal::HUP);
    let now = serial(&place);
    assert_ne!(now, old);
    eventually("the new certificate", || shown().contains(&now).then_some(()));

    // What is no good changes nothing, and it says so.
    place.write("server/cert.pem", "-----BEGIN CERTIFICATE-----\nhalf of it");
    server.signal(Signal::HUP);
    server.await_stderr("kept the certificates");
    assert!(shown().contains(&now));
    talk(&mut open, 12);

    // Nobody has to say that they are new.
    renew();
    let newest = serial(&place);
    eventually("the newest certificate", || {
        shown().contains(&newest).then_some(())
    });
    talk(&mut open, 13);
    for mut client in open {
        client.end_input();
        client.wait().status(0).said("");
    }
    let outcome = server.stop().status(0);
    assert!(!outcome.stderr.contains("panicked"), "{}", outcome.stderr);
}

#[test]
fn what_comes_after_close_notify_is_nothing() {
    let place = Place::new();
    let (server, port) = place.serve(&["echo", "-v"], "");
    let before = descriptors_at_rest(&place, &server, port);
    let endpoint = rustls_client(&place);
    let mut session = endpoint;
    let mut stream = dial(at(port));
    let mut tls = rustls::Stream::new(&mut session, &mut stream);
    tls.write_all(b"before").unwrap();
    tls.conn.send_close_notify();
    tls.flush().unwrap();
    // Whatever it is, and it is no TLS.
    let mut raw = stream.try_clone().unwrap();
    let _ = raw.write_all(&noise(100_000));
    let mut tls = rustls::Stream::new(&mut session, &mut stream);
    let mut got = [0; 6];
    tls.read_exact(&mut got).unwrap();
    assert_eq!(&got, b"before");
    drop((stream, raw));
    nothing_left(&server, before);
    served(&place, port);
    let outcome = server.stop().status(0);
    assert!(!outcome.stderr.contains("panicked"), "{}", outcome.stderr);
}

#[test]
fn who_ends_without_close_notify_gets_ours() {
    let place = Place::new();
    let (server, port) = place.serve(&["echo"], "");
    let mut session = rustls_client(&place);
    let mut stream = dial(at(port));
    let mut tls = rustls::Stream::new(&mut session, &mut stream);
    tls.write_all(b"hello").unwrap();
    let mut got = [0; 5];
    tls.read_exact(&mut got).unwrap();
    assert_eq!(&got, b"hello");
    stream.shutdown(Shutdown::Write).unwrap();
    // It would be an error without.
    let mut tls = rustls::Stream::new(&mut session, &mut stream);
    assert_eq!(tls.read(&mut got).unwrap(), 0);
    server.stop().status(0);
}

/// A session of rustls alone, for what no program would do.
fn rustls_client(place: &Place) -> rustls::ClientConnection {
    let mut roots = rustls::RootCertStore::empty();
    let text = place.read("ca/cert.pem");
    for certificate in rustls_pemfile::certs(&mut text.as_bytes()) {
        roots.add(certificate.unwrap()).unwrap();
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    rustls::ClientConnection::new(Arc::new(config), "localhost".try_into().unwrap()).unwrap()
}
