//! What is shown on a terminal, and what is typed there.
//! Absent: the network.

pub mod console;
mod editor;
pub mod history;
mod modes;
#[cfg(feature = "tls")]
pub mod passphrase;
pub mod progress;
mod shown;
pub mod tally;
