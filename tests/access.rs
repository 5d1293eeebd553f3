//! Who is let in: `--allow`, `--deny` and `--max-connections-per-ip`, on the address that is to be believed.
//! Absent: how rules are read and weighed, which their unit tests show.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream, UdpSocket};
#[cfg(feature = "tls")]
use std::process::Stdio;

use socket2::{Domain, Socket, Type};

use crate::harness::peer::{
    ask, assert_echo, assert_gone, assert_silent, dial, dial_endpoint, read, read_all,
};
use crate::harness::{PATIENCE, Run, address, connect, eventually, netkit, serve};

/// A connection from this address of the loopback network. One that is refused may hear of it before it stands.
fn from(own: &str, to: SocketAddr) -> io::Result<TcpStream> {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    let own: SocketAddr = format!("{own}:0").parse().unwrap();
    socket.bind(&own.into()).unwrap();
    socket.connect(&to.into())?;
    let stream = TcpStream::from(socket);
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    Ok(stream)
}

#[track_caller]
fn assert_served(client: io::Result<TcpStream>) -> TcpStream {
    let mut client = client.unwrap();
    assert_echo(&mut client, b"welcome");
    client
}

/// That it was closed with a reset, however little it has sent.
#[track_caller]
fn assert_refused(client: io::Result<TcpStream>) {
    let read = client.and_then(|mut stream| stream.read(&mut [0]));
    let error = read.expect_err("a reset was to come");
    assert_eq!(error.kind(), ErrorKind::ConnectionReset);
}

/// Says whom it speaks for, in front of an echo server.
fn on_behalf_of(client: &str, to: SocketAddr) -> TcpStream {
    let mut proxy = dial(to);
    let family = if client.contains(':') { 6 } else { 4 };
    let server = if family == 6 {
        "2001:db8::2"
    } else {
        "198.51.100.1"
    };
    write!(proxy, "PROXY TCP{family} {client} {server} 5555 80\r\n").unwrap();
    proxy
}

fn echo(args: &[&str]) -> Run {
    serve(["-v", "echo"].iter().chain(args))
}

#[test]
fn only_those_who_are_allowed_are_served() {
    let server = echo(&["tcp:0", "--allow", "127.0.0.2", "--allow", "127.1.0.0/16"]);
    let to = server.address();
    for own in ["127.0.0.2", "127.1.2.3"] {
        drop(assert_served(from(own, to)));
    }
    assert_refused(from("127.0.0.1", to));
    server.await_stderr("refused: not among those that are allowed peer=127.0.0.1:");
    server.stop().status(0);
}

#[test]
fn those_who_are_denied_are_not_served_and_the_most_specific_rule_decides() {
    let server = echo(&[
        "tcp:0",
        "--deny",
        "127.0.0.0/8",
        "--allow",
        "127.0.0.9",
        "--deny",
        "127.0.0.9/32",
        "--allow",
        "127.0.0.8/31",
        "--allow=127.0.0.7",
    ]);
    let to = server.address();
    for own in ["127.0.0.8", "127.0.0.7"] {
        drop(assert_served(from(own, to)));
    }
    for own in ["127.0.0.1", "127.0.0.9"] {
        assert_refused(from(own, to));
    }
    server.await_stderr("refused: 127.0.0.9 is denied peer=127.0.0.9:");
    server.stop().status(0);
    let server = echo(&["tcp:0", "--deny", "127.0.0.2"]);
    drop(assert_served(from("127.0.0.1", server.address())));
    assert_refused(from("127.0.0.2", server.address()));
    server.stop().status(0);
}

#[test]
fn a_dual_stack_socket_is_no_way_around_a_rule() {
    let server = echo(&["tcp6:0", "--deny", "127.0.0.0/30", "--deny", "::1"]);
    let port = address(&server.endpoint()).port();
    let v4: SocketAddr = ([127, 0, 0, 1], port).into();
    assert_refused(from("127.0.0.1", v4));
    assert_refused(TcpStream::connect((Ipv6Addr::LOCALHOST, port)));
    drop(assert_served(from("127.0.0.4", v4)));
    server.stop().status(0);
}

