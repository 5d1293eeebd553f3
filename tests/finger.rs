//! finger: the server with each back-end, and the verb that asks, from outside.
//! Absent: other programs of the trade, which `finger_peers` talks to.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::thread;
use std::time::Instant;

use rustix::process::Signal;
use socket2::{Domain, Socket, Type};

use crate::harness::peer::{accept, ask, assert_silent, deaf, dial, listener, read_all, refusing, reset};
use crate::harness::{PATIENCE, Run, contains, eventually, netkit, program, serve};

/// `serve finger ARGS...` on a port that the system picks.
fn finger_server(args: &[&str]) -> Run {
    serve(["finger", "tcp:0:127.0.0.1"].iter().chain(args))
}

fn answer(server: &Run, query: &str) -> String {
    String::from_utf8(ask(server.address(), query.as_bytes())).unwrap()
}

/// `finger ARGS...`
fn finger(args: &[&str]) -> crate::harness::Netkit {
    netkit(["finger"]).args(args)
}

fn at(address: SocketAddr) -> String {
    format!("@{address}")
}

/// A file that appears in one step.
fn put(path: &Path, text: &str) {
    let new = path.with_extension("new");
    std::fs::write(&new, text).unwrap();
    std::fs::rename(new, path).unwrap();
}

// The server

#[test]
fn users_of_the_command_line() {
    let server = finger_server(&["--user-entry", "alice=in=out", "--user-entry", "bob=away"]);
    assert_eq!(answer(&server, "alice\r\n"), "in=out\r\n");
    assert_eq!(answer(&server, "/W bob\n"), "away\r\n");
    assert_eq!(answer(&server, "carol\r\n"), "No such user\r\n");
    assert_eq!(answer(&server, "\r\n"), "alice\r\nbob\r\n");
    assert_eq!(
        answer(&server, "alice@host\r\n"),
        "This server asks no other server\r\n"
    );
    server.stop().status(0);
    let server = finger_server(&["--user-entry", "alice=in", "--no-list"]);
    assert_eq!(answer(&server, "\r\n"), "This server lists no users\r\n");
}

#[test]
fn users_of_a_file_follow_it() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("users.toml");
    put(&path, "alice = \"one\"\n");
    let server = finger_server(&["--users", path.to_str().unwrap()]);
    assert_eq!(answer(&server, "alice\r\n"), "one\r\n");
    put(&path, "alice = \"two\"\n");
    assert_eq!(answer(&server, "alice\r\n"), "two\r\n");
    put(&path, "alice = two\n");
    assert_eq!(answer(&server, "alice\r\n"), "two\r\n");
    let said = server.await_stderr("the users are as they were");
    assert!(
        said.contains("warning: could not read ") && said.contains("line 1: "),
        "{said}"
    );
    assert_eq!(answer(&server, "alice\r\n"), "two\r\n");
    put(&path, "alice = \"three\"\n");
    server.signal(Signal::HUP);
    eventually("the file to be read again", || {
        (answer(&server, "alice\r\n") == "three\r\n").then_some(())
    });
    let ended = server.stop().status(0);
    assert_eq!(
        ended.stderr.matches("as they were").count(),
        1,
        "{}",
        ended.stderr
    );
}

#[test]
fn a_file_that_is_no_good_is_pointed_at_before_anything_is_bound() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("users.toml");
    put(&path, "alice = \"one\"\nbob = 3\n");
    let refused = netkit(["serve", "finger", "tcp:0", "--users"])
        .arg(&path)
        .run()
        .status(2);
    assert!(refused.stderr.contains(": line 2: "), "{}", refused.stderr);
    assert!(
        refused.stderr.contains("\n  bob = 3\n        ^\n"),
        "{}",
        refused.stderr
    );
    let missing = directory.path().join("missing");
    let refused = netkit(["serve", "finger", "tcp:0", "--users"])
        .arg(missing)
        .run()
        .status(1);
    assert!(refused.stderr.contains("no such file"), "{}", refused.stderr);
}

