//! The commands of the README, run as a reader would run them: what stands there works, and says what stands there.
//! Absent: what the examples are about. `CONTRIBUTING.md` says how an example has to be written.

use std::collections::BTreeSet;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, UdpSocket};
use std::os::unix::fs::symlink;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::atomic::{AtomicU16, Ordering::Relaxed};
use std::time::{Duration, Instant};

use netkit::endpoint::{Args, Role, Spec, usage};
use netkit::error::Status;
use netkit::protocol::PROTOCOLS;
use netkit::transport::TRANSPORTS;
use rustix::process::{Pid, Signal, kill_process_group};

/// How long any command may take: far more than a slow, busy machine needs.
const PATIENCE: Duration = Duration::from_secs(60);

/// Between two looks at what a command in the background has done.
const GLANCE: Duration = Duration::from_millis(5);

/// The ports that examples use; each session has others in their place.
const PORTS: std::ops::RangeInclusive<u16> = 1234..=1239;

/// Programs that a machine may lack.
const PEERS: &[&str] = &["nc", "ncat", "socat", "telnet", "openssl", "curl", "python3"];

/// What a line of an example says in place of what varies.
const ANYTHING: &str = "...";

#[test]
fn the_readme_holds_what_it_promises() {
    let readme = fs::read_to_string(root().join("README.md")).unwrap();
    let sessions = sessions(&readme);
    assert!(
        sessions.len() >= 10,
        "only {} sessions were found in the README",
        sessions.len()
    );
    // Side by side, since most of their time is waiting; all are heard before any is judged.
    let failures: Vec<String> = std::thread::scope(|scope| {
        let running: Vec<_> = sessions
            .iter()
            .map(|session| scope.spawn(|| play(session)))
            .collect();
        let ended = running.into_iter().map(|session| session.join().unwrap());
        ended.filter_map(Result::err).collect()
    });
    assert!(failures.is_empty(), "{}", failures.join("\n\n"));
}

#[test]
fn an_example_that_does_not_hold_is_noticed() {
    let wrong = [
        ("the output differs", "```console\n$ echo one\ntwo\n```\n"),
        (
            "there is more output",
            "```console\n$ printf 'one\\ntwo\\n'\none\n```\n",
        ),
        ("there is less output", "```console\n$ echo one\none\ntwo\n```\n"),
        (
            "there is output where none is shown",
            "```console\n$ echo one\n```\n",
        ),
        (
            "the command fails",
            "```sh\nnetkit connect tcp:127.0.0.1:1239\n```\n",
        ),
        ("another status", "```console\n$ false\n$ echo $?\n2\n```\n"),
        (
            "a server that does not start",
            "```console\n$ netkit serve echo tcp:x &\nlistening on tcp:127.0.0.1:1234\n```\n",
        ),
        (
            "a server says something else",
            "```console\n$ netkit serve echo tcp:1234 &\nlistening on tcp:127.0.0.2:1234\n```\n",
        ),
        (
            "cargo is given what netkit refuses",
            "```sh\ncargo run --release -- serve ehco tcp:1234\n```\n",
        ),
        (
            "cargo is asked for something unknown",
            "```sh\ncargo frobnicate\n```\n",
        ),
    ];
    for (what, text) in wrong {
        let [session] = &sessions(text)[..] else {
            panic!("{what}: not one session")
        };
        let failure = play(session).expect_err(what);
        assert!(
            failure.contains("line 2") || failure.contains("line 3"),
            "{what}: {failure}"
        );
    }
}

#[test]
fn an_example_that_holds_passes() {
    let right = "# A\n```console\n$ echo a 1234; echo b; echo c\na 1234\n...\n$ printf 'x 17 y\\n'\nx ... y\n$ false\n$ echo $?\n1\n```\n\
                 text\n```sh\necho \\\n  two lines   # and a comment\n```\n# B\n```text\n$ false\n```\n";
    let [session] = &sessions(right)[..] else {
        panic!("not one session")
    };
    assert_eq!(session.steps.len(), 5);
    play(session).unwrap();
}

