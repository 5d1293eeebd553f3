//! What the log says of a connection, with `-v`.
//! Absent: where the log goes.

use std::io;
use std::time::{Duration, Instant};

use tracing::debug;

use crate::connection::tap::count::Count;
use crate::error::reason;
use crate::layer::idle::IdleLimit;
use crate::transport::Incoming;
use crate::transport::datagrams::flows::Evicted;
use crate::units::duration_text;

/// A connection that is worth a line when it comes and one when it goes.
pub(super) struct Noted {
    /// Who speaks at the other end.
    pub(super) peer: String,
    since: Instant,
    /// The tap that counts for the last line.
    pub(super) count: Count,
}

impl Noted {
    pub(super) fn begin(incoming: &Incoming, endpoint: &str) -> Self {
        let peer = incoming.peer.to_string();
        debug!(%peer, "accepted on {endpoint}");
        Noted {
            peer,
            since: Instant::now(),
            count: Count::default(),
        }
    }

    pub(super) fn end(self, result: &io::Result<()>) {
        let (received, sent) = (self.count.0.received(), self.count.0.sent());
        let lasted = duration_text(Duration::from_millis(self.since.elapsed().as_millis() as u64));
        let how = match result {
            Ok(()) => "closed".to_owned(),
            Err(error) if IdleLimit::caused(error) || Evicted::caused(error) => format!("closed: {error}"),
            Err(error) => format!("lost: {}", reason(error)),
        };
        debug!(peer = %self.peer, received, sent, %lasted, "{how}");
    }
}
