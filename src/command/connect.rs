//! `connect`: a client endpoint wired to standard input and output.
//! Absent: the wiring.

use std::ffi::OsString;

use clap::Args;
use tracing::{debug, warn};

use super::talk::{Console, Terms, within};
use crate::cli::options::TalkOptions;
use crate::cli::{complete, help};
use netkit::connection::Connection;
use netkit::endpoint::Role;
use netkit::error::{Error, Result, Status};
use netkit::process::log::Log;
use netkit::process::{runtime, signals};
use netkit::transport::reading::ClientEndpoint;

const NOTES: &str = "\
Notes:
  Bytes pass unchanged in both directions. The end of standard input ends our
  half of the connection and no more: what the peer sends is written until it
  ends its half. Then the run is over, even if standard input is still open.

  A connection that is reset: what had arrived is written, the status is 8.
  A closed standard output, as behind head, ends the run quietly. SIGINT ends
  it with status 130.

  UDP: each read of standard input is a datagram, and what comes back is
  written as it comes. There is no end to wait for: after the end of standard
  input the run is over when nothing has come for 1s, or for the time that
  --half-close-timeout gives.";

const EXAMPLES: &str = "\
Examples:
  netkit serve echo tcp:1234 &
  echo hello | netkit connect tcp:localhost:1234
  netkit connect --no-stdin --send 'hi\\r\\n' tcp:localhost:1234
  netkit connect --timeout 5s tcp:localhost:1234 < /etc/hostname
  kill %1";

/// Wire a client endpoint to stdin/stdout
#[derive(Debug, Args)]
#[command(after_long_help = help::parts(&[NOTES, EXAMPLES, &help::endpoints(Role::Client), &help::wrappers(Role::Client)]))]
pub(crate) struct Connect {
    /// Where to connect, such as tcp:localhost:1234 or unix:/run/echo.sock
    #[arg(value_name = "ENDPOINT", add = complete::client())]
    endpoint: OsString,
    #[command(flatten)]
    talk: TalkOptions,
}

impl Connect {
    /// Talks until the peer has ended.
    pub(super) fn run(self, log: &Log) -> Result<Status> {
        let endpoint = ClientEndpoint::parse(&self.endpoint)?;
        if endpoint.type_name() == "stdio" {
            let why = "standard input and output are our own end of the wire already";
            return Err(Error::new(Status::Usage, why).on("could not connect to stdio"));
        }
        let runtime = runtime::current_thread()?;
        let status = runtime.block_on(async {
            tokio::select! {
                biased;
                () = signals::interrupted() => Ok(Status::Interrupted),
                // Without a file the signal keeps its meaning: the terminal is gone.
                never = signals::on_hangup(|| reopen(log)), if log.has_file() => match never {},
                done = within(self.talk.timeout, endpoint.text(), self.talk(&endpoint)) => done,
            }
        });
        // A read of standard input, or a name being looked up, must not keep the process.
        runtime.shutdown_background();
        status
    }

    async fn talk(&self, endpoint: &ClientEndpoint) -> Result<Status> {
        let mut console = Console::open(&self.talk)?;
        let connection = endpoint.connect().await?;
        debug!(
            "connected to {} from {}",
            connection.facts().peer,
            connection.facts().local
        );
        let terms = Terms::of(&self.talk, endpoint.text());
        match connection {
            Connection::Stream(stream) => console.converse(stream, &terms).await,
            Connection::Datagram(datagram) => {
                console
                    .converse_in_datagrams(datagram, &terms, Some(terms.quiet()))
                    .await
            }
        }
    }
}

fn reopen(log: &Log) {
    if let Err(error) = log.reopen() {
        warn!("{error}");
    }
}
