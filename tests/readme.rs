//! Runs every `sh` block of README.md as a newcomer would, each in a directory of its own; the examples in the help too.
//!
//! What a block prints stands in it as `# prints: LINE` comments: those lines come in that order in what the block
//! writes to standard output and standard error together, others may stand between, and `...` is any text. Ports 1230 to
//! 1239 are replaced by free ones of as many digits. A line that ends in ` &` and starts a server waits until clients can
//! come. A block of a tool that is not installed is skipped, unless `NETKIT_INTEROP=required`.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    reason = "a test states its expectations by panicking, and tells what it skips"
)]

use std::collections::BTreeMap;
use std::io::Read;
use std::net::{TcpListener, UdpSocket};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use netkit::layer::WRAPPERS;
use netkit::protocol::PROTOCOLS;
use netkit::transport::TRANSPORTS;
use rustix::process::{Pid, Signal, kill_process_group};

const README: &str = include_str!("../README.md");
/// How long a block may take, processes that it leaves behind included.
const LIMIT: Duration = Duration::from_secs(30);
/// Tools that need not be there.
const PEERS: &[&str] = &["curl", "nc", "ncat", "openssl", "socat", "telnet", "tshark"];

/// What the shell knows before a block begins.
const PRELUDE: &str = r#"set -e
await_file() { # FILE, made by the process $!
    until [ -s "$1" ]; do
        kill -0 "$!" 2>/dev/null || { wait "$!"; echo "ended before it was ready"; exit 1; }
        sleep 0.02
    done
}
await_port() { # PORT, on which the process $! listens
    [ -r /proc/net/tcp ] || { sleep 1; return; }
    until grep -Eqi ":$(printf %04X "$1") 0+:0000 0A" /proc/net/tcp /proc/net/tcp6 2>/dev/null; do
        kill -0 "$!" 2>/dev/null || { wait "$!"; echo "ended before it listened"; exit 1; }
        sleep 0.02
    done
}
"#;

#[test]
fn every_example_of_the_readme_works() {
    let required = std::env::var("NETKIT_INTEROP").is_ok_and(|value| value == "required");
    if let Err(report) = run_all(README, LIMIT, |peer| required || installed(peer)) {
        panic!("README.md: {report}");
    }
}

#[test]
fn the_examples_of_the_help_and_the_manual_work() {
    let said = |arguments: &[String]| {
        let output = Command::new(env!("CARGO_BIN_EXE_netkit"))
            .args(arguments)
            .output()
            .unwrap();
        String::from_utf8(output.stdout).unwrap()
    };
    let mut seen = 0;
    for verb in verbs_with_examples(&said) {
        // The manual is made of the same text.
        let help = said(&[&verb[..], &["--help".to_owned()]].concat());
        let Some((_, examples)) = help.split_once("Examples:\n") else {
            continue;
        };
        let lines = examples.lines().map_while(|line| line.strip_prefix("  "));
        let block: String = lines.flat_map(|line| [line, "\n"]).collect();
        if let Err(why) = run(&block, LIMIT) {
            panic!("netkit {} --help: {why}", verb.join(" "));
        }
        seen += 1;
    }
    assert!(seen > 0, "no verb has examples");
}

/// Every verb and the verbs of verbs, as they are typed.
fn verbs_with_examples(said: &dyn Fn(&[String]) -> String) -> Vec<Vec<String>> {
    let below = |above: &[String]| -> Vec<Vec<String>> {
        let help = said(&[above, &["--help".to_owned()]].concat());
        let Some((_, verbs)) = help.split_once("Commands:\n") else {
            return Vec::new();
        };
        verbs
            .lines()
            .take_while(|line| !line.is_empty())
            // What goes on from the line above stands further in.
            .filter_map(|line| line.strip_prefix("  ").filter(|line| !line.starts_with(' ')))
            .filter_map(|line| line.split_whitespace().next())
            .filter(|verb| *verb != "help")
            .map(|verb| [above, &[verb.to_owned()]].concat())
            .collect()
    };
    let verbs = below(&[]);
    let inner: Vec<_> = verbs.iter().flat_map(|verb| below(verb)).collect();
    [verbs, inner].concat()
}

#[test]
fn the_main_job_and_the_tests_stand_first() {
    let blocks = blocks(README).unwrap();
    assert_eq!(blocks[0].text, "cargo run --release -- serve echo tcp:1234\n");
    assert_eq!(blocks[1].text, "cargo test\n");
}

