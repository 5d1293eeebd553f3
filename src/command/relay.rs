//! `relay`: every connection that is accepted gets one of its own to a client endpoint.
//! Absent: accepting, and the forwarding.

use std::ffi::OsString;
use std::time::Duration;

use clap::Args;
use clap::builder::{PossibleValuesParser, TypedValueParser};

use super::host;
use super::work::Work;
use crate::cli::options::ServerOptions;
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
    #[command(flatten)]
    server: ServerOptions,
}

impl Relay {
    /// Forwards until it is told to stop, or has forwarded one connection.
    pub(super) fn run(mut self, log: &Log) -> Result<Status> {
        let (targets, endpoints) = self.ends()?;
        let relay = Forwarding::new(
            Targets::new(targets, self.balance, self.connect_timeout),
            self.server.limits.idle_timeout,
        );
        let work = Work {
            endpoints,
            service: Service::streams(relay),
            hexdump: self.hexdump,
            // So that nothing stands between the relay and the sockets.
            sees_to_idle: true,
        };
        work.run(&self.server, log)
    }

    /// Where it forwards to, and where it listens.
    fn ends(&mut self) -> Result<(Vec<ClientEndpoint>, Vec<ServerEndpoint>)> {
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
        Ok((targets, endpoints))
    }

    /// That it could be run, as far as that is seen before.
    #[cfg(feature = "regex")]
    pub(super) fn check(&mut self) -> Result<()> {
        self.ends().map(drop)
    }

    /// Whether it goes on in the background, as a process of its own.
    #[cfg(feature = "regex")]
    pub(super) fn daemonizes(&self) -> bool {
        self.server.daemon.daemonize
    }

    /// The permissions that no file of ours gets.
    pub(super) fn set_mask(&self) {
        if let Some(mask) = self.server.daemon.umask {
            set_mask(mask);
        }
    }
}
