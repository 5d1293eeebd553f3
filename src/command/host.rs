//! What every verb that listens does: bind all or nothing, tell, heed signals.
//! Absent: what is served.

use std::ffi::OsString;
use std::future::pending;
use std::sync::{Arc, Weak};
use std::time::Duration;

use tokio::task::JoinHandle;
use tokio::time::MissedTickBehavior;
use tracing::{debug, info, warn};

use crate::cli::options::{AccessOptions, ReadyOptions};
use netkit::error::{Error, Result, Status, reason};
use netkit::kernel;
use netkit::process::log::Log;
use netkit::process::notify;
use netkit::process::pulse::Pulse;
use netkit::process::sandbox;
use netkit::process::signals::{Signal, Signals};
use netkit::protocol::Upkeep;
use netkit::server::gate::Keeper;
use netkit::server::ready::{Descriptor, Earlier, Ready, TARGET, Written};
use netkit::server::stop::Lever;
use netkit::transport::Bound;
use netkit::transport::distinct::distinct;
use netkit::transport::reading::ServerEndpoint;

/// Reads every endpoint string before any is bound.
pub(super) fn endpoints(texts: &[OsString]) -> Result<Vec<ServerEndpoint>> {
    Ok(texts
        .iter()
        .map(|text| ServerEndpoint::parse(text))
        .collect::<Result<_, _>>()?)
}

/// Binds all, or none: those bound before a failure are given back. Each is told by a string of its own.
pub(super) fn bind(endpoints: &[ServerEndpoint]) -> Result<Vec<Arc<dyn Bound>>> {
    let bound = endpoints.iter().map(ServerEndpoint::bind);
    bound.collect::<Result<_>>().map(distinct)
}

/// Who keeps the gate, where anybody is kept out.
pub(super) fn keeper(options: &AccessOptions, most_of_one: Option<u64>) -> Option<Keeper> {
    let access = options.access();
    (!access.is_open() || most_of_one.is_some()).then(|| Keeper::new(access, most_of_one))
}

/// Whom the options ask to be told. `output_is_taken`: standard output carries payload.
pub(super) fn ready(options: &ReadyOptions, output_is_taken: bool) -> Result<(Ready, Earlier)> {
    let refused = |number: u32, why: String| {
        Error::new(Status::Usage, why).on(format!("could not use descriptor {number} for --ready-fd"))
    };
    let descriptor = match options.ready_fd {
        None => None,
        Some(1) if output_is_taken => return Err(refused(1, "standard output carries payload".into())),
        Some(1) => Some(Descriptor::Output),
        Some(2) => Some(Descriptor::Error),
        Some(number) => {
            let own = kernel::adopt(i32::try_from(number).unwrap_or(i32::MAX));
            Some(Descriptor::Own(
                own.map_err(|error| refused(number, reason(&error)))?,
            ))
        }
    };
    let ready = Ready {
        file: options.ready_file.clone(),
        descriptor,
    };
    let earlier = ready.withdraw()?;
    Ok((ready, earlier))
}

/// Writes the ready file; the rest is told by [`announce`], when the caller's paths need not hold any more.
pub(super) fn write((ready, earlier): (Ready, Earlier), bound: &[Arc<dyn Bound>]) -> Result<Written> {
    let endpoints: Vec<String> = bound.iter().map(|bound| bound.endpoint()).collect();
    earlier.forget();
    ready.write(&endpoints)
}

/// Tells everyone that all is bound.
pub(super) fn announce(written: Written, bound: &[Arc<dyn Bound>]) -> Result<()> {
    written.tell()?;
    for elsewhere in bound.iter().filter_map(|bound| bound.elsewhere()) {
        info!("help: other machines connect to {elsewhere}");
    }
    notify::ready();
    Ok(())
}

/// Both at once.
pub(super) fn tell(ready: (Ready, Earlier), bound: &[Arc<dyn Bound>]) -> Result<()> {
    announce(write(ready, bound)?, bound)
}

/// What reloads on SIGHUP. It does not keep an address bound that the server has given back.
#[derive(Clone)]
pub(super) struct Reloading {
    bound: Vec<Weak<dyn Bound>>,
    upkeep: Option<Arc<dyn Upkeep>>,
}

