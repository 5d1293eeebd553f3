//! Scripts that talk to servers and clients: read, checked, played, and reported.
//! Absent: flags, and how a part of ours is started, which the program says.

pub mod difference;
pub mod play;
pub mod report;
