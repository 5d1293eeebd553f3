//! A progress bar for things that are done one by one, on a terminal only.
//! Absent: what they are.

use std::io::{self, IsTerminal};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// Frames a second.
const RATE: u8 = 10;

/// A bar on standard error, or nothing where that is no terminal. It is gone from the screen when it is dropped.
pub struct Tally(Option<ProgressBar>);

impl Tally {
    /// A bar for so many things.
    #[must_use]
    pub fn new(count: u64) -> Self {
        if !io::stderr().is_terminal() {
            return Tally(None);
        }
        let bar = ProgressBar::with_draw_target(Some(count), ProgressDrawTarget::stderr_with_hz(RATE));
        if let Ok(style) = ProgressStyle::with_template("{bar:30} {pos}/{len}  {elapsed}  {wide_msg}") {
            bar.set_style(style);
        }
        Tally(Some(bar))
    }

    /// What is being done.
    pub fn at(&self, what: &str) {
        if let Some(bar) = &self.0 {
            bar.set_message(crate::diagnostic::clean(what));
        }
    }

    /// One more is done.
    pub fn one(&self) {
        if let Some(bar) = &self.0 {
            bar.inc(1);
        }
    }

    /// Writes something else meanwhile, with the bar out of the way.
    pub fn aside<T>(&self, write: impl FnOnce() -> T) -> T {
        match &self.0 {
            Some(bar) => bar.suspend(write),
            None => write(),
        }
    }
}

impl Drop for Tally {
    fn drop(&mut self) {
        if let Some(bar) = &self.0 {
            bar.finish_and_clear();
        }
    }
}
