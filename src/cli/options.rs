//! Groups of flags that several verbs share.
//! Absent: what they do.

#[cfg(feature = "metrics")]
use std::ffi::OsString;
use std::num::NonZeroU64;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum, ValueHint};

#[cfg(feature = "metrics")]
use super::complete;
use super::values::{
    Payload, backoff, bytes, duration, duration_or_zero, escaped, log_prefix, mask, prefix, rate, some_bytes,
};
use netkit::backoff::Backoff;
use netkit::layer::fault::Faults;
use netkit::server::access::Access;
use netkit::units::prefix::Prefix;

/// What is logged, how and where.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Logging")]
pub(crate) struct LogOptions {
    /// Log connections; twice: log data too
    #[arg(short, long, action = clap::ArgAction::Count, global = true)]
    pub verbose: u8,
    /// Log errors only
    #[arg(short, long, conflicts_with = "verbose", global = true)]
    pub quiet: bool,
    /// How a line of the log is written
    #[arg(long, value_name = "FORMAT", value_enum, default_value_t = LogFormat::Text, global = true)]
    pub log_format: LogFormat,
    /// Log to a file instead of standard error; SIGHUP reopens it
    #[arg(long, value_name = "PATH", value_hint = ValueHint::FilePath, global = true)]
    pub log_file: Option<PathBuf>,
    /// Log to the system's log, /dev/log, instead of standard error; PREFIX is our name there, by default netkit
    #[arg(long, value_name = "PREFIX", value_parser = log_prefix, num_args = 0..=1, default_missing_value = "netkit", global = true, conflicts_with = "log_file")]
    pub syslog: Option<String>,
}

/// How a line of the log is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum LogFormat {
    /// for people
    Text,
    /// an object a line
    Json,
}

/// Telling that everything is bound.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Readiness and stopping")]
pub(crate) struct ReadyOptions {
    /// Once all endpoints are bound, write the client strings that lead to them here, a line each, atomically. A regular file
    /// that is there gives way; anything else stays, and is an error
    #[arg(long, value_name = "PATH", value_hint = ValueHint::FilePath)]
    pub ready_file: Option<PathBuf>,
    /// Write the same lines to descriptor N, then close it
    #[arg(long, value_name = "N")]
    pub ready_fd: Option<u32>,
    /// After SIGINT or SIGTERM: how long open connections may go on
    #[arg(long, value_name = "DURATION", default_value = "5s", value_parser = duration_or_zero)]
    pub grace: Duration,
}

/// What is put through a connection of ours, and how long it may take.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "The conversation")]
pub(crate) struct TalkOptions {
    /// Send TEXT before standard input; \r \n \t \0 \\ and \xHH are understood
    #[arg(long, value_name = "TEXT", value_parser = escaped, allow_hyphen_values = true)]
    pub send: Option<Payload>,
    /// Read nothing from standard input, as if it were empty
    #[arg(long)]
    pub no_stdin: bool,
    /// Send CRLF for each LF read; a CRLF that is there already stays as it is
    #[arg(long)]
    pub crlf: bool,
    /// UDP: make each line a datagram, its line end included, rather than each read
    #[arg(long)]
    pub line: bool,
    /// After our end of file: how long to wait for the peer's. UDP: how long nothing may come before the run is over
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    pub half_close_timeout: Option<Duration>,
    /// TLS: a peer that ends without close_notify, so that something may be missing, ends cleanly all the same
    #[arg(long)]
    pub tolerate_truncation: bool,
    /// Give up when nothing has moved in either direction for so long
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    pub idle_timeout: Option<Duration>,
    /// Give up when the whole run takes longer
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    pub timeout: Option<Duration>,
    /// Show both directions in hexadecimal with offsets, on standard error
    #[arg(long)]
    pub hexdump: bool,
    /// Write what is exchanged, decrypted, to a pcapng file that Wireshark opens; a file that is there is emptied
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub record: Option<PathBuf>,
    /// Show a progress bar, on standard error, wherever that is
    #[arg(long, overrides_with = "no_progress")]
    pub progress: bool,
    /// Show no progress bar; without either flag there is one if a file is sent from a terminal
    #[arg(long)]
    pub no_progress: bool,
}

/// What is to go wrong with what is forwarded.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Faults, in both directions")]
pub(crate) struct FaultOptions {
    /// Every byte or datagram, and the end, arrives so much later
    #[arg(long, value_name = "DURATION", value_parser = duration_or_zero)]
    pub delay: Option<Duration>,
    /// Each piece is late by a random time up to this, besides; none overtakes another
    #[arg(long, value_name = "DURATION", value_parser = duration_or_zero)]
    pub jitter: Option<Duration>,
    /// Pass on so many bytes a second in each direction, such as 10KiB/s or 1MB/s
    #[arg(long, value_name = "BYTES/s", value_parser = rate)]
    pub rate: Option<NonZeroU64>,
    /// Close both connections once exactly so many bytes have passed in one of the directions
    #[arg(long, value_name = "BYTES", value_parser = bytes)]
    pub close_after: Option<u64>,
    /// Flip a bit in every N bytes on average
    #[arg(long, value_name = "N", value_parser = some_bytes)]
    pub corrupt: Option<NonZeroU64>,
    /// What --jitter and --corrupt draw is drawn by this number, and the same the next time; -v says which it was
    #[arg(long, value_name = "N")]
    pub seed: Option<u64>,
}

