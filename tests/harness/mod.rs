//! Running the real binary: start it, wait for what it says, send it signals, and never leave it behind.
//! Absent: sleeps. Whatever is waited for has one deadline, and a test that reaches it fails with all that was said.

pub(crate) mod capture;
pub(crate) mod installed;
pub(crate) mod peer;
#[cfg(feature = "tls")]
pub(crate) mod place;

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{PipeReader, Write};
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, Signal, kill_process, pidfd_open};

use capture::Capture;

/// How long anything may take before a test gives up: far more than a slow, busy machine needs.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// How long it is watched that something does *not* happen.
pub(crate) const A_MOMENT: Duration = Duration::from_millis(200);

/// Between two looks at a condition that cannot be waited for.
const GLANCE: Duration = Duration::from_millis(2);

/// Waits until `condition` gives a value.
pub(crate) fn eventually<T>(what: &str, mut condition: impl FnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(value) = condition() {
            return value;
        }
        assert!(start.elapsed() < PATIENCE, "waited in vain: {what}");
        std::thread::sleep(GLANCE);
    }
}

/// A command line of ours, not started yet.
pub(crate) struct Netkit {
    command: Command,
    line: String,
    stdin: Stdin,
    stdout: Option<Stdio>,
}

enum Stdin {
    /// A pipe that the test writes to and closes.
    Held,
    /// A pipe that gets these bytes and is then closed.
    Bytes(Vec<u8>),
    /// Something else.
    Other(Stdio),
}

/// `netkit ARGS...`
pub(crate) fn netkit<S: AsRef<OsStr>>(args: impl IntoIterator<Item = S>) -> Netkit {
    Netkit::of(Command::new(env!("CARGO_BIN_EXE_netkit")), args)
}

/// `netkit ARGS...`, started by a shell that runs `before` first: limits and descriptors are its business.
///
/// `before` is followed by `exec netkit ...`, so a redirection at its end holds for the program.
pub(crate) fn netkit_after<S: AsRef<OsStr>>(
    before: &str,
    redirections: &str,
    args: impl IntoIterator<Item = S>,
) -> Netkit {
    let mut command = Command::new("sh");
    command
        .arg("-c")
        .arg(format!("{before}\nexec \"$0\" \"$@\" {redirections}"));
    command.arg(env!("CARGO_BIN_EXE_netkit"));
    Netkit::of(command, args)
}

/// Another program of this machine.
pub(crate) fn program<S: AsRef<OsStr>>(name: &str, args: impl IntoIterator<Item = S>) -> Netkit {
    Netkit::of(Command::new(name), args)
}

impl Netkit {
    fn of<S: AsRef<OsStr>>(mut command: Command, args: impl IntoIterator<Item = S>) -> Self {
        let args: Vec<OsString> = args.into_iter().map(|arg| arg.as_ref().to_owned()).collect();
        let shown: Vec<_> = args.iter().map(|arg| arg.to_string_lossy()).collect();
        let line = format!("{} {}", command.get_program().to_string_lossy(), shown.join(" "));
        command.args(&args);
        // What the caller's shell is set to must not decide a test.
        for name in [
            "NOTIFY_SOCKET",
            "NO_COLOR",
            "RUST_BACKTRACE",
            "COLUMNS",
            "COMPLETE",
            "SSLKEYLOGFILE",
        ] {
            command.env_remove(name);
        }
        Netkit {
            command,
            line,
            stdin: Stdin::Held,
            stdout: None,
        }
    }

    pub(crate) fn env(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.command.env(name, value);
        self
    }

    #[cfg(feature = "tls")]
    pub(crate) fn directory(mut self, path: &Path) -> Self {
        self.command.current_dir(path);
        self
    }

    pub(crate) fn arg(mut self, arg: impl AsRef<OsStr>) -> Self {
        self.command.arg(arg);
        self
    }

    /// Standard input is these bytes.
    pub(crate) fn input(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        self.stdin = Stdin::Bytes(bytes.into());
        self
    }

