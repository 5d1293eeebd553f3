//! What verbs that serve have in common: bind, tell, accept until a signal says stop; as a daemon, if that is asked for.
//! Absent: what is served.

use std::future::pending;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tracing::warn;

use super::daemon::{Begun, Daemon};
use super::host;
use super::monitored::Metrics;
use super::record::Record;
use crate::cli::options::ServerOptions;
use netkit::diagnostic::counted;
use netkit::error::{Error, Result, Status};
use netkit::process::log::Log;
use netkit::process::pulse::{Beat, Pulse};
use netkit::process::{resources, runtime};
use netkit::protocol::Service;
use netkit::server::room::Doors;
use netkit::server::stop::{Stop, stop};
use netkit::server::{Limits, Server};
use netkit::transport::Bound;
use netkit::transport::reading::ServerEndpoint;

/// A service, and where it is offered.
pub(super) struct Work {
    pub(super) endpoints: Vec<ServerEndpoint>,
    pub(super) service: Service,
    /// Show what flows.
    pub(super) hexdump: bool,
    /// Record what flows there.
    pub(super) record: Option<PathBuf>,
    /// Idle connections are left to the service.
    pub(super) sees_to_idle: bool,
    /// There is but one connection, and its failure is that of the run.
    pub(super) sole: bool,
    /// What holds for the peers of datagrams, where the service talks with each.
    pub(super) flows: Flows,
}

/// How many flows, and how long.
pub(super) struct Flows {
    pub(super) idle: Duration,
    /// What passes is late by so much on purpose.
    pub(super) late: Duration,
    pub(super) most: usize,
}

impl Default for Flows {
    fn default() -> Self {
        let Limits {
            flow_idle,
            flow_late,
            flows_max,
            ..
        } = Limits::default();
        Flows {
            idle: flow_idle,
            late: flow_late,
            most: flows_max,
        }
    }
}

impl Work {
    /// Serves until it is told to stop, or has served once.
    pub(super) fn run(self, options: &ServerOptions, log: &Log) -> Result<Status> {
        let metrics = Metrics::read(&options.metrics)?;
        let all = || self.endpoints.iter().chain(metrics.endpoint());
        let mut limits = Limits {
            max_connections: options
                .limits
                .max_connections
                .map(|most| usize::try_from(most).unwrap_or(usize::MAX)),
            streams_max: None,
            idle_timeout: options.limits.idle_timeout.filter(|_| !self.sees_to_idle),
            once: options.limits.once,
            grace: options.ready.grace,
            hexdump: self.hexdump,
            record: None,
            sole: self.sole,
            reserve: None,
            handshake_timeout: options.limits.handshake.handshake_timeout,
            flow_idle: self.flows.idle,
            flow_late: self.flows.late,
            flows_max: self.flows.most,
        };
        // Before there is a child: the service manager watches the process that it has started, until it hears of another.
        let mut pulse = Pulse::asked_for();
        let mut daemon = match Daemon::begin(&options.daemon, log, all())? {
            Begun::Here(daemon) => daemon,
            Begun::Elsewhere(status) => return Ok(status),
        };
        resources::raise_descriptors();
        let output_is_taken = all().any(|endpoint| endpoint.type_name() == "stdio");
        let ready = host::ready(&options.ready, output_is_taken)?;
        let bound = host::bind(&self.endpoints)?;
        // One connection keeps one thread busy; others would wait for more.
        let workers = if options.limits.once {
            1
        } else {
            options.limits.workers
        };
        // While we still may: ports of the privileged are among them.
        let besides: Vec<_> = (1..workers).map(|_| beside(&bound)).collect();
        let monitored = metrics.bind(&bound)?;
        // Once everything is bound, as it empties a file that is there; by a path of the caller's.
        let record = Record::to(self.record.as_deref())?;
        limits.record = record.recording();
        limits.reserve = monitored.reserve();
        let with_files: Vec<_> = bound.iter().cloned().chain(monitored.bound()).collect();
        let reloading = host::Reloading::new(&with_files, self.service.upkeep.clone());
        let mut needs = self.service.talk.needs();
        needs.extend(with_files.iter().flat_map(|bound| bound.needs()));
        drop(with_files);
        self.fit(&mut limits, usize::from(workers));
        let keeper = host::keeper(&options.access, options.limits.max_connections_per_ip);
        let server = Server::new(self.service, limits, keeper.clone(), monitored.book());
        let (lever, stop) = stop();
        let runtime = runtime::current_thread()?;
        // Whoever reads the ready file may send one.
        let signals = runtime.block_on(async { host::signals() })?;
        let written = host::write(ready, &bound)?;
        daemon.settle(log, &needs)?;
        let others = besides.into_iter().map(|bound| {
            let beat = pulse.as_mut().map(Pulse::beat);
            worker(server.clone(), bound, stop.clone(), beat)
        });
        let others: Vec<_> = others.collect::<Result<_>>()?;
        let served = runtime.block_on(async {
            let monitor = monitored.open(keeper, stop.clone())?;
            host::announce(written, &bound)?;
            daemon.detach()?;
            tokio::select! {
                () = monitor => Ok(()),
                () = host::attend(pulse, || server.status()) => Ok(()),
                served = server.run(bound, stop) => served.map_err(failed),
                () = host::heed(signals, &lever, log, reloading) => Ok(()),
            }
        });
        runtime.shutdown_background();
        if served.is_err() {
            // Not a stop in good order: nobody waits for what the other threads have open.
            lever.pull();
            lever.pull();
        }
        for other in others {
            // A worker that panicked has said so; the others' work is done all the same.
            other.join().unwrap_or(Ok(()))?;
        }
        record.finish(served.and_then(|()| server.sole_result()))
    }

