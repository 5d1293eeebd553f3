//! The line editor on its thread, and the thread that shows what comes above the line being typed.
//! Absent: what lines mean, and where what comes is from.

use std::borrow::Cow;
use std::io::{self, Write as _};
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;

use rustyline::completion::Completer;
use rustyline::error::ReadlineError;
use rustyline::highlight::Highlighter;
use rustyline::hint::Hinter;
use rustyline::history::FileHistory;
use rustyline::validate::{ValidationContext, ValidationResult, Validator};
use rustyline::{ColorMode, Config, Context, Editor, Helper};
use tokio::sync::{mpsc, oneshot};

use super::history;
use super::modes::Modes;
use crate::error::reason;

/// What stands before the line being typed.
const PROMPT: &str = "> ";

/// Texts on their way to the screen; whoever has more waits.
const TEXTS: usize = 16;

/// Shows nothing: up a line, and down again.
const NOTHING: &str = "\x1b[A\n";

/// Lines that are remembered for an endpoint.
const REMEMBERED: usize = 1000;

/// What was typed.
#[derive(Debug)]
pub(super) enum Typed {
    /// A line, without its end.
    Line(String),
    /// Ctrl-D on an empty line.
    End,
    /// Ctrl-C.
    Interrupt,
    /// Nothing more can be typed.
    Failed(String),
}

/// The editor's side of what is typed. Each thing typed has to be answered by [`Keys::go_on`]; until then nothing is
/// edited, so that whoever ends the run can be sure that the modes of the terminal stay as they are put.
pub(super) struct Keys {
    pub(super) typed: mpsc::Receiver<Typed>,
    go: SyncSender<()>,
}

impl Keys {
    /// The next line may be typed.
    pub(super) fn go_on(&self) {
        // There is room for one, which is all that is owed; an editor that has ended needs none.
        let _ = self.go.try_send(());
    }

    /// Lets whatever is typed pass unheeded, for as long as this is waited for.
    pub(super) async fn ignore(&mut self) {
        while self.typed.recv().await.is_some() {
            self.go_on();
        }
        std::future::pending().await
    }
}

/// Where texts are shown, above the line being typed.
#[derive(Clone)]
pub(super) struct Screen(mpsc::Sender<Task>);

enum Task {
    Show(String),
    /// To be answered when all that came before is on the screen. Nothing is edited, or drawn, any more.
    Settle(oneshot::Sender<()>),
}

impl Screen {
    /// Shows a text of whole lines.
    pub(super) async fn show(&self, text: String) {
        // The thread ends after us, or with the process.
        let _ = self.0.send(Task::Show(text)).await;
    }

    /// Room for a text; `None` if nothing will be shown any more. Cancel safe.
    pub(super) async fn room(&self) -> Option<Room<'_>> {
        self.0.reserve().await.ok().map(Room)
    }

    /// Has the line being typed drawn again. In vain where the way to the screen is full: then it will be anyway.
    pub(super) fn redraw(&self) {
        let _ = self.try_show(NOTHING);
    }

    /// Shows a text if that can be done without waiting.
    pub(super) fn try_show(&self, text: &str) -> bool {
        self.0.try_send(Task::Show(text.to_owned())).is_ok()
    }

    /// Returns when all that was to be shown is on the screen, the line being typed is gone from it, and the editor
    /// touches it no more.
    pub(super) async fn settle(&self) {
        let (done, settled) = oneshot::channel();
        if self.0.send(Task::Settle(done)).await.is_ok() {
            let _ = settled.await;
        }
    }
}

/// A place on the way to the screen.
pub(super) struct Room<'a>(mpsc::Permit<'a, Task>);

impl Room<'_> {
    /// Shows a text of whole lines.
    pub(super) fn show(self, text: String) {
        self.0.send(Task::Show(text));
    }
}

/// Where the editor is. What is shown while it is between two lines could come before what it was handed earlier, or
/// get stuck in it, so that has to wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Between,
    Editing,
    /// About to draw its prompt, and held there until the process ends: it cannot be called off.
    Held,
    Ended,
}

struct Gate {
    state: Mutex<State>,
    moved: Condvar,
}

struct State {
    place: Place,
    /// The next time that it draws its prompt, it is held.
    holding: bool,
}

impl Gate {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn move_to(&self, place: Place) {
        self.state().place = place;
        self.moved.notify_all();
    }

    /// Waits while the editor is between two lines.
    fn pass(&self) -> Place {
        let between = |state: &mut State| state.place == Place::Between;
        let state = self.moved.wait_while(self.state(), between);
        state.unwrap_or_else(PoisonError::into_inner).place
    }

    /// The editor draws its prompt: it edits, or is held.
    fn draw(&self) {
        let mut state = self.state();
        state.place = if state.holding {
            Place::Held
        } else {
            Place::Editing
        };
        self.moved.notify_all();
        let held = |state: &mut State| state.place == Place::Held;
        drop(self.moved.wait_while(state, held));
    }

    /// Waits until the editor is held, or has ended.
    fn hold(&self) {
        let running = |state: &mut State| !matches!(state.place, Place::Held | Place::Ended);
        drop(self.moved.wait_while(self.state(), running));
    }
}

