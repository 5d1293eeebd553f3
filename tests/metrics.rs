//! `--metrics`: what a server tells of itself over HTTP, read with plain sockets, curl and promtool.
//! Absent: HTTP's own corner cases and the format, which unit tests show.

use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream, ToSocketAddrs, UdpSocket};
use std::process::Stdio;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use socket2::{Domain, Socket, Type};

use crate::harness::installed::{installed, reserved};
use crate::harness::peer::{ask, assert_echo, assert_gone, dial, dial_endpoint, listener, read_all, reset};
use crate::harness::{PATIENCE, Run, address, eventually, file_when_there, netkit, netkit_after, program};

/// The time that one who asks has for the head of a request, or to shake hands.
const HEAD: Duration = Duration::from_secs(5);

/// A server with metrics, and where they are.
struct Told {
    run: Run,
    at: String,
}

fn told(args: &[&str]) -> Told {
    said_by(netkit(["serve"]).args(args).stdin(Stdio::null()).start())
}

fn said_by(run: Run) -> Told {
    let endpoint = run.endpoint();
    let said = run.await_stderr(&format!("listening on {endpoint}"));
    let at = said.lines().find_map(|line| line.strip_prefix("metrics on "));
    let at = at.expect("where the metrics are").to_owned();
    Told { run, at }
}

/// The status and the whole answer.
fn get(at: &str, path: &str) -> (u16, String) {
    let mut wire = dial_endpoint(at);
    write!(wire, "GET {path} HTTP/1.1\r\nHost: netkit\r\n\r\n").unwrap();
    let answer = String::from_utf8(read_all(wire)).unwrap();
    let status = answer.split(' ').nth(1).and_then(|status| status.parse().ok());
    (
        status.unwrap_or_else(|| panic!("no status in {answer:?}")),
        answer,
    )
}

impl Told {
    fn text(&self) -> String {
        let (status, answer) = get(&self.at, "/metrics");
        assert_eq!(status, 200, "{answer}");
        answer.split_once("\r\n\r\n").unwrap().1.to_owned()
    }

    /// Waits until the samples whose names begin so, and that have all of these labels, add up to a value.
    #[track_caller]
    fn counts(&self, name: &str, labels: &[&str], value: u64) {
        eventually(&format!("{name} {labels:?} to be {value}"), || {
            let text = self.text();
            let samples = text
                .lines()
                .filter(|line| line.starts_with(name) && labels.iter().all(|label| line.contains(label)));
            let values = samples.map(|line| line.rsplit_once(' ').unwrap().1.parse::<u64>().unwrap());
            (values.sum::<u64>() == value).then_some(())
        });
    }
}

#[test]
fn without_descriptors_it_still_says_how_it_does() {
    for workers in ["1", "3"] {
        let args = [
            "serve",
            "echo",
            "tcp:0:127.0.0.1",
            "--metrics",
            "tcp:0:127.0.0.1",
            "--workers",
            workers,
        ];
        let told = said_by(
            netkit_after("ulimit -n 64", "", args)
                .stdin(Stdio::null())
                .start(),
        );
        let to = told.run.address();
        let mut first = dial(to);
        assert_echo(&mut first, b"first");
        let clients: Vec<_> = (0..120).map(|_| dial(to)).collect();
        told.run.await_stderr("too many open files");
        // More of them than there are descriptors to spare.
        let silent: Vec<_> = (0..16).map(|_| dial_endpoint(&told.at)).collect();
        for _ in 0..50 {
            for path in ["/healthz", "/readyz", "/metrics"] {
                assert_eq!(get(&told.at, path).0, 200);
            }
        }
        assert_echo(&mut first, b"all the while");
        drop((silent, clients));
        eventually("a server for new clients", || {
            let mut client = dial(to);
            client.set_read_timeout(Some(Duration::from_millis(300))).unwrap();
            client.write_all(b"x").ok()?;
            matches!(client.read(&mut [0]), Ok(1)).then_some(())
        });
        told.run.stop();
    }
}