#[test]
fn the_tables_of_the_readme_are_those_of_the_program() {
    let readme = fs::read_to_string(root().join("README.md")).unwrap();
    let has = |row: &str| assert!(readme.contains(row), "the README lacks {row}");
    for transport in TRANSPORTS {
        has(&format!("`{}`", transport.name));
        let client = transport.client.as_ref().map(|client| client.params);
        let server = transport.server.as_ref().map(|server| server.params);
        for params in [client, server].into_iter().flatten() {
            // A type that is another's on one family of addresses is written the same way.
            has(&format!(
                "`{}`",
                usage(transport.name.trim_end_matches(['4', '6']), params)
            ));
            for param in params.iter().filter(|param| !param.positional) {
                has(&format!("`{}", param.name));
            }
        }
    }
    for protocol in PROTOCOLS {
        let settings = Args::read(&Spec::new(protocol.name), Role::Server, protocol.settings).unwrap();
        let on_udp = (protocol.service)(&settings).unwrap().respond.is_some();
        let row = format!("| `{}` | {}", protocol.name, protocol.summary);
        let row = readme
            .lines()
            .find(|line| line.starts_with(&row))
            .unwrap_or_else(|| panic!("no row {row}"));
        assert_eq!(row.ends_with("| yes |"), on_udp, "{row}");
        for setting in protocol.settings {
            assert!(row.contains(&format!("`--{} ", setting.name)), "{row}");
        }
    }
    for status in Status::ALL {
        has(&format!("\n| {} | {} |\n", status.code(), status.meaning()));
    }
}

/// The examples under one heading: they share a directory, a shell and what runs in its background.
#[derive(Debug)]
struct Session {
    heading: String,
    steps: Vec<Step>,
}

/// One command, and what it is to say.
#[derive(Debug)]
struct Step {
    line: usize,
    command: String,
    /// `None`: the example does not show it.
    output: Option<Vec<String>>,
}

impl Step {
    fn is_background(&self) -> bool {
        self.command.ends_with('&') && !self.command.ends_with("&&")
    }