#[test]
fn the_tables_are_those_of_the_program() {
    for transport in TRANSPORTS {
        let row = row(transport.name);
        for (cell, verb) in [(row[1], "connect"), (row[2], "serve")] {
            let there = match verb {
                "connect" => transport.client.is_some(),
                _ => transport.server.is_some(),
            };
            if !there {
                assert_eq!(cell, "–", "{} has no such role", transport.name);
                continue;
            }
            let usage = cell.trim_matches('`');
            assert!(usage.starts_with(transport.name), "{usage}");
            assert!(
                help(verb).contains(&format!(" {usage} ")),
                "netkit {verb} --help does not say {usage}"
            );
        }
    }
    for wrapper in WRAPPERS {
        assert!(row(wrapper.name)[1].contains(&format!("`{}:", wrapper.name)));
    }
    for protocol in PROTOCOLS {
        let row = row(protocol.name);
        assert!(
            row[1].starts_with(protocol.summary),
            "{} is not: {}",
            protocol.name,
            protocol.summary
        );
    }
}

#[test]
fn what_the_readme_gets_wrong_is_found() {
    let wrong = [
        ("no blocks", "# A title\n\nText.\n", "no examples"),
        ("no end", "```sh\ntrue\n", "line 1: the block has no end"),
        (
            "another fence",
            "```console\n$ true\n```\n",
            "line 1: write ```sh",
        ),
        ("a status", "\n```sh\nfalse\n```\n", "line 2: exit status: 1"),
        (
            "a wrong line",
            "```sh\necho a\n# prints: b\n```\n",
            "line 1: never printed: b",
        ),
        (
            "a wrong order",
            "```sh\necho a; echo b\n# prints: b\n# prints: a\n```\n",
            "never printed: a",
        ),
        (
            "a part of a line",
            "```sh\necho abc\n# prints: ab\n```\n",
            "never printed: ab",
        ),
        (
            "a verb",
            "```sh\ncargo run --release -- server echo tcp:1234\n```\n",
            "exit status: 2",
        ),
        (
            "an endpoint",
            "```sh\ncargo run --release -- serve echo tpc:1234\n```\n",
            "exit status: 2",
        ),
        ("cargo", "```sh\ncargo bench\n```\n", "cargo bench"),
        (
            "a server that fails",
            "```sh\nnetkit serve echo tcp:x &\n```\n",
            "exit status: 2",
        ),
        (
            "a server that stays",
            "```sh\nnetkit serve echo tcp:1234 &\n```\n",
            "still running",
        ),
        ("a hang", "```sh\nsleep 60\n```\n", "still running"),
    ];
    for (what, readme, expected) in wrong {
        let report = run_all(readme, Duration::from_secs(3), |_| true).expect_err(what);
        assert!(report.contains(expected), "{what}: {report}");
    }
}

#[test]
fn what_is_right_passes() {
    let readme = "```sh\necho a; echo 'b c'; echo '  ^'\n# prints: a\n# prints: b...\n# prints:   ^\n```\n\
                  ```sh\ncargo run --release -- serve echo tcp:1234\ncargo test\n```\n\
                  ```sh\nno-such-thing | nc localhost 1\n```\n";
    run_all(readme, LIMIT, |_| false).unwrap();
}

#[test]
fn a_port_is_the_same_in_a_whole_block_and_as_long() {
    let text = with_free_ports("a:1234 b:1235 # prints: 1234, 12345 x1234");
    let parts: Vec<&str> = text.split([':', ' ', ',']).collect();
    assert_eq!(parts[1], parts[7]);
    assert_ne!(parts[1], parts[3]);
    assert_eq!(parts[1].len(), 4);
    assert!(text.ends_with(", 12345 x1234"), "{text}");
}

/// The cells of the row that begins with this name.
fn row(name: &str) -> Vec<&'static str> {
    let start = format!("| `{name}` |");
    let row = README.lines().find(|line| line.starts_with(&start));
    let row = row.unwrap_or_else(|| panic!("README.md has no row for {name}"));
    row.trim_matches('|').split('|').map(str::trim).collect()
}

/// The long help of a verb, each blank or line end one space.
fn help(verb: &str) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_netkit"))
        .args([verb, "--help"])
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// A `sh` block: the line where it begins, and what stands in it.
struct Block {
    line: usize,
    text: String,
}

/// The `sh` blocks, in order.
fn blocks(markdown: &str) -> Result<Vec<Block>, String> {
    let mut blocks = Vec::new();
    let mut lines = markdown.lines().zip(1..);
    while let Some((line, number)) = lines.next() {
        let Some(language) = line.strip_prefix("```") else {
            continue;
        };
        let mut text = String::new();
        loop {
            match lines.next() {
                Some(("```", _)) => break,
                Some((line, _)) => text.extend([line, "\n"]),
                None => return Err(format!("line {number}: the block has no end")),
            }
        }
        match language {
            "sh" => blocks.push(Block { line: number, text }),
            // Commands that nobody runs would go stale.
            "" | "bash" | "shell" | "console" => return Err(format!("line {number}: write ```sh")),
            _ => {}
        }
    }
    if blocks.is_empty() {
        return Err("no examples".to_owned());
    }
    Ok(blocks)
}

