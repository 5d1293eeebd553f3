//! `serve lines` from outside: what is said, what is on disk when it is said, and what bad input and a full disk do.
//! Absent: how lines are cut and commands are found, which unit tests show; and what a conversation of the test with one
//! or two clients shows, which are scripts: `tests/scripts/lines*.netkit`.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::process::Signal;
use tempfile::TempDir;

use crate::harness::peer::{ask, assert_gone, dial, read_all, reset};
use crate::harness::{A_MOMENT, PATIENCE, Run, eventually, netkit, netkit_after, serve};

const TCP: &str = "tcp:0:127.0.0.1";
const GREETING: &str = "Connection with the server established!\r\n";
const HELLO: &str = "Hello! How are you?\r\n";
const SAVED: &str = "Message saved!\r\n";
const UNSAVED: &str = "ERROR could not save\r\n";
const UNKNOWN: &str = "Unknown command\r\n";
const OVERLONG: &str = "ERROR line too long\r\n";

fn directory() -> (TempDir, PathBuf) {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("file.txt");
    (directory, file)
}

fn serve_lines(file: &Path, args: &[&str]) -> Run {
    let file = file.to_str().unwrap();
    serve(["lines", TCP, "--file", file].iter().chain(args))
}

#[track_caller]
fn asked(address: SocketAddr, bytes: impl AsRef<[u8]>) -> String {
    String::from_utf8(ask(address, bytes.as_ref())).unwrap()
}

/// A client that has been greeted, and reads line by line.
struct Client(BufReader<TcpStream>);

impl Client {
    fn of(address: SocketAddr) -> Self {
        let mut client = Client(BufReader::new(dial(address)));
        assert_eq!(client.line(), GREETING);
        client
    }

    fn say(&mut self, bytes: impl AsRef<[u8]>) {
        self.0.get_mut().write_all(bytes.as_ref()).unwrap();
    }

    /// The next line; empty at the end.
    fn line(&mut self) -> String {
        let mut line = String::new();
        self.0.read_line(&mut line).unwrap();
        line
    }
}

#[test]
fn bytes_that_are_no_text_are_kept() {
    let (_directory, file) = directory();
    let server = serve_lines(&file, &[]);
    let odd: Vec<u8> = (0..=255).filter(|byte| *byte != b'\n').collect();
    let talk = [b"write: ", &odd[..], b"\r\nwrite: half \xc3\n\0\n\xc3\n"].concat();
    let expected = format!("{GREETING}{SAVED}{SAVED}{UNKNOWN}{UNKNOWN}");
    assert_eq!(asked(server.address(), talk), expected);
    assert_eq!(fs::read(&file).unwrap(), [&odd[..], b"\nhalf \xc3\n"].concat());
    server.stop().status(0);
}

#[test]
fn the_limit_is_16384_bytes_and_ends_the_connection() {
    let (_directory, file) = directory();
    let server = serve_lines(&file, &[]);
    let address = server.address();
    let text = |length: usize| format!("write: {}", "x".repeat(length - "write: ".len()));
    for end in ["\n", "\r\n"] {
        let talk = text(16_384) + end;
        assert_eq!(asked(address, talk), format!("{GREETING}{SAVED}"));
        let talk = format!("hello\n{}{end}hello\n", text(16_385));
        assert_eq!(asked(address, talk), format!("{GREETING}{HELLO}{OVERLONG}"));
    }
    // Told although nobody reads while it comes, and without a line end.
    let mut client = dial(address);
    let _ = client.write_all(&vec![b'x'; 1_000_000]);
    let told = read_all(&client);
    assert_eq!(String::from_utf8(told).unwrap(), format!("{GREETING}{OVERLONG}"));
    server.stop().status(0);
    let server = serve_lines(&file, &["--max-line", "5"]);
    let expected = format!("{GREETING}{HELLO}{OVERLONG}");
    assert_eq!(asked(server.address(), "hello\n123456\n"), expected);
    server.stop().status(0);
}

#[test]
fn ten_thousand_tiny_lines_in_one_packet_are_all_answered() {
    let (_directory, file) = directory();
    let server = serve_lines(&file, &[]);
    let told = asked(server.address(), "\n".repeat(10_000));
    assert_eq!(told, format!("{GREETING}{}", UNKNOWN.repeat(10_000)));
    let told = asked(server.address(), "write: x\n".repeat(10_000));
    assert_eq!(told, format!("{GREETING}{}", SAVED.repeat(10_000)));
    assert_eq!(fs::read_to_string(&file).unwrap(), "x\n".repeat(10_000));
    server.stop().status(0);
}

