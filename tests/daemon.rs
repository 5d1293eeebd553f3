//! Running as a daemon and as somebody else: what is given up, what is told, and what is left behind.
//! Absent: what is served. Where root is needed, the tests say so and are skipped without.

use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::os::unix::net::{UnixDatagram, UnixStream};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use rustix::process::{Pid, Signal, geteuid, kill_process, test_kill_process};
use tempfile::TempDir;

use crate::harness::installed::{given, given_to_root, installed};
use crate::harness::peer::{ask, dial};
use crate::harness::{Netkit, Outcome, PATIENCE, address, eventually, netkit, netkit_after, program};

/// Whom the tests become: the number that has no user on any system.
const NOBODY: u32 = 65534;

/// Skips a test that needs root.
fn root() -> Option<()> {
    given_to_root("the rights of root", geteuid().is_root().then_some(()))
}

/// A place that everybody may enter, and where one user may write.
struct Place(TempDir);

impl Place {
    fn of(user: u32) -> Self {
        let directory = tempfile::tempdir().unwrap();
        fs::set_permissions(directory.path(), fs::Permissions::from_mode(0o755)).unwrap();
        if geteuid().is_root() {
            chown(directory.path(), Some(user), Some(user)).unwrap();
        }
        Place(directory)
    }

    fn at(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn names(&self) -> Vec<String> {
        let mut names: Vec<_> = fs::read_dir(self.0.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    /// Starts a daemon whose pid file, log and ready file are here.
    fn start<S: AsRef<std::ffi::OsStr>>(&self, args: impl IntoIterator<Item = S>) -> (Daemon, Outcome) {
        self.start_by(netkit(["serve"]), args)
    }

    fn start_by<S: AsRef<std::ffi::OsStr>>(
        &self,
        netkit: Netkit,
        args: impl IntoIterator<Item = S>,
    ) -> (Daemon, Outcome) {
        let outcome = netkit
            .args(args)
            .args(["--daemonize", "--pidfile"])
            .arg(self.at("pid"))
            .arg("--log-file")
            .arg(self.at("log"))
            .arg("--ready-file")
            .arg(self.at("ready"))
            .run()
            .status(0);
        // Nothing is waited for: all of it is there when the parent returns.
        let number = fs::read_to_string(self.at("pid")).unwrap();
        let daemon = Daemon {
            pid: Pid::from_raw(number.trim().parse().unwrap()).unwrap(),
            ready: fs::read_to_string(self.at("ready")).unwrap(),
            log: self.at("log"),
        };
        (daemon, outcome)
    }
}

/// A daemon that runs. Dropping it kills it.
struct Daemon {
    pid: Pid,
    ready: String,
    log: PathBuf,
}

impl Drop for Daemon {
    fn drop(&mut self) {
        if !self.is_gone() {
            let _ = kill_process(self.pid, Signal::KILL);
        }
    }
}

impl Daemon {
    fn address(&self) -> SocketAddr {
        address(self.ready.lines().next().unwrap())
    }

    fn signal(&self, signal: Signal) {
        kill_process(self.pid, signal).unwrap();
    }

    /// A line of /proc/PID/status.
    fn status(&self, field: &str) -> String {
        let status = fs::read_to_string(format!("/proc/{}/status", self.pid)).unwrap();
        let line = status
            .lines()
            .find_map(|line| line.strip_prefix(field)?.strip_prefix(':'));
        line.unwrap().split_whitespace().collect::<Vec<_>>().join(" ")
    }

    /// A field of /proc/PID/stat, counted from the one behind the name.
    fn stat(&self, field: usize) -> String {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.pid)).unwrap();
        stat.rsplit_once(") ")
            .unwrap()
            .1
            .split(' ')
            .nth(field)
            .unwrap()
            .to_owned()
    }

    fn descriptors(&self) -> Vec<(u32, PathBuf)> {
        fs::read_dir(format!("/proc/{}/fd", self.pid))
            .unwrap()
            .map(|entry| entry.unwrap())
            .map(|entry| {
                let number = entry.file_name().to_str().unwrap().parse().unwrap();
                (number, fs::read_link(entry.path()).unwrap())
            })
            .collect()
    }

    fn logged(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }

    fn await_log(&self, text: &str) -> String {
        eventually(&format!("`{text}` in the log:\n{}", self.logged()), || {
            let logged = self.logged();
            logged.contains(text).then_some(logged)
        })
    }

    /// Whether it has ended; where nobody fetches the dead, it is a zombie.
    fn is_gone(&self) -> bool {
        if test_kill_process(self.pid).is_err() {
            return true;
        }
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.pid)).unwrap_or_default();
        stat.rsplit_once(") ")
            .is_none_or(|(_, rest)| rest.starts_with('Z'))
    }

    fn stop(self) {
        self.signal(Signal::TERM);
        eventually("the daemon to end", || self.is_gone().then_some(()));
    }
}

#[test]
fn the_parent_returns_when_all_is_bound_and_told() {
    let place = Place::of(NOBODY);
    let (daemon, outcome) = place.start(["echo", "tcp:0:127.0.0.1", "tcp:0:127.0.0.1"]);
    assert_eq!(daemon.ready.lines().count(), 2);
    for line in daemon.ready.lines() {
        assert_eq!(ask(address(line), b"x"), b"x");
        // Who started it is told too, and nothing else.
        assert!(outcome.stderr.contains(&format!("listening on {line}\n")));
    }
    assert_eq!(outcome.stderr.lines().count(), 2, "{}", outcome.stderr);
    daemon.stop();
    assert_eq!(place.names(), ["log", "ready"]);
}

