//! The threads behind a test: one that all peers of the process share, and one for each server.
//! Absent: what they do.

use std::future::{Future, pending};
use std::sync::OnceLock;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread::{Builder, JoinHandle};
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::oneshot;
use tokio::task::AbortHandle;

use crate::error::{Error, Result, Status};
use crate::process::runtime;

/// A thread with a runtime of its own, which works for one future.
pub(super) struct Thread<T> {
    result: Receiver<T>,
    thread: Option<JoinHandle<()>>,
}

impl<T: Send + 'static> Thread<T> {
    /// Starts it. What `work` makes is made in its runtime, and all tasks of it are gone when the result is there.
    pub(super) fn start<F>(name: &str, work: impl FnOnce(Handle) -> F + Send + 'static) -> Result<Self>
    where
        F: Future<Output = T>,
    {
        let (sender, result) = channel();
        let (started, outcome) = channel();
        let thread = Builder::new()
            .name(name.to_owned())
            .spawn(move || {
                let runtime = match runtime::current_thread() {
                    Ok(runtime) => runtime,
                    Err(error) => return drop(started.send(Err(error))),
                };
                // Whoever starts it waits for this.
                let _ = started.send(Ok(()));
                let done = runtime.block_on(async { work(Handle::current()).await });
                // A thread that blocks in a task's name is not waited for.
                runtime.shutdown_background();
                // Nobody may be interested.
                let _ = sender.send(done);
            })
            .map_err(|error| Error::io(Status::Failure, &error).on("could not start a thread"))?;
        match outcome.recv() {
            Ok(Ok(())) => Ok(Thread {
                result,
                thread: Some(thread),
            }),
            Ok(Err(error)) => Err(error),
            Err(_) => Err(Error::new(Status::Failure, "the thread ended at once")),
        }
    }

    /// Waits for the result, and for the thread, no longer than this. What it left undone by then it does alone.
    pub(super) fn join(&mut self, limit: Duration) -> std::result::Result<T, Unjoined> {
        let done = self.result.recv_timeout(limit).map_err(|error| match error {
            RecvTimeoutError::Timeout => Unjoined::Late,
            RecvTimeoutError::Disconnected => Unjoined::Panicked,
        });
        if !matches!(done, Err(Unjoined::Late))
            && let Some(thread) = self.thread.take()
        {
            // Its panic was told.
            let _ = thread.join();
        }
        done
    }
}

/// Why there is no result.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unjoined {
    Late,
    Panicked,
}

/// The thread of all peers and doors. It stays until the process ends, and holds nothing but what they hold.
fn peers() -> &'static Handle {
    static PEERS: OnceLock<Handle> = OnceLock::new();
    PEERS.get_or_init(|| {
        let (sender, handle) = channel();
        let thread = Thread::<()>::start("netkit peers", move |own| {
            // It is waited for below.
            let _ = sender.send(own);
            pending()
        });
        match thread.map(|_unended| handle.recv()) {
            Ok(Ok(handle)) => handle,
            Ok(Err(_)) => panic!("the thread of the peers ended at once"),
            Err(error) => panic!("{error}"),
        }
    })
}

/// Does it on the thread of the peers, and blocks until it is done.
pub(super) fn block<T: Send + 'static>(future: impl Future<Output = T> + Send + 'static) -> T {
    let (sender, done) = channel();
    peers().spawn(async move { drop(sender.send(future.await)) });
    match done.recv() {
        Ok(done) => done,
        Err(_) => panic!("the thread of the peers panicked"),
    }
}

/// Does it on the thread of the peers. Needs no runtime of the caller's. Dropping the future calls it off.
pub(super) async fn wait<T: Send + 'static>(future: impl Future<Output = T> + Send + 'static) -> T {
    let (sender, done) = oneshot::channel();
    let task = peers().spawn(async move { drop(sender.send(future.await)) });
    let _called_off = CallOff(task.abort_handle());
    match done.await {
        Ok(done) => done,
        Err(_) => panic!("the thread of the peers panicked"),
    }
}

struct CallOff(AbortHandle);

impl Drop for CallOff {
    fn drop(&mut self) {
        self.0.abort();
    }
}