#[test]
fn half_a_line_is_no_command_and_one_who_leaves_harms_nobody() {
    let (_directory, file) = directory();
    let server = serve_lines(&file, &[]);
    let address = server.address();
    assert_eq!(asked(address, "write: cut off"), GREETING);
    for _ in 0..20 {
        let mut client = dial(address);
        client.write_all(&b"write: x\n".repeat(100)).unwrap();
        reset(client);
    }
    assert_eq!(asked(address, "hello\n"), format!("{GREETING}{HELLO}"));
    if let Ok(text) = fs::read_to_string(&file) {
        assert!(text.lines().all(|line| line == "x") && (text.is_empty() || text.ends_with('\n')));
    }
    let outcome = server.stop().status(0);
    assert!(!outcome.stderr.contains("panicked"), "{}", outcome.stderr);
}

#[test]
fn one_who_never_reads_stops_being_read_from() {
    let (_directory, file) = directory();
    let server = serve_lines(&file, &["--grace", "0"]);
    let mut mute = dial(server.address());
    mute.set_write_timeout(Some(A_MOMENT)).unwrap();
    let lines = b"\n".repeat(100_000);
    let mut taken = 0;
    while let Ok(length) = mute.write(&lines) {
        taken += length;
        assert!(taken < 100_000_000, "it takes lines without end");
    }
    assert_eq!(asked(server.address(), "hello\n"), format!("{GREETING}{HELLO}"));
    let before = server.cpu();
    std::thread::sleep(2 * A_MOMENT);
    assert!(server.cpu() - before <= Duration::from_millis(50), "it spins");
    mute.set_write_timeout(Some(PATIENCE)).unwrap();
    server.stop().status(0);
}

#[test]
fn fifty_clients_that_write_at_once_lose_and_mix_nothing() {
    const EACH: usize = 40;
    let (_directory, file) = directory();
    let server = serve_lines(&file, &["--workers", "2"]);
    let address = server.address();
    let text =
        |client: usize, number: usize| format!("{client} {number} {}", "x".repeat(client * 10 + number));
    let clients: Vec<_> = (0..50)
        .map(|client| {
            std::thread::spawn(move || {
                let mut wire = Client::of(address);
                for number in 0..EACH {
                    wire.say(format!("write: {}\n", text(client, number)));
                    assert_eq!(wire.line(), SAVED);
                }
            })
        })
        .collect();
    for client in clients {
        client.join().unwrap();
    }
    let saved = fs::read_to_string(&file).unwrap();
    assert_eq!(saved.lines().count(), 50 * EACH);
    for client in 0..50 {
        // Each client's in the order that it sent them.
        let start = format!("{client} ");
        let its: Vec<_> = saved.lines().filter(|line| line.starts_with(&start)).collect();
        let sent: Vec<_> = (0..EACH).map(|number| text(client, number)).collect();
        assert_eq!(its, sent);
    }
    server.stop().status(0);
}

#[test]
fn what_was_told_to_be_saved_outlives_a_kill() {
    let (_directory, file) = directory();
    let mut told = Vec::new();
    for round in 0..100 {
        let server = serve_lines(&file, &[]);
        let mut client = Client::of(server.address());
        let text = format!("round {round}");
        client.say(format!("write: {text}\r\n"));
        assert_eq!(client.line(), SAVED);
        server.signal(Signal::KILL);
        server.wait();
        told.push(text);
    }
    let saved = fs::read_to_string(&file).unwrap();
    assert_eq!(saved.lines().collect::<Vec<_>>(), told);
}

#[test]
fn a_full_disk_is_told_and_leaves_no_half_line() {
    let (_directory, file) = directory();
    // 16 blocks of 512 bytes: what does not fit is refused like what a full disk refuses, in part even.
    let path = file.to_str().unwrap();
    let args = ["serve", "lines", TCP, "--file", path];
    let server = netkit_after("ulimit -f 16", "", args).start();
    let address = server.address();
    let text = "x".repeat(3000);
    let talk = format!("write: {text}\n");
    let mut client = Client::of(address);
    for expected in [SAVED, SAVED, UNSAVED, UNSAVED] {
        client.say(&talk);
        assert_eq!(client.line(), expected);
        let saved = fs::read_to_string(&file).unwrap();
        assert!(saved.ends_with('\n') && saved.lines().all(|line| line == text));
    }
    // What still fits is taken.
    client.say("write: small\n");
    assert_eq!(client.line(), SAVED);
    client.say("hello\n");
    assert_eq!(client.line(), HELLO);
    let expected = format!("{text}\n{text}\nsmall\n");
    assert_eq!(fs::read_to_string(&file).unwrap(), expected);
    let outcome = server.stop().status(0);
    let warnings = outcome.stderr.matches("could not append to").count();
    assert_eq!(warnings, 1, "{}", outcome.stderr);
}

