//! `run`: scripts that start servers, talk as several peers, and expect; or servers beside a command.
//! Absent: what a script says, and playing it.

mod reporter;
mod server;
mod with;

use std::ffi::OsString;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use clap::{Args, ValueHint};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tracing::warn;

use self::reporter::{Form, Reporter};
use self::with::With;
use crate::cli::help;
use netkit::connection::BoxFuture;
use netkit::diagnostic::{Diagnostic, line_of, quoted};
use netkit::error::{Error, Result, Status};
use netkit::orphans;
use netkit::probe;
use netkit::process::runtime;
use netkit::process::signals::{self, Signal, Signals};
use netkit::script::chosen::{Filter, scripts};
use netkit::script::play::{Means, Terms, play};
use netkit::script::report::{Told, Verdict, worst};
use netkit::script::{Action, Kind, REFUSALS_MAX, Refusal, Script, Step};
use netkit::transport::reading::ClientEndpoint;

const NOTES: &str = "\
Notes:
  A script is a text with a step a line; netkit-script(5) describes them. All
  scripts are read and checked before anything is started: what is wrong in
  one is shown with its line, and the status is 2. A directory stands for all
  files below it whose names end in .netkit.

  The scripts of a run have nothing in common: each has its own parts, its own
  ports and its own directory $TMP, in which its parts run. When a script has
  ended, in whatever way, its connections are closed, its parts and all that
  they started have ended, and its directory is removed. What a part has put
  in the background, as a daemon, is killed then too if it works in $TMP or has
  it as its TMPDIR, else at the end of the run. What runs as another user, as
  sudo does, may not be killed; a warning says so, and the run goes on.

  The report goes to standard output: each script with its steps and the time
  that each took; of a step that failed its line, what was expected and what
  arrived, what was said on the connections, and what the parts logged. -q
  leaves out what passed.

  The status is that of the worst script: 6 if any failed, else 4 if any ran
  out of time, else 0. SIGINT and SIGTERM stop all parts; the report tells of
  what was played, and the status is 130 or 143.

  With --with, servers are started for the time of a command. It finds in
  NETKIT_NAME the endpoint that leads to the one called NAME, the first if it
  has several, and its host and port in NETKIT_NAME_HOST and NETKIT_NAME_PORT,
  the name in capitals. It
  starts when all of them listen; signals are passed on to it. What the
  servers logged is shown if it fails. The status is that of the command, 128
  and the number of the signal if one ended it, 127 if it was not found and
  126 if it could not be run.";

const EXAMPLES: &str = "\
Examples:
  netkit run --with echo='serve echo tcp:0' -- \\
    sh -c 'echo hello | netkit connect $NETKIT_ECHO'";

/// Play scripts that test servers and clients, or run a command beside servers
#[derive(Debug, Args)]
#[command(after_long_help = help::parts(&[NOTES, EXAMPLES]))]
pub(crate) struct Run {
    /// Scripts, and directories of such
    #[arg(
        value_name = "SCRIPT", required_unless_present = "with", conflicts_with = "with", value_hint = ValueHint::AnyPath
    )]
    scripts: Vec<PathBuf>,
    /// A server to start beside a command: NAME='serve PROTOCOL ENDPOINT...' or NAME='relay ...', with any of their flags
    #[arg(long, value_name = "NAME=SERVER", value_parser = with::with, requires = "command")]
    with: Vec<With>,
    /// Play only scripts whose path matches this regex; a part of a name is one
    #[arg(long, value_name = "REGEX", value_parser = Filter::parse, conflicts_with = "with")]
    filter: Option<Filter>,
    /// How many scripts are played at once
    #[arg(
        short, long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=256),
        conflicts_with = "with"
    )]
    jobs: u16,
    /// Report as TAP, version 14
    #[arg(long, conflicts_with_all = ["json", "with"])]
    tap: bool,
    /// Report as JSON, one object when all have been played
    #[arg(long, conflicts_with = "with")]
    json: bool,
    /// Write a report as JUnit's XML as well; the file appears whole
    #[arg(long, value_name = "FILE", conflicts_with = "with")]
    junit: Option<PathBuf>,
    /// Keep the directory of a script that failed; the report says where it is
    #[arg(long, conflicts_with = "with")]
    keep: bool,
    /// The command that is run beside the servers
    #[arg(last = true, value_name = "COMMAND", requires = "with", value_hint = ValueHint::CommandWithArguments)]
    command: Vec<OsString>,
}