#[test]
fn behind_a_proxy_the_address_that_the_header_names_counts() {
    let server = echo(&[
        "haproxy:tcp:0:127.0.0.1",
        "--allow",
        "192.0.2.0/24",
        "--allow",
        "2001:db8::/32",
    ]);
    let to = server.address();
    for client in ["192.0.2.7", "2001:db8::7"] {
        assert_echo(&mut on_behalf_of(client, to), b"welcome");
    }
    for client in ["198.51.100.7", "2001:db9::7"] {
        let mut refused = on_behalf_of(client, to);
        assert_gone(&refused);
        let _ = refused.write(b"x");
    }
    server.await_stderr("refused: not among those that are allowed peer=198.51.100.7:5555");
    // The proxy's own connections are the proxy's.
    let mut own = dial(to);
    own.write_all(b"PROXY UNKNOWN\r\n").unwrap();
    assert_gone(&own);
    let said = server.await_stderr("refused: not among those that are allowed peer=127.0.0.1:");
    assert!(!said.contains("warning:"), "{said}");
    server.stop().status(0);
}

#[test]
fn an_ipv4_address_in_the_form_of_ipv6_is_no_way_around_a_rule() {
    let server = echo(&[
        "haproxy:tcp:0:127.0.0.1",
        "--deny",
        "192.0.2.0/24",
        "--max-connections-per-ip",
        "1",
    ]);
    let to = server.address();
    // In a line and in binary.
    assert_gone(&on_behalf_of("::ffff:192.0.2.7", to));
    let in_binary = |client: [u8; 4]| {
        let mut header = b"\r\n\r\n\0\r\nQUIT\n\x21\x21\0\x24".to_vec();
        for address in [client, [198, 51, 100, 1]] {
            header.extend([0; 10]);
            header.extend([0xff; 2]);
            header.extend(address);
        }
        header.extend([0x15, 0xb3, 0, 80]);
        let mut proxy = dial(to);
        proxy.write_all(&header).unwrap();
        proxy
    };
    assert_gone(&in_binary([192, 0, 2, 7]));
    // One client, however its address is written.
    let mut one = in_binary([203, 0, 113, 1]);
    assert_echo(&mut one, b"in");
    for again in ["203.0.113.1", "::ffff:203.0.113.1"] {
        assert_gone(&on_behalf_of(again, to));
    }
    assert_echo(&mut on_behalf_of("::ffff:203.0.113.2", to), b"another");
    drop(one);
    server.stop().status(0);
}

#[test]
fn datagrams_of_ipv4_to_a_socket_of_ipv6_are_judged_as_ipv4() {
    let server = echo(&["udp6:0", "--deny", "127.0.0.2"]);
    let mut to = address(&server.endpoint());
    to.set_ip(Ipv4Addr::LOCALHOST.into());
    let client = |own: &str| {
        let socket = UdpSocket::bind((own, 0)).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        socket.connect(to).unwrap();
        socket
    };
    client("127.0.0.2").send(b"dropped").unwrap();
    let other = client("127.0.0.1");
    other.send(b"answered").unwrap();
    assert_eq!(other.recv(&mut [0; 100]).unwrap(), 8);
    server.await_stderr("refused 1 datagram: 127.0.0.2 is denied peer=");
    server.stop().status(0);
}

#[test]
fn a_header_in_a_header_is_believed_last() {
    let server = echo(&["haproxy:haproxy:tcp:0:127.0.0.1", "--deny", "192.0.2.1"]);
    let to = address(server.endpoint().strip_prefix("haproxy:").unwrap());
    let line = |client: &str| format!("PROXY TCP4 {client} 198.51.100.1 5555 80\r\n");
    for (outer, inner, served) in [
        ("192.0.2.1", "192.0.2.2", true),
        ("192.0.2.2", "192.0.2.1", false),
    ] {
        let mut proxy = dial(to);
        proxy.write_all((line(outer) + &line(inner)).as_bytes()).unwrap();
        if served {
            assert_echo(&mut proxy, b"welcome");
        } else {
            assert_gone(&proxy);
        }
    }
    server.stop().status(0);
}

