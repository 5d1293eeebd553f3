//! The system's log: a datagram a line to `/dev/log`, which whoever keeps the log reads.
//! Absent: waiting for them; what cannot be said at once is counted and lost. And other machines.

use std::io::{self, ErrorKind};
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use tracing::Level;

use crate::error::{Error, Result, Status};

/// Where the system listens.
pub const SOCKET: &str = "/dev/log";

/// The facility "system daemons without one of their own" of RFC 5424, 6.2.1.
const DAEMON: u8 = 3;

/// What is longer is cut: every keeper of logs has a limit, and those that are in use take this.
const LINE_MAX: usize = 2048;

/// The longest name that RFC 3164 has for a program.
const PREFIX_MAX: usize = 32;

/// A connection to the system's log.
///
/// It is made before the root changes, and stays. Where the other end has been started anew, it is made again, which
/// another root may prevent.
#[derive(Debug)]
pub struct Syslog {
    socket: PathBuf,
    prefix: String,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    connection: UnixDatagram,
    /// Lines that were lost since one got through.
    lost: u64,
}

impl Syslog {
    /// Connects to the log of this system.
    ///
    /// # Errors
    /// Status 1: nobody listens there, or what the system says.
    pub fn open(socket: &Path, prefix: &str) -> Result<Self> {
        let connection = connect(socket).map_err(|error| {
            Error::io(Status::Failure, &error)
                .on(format!("could not log to the system's log, {}", socket.display()))
        })?;
        Ok(Syslog {
            socket: socket.to_owned(),
            prefix: prefix.to_owned(),
            state: Mutex::new(State { connection, lost: 0 }),
        })
    }

    /// Writes a line. Never waits.
    pub fn write(&self, level: Level, line: &str) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.lost > 0 {
            let text = format!(
                "warning: {} lost",
                crate::diagnostic::counted(usize::try_from(state.lost).unwrap_or(usize::MAX), "line",)
            );
            if self.send(&mut state, &self.datagram(Level::WARN, &text)).is_ok() {
                state.lost = 0;
            }
        }
        if self.send(&mut state, &self.datagram(level, line)).is_err() {
            state.lost += 1;
        }
    }

    fn send(&self, state: &mut State, datagram: &[u8]) -> io::Result<()> {
        match state.connection.send(datagram) {
            Ok(_) => Ok(()),
            // It has no room now.
            Err(error) if error.kind() == ErrorKind::WouldBlock => Err(error),
            // Whoever listened there is gone; another one may be there.
            Err(_) => {
                state.connection = connect(&self.socket)?;
                state.connection.send(datagram).map(drop)
            }
        }
    }

    fn datagram(&self, level: Level, line: &str) -> Vec<u8> {
        datagram(level, &self.prefix, std::process::id(), line)
    }
}

fn connect(socket: &Path) -> io::Result<UnixDatagram> {
    let connection = UnixDatagram::unbound()?;
    connection.set_nonblocking(true)?;
    connection.connect(socket)?;
    Ok(connection)
}

/// `<PRIORITY>PREFIX[PID]: LINE`, as RFC 3164 has it and syslog(3) sends it, but without a time: it would have to be
/// the local one, and whoever reads this knows when it came.
fn datagram(level: Level, prefix: &str, pid: u32, line: &str) -> Vec<u8> {
    // RFC 5424, 6.2.1: error, warning, informational, debug.
    let severity = match level {
        Level::ERROR => 3,
        Level::WARN => 4,
        Level::INFO => 6,
        Level::DEBUG | Level::TRACE => 7,
    };
    let priority = DAEMON * 8 + severity;
    let mut text = format!("<{priority}>{prefix}[{pid}]: ");
    text.extend(
        line.trim_end()
            .chars()
            .map(|c| if c.is_control() { ' ' } else { c }),
    );
    if text.len() > LINE_MAX {
        const CUT: &str = "...";
        let mut end = LINE_MAX - CUT.len();
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        text.truncate(end);
        text.push_str(CUT);
    }
    text.into_bytes()
}

