//! `connect`: a client endpoint wired to standard input and output.
//! Absent: the wiring.

use std::ffi::OsString;
use std::sync::Arc;

use clap::Args;
use tracing::warn;

use super::record::Record;
use super::session::{self, Session};
use super::talk::{Console, Terms, within};
use crate::cli::options::{ReconnectOptions, TalkOptions};
use crate::cli::{complete, help};
use netkit::connection::Connection;
use netkit::endpoint::Role;
use netkit::error::{Error, Result, Status};
use netkit::process::log::Log;
use netkit::process::{runtime, signals};
use netkit::terminal::{console as terminal, history};
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
  closes earlier, or breaks off, is connected to again. One that breaks off
  after the last of the input was sent to it ends the run with status 8: nothing
  is left to be sent again. A certificate that is refused is tried again too, as
  servers renew theirs; a key or a root of ours that cannot be read ends the run
  with status 2. -v shows each attempt, its delay and its reason; a loss, and
  the first failed attempt after it, always are.

  On a terminal, with both standard input and output, lines are edited before
  they are sent, each with an LF (--crlf: CRLF) at its end, and what comes is
  shown above the line being typed. A line that begins with ~ may be for netkit:
  ~. disconnects, ~r reconnects, ~i shows facts of the connection, ~? helps, and
  ~~ sends a ~. What was typed before ~. is sent first, for as long as 1s; a
  warning says how much the peer did not take. Ctrl-D on an empty line ends our
  half, what comes is still shown; Ctrl-C ends the run with status 130. So that
  a peer cannot drive the terminal, control characters that it sends, other than
  LF and tab, are shown as escapes such as \\x1b; an unfinished line is shown as
  a line of its own.
  Lines are remembered for each endpoint, below netkit/history in the state
  directory ($XDG_STATE_HOME, or ~/.local/state), for their owner alone; not
  those that begin with a space or a ~, and none with --no-history. None of this
  holds if either is a pipe or a file: bytes are bytes. To have them so on a
  terminal, put cat before or behind.

  --record writes each connection as packets of TCP or UDP, made up around what
  was exchanged, for Wireshark, tshark and tcpdump. TLS is taken off: the file
  holds what was said in plain text, so it is made for its owner alone. One that
  is there is emptied and keeps its permissions. The packets bear the addresses
  of the connection; an end that has none, as of a UNIX socket, gets one of
  192.0.2.0/24, and a comment says whose it is and what TLS came to. The file
  grows as things happen, and may be a pipe that somebody reads. At most 8MiB
  wait for it: then the conversation does too. One that takes nothing for 2s, or
  that cannot be written, is a warning; the rest is not recorded, what came
  before stays whole, and a run that ends well otherwise ends with status 1.

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
    /// On a terminal: remember no line that is typed, and recall none
    #[arg(long)]
    no_history: bool,
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
        let record = Record::to(self.talk.record.as_deref())?;
        let runtime = runtime::current_thread()?;
        let done = runtime.block_on(async {
            signals::outlive_file_limit();
            tokio::select! {
                biased;
                () = signals::interrupted() => Ok(Status::Interrupted),
                // Without a file the signal keeps its meaning: the terminal is gone.
                never = signals::on_hangup(|| reopen(log)), if log.has_file() => match never {},
                done = within(self.talk.timeout, endpoint.text(), self.converse(&endpoint, &record, log)) => done,
            }
        });
        // A read of standard input, or a name being looked up, must not keep the process.
        runtime.shutdown_background();
        record.finish(done)
    }

    async fn converse(&self, endpoint: &Arc<ClientEndpoint>, record: &Record, log: &Log) -> Result<Status> {
        let mut session = Session::of(endpoint, &self.talk, &self.again, record);
        // Datagrams have no half to end and no line to keep up; what a descriptor is shows only later.
        let bare = endpoint.carries_datagrams() || endpoint.type_name() == "fd";
        let keyboard = !bare && !self.talk.no_stdin && !self.talk.progress;
        if keyboard && terminal::Console::is_possible() {
            let history = match self.no_history {
                true => None,
                false => history::file(endpoint.type_name(), endpoint.text()),
            };
            let opened = terminal::Console::open(history).map_err(|error| {
                Error::io(Status::Failure, &error).on("could not edit lines on the terminal")
            })?;
            // A dumb terminal is one that bytes go through as they are.
            if let Some((console, stream)) = opened {
                return session.at_terminal(console, stream, log).await;
            }
        }
        if self.again.reconnect {
            session.through(Console::open(&self.talk)?.recorded(record)).await
        } else {
            self.talk_once(endpoint, record).await
        }
    }

    async fn talk_once(&self, endpoint: &ClientEndpoint, record: &Record) -> Result<Status> {
        let mut console = Console::open(&self.talk)?.recorded(record);
        let connection = endpoint.connect().await?;
        session::said(connection.facts());
        let terms = Terms::of(&self.talk, endpoint.text(), Role::Client);
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