#[test]
fn a_file_that_cannot_be_opened_is_told_too() {
    let (directory, _) = directory();
    let server = serve_lines(&directory.path().join("no/such/file"), &[]);
    let told = asked(server.address(), "write: x\nhello\n");
    assert_eq!(told, format!("{GREETING}{UNSAVED}{HELLO}"));
    server.await_stderr("no such file or directory");
    server.stop().status(0);
}

#[test]
fn the_file_is_opened_anew_on_sighup() {
    let (directory, file) = directory();
    let server = serve_lines(&file, &[]);
    let mut client = Client::of(server.address());
    client.say("write: one\n");
    assert_eq!(client.line(), SAVED);
    let moved = directory.path().join("moved");
    fs::rename(&file, &moved).unwrap();
    server.signal(Signal::HUP);
    server.await_stderr("reloaded ");
    client.say("write: two\n");
    assert_eq!(client.line(), SAVED);
    assert_eq!(fs::read_to_string(&moved).unwrap(), "one\n");
    assert_eq!(fs::read_to_string(&file).unwrap(), "two\n");
    server.stop().status(0);
}

#[test]
fn a_stop_lets_what_is_open_finish() {
    let (_directory, file) = directory();
    let server = serve_lines(&file, &[]);
    let mut client = Client::of(server.address());
    server.signal(Signal::TERM);
    client.say("write: last words\n");
    assert_eq!(client.line(), SAVED);
    client.0.get_ref().shutdown(Shutdown::Write).unwrap();
    assert_gone(client.0.get_ref());
    server.wait().status(0);
    assert_eq!(fs::read_to_string(&file).unwrap(), "last words\n");
}

#[test]
fn datagrams_will_not_do() {
    let outcome = netkit(["serve", "lines", "udp:0"]).run().status(2);
    outcome.mentions("could not serve lines on udp:0: it needs connections");
}

#[test]
fn many_lines_without_an_end_are_held_up_to_the_limit_and_no_further() {
    let (_directory, file) = directory();
    let server = serve_lines(&file, &[]);
    let address = server.address();
    let clients: Vec<_> = (0..200)
        .map(|_| {
            let mut client = dial(address);
            client.write_all(&[b'x'; 16_384]).unwrap();
            client
        })
        .collect();
    for mut client in clients {
        client.write_all(b"x").unwrap();
        let told = read_all(&client);
        assert_eq!(String::from_utf8(told).unwrap(), format!("{GREETING}{OVERLONG}"));
    }
    server.stop().status(0);
}

// Files of commands

const SHOP: &str = r#"
greeting = "Welcome"
unknown = "What?"
overlong = "Too long"

[[command]]
prefix = "order "
append = "FILE"
reply = "Noted: $1"

[[command]]
regex = '^add (\d+) (?<more>\d+)$'
reply = "$1 and $more"

[[command]]
exact = "bye"
reply = "Come again"
close = true
"#;

#[test]
fn a_file_of_commands_is_read_again_on_sighup_and_a_broken_one_changes_nothing() {
    let (directory, file) = directory();
    let shop = directory.path().join("shop.toml");
    let good = SHOP.replace("FILE", file.to_str().unwrap());
    fs::write(&shop, &good).unwrap();
    let server = serve(["lines", TCP, "--commands", shop.to_str().unwrap()]);
    let mut client = BufReader::new(dial(server.address()));
    let mut line = || {
        let mut line = String::new();
        client.read_line(&mut line).unwrap();
        client.get_mut().write_all(b"hello\n").unwrap();
        line
    };
    assert_eq!(line(), "Welcome\r\n");
    assert_eq!(line(), "What?\r\n");
    fs::write(&shop, good.replace("reply = \"Noted", "repl = \"Noted")).unwrap();
    server.signal(Signal::HUP);
    server.await_stderr("line 9: unknown key `repl`");
    assert_eq!(line(), "What?\r\n");
    fs::write(&shop, good.replace("What?", "Pardon?")).unwrap();
    server.signal(Signal::HUP);
    server.await_stderr("reloaded ");
    // One answer was under way.
    assert_eq!(line(), "What?\r\n");
    assert_eq!(line(), "Pardon?\r\n");
    drop(client);
    server.stop().status(0);
}