#[test]
fn a_daemon_has_left_session_terminal_directory_and_descriptors() {
    let place = Place::of(NOBODY);
    let leaked = place.at("leaked");
    fs::write(&leaked, "").unwrap();
    let before = netkit_after("", &format!("7<{} 8</dev/null", leaked.display()), ["serve"]);
    let (daemon, _) = place.start_by(before, ["echo", "tcp:0:127.0.0.1", "--workers", "2"]);
    let own = daemon.pid.to_string();
    // Parent, process group, session, terminal.
    assert_ne!(daemon.stat(1), std::process::id().to_string());
    assert_eq!(
        [daemon.stat(2), daemon.stat(3), daemon.stat(4)],
        [&own, &own, "0"]
    );
    let link = |name: &str| fs::read_link(format!("/proc/{own}/{name}")).unwrap();
    assert_eq!(link("cwd"), Path::new("/"));
    // It has let go of its parent by a pipe, which is closed next.
    let is_pipe = |(_, leads_to): &(u32, PathBuf)| leads_to.to_string_lossy().starts_with("pipe:");
    eventually("the pipe to be closed", || {
        (!daemon.descriptors().iter().any(is_pipe)).then_some(())
    });
    for (number, leads_to) in daemon.descriptors() {
        assert_ne!(leads_to, leaked, "{number}");
        assert_eq!(number < 3, leads_to == Path::new("/dev/null"), "{number}");
    }
    daemon.stop();
}

#[test]
fn a_daemon_started_at_a_terminal_has_none() {
    let Some(script) = installed(&["script"]) else {
        return;
    };
    let place = Place::of(NOBODY);
    let line = format!(
        "{} serve echo tcp:0:127.0.0.1 --daemonize --pidfile {} --log-file {}",
        env!("CARGO_BIN_EXE_netkit"),
        place.at("pid").display(),
        place.at("log").display()
    );
    program(script, ["-qec", &line, "/dev/null"]).run().status(0);
    let number = fs::read_to_string(place.at("pid")).unwrap();
    let daemon = Daemon {
        pid: Pid::from_raw(number.trim().parse().unwrap()).unwrap(),
        ready: String::new(),
        log: place.at("log"),
    };
    assert_eq!(daemon.stat(4), "0");
    daemon.stop();
}

#[test]
fn the_parent_fails_as_the_child_does() {
    let place = Place::of(NOBODY);
    let held = TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = format!("tcp:{}:127.0.0.1", held.local_addr().unwrap().port());
    let outcome = netkit(["serve", "echo", "tcp:0:127.0.0.1", &taken, "--daemonize"])
        .arg("--pidfile")
        .arg(place.at("pid"))
        .arg("--log-file")
        .arg(place.at("log"))
        .arg("--ready-file")
        .arg(place.at("ready"))
        .run()
        .status(7)
        .failed_in_one_line();
    assert!(
        outcome
            .stderr
            .contains(&format!("could not bind {taken}: address in use"))
    );
    assert_eq!(place.names(), ["log"]);
    netkit(["serve", "echo", "tcp:0:127.0.0.1", "--daemonize", "--ready-file"])
        .arg("/nonexistent/ready")
        .run()
        .status(1)
        .mentions("could not write the ready file /nonexistent/ready");
    let outcome = netkit(["serve", "echo", "tcp:0:127.0.0.1", "--daemonize", "--log-file"])
        .arg("/nonexistent/log")
        .run();
    outcome.status(1).failed_in_one_line();
}

#[test]
fn a_daemon_without_a_log_is_warned_of() {
    let place = Place::of(NOBODY);
    let outcome = netkit(["serve", "echo", "tcp:0:127.0.0.1", "--daemonize", "--pidfile"])
        .arg(place.at("pid"))
        .run()
        .status(0)
        .mentions("warning: the log ends when the daemon detaches; --log-file or --syslog keeps it\n");
    assert!(outcome.stderr.contains("listening on tcp:"));
    let number = fs::read_to_string(place.at("pid")).unwrap();
    let daemon = Daemon {
        pid: Pid::from_raw(number.trim().parse().unwrap()).unwrap(),
        ready: String::new(),
        log: place.at("log"),
    };
    daemon.stop();
    assert_eq!(place.names(), [""; 0]);
}

#[test]
fn what_only_the_caller_has_is_not_for_a_daemon() {
    for (endpoint, why) in [
        ("stdio", "a daemon has no standard input and output"),
        (
            "systemd:INET:name=x",
            "sockets are passed to the process that the service manager starts, not to its child",
        ),
    ] {
        let mut lines = vec![vec!["serve", "echo", endpoint, "--daemonize"]];
        if cfg!(feature = "metrics") {
            lines.push(vec![
                "serve",
                "echo",
                "tcp:0:127.0.0.1",
                "--daemonize",
                "--metrics",
                endpoint,
            ]);
        }
        for line in lines {
            netkit(line).run().status(2).said(&format!(
                "error: could not use --daemonize with {endpoint}: {why}\n"
            ));
        }
    }
    netkit(["serve", "echo", "tcp:0", "--daemonize", "--hexdump"])
        .run()
        .status(2);
}

