//! A program that is asked: run without a shell, the name its one argument, its standard output the answer.
//! Absent: what the program does, and a time limit; dropping the future kills it and what it started.

use std::ffi::OsString;
use std::io;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};

use rustix::fs::Access;
use rustix::io::Errno;
use rustix::process::{Pid, WaitId, WaitIdOptions, kill_process_group, waitid};
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::process::{Child, Command};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::Semaphore;

use super::{ANSWER_MAX, Users, Wanted, is_plain};
use crate::connection::BoxFuture;
use crate::error::{Error, Result, Status};
use crate::need::Need;
use crate::units::size_text;

/// Programs that run at once; who asks meanwhile waits, within the time for an answer.
const AT_ONCE: usize = 16;

/// Of what a program says on standard error, so much is kept for the log.
const COMPLAINT_MAX: usize = 1024;

/// What of our environment a program gets: enough to find its tools and to know time and language. The rest may hold
/// secrets, or speak of descriptors and sockets that are ours alone.
const ENVIRONMENT: &[&str] = &["PATH", "HOME", "USER", "LANG", "LC_ALL", "TZ"];

/// Bytes read at once.
const PIECE: usize = 4096;

/// The program.
#[derive(Debug)]
pub struct Program {
    path: OsString,
    source: String,
    places: Semaphore,
}

impl Program {
    /// Asks this program, found as a shell would find it, now and after a change of directory.
    #[must_use]
    pub fn new(path: impl Into<OsString>) -> Self {
        let path = path.into();
        let source = path.to_string_lossy().into_owned();
        let absolute = Path::new(&path)
            .components()
            .nth(1)
            .and_then(|_| std::path::absolute(&path).ok());
        Program {
            source,
            path: absolute.map_or(path, PathBuf::into_os_string),
            places: Semaphore::new(AT_ONCE),
        }
    }

    /// Why it could not be run now, as far as that is seen from outside.
    #[must_use]
    pub fn obstacle(&self) -> Option<&'static str> {
        let path = Path::new(&self.path);
        if path.is_absolute() {
            return match std::fs::metadata(path) {
                Ok(found) if !found.is_file() => Some("it is no file"),
                Ok(_) if !may_run(path) => Some("it may not be executed"),
                Ok(_) => None,
                Err(_) => Some("there is no such file"),
            };
        }
        // Without PATH the system has one of its own.
        let places = std::env::var_os("PATH")?;
        let mut candidates = std::env::split_paths(&places).map(|place| place.join(path));
        let found = candidates.any(|candidate| candidate.is_file() && may_run(&candidate));
        (!found).then_some("no directory of PATH has such a program")
    }

    async fn ask(&self, name: &str) -> Result<Option<Vec<u8>>> {
        // The semaphore is never closed.
        let _place = self.places.acquire().await.ok();
        let mut children = signal(SignalKind::child()).map_err(failed)?;
        let child = Command::new(&self.path)
            .arg(name)
            .env_clear()
            .envs(environment())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            // Its own group, so that all that it starts ends with it.
            .process_group(0)
            .spawn()
            .map_err(failed)?;
        let mut running = Running(child);
        let mut output = Heard::new(running.0.stdout.take(), ANSWER_MAX + 1);
        let mut complaint = Heard::new(running.0.stderr.take(), COMPLAINT_MAX);
        let reading = async {
            let read = async { tokio::try_join!(output.hear(true), complaint.hear(false)) };
            read.await.map_err(failed)
        };
        // What it started may hold the pipes open for as long as it likes: the answer is there when the program ends.
        tokio::select! {
            Err(error) = reading => return Err(error),
            ended = running.ended(&mut children) => ended?,
        }
        running.kill();
        output.drain();
        complaint.drain();
        let status = running.0.wait().await.map_err(failed)?;
        judge(status, output.bytes, &complaint.bytes)
    }
}

fn may_run(path: &Path) -> bool {
    rustix::fs::access(path, Access::EXEC_OK).is_ok()
}

fn environment() -> impl Iterator<Item = (&'static str, OsString)> {
    let names = ENVIRONMENT.iter();
    names.filter_map(|name| std::env::var_os(name).map(|value| (*name, value)))
}

fn failed(error: io::Error) -> Error {
    Error::io(Status::Failure, &error)
}

fn too_much() -> io::Error {
    io::Error::other(format!("it says more than {}", size_text(ANSWER_MAX as u64)))
}

