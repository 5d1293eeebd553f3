//! Whether the system has too little of something for us: descriptors, or memory.
//! Absent: what is done about it.

use std::io;

use rustix::io::Errno;

/// Whether that is what an error says: nothing is known then of whomever it was for.
#[must_use]
pub fn is_shortage(error: &io::Error) -> bool {
    let shortages = [Errno::MFILE, Errno::NFILE, Errno::NOBUFS, Errno::NOMEM];
    Errno::from_io_error(error).is_some_and(|errno| shortages.contains(&errno))
}