#[test]
fn of_two_daemons_the_second_is_refused_and_harms_nothing() {
    let place = Place::of(NOBODY);
    let (daemon, _) = place.start(["echo", "tcp:0:127.0.0.1"]);
    for more in [&["--daemonize", "--log-file", "/dev/null"][..], &[]] {
        netkit(["serve", "echo", "tcp:0:127.0.0.1", "--pidfile"])
            .arg(place.at("pid"))
            .args(more)
            .run()
            .status(1)
            .said(&format!(
                "error: could not take the pid file {}: process {} holds it\n",
                place.at("pid").display(),
                daemon.pid
            ));
    }
    assert_eq!(ask(daemon.address(), b"x"), b"x");
    // Killed, it leaves a file that the next one takes over.
    daemon.signal(Signal::KILL);
    eventually("the daemon to end", || daemon.is_gone().then_some(()));
    assert!(place.at("pid").exists());
    let (next, _) = place.start(["echo", "tcp:0:127.0.0.1"]);
    assert!(next.logged().contains(&format!("process {} is gone", daemon.pid)));
    next.stop();
    assert_eq!(place.names(), ["log", "ready"]);
}

#[test]
fn a_pid_file_where_there_can_be_none_is_a_failure() {
    let mut places = vec!["/nonexistent/pid", "/"];
    if geteuid().is_root() {
        places.push("/proc/sys/kernel/pid");
    }
    for path in places {
        netkit(["serve", "echo", "tcp:0:127.0.0.1", "--pidfile", path])
            .run()
            .status(1)
            .failed_in_one_line()
            .mentions(&format!("could not take the pid file {path}: "));
    }
}

#[test]
fn who_stops_waiting_stops_the_start() {
    // The passphrase that never comes holds up the start.
    #[cfg(feature = "tls")]
    {
        let place = Place::of(NOBODY);
        rustix::fs::mknodat(
            rustix::fs::CWD,
            place.at("key"),
            rustix::fs::FileType::Fifo,
            rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR,
            0,
        )
        .unwrap();
        let _writer = fs::File::options()
            .read(true)
            .write(true)
            .open(place.at("key"))
            .unwrap();
        let parent = netkit(["serve", "echo"])
            .arg(format!("ssl:0:privateKey={}", place.at("key").display()))
            .args(["--daemonize", "--pidfile"])
            .arg(place.at("pid"))
            .start();
        let number = eventually("the pid file", || {
            let number = fs::read_to_string(place.at("pid")).ok()?;
            number.trim().parse().ok()
        });
        let daemon = Daemon {
            pid: Pid::from_raw(number).unwrap(),
            ready: String::new(),
            log: place.at("log"),
        };
        parent.signal(Signal::KILL);
        eventually("the child to end with its parent", || {
            daemon.is_gone().then_some(())
        });
    }
}

#[test]
fn port_79_is_served_by_nobody_and_nothing_is_left() {
    let Some(()) = root() else { return };
    let place = Place::of(NOBODY);
    let tell = |text: &str| fs::write(place.at("users.toml"), format!("alice = \"{text}\"\n")).unwrap();
    tell("Here I am");
    // An address of our own, so that nobody else's port is in the way.
    let unix = format!("unix:{}", place.at("s").display());
    let (daemon, _) = place.start([
        "finger",
        "tcp:79:127.79.0.1",
        &unix,
        "--users",
        &place.at("users.toml").display().to_string(),
        "--user",
        "65534",
        "--group",
        "65534",
        "--workers",
        "2",
        "-v",
    ]);
    assert_eq!(daemon.address().port(), 79);
    assert!(contains_alice(&ask(daemon.address(), b"alice\r\n")));
    let number = NOBODY.to_string();
    for field in ["Uid", "Gid"] {
        assert_eq!(daemon.status(field), [number.as_str(); 4].join(" "));
    }
    assert_eq!(daemon.status("Groups"), "");
    for field in ["CapInh", "CapPrm", "CapEff", "CapAmb"] {
        assert_eq!(daemon.status(field), "0000000000000000", "{field}");
    }
    // Of every thread.
    for task in fs::read_dir(format!("/proc/{}/task", daemon.pid)).unwrap() {
        let status = fs::read_to_string(task.unwrap().path().join("status")).unwrap();
        assert!(status.contains("NoNewPrivs:\t1\n"), "{status}");
        assert!(status.contains(&format!("Uid:\t{NOBODY}\t{NOBODY}\t{NOBODY}\t{NOBODY}\n")));
    }
    // What nobody may read is read again; root has made the log for nobody.
    tell("Gone home");
    daemon.signal(Signal::HUP);
    daemon.await_log("reopened the log");
    daemon.await_log("reloaded ");
    let answer = ask(daemon.address(), b"alice\r\n");
    assert!(
        crate::harness::contains(&answer, b"Gone home"),
        "{}",
        answer.escape_ascii()
    );
    // It may be made anew where nobody may write.
    fs::rename(place.at("log"), place.at("log.1")).unwrap();
    fs::set_permissions(place.at("users.toml"), fs::Permissions::from_mode(0o000)).unwrap();
    daemon.signal(Signal::HUP);
    let logged = daemon.await_log("permission denied");
    assert!(logged.contains("users.toml"), "{logged}");
    assert_eq!(fs::metadata(place.at("log")).unwrap().uid(), NOBODY);
    let answer = ask(daemon.address(), b"alice\r\n");
    assert!(
        crate::harness::contains(&answer, b"Gone home"),
        "{}",
        answer.escape_ascii()
    );
    daemon.stop();
    assert_eq!(place.names(), ["log", "log.1", "ready", "users.toml"]);
}

fn contains_alice(answer: &[u8]) -> bool {
    String::from_utf8_lossy(answer).contains("Here I am")
}

