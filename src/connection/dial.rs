//! The way out for those who talk on one connection and have to ask somebody else: an endpoint in, a connection out.
//! Absent: which endpoints there are, and who needs one.

use super::{BoxFuture, Connection};
use crate::endpoint::Spec;
use crate::error::Result;
use crate::need::Need;

/// Opens connections of our own.
pub trait Dial: Send + Sync + 'static {
    /// Connects to a client endpoint. Dropping the future gives up.
    ///
    /// # Errors
    /// The endpoint is refused, or leads nowhere; the error names it.
    fn dial(&self, endpoint: Spec) -> BoxFuture<'static, Result<Connection>>;

    /// What dialling this endpoint asks of the system.
    fn needs(&self, endpoint: &Spec) -> Vec<Need> {
        let _ = endpoint;
        vec![Need::Dial]
    }
}