#[test]
fn users_that_came_through_a_pipe_stay() {
    let server = netkit(["serve", "finger", "tcp:0:127.0.0.1", "--users", "/dev/stdin"])
        .input("alice = 'one'\n")
        .start();
    assert_eq!(answer(&server, "alice\r\n"), "one\r\n");
    server.signal(Signal::HUP);
    server.await_stderr("could not read /dev/stdin: it is a pipe, which is read at the start only");
    assert_eq!(answer(&server, "alice\r\n"), "one\r\n");
    server.stop().status(0);
}

#[test]
fn users_of_the_system() {
    let server = finger_server(&["--system"]);
    assert!(answer(&server, "root\r\n").starts_with("Login: root "));
    assert!(!answer(&server, "root\r\n").contains("Shell: "));
    assert!(answer(&server, "/W root\r\n").contains("Shell: "));
    for query in [
        "nobody-of-that-name",
        "../../etc/passwd",
        "-l",
        ";reboot",
        "$(id)",
    ] {
        assert_eq!(
            answer(&server, &format!("{query}\r\n")),
            "No such user\r\n",
            "{query}"
        );
    }
    assert_eq!(answer(&server, "\r\n"), "This server lists no users\r\n");
}

fn script(directory: &Path, text: &str) -> String {
    let path = directory.join("program");
    // Written by another process: a child that is forked meanwhile would hold it open for writing, and a file that
    // somebody writes cannot be run.
    program("install", ["-m755", "/dev/stdin", path.to_str().unwrap()])
        .input(format!("#!/bin/sh\n{text}\n"))
        .run()
        .status(0);
    path.to_str().unwrap().to_owned()
}

#[test]
fn a_program_is_asked() {
    let directory = tempfile::tempdir().unwrap();
    let text = "case $1 in\nalice) printf '%s has %s\\033[31m argument' \"$1\" $#;;\n\
        nobody) ;;\nbroken) echo the reason >&2; exit 3;;\nhuge) exec yes;;\nslow) exec sleep 1000;;\nesac";
    let program = script(directory.path(), text);
    let server = finger_server(&["--command", &program, "--answer-timeout", "2s"]);
    assert_eq!(answer(&server, "alice\r\n"), "alice has 1[31m argument\r\n");
    assert_eq!(answer(&server, "nobody\r\n"), "No such user\r\n");
    for (query, reason) in [
        ("broken", "it ended with exit status: 3: the reason"),
        ("huge", "it says more than 64KiB"),
        ("slow", "no answer within 2s"),
    ] {
        assert_eq!(
            answer(&server, &format!("{query}\r\n")),
            "Internal error in server\r\n"
        );
        server.await_stderr(&format!(": {program}: {reason}\n"));
        server.await_stderr(&format!("could not answer b\"{query}\" from 127.0.0.1:"));
    }
    for query in [
        "-l",
        "../../etc/passwd",
        ";reboot",
        "$(id)",
        "`id`",
        "a b",
        "a\x1bb;",
    ] {
        assert_eq!(
            answer(&server, &format!("{query}\r\n")),
            "No such user\r\n",
            "{query}"
        );
    }
    server.stop().status(0);
}

#[test]
fn a_program_that_cannot_be_run_is_told_at_the_start() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("file");
    std::fs::write(&file, "").unwrap();
    for (path, why) in [
        ("/nonexistent/program", "there is no such file"),
        (
            "no-program-of-this-name",
            "no directory of PATH has such a program",
        ),
        (directory.path().to_str().unwrap(), "it is no file"),
        (file.to_str().unwrap(), "it may not be executed"),
    ] {
        let server = finger_server(&["--command", path]);
        server.await_stderr(&format!("--command `{path}` cannot be run so far: {why}\n"));
        server.stop().status(0);
    }
    for path in ["true", "/bin/true"] {
        let server = finger_server(&["--command", path]);
        let said = format!("listening on {}\n", server.endpoint());
        server.stop().status(0).said(&said);
    }
}