#[cfg(feature = "tls")]
#[test]
fn nobody_is_let_as_far_as_tls_who_is_refused() {
    let data = tempfile::tempdir().unwrap();
    for (endpoint, wrapped) in [("tls:0", false), ("haproxy:tls:0", true)] {
        let server = netkit(["-v", "serve", "echo", endpoint, "--deny", "127.0.0.1"])
            .env("XDG_DATA_HOME", data.path())
            .stdin(Stdio::null())
            .start();
        let told = server.endpoint();
        let port = told.rsplit(':').next().unwrap().parse().unwrap();
        // Before the client has said a word of TLS.
        let refused = from("127.0.0.1", ([127, 0, 0, 1], port).into());
        if wrapped {
            let refused = refused.unwrap();
            (&refused).write_all(b"PROXY UNKNOWN\r\n").unwrap();
            assert_gone(&refused);
        } else {
            assert_refused(refused);
        }
        let said = server.await_stderr("refused: 127.0.0.1 is denied");
        assert!(!said.contains("TLS") && !said.contains("warning"), "{said}");
        server.stop().status(0);
    }
}

#[test]
fn who_has_no_address_is_let_in() {
    let directory = tempfile::tempdir().unwrap();
    let unix = format!("unix:{}", directory.path().join("s").display());
    let server = echo(&[&unix, "--allow", "192.0.2.1"]);
    let mut wire = dial_endpoint(&server.endpoint());
    wire.write_all(b"hello").unwrap();
    wire.end();
    assert_eq!(read_all(&mut wire), b"hello");
    server.stop().status(0);
    netkit(["serve", "echo", "stdio", "--allow", "192.0.2.1"])
        .input("hello")
        .run()
        .status(0)
        .wrote("hello");
}

#[test]
fn datagrams_of_those_who_are_denied_are_dropped() {
    let server = echo(&["udp:0:127.0.0.1", "--deny", "127.0.0.2"]);
    let to = address(&server.endpoint());
    let client = |own: &str| {
        let socket = UdpSocket::bind((own, 0)).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        socket.connect(to).unwrap();
        socket
    };
    let (denied, other) = (client("127.0.0.2"), client("127.0.0.1"));
    denied.send(b"dropped").unwrap();
    other.send(b"answered").unwrap();
    let mut answer = [0; 100];
    assert_eq!(other.recv(&mut answer).unwrap(), 8);
    // They are read in order, so this one was judged before.
    denied.set_nonblocking(true).unwrap();
    assert_eq!(
        denied.recv(&mut answer).unwrap_err().kind(),
        ErrorKind::WouldBlock
    );
    server.await_stderr("refused 1 datagram: 127.0.0.2 is denied peer=127.0.0.2:");
    server.stop().status(0);
}

#[test]
fn an_address_has_so_many_connections_and_another_has_its_own() {
    let server = echo(&["tcp:0", "--max-connections-per-ip", "2", "--workers", "2"]);
    let to = server.address();
    let mut held: Vec<_> = (0..2).map(|_| assert_served(from("127.0.0.1", to))).collect();
    assert_refused(from("127.0.0.1", to));
    server.await_stderr("refused: the address has 2 connections already peer=127.0.0.1:");
    drop(assert_served(from("127.0.0.2", to)));
    // As soon as one has left there is room for the next.
    drop(held.pop());
    eventually("a place to be free", || {
        let mut client = from("127.0.0.1", to).ok()?;
        let _ = client.write_all(b"x");
        matches!(client.read(&mut [0]), Ok(1)).then_some(())
    });
    drop(held);
    server.stop().status(0);
}

