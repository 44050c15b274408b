//! A post: where one worker is to run at all times.

use std::process::ExitStatus;
use std::time::{Duration, Instant};

use super::crew::Terms;
use super::launcher::Launcher;
use super::worker::Worker;
use crate::failure::Failure;
use crate::log::milliseconds;

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
    /// Where nobody runs.
    rest: Option<Rest>,
}

/// What is waited for before the next worker is started.
struct Rest {
    until: Instant,
    /// And then for a client.
    on_call: bool,
}

impl Post {
    /// One where a worker runs.
    pub(super) fn new(number: usize, worker: Worker) -> Self {
        Self {
            number,
            worker: Some(worker),
            failures: 0,
            rest: None,
        }
    }

    /// One where a worker is started when a client comes.
    pub(super) fn on_call(number: usize, until: Instant) -> Self {
        let on_call = true;
        Self {
            number,
            worker: None,
            failures: 0,
            rest: Some(Rest { until, on_call }),
        }
    }

    /// Gives it to a worker that has settled; the one that had it.
    pub(super) fn hand_over(&mut self, worker: Worker) -> Option<Worker> {
        let new = Self::new(self.number, worker);
        std::mem::replace(self, new).worker
    }

    /// When something is to be done if nothing happens.
    pub(super) fn due(&self, now: Instant) -> Option<Instant> {
        let rest = self.rest.as_ref()?;
        (!rest.on_call || rest.until > now).then_some(rest.until)
    }

    /// Whether it waits for a client, now or in a moment.
    pub(super) fn is_idle(&self) -> bool {
        self.rest.as_ref().is_some_and(|rest| rest.on_call)
    }

    /// A client has come.
    pub(super) fn call(&mut self) {
        if let Some(rest) = &mut self.rest {
            rest.on_call = false;
        }
    }

    /// Notices that its worker has ended, and starts another when it is time.
    pub(super) fn tend(&mut self, launcher: &Launcher, terms: Terms, now: Instant) {
        if let Some(worker) = &mut self.worker
            && let Some(status) = worker.ended()
        {
            let had_settled = now.saturating_duration_since(worker.since()) >= terms.settle;
            let on_call = terms.lazy && status.as_ref().is_ok_and(ExitStatus::success);
            // One that has served whom it was started for is no failure, however quick it was.
            let pause = pause(&mut self.failures, had_settled || on_call);
            worker.tell("ended", &status, (!on_call).then_some(pause));
            let until = (now + pause).max(worker.since() + SHORTEST);
            self.rest = Some(Rest { until, on_call });
            self.worker = None;
        }
        let is_due = |rest: &Rest| !rest.on_call && rest.until <= now;
        if self.rest.take_if(|rest| is_due(rest)).is_some() {
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
        self.rest = Some(Rest {
            until: now + pause,
            on_call: false,
        });
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
