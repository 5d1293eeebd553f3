//! `relay`: every connection that is accepted gets one of its own to a client endpoint.
//! Absent: accepting, and the forwarding.

use std::ffi::OsString;
use std::hash::{BuildHasher, RandomState};
use std::path::PathBuf;
use std::time::Duration;

use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::{Args, ValueHint};
use tracing::debug;

use super::host;
use super::work::Work;
use crate::cli::options::{FaultOptions, ServerOptions};
use crate::cli::values::duration;
use crate::cli::{complete, help};
use netkit::endpoint::Role;
use netkit::error::{Error, Result, Status};
use netkit::process::log::Log;
use netkit::process::place::set_mask;
use netkit::protocol::Service;
use netkit::relay::service::Relay as Forwarding;
use netkit::relay::targets::{Balance, Targets};
use netkit::transport::reading::{ClientEndpoint, ServerEndpoint};

const NOTES: &str = "\
Notes:
  Each direction ends on its own: a peer that has ended its half still gets
  all that the other one has to say, without a time limit. A connection that
  is reset resets the other. A client whose target cannot be had is closed,
  and the log says why; names are looked up for each connection.

  --hexdump and --record show what is exchanged with clients: what they sent
  before faults meet it, and what they get after. All connections are in one
  file, or one dump, where lines such as # 127.0.0.1:5555 say whose bytes come
  next. netkit-connect(1) says more of --record.

  Faults stand between the two connections, so that nothing meets one twice:
  what comes from the client passes with them to the target, and the other way
  round. At most 1MiB is under way in each direction; its sender waits when it
  is more, so that --delay 100ms passes 10 MB/s. Only 64KiB of it wait for
  --rate, which lets 20ms worth of bytes pass at once after a pause. --corrupt
  flips one bit of a byte, and each byte has the same chance to be hit.
  --close-after counts each direction for itself; as soon as one of them has
  come to that number, both connections are ended in good order, TLS with
  close_notify, so that exactly so many bytes arrive; what was on its way in
  the other direction is lost. A connection that is reset resets the other at
  once, and what was under way towards it is lost. --idle-timeout is about what
  passes on: what is late has not moved.

  With several targets, one that cannot be had is passed over for a while,
  from 1s to 30s, and the next is tried.";

const EXAMPLES: &str = "\
Examples:
  netkit serve echo tcp:1231 &
  netkit relay tcp:1234 tcp:localhost:1231 &
  echo hello | netkit connect tcp:localhost:1234
  kill %1 %2; wait";

/// Forward every accepted connection to a client endpoint
#[derive(Debug, Args)]
#[command(
    override_usage = "netkit relay [OPTIONS] SERVER-ENDPOINT CLIENT-ENDPOINT\n       \
                      netkit relay [OPTIONS] SERVER-ENDPOINT... --to CLIENT-ENDPOINT...",
    after_long_help = help::parts(&[
        NOTES, EXAMPLES, &help::endpoints(Role::Server), &help::endpoints(Role::Client),
        &help::wrappers(Role::Server), &help::wrappers(Role::Client),
    ])
)]
pub(crate) struct Relay {
    /// Where to listen; without --to, the last one is where to forward to
    #[arg(value_name = "ENDPOINT", required = true, add = complete::server())]
    endpoints: Vec<OsString>,
    /// Forward to this client endpoint; repeatable
    #[arg(long, value_name = "ENDPOINT", add = complete::client())]
    to: Vec<OsString>,
    /// Which of several targets is next: one after the other, that with the fewest connections, or the first that
    /// can be had
    #[arg(long, value_name = "HOW", default_value = "round-robin", value_parser = PossibleValuesParser::new(
        ["round-robin", "least", "first"],
    ).map(|how| how.parse::<Balance>().unwrap_or_default()))]
    balance: Balance,
    /// Give up on a target that is not connected by then
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    connect_timeout: Option<Duration>,
    /// Show both directions in hexadecimal with offsets, on standard error
    #[arg(long, conflicts_with = "daemonize")]
    hexdump: bool,
    /// Write what clients exchange, decrypted, to a pcapng file that Wireshark opens; a file that is there is emptied
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    record: Option<PathBuf>,
    #[command(flatten)]
    faults: FaultOptions,
    #[command(flatten)]
    server: ServerOptions,
}

