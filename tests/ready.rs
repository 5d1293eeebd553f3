//! Telling that all is bound, to people, scripts and the service manager; and the log that can be moved away.
//! Absent: what is served.

use std::io;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::harness::peer::{ask, assert_echo, dial, undisturbed};
use crate::harness::{A_MOMENT, PATIENCE, address, eventually, file_when_there, netkit, netkit_after};

#[test]
fn the_ready_file_appears_whole_with_every_endpoint() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("ready");
    let server = netkit([
        "serve",
        "echo",
        "tcp:0:127.0.0.1",
        "tcp6:0:interface=[::1]",
        "tcp:0",
        "--ready-file",
    ])
    .arg(&path)
    .start();
    // The first look that finds it finds all of it: it comes by a rename.
    let lines = file_when_there(&path);
    let told: Vec<_> = lines.lines().map(str::to_owned).collect();
    assert_eq!(told, server.endpoints(3));
    assert!(lines.ends_with('\n'));
    for endpoint in &told {
        assert_eq!(ask(address(endpoint), b"x"), b"x", "{endpoint}");
    }
    let names: Vec<_> = std::fs::read_dir(directory.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    assert_eq!(names, ["ready"], "a draft stayed behind");
    server.stop().status(0);
}

#[test]
fn a_start_that_fails_leaves_the_ready_file_of_a_server_that_runs() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("ready");
    std::fs::write(&path, "tcp:127.0.0.1:1\n").unwrap();
    netkit(["serve", "echo", "tcp:0:192.0.2.1", "--ready-file"])
        .arg(&path)
        .run()
        .status(7);
    let names: Vec<_> = std::fs::read_dir(directory.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    assert_eq!(names, ["ready"]);
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "tcp:127.0.0.1:1\n");
}

#[test]
fn a_directory_does_not_make_way_for_the_ready_file() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("ready");
    std::fs::create_dir(&path).unwrap();
    std::fs::write(path.join("kept"), "").unwrap();
    let outcome = netkit(["serve", "echo", "tcp:0:127.0.0.1", "--ready-file"])
        .arg(&path)
        .run()
        .status(1);
    let told = format!(
        "error: could not write the ready file {}: it is a directory\n",
        path.display()
    );
    assert!(outcome.stderr.starts_with(&told), "{}", outcome.stderr);
    assert!(path.join("kept").exists());
    assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 1);
}

#[test]
fn a_ready_file_that_cannot_be_written_is_a_failure() {
    let outcome = netkit([
        "serve",
        "echo",
        "tcp:0:127.0.0.1",
        // Other threads must not serve on when the first one has failed.
        "--workers",
        "3",
        "--ready-file",
        "/nonexistent/ready",
    ])
    .run()
    .status(1);
    assert!(
        outcome.stderr.ends_with(
            "error: could not write the ready file /nonexistent/ready: no such file or directory\n"
        ),
        "{}",
        outcome.stderr
    );
}

#[test]
fn the_ready_descriptor_gets_the_lines_and_is_closed() {
    // Descriptor 3 is the pipe that the test reads as standard output.
    let server = netkit_after(
        "",
        "3>&1 1>/dev/null",
        [
            "serve",
            "echo",
            "tcp:0:127.0.0.1",
            "tcp:0:127.0.0.1",
            "--ready-fd",
            "3",
        ],
    )
    .start();
    let told = server.stdout.until_end(|| "the descriptor stayed open".into());
    let expected: String = server
        .endpoints(2)
        .iter()
        .map(|endpoint| format!("{endpoint}\n"))
        .collect();
    assert_eq!(String::from_utf8(told).unwrap(), expected);
    server.stop().status(0);
}

#[test]
fn a_ready_descriptor_that_is_not_open_is_a_usage_error() {
    for number in ["9", "0"] {
        netkit(["serve", "echo", "tcp:0:127.0.0.1", "--ready-fd", number])
            .run()
            .status(2)
            .failed_in_one_line()
            .mentions(&format!("could not use descriptor {number} for --ready-fd"));
    }
}

