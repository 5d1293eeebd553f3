//! What is shown on a terminal.
//! Absent: the network.

pub mod progress;