#[test]
fn a_program_gets_little_of_the_environment() {
    let directory = tempfile::tempdir().unwrap();
    let path = script(directory.path(), "/usr/bin/env");
    let server = netkit(["serve", "finger", "tcp:0:127.0.0.1", "--command", &path])
        .env("TZ", "Europe/Vienna")
        .env("LANG", "de_AT.UTF-8")
        .env("SECRET_TOKEN", "hush")
        .env("XDG_DATA_HOME", "/nonexistent")
        .start();
    let said = answer(&server, "alice\r\n");
    let names = said.lines().filter_map(|line| line.split_once('=')?.0.into());
    let mut names: Vec<&str> = names.collect();
    assert!(said.contains("TZ=Europe/Vienna\r\n") && said.contains("LANG=de_AT.UTF-8\r\n"));
    // The last ones are the shell's own.
    let few = [
        "PATH", "HOME", "USER", "LANG", "LC_ALL", "TZ", "PWD", "SHLVL", "_", "OLDPWD",
    ];
    names.retain(|name| !few.contains(name));
    assert!(names.is_empty(), "{names:?}");
    server.stop().status(0);
}

#[test]
fn many_at_once_do_not_start_as_many_programs() {
    let directory = tempfile::tempdir().unwrap();
    let running = directory.path().join("running");
    std::fs::create_dir(&running).unwrap();
    let text = format!(
        "cd {}\nmkdir $$\nls | wc -l\nsleep 0.05\nrmdir $$",
        running.display()
    );
    let program = script(directory.path(), &text);
    let server = finger_server(&["--command", &program]);
    let mut clients: Vec<TcpStream> = (0..60).map(|_| dial(server.address())).collect();
    for client in &mut clients {
        client.write_all(b"alice\r\n").unwrap();
    }
    for client in clients {
        let answer = String::from_utf8(read_all(client)).unwrap();
        let running: usize = answer.trim().parse().unwrap();
        assert!((1..=16).contains(&running), "{running} at once");
    }
}

/// A web server that says the same to everyone, for as long as somebody reads, and then keeps the connection.
fn web(says: impl Fn(&mut TcpStream) + Send + 'static) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut request = Vec::new();
            while !request.ends_with(b"\r\n\r\n") {
                let mut byte = [0];
                if stream.read(&mut byte).unwrap_or(0) == 0 {
                    break;
                }
                request.push(byte[0]);
            }
            says(&mut stream);
        }
    });
    address
}

#[test]
fn the_web_is_asked() {
    let page = |stream: &mut TcpStream| {
        stream
            .write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\n\x1bhe\nre\n")
            .unwrap();
    };
    let address = web(page);
    let server = finger_server(&["--url", &format!("http://{address}/users?name=")]);
    assert_eq!(answer(&server, "alice\r\n"), "he\r\nre\r\n");
    assert_eq!(answer(&server, "../../etc/passwd\r\n"), "No such user\r\n");
    server.stop().status(0);
}

#[test]
fn a_web_server_that_misbehaves_harms_nobody() {
    type Says = fn(&mut TcpStream);
    let cases: [(Says, &str); 6] = [
        (
            |stream| drop(stream.write_all(b"\x00\x80 garbage\r\n\r\n")),
            "could not answer",
        ),
        (
            |stream| drop(stream.write_all(b"HTTP/1.1 301 X\r\nLocation: http://127.0.0.1:1/\r\n\r\n")),
            "http://127.0.0.1:1/ is not followed",
        ),
        (
            // 1 GiB, if it were read.
            |stream| {
                let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 1073741824\r\n\r\n");
                let part = vec![b'a'; 1 << 20];
                for _ in 0..1024 {
                    if stream.write_all(&part).is_err() {
                        return;
                    }
                }
                panic!("all of it was read");
            },
            "the web server sends more than 64KiB",
        ),
        (
            // It never ends the head.
            |stream| {
                let _ = stream.write_all(b"HTTP/1.1 200 OK\r\n");
                while stream
                    .write_all(b"X: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\r\n")
                    .is_ok()
                {}
            },
            "could not answer",
        ),
        (
            |stream| {
                let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n");
                let _ = stream.read(&mut [0]);
            },
            "no answer within 1s",
        ),
        (|stream| drop(stream.read(&mut [0])), "no answer within 1s"),
    ];
    for (says, reason) in cases {
        let address = web(says);
        let url = format!("http://{address}/");
        let server = finger_server(&["--url", &url, "--answer-timeout", "1s", "--user-entry", "bob=in"]);
        let start = Instant::now();
        assert_eq!(
            answer(&server, "alice\r\n"),
            "Internal error in server\r\n",
            "{reason}"
        );
        assert!(start.elapsed() < PATIENCE / 2);
        server.await_stderr(reason);
        // It goes on.
        assert_eq!(answer(&server, "bob\r\n"), "in\r\n");
        server.stop().status(0);
    }
}

