//! nc, ncat, socat, telnet and Twisted at the other end of the wire, in both directions.
//! Absent: the programs themselves. A test of one that is not installed is skipped with a word on standard error, and
//! fails where `NETKIT_INTEROP=required` says that it has to be there.

use std::net::SocketAddr;
use std::path::Path;
use std::process::{Command, Stdio};

use socket2::Type;
use tempfile::TempDir;

use crate::harness::installed::{await_listening, installed, reserved};
use crate::harness::{Run, address, connect, eventually, listen, program, serve};

/// OpenBSD's netcat; the traditional one has neither `-N` nor `-U`.
fn nc() -> Option<&'static str> {
    let name = installed(&["nc.openbsd", "nc"])?;
    let help = Command::new(name)
        .arg("-h")
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let is_openbsd = String::from_utf8_lossy(&help.stderr).contains("OpenBSD")
        || String::from_utf8_lossy(&help.stderr).contains("[-46");
    if is_openbsd {
        Some(name)
    } else {
        installed(&["nc.openbsd"])
    }
}

fn ncat() -> Option<&'static str> {
    installed(&["ncat"])
}

fn socat() -> Option<&'static str> {
    installed(&["socat"])
}

fn telnet() -> Option<&'static str> {
    installed(&["telnet"])
}

/// Waits until a process other than ours has this UDP port too.
fn await_bound(address: SocketAddr, peer: &Run) {
    let port = format!("{:04X} ", address.port());
    eventually("the peer to bind", || {
        assert!(
            !peer.has_ended(),
            "{}",
            String::from_utf8_lossy(&peer.stderr.so_far())
        );
        let table = std::fs::read_to_string("/proc/net/udp").unwrap();
        (table
            .lines()
            .filter(|line| line.contains(&format!(":{port}")))
            .count()
            > 1)
        .then_some(())
    });
}

fn await_socket(path: &Path) {
    let shown = path.to_str().unwrap().to_owned();
    eventually("the peer to listen", || {
        let table = std::fs::read_to_string("/proc/net/unix").unwrap();
        // 00010000 is __SO_ACCEPTCON: it listens.
        table
            .lines()
            .any(|line| line.ends_with(&shown) && line.contains(" 00010000 "))
            .then_some(())
    });
}

fn directory() -> (TempDir, String) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("socket").to_str().unwrap().to_owned();
    (directory, path)
}

/// The peer asks an echo server of ours, ends its half, and gets its bytes back.
fn asks_our_echo(name: &str, args: impl Fn(&str) -> Vec<String>, endpoint: &str) {
    let server = serve(["echo", endpoint]);
    let text = "a line\nand another\n";
    program(name, args(&server.endpoint()))
        .input(text)
        .run()
        .status(0)
        .wrote(text);
    server.stop().status(0);
}

/// The peer talks to our `listen`, each side sending and ending its half.
fn talks_to_our_listen(name: &str, args: impl Fn(&str) -> Vec<String>, endpoint: &str) {
    let mut listener = listen([endpoint]);
    let mut peer = program(name, args(&listener.endpoint())).start();
    peer.write("from the peer\n");
    listener.await_stdout("from the peer\n");
    listener.write("from us\n");
    peer.await_stdout("from us\n");
    listener.end_input();
    peer.end_input();
    peer.wait().status(0).wrote("from us\n");
    listener.wait().status(0).wrote("from the peer\n");
}

/// Our `connect` talks to a peer that listens, each side sending and ending its half.
fn answers_our_connect(mut peer: Run, endpoint: &str) {
    let mut client = connect([endpoint]).start();
    client.write("from us\n");
    peer.await_stdout("from us\n");
    peer.write("from the peer\n");
    client.await_stdout("from the peer\n");
    client.end_input();
    peer.end_input();
    client.wait().status(0).wrote("from the peer\n");
    peer.wait().status(0).wrote("from us\n");
}

fn strings<const N: usize>(args: [&str; N]) -> Vec<String> {
    args.map(str::to_owned).into()
}

fn host_and_port(endpoint: &str) -> (String, String) {
    let address = address(endpoint);
    (address.ip().to_string(), address.port().to_string())
}

fn path_of(endpoint: &str) -> &str {
    endpoint.strip_prefix("unix:").unwrap()
}

const TCP: &str = "tcp:0:127.0.0.1";
const TCP6: &str = "tcp6:0:interface=[::1]";

// TCP