/// Whether a text can stand before a line: what a keeper of logs takes for the name of a program.
///
/// # Errors
/// Why it cannot.
pub fn check_prefix(text: &str) -> Result<(), String> {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-_./@".contains(&byte);
    if text.is_empty() || text.len() > PREFIX_MAX || !text.bytes().all(allowed) {
        return Err(format!(
            "a prefix is 1 to {PREFIX_MAX} letters, digits, `-`, `_`, `.`, `/` and `@`; an endpoint goes before --syslog"
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn heard(keeper: &UnixDatagram) -> Option<String> {
        let mut buffer = vec![0; 10_000];
        let length = keeper.recv(&mut buffer).ok()?;
        buffer.truncate(length);
        String::from_utf8(buffer).ok()
    }

    fn keeper(path: &Path) -> UnixDatagram {
        let keeper = UnixDatagram::bind(path).unwrap();
        keeper.set_nonblocking(true).unwrap();
        keeper
    }

    #[test]
    fn a_line_has_its_priority_and_our_name_and_number() {
        let framed = |level, line| String::from_utf8(datagram(level, "netkit", 7, line)).unwrap();
        assert_eq!(framed(Level::ERROR, "error: x\n"), "<27>netkit[7]: error: x");
        assert_eq!(framed(Level::WARN, "x"), "<28>netkit[7]: x");
        assert_eq!(framed(Level::INFO, "x"), "<30>netkit[7]: x");
        assert_eq!(framed(Level::DEBUG, "x"), "<31>netkit[7]: x");
        assert_eq!(framed(Level::TRACE, "x"), "<31>netkit[7]: x");
    }

    #[test]
    fn a_line_is_one_line_and_has_a_limit() {
        let text = String::from_utf8(datagram(Level::INFO, "n", 7, "a\nb\0c\u{85}d\n\n")).unwrap();
        assert_eq!(text, "<30>n[7]: a b c d");
        for line in ["x".repeat(10_000), "日".repeat(5_000)] {
            let text = String::from_utf8(datagram(Level::INFO, "n", 7, &line)).unwrap();
            assert!(text.len() <= LINE_MAX && text.len() > LINE_MAX - 4);
            assert!(text.ends_with("..."));
        }
    }

    #[test]
    fn lines_arrive_and_a_keeper_that_starts_anew_gets_the_next() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("log");
        let first = keeper(&path);
        let log = Syslog::open(&path, "test").unwrap();
        log.write(Level::INFO, "one\n");
        let pid = std::process::id();
        assert_eq!(heard(&first).unwrap(), format!("<30>test[{pid}]: one"));
        drop(first);
        std::fs::remove_file(&path).unwrap();
        log.write(Level::INFO, "to nobody\n");
        let second = keeper(&path);
        log.write(Level::INFO, "two\n");
        assert_eq!(
            heard(&second).unwrap(),
            format!("<28>test[{pid}]: warning: 1 line lost")
        );
        assert_eq!(heard(&second).unwrap(), format!("<30>test[{pid}]: two"));
    }

    #[test]
    fn a_keeper_that_does_not_read_is_not_waited_for() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("log");
        let keeper = keeper(&path);
        let log = Syslog::open(&path, "test").unwrap();
        const LINES: usize = 2_000;
        for number in 0..LINES {
            log.write(Level::INFO, &format!("{number}\n"));
        }
        let mut arrived = 0;
        while heard(&keeper).is_some() {
            arrived += 1;
        }
        assert!(arrived < LINES, "the queue of a socket has no such length");
        log.write(Level::INFO, "later\n");
        let lost = heard(&keeper).unwrap();
        assert!(
            lost.ends_with(&format!("{} lines lost", LINES - arrived)),
            "{lost}"
        );
        assert!(heard(&keeper).unwrap().ends_with(": later"));
    }

    #[test]
    fn nobody_there_is_an_error() {
        let error = Syslog::open(Path::new("/nonexistent/log"), "x").unwrap_err();
        assert_eq!(
            error.to_string(),
            "could not log to the system's log, /nonexistent/log: no such file or directory"
        );
    }

    #[test]
    fn a_prefix_is_the_name_of_a_program() {
        for text in ["netkit", "a", "my-echo_2", "echo@home", "a/b"] {
            check_prefix(text).unwrap();
        }
        for text in ["", "tcp:1234", "a b", "a[", "ä", "a\n", &"x".repeat(33)] {
            check_prefix(text).unwrap_err();
        }
    }
}