    /// `echo $?` after a command says what it ended with: then it may have failed.
    fn asks_for_the_status(&self) -> bool {
        self.command == "echo $?"
    }
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Cuts a page at its headings and takes the examples: in a `console` block what follows `$ ` is typed and the rest is
/// said, in an `sh` block every line is typed.
fn sessions(page: &str) -> Vec<Session> {
    let mut sessions = vec![Session {
        heading: String::new(),
        steps: Vec::new(),
    }];
    let mut block = "";
    let mut inside = false;
    for (index, line) in page.lines().enumerate() {
        let number = index + 1;
        if let Some(language) = line.strip_prefix("```") {
            inside = !inside;
            block = if inside { language } else { "" };
            continue;
        }
        if !inside {
            if line.starts_with('#') {
                let heading = line.trim_start_matches('#').trim().to_owned();
                sessions.push(Session {
                    heading,
                    steps: Vec::new(),
                });
            }
            continue;
        }
        let steps = &mut sessions.last_mut().unwrap().steps;
        match (block, steps.last_mut()) {
            ("sh", Some(step)) if step.command.ends_with('\\') => {
                step.command.pop();
                step.command.push_str(line);
            }
            ("sh", _) if line.trim().is_empty() => {}
            ("sh", _) => steps.push(Step {
                line: number,
                command: line.to_owned(),
                output: None,
            }),
            ("console", last) => match (line.strip_prefix("$ "), last) {
                (Some(command), _) => {
                    steps.push(Step {
                        line: number,
                        command: command.to_owned(),
                        output: Some(Vec::new()),
                    });
                }
                (
                    None,
                    Some(Step {
                        output: Some(output), ..
                    }),
                ) => output.push(line.to_owned()),
                (None, _) => panic!("line {number}: output before any command"),
            },
            _ => {}
        }
    }
    for step in sessions.iter_mut().flat_map(|session| &mut session.steps) {
        // A comment is a reader's business, and hides the `&` at the end.
        if let Some((command, _comment)) = step.command.split_once("  #") {
            step.command = command.to_owned();
        }
        step.command = step.command.trim_end().to_owned();
    }
    sessions.retain(|session| !session.steps.is_empty());
    sessions
}

/// Plays a session to its end. What does not hold is told with the place in the page.
fn play(session: &Session) -> Result<(), String> {
    let directory = tempfile::tempdir().unwrap();
    let mut shell = Shell::start(directory.path());
    let ports: Vec<_> = PORTS
        .map(|port| (port.to_string(), free_port().to_string()))
        .collect();
    for (index, step) in session.steps.iter().enumerate() {
        let failed = |what: &str| {
            format!(
                "README.md, line {}, under \"{}\": {what}\n  $ {}",
                step.line, session.heading, step.command
            )
        };
        let Some(command) = as_run(&step.command).map_err(|what| failed(&what))? else {
            continue;
        };
        if let Some(peer) = missing_peer(&command) {
            let required = std::env::var_os("NETKIT_INTEROP").is_some_and(|value| value == "required");
            if required {
                return Err(failed(&format!("{peer} is not installed")));
            }
            let how_much = if step.is_background() {
                "this and the rest of the session"
            } else {
                "this"
            };
            eprintln!(
                "{}",
                failed(&format!("{peer} is not installed: {how_much} is skipped"))
            );
            if step.is_background() {
                return Ok(());
            }
            continue;
        }
        let there = |text: &str| replaced(text, ports.iter().map(|(shown, real)| (&**shown, &**real)));
        let back = |text: &str| replaced(text, ports.iter().map(|(shown, real)| (&**real, &**shown)));
        let command = there(&command);
        if command.ends_with('&') {
            let expected = step.output.as_deref().unwrap_or_default();
            shell
                .start_in_background(&command, expected, back)
                .map_err(|what| failed(&what))?;
            continue;
        }
        let (status, said) = shell.run(&command).map_err(|what| failed(&what))?;
        let said = back(&said);
        let asked = session
            .steps
            .get(index + 1)
            .is_some_and(Step::asks_for_the_status);
        if status != 0 && !asked {
            return Err(failed(&format!("it ends with status {status} and says\n{said}")));
        }
        if let Some(expected) = &step.output
            && !matches(expected, &lines(&said))
        {
            return Err(failed(&format!(
                "it is to say\n{}\nand says\n{said}",
                expected.join("\n")
            )));
        }
    }
    Ok(())
}

/// What is run for what stands there; `None`: nothing, its shape is all that can be checked here.
fn as_run(command: &str) -> Result<Option<String>, String> {
    let Some(arguments) = command.strip_prefix("cargo ") else {
        return Ok(Some(command.to_owned()));
    };
    if let Some(ours) = arguments.strip_prefix("run --release -- ") {
        // It stays in the foreground there, and must not here.
        return Ok(Some(format!("netkit {ours} &")));
    }
    match arguments {
        "test" | "install --path . --locked" | "doc --open" => Ok(None),
        _ => Err("it is not known how to check this".to_owned()),
    }
}

/// The first program of a command that this machine does not have.
fn missing_peer(command: &str) -> Option<&'static str> {
    let words: BTreeSet<&str> = command
        .split(|c: char| c.is_whitespace() || "|;&()".contains(c))
        .collect();
    PEERS
        .iter()
        .copied()
        .find(|peer| words.contains(peer) && !is_installed(peer))
}

fn is_installed(peer: &str) -> bool {
    // Netcats differ in their flags; the examples are for OpenBSD's.
    let flag = if peer == "nc" { "-h" } else { "--version" };
    let Ok(output) = Command::new(peer).arg(flag).stdin(Stdio::null()).output() else {
        return false;
    };
    peer != "nc" || String::from_utf8_lossy(&output.stderr).contains("OpenBSD")
}

/// A port that is free on TCP and UDP, given to nobody else by this process. It has four digits as those it stands in
/// for, and lies below the ports that the system gives out by itself.
fn free_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    const FIRST: u16 = 2000;
    const COUNT: u16 = 7500;
    let start = (std::process::id() * 97 % u32::from(COUNT)) as u16;
    for _ in 0..COUNT {
        let port = FIRST + (start + NEXT.fetch_add(1, Relaxed)) % COUNT;
        if TcpListener::bind(("0.0.0.0", port)).is_ok() && UdpSocket::bind(("0.0.0.0", port)).is_ok() {
            return port;
        }
    }
    panic!("no port is free");
}

