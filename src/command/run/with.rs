//! `run --with`: servers beside a command that is told where they listen.
//! Absent: scripts.

use std::ffi::OsString;
use std::process::{Command, ExitStatus};

use tracing::warn;

use super::server;
use netkit::connection::BoxFuture;
use netkit::diagnostic::quoted;
use netkit::endpoint::Role;
use netkit::error::{Error, Result, Status, reason};
use netkit::kernel;
use netkit::process::signals::{self, Signal, Signals};
use netkit::script::cut::words;
use netkit::script::play::part::{OURS_ALONE, Part, shell_status, status_words};
use netkit::transport::reading::Reading;

/// A name and the words of its server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct With {
    name: String,
    words: Vec<String>,
}

/// Reads `echo='serve echo tcp:0'`.
pub(crate) fn with(text: &str) -> Result<With, String> {
    let (name, line) = text
        .split_once('=')
        .ok_or("it is written NAME='serve PROTOCOL ENDPOINT'")?;
    let mut letters = name.chars();
    let begins = letters
        .next()
        .is_some_and(|c| c.is_ascii_alphabetic() || c == '_');
    if !begins || !letters.all(|c| c.is_ascii_alphanumeric() || c == '_') {
        return Err(format!(
            "{} is no name: letters, digits and _ make one",
            quoted(name)
        ));
    }
    let words = words(line).map_err(|diagnostic| diagnostic.message)?;
    server::check(&words)?;
    Ok(With {
        name: name.to_owned(),
        words,
    })
}

impl With {
    /// `NETKIT_ECHO`.
    fn variable(&self) -> String {
        format!("NETKIT_{}", self.name.to_ascii_uppercase())
    }
}

/// Refuses names that would be one variable, `a_host` beside `a` included.
pub(super) fn check(all: &[With]) -> Result<()> {
    for (place, one) in all.iter().enumerate() {
        let taken = ["", "_HOST", "_PORT"].map(|end| one.variable() + end);
        for other in &all[..place] {
            let theirs = ["", "_HOST", "_PORT"].map(|end| other.variable() + end);
            if let Some(both) = taken.iter().find(|name| theirs.contains(name)) {
                let why = format!(
                    "{} and {} would both be {both}",
                    quoted(&other.name),
                    quoted(&one.name)
                );
                return Err(Error::new(Status::Usage, why).on("could not take --with"));
            }
        }
    }
    Ok(())
}

/// Starts all, runs the command, stops all. Its status is the run's.
pub(super) async fn run(all: &[With], line: &[OsString]) -> Result<u8> {
    let mut signals = Signals::new()
        .map_err(|error| Error::io(Status::Failure, &error).on("could not listen to signals"))?;
    let mut parts = Vec::new();
    for with in all {
        parts.push(Part::serve(&with.name, server::command(&with.words)?)?);
    }
    let started = tokio::select! {
        started = listening(&mut parts) => started,
        signal = stopping(&mut signals) => {
            stop(&mut parts).await;
            return Ok(128 + number(signal));
        }
    };
    if let Err(error) = started {
        stop(&mut parts).await;
        return Err(error);
    }
    let done = beside(&parts, all, line, &mut signals).await;
    let early: Vec<Option<ExitStatus>> = stop(&mut parts).await;
    let status = done?;
    if !status.success() {
        tell(&parts, &early);
    }
    Ok(shell_status(status))
}

async fn listening(parts: &mut [Part]) -> Result<()> {
    // They start side by side; what is waited for here is the slowest.
    for part in parts {
        part.listening().await?;
    }
    Ok(())
}

/// Runs the command to its end. Signals that come meanwhile are its business.
async fn beside(
    parts: &[Part],
    all: &[With],
    line: &[OsString],
    signals: &mut Signals,
) -> Result<ExitStatus> {
    let [program, arguments @ ..] = line else {
        return Err(Error::new(Status::Usage, "there is no command"));
    };
    let mut command = Command::new(program);
    command.args(arguments);
    for variable in OURS_ALONE {
        command.env_remove(variable);
    }
    for (with, part) in all.iter().zip(parts) {
        export(with, part, &mut command);
    }
    kernel::die_with_us(&mut command);
    let failed = |error: &std::io::Error| {
        let status = match error.kind() {
            std::io::ErrorKind::NotFound => Status::NotFound,
            _ => Status::NotRunnable,
        };
        let what = format!("could not run {}", quoted(&program.to_string_lossy()));
        Error::new(status, reason(error)).on(what)
    };
    let mut child = tokio::process::Command::from(command)
        .spawn()
        .map_err(|error| failed(&error))?;
    let pid = child.id();
    loop {
        tokio::select! {
            status = child.wait() => return status.map_err(|error| failed(&error)),
            signal = signals.next() => {
                // A key at the terminal reaches the command without us.
                if signal != Signal::Interrupt || !signals::come_from_terminal() {
                    pass_on(pid, signal);
                }
            }
        }
    }
}

fn pass_on(pid: Option<u32>, signal: Signal) {
    if let Some(pid) = pid {
        // It may have ended just now.
        let _ = signals::send(pid, signal);
    }
}

/// `NETKIT_NAME`, and host and port where it has them.
fn export(with: &With, part: &Part, command: &mut Command) {
    let Some(endpoint) = part.endpoints().first() else {
        return;
    };
    let name = with.variable();
    command.env(&name, endpoint);
    for field in ["host", "port"] {
        let variable = format!("{name}_{}", field.to_ascii_uppercase());
        // What an outer run left under this name is not ours.
        command.env_remove(&variable);
        let reading = Reading::parse(endpoint.as_ref(), Role::Client).ok();
        let layer = reading.and_then(|reading| reading.layers.into_iter().next_back());
        let fields = layer.map(|layer| layer.fields).unwrap_or_default();
        let value = fields
            .into_iter()
            .find(|found| found.name == field)
            .and_then(|found| found.value);
        if let Some(value) = value {
            command.env(&variable, value);
        }
    }
}

async fn stopping(signals: &mut Signals) -> Signal {
    loop {
        match signals.next().await {
            Signal::Hangup => {}
            signal => return signal,
        }
    }
}

fn number(signal: Signal) -> u8 {
    match signal {
        Signal::Hangup => 1,
        Signal::Interrupt => 2,
        Signal::Terminate => 15,
    }
}

/// Stops all side by side, and says how those ended that did before they were told to.
async fn stop(parts: &mut [Part]) -> Vec<Option<ExitStatus>> {
    let mut early = vec![None; parts.len()];
    let stopping = parts.iter_mut().zip(&mut early).map(|(part, early)| {
        let stopping: BoxFuture<'_, Result<(), ()>> = Box::pin(async move {
            let was_over = part.has_ended();
            let status = part.stop().await;
            *early = status.filter(|_| was_over);
            Ok(())
        });
        stopping
    });
    // None of them fails.
    let _ = netkit::script::play::all(stopping.collect()).await;
    early
}

fn tell(parts: &[Part], early: &[Option<ExitStatus>]) {
    for (part, early) in parts.iter().zip(early) {
        if let Some(status) = early {
            warn!("{} ended by itself, with {}", part.name(), status_words(*status));
        }
        let (said, left_out) = part.said();
        super::say_log(part.name(), &said, left_out);
    }
}
