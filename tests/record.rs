//! `--record`: what Wireshark makes of a recording, and what becomes of the file.
//! Absent: the layout of its bytes, which unit tests see.

use std::collections::BTreeSet;
use std::fs;
use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use crate::harness::installed::installed;
use crate::harness::peer::{accept, assert_echo, dial, hash, listener, noise, reset};
use crate::harness::{connect, contains, eventually, listen, netkit, netkit_after, program, serve};

struct File {
    directory: TempDir,
}

impl File {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        File { directory }
    }

    fn path(&self) -> PathBuf {
        self.directory.path().join("file.pcapng")
    }

    fn flag(&self) -> String {
        format!("--record={}", self.path().display())
    }

    fn bytes(&self) -> Vec<u8> {
        fs::read(self.path()).unwrap()
    }
}

/// What tshark says of a file, all checksums verified.
fn tshark(path: &Path, args: &[&str]) -> String {
    let file = path.display().to_string();
    let mut all = vec!["-n", "-r", &file];
    for checked in ["ip", "tcp", "udp"] {
        all.push("-o");
        all.push(match checked {
            "ip" => "ip.check_checksum:TRUE",
            "tcp" => "tcp.check_checksum:TRUE",
            _ => "udp.check_checksum:TRUE",
        });
    }
    all.extend(args);
    program("tshark", all).run().status(0).text()
}

/// That the analysis of TCP, and whoever verifies checksums, has nothing to say; comments and chats are none.
#[track_caller]
fn assert_sound(path: &Path) {
    for wrong in [
        "tcp.analysis.flags",
        "ip.checksum.status == Bad",
        "tcp.checksum.status == Bad || udp.checksum.status == Bad",
        "_ws.malformed",
        // A warning, or worse.
        "_ws.expert.severity >= 0x00600000",
        "!tcp && !udp",
    ] {
        assert_eq!(tshark(path, &["-Y", wrong]), "", "{wrong}");
    }
    let verified = "tcp.checksum.status == Good || udp.checksum.status == Good";
    assert_ne!(tshark(path, &["-Y", verified]), "");
}

/// Both sides of a conversation as `follow` shows them: what the side that spoke first has said, and the other.
fn follow(path: &Path, protocol: &str, stream: usize) -> (Vec<u8>, Vec<u8>) {
    let told = tshark(path, &["-q", "-z", &format!("follow,{protocol},raw,{stream}")]);
    let (mut first, mut second) = (Vec::new(), Vec::new());
    for line in told.lines() {
        let hex = line.trim();
        let digits = !hex.is_empty() && hex.bytes().all(|byte| byte.is_ascii_hexdigit());
        if digits {
            let side = if line.starts_with('\t') {
                &mut second
            } else {
                &mut first
            };
            let bytes = (0..hex.len()).step_by(2);
            side.extend(bytes.map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()));
        }
    }
    (first, second)
}

#[test]
fn wireshark_follows_what_connect_exchanged() {
    let Some(_) = installed(&["tshark"]) else { return };
    let file = File::new();
    let echo = serve(["echo", "tcp:0:127.0.0.1", "tcp6:0:[::1]"]);
    for endpoint in echo.endpoints(2) {
        let sent = noise(2_500_000);
        let outcome = connect([&endpoint, &file.flag()]).input(&sent[..]).run();
        assert_eq!(hash(&outcome.status(0).stdout), hash(&sent));
        let (up, down) = follow(&file.path(), "tcp", 0);
        assert_eq!((hash(&up), hash(&down)), (hash(&sent), hash(&sent)), "{endpoint}");
        assert_sound(&file.path());
        // Whoever opened the connection begins it, at the port that the endpoint names.
        let (_, port) = endpoint.rsplit_once(':').unwrap();
        let begins = tshark(
            &file.path(),
            &[
                "-Y",
                "frame.number == 1",
                "-T",
                "fields",
                "-e",
                "tcp.dstport",
                "-e",
                "tcp.flags",
            ],
        );
        assert_eq!(begins.trim(), format!("{port}\t0x0002"));
        // Both ends, and nothing after them.
        let ends = tshark(
            &file.path(),
            &[
                "-Y",
                "tcp.flags.fin == 1 || tcp.flags.reset == 1",
                "-T",
                "fields",
                "-e",
                "tcp.flags",
            ],
        );
        assert_eq!(ends, "0x0011\n0x0011\n");
    }
}

