//! `wait`: returns once every endpoint accepts, or none does any more; then a command may take its place.
//! Absent: the attempts.

use std::ffi::OsString;
use std::io;
use std::os::unix::process::CommandExt;
use std::process;
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use tokio::task::JoinSet;
use tracing::{debug, warn};

use crate::cli::values::{Payload, duration, escaped};
use crate::cli::{complete, help};
use netkit::diagnostic::quoted;
use netkit::endpoint::Role;
use netkit::error::{Error, Result, Status};
use netkit::probe::{self, Greeting, Terms};
use netkit::process::log::Log;
use netkit::process::{runtime, signals};
use netkit::transport::reading::{ClientEndpoint, shown};
use netkit::units::duration_text;

const NOTES: &str = "\
Notes:
  An endpoint is there when a connection to it is established to its last
  layer, and tls has verified the server. A connection of TCP or of a UNIX socket
  stands when the system has queued it for whoever listens, which need not have
  accepted it; only a layer above, as TLS, has an answer of the server's. It is
  closed again at once, so a server that takes a single client has had it.
  Names that are not found, ports that refuse and certificates that fail are
  all `not yet`. A string that is wrong, or a file of ours that cannot be read,
  ends the wait at once with status 2. All endpoints are tried side by side.
  After a failure the next attempt follows in 1ms, then 2ms, 4ms and so on up
  to --interval. -v shows what attempts say, -vv each of them. At the time limit one line names every
  endpoint that is missing and what its last attempt said, and the status is 4.

  --gone is over when the system says that nobody is there: refused,
  unreachable, no such name, no such file. The file of a UNIX socket whose server
  has ended refuses, so it counts as gone. Silence does not, as the backlog of
  a busy server is silent too, nor does a handshake that fails.

  UDP: an open port says nothing, so --send is needed. Any answer, or one that
  holds --expect, says that somebody is there; refused and no answer are `not
  yet`. What is not answered is sent again every second.

  A command behind -- is run when all are there, in the place of netkit: same
  process, so signals reach it and its status is the command's own. The
  status is 127 where it is not found, 126 where it cannot be run, and if the
  wait fails it is not run.";

const EXAMPLES: &str = "\
Examples:
  netkit serve lines tcp:1234 unix:lines.sock &
  netkit wait tcp:localhost:1234 unix:lines.sock
  netkit wait tcp:localhost:1234 --expect established --timeout 5s -- echo ready
  kill %1
  netkit wait --gone tcp:localhost:1234";

/// Return once every endpoint accepts a connection, and then run a command
#[derive(Debug, Args)]
#[command(
    override_usage = "netkit wait [OPTIONS] ENDPOINT... [-- COMMAND...]",
    after_long_help = help::parts(&[NOTES, EXAMPLES, &help::endpoints(Role::Client), &help::wrappers(Role::Client)])
)]
pub(crate) struct Wait {
    /// What has to be there, such as tcp:localhost:1234 or tls:example.com:443
    #[arg(value_name = "ENDPOINT", required = true, add = complete::client())]
    endpoints: Vec<OsString>,
    /// Give up after so long, with status 4
    #[arg(short, long, value_name = "DURATION", default_value = "30s", value_parser = duration)]
    timeout: Duration,
    /// The limit on one attempt; one that is not answered by then is followed by the next
    #[arg(long, value_name = "DURATION", default_value = "5s", value_parser = duration)]
    attempt_timeout: Duration,
    /// The longest wait between two attempts
    #[arg(short, long, value_name = "DURATION", default_value = "100ms", value_parser = duration)]
    interval: Duration,
    /// Wait until every attempt has succeeded for so long
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    stable: Option<Duration>,
    /// Send TEXT on each connection; \r \n \t \0 \\ and \xHH are understood
    #[arg(long, value_name = "TEXT", value_parser = escaped, allow_hyphen_values = true)]
    send: Option<Payload>,
    /// What comes has to hold TEXT, escapes as with --send
    #[arg(long, value_name = "TEXT", value_parser = escaped, allow_hyphen_values = true)]
    expect: Option<Payload>,
    /// Wait until nobody accepts any more
    #[arg(long, conflicts_with = "expect")]
    gone: bool,
    /// Run this when all are there, in the place of netkit
    #[arg(value_name = "COMMAND", last = true, value_hint = clap::ValueHint::CommandWithArguments)]
    command: Vec<OsString>,
}

impl Wait {
    /// Waits, and becomes the command if there is one.
    pub(super) fn run(self, log: &Log) -> Result<Status> {
        let endpoints = self.endpoints()?;
        let terms = self.terms()?;
        let runtime = runtime::current_thread()?;
        let status = runtime.block_on(async {
            tokio::select! {
                biased;
                () = signals::interrupted() => Ok(Status::Interrupted),
                // Without a file the signal keeps its meaning: the terminal is gone.
                never = signals::on_hangup(|| reopen(log)), if log.has_file() => match never {},
                done = self.all(endpoints, terms) => done,
            }
        });
        // A name being looked up must not keep the process.
        runtime.shutdown_background();
        match (status, &self.command[..]) {
            (Ok(Status::Done), [program, arguments @ ..]) => Err(become_command(program, arguments)),
            (status, _) => status,
        }
    }

