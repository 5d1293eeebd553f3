//! What the system grants the process, and what is left of it.
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

/// How many descriptors the process may still open.
#[must_use]
pub fn descriptors_left() -> usize {
    /// Open at a start, where the system does not say how many are: more than a few endpoints and logs come to.
    const ASSUMED: usize = 32;
    let limit = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
    let open = std::fs::read_dir("/proc/self/fd").map_or(ASSUMED, Iterator::count);
    usize::try_from(limit).unwrap_or(usize::MAX).saturating_sub(open)
}