#[test]
fn a_web_server_that_is_not_there_is_an_internal_error() {
    let (_held, address) = refusing();
    let server = finger_server(&["--url", &format!("http://{address}/")]);
    assert_eq!(answer(&server, "alice\r\n"), "Internal error in server\r\n");
    server.await_stderr("connection refused");
}

#[test]
fn queries_are_passed_on_one_server_far() {
    let there = finger_server(&["--user-entry", "alice=\x1bthere"]);
    let port = there.address().port().to_string();
    let here = finger_server(&["--user-entry", "alice=here", "--forward", "--forward-port", &port]);
    assert_eq!(answer(&here, "alice@127.0.0.1\r\n"), "there\r\n");
    assert_eq!(answer(&here, "@127.0.0.1\r\n"), "alice\r\n");
    let both = answer(&here, "alice@127.0.0.1@127.0.0.1\r\n");
    assert_eq!(both, "This server asks one other server and no more\r\n");
    // To itself and back is one server far, too.
    let ours = asking_itself();
    assert_eq!(answer(&ours, "alice@127.0.0.1\r\n"), "in\r\n");
    let (_held, nobody) = refusing();
    let port = nobody.port().to_string();
    let lost = finger_server(&["--forward", "--forward-port", &port]);
    assert_eq!(
        answer(&lost, "alice@127.0.0.1\r\n"),
        "Internal error in server\r\n"
    );
    lost.await_stderr("connection refused");
}

/// A server that passes queries on to its own port.
fn asking_itself() -> Run {
    // Held until the server has it: both may, as both say `SO_REUSEADDR`, and only the server listens.
    let held = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    held.set_reuse_address(true).unwrap();
    let any: SocketAddr = "127.0.0.1:0".parse().unwrap();
    held.bind(&any.into()).unwrap();
    let port = held.local_addr().unwrap().as_socket().unwrap().port().to_string();
    serve([
        "finger",
        &format!("tcp:{port}:127.0.0.1"),
        "--user-entry",
        "alice=in",
        "--forward",
        "--forward-port",
        &port,
    ])
}

#[test]
fn a_client_that_asks_nothing_or_too_much_is_left() {
    let server = finger_server(&["--query-timeout", "500ms", "--user-entry", "alice=in"]);
    assert_eq!(read_all(dial(server.address())), b"No query came in time\r\n");
    assert_eq!(answer(&server, &"a".repeat(100_000)), "The query is too long\r\n");
    reset(dial(server.address()));
    assert_eq!(answer(&server, "al\0i\x1b\x7fce\r\n"), "in\r\n");
    assert_eq!(answer(&server, "alice"), "in\r\n");
    let silent = finger_server(&["--no-answer"]);
    let mut client = dial(silent.address());
    client.write_all(b"ali").unwrap();
    assert_silent(&client);
    client.write_all(b"ce\r\n").unwrap();
    assert_eq!(read_all(client), b"");
}

#[test]
fn settings_that_make_no_sense_are_refused() {
    for (args, why) in [
        (&["--user-entry", "alice"][..], "a user is written NAME=TEXT"),
        (&["--url", "ftp://host/"], "a URL begins with http:// or https://"),
        (&["--no-answer", "--system"], "leaves no use for users"),
        (&["--forward-port", "79"], "is of use with --forward only"),
        (&["--query-timeout", "0"], "could not set up finger"),
    ] {
        let refused = netkit(["serve", "finger", "tcp:0"])
            .args(args)
            .run()
            .status(2)
            .wrote("");
        assert!(refused.stderr.contains(why), "{}", refused.stderr);
    }
    let refused = netkit(["serve", "finger", "udp:0"]).run().status(2);
    assert!(
        refused.stderr.contains("it needs connections"),
        "{}",
        refused.stderr
    );
}

