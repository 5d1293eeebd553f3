//! A named connection of a script: what is said on it, and waiting for what is expected.
//! Absent: the steps, their time limits, and how a failure is shown.

use std::collections::VecDeque;
use std::future::Future;
use std::time::Duration;

use tokio::time::{Instant, sleep_until, timeout};

use super::history::Event;
use super::search::{Found, Look, Search, Wanted, matched};
use super::wire::{End, Heard, UNREAD_MAX, Wire};
use crate::connection::{Connection, Facts};
use crate::error::reason;
use crate::escape::bytes_literal;
use crate::script::difference::{Difference, clipped};
use crate::units::size_text;

/// After so long without a byte a pattern is tried on all that there is.
const QUIET: Duration = Duration::from_millis(10);

/// How long the end of a connection that we close may take, as TLS does.
const GOODBYE: Duration = Duration::from_secs(1);

/// A connection with what is known of it.
#[derive(Debug)]
pub(crate) struct Conversation {
    name: String,
    facts: Facts,
    wire: Wire,
}

/// The end that is expected of a peer's half.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Ending {
    Close,
    Reset,
    /// With this name, if one matters.
    Alert(Option<String>),
}

impl Ending {
    fn is(&self, end: &End) -> bool {
        match (self, end) {
            (Ending::Close, End::Closed) | (Ending::Reset, End::Reset) => true,
            (Ending::Alert(wanted), End::Alert(name)) => wanted.as_ref().is_none_or(|wanted| wanted == name),
            _ => false,
        }
    }

    fn words(&self) -> String {
        match self {
            Ending::Close => "close".to_owned(),
            Ending::Reset => "reset".to_owned(),
            Ending::Alert(None) => "tls alert".to_owned(),
            Ending::Alert(Some(name)) => format!("tls alert {name}"),
        }
    }
}

/// Why what was expected did not come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Unmet {
    /// One line.
    pub(crate) why: String,
    /// Further lines: expected against arrived.
    pub(crate) picture: Vec<String>,
}

impl Unmet {
    pub(crate) fn new(why: impl Into<String>) -> Self {
        Unmet {
            why: why.into(),
            picture: Vec::new(),
        }
    }
}

