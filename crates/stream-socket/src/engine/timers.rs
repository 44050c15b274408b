//! When tasks are to be woken.
//!
//! Most timers are idle limits, which move with every byte and hardly ever come. So a timer that
//! moves back leaves its entry where it is; when the entry's time comes, it is put where the timer
//! stands then. A timer that moves forward gets a second entry, and that of a task that has ended
//! stays; once such stale entries are the greater part, they are thrown out.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::slots::Token;
use crate::deadline::Moment;

/// The timer of one task: when it comes, and when its entry does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Timer {
    pub(super) due: Option<Moment>,
    entry: Option<Moment>,
}

/// Stale entries that are put up with, so that few are not tidied up again and again.
const STALE: usize = 1024;

/// The entries of all timers.
#[derive(Debug, Default)]
pub(super) struct Timers {
    entries: BinaryHeap<Reverse<(Moment, Token)>>,
    /// How many of them are of no timer any more.
    stale: usize,
}

impl Timer {
    /// Whether `at` is the time of its entry.
    pub(super) fn is_at(&self, at: Moment) -> bool {
        self.entry == Some(at)
    }
}

impl Timers {
    /// Moves a task's timer.
    pub(super) fn set(&mut self, timer: &mut Timer, token: Token, due: Option<Moment>) {
        timer.due = due;
        let Some(due) = due else { return };
        if timer.entry.is_none_or(|entry| due < entry) {
            self.stale += usize::from(timer.entry.is_some());
            timer.entry = Some(due);
            self.entries.push(Reverse((due, token)));
        }
    }

    /// When the next entry comes.
    pub(super) fn next(&self) -> Option<Moment> {
        self.entries.peek().map(|Reverse((at, _))| *at)
    }

    /// A task has ended: its entry is of no use.
    pub(super) fn forget(&mut self, timer: &Timer) {
        self.stale += usize::from(timer.entry.is_some());
    }

    /// Throws out stale entries when they are too many; `is_current` tells which are not.
    pub(super) fn tidy(&mut self, is_current: impl Fn(Token, Moment) -> bool) {
        if self.stale > STALE + self.entries.len() / 2 {
            self.entries
                .retain(|Reverse((at, token))| is_current(*token, *at));
            self.stale = 0;
        }
    }

    /// The entries that have come. Ask [`come`](Self::come) of each whether its timer has too.
    pub(super) fn due(&mut self, now: Moment) -> Vec<(Moment, Token)> {
        let mut due = Vec::new();
        while let Some(Reverse((at, token))) = self.entries.peek().filter(|top| top.0.0 <= now) {
            due.push((*at, *token));
            self.entries.pop();
        }
        due
    }

    /// Whether the timer, whose entry for `at` was taken out, has come; else it goes back.
    pub(super) fn come(&mut self, timer: &mut Timer, token: Token, at: Moment) -> bool {
        if timer.entry != Some(at) {
            // The entry was overtaken by an earlier one.
            self.stale = self.stale.saturating_sub(1);
            return false;
        }
        timer.entry = None;
        match timer.due {
            Some(due) if due <= at => {
                timer.due = None;
                true
            }
            due => {
                self.set(timer, token, due);
                false
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::*;

    const TOKEN: Token = Token {
        index: 0,
        generation: 0,
    };

    /// When a timer comes that was set to each of `settings` in turn.
    fn comes(settings: &[Option<u64>]) -> (Option<u64>, usize) {
        let start = Moment::from(Instant::now());
        let (mut timers, mut timer) = (Timers::default(), Timer::default());
        for setting in settings {
            let due = setting.and_then(|seconds| start.after(Duration::from_secs(seconds)));
            timers.set(&mut timer, TOKEN, due);
        }
        let entries = timers.entries.len();
        while let Some(next) = timers.next() {
            for (at, token) in timers.due(next) {
                if timers.come(&mut timer, token, at) {
                    let passed = next.instant() - start.instant();
                    return (Some(passed.as_secs()), entries);
                }
            }
        }
        (None, entries)
    }

    #[test]
    fn a_timer_comes_when_it_was_last_set_to() {
        for (settings, expected, entries) in [
            (&[Some(5)][..], Some(5), 1),
            (&[Some(5), Some(9)], Some(9), 1),
            (&[Some(5), Some(6), Some(7), Some(8)], Some(8), 1),
            (&[Some(9), Some(5)], Some(5), 2),
            (&[Some(5), None], None, 1),
            (&[Some(5), None, Some(7)], Some(7), 1),
            (&[None], None, 0),
        ] {
            assert_eq!(comes(settings), (expected, entries), "{settings:?}");
        }
    }

    #[test]
    fn entries_of_tasks_that_have_ended_do_not_pile_up() {
        let start = Moment::from(Instant::now());
        let mut timers = Timers::default();
        for index in 0..100_000 {
            let (mut timer, token) = (
                Timer::default(),
                Token {
                    index,
                    generation: 0,
                },
            );
            timers.set(&mut timer, token, start.after(Duration::from_secs(3600)));
            timers.forget(&timer);
            timers.tidy(|_, _| false);
        }
        assert!(
            timers.entries.len() <= 4 * STALE,
            "{}",
            timers.entries.len()
        );
    }
}
