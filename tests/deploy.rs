//! The files in `deploy/`, each with the program that reads it, and the servers that they start.
//! Absent: what they are for; each says so itself.

use std::fs;
use std::io::{Read, Write};
use std::net::SocketAddr;
use std::path::Path;
use std::process::Stdio;

use rustix::process::Signal;
use socket2::Type;

use crate::harness::installed::{await_listening, installed, is_there, reserved};
use crate::harness::peer::{ask, assert_echo, dial, read};
use crate::harness::{Run, address, eventually, netkit, program};

fn deployed(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy").join(name);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The words of a command that a file may continue on further lines.
fn words(command: &str) -> Vec<String> {
    command
        .replace("\\\n", " ")
        .split_whitespace()
        .map(str::to_owned)
        .collect()
}

/// What follows `ExecStart=` in the unit.
fn start_line() -> Vec<String> {
    let unit = deployed("netkit-echo.service");
    let (_, rest) = unit.split_once("ExecStart=").unwrap();
    let (line, _) = rest.split_once("\nExecReload").unwrap();
    words(line)
}

// haproxy

/// An instance as the configuration has it, on ports of its own: the server, and where it and its metrics are.
fn instance(grace: &str) -> (Run, SocketAddr, SocketAddr) {
    let config = deployed("haproxy.cfg");
    let line = config
        .lines()
        .find_map(|line| line.trim_start_matches(['#', ' ']).strip_prefix("netkit serve "));
    let args = words(line.unwrap()).into_iter().map(|word| {
        let ports = [":1235:", ":9235:"];
        ports.iter().fold(word, |word, port| word.replace(port, ":0:"))
    });
    let run = netkit(["-v", "serve", "--grace", grace])
        .args(args)
        .stdin(Stdio::null())
        .start();
    let served = run.address();
    let said = run.await_stderr("listening on ");
    let metrics = said
        .lines()
        .find_map(|line| line.strip_prefix("metrics on "))
        .unwrap();
    let metrics = address(metrics);
    (run, served, metrics)
}

#[test]
fn haproxy_hands_clients_to_two_instances_and_leaves_out_one_that_stops() {
    let Some(haproxy) = installed(&["haproxy"]) else {
        return;
    };
    let (one, to_one, metrics_one) = instance("60s");
    let (two, to_two, metrics_two) = instance("60s");
    let (held, front) = reserved(Type::STREAM);
    let ports = |from: &str, served: SocketAddr, metrics: SocketAddr| {
        (from.to_owned(), format!("{served} port {}", metrics.port()))
    };
    let replaced = [
        ("bind 127.0.0.1:1234".to_owned(), format!("bind {front}")),
        ports("127.0.0.1:1235 port 9235", to_one, metrics_one),
        ports("127.0.0.1:1236 port 9236", to_two, metrics_two),
        ("inter 1s".to_owned(), "inter 50ms".to_owned()),
    ];
    let mut config = deployed("haproxy.cfg");
    for (from, to) in replaced {
        assert!(config.contains(&from), "no `{from}` in haproxy.cfg");
        config = config.replace(&from, &to);
    }
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("haproxy.cfg");
    fs::write(&file, config).unwrap();
    let _haproxy = program(haproxy, ["-db", "-f", file.to_str().unwrap()]).start();
    await_listening(front);
    drop(held);
    // Both get clients, and hear who they are.
    let mut clients: Vec<_> = (0..4)
        .map(|number: u8| {
            let mut client = dial(front);
            assert_echo(&mut client, &[number; 100]);
            client
        })
        .collect();
    for instance in [&one, &two] {
        instance.await_stderr("handed on by the proxy 127.0.0.1:");
    }
    let heard = |instance: &Run, client: &std::net::TcpStream| {
        let peer = format!("peer={} ", client.local_addr().unwrap());
        String::from_utf8_lossy(&instance.stderr.so_far()).contains(&peer)
    };
    for client in &clients {
        eventually("a server to have heard of the client", || {
            (heard(&one, client) || heard(&two, client)).then_some(())
        });
        assert!(
            heard(&one, client) != heard(&two, client),
            "each client has one server"
        );
    }
    // One is told to stop: clients go to the other, and those that are open go on.
    one.signal(Signal::TERM);
    eventually("haproxy to leave the one out", || {
        // One that is handed on in the very moment in which a listener closes is reset, whatever a server does.
        let mut client = dial(front);
        client.write_all(b"new").unwrap();
        client.read_exact(&mut [0; 3]).ok()?;
        let there = heard(&two, &client);
        clients.push(client);
        there.then_some(())
    });
    for _ in 0..8 {
        let mut client = dial(front);
        assert_echo(&mut client, b"new");
        eventually("the other to have it", || heard(&two, &client).then_some(()));
    }
    for client in &mut clients {
        assert_echo(client, b"open all the while");
    }
    drop(clients);
    one.wait().status(0);
    two.stop().status(0);
}

#[test]
fn haproxy_finds_no_fault_with_its_configuration() {
    let Some(haproxy) = installed(&["haproxy"]) else {
        return;
    };
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/haproxy.cfg");
    let outcome = program(haproxy, ["-c", "-f", path.to_str().unwrap()])
        .run()
        .status(0);
    assert!(!outcome.stderr.contains("WARNING"), "{}", outcome.stderr);
}

// systemd

#[test]
fn systemd_finds_no_fault_with_the_units() {
    let Some(analyze) = installed(&["systemd-analyze"]) else {
        return;
    };
    let directory = tempfile::tempdir().unwrap();
    let paths = ["netkit-echo.service", "netkit-echo.socket"].map(|name| {
        let path = directory.path().join(name);
        let unit = deployed(name).replace("/usr/bin/netkit", env!("CARGO_BIN_EXE_netkit"));
        fs::write(&path, unit).unwrap();
        path
    });
    let outcome = program(analyze, ["verify", "--man=no"])
        .args(&paths)
        .run()
        .status(0);
    // An unknown setting is only warned of.
    assert!(!outcome.stderr.contains("netkit-echo"), "{}", outcome.stderr);
}

#[test]
fn the_service_serves_the_socket_that_systemd_passes() {
    let Some(activate) = installed(&["systemd-socket-activate"]) else {
        return;
    };
    assert!(deployed("netkit-echo.socket").contains("FileDescriptorName=echo\n"));
    let (_held, front) = reserved(Type::STREAM);
    // In both families, as the unit has it.
    let listen = format!("[::]:{}", front.port());
    let line = start_line();
    let args = line[1..].iter().map(|word| word.replace("tcp:9107:", "tcp:0:"));
    let run = program(
        activate,
        ["--fdname=echo", "-l", &listen, env!("CARGO_BIN_EXE_netkit")],
    )
    .args(args)
    .stdin(Stdio::null())
    .start();
    run.await_stderr("Listening on ");
    assert_eq!(ask(front, b"hello"), b"hello");
    let six = SocketAddr::new(std::net::Ipv6Addr::LOCALHOST.into(), front.port());
    assert_eq!(ask(six, b"hello"), b"hello");
    let said = run.await_stderr("listening on ");
    let metrics = said
        .lines()
        .find_map(|line| line.strip_prefix("metrics on "))
        .unwrap();
    let mut probe = dial(address(metrics));
    probe
        .write_all(b"GET /readyz HTTP/1.1\r\nHost: x\r\n\r\n")
        .unwrap();
    assert_eq!(read(&probe, 15), b"HTTP/1.1 200 OK");
    run.stop().status(0);
}

// Kubernetes

#[test]
fn kubernetes_reads_its_manifest_and_the_arguments_are_ours() {
    let manifest = deployed("kubernetes.yaml");
    // Nobody talks to it: it is no peer, and few distributions have one of this decade.
    if is_there("kubectl") {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/kubernetes.yaml");
        let read = program(
            "kubectl",
            [
                "label",
                "--local",
                "-o",
                "name",
                "read=yes",
                "-f",
                path.to_str().unwrap(),
            ],
        );
        read.run()
            .status(0)
            .wrote("deployment.apps/netkit-echo\nservice/netkit-echo\n");
    }
    let (_, rest) = manifest.split_once("args:\n").unwrap();
    let (list, _) = rest.split_once("ports:").unwrap();
    let args = list.lines().filter_map(|line| line.trim().strip_prefix("- "));
    let args = args.map(|arg| {
        arg.trim_matches('"')
            .replace("tcp6:1234", "tcp6:0")
            .replace("tcp6:9234", "tcp6:0")
    });
    let run = netkit(args).stdin(Stdio::null()).start();
    run.await_stderr("listening on tcp:");
    for probe in ["path: /readyz", "path: /healthz"] {
        assert!(manifest.contains(probe), "{probe}");
    }
    run.stop().status(0);
}