impl Relay {
    /// Forwards until it is told to stop, or has forwarded one connection.
    pub(super) fn run(mut self, log: &Log) -> Result<Status> {
        if self.to.is_empty() {
            self.to
                .extend((self.endpoints.len() > 1).then(|| self.endpoints.pop()).flatten());
        }
        if self.to.is_empty() {
            let why = "a relay needs a server endpoint and a client endpoint";
            return Err(Error::new(Status::Usage, why));
        }
        let targets = self
            .to
            .iter()
            .map(|text| ClientEndpoint::parse(text))
            .collect::<Result<Vec<_>, _>>()?;
        let endpoints = host::endpoints(&self.endpoints)?;
        self.check_streams(&endpoints, &targets)?;
        for target in &targets {
            let what = || format!("could not forward to {}", target.text());
            if target.carries_datagrams() {
                let why = "it carries datagrams, and connections are forwarded";
                return Err(Error::new(Status::Usage, why).on(what()));
            }
            if target.type_name() == "stdio" {
                let why = "standard input and output are one end, and every connection needs its own";
                return Err(Error::new(Status::Usage, why).on(what()));
            }
        }
        if let Some(endpoint) = endpoints.iter().find(|endpoint| endpoint.carries_datagrams()) {
            let why = "datagrams arrive there, and connections are forwarded";
            return Err(Error::new(Status::Usage, why).on(format!("could not relay {}", endpoint.text())));
        }
        let targets = Targets::new(targets, self.balance, self.connect_timeout);
        let relay = self.forwarding(targets);
        let work = Work {
            endpoints,
            service: Service::streams(relay),
            hexdump: self.hexdump,
            record: self.record,
            // So that nothing stands between the relay and the sockets.
            sees_to_idle: true,
        };
        work.run(&self.server, log)
    }

    /// What is for streams alone is refused where datagrams are known to come.
    fn check_streams(&self, endpoints: &[ServerEndpoint], targets: &[ClientEndpoint]) -> Result<()> {
        let flag = match &self.record {
            _ if !self.faults.faults().is_none() => "faults",
            Some(_) => "--record",
            None => return Ok(()),
        };
        let endpoints = endpoints.iter().filter(|end| end.carries_datagrams());
        let targets = targets.iter().filter(|end| end.carries_datagrams());
        let mut datagrams = endpoints
            .map(ServerEndpoint::text)
            .chain(targets.map(ClientEndpoint::text));
        match datagrams.next() {
            None => Ok(()),
            Some(text) => {
                let why = "it carries datagrams, and this is for streams";
                Err(Error::new(Status::Usage, why).on(format!("could not use {flag} with {text}")))
            }
        }
    }

    fn forwarding(&self, targets: Targets) -> Forwarding {
        let (faults, idle) = (self.faults.faults(), self.server.limits.idle_timeout);
        if faults.is_none() {
            return Forwarding::new(targets, idle);
        }
        // The standard library seeds its hash tables with such a number; nothing here has to be a secret.
        let drawn = || RandomState::new().hash_one(());
        let seed = self.faults.seed.unwrap_or_else(drawn);
        if faults.is_by_chance() {
            debug!("faults are drawn by --seed {seed}");
        }
        Forwarding::with_faults(targets, idle, faults, seed)
    }

    /// The permissions that no file of ours gets.
    pub(super) fn set_mask(&self) {
        if let Some(mask) = self.server.daemon.umask {
            set_mask(mask);
        }
    }
}
