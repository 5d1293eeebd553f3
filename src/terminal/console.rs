//! The terminal as our end of a conversation: lines typed go out, what comes is shown above the line being typed, and
//! lines that begin with `~` speak to us.
//! Absent: the peer.

use std::io::{self, IsTerminal as _};
use std::path::PathBuf;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, ReadHalf, WriteHalf, duplex, split};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use super::editor::{self, Keys, Screen, Typed};
use super::modes::Modes;
use super::shown::Shown;

/// Bytes between us and the conversation, each way.
const ROOM: usize = 64 * 1024;

/// Bytes typed, or pasted, that the conversation has not taken. Beyond this the keyboard has to wait.
const BACKLOG: usize = 1024 * 1024;

/// How long the keyboard waits for a conversation that takes nothing at all. The peer may be waiting for us to show what
/// it sent, and nothing is shown before the keyboard goes on: from then on lines are refused, and keys heeded.
const STALL: Duration = Duration::from_secs(1);

/// How long the rest of a line may be in coming before what there is of it is shown.
const PAUSE: Duration = Duration::from_millis(100);

/// How long the last texts may take to get on the screen: longer than anybody notices, unless the terminal stands still.
const SETTLE: Duration = Duration::from_secs(1);

/// What can be typed, as `~?` shows it.
const HELP: &str = "\
~.  disconnect
~r  reconnect
~i  facts of the connection
~?  this help
~~  at the start of a line: a ~
Ctrl-D ends our half: what comes is still shown. Ctrl-C ends the run.
";

/// What the user asks of whoever runs the conversation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wish {
    /// `~.`: nothing is typed behind it. The conversation's stream ends after what was typed before.
    Disconnect,
    /// `~r`
    Reconnect,
    /// `~i`
    Facts,
    /// Ctrl-C
    Interrupt,
    /// Nothing more can be typed; why.
    Failed(String),
}

/// A conversation's end at the terminal. Dropping it puts the terminal back as it was; [`Console::close`] shows before
/// what is still on its way.
pub struct Console {
    wishes: mpsc::Receiver<Wish>,
    screen: Screen,
    desk: JoinHandle<Keys>,
    // The last to go.
    modes: Modes,
}

impl Console {
    /// Whether a user sits at both standard input and output.
    #[must_use]
    pub fn is_possible() -> bool {
        io::stdin().is_terminal() && io::stdout().is_terminal()
    }

    /// Begins to edit lines, and gives the stream on which they come and on which what is to be shown goes. `None`
    /// where the terminal is too dumb for that. Lines are remembered in `history`. Runs on the current runtime.
    ///
    /// # Errors
    /// What the system says.
    pub fn open(history: Option<PathBuf>) -> io::Result<Option<(Console, DuplexStream)>> {
        let modes = Modes::found()?;
        let Some((keys, screen)) = editor::start(history, &modes)? else {
            return Ok(None);
        };
        let (ours, theirs) = duplex(ROOM);
        let (asking, wishes) = mpsc::channel(1);
        let (reader, writer) = split(ours);
        let desk = Desk {
            asking,
            writer,
            unseen: String::new(),
            backlog: Vec::new(),
            refused: None,
            leaving: false,
            ended: false,
            shut: false,
        };
        let console = Console {
            wishes,
            desk: tokio::spawn(desk.run(keys, screen.clone(), reader)),
            screen,
            modes,
        };
        Ok(Some((console, theirs)))
    }

    /// The next wish. Cancel safe.
    pub async fn wish(&mut self) -> Wish {
        match self.wishes.recv().await {
            Some(wish) => wish,
            // The conversation has let go of its stream; nothing is left to wish for.
            None => std::future::pending().await,
        }
    }

    /// Shows a text of ours, of whole lines. In vain where the screen takes nothing: the user is not there to see it, or
    /// is in the middle of a long paste, and the conversation must not wait for either.
    pub async fn say(&self, text: impl Into<String>) {
        let _ = tokio::time::timeout(SETTLE, self.screen.show(text.into())).await;
    }

    /// What shows a line without tearing the one being typed; it says whether that could be done at once.
    pub fn liner(&self) -> impl Fn(&str) -> bool + Send + Sync + 'static {
        let screen = self.screen.clone();
        move |line: &str| screen.try_show(line)
    }

    /// What stops the process, as Ctrl-Z asks for, with the terminal as it was for as long. Others have written to it by
    /// the time it goes on, so the line being typed is drawn again.
    pub fn stopper(&self) -> impl Fn() + 'static {
        let modes = self.modes.twin();
        let screen = self.screen.clone();
        move || {
            modes.suspend();
            screen.redraw();
        }
    }

    /// Shows what is still on its way, and puts the terminal back. The editor's thread waits for the end of the process,
    /// as an editor that reads cannot be called off, and there can be no other one. The conversation's stream has to be dropped before.
    pub async fn close(self) {
        let last = async {
            let Ok(mut keys) = self.desk.await else { return };
            // Whoever is still typing must not keep the screen waiting.
            tokio::select! {
                () = self.screen.settle() => {}
                () = keys.ignore() => {}
            }
        };
        // A terminal that was stopped, with Ctrl-S, shows nothing until it goes on.
        let _ = tokio::time::timeout(SETTLE, last).await;
    }
}

/// What a line that was typed means.
#[derive(Debug, PartialEq, Eq)]
enum Meaning<'a> {
    Send(&'a str),
    Help,
    Wish(Wish),
}