    /// Standard input is something that the test made.
    pub(crate) fn stdin(mut self, stdin: impl Into<Stdio>) -> Self {
        self.stdin = Stdin::Other(stdin.into());
        self
    }

    /// Standard output goes somewhere else; none of it is captured.
    pub(crate) fn stdout(mut self, stdout: impl Into<Stdio>) -> Self {
        self.stdout = Some(stdout.into());
        self
    }

    pub(crate) fn start(mut self) -> Run {
        let mut bytes = None;
        self.command.stdin(match self.stdin {
            Stdin::Held => Stdio::piped(),
            Stdin::Bytes(input) => {
                bytes = Some(input);
                Stdio::piped()
            }
            Stdin::Other(stdin) => stdin,
        });
        let captured = self.stdout.is_none();
        self.command.stdout(self.stdout.unwrap_or_else(Stdio::piped));
        self.command.stderr(Stdio::piped());
        let mut child = self
            .command
            .spawn()
            .unwrap_or_else(|error| panic!("could not start {}: {error}", self.line));
        let pid = Pid::from_child(&child);
        let mut stdin = child.stdin.take();
        let feeder = bytes.map(|bytes| {
            let mut stdin = stdin.take().unwrap();
            // A program that ends early does not read it all, and that is its right.
            std::thread::spawn(move || drop(stdin.write_all(&bytes)))
        });
        let stdout = match child.stdout.take() {
            Some(stdout) if captured => Capture::of(PipeReader::from(OwnedFd::from(stdout))),
            _ => Capture::nothing(),
        };
        let stderr = Capture::of(PipeReader::from(OwnedFd::from(child.stderr.take().unwrap())));
        Run {
            ended: pidfd_open(pid, PidfdFlags::empty()).unwrap(),
            child,
            pid,
            line: self.line,
            stdin,
            feeder,
            stdout,
            stderr,
        }
    }

    /// Runs to the end, with nothing on standard input unless something was given.
    pub(crate) fn run(mut self) -> Outcome {
        if matches!(self.stdin, Stdin::Held) {
            self.stdin = Stdin::Other(Stdio::null());
        }
        self.start().wait()
    }
}

/// A program that runs. Dropping it kills it.
pub(crate) struct Run {
    child: Child,
    pid: Pid,
    ended: OwnedFd,
    line: String,
    stdin: Option<ChildStdin>,
    feeder: Option<JoinHandle<()>>,
    pub(crate) stdout: Capture,
    pub(crate) stderr: Capture,
}

impl Drop for Run {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Run {
    /// Writes to its standard input.
    pub(crate) fn write(&mut self, bytes: impl AsRef<[u8]>) {
        let stdin = self.stdin.as_mut().expect("standard input is open");
        stdin.write_all(bytes.as_ref()).unwrap();
    }

    /// Ends its standard input.
    pub(crate) fn end_input(&mut self) {
        self.stdin = None;
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(self.pid, signal).unwrap();
    }

    pub(crate) fn pid(&self) -> Pid {
        self.pid
    }

    /// Waits for a text on standard error; gives all that has been said there.
    pub(crate) fn await_stderr(&self, text: &str) -> String {
        let said = self
            .stderr
            .until(|said| contains(said, text.as_bytes()), || self.told(text));
        String::from_utf8_lossy(&said).into_owned()
    }

    /// Waits for bytes on standard output; gives all that has come.
    pub(crate) fn await_stdout(&self, bytes: impl AsRef<[u8]>) -> Vec<u8> {
        let bytes = bytes.as_ref();
        self.stdout.until(
            |said| contains(said, bytes),
            || self.told(&bytes.escape_ascii().to_string()),
        )
    }

    fn told(&self, text: &str) -> String {
        format!(
            "{}: waited in vain for `{text}`; stdout: {}; stderr:\n{}",
            self.line,
            self.stdout.so_far().escape_ascii(),
            String::from_utf8_lossy(&self.stderr.so_far())
        )
    }