    fn endpoints(&self) -> Result<Vec<ClientEndpoint>> {
        let read = |text| -> Result<ClientEndpoint> {
            let endpoint = ClientEndpoint::parse(text)?;
            let refused = |why: &str| {
                Error::new(Status::Usage, why).on(format!("could not wait for {}", shown(endpoint.text())))
            };
            if matches!(endpoint.type_name(), "stdio" | "fd") {
                return Err(refused("what is open already is there already"));
            }
            if endpoint.carries_datagrams() && self.send.is_none() {
                let why = "an open UDP port says nothing by itself: whether somebody is there cannot be told";
                return Err(
                    refused(why).help("--send TEXT asks, and --expect TEXT says what the answer holds")
                );
            }
            Ok(endpoint)
        };
        self.endpoints.iter().map(|text| read(text)).collect()
    }

    fn terms(&self) -> Result<Terms> {
        let stable = self.stable.unwrap_or_default();
        if stable >= self.timeout {
            let why = format!(
                "--timeout {} is over before --stable {}",
                duration_text(self.timeout),
                duration_text(stable)
            );
            return Err(Error::new(Status::Usage, why).on("could not wait"));
        }
        Ok(Terms {
            limit: self.timeout,
            attempt: self.attempt_timeout,
            interval: self.interval,
            stable,
            greeting: Greeting {
                send: self.send.as_ref().map(|send| send.0.clone()),
                expect: self
                    .expect
                    .as_ref()
                    .map(|text| text.0.clone())
                    .unwrap_or_default(),
            },
        })
    }

    /// Waits for all, side by side.
    async fn all(&self, endpoints: Vec<ClientEndpoint>, terms: Terms) -> Result<Status> {
        let (terms, gone, several) = (Arc::new(terms), self.gone, endpoints.len() > 1);
        let mut under_way = JoinSet::new();
        for (place, endpoint) in endpoints.into_iter().enumerate() {
            let terms = Arc::clone(&terms);
            under_way.spawn(async move {
                let done = one(&endpoint, &terms, gone).await;
                (place, endpoint, done)
            });
        }
        let mut missing = Vec::new();
        while let Some(done) = under_way.join_next().await {
            match done {
                Ok((_, _, Ok(()))) => {}
                Ok((place, endpoint, Err(error))) if error.status() == Status::Timeout => {
                    missing.push((place, endpoint, error));
                }
                // No attempt will mend it, so nobody waits for the others.
                Ok((.., Err(error))) => return Err(error),
                Err(_panicked) => {
                    return Err(Error::new(Status::Failure, "the attempts broke off").on("could not wait"));
                }
            }
        }
        missing.sort_by_key(|(place, ..)| *place);
        match &missing[..] {
            [] => Ok(Status::Done),
            [(_, _, error)] if !several => Err(error.clone()),
            _ => {
                let each = missing
                    .iter()
                    .map(|(_, endpoint, error)| format!("{}: {}", shown(endpoint.text()), error.why()));
                let why = each.collect::<Vec<_>>().join("; ");
                let what = format!("gave up after {}", duration_text(self.timeout));
                Err(Error::new(Status::Timeout, why).on(what))
            }
        }
    }
}

async fn one(endpoint: &ClientEndpoint, terms: &Terms, gone: bool) -> Result<()> {
    let name = shown(endpoint.text());
    if gone {
        let left = probe::until_gone(endpoint, terms).await?;
        let (after, count) = (whole_millis(left.after), attempts(left.attempts));
        debug!("{name} is gone after {after} and {count}: {}", left.why);
    } else {
        let arrival = probe::until(endpoint, terms).await?;
        let (after, count) = (whole_millis(arrival.after), attempts(arrival.attempts));
        debug!("{name} is there after {after} and {count}");
    }
    Ok(())
}

fn attempts(count: u32) -> String {
    match count {
        1 => "1 attempt".into(),
        _ => format!("{count} attempts"),
    }
}

fn whole_millis(time: Duration) -> String {
    duration_text(Duration::from_millis(
        u64::try_from(time.as_millis()).unwrap_or(u64::MAX),
    ))
}

/// Runs a command in this process. It returns only where that failed.
fn become_command(program: &OsString, arguments: &[OsString]) -> Error {
    let error = process::Command::new(program).args(arguments).exec();
    let status = match error.kind() {
        io::ErrorKind::NotFound => Status::NotFound,
        _ => Status::NotRunnable,
    };
    Error::io(status, &error).on(format!("could not run {}", quoted(&program.to_string_lossy())))
}

fn reopen(log: &Log) {
    if let Err(error) = log.reopen() {
        warn!("{error}");
    }
}
