//! Typed words: what flags look like, and the groups of them that verbs share.
//! Absent: what any of it does.

pub(crate) mod complete;
pub(crate) mod help;
pub(crate) mod options;
pub(crate) mod settings;
pub(crate) mod values;