    /// The endpoints that it says it listens on, once there are `count`.
    pub(crate) fn endpoints(&self, count: usize) -> Vec<String> {
        let lines = |said: &[u8]| -> Vec<String> {
            let said = String::from_utf8_lossy(said);
            // The last piece has no line end yet, or is empty.
            let whole = said.rsplit_once('\n').map_or("", |(whole, _)| whole);
            whole
                .lines()
                .filter_map(|line| line.strip_prefix("listening on "))
                .map(str::to_owned)
                .collect()
        };
        let said = self
            .stderr
            .until(|said| lines(said).len() >= count, || self.told("listening on"));
        lines(&said)
    }

    /// The one endpoint that it listens on.
    pub(crate) fn endpoint(&self) -> String {
        self.endpoints(1).remove(0)
    }

    /// The socket address of the one TCP endpoint that it listens on.
    pub(crate) fn address(&self) -> SocketAddr {
        address(&self.endpoint())
    }

    pub(crate) fn has_ended(&self) -> bool {
        self.ended_within(Duration::ZERO)
    }

    fn ended_within(&self, limit: Duration) -> bool {
        let limit = Timespec::try_from(limit).unwrap();
        let mut waiting = [PollFd::new(&self.ended, PollFlags::IN)];
        poll(&mut waiting, Some(&limit)).unwrap() > 0
    }

    /// That it is still there after a moment.
    pub(crate) fn stays(&self) {
        assert!(
            !self.ended_within(A_MOMENT),
            "{}",
            self.told("nothing: it was to go on")
        );
    }

    /// Processor time that it has used, from /proc/PID/stat.
    pub(crate) fn cpu(&self) -> Duration {
        let stat = std::fs::read_to_string(self.proc("stat")).unwrap();
        // The name, in parentheses, may hold anything; the fields after it are counted from 3.
        let (_, fields) = stat.rsplit_once(')').unwrap();
        let ticks: u64 = fields
            .split_whitespace()
            .skip(11)
            .take(2)
            .map(|ticks| ticks.parse::<u64>().unwrap())
            .sum();
        // USER_HZ, which is part of Linux's interface to programs.
        Duration::from_secs(ticks) / 100
    }

    /// The most memory that it has held so far, in bytes.
    pub(crate) fn memory_peak(&self) -> u64 {
        let status = std::fs::read_to_string(self.proc("status")).unwrap();
        let peak = status
            .lines()
            .find_map(|line| line.strip_prefix("VmHWM:"))
            .unwrap();
        let kilobytes: u64 = peak.trim().trim_end_matches(" kB").parse().unwrap();
        kilobytes * 1024
    }

    /// How many descriptors it has open.
    pub(crate) fn descriptors(&self) -> usize {
        std::fs::read_dir(self.proc("fd")).unwrap().count()
    }

    /// A file of its directory in /proc.
    pub(crate) fn proc(&self, name: &str) -> String {
        format!("/proc/{}/{name}", self.pid.as_raw_nonzero())
    }

    /// Waits for its end. Standard input stays as it is: close it first where the end depends on it.
    pub(crate) fn wait(mut self) -> Outcome {
        assert!(self.ended_within(PATIENCE), "{}", self.told("its end"));
        let status = self.child.wait().unwrap();
        if let Some(feeder) = self.feeder.take() {
            feeder.join().unwrap();
        }
        let line = std::mem::take(&mut self.line);
        let whole =
            |capture: &Capture| capture.until_end(|| format!("{line}: a descendant holds its output"));
        Outcome {
            status: status
                .code()
                .unwrap_or_else(|| 128 + status.signal().unwrap_or(0)),
            stdout: whole(&self.stdout),
            stderr: String::from_utf8_lossy(&whole(&self.stderr)).into_owned(),
            line,
        }
    }