#[test]
fn nc_is_a_tcp_client() {
    let Some(nc) = nc() else { return };
    let args = |endpoint: &str| {
        let (host, port) = host_and_port(endpoint);
        strings(["-N", &host, &port])
    };
    asks_our_echo(nc, args, TCP);
    asks_our_echo(nc, args, TCP6);
    talks_to_our_listen(nc, args, TCP);
}

#[test]
fn nc_is_a_tcp_server() {
    let Some(nc) = nc() else { return };
    let (_held, address) = reserved(Type::STREAM);
    let peer = program(nc, ["-N", "-l", "127.0.0.1", &address.port().to_string()]).start();
    await_listening(address);
    answers_our_connect(peer, &format!("tcp:{address}"));
}

#[test]
fn ncat_is_a_tcp_client() {
    let Some(ncat) = ncat() else { return };
    let args = |endpoint: &str| {
        let (host, port) = host_and_port(endpoint);
        strings([&host, &port])
    };
    asks_our_echo(ncat, args, TCP);
    asks_our_echo(ncat, args, TCP6);
    talks_to_our_listen(ncat, args, TCP);
}

#[test]
fn ncat_is_a_tcp_server() {
    let Some(ncat) = ncat() else { return };
    let (_held, address) = reserved(Type::STREAM);
    let peer = program(ncat, ["-l", "127.0.0.1", &address.port().to_string()]).start();
    await_listening(address);
    answers_our_connect(peer, &format!("tcp:{address}"));
}

#[test]
fn socat_is_a_tcp_client() {
    let Some(socat) = socat() else { return };
    // Without a limit of its own, socat would wait for half a second and leave.
    let args = |endpoint: &str| strings(["-t60", "-", &endpoint.replacen("tcp:", "TCP:", 1)]);
    asks_our_echo(socat, args, TCP);
    asks_our_echo(socat, args, TCP6);
    talks_to_our_listen(socat, args, TCP);
}

#[test]
fn socat_is_a_tcp_server() {
    let Some(socat) = socat() else { return };
    let (_held, address) = reserved(Type::STREAM);
    let listen = format!("TCP-LISTEN:{},bind=127.0.0.1,reuseaddr", address.port());
    let peer = program(socat, ["-t60", "-", &listen]).start();
    await_listening(address);
    answers_our_connect(peer, &format!("tcp:{address}"));
}

#[test]
fn socat_relays_between_two_of_ours() {
    let Some(socat) = socat() else { return };
    let server = serve(["echo", TCP]);
    let (_held, address) = reserved(Type::STREAM);
    let listen = format!("TCP-LISTEN:{},bind=127.0.0.1,reuseaddr", address.port());
    let relay = program(
        socat,
        ["-t60", &listen, &server.endpoint().replacen("tcp:", "TCP:", 1)],
    )
    .start();
    await_listening(address);
    let bytes = crate::harness::peer::noise(1_000_000);
    let outcome = connect([format!("tcp:{address}")])
        .input(bytes.clone())
        .run()
        .status(0);
    assert!(
        outcome.stdout == bytes,
        "{} of {} bytes",
        outcome.stdout.len(),
        bytes.len()
    );
    relay.wait().status(0);
}

#[test]
fn telnet_is_a_client() {
    let Some(telnet) = telnet() else { return };
    let server = serve(["echo", TCP]);
    let (host, port) = host_and_port(&server.endpoint());
    let mut peer = program(telnet, [&host, &port]).start();
    peer.await_stdout("Connected to");
    peer.write("typed by hand\n");
    // It shows the CRLF that came back as a terminal wants it.
    peer.await_stdout("typed by hand\n");
    drop(peer);

    let mut listener = listen([TCP]);
    let (host, port) = host_and_port(&listener.endpoint());
    let mut peer = program(telnet, [&host, &port]).start();
    peer.await_stdout("Connected to");
    peer.write("knock\n");
    listener.await_stdout("knock\r\n");
    listener.write("come in\n");
    peer.await_stdout("come in\n");
    listener.end_input();
    listener.wait().status(0);
}

// UNIX

#[test]
fn nc_is_a_unix_client() {
    let Some(nc) = nc() else { return };
    let args = |endpoint: &str| strings(["-N", "-U", path_of(endpoint)]);
    let (_directory, path) = directory();
    asks_our_echo(nc, args, &format!("unix:{path}"));
    talks_to_our_listen(nc, args, &format!("unix:{path}"));
}

#[test]
fn nc_is_a_unix_server() {
    let Some(nc) = nc() else { return };
    let (_directory, path) = directory();
    let peer = program(nc, ["-N", "-l", "-U", &path]).start();
    await_socket(Path::new(&path));
    answers_our_connect(peer, &format!("unix:{path}"));
}

