//! All workers: those at their posts, new ones on trial, and old ones that leave.

use std::os::fd::BorrowedFd;
use std::time::{Duration, Instant};

use stream_socket::{ChildEnd, reap_orphans};

use super::launcher::Launcher;
use super::post::Post;
use super::worker::Worker;
use crate::child;
use crate::failure::Failure;
use crate::signal::is_init;

/// All that run.
pub(crate) struct Crew {
    /// With the sockets; none after it was dismissed.
    launcher: Option<Launcher>,
    terms: Terms,
    posts: Vec<Post>,
    /// Those that are to take over, one for each post that is not idle.
    trial: Vec<Worker>,
    leaving: Vec<Leaving>,
}

/// What holds for all of them.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Terms {
    /// How long a worker must run to count as one that does.
    pub(crate) settle: Duration,
    /// How long one may go on after TERM.
    pub(crate) drain: Duration,
    /// Whether they are started when a client comes, and not before.
    pub(crate) lazy: bool,
}

/// A worker that was asked to end.
struct Leaving {
    worker: Worker,
    /// When it is killed.
    until: Option<Instant>,
}

impl Crew {
    pub(crate) fn new(launcher: Launcher, terms: Terms) -> Self {
        Self {
            launcher: Some(launcher),
            terms,
            posts: Vec::new(),
            trial: Vec::new(),
            leaving: Vec::new(),
        }
    }

    /// Starts the first workers, all or none, if they are not to wait for a client.
    pub(crate) fn engage(&mut self, workers: usize, now: Instant) -> Result<(), Failure> {
        if let Some(launcher) = &self.launcher {
            for number in 1..=workers {
                self.posts.push(if self.terms.lazy {
                    Post::on_call(number, now)
                } else {
                    Post::new(number, Worker::start(launcher, number)?)
                });
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

    /// The sockets on which a client is waited for, since nobody else does.
    pub(crate) fn awaited(&self, now: Instant) -> Vec<BorrowedFd<'_>> {
        let is_idle = |post: &Post| post.is_idle() && post.due(now).is_none();
        let are_idle = self.trial.is_empty() && self.posts.iter().all(is_idle);
        let launcher = self.launcher.as_ref().filter(|_| are_idle);
        launcher.map_or(Vec::new(), Launcher::sockets)
    }

    /// A client has come.
    pub(crate) fn call(&mut self) {
        self.posts.iter_mut().for_each(Post::call);
    }

    /// When something is to be done if nothing happens.
    pub(crate) fn due(&self, now: Instant) -> Option<Instant> {
        let posts = self.posts.iter().filter_map(|post| post.due(now));
        let leaving = self.leaving.iter().filter_map(|leaving| leaving.until);
        posts.chain(leaving).chain(self.end_of_trial()).min()
    }

    /// Does what is due, and what the ends of workers ask for.
    pub(crate) fn tend(&mut self, now: Instant) {
        if let Some(launcher) = &self.launcher {
            for post in &mut self.posts {
                post.tend(launcher, self.terms, now);
            }
        }
        self.judge_trial(now);
        self.leaving.retain_mut(|leaving| leaving.remains(now));
        if is_init() {
            self.reap_orphans();
        }
    }

    fn reap_orphans(&self) {
        let is_own = |process| self.workers().any(|worker| worker.process() == process);
        if let Err(error) = reap_orphans(is_own) {
            tracing::warn!("{error}");
        }
    }

    /// Starts new workers beside the old ones, to take over once they have settled.
    pub(crate) fn replace(&mut self, now: Instant) {
        let former = std::mem::take(&mut self.trial);
        self.send_off(former, now);
        let Some(launcher) = &self.launcher else {
            return;
        };
        let busy = self.posts.iter().filter(|post| !post.is_idle());
        let numbers = busy.map(|post| post.number);
        let mut started = numbers.map(|number| Worker::start(launcher, number));
        let failure = started.find_map(|result| result.map(|one| self.trial.push(one)).err());
        if let Some(failure) = failure {
            tracing::warn!("kept the old workers: {failure}");
            self.call_off_trial(now);
        } else if self.trial.is_empty() {
            tracing::info!("nobody to be replaced");
        }
    }

    fn end_of_trial(&self) -> Option<Instant> {
        let youngest = self.trial.iter().map(Worker::since).max()?;
        youngest.checked_add(self.terms.settle)
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
            let status = child::phrase(&status);
            tracing::warn!(status, "kept the old workers, since a new one has ended");
            self.call_off_trial(now);
        } else if self.end_of_trial().is_some_and(|end| end <= now) {
            let new = std::mem::take(&mut self.trial);
            tracing::info!(workers = new.len(), "replaced");
            let old = new.into_iter().filter_map(|worker| {
                let post = self.posts.get_mut(worker.number() - 1)?;
                post.hand_over(worker)
            });
            let old = old.collect();
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
            let until = now.checked_add(self.terms.drain);
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
