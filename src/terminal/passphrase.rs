//! A passphrase asked on the terminal, whatever standard input and output are: shown nothing, and put back as it was.
//! Absent: what it is for, and listening to signals.

use std::io::Write;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::{Mutex, PoisonError};

use rustix::event::{PollFd, PollFlags, poll};
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use rustix::termios::{
    LocalModes, OptionalActions, SpecialCodeIndex, Termios, tcgetattr, tcgetpgrp, tcsetattr,
};

use crate::cert::passphrase::{Answer, Secret};

/// What the kernel keeps of a line that is typed (`N_TTY_BUF_SIZE`).
const LINE_MAX: usize = 4096;

/// POSIX: a special character that no key gives.
const DISABLED: u8 = 0;

/// A terminal that somebody is being asked on, and how it was before.
static ASKED: Mutex<Option<(OwnedFd, Termios)>> = Mutex::new(None);

/// Puts the terminal back if somebody is being asked on it. To be called before the process ends of its own accord
/// while another thread may be asking.
pub fn restore() {
    if let Some((terminal, before)) = ASKED.lock().unwrap_or_else(PoisonError::into_inner).take() {
        // The terminal may be gone; then nobody misses anything.
        let _ = tcsetattr(terminal, OptionalActions::Now, &before);
    }
}

struct Restored;

impl Drop for Restored {
    fn drop(&mut self) {
        restore();
    }
}

/// Asks on the terminal of the process and waits for a line, as long as it takes whoever sits there. What `catch` gives
/// becomes readable when a signal comes that would end the process, and is dropped when the terminal was put back, so
/// that the signal can end it then. In the background, where a question would only stop the job, and without a terminal
/// there is nobody to ask.
pub fn ask<I: AsFd>(prompt: &str, catch: impl FnOnce() -> std::io::Result<I>) -> Answer {
    let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let Ok(terminal) = rustix::fs::open("/dev/tty", flags, Mode::empty()) else {
        return Answer::Nobody;
    };
    let foreground = tcgetpgrp(&terminal).is_ok_and(|group| group == rustix::process::getpgrp());
    let (Ok(before), Ok(held), true) = (tcgetattr(&terminal), terminal.try_clone(), foreground) else {
        return Answer::Nobody;
    };
    let Ok(caught) = catch() else {
        return Answer::Nobody;
    };
    let mut unseen = before.clone();
    unseen.local_modes.remove(LocalModes::ECHO);
    unseen
        .local_modes
        .insert(LocalModes::ICANON | LocalModes::ISIG | LocalModes::ECHONL);
    // They would stop or end us with the terminal as it is.
    unseen.special_codes[SpecialCodeIndex::VSUSP] = DISABLED;
    unseen.special_codes[SpecialCodeIndex::VQUIT] = DISABLED;
    *ASKED.lock().unwrap_or_else(PoisonError::into_inner) = Some((held, before));
    // Dropped before `caught`.
    let _restored = Restored;
    // What was typed before the question was no answer to it.
    if tcsetattr(&terminal, OptionalActions::Flush, &unseen).is_err() {
        return Answer::Nobody;
    }
    let mut screen = std::fs::File::from(terminal);
    if screen.write_all(prompt.as_bytes()).is_err() {
        return Answer::Nobody;
    }
    let answer = answer(&screen, &caught);
    if !matches!(answer, Answer::Given(_)) {
        let _ = screen.write_all(b"\n");
    }
    answer
}

fn answer(terminal: &std::fs::File, caught: &impl AsFd) -> Answer {
    let mut line = vec![0; LINE_MAX];
    loop {
        let mut waited = [
            PollFd::new(terminal, PollFlags::IN),
            PollFd::new(caught, PollFlags::IN),
        ];
        match poll(&mut waited, None) {
            Ok(_) if !waited[1].revents().is_empty() => return Answer::Interrupted,
            Ok(_) | Err(Errno::INTR) => {}
            Err(_) => return Answer::Nobody,
        }
        match rustix::io::read(terminal, &mut line[..]) {
            // The end that a user types, or that of the terminal.
            Ok(0) => return Answer::Nobody,
            Ok(count) => {
                line.truncate(count);
                if line.last() == Some(&b'\n') {
                    line.pop();
                }
                return Answer::Given(Secret::new(line));
            }
            Err(Errno::AGAIN | Errno::INTR) => {}
            Err(_) => return Answer::Nobody,
        }
    }
}
