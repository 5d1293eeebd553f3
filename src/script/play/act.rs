//! What each step does, and what has to come of it in its time.
//! Absent: what is on the stage.

use std::ffi::OsString;
use std::future::Future;
use std::net::{Ipv4Addr, TcpListener};
use std::process::Command;
use std::time::Duration;

use tokio::time::{Instant, sleep_until, timeout_at};

use super::branches;
use super::conversation::{Conversation, Ending, Unmet};
use super::door::Door;
use super::fault::Fault;
use super::part::{Part, shell_status, status_words};
use super::search::Wanted;
use super::stage::{Limit, Stage};
use super::wire::UNREAD_MAX;
use crate::connection::{BoxFuture, Connection};
use crate::error::{Error, Status, reason};
use crate::script::step::{Action, Claim, Expectation, Failure, Name, Payload, Place, Step, Text, Value};
use crate::transport::reading::{ClientEndpoint, ServerEndpoint};
use crate::units::size_text;

/// How often a program that is waited for is looked at.
const LOOK_AGAIN: Duration = Duration::from_millis(20);

/// Bytes of all the words of a command together.
const WORDS_MAX: usize = 1024 * 1024;

impl Stage<'_> {
    /// Plays a step, with those in it.
    pub(super) fn play<'b>(&'b self, step: &'b Step) -> BoxFuture<'b, Result<(), Fault>> {
        Box::pin(async move {
            self.turn(step).await?;
            match &step.action {
                Action::Repeat { times, steps } => {
                    for _ in 0..*times {
                        self.in_order(steps).await?;
                    }
                    Ok(())
                }
                Action::Parallel { branches } => {
                    let branches = branches
                        .iter()
                        .map(|steps| -> BoxFuture<'_, _> { Box::pin(self.in_order(steps)) });
                    branches::all(branches.collect()).await
                }
                Action::Include { steps, .. } => self.in_order(steps).await,
                _ => {
                    let start = Instant::now();
                    let done = self.act(step).await;
                    self.note(step, start.elapsed(), done.is_ok());
                    done
                }
            }
        })
    }

    /// Before a step: the script's time holds for steps that wait for nothing, and so do signals and the scripts beside it.
    async fn turn(&self, step: &Step) -> Result<(), Fault> {
        tokio::task::yield_now().await;
        let limit = self.limit(None);
        match Instant::now() < limit.at {
            true => Ok(()),
            false => Err(Fault::late(
                step.place,
                Unmet::new(format!("it was not reached {}", limit.words)),
            )),
        }
    }

    async fn in_order(&self, steps: &[Step]) -> Result<(), Fault> {
        for step in steps {
            self.play(step).await?;
        }
        Ok(())
    }

    async fn act(&self, step: &Step) -> Result<(), Fault> {
        let place = focus(step);
        let limit = self.limit(Some(step.within.unwrap_or(self.script().limits.step)));
        match &step.action {
            Action::Start { name, command } => self.start(place, &limit, name, command).await,
            Action::Launch { name, command } => self.launch(place, &limit, name, command).await,
            Action::Stop { name } => {
                let part = self.part(&name.text, place)?;
                let stopped = async {
                    part.lock().await.stop().await;
                    Ok(())
                };
                in_time(place, &limit, stopped, || format!("{} did not end", name.text)).await
            }
            Action::Exits { name, status } => self.exits(place, &limit, name, *status).await,
            Action::Wait { endpoints, gone } => self.wait(place, &limit, endpoints, *gone).await,
            Action::Connect {
                name,
                endpoint,
                fails,
            } => {
                self.leave(&name.text);
                let text = self.word(endpoint)?;
                let endpoint = ClientEndpoint::parse(&text)
                    .map_err(|refused| Fault::error(place, &Error::from(refused)))?;
                if matches!(endpoint.type_name(), "stdio" | "fd") {
                    return Err(Fault::new(
                        place,
                        "a script has no standard input and output of its own",
                    ));
                }
                let connecting = async { Ok(endpoint.connect().await) };
                let late = || format!("{}: there is no connection", name.text);
                let done = in_time(place, &limit, connecting, late).await?;
                self.made(place, name, done, fails.as_ref())
            }
            Action::Listen { name, endpoint } => {
                self.shut(&name.text);
                let text = self.word(endpoint)?;
                let endpoint = ServerEndpoint::parse(&text)
                    .map_err(|refused| Fault::error(place, &Error::from(refused)))?;
                if matches!(endpoint.type_name(), "stdio" | "fd" | "systemd") {
                    return Err(Fault::new(place, "a script listens on sockets of its own only"));
                }
                let door = Door::open(&endpoint).map_err(|error| Fault::error(place, &error))?;
                self.open(&name.text, door);
                Ok(())
            }
            Action::Accept { name, door, fails } => {
                self.leave(&name.text);
                let door = self.door(&door.text, place)?;
                let accepting = async { Ok(door.accept().await) };
                let late = || format!("{}: nobody came", name.text);
                let done = in_time(place, &limit, accepting, late).await?;
                self.made(place, name, done, fails.as_ref())
            }
            Action::Send { who, payload, line } => {
                let conversation = self.conversation(&who.text, place)?;
                let mut bytes = self.payload_in_time(place, &limit, payload).await?;
                if *line {
                    bytes.extend_from_slice(b"\r\n");
                }
                let sending = async {
                    conversation
                        .send(bytes)
                        .await
                        .map_err(|unmet| Fault::unmet(place, unmet))
                };
                let late = || format!("{}: the peer does not read what is sent", who.text);
                let done = in_time(place, &limit, sending, late).await;
                done.map_err(|fault| fault.about(&who.text))
            }
            Action::Expect { who, what } => {
                let conversation = self.conversation(&who.text, place)?;
                let done = self.expect(place, &limit, &conversation, what).await;
                done.map_err(|fault| fault.about(&who.text))
            }
            Action::End { who } => {
                let conversation = self.conversation(&who.text, place)?;
                let ending = async {
                    conversation
                        .end()
                        .await
                        .map_err(|unmet| Fault::unmet(place, unmet))
                };
                let late = || format!("{}: our half could not be ended", who.text);
                let done = in_time(place, &limit, ending, late).await;
                done.map_err(|fault| fault.about(&who.text))
            }
            Action::Close { who } => {
                self.conversation(&who.text, place)?.close().await;
                self.leave(&who.text);
                Ok(())
            }
            Action::Reset { who } => {
                let conversation = self.conversation(&who.text, place)?;
                let reset = conversation.reset().await;
                reset.map_err(|unmet| Fault::unmet(place, unmet).about(&who.text))?;
                self.leave(&who.text);
                Ok(())
            }
            Action::Check { subject, claim } => self.check(place, &limit, subject, claim).await,
            Action::Set { name, value } => {
                let value = match value {
                    Value::Text(text) => self.bytes(text)?,
                    Value::FreePort => free_port().map_err(|error| {
                        Fault::new(place, format!("there is no free port: {}", reason(&error)))
                    })?,
                };
                self.set(place, &name.text, value)
            }
            Action::Sleep(length) => self.sleep(place, *length).await,
            // Those that hold others are played above.
            Action::Repeat { .. } | Action::Parallel { .. } | Action::Include { .. } => Ok(()),
        }
    }

    async fn start(&self, place: Place, limit: &Limit, name: &Name, command: &[Text]) -> Result<(), Fault> {
        let words = self.words(command)?;
        let failed = |error: Error| Fault::error(place, &error);
        let mut command = self.means().server(&words).map_err(failed)?;
        self.at_home(&mut command);
        self.make_room(place, limit, &name.text).await?;
        let part = self.cast(&name.text, Part::serve(&name.text, command).map_err(failed)?);
        let listening = async {
            let mut part = part.lock().await;
            part.listening().await.map_err(failed)?;
            self.listens(&name.text, part.endpoints());
            Ok(())
        };
        in_time(place, limit, listening, || {
            format!("{} did not listen", name.text)
        })
        .await
    }

    async fn launch(&self, place: Place, limit: &Limit, name: &Name, command: &[Text]) -> Result<(), Fault> {
        let words = self.words(command)?;
        let [program, arguments @ ..] = &words[..] else {
            return Err(Fault::new(place, "there is no program"));
        };
        let mut command = Command::new(program);
        command.args(arguments);
        self.at_home(&mut command);
        self.make_room(place, limit, &name.text).await?;
        let part = Part::launch(&name.text, command).map_err(|error| Fault::error(place, &error))?;
        self.cast(&name.text, part);
        Ok(())
    }

    fn words(&self, command: &[Text]) -> Result<Vec<OsString>, Fault> {
        let mut left = WORDS_MAX;
        let word = |text: &Text| {
            let word = self.word(text)?;
            left = left.checked_sub(word.len()).ok_or_else(|| {
                let why = format!("its words come to more than {}", size_text(WORDS_MAX as u64));
                Fault::new(text.place, why)
            })?;
            Ok(word)
        };
        command.iter().map(word).collect()
    }

    /// What a part writes without being told where belongs to this script.
    fn at_home(&self, command: &mut Command) {
        command.current_dir(self.directory());
        command.env("TMPDIR", self.directory());
    }

    /// Stops whoever has the name, as in the round before.
    async fn make_room(&self, place: Place, limit: &Limit, name: &str) -> Result<(), Fault> {
        let Ok(part) = self.part(name, place) else {
            return Ok(());
        };
        let stopping = async {
            part.lock().await.stop().await;
            Ok(())
        };
        in_time(place, limit, stopping, || {
            format!("an earlier {name} did not end")
        })
        .await
    }

    async fn exits(&self, place: Place, limit: &Limit, name: &Name, wanted: Option<u8>) -> Result<(), Fault> {
        let part = self.part(&name.text, place)?;
        let waiting = async {
            // Whoever stops it in another branch needs it meanwhile.
            let ended = part.lock().await.end();
            ended.await;
            Ok(part.lock().await.wait().await)
        };
        let late = || format!("{} is still running", name.text);
        let status = in_time(place, limit, waiting, late).await?;
        match (wanted, status) {
            (None, _) => Ok(()),
            (Some(wanted), Some(status)) if shell_status(status) == wanted => Ok(()),
            (Some(wanted), status) => {
                let mut fault = Fault::new(place, format!("{} ended otherwise", name.text));
                let came = status.map_or_else(|| "an unknown status".to_owned(), status_words);
                fault.picture = vec![format!("expected  status {wanted}"), format!("arrived   {came}")];
                Err(fault)
            }
        }
    }

    async fn wait(&self, place: Place, limit: &Limit, endpoints: &[Text], gone: bool) -> Result<(), Fault> {
        let mut waits: Vec<BoxFuture<'_, Result<(), Fault>>> = Vec::new();
        for text in self.words(endpoints)? {
            let endpoint =
                ClientEndpoint::parse(&text).map_err(|refused| Fault::error(place, &Error::from(refused)))?;
            let time = limit.at.saturating_duration_since(Instant::now());
            waits.push(Box::pin(async move {
                let done = self.means().wait(&endpoint, gone, time).await;
                done.map_err(|error| Fault::error(place, &error))
            }));
        }
        let arriving = branches::all(waits);
        if gone {
            return arriving.await;
        }
        tokio::select! {
            biased;
            done = arriving => done,
            name = self.forsaken() => Err(Fault::new(
                place,
                format!("nobody is there, and {name}, the last that was launched, has failed"),
            )),
        }
    }

    /// Returns when the program that was launched last has failed: it is most likely who is waited for.
    async fn forsaken(&self) -> String {
        loop {
            if let Some(part) = self.last_launched()
                && let Ok(part) = part.try_lock()
                && part.has_failed()
            {
                return part.name().to_owned();
            }
            sleep_until(Instant::now() + LOOK_AGAIN).await;
        }
    }

    /// A connection that was to be made, or not.
    fn made(
        &self,
        place: Place,
        name: &Name,
        done: Result<Connection, Error>,
        fails: Option<&Failure>,
    ) -> Result<(), Fault> {
        match (done, fails) {
            (Ok(connection), None) => {
                self.enter(Conversation::new(&name.text, connection));
                Ok(())
            }
            (Err(error), None) => Err(Fault::error(place, &error)),
            (Ok(connection), Some(failure)) => {
                let facts = connection.facts();
                let mut fault = Fault::new(place, format!("{} was connected, and was not to be", name.text));
                fault.picture = vec![
                    format!("expected  {}", failure_words(failure)),
                    format!("arrived   a connection with {}", facts.peer),
                ];
                Err(fault)
            }
            (Err(error), Some(failure)) => {
                let fits = match failure {
                    Failure::Any => true,
                    Failure::Refused => error.status() == Status::Connect,
                    Failure::Timeout => error.status() == Status::Timeout,
                    Failure::Tls => error.status() == Status::Tls,
                    Failure::Reset => {
                        error.status() == Status::Lost || error.why().contains("reset by the peer")
                    }
                    Failure::Matching(pattern) => {
                        let pattern = self.pattern(pattern)?;
                        pattern.regex.is_match(error.to_string().as_bytes())
                    }
                };
                if fits {
                    return Ok(());
                }
                let mut fault = Fault::new(place, format!("{} failed otherwise", name.text));
                fault.picture = vec![
                    format!("expected  {}", failure_words(failure)),
                    format!("arrived   {error}"),
                ];
                Err(fault)
            }
        }
    }

    async fn payload_in_time(
        &self,
        place: Place,
        limit: &Limit,
        payload: &Payload,
    ) -> Result<Vec<u8>, Fault> {
        in_time(place, limit, self.payload(payload), || {
            "the file was not read".to_owned()
        })
        .await
    }

    async fn expect(
        &self,
        place: Place,
        limit: &Limit,
        conversation: &Conversation,
        what: &Expectation,
    ) -> Result<(), Fault> {
        let wanted = match what {
            Expectation::Contains(payload) => {
                Wanted::Within(self.payload_in_time(place, limit, payload).await?)
            }
            Expectation::Exactly(payload) => Wanted::Next(self.payload_in_time(place, limit, payload).await?),
            Expectation::Line(text) => Wanted::Line(self.bytes(text)?),
            Expectation::Matches(pattern) => Wanted::Pattern(self.pattern(pattern)?),
            Expectation::Close => return ends(place, limit, conversation, Ending::Close).await,
            Expectation::Reset => return ends(place, limit, conversation, Ending::Reset).await,
            Expectation::Alert(name) => {
                let name = name.as_ref().map(|name| name.text.clone());
                return ends(place, limit, conversation, Ending::Alert(name)).await;
            }
            Expectation::Silence(length) => {
                let limit = self.limit(None);
                let silent = async {
                    let silence = conversation.expect_silence(*length).await;
                    silence.map_err(|unmet| Fault::unmet(place, unmet))
                };
                let late = || format!("{}: the silence was not over", conversation.name());
                return in_time(place, &limit, silent, late).await;
            }
        };
        if let Wanted::Within(bytes) | Wanted::Next(bytes) | Wanted::Line(bytes) = &wanted
            && bytes.len() >= UNREAD_MAX
        {
            let why = format!(
                "more is expected than is kept unread, which is {}",
                size_text(UNREAD_MAX as u64)
            );
            return Err(Fault::new(place, why));
        }
        match timeout_at(limit.at, conversation.expect(&wanted)).await {
            Ok(Ok(found)) => {
                for (name, value) in found.captures {
                    self.set(place, &name, value)?;
                }
                Ok(())
            }
            Ok(Err(unmet)) => Err(Fault::unmet(place, unmet)),
            Err(_elapsed) => Err(Fault::late(
                place,
                conversation.not_in_time(&wanted, &limit.words),
            )),
        }
    }

    async fn sleep(&self, place: Place, length: Duration) -> Result<(), Fault> {
        let limit = self.limit(None);
        let over = Instant::now() + length;
        let sleeping = async {
            sleep_until(over).await;
            Ok(())
        };
        in_time(place, &limit, sleeping, || "the sleep was not over".to_owned()).await
    }
}

