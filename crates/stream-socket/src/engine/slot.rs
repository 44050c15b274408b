//! A task in its place: what the loop knows of it.

use std::time::{Duration, Instant};

use super::slots::Token;
use super::task::{Next, Task, Turn, Wake};
use super::timers::Timer;
use crate::peers::Subscription;
use crate::select::Interest;

/// A task and what the loop knows of it.
pub(super) struct Slot<T> {
    pub(super) task: T,
    /// Whether it came by a listener, not by [`Engine::add`](super::Engine::add).
    pub(super) accepted: bool,
    /// What its descriptor is watched for; `None` while it is not watched.
    pub(super) watched: Option<Interest>,
    pub(super) timer: Timer,
    /// When the task's own timer comes.
    pub(super) task_due: Option<Instant>,
    pub(super) limits: Limits,
    pub(super) last_active: Instant,
    /// Of the peer of a listener of datagrams.
    pub(super) subscription: Option<Subscription>,
    /// When such a peer tries again to write.
    pub(super) retry: Option<Instant>,
}

/// The limits in time of an accepted connection.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Limits {
    pub(super) idle: Option<Duration>,
    pub(super) expires: Option<Instant>,
}

impl<T: Task> Slot<T> {
    /// A place for a task that was accepted, if it has limits, or added by hand.
    pub(super) fn new(
        task: T,
        limits: Option<Limits>,
        subscription: Option<Subscription>,
        now: Instant,
    ) -> Self {
        Self {
            task,
            accepted: limits.is_some(),
            watched: None,
            timer: Timer::default(),
            task_due: None,
            limits: limits.unwrap_or_default(),
            last_active: now,
            subscription,
            retry: None,
        }
    }

    /// The same, where the loop knows it by `token`.
    pub(super) fn placed(self, token: Token) -> Self {
        if let Some(peer) = &self.subscription {
            peer.begin(token.to_u64());
        }
        self
    }

    /// Runs the task, and notes the timer that it set.
    pub(super) fn run(
        &mut self,
        wake: Wake,
        buffer: &mut [u8],
        now: Instant,
        draining: bool,
    ) -> Next {
        if matches!(wake, Wake::Ready { .. } | Wake::Turn) {
            self.last_active = now;
        }
        let mut turn = Turn::new(buffer, now, draining);
        let next = self.task.run(wake, &mut turn);
        if let Some(due) = turn.timer {
            self.task_due = due;
        }
        next
    }

    /// When it will have been idle for too long, if it goes on as it is.
    pub(super) fn idles_out(&self) -> Option<Instant> {
        self.last_active.checked_add(self.limits.idle?)
    }

    /// When the clock has something to do with it.
    pub(super) fn due(&self) -> Option<Instant> {
        [
            self.task_due,
            self.idles_out(),
            self.limits.expires,
            self.retry,
        ]
        .into_iter()
        .flatten()
        .min()
    }
}
