//! A file that a thread of its own writes, so that a slow disk does not stop whoever has something to write before a
//! bound is reached. Absent: what is written, as long as it comes in whole blocks.

use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};
use tracing::warn;

use crate::error::reason;
use crate::units::duration_text;

/// Bytes that wait to be written, at most, but for the blocks that come last.
const WAITING_MAX: usize = 8 * 1024 * 1024;

/// How long the file may take nothing while somebody waits for it.
const STALL: Duration = Duration::from_secs(2);

/// Bytes in one write: after each it is seen that the file takes something.
const WRITE_MAX: usize = 256 * 1024;

/// The file, and what waits.
pub(super) struct Spool(Arc<Shared>);

struct Shared {
    name: String,
    state: Mutex<State>,
    /// Something waits, or nothing more will come.
    more: Condvar,
    /// Something was written, or never will be.
    moved: Condvar,
}

struct State {
    /// Until the thread has it, and how much is in it.
    file: Option<(File, u64)>,
    waiting: Vec<u8>,
    /// The thread writes.
    busy: bool,
    /// When the file last took something, or there was nothing for it.
    progress: Instant,
    closing: bool,
    /// Why nothing more is written.
    failed: Option<String>,
}

impl Spool {
    /// Makes the file and writes what comes first. There is no thread before the first block, as a process may still
    /// have to fork.
    pub(super) fn create(path: &Path, name: String, head: &[u8]) -> io::Result<Self> {
        // A pipe that nobody reads is refused rather than waited for. A terminal that is named does not become ours.
        let flags = OFlags::NONBLOCK | OFlags::NOCTTY;
        let mut file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .custom_flags(flags.bits() as i32)
            .open(path)?;
        fcntl_setfl(&file, fcntl_getfl(&file)? - OFlags::NONBLOCK)?;
        file.write_all(head)?;
        Ok(Spool(Arc::new(Shared {
            name,
            state: Mutex::new(State {
                file: Some((file, head.len() as u64)),
                waiting: Vec::new(),
                busy: false,
                progress: Instant::now(),
                closing: false,
                failed: None,
            }),
            more: Condvar::new(),
            moved: Condvar::new(),
        })))
    }

    /// Appends whole blocks. It waits where too much waits already, as a write would; not for a file that takes nothing.
    pub(super) fn put(&self, make: impl FnOnce(&mut Vec<u8>)) {
        let mut state = self
            .0
            .wait(self.0.lock(), |state| state.waiting.len() >= WAITING_MAX);
        if state.failed.is_some() || state.closing {
            return;
        }
        if let Some((file, length)) = state.file.take() {
            let shared = Arc::clone(&self.0);
            let thread = std::thread::Builder::new().name("record".into());
            if let Err(error) = thread.spawn(move || shared.write(file, length)) {
                return self.0.fail(&mut state, reason(&error));
            }
        }
        if state.waiting.is_empty() && !state.busy {
            state.progress = Instant::now();
        }
        make(&mut state.waiting);
        self.0.more.notify_one();
    }

    /// Waits until all of it is in the file, or never will be: then, why.
    pub(super) fn finish(&self) -> Result<(), String> {
        let mut state = self.0.lock();
        state.closing = true;
        self.0.more.notify_one();
        let state = self
            .0
            .wait(state, |state| !state.waiting.is_empty() || state.busy);
        state.failed.clone().map_or(Ok(()), Err)
    }
}

impl Shared {
    /// Nothing in here panics while it holds the lock, so that what a poisoned lock holds is sound.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for as long as it has to and the file takes something.
    fn wait<'a>(
        &'a self,
        mut state: MutexGuard<'a, State>,
        has_to: impl Fn(&State) -> bool,
    ) -> MutexGuard<'a, State> {
        while state.failed.is_none() && has_to(&state) {
            let left = STALL.saturating_sub(state.progress.elapsed());
            if left.is_zero() {
                let stall = duration_text(STALL);
                self.fail(&mut state, format!("nothing could be written to it for {stall}"));
                break;
            }
            let waited = self.moved.wait_timeout(state, left);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        state
    }

    /// Nothing more is recorded. It is said once.
    fn fail(&self, state: &mut State, why: String) {
        if state.failed.is_none() {
            warn!("nothing more is recorded in {}: {why}", self.name);
            state.failed = Some(why);
        }
        state.waiting = Vec::new();
        self.moved.notify_all();
    }

    /// The thread: whatever waits is written at once, so that the file can be read while it grows.
    fn write(&self, mut file: File, mut length: u64) {
        let mut state = self.lock();
        loop {
            if state.failed.is_some() {
                return;
            }
            if state.waiting.is_empty() {
                if state.closing {
                    return;
                }
                state = self.more.wait(state).unwrap_or_else(PoisonError::into_inner);
                continue;
            }
            let blocks = std::mem::take(&mut state.waiting);
            state.busy = true;
            // There is room again.
            self.moved.notify_all();
            drop(state);
            let written = self.write_all(&mut file, &blocks);
            state = self.lock();
            state.busy = false;
            match written {
                Ok(()) => length += blocks.len() as u64,
                Err(error) => {
                    // Half a block would spoil what is before it. A pipe has no such length, and no such need.
                    let _ = file.set_len(length);
                    self.fail(&mut state, reason(&error));
                }
            }
            self.moved.notify_all();
        }
    }

    fn write_all(&self, file: &mut File, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            match file.write(&bytes[..bytes.len().min(WRITE_MAX)]) {
                Ok(0) => return Err(ErrorKind::WriteZero.into()),
                Ok(written) => bytes = &bytes[written..],
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
            self.lock().progress = Instant::now();
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

    fn spool(path: &Path) -> io::Result<Spool> {
        Spool::create(path, "it".into(), b"head,")
    }

    #[test]
    fn all_is_in_the_file_in_the_end() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("file");
        let spool = spool(&path).unwrap();
        for _ in 0..1000 {
            spool.put(|out| out.extend([b'x'; 20_000]));
        }
        spool.finish().unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().len(), 5 + 20_000_000);
    }

    #[test]
    fn a_full_disk_is_told_at_once() {
        let error = spool(Path::new("/dev/full")).err().unwrap();
        assert_eq!(error.kind(), ErrorKind::StorageFull);
    }

    #[test]
    fn a_pipe_that_nobody_reads_is_refused_and_one_that_stalls_given_up() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("pipe");
        nix::unistd::mkfifo(&path, nix::sys::stat::Mode::from_bits_truncate(0o600)).unwrap();
        assert!(spool(&path).is_err());
        let mut reader = OpenOptions::new().read(true).write(true).open(&path).unwrap();
        let spool = spool(&path).unwrap();
        let start = Instant::now();
        for _ in 0..20 {
            spool.put(|out| out.extend(vec![b'x'; 1 << 20]));
        }
        let why = spool.finish().unwrap_err();
        assert!(why.contains("for 2s"), "{why}");
        // It was waited for once.
        assert!(start.elapsed() < 3 * STALL, "{:?}", start.elapsed());
        let mut head = [0; 6];
        reader.read_exact(&mut head).unwrap();
        assert_eq!(&head, b"head,x");
    }
}
