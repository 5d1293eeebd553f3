//! What a program writes, collected while it runs, and waiting for what it will write.
//! Absent: what it means.

use std::io::Read;
use std::sync::{Arc, Condvar, Mutex};
use std::time::Instant;

use super::PATIENCE;

/// All that came out of a pipe so far.
#[derive(Clone, Default)]
pub(crate) struct Capture(Arc<Shared>);

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    more: Condvar,
}

#[derive(Default)]
struct State {
    bytes: Vec<u8>,
    ended: bool,
}

impl Capture {
    /// Collects on a thread of its own until the pipe ends.
    pub(crate) fn of(mut pipe: impl Read + Send + 'static) -> Self {
        let capture = Capture::default();
        let ours = capture.clone();
        std::thread::spawn(move || {
            let mut buffer = vec![0; 1 << 16];
            loop {
                let read = pipe.read(&mut buffer).unwrap_or(0);
                let mut state = ours.0.state.lock().unwrap();
                state.bytes.extend_from_slice(&buffer[..read]);
                state.ended = read == 0;
                ours.0.more.notify_all();
                if read == 0 {
                    return;
                }
            }
        });
        capture
    }

    /// Nothing is collected.
    pub(crate) fn nothing() -> Self {
        let capture = Capture::default();
        capture.0.state.lock().unwrap().ended = true;
        capture
    }

    pub(crate) fn so_far(&self) -> Vec<u8> {
        self.0.state.lock().unwrap().bytes.clone()
    }

    /// Waits until what came satisfies `enough`, and gives it. A pipe that ends before, or the deadline, is a failure,
    /// which `failure` puts in words.
    pub(crate) fn until(&self, enough: impl Fn(&[u8]) -> bool, failure: impl Fn() -> String) -> Vec<u8> {
        let deadline = Instant::now() + PATIENCE;
        let mut state = self.0.state.lock().unwrap();
        loop {
            if enough(&state.bytes) {
                return state.bytes.clone();
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if state.ended || left.is_zero() {
                drop(state);
                panic!("{}", failure());
            }
            state = self.0.more.wait_timeout(state, left).unwrap().0;
        }
    }

    /// Waits for the end of the pipe and gives all that came.
    pub(crate) fn until_end(&self, failure: impl Fn() -> String) -> Vec<u8> {
        let deadline = Instant::now() + PATIENCE;
        let mut state = self.0.state.lock().unwrap();
        while !state.ended {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                drop(state);
                panic!("{}", failure());
            }
            state = self.0.more.wait_timeout(state, left).unwrap().0;
        }
        state.bytes.clone()
    }
}