#[test]
fn standard_output_can_be_the_ready_descriptor() {
    let server = netkit(["serve", "echo", "tcp:0:127.0.0.1", "--ready-fd", "1"]).start();
    let told = server.endpoints(1);
    let outcome = server.stop();
    assert_eq!(outcome.stdout, format!("{}\n", told[0]).as_bytes());
    outcome.status(0);
    netkit(["listen", "tcp:0:127.0.0.1", "--ready-fd", "1"])
        .run()
        .status(2)
        .failed_in_one_line()
        .mentions("standard output carries payload");
}

/// What a service manager hears.
struct Manager(UnixDatagram);

impl Manager {
    fn at(path: &Path) -> Self {
        let socket = UnixDatagram::bind(path).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        Manager(socket)
    }

    fn hears_anything(&self) -> String {
        let mut buffer = [0; 1000];
        let length = undisturbed(|| self.0.recv(&mut buffer)).unwrap();
        String::from_utf8(buffer[..length].to_vec()).unwrap()
    }

    /// What is new, but how it goes.
    fn hears(&self) -> String {
        loop {
            let heard = self.hears_anything();
            if !heard.starts_with("STATUS=") && !heard.starts_with("WATCHDOG=") {
                return heard;
            }
        }
    }

    /// Waits for this, whatever comes before.
    fn hears_at_last(&self, state: &str) {
        eventually(state, || {
            self.hears_anything()
                .lines()
                .any(|line| line == state)
                .then_some(())
        });
    }

    #[track_caller]
    fn hears_of(&self, state: &str) {
        let heard = self.hears();
        assert!(heard.lines().any(|line| line == state), "{heard}");
    }
}

#[test]
fn the_service_manager_is_told() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("notify");
    let manager = Manager::at(&path);
    let server = netkit(["serve", "echo", "--grace", "50s", "tcp:0:127.0.0.1"])
        .env("NOTIFY_SOCKET", &path)
        .start();
    manager.hears_of("READY=1");
    // Ready means ready: a client gets in now.
    let client = dial(server.address());
    server.signal(Signal::HUP);
    let reloading = manager.hears();
    assert!(
        reloading.contains("RELOADING=1") && reloading.contains("MONOTONIC_USEC="),
        "{reloading}"
    );
    manager.hears_of("READY=1");
    server.signal(Signal::TERM);
    manager.hears_of("STOPPING=1");
    assert!(!server.has_ended(), "the client was cut off");
    drop(client);
    server.wait().status(0);
}

#[test]
fn a_service_manager_without_a_file_is_told() {
    use std::os::linux::net::SocketAddrExt;
    let name = format!("netkit-tests-{}", std::process::id());
    let socket = UnixDatagram::bind_addr(&SocketAddr::from_abstract_name(&name).unwrap()).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    let manager = Manager(socket);
    // The sandbox of a daemon keeps it from such names.
    for more in [&[][..], &["--daemonize", "--log-file", "/dev/null"]] {
        let directory = tempfile::tempdir().unwrap();
        let pidfile = directory.path().join("pid");
        let server = netkit(["serve", "echo", "tcp:0:127.0.0.1", "--pidfile"])
            .arg(&pidfile)
            .args(more)
            .env("NOTIFY_SOCKET", format!("@{name}"))
            .start();
        manager.hears_at_last("READY=1");
        let pid = std::fs::read_to_string(pidfile).unwrap();
        let pid = Pid::from_raw(pid.trim().parse().unwrap()).unwrap();
        kill_process(pid, Signal::HUP).unwrap();
        manager.hears_at_last("READY=1");
        kill_process(pid, Signal::TERM).unwrap();
        manager.hears_of("STOPPING=1");
        server.wait().status(0);
    }
}