#[test]
fn commands_that_came_through_a_pipe_stay_when_it_is_empty() {
    let server = netkit(["serve", "lines", TCP, "--commands", "/dev/stdin"])
        .input("greeting = 'Welcome'\n")
        .start();
    assert_eq!(asked(server.address(), ""), "Welcome\r\n");
    server.signal(Signal::HUP);
    server.await_stderr(
        "kept the commands as they were: /dev/stdin is a pipe, which is read at the start only",
    );
    assert_eq!(asked(server.address(), ""), "Welcome\r\n");
    server.stop().status(0);
}

#[test]
fn a_pipe_in_the_place_of_a_file_of_commands_does_not_end_reloading() {
    let (directory, _) = directory();
    let shop = directory.path().join("shop.toml");
    fs::write(&shop, "greeting = 'one'\n").unwrap();
    let server = serve(["lines", TCP, "--commands", shop.to_str().unwrap()]);
    fs::remove_file(&shop).unwrap();
    let mode = rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR;
    rustix::fs::mkfifoat(rustix::fs::CWD, &shop, mode).unwrap();
    server.signal(Signal::HUP);
    server.await_stderr("is a pipe, which is read at the start only");
    fs::remove_file(&shop).unwrap();
    fs::write(&shop, "greeting = 'two'\n").unwrap();
    server.signal(Signal::HUP);
    server.await_stderr("reloaded ");
    assert_eq!(asked(server.address(), ""), "two\r\n");
    server.stop().status(0);
}

#[test]
fn all_that_fails_to_reload_is_told() {
    let (directory, _) = directory();
    let at = |name: &str| directory.path().join(name);
    fs::create_dir(at("logs")).unwrap();
    let log = at("logs/log");
    let text = format!("[[command]]\nprefix = ''\nappend = '{}'\n", log.display());
    fs::write(at("shop.toml"), text).unwrap();
    let shop = at("shop.toml");
    let server = serve(["lines", TCP, "--commands", shop.to_str().unwrap()]);
    assert_eq!(asked(server.address(), "one\n"), "");
    eventually("the text to be saved", || {
        (fs::read_to_string(&log).ok()? == "one\n").then_some(())
    });
    fs::rename(at("logs"), at("old")).unwrap();
    fs::write(&shop, "x").unwrap();
    server.signal(Signal::HUP);
    server.await_stderr(&format!("could not reopen {}: no such file", log.display()));
    server.await_stderr("line 1: ");
    server.stop().status(0);
}

#[test]
fn a_failure_to_save_is_told_again_when_it_is_another_and_so_is_its_end() {
    let (directory, _) = directory();
    let file = directory.path().join("logs/log");
    let logs = file.parent().unwrap();
    let server = serve_lines(&file, &[]);
    let write = || asked(server.address(), "write: x\n");
    let told = |text: &str| server.await_stderr(&format!("{}{text}", file.display()));
    assert!(write().ends_with(UNSAVED) && write().ends_with(UNSAVED));
    let said = told(": no such file or directory");
    assert_eq!(said.matches("could not append").count(), 1, "{said}");
    fs::write(logs, "").unwrap();
    assert!(write().ends_with(UNSAVED));
    told(": not a directory");
    fs::remove_file(logs).unwrap();
    fs::create_dir(logs).unwrap();
    assert!(write().ends_with(SAVED));
    told(" takes text again");
    server.stop().status(0);
}

#[test]
fn a_file_that_cannot_be_appended_to_is_told_at_the_start() {
    let (directory, file) = directory();
    let place = directory.path().display();
    for (path, why) in [
        (
            format!("{place}/no/x"),
            format!("there is no directory {place}/no"),
        ),
        (place.to_string(), "it is a directory".to_owned()),
    ] {
        let server = serve_lines(path.as_ref(), &[]);
        server.await_stderr(&format!("nothing can be saved to {path} so far: {why}\n"));
        server.stop().status(0);
    }
    let server = serve_lines(&file, &[]);
    let said = format!("listening on {}\n", server.endpoint());
    server.stop().status(0).said(&said);
    let shop = directory.path().join("shop.toml");
    fs::write(&shop, "[[command]]\nexact = 'x'\nappend = \"x\\u0000y\"\n").unwrap();
    let outcome = netkit(["serve", "lines", TCP, "--commands", shop.to_str().unwrap()]).run();
    outcome
        .status(2)
        .mentions("line 3: the name of a file holds no NUL");
}

#[test]
fn file_and_commands_exclude_each_other() {
    let args = ["serve", "lines", TCP, "--file", "a", "--commands", "b"];
    let outcome = netkit(args).run().status(2);
    outcome
        .failed_in_one_line()
        .mentions("`--file` is for the built-in commands");
    let outcome = netkit(["serve", "lines", TCP, "--commands", "/no/such"]).run();
    outcome
        .status(1)
        .failed_in_one_line()
        .mentions("could not read /no/such: no such file or directory");
}