// The verb

/// Serves one client with these bytes, and gives the query that it sent.
fn answering(listener: TcpListener, answer: &'static [u8]) -> thread::JoinHandle<String> {
    thread::spawn(move || {
        let mut client = accept(&listener);
        let mut query = Vec::new();
        while !query.ends_with(b"\n") {
            let mut byte = [0];
            client.read_exact(&mut byte).unwrap();
            query.push(byte[0]);
        }
        client.write_all(answer).unwrap();
        String::from_utf8(query).unwrap()
    })
}

#[test]
fn what_is_asked_is_what_was_typed() {
    for (target, flags, query) in [
        ("alice@HOST", &[][..], "alice\r\n"),
        ("alice@HOST", &["-l"], "/W alice\r\n"),
        ("@HOST", &[], "\r\n"),
        ("@HOST", &["--long"], "/W\r\n"),
        ("alice@a.example@HOST", &[], "alice@a.example\r\n"),
        ("alice@a@b@HOST", &["-l"], "/W alice@a@b\r\n"),
    ] {
        let (listener, endpoint) = listener();
        let host = endpoint.strip_prefix("tcp:").unwrap();
        let server = answering(listener, b"here\r\n");
        finger(&[&target.replace("HOST", host)])
            .args(flags)
            .run()
            .status(0)
            .wrote("here\n");
        assert_eq!(server.join().unwrap(), query, "{target}");
    }
}

#[test]
fn any_endpoint_can_be_asked() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("s");
    let endpoint = format!("unix:{}", path.display());
    let _server = serve(["finger", &endpoint, "--user-entry", "alice=in"]);
    finger(&["--endpoint", &endpoint, "alice"])
        .run()
        .status(0)
        .wrote("in\n");
    finger(&["--endpoint", &endpoint, "a@host"])
        .run()
        .status(0)
        .wrote("This server asks no other server\n");
    finger(&["--endpoint", &endpoint])
        .run()
        .status(0)
        .wrote("alice\n");
    let udp = finger(&["--endpoint", "udp:127.0.0.1:9", "alice"])
        .run()
        .status(2);
    assert!(udp.stderr.contains("finger needs a connection"), "{}", udp.stderr);
}

#[cfg(feature = "tls")]
#[test]
fn tls_is_a_stream_too() {
    let directory = tempfile::tempdir().unwrap();
    let server = netkit(["serve", "finger", "tls:0", "--user-entry", "alice=in"])
        .env("XDG_DATA_HOME", directory.path())
        .stdin(std::process::Stdio::null())
        .start();
    finger(&["--endpoint", &server.endpoint(), "alice"])
        .env("XDG_DATA_HOME", directory.path())
        .run()
        .status(0)
        .wrote("in\n");
}

#[test]
fn an_answer_is_safe_for_a_terminal() {
    let (listener, endpoint) = listener();
    let answer = "\x1b]0;title\x07\u{1b}[2J\u{9b}1mGrüße\r\n\tback\x08\rover\0".as_bytes();
    let server = answering(listener, answer);
    finger(&["--endpoint", &endpoint, "alice"])
        .run()
        .status(0)
        .wrote("]0;title[2J1mGrüße\n\tbackover\n");
    server.join().unwrap();
}

#[test]
fn several_are_asked_at_once_and_answered_in_order() {
    let server = finger_server(&["--user-entry", "alice=in", "--user-entry", "bob=away"]);
    let here = at(server.address());
    let (_held, nobody) = refusing();
    let heading = format!("[{}]\n", server.address());
    let targets = [format!("alice{here}"), at(nobody), format!("bob{here}")];
    let targets: Vec<&str> = targets.iter().map(String::as_str).collect();
    let asked = finger(&targets).run().status(3);
    let asked = asked.wrote(format!("{heading}in\n[{nobody}]\n{heading}away\n"));
    assert!(
        asked
            .stderr
            .starts_with("error: could not connect to tcp:127.0.0.1:"),
        "{}",
        asked.stderr
    );
    let one = format!("alice{here}");
    let many = finger(&vec![one.as_str(); 50]).run().status(0);
    assert_eq!(many.text(), format!("{heading}in\n").repeat(50));
}