/// Runs every block whose peers are `there`; says what went wrong in each.
fn run_all(markdown: &str, limit: Duration, there: impl Fn(&str) -> bool) -> Result<(), String> {
    let mut wrong = Vec::new();
    for block in blocks(markdown)? {
        if let Some(peer) = peers(&block.text).find(|peer| !there(peer)) {
            eprintln!("README.md, line {}: skipped, no {peer} here", block.line);
            continue;
        }
        if let Err(why) = run(&block.text, limit) {
            wrong.push(format!("line {}: {why}", block.line));
        }
    }
    if wrong.is_empty() {
        Ok(())
    } else {
        Err(wrong.join("\n"))
    }
}

/// Runs a block and compares what it prints.
fn run(block: &str, limit: Duration) -> Result<(), String> {
    let block = with_free_ports(block);
    let script = script(&block)?;
    let directory = tempfile::tempdir().unwrap();
    let (output, status) = bash(&script, directory.path(), limit);
    let told = format!(
        "\n--- script\n{}--- output\n{output}---",
        &script[PRELUDE.len()..]
    );
    match status {
        None => return Err(format!("still running after {limit:?}{told}")),
        Some(status) if !status.success() => return Err(format!("{status}{told}")),
        Some(_) => {}
    }
    let mut printed = output.lines().map(|line| line.trim_end_matches([' ', '\r']));
    for expected in block.lines().filter_map(|line| line.strip_prefix("# prints: ")) {
        if !printed.any(|line| matches(expected, line)) {
            return Err(format!("never printed: {expected}{told}"));
        }
    }
    Ok(())
}

/// The block as bash runs it: cargo's lines as the built binary's, and a wait after each server.
fn script(block: &str) -> Result<String, String> {
    let mut script = PRELUDE.to_owned();
    for (line, number) in block.lines().zip(1..) {
        if line.starts_with("# prints: ") || matches!(line, "cargo test" | "cargo install --path .") {
            continue;
        }
        if let Some(arguments) = line.strip_prefix("cargo run --release -- ") {
            let (server, ready) = with_ready_file(&format!("netkit {arguments} &"), number);
            script.push_str(&match ready {
                Some(ready) => format!("{server}\nawait_file {ready}\nkill $!\nwait $!\n"),
                None => format!("netkit {arguments}\n"),
            });
        } else if line.starts_with("cargo ") {
            return Err(format!("the test knows no `{line}`"));
        } else if line.ends_with(" &") {
            let (line, ready) = with_ready_file(line, number);
            script.push_str(&format!("{line}\n"));
            if let Some(ready) = ready {
                script.push_str(&format!("await_file {ready}\n"));
            } else if !line.starts_with("netkit ") {
                for port in line
                    .split(|c: char| !c.is_ascii_digit())
                    .filter(|word| word.len() == 4)
                {
                    script.push_str(&format!("await_port {port}\n"));
                }
            }
        } else {
            script.push_str(&format!("{line}\n"));
        }
    }
    Ok(script)
}

/// A server of ours told to say when it is ready, and the file where it does. An example that asks for it itself is left
/// as it is, and waited for all the same; one that gives it a descriptor looks after that, too.
fn with_ready_file(line: &str, number: usize) -> (String, Option<String>) {
    let mut words = line.split_whitespace();
    let ours = words.next() == Some("netkit");
    // Options of the log may stand before the verb.
    let verb = words.find(|word| !word.starts_with('-'));
    let (true, Some(verb @ ("serve" | "listen" | "relay")), false) =
        (ours, verb, line.contains(" --ready-fd "))
    else {
        return (line.to_owned(), None);
    };
    if let Some((_, rest)) = line.split_once(" --ready-file ") {
        return (line.to_owned(), rest.split_whitespace().next().map(str::to_owned));
    }
    let ready = format!(".ready-{number}");
    let told = format!(" {verb} --ready-file {ready} ");
    (line.replacen(&format!(" {verb} "), &told, 1), Some(ready))
}

