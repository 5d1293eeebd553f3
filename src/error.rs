//! What failed, why, and what can be done: `Error`, and `Status`, the exit-status table.
//! Absent: colours, terminals, and any guess at a status from the text of a message.

use std::fmt;
use std::io;

use crate::lacking::is_shortage;

/// The exit status of a run. The numbers are part of the command-line contract.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Status {
    /// Done: the peer and we closed cleanly, or a server was told to stop.
    Done = 0,
    /// Any other failure while running.
    Failure = 1,
    /// Bad flag, bad endpoint string, bad script syntax.
    Usage = 2,
    /// Could not connect: refused, unreachable, name not found.
    Connect = 3,
    /// A time limit was reached.
    Timeout = 4,
    /// TLS: certificate or handshake refused.
    Tls = 5,
    /// An expectation failed: the peer broke the protocol.
    Expectation = 6,
    /// Could not bind: address in use, permission denied.
    Bind = 7,
    /// The connection was lost.
    Lost = 8,
    /// The command to run is there, and cannot be run.
    NotRunnable = 126,
    /// The command to run was not found.
    NotFound = 127,
    /// Interrupted by the user.
    Interrupted = 130,
}

impl Status {
    /// Every status, in the order of its number.
    pub const ALL: [Status; 12] = [
        Status::Done,
        Status::Failure,
        Status::Usage,
        Status::Connect,
        Status::Timeout,
        Status::Tls,
        Status::Expectation,
        Status::Bind,
        Status::Lost,
        Status::NotRunnable,
        Status::NotFound,
        Status::Interrupted,
    ];

    /// The number that the process exits with.
    #[must_use]
    pub const fn code(self) -> u8 {
        self as u8
    }

    /// What the status means, as the manual says it.
    #[must_use]
    pub const fn meaning(self) -> &'static str {
        match self {
            Status::Done => "done: the peer and we closed cleanly, or a server was told to stop",
            Status::Failure => "any other failure while running",
            Status::Usage => "usage: bad flag, bad endpoint string, bad script syntax",
            Status::Connect => "could not connect: refused, unreachable, name not found",
            Status::Timeout => "a time limit was reached",
            Status::Tls => "TLS: certificate or handshake refused",
            Status::Expectation => "an expectation failed: the peer broke the protocol",
            Status::Bind => "could not bind: address in use, permission denied",
            Status::Lost => "the connection was lost: reset, or a TLS peer ended without close_notify",
            Status::NotRunnable => "the command to run is there, and cannot be run",
            Status::NotFound => "the command to run was not found",
            Status::Interrupted => "interrupted",
        }
    }
}

/// `std::result::Result` with [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// A failure: `WHAT: WHY`, the status it ends with, and, where there is something to do about it, help.
///
/// The parts sit behind one pointer, so that a `Result` stays as small as its value.
#[derive(Debug, Clone)]
pub struct Error(Box<Parts>);

#[derive(Debug, Clone)]
struct Parts {
    status: Status,
    what: String,
    why: String,
    picture: Option<String>,
    help: Option<String>,
    absence: bool,
    shortage: bool,
    alert: Option<String>,
}

impl Error {
    /// A failure whose `what` is not known yet at this depth; the caller adds it with [`Error::on`].
    #[must_use]
    pub fn new(status: Status, why: impl Into<String>) -> Self {
        Error(Box::new(Parts {
            status,
            what: String::new(),
            why: why.into(),
            picture: None,
            help: None,
            absence: false,
            shortage: false,
            alert: None,
        }))
    }

    /// An I/O error put in words.
    #[must_use]
    pub fn io(status: Status, error: &io::Error) -> Self {
        Error::new(status, reason(error)).shortage(is_shortage(error))
    }

    /// Says what failed: `could not bind tcp:80`. The innermost caller that knows wins.
    #[must_use]
    pub fn on(mut self, what: impl Into<String>) -> Self {
        if self.0.what.is_empty() {
            self.0.what = what.into();
        }
        self
    }

