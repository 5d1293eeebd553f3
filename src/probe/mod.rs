//! Trying a client endpoint until somebody is there, or until nobody is any more: `until`, `until_gone`.
//! Absent: several endpoints at once, and what is done when they are there.

mod greeting;

use std::time::Duration;

use tokio::time::{Instant, timeout_at};
use tracing::{debug, trace};

use crate::connection::{Connection, Facts};
use crate::error::{Error, Result, Status};
use crate::transport::reading::{ClientEndpoint, shown};
use crate::units::duration_text;
pub use greeting::{GREETING_MAX, Greeting};

/// The wait after the first failure. A server that starts in a few milliseconds is seen in a few.
const FIRST_STEP: Duration = Duration::from_millis(1);

/// How long, and what counts.
#[derive(Debug, Clone)]
pub struct Terms {
    /// The limit on all attempts together.
    pub limit: Duration,
    /// The limit on one attempt, what is sent and awaited included; the endpoint's own may be shorter. Without it one that
    /// is never answered would be the last.
    pub attempt: Duration,
    /// The longest wait between two attempts. The waits begin with 1 ms and double until then.
    pub interval: Duration,
    /// Every attempt has to succeed for so long before it counts; zero: the first that does is enough.
    pub stable: Duration,
    /// What is sent, and what has to come.
    pub greeting: Greeting,
}

impl Default for Terms {
    /// 30 s in all, 5 s for an attempt, at most 100 ms in between.
    fn default() -> Self {
        Terms {
            limit: Duration::from_secs(30),
            attempt: Duration::from_secs(5),
            interval: Duration::from_millis(100),
            stable: Duration::ZERO,
            greeting: Greeting::default(),
        }
    }
}

/// Somebody is there.
#[derive(Debug, Clone)]
pub struct Arrival {
    /// The attempts that it took.
    pub attempts: u32,
    /// The time from the first attempt on.
    pub after: Duration,
    /// What is known of the connection that showed it, which is closed again.
    pub facts: Facts,
}

/// Nobody is there any more.
#[derive(Debug, Clone)]
pub struct Departure {
    /// The attempts that it took.
    pub attempts: u32,
    /// The time from the first attempt on.
    pub after: Duration,
    /// What the last attempt said.
    pub why: String,
}

/// Tries an endpoint until a connection is established to its last layer, and what is expected has come. Names that are
/// not found, refusals, handshakes that fail: all that is "not yet". Each connection is closed again.
///
/// Dropping the future gives up.
///
/// # Errors
/// Status 4, with the reason of the last attempt as the `why`, when the limit is reached; status 2 at once where no attempt
/// will ever succeed, as with a key that cannot be read.
pub async fn until(endpoint: &ClientEndpoint, terms: &Terms) -> Result<Arrival> {
    let mut attempts = Attempts::of(endpoint, terms);
    let mut since = None;
    loop {
        match attempts.next().await? {
            None => return Err(attempts.late()),
            Some(Ok(facts)) => {
                let now = Instant::now();
                let first = *since.get_or_insert(now);
                if now.duration_since(first) >= terms.stable {
                    return Ok(Arrival {
                        attempts: attempts.count,
                        after: attempts.start.elapsed(),
                        facts,
                    });
                }
                attempts.unsettled(first);
                // The last look is at the end of the time, not an interval later.
                attempts.rest(Some(first + terms.stable)).await;
            }
            Some(Err(_)) => {
                since = None;
                attempts.rest(None).await;
            }
        }
    }
}

/// Tries an endpoint until the system says that nobody is there: refused, unreachable, no such name, no such file. Silence,
/// a handshake that fails or a file that we may not open leave it open who is, and so are no such answer.
///
/// With [`Terms::stable`], all answers for so long have to be of that kind.
///
/// # Errors
/// As [`until`].
pub async fn until_gone(endpoint: &ClientEndpoint, terms: &Terms) -> Result<Departure> {
    let mut attempts = Attempts::of(endpoint, terms);
    let mut since = None;
    loop {
        match attempts.next().await? {
            None => return Err(attempts.late()),
            Some(Err(error)) if error.is_absence() => {
                let now = Instant::now();
                let first = *since.get_or_insert(now);
                if now.duration_since(first) >= terms.stable {
                    return Ok(Departure {
                        attempts: attempts.count,
                        after: attempts.start.elapsed(),
                        why: error.why().to_owned(),
                    });
                }
                attempts.unsettled(first);
                attempts.rest(Some(first + terms.stable)).await;
            }
            Some(answer) => {
                since = None;
                if answer.is_ok() {
                    attempts.last = Some("it still accepts".into());
                }
                attempts.rest(None).await;
            }
        }
    }
}

