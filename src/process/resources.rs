//! What the system grants the process.
//! Absent: asking for more than the hard limits.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Raises the number of descriptors to its hard limit: a server's connections are descriptors, and the soft limit is
/// often that of programs that use select(2).
pub fn raise_descriptors() {
    let limit = getrlimit(Resource::Nofile);
    // Where it is refused, the old limit holds and accepting waits when it is reached.
    let _ = setrlimit(
        Resource::Nofile,
        Rlimit {
            current: limit.maximum,
            maximum: limit.maximum,
        },
    );
}
