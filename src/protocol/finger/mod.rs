//! finger: a query, an answer, the end; RFC 1288.
//! Absent: where users are kept, and the verb that asks.

pub mod client;
pub mod query;
pub mod screen;
pub mod users;

mod settings;

pub(super) use settings::FINGER;

use std::collections::HashSet;
use std::fmt::Display;
use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::AsyncReadExt;
use tokio::time::{Instant, timeout, timeout_at};
use tracing::{debug, warn};

use self::query::{QUERY_MAX, Query};
use self::users::{ANSWER_MAX, Users, Wanted};
use super::{Service, Talk, Upkeep, answer_and_end};
use crate::connection::{BoxFuture, Connection, Dial, Stream};
use crate::endpoint::Spec;
use crate::error::{Error, Result, Status};
use crate::escape::bytes_literal;
use crate::need::Need;
use crate::units::duration_text;

/// The manual of the back-ends, as sections of a page: a line at the margin is a heading.
pub const MANUAL: &str = include_str!("manual.txt");

/// The port of finger servers.
pub const PORT: u16 = 79;

const NO_SUCH_USER: &str = "No such user\n";
const FAILED: &str = "Internal error in server\n";
const NO_LIST: &str = "This server lists no users\n";
const NO_USERS: &str = "No users\n";
const NO_FORWARDING: &str = "This server asks no other server\n";
const ONE_HOP: &str = "This server asks one other server and no more\n";
const TOO_LONG: &str = "The query is too long\n";
const TOO_LATE: &str = "No query came in time\n";

/// What a finger server does, and how long it takes for it.
pub struct Terms {
    /// Who is asked, in this order: the first that knows a user answers.
    pub users: Vec<Box<dyn Users>>,
    /// Whether a query without a user gets a list.
    pub lists: bool,
    /// Whether it answers at all: if not, it closes once it has read a query.
    pub answers: bool,
    /// The way to other servers, where queries are passed on to them, and the port that they are asked on.
    pub forward: Option<(Arc<dyn Dial>, u16)>,
    /// How long a client may take to send its query, and how long to take its answer.
    pub query_timeout: Duration,
    /// How long finding an answer may take.
    pub answer_timeout: Duration,
}

/// A finger server.
#[must_use]
pub fn service(terms: Terms) -> Service {
    let terms = Arc::new(terms);
    Service {
        talk: Arc::new(Finger(Arc::clone(&terms))),
        respond: None,
        exchange: None,
        upkeep: Some(Arc::new(Finger(terms))),
    }
}

struct Finger(Arc<Terms>);

impl Talk for Finger {
    fn talk(&self, stream: Stream) -> BoxFuture<'static, io::Result<()>> {
        let terms = Arc::clone(&self.0);
        Box::pin(async move { terms.talk(stream).await })
    }

    fn needs(&self) -> Vec<Need> {
        let mut needs: Vec<Need> = self.0.users.iter().flat_map(|users| users.needs()).collect();
        needs.extend(self.0.forward.is_some().then_some(Need::Dial));
        needs
    }
}

impl Upkeep for Finger {
    fn reload(&self) -> Result<Option<String>> {
        let mut reloaded = Vec::new();
        let mut failed = None;
        for users in &self.0.users {
            match users.reload() {
                Ok(what) => reloaded.extend(what),
                Err(error) => {
                    // The caller tells of one.
                    if let Some(earlier) = failed.replace(error) {
                        warn!("{earlier}");
                    }
                }
            }
        }
        match failed {
            Some(error) => Err(error),
            None => Ok((!reloaded.is_empty()).then(|| reloaded.join(", "))),
        }
    }
}

/// What came in the place of a query.
enum Line {
    Whole(Vec<u8>),
    TooLong,
    Nothing,
}

impl Terms {
    async fn talk(&self, mut stream: Stream) -> io::Result<()> {
        let answer = match timeout(self.query_timeout, read_line(&mut stream)).await {
            Err(_elapsed) => TOO_LATE.into(),
            Ok(line) => match line? {
                Line::Nothing => return Ok(()),
                Line::TooLong => TOO_LONG.into(),
                Line::Whole(line) => {
                    let peer = &stream.facts().peer;
                    debug!("{peer} asks {}", bytes_literal(&line));
                    self.answer(&screen::one_line(&line), peer).await
                }
            },
        };
        let answer = if self.answers {
            screen::answer(&answer)
        } else {
            Vec::new()
        };
        match timeout(self.query_timeout, answer_and_end(stream, answer)).await {
            Ok(ended) => ended,
            Err(_elapsed) => Err(io::ErrorKind::TimedOut.into()),
        }
    }