/// Starts the editor; `None` where the terminal cannot do what it needs.
pub(super) fn start(history: Option<PathBuf>, modes: &Modes) -> io::Result<Option<(Keys, Screen)>> {
    let config = Config::builder()
        .max_history_size(REMEMBERED)
        .map_err(other)?
        .history_ignore_space(true)
        // Lines that are pasted are sent one by one, as if they were typed.
        .bracketed_paste(false)
        // Not for colours: the hooks are called.
        .color_mode(ColorMode::Forced)
        .build();
    let mut editor: Editor<Hooks, FileHistory> = Editor::with_config(config).map_err(other)?;
    // Refused where the terminal is none, or a dumb one.
    let Ok(printer) = editor.create_external_printer() else {
        return Ok(None);
    };
    modes.edit()?;
    let gate = Arc::new(Gate {
        state: Mutex::new(State {
            place: Place::Between,
            holding: false,
        }),
        moved: Condvar::new(),
    });
    editor.set_helper(Some(Hooks(Arc::clone(&gate))));
    let remembered = history.filter(|file| history::make_room(file).is_ok());
    if let Some(file) = &remembered {
        // None yet, most often; and a line that is not remembered is no reason not to talk.
        let _ = editor.load_history(file);
    }
    // One thing is under way at a time: the next is typed when it was answered.
    let (typing, typed) = mpsc::channel(1);
    let (go, going) = sync_channel(1);
    let (screen, tasks) = mpsc::channel(TEXTS);
    let ended = Ended(Arc::clone(&gate));
    thread::Builder::new().name("editor".into()).spawn(move || {
        edit(editor, remembered, &typing, &going, &ended.0);
        // And also when the editor panics: what comes is still shown.
        drop(ended);
    })?;
    thread::Builder::new()
        .name("screen".into())
        .spawn(move || show(printer, tasks, &gate))?;
    Ok(Some((Keys { typed, go }, Screen(screen))))
}

struct Ended(Arc<Gate>);

impl Drop for Ended {
    fn drop(&mut self) {
        self.0.move_to(Place::Ended);
    }
}

fn edit(
    mut editor: Editor<Hooks, FileHistory>,
    remembered: Option<PathBuf>,
    typing: &mpsc::Sender<Typed>,
    going: &Receiver<()>,
    gate: &Gate,
) {
    let mut ended = false;
    loop {
        // The hooks say when editing has begun.
        let read = editor.readline(PROMPT);
        gate.move_to(Place::Between);
        let typed = match read {
            Ok(line) => {
                let new = !line.starts_with('~') && editor.add_history_entry(&line).unwrap_or(false);
                if let Some(file) = remembered.as_ref().filter(|_| new) {
                    let _ = editor.append_history(file);
                }
                Typed::Line(line)
            }
            // A terminal that is gone ends again and again.
            Err(ReadlineError::Eof) if !ended => {
                ended = true;
                Typed::End
            }
            Err(ReadlineError::Eof) => return,
            Err(ReadlineError::Interrupted) => Typed::Interrupt,
            Err(ReadlineError::Io(error)) if error.kind() == io::ErrorKind::InvalidData => {
                // A key that is no UTF-8: the line is lost, and the user sees that.
                continue;
            }
            Err(error) => Typed::Failed(words(error)),
        };
        let failed = matches!(typed, Typed::Failed(_));
        if typing.blocking_send(typed).is_err() || failed || going.recv().is_err() {
            return;
        }
    }
}

fn show(
    printer: impl rustyline::ExternalPrinter + Send + 'static,
    mut tasks: mpsc::Receiver<Task>,
    gate: &Gate,
) {
    let mut printer = Some(printer);
    while let Some(task) = tasks.blocking_recv() {
        let editing = gate.pass() == Place::Editing;
        match (task, &mut printer) {
            (Task::Show(text), Some(printer)) if editing => drop(printer.print(text)),
            (Task::Show(text), _) => {
                let mut out = io::stdout();
                // A terminal that is gone shows nothing.
                let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
            }
            (Task::Settle(done), _) => {
                if let Some(mut printer) = printer.take().filter(|_| editing) {
                    // The editor holds one text. It takes the first of these when it has taken all before it, and the
                    // second when it has shown all before the first.
                    let _ = printer
                        .print(NOTHING.into())
                        .and_then(|()| printer.print(NOTHING.into()));
                    // It may be done with both, and then needs something to draw its prompt for; or it is held at the
                    // first, and never takes another.
                    gate.state().holding = true;
                    thread::spawn(move || printer.print(NOTHING.into()));
                    gate.hold();
                }
                let _ = done.send(());
            }
        }
    }
}

fn other(error: ReadlineError) -> io::Error {
    io::Error::other(words(error))
}

fn words(error: ReadlineError) -> String {
    match error {
        ReadlineError::Io(error) => reason(&error),
        ReadlineError::Errno(error) => reason(&io::Error::from(error)),
        error => error.to_string(),
    }
}

/// What the editor calls while it edits.
struct Hooks(Arc<Gate>);

impl Highlighter for Hooks {
    fn highlight_prompt<'b, 's: 'b, 'p: 'b>(&'s self, prompt: &'p str, _: bool) -> Cow<'b, str> {
        // It is drawn: from here on the editor takes what is to be shown.
        self.0.draw();
        Cow::Borrowed(prompt)
    }
}

/// The tabulator is a character like any other.
impl Completer for Hooks {
    type Candidate = String;

    fn complete(&self, _: &str, at: usize, _: &Context<'_>) -> rustyline::Result<(usize, Vec<String>)> {
        Ok((at, vec!["\t".into()]))
    }
}

impl Hinter for Hooks {
    type Hint = String;
}

impl Validator for Hooks {
    fn validate(&self, _: &mut ValidationContext<'_>) -> rustyline::Result<ValidationResult> {
        // The line ends here. A text that is handed to the editor while it leaves would overtake those it still has.
        self.0.move_to(Place::Between);
        Ok(ValidationResult::Valid(None))
    }
}

impl Helper for Hooks {}