#[test]
fn ncat_is_a_unix_client() {
    let Some(ncat) = ncat() else { return };
    let args = |endpoint: &str| strings(["-U", path_of(endpoint)]);
    let (_directory, path) = directory();
    asks_our_echo(ncat, args, &format!("unix:{path}"));
    talks_to_our_listen(ncat, args, &format!("unix:{path}"));
}

#[test]
fn ncat_is_a_unix_server() {
    let Some(ncat) = ncat() else { return };
    let (_directory, path) = directory();
    let peer = program(ncat, ["-l", "-U", &path]).start();
    await_socket(Path::new(&path));
    answers_our_connect(peer, &format!("unix:{path}"));
}

#[test]
fn socat_is_a_unix_client() {
    let Some(socat) = socat() else { return };
    let (_directory, path) = directory();
    let args = |endpoint: &str| strings(["-t60", "-", &format!("UNIX-CONNECT:{}", path_of(endpoint))]);
    asks_our_echo(socat, args, &format!("unix:{path}"));
    talks_to_our_listen(socat, args, &format!("unix:{path}"));
    let args = |endpoint: &str| {
        strings([
            "-t60",
            "-",
            &format!("ABSTRACT-CONNECT:{}", &path_of(endpoint)[1..]),
        ])
    };
    asks_our_echo(socat, args, &format!("unix:@{path}"));
}

#[test]
fn socat_is_a_unix_server() {
    let Some(socat) = socat() else { return };
    let (_directory, path) = directory();
    for (listen, endpoint, shown) in [
        (
            format!("UNIX-LISTEN:{path}"),
            format!("unix:{path}"),
            path.clone(),
        ),
        (
            format!("ABSTRACT-LISTEN:{path}"),
            format!("unix:@{path}"),
            format!("@{path}"),
        ),
    ] {
        let peer = program(socat, ["-t60", "-", &listen]).start();
        await_socket(Path::new(&shown));
        answers_our_connect(peer, &endpoint);
    }
}

// UDP

/// A peer that sends a datagram to our echo server gets it back.
fn asks_our_udp_echo(name: &str, args: impl Fn(&str, &str) -> Vec<String>) {
    let server = serve(["echo", "udp:0:127.0.0.1"]);
    let (host, port) = host_and_port(&server.endpoint());
    let mut peer = program(name, args(&host, &port)).start();
    peer.write("a message\n");
    peer.await_stdout("a message\n");
    peer.write("and another\n");
    peer.await_stdout("a message\nand another\n");
    server.stop().status(0);
}

/// A peer that waits for datagrams and answers them.
fn answers_our_udp_connect(mut peer: Run, address: SocketAddr) {
    await_bound(address, &peer);
    let mut client = connect([format!("udp:{address}")]).start();
    client.write("a message\n");
    peer.await_stdout("a message\n");
    peer.write("an answer\n");
    client.await_stdout("an answer\n");
    client.end_input();
    client.wait().status(0).wrote("an answer\n");
}

#[test]
fn nc_is_a_udp_client() {
    let Some(nc) = nc() else { return };
    asks_our_udp_echo(nc, |host, port| strings(["-u", host, port]));
}

#[test]
fn ncat_is_a_udp_client() {
    let Some(ncat) = ncat() else { return };
    asks_our_udp_echo(ncat, |host, port| strings(["-u", host, port]));
}

#[test]
fn socat_is_a_udp_client() {
    let Some(socat) = socat() else { return };
    asks_our_udp_echo(socat, |host, port| strings(["-", &format!("UDP:{host}:{port}")]));
}

#[test]
fn nc_is_a_udp_server() {
    let Some(nc) = nc() else { return };
    let (_held, address) = reserved(Type::DGRAM);
    let peer = program(nc, ["-u", "-l", "127.0.0.1", &address.port().to_string()]).start();
    answers_our_udp_connect(peer, address);
}

#[test]
fn ncat_is_a_udp_server() {
    let Some(ncat) = ncat() else { return };
    let (_held, address) = reserved(Type::DGRAM);
    let peer = program(ncat, ["-u", "-l", "127.0.0.1", &address.port().to_string()]).start();
    answers_our_udp_connect(peer, address);
}

#[test]
fn socat_is_a_udp_server() {
    let Some(socat) = socat() else { return };
    let (_held, address) = reserved(Type::DGRAM);
    let listen = format!("UDP-LISTEN:{},bind=127.0.0.1,reuseaddr", address.port());
    let peer = program(socat, ["-", &listen]).start();
    answers_our_udp_connect(peer, address);
}

