//! What the sandbox of a daemon leaves it, seen from outside: each kind of server still works, and what it was not
//! started for is refused it. Absent: how a daemon comes to be, and what else it gives up.

use std::fs;
use std::io::Write;
use std::net::SocketAddr;
#[cfg(feature = "tls")]
use std::net::TcpListener;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::thread;

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use crate::harness::installed::given;
use crate::harness::peer::{accept, ask, listener, read_all};
use crate::harness::{Netkit, address, eventually, netkit};

/// Skips a test that needs Landlock.
fn landlock() -> Option<()> {
    given("Landlock", netkit::kernel::landlock_version().ok().map(drop))
}

/// A daemon, and its files. Dropping it kills it.
struct Daemon {
    place: TempDir,
    pid: Pid,
    ready: String,
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = kill_process(self.pid, Signal::KILL);
    }
}

impl Daemon {
    fn start(command: Netkit) -> Self {
        let place = tempfile::tempdir().unwrap();
        let at = |name: &str| place.path().join(name);
        command
            .args(["-v", "--daemonize", "--pidfile"])
            .arg(at("pid"))
            .arg("--log-file")
            .arg(at("log"))
            .arg("--ready-file")
            .arg(at("ready"))
            .run()
            .status(0);
        let number = fs::read_to_string(at("pid")).unwrap();
        let daemon = Daemon {
            pid: Pid::from_raw(number.trim().parse().unwrap()).unwrap(),
            ready: fs::read_to_string(at("ready")).unwrap(),
            place,
        };
        // Nothing of what follows would be shown by one that none holds.
        let log = daemon.logged();
        assert!(log.contains("the sandbox holds (Landlock, version "), "{log}");
        daemon
    }

    fn at(&self, name: &str) -> PathBuf {
        self.place.path().join(name)
    }

    fn address(&self) -> SocketAddr {
        address(self.ready.lines().next().unwrap())
    }

    fn logged(&self) -> String {
        fs::read_to_string(self.at("log")).unwrap_or_default()
    }

    /// What it answers; where that is wrong, its log says why.
    #[track_caller]
    fn answers(&self, query: &str, expected: &str) {
        let answer = String::from_utf8(ask(self.address(), query.as_bytes())).unwrap();
        assert_eq!(answer, expected, "{}", self.logged());
    }

    fn hang_up(&self) {
        kill_process(self.pid, Signal::HUP).unwrap();
    }

    fn await_log(&self, text: &str) -> String {
        eventually(&format!("`{text}` in the log:\n{}", self.logged()), || {
            let logged = self.logged();
            logged.contains(text).then_some(logged)
        })
    }

    fn stop(self) {
        let pid = self.at("pid");
        kill_process(self.pid, Signal::TERM).unwrap();
        eventually("the pid file to go", || (!pid.exists()).then_some(()));
    }
}

/// The port of an endpoint of ours.
fn port(endpoint: &str) -> u16 {
    address(endpoint).port()
}

/// Answers so many requests for a page with what was asked for.
#[cfg(feature = "tls")]
fn web_server(requests: usize) -> (String, thread::JoinHandle<()>) {
    let (listener, endpoint) = listener();
    let serving = thread::spawn(move || {
        for _ in 0..requests {
            answer(&listener);
        }
    });
    (endpoint, serving)
}

#[cfg(feature = "tls")]
fn answer(listener: &TcpListener) {
    let mut client = accept(listener);
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.extend(crate::harness::peer::read(&client, 1));
    }
    let head = String::from_utf8(head).unwrap();
    let asked = head.split(' ').nth(1).unwrap();
    let length = asked.len();
    write!(
        client,
        "HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n{asked}"
    )
    .unwrap();
}

#[test]
fn a_relay_finds_its_target_by_name() {
    let Some(()) = landlock() else { return };
    let (listener, endpoint) = listener();
    let target = format!("tcp:localhost:{}", port(&endpoint));
    let daemon = Daemon::start(netkit(["relay", "tcp:0:127.0.0.1", &target]));
    let serving = thread::spawn(move || {
        let mut client = accept(&listener);
        let heard = read_all(&client);
        client.write_all(&heard).unwrap();
    });
    daemon.answers("by name", "by name");
    serving.join().unwrap();
    daemon.stop();
}

#[test]
fn a_relay_passes_connections_on_to_a_socket_that_is_a_file() {
    let Some(()) = landlock() else { return };
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("socket");
    let echo = crate::harness::serve(["echo".to_owned(), format!("unix:{}", path.display())]);
    let daemon = Daemon::start(netkit(["relay", "tcp:0:127.0.0.1"]).arg(format!("unix:{}", path.display())));
    daemon.answers("through a file", "through a file");
    daemon.stop();
    echo.stop().status(0);
}

