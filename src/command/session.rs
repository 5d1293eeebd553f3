//! A conversation on one connection after the other, at a terminal or not: what `connect` does with `--reconnect`, and
//! what it does for a user who sits there.
//! Absent: the editing of lines, and the delays between attempts.

use std::fmt::Write as _;
use std::io::{self, IsTerminal as _};
use std::sync::Arc;
use std::time::Duration;

use tokio::io::DuplexStream;
use tokio::sync::oneshot;
use tracing::{Level, debug, enabled, warn};

use super::record::Record;
use super::talk::{Console, GOODBYE, Round, Terms};
use crate::cli::options::{ReconnectOptions, TalkOptions};
#[cfg(feature = "tls")]
use netkit::cert::{Name, inspect};
use netkit::connection::tap::count::{Count, Counts};
use netkit::connection::{Connection, Facts, Stream};
use netkit::endpoint::Role;
use netkit::error::{Error, Result, Status};
use netkit::process::log::Log;
use netkit::process::signals;
use netkit::reconnect::Reconnect;
use netkit::relay::resumable::Outbound;
use netkit::terminal::console::{self, Wish};
use netkit::transport::Connector;
use netkit::transport::reading::ClientEndpoint;
use netkit::units::duration_text;

/// Logs a connection.
pub(super) fn said(facts: &Facts) {
    debug!("connected to {} from {}", facts.peer, facts.local);
}

/// One run of `connect`.
pub(super) struct Session<'a> {
    endpoint: &'a Arc<ClientEndpoint>,
    talk: &'a TalkOptions,
    again: &'a ReconnectOptions,
    record: &'a Record,
    outbound: Outbound,
}

/// What came of a connection's part of the conversation at a terminal.
enum Turn {
    Over(Status),
    /// The user has left.
    Left,
    /// The user wants another connection, now.
    Redial,
    Lost,
}

/// What waiting for a connection came to.
enum Reached {
    Peer(Stream),
    /// The user no longer waits.
    End(Status),
}

/// Where connections come from.
enum Dialling {
    /// Each is asked for.
    Once,
    /// One is kept up.
    Kept(Reconnect),
}

impl<'a> Session<'a> {
    pub(super) fn of(
        endpoint: &'a Arc<ClientEndpoint>,
        talk: &'a TalkOptions,
        again: &'a ReconnectOptions,
        record: &'a Record,
    ) -> Self {
        Session {
            endpoint,
            talk,
            again,
            record,
            outbound: Outbound::default(),
        }
    }

    /// Talks through standard input and output.
    pub(super) async fn through(mut self, mut console: Console) -> Result<Status> {
        let dialling = self.dialling();
        let terms = Terms::of(self.talk, self.endpoint.text(), Role::Client);
        loop {
            let stream = self.connect(&dialling).await?;
            said(stream.facts());
            let counts = Count::default();
            let never = std::future::pending();
            let talk = console.converse_resumably(stream, &terms, &mut self.outbound, &counts, never);
            match talk.await? {
                Round::Over(status) => return Ok(status),
                Round::Lost(loss) if loss.is_final() => return loss.end(&terms),
                Round::Lost(loss) => loss.warn(self.endpoint.text()),
                Round::Left => {}
            }
        }
    }

    /// Talks with a user at a terminal, which is put back before this returns.
    pub(super) async fn at_terminal(
        &mut self,
        mut terminal: console::Console,
        stream: DuplexStream,
        log: &Log,
    ) -> Result<Status> {
        // Where the log goes to the same terminal, it must not tear the line being typed.
        let diverted = io::stderr().is_terminal().then(|| log.divert(terminal.liner()));
        let hangup_too = !log.has_file();
        let stopper = terminal.stopper();
        let done = tokio::select! {
            biased;
            () = signals::interrupted() => Ok(Status::Interrupted),
            () = signals::told_to_end(hangup_too) => Ok(Status::Interrupted),
            never = signals::on_suspension(stopper) => match never {},
            // The conversation's stream is dropped with it.
            done = self.rounds(&mut terminal, stream) => done,
        };
        drop(diverted);
        terminal.close().await;
        done
    }