#[test]
fn wireshark_tells_the_connections_of_a_relay_apart() {
    let Some(_) = installed(&["tshark"]) else { return };
    let file = File::new();
    let unix = format!("unix:{}", file.directory.path().join("socket").display());
    let echo = serve(["echo", "tcp:0:127.0.0.1"]);
    let relay = netkit([
        "relay",
        "tcp:0:127.0.0.1",
        &unix,
        "--to",
        &echo.endpoint(),
        &file.flag(),
    ])
    .args(["--workers", "2"])
    .start();
    let endpoints = relay.endpoints(2);
    let mut said = BTreeSet::new();
    for number in 0..6 {
        let text = format!("this is number {number}");
        connect([&endpoints[number % 2]])
            .input(text.as_bytes())
            .run()
            .status(0)
            .wrote(&text);
        said.insert((text.clone().into_bytes(), text.into_bytes()));
    }
    relay.stop().status(0);
    assert_sound(&file.path());
    let followed: BTreeSet<_> = (0..6).map(|stream| follow(&file.path(), "tcp", stream)).collect();
    assert_eq!(followed, said);
    let made_up = tshark(
        &file.path(),
        &[
            "-Y",
            "tcp.flags == 2 && ip.src == 192.0.2.2",
            "-T",
            "fields",
            "-e",
            "frame.comment",
        ],
    );
    assert_eq!(made_up.matches("between").count(), 3, "{made_up}");
}

#[test]
fn wireshark_follows_datagrams() {
    let Some(_) = installed(&["tshark"]) else { return };
    let file = File::new();
    let echo = serve(["echo", "udp:0:127.0.0.1"]);
    connect([
        &echo.endpoint(),
        "--line",
        &file.flag(),
        "--half-close-timeout",
        "300ms",
    ])
    .input("one\ntwo\n")
    .run()
    .status(0);
    let (up, down) = follow(&file.path(), "udp", 0);
    assert_eq!((&up[..], &down[..]), (&b"one\ntwo\n"[..], &b"one\ntwo\n"[..]));
    assert_sound(&file.path());
    assert_eq!(tshark(&file.path(), &[]).lines().count(), 4);
}

#[test]
fn flows_of_a_relay_are_recorded() {
    let Some(_) = installed(&["tshark"]) else { return };
    let file = File::new();
    let echo = serve(["echo", "udp:0:127.0.0.1"]);
    let relay = netkit(["relay", "udp:0:127.0.0.1", &echo.endpoint(), &file.flag()]).start();
    let endpoint = relay.endpoint();
    for said in ["one", "two"] {
        let limit = "--half-close-timeout=300ms";
        connect([&endpoint, limit])
            .input(said)
            .run()
            .status(0)
            .wrote(said);
    }
    relay.stop().status(0);
    for (flow, said) in [&b"one"[..], b"two"].into_iter().enumerate() {
        let (up, down) = follow(&file.path(), "udp", flow);
        assert_eq!((&up[..], &down[..]), (said, said));
    }
    assert_sound(&file.path());
}

#[test]
fn a_reset_is_one_in_the_recording() {
    let Some(_) = installed(&["tshark"]) else { return };
    let file = File::new();
    let (target, endpoint) = listener();
    let client = connect([&endpoint, &file.flag()]).input("x").start();
    let server = accept(&target);
    (&server).read_exact(&mut [0]).unwrap();
    reset(server);
    client.wait().status(8);
    let resets = tshark(
        &file.path(),
        &["-Y", "tcp.flags.reset == 1", "-T", "fields", "-e", "tcp.srcport"],
    );
    let (_, port) = endpoint.rsplit_once(':').unwrap();
    assert_eq!(resets.trim(), port);
}

#[cfg(feature = "tls")]
#[test]
fn tls_is_recorded_decrypted_with_its_facts() {
    let place = crate::harness::place::Place::empty();
    let echo = place.netkit(["serve", "echo", "tls:0"]).start();
    let file = File::new();
    place
        .netkit(["connect", &echo.endpoint(), &file.flag()])
        .input("not a secret any more")
        .run()
        .status(0);
    let bytes = file.bytes();
    assert!(contains(&bytes, b"not a secret any more"));
    assert!(contains(&bytes, b"decrypted: TLS 1.3"));
    assert!(contains(&bytes, b"the peer's certificate: CN=localhost"));
}

#[test]
fn each_connection_of_listen_is_in_the_file_while_it_runs() {
    let file = File::new();
    let listening = listen(["-k", "--no-stdin", "tcp:0:127.0.0.1", &file.flag()]);
    for text in ["the first of two", "the second of two"] {
        let mut client = dial(listening.address());
        client.write_all(text.as_bytes()).unwrap();
        // Before it has ended, and long before the run has.
        eventually("the file to grow", || {
            contains(&file.bytes(), text.as_bytes()).then_some(())
        });
    }
    listening.stop().status(0);
}

#[test]
fn the_file_is_for_its_owner_and_emptied_once_all_is_bound() {
    let file = File::new();
    fs::write(file.path(), "something else").unwrap();
    let (_held, taken) = crate::harness::peer::refusing();
    let taken = format!("tcp:{}:127.0.0.1", taken.port());
    netkit(["relay", &taken, "tcp:localhost:1", &file.flag()])
        .run()
        .status(7);
    netkit(["listen", &taken, &file.flag()]).run().status(7);
    assert_eq!(file.bytes(), b"something else");
    connect(["--no-stdin", "tcp:127.0.0.1:1", &file.flag()])
        .run()
        .status(3);
    assert!(file.bytes().starts_with(b"\n\r\r\n"));
    fs::remove_file(file.path()).unwrap();
    connect(["--no-stdin", "tcp:127.0.0.1:1", &file.flag()])
        .run()
        .status(3);
    assert_eq!(
        fs::metadata(file.path()).unwrap().permissions().mode() & 0o777,
        0o600
    );
}