/// `text` with whole numbers exchanged.
fn replaced<'a>(text: &str, numbers: impl Iterator<Item = (&'a str, &'a str)> + Clone) -> String {
    let mut result = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(|c: char| c.is_ascii_digit()) {
        let end = rest[at..]
            .find(|c: char| !c.is_ascii_digit())
            .map_or(rest.len(), |length| at + length);
        let number = &rest[at..end];
        let new = numbers
            .clone()
            .find(|(old, _)| *old == number)
            .map_or(number, |(_, new)| new);
        result.push_str(&rest[..at]);
        result.push_str(new);
        rest = &rest[end..];
    }
    result + rest
}

fn lines(said: &str) -> Vec<&str> {
    said.lines().map(|line| line.trim_end_matches('\r')).collect()
}

/// Whether lines are as they were expected; a line that is nothing but `...` stands for any number of them.
fn matches(expected: &[String], said: &[&str]) -> bool {
    match expected.split_first() {
        None => said.is_empty(),
        Some((first, rest)) if first == ANYTHING => {
            (0..=said.len()).any(|skipped| matches(rest, &said[skipped..]))
        }
        Some((first, rest)) => said
            .split_first()
            .is_some_and(|(line, more)| fits(first, line) && matches(rest, more)),
    }
}

/// Whether a line is as expected; `...` within it stands for any text.
fn fits(expected: &str, line: &str) -> bool {
    match expected.split_once(ANYTHING) {
        None => expected == line,
        Some((before, after)) => {
            expected == line
                || line.strip_prefix(before).is_some_and(|rest| {
                    (0..=rest.len()).any(|at| rest.is_char_boundary(at) && fits(after, &rest[at..]))
                })
        }
    }
}

/// A shell of the reader's kind, fed line by line. It and all that it started end with the value.
struct Shell {
    child: Child,
    group: Pid,
    commands: ChildStdin,
    answers: BufReader<ChildStdout>,
    directory: PathBuf,
    said: u32,
}

/// Takes a command and a file for what it says; answers with the status and the process in the background. `$?`, `$!`,
/// variables and jobs are kept from one command to the next.
const READER: &str = r#"
status=0
while IFS= read -r -d '' command && IFS= read -r -d '' said; do
    (exit "$status")
    eval "$command" </dev/null >"$said" 2>&1
    status=$?
    printf '%s %s\n' "$status" "${!:-0}"
done
"#;

impl Shell {
    fn start(directory: &Path) -> Self {
        let (programs, work, said) = (
            directory.join("bin"),
            directory.join("work"),
            directory.join("said"),
        );
        for directory in [&programs, &work, &said] {
            fs::create_dir(directory).unwrap();
        }
        symlink(env!("CARGO_BIN_EXE_netkit"), programs.join("netkit")).unwrap();
        let mut path = vec![programs];
        path.extend(std::env::split_paths(
            &std::env::var_os("PATH").unwrap_or_default(),
        ));
        let mut command = Command::new("bash");
        command
            .args(["--norc", "--noprofile", "-c", READER])
            .current_dir(&work)
            .env("PATH", std::env::join_paths(path).unwrap())
            .env("HOME", &work)
            .env_remove("NOTIFY_SOCKET")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .process_group(0);
        let mut child = command.spawn().expect("the examples are for bash");
        Shell {
            group: Pid::from_child(&child),
            commands: child.stdin.take().unwrap(),
            answers: BufReader::new(child.stdout.take().unwrap()),
            child,
            directory: said,
            said: 0,
        }
    }

    /// Runs a command to its end: its status, and all that it said.
    fn run(&mut self, command: &str) -> Result<(i32, String), String> {
        let (status, _, said) = self.give(command)?;
        Ok((status, read(&said)))
    }

