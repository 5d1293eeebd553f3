//! A program that is asked: run without a shell, the name its one argument, its standard output the answer.
//! Absent: what the program does, and a time limit; dropping the future kills it and what it started.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::process::{Child, Command};
use tokio::sync::Semaphore;

use super::{ANSWER_MAX, Users, Wanted, is_plain};
use crate::connection::BoxFuture;
use crate::error::{Error, Result, Status};
use crate::need::Need;
use crate::units::size_text;

/// Programs that run at once; who asks meanwhile waits, within the time for an answer.
const AT_ONCE: usize = 16;

/// Of what a program says on standard error, so much is kept for the log.
const COMPLAINT_MAX: u64 = 1024;

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

    async fn ask(&self, name: &str) -> Result<Option<Vec<u8>>> {
        let failed = |error: std::io::Error| Error::io(Status::Failure, &error);
        // The semaphore is never closed.
        let _place = self.places.acquire().await.ok();
        let child = Command::new(&self.path)
            .arg(name)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            // Its own group, so that all that it starts ends with it.
            .process_group(0)
            .spawn()
            .map_err(failed)?;
        let mut running = Running(child);
        let (output, complaint) = (running.0.stdout.take(), running.0.stderr.take());
        let (output, complaint) = tokio::try_join!(read_answer(output), read_complaint(complaint))?;
        let status = running.0.wait().await.map_err(failed)?;
        if !status.success() {
            let why = match complaint.is_empty() {
                true => format!("it ended with {status}"),
                false => format!("it ended with {status}: {complaint}"),
            };
            return Err(Error::new(Status::Failure, why));
        }
        // A program that has nothing to say knows nobody.
        Ok(output
            .iter()
            .any(|byte| !byte.is_ascii_whitespace())
            .then_some(output))
    }
}

async fn read_answer(pipe: Option<impl AsyncRead + Unpin>) -> Result<Vec<u8>> {
    let mut output = Vec::new();
    if let Some(pipe) = pipe {
        let mut pipe = pipe.take(ANSWER_MAX as u64 + 1);
        let read = pipe.read_to_end(&mut output).await;
        read.map_err(|error| Error::io(Status::Failure, &error))?;
    }
    if output.len() > ANSWER_MAX {
        let why = format!("it says more than {}", size_text(ANSWER_MAX as u64));
        return Err(Error::new(Status::Failure, why));
    }
    Ok(output)
}

/// The first line; the rest is read and thrown away, so that the program does not block on it.
async fn read_complaint(pipe: Option<impl AsyncRead + Unpin>) -> Result<String> {
    let mut said = Vec::new();
    if let Some(mut pipe) = pipe {
        // What cannot be read cannot be told.
        let _ = (&mut pipe).take(COMPLAINT_MAX).read_to_end(&mut said).await;
        let _ = tokio::io::copy(&mut pipe, &mut tokio::io::sink()).await;
    }
    let text = String::from_utf8_lossy(&said);
    let line = text.lines().next().unwrap_or_default();
    Ok(line.escape_debug().to_string())
}

/// A program that runs. Dropped before its end was had, it is killed, and so is what it started.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        // `id` is there for as long as the process was not waited for, and so its number is nobody else's.
        let group = self
            .0
            .id()
            .and_then(|id| i32::try_from(id).ok())
            .and_then(Pid::from_raw);
        if let Some(group) = group {
            // It may have ended by itself. The runtime takes what is left of it.
            let _ = kill_process_group(group, Signal::KILL);
        }
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
        let text = std::fs::read_to_string(&pids).unwrap();
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
        while !text.split_whitespace().all(gone) {
            assert!(std::time::Instant::now() < deadline, "still there: {text}");
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }
}
