//! How often a thread is woken in vain while one peer takes nothing, and whether it pays to have the other one rest then.
//! Absent: resting.

use std::cell::Cell;

use tokio::runtime::Handle;

/// A rest costs some system calls. So often the thread has to be woken in vain in a stall for that to be less.
const VAIN_MIN: i64 = 4;

/// So many stalls are rested through before one is counted again: whoever rests is not woken, and does not know.
const RESTS: u8 = 32;

/// Whether it pays to rest, by what came of the stalls before.
#[derive(Debug, Default)]
pub(super) struct Waking {
    /// What had moved when this stall began; `None`: nothing waits.
    steps: Option<u64>,
    /// How often we had been woken in vain by then, where that is counted.
    vain: Option<i64>,
    rests_left: u8,
}

impl Waking {
    /// One by which each stall is to be rested through.
    #[cfg(test)]
    pub(super) fn always() -> Self {
        Waking {
            rests_left: u8::MAX,
            ..Waking::default()
        }
    }

    /// To be asked whenever nothing more can be done for now, with what has moved so far. True once in each stall that is to
    /// be rested through.
    pub(super) fn pays(&mut self, is_stalled: bool, steps: u64) -> bool {
        self.pays_by(is_stalled, steps, vain)
    }

    fn pays_by(&mut self, is_stalled: bool, steps: u64, vain: impl Fn() -> i64) -> bool {
        if self.steps == Some(steps) && is_stalled {
            return false;
        }
        if let (Some(_), Some(before)) = (self.steps.take(), self.vain.take())
            && vain() - before >= VAIN_MIN
        {
            self.rests_left = RESTS;
        }
        if !is_stalled {
            return false;
        }
        self.steps = Some(steps);
        if self.rests_left == 0 {
            self.vain = Some(vain());
            return false;
        }
        self.rests_left -= 1;
        true
    }
}

thread_local! {
    /// How often a pair of this thread had something to look at.
    static WAKE_UPS: Cell<i64> = const { Cell::new(0) };
}

/// To be called whenever a pair is woken.
pub(super) fn woken() {
    WAKE_UPS.set(WAKE_UPS.get().wrapping_add(1));
}

/// How often the thread has gone to sleep and been woken for no pair: what of it one can tell, as a runtime of ours has one
/// thread, and other tasks have little to do where bulk goes through.
fn vain() -> i64 {
    let parks = Handle::try_current().map_or(0, |handle| handle.metrics().worker_park_count(0));
    i64::try_from(parks)
        .unwrap_or(i64::MAX)
        .saturating_sub(WAKE_UPS.get())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One stall, in which we are woken in vain so often: whether it is to be rested through.
    fn stall(waking: &mut Waking, steps: u64, woken: i64) -> bool {
        let vain = Cell::new(0);
        let pays = waking.pays_by(true, steps, || vain.get());
        assert!(!waking.pays_by(true, steps, || vain.get()), "it is said once");
        vain.set(woken);
        assert!(!waking.pays_by(false, steps + 1, || vain.get()));
        pays
    }

    #[test]
    fn who_is_never_stalled_is_never_counted() {
        let mut waking = Waking::default();
        for steps in 0..100 {
            assert!(!waking.pays_by(false, steps, || panic!("it is asked of nobody")));
        }
    }

    #[test]
    fn who_is_hardly_woken_does_not_rest() {
        let mut waking = Waking::default();
        for steps in 0..100 {
            assert!(!stall(&mut waking, 2 * steps, VAIN_MIN - 1));
        }
    }

    #[test]
    fn who_was_woken_in_vain_rests_for_a_while_and_counts_again() {
        let mut waking = Waking::default();
        assert!(!stall(&mut waking, 0, VAIN_MIN));
        let mut steps = (1..).map(|n| 2 * n);
        for _ in 0..RESTS {
            // Nothing comes of it, as it is not asked.
            assert!(stall(&mut waking, steps.next().unwrap(), 0));
        }
        assert!(!stall(&mut waking, steps.next().unwrap(), VAIN_MIN));
        assert!(stall(&mut waking, steps.next().unwrap(), 0));
    }

    #[test]
    fn a_stall_that_follows_at_once_is_another() {
        let mut waking = Waking::default();
        assert!(!waking.pays_by(true, 1, || 0));
        assert!(waking.pays_by(true, 2, || VAIN_MIN));
        assert!(waking.pays_by(true, 3, || VAIN_MIN));
    }
}
