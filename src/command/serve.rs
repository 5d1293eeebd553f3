//! `serve`: a built-in protocol on one or more server endpoints.
//! Absent: accepting, and what the protocols say.

use std::ffi::OsString;

use clap::Args;
use clap::builder::{PossibleValue, PossibleValuesParser};

use super::host;
use super::work::{Flows, Work};
use crate::cli::options::ServerOptions;
use crate::cli::settings::Settings;
use crate::cli::{complete, help};
use netkit::endpoint::Role;
use netkit::error::{Error, Result, Status};
use netkit::process::log::Log;
use netkit::process::place::set_mask;
use netkit::protocol::PROTOCOLS;

const NOTES: &str = "\
Notes:
  All endpoints are bound, or none is served. For each one the log says
  `listening on ENDPOINT`, with a string that netkit connect takes as it is;
  --ready-file, --ready-fd and NOTIFY_SOCKET tell programs; of the latter, UNIX
  sockets, and not vsock:, of which the log warns.

  SIGINT or SIGTERM: nothing more is accepted, open connections may go on for
  the time that --grace gives, and the status is 0. A second signal ends the
  run at once. SIGHUP reopens the log and what is appended to, and reads
  certificates and files of settings again.

  --allow and --deny: the most specific rule about an address decides, and a
  tie denies. Where none is about it, it is let in if there is no --allow. An
  IPv4 address counts as such on a tcp6 endpoint too. With haproxy: it is the
  address that the header names; a proxy that speaks for itself, as for a
  health check, is judged by its own. Who has no address, as over a UNIX
  socket, is let in. Who is refused is so before TLS; TCP clients see a reset
  (behind a proxy, an end), datagrams are dropped, and -v has a line for each.

  --metrics: Prometheus text at /metrics, /healthz, which answers for as long
  as the process does, and /readyz, which is 503 once the server was told to
  stop. That endpoint is bound with the others and told in the log, as
  `metrics on ENDPOINT`, but not in the ready file. --allow, --deny and the
  limits are not about it. It has 64 places, and when all are taken the client
  that is slowest to ask has to go for the next; GET and HEAD only. A few
  descriptors are kept back for it: a server that has run out of them answers.

  As a daemon: --daemonize returns when all is bound and told, or with the
  status of the failure. Keys are read, the log is opened and ports are bound
  before --user, --group and --chroot take effect; then there are no
  supplementary groups and no capabilities left, and no program that is run
  can get any (no_new_privs). The paths of options are those of the caller.
  What is read again on SIGHUP, and what is written, is looked for in the new
  root by the new user; the log says what cannot be had, and what was read
  before stays in use. The pid file and UNIX sockets are removed in the end if
  the new user may write to their directories; the log says at the start
  where it may not. A log file that was missing is made for the new user. The
  pid file is locked by whom it names: one that a dead process left is taken
  over, though its number may be another's by now. Whoever may read it can lock
  it, so its directory is best one that others may not enter; and NFS does not
  let it be locked.

  A server with --daemonize, --user, --group or --chroot is held to what it
  needs by Landlock where the kernel has it: it reads libraries and the
  directories of its certificates and tables, writes where its log and its
  protocol write, removes its pid file and sockets, runs nothing and opens no
  TCP connection, unless the protocol does. Whoever connects to others reads
  /etc and the system's roots as well; `finger --system` reads everything, as
  homes are anywhere; whoever runs programs reads and runs everything, and
  writes below /tmp and /var/tmp. Where a certificate or a table is reached
  by a link, all that is below the link's directory is read too, so that a
  new link may lead to a directory beside the old one; a link in / is not
  followed elsewhere, and a reload that is refused says so. -v says what
  holds, --no-sandbox turns it off.

  UDP: datagrams are answered one by one, so --max-connections and
  --idle-timeout are about the other endpoints. A datagram from the port of a
  service that answers anything (0, 7, 9, 13, 17, 19 or 37) is not answered,
  so that two servers cannot be set on each other.";

const EXAMPLES: &str = "\
Examples:
  netkit serve echo tcp:1234 udp:1234 unix:echo.sock --ready-file ready &
  echo hello | netkit connect unix:echo.sock
  kill %1";

/// Run a built-in protocol on one or more server endpoints
#[derive(Debug, Args)]
#[command(after_long_help = help::parts(&[
    NOTES, EXAMPLES, &help::protocols(), &help::endpoints(Role::Server), &help::wrappers(Role::Server),
]))]
pub(crate) struct Serve {
    /// What is said on each connection
    #[arg(value_name = "PROTOCOL", value_parser = PossibleValuesParser::new(
        PROTOCOLS.iter().map(|protocol| PossibleValue::new(protocol.name).help(protocol.summary)),
    ), hide_possible_values = true)]
    protocol: String,
    /// Where to listen, such as tcp:1234 or unix:/run/echo.sock
    #[arg(value_name = "ENDPOINT", required = true, add = complete::server())]
    endpoints: Vec<OsString>,
    /// Show both directions in hexadecimal with offsets, on standard error
    #[arg(long, conflicts_with = "daemonize")]
    hexdump: bool,
    #[command(flatten)]
    server: ServerOptions,
    #[command(flatten)]
    settings: Settings,
}

impl Serve {
    /// That its endpoints can be read.
    #[cfg(feature = "regex")]
    pub(super) fn sound(&self) -> Result<()> {
        host::endpoints(&self.endpoints).map(drop)
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

    /// Serves until it is told to stop, or has served once.
    pub(super) fn run(self, log: &Log) -> Result<Status> {
        let service = self.settings.service(&self.protocol)?;
        let endpoints = host::endpoints(&self.endpoints)?;
        if service.respond.is_none()
            && let Some(endpoint) = endpoints.iter().find(|endpoint| endpoint.carries_datagrams())
        {
            let what = format!("could not serve {} on {}", self.protocol, endpoint.text());
            return Err(
                Error::new(Status::Usage, "it needs connections, and datagrams arrive there").on(what),
            );
        }
        let work = Work {
            endpoints,
            service,
            hexdump: self.hexdump,
            record: None,
            sees_to_idle: false,
            sole: false,
            flows: Flows::default(),
        };
        work.run(&self.server, log)
    }
}
