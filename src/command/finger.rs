//! `finger`: asks finger servers about users and prints what they say, safe for a terminal.
//! Absent: the query and the answer on the wire.

use std::collections::VecDeque;
use std::ffi::OsString;
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use tokio::task::JoinHandle;
use tracing::{Level, debug, enabled, error};

use super::report;
use crate::cli::values::duration;
use crate::cli::{complete, help};
use netkit::connection::tap::log::Log as DataLog;
use netkit::connection::tap::{Tap, tapped_stream};
use netkit::connection::{Connection, Dial};
use netkit::diagnostic::quoted;
use netkit::endpoint::{Role, Spec};
use netkit::error::{Error, Result, Status};
use netkit::process::log::Log;
use netkit::process::{runtime, signals};
use netkit::protocol::finger::client::ask;
use netkit::protocol::finger::query::{QUERY_MAX, Query};
use netkit::protocol::finger::{PORT, screen};
use netkit::server::ready::TARGET;
use netkit::transport::reading::{ClientEndpoint, Dialler, shown};
use netkit::units::duration_text;

/// Longer answers are cut.
const ANSWER_MAX: usize = 1024 * 1024;

/// Servers that are asked at once.
const AT_ONCE: usize = 16;

const NOTES: &str = "\
Notes:
  USER@HOST asks HOST about USER, @HOST asks it for a list of its users, and
  without a host this machine is asked. USER@A@B asks B to ask A, which few
  servers do. An IPv6 address goes in brackets, as in alice@[::1]:79.

  Of several queries the answers come in the order of the queries, each below
  the name of its host in brackets. Control characters are left out of them.
  The status is 0, or the highest of those that the queries ended with.";

const EXAMPLES: &str = "\
Examples:
  netkit serve finger tcp:1234 --user-entry 'alice=Down the hole' &
  netkit finger alice@localhost:1234
  netkit finger --port 1234 @localhost -l alice
  netkit finger --endpoint tcp:localhost:1234 alice
  kill %1";

/// Query a finger server
#[derive(Debug, Args)]
#[command(after_long_help = help::parts(&[NOTES, EXAMPLES, &help::endpoints(Role::Client), &help::wrappers(Role::Client)]))]
pub(crate) struct Finger {
    /// USER, USER@HOST[:PORT] or @HOST[:PORT]; nothing asks this machine for a list
    #[arg(value_name = "TARGET")]
    targets: Vec<String>,
    /// Ask for more than usual (RFC 1288: /W)
    #[arg(short, long)]
    long: bool,
    /// The port of hosts that are named without one
    #[arg(short, long, value_name = "PORT", default_value_t = PORT, value_parser = clap::value_parser!(u16).range(1..))]
    port: u16,
    /// Give up on a server that has not answered in full by then
    #[arg(short, long, value_name = "DURATION", default_value = "30s", value_parser = duration)]
    timeout: Duration,
    /// Ask here, whatever host is named: what is asked goes there as it stands
    #[arg(short, long, value_name = "ENDPOINT", add = complete::client())]
    endpoint: Option<OsString>,
}

/// One query: what is asked, and where.
#[derive(Debug, Clone)]
struct Question {
    /// What stands above the answer.
    heading: String,
    query: Query,
    endpoint: Spec,
    text: String,
    timeout: Duration,
}

/// What came of one.
struct Heard {
    answer: Vec<u8>,
    failure: Option<Error>,
}

impl Finger {
    /// Asks all, and prints the answers in order.
    pub(super) fn run(self, log: &Log) -> Result<Status> {
        let questions = self.questions()?;
        let runtime = runtime::current_thread()?;
        let status = runtime.block_on(async {
            tokio::select! {
                biased;
                () = signals::interrupted() => Ok(Status::Interrupted),
                never = signals::on_hangup(|| drop(log.reopen())), if log.has_file() => match never {},
                done = ask_all(questions) => done,
            }
        });
        // A name being looked up must not keep the process.
        runtime.shutdown_background();
        status
    }

    /// Reads everything before anything is asked.
    fn questions(&self) -> Result<Vec<Question>> {
        let endpoint = match &self.endpoint {
            None => None,
            Some(text) => {
                let endpoint = ClientEndpoint::parse(text)?;
                Some((Spec::parse_os(text)?, endpoint.text().to_owned()))
            }
        };
        let alone = [String::new()];
        let targets = if self.targets.is_empty() {
            &alone
        } else {
            &self.targets[..]
        };
        targets
            .iter()
            .map(|target| self.question(target, endpoint.as_ref()))
            .collect()
    }