/// One attempt after the other.
struct Attempts<'a> {
    endpoint: &'a ClientEndpoint,
    terms: &'a Terms,
    start: Instant,
    end: Instant,
    step: Duration,
    count: u32,
    /// Why it is not over yet, by the last attempt that came to an end.
    last: Option<String>,
    /// The last certificate or handshake that was refused: of all reasons the one that waiting does not mend.
    refused: Option<String>,
    help: Option<String>,
}

impl<'a> Attempts<'a> {
    fn of(endpoint: &'a ClientEndpoint, terms: &'a Terms) -> Self {
        let start = Instant::now();
        Attempts {
            endpoint,
            terms,
            start,
            end: start + terms.limit,
            step: FIRST_STEP,
            count: 0,
            last: None,
            refused: None,
            help: None,
        }
    }

    /// What the next one says; `None`: the limit is reached.
    async fn next(&mut self) -> Result<Option<Result<Facts>>> {
        if self.count > 0 && Instant::now() >= self.end {
            return Ok(None);
        }
        self.count = self.count.saturating_add(1);
        let limit = (Instant::now() + self.terms.attempt).min(self.end);
        let mut came = Vec::new();
        let done = match timeout_at(limit, self.attempt(&mut came)).await {
            Ok(done) => done,
            Err(_elapsed) => {
                let whole = limit < self.end;
                // What the limit on the run cuts short has said nothing; the attempt before it may have.
                if !whole && came.is_empty() && self.last.is_some() {
                    return Ok(None);
                }
                let time = if whole {
                    self.terms.attempt
                } else {
                    self.terms.limit
                };
                let time = duration_text(time);
                Err(match &came[..] {
                    [] => Error::new(Status::Timeout, format!("no answer within {time}")),
                    came => {
                        let greeting = &self.terms.greeting;
                        greeting.unlike(came, &format!("and no more within {time}"))
                    }
                })
            }
        };
        let name = shown(self.endpoint.text());
        match &done {
            Ok(facts) => trace!("{name}: attempt {} reached {}", self.count, facts.peer),
            Err(error) if error.status() == Status::Usage => return Err(error.clone()),
            Err(error) => {
                // Of many attempts that say the same, the first is worth a line.
                if self.last.as_deref() == Some(error.why()) {
                    trace!("{name}: attempt {}: {}", self.count, error.why());
                } else {
                    debug!("{name}: attempt {}: {}", self.count, error.why());
                }
                self.last = Some(error.why().to_owned());
                if error.status() == Status::Tls {
                    self.refused = Some(error.why().to_owned());
                    self.help = error.help_text().map(str::to_owned);
                }
            }
        }
        Ok(Some(done))
    }

    /// `came` outlives a time limit.
    async fn attempt(&self, came: &mut Vec<u8>) -> Result<Facts> {
        let connection = self.endpoint.connect().await?;
        let facts = connection.facts().clone();
        let greeting = &self.terms.greeting;
        match connection {
            Connection::Stream(stream) => greeting.exchange(stream, came).await?,
            Connection::Datagram(datagram) => greeting.exchange_datagrams(datagram).await?,
        }
        Ok(facts)
    }

    /// It is as it should be, though not for long enough.
    fn unsettled(&mut self, since: Instant) {
        self.last = Some(format!(
            "so for {} only",
            duration_text(Duration::from_millis(
                u64::try_from(since.elapsed().as_millis()).unwrap_or(u64::MAX)
            ))
        ));
    }

    /// Waits before the next attempt, and no longer than until `latest`.
    async fn rest(&mut self, latest: Option<Instant>) {
        let step = self.step.min(self.terms.interval);
        self.step = (step * 2).min(self.terms.interval);
        let next = (Instant::now() + step).min(self.end);
        tokio::time::sleep_until(latest.map_or(next, |latest| next.min(latest))).await;
    }

    fn late(self) -> Error {
        let mut why = self.last.unwrap_or_else(|| "no answer".into());
        if let Some(refused) = self.refused.filter(|refused| *refused != why) {
            why.push_str(&format!("; before that, {refused}"));
        }
        let what = format!(
            "gave up on {} after {}",
            shown(self.endpoint.text()),
            duration_text(self.terms.limit)
        );
        let error = Error::new(Status::Timeout, why).on(what);
        match self.help {
            Some(help) => error.help(help),
            None => error,
        }
    }
}

#[cfg(test)]
mod tests;
