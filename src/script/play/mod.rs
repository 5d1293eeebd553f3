//! Playing scripts: steps in their order, within their time, and nothing left behind.
//! Absent: text.

mod branches;
mod conversation;
mod door;
pub mod history;
mod output;
pub mod part;
mod scratch;
mod search;
mod wire;