    fn question(&self, target: &str, endpoint: Option<&(Spec, String)>) -> Result<Question> {
        let refused = |why: String| {
            Error::new(Status::Usage, why).on(format!("could not ask about {}", quoted(target)))
        };
        if target.chars().any(char::is_control) {
            return Err(refused("there are control characters in it".into()));
        }
        if target.len() > QUERY_MAX / 2 {
            return Err(refused("it is longer than any server reads".into()));
        }
        let mut query = Query::parse(target).map_err(|malformed| refused(malformed.to_string()))?;
        // The switch is one here too: what is typed is what is sent.
        query.long |= self.long;
        let timeout = self.timeout;
        if let Some((endpoint, text)) = endpoint {
            return Ok(Question {
                heading: query.hosts.last().unwrap_or(text).clone(),
                query,
                endpoint: endpoint.clone(),
                text: text.clone(),
                timeout,
            });
        }
        let (query, host) = query.next_hop();
        let host = host.unwrap_or_else(|| "localhost".into());
        let (name, port) = split(&host, self.port)
            .ok_or_else(|| refused(format!("{} is no host, or a host and a port", quoted(&host))))?;
        let endpoint = Spec::new("tcp").positional(name).positional(port.to_string());
        let text = endpoint.to_string();
        // What is wrong with the host is said now, and of the endpoint that it would make.
        ClientEndpoint::parse(text.as_ref()).map_err(|bad| refused(bad.diagnostic.message.clone()))?;
        Ok(Question {
            heading: host,
            query,
            endpoint,
            text,
            timeout,
        })
    }
}

/// A host and its port: `host`, `host:79`, `[::1]`, `[::1]:79`, and `::1`, which cannot be meant otherwise.
fn split(host: &str, default: u16) -> Option<(&str, u16)> {
    let port = |text: &str| text.parse().ok().filter(|port: &u16| *port > 0);
    if let Some(rest) = host.strip_prefix('[') {
        let (address, rest) = rest.split_once(']')?;
        return match rest.strip_prefix(':') {
            Some(text) => Some((address, port(text)?)),
            None => rest.is_empty().then_some((address, default)),
        };
    }
    match host.split_once(':') {
        None => Some((host, default)),
        Some((_, rest)) if rest.contains(':') => Some((host, default)),
        Some((name, text)) => (!name.is_empty()).then_some((name, port(text)?)),
    }
}

/// Asks several at once, and prints each answer when those before it are printed.
async fn ask_all(questions: Vec<Question>) -> Result<Status> {
    let several = questions.len() > 1;
    let mut waiting = questions.into_iter();
    let mut under_way: VecDeque<(String, JoinHandle<Heard>)> = VecDeque::new();
    let mut worst = Status::Done;
    loop {
        while under_way.len() < AT_ONCE
            && let Some(question) = waiting.next()
        {
            under_way.push_back((question.heading.clone(), tokio::spawn(question.ask())));
        }
        let Some((heading, task)) = under_way.pop_front() else {
            return Ok(worst);
        };
        let Ok(heard) = task.await else {
            // One that panicked has said so.
            worst = Status::Failure;
            continue;
        };
        let mut text = screen::screened(&heard.answer);
        if !text.is_empty() && !text.ends_with('\n') {
            text.push('\n');
        }
        if several {
            text.insert_str(0, &format!("[{}]\n", screen::one_line(heading.as_bytes())));
        }
        report::print(text.as_bytes())?;
        match heard.failure {
            None => {}
            Some(failure) if !several => return Err(failure),
            Some(failure) => {
                error!(target: TARGET, "{failure}");
                if failure.status().code() > worst.code() {
                    worst = failure.status();
                }
            }
        }
    }
}

impl Question {
    async fn ask(self) -> Heard {
        let mut answer = Vec::new();
        let done = match tokio::time::timeout(self.timeout, self.talk(&mut answer)).await {
            Ok(done) => done.map_err(|failure| {
                let what = match failure.status() {
                    Status::Lost => "lost the connection to",
                    _ => "could not ask",
                };
                failure.on(format!("{what} {}", shown(&self.text)))
            }),
            Err(_elapsed) => {
                let why = format!("there was no whole answer within {}", duration_text(self.timeout));
                Err(Error::new(Status::Timeout, why).on(format!("gave up on {}", shown(&self.text))))
            }
        };
        Heard {
            answer,
            failure: done.err(),
        }
    }

    async fn talk(&self, answer: &mut Vec<u8>) -> Result<()> {
        let dial: Arc<dyn Dial> = Arc::new(Dialler);
        let connection = dial.dial(self.endpoint.clone()).await?;
        debug!("connected to {}", connection.facts().peer);
        let Connection::Stream(stream) = connection else {
            let why = "it carries datagrams, and finger needs a connection";
            return Err(Error::new(Status::Usage, why));
        };
        let mut taps: Vec<Box<dyn Tap>> = Vec::new();
        if enabled!(Level::TRACE) {
            taps.push(Box::new(DataLog::of(stream.facts().peer.to_string())));
        }
        ask(tapped_stream(stream, taps), &self.query, ANSWER_MAX, answer).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_and_ports() {
        for (host, wanted) in [
            ("h", Some(("h", 79))),
            ("h:1234", Some(("h", 1234))),
            ("[::1]", Some(("::1", 79))),
            ("[::1]:1234", Some(("::1", 1234))),
            ("::1", Some(("::1", 79))),
            ("h:0", None),
            ("h:", None),
            (":79", None),
            ("h:65536", None),
            ("[::1", None),
            ("[::1]x", None),
        ] {
            assert_eq!(split(host, 79), wanted, "{host}");
        }
    }
}