#[test]
fn statuses_say_what_went_wrong() {
    let (_held, nobody) = refusing();
    finger(&[&at(nobody)]).run().status(3).wrote("");
    let (_sockets, silent) = deaf();
    let late = finger(&["-t", "300ms", &at(silent)]).run().status(4).wrote("");
    assert!(
        late.stderr.contains("no whole answer within 300ms"),
        "{}",
        late.stderr
    );
    let holding = serve(["hold", "tcp:0:127.0.0.1", "--grace", "0"]);
    finger(&["--timeout", "300ms", &at(holding.address())])
        .run()
        .status(4)
        .wrote("");
    for target in ["a@", "@", "a@h:0", "a@h:x", "a@[::1", "a\nb@h", &"a".repeat(2000)] {
        finger(&["--", target]).run().status(2).wrote("");
    }
    finger(&["--port", "0", "a"]).run().status(2);
}

#[test]
fn a_server_that_says_nothing_or_breaks_off() {
    let silent = finger_server(&["--no-answer"]);
    finger(&[&at(silent.address())]).run().status(0).wrote("");
    let (listener, endpoint) = listener();
    let server = thread::spawn(move || {
        let mut client = accept(&listener);
        client.read_exact(&mut [0; 2]).unwrap();
        client.write_all(b"half an ans").unwrap();
        client.read_exact(&mut [0; 1]).unwrap_err();
    });
    let late = finger(&["--endpoint", &endpoint, "-t", "500ms"]).run().status(4);
    late.wrote("half an ans\n");
    server.join().unwrap();
    let (listener, endpoint) = crate::harness::peer::listener();
    let server = thread::spawn(move || {
        let client = accept(&listener);
        (&client).read_exact(&mut [0; 2]).unwrap();
        reset(client);
    });
    finger(&["--endpoint", &endpoint]).run().status(8).wrote("");
    server.join().unwrap();
}

#[test]
fn an_answer_without_end_is_cut() {
    let (listener, endpoint) = listener();
    let server = thread::spawn(move || {
        let mut client = accept(&listener);
        while client.write_all(&[b'a'; 1 << 16]).is_ok() {}
    });
    let cut = finger(&["--endpoint", &endpoint]).run().status(6);
    assert_eq!(cut.stdout.len(), (1 << 20) + 1);
    assert!(
        cut.stderr.contains("the answer is longer than 1MiB"),
        "{}",
        cut.stderr
    );
    server.join().unwrap();
}

#[test]
fn the_log_shows_the_conversation() {
    let server = finger_server(&["--user-entry", "alice=in"]);
    let target = format!("alice@{}", server.address());
    let plain = finger(&[&target]).run().status(0);
    assert_eq!(plain.stderr, "");
    let logged = finger(&["-vv", &target]).run().status(0).wrote("in\n");
    for line in [
        "connected to 127.0.0.1:",
        "sent b\"alice\\r\\n\"",
        "received b\"in\\r\\n\"",
    ] {
        assert!(logged.stderr.contains(line), "{}", logged.stderr);
    }
}

#[test]
fn an_interrupt_ends_the_run() {
    let (listener, endpoint) = listener();
    let run = finger(&["--endpoint", &endpoint]).start();
    let client = accept(&listener);
    run.signal(Signal::INT);
    run.wait().status(130).wrote("");
    drop(client);
}

#[test]
fn a_closed_output_ends_quietly() {
    let server = finger_server(&["--user-entry", "alice=in"]);
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let quiet = finger(&[&format!("alice@{}", server.address())])
        .stdout(writer)
        .run()
        .status(0);
    assert!(!contains(quiet.stderr.as_bytes(), b"error"), "{}", quiet.stderr);
}
