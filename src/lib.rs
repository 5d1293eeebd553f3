//! One endpoint string names either end of a wire.
//!
//! The map of the crate is `ARCHITECTURE.md`: floors whose imports go down, never up.

pub mod error;
