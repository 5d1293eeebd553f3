//! A progress bar for a transfer: bytes, rate, and the time left where the size is known.
//! Absent: what is transferred.

use std::io::{self, IsTerminal, Write as _};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// Frames a second.
const RATE: u8 = 10;

/// A bar on standard error. It is gone from the screen when it is dropped unfinished.
pub struct Progress(ProgressBar);

impl Progress {
    /// A bar for `size` bytes, or of unknown length.
    #[must_use]
    pub fn new(size: Option<u64>) -> Self {
        // A forced bar on something that is no terminal is drawn all the same, a line a frame.
        let target = if io::stderr().is_terminal() {
            ProgressDrawTarget::stderr_with_hz(RATE)
        } else {
            ProgressDrawTarget::term_like_with_hz(Box::new(lines::Lines), 1)
        };
        let bar = ProgressBar::with_draw_target(size, target);
        let template = match size {
            Some(_) => "{bar:30} {bytes}/{total_bytes}  {bytes_per_sec}  {eta} left",
            None => "{spinner} {bytes}  {bytes_per_sec}  {elapsed}",
        };
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style);
        }
        Progress(bar)
    }

    /// How often the bar is worth moving.
    #[must_use]
    pub fn interval() -> Duration {
        Duration::from_secs(1) / u32::from(RATE)
    }

    /// So many bytes have gone.
    pub fn at(&self, bytes: u64) {
        self.0.set_position(bytes);
    }

    /// Leaves the last state on the screen, on a line of its own.
    pub fn finish(&self) {
        self.0.abandon();
        if io::stderr().is_terminal() {
            // Standard error may be closed; there is nowhere left to say so.
            let _ = io::stderr().write_all(b"\n");
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if !self.0.is_finished() {
            self.0.finish_and_clear();
        }
    }
}

/// Standard error where it is no terminal: frames become lines.
mod lines {
    use std::io::{self, Write};

    use indicatif::TermLike;

    #[derive(Debug)]
    pub(super) struct Lines;

    /// Wide enough for the bar and its figures.
    const WIDTH: u16 = 100;

    impl TermLike for Lines {
        fn width(&self) -> u16 {
            WIDTH
        }
        fn move_cursor_up(&self, _: usize) -> io::Result<()> {
            Ok(())
        }
        fn move_cursor_down(&self, _: usize) -> io::Result<()> {
            Ok(())
        }
        fn move_cursor_right(&self, _: usize) -> io::Result<()> {
            Ok(())
        }
        fn move_cursor_left(&self, _: usize) -> io::Result<()> {
            Ok(())
        }
        fn write_line(&self, line: &str) -> io::Result<()> {
            writeln!(io::stderr(), "{}", line.trim_end())
        }
        fn write_str(&self, text: &str) -> io::Result<()> {
            // The bar pads its line to the width; only what is on it matters.
            match text.trim_end() {
                "" => Ok(()),
                text => writeln!(io::stderr(), "{text}"),
            }
        }
        fn clear_line(&self) -> io::Result<()> {
            Ok(())
        }
        fn flush(&self) -> io::Result<()> {
            io::stderr().flush()
        }
    }
}