fn meaning(line: &str) -> Meaning<'_> {
    match line {
        "~." => Meaning::Wish(Wish::Disconnect),
        "~r" => Meaning::Wish(Wish::Reconnect),
        "~i" => Meaning::Wish(Wish::Facts),
        "~?" => Meaning::Help,
        // Anything else that begins with it, such as a path, is not for us.
        _ => Meaning::Send(match line.strip_prefix('~') {
            Some(rest) if rest.starts_with('~') => rest,
            _ => line,
        }),
    }
}

/// Between the editor and the conversation. It never waits for the screen alone: that may wait for the editor, and the
/// editor for us.
struct Desk {
    asking: mpsc::Sender<Wish>,
    writer: WriteHalf<DuplexStream>,
    /// To be shown as soon as the screen has room; nothing more is read until then.
    unseen: String,
    /// Typed, and not taken by the conversation.
    backlog: Vec<u8>,
    /// Bytes that were typed and given up since the conversation stalled, if it has.
    refused: Option<usize>,
    /// The user is about to go.
    leaving: bool,
    /// Nothing more will be sent.
    ended: bool,
    /// And the conversation knows.
    shut: bool,
}

impl Desk {
    /// Works until the conversation lets go of its stream.
    async fn run(mut self, mut keys: Keys, screen: Screen, mut reader: ReadHalf<DuplexStream>) -> Keys {
        let mut shown = Shown::default();
        let mut buf = vec![0; ROOM];
        let mut over = false;
        while !over || !self.unseen.is_empty() {
            let seen = self.unseen.is_empty();
            let owing = !self.backlog.is_empty() || (self.ended && !self.shut);
            let full = self.backlog.len() >= BACKLOG && self.refused.is_none() && !over;
            tokio::select! {
                room = screen.room(), if !seen => {
                    let text = std::mem::take(&mut self.unseen);
                    if let Some(room) = room {
                        room.show(text);
                    }
                }
                read = reader.read(&mut buf), if seen && !over => match read {
                    Ok(length @ 1..) => self.unseen.extend(shown.take(&buf[..length])),
                    Ok(0) | Err(_) => {
                        over = true;
                        if shown.has_rest() {
                            self.unseen = shown.rest();
                        }
                    }
                },
                passed = pass_on(&mut self.writer, &self.backlog), if owing && !over => match passed {
                    Ok(0) => self.shut = true,
                    Ok(length) => self.passed(length),
                    // The reader sees the end of it as well.
                    Err(_) => (self.backlog, self.shut) = (Vec::new(), true),
                },
                Some(typed) = keys.typed.recv(), if !full => {
                    if !over {
                        self.heed(typed);
                    }
                    keys.go_on();
                }
                () = tokio::time::sleep(STALL), if full => {
                    self.refused = Some(0);
                    self.note("the peer takes nothing: lines are not sent until it does\n");
                }
                () = tokio::time::sleep(PAUSE), if seen && shown.has_rest() => self.unseen = shown.rest(),
            }
        }
        keys
    }

    /// So much of the backlog has gone.
    fn passed(&mut self, length: usize) {
        self.backlog.drain(..length);
        if let Some(refused @ 1..) = self.refused.take() {
            self.note(&format!("the peer goes on; {refused} bytes were not sent\n"));
        }
    }

    /// A text of ours, behind what is to be shown already. One that finds far too much of that is left out.
    fn note(&mut self, text: &str) {
        if self.unseen.len() < ROOM {
            self.unseen.push_str(text);
        }
    }

    fn heed(&mut self, typed: Typed) {
        let wish = match typed {
            Typed::Line(line) => match meaning(&line) {
                Meaning::Help => return self.note(HELP),
                Meaning::Wish(wish) => wish,
                Meaning::Send(_) if self.leaving => return,
                Meaning::Send(_) if self.ended => {
                    return self.note("our half has ended: nothing more can be sent (~? helps)\n");
                }
                Meaning::Send(text) => {
                    if let Some(refused) = &mut self.refused {
                        *refused += text.len() + 1;
                        return;
                    }
                    self.backlog.extend_from_slice(text.as_bytes());
                    self.backlog.push(b'\n');
                    return;
                }
            },
            Typed::End => {
                self.ended = true;
                return;
            }
            Typed::Interrupt => Wish::Interrupt,
            Typed::Failed(why) => Wish::Failed(why),
        };
        let last = wish == Wish::Disconnect;
        // One wish at a time is enough: who is not heard types it again.
        if self.asking.try_send(wish).is_ok() && last {
            (self.ended, self.leaving) = (true, true);
        }
    }
}

/// Writes what there is, or ends the writer if there is nothing, and says how much it took. Cancel safe.
async fn pass_on(writer: &mut WriteHalf<DuplexStream>, backlog: &[u8]) -> io::Result<usize> {
    if backlog.is_empty() {
        writer.shutdown().await?;
        return Ok(0);
    }
    writer.write(backlog).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_begins_with_a_tilde_may_be_for_us() {
        for (line, wish) in [
            ("~.", Wish::Disconnect),
            ("~r", Wish::Reconnect),
            ("~i", Wish::Facts),
        ] {
            assert_eq!(meaning(line), Meaning::Wish(wish));
        }
        assert_eq!(meaning("~?"), Meaning::Help);
        for (line, sent) in [
            ("", ""),
            ("hello", "hello"),
            (" ~.", " ~."),
            ("~/.profile", "~/.profile"),
            ("~", "~"),
            ("~~.", "~."),
            ("~~~", "~~"),
            ("~.x", "~.x"),
        ] {
            assert_eq!(meaning(line), Meaning::Send(sent), "{line}");
        }
    }
}