    /// Nobody is taken in for whom there would be no descriptors. What was asked for beyond that is told.
    fn fit(&self, limits: &mut Limits, workers: usize) {
        let datagrams = self
            .endpoints
            .iter()
            .filter(|end| end.carries_datagrams())
            .count();
        let doors = Doors {
            streams: datagrams < self.endpoints.len(),
            datagrams,
            workers,
        };
        limits.fit(
            resources::descriptors_left(),
            self.service.talk.descriptors(),
            doors,
        );
        let few = |most: usize, what: &str| {
            let most = counted(most, what);
            warn!("there are descriptors for {most} at once: `ulimit -n` says how many the process may have");
        };
        match (limits.streams_max, limits.max_connections) {
            (Some(most), Some(asked)) if asked > most => few(most, "connection"),
            _ => {}
        }
        if limits.flows_max < self.flows.most && self.flows.most != Flows::default().most {
            few(limits.flows_max, "flow");
        }
    }
}

/// What one more worker listens on.
fn beside(bound: &[Arc<dyn Bound>]) -> Vec<Arc<dyn Bound>> {
    let one = |bound: &Arc<dyn Bound>| match bound.beside() {
        Some(own) => Arc::from(own),
        None => Arc::clone(bound),
    };
    bound.iter().map(one).collect()
}

/// One more thread that accepts on the same endpoints, with a runtime of its own: a connection never moves between
/// threads.
fn worker(
    server: Server,
    bound: Vec<Arc<dyn Bound>>,
    stop: Stop,
    beat: Option<Beat>,
) -> Result<std::thread::JoinHandle<Result<()>>> {
    std::thread::Builder::new()
        .name("worker".into())
        .spawn(move || {
            let runtime = runtime::current_thread()?;
            let served = runtime.block_on(async {
                let shown = async {
                    match &beat {
                        Some(beat) => beat.shown().await,
                        None => pending().await,
                    }
                };
                tokio::select! {
                    served = server.run(bound, stop) => served.map_err(failed),
                    () = shown => Ok(()),
                }
            });
            runtime.shutdown_background();
            served
        })
        .map_err(|error| Error::io(Status::Failure, &error).on("could not start a worker"))
}

fn failed(error: std::io::Error) -> Error {
    Error::io(Status::Failure, &error).on("could not serve")
}
