//! `Pile`: datagrams of one way, laid end to end so that they can leave in one system call.
//! Absent: where they go.

use super::RUN_MESSAGES_MAX;
use crate::connection::datagram::LARGEST;

/// What is laid so far: all as long as the first, but the last one may be shorter.
#[derive(Debug, Default)]
pub(super) struct Pile {
    bytes: Vec<u8>,
    each: usize,
    count: usize,
    /// One was the last: nothing can follow it.
    closed: bool,
}

impl Pile {
    /// Lays one on top, if it fits there; on an empty pile every one does.
    pub(super) fn add(&mut self, message: &[u8]) -> bool {
        if self.count == 0 {
            self.each = message.len();
            // Nothing joins an empty datagram.
            self.closed = message.is_empty();
        } else {
            let fits = !self.closed
                && (1..=self.each).contains(&message.len())
                && self.count < RUN_MESSAGES_MAX
                && self.bytes.len() + message.len() <= LARGEST;
            if !fits {
                return false;
            }
            self.closed = message.len() < self.each;
        }
        self.bytes.extend_from_slice(message);
        self.count += 1;
        true
    }

    pub(super) fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// All of them, and the length of each.
    pub(super) fn laid(&self) -> (&[u8], usize) {
        (&self.bytes, self.each)
    }

    pub(super) fn clear(&mut self) {
        self.bytes.clear();
        self.count = 0;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::tests::run;
    use super::*;

    fn messages(pile: &Pile) -> Vec<Vec<u8>> {
        let (bytes, each) = pile.laid();
        run(bytes, each).messages().map(<[u8]>::to_vec).collect()
    }

    proptest! {
        #[test]
        fn what_is_piled_up_comes_off_as_it_was(
            sent in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..4), 0..200),
        ) {
            let mut pile = Pile::default();
            let mut came = Vec::new();
            for message in &sent {
                if !pile.add(message) {
                    came.extend(messages(&pile));
                    pile.clear();
                    prop_assert!(pile.add(message));
                }
                prop_assert!(pile.laid().0.len() <= LARGEST);
            }
            if !pile.is_empty() {
                came.extend(messages(&pile));
            }
            prop_assert_eq!(came, sent);
        }
    }
}
