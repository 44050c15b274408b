//! A post: where one worker is to run at all times.

use std::time::{Duration, Instant};

use super::launcher::Launcher;
use super::worker::{Worker, milliseconds};
use crate::failure::Failure;

/// How long nobody is started after the first worker that did not settle; twice as long after each
/// further one, up to the longest. As long lie between two starts in any case.
const SHORTEST: Duration = Duration::from_millis(100);
const LONGEST: Duration = Duration::from_secs(10);

/// One of them.
pub(super) struct Post {
    pub(super) number: usize,
    pub(super) worker: Option<Worker>,
    /// How many in a row did not settle.
    failures: u32,
    /// When the next one is started, where none runs.
    again: Option<Instant>,
}

impl Post {
    pub(super) fn new(number: usize, worker: Worker) -> Self {
        Self {
            number,
            worker: Some(worker),
            failures: 0,
            again: None,
        }
    }

    /// Gives it to a worker that has settled; the one that had it.
    pub(super) fn hand_over(&mut self, worker: Worker) -> Option<Worker> {
        let new = Self::new(self.number, worker);
        std::mem::replace(self, new).worker
    }

    /// When something is to be done if nothing happens.
    pub(super) fn due(&self) -> Option<Instant> {
        self.again
    }

    /// Notices that its worker has ended, and starts another when it is time.
    pub(super) fn tend(&mut self, launcher: &Launcher, settle: Duration, now: Instant) {
        if let Some(worker) = &mut self.worker
            && let Some(status) = worker.ended()
        {
            let had_settled = now.saturating_duration_since(worker.since()) >= settle;
            let pause = pause(&mut self.failures, had_settled);
            worker.tell("ended", &status, Some(pause));
            self.again = Some((now + pause).max(worker.since() + SHORTEST));
            self.worker = None;
        }
        if self.again.is_some_and(|again| again <= now) {
            self.again = None;
            match Worker::start(launcher, self.number) {
                Ok(worker) => self.worker = Some(worker),
                Err(failure) => self.put_off(&failure, now),
            }
        }
    }

    fn put_off(&mut self, failure: &Failure, now: Instant) {
        let pause = pause(&mut self.failures, false);
        let again_in_milliseconds = milliseconds(pause);
        tracing::warn!(worker = self.number, again_in_milliseconds, "{failure}");
        self.again = Some(now + pause);
    }
}

/// For how long nobody is started, and one failure more, or none any longer.
fn pause(failures: &mut u32, had_settled: bool) -> Duration {
    *failures = if had_settled { 0 } else { *failures + 1 };
    let Some(doublings) = failures.checked_sub(1) else {
        return Duration::ZERO;
    };
    let factor = 2_u32.saturating_pow(doublings);
    SHORTEST.saturating_mul(factor).min(LONGEST)
}