    async fn rounds(&mut self, terminal: &mut console::Console, stream: DuplexStream) -> Result<Status> {
        let mut console = Console::at(stream, self.talk, terminal.liner()).recorded(self.record);
        let mut dialling = self.dialling();
        loop {
            let Some(connected) = self.reach(terminal, &dialling).await? else {
                // An attempt at once, which a line that is kept up makes only when it is begun.
                dialling = self.dialling();
                continue;
            };
            let connected = match connected {
                Reached::Peer(stream) => stream,
                Reached::End(status) => {
                    if status == Status::Done {
                        self.tell_unsent(&mut console).await;
                    }
                    return Ok(status);
                }
            };
            said(connected.facts());
            match self.round(terminal, &mut console, connected).await? {
                Turn::Over(status) => return Ok(status),
                Turn::Left => {
                    self.tell_unsent(&mut console).await;
                    return Ok(Status::Done);
                }
                Turn::Redial => dialling = self.dialling(),
                Turn::Lost => {}
            }
        }
    }

    /// Waits for a connection; `None` if the user wants another attempt, now.
    async fn reach(&self, terminal: &mut console::Console, dialling: &Dialling) -> Result<Option<Reached>> {
        let connected = self.connect(dialling);
        tokio::pin!(connected);
        loop {
            tokio::select! {
                connected = &mut connected => return Ok(Some(Reached::Peer(connected?))),
                wish = terminal.wish() => match wish {
                    Wish::Disconnect => return Ok(Some(Reached::End(Status::Done))),
                    Wish::Interrupt => return Ok(Some(Reached::End(Status::Interrupted))),
                    Wish::Failed(why) => return Err(unusable(why)),
                    Wish::Reconnect => return Ok(None),
                    Wish::Facts => {
                        let endpoint = self.endpoint.text();
                        terminal.say(format!("not connected to {endpoint}\n")).await;
                    }
                },
            }
        }
    }

    /// One connection's part.
    async fn round(
        &mut self,
        terminal: &mut console::Console,
        console: &mut Console,
        connected: Stream,
    ) -> Result<Turn> {
        let endpoint = self.endpoint.text();
        if enabled!(Level::INFO) {
            let peer = &connected.facts().peer;
            terminal
                .say(format!("connected to {endpoint} ({peer}); ~? helps\n"))
                .await;
        }
        let facts = connected.facts().clone();
        let counts = Count::default();
        let terms = Terms::of(self.talk, endpoint, Role::Client);
        let passed_on = self.outbound.passed_on();
        let (leave, left) = oneshot::channel::<()>();
        let leaving = async {
            let _ = left.await;
        };
        let done = {
            let talk = console.converse_resumably(connected, &terms, &mut self.outbound, &counts, leaving);
            tokio::pin!(talk);
            let turn = loop {
                tokio::select! {
                    done = &mut talk => break Err(done?),
                    wish = terminal.wish() => match wish {
                        // What was typed before goes first, to a peer that takes it; how that one ends is all the same.
                        Wish::Disconnect => tokio::select! {
                            done = &mut talk => break Err(done.map(|_| Round::Left)?),
                            _ = tokio::time::timeout(GOODBYE, passed_on) => break Ok(Turn::Left),
                            () = interrupted(terminal) => return Ok(Turn::Over(Status::Interrupted)),
                        },
                        Wish::Reconnect => break Ok(Turn::Redial),
                        Wish::Interrupt => return Ok(Turn::Over(Status::Interrupted)),
                        Wish::Failed(why) => return Err(unusable(why)),
                        Wish::Facts => terminal.say(description(endpoint, &facts, &counts.0)).await,
                    },
                }
            };
            match turn {
                Err(done) => done,
                Ok(turn) => {
                    drop(leave);
                    talk.await?;
                    return Ok(turn);
                }
            }
        };
        self.judge(terminal, done).await
    }