#[test]
fn behind_a_proxy_connections_are_counted_by_client() {
    let server = echo(&["haproxy:tcp:0:127.0.0.1", "--max-connections-per-ip", "1"]);
    let to = server.address();
    let mut one = on_behalf_of("192.0.2.1", to);
    assert_echo(&mut one, b"in");
    assert_echo(&mut on_behalf_of("192.0.2.2", to), b"in");
    assert_gone(&on_behalf_of("192.0.2.1", to));
    assert_echo(&mut one, b"still in");
    drop(one);
    server.stop().status(0);
}

#[test]
fn a_refused_client_is_not_the_one_that_once_is_about() {
    let server = echo(&["tcp:0", "--once", "--deny", "127.0.0.2"]);
    let to = server.address();
    assert_refused(from("127.0.0.2", to));
    assert_eq!(ask(to, b"the one"), b"the one");
    server.wait().status(0);
}

#[test]
fn listen_lets_in_whom_it_may() {
    let mut server = netkit(["-v", "listen", "tcp:0", "--deny", "127.0.0.2", "--send", "hi"]).start();
    let to = server.address();
    assert_refused(from("127.0.0.2", to));
    let mut client = dial(to);
    client.write_all(b"hello").unwrap();
    assert_eq!(read(&client, 2), b"hi");
    server.end_input();
    drop(client);
    server.wait().status(0).wrote("hello");
}

#[test]
fn listen_hears_no_datagram_of_those_who_are_denied() {
    let server = netkit([
        "-v",
        "listen",
        "udp:0:127.0.0.1",
        "--deny",
        "127.0.0.2",
        "--grace",
        "0",
    ])
    .start();
    let to = address(&server.endpoint());
    let client = |own: &str| UdpSocket::bind((own, 0)).unwrap();
    // More than there is room for flows.
    for _ in 0..100 {
        client("127.0.0.2").send_to(b"dropped", to).unwrap();
    }
    let other = client("127.0.0.1");
    // A datagram may be lost where the kernel has no room for it.
    eventually("the datagram to be heard", || {
        other.send_to(b"heard", to).unwrap();
        (!server.stdout.so_far().is_empty()).then_some(())
    });
    let outcome = server.stop().status(0);
    assert!(outcome.text().starts_with("heard") && !outcome.text().contains("dropped"));
}

#[test]
fn a_flood_of_refusals_holds_up_nobody_and_leaves_nothing() {
    let server = serve(["echo", "tcp:0", "--deny", "127.0.0.2"]);
    let to = server.address();
    let mut client = dial(to);
    assert_echo(&mut client, b"before");
    let before = server.descriptors();
    for _ in 0..500 {
        drop(from("127.0.0.2", to));
    }
    assert_echo(&mut client, b"after");
    assert_silent(&client);
    eventually("the refused to be gone", || {
        (server.descriptors() <= before).then_some(())
    });
    // Without -v nobody hears of them.
    drop(client);
    let outcome = server.stop().status(0);
    assert_eq!(outcome.stderr.lines().count(), 1, "{}", outcome.stderr);
}

#[test]
fn our_client_says_that_it_was_refused() {
    let server = serve(["echo", "tcp:0:127.0.0.1", "--deny", "127.0.0.1"]);
    let outcome = connect([&server.endpoint(), "--no-stdin"]).run();
    // The reset may come before its connection stands.
    assert!([3, 8].contains(&outcome.status), "{outcome:?}");
    outcome.mentions("connection reset by the peer");
    server.stop().status(0);
}

#[test]
fn what_is_no_block_of_addresses_is_a_usage_error() {
    for (rule, why) in [
        ("10.1.2.3/8", "it is 10.0.0.0/8, or the address alone"),
        (
            "10.0.0.0/33",
            "the length of a block of such addresses is 0 to 32",
        ),
        ("localhost", "not an IP address"),
    ] {
        for flag in ["--allow", "--deny"] {
            netkit(["serve", "echo", "tcp:0", flag, rule])
                .run()
                .status(2)
                .mentions(why);
        }
    }
    netkit(["serve", "echo", "tcp:0", "--max-connections-per-ip", "0"])
        .run()
        .status(2);
}
