//! What every verb that listens does: bind all or nothing, tell, heed signals.
//! Absent: what is served.

use std::ffi::OsString;
use std::sync::Arc;

use tracing::{info, warn};

use crate::cli::options::ReadyOptions;
use netkit::error::{Error, Result, Status};
use netkit::kernel;
use netkit::process::log::Log;
use netkit::process::notify;
use netkit::process::signals::{Signal, Signals};
use netkit::server::ready::Ready;
use netkit::server::stop::Lever;
use netkit::transport::Bound;
use netkit::transport::reading::ServerEndpoint;

/// Reads every endpoint string before any is bound.
pub(super) fn endpoints(texts: &[OsString]) -> Result<Vec<ServerEndpoint>> {
    Ok(texts
        .iter()
        .map(|text| ServerEndpoint::parse(text))
        .collect::<Result<_, _>>()?)
}

/// Binds all, or none: those bound before a failure are given back.
pub(super) fn bind(endpoints: &[ServerEndpoint]) -> Result<Vec<Arc<dyn Bound>>> {
    endpoints
        .iter()
        .map(|endpoint| endpoint.bind().map(Arc::from))
        .collect()
}

/// Whom the options ask to be told.
pub(super) fn ready(options: &ReadyOptions) -> Result<Ready> {
    let descriptor = match options.ready_fd {
        None => None,
        Some(number) => Some(kernel::adopt(number as i32).map_err(|error| {
            Error::io(Status::Usage, &error).on(format!("could not use descriptor {number} for --ready-fd"))
        })?),
    };
    let ready = Ready {
        file: options.ready_file.clone(),
        descriptor,
    };
    ready.withdraw();
    Ok(ready)
}

/// Tells everyone that all is bound.
pub(super) fn tell(ready: Ready, bound: &[Arc<dyn Bound>]) -> Result<()> {
    let endpoints: Vec<String> = bound.iter().map(|bound| bound.endpoint()).collect();
    ready.tell(&endpoints)?;
    notify::ready();
    Ok(())
}

/// Heeds signals for as long as it is polled: the first one to stop pulls the lever, a second one once more, SIGHUP
/// reopens the log.
pub(super) async fn heed(mut signals: Signals, lever: &Lever, log: &Log) {
    loop {
        match signals.next().await {
            Signal::Interrupt | Signal::Terminate => {
                notify::stopping();
                lever.pull();
            }
            Signal::Hangup => {
                notify::reloading();
                match log.reopen() {
                    Ok(()) => info!("reopened the log"),
                    Err(error) => warn!("{error}"),
                }
                notify::ready();
            }
        }
    }
}

/// The signals of a server.
pub(super) fn signals() -> Result<Signals> {
    Signals::new().map_err(|error| Error::io(Status::Failure, &error).on("could not listen to signals"))
}