    /// Starts a command in the background and waits until it has said what is expected; where that is nothing, until
    /// the ports in it are bound, or it has nothing to bind.
    fn start_in_background(
        &mut self,
        command: &str,
        expected: &[String],
        back: impl Fn(&str) -> String,
    ) -> Result<(), String> {
        let (_, process, said) = self.give(command)?;
        let ports = ports_in(command);
        let deadline = Instant::now() + PATIENCE;
        loop {
            // Looked at before what it said, so that what it said last is not missed.
            let ended = has_ended(process);
            let text = back(&read(&said));
            let whole = text.rsplit_once('\n').map_or("", |(whole, _)| whole);
            let said = lines(whole);
            let wrong = expected
                .iter()
                .zip(&said)
                .any(|(expected, line)| !fits(expected, line));
            let enough = !wrong && said.len() >= expected.len();
            if enough && (!expected.is_empty() || ports.iter().all(|port| is_bound(port))) {
                return if ended {
                    Err(format!("it has ended, and said\n{text}"))
                } else {
                    Ok(())
                };
            }
            if wrong || ended || Instant::now() > deadline {
                return Err(format!("it is to say\n{}\nand says\n{text}", expected.join("\n")));
            }
            std::thread::sleep(GLANCE);
        }
    }

    fn give(&mut self, command: &str) -> Result<(i32, u32, PathBuf), String> {
        self.said += 1;
        let said = self.directory.join(self.said.to_string());
        write!(self.commands, "{command}\0{}\0", said.display()).unwrap();
        // A command that hangs is ended with everything else of the session, and that ends the wait for its answer.
        let (group, (done, watch)) = (self.group, std::sync::mpsc::channel::<()>());
        let watchdog = std::thread::spawn(move || {
            if watch.recv_timeout(PATIENCE) == Err(std::sync::mpsc::RecvTimeoutError::Timeout) {
                let _ = kill_process_group(group, Signal::KILL);
            }
        });
        let mut answer = String::new();
        let _ = self.answers.read_line(&mut answer);
        drop(done);
        watchdog.join().unwrap();
        let mut numbers = answer.split_whitespace();
        match (numbers.next().map(str::parse), numbers.next().map(str::parse)) {
            (Some(Ok(status)), Some(Ok(process))) => Ok((status, process, said)),
            _ => Err(format!("it does not end; it says\n{}", read(&said))),
        }
    }
}

impl Drop for Shell {
    fn drop(&mut self) {
        let _ = kill_process_group(self.group, Signal::KILL);
        let _ = self.child.wait();
    }
}

fn read(said: &Path) -> String {
    String::from_utf8_lossy(&fs::read(said).unwrap_or_default()).into_owned()
}

/// Whether a process is gone, or only waited for.
fn has_ended(process: u32) -> bool {
    let Ok(stat) = fs::read_to_string(format!("/proc/{process}/stat")) else {
        return true;
    };
    // The state follows the name, which stands in brackets and may hold any.
    stat.rsplit_once(") ")
        .is_none_or(|(_, rest)| rest.starts_with('Z'))
}

/// The numbers of a command that can only be ports: four digits on their own.
fn ports_in(command: &str) -> Vec<&str> {
    let numbers = command.split(|c: char| !c.is_ascii_alphanumeric());
    numbers
        .filter(|number| number.len() == 4 && number.bytes().all(|byte| byte.is_ascii_digit()))
        .collect()
}

/// Whether a TCP socket listens, or a UDP socket waits, on a port of this machine.
fn is_bound(port: &str) -> bool {
    const LISTEN: &str = "0A";
    const UNCONNECTED: &str = "07";
    let suffix = format!(":{:04X}", port.parse::<u16>().unwrap_or_default());
    [
        ("tcp", LISTEN),
        ("tcp6", LISTEN),
        ("udp", UNCONNECTED),
        ("udp6", UNCONNECTED),
    ]
    .iter()
    .any(|(table, state)| {
        let table = fs::read_to_string(format!("/proc/net/{table}")).unwrap_or_default();
        table.lines().any(|line| {
            let mut fields = line.split_whitespace().skip(1);
            fields.next().is_some_and(|local| local.ends_with(&suffix)) && fields.nth(1) == Some(state)
        })
    })
}
