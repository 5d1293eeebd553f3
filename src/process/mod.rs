//! The process as its host sees it: signals, the service manager, the log.
//! Absent: connections.

#[cfg(feature = "cli")]
pub mod log;
pub mod notify;
pub mod pulse;
pub mod resources;
pub mod runtime;
pub mod signals;
