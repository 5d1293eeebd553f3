//! `Order`: which of many was idle for the longest.
//! Absent: what they are, and clocks.

use std::collections::BTreeMap;

use tokio::time::Instant;

/// Where one stands. It is set anew when it is looked at, not with every datagram.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place(Instant, u64);

/// Those that there are, by when something last moved as far as is known: it may have been later, never earlier.
#[derive(Debug)]
pub(super) struct Order<K> {
    places: BTreeMap<Place, K>,
    next: u64,
}

impl<K> Default for Order<K> {
    fn default() -> Self {
        Order {
            places: BTreeMap::new(),
            next: 0,
        }
    }
}

impl<K: Copy> Order<K> {
    pub(super) fn add(&mut self, key: K, last: Instant) -> Place {
        let place = Place(last, self.next);
        self.next += 1;
        self.places.insert(place, key);
        place
    }

    pub(super) fn remove(&mut self, place: Place) {
        self.places.remove(&place);
    }

    /// The one that was idle for the longest, and since when. `last` says when something last moved, and `moved` is
    /// told of each that stands elsewhere now. Each is looked at once for every time that something moved, at most.
    pub(super) fn longest_idle(
        &mut self,
        last: impl Fn(K) -> Option<Instant>,
        mut moved: impl FnMut(K, Place),
    ) -> Option<(K, Instant)> {
        loop {
            let (&place, &key) = self.places.first_key_value()?;
            match last(key) {
                Some(last) if last > place.0 => {
                    self.places.remove(&place);
                    moved(key, self.add(key, last));
                }
                _ => return Some((key, place.0)),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::collections::HashMap;
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn it_is_the_one_that_nothing_moved_on_for_the_longest(
            steps in prop::collection::vec((0..3_u8, 0..20_u32), 0..300),
        ) {
            let start = Instant::now();
            let mut order = Order::default();
            let held: RefCell<HashMap<u32, (Instant, Place)>> = RefCell::default();
            for (number, (kind, key)) in steps.into_iter().enumerate() {
                let now = start + Duration::from_millis(number as u64);
                let known = held.borrow().contains_key(&key);
                match kind {
                    0 if !known => {
                        let place = order.add(key, now);
                        held.borrow_mut().insert(key, (now, place));
                    }
                    1 => {
                        if let Some((_, place)) = held.borrow_mut().remove(&key) {
                            order.remove(place);
                        }
                    }
                    _ => {
                        if let Some((last, _)) = held.borrow_mut().get_mut(&key) {
                            *last = now;
                        }
                    }
                }
                let found = order.longest_idle(
                    |key| held.borrow().get(&key).map(|(last, _)| *last),
                    |key, place| held.borrow_mut().get_mut(&key).unwrap().1 = place,
                );
                let expected = held.borrow().iter().map(|(key, (last, _))| (*key, *last)).min_by_key(|(_, last)| *last);
                prop_assert_eq!(found, expected);
                prop_assert_eq!(order.places.len(), held.borrow().len());
            }
        }
    }
}
