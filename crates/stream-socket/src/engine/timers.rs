//! When tasks are to be woken.
//!
//! Most timers are idle limits, which move with every byte and hardly ever come. So a timer that
//! moves back leaves its entry where it is; when the entry's time comes, it is put where the timer
//! stands then. There is one entry for a task, or two for a moment when a timer moves forward.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Instant;

use super::slots::Token;

/// The timer of one task: when it comes, and when its entry does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Timer {
    pub(super) due: Option<Instant>,
    entry: Option<Instant>,
}

/// The entries of all timers.
#[derive(Debug, Default)]
pub(super) struct Timers(BinaryHeap<Reverse<(Instant, Token)>>);

impl Timers {
    /// Moves a task's timer.
    pub(super) fn set(&mut self, timer: &mut Timer, token: Token, due: Option<Instant>) {
        timer.due = due;
        let Some(due) = due else { return };
        if timer.entry.is_none_or(|entry| due < entry) {
            timer.entry = Some(due);
            self.0.push(Reverse((due, token)));
        }
    }

    /// When the next entry comes.
    pub(super) fn next(&self) -> Option<Instant> {
        self.0.peek().map(|Reverse((at, _))| *at)
    }

    /// A task whose entry has come. Ask [`come`](Self::come) whether its timer has too.
    pub(super) fn pop(&mut self, now: Instant) -> Option<(Instant, Token)> {
        let Reverse((at, token)) = *self.0.peek().filter(|Reverse((at, _))| *at <= now)?;
        self.0.pop();
        Some((at, token))
    }

    /// Whether the timer, whose entry for `at` was taken out, has come; else it goes back.
    pub(super) fn come(&mut self, timer: &mut Timer, token: Token, at: Instant) -> bool {
        if timer.entry != Some(at) {
            // The entry was overtaken by an earlier one.
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
    use std::time::Duration;

    use super::*;

    const TOKEN: Token = Token {
        index: 0,
        generation: 0,
    };

    /// When a timer comes that was set to each of `settings` in turn.
    fn comes(settings: &[Option<u64>]) -> (Option<u64>, usize) {
        let start = Instant::now();
        let (mut timers, mut timer) = (Timers::default(), Timer::default());
        for setting in settings {
            let due = setting.map(|seconds| start + Duration::from_secs(seconds));
            timers.set(&mut timer, TOKEN, due);
        }
        let entries = timers.0.len();
        while let Some(next) = timers.next() {
            let (at, token) = timers.pop(next).unwrap();
            if timers.come(&mut timer, token, at) {
                return (Some((next - start).as_secs()), entries);
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
}