    /// Tells it to stop and waits for its end.
    pub(crate) fn stop(self) -> Outcome {
        self.signal(Signal::TERM);
        self.wait()
    }
}

/// How a run ended.
#[derive(Debug)]
pub(crate) struct Outcome {
    line: String,
    /// The exit status; 128 and more: ended by a signal.
    pub(crate) status: i32,
    pub(crate) stdout: Vec<u8>,
    pub(crate) stderr: String,
}

impl Outcome {
    /// That it ended with this status.
    #[track_caller]
    pub(crate) fn status(self, status: i32) -> Self {
        assert_eq!(self.status, status, "{}, stderr:\n{}", self.line, self.stderr);
        self
    }

    /// That it wrote exactly this to standard output.
    #[track_caller]
    pub(crate) fn wrote(self, bytes: impl AsRef<[u8]>) -> Self {
        let bytes = bytes.as_ref();
        assert_eq!(
            self.stdout.escape_ascii().to_string(),
            bytes.escape_ascii().to_string(),
            "{}, stderr:\n{}",
            self.line,
            self.stderr
        );
        self
    }

    /// That this is all of standard error.
    #[track_caller]
    pub(crate) fn said(self, text: &str) -> Self {
        assert_eq!(self.stderr, text, "{}", self.line);
        self
    }

    /// That standard error holds this.
    #[track_caller]
    pub(crate) fn mentions(self, text: &str) -> Self {
        assert!(
            self.stderr.contains(text),
            "{}: no `{text}` in:\n{}",
            self.line,
            self.stderr
        );
        self
    }

    /// That it failed with one line, and that line is no panic's.
    #[track_caller]
    pub(crate) fn failed_in_one_line(self) -> Self {
        assert!(
            self.stderr.starts_with("error: ") && self.stderr.trim_end().lines().count() == 1,
            "{}, stderr:\n{}",
            self.line,
            self.stderr
        );
        self
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8(self.stdout.clone()).unwrap()
    }
}

/// `serve ARGS...`, with everything bound.
pub(crate) fn serve<S: AsRef<OsStr>>(args: impl IntoIterator<Item = S>) -> Run {
    let run = netkit(["serve"]).args(args).stdin(Stdio::null()).start();
    run.endpoint();
    run
}

/// `listen ARGS...`, with its endpoint bound.
pub(crate) fn listen<S: AsRef<OsStr>>(args: impl IntoIterator<Item = S>) -> Run {
    let run = netkit(["listen"]).args(args).start();
    run.endpoint();
    run
}

/// `connect ARGS...`, to be given its input.
pub(crate) fn connect<S: AsRef<OsStr>>(args: impl IntoIterator<Item = S>) -> Netkit {
    netkit(["connect"]).args(args)
}

impl Netkit {
    pub(crate) fn args<S: AsRef<OsStr>>(mut self, args: impl IntoIterator<Item = S>) -> Self {
        for arg in args {
            self.line.push(' ');
            self.line.push_str(&arg.as_ref().to_string_lossy());
            self = self.arg(arg);
        }
        self
    }
}

/// The socket address that a client string such as `tcp:127.0.0.1:80` or `tcp:[::1]:80` names.
pub(crate) fn address(endpoint: &str) -> SocketAddr {
    let bare = endpoint.strip_prefix("haproxy:").unwrap_or(endpoint);
    let (_, address) = bare.split_once(':').unwrap();
    address
        .parse()
        .unwrap_or_else(|_| panic!("{endpoint} holds no socket address"))
}

/// A file that is there and whole, by its content.
pub(crate) fn file_when_there(path: &Path) -> String {
    eventually(&format!("the file {}", path.display()), || {
        std::fs::read_to_string(path).ok()
    })
}

/// A file with this content, opened for reading.
pub(crate) fn file_of(bytes: &[u8]) -> File {
    use std::io::Seek;
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(bytes).unwrap();
    file.rewind().unwrap();
    file
}

pub(crate) fn contains(haystack: &[u8], needle: &[u8]) -> bool {
    needle.is_empty() || haystack.windows(needle.len()).any(|window| window == needle)
}
