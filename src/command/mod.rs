//! The verbs, and from a verb to its status.
//! Absent: doing the work.

#[cfg(feature = "tls")]
mod cert;
mod completions;
mod connect;
mod daemon;
mod explain;
mod finger;
mod host;
mod listen;
mod manual;
mod monitored;
mod record;
mod relay;
pub(crate) mod report;
#[cfg(feature = "regex")]
mod run;
mod serve;
mod session;
mod talk;
mod translate;
mod wait;
mod work;

use clap::{Parser, Subcommand};

use crate::cli::help;
use crate::cli::options::{LogFormat, LogOptions};
use netkit::error::{Result, Status};
#[cfg(feature = "tls")]
use netkit::kernel;
use netkit::process::log::{Format, Log, Settings};
use netkit::server::ready;
#[cfg(feature = "tls")]
use netkit::terminal::passphrase;

/// One string for either end of a wire: serve, connect and listen
#[derive(Debug, Parser)]
#[command(name = "netkit", version, max_term_width = 110, after_long_help = help::statuses())]
pub(crate) struct Cli {
    #[command(subcommand)]
    verb: Verb,
    #[command(flatten)]
    log: LogOptions,
}

impl Cli {
    /// Whether lines of the log are written for programs.
    pub(crate) fn log_is_json(&self) -> bool {
        self.log.log_format == LogFormat::Json
    }
}

#[derive(Debug, Subcommand)]
enum Verb {
    Serve(Box<serve::Serve>),
    Connect(connect::Connect),
    Listen(listen::Listen),
    Relay(Box<relay::Relay>),
    #[cfg(feature = "tls")]
    Cert(cert::Cert),
    Finger(finger::Finger),
    #[cfg(feature = "regex")]
    Run(run::Run),
    Wait(wait::Wait),
    Explain(explain::Explain),
    Translate(translate::Translate),
    Completions(completions::Completions),
    #[command(hide = true)]
    Manual(manual::Manual),
}

/// Does what was asked; the status that the process ends with, which may be that of another one.
pub(crate) fn run(cli: Cli, colour: bool) -> Result<u8> {
    #[cfg(feature = "tls")]
    {
        netkit::cert::passphrase::ask_with(|prompt| passphrase::ask(prompt, kernel::catch_ends));
        let status = work(cli, colour);
        passphrase::restore();
        status
    }
    #[cfg(not(feature = "tls"))]
    work(cli, colour)
}

fn work(cli: Cli, colour: bool) -> Result<u8> {
    match cli.verb {
        Verb::Serve(serve) => {
            // The log is the first file that we make.
            serve.set_mask();
            serve.run(&start_log(cli.log, colour)?).map(Status::code)
        }
        Verb::Listen(listen) => listen.run(&start_log(cli.log, colour)?).map(Status::code),
        Verb::Relay(relay) => {
            relay.set_mask();
            relay.run(&start_log(cli.log, colour)?).map(Status::code)
        }
        Verb::Connect(connect) => connect.run(&start_log(cli.log, colour)?).map(Status::code),
        #[cfg(feature = "tls")]
        Verb::Cert(cert) => {
            start_log(cli.log, colour)?;
            cert.run().map(Status::code)
        }
        Verb::Finger(finger) => finger.run(&start_log(cli.log, colour)?).map(Status::code),
        #[cfg(feature = "regex")]
        Verb::Run(run) => {
            let brief = cli.log.quiet;
            start_log(cli.log, colour)?;
            run.run(brief)
        }
        Verb::Wait(wait) => wait.run(&start_log(cli.log, colour)?).map(Status::code),
        Verb::Explain(explain) => explain.run().map(Status::code),
        Verb::Translate(translate) => translate.run().map(Status::code),
        Verb::Completions(completions) => completions.run().map(Status::code),
        Verb::Manual(manual) => manual.run().map(Status::code),
    }
}

fn start_log(options: LogOptions, colour: bool) -> Result<Log> {
    Log::start(Settings {
        verbosity: if options.quiet {
            -1
        } else {
            i8::try_from(options.verbose).unwrap_or(i8::MAX)
        },
        format: match options.log_format {
            LogFormat::Text => Format::Text,
            LogFormat::Json => Format::Json,
        },
        file: options.log_file,
        syslog: options.syslog,
        colour,
        always: ready::TARGET,
    })
}
