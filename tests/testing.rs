//! `netkit::testing` from the side of a test that uses it: every kind of place, what is said of a step that fails, and that
//! nothing is left.
//! Absent: what its documentation shows, which runs by itself.

use std::fs;
use std::io;
use std::net::{TcpListener, TcpStream};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use netkit::protocol::{Service, Talk};
use netkit::server::Limits;
use netkit::testing::{AsyncPeer, Door, On, Peer, Server};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// The message of a panic.
fn failure(test: impl FnOnce()) -> String {
    let panic = catch_unwind(AssertUnwindSafe(test)).expect_err("it did not fail");
    match panic.downcast::<String>() {
        Ok(text) => *text,
        Err(other) => (*other.downcast::<&str>().unwrap()).to_owned(),
    }
}

/// Whether somebody listens on the port of a TCP endpoint.
fn is_bound(endpoint: &str) -> bool {
    let port: u16 = endpoint.split(':').nth(2).unwrap().parse().unwrap();
    TcpListener::bind(("127.0.0.1", port)).is_err()
}

#[test]
fn every_kind_of_place_is_served_and_led_to() {
    let mut server = Server::protocol("echo").on(On::Tcp).on(On::Udp).on(On::Unix);
    let mut kinds = vec!["tcp:127.0.0.1:", "udp:127.0.0.1:", "unix:", "tcp6:[::1]:"];
    #[cfg(feature = "tls")]
    {
        server = server.on(On::Tls);
        kinds.insert(3, "tls:127.0.0.1:");
    }
    let server = server.on("tcp6:0:interface=[::1]").start();
    assert_eq!(server.endpoints().len(), kinds.len());
    for (endpoint, kind) in server.endpoints().iter().zip(kinds) {
        assert!(endpoint.starts_with(kind) || kind == "tcp6:[::1]:", "{endpoint}");
        Peer::connect(endpoint).send("hello").expect_exactly("hello");
    }
    assert_eq!(server.address().ip().to_string(), "127.0.0.1");
    assert_eq!(
        server.connect().facts().peer.to_string(),
        server.address().to_string()
    );
}

#[cfg(feature = "tls")]
#[test]
fn a_throwaway_authority_is_trusted_by_whom_it_is_given_to() {
    let server = Server::protocol("echo").on(On::Tls).start();
    let bare = format!("tls:localhost:{}", server.address().port());
    let error = Peer::try_connect(&bare).unwrap_err();
    assert_eq!(error.status(), netkit::error::Status::Tls, "{error}");
    let trust = server.trust().unwrap().to_owned();
    let trusted = format!("{bare}:trustRoots={}", trust.display());
    Peer::connect(trusted).send("x").expect("x").close();
    // Each has its own.
    let other = Server::protocol("echo").on(On::Tls).start();
    let wrong = format!("{bare}:trustRoots={}", other.trust().unwrap().display());
    assert!(Peer::try_connect(wrong).is_err());
    let directory = trust.parent().unwrap().to_owned();
    assert!(directory.exists());
    drop(server);
    assert!(!directory.exists());
}

#[cfg(feature = "tls")]
#[test]
fn an_alert_can_be_expected() {
    let door = Door::open(On::Tls);
    let accepting = std::thread::spawn({
        let endpoint = format!("{}:maxVersion=1.2", door.endpoint());
        move || Peer::try_connect(endpoint).map(|mut peer| peer.send("hello").facts().clone())
    });
    let mut guest = door.accept();
    guest.expect("hello").close();
    let facts = accepting.join().unwrap().unwrap();
    assert_eq!(facts.tls.unwrap().version, "TLS 1.2");
    let why = failure(|| {
        let server = Server::protocol("drop").on(On::Tls).start();
        server.connect().expect_alert(Some("certificate_required"));
    });
    assert!(
        why.contains("\n  expected  tls alert certificate_required\n"),
        "{why}"
    );
}

