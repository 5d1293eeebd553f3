//! One endpoint string names either end of a wire.
//!
//! A string such as `tcp:localhost:1234` names an *endpoint*; an endpoint yields *connections*; a *layer* turns a
//! stream into a stream; a *protocol* talks on one; an *engine* decides how many, how long, until when. The modules
//! stand on floors whose imports go down, never up; `ARCHITECTURE.md` draws them.

#[cfg(feature = "tls")]
pub mod cert;
pub mod connection;
pub mod diagnostic;
pub mod endpoint;
pub mod error;
pub mod escape;
pub mod kernel;
pub mod layer;
pub mod process;
pub mod protocol;
pub mod relay;
pub mod server;
#[cfg(feature = "cli")]
pub mod terminal;
pub mod transport;
pub mod units;
