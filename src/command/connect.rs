//! `connect`: a client endpoint wired to standard input and output.
//! Absent: the wiring.

use std::ffi::OsString;
use std::sync::Arc;

use clap::Args;
use tracing::{debug, warn};

use super::talk::{Console, Round, Terms, within};
use crate::cli::options::{ReconnectOptions, TalkOptions};
use crate::cli::{complete, help};
use netkit::connection::{Connection, Facts};
use netkit::endpoint::Role;
use netkit::error::{Error, Result, Status};
use netkit::process::log::Log;
use netkit::process::{runtime, signals};
use netkit::reconnect::Reconnect;
use netkit::relay::resumable::Outbound;
use netkit::transport::Connector;
use netkit::transport::reading::ClientEndpoint;

const NOTES: &str = "\
Notes:
  Bytes pass unchanged in both directions. The end of standard input ends our
  half of the connection and no more: what the peer sends is written until it
  ends its half. Then the run is over, even if standard input is still open.

  A connection that is reset: what had arrived is written, the status is 8.
  A closed standard output, as behind head, ends the run quietly. SIGINT ends
  it with status 130.

  --reconnect keeps the connection up. The first attempt is made at once; after
  the n-th failure in a row the next one waits initial*factor^(n-1), at most
  max, and up to jitter longer. An attempt has succeeded when the connection is
  established to its last layer, TLS included, and the count begins anew. A
  connection that is lost is the first failure of a new row. --send is sent on
  each connection. What was read from standard input and could not be sent is
  kept for the next one; what was sent on a lost one may or may not have
  arrived, and a warning says how much it was. The run is over when the input
  has ended, all of it was sent, and the peer closes cleanly; a peer that
  closes earlier, or breaks off, is connected to again. A certificate that is
  refused is tried again too, as servers renew theirs; a key or a root of ours
  that cannot be read ends the run with status 2. -v shows each attempt, its
  delay and its reason; the first failure of a row is always shown.

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
    #[command(flatten)]
    again: ReconnectOptions,
}

impl Connect {
    /// Talks until the peer has ended.
    pub(super) fn run(self, log: &Log) -> Result<Status> {
        let endpoint = Arc::new(ClientEndpoint::parse(&self.endpoint)?);
        if endpoint.type_name() == "stdio" {
            let why = "standard input and output are our own end of the wire already";
            return Err(Error::new(Status::Usage, why).on("could not connect to stdio"));
        }
        if self.again.reconnect && endpoint.carries_datagrams() {
            let why = format!(
                "a {} endpoint has no connection that could be lost",
                endpoint.type_name()
            );
            return Err(Error::new(Status::Usage, why).on("could not use --reconnect"));
        }
        let runtime = runtime::current_thread()?;
        let status = runtime.block_on(async {
            tokio::select! {
                biased;
                () = signals::interrupted() => Ok(Status::Interrupted),
                // Without a file the signal keeps its meaning: the terminal is gone.
                never = signals::on_hangup(|| reopen(log)), if log.has_file() => match never {},
                done = within(self.talk.timeout, endpoint.text(), self.converse(&endpoint)) => done,
            }
        });
        // A read of standard input, or a name being looked up, must not keep the process.
        runtime.shutdown_background();
        status
    }

    async fn converse(&self, endpoint: &Arc<ClientEndpoint>) -> Result<Status> {
        if self.again.reconnect {
            self.talk_again_and_again(endpoint).await
        } else {
            self.talk_once(endpoint).await
        }
    }

    /// On one connection after the other, until the conversation is over.
    async fn talk_again_and_again(&self, endpoint: &Arc<ClientEndpoint>) -> Result<Status> {
        let mut console = Console::open(&self.talk)?;
        let line = Reconnect::start(Arc::clone(endpoint) as Arc<dyn Connector>, self.again.backoff);
        let terms = Terms::of(&self.talk, endpoint.text()).counted();
        let mut outbound = Outbound::default();
        loop {
            let stream = line.when_connected(self.again.fail_after).await?;
            said(stream.facts());
            match console.converse_resumably(stream, &terms, &mut outbound).await? {
                Round::Over(status) => return Ok(status),
                Round::Lost(loss) => loss.warn(endpoint.text()),
            }
        }
    }

    async fn talk_once(&self, endpoint: &ClientEndpoint) -> Result<Status> {
        let mut console = Console::open(&self.talk)?;
        let connection = endpoint.connect().await?;
        said(connection.facts());
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

fn said(facts: &Facts) {
    debug!("connected to {} from {}", facts.peer, facts.local);
}

fn reopen(log: &Log) {
    if let Err(error) = log.reopen() {
        warn!("{error}");
    }
}
