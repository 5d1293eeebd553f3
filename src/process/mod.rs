//! The process as its host sees it: signals, the service manager, the log; who it is, and where.
//! Absent: connections.

pub mod daemon;
#[cfg(feature = "cli")]
pub mod log;
pub mod notify;
pub mod pidfile;
pub mod place;
pub mod privileges;
pub mod pulse;
pub mod resources;
pub mod runtime;
pub mod sandbox;
pub mod signals;
pub mod syslog;

#[cfg(feature = "cli")]
mod log_file;
