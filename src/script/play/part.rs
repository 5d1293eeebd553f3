//! A program that runs beside a script: its own process group, what it says, its end, and that nothing of it stays behind.
//! Absent: which program that is, and why it runs.

use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::thread::sleep;
use std::time::{Duration, Instant};

use rustix::io::Errno;
use rustix::process::{
    Pid, PidfdFlags, Signal, WaitId, WaitIdOptions, kill_process, kill_process_group, pidfd_open, waitid,
};
use tokio::io::unix::AsyncFd;
use tokio::io::{AsyncReadExt, Interest};
use tokio::net::unix::pipe::Receiver;
use tokio::time::timeout;
use tracing::warn;

use super::output::Output;
use crate::error::{Error, Result, Status, reason};
use crate::kernel;
use crate::orphans;

/// How long a program that was told to end may take, before it is told again, and then killed.
const GRACE: Duration = Duration::from_secs(2);

/// A server of ours that is told twice ends at once: this long it may take its leave.
const LEAVE: Duration = Duration::from_millis(300);

/// The endpoints of a server fit in this; more would be no list of them.
const LINES_MAX: u64 = 64 * 1024;

/// How long the rest of what a program said is waited for after its end: something that it started may hold the pipe.
const LAST_WORDS: Duration = Duration::from_millis(50);

/// How often one that was dropped is looked at until it is gone.
const LOOK_AGAIN: Duration = Duration::from_millis(1);

/// What the environment tells this process alone, and no program that it starts (`sd_listen_fds`(3), `sd_notify`(3)).
pub const OURS_ALONE: &[&str] = &[
    "NOTIFY_SOCKET",
    "WATCHDOG_USEC",
    "WATCHDOG_PID",
    "LISTEN_FDS",
    "LISTEN_PID",
    "LISTEN_FDNAMES",
];

/// A running program. Dropping it kills it and all that it started.
#[derive(Debug)]
pub struct Part {
    name: String,
    child: Child,
    group: Option<Pid>,
    ended: Arc<AsyncFd<OwnedFd>>,
    output: Output,
    status: Option<ExitStatus>,
    endpoints: Vec<String>,
    /// Where a server tells that it listens, until it has.
    telling: Option<Receiver>,
    is_server: bool,
    /// It cannot be killed, which has been said, and is not waited for.
    is_left: bool,
}

impl Drop for Part {
    fn drop(&mut self) {
        if self.status.is_none() {
            self.signal(Signal::KILL);
            let over = Instant::now() + GRACE;
            // It has been killed, so this is hardly a wait.
            while !self.is_left && matches!(self.child.try_wait(), Ok(None)) {
                if self.may_not_be_killed() || Instant::now() >= over {
                    self.leave();
                }
                sleep(LOOK_AGAIN);
            }
            if let (Some(group), false) = (self.group, self.is_left) {
                orphans::forget(group);
            }
        }
    }
}

impl Part {
    /// Starts a program. What it says is kept; its standard input is empty.
    ///
    /// # Errors
    /// Status 1: the system's reason.
    pub fn launch(name: &str, mut command: Command) -> Result<Self> {
        command.stdout(Stdio::piped());
        let mut part = Part::spawn(name, command)?;
        if let Some(stdout) = part.child.stdout.take() {
            part.output.hear(stdout).map_err(|error| part.failed(&error))?;
        }
        Ok(part)
    }

    /// Starts a server of ours, which tells on its standard output where it listens.
    ///
    /// # Errors
    /// Status 1: the system's reason.
    pub fn serve(name: &str, mut command: Command) -> Result<Self> {
        command.stdout(Stdio::piped());
        let mut part = Part::spawn(name, command)?;
        let stdout = part.child.stdout.take().map(OwnedFd::from);
        let pipe = stdout.map(Receiver::from_owned_fd).transpose();
        part.telling = pipe.map_err(|error| part.failed(&error))?;
        part.is_server = true;
        Ok(part)
    }

