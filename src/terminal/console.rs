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
    /// `~.`
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
            screen: screen.clone(),
            asking,
            writer,
            backlog: Vec::new(),
            ended: false,
            shut: false,
        };
        let console = Console {
            wishes,
            screen,
            desk: tokio::spawn(desk.run(keys, reader)),
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

    /// Shows a text of ours, of whole lines.
    pub async fn say(&self, text: impl Into<String>) {
        self.screen.show(text.into()).await;
    }

    /// What shows a line without tearing the one being typed; it says whether that could be done at once.
    pub fn liner(&self) -> impl Fn(&str) -> bool + Send + Sync + 'static {
        let screen = self.screen.clone();
        move |line: &str| screen.try_show(line)
    }

    /// What stops the process, as Ctrl-Z asks for, with the terminal as it was for as long.
    pub fn stopper(&self) -> impl Fn() + 'static {
        let modes = self.modes.twin();
        move || modes.suspend()
    }

    /// Shows what is still on its way, and puts the terminal back. The editor's thread waits for the end of the process,
    /// as an editor that reads cannot be called off, and there can be no other one. The conversation's stream has to be dropped before.
    pub async fn close(self) {
        let last = async {
            // Held, so that nothing is edited any more once the last line has come.
            let _keys = self.desk.await;
            self.screen.settle().await;
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

/// Between the editor and the conversation.
struct Desk {
    screen: Screen,
    asking: mpsc::Sender<Wish>,
    writer: WriteHalf<DuplexStream>,
    /// Typed, and not taken by the conversation.
    backlog: Vec<u8>,
    /// Nothing more will be sent.
    ended: bool,
    /// And the conversation knows.
    shut: bool,
}

impl Desk {
    /// Works until the conversation lets go of its stream.
    async fn run(mut self, mut keys: Keys, mut reader: ReadHalf<DuplexStream>) -> Keys {
        let mut shown = Shown::default();
        let mut buf = vec![0; ROOM];
        loop {
            let owing = !self.backlog.is_empty();
            tokio::select! {
                read = reader.read(&mut buf) => match read {
                    Ok(length @ 1..) => if let Some(text) = shown.take(&buf[..length]) {
                        self.screen.show(text).await;
                    },
                    Ok(0) | Err(_) => break,
                },
                passed = pass_on(&mut self.writer, &self.backlog), if owing || (self.ended && !self.shut) => {
                    match passed {
                        Ok(0) => self.shut = true,
                        Ok(length) => drop(self.backlog.drain(..length)),
                        // The reader sees the end of it as well.
                        Err(_) => (self.backlog, self.shut) = (Vec::new(), true),
                    }
                }
                Some(typed) = keys.typed.recv(), if self.backlog.len() < BACKLOG => {
                    self.heed(typed).await;
                    keys.go_on();
                }
                () = tokio::time::sleep(PAUSE), if shown.has_rest() => self.screen.show(shown.rest()).await,
            }
        }
        if shown.has_rest() {
            self.screen.show(shown.rest()).await;
        }
        keys
    }

    async fn heed(&mut self, typed: Typed) {
        let wish = match typed {
            Typed::Line(line) => match meaning(&line) {
                Meaning::Help => return self.screen.show(HELP.into()).await,
                Meaning::Wish(wish) => wish,
                Meaning::Send(_) if self.ended => {
                    let note = "our half has ended: nothing more can be sent (~? helps)\n";
                    return self.screen.show(note.into()).await;
                }
                Meaning::Send(text) => {
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
        // One wish at a time is enough: who is not heard types it again.
        let _ = self.asking.try_send(wish);
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
