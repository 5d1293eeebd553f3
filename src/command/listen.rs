//! `listen`: accept on a server endpoint and wire the connection to standard input and output.
//! Absent: the wiring.

use std::ffi::OsString;

use clap::Args;
use tracing::{debug, warn};

use super::host;
use super::record::Record;
use super::talk::{Console, Terms, within};
use crate::cli::options::{AccessOptions, HandshakeOptions, ReadyOptions, TalkOptions};
use crate::cli::{complete, help};
use netkit::connection::Connection;
use netkit::endpoint::Role;
use netkit::error::{Error, Result, Status, reason};
use netkit::process::log::Log;
use netkit::process::pulse::Pulse;
use netkit::process::runtime;
use netkit::server::door::Door;
use netkit::server::gate::Keeper;
use netkit::server::shortage::{self, Next, Shortage};
use netkit::server::stop::{Stop, stop};
use netkit::transport::datagrams::Flows;
use netkit::transport::reading::ServerEndpoint;
use netkit::transport::{Accept, Listener};

const NOTES: &str = "\
Notes:
  The first connection is wired to standard input and output, as connect does
  it, and further clients are refused. A client whose handshake fails, TLS or
  a PROXY header, was no connection: that is a line in the log, and listen waits
  for the next. With --keep-open the next connection follows when one has ended;
  one that breaks off is a warning in the log.

  SIGINT or SIGTERM: nothing more is accepted, an open connection may go on
  for the time that --grace gives, and the status is 0. A second signal ends
  the run at once.

  --allow and --deny: the most specific rule about an address decides, and a
  tie denies. Where none is about it, it is let in if there is no --allow. Who
  is refused is not the first connection; netkit-serve(1) says more.

  --record writes all connections to one file; netkit-connect(1) says more.

  UDP: the first peer that writes is the connection. It has no end of its own;
  --half-close-timeout gives it one after the end of standard input.";

const EXAMPLES: &str = "\
Examples:
  netkit listen --no-stdin tcp:1234 > received &
  echo hello | netkit connect tcp:localhost:1234
  wait";

/// Accept on a server endpoint and wire it to stdin/stdout
#[derive(Debug, Args)]
#[command(after_long_help = help::parts(&[NOTES, EXAMPLES, &help::endpoints(Role::Server), &help::wrappers(Role::Server)]))]
pub(crate) struct Listen {
    /// Where to listen, such as tcp:1234 or unix:/run/inbox.sock
    #[arg(value_name = "ENDPOINT", add = complete::server())]
    endpoint: OsString,
    /// Go on with the next connection when one has ended
    #[arg(short, long)]
    keep_open: bool,
    #[command(flatten)]
    talk: TalkOptions,
    #[command(flatten)]
    handshake: HandshakeOptions,
    #[command(flatten)]
    access: AccessOptions,
    #[command(flatten)]
    ready: ReadyOptions,
}

impl Listen {
    /// Talks with the first client, or with one after the other.
    pub(super) fn run(self, log: &Log) -> Result<Status> {
        let endpoint = ServerEndpoint::parse(&self.endpoint)?;
        if endpoint.type_name() == "stdio" {
            let why = "standard input and output are our own end of the wire already";
            return Err(Error::new(Status::Usage, why).on("could not listen on stdio"));
        }
        let ready = host::ready(&self.ready, true)?;
        let bound = host::bind(std::slice::from_ref(&endpoint))?;
        let record = Record::to(self.talk.record.as_deref())?;
        let runtime = runtime::current_thread()?;
        let (lever, stop) = stop();
        let done = runtime.block_on(async {
            let signals = host::signals()?;
            let reloading = host::Reloading::new(&bound, None);
            let listener = bound[0].listen().map_err(failed)?;
            host::tell(ready, &bound)?;
            tokio::select! {
                done = within(self.talk.timeout, endpoint.text(), self.serve(listener, bound, &endpoint, &record, stop)) => done,
                () = host::attend(Pulse::asked_for(), String::new) => Ok(Status::Done),
                () = host::heed(signals, &lever, log, reloading) => Ok(Status::Done),
            }
        });
        runtime.shutdown_background();
        record.finish(done)
    }