    /// Waits until a server listens.
    ///
    /// # Errors
    /// Status 1: the server's own reason where it ends without having listened.
    pub async fn listening(&mut self) -> Result<()> {
        let mut told = String::new();
        if let Some(pipe) = &mut self.telling {
            let read = pipe.take(LINES_MAX).read_to_string(&mut told).await;
            read.map_err(|error| self.failed(&error))?;
        }
        self.telling = None;
        self.endpoints = told.lines().map(str::to_owned).collect();
        if self.endpoints.is_empty() {
            let status = self.stop().await;
            return Err(self.ended_early(status));
        }
        Ok(())
    }

    fn spawn(name: &str, mut command: Command) -> Result<Self> {
        for variable in OURS_ALONE {
            command.env_remove(variable);
        }
        // A group of its own, so that all that it starts ends with it, and so that a key at the terminal ends us alone.
        command
            .stdin(Stdio::null())
            .stderr(Stdio::piped())
            .process_group(0);
        kernel::die_with_us(&mut command);
        let failed = |error: &io::Error| {
            let why = match error.kind() {
                io::ErrorKind::NotFound => "there is no such program".to_owned(),
                _ => reason(error),
            };
            Error::new(Status::Failure, why).on(format!("could not start {name}"))
        };
        let mut child = command.spawn().map_err(|error| failed(&error))?;
        let group = Pid::from_child(&child);
        orphans::awaited(group);
        let watched = pidfd_open(group, PidfdFlags::empty())
            .map_err(io::Error::from)
            .and_then(|number| kernel::watch(number, Interest::READABLE).map_err(|(_, error)| error));
        let stderr = child.stderr.take();
        let ended = match watched {
            Ok(ended) => ended,
            Err(error) => {
                let _ = kill_process_group(group, Signal::KILL);
                let _ = child.wait();
                orphans::forget(group);
                return Err(failed(&error));
            }
        };
        let mut part = Part {
            name: name.to_owned(),
            child,
            group: Some(group),
            ended: Arc::new(ended),
            output: Output::default(),
            status: None,
            endpoints: Vec::new(),
            telling: None,
            is_server: false,
            is_left: false,
        };
        if let Some(stderr) = stderr {
            part.output.hear(stderr).map_err(|error| part.failed(&error))?;
        }
        Ok(part)
    }

    fn failed(&self, error: &io::Error) -> Error {
        Error::io(Status::Failure, error).on(format!("could not start {}", self.name))
    }

