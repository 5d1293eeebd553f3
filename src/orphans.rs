//! Programs whose parents have gone: taken in, waited for when they end, and killed when their time is over.
//! Absent: programs that were there before, which are somebody else's; and what is told of those that cannot be killed.

use std::collections::HashSet;
use std::ffi::OsStr;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::{LazyLock, Mutex, MutexGuard, PoisonError};
use std::thread::sleep;
use std::time::{Duration, Instant};

use rustix::io::Errno;
use rustix::process::{Pid, Signal, WaitOptions, getpid, kill_process, set_child_subreaper, waitpid};

/// How long those that were killed may take to be gone: each may leave children of its own, and one that sleeps in the
/// kernel does not hear of it.
const PATIENCE: Duration = Duration::from_secs(2);

/// How long is waited before they are looked for again.
const LOOK_AGAIN: Duration = Duration::from_millis(1);

/// What is known of our children; a part is one that somebody here waits for.
#[derive(Default)]
struct Known {
    taken_in: bool,
    parts: HashSet<Pid>,
    /// With the moment of their start: the number may be given to another.
    spared: HashSet<(Pid, u64)>,
}

fn known() -> MutexGuard<'static, Known> {
    static KNOWN: LazyLock<Mutex<Known>> = LazyLock::new(Mutex::default);
    KNOWN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// From here on, whoever loses its parent becomes a child of ours, if one of us has started it. Who descends from us already,
/// as what a shell has started before it became us, is spared.
///
/// # Errors
/// What the system says.
pub fn take_in() -> io::Result<()> {
    let mut found = children(getpid());
    let mut spared = HashSet::new();
    while let Some(pid) = found.pop() {
        if let Some(start) = start_of(pid)
            && spared.insert((pid, start))
        {
            found.extend(children(pid));
        }
    }
    set_child_subreaper(Some(getpid()))?;
    let mut known = known();
    known.spared.extend(spared);
    known.taken_in = true;
    Ok(())
}

/// Somebody here waits for this child: its status is theirs.
pub fn awaited(part: Pid) {
    known().parts.insert(part);
}

/// This one has been waited for.
pub fn forget(part: Pid) {
    known().parts.remove(&part);
}

/// This one cannot be killed, and is left alone.
pub fn spare(part: Pid) {
    let start = start_of(part);
    let mut known = known();
    known.parts.remove(&part);
    known.spared.extend(start.map(|start| (part, start)));
}

/// Waits for those that have ended, so that nothing is left of them. To be called where parts are started: one that has just
/// been is not known yet.
pub fn reap() {
    for orphan in orphans(false) {
        let _ = waitpid(Some(orphan), WaitOptions::NOHANG);
    }
}

/// Kills all that have been taken in, and theirs. Those that are left may not be killed, or do not end.
pub fn end() -> Vec<Pid> {
    end_where(true, |_| true)
}

/// Kills those that have been taken in and belong to a directory: they work in it, or keep their temporary files there. Those
/// that are left may not be killed, or do not end.
pub fn end_at_home(directory: &Path) -> Vec<Pid> {
    end_where(false, |pid| is_at_home(pid, directory))
}

fn end_where(parts_too: bool, belongs: impl Fn(Pid) -> bool) -> Vec<Pid> {
    let over = Instant::now() + PATIENCE;
    loop {
        let mut left = Vec::new();
        let mut may_end = false;
        for orphan in orphans(parts_too) {
            // First, as nothing is known any more of one that has ended.
            if !matches!(waitpid(Some(orphan), WaitOptions::NOHANG), Ok(None)) || !belongs(orphan) {
                continue;
            }
            may_end |= kill_process(orphan, Signal::KILL) != Err(Errno::PERM);
            left.push(orphan);
        }
        if !may_end || Instant::now() >= over {
            return left;
        }
        sleep(LOOK_AGAIN);
    }
}

/// The children of all our threads that are nobody's: whoever is taken in belongs to any.
fn orphans(parts_too: bool) -> Vec<Pid> {
    let known = known();
    if !known.taken_in {
        return Vec::new();
    }
    let mut found = children(getpid());
    found.retain(|pid| {
        let is_spared = !known.spared.is_empty()
            && start_of(*pid).is_some_and(|start| known.spared.contains(&(*pid, start)));
        !is_spared && (parts_too || !known.parts.contains(pid))
    });
    found
}

fn children(pid: Pid) -> Vec<Pid> {
    let Ok(threads) = std::fs::read_dir(of(pid, "task")) else {
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

/// In ticks of the system's clock; proc_pid_stat(5), field 22.
fn start_of(pid: Pid) -> Option<u64> {
    let stat = std::fs::read(of(pid, "stat")).ok()?;
    let stat = String::from_utf8_lossy(&stat);
    // The name before may hold anything; the state behind it is field 3.
    let (_, fields) = stat.rsplit_once(')')?;
    fields.split_whitespace().nth(22 - 3)?.parse().ok()
}

fn is_at_home(pid: Pid, directory: &Path) -> bool {
    if std::fs::read_link(of(pid, "cwd")).is_ok_and(|place| place.starts_with(directory)) {
        return true;
    }
    let environment = std::fs::read(of(pid, "environ")).unwrap_or_default();
    environment.split(|byte| *byte == 0).any(|variable| {
        let place = variable.strip_prefix(b"TMPDIR=");
        place.is_some_and(|place| Path::new(OsStr::from_bytes(place)).starts_with(directory))
    })
}

fn of(pid: Pid, what: &str) -> PathBuf {
    Path::new("/proc")
        .join(pid.as_raw_nonzero().to_string())
        .join(what)
}