impl Run {
    /// Plays all, or runs the command; a status of the run, or the command's. `brief`: only what failed is told.
    pub(super) fn run(self, brief: bool) -> Result<u8> {
        if !self.with.is_empty() {
            with::check(&self.with)?;
            let runtime = runtime::current_thread()?;
            let status = runtime.block_on(with::run(&self.with, &self.command));
            runtime.shutdown_background();
            return status;
        }
        let scripts = self.read()?;
        let form = match (self.tap, self.json) {
            (true, _) => Form::Tap,
            (_, true) => Form::Json,
            _ => Form::Text { brief },
        };
        // What a program puts in the background ends with the run too.
        orphans::take_in().map_err(|error| Error::io(Status::Failure, &error).on("could not start"))?;
        let runtime = runtime::current_thread()?;
        let mut reporter = Reporter::new(form, scripts.len());
        let start = Instant::now();
        let done = runtime.block_on(self.play(scripts, &mut reporter));
        runtime.shutdown_background();
        for left in orphans::end() {
            warn!(
                "process {}, which a script has left running, cannot be killed",
                left.as_raw_nonzero()
            );
        }
        let ended = done?;
        let all = reporter.finish(start.elapsed())?;
        if let Some(file) = &self.junit {
            reporter::junit(file, &all, start.elapsed())?;
        }
        Ok(ended.unwrap_or_else(|| worst(&all).code()))
    }

    /// Reads all scripts before any is played.
    fn read(&self) -> Result<Vec<(String, Arc<Script>)>> {
        let mut read = Vec::new();
        let mut refused = Vec::new();
        for path in scripts(&self.scripts, self.filter.as_ref())? {
            match Script::read(&path) {
                Ok(script) => {
                    let before = refused.len();
                    check(&script.steps, &script, &mut refused);
                    if refused.len() == before {
                        read.push((path.display().to_string(), Arc::new(script)));
                    }
                    refused.truncate(before + REFUSALS_MAX);
                }
                Err(all) => refused.extend(all.into_iter().map(Error::from)),
            }
        }
        match refused.pop() {
            None => Ok(read),
            Some(last) => {
                for error in refused {
                    // Standard error may be closed; there is nowhere left to say so.
                    let _ = writeln!(io::stderr(), "error: {error:#}");
                }
                Err(last)
            }
        }
    }

    /// Plays all; a status, where a signal has ended it.
    async fn play(&self, scripts: Vec<(String, Arc<Script>)>, reporter: &mut Reporter) -> Result<Option<u8>> {
        let mut signals = Signals::new()
            .map_err(|error| Error::io(Status::Failure, &error).on("could not listen to signals"))?;
        let (stop, stopped) = watch::channel(false);
        let mut ended = None;
        let mut under_way: JoinSet<(usize, Result<Told>)> = JoinSet::new();
        let mut places = std::collections::HashMap::new();
        let mut next = scripts.iter().enumerate();
        let reaping = signals::on_end_of_child(orphans::reap);
        tokio::pin!(reaping);
        loop {
            while ended.is_none() && under_way.len() < usize::from(self.jobs) {
                let Some((place, (name, script))) = next.next() else {
                    break;
                };
                reporter.begins(name);
                let script = Arc::clone(script);
                let terms = Terms {
                    name: name.clone(),
                    keep: self.keep,
                    stop: stopped.clone(),
                };
                let task = under_way.spawn(async move { (place, play(&script, &Ours, &terms).await) });
                places.insert(task.id(), place);
            }
            tokio::select! {
                done = under_way.join_next_with_id() => match done {
                    None => return Ok(ended),
                    Some(Ok((_, (place, told)))) => reporter.ended(place, told?)?,
                    Some(Err(broken)) => {
                        let place = places.get(&broken.id()).copied().unwrap_or_default();
                        let (name, script) = &scripts[place];
                        reporter.ended(place, panicked(name, script))?;
                    }
                },
                never = &mut reaping => match never {},
                signal = signals.next() => {
                    let status = match signal {
                        Signal::Interrupt => Status::Interrupted.code(),
                        Signal::Terminate => 128 + 15,
                        // Who reads the report may have gone.
                        Signal::Hangup => 128 + 1,
                    };
                    if ended.is_some() {
                        // What is under way is dropped, and so killed.
                        return Ok(Some(status));
                    }
                    ended = Some(status);
                    // Nobody may be left to hear it.
                    let _ = stop.send(true);
                }
            }
        }
    }
}