    /// Why a server ended before it listened: its own last words, or its status.
    fn ended_early(&self, status: Option<ExitStatus>) -> Error {
        let (said, _) = self.output.so_far();
        let error = said.lines().rev().find_map(|line| line.strip_prefix("error: "));
        let why = match (error, status) {
            (Some(error), _) => error.to_owned(),
            (None, Some(status)) => format!("it ended with {}", status_words(status)),
            (None, None) => "it does not say where it listens".to_owned(),
        };
        // A server of ours means by its status what we would mean by it.
        let code = status.and_then(|status| status.code());
        let own = Status::ALL
            .into_iter()
            .find(|own| Some(i32::from(own.code())) == code);
        let own = own.filter(|own| self.is_server && *own != Status::Done);
        let error = Error::new(own.unwrap_or(Status::Failure), why);
        error.on(format!("could not start {}", self.name))
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The client endpoints that lead to a server; empty for other programs.
    #[must_use]
    pub fn endpoints(&self) -> &[String] {
        &self.endpoints
    }

    /// How it ended, if it has and somebody waited for that.
    #[must_use]
    pub fn status(&self) -> Option<ExitStatus> {
        self.status
    }

    /// The latest that it said, and how many bytes there were before that.
    #[must_use]
    pub fn said(&self) -> (String, u64) {
        self.output.so_far()
    }

    /// Returns once it has ended, and leaves it to be waited for. Cancel safe.
    pub async fn ended(&self) {
        if self.status.is_none() {
            // An error would say that the runtime is going away.
            let _ = self.ended.readable().await;
        }
    }

    /// What [`Part::ended`] waits for, without holding on to the part.
    pub fn end(&self) -> impl Future<Output = ()> + use<> {
        let ended = self.status.is_none().then(|| Arc::clone(&self.ended));
        async move {
            if let Some(ended) = ended {
                // An error would say that the runtime is going away.
                let _ = ended.readable().await;
            }
        }
    }

    /// Whether it has ended, by itself or not.
    #[must_use]
    pub fn has_ended(&self) -> bool {
        let only_look = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT | WaitIdOptions::NOHANG;
        match self.group {
            None => true,
            Some(group) => matches!(waitid(WaitId::Pid(group), only_look), Ok(Some(_))),
        }
    }

    /// Whether it has ended otherwise than with status 0.
    pub fn has_failed(&self) -> bool {
        if let Some(status) = self.status {
            return !status.success();
        }
        let only_look = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT | WaitIdOptions::NOHANG;
        let looked = self.group.map(|group| waitid(WaitId::Pid(group), only_look));
        matches!(looked, Some(Ok(Some(status))) if status.exit_status() != Some(0))
    }

    /// Waits for its end; what it started ends with it. Cancel safe.
    pub async fn wait(&mut self) -> Option<ExitStatus> {
        self.ended().await;
        self.reap().await
    }

    /// Makes it end, first politely.
    pub async fn stop(&mut self) -> Option<ExitStatus> {
        if self.status.is_some() || self.is_left {
            return self.status;
        }
        let first = if self.is_server { LEAVE } else { GRACE };
        self.signal(Signal::TERM);
        if timeout(first, self.ended()).await.is_err() && self.is_server {
            self.signal(Signal::TERM);
            let _ = timeout(GRACE, self.ended()).await;
        }
        self.reap().await
    }

    /// Kills what is left of its group, and takes its status.
    async fn reap(&mut self) -> Option<ExitStatus> {
        if self.status.is_some() || self.is_left {
            return self.status;
        }
        if self.has_ended() {
            // Before its children die, as they may be what it has left to say it to.
            let _ = timeout(LAST_WORDS, self.output.ended()).await;
        }
        // As long as it has not been waited for, the number of the group is nobody else's.
        self.signal(Signal::KILL);
        let over = Instant::now() + GRACE;
        while timeout(LAST_WORDS, self.ended()).await.is_err() {
            if self.may_not_be_killed() || Instant::now() >= over {
                self.leave();
                return None;
            }
        }
        let _ = timeout(LAST_WORDS, self.output.ended()).await;
        self.status = self.child.wait().ok();
        if let Some(group) = self.group.take() {
            orphans::forget(group);
        }
        self.status
    }

    /// Whether it runs as somebody else: a program that became another user by itself.
    fn may_not_be_killed(&self) -> bool {
        self.group
            .is_some_and(|group| kill_process(group, Signal::KILL) == Err(Errno::PERM))
    }

    /// Gives it up, and says so.
    fn leave(&mut self) {
        self.is_left = true;
        let why = match self.may_not_be_killed() {
            true => "it runs as another user",
            false => "it was killed, and has not ended",
        };
        warn!("could not end {}, process {}: {why}", self.name, self.child.id());
        if let Some(group) = self.group {
            orphans::spare(group);
        }
    }

    /// Sends a signal to it and to all that it started.
    pub fn signal(&self, signal: Signal) {
        if let Some(group) = self.group {
            // All of it may have ended by itself.
            let _ = kill_process_group(group, signal);
        }
    }
}

/// `status 1`, `signal 9`.
#[must_use]
pub fn status_words(status: ExitStatus) -> String {
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("status {code}"),
        (None, Some(signal)) => format!("signal {signal}"),
        (None, None) => "an unknown status".to_owned(),
    }
}