#[test]
fn what_a_server_does_is_counted() {
    let told = told(&[
        "echo",
        "tcp:0:127.0.0.1",
        "--metrics",
        "tcp:0:127.0.0.1",
        "--workers",
        "2",
    ]);
    let to = told.run.address();
    for _ in 0..3 {
        assert_eq!(ask(to, b"hello"), b"hello");
    }
    told.counts("netkit_connections_total{", &["outcome=\"closed\""], 3);
    told.counts("netkit_bytes_total{", &["direction=\"received\""], 15);
    told.counts("netkit_bytes_total{", &["direction=\"sent\""], 15);
    told.counts("netkit_connection_duration_seconds_count", &[], 3);
    told.counts("netkit_connection_duration_seconds_bucket", &["le=\"+Inf\""], 3);
    let text = told.text();
    assert!(text.contains(concat!(
        "netkit_build_info{version=\"",
        env!("CARGO_PKG_VERSION"),
        "\"} 1"
    )));
    assert!(text.contains(&format!("endpoint=\"tcp:{to}\"")), "{text}");
    told.run.stop().status(0);
}

#[test]
fn a_long_connection_shows_while_it_lasts() {
    let told = told(&["echo", "tcp:0:127.0.0.1", "--metrics", "tcp:0:127.0.0.1"]);
    let mut long = dial(told.run.address());
    assert_echo(&mut long, &[7; 1000]);
    told.counts("netkit_open_connections", &[], 1);
    told.counts("netkit_bytes_total{", &["received"], 1000);
    assert_echo(&mut long, &[7; 234]);
    told.counts("netkit_bytes_total{", &["received"], 1234);
    told.counts("netkit_connections_total{", &[], 0);
    drop(long);
    told.counts("netkit_open_connections", &[], 0);
    told.counts("netkit_bytes_total{", &["received"], 1234);
    told.run.stop().status(0);
}

#[test]
fn each_end_of_a_connection_is_told_apart() {
    let told = told(&[
        "echo",
        "tcp:0:127.0.0.1",
        "--metrics",
        "tcp:0:127.0.0.1",
        "--idle-timeout",
        "100ms",
        "--max-connections-per-ip",
        "1",
    ]);
    let to = told.run.address();
    let mut idle = dial(to);
    assert_echo(&mut idle, b"x");
    assert_gone(&dial(to));
    assert_gone(&idle);
    told.counts("netkit_connections_total{", &["\"idle\""], 1);
    told.counts("netkit_connections_total{", &["\"refused\""], 1);
    told.counts("netkit_refused_total{", &["\"connections_per_ip\""], 1);
    let mut lost = dial(to);
    assert_echo(&mut lost, b"x");
    reset(lost);
    told.counts("netkit_connections_total{", &["\"lost\""], 1);
    told.run.stop().status(0);
}

#[test]
fn what_goes_wrong_with_a_header_is_counted() {
    let told = told(&[
        "echo",
        "haproxy:tcp:0:127.0.0.1",
        "--metrics",
        "tcp:0:127.0.0.1",
        "--handshake-timeout",
        "200ms",
        "--deny",
        "192.0.2.0/24",
    ]);
    let to = told.run.address();
    let say = |header: &str| {
        let mut client = dial(to);
        client.write_all(header.as_bytes()).unwrap();
        assert_gone(&client);
    };
    say("GET / HTTP/1.1\r\n");
    told.counts("netkit_handshake_failures_total{", &["\"proxy_header\""], 1);
    say("PROXY TCP4 ");
    told.counts("netkit_handshake_failures_total{", &["\"timeout\""], 1);
    say("PROXY TCP4 192.0.2.1 198.51.100.1 5 6\r\n");
    told.counts("netkit_refused_total{", &["\"denied\""], 1);
    told.counts("netkit_connections_total{", &["\"refused\""], 1);
    told.counts("netkit_connections_total{", &["\"failed\""], 2);
    told.run.stop().status(0);
}