/// What of a line the carets stand under: what is expected, where it was written out.
fn focus(step: &Step) -> Place {
    let of_payload = |payload: &Payload| match payload {
        Payload::Text(text) | Payload::File(text) => Some(text.place),
        Payload::Hex(_) => None,
    };
    let place = match &step.action {
        Action::Expect { what, .. } => match what {
            Expectation::Contains(payload) | Expectation::Exactly(payload) => of_payload(payload),
            Expectation::Line(text) => Some(text.place),
            Expectation::Matches(pattern) => Some(pattern.place),
            Expectation::Alert(Some(name)) => Some(name.place),
            _ => None,
        },
        Action::Check { claim, .. } => Some(match claim {
            Claim::Is { other, .. } | Claim::Contains { other, .. } => other.place,
            Claim::Matches { pattern, .. } => pattern.place,
        }),
        Action::Connect { endpoint, .. } | Action::Listen { endpoint, .. } => Some(endpoint.place),
        _ => None,
    };
    place.unwrap_or(step.place)
}

async fn ends(place: Place, limit: &Limit, conversation: &Conversation, wanted: Ending) -> Result<(), Fault> {
    match timeout_at(limit.at, conversation.expect_end(&wanted)).await {
        Ok(done) => done.map_err(|unmet| Fault::unmet(place, unmet)),
        Err(_elapsed) => Err(Fault::late(place, conversation.not_ended(&wanted, &limit.words))),
    }
}

pub(super) async fn in_time<T>(
    place: Place,
    limit: &Limit,
    work: impl Future<Output = Result<T, Fault>>,
    late: impl FnOnce() -> String,
) -> Result<T, Fault> {
    match timeout_at(limit.at, work).await {
        Ok(done) => done,
        Err(_elapsed) => Err(Fault::late(
            place,
            Unmet::new(format!("{} {}", late(), limit.words)),
        )),
    }
}

fn failure_words(failure: &Failure) -> String {
    match failure {
        Failure::Any => "a failure".to_owned(),
        Failure::Refused => "refused".to_owned(),
        Failure::Timeout => "timeout".to_owned(),
        Failure::Tls => "tls".to_owned(),
        Failure::Reset => "reset".to_owned(),
        Failure::Matching(_) => "a failure that matches".to_owned(),
    }
}

/// A port that nobody listens on now. It is not held: who is to have it binds it himself.
fn free_port() -> std::io::Result<Vec<u8>> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    Ok(listener.local_addr()?.port().to_string().into_bytes())
}