#[cfg(feature = "tls")]
#[test]
fn a_relay_verifies_its_target_by_roots_wherever_they_are() {
    let Some(()) = landlock() else { return };
    let place = crate::harness::place::Place::new();
    let own = crate::harness::place::Place::empty();
    let echo = |place: &crate::harness::place::Place, args: &str| {
        let run = place
            .netkit(["serve", "echo", &format!("tls:0:interface=127.0.0.1{args}")])
            .start();
        let port = crate::harness::place::port(&run.endpoint());
        (run, port)
    };
    let (named, named_port) = echo(&place, ":privateKey=server/key.pem:certKey=server/cert.pem");
    let (local, local_port) = echo(&own, "");
    let root = place.path("ca/cert.pem");
    for (port, field, command) in [
        // Roots that the endpoint names, those of the environment, and those of this machine.
        (
            named_port,
            format!(":trustRoots={}", root.display()),
            netkit(["relay"]),
        ),
        (
            named_port,
            String::new(),
            netkit(["relay"]).env("SSL_CERT_FILE", &root),
        ),
        (
            named_port,
            String::new(),
            netkit(["relay"]).env("SSL_CERT_DIR", place.path("ca")),
        ),
        (local_port, String::new(), own.netkit(["relay"])),
    ] {
        let target = format!("tls:localhost:{port}{field}");
        let daemon = Daemon::start(command.args(["tcp:0:127.0.0.1", &target]));
        daemon.answers("over TLS", "over TLS");
        daemon.stop();
    }
    named.stop().status(0);
    local.stop().status(0);
}

#[cfg(feature = "tls")]
#[test]
fn who_asks_the_web_finds_it_by_name_and_verifies_it() {
    let Some(()) = landlock() else { return };
    let own = crate::harness::place::Place::empty();
    let (web, serving) = web_server(2);
    let secure = own.netkit(["relay", "tls:0:interface=127.0.0.1", &web]).start();
    for url in [
        format!("http://localhost:{}/users/", port(&web)),
        format!(
            "https://localhost:{}/users/",
            crate::harness::place::port(&secure.endpoint())
        ),
    ] {
        let daemon = Daemon::start(own.netkit(["serve", "finger", "tcp:0:127.0.0.1", "--url", &url]));
        daemon.answers("alice\r\n", "/users/alice\r\n");
        daemon.stop();
    }
    serving.join().unwrap();
    secure.stop().status(0);
}

#[test]
fn a_query_is_passed_on_to_a_host_by_its_name() {
    let Some(()) = landlock() else { return };
    let other = netkit([
        "serve",
        "finger",
        "tcp:0:127.0.0.1",
        "--user-entry",
        "alice=Down the hole",
    ])
    .start();
    let port = port(&other.endpoint()).to_string();
    let daemon = Daemon::start(netkit([
        "serve",
        "finger",
        "tcp:0:127.0.0.1",
        "--forward",
        "--forward-port",
        &port,
    ]));
    daemon.answers("alice@localhost\r\n", "Down the hole\r\n");
    daemon.stop();
    other.stop().status(0);
}