#[test]
fn those_who_come_to_nothing_before_the_one_are_counted() {
    let told = told(&[
        "echo",
        "haproxy:tcp:0:127.0.0.1",
        "--once",
        "--metrics",
        "tcp:0:127.0.0.1",
        "--handshake-timeout",
        "200ms",
        "--deny",
        "192.0.2.0/24",
    ]);
    let to = told.run.address();
    for header in [
        "GET / HTTP/1.1\r\n",
        "PROXY TCP4 ",
        "PROXY TCP4 192.0.2.1 198.51.100.1 5 6\r\n",
    ] {
        let mut client = dial(to);
        client.write_all(header.as_bytes()).unwrap();
        assert_gone(&client);
    }
    told.counts("netkit_handshake_failures_total{", &["\"proxy_header\""], 1);
    told.counts("netkit_handshake_failures_total{", &["\"timeout\""], 1);
    told.counts("netkit_connections_total{", &["\"refused\""], 1);
    told.counts("netkit_connections_total{", &["\"failed\""], 2);
    let one = ask(to, b"PROXY TCP4 203.0.113.1 198.51.100.1 5 6\r\nhello");
    assert_eq!(one, b"hello");
    told.run.wait().status(0);
}

#[test]
fn who_is_refused_before_the_one_is_counted() {
    let told = told(&[
        "echo",
        "tcp6:0:[::]",
        "--once",
        "--metrics",
        "tcp:0:127.0.0.1",
        "--deny",
        "127.0.0.0/8",
    ]);
    let mut to = told.run.address();
    to.set_ip(Ipv4Addr::LOCALHOST.into());
    // It may be gone before it is there.
    if let Ok(client) = TcpStream::connect(to) {
        assert_gone(&client);
    }
    told.counts("netkit_connections_total{", &["\"refused\""], 1);
    told.run.stop().status(0);
}

#[cfg(feature = "tls")]
#[test]
fn metrics_may_be_told_over_tls_and_tls_failures_are_counted() {
    let data = tempfile::tempdir().unwrap();
    let run = netkit(["serve", "echo", "tls:0", "--metrics", "tls:0"])
        .env("XDG_DATA_HOME", data.path())
        .stdin(Stdio::null())
        .start();
    let port = |endpoint: &str| endpoint.rsplit(':').next().unwrap().parse::<u16>().unwrap();
    let served = port(&run.endpoint());
    let said = run.await_stderr("metrics on tls:localhost:");
    let at = said
        .lines()
        .find_map(|line| line.strip_prefix("metrics on "))
        .unwrap()
        .to_owned();
    let mut client = dial(([127, 0, 0, 1], served).into());
    client.write_all(b"no TLS at all\r\n").unwrap();
    let mut rest = Vec::new();
    let _ = client.read_to_end(&mut rest);
    run.await_stderr("warning: ");
    eventually("the failure to be counted", || {
        let text = netkit(["connect", &at])
            .env("XDG_DATA_HOME", data.path())
            .input("GET /metrics HTTP/1.0\r\n\r\n")
            .run()
            .status(0)
            .text();
        let failed = text.lines().any(|line| {
            line.starts_with("netkit_handshake_failures_total{")
                && line.contains("\"tls\"")
                && line.ends_with(" 1")
        });
        failed.then_some(())
    });
    run.stop().status(0);
}

#[cfg(feature = "tls")]
#[test]
fn endpoints_of_one_name_are_told_apart() {
    let data = tempfile::tempdir().unwrap();
    let ready = data.path().join("ready");
    // One name leads to both, where it has both addresses; if not, each has its own anyway.
    let six: IpAddr = Ipv6Addr::LOCALHOST.into();
    let mut found = ("localhost", 0).to_socket_addrs().unwrap();
    let four = match found.any(|found| found.ip() == six) {
        true => "127.0.0.1",
        false => "localhost",
    };
    let (_held, both) = eventually("a port that both families have free", || {
        let (four, address) = reserved(Type::STREAM);
        let six = Socket::new(Domain::IPV6, Type::STREAM, None).unwrap();
        six.set_reuse_address(true).unwrap();
        let other = SocketAddr::from((Ipv6Addr::LOCALHOST, address.port()));
        six.bind(&other.into()).ok()?;
        Some(((four, six), address.port()))
    });
    let run = netkit(["serve", "echo", "--metrics", "tcp:0:127.0.0.1", "--ready-file"])
        .arg(&ready)
        .arg(format!("tls:{both}:interface=127.0.0.1"))
        .arg(format!("tls:{both}:interface=[::1]"))
        .env("XDG_DATA_HOME", data.path())
        .stdin(Stdio::null())
        .start();
    let endpoints = run.endpoints(2);
    assert_eq!(
        endpoints,
        [format!("tls:{four}:{both}"), format!("tls:[::1]:{both}")]
    );
    assert_eq!(file_when_there(&ready), endpoints.join("\n") + "\n");
    let said = run.await_stderr("metrics on ");
    let at = said.lines().find_map(|line| line.strip_prefix("metrics on "));
    let told = Told {
        at: at.unwrap().to_owned(),
        run,
    };
    for (endpoint, times) in endpoints.iter().zip([1, 2]) {
        for _ in 0..times {
            netkit(["connect", endpoint])
                .env("XDG_DATA_HOME", data.path())
                .input("hello")
                .run()
                .status(0)
                .wrote("hello");
        }
        let label = format!("endpoint=\"{endpoint}\"");
        told.counts("netkit_connections_total{", &[&label, "\"closed\""], times);
    }
    told.run.stop().status(0);
}