/// What a program that has ended means to say.
fn judge(status: ExitStatus, output: Vec<u8>, complaint: &[u8]) -> Result<Option<Vec<u8>>> {
    if output.len() > ANSWER_MAX {
        return Err(failed(too_much()));
    }
    if !status.success() {
        let text = String::from_utf8_lossy(complaint);
        let line = text.lines().next().unwrap_or_default().escape_debug();
        let why = match complaint.is_empty() {
            true => format!("it ended with {status}"),
            false => format!("it ended with {status}: {line}"),
        };
        return Err(Error::new(Status::Failure, why));
    }
    // A program that has nothing to say knows nobody.
    Ok(output
        .iter()
        .any(|byte| !byte.is_ascii_whitespace())
        .then_some(output))
}

/// The beginning of what comes through a pipe.
struct Heard<P> {
    pipe: Option<P>,
    bytes: Vec<u8>,
    most: usize,
}

impl<P: AsyncRead + AsFd + Unpin> Heard<P> {
    fn new(pipe: Option<P>, most: usize) -> Self {
        Heard {
            pipe,
            bytes: Vec::new(),
            most,
        }
    }

    fn keep(&mut self, piece: &[u8]) {
        let room = self.most - self.bytes.len();
        self.bytes.extend_from_slice(&piece[..piece.len().min(room)]);
    }

    /// Listens to the end. Where there is more than is kept that is a failure, or it is thrown away, so that the
    /// program does not block on it. Dropping the future loses nothing of what came.
    async fn hear(&mut self, limited: bool) -> io::Result<()> {
        let mut piece = [0; PIECE];
        while let Some(pipe) = &mut self.pipe {
            let count = pipe.read(&mut piece).await?;
            if count == 0 {
                break;
            }
            self.keep(&piece[..count]);
            if limited && self.bytes.len() == self.most {
                return Err(too_much());
            }
        }
        Ok(())
    }

    /// Takes what there is, without waiting for more: the runtime has made the pipe one that does not wait.
    fn drain(&mut self) {
        let mut piece = [0; PIECE];
        while self.bytes.len() < self.most {
            let Some(pipe) = &self.pipe else { return };
            match rustix::io::read(pipe, &mut piece) {
                Ok(0) => return,
                Ok(count) => self.keep(&piece[..count]),
                Err(Errno::INTR) => {}
                // There is no more, or it cannot be had.
                Err(_) => return,
            }
        }
    }
}

/// A program that runs. Dropped before its end was had, it is killed, and so is what it started.
struct Running(Child);

impl Running {
    /// Its number, and its group's: for as long as it was not waited for, even if it has ended, nobody else's.
    fn number(&self) -> Option<Pid> {
        self.0
            .id()
            .and_then(|id| i32::try_from(id).ok())
            .and_then(Pid::from_raw)
    }

    /// Returns once it has ended, and leaves it to be waited for.
    async fn ended(&self, children: &mut Signal) -> Result<()> {
        let only_look = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT | WaitIdOptions::NOHANG;
        while let Some(number) = self.number() {
            match waitid(WaitId::Pid(number), only_look) {
                Ok(Some(_)) => break,
                Ok(None) => {}
                Err(Errno::INTR) => continue,
                Err(error) => return Err(failed(error.into())),
            }
            // Some child has ended. Nothing was missed: this was asked for before there was ours.
            if children.recv().await.is_none() {
                return Err(Error::new(Status::Failure, "its end cannot be seen"));
            }
        }
        Ok(())
    }

    fn kill(&self) {
        if let Some(group) = self.number() {
            // All of it may have ended by itself. The runtime takes what is left of the program.
            let _ = kill_process_group(group, rustix::process::Signal::KILL);
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.kill();
    }
}

impl Users for Program {
    fn source(&self) -> &str {
        &self.source
    }

    fn needs(&self) -> Vec<Need> {
        vec![Need::Run(self.path.clone().into())]
    }