/// Runs a script in a process group of its own: all that it and its children wrote, and its status if all of them came
/// to an end in time. None of the group lives on.
fn bash(script: &str, directory: &Path, limit: Duration) -> (String, Option<ExitStatus>) {
    let end = Instant::now() + limit;
    let binaries = Path::new(env!("CARGO_BIN_EXE_netkit")).parent().unwrap();
    let path = std::env::var_os("PATH").unwrap_or_default();
    let path = std::env::join_paths(
        [binaries.to_owned()]
            .into_iter()
            .chain(std::env::split_paths(&path)),
    );
    let (mut output, writer) = std::io::pipe().unwrap();
    let mut command = Command::new("bash");
    command
        .args(["-c", script])
        .current_dir(directory)
        .env("PATH", path.unwrap())
        .env("HOME", directory)
        .env("LC_ALL", "C")
        .env_remove("BASH_ENV")
        .env_remove("NOTIFY_SOCKET")
        .env_remove("SSLKEYLOGFILE")
        .env_remove("XDG_DATA_HOME")
        .stdin(Stdio::null())
        .stdout(writer.try_clone().unwrap())
        .stderr(writer)
        .process_group(0);
    let mut shell = command.spawn().expect("bash starts");
    // The command holds the writing end, too; the output ends once nobody does.
    drop(command);
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        let mut part = [0; 4096];
        while let Ok(count @ 1..) = output.read(&mut part) {
            if sender.send(part[..count].to_vec()).is_err() {
                break;
            }
        }
    });
    let mut written = Vec::new();
    let ended = loop {
        match receiver.recv_timeout(end.saturating_duration_since(Instant::now())) {
            Ok(part) => written.extend(part),
            Err(mpsc::RecvTimeoutError::Disconnected) => break true,
            Err(mpsc::RecvTimeoutError::Timeout) => break false,
        }
    };
    let mut status = None;
    while ended && status.is_none() && Instant::now() < end {
        status = shell.try_wait().unwrap();
        thread::sleep(Duration::from_millis(5));
    }
    // Whatever is left of the group; if nothing is, nothing is hit.
    let _ = kill_process_group(Pid::from_child(&shell), Signal::KILL);
    let _ = shell.wait();
    (String::from_utf8_lossy(&written).into_owned(), status)
}

/// Whether a line is what was expected; `...` stands for any text.
fn matches(expected: &str, line: &str) -> bool {
    let Some((start, rest)) = expected.split_once("...") else {
        return expected == line;
    };
    let Some(mut line) = line.strip_prefix(start) else {
        return false;
    };
    let mut parts: Vec<&str> = rest.split("...").collect();
    let last = parts.pop().unwrap_or_default();
    for part in parts {
        let Some((_, after)) = line.split_once(part) else {
            return false;
        };
        line = after;
    }
    line.ends_with(last)
}

/// The tools of others that a block calls.
fn peers(block: &str) -> impl Iterator<Item = &'static str> {
    let words: Vec<&str> = block
        .lines()
        .filter(|line| !line.starts_with('#'))
        .flat_map(|line| line.split([' ', '(', ')', ';', '|']))
        .collect();
    PEERS.iter().copied().filter(move |peer| words.contains(peer))
}

/// Whether there is such a tool; for `nc`, the one that the examples mean.
fn installed(peer: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let there = std::env::split_paths(&path).any(|directory| directory.join(peer).is_file());
    there
        && (peer != "nc"
            || Command::new("nc")
                .arg("-h")
                .stdin(Stdio::null())
                .output()
                .is_ok_and(|help| {
                    String::from_utf8_lossy(&[help.stdout, help.stderr].concat()).contains("OpenBSD")
                }))
}

/// The text with 1230 to 1239, where they are whole words, replaced by free ports.
fn with_free_ports(text: &str) -> String {
    let mut ports = BTreeMap::new();
    let mut result = String::new();
    for word in text.split_inclusive(|c: char| !c.is_ascii_alphanumeric()) {
        let number = word.trim_end_matches(|c: char| !c.is_ascii_alphanumeric());
        if number.len() == 4 && number.starts_with("123") && number.bytes().all(|byte| byte.is_ascii_digit())
        {
            let port = ports.entry(number).or_insert_with(free_port);
            result.extend([port.as_str(), &word[number.len()..]]);
        } else {
            result.push_str(word);
        }
    }
    result
}

/// A port of four digits that nobody has, on TCP and UDP. Below the range that the system picks from, so no other test
/// gets it by chance.
fn free_port() -> String {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let start = std::process::id() * 13 % 7000;
    for _ in 0..7000 {
        let step = u32::from(NEXT.fetch_add(1, Ordering::Relaxed));
        let port = u16::try_from(2000 + (start + step) % 7000).unwrap();
        if TcpListener::bind(("0.0.0.0", port)).is_ok() && UdpSocket::bind(("0.0.0.0", port)).is_ok() {
            return port.to_string();
        }
    }
    panic!("no free port");
}
