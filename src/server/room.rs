//! How many conversations there are descriptors for, where each of them opens more than it comes with.
//! Absent: counting descriptors, and what becomes of those for whom there is no room.

use super::Limits;

/// Of so many descriptors one is left to whatever else comes by: pipes for bulk, files, names that are looked up.
const SPARE_ONE_OF: usize = 8;

/// But no more of them than these.
const SPARE_MAX: usize = 64;

/// What a server is offered on.
#[derive(Debug, Clone, Copy)]
pub struct Doors {
    /// Whether streams come to any endpoint.
    pub streams: bool,
    /// To so many endpoints datagrams come.
    pub datagrams: usize,
}

impl Limits {
    /// Lowers the limits to what the `left` descriptors are enough for when each conversation opens `more` of its own. Who
    /// comes beyond that waits, as one beyond any limit does, rather than being taken in and let down.
    ///
    /// Says how many connections there are descriptors for, if that is fewer than were asked for.
    #[must_use]
    pub fn fit(&mut self, left: usize, more: usize, doors: Doors) -> Option<usize> {
        if more == 0 {
            return None;
        }
        let room = left - (left / SPARE_ONE_OF).min(SPARE_MAX);
        // Neither kind takes the other's.
        let share = if doors.streams && doors.datagrams > 0 {
            room / 2
        } else {
            room
        };
        // A flow has no descriptor but those that it opens.
        if let Some(flows) = share.checked_div(doors.datagrams * more) {
            self.flows_max = self.flows_max.min(flows.max(1));
        }
        if !doors.streams {
            return None;
        }
        let enough = (share / (1 + more)).max(1);
        let asked = self
            .max_connections
            .replace(self.max_connections.map_or(enough, |most| most.min(enough)));
        asked.filter(|most| *most > enough).map(|_| enough)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fitted(asked: Option<usize>, left: usize, more: usize, doors: Doors) -> (Limits, Option<usize>) {
        let mut limits = Limits {
            max_connections: asked,
            ..Limits::default()
        };
        let fewer = limits.fit(left, more, doors);
        (limits, fewer)
    }

    const STREAMS: Doors = Doors {
        streams: true,
        datagrams: 0,
    };

    #[test]
    fn a_pair_takes_two_and_some_are_left_over() {
        for (left, pairs) in [(1000, 468), (80, 35), (4, 2), (1, 1), (0, 1)] {
            let (limits, fewer) = fitted(None, left, 1, STREAMS);
            assert_eq!((limits.max_connections, fewer), (Some(pairs), None), "{left}");
        }
    }

    #[test]
    fn what_was_asked_for_holds_where_there_is_room_and_is_told_where_not() {
        let (limits, fewer) = fitted(Some(10), 1000, 1, STREAMS);
        assert_eq!((limits.max_connections, fewer), (Some(10), None));
        let (limits, fewer) = fitted(Some(469), 1000, 1, STREAMS);
        assert_eq!((limits.max_connections, fewer), (Some(468), Some(468)));
    }

    #[test]
    fn who_opens_nothing_is_not_limited() {
        let (limits, fewer) = fitted(None, 10, 0, STREAMS);
        assert_eq!((limits.max_connections, fewer), (None, None));
        assert_eq!(limits.flows_max, Limits::default().flows_max);
    }

    #[test]
    fn flows_share_what_there_is() {
        let flows = |streams, datagrams| fitted(None, 1000, 1, Doors { streams, datagrams }).0;
        assert_eq!(flows(false, 1).flows_max, 936);
        assert_eq!(flows(false, 1).max_connections, None);
        assert_eq!(flows(false, 2).flows_max, 468);
        let both = flows(true, 1);
        assert_eq!((both.flows_max, both.max_connections), (468, Some(234)));
    }
}