#[test]
fn the_steps_come_in_their_order() {
    let Some(()) = root() else { return };
    let Some(strace) = installed(&["strace"]) else {
        return;
    };
    let place = Place::of(NOBODY);
    let trace = place.at("trace");
    fs::create_dir(place.at("root")).unwrap();
    let mut args = vec![
        "-f".to_owned(),
        "-o".into(),
        trace.display().to_string(),
        "-e".into(),
    ];
    args.push("trace=bind,fork,clone,clone3,openat,flock,chroot,setgroups,setresgid,setresuid,setuid,capset,prctl,setsid,renameat,rename,fchdir,chdir".into());
    args.push(env!("CARGO_BIN_EXE_netkit").into());
    args.push("serve".into());
    let run = program(strace, args)
        .args(["echo", "tcp:0:127.0.0.1", "--workers", "2", "--daemonize"])
        .args(["--user", "65534", "--group", "65534", "--chroot"])
        .arg(place.at("root"))
        .arg("--pidfile")
        .arg(place.at("pid"))
        .arg("--log-file")
        .arg(place.at("log"))
        .arg("--ready-file")
        .arg(place.at("ready"))
        .start();
    run.await_stderr("listening on");
    let number = fs::read_to_string(place.at("pid")).unwrap();
    let pid = Pid::from_raw(number.trim().parse().unwrap()).unwrap();
    // By then it has left its session, and the tracer sees it to its end.
    eventually("the parent to end", || {
        let trace = fs::read_to_string(&trace).unwrap();
        trace.contains("setsid(").then_some(())
    });
    kill_process(pid, Signal::TERM).unwrap();
    run.wait().status(0);
    let trace = fs::read_to_string(trace).unwrap();
    let mut rest = trace.as_str();
    for step in [
        "/log\"",
        "clone(",
        "\"pid\", O_RDWR",
        "LOCK_EX",
        "bind(",
        "/ready\"",
        "fchdir(",
        "chroot(\".\")",
        "chdir(\"/\")",
        "setgroups(0",
        "setresgid(65534, 65534, 65534)",
        "setresuid(65534, 65534, 65534)",
        "capset(",
        "setuid(0)",
        "PR_SET_NO_NEW_PRIVS, 1",
        // A worker.
        "CLONE_THREAD",
        "setsid(",
    ] {
        // The lock of the directory while a socket is made is none of these.
        let at = rest
            .find(step)
            .unwrap_or_else(|| panic!("no `{step}` in its place:\n{trace}"));
        rest = &rest[at + step.len()..];
    }
}

#[test]
fn in_the_foreground_too_privileges_are_shed() {
    let Some(()) = root() else { return };
    let server = netkit(["serve", "echo", "tcp:0:127.0.0.1", "--user", "nobody"]).start();
    assert_eq!(ask(server.address(), b"x"), b"x");
    server.stop().status(0);
    // A group alone, and root itself, are followed and warned of.
    for more in [&["--group", "65534"][..], &["--user", "root"]] {
        let server = netkit(["serve", "echo", "tcp:0:127.0.0.1"]).args(more).start();
        server.await_stderr("warning: the server still runs as root; --user names somebody else\n");
        server.stop().status(0);
    }
}

#[test]
fn nobody_known_is_a_usage_error_before_anything_is_touched() {
    let place = Place::of(NOBODY);
    for (flag, kind) in [("--user", "user"), ("--group", "group")] {
        netkit([
            "serve",
            "echo",
            "tcp:0:127.0.0.1",
            "--daemonize",
            flag,
            "no-such-one",
            "--pidfile",
        ])
        .arg(place.at("pid"))
        .run()
        .status(2)
        .said(&format!(
            "error: could not use {flag} `no-such-one`: there is no such {kind}\n"
        ));
    }
    for (flag, path) in [("--chroot", "/nonexistent"), ("--rundir", "/etc/passwd")] {
        netkit([
            "serve",
            "echo",
            "tcp:0:127.0.0.1",
            "--daemonize",
            flag,
            path,
            "--log-file",
            "/dev/null",
            "--pidfile",
        ])
        .arg(place.at("pid"))
        .run()
        .status(1)
        .failed_in_one_line()
        .mentions(&format!("could not use {flag} {path}: "));
    }
    assert_eq!(place.names(), [""; 0]);
    for mask in ["8", "1000", "", "0x7", "-1", "77777"] {
        netkit(["serve", "echo", "tcp:0:127.0.0.1", &format!("--umask={mask}")])
            .run()
            .status(2);
    }
}

