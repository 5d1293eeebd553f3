//! A connector tried again on a backoff, until it holds or gives up: `Reconnect`.
//! Absent: what is said on the connection, and whether a lost one is to be mourned.

mod held;

use std::collections::VecDeque;
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot, watch};
use tracing::{debug, warn};

use crate::backoff::Backoff;
use crate::connection::{Connection, Stream};
use crate::error::{Error, Result, Status};
use crate::transport::Connector;
use crate::units::duration_text;
use held::{Gone, Kept};

/// Those who asked and whose question has not been taken yet; further ones wait to ask.
const QUESTIONS: usize = 16;

/// Keeps one connection up: it connects at once, and again after each failure and each loss, waiting as a [`Backoff`]
/// says. The count of failures returns to 0 on each connection made, and made means established to its last layer: a
/// TLS handshake that is refused is a failure like any other. A loss is the first failure of a new row.
///
/// There is one connection at a time, and it has one holder: [`when_connected`](Reconnect::when_connected) hands it out,
/// and dropping what it gave is what makes the next one. Nobody need hold it: one that is lost before it was asked for
/// is replaced all the same, and never handed out.
///
/// A failure with [`Status::Usage`], such as a key that cannot be read, is not tried again: everybody who asks, and
/// asks later, is told of it. A certificate that is refused is tried again, as servers renew theirs.
///
/// What has to be said before a connection counts as made belongs into the [`Connector`]: if that fails, the connection
/// is dropped and the failure counts.
///
/// Dropping this stops it without waiting; a connection that is held stays with its holder.
#[derive(Debug)]
pub struct Reconnect {
    questions: mpsc::Sender<Question>,
    stop: watch::Sender<bool>,
}

/// Why there is no connection.
#[derive(Debug, Clone)]
pub enum Missed {
    /// The last of the attempts that one was willing to wait for failed.
    Failed(Error),
    /// [`Reconnect::stop`] was called.
    Cancelled,
}

impl From<Missed> for Error {
    fn from(missed: Missed) -> Error {
        match missed {
            Missed::Failed(error) => error,
            Missed::Cancelled => Error::new(Status::Failure, "cancelled").on("could not connect"),
        }
    }
}

/// Somebody who waits for the connection.
struct Question {
    /// Failures from now on after which they give up.
    patience: Option<u32>,
    answer: oneshot::Sender<Result<Stream, Missed>>,
}

impl Reconnect {
    /// Begins to connect, in a task of the runtime that calls this.
    #[must_use]
    pub fn start(connector: Arc<dyn Connector>, backoff: Backoff) -> Self {
        Reconnect::with_random(connector, backoff, random)
    }

    fn with_random(
        connector: Arc<dyn Connector>,
        backoff: Backoff,
        random: impl FnMut() -> f64 + Clone + Send + 'static,
    ) -> Self {
        let (questions, asked) = mpsc::channel(QUESTIONS);
        let (stop, told) = watch::channel(false);
        let keeper = Keeper {
            connector,
            asked,
            told,
            waiting: VecDeque::new(),
        };
        tokio::spawn(keeper.run(backoff, random));
        Reconnect { questions, stop }
    }

    /// The connection: at once if there is one, else as soon as there is, failures in between or not. Where somebody
    /// holds it, the next one is waited for.
    ///
    /// `fail_after` failed attempts later, counted from this call (0 acts as 1; `None` is never), it fails with the
    /// error of the last of them. Losses do not count. Dropping the future gives up; if a connection was on its way
    /// then, it is closed and replaced.
    ///
    /// # Errors
    /// [`Missed`]: too many failures, one that no attempt will mend, or stopped.
    pub async fn when_connected(&self, fail_after: Option<u32>) -> Result<Stream, Missed> {
        let (answer, answered) = oneshot::channel();
        let question = Question {
            patience: fail_after.map(|count| count.max(1)),
            answer,
        };
        // Either fails only when nobody is there to answer any more.
        if self.questions.send(question).await.is_err() {
            return Err(Missed::Cancelled);
        }
        answered.await.unwrap_or(Err(Missed::Cancelled))
    }

    /// Stops: a wait or an attempt ends at once, and an open connection is closed, whoever holds it, who then sees it
    /// aborted. Returns when it is gone. All who wait, and who ask later, are told [`Missed::Cancelled`].
    pub async fn stop(&self) {
        self.stop.send_replace(true);
        self.questions.closed().await;
    }
}

/// The task: owns the attempts, the waits, and the connection while nobody else does.
struct Keeper {
    connector: Arc<dyn Connector>,
    asked: mpsc::Receiver<Question>,
    told: watch::Receiver<bool>,
    waiting: VecDeque<Question>,
}

/// Nobody wants a connection any more.
struct Over;

impl Keeper {
    async fn run<R: FnMut() -> f64 + Clone>(mut self, backoff: Backoff, random: R) {
        let _over: Result<(), Over> = self.keep_up(&backoff, random).await;
        // Whoever still waits, or asks in this moment, learns of the end by losing the one who was to answer.
    }