impl Conversation {
    pub(crate) fn new(name: &str, connection: Connection) -> Self {
        Conversation {
            name: name.to_owned(),
            facts: connection.facts().clone(),
            wire: Wire::keep(connection),
        }
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    pub(crate) fn facts(&self) -> &Facts {
        &self.facts
    }

    /// What went by, and how many events there were before that.
    pub(crate) fn so_far(&self) -> (Vec<Event>, u64) {
        self.wire.shared.heard().history.so_far()
    }

    pub(crate) async fn send(&self, bytes: Vec<u8>) -> Result<(), Unmet> {
        self.told(self.wire.send(bytes), "could not be sent to").await
    }

    /// Ends our half.
    pub(crate) async fn end(&self) -> Result<(), Unmet> {
        self.told(self.wire.end(), "could not be ended").await
    }

    /// Ends it all, in good order where the peer takes part.
    pub(crate) async fn close(&self) {
        // A peer that is gone, or does not listen, has no part in it.
        let _ = timeout(GOODBYE, self.wire.close()).await;
    }

    /// Closes it as dropping does, and returns when its socket is gone.
    #[cfg(feature = "testing")]
    pub(crate) async fn leave(&self) {
        self.wire.leave().await;
    }

    pub(crate) async fn reset(&self) -> Result<(), Unmet> {
        self.told(self.wire.reset(), "could not be reset").await
    }

    async fn told(&self, done: impl Future<Output = std::io::Result<()>>, what: &str) -> Result<(), Unmet> {
        let done = done.await;
        done.map_err(|error| Unmet::new(format!("{} {what}: {}", self.name, reason(&error))))
    }

    /// Waits for something, and reads through its end. Cancel safe: what was not found is still unread.
    pub(crate) async fn expect(&self, wanted: &Wanted) -> Result<Found, Unmet> {
        let mut search = Search::new(wanted.clone());
        let mut taken = None;
        let mut passed = 0;
        let mut quiet = false;
        loop {
            let changed = self.wire.shared.changed.notified();
            tokio::pin!(changed);
            changed.as_mut().enable();
            let aside = 'looked: {
                let mut heard = self.wire.shared.heard();
                // Somebody else has read from it meanwhile.
                if taken.replace(heard.taken) != Some(heard.taken) {
                    search = Search::new(wanted.clone());
                    passed = 0;
                }
                let last = quiet || heard.end.is_some() || heard.is_full();
                let look = match &heard.datagrams {
                    Some(lengths) => among(&heard.unread, lengths, wanted, &mut passed),
                    None => search.look(&heard.unread, last),
                };
                match look {
                    Look::Found(found) => {
                        match heard.datagrams {
                            Some(_) => heard.take_datagrams(passed, found.end),
                            None => heard.take(found.end),
                        }
                        return Ok(found);
                    }
                    Look::Never => return Err(self.unlike(search.wanted(), &heard, "something else came")),
                    Look::NotYet => {}
                    Look::Aside(pattern) => break 'looked Some((pattern, heard.unread.clone(), heard.taken)),
                    Look::TooMuch(most) => {
                        let why = format!(
                            "more came than this regex is searched in, which is {}",
                            size_text(most as u64)
                        );
                        return Err(self.unlike(search.wanted(), &heard, &why));
                    }
                }
                if let Some(end) = &heard.end {
                    let why = format!("it did not come before {}", end_words(end));
                    return Err(self.unlike(search.wanted(), &heard, &why));
                }
                if heard.is_full() {
                    let why = format!(
                        "{} came without it, and no more is kept",
                        size_text(UNREAD_MAX as u64)
                    );
                    return Err(self.unlike(search.wanted(), &heard, &why));
                }
                None
            };
            if let Some((pattern, unread, taken)) = aside {
                quiet = false;
                let searched = tokio::task::spawn_blocking(move || matched(&pattern, &unread)).await;
                let mut heard = self.wire.shared.heard();
                // Otherwise what there is now is looked at.
                if let (Ok(Some(found)), true) = (searched, heard.taken == taken) {
                    heard.take(found.end);
                    return Ok(found);
                }
                continue;
            }
            let waits = !quiet && matches!(wanted, Wanted::Pattern(_));
            quiet = tokio::select! {
                () = changed => false,
                () = tokio::time::sleep(QUIET), if waits => true,
            };
        }
    }

    /// What to say when the time for [`Conversation::expect`] is over.
    pub(crate) fn not_in_time(&self, wanted: &Wanted, limit: &str) -> Unmet {
        let heard = self.wire.shared.heard();
        match heard.is_empty() {
            true => self.unlike(wanted, &heard, &format!("nothing came {limit}")),
            false => self.unlike(wanted, &heard, &format!("it did not come {limit}")),
        }
    }

    fn unlike(&self, wanted: &Wanted, heard: &Heard, why: &str) -> Unmet {
        let arrived = &heard.unread;
        let picture = match wanted {
            Wanted::Next(bytes) | Wanted::Line(bytes) => {
                Difference::next(bytes, heard.next()).lines().to_vec()
            }
            Wanted::Within(bytes) => Difference::nearest(bytes, arrived).lines().to_vec(),
            Wanted::Pattern(pattern) => {
                vec![format!("expected  /{pattern}/"), arrived_line(arrived)]
            }
        };
        Unmet {
            why: format!("{}: {why}", self.name),
            picture,
        }
    }

    /// Waits until the peer's half ends in this way.
    pub(crate) async fn expect_end(&self, wanted: &Ending) -> Result<(), Unmet> {
        loop {
            let changed = self.wire.shared.changed.notified();
            tokio::pin!(changed);
            changed.as_mut().enable();
            {
                let mut heard = self.wire.shared.heard();
                if *wanted == Ending::Close && !heard.is_empty() {
                    return Err(self.instead(&heard, &wanted.words(), "bytes came instead"));
                }
                match &heard.end {
                    Some(end) if wanted.is(end) => return Ok(()),
                    Some(end) => {
                        let why = format!("{} came instead", end_words(end));
                        return Err(self.instead(&heard, &wanted.words(), &why));
                    }
                    // What tears a connection down cuts off whatever was being said.
                    None if *wanted != Ending::Close && !heard.is_empty() => heard.take_all(),
                    None => {}
                }
            }
            changed.await;
        }
    }