#[test]
fn a_program_may_still_do_what_programs_do() {
    let Some(()) = landlock() else { return };
    let place = tempfile::tempdir().unwrap();
    let script = place.path().join("script");
    let text = "#!/bin/sh\n\
                head -c 4 /dev/urandom >/dev/null && t=$(mktemp) && echo \"I am $1\" >\"$t\" && cat \"$t\" && rm \"$t\"\n";
    fs::write(&script, text).unwrap();
    fs::set_permissions(&script, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let daemon = Daemon::start(netkit(["serve", "finger", "tcp:0:127.0.0.1", "--command"]).arg(&script));
    daemon.answers("alice\r\n", "I am alice\r\n");
    daemon.stop();
}

/// A finger server whose table of users is put elsewhere by somebody who can change its directory.
fn reads_elsewhere(elsewhere: &Path, more: &[&str]) -> Daemon {
    let tables = tempfile::tempdir().unwrap();
    let table = tables.path().join("users.toml");
    fs::write(&table, "alice = \"as it was\"\n").unwrap();
    let daemon = Daemon::start(
        netkit(["serve", "finger", "tcp:0:127.0.0.1", "--users"])
            .arg(&table)
            .args(more),
    );
    daemon.answers("alice\r\n", "as it was\r\n");
    let secret = elsewhere.join("secret.toml");
    fs::write(&secret, "alice = \"what is nobody's business\"\n").unwrap();
    fs::remove_file(&table).unwrap();
    symlink(&secret, &table).unwrap();
    daemon.answers("alice\r\n", "as it was\r\n");
    daemon.await_log("permission denied");
    // In its place it is read again.
    fs::remove_file(&table).unwrap();
    fs::write(&table, "alice = \"as it is\"\n").unwrap();
    daemon.answers("alice\r\n", "as it is\r\n");
    fs::remove_file(&secret).unwrap();
    daemon
}

#[test]
fn who_dials_does_not_read_everything() {
    let Some(()) = landlock() else { return };
    let elsewhere = tempfile::tempdir().unwrap();
    reads_elsewhere(elsewhere.path(), &["--forward"]).stop();
    // Nor what lies beside the files that it does read.
    let home = tempfile::tempdir_in("/var/tmp").unwrap();
    reads_elsewhere(home.path(), &["--forward"]).stop();
}

/// A server of lines whose commands are changed so that it writes elsewhere.
struct Writer {
    daemon: Daemon,
    commands: PathBuf,
    _place: TempDir,
}

impl Writer {
    fn start() -> Self {
        let place = tempfile::tempdir().unwrap();
        let commands = place.path().join("commands.toml");
        Writer::append_to(&commands, &place.path().join("file"));
        let daemon =
            Daemon::start(netkit(["serve", "lines", "tcp:0:127.0.0.1", "--commands"]).arg(&commands));
        daemon.answers("write\n", "saved\r\n");
        Writer {
            daemon,
            commands,
            _place: place,
        }
    }

    fn append_to(commands: &Path, file: &Path) {
        let text = format!(
            "[[command]]\nexact = \"write\"\nappend = {:?}\nreply = \"saved\"\n",
            file.display().to_string()
        );
        fs::write(commands, text).unwrap();
    }

    #[track_caller]
    fn writes(&self, file: &Path, expected: &str) {
        let before = self.daemon.logged().matches("reloaded ").count();
        Writer::append_to(&self.commands, file);
        self.daemon.hang_up();
        eventually("the commands to be read again", || {
            (self.daemon.logged().matches("reloaded ").count() > before).then_some(())
        });
        self.daemon.answers("write\n", expected);
    }
}

const REFUSED: &str = "ERROR could not save\r\n";

#[test]
fn of_devices_only_those_are_written_that_keep_nothing() {
    let Some(()) = landlock() else { return };
    // Memory that all processes share is below /dev, as disks are.
    let Some(shared) = given("/dev/shm", tempfile::tempdir_in("/dev/shm").ok()) else {
        return;
    };
    let file = shared.path().join("file");
    fs::write(&file, "as it was\n").unwrap();
    let writer = Writer::start();
    writer.writes(&file, REFUSED);
    assert_eq!(fs::read_to_string(&file).unwrap(), "as it was\n");
    writer.writes(Path::new("/dev/null"), "saved\r\n");
    writer.daemon.stop();
}

#[test]
fn beside_the_log_nothing_is_read_and_nothing_removed() {
    let Some(()) = landlock() else { return };
    let tables = tempfile::tempdir().unwrap();
    let table = tables.path().join("users.toml");
    fs::write(&table, "alice = \"as it was\"\n").unwrap();
    let daemon = Daemon::start(netkit(["serve", "finger", "tcp:0:127.0.0.1", "--users"]).arg(&table));
    let secret = daemon.at("secret.toml");
    fs::write(&secret, "alice = \"what is nobody's business\"\n").unwrap();
    fs::remove_file(&table).unwrap();
    symlink(&secret, &table).unwrap();
    daemon.answers("alice\r\n", "as it was\r\n");
    daemon.await_log("permission denied");
    // It is opened anew all the same.
    fs::rename(daemon.at("log"), daemon.at("log.1")).unwrap();
    daemon.hang_up();
    daemon.await_log("reopened the log");
    daemon.stop();
}

#[test]
fn what_lies_behind_a_link_is_read_where_the_link_leads_later() {
    let Some(()) = landlock() else { return };
    let tables = tempfile::tempdir().unwrap();
    let at = |name: &str| tables.path().join(name);
    for (name, said) in [("c/1", "one"), ("c/2", "two"), ("elsewhere", "nobody's business")] {
        fs::create_dir_all(at(name)).unwrap();
        fs::write(at(name).join("users.toml"), format!("alice = \"{said}\"\n")).unwrap();
    }
    let lead_to = |target: &Path| {
        symlink(target, at("c/next")).unwrap();
        fs::rename(at("c/next"), at("c/live")).unwrap();
    };
    lead_to(Path::new("1"));
    let daemon =
        Daemon::start(netkit(["serve", "finger", "tcp:0:127.0.0.1", "--users"]).arg(at("c/live/users.toml")));
    daemon.answers("alice\r\n", "one\r\n");
    lead_to(Path::new("2"));
    daemon.hang_up();
    daemon.await_log("reloaded ");
    daemon.answers("alice\r\n", "two\r\n");
    lead_to(&at("elsewhere"));
    daemon.hang_up();
    daemon.await_log("--no-sandbox");
    daemon.answers("alice\r\n", "two\r\n");
    daemon.stop();
}