    /// Warns of what was typed before the user left, and was sent to nobody.
    async fn tell_unsent(&self, console: &mut Console) {
        let endpoint = self.endpoint.text();
        match console.unsent(&self.outbound).await {
            0 => {}
            1 => warn!("1 byte that was typed was not sent to {endpoint}"),
            unsent => warn!("{unsent} bytes that were typed were not sent to {endpoint}"),
        }
    }

    /// What is to follow the end of a connection.
    async fn judge(&self, terminal: &console::Console, done: Round) -> Result<Turn> {
        let endpoint = self.endpoint.text();
        match done {
            Round::Left => Ok(Turn::Left),
            Round::Over(status) => Ok(Turn::Over(status)),
            Round::Lost(loss) if self.again.reconnect && !loss.is_final() => {
                loss.warn(endpoint);
                Ok(Turn::Lost)
            }
            Round::Lost(loss) => {
                if enabled!(Level::INFO) {
                    terminal.say("the connection has ended\n").await;
                }
                loss.end(&Terms::of(self.talk, endpoint, Role::Client))
                    .map(Turn::Over)
            }
        }
    }

    fn dialling(&self) -> Dialling {
        if self.again.reconnect {
            let connector = Arc::clone(self.endpoint) as Arc<dyn Connector>;
            Dialling::Kept(Reconnect::start(connector, self.again.backoff))
        } else {
            Dialling::Once
        }
    }

    async fn connect(&self, dialling: &Dialling) -> Result<Stream> {
        match dialling {
            Dialling::Kept(line) => Ok(line.when_connected(self.again.fail_after).await?),
            Dialling::Once => match self.endpoint.connect().await? {
                Connection::Stream(stream) => Ok(stream),
                Connection::Datagram(_) => {
                    let why = "it carries datagrams, and a terminal wants a stream";
                    Err(Error::new(Status::Usage, why).on(format!("could not use {}", self.endpoint.text())))
                }
            },
        }
    }
}

/// Returns when the user wants no more than to be gone.
async fn interrupted(terminal: &mut console::Console) {
    while terminal.wish().await != Wish::Interrupt {}
}

fn unusable(why: String) -> Error {
    Error::new(Status::Failure, why).on("could not read the terminal")
}

/// What is known of a connection, a line each.
fn description(endpoint: &str, facts: &Facts, counts: &Counts) -> String {
    let age = Duration::from_secs(facts.since.elapsed().as_secs());
    let mut text = format!("connected to {endpoint} for {}\n", duration_text(age));
    let mut line = |name: &str, value: &str| {
        // Writing to a String does not fail.
        let _ = writeln!(text, "  {name:<11}  {value}");
    };
    line("peer", &facts.peer.to_string());
    line("local", &facts.local.to_string());
    match &facts.tls {
        None => line("TLS", "none"),
        Some(tls) => {
            line("TLS", tls.version);
            line("cipher", tls.cipher);
            if let Some(alpn) = &tls.alpn {
                line("ALPN", alpn);
            }
            #[cfg(feature = "tls")]
            if let Some(certificate) = tls
                .peer_certificates
                .first()
                .and_then(|der| inspect::describe(der))
            {
                let names: Vec<_> = certificate.names.iter().map(Name::whole).collect();
                line("certificate", &certificate.subject);
                line("  names", &names.join(", "));
                line("  issuer", &certificate.issuer);
                line("  until", &certificate.not_after.date().to_string());
                line("  pin", &certificate.pin.to_string());
            }
        }
    }
    line("sent", &format!("{} bytes", counts.sent()));
    line("received", &format!("{} bytes", counts.received()));
    text
}
