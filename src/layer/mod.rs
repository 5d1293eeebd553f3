//! Layers: a stream in, a stream out; and the table of wrappers, the layers that endpoint strings can name.
//! Absent: sockets, and who asked for the layer.

pub mod crlf;
pub mod fault;
pub mod idle;
pub mod proxy;
#[cfg(feature = "tls")]
pub mod tls;

use std::fmt;
use std::sync::Arc;

use crate::connection::{BoxFuture, Facts, Stream};
use crate::endpoint::{Args, Param, Refused, Role};
use crate::error::Result;

/// The wrappers, in the order that help shows them.
pub static WRAPPERS: &[&Wrapper] = &[&proxy::HAPROXY];

/// What can stand before an endpoint: one entry in [`WRAPPERS`], from which parsing, errors, `explain`, help, the
/// manual and completions follow.
pub struct Wrapper {
    /// The name in endpoint strings, in lower case.
    pub name: &'static str,
    /// What it is, in a few words.
    pub summary: &'static str,
    /// The client role, where it exists.
    pub client: Option<WrapperRole>,
    /// The server role, where it exists.
    pub server: Option<WrapperRole>,
}

impl Wrapper {
    /// The wrapper in this role, if it has it.
    #[must_use]
    pub fn role(&self, role: Role) -> Option<&WrapperRole> {
        match role {
            Role::Client => self.client.as_ref(),
            Role::Server => self.server.as_ref(),
        }
    }

    /// Its fields in this role, if it has it; they are given by name only.
    #[must_use]
    pub fn params(&self, role: Role) -> Option<&'static [Param]> {
        self.role(role).map(|own| own.params)
    }

    /// Strings of this role that a reader can learn from, if it has it.
    #[must_use]
    pub fn examples(&self, role: Role) -> Option<&'static [&'static str]> {
        self.role(role).map(|own| own.examples)
    }
}

/// One role of a wrapper.
pub struct WrapperRole {
    /// Its fields; they are given by name only.
    pub params: &'static [Param],
    /// Strings that a reader can learn from; each parses.
    pub examples: &'static [&'static str],
    /// Makes a layer of checked fields. Opens nothing.
    pub layer: fn(&Args) -> Result<Arc<dyn Layer>, Refused>,
}

/// Has its say on a stream before anything else does; one layer serves every connection of its endpoint.
///
/// Neither function has a time limit of its own: the caller's holds.
pub trait Layer: Send + Sync + fmt::Debug {
    /// On a connection that we opened; `client` is what is known of the connection on whose behalf, where there is one.
    fn connect<'a>(&'a self, stream: Stream, client: Option<&'a Facts>) -> BoxFuture<'a, Result<Stream>>;

    /// On a connection that was opened to us.
    fn accept(&self, stream: Stream) -> BoxFuture<'_, Result<Stream>>;

    /// Whether it says, on a connection that was opened to us, who speaks there.
    fn names_peer(&self) -> bool {
        false
    }
}