impl Reloading {
    /// The endpoints, and the files of what is served on them.
    pub(super) fn new(bound: &[Arc<dyn Bound>], upkeep: Option<Arc<dyn Upkeep>>) -> Self {
        Reloading {
            bound: bound.iter().map(Arc::downgrade).collect(),
            upkeep,
        }
    }

    /// Reads files, and so may block.
    fn reload(&self) {
        for bound in self.bound.iter().filter_map(Weak::upgrade) {
            if let Err(error) = bound.reload() {
                warn!("{}", with_the_sandbox(&error));
            }
        }
        match self.upkeep.as_ref().map(|upkeep| upkeep.reload()) {
            None | Some(Ok(None)) => {}
            Some(Ok(Some(what))) => info!("reloaded {what}"),
            Some(Err(error)) => warn!("{}", with_the_sandbox(&error)),
        }
    }
}

/// A refusal that the modes of files may not explain names what else may be its reason.
fn with_the_sandbox(error: &Error) -> String {
    let denied = error
        .to_string()
        .contains(&reason(&std::io::ErrorKind::PermissionDenied.into()));
    if denied && sandbox::is_held() {
        format!(
            "{error}; the sandbox reads only where the files were at the start, and --no-sandbox anywhere"
        )
    } else {
        error.to_string()
    }
}

/// How often the service manager hears how it goes, at most.
const STATUS_EVERY: Duration = Duration::from_secs(1);

/// Tells the service manager that we are alive, where it watches, and how it goes, whenever that has changed; for as long
/// as it is polled. An empty line says nothing.
pub(super) async fn attend(pulse: Option<Pulse>, status: impl Fn() -> String) {
    let alive = async {
        match pulse {
            Some(pulse) => pulse.told().await,
            None => pending().await,
        }
    };
    let told = async {
        if !notify::is_heard() {
            pending::<()>().await;
        }
        let mut turn = tokio::time::interval(STATUS_EVERY);
        turn.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut last = String::new();
        loop {
            turn.tick().await;
            let now = status();
            if now != last && notify::status(&now) {
                last = now;
            }
        }
    };
    tokio::join!(alive, told);
}

/// Heeds signals for as long as it is polled: the first one to stop pulls the lever, a second one once more, SIGHUP
/// reopens the log and reloads files.
pub(super) async fn heed(mut signals: Signals, lever: &Lever, log: &Log, reloading: Reloading) {
    // At most one is under way, and a signal that comes meanwhile makes one more of it.
    let mut under_way: Option<JoinHandle<()>> = None;
    let mut again = false;
    // Of a server that stops, the service manager hears nothing else.
    let mut stopping = false;
    loop {
        let signal = tokio::select! {
            signal = signals.next() => signal,
            () = done(&mut under_way) => {
                under_way = None;
                if std::mem::take(&mut again) {
                    under_way = Some(in_the_background(&reloading));
                } else if !stopping {
                    notify::ready();
                }
                continue;
            }
        };
        match signal {
            Signal::Interrupt | Signal::Terminate => {
                if !std::mem::replace(&mut stopping, true) {
                    notify::stopping();
                }
                lever.pull();
            }
            Signal::Hangup => {
                match log.reopen() {
                    Ok(true) => debug!("reopened the log"),
                    Ok(false) => {}
                    // The old file still takes lines, but whoever moved it away does not look there.
                    Err(error) => warn!(target: TARGET, "{error}"),
                }
                if under_way.is_some() {
                    again = true;
                } else {
                    if !stopping {
                        notify::reloading();
                    }
                    under_way = Some(in_the_background(&reloading));
                }
            }
        }
    }
}

/// A disk that is slow to answer holds up nobody.
fn in_the_background(reloading: &Reloading) -> JoinHandle<()> {
    let reloading = reloading.clone();
    tokio::task::spawn_blocking(move || reloading.reload())
}

/// Pending for as long as nothing is under way.
async fn done(under_way: &mut Option<JoinHandle<()>>) {
    match under_way {
        // One that panicked has said so.
        Some(task) => drop(task.await),
        None => pending().await,
    }
}

/// The signals of a server.
pub(super) fn signals() -> Result<Signals> {
    Signals::new().map_err(|error| Error::io(Status::Failure, &error).on("could not listen to signals"))
}