    fn find<'a>(&'a self, wanted: &'a Wanted) -> BoxFuture<'a, Result<Option<Vec<u8>>>> {
        if !is_plain(&wanted.name) {
            return Box::pin(std::future::ready(Ok(None)));
        }
        Box::pin(self.ask(&wanted.name))
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::time::Duration;

    use super::*;

    fn script(directory: &Path, text: &str) -> Program {
        let path = directory.join("program");
        // Written by another process: a child that is forked meanwhile would hold it open for writing, and a file
        // that somebody writes cannot be run.
        let mut install = std::process::Command::new("install");
        let mut install = install
            .arg("-m755")
            .arg("/dev/stdin")
            .arg(&path)
            .stdin(Stdio::piped())
            .spawn()
            .unwrap();
        write!(install.stdin.take().unwrap(), "#!/bin/sh\n{text}\n").unwrap();
        assert!(install.wait().unwrap().success());
        Program::new(path)
    }

    async fn find(program: &Program, name: &str) -> Result<Option<Vec<u8>>> {
        let wanted = Wanted {
            name: name.into(),
            long: false,
        };
        program.find(&wanted).await
    }

    #[tokio::test]
    async fn a_name_is_one_argument_and_never_an_option() {
        let echo = Program::new("echo");
        assert_eq!(find(&echo, "alice").await.unwrap(), Some(b"alice\n".to_vec()));
        for name in ["-n", "../x", ";reboot", "$(id)", "a b", ""] {
            assert_eq!(find(&echo, name).await.unwrap(), None, "{name}");
        }
    }

    #[tokio::test]
    async fn failures_say_why_and_silence_means_nobody() {
        assert_eq!(find(&Program::new("true"), "alice").await.unwrap(), None);
        let why = find(&Program::new("false"), "alice")
            .await
            .unwrap_err()
            .to_string();
        assert!(why.contains("exit status: 1"), "{why}");
        let none = Program::new("/nonexistent/program");
        assert!(
            find(&none, "alice")
                .await
                .unwrap_err()
                .to_string()
                .contains("no such file")
        );
        let long = find(&Program::new("yes"), "alice").await.unwrap_err().to_string();
        assert!(long.contains("more than 64KiB"), "{long}");
    }

    #[tokio::test]
    async fn a_dropped_question_kills_the_program_and_its_children() {
        let directory = tempfile::tempdir().unwrap();
        let pids = directory.path().join("pids");
        let text = format!(
            "sleep 1000 &\necho $$ $! > {}.new\nmv {0}.new {0}\nwait",
            pids.display()
        );
        let program = script(directory.path(), &text);
        let asking = async {
            let _ = find(&program, "alice").await;
        };
        let started = async {
            while !pids.exists() {
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        };
        tokio::select! {
            () = asking => panic!("the program ended"),
            () = started => {}
        }
        await_gone(&std::fs::read_to_string(&pids).unwrap()).await;
    }

    async fn await_gone(pids: &str) {
        let gone = |pid: &str| match std::fs::read_to_string(format!("/proc/{pid}/stat")) {
            Err(_) => true,
            Ok(stat) => stat
                .rsplit_once(')')
                .unwrap()
                .1
                .trim_start()
                .starts_with(['Z', 'X']),
        };
        let deadline = std::time::Instant::now() + Duration::from_secs(60);
        while !pids.split_whitespace().all(gone) {
            assert!(std::time::Instant::now() < deadline, "still there: {pids}");
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }

    #[tokio::test]
    async fn an_answer_is_there_when_the_program_ends_and_nothing_stays_behind() {
        let directory = tempfile::tempdir().unwrap();
        for output in ["", " >/dev/null 2>&1"] {
            let program = script(directory.path(), &format!("sleep 1000{output} &\necho $!"));
            let asked = tokio::time::timeout(Duration::from_secs(60), find(&program, "alice")).await;
            let said = asked.expect("it waits for the child").unwrap().unwrap();
            await_gone(&String::from_utf8(said).unwrap()).await;
        }
    }

    #[tokio::test]
    async fn all_that_was_said_before_the_end_is_heard() {
        let directory = tempfile::tempdir().unwrap();
        let program = script(
            directory.path(),
            "sleep 1000 &\nhead -c 65535 /dev/zero | tr '\\0' x\necho",
        );
        assert_eq!(find(&program, "alice").await.unwrap().unwrap().len(), ANSWER_MAX);
        let program = script(
            directory.path(),
            "sleep 1000 &\nhead -c 65537 /dev/zero | tr '\\0' x",
        );
        let long = find(&program, "alice").await.unwrap_err().to_string();
        assert!(long.contains("more than 64KiB"), "{long}");
        let program = script(directory.path(), "sleep 1000 &\necho oh dear >&2\nexit 3");
        let why = find(&program, "alice").await.unwrap_err().to_string();
        assert!(why.contains("exit status: 3: oh dear"), "{why}");
    }
}