    /// Adds what the user can do about it.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.0.help = Some(help.into());
        self
    }

    /// Adds lines that show where in the user's text the failure lies.
    #[must_use]
    pub fn picture(mut self, picture: impl Into<String>) -> Self {
        self.0.picture = Some(picture.into());
        self
    }

    /// Says that it failed because nobody is there: refused, unreachable, no such name or file. Silence is no such answer,
    /// as the backlog of a busy server is silent too.
    #[must_use]
    pub fn absence(mut self, nobody_is_there: bool) -> Self {
        self.0.absence = nobody_is_there;
        self
    }

    /// Whether it failed because nobody is there, and the system said so.
    #[must_use]
    pub fn is_absence(&self) -> bool {
        self.0.absence
    }

    /// Says that it failed because we lack something, such as descriptors: that tells nothing of the other end.
    #[must_use]
    pub fn shortage(mut self, we_lack_something: bool) -> Self {
        self.0.shortage = we_lack_something;
        self
    }

    /// Whether it failed because we lack something.
    #[must_use]
    pub fn is_shortage(&self) -> bool {
        self.0.shortage
    }

    /// Says that the other end broke off with this alert of TLS, by its registered name.
    #[must_use]
    pub fn alert(mut self, name: impl Into<String>) -> Self {
        self.0.alert = Some(name.into());
        self
    }

    /// The alert of TLS with which the other end broke off, by its registered name: `unknown_ca`.
    #[must_use]
    pub fn alert_name(&self) -> Option<&str> {
        self.0.alert.as_deref()
    }

    /// The status that a run ends with because of this.
    #[must_use]
    pub fn status(&self) -> Status {
        self.0.status
    }

    /// What failed; empty where nobody said.
    #[must_use]
    pub fn what(&self) -> &str {
        &self.0.what
    }

    /// Why it failed.
    #[must_use]
    pub fn why(&self) -> &str {
        &self.0.why
    }

    /// What can be done about it.
    #[must_use]
    pub fn help_text(&self) -> Option<&str> {
        self.0.help.as_deref()
    }

    /// The lines that show where in the user's text the failure lies.
    #[must_use]
    pub fn picture_text(&self) -> Option<&str> {
        self.0.picture.as_deref()
    }
}

/// One line, `WHAT: WHY`; the alternate form (`{:#}`) adds the picture and the help line.
impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.0.what.is_empty() {
            write!(f, "{}: ", self.0.what)?;
        }
        f.write_str(&self.0.why)?;
        if f.alternate() {
            if let Some(picture) = &self.0.picture {
                write!(f, "\n{}", picture.trim_end_matches('\n'))?;
            }
            if let Some(help) = &self.0.help {
                write!(f, "\nhelp: {help}")?;
            }
        }
        Ok(())
    }
}

impl std::error::Error for Error {}

/// The words for an I/O error: lower case, without the system's number.
#[must_use]
pub fn reason(error: &io::Error) -> String {
    use io::ErrorKind as Kind;
    let known = match error.kind() {
        Kind::ConnectionRefused => "connection refused",
        Kind::ConnectionReset => "connection reset by the peer",
        Kind::ConnectionAborted => "connection aborted",
        Kind::BrokenPipe => "the peer no longer reads",
        Kind::AddrInUse => "address in use",
        Kind::AddrNotAvailable => "address not available on this machine",
        Kind::PermissionDenied => "permission denied",
        Kind::NotFound => "no such file or directory",
        Kind::HostUnreachable => "host unreachable",
        Kind::NetworkUnreachable => "network unreachable",
        Kind::NotConnected => "not connected",
        Kind::TimedOut => "timed out",
        Kind::StorageFull => "no space left on the device",
        Kind::IsADirectory => "is a directory",
        Kind::NotADirectory => "not a directory",
        Kind::ReadOnlyFilesystem => "the file system is read-only",
        _ => "",
    };
    // Whoever wrote words of their own is quoted.
    if !known.is_empty() && error.get_ref().is_none() {
        return known.to_owned();
    }
    let text = error.to_string();
    // The standard library appends ` (os error N)`, which says nothing to a user.
    let text = text.split(" (os error").next().unwrap_or(&text);
    let mut chars = text.chars();
    match (chars.next(), chars.clone().next()) {
        // `TLS` stays `TLS`; `Too many open files` loses its capital.
        (Some(first), Some(second)) if !second.is_uppercase() => first.to_lowercase().chain(chars).collect(),
        _ => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_innermost_what_wins() {
        let error = Error::new(Status::Bind, "address in use")
            .on("could not bind tcp:80")
            .on("serve failed");
        assert_eq!(error.to_string(), "could not bind tcp:80: address in use");
        assert_eq!(error.status().code(), 7);
    }

    #[test]
    fn picture_and_help_follow_on_lines_of_their_own() {
        let error = Error::new(Status::Usage, "unknown")
            .picture("  tcp\n  ^^^\n")
            .help("try `udp`");
        assert_eq!(format!("{error:#}"), "unknown\n  tcp\n  ^^^\nhelp: try `udp`");
    }

    #[test]
    fn system_errors_lose_their_number_and_their_capital() {
        assert_eq!(reason(&io::Error::from_raw_os_error(24)), "too many open files");
        assert_eq!(reason(&io::Error::from_raw_os_error(98)), "address in use");
        assert_eq!(reason(&io::Error::other("TLS went wrong")), "TLS went wrong");
    }
}