#[test]
fn a_service_manager_that_was_started_anew_is_told() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("notify");
    let manager = Manager::at(&path);
    let server = netkit(["serve", "echo", "tcp:0:127.0.0.1"])
        .env("NOTIFY_SOCKET", &path)
        .start();
    manager.hears_of("READY=1");
    drop(manager);
    std::fs::remove_file(&path).unwrap();
    let manager = Manager::at(&path);
    server.signal(Signal::TERM);
    manager.hears_at_last("STOPPING=1");
    server.wait().status(0);
}

#[test]
fn a_service_manager_that_reads_nothing_holds_up_nobody() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("notify");
    let manager = Manager::at(&path);
    let server = netkit(["serve", "echo", "tcp:0:127.0.0.1", "-v"])
        .env("NOTIFY_SOCKET", &path)
        .env("WATCHDOG_USEC", "4000")
        .start();
    server.await_stderr("could not tell the service manager: ");
    assert_eq!(ask(server.address(), b"x"), b"x");
    drop(manager);
    let outcome = server.stop().status(0);
    // It is said once.
    assert_eq!(
        outcome.stderr.matches("could not tell").count(),
        1,
        "{}",
        outcome.stderr
    );
}

#[test]
fn while_the_service_manager_reads_nothing_a_reload_holds_up_nobody() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("notify");
    let manager = Manager::at(&path);
    let server = netkit(["serve", "echo", "tcp:0:127.0.0.1", "-v"])
        .env("NOTIFY_SOCKET", &path)
        .start();
    manager.hears_at_last("STATUS=0 connections open, 0 accepted");
    let full = UnixDatagram::unbound().unwrap();
    full.connect(&path).unwrap();
    full.set_nonblocking(true).unwrap();
    while full.send(b"STATUS=of somebody else").is_ok() {}
    let start = Instant::now();
    server.signal(Signal::HUP);
    server.await_stderr("could not tell the service manager: ");
    assert_eq!(ask(server.address(), b"x"), b"x");
    let took = start.elapsed();
    assert!(took < Duration::from_millis(800), "{took:?}");
    // In their order, once there is room.
    manager.hears_of("RELOADING=1");
    manager.hears_of("READY=1");
    server.signal(Signal::TERM);
    manager.hears_of("STOPPING=1");
    server.wait().status(0);
}

#[test]
fn of_a_server_that_stops_no_reload_is_told() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("notify");
    let manager = Manager::at(&path);
    let server = netkit(["serve", "echo", "tcp:0:127.0.0.1", "-v", "--log-file"])
        .arg(directory.path().join("log"))
        .env("NOTIFY_SOCKET", &path)
        .start();
    manager.hears_of("READY=1");
    let mut client = dial(server.address());
    assert_echo(&mut client, b"here");
    server.signal(Signal::TERM);
    manager.hears_of("STOPPING=1");
    server.signal(Signal::HUP);
    eventually("the log to be reopened", || {
        file_when_there(&directory.path().join("log"))
            .contains("reopened the log")
            .then_some(())
    });
    drop(client);
    server.wait().status(0);
    manager.0.set_nonblocking(true).unwrap();
    let mut buffer = [0; 1000];
    while let Ok(length) = manager.0.recv(&mut buffer) {
        let heard = String::from_utf8_lossy(&buffer[..length]);
        assert!(heard.starts_with("STATUS="), "{heard}");
    }
}

#[test]
fn a_service_manager_of_another_machine_is_not_told_and_that_is_said_once() {
    let server = netkit(["serve", "echo", "tcp:0:127.0.0.1"])
        .env("NOTIFY_SOCKET", "vsock:2:1234")
        .start();
    assert_eq!(ask(server.address(), b"x"), b"x");
    let outcome = server.stop().status(0);
    let said =
        "warning: the service manager is not told: NOTIFY_SOCKET is `vsock:2:1234`, and only UNIX sockets";
    assert_eq!(outcome.stderr.matches(said).count(), 1, "{}", outcome.stderr);
}