    /// Never fails: what goes wrong is logged, and the client learns that something did.
    async fn answer(&self, line: &str, peer: &impl Display) -> Vec<u8> {
        if !self.answers {
            return Vec::new();
        }
        // One for all: who asks waits no longer where there are more to be asked.
        let deadline = Instant::now() + self.answer_timeout;
        let found = self.find(line, deadline).await;
        found.unwrap_or_else(|error| {
            let query = bytes_literal(line.as_bytes());
            warn!("could not answer {query} from {peer}: {error}");
            FAILED.into()
        })
    }

    /// What somebody says, unless it fails or takes too long: then the error names who it was.
    async fn heard<T>(
        &self,
        source: impl Into<String>,
        deadline: Instant,
        saying: impl Future<Output = Result<T>>,
    ) -> Result<T> {
        let said = timeout_at(deadline, saying).await.unwrap_or_else(|_elapsed| {
            let limit = duration_text(self.answer_timeout);
            Err(Error::new(Status::Timeout, format!("no answer within {limit}")))
        });
        said.map_err(|error| error.on(source))
    }

    async fn find(&self, line: &str, deadline: Instant) -> Result<Vec<u8>> {
        let query = match Query::parse(line) {
            Ok(query) => query,
            Err(malformed) => return Ok(format!("Not a query: {malformed}\n").into()),
        };
        let (query, host) = query.next_hop();
        if let Some(host) = host {
            let asking = self.pass_on(query, &host);
            return self.heard(format!("asked {host}"), deadline, asking).await;
        }
        let Some(name) = query.user else {
            return self.list(deadline).await;
        };
        let wanted = Wanted {
            name,
            long: query.long,
        };
        for users in &self.users {
            let found = self.heard(users.source(), deadline, users.find(&wanted));
            if let Some(answer) = found.await? {
                return Ok(answer);
            }
        }
        Ok(NO_SUCH_USER.into())
    }

    async fn list(&self, deadline: Instant) -> Result<Vec<u8>> {
        if !self.lists {
            return Ok(NO_LIST.into());
        }
        let mut lists = false;
        let mut names: Vec<String> = Vec::new();
        // A user whom two of them know is one.
        let mut seen = HashSet::new();
        for users in &self.users {
            let found = self.heard(users.source(), deadline, users.list());
            if let Some(more) = found.await? {
                lists = true;
                names.extend(more.into_iter().filter(|name| seen.insert(name.clone())));
            }
        }
        Ok(match (lists, names.is_empty()) {
            (false, _) => NO_LIST.into(),
            (true, true) => NO_USERS.into(),
            (true, false) => names.join("\n").into_bytes(),
        })
    }

    /// Asks another server. What it is asked names no third one, so queries never go in circles.
    async fn pass_on(&self, query: Query, host: &str) -> Result<Vec<u8>> {
        let Some((dial, port)) = &self.forward else {
            return Ok(NO_FORWARDING.into());
        };
        if !query.hosts.is_empty() {
            return Ok(ONE_HOP.into());
        }
        if !is_host(host) {
            return Ok("Not a query: no host can have that name\n".into());
        }
        let bare = host.trim_start_matches('[').trim_end_matches(']');
        let endpoint = Spec::new("tcp").positional(bare).positional(port.to_string());
        let Connection::Stream(stream) = dial.dial(endpoint).await? else {
            return Err(Error::new(Status::Failure, "no stream leads there"));
        };
        let mut heard = Vec::new();
        client::ask(stream, &query, ANSWER_MAX, &mut heard).await?;
        Ok(heard)
    }
}

/// Whether a host may be dialled: a name or an address, without a port, which would lead to other services than finger.
fn is_host(host: &str) -> bool {
    let named = |byte: u8| byte.is_ascii_alphanumeric() || b".-_".contains(&byte);
    let bracketed = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
    match bracketed {
        Some(address) => address.parse::<IpAddr>().is_ok_and(|address| address.is_ipv6()),
        None => host.len() <= 253 && host.bytes().all(named),
    }
}

/// The first line, without its end: LF, or CRLF. A client that ends its half ends its line with it.
async fn read_line(stream: &mut Stream) -> io::Result<Line> {
    // It grows with what comes: a client that says nothing costs nothing.
    let mut line = Vec::new();
    loop {
        let read = stream.read_buf(&mut line).await?;
        if let Some(end) = line.iter().position(|byte| *byte == b'\n') {
            line.truncate(end);
        } else if read > 0 && line.len() <= QUERY_MAX + 1 {
            continue;
        } else if line.is_empty() {
            return Ok(Line::Nothing);
        }
        if line.last() == Some(&b'\r') {
            line.pop();
        }
        return Ok(if line.len() > QUERY_MAX {
            Line::TooLong
        } else {
            Line::Whole(line)
        });
    }
}

#[cfg(test)]
mod tests;