#[test]
fn a_failure_tells_what_was_expected_what_arrived_and_what_was_said() {
    let server = Server::protocol("lines").start();
    let mut alice = server.connect();
    alice.expect_line("Connection with the server established!");
    alice.send_line("hel\x07lo");
    let why = failure(|| {
        alice.expect_line("Hello! How are you?");
    });
    let lines: Vec<&str> = why.lines().collect();
    assert_eq!(lines[0], "peer: something else came", "{why}");
    assert_eq!(lines[1], r#"  expected  b"Hello! How are you?""#);
    assert_eq!(lines[2], r#"  arrived   b"Unknown command\r\n""#);
    assert_eq!(lines[3], "              ^");
    assert_eq!(lines[4], format!("  peer so far, with {}:", server.address()));
    assert!(lines[6].ends_with(r#"sent      b"hel\x07lo\r\n""#), "{why}");
    assert_eq!(lines.len(), 8, "{why}");
}

#[test]
fn each_step_that_is_not_met_fails_within_its_limit() {
    let soon = Duration::from_millis(50);
    let hold = Server::protocol("hold").start();
    let drop = Server::protocol("drop").start();
    let echo = Server::protocol("echo").start();
    type Test<'a> = (&'a str, Box<dyn Fn() + 'a>);
    let tests: Vec<Test<'_>> = vec![
        (
            "nothing came within 50ms",
            Box::new(|| _ = hold.connect().within(soon).expect("x")),
        ),
        (
            "nothing came within 50ms",
            Box::new(|| _ = hold.connect().set_limit(soon).expect_match("x")),
        ),
        (
            "the connection was still open within 50ms",
            Box::new(|| _ = hold.connect().within(soon).expect_close()),
        ),
        (
            "the connection was still open within 50ms",
            Box::new(|| _ = hold.connect().within(soon).expect_reset()),
        ),
        (
            "the close came instead",
            Box::new(|| _ = drop.connect().expect_reset()),
        ),
        (
            "it did not come before the close",
            Box::new(|| _ = drop.connect().expect("x")),
        ),
        (
            "bytes came instead",
            Box::new(|| _ = echo.connect().send("x").expect_silence(5 * soon)),
        ),
        (
            "something else came",
            Box::new(|| _ = echo.connect().send("xy").expect_exactly("y")),
        ),
        (
            "/(/: unclosed group",
            Box::new(|| _ = echo.connect().expect_match("(")),
        ),
    ];
    for (wanted, test) in tests {
        let start = Instant::now();
        let why = failure(test);
        assert!(why.lines().next().unwrap().contains(wanted), "{wanted}: {why}");
        assert!(start.elapsed() < Duration::from_secs(3), "{wanted}");
    }
}

#[test]
fn a_limit_for_one_step_holds_for_one() {
    let server = Server::talking(|mut stream| async move {
        stream.write_all(b"a").await?;
        let _ = stream.read(&mut [0]).await?;
        tokio::time::sleep(Duration::from_millis(300)).await;
        stream.write_all(b"b").await
    });
    let server = server.start();
    let mut peer = server.connect();
    peer.within(Duration::from_secs(2))
        .expect("a")
        .set_limit(Duration::from_millis(10));
    peer.send("x").within(Duration::from_secs(5)).expect("b");
}

#[test]
fn a_reset_goes_both_ways() {
    struct Resets;
    impl Talk for Resets {
        fn talk(
            &self,
            mut stream: netkit::connection::Stream,
        ) -> netkit::connection::BoxFuture<'static, io::Result<()>> {
            Box::pin(async move {
                let _ = stream.read(&mut [0]).await?;
                let socket = stream.downcast_ref::<tokio::net::TcpStream>().unwrap();
                socket.set_zero_linger()
            })
        }
    }
    let server = Server::service(Service::streams(Resets)).start();
    server.connect().send("x").expect_reset();
    let door = Door::open(On::Tcp);
    let mut client = Peer::connect(door.endpoint());
    let mut guest = door.accept();
    client.send("lost").reset();
    guest.expect_reset();
    let why = failure(|| {
        guest.send("x").send("y").expect("z");
    });
    assert!(why.starts_with("peer could not be sent to: "), "{why}");
}

#[test]
fn what_is_dropped_is_gone_when_drop_returns() {
    let server = Server::protocol("echo").on(On::Tcp).on(On::Unix).start();
    let endpoint = server.endpoint().to_owned();
    let socket = server.endpoints()[1].trim_start_matches("unix:").to_owned();
    let mut open = server.connect();
    open.send("x").expect("x");
    assert!(is_bound(&endpoint) && fs::exists(&socket).unwrap());
    let start = Instant::now();
    drop(server);
    assert!(start.elapsed() < Duration::from_secs(2), "{:?}", start.elapsed());
    assert!(TcpStream::connect(endpoint.trim_start_matches("tcp:")).is_err());
    assert!(!fs::exists(&socket).unwrap());
    // Cut off, whatever was open.
    open.expect_close();

    let door = Door::open(On::Tcp);
    let endpoint = door.endpoint().to_owned();
    let client = Peer::connect(&endpoint);
    let mut guest = door.accept();
    drop(door);
    assert!(Peer::try_connect(&endpoint).is_err());
    drop(client);
    guest.expect_close();
}

#[test]
fn a_panic_of_the_test_stops_the_server_too() {
    let mut endpoint = String::new();
    let why = failure(|| {
        let server = Server::protocol("hold").start();
        endpoint = server.endpoint().to_owned();
        let _peer = server.connect();
        panic!("the test's own");
    });
    assert_eq!(why, "the test's own");
    assert!(Peer::try_connect(&endpoint).is_err());
}

#[test]
fn stopping_lets_what_is_open_finish_within_the_grace_period() {
    let server = Server::protocol("echo").start();
    let mut peer = server.connect();
    peer.send("x").expect("x");
    let stopping = std::thread::spawn(move || server.stop());
    peer.send("last words").expect("last words").end().expect_close();
    stopping.join().unwrap();

    let limits = Limits {
        grace: Duration::from_millis(50),
        ..Limits::default()
    };
    let server = Server::protocol("hold").limits(limits).start();
    let mut peer = server.connect();
    let start = Instant::now();
    server.stop();
    assert!(start.elapsed() >= Duration::from_millis(50));
    peer.expect_close();
}

#[test]
fn a_server_that_blocks_its_thread_is_told_of_rather_than_waited_for() {
    let (sender, blocked) = channel::<()>();
    let (reached, is_blocked) = channel();
    let shared = Arc::new(Mutex::new((blocked, reached)));
    let server = Server::talking(move |_| {
        let shared = Arc::clone(&shared);
        async move {
            let (blocked, reached) = &*shared.lock().unwrap();
            reached.send(()).unwrap();
            let _ = blocked.recv();
            Ok(())
        }
    });
    let server = server.start();
    let _peer = server.connect();
    is_blocked.recv().unwrap();
    let why = failure(|| drop(server));
    assert!(why.contains("did not stop within 5s"), "{why}");
    drop(sender);
}

#[test]
fn what_makes_no_sense_is_told_in_full() {
    for (plan, wanted) in [
        (Server::protocol("ehco"), "there is no protocol `ehco`"),
        (
            Server::protocol("lines").set("max-lines", "1"),
            "could not set up lines: unknown argument `max-lines`",
        ),
        (
            Server::protocol("lines").on(On::Udp),
            "could not serve lines on udp:0:interface=127.0.0.1: it needs connections, and datagrams arrive there",
        ),
        (
            Server::protocol("echo").on("tcp:prot=0"),
            "unknown argument `prot` for a tcp server endpoint\n  tcp:prot=0\n      ^^^^\ndid you mean `port`?",
        ),
    ] {
        let why = failure(|| drop(plan.start()));
        assert!(why.starts_with(wanted), "{wanted}: {why}");
    }
    let why = failure(|| drop(Peer::connect("tcp:127.0.0.1")));
    assert!(why.contains("port"), "{why}");
}

#[test]
fn a_flood_is_held_back() {
    let server = Server::protocol("chargen").start();
    let mut peer = server.connect();
    peer.expect("!\"#$%&'()*+,-./0123456789");
    let why = failure(|| {
        peer.expect("\0");
    });
    assert!(why.contains("1MiB came without it"), "{why}");
}

#[tokio::test]
async fn an_async_test_may_block_on_a_server_of_ours() {
    let server = Server::protocol("echo").on(On::Unix).start();
    server
        .connect()
        .send("hello")
        .expect("hello")
        .end()
        .expect_close();
    assert!(server.path().exists());
    server.stop();
}

#[tokio::test(start_paused = true)]
async fn an_async_test_awaits_what_its_own_thread_does() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("tcp:{}", listener.local_addr().unwrap());
    let served = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await?;
        let mut name = String::new();
        stream.read_to_string(&mut name).await?;
        stream.write_all(format!("hello {name}").as_bytes()).await
    });
    let mut peer = AsyncPeer::connect(endpoint).await;
    peer.send("alice").await;
    peer.expect_silence(Duration::from_millis(20)).await;
    peer.end().await;
    let found = peer.expect_match("^hello (?<name>[a-z]+)").await;
    assert_eq!(
        (found.text("name").as_str(), found.bytes("other")),
        ("alice", None)
    );
    peer.expect_close().await;
    served.await.unwrap().unwrap();
}

