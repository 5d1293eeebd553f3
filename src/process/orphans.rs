//! Programs whose parents have gone: taken in, and in the end killed.
//! Absent: those that were started here, which have ended before.

use std::io;

use rustix::process::{Pid, Signal, WaitOptions, getpid, kill_process, set_child_subreaper, waitpid};

/// How often it is looked for more: each that is killed may leave children of its own.
const ROUNDS_MAX: usize = 100;

/// From here on, whoever loses its parent becomes a child of ours, if one of us has started it.
///
/// # Errors
/// What the system says.
pub fn take_in() -> io::Result<()> {
    Ok(set_child_subreaper(Some(getpid()))?)
}

/// Kills all children of the calling thread's process, and theirs.
pub fn end() {
    for _ in 0..ROUNDS_MAX {
        let children = children();
        if children.is_empty() {
            return;
        }
        for child in children {
            // It may have ended by itself; one that is not ours any more was waited for by somebody else.
            let _ = kill_process(child, Signal::KILL);
            let _ = waitpid(Some(child), WaitOptions::empty());
        }
    }
}

/// The children of all our threads: whoever is taken in belongs to any.
fn children() -> Vec<Pid> {
    let Ok(threads) = std::fs::read_dir("/proc/self/task") else {
        return Vec::new();
    };
    threads
        .filter_map(|thread| std::fs::read_to_string(thread.ok()?.path().join("children")).ok())
        .flat_map(|line| {
            let pids = line
                .split_whitespace()
                .filter_map(|pid| Pid::from_raw(pid.parse().ok()?));
            pids.collect::<Vec<_>>()
        })
        .collect()
}
