//! All workers: those at their posts, new ones on trial, and old ones that leave.

use std::time::{Duration, Instant};

use stream_socket::ChildEnd;

use super::launcher::Launcher;
use super::post::Post;
use super::worker::Worker;
use crate::failure::Failure;

/// All that run.
pub(crate) struct Crew {
    /// With the sockets; none after it was dismissed.
    launcher: Option<Launcher>,
    settle: Duration,
    drain: Duration,
    posts: Vec<Post>,
    /// Those that are to take over, one for each post.
    trial: Vec<Worker>,
    leaving: Vec<Leaving>,
}

/// A worker that was asked to end.
struct Leaving {
    worker: Worker,
    /// When it is killed.
    until: Option<Instant>,
}

impl Crew {
    /// Workers must run for `settle` to count as such, and may go on for `drain` after TERM.
    pub(crate) fn new(launcher: Launcher, settle: Duration, drain: Duration) -> Self {
        Self {
            launcher: Some(launcher),
            settle,
            drain,
            posts: Vec::new(),
            trial: Vec::new(),
            leaving: Vec::new(),
        }
    }

    /// Starts the first workers, all or none.
    pub(crate) fn engage(&mut self, workers: usize) -> Result<(), Failure> {
        if let Some(launcher) = &self.launcher {
            for number in 1..=workers {
                let worker = Worker::start(launcher, number)?;
                self.posts.push(Post::new(number, worker));
            }
        }
        Ok(())
    }

    /// How many processes there are.
    pub(crate) fn count(&self) -> usize {
        self.workers().count()
    }

    /// Whether it was dismissed and everybody has ended.
    pub(crate) fn is_gone(&self) -> bool {
        self.launcher.is_none() && self.leaving.is_empty()
    }

    /// What tells that a worker has ended.
    pub(crate) fn ends(&self) -> impl Iterator<Item = &ChildEnd> {
        self.workers().map(Worker::end)
    }

    fn workers(&self) -> impl Iterator<Item = &Worker> {
        let posts = self.posts.iter().filter_map(|post| post.worker.as_ref());
        let leaving = self.leaving.iter().map(|leaving| &leaving.worker);
        posts.chain(&self.trial).chain(leaving)
    }

    /// When something is to be done if nothing happens.
    pub(crate) fn due(&self) -> Option<Instant> {
        let posts = self.posts.iter().filter_map(Post::due);
        let leaving = self.leaving.iter().filter_map(|leaving| leaving.until);
        posts.chain(leaving).chain(self.end_of_trial()).min()
    }

    /// Does what is due, and what the ends of workers ask for.
    pub(crate) fn tend(&mut self, now: Instant) {
        if let Some(launcher) = &self.launcher {
            for post in &mut self.posts {
                post.tend(launcher, self.settle, now);
            }
        }
        self.judge_trial(now);
        self.leaving.retain_mut(|leaving| leaving.remains(now));
    }

    /// Starts new workers beside the old ones, to take over once they have settled.
    pub(crate) fn replace(&mut self, now: Instant) {
        let former = std::mem::take(&mut self.trial);
        self.send_off(former, now);
        let Some(launcher) = &self.launcher else {
            return;
        };
        let numbers = self.posts.iter().map(|post| post.number);
        let mut started = numbers.map(|number| Worker::start(launcher, number));
        let failure = started.find_map(|result| result.map(|one| self.trial.push(one)).err());
        if let Some(failure) = failure {
            tracing::warn!("kept the old workers: {failure}");
            self.call_off_trial(now);
        }
    }

    fn end_of_trial(&self) -> Option<Instant> {
        let youngest = self.trial.iter().map(Worker::since).max()?;
        youngest.checked_add(self.settle)
    }

    fn judge_trial(&mut self, now: Instant) {
        let mut failed = None;
        self.trial.retain_mut(|worker| {
            let Some(status) = worker.ended() else {
                return true;
            };
            worker.tell("ended", &status, None);
            failed = Some(status);
            false
        });
        if let Some(status) = failed {
            tracing::warn!(status, "kept the old workers, since a new one has ended");
            self.call_off_trial(now);
        } else if self.end_of_trial().is_some_and(|end| end <= now) {
            let new = std::mem::take(&mut self.trial).into_iter();
            let handed = self.posts.iter_mut().zip(new);
            let old = handed.filter_map(|(post, worker)| post.hand_over(worker));
            let old: Vec<_> = old.collect();
            tracing::info!(workers = self.posts.len(), "replaced");
            self.send_off(old, now);
        }
    }

    fn call_off_trial(&mut self, now: Instant) {
        let failed = std::mem::take(&mut self.trial);
        self.send_off(failed, now);
    }

    /// Asks everybody to end; nobody is started any more, and our sockets are closed.
    pub(crate) fn dismiss(&mut self, now: Instant) {
        self.launcher = None;
        self.call_off_trial(now);
        let posts = std::mem::take(&mut self.posts);
        let workers = posts.into_iter().filter_map(|post| post.worker);
        self.send_off(workers.collect(), now);
    }

    fn send_off(&mut self, workers: Vec<Worker>, now: Instant) {
        for worker in workers {
            worker.terminate();
            let until = now.checked_add(self.drain);
            self.leaving.push(Leaving { worker, until });
        }
    }
}

impl Leaving {
    /// Whether it still runs; it is killed when its time is over.
    fn remains(&mut self, now: Instant) -> bool {
        if let Some(status) = self.worker.ended() {
            self.worker.tell("ended", &status, None);
            return false;
        }
        let is_late = self.until.is_some_and(|until| until <= now);
        if is_late {
            let status = self.worker.kill();
            self.worker.tell("killed", &status, None);
        }
        !is_late
    }
}