#[test]
fn datagrams_are_counted() {
    let told = told(&[
        "echo",
        "udp:0:127.0.0.1",
        "--metrics",
        "tcp:0:127.0.0.1",
        "--deny",
        "127.0.0.2",
    ]);
    let to = address(&told.run.endpoint());
    let client = |own: &str| {
        let socket = UdpSocket::bind((own, 0)).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        socket.connect(to).unwrap();
        socket
    };
    let one = client("127.0.0.1");
    for _ in 0..3 {
        one.send(b"hello").unwrap();
        one.recv(&mut [0; 100]).unwrap();
    }
    client("127.0.0.2").send(b"dropped").unwrap();
    for direction in ["\"received\"", "\"sent\""] {
        told.counts("netkit_datagrams_total{", &[direction], 3);
        told.counts("netkit_datagram_bytes_total{", &[direction], 15);
    }
    told.counts("netkit_refused_total{", &["\"denied_datagram\""], 1);
    told.run.stop().status(0);
}

#[test]
fn readiness_ends_with_the_stop_and_health_with_the_process() {
    let told = told(&[
        "hold",
        "tcp:0:127.0.0.1",
        "--metrics",
        "tcp:0:127.0.0.1",
        "--grace",
        "50s",
    ]);
    assert_eq!(get(&told.at, "/readyz").0, 200);
    assert_eq!(get(&told.at, "/healthz").0, 200);
    let client = dial(told.run.address());
    told.counts("netkit_open_connections", &[], 1);
    told.run.signal(Signal::TERM);
    eventually("the end of readiness", || {
        (get(&told.at, "/readyz").0 == 503).then_some(())
    });
    assert_eq!(get(&told.at, "/healthz").0, 200);
    assert_eq!(get(&told.at, "/metrics").0, 200);
    told.run.signal(Signal::TERM);
    told.run.wait().status(0);
    drop(client);
}

#[test]
fn the_endpoint_is_bound_with_the_others_and_not_among_them() {
    let directory = tempfile::tempdir().unwrap();
    let ready = directory.path().join("ready");
    let socket = directory.path().join("metrics");
    let (unix, ready_file) = (format!("unix:{}", socket.display()), ready.display().to_string());
    let told = told(&[
        "echo",
        "tcp:0:127.0.0.1",
        "--metrics",
        &unix,
        "--ready-file",
        &ready_file,
    ]);
    assert_eq!(told.at, unix);
    assert_eq!(file_when_there(&ready), format!("{}\n", told.run.endpoint()));
    assert_eq!(get(&told.at, "/readyz").0, 200);
    told.run.stop().status(0);
    assert!(!socket.exists());
    // What cannot be bound is not served, and neither is anything else.
    let (_taken, taken) = listener();
    let port = taken.rsplit(':').next().unwrap();
    let outcome = netkit([
        "serve",
        "echo",
        "tcp:0:127.0.0.1",
        "--metrics",
        &format!("tcp:{port}:127.0.0.1"),
    ])
    .args(["--ready-file", &ready_file])
    .run()
    .status(7);
    assert!(!outcome.stderr.contains("listening on"), "{}", outcome.stderr);
}

