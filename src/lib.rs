//! One endpoint string names either end of a wire.
//!
//! The map of the crate is `ARCHITECTURE.md`: floors whose imports go down, never up.

pub mod diagnostic;
pub mod endpoint;
pub mod error;
pub mod escape;
pub mod units;