    /// `bound` is given back when nothing more is accepted.
    async fn serve(
        &self,
        listener: Listener,
        bound: Vec<std::sync::Arc<dyn netkit::transport::Bound>>,
        endpoint: &ServerEndpoint,
        record: &Record,
        mut stop: Stop,
    ) -> Result<Status> {
        let mut console = Console::open(&self.talk)?.recorded(record);
        let keeper = host::keeper(&self.access, None);
        let listener = accept(listener, keeper.as_ref());
        let door = Door::new(self.handshake.handshake_timeout, keeper);
        let mut held = Some((door, listener, bound));
        loop {
            let Some((door, listener, _)) = &mut held else {
                return Ok(Status::Done);
            };
            let accepted = tokio::select! {
                accepted = next(door, listener.as_mut(), endpoint.text()) => accepted?,
                () = stop.told() => return Ok(Status::Done),
            };
            let Some(connection) = accepted else {
                return Ok(Status::Done);
            };
            if !self.keep_open {
                // Further clients are refused rather than left waiting for nothing.
                held = None;
            }
            let done = {
                let conversation = self.converse(&mut console, connection, endpoint);
                tokio::pin!(conversation);
                tokio::select! {
                    done = &mut conversation => done,
                    () = stop.told() => {
                        held = None;
                        tokio::select! {
                            done = conversation => done,
                            () = self.grace_over(&mut stop) => return Ok(Status::Done),
                        }
                    }
                }
            };
            match done {
                Err(error) if self.keep_open => warn!("{error}"),
                Ok(_) if self.keep_open && !console.is_gone() => {}
                done => return done,
            }
        }
    }

    async fn converse(
        &self,
        console: &mut Console,
        connection: Connection,
        endpoint: &ServerEndpoint,
    ) -> Result<Status> {
        let facts = connection.facts();
        match &facts.via {
            Some(via) => debug!("accepted {} on {} through {via}", facts.peer, facts.local),
            None => debug!("accepted {} on {}", facts.peer, facts.local),
        }
        let terms = Terms::of(&self.talk, endpoint.text(), Role::Server);
        match connection {
            Connection::Stream(stream) => console.converse(stream, &terms).await,
            // A client may send again at any time: only a limit that was asked for ends the wait.
            Connection::Datagram(datagram) => {
                console
                    .converse_in_datagrams(datagram, &terms, self.talk.half_close_timeout)
                    .await
            }
        }
    }

    /// Returns when an open conversation has had its time after a stop.
    async fn grace_over(&self, stop: &mut Stop) {
        tokio::select! {
            () = tokio::time::sleep(self.ready.grace) => warn!("closed the connection that was open when the grace period ended"),
            () = stop.now() => {}
        }
    }
}

/// Datagrams are taken as a flow for each client.
fn accept(listener: Listener, keeper: Option<&Keeper>) -> Box<dyn Accept> {
    match (listener, keeper) {
        (Listener::Connections(listener), _) => listener,
        (Listener::Datagrams(socket), None) => Box::new(Flows::new(socket)),
        (Listener::Datagrams(socket), Some(keeper)) => Box::new(Flows::behind(keeper.of_datagrams(), socket)),
    }
}

/// The next connection that could be established.
async fn next(door: &mut Door<()>, listener: &mut dyn Accept, endpoint: &str) -> Result<Option<Connection>> {
    let mut shortage = Shortage::default();
    loop {
        match door.next(listener, |_| ()).await {
            Ok(entered) => return Ok(entered.map(|(connection, ..)| connection)),
            Err(error) => {
                if shortage.judge(endpoint, error).map_err(failed)? == Next::Rest {
                    tokio::time::sleep(shortage::PAUSE).await;
                }
            }
        }
    }
}

fn failed(error: std::io::Error) -> Error {
    Error::new(Status::Failure, reason(&error)).on("could not accept")
}