#[tokio::test]
async fn an_awaited_step_says_where_it_failed_and_one_that_is_dropped_read_nothing() {
    let server = Server::protocol("echo").start();
    let mut peer = server.connect_async().await;
    let never = tokio::time::timeout(Duration::from_millis(30), peer.expect("later"));
    assert!(never.await.is_err());
    peer.send("later").await;
    peer.expect_exactly("later").await;
    let line = line!() + 2;
    let failing = tokio::spawn(async move {
        peer.within(Duration::from_millis(20)).expect("more").await;
    });
    let why = *failing
        .await
        .unwrap_err()
        .into_panic()
        .downcast::<String>()
        .unwrap();
    let at = format!("tests/testing.rs:{line}:");
    assert!(
        why.starts_with(&at) && why.contains("nothing came within 20ms"),
        "{why}"
    );
}

#[test]
fn the_readme_shows_the_first_example() {
    let documented = include_str!("../src/testing/mod.rs");
    let readme = include_str!("../README.md");
    let (_, block) = readme
        .split_once("```rust\n")
        .expect("README.md has an example in Rust");
    let (block, _) = block.split_once("```").unwrap();
    let bare = |text: &str| -> Vec<String> {
        let lines = text.lines().map(|line| line.trim_start_matches("//!").trim());
        let lines = lines.map(|line| line.trim_start_matches("// ").to_owned());
        lines
            .filter(|line| !line.is_empty() && !line.starts_with("# "))
            .collect()
    };
    let (_, example) = documented.split_once("//! ```\n").unwrap();
    let (example, _) = example.split_once("//! ```\n").unwrap();
    assert_eq!(bare(block), bare(example));
}
