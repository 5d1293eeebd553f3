//! Whether another process is there, by its number.
//! Absent: what it is.

use rustix::io::Errno;
use rustix::process::{Pid, test_kill_process};

/// Whether there is such a process. One that has ended is gone, though its parent may never ask how it ended, as in a
/// container without an init; not being allowed to signal one says that it is there.
#[must_use]
pub fn is_there(pid: Pid) -> bool {
    test_kill_process(pid) != Err(Errno::SRCH) && !state(pid).is_some_and(|state| "ZX".contains(state))
}

/// The field behind the name of the program, which may hold anything.
fn state(pid: Pid) -> Option<char> {
    let stat = std::fs::read(format!("/proc/{pid}/stat")).ok()?;
    let end = stat.windows(2).rposition(|two| two == b") ")?;
    stat.get(end + 2).map(|state| char::from(*state))
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    #[test]
    fn the_dead_are_gone_before_anybody_asks() {
        assert!(is_there(rustix::process::getpid()));
        let mut child = Command::new("sleep").arg("60").spawn().unwrap();
        let pid = Pid::from_child(&child);
        assert!(is_there(pid));
        child.kill().unwrap();
        // It is not waited for: from here on it is a zombie.
        let start = std::time::Instant::now();
        while is_there(pid) {
            assert!(start.elapsed().as_secs() < 60);
            std::thread::yield_now();
        }
        assert_eq!(test_kill_process(pid), Ok(()));
        child.wait().unwrap();
        assert!(!is_there(pid));
    }
}
