//! Playing scripts: steps in their order, within their time, and nothing left behind.
//! Absent: text, and how a server of ours is started.

mod act;
mod branches;
mod claims;
pub(crate) mod conversation;
pub(crate) mod door;
mod facts;
mod fault;
pub mod history;
mod output;
pub mod part;
pub(crate) mod scratch;
pub(crate) mod search;
mod stage;
mod values;
mod wire;

use std::ffi::OsString;
use std::process::Command;
use std::time::{Duration, Instant};

use tokio::sync::watch;

use self::stage::Stage;
use super::Script;
use super::report::{Told, Verdict};
use crate::connection::BoxFuture;
use crate::error::{Result, Status};
use crate::transport::reading::ClientEndpoint;

pub use branches::all;
pub use wire::UNREAD_MAX;

/// What a script needs of the program that plays it.
pub trait Means: Send + Sync {
    /// The command that runs a server of ours, which tells on its standard output where it listens. The first word is one
    /// of [`super::VERBS`].
    ///
    /// # Errors
    /// Why there is no such server.
    fn server(&self, words: &[OsString]) -> Result<Command>;

    /// Waits until somebody accepts at an endpoint, or, with `gone`, until nobody does; no longer than `limit`.
    ///
    /// # Errors
    /// Status 4, with the reason of the last attempt.
    fn wait<'a>(
        &'a self,
        endpoint: &'a ClientEndpoint,
        gone: bool,
        limit: Duration,
    ) -> BoxFuture<'a, Result<()>>;
}

/// How a script is played.
#[derive(Debug, Clone)]
pub struct Terms {
    /// Its name in the report.
    pub name: String,
    /// Its temporary directory stays where it failed.
    pub keep: bool,
    /// Becomes true when the run is broken off.
    pub stop: watch::Receiver<bool>,
}

/// Plays a script on the current runtime. Whatever comes of it, its programs have ended, its connections are closed and its
/// files are gone when this returns, or when the future is dropped.
///
/// # Errors
/// Status 1: there is no place for its files.
pub async fn play(script: &Script, means: &dyn Means, terms: &Terms) -> Result<Told> {
    let start = Instant::now();
    let stage = Stage::new(script, means)?;
    let mut stop = terms.stop.clone();
    let done = tokio::select! {
        biased;
        () = told_to_stop(&mut stop) => None,
        done = stage.all() => Some(done),
    };
    // What is said of a failure is gathered before the rest is stopped, which would have its own say.
    let failure = match &done {
        Some(Err(fault)) => Some(stage.failure(fault).await),
        _ => None,
    };
    let (steps, more_steps) = stage.told();
    let scratch = stage.clear().await;
    let verdict = match (done, failure) {
        (None, _) => Verdict::Interrupted,
        (Some(_), None) => Verdict::Passed,
        (Some(_), Some(mut failure)) => {
            if terms.keep {
                failure.kept = Some(scratch.keep().display().to_string());
            }
            Verdict::Failed(Box::new(failure))
        }
    };
    Ok(Told {
        name: terms.name.clone(),
        steps,
        more_steps,
        verdict,
        took: start.elapsed(),
    })
}

async fn told_to_stop(stop: &mut watch::Receiver<bool>) {
    if stop.wait_for(|stop| *stop).await.is_err() {
        // Nobody is left who could say so.
        std::future::pending().await
    }
}

/// The status that a failed step gives its script.
fn status_of(status: Status) -> Status {
    match status {
        Status::Timeout => Status::Timeout,
        _ => Status::Expectation,
    }
}