#[test]
fn datagrams_are_no_way_to_ask() {
    netkit(["serve", "echo", "tcp:0", "--metrics", "udp:0"])
        .run()
        .status(2)
        .said(
            "error: could not serve metrics on udp:0: HTTP needs connections, and datagrams arrive there\n",
        );
}

#[test]
fn those_who_ask_slowly_hold_up_nobody() {
    let told = told(&["echo", "tcp:0:127.0.0.1", "--metrics", "tcp:0:127.0.0.1"]);
    let at: SocketAddr = address(&told.at);
    let start = Instant::now();
    let slow: Vec<_> = (0..200)
        .map(|_| {
            let mut client = dial(at);
            client.write_all(b"GET /met").unwrap();
            client
        })
        .collect();
    assert_eq!(
        ask(told.run.address(), b"served all the while"),
        b"served all the while"
    );
    for path in ["/healthz", "/readyz", "/metrics"] {
        assert_eq!(get(&told.at, path).0, 200);
    }
    assert!(start.elapsed() < HEAD, "{:?}", start.elapsed());
    drop(slow);
    told.run.stop().status(0);
}

#[cfg(feature = "tls")]
#[test]
fn those_who_shake_hands_slowly_hold_up_nobody() {
    let data = tempfile::tempdir().unwrap();
    let run = netkit([
        "serve",
        "echo",
        "tcp:0:127.0.0.1",
        "--metrics",
        "tls:0:interface=127.0.0.1",
    ])
    .env("XDG_DATA_HOME", data.path())
    .stdin(Stdio::null())
    .start();
    let said = run.await_stderr("metrics on tls:localhost:");
    let at = said.lines().find_map(|line| line.strip_prefix("metrics on "));
    let at = at.unwrap().to_owned();
    let port = at.rsplit(':').next().unwrap().parse::<u16>().unwrap();
    let start = Instant::now();
    let slow: Vec<_> = (0..200).map(|_| dial(([127, 0, 0, 1], port).into())).collect();
    let answer = netkit(["connect", &at])
        .env("XDG_DATA_HOME", data.path())
        .input("GET /readyz HTTP/1.0\r\n\r\n")
        .run()
        .status(0)
        .text();
    assert!(answer.starts_with("HTTP/1.0 200 "), "{answer}");
    assert!(start.elapsed() < HEAD, "{:?}", start.elapsed());
    drop(slow);
    run.stop().status(0);
}

#[test]
fn promtool_has_nothing_to_find_fault_with() {
    let Some(promtool) = installed(&["promtool"]) else {
        return;
    };
    let told = told(&[
        "echo",
        "tcp:0:127.0.0.1",
        "udp:0:127.0.0.1",
        "--metrics",
        "tcp:0:127.0.0.1",
        "--deny",
        "192.0.2.1",
    ]);
    let endpoints = told.run.endpoints(2);
    assert_eq!(ask(address(&endpoints[0]), b"hello"), b"hello");
    program(promtool, ["check", "metrics"])
        .input(told.text())
        .run()
        .status(0)
        .wrote("");
    told.run.stop().status(0);
}

#[test]
fn curl_reads_both_formats() {
    let Some(curl) = installed(&["curl"]) else {
        return;
    };
    let told = told(&["echo", "tcp:0:127.0.0.1", "--metrics", "tcp:0:127.0.0.1"]);
    let url = format!("http://{}/metrics", address(&told.at));
    let asked = |args: &[&str]| {
        program(curl, ["-sS", "-i", "--noproxy", "*", &url])
            .args(args)
            .run()
            .status(0)
            .text()
    };
    let open = asked(&["-H", "Accept: application/openmetrics-text; version=1.0.0"]);
    assert!(
        open.contains("content-type: application/openmetrics-text") && open.ends_with("# EOF\n"),
        "{open}"
    );
    let older = asked(&[]);
    assert!(
        older.contains("content-type: text/plain; version=0.0.4"),
        "{older}"
    );
    assert!(
        older.contains("# TYPE netkit_bytes_total counter") && !older.contains("EOF"),
        "{older}"
    );
    assert!(asked(&["-X", "DELETE"]).starts_with("HTTP/1.1 405 "));
    told.run.stop().status(0);
}