#[test]
fn peers_speak_datagrams_to_our_listen() {
    let Some(socat) = socat() else { return };
    let mut listener = listen(["--grace", "0", "udp:0:127.0.0.1"]);
    let mut peer = program(socat, ["-", &listener.endpoint().replacen("udp:", "UDP:", 1)]).start();
    peer.write("knock\n");
    listener.await_stdout("knock\n");
    listener.write("come in\n");
    peer.await_stdout("come in\n");
    listener.stop().status(0);
}

// Lines

const GREETING: &str = "Connection with the server established!\r\n";
const HELLO: &str = "Hello! How are you?\r\n";
const BYE: &str = "Noooo don't go awayyyyy...\r\n";
const SAVED: &str = "Message saved!\r\n";

/// Talks to our `serve lines` as its user would, line for line, to the end.
fn talks_lines(name: &str, args: impl Fn(&str, &str) -> Vec<String>, before: &str, line_end: &str) -> Run {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("file.txt");
    let server = serve(["lines", TCP, "--file", file.to_str().unwrap()]);
    let (host, port) = host_and_port(&server.endpoint());
    let mut peer = program(name, args(&host, &port)).start();
    let mut expected = String::from(before) + &GREETING.replace("\r\n", line_end);
    peer.await_stdout(&expected);
    for (said, answer) in [("hello", HELLO), ("write: from a peer", SAVED), ("goodbye", BYE)] {
        peer.write(format!("{said}\n"));
        expected += &answer.replace("\r\n", line_end);
        peer.await_stdout(&expected);
    }
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "from a peer\n");
    peer.end_input();
    server.stop().status(0);
    peer
}

#[test]
fn nc_talks_to_our_lines_with_either_line_end() {
    let Some(nc) = nc() else { return };
    for flags in ["-C", "-N"] {
        let peer = talks_lines(nc, |host, port| strings([flags, host, port]), "", "\r\n");
        peer.wait().status(0);
    }
}

#[test]
fn ncat_talks_to_our_lines_with_either_line_end() {
    let Some(ncat) = ncat() else { return };
    for flags in ["-C", "-4"] {
        let peer = talks_lines(ncat, |host, port| strings([flags, host, port]), "", "\r\n");
        peer.wait().status(0);
    }
}

#[test]
fn telnet_talks_to_our_lines() {
    let Some(telnet) = telnet() else { return };
    let before = "Trying 127.0.0.1...\r\nConnected to 127.0.0.1.\r\nEscape character is '^]'.\r\n";
    let before = before.replace("\r\n", "\n");
    // It shows CRLF as a terminal wants it. Its status tells whether it saw the server's end or its input's first.
    let peer = talks_lines(telnet, |host, port| strings([host, port]), &before, "\n");
    peer.wait().mentions("Connection closed by foreign host.");
}

/// Says the next line when the answer to the last one has come; prints what comes, line by line.
const LINE_RECEIVER: &str = "
import sys
from twisted.internet import endpoints, protocol, reactor
from twisted.protocols.basic import LineReceiver
lines = [b'hello', b'write: ' + b'x' * 16377, b'write: caf\\xe9', b'goodbye']
class Client(LineReceiver):
    def lineReceived(self, line):
        print(line.decode(), flush=True)
        if lines:
            self.sendLine(lines.pop(0))
    def connectionLost(self, reason):
        print(reason.type.__name__, flush=True)
        reactor.stop()
endpoint = endpoints.clientFromString(reactor, 'tcp:host=%s:port=%s' % (sys.argv[1], sys.argv[2]))
endpoints.connectProtocol(endpoint, Client())
reactor.run()
";

#[test]
fn a_line_receiver_of_twisted_talks_to_our_lines() {
    let Some(python) = crate::proxy::twisted::python() else {
        return;
    };
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("file.txt");
    let server = serve(["lines", TCP, "--file", file.to_str().unwrap()]);
    let (host, port) = host_and_port(&server.endpoint());
    let expected = format!("{GREETING}{HELLO}{SAVED}{SAVED}{BYE}ConnectionDone\n").replace("\r\n", "\n");
    program(python.to_str().unwrap(), ["-c", LINE_RECEIVER, &host, &port])
        .run()
        .status(0)
        .wrote(expected);
    // The longest line that either side takes.
    let saved = [&b"x".repeat(16_377), &b"\ncaf\xe9\n"[..]].concat();
    assert_eq!(std::fs::read(&file).unwrap(), saved);
    server.stop().status(0);
}