    async fn keep_up<R: FnMut() -> f64 + Clone>(&mut self, backoff: &Backoff, random: R) -> Result<(), Over> {
        let mut delays = backoff.delays(random.clone());
        let mut failures = 0_u32;
        // Since the last connection, somebody was warned.
        let mut warned = false;
        loop {
            let (why, grave) = match self.attempt(failures + 1).await? {
                Ok(stream) => {
                    delays = backoff.delays(random.clone());
                    (failures, warned) = (0, false);
                    let lost = self.hold(stream).await?;
                    (format!("lost the connection: {lost}"), false)
                }
                Err(error) => {
                    if error.status() == Status::Usage {
                        return self.refuse(&error).await;
                    }
                    self.disappoint(&error);
                    // Who was just told of the failure need not read of it.
                    (error.to_string(), !warned && !self.waiting.is_empty())
                }
            };
            failures = failures.saturating_add(1);
            let delay = delays.next().unwrap_or_default();
            let again = duration_text(whole_millis(delay));
            // The first failed attempt of a row is worth a line in any case; the others are for those who watch.
            if grave {
                warned = true;
                warn!("{why}; trying again in {again}");
            } else {
                debug!("{why}; trying again in {again}");
            }
            self.meanwhile(tokio::time::sleep(delay)).await?;
        }
    }

    /// One attempt; which one in the row is for the log.
    async fn attempt(&mut self, number: u32) -> Result<Result<Stream>, Over> {
        debug!("attempt {number} to connect");
        let connector = Arc::clone(&self.connector);
        let connected = self.meanwhile(connector.connect(None)).await?;
        Ok(match connected {
            Ok(Connection::Stream(stream)) => Ok(stream),
            Ok(Connection::Datagram(_)) => {
                let why = "datagrams have no connection that could be kept up";
                Err(Error::new(Status::Usage, why).on("could not connect"))
            }
            Err(error) => Err(error),
        })
    }

    /// Does `work` while questions come.
    async fn meanwhile<T>(&mut self, work: impl Future<Output = T>) -> Result<T, Over> {
        tokio::pin!(work);
        loop {
            tokio::select! {
                biased;
                () = told(&mut self.told) => return Err(Over),
                question = self.asked.recv() => self.waiting.push_back(question.ok_or(Over)?),
                done = &mut work => return Ok(done),
            }
            // Who no longer waits is forgotten, so that asking for a moment again and again fills no memory.
            self.waiting.retain(|question| !question.answer.is_closed());
        }
    }

    /// Keeps a connection, hands it out, and says why it is gone.
    async fn hold(&mut self, stream: Stream) -> Result<String, Over> {
        let kept = Kept::new(stream);
        loop {
            // Whoever gave up gets nothing: a connection that is lent does not come back.
            self.waiting.retain(|question| !question.answer.is_closed());
            if let Some(question) = self.waiting.pop_front() {
                let (stream, gone) = kept.lend();
                let _ = question.answer.send(Ok(stream));
                return match self.meanwhile(gone).await {
                    Ok(why) => Ok(why.unwrap_or_default()),
                    Err(Over) => {
                        if *self.told.borrow() {
                            kept.close().await;
                        }
                        Err(Over)
                    }
                };
            }
            tokio::select! {
                biased;
                () = told(&mut self.told) => {}
                // Before a question is heeded: what is lost is not handed out.
                Gone(why) = kept.gone() => return Ok(why),
                question = self.asked.recv() => if let Some(question) = question {
                    self.waiting.push_back(question);
                    continue;
                },
            }
            kept.close().await;
            return Err(Over);
        }
    }

    /// Tells those whose patience ends with this failure.
    fn disappoint(&mut self, error: &Error) {
        let waiting = std::mem::take(&mut self.waiting);
        for mut question in waiting {
            question.patience = question.patience.map(|count| count.saturating_sub(1));
            if question.patience == Some(0) {
                // Nobody there is nobody to tell.
                let _ = question.answer.send(Err(Missed::Failed(error.clone())));
            } else {
                self.waiting.push_back(question);
            }
        }
    }

    /// Tells everybody, now and later, what no attempt will mend.
    async fn refuse(&mut self, error: &Error) -> Result<(), Over> {
        loop {
            for question in self.waiting.drain(..) {
                let _ = question.answer.send(Err(Missed::Failed(error.clone())));
            }
            tokio::select! {
                biased;
                () = told(&mut self.told) => return Err(Over),
                question = self.asked.recv() => self.waiting.push_back(question.ok_or(Over)?),
            }
        }
    }
}

/// Returns when it is said to stop; never otherwise, also if nobody can say so any more.
async fn told(stop: &mut watch::Receiver<bool>) {
    if stop.wait_for(|stopped| *stopped).await.is_err() {
        std::future::pending::<()>().await;
    }
}

/// A number from 0 up to, but not including, 1. The standard library seeds its hash tables with such; nothing here has
/// to be a secret.
fn random() -> f64 {
    /// As many bits as a float holds.
    const BITS: u32 = f64::MANTISSA_DIGITS;
    let bits = RandomState::new().hash_one(()) >> (u64::BITS - BITS);
    bits as f64 / (1_u64 << BITS) as f64
}

/// For a log, finer is noise.
fn whole_millis(delay: Duration) -> Duration {
    Duration::from_millis(u64::try_from(delay.as_millis()).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests;