    /// What to say when the time for [`Conversation::expect_end`] is over.
    pub(crate) fn not_ended(&self, wanted: &Ending, limit: &str) -> Unmet {
        Unmet {
            why: format!("{}: the connection was still open {limit}", self.name),
            picture: vec![
                format!("expected  {}", wanted.words()),
                "arrived   nothing".to_owned(),
            ],
        }
    }

    /// Waits for so long, in which nothing may come.
    pub(crate) async fn expect_silence(&self, length: Duration) -> Result<(), Unmet> {
        let over = Instant::now() + length;
        loop {
            let changed = self.wire.shared.changed.notified();
            tokio::pin!(changed);
            changed.as_mut().enable();
            {
                let heard = self.wire.shared.heard();
                if !heard.is_empty() {
                    let why = match heard.datagrams {
                        Some(_) => "a datagram came instead",
                        None => "bytes came instead",
                    };
                    return Err(self.instead(&heard, "silence", why));
                }
                if let Some(end) = &heard.end {
                    let why = format!("{} came instead", end_words(end));
                    return Err(self.instead(&heard, "silence", &why));
                }
            }
            tokio::select! {
                () = changed => {}
                () = sleep_until(over) => return Ok(()),
            }
        }
    }

    fn instead(&self, heard: &Heard, wanted: &str, why: &str) -> Unmet {
        let mut picture = vec![format!("expected  {wanted}")];
        match &heard.end {
            Some(end) if heard.is_empty() || wanted != "close" => {
                picture.push(format!("arrived   {}", end_words(end)))
            }
            _ if heard.next().is_empty() => picture.push("arrived   an empty datagram".to_owned()),
            _ => picture.push(arrived_line(heard.next())),
        }
        Unmet {
            why: format!("{}: {why}", self.name),
            picture,
        }
    }
}

/// Looks in one datagram after the other, each by itself; `passed` have nothing of it.
fn among(unread: &[u8], lengths: &VecDeque<usize>, wanted: &Wanted, passed: &mut usize) -> Look {
    let mut start = lengths.iter().take(*passed).sum();
    for length in lengths.iter().skip(*passed) {
        let one = &unread[start..start + length];
        let is_it = match wanted {
            Wanted::Next(bytes) => Some(one == bytes),
            // The last line of a datagram may end with it.
            Wanted::Line(bytes) if !one.contains(&b'\n') => Some(one == bytes),
            _ => None,
        };
        let look = match is_it {
            Some(true) => Look::Found(Found {
                end: *length,
                captures: Vec::new(),
            }),
            Some(false) => Look::Never,
            None => match Search::new(wanted.clone()).look(one, true) {
                // A datagram is small enough to be searched here and now.
                Look::Aside(pattern) => matched(&pattern, one).map_or(Look::NotYet, Look::Found),
                look => look,
            },
        };
        if !matches!(look, Look::NotYet) {
            return look;
        }
        *passed += 1;
        start += length;
    }
    Look::NotYet
}

fn arrived_line(arrived: &[u8]) -> String {
    if arrived.is_empty() {
        return "arrived   nothing".to_owned();
    }
    match clipped(arrived) {
        (_, true) => format!("arrived   {}", bytes_literal(arrived)),
        (shown, false) => format!("arrived   b\"{shown}…\" ({} bytes)", arrived.len()),
    }
}

fn end_words(end: &End) -> String {
    match end {
        End::Closed => "the close".to_owned(),
        End::Reset => "a reset".to_owned(),
        End::Alert(name) => format!("the TLS alert {name}"),
        End::Lost(why) => format!("the end of the connection ({why})"),
    }
}
