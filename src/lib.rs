//! One endpoint string names either end of a wire.
//!
//! A string such as `tcp:localhost:1234` names an *endpoint*; an endpoint yields *connections*; a *layer* turns a
//! stream into a stream; a *protocol* talks on one; an *engine* decides how many, how long, until when. The modules
//! stand on floors whose imports go down, never up; `ARCHITECTURE.md` draws them.
//!
//! ```
//! use netkit::endpoint::{Kind, Role};
//! use netkit::transport::reading::Reading;
//!
//! let reading = Reading::parse("tcp:[::1]:80".as_ref(), Role::Client)?;
//! assert_eq!(reading.canonical, "tcp:[::1]:80");
//!
//! let refused = Reading::parse("tcp:prot=80".as_ref(), Role::Server).unwrap_err();
//! assert_eq!(refused.kind, Kind::UnknownArgument);
//! assert_eq!(refused.diagnostic.picture(), "  tcp:prot=80\n      ^^^^\n");
//! # Ok::<(), netkit::endpoint::Refused>(())
//! ```

pub mod backoff;
#[cfg(feature = "tls")]
pub mod cert;
pub mod connection;
pub mod diagnostic;
pub mod endpoint;
pub mod error;
pub mod escape;
pub mod kernel;
pub mod lacking;
pub mod layer;
pub mod living;
pub mod need;
pub mod orphans;
pub mod probe;
pub mod process;
pub mod protocol;
pub mod reconnect;
pub mod relay;
#[cfg(feature = "regex")]
pub mod script;
pub mod server;
#[cfg(feature = "cli")]
pub mod terminal;
#[cfg(feature = "testing")]
pub mod testing;
pub mod transport;
pub mod units;
#[cfg(any(feature = "config", feature = "regex", feature = "tls"))]
#[cfg_attr(
    not(any(feature = "config", feature = "tls")),
    allow(
        dead_code,
        reason = "a script is read once, and nobody asks what kind of file it was"
    )
)]
mod whole;
