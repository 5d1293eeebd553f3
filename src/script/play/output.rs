//! What a program says on its standard output and error: read to the end, the latest of it kept.
//! Absent: who runs it.

use std::io;
use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::io::AsyncReadExt;
use tokio::net::unix::pipe::Receiver;
use tokio::task::JoinHandle;

/// Bytes that are kept of what one program says.
const KEPT_MAX: usize = 64 * 1024;

/// Bytes read at once.
const PIECE: usize = 4096;

/// What was said, and how much of it is not kept.
#[derive(Debug, Default)]
struct Said {
    latest: Vec<u8>,
    dropped: u64,
}

/// The latest that a program said, both of its outputs in the order in which it came here.
#[derive(Debug, Default)]
pub(super) struct Output {
    said: Arc<Mutex<Said>>,
    readers: Vec<JoinHandle<()>>,
}

impl Drop for Output {
    /// Whoever holds the other end open may do so for as long as it likes.
    fn drop(&mut self) {
        for reader in &self.readers {
            reader.abort();
        }
    }
}

impl Output {
    /// Reads from a pipe until its end, so that whoever writes is never held up.
    pub(super) fn hear(&mut self, pipe: impl Into<OwnedFd>) -> io::Result<()> {
        let mut pipe = Receiver::from_owned_fd(pipe.into())?;
        let said = Arc::clone(&self.said);
        self.readers.push(tokio::spawn(async move {
            let mut piece = vec![0; PIECE];
            while let Ok(count) = pipe.read(&mut piece).await
                && count > 0
            {
                let mut said = said.lock().unwrap_or_else(PoisonError::into_inner);
                said.latest.extend_from_slice(&piece[..count]);
                // In steps, so that not every piece moves all the rest.
                if said.latest.len() > 2 * KEPT_MAX {
                    let more = said.latest.len() - KEPT_MAX;
                    said.latest.drain(..more);
                    said.dropped += more as u64;
                }
            }
        }));
        Ok(())
    }

    /// Returns when all has been said.
    pub(super) async fn ended(&mut self) {
        for reader in &mut self.readers {
            // One that panicked has nothing more to tell.
            let _ = reader.await;
        }
        self.readers.clear();
    }

    /// The latest lines, without what is no text, and how many bytes there were before them.
    pub(super) fn so_far(&self) -> (String, u64) {
        let said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
        let start = said.latest.len().saturating_sub(KEPT_MAX);
        let text = String::from_utf8_lossy(&said.latest[start..]).into_owned();
        (text, said.dropped + start as u64)
    }
}
