//! The modes of the terminal: those of an editor for as long as lines are edited, then put back as they were found.
//! Absent: editing.

use std::io::{self, Write as _};
use std::time::Duration;

use rustix::process::{Signal, getpid, kill_process};
use rustix::stdio::stdin;
use rustix::termios::{
    InputModes, LocalModes, OptionalActions, SpecialCodeIndex, Termios, tcgetattr, tcsetattr,
};

/// Far longer than an editor needs from asking to be stopped to having its modes back.
const EDITORS_TURN: Duration = Duration::from_millis(20);

/// Puts the modes of the terminal back when it is dropped, on whatever way out.
pub(super) struct Modes(Termios);

impl Modes {
    /// As they are now.
    pub(super) fn found() -> io::Result<Self> {
        Ok(Modes(tcgetattr(stdin())?))
    }

    /// Keys come one by one, unseen and unheeded. An editor sets as much while it reads a line; set before, it is so
    /// between two lines as well, and what is typed ahead, such as Ctrl-D, does not get lost there.
    pub(super) fn edit(&self) -> io::Result<()> {
        edit(&self.0)
    }

    /// The same modes, for whoever suspends the process: only we put them back in the end.
    pub(super) fn twin(&self) -> Suspension {
        Suspension(self.0.clone())
    }
}

/// How the terminal was found, for the time that the process is stopped.
pub(super) struct Suspension(Termios);

impl Suspension {
    /// Stops the process until it is told to go on; the terminal is as it was found for as long.
    pub(super) fn suspend(&self) {
        // The editor that asked for it sets its modes anew, as if it had been stopped already; it says nothing when it
        // is done, and nobody notices the time.
        std::thread::sleep(EDITORS_TURN);
        put_back(&self.0);
        // In vain, nothing stops and nothing is lost.
        let _ = kill_process(getpid(), Signal::STOP);
        let _ = edit(&self.0);
    }
}

fn edit(found: &Termios) -> io::Result<()> {
    let mut modes = found.clone();
    modes.local_modes -= LocalModes::ICANON | LocalModes::ECHO | LocalModes::ISIG | LocalModes::IEXTEN;
    modes.input_modes -= InputModes::ICRNL | InputModes::IXON | InputModes::ISTRIP | InputModes::INPCK;
    modes.special_codes[SpecialCodeIndex::VMIN] = 1;
    modes.special_codes[SpecialCodeIndex::VTIME] = 0;
    Ok(tcsetattr(stdin(), OptionalActions::Now, &modes)?)
}

fn put_back(found: &Termios) {
    // A terminal that is gone has no modes.
    let _ = tcsetattr(stdin(), OptionalActions::Now, found);
}

impl Drop for Modes {
    fn drop(&mut self) {
        let edited = tcgetattr(stdin()).is_ok_and(|now| !now.local_modes.contains(LocalModes::ICANON));
        if edited && self.0.local_modes.contains(LocalModes::ICANON) {
            // The prompt, and what was typed after it, were of the editor.
            let mut out = io::stdout();
            let _ = out.write_all(b"\r\x1b[J").and_then(|()| out.flush());
        }
        put_back(&self.0);
    }
}
