//! `Queue`: the datagrams that wait in one flow, bounded.
//! Absent: whose they are.

use std::collections::VecDeque;

/// Datagrams that wait in one flow.
pub(super) const WAITING_MAX: usize = 256;

/// An empty queue that once held more than this gives the memory back.
const KEPT_BYTES_MAX: usize = 16 * 1024;

/// Datagrams that wait, end to end in one buffer, so that small ones cost no allocation each.
#[derive(Default)]
pub(super) struct Queue {
    bytes: VecDeque<u8>,
    lengths: VecDeque<usize>,
}

impl Queue {
    /// Whether there was room. For one datagram of any length there always is.
    pub(super) fn push(&mut self, message: &[u8], bytes_max: usize) -> bool {
        let fits = self.lengths.len() < WAITING_MAX && self.bytes.len() + message.len() <= bytes_max;
        if fits || self.lengths.is_empty() {
            self.bytes.extend(message);
            self.lengths.push_back(message.len());
            return true;
        }
        false
    }

    pub(super) fn is_empty(&self) -> bool {
        self.lengths.is_empty()
    }

    /// The next one, which stays where it is.
    pub(super) fn front(&mut self) -> Option<&[u8]> {
        let length = *self.lengths.front()?;
        if self.bytes.as_slices().0.len() < length {
            self.bytes.make_contiguous();
        }
        self.bytes.as_slices().0.get(..length)
    }

    /// Takes the next one out.
    pub(super) fn skip(&mut self) {
        self.pop(&mut []);
    }

    /// Takes all of them out, and says how many there were.
    pub(super) fn clear(&mut self) -> usize {
        let count = self.lengths.len();
        *self = Queue::default();
        count
    }

    pub(super) fn pop(&mut self, buf: &mut [u8]) -> Option<usize> {
        let length = self.lengths.pop_front()?;
        let copied = length.min(buf.len());
        let (front, back) = self.bytes.as_slices();
        let from_front = copied.min(front.len());
        buf[..from_front].copy_from_slice(&front[..from_front]);
        buf[from_front..copied].copy_from_slice(&back[..copied - from_front]);
        self.bytes.drain(..length);
        if self.lengths.is_empty() && self.bytes.capacity() > KEPT_BYTES_MAX {
            self.bytes = VecDeque::new();
        }
        Some(copied)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_queue_keeps_edges_and_bounds() {
        let mut queue = Queue::default();
        let mut buf = [0; 4];
        assert!(queue.push(b"first of any length", 10));
        assert!(!queue.push(b"more", 10));
        assert_eq!(queue.pop(&mut buf), Some(4));
        assert_eq!(&buf, b"firs");
        for _ in 0..100 {
            assert!(queue.push(b"abc", 10) && queue.push(b"", 10) && queue.push(b"defg", 10));
            assert_eq!((queue.pop(&mut buf), &buf[..3]), (Some(3), &b"abc"[..]));
            assert_eq!(queue.pop(&mut buf), Some(0));
            assert_eq!((queue.pop(&mut buf), &buf), (Some(4), b"defg"));
        }
        assert_eq!(queue.pop(&mut buf), None);
        for _ in 0..50 {
            assert!(queue.push(b"abcdef", 10) && queue.push(b"", 10));
            assert_eq!(queue.front(), Some(&b"abcdef"[..]));
            queue.skip();
            assert_eq!(queue.front(), Some(&b""[..]));
            assert_eq!(queue.clear(), 1);
        }
        assert!(queue.is_empty() && queue.front().is_none());
        assert_eq!((0..300).filter(|_| queue.push(b"", 10)).count(), WAITING_MAX);
    }
}