#[test]
fn the_service_manager_is_told_how_it_goes() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("notify");
    let manager = Manager::at(&path);
    let server = netkit(["serve", "echo", "tcp:0:127.0.0.1"])
        .env("NOTIFY_SOCKET", &path)
        .start();
    manager.hears_at_last("STATUS=0 connections open, 0 accepted");
    let client = dial(server.address());
    manager.hears_at_last("STATUS=1 connection open, 1 accepted");
    drop(client);
    manager.hears_at_last("STATUS=0 connections open, 1 accepted");
    // Nothing changes, so there is nothing to say.
    manager.0.set_read_timeout(Some(6 * A_MOMENT)).unwrap();
    let error = undisturbed(|| manager.0.recv(&mut [0])).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::WouldBlock);
    server.stop().status(0);
}

#[test]
fn the_watchdog_hears_of_us_until_we_hang() {
    for args in [
        &["serve", "echo", "tcp:0:127.0.0.1", "--workers", "2"][..],
        &["listen", "tcp:0:127.0.0.1"],
    ] {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("notify");
        let manager = Manager::at(&path);
        let server = netkit(args)
            .env("NOTIFY_SOCKET", &path)
            .env("WATCHDOG_USEC", "200000")
            .start();
        for _ in 0..5 {
            manager.hears_at_last("WATCHDOG=1");
        }
        server.signal(Signal::STOP);
        manager.0.set_read_timeout(Some(A_MOMENT)).unwrap();
        // What was said before it was stopped may still wait.
        while undisturbed(|| manager.0.recv(&mut [0])).is_ok() {}
        server.signal(Signal::CONT);
        manager.0.set_read_timeout(Some(PATIENCE)).unwrap();
        manager.hears_at_last("WATCHDOG=1");
        server.stop().status(0);
    }
}

#[test]
fn the_watchdog_hears_of_a_daemon() {
    let directory = tempfile::tempdir().unwrap();
    let (path, pidfile) = (directory.path().join("notify"), directory.path().join("pid"));
    let manager = Manager::at(&path);
    // As a service manager does: it names the process that it starts, which is not the one that serves.
    let before = format!(
        "export NOTIFY_SOCKET='{}' WATCHDOG_USEC=200000 WATCHDOG_PID=$$",
        path.display()
    );
    netkit_after(&before, "", ["serve", "echo", "tcp:0:127.0.0.1", "--daemonize"])
        .args(["--log-file", "/dev/null", "--pidfile"])
        .arg(&pidfile)
        .run()
        .status(0);
    let pid = std::fs::read_to_string(pidfile).unwrap();
    let pid = Pid::from_raw(pid.trim().parse().unwrap()).unwrap();
    manager.hears_of(&format!("MAINPID={pid}"));
    for _ in 0..5 {
        manager.hears_at_last("WATCHDOG=1");
    }
    kill_process(pid, Signal::TERM).unwrap();
    manager.hears_at_last("STOPPING=1");
}

#[test]
fn a_watchdog_of_somebody_else_hears_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("notify");
    for (limit, pid) in [("20000", "1"), ("0", ""), ("often", ""), ("-5", "")] {
        let manager = Manager::at(&path);
        let server = netkit(["serve", "echo", "tcp:0:127.0.0.1"])
            .env("NOTIFY_SOCKET", &path)
            .env("WATCHDOG_USEC", limit)
            .env("WATCHDOG_PID", pid)
            .start();
        manager.hears_at_last("STATUS=0 connections open, 0 accepted");
        manager.0.set_read_timeout(Some(A_MOMENT)).unwrap();
        assert!(undisturbed(|| manager.0.recv(&mut [0])).is_err(), "{limit} {pid}");
        server.stop().status(0);
        std::fs::remove_file(&path).unwrap();
    }
}

#[test]
fn the_service_manager_is_not_told_of_what_could_not_be_bound() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("notify");
    let manager = Manager::at(&path);
    netkit(["serve", "echo", "tcp:0:192.0.2.1"])
        .env("NOTIFY_SOCKET", &path)
        .run()
        .status(7);
    manager.0.set_read_timeout(Some(A_MOMENT)).unwrap();
    assert_eq!(
        undisturbed(|| manager.0.recv(&mut [0])).unwrap_err().kind(),
        io::ErrorKind::WouldBlock
    );
}

