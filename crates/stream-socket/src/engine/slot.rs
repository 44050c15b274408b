//! A task in its place: what the loop knows of it.

use std::os::fd::BorrowedFd;
use std::time::{Duration, Instant};

use super::post::RETRY;
use super::slots::Token;
use super::task::{Lent, Next, Task, Turn, Wake};
use super::timers::Timer;
use crate::deadline::{Moment, clock};
use crate::peers::Subscription;
use crate::select::Interest;
use crate::sys::Errno;
use crate::sys::epoll::{Epoll, Mode};
use crate::sys::wait::Events;

/// A task and what the loop knows of it.
pub(super) struct Slot<T> {
    pub(super) task: T,
    /// Whether it came by a listener, not by [`Engine::add`](super::Engine::add).
    pub(super) accepted: bool,
    /// How often it has been looked in vain, since it was last active, whether anything moves.
    looks: u8,
    /// What its descriptor is watched for; `None` while it is not watched.
    watched: Option<Interest>,
    /// The same of its second descriptor, and which one that is.
    second: Option<(Interest, u8)>,
    pub(super) timer: Timer,
    /// When the task's own timer comes.
    pub(super) task_due: Option<Moment>,
    pub(super) limits: Limits,
    /// When it last had something to do, where that has a limit.
    last_active: Moment,
    /// Of the peer of a listener of datagrams.
    hearing: Option<Box<Hearing>>,
}

/// How often it is looked, within the time that it may be idle, whether a slow peer takes anything:
/// how much longer it may take than that is known by one of these.
pub(super) const LOOKS: u32 = 8;

/// How a peer without a descriptor of its own is served.
struct Hearing {
    peer: Subscription,
    /// When it tries again to write.
    retry: Option<Moment>,
}

fn put(
    epoll: &Epoll,
    is_new: bool,
    descriptor: BorrowedFd<'_>,
    token: Token,
    events: Events,
) -> Result<(), Errno> {
    if is_new {
        epoll.add(descriptor, token.to_u64(), events, Mode::Edge)
    } else {
        epoll.modify(descriptor, token.to_u64(), events, Mode::Edge)
    }
}

/// The limits in time of an accepted connection.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Limits {
    pub(super) idle: Option<Duration>,
    pub(super) expires: Option<Moment>,
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
            looks: 0,
            watched: None,
            second: None,
            timer: Timer::default(),
            task_due: None,
            limits: limits.unwrap_or_default(),
            last_active: now.into(),
            hearing: subscription.map(|peer| Box::new(Hearing { peer, retry: None })),
        }
    }

    /// The same, where the loop knows it by `token`.
    pub(super) fn placed(self, token: Token) -> Self {
        if let Some(hearing) = &self.hearing {
            hearing.peer.begin(token.to_u64());
        }
        self
    }

    /// Runs the task, and notes the timer that it set.
    pub(super) fn run(&mut self, wake: Wake, lent: Lent<'_>, now: Instant, draining: bool) -> Next {
        let is_active = matches!(wake, Wake::Ready { .. } | Wake::Second { .. } | Wake::Turn);
        if is_active && self.limits.idle.is_some() {
            (self.last_active, self.looks) = (now.into(), 0);
        }
        let mut turn = Turn::new(lent, now, draining);
        let next = self.task.run(wake, &mut turn);
        self.note(turn.timer);
        next
    }

    /// Notes the timer that was set in a turn, if one was.
    pub(super) fn note(&mut self, timer: Option<Option<Instant>>) {
        if let Some(due) = timer {
            self.task_due = due.map(Moment::from);
        }
    }

    /// Has its descriptors watched: the first one for `interest`, a second one if there is one.
    pub(super) fn watch(
        &mut self,
        epoll: &Epoll,
        token: Token,
        interest: Interest,
    ) -> Result<(), Errno> {
        if !self.hears(interest) && self.watched != Some(interest) {
            let (descriptor, events) = (self.task.descriptor(), interest.events());
            let is_new = self.watched.is_none();
            put(epoll, is_new, descriptor, token, events)?;
            self.watched = Some(interest);
        }
        let Some(second) = self.task.second() else {
            // The next one may be numbered as the last one was.
            self.second = None;
            return Ok(());
        };
        let wanted = (second.interest, second.nth);
        if self.second != Some(wanted) {
            let is_new = self.second.is_none_or(|(_, nth)| nth != second.nth);
            let events = second.interest.events();
            put(epoll, is_new, second.descriptor, token.of_second(), events)?;
            self.second = Some(wanted);
        }
        Ok(())
    }

    /// Whether it is told of its peer's datagrams, and its descriptor, which is the listener's,
    /// not watched for it alone.
    fn hears(&mut self, interest: Interest) -> bool {
        let Some(hearing) = &mut self.hearing else {
            return false;
        };
        hearing.peer.go_on();
        let hears = hearing.peer.is_shared(self.task.descriptor());
        if hears {
            let retry = interest.events().write.then(|| clock::now() + RETRY);
            hearing.retry = retry.map(Moment::from);
        }
        hears
    }

    /// Takes its descriptors out of the set: those that others have too would not leave by
    /// themselves.
    pub(super) fn leave(&mut self, epoll: &Epoll) {
        if self.task.owns_descriptors() {
            return;
        }
        let last = self.second;
        if self.unwatched().is_some() {
            _ = epoll.remove(self.task.descriptor());
        }
        if let (Some((_, nth)), Some(second)) = (last, self.task.second())
            && nth == second.nth
        {
            _ = epoll.remove(second.descriptor);
        }
    }

    /// Forgets what is watched; what the first descriptor was watched for.
    pub(super) fn unwatched(&mut self) -> Option<Interest> {
        self.second = None;
        self.watched.take()
    }

    /// When it will have been idle for too long, if it goes on as it is, or is to be looked at
    /// before.
    pub(super) fn idles_out(&self) -> Option<Moment> {
        let idle = self.limits.idle?;
        let looks = u32::from(self.looks) + 1;
        if looks < LOOKS && self.task.is_stalled() {
            return self.last_active.after(idle / LOOKS * looks);
        }
        self.last_active.after(idle)
    }

    /// Whether it is idle after all, now that it seems to have been for too long.
    pub(super) fn is_idle(&mut self, now: Moment) -> bool {
        if self.task.is_moving() {
            (self.last_active, self.looks) = (now, 0);
            return false;
        }
        self.looks = self.looks.saturating_add(1);
        self.limits
            .idle
            .and_then(|idle| self.last_active.after(idle))
            .is_none_or(|over| over <= now)
    }

    /// Whether it is time to try again to write; that is told once.
    pub(super) fn is_to_retry(&mut self, now: Moment) -> bool {
        let retry = self.hearing.as_mut().map(|hearing| &mut hearing.retry);
        retry.is_some_and(|retry| retry.take_if(|at| *at <= now).is_some())
    }

    /// When the clock has something to do with it.
    pub(super) fn due(&self) -> Option<Moment> {
        [
            self.task_due,
            self.idles_out(),
            self.limits.expires,
            self.hearing.as_ref().and_then(|hearing| hearing.retry),
        ]
        .into_iter()
        .flatten()
        .min()
    }
}
