//! What several loops share: how they are told to end, and what they count.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::deadline::Deadline;
use crate::sys::epoll::Bell;

/// A handle on the loops that were made with it. Clones are the same handle.
#[derive(Clone, Debug, Default)]
pub struct Control(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    stopped: AtomicBool,
    draining: AtomicBool,
    drain_until: Mutex<Option<Deadline>>,
    bells: Mutex<Vec<Arc<Bell>>>,
    counts: Counts,
}

/// What the loops count, as numbers that any thread may raise.
#[derive(Debug, Default)]
pub(super) struct Counts {
    pub(super) accepted: AtomicU64,
    pub(super) closed: AtomicU64,
    pub(super) full: AtomicU64,
    pub(super) full_for_address: AtomicU64,
    pub(super) exhausted: AtomicU64,
    pub(super) failed: AtomicU64,
    pub(super) idle: AtomicU64,
    pub(super) lifetime: AtomicU64,
    pub(super) undrained: AtomicU64,
}

/// What the loops of a [`Control`] have counted so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Counters {
    /// Connections that became tasks.
    pub accepted: u64,
    /// Tasks that are done, however they ended.
    pub closed: u64,
    /// Connections closed because `max_connections` were there.
    pub refused_full: u64,
    /// Connections closed because `max_connections_per_ip` were there from their address.
    pub refused_per_ip: u64,
    /// Times that accepting paused because descriptors or memory ran out.
    pub exhausted: u64,
    /// Connections lost, or attempts to accept that failed, for another reason: an option was
    /// refused, the system could not watch the descriptor, the listener does not listen.
    pub failed: u64,
    /// Tasks ended by `idle_timeout`.
    pub ended_idle: u64,
    /// Tasks ended by `lifetime`.
    pub ended_lifetime: u64,
    /// Tasks that were given up when the time for draining was over.
    pub undrained: u64,
}

impl Control {
    /// A handle that no loop has yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Tells the loops to accept no more, to wake every task with
    /// [`Wake::Drain`](super::Wake::Drain), and to end when all are done, or after `timeout`.
    ///
    /// May be called from any thread, and again with another time.
    pub fn drain(&self, timeout: Duration) {
        let deadline = Deadline::after(Some(timeout));
        *self
            .0
            .drain_until
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = Some(deadline);
        self.0.draining.store(true, Ordering::Release);
        self.ring();
    }

    /// Tells the loops to end at once, giving up what they drive.
    pub fn stop(&self) {
        self.0.stopped.store(true, Ordering::Release);
        self.ring();
    }

    /// What has been counted so far.
    pub fn counters(&self) -> Counters {
        let counts = &self.0.counts;
        let read = |count: &AtomicU64| count.load(Ordering::Relaxed);
        Counters {
            accepted: read(&counts.accepted),
            closed: read(&counts.closed),
            refused_full: read(&counts.full),
            refused_per_ip: read(&counts.full_for_address),
            exhausted: read(&counts.exhausted),
            failed: read(&counts.failed),
            ended_idle: read(&counts.idle),
            ended_lifetime: read(&counts.lifetime),
            undrained: read(&counts.undrained),
        }
    }

    /// Adds the bell of a loop, to be rung when there is something to be told.
    pub(super) fn add(&self, bell: Arc<Bell>) {
        self.bells(|bells| bells.push(bell));
    }

    pub(super) fn remove(&self, bell: &Arc<Bell>) {
        self.bells(|bells| bells.retain(|other| !Arc::ptr_eq(other, bell)));
    }

    pub(super) fn is_stopped(&self) -> bool {
        self.0.stopped.load(Ordering::Acquire)
    }

    /// Until when to drain, once that has begun.
    pub(super) fn drain_until(&self) -> Option<Deadline> {
        if !self.0.draining.load(Ordering::Acquire) {
            return None;
        }
        *self
            .0
            .drain_until
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn counts(&self) -> &Counts {
        &self.0.counts
    }

    fn ring(&self) {
        self.bells(|bells| bells.iter().for_each(|bell| bell.ring()));
    }

    fn bells<T>(&self, with: impl FnOnce(&mut Vec<Arc<Bell>>) -> T) -> T {
        with(&mut self.0.bells.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Counts {
    pub(super) fn raise(count: &AtomicU64) {
        count.fetch_add(1, Ordering::Relaxed);
    }
}