impl FaultOptions {
    /// What was asked for.
    pub(crate) fn faults(&self) -> Faults {
        Faults {
            delay: self.delay.unwrap_or_default(),
            jitter: self.jitter.unwrap_or_default(),
            rate: self.rate,
            close_after: self.close_after,
            corrupt: self.corrupt,
        }
    }
}

/// Keeping a connection up.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Reconnecting")]
pub(crate) struct ReconnectOptions {
    /// Keep the connection up: connect again when it is lost or cannot be made, after a growing delay
    #[arg(long)]
    pub reconnect: bool,
    /// Give up after N failed attempts in a row, with the status of the last one
    #[arg(long, value_name = "N", requires = "reconnect", value_parser = clap::value_parser!(u32).range(1..))]
    pub fail_after: Option<u32>,
    /// The delay after a loss or a first failure, what each further failure multiplies it with, the longest, and the
    /// random time added to each
    #[arg(
        long, value_name = "NAME=VALUE,...", requires = "reconnect", default_value_t = Backoff::default(),
        value_parser = backoff
    )]
    pub backoff: Backoff,
}

/// The time for what comes before the conversation.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Limits")]
pub(crate) struct HandshakeOptions {
    /// Close a connection that is not established by then: its PROXY header read, and whatever else comes first
    #[arg(long, value_name = "DURATION", default_value = "10s", value_parser = duration)]
    pub handshake_timeout: Duration,
}

/// Who may be a client.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Access")]
pub(crate) struct AccessOptions {
    /// Let in clients from these addresses and, where no rule is about them, no others: an address, or a block such as
    /// 10.0.0.0/8; of several rules the most specific one decides
    #[arg(long, value_name = "CIDR", value_parser = prefix)]
    pub allow: Vec<Prefix>,
    /// Turn away clients from these addresses; a tie denies
    #[arg(long, value_name = "CIDR", value_parser = prefix)]
    pub deny: Vec<Prefix>,
}

impl AccessOptions {
    /// The rules.
    pub(crate) fn access(&self) -> Access {
        Access::new(&self.allow, &self.deny)
    }
}

/// Telling others how the server does.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Metrics")]
pub(crate) struct MetricsOptions {
    /// Serve /metrics for Prometheus, /healthz and /readyz there, over HTTP
    #[cfg(feature = "metrics")]
    #[arg(long, value_name = "ENDPOINT", add = complete::server())]
    pub metrics: Option<OsString>,
}

/// How many connections, and how long.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Limits")]
pub(crate) struct LimitOptions {
    /// Serve at most N connections at once; further clients wait in the backlog
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub max_connections: Option<u64>,
    /// Serve at most N connections from one address at once; further ones are closed
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub max_connections_per_ip: Option<u64>,
    /// Close a connection on which nothing has moved for so long
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    pub idle_timeout: Option<Duration>,
    #[command(flatten)]
    pub handshake: HandshakeOptions,
    /// Serve one connection, or answer one datagram, then exit
    #[arg(long)]
    pub once: bool,
    /// Serve with N threads
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub workers: u16,
}

/// Running as a daemon, and as somebody else.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Daemon")]
pub(crate) struct DaemonOptions {
    /// Serve in the background; return once all endpoints are bound, or with the status of the failure
    #[arg(long)]
    pub daemonize: bool,
    /// Write the number of the process to PATH and keep it locked; removed at the end
    #[arg(long, value_name = "PATH", value_hint = ValueHint::FilePath)]
    pub pidfile: Option<PathBuf>,
    /// Once all is bound, become USER, a name or a number, without supplementary groups and for good
    #[arg(long, value_name = "USER", value_hint = ValueHint::Username)]
    pub user: Option<String>,
    /// Become GROUP instead of the user's primary group
    #[arg(long, value_name = "GROUP")]
    pub group: Option<String>,
    /// Once all is bound, make DIR the root directory
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub chroot: Option<PathBuf>,
    /// Once all is bound, run in DIR, below the new root if there is one; a daemon runs in / otherwise
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub rundir: Option<PathBuf>,
    /// Do not hold the server to what it needs by Landlock, as --daemonize, --user, --group and --chroot do
    #[arg(long)]
    pub no_sandbox: bool,
    /// The permissions that the files we make do not get, in octal
    #[arg(long, value_name = "OCTAL", value_parser = mask)]
    pub umask: Option<u32>,
}

/// All that verbs which serve have in common.
#[derive(Debug, Clone, Args)]
pub(crate) struct ServerOptions {
    #[command(flatten)]
    pub limits: LimitOptions,
    #[command(flatten)]
    pub access: AccessOptions,
    #[command(flatten)]
    pub metrics: MetricsOptions,
    #[command(flatten)]
    pub ready: ReadyOptions,
    #[command(flatten)]
    pub daemon: DaemonOptions,
}