#[test]
fn what_cannot_be_made_is_said_before_anything_happens() {
    let (target, endpoint) = listener();
    for (path, status, why) in [
        ("/dev/full", 1, "no space left on the device"),
        ("/nonexistent/file", 1, "no such file or directory"),
        ("/", 1, "is a directory"),
        ("-", 2, "/dev/stdout"),
    ] {
        connect([&endpoint, "--record", path])
            .run()
            .status(status)
            .mentions(why);
    }
    assert!(target.accept().is_err());
}

#[test]
fn a_file_that_is_full_ends_the_recording_and_not_the_connection() {
    let file = File::new();
    let echo = serve(["echo", "tcp:0:127.0.0.1"]);
    let sent = noise(300_000);
    // 64 blocks of 512 bytes, or of 1024, whoever the shell is.
    let outcome = netkit_after("ulimit -f 64", "", ["connect", &echo.endpoint(), &file.flag()])
        .input(&sent[..])
        .run()
        .status(1)
        .mentions("warning: nothing more is recorded in")
        .mentions("is not whole: file too large");
    assert_eq!(hash(&outcome.stdout), hash(&sent));
    assert_eq!(outcome.stderr.lines().count(), 2, "{}", outcome.stderr);
    let relay = ["relay", "tcp:0:127.0.0.1", &echo.endpoint(), &file.flag()];
    let relay = netkit_after("ulimit -f 64", "", relay).start();
    let mut client = dial(relay.address());
    assert_echo(&mut client, b"what came before is kept");
    eventually("the file to grow", || {
        contains(&file.bytes(), b"what came before").then_some(())
    });
    assert_echo(&mut client, &sent[..100_000]);
    relay.await_stderr("warning: nothing more is recorded in");
    assert_echo(&mut dial(relay.address()), b"who comes later is served");
    drop(client);
    relay.stop().status(1);
    assert!(contains(&file.bytes(), b"what came before is kept"));
    if installed(&["tshark"]).is_some() {
        // A file that is cut off within a packet would be a failure.
        tshark(&file.path(), &[]);
    }
}

#[test]
fn a_pipe_takes_a_recording_as_it_comes() {
    let file = File::new();
    program("mkfifo", [file.path()]).run().status(0);
    let echo = serve(["echo", "tcp:0:127.0.0.1"]);
    connect([&echo.endpoint(), &file.flag()])
        .run()
        .status(1)
        .mentions("no such device");
    let mut reader = fs::OpenOptions::new()
        .read(true)
        .write(true)
        .open(file.path())
        .unwrap();
    connect([&echo.endpoint(), &file.flag()])
        .input("through a pipe")
        .run()
        .status(0);
    let mut got = vec![0; 4096];
    let length = reader.read(&mut got).unwrap();
    assert!(contains(&got[..length], b"through a pipe"));
    // One that nobody empties any more costs the recording, not the connection.
    let sent = noise(1_000_000);
    let outcome = connect([&echo.endpoint(), &file.flag()])
        .input(&sent[..])
        .run()
        .status(1);
    assert_eq!(hash(&outcome.stdout), hash(&sent));
    assert!(
        outcome.stderr.contains("nothing could be written to it for 2s"),
        "{}",
        outcome.stderr
    );
}

#[test]
fn a_daemon_records_where_its_caller_said() {
    let file = File::new();
    let at = |name: &str| file.directory.path().join(name).display().to_string();
    let echo = serve(["echo", "tcp:0:127.0.0.1"]);
    let relative = format!("cd '{}'", file.directory.path().display());
    let args = [
        "relay",
        "tcp:0:127.0.0.1",
        &echo.endpoint(),
        "--record",
        "file.pcapng",
        "--daemonize",
    ];
    let (pid, ready) = (at("pid"), at("ready"));
    netkit_after(&relative, "", args)
        .args(["--pidfile", &pid, "--ready-file", &ready])
        .args(["--log-file", &at("log")])
        .run()
        .status(0);
    let number = fs::read_to_string(&pid).unwrap();
    let endpoint = fs::read_to_string(&ready).unwrap();
    // In the sandbox, which is not to be in the way.
    connect([endpoint.trim()])
        .input("said to a daemon")
        .run()
        .status(0);
    eventually("the file to grow", || {
        contains(&file.bytes(), b"said to a daemon").then_some(())
    });
    let number = rustix::process::Pid::from_raw(number.trim().parse().unwrap()).unwrap();
    rustix::process::kill_process(number, rustix::process::Signal::TERM).unwrap();
    eventually("the daemon to end", || (!Path::new(&pid).exists()).then_some(()));
}