/// A fault of ours is no reason to lose the others' results.
fn panicked(name: &str, script: &Script) -> Told {
    let first = script.steps.first().map(|step| step.place).unwrap_or_default();
    let failure = netkit::script::report::Failure {
        status: Status::Expectation,
        file: name.to_owned(),
        number: first.line,
        line: script.line(first).to_owned(),
        span: netkit::diagnostic::Span::default(),
        why: "netkit itself failed".into(),
        picture: Vec::new(),
        conversations: Vec::new(),
        parts: Vec::new(),
        kept: None,
    };
    Told {
        name: name.to_owned(),
        steps: Vec::new(),
        more_steps: 0,
        verdict: Verdict::Failed(Box::new(failure)),
        took: Duration::ZERO,
    }
}

/// Refuses each `start` whose words are no server, as far as they are known before.
fn check(steps: &[Step], script: &Script, all: &mut Vec<Error>) {
    for step in steps {
        match &step.action {
            Action::Start { command, .. } => {
                let words = command.iter().map(|text| match text.literal() {
                    Some(bytes) => String::from_utf8(bytes.to_vec()).ok(),
                    None => None,
                });
                let Some(words) = words.collect::<Option<Vec<String>>>() else {
                    continue;
                };
                if let Err(why) = server::check(&words) {
                    all.push(refused(step, script, why));
                }
            }
            Action::Repeat { steps, .. } | Action::Include { steps, .. } => check(steps, script, all),
            Action::Parallel { branches } => branches.iter().for_each(|steps| check(steps, script, all)),
            _ => {}
        }
    }
}

fn refused(step: &Step, script: &Script, why: String) -> Error {
    let Some(source) = script.source(step.place) else {
        return Error::new(Status::Usage, why);
    };
    let (line, text, span) = line_of(&source.text, step.place.span);
    Error::from(Refusal {
        kind: Kind::UnknownWord,
        path: source.path.clone(),
        line,
        diagnostic: Diagnostic {
            message: why,
            source: text.to_owned(),
            span,
            help: None,
        },
    })
}

/// Servers are started from this program; waiting is what `wait` does.
struct Ours;

impl Means for Ours {
    fn server(&self, words: &[OsString]) -> Result<std::process::Command> {
        let words: Option<Vec<String>> = words
            .iter()
            .map(|word| word.to_str().map(str::to_owned))
            .collect();
        let words = words.ok_or_else(|| Error::new(Status::Usage, "its words are no text"))?;
        server::check(&words).map_err(|why| Error::new(Status::Usage, why))?;
        server::command(&words)
    }

    fn wait<'a>(
        &'a self,
        endpoint: &'a ClientEndpoint,
        gone: bool,
        limit: Duration,
    ) -> BoxFuture<'a, Result<()>> {
        Box::pin(async move {
            let terms = probe::Terms {
                limit,
                ..probe::Terms::default()
            };
            match gone {
                false => probe::until(endpoint, &terms).await.map(drop),
                true => probe::until_gone(endpoint, &terms).await.map(drop),
            }
        })
    }
}

/// Shows on standard error what a server said.
fn say_log(name: &str, said: &str, left_out: u64) {
    let mut text = String::new();
    if said.is_empty() {
        return;
    }
    text.push_str(&format!("{} said:\n", quoted(name)));
    if left_out > 0 {
        text.push_str("  …\n");
    }
    for line in said.lines() {
        text.push_str(&format!("  {}\n", netkit::script::report::shown(line)));
    }
    // Standard error may be closed; there is nowhere left to say so.
    let _ = io::stderr().write_all(text.as_bytes());
}

/// A name on one line.
fn shown(path: &Path) -> String {
    path.display().to_string().escape_debug().to_string()
}
