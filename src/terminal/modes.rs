//! The modes of the terminal, put back as they were found.
//! Absent: which ones an editor wants.

use std::io::{self, Write as _};

use rustix::stdio::stdin;
use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};

/// Puts the modes of the terminal back when it is dropped, on whatever way out.
pub(super) struct Modes(Termios);

impl Modes {
    /// As they are now.
    pub(super) fn found() -> io::Result<Self> {
        Ok(Modes(tcgetattr(stdin())?))
    }
}

impl Drop for Modes {
    fn drop(&mut self) {
        let edited = tcgetattr(stdin()).is_ok_and(|now| !now.local_modes.contains(LocalModes::ICANON));
        if edited && self.0.local_modes.contains(LocalModes::ICANON) {
            // The prompt, and what was typed after it, were of the editor.
            let mut out = io::stdout();
            let _ = out.write_all(b"\r\x1b[J").and_then(|()| out.flush());
        }
        // A terminal that is gone has no modes.
        let _ = tcsetattr(stdin(), OptionalActions::Now, &self.0);
    }
}