#[test]
fn a_service_manager_that_does_not_listen_is_no_failure() {
    let server = netkit(["serve", "echo", "tcp:0:127.0.0.1"])
        .env("NOTIFY_SOCKET", "/nonexistent/notify")
        .start();
    assert_eq!(ask(server.address(), b"x"), b"x");
    server.stop().status(0);
}

// The log

#[test]
fn the_log_file_is_reopened_on_hangup() {
    let directory = tempfile::tempdir().unwrap();
    let (log, moved) = (directory.path().join("log"), directory.path().join("log.1"));
    let server = netkit(["serve", "echo", "-v", "tcp:0:127.0.0.1", "--log-file"])
        .arg(&log)
        .start();
    let mut client = dial(server.address());
    crate::harness::peer::assert_echo(&mut client, b"before");
    std::fs::rename(&log, &moved).unwrap();
    server.signal(Signal::HUP);
    eventually("the log to be reopened", || log.exists().then_some(()));
    crate::harness::peer::assert_echo(&mut client, b"the connection stayed");
    drop(client);
    let late = dial(server.address());
    let ours = late.local_addr().unwrap().to_string();
    eventually("a line in the new log", || {
        std::fs::read_to_string(&log)
            .unwrap()
            .contains(&ours)
            .then_some(())
    });
    assert!(
        std::fs::read_to_string(&moved)
            .unwrap()
            .contains("listening on tcp:")
    );
    drop(late);
    let outcome = server.stop().status(0);
    // Scripts wait for this line; the rest is in the file.
    assert!(
        outcome
            .stderr
            .lines()
            .all(|line| line.starts_with("listening on ")),
        "{}",
        outcome.stderr
    );
}

#[test]
fn a_line_in_the_log_file_has_its_time() {
    let directory = tempfile::tempdir().unwrap();
    let log = directory.path().join("log");
    let server = netkit(["serve", "echo", "tcp:0:127.0.0.1", "--log-file"])
        .arg(&log)
        .start();
    server.endpoint();
    let text = std::fs::read_to_string(&log).unwrap();
    let (time, rest) = text.split_once(' ').unwrap();
    assert!(
        time.ends_with('Z') && time.starts_with("20") && time.contains('T'),
        "{text}"
    );
    assert!(rest.starts_with("listening on tcp:"), "{text}");
    server.stop().status(0);
}

#[test]
fn a_log_file_that_cannot_be_opened_is_a_failure() {
    netkit([
        "serve",
        "echo",
        "tcp:0:127.0.0.1",
        "--log-file",
        "/nonexistent/log",
    ])
    .run()
    .status(1)
    .said("error: could not open the log /nonexistent/log: no such file or directory\n");
}

#[test]
fn a_full_disk_is_said_once_and_serving_goes_on() {
    let server = netkit([
        "serve",
        "echo",
        "-vv",
        "tcp:0:127.0.0.1",
        "--log-file",
        "/dev/full",
    ])
    .start();
    for _ in 0..3 {
        assert_eq!(ask(server.address(), b"x"), b"x");
    }
    let outcome = server.stop().status(0);
    let warnings = outcome
        .stderr
        .matches("warning: could not write the log /dev/full: no space left on the device\n");
    assert_eq!(warnings.count(), 1, "{}", outcome.stderr);
    assert_eq!(outcome.stderr.lines().count(), 2, "{}", outcome.stderr);
}

#[test]
fn a_failure_is_in_the_log_file_too() {
    let directory = tempfile::tempdir().unwrap();
    let log = directory.path().join("log");
    let outcome = netkit(["serve", "echo", "tcp:0:192.0.2.1", "--log-file"])
        .arg(&log)
        .run()
        .status(7);
    let failure = outcome.failed_in_one_line().stderr;
    let text = std::fs::read_to_string(&log).unwrap();
    assert!(text.ends_with(&failure), "{text}");
}
