//! Whether accept looks for a connection first, or waits for one.

use std::sync::atomic::{AtomicU8, Ordering::Relaxed};

/// How often it waits first at most, until it looks first again.
const MOST_WAITS: u8 = 15;

/// What the last calls found.
///
/// Where a connection is there already, to look first saves the wait: one system call in place of
/// two. Where nobody is there it is a call in vain, three in place of two. So after a look in vain
/// the next call waits first, and after further ones the next 3, 7 and 15 do; one look that finds
/// somebody ends that. Threads that accept from one listener share it, and may count past each
/// other: that costs a call and no more.
#[derive(Debug, Default)]
pub(super) struct Habit {
    /// How often it waits first after the last look.
    span: AtomicU8,
    /// How many of these times are still to come.
    waits: AtomicU8,
}

impl Habit {
    /// Whether this call is to wait first. Else it tells what its first look [found](Self::found).
    pub(super) fn waits_first(&self) -> bool {
        let waits = self.waits.load(Relaxed);
        if waits > 0 {
            self.waits.store(waits - 1, Relaxed);
        }
        waits > 0
    }

    pub(super) fn found(&self, somebody: bool) {
        let span = if somebody {
            0
        } else {
            (2 * self.span.load(Relaxed) + 1).min(MOST_WAITS)
        };
        self.span.store(span, Relaxed);
        self.waits.store(span, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How many calls wait first until one looks.
    fn waits(habit: &Habit) -> usize {
        (0..).take_while(|_| habit.waits_first()).count()
    }

    #[test]
    fn looks_in_vain_become_rare_until_one_is_not() {
        let habit = Habit::default();
        for expected in [0, 1, 3, 7, 15, 15] {
            assert_eq!(waits(&habit), expected);
            habit.found(false);
        }
        habit.found(true);
        assert_eq!(waits(&habit), 0);
        habit.found(false);
        assert_eq!(waits(&habit), 1);
    }
}
