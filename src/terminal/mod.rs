//! What is shown on a terminal.
//! Absent: the network.

#[cfg(feature = "tls")]
pub mod passphrase;
pub mod progress;
