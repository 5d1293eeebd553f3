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
use super::work::{Flows, Work};
use crate::cli::options::{FaultOptions, ServerOptions};
use crate::cli::values::duration;
use crate::cli::{complete, help};
use netkit::endpoint::Role;
use netkit::error::{Error, Result, Status};
use netkit::process::log::Log;
use netkit::process::place::set_mask;
use netkit::protocol::Service;
use netkit::relay::framing::Framing;
use netkit::relay::service::{Relay as Forwarding, Terms};
use netkit::relay::targets::{Balance, Targets};
use netkit::transport::reading::{ClientEndpoint, ServerEndpoint};

const NOTES: &str = "\
Notes:
  Each direction ends on its own: a peer that has ended its half still gets
  all that the other one has to say, without a time limit. A connection that
  is reset resets the other, as soon as what came before has arrived there, or
  once that one has taken nothing for half a minute or --idle-timeout; until
  then the two count as open. A reset that comes after the end of a half is
  seen within 5 s, or when there is something for that peer. A client whose
  target cannot be had is closed, and the log says why; names are looked up for
  each connection. Clients wait while there are no descriptors (ulimit -n) for
  one and its target; a quarter of them at most, and 512, are kept for pipes
  that bulk goes through, and some for all else.

  Where there is but one connection, with --once or on stdio, its failure is
  that of the run: 3 when no target can be had, 8 when either end is lost, 4
  when nothing moved for --idle-timeout. Bytes that wait in the sockets move as
  long as somebody takes some; where there are any, the limit may last twice as
  long.

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
  the other direction is lost. A reset is as late as what came before it, which
  arrives. --idle-timeout is about what passes on: what is late has not moved.
  Datagrams are late, paced and corrupted one by one and stay in order; those
  that a slow line has no room for are lost as with any, and what waits for
  --rate longer than --udp-idle is lost with its flow. The way there and back by
  --delay and --jitter counts as nothing for the time that a flow may be idle.
  They have no connection that --close-after could close.

  With several targets, one that cannot be had is passed over for a while,
  from 1s to 30s, and the next is tried.

  Datagrams: each peer that sends some has a flow, with a socket of its own to
  the target, and gets its answers from the address that it wrote to. A flow
  ends when nothing moved on it for --udp-idle (or --idle-timeout, if that is
  shorter), or for a new peer where there are --max-flows: the one that was
  idle for the longest goes. It counts as a connection for --max-connections,
  --max-connections-per-ip, --once, --balance and --metrics. That datagrams
  do not reach the target, as ICMP tells, is said once for a flow and ends
  nothing; one that is too long for the target is dropped and counted. After a
  stop a flow ends once nothing moved for 1s. A peer's datagrams are passed on
  by one thread, however many --workers there are.

  Between datagrams and a stream --framing says how they lie in it. length:
  two bytes before each hold its length, the high one first (RFC 1035, 4.2.2),
  so that it puts DNS over UDP onto TCP. line: LF or CRLF ends each, and is
  not part of the datagram; LF is added to one that does not end with it, and
  what a stream says after its last LF is a datagram too. A frame or line of
  more than 65507 bytes, or a stream that ends within a frame, is said to be
  wrong and ends that connection. A flow that ends, ends its stream; a stream
  that ends, ends its flow, and the peer's next datagram begins another. When
  a client's stream ends, answers are still passed to it until none came for
  --udp-idle. A stream that takes nothing loses its own datagrams only.

  haproxy: before a target tells of a flow as UDP: version 2 of the header can,
  version 1 then says UNKNOWN.";

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
    #[arg(long, value_name = "HOW", default_value = "round-robin", value_parser = one_of(&Balance::ALL))]
    balance: Balance,
    /// Give up on a target that is not connected by then
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    connect_timeout: Option<Duration>,
    /// Between datagrams and a stream: how they lie in it. Two bytes before each hold its length, the high one first, as in
    /// DNS over TCP; or each is a line
    #[arg(long, value_name = "HOW", value_parser = one_of(&Framing::ALL))]
    framing: Option<Framing>,
    /// End the flow of a peer that sends datagrams when nothing moved on it for so long; 60s by default
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    udp_idle: Option<Duration>,
    /// Keep at most N flows at once on an endpoint, 4096 by default; a further peer takes the place of the one that was
    /// idle for the longest
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    max_flows: Option<u64>,
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
        let (targets, endpoints) = self.ends()?;
        let mut flows = Flows::default();
        // What is late by our own doing is no silence: there, and back.
        let late = self.faults.faults().late_by().saturating_mul(2);
        let quiet = self.udp_idle.unwrap_or(flows.idle);
        flows.most = self
            .max_flows
            .map_or(flows.most, |most| usize::try_from(most).unwrap_or(usize::MAX));
        let idle = self.server.limits.idle_timeout;
        let sole = self.server.limits.once || endpoints.iter().all(|end| end.type_name() == "stdio");
        let terms = Terms {
            idle,
            quiet: quiet.saturating_add(late),
            framing: self.framing,
            sole,
        };
        flows.idle = idle.map_or(quiet, |idle| idle.min(quiet));
        flows.late = late;
        let targets = Targets::new(targets, self.balance, self.connect_timeout);
        let relay = self.forwarding(targets, terms);
        let work = Work {
            sole,
            endpoints,
            service: Service::connections(relay),
            hexdump: self.hexdump,
            record: self.record,
            // So that nothing stands between the relay and the sockets.
            sees_to_idle: true,
            flows,
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
        self.check_faults(&endpoints, &targets)?;
        for target in &targets {
            if target.type_name() == "stdio" {
                let why = "standard input and output are one end, and every connection needs its own";
                return Err(
                    Error::new(Status::Usage, why).on(format!("could not forward to {}", target.text()))
                );
            }
        }
        self.check(&endpoints, &targets)?;
        Ok((targets, endpoints))
    }

    /// That it could be run, as far as that is seen before.
    #[cfg(feature = "regex")]
    pub(super) fn sound(&mut self) -> Result<()> {
        self.ends().map(drop)
    }

    /// Whether it goes on in the background, as a process of its own.
    #[cfg(feature = "regex")]
    pub(super) fn daemonizes(&self) -> bool {
        self.server.daemon.daemonize
    }

    /// Which ends carry datagrams, and whether the flags go with that.
    fn check(&self, endpoints: &[ServerEndpoint], targets: &[ClientEndpoint]) -> Result<()> {
        let servers = endpoints.iter().map(|endpoint| {
            (
                kind(endpoint.type_name(), endpoint.carries_datagrams()),
                endpoint.text(),
            )
        });
        let clients = targets.iter().map(|target| {
            (
                kind(target.type_name(), target.carries_datagrams()),
                target.text(),
            )
        });
        let (servers, clients): (Vec<_>, Vec<_>) = (servers.collect(), clients.collect());
        let mixed = servers.iter().find_map(|(from, server)| {
            let differs = |to: Kind| {
                [*from, to] == [Kind::Datagrams, Kind::Bytes] || [*from, to] == [Kind::Bytes, Kind::Datagrams]
            };
            let (_, client) = clients.iter().find(|(to, _)| differs(*to))?;
            Some((*from, *server, *client))
        });
        if let (None, Some((from, server, client))) = (self.framing, mixed) {
            let (from, to) = match from {
                Kind::Datagrams => ("datagrams", "bytes"),
                _ => ("bytes", "datagrams"),
            };
            let why = format!("{server} carries {from} and {client} {to}");
            let help = "--framing says how datagrams lie among bytes: `--framing length` puts two bytes before each, \
                        as DNS over TCP does, `--framing line` makes each a line";
            return Err(Error::new(Status::Usage, why).on("could not relay").help(help));
        }
        let unknown = |ends: &[(Kind, &str)]| ends.iter().any(|(kind, _)| *kind == Kind::Unknown);
        let datagrams =
            |ends: &[(Kind, &str)]| ends.iter().any(|(kind, _)| *kind == Kind::Datagrams) || unknown(ends);
        let vain = if self.framing.is_some() && mixed.is_none() && !unknown(&servers) && !unknown(&clients) {
            Some((
                "--framing",
                "no datagrams are to be passed to a stream, nor the other way round",
            ))
        } else if self.udp_idle.is_some() && !datagrams(&servers) && !datagrams(&clients) {
            Some(("--udp-idle", "no endpoint carries datagrams"))
        } else if self.max_flows.is_some() && !datagrams(&servers) {
            Some(("--max-flows", "no datagrams arrive at any endpoint"))
        } else {
            None
        };
        match vain {
            None => Ok(()),
            Some((flag, why)) => Err(Error::new(Status::Usage, why).on(format!("{flag} means nothing here"))),
        }
    }

    /// Datagrams have no end that could come too early.
    fn check_faults(&self, endpoints: &[ServerEndpoint], targets: &[ClientEndpoint]) -> Result<()> {
        if self.faults.close_after.is_none() {
            return Ok(());
        }
        let endpoints = endpoints.iter().filter(|end| end.carries_datagrams());
        let targets = targets.iter().filter(|end| end.carries_datagrams());
        let mut datagrams = endpoints
            .map(ServerEndpoint::text)
            .chain(targets.map(ClientEndpoint::text));
        match datagrams.next() {
            None => Ok(()),
            Some(text) => {
                let why = "it carries datagrams, which have no connection to close";
                Err(Error::new(Status::Usage, why).on(format!("could not use --close-after with {text}")))
            }
        }
    }

    fn forwarding(&self, targets: Targets, terms: Terms) -> Forwarding {
        let faults = self.faults.faults();
        if faults.is_none() {
            return Forwarding::new(targets, terms);
        }
        // The standard library seeds its hash tables with such a number; nothing here has to be a secret.
        let drawn = || RandomState::new().hash_one(());
        let seed = self.faults.seed.unwrap_or_else(drawn);
        if faults.is_by_chance() {
            debug!("faults are drawn by --seed {seed}");
        }
        Forwarding::with_faults(targets, terms, faults, seed)
    }

    /// The permissions that no file of ours gets.
    pub(super) fn set_mask(&self) {
        if let Some(mask) = self.server.daemon.umask {
            set_mask(mask);
        }
    }
}

/// Takes one of the names of a table.
fn one_of<T: Copy + Send + Sync>(table: &'static [(&'static str, T)]) -> impl TypedValueParser<Value = T> {
    PossibleValuesParser::new(table.iter().map(|(name, _)| *name)).try_map(|given| {
        let found = table.iter().find(|(name, _)| *name == given);
        found.map(|(_, value)| *value).ok_or("there is no such name")
    })
}

/// What an endpoint carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Bytes,
    Datagrams,
    /// Whoever opened the descriptor knows.
    Unknown,
}

fn kind(type_name: &str, datagrams: bool) -> Kind {
    match type_name {
        _ if datagrams => Kind::Datagrams,
        "fd" => Kind::Unknown,
        _ => Kind::Bytes,
    }
}