/// What a shell makes of it: 128 and the number of the signal, where one ended it.
#[must_use]
pub fn shell_status(status: ExitStatus) -> u8 {
    let code = status
        .code()
        .or_else(|| status.signal().map(|number| 128 + number));
    code.and_then(|code| u8::try_from(code).ok()).unwrap_or(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(text: &str) -> Command {
        let mut command = Command::new("sh");
        command.arg("-c").arg(text);
        command
    }

    fn gone(pid: &str) -> bool {
        match std::fs::read_to_string(format!("/proc/{pid}/stat")) {
            Err(_) => true,
            Ok(stat) => stat
                .rsplit_once(')')
                .unwrap()
                .1
                .trim_start()
                .starts_with(['Z', 'X']),
        }
    }

    async fn await_said(part: &Part, lines: usize) -> String {
        for _ in 0..30_000 {
            let (said, _) = part.said();
            if said.lines().count() >= lines {
                return said;
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        panic!("it says {:?}", part.said());
    }

    async fn await_gone(pids: &str) {
        for _ in 0..30_000 {
            if pids.split_whitespace().all(gone) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        panic!("still there: {pids}");
    }

    #[tokio::test]
    async fn whoever_heeds_nothing_is_killed_with_its_children() {
        let mut part = Part::launch(
            "x",
            shell("trap '' TERM; (trap '' TERM; sleep 1000) & echo $$ $!; wait; sleep 1000"),
        )
        .unwrap();
        let pids = await_said(&part, 1).await;
        tokio::time::pause();
        // The clock jumps over the grace; the kill is real.
        let status = part.stop().await.unwrap();
        tokio::time::resume();
        assert_eq!(status_words(status), "signal 9");
        assert_eq!(shell_status(status), 137);
        await_gone(&pids).await;
    }

    #[tokio::test]
    async fn a_dropped_part_is_gone() {
        let part = Part::launch("x", shell("sleep 1000 & echo $$ $!; wait")).unwrap();
        let pids = await_said(&part, 1).await;
        drop(part);
        await_gone(&pids).await;
    }

    #[tokio::test]
    async fn its_end_ends_what_it_started_and_all_it_said_is_kept() {
        let mut part = Part::launch("x", shell("sleep 1000 & echo $!; echo oh >&2; exit 3")).unwrap();
        let status = part.wait().await.unwrap();
        assert_eq!(status_words(status), "status 3");
        let (said, dropped) = part.said();
        assert_eq!(dropped, 0);
        assert!(said.contains("oh\n"), "{said}");
        await_gone(said.replace("oh", "").trim()).await;
    }

    #[tokio::test]
    async fn a_server_that_does_not_listen_says_why() {
        let text = "echo 'error: could not bind tcp:1: no' >&2; exit 7";
        let mut part = Part::serve("x", shell(text)).unwrap();
        let error = part.listening().await.unwrap_err();
        assert_eq!(error.to_string(), "could not start x: could not bind tcp:1: no");
        let mut part = Part::serve("x", shell("exit 7")).unwrap();
        let failed = part.listening().await.unwrap_err();
        assert_eq!(failed.to_string(), "could not start x: it ended with status 7");
        let failed = Part::launch("x", Command::new("/nonexistent")).unwrap_err();
        assert_eq!(failed.to_string(), "could not start x: there is no such program");
    }

    #[tokio::test]
    async fn who_floods_is_read_and_the_latest_kept() {
        let mut part = Part::launch("x", shell("head -c 1000000 /dev/zero | tr '\\0' x; echo end")).unwrap();
        part.wait().await.unwrap();
        let (said, dropped) = part.said();
        assert!(said.ends_with("xend\n"));
        assert_eq!(said.len() as u64 + dropped, 1_000_004);
    }
}
