//! Typed words: what flags look like, and the groups of them that verbs share.
//! Absent: what any of it does.

pub mod complete;
pub mod help;
pub mod options;
pub mod settings;
pub mod values;