#[test]
fn what_was_given_to_who_is_the_user_already_is_given_up() {
    let Some(()) = root() else { return };
    let Some(setpriv) = installed(&["setpriv"]) else {
        return;
    };
    let binary = tempfile::tempdir_in("/tmp").unwrap();
    fs::set_permissions(binary.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let own = binary.path().join("netkit");
    fs::copy(env!("CARGO_BIN_EXE_netkit"), &own).unwrap();
    // As a service manager does with AmbientCapabilities=; and a descriptor that nobody meant for us.
    let script = format!(
        "exec 7</dev/null; exec {setpriv} --reuid 65534 --regid 65534 --clear-groups --inh-caps +setuid,+setgid \
         --ambient-caps +setuid,+setgid {} serve echo tcp:0:127.0.0.1 --user 65534",
        own.display()
    );
    let server = program("bash", ["-c", &script]).start();
    assert_eq!(ask(server.address(), b"x"), b"x");
    let status = fs::read_to_string(server.proc("status")).unwrap();
    for field in ["CapInh", "CapPrm", "CapEff", "CapAmb"] {
        assert!(
            status.contains(&format!("{field}:\t0000000000000000\n")),
            "{status}"
        );
    }
    assert!(
        fs::read_link(server.proc("fd/7")).is_ok_and(|link| link != Path::new("/dev/null"))
            || !Path::new(&server.proc("fd/7")).exists()
    );
    server.stop().status(0);
}

#[test]
fn who_is_not_root_cannot_become_another() {
    let Some(()) = root() else { return };
    let Some(setpriv) = installed(&["setpriv"]) else {
        return;
    };
    let binary = tempfile::tempdir_in("/tmp").unwrap();
    fs::set_permissions(binary.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let own = binary.path().join("netkit");
    fs::copy(env!("CARGO_BIN_EXE_netkit"), &own).unwrap();
    let place = Place::of(NOBODY);
    let ready = place.at("ready").display().to_string();
    let pid = place.at("pid").display().to_string();
    let as_nobody = |more: &[&str]| {
        program(
            setpriv,
            ["--reuid", "65534", "--regid", "65534", "--clear-groups"],
        )
        .arg(&own)
        .args([
            "serve",
            "echo",
            "tcp:0:127.0.0.1",
            "--ready-file",
            &ready,
            "--pidfile",
            &pid,
        ])
        .args(more)
    };
    for more in [
        &["--user", "1", "--group", "65534"][..],
        &["--group", "1"],
        &["--chroot", "/"],
    ] {
        let outcome = as_nobody(more).run().status(1);
        assert!(outcome.stderr.contains("permission denied"), "{}", outcome.stderr);
        assert!(
            outcome.stderr.contains("help: only root can"),
            "{}",
            outcome.stderr
        );
        assert!(!outcome.stderr.contains("listening"), "{}", outcome.stderr);
        assert_eq!(place.names(), [""; 0], "nothing is leaked");
    }
    let server = as_nobody(&["--user", "65534", "--group", "65534"]).start();
    assert_eq!(ask(server.address(), b"x"), b"x");
    server.stop().status(0);
}

#[test]
fn another_root_and_directory() {
    let Some(()) = root() else { return };
    let place = Place::of(NOBODY);
    fs::create_dir_all(place.at("root/run")).unwrap();
    let chroot = place.at("root").display().to_string();
    let manager = UnixDatagram::bind(place.at("notify")).unwrap();
    manager.set_read_timeout(Some(PATIENCE)).unwrap();
    let heard = || loop {
        let mut buffer = [0; 1000];
        let length = manager.recv(&mut buffer).unwrap();
        let heard = String::from_utf8(buffer[..length].to_vec()).unwrap();
        // How it goes is another matter.
        if !heard.starts_with("STATUS=") {
            break heard;
        }
    };
    let unix = format!("unix:{}", place.at("s").display());
    let (daemon, _) = place.start_by(
        netkit(["serve"]).env("NOTIFY_SOCKET", place.at("notify")),
        [
            "echo",
            "tcp:0:127.0.0.1",
            &unix,
            "--user",
            "nobody",
            "--chroot",
            &chroot,
            "--rundir",
            "run",
        ],
    );
    let link = |name: &str| fs::read_link(format!("/proc/{}/{name}", daemon.pid)).unwrap();
    assert_eq!(link("root"), place.at("root"));
    assert_eq!(link("cwd"), place.at("root/run"));
    assert_eq!(heard(), format!("MAINPID={}\n", daemon.pid));
    assert!(heard().starts_with("READY=1\n"));
    assert_eq!(ask(daemon.address(), b"x"), b"x");
    // The log is opened anew where it is, though its path leads nowhere in there.
    fs::rename(place.at("log"), place.at("log.1")).unwrap();
    daemon.signal(Signal::HUP);
    eventually("a new log", || place.at("log").exists().then_some(()));
    assert!(heard().starts_with("RELOADING=1\n"));
    assert!(heard().starts_with("READY=1\n"));
    daemon.stop();
    assert!(heard().starts_with("STOPPING=1\n"));
    assert_eq!(place.names(), ["log", "log.1", "notify", "ready", "root"]);
    netkit([
        "serve",
        "echo",
        "tcp:0:127.0.0.1",
        "--chroot",
        &chroot,
        "--rundir",
        "nowhere",
        "--ready-file",
    ])
    .arg(place.at("ready.2"))
    .run()
    .status(1)
    .mentions("could not change the directory to nowhere: no such file or directory");
    assert!(!place.at("ready.2").exists());
    let server = netkit(["serve", "echo", "tcp:0:127.0.0.1", "--chroot", &chroot]).start();
    server.await_stderr("warning: root finds the way out of");
    server.stop().status(0);
}

#[test]
fn a_mask_that_takes_everything_leaves_a_pid_file_that_can_be_read() {
    let place = tempfile::tempdir().unwrap();
    let pid = place.path().join("pid");
    let server = netkit(["serve", "echo", "tcp:0:127.0.0.1", "--umask", "0777", "--pidfile"])
        .arg(&pid)
        .start();
    server.address();
    let mode = fs::metadata(&pid).unwrap().permissions().mode();
    assert_eq!(mode & 0o7777, 0o600);
    server.stop().status(0);
    assert!(!pid.exists());
}

#[test]
fn a_log_that_was_made_for_somebody_is_theirs() {
    let Some(()) = root() else { return };
    let place = Place::of(0);
    let (daemon, outcome) = place.start(["echo", "tcp:0:127.0.0.1", "--user", "nobody", "-v"]);
    assert!(
        !outcome.stderr.contains("will not open the log"),
        "{}",
        outcome.stderr
    );
    daemon.signal(Signal::HUP);
    daemon.await_log("reopened the log");
    daemon.stop();
}

#[test]
fn what_may_not_be_removed_is_told_of() {
    let Some(()) = root() else { return };
    let place = Place::of(0);
    let unix = format!("unix:{}", place.at("s").display());
    // Whose it is before, it stays.
    fs::write(place.at("log"), "").unwrap();
    let (daemon, outcome) = place.start(["echo", "tcp:0:127.0.0.1", &unix, "--user", "nobody"]);
    // That was to be foreseen.
    for name in ["pid", "s"] {
        let warning = format!(
            "warning: {} will stay behind in the end: permission denied; ",
            place.at(name).display()
        );
        assert_eq!(outcome.stderr.matches(&warning).count(), 1, "{}", outcome.stderr);
        assert_eq!(daemon.logged().matches(&warning).count(), 1);
    }
    let warning = format!(
        "warning: SIGHUP will not open the log {} again: ",
        daemon.log.display()
    );
    assert_eq!(outcome.stderr.matches(&warning).count(), 1, "{}", outcome.stderr);
    daemon.signal(Signal::HUP);
    daemon.await_log("warning: could not open the log");
    let (log, pid) = (daemon.log.clone(), daemon.pid);
    // Nor could it write there, whoever it is by now.
    for (number, leads_to) in daemon.descriptors() {
        if leads_to == place.at("pid") {
            let of_it = fs::read_to_string(format!("/proc/{pid}/fdinfo/{number}")).unwrap();
            let flags = of_it
                .lines()
                .find_map(|line| line.strip_prefix("flags:"))
                .unwrap();
            assert!(flags.ends_with('0'), "open for writing: {flags}");
        }
    }
    daemon.stop();
    let logged = fs::read_to_string(&log).unwrap();
    for name in ["pid", "s", "s.lock"] {
        assert!(
            logged.contains(&format!(
                "{} stays behind: permission denied",
                place.at(name).display()
            )),
            "{name}:\n{logged}"
        );
    }
    // Nobody is taken for the one that it names, though the number was given anew.
    let number = fs::read_to_string(place.at("pid")).unwrap();
    assert_eq!(number.trim(), pid.to_string());
    fs::write(place.at("pid"), format!("{}\n", std::process::id())).unwrap();
    let old = SystemTime::now() - Duration::from_secs(3600 * 24 * 365);
    fs::File::options()
        .write(true)
        .open(place.at("pid"))
        .unwrap()
        .set_modified(old)
        .unwrap();
    // Nor does any of it hold up the next one.
    let (daemon, _) = place.start(["echo", "tcp:0:127.0.0.1", &unix]);
    assert!(UnixStream::connect(place.at("s")).is_ok());
    daemon.stop();
    assert_eq!(place.names(), ["log", "ready"]);
}

#[test]
fn the_mask_is_for_every_file() {
    let place = Place::of(NOBODY);
    let (daemon, _) = place.start(["echo", "tcp:0:127.0.0.1", "--umask", "077"]);
    for name in ["log", "pid", "ready"] {
        let mode = fs::metadata(place.at(name)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{name}");
    }
    assert_eq!(daemon.status("Umask"), "0077");
    daemon.stop();
}

#[test]
fn storms_of_signals_end_nothing_but_what_they_mean() {
    let place = Place::of(NOBODY);
    let mut args = vec!["echo", "tcp:0:127.0.0.1", "--workers", "2"];
    if geteuid().is_root() {
        args.extend(["--user", "nobody"]);
    }
    let (daemon, _) = place.start(args);
    let mut client = dial(daemon.address());
    let load = {
        let address = daemon.address();
        std::thread::spawn(move || {
            for _ in 0..300 {
                assert_eq!(ask(address, b"under load"), b"under load");
            }
        })
    };
    for _ in 0..300 {
        daemon.signal(Signal::HUP);
        client.write_all(b"still here").unwrap();
        let mut answer = [0; 10];
        client.read_exact(&mut answer).unwrap();
        assert_eq!(&answer, b"still here");
    }
    load.join().unwrap();
    for _ in 0..100 {
        // It may be gone after the second.
        if kill_process(daemon.pid, Signal::TERM).is_err() {
            break;
        }
        let _ = kill_process(daemon.pid, Signal::HUP);
    }
    eventually("the daemon to end", || daemon.is_gone().then_some(()));
    assert_eq!(place.names(), ["log", "ready"]);
    assert!(TcpStream::connect(daemon.address()).is_err());
}

// The sandbox

/// Skips a test that needs Landlock.
fn landlock() -> Option<()> {
    given("Landlock", netkit::kernel::landlock_version().ok().map(drop))
}

#[test]
fn the_sandbox_refuses_what_the_modes_would_allow() {
    let Some(()) = landlock() else { return };
    let (place, elsewhere) = (Place::of(NOBODY), Place::of(NOBODY));
    let commands = place.at("commands.toml");
    let append_to = |path: &Path| {
        let text = format!(
            "[[command]]\nexact = \"write\"\nappend = {:?}\nreply = \"saved\"\n",
            path.display().to_string()
        );
        fs::write(&commands, text).unwrap();
    };
    for (more, expected, logged) in [
        (
            &[][..],
            "ERROR could not save",
            "the sandbox holds (Landlock, version ",
        ),
        (&["--no-sandbox"], "saved", "listening on"),
    ] {
        append_to(&place.at("file"));
        let (daemon, _) = place.start(
            [
                "lines",
                "tcp:0:127.0.0.1",
                "-v",
                "--commands",
                commands.to_str().unwrap(),
            ]
            .iter()
            .chain(more),
        );
        let mut client = dial(daemon.address());
        let mut said = |expected: &str| {
            client.write_all(b"write\r\n").unwrap();
            let mut answer = vec![0; expected.len() + 2];
            client.read_exact(&mut answer).unwrap();
            assert_eq!(
                String::from_utf8_lossy(&answer).trim(),
                expected,
                "{}",
                daemon.logged()
            );
        };
        said("saved");
        // Who takes over the process names another file.
        append_to(&elsewhere.at("file"));
        daemon.signal(Signal::HUP);
        daemon.await_log("reloaded ");
        said(expected);
        let log = daemon.logged();
        assert!(log.contains(logged), "{log}");
        assert_eq!(log.contains("sandbox"), more.is_empty(), "{log}");
        assert_eq!(elsewhere.names().is_empty(), more.is_empty());
        drop(client);
        daemon.stop();
        fs::remove_file(place.at("log")).unwrap();
    }
}

#[test]
fn what_a_server_needs_the_sandbox_allows() {
    let place = Place::of(NOBODY);
    let unix = format!("unix:{}", place.at("s").display());
    let file = place.at("file");
    let (daemon, _) = place.start([
        "lines",
        "tcp:0:127.0.0.1",
        &unix,
        "--file",
        file.to_str().unwrap(),
    ]);
    let mut client = dial(daemon.address());
    client.write_all(b"write: kept\r\n").unwrap();
    eventually("the text in the file", || {
        (fs::read_to_string(&file).unwrap_or_default() == "kept\n").then_some(())
    });
    for name in ["log", "file"] {
        fs::rename(place.at(name), place.at(&format!("{name}.1"))).unwrap();
    }
    daemon.signal(Signal::HUP);
    daemon.await_log(&format!("reloaded {}", file.display()));
    client.write_all(b"write: again\r\n").unwrap();
    eventually("the text in the new file", || {
        (fs::read_to_string(&file).unwrap_or_default() == "again\n").then_some(())
    });
    drop(client);
    daemon.stop();
    assert_eq!(place.names(), ["file", "file.1", "log", "log.1", "ready"]);
}

#[test]
fn what_is_written_is_relative_to_the_directory_of_the_daemon() {
    let place = Place::of(NOBODY);
    let (daemon, outcome) = place.start([
        "lines",
        "tcp:0:127.0.0.1",
        "--file",
        "file",
        "--rundir",
        place.0.path().to_str().unwrap(),
    ]);
    assert_eq!(outcome.stderr.lines().count(), 1, "{}", outcome.stderr);
    let mut client = dial(daemon.address());
    client.write_all(b"write: kept\r\n").unwrap();
    eventually("the text in the file", || {
        (fs::read_to_string(place.at("file")).unwrap_or_default() == "kept\n").then_some(())
    });
    drop(client);
    daemon.stop();
    let (daemon, _) = place.start(["lines", "tcp:0:127.0.0.1", "--file", "file"]);
    daemon.await_log("warning: file is written in /, where a daemon runs; --rundir names another directory");
    daemon.stop();
}

#[cfg(feature = "tls")]
#[test]
fn certificates_are_reloaded_as_far_as_permissions_allow() {
    let Some(()) = root() else { return };
    let place = Place::of(NOBODY);
    let make = || {
        netkit(["cert", "self-signed", "--force", "--out"])
            .arg(place.0.path())
            .run()
            .status(0);
    };
    make();
    chown(place.at("key.pem"), Some(NOBODY), Some(NOBODY)).unwrap();
    let before = netkit_after(&format!("cd {}", place.0.path().display()), "", ["serve"]);
    let endpoint = "tls:0:interface=127.0.0.1:privateKey=key.pem:certKey=cert.pem";
    let (daemon, _) = place.start_by(before, ["echo", endpoint, "--user", "nobody", "--umask", "000"]);
    daemon.signal(Signal::HUP);
    daemon.await_log("reloaded the certificates of tls:");
    assert!(
        !daemon.logged().contains("SIGHUP will not"),
        "{}",
        daemon.logged()
    );
    // Whoever made it anew forgot who has to read it.
    make();
    daemon.signal(Signal::HUP);
    let logged = daemon.await_log("kept the certificates of tls:");
    assert!(logged.contains("permission denied"), "{logged}");
    let answer = netkit(["connect", "--send", "x", "--no-stdin"])
        .arg(daemon.ready.trim())
        .args(["--timeout", "20s"])
        .run();
    // Its certificate is nobody's that the client knows; what counts is that it still has one.
    answer.status(5);
    daemon.stop();
}

#[test]
fn what_another_root_or_user_lacks_is_told_at_the_start() {
    let Some(()) = root() else { return };
    let place = Place::of(NOBODY);
    fs::create_dir(place.at("root")).unwrap();
    let chroot = place.at("root").display().to_string();
    let users = place.at("users.toml");
    fs::write(&users, "alice = \"Here I am\"\n").unwrap();
    let finger = |more: &[&str]| {
        netkit([
            "serve",
            "finger",
            "tcp:0:127.0.0.1",
            "--user",
            "nobody",
            "--chroot",
            &chroot,
        ])
        .args(more)
    };
    let server = finger(&["--users", users.to_str().unwrap(), "--forward"]).start();
    let said = server.await_stderr("listening on");
    let expected = format!(
        "warning: SIGHUP will not read {} again: no such file or directory\n",
        users.display()
    );
    assert!(said.contains(&expected), "{said}");
    assert!(said.contains("hosts may not be found by name"), "{said}");
    // What was read at the start is still served.
    assert!(contains_alice(&ask(server.address(), b"alice\r\n")));
    server.stop().status(0);
    // A start that fails there leaves nothing, not even where the new user could not remove it.
    let roots = Place::of(0);
    let unix = format!("unix:{}", roots.at("s").display());
    finger(&["--command", "/bin/true", &unix, "--ready-file"])
        .arg(roots.at("ready"))
        .arg("--pidfile")
        .arg(roots.at("pid"))
        .run()
        .status(1)
        .failed_in_one_line()
        .mentions("could not run /bin/true as the server will be: no such file or directory");
    assert_eq!(roots.names(), [""; 0]);
}

#[test]
fn what_the_new_user_can_do_it_is_not_warned_of() {
    let Some(()) = root() else { return };
    // Another one may remove what it has not made here.
    let place = Place::of(NOBODY);
    fs::set_permissions(place.0.path(), fs::Permissions::from_mode(0o1755)).unwrap();
    let unix = format!("unix:{}", place.at("s").display());
    let (daemon, outcome) = place.start(["echo", "tcp:0:127.0.0.1", &unix, "--user", "nobody"]);
    assert!(!outcome.stderr.contains("warning"), "{}", outcome.stderr);
    daemon.stop();
    assert_eq!(place.names(), ["log", "ready"]);
    // In a sticky directory of root's it may not, whoever may write there.
    let place = Place::of(0);
    fs::set_permissions(place.0.path(), fs::Permissions::from_mode(0o1777)).unwrap();
    let (daemon, outcome) = place.start(["echo", "tcp:0:127.0.0.1", "--user", "nobody"]);
    let warning = format!(
        "warning: {} will stay behind in the end: permission denied; ",
        place.at("pid").display()
    );
    assert!(outcome.stderr.contains(&warning), "{}", outcome.stderr);
    daemon.stop();
    assert_eq!(place.names(), ["log", "pid", "ready"]);
}

// The system's log

/// `netkit` in a mount namespace whose /dev/log leads to `socket`.
fn with_log(socket: &Path) -> Option<Netkit> {
    root()?;
    let unshare = installed(&["unshare"])?;
    let prepare = "mount -t tmpfs tmpfs /dev && mknod -m 666 /dev/null c 1 3 && mknod -m 666 /dev/urandom c 1 9 \
                   && ln -s \"$0\" /dev/log && exec \"$@\"";
    let possible = program(unshare, ["-m", "sh", "-c", prepare, "x", "true"])
        .run()
        .status
        == 0;
    given("a mount namespace", possible.then_some(()))?;
    Some(
        program(unshare, ["-m", "sh", "-c", prepare])
            .arg(socket)
            .arg(env!("CARGO_BIN_EXE_netkit")),
    )
}

#[test]
fn the_systems_log_gets_the_lines_of_a_daemon_in_another_root() {
    let place = Place::of(NOBODY);
    let Some(netkit) = with_log(&place.at("syslog")) else {
        return;
    };
    let keeper = UnixDatagram::bind(place.at("syslog")).unwrap();
    keeper.set_read_timeout(Some(PATIENCE)).unwrap();
    let heard = || {
        let mut buffer = [0; 4096];
        let length = keeper.recv(&mut buffer).unwrap();
        String::from_utf8(buffer[..length].to_vec()).unwrap()
    };
    fs::create_dir(place.at("root")).unwrap();
    let outcome = netkit
        .args([
            "serve",
            "echo",
            "tcp:0:127.0.0.1",
            "--daemonize",
            "--user",
            "nobody",
            "--syslog",
            "test-echo",
        ])
        .arg("--chroot")
        .arg(place.at("root"))
        .arg("--pidfile")
        .arg(place.at("pid"))
        .run()
        .status(0);
    assert!(
        outcome.stderr.starts_with("listening on tcp:"),
        "{}",
        outcome.stderr
    );
    let number = fs::read_to_string(place.at("pid")).unwrap();
    let number = number.trim();
    let line = heard();
    assert!(
        line.starts_with(&format!("<30>test-echo[{number}]: listening on tcp:127.0.0.1:")),
        "{line}"
    );
    let daemon = Daemon {
        pid: Pid::from_raw(number.parse().unwrap()).unwrap(),
        ready: outcome.stderr.replace("listening on ", ""),
        log: place.at("log"),
    };
    assert_eq!(ask(daemon.address(), b"x"), b"x");
    daemon.stop();
}

#[test]
fn no_log_of_the_system_is_a_failure_and_a_strange_prefix_a_usage_error() {
    let place = Place::of(NOBODY);
    if let Some(netkit) = with_log(&place.at("nobody")) {
        netkit
            .args(["serve", "echo", "tcp:0:127.0.0.1", "--syslog"])
            .run()
            .status(1)
            .said("error: could not log to the system's log, /dev/log: no such file or directory\n");
    }
    netkit(["serve", "echo", "--syslog", "tcp:0:127.0.0.1"])
        .run()
        .status(2)
        .mentions("an endpoint goes before --syslog");
    netkit(["serve", "echo", "tcp:0", "--syslog", "--log-file", "x"])
        .run()
        .status(2);
}
