//! What the engine drives, and what it tells and asks.

use std::os::fd::BorrowedFd;
use std::time::{Duration, Instant};

use super::BUFFER;
use super::pipes::Pipes;
use super::slots::Token;
use crate::deadline::clock;
use crate::select::Interest;
use crate::sys::epoll::Readiness;

/// How long a task may go on while others wait: a few hundred reads and writes.
const SLICE: Duration = Duration::from_millis(1);

/// The clock is looked at once in so many steps.
const STEPS_PER_LOOK: u32 = 8;

/// A connection, or whatever else waits for a descriptor, or for two: a state machine.
///
/// It must never wait, and is dropped when it is done.
pub trait Task {
    /// The descriptor whose readiness wakes it; always the same one.
    fn descriptor(&self) -> BorrowedFd<'_>;

    /// Goes on until it would have to wait, is done, or its slice is over.
    ///
    /// The descriptor is watched edge-triggered: after [`Next::Wait`] it is woken only by what is
    /// new, so it must have read, or written, until that would have blocked. A short read of a
    /// stream is enough, unless the wake said that the peer [`has ended`](Wake::has_ended).
    fn run(&mut self, wake: Wake, turn: &mut Turn<'_>) -> Next;

    /// A second descriptor that wakes it, as relays have one at each end; none by itself.
    ///
    /// It is asked for after every turn that ends with [`Next::Wait`], and watched as the first
    /// one is; [`Wake::Second`] tells of it.
    fn second(&self) -> Option<Second<'_>> {
        None
    }

    /// Whether its descriptors are closed with it for good, since nobody else has them. Then they
    /// need not be taken out of the engine's set before. False by itself.
    fn owns_descriptors(&self) -> bool {
        false
    }

    /// Whether somebody has not taken all that is there for him. False by itself.
    fn is_stalled(&self) -> bool {
        false
    }

    /// Whether something has moved of which no descriptor tells: a slow peer takes what the system
    /// holds for him. It is asked before it would have been idle for too long, and some times
    /// earlier while it [is stalled](Self::is_stalled). False by itself.
    fn is_moving(&mut self) -> bool {
        false
    }

    /// Is told how to be [entered](super::Engine::enter), if it is not done after its first run.
    /// Does nothing by itself.
    fn placed(&mut self, _id: TaskId) {}

    /// Is told why it is dropped before it is done. Does nothing by itself.
    fn given_up(&mut self, _cause: Cause) {}
}

/// The second descriptor of a task.
#[derive(Clone, Copy, Debug)]
pub struct Second<'a> {
    /// The descriptor.
    pub descriptor: BorrowedFd<'a>,
    /// What it is watched for.
    pub interest: Interest,
    /// Another number for another descriptor, which the number of a descriptor is not: one that is
    /// closed may be given again. The last one is closed when another is told.
    pub nth: u8,
}

/// A task of an engine, for [`Engine::enter`](super::Engine::enter). That of a task that has ended
/// finds nobody.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TaskId(pub(super) Token);

/// Why the engine ends a task that is not done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Cause {
    /// Nothing moved for the listener's `idle_timeout`.
    Idle,
    /// The listener's `lifetime` is over.
    Lifetime,
    /// The time for draining is over.
    Drain,
    /// The system can't watch its descriptor: no memory, or too many are watched.
    Unwatched,
}

/// Why a task is run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Wake {
    /// For the first time.
    Start,
    /// Its descriptor is ready.
    Ready {
        /// Reading won't wait.
        readable: bool,
        /// Writing won't wait.
        writable: bool,
        /// The peer has finished sending or is gone: a short read is not the last one.
        ended: bool,
    },
    /// Its second descriptor is ready, told as [`Ready`](Self::Ready) is.
    Second {
        /// Reading won't wait.
        readable: bool,
        /// Writing won't wait.
        writable: bool,
        /// The peer has finished sending or is gone: a short read is not the last one.
        ended: bool,
    },
    /// It is its turn again after [`Next::Yield`].
    Turn,
    /// The time that it set with [`Turn::set_timer`] has come.
    Timer,
    /// The engine drains: what can be finished soon should be, the rest given up.
    Drain,
}

impl Wake {
    pub(super) fn of(ready: Readiness, is_second: bool) -> Self {
        let (readable, writable, ended) = (ready.read, ready.write, ready.ended);
        if is_second {
            return Wake::Second {
                readable,
                writable,
                ended,
            };
        }
        Wake::Ready {
            readable,
            writable,
            ended,
        }
    }

    /// Whether the peer has finished sending or is gone.
    pub fn has_ended(self) -> bool {
        matches!(
            self,
            Wake::Ready { ended: true, .. } | Wake::Second { ended: true, .. }
        )
    }
}

/// What a task does next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Next {
    /// Waits until its descriptor becomes ready for this, or its timer comes.
    Wait(Interest),
    /// Waits for its timer, for what it has said to wait for before, and to be
    /// [entered](super::Engine::enter).
    Rest,
    /// Has more to do, after the others had their turn.
    Yield,
    /// Is done, and dropped.
    Done,
}

/// What all tasks of a loop share.
pub(super) struct Lent<'a> {
    pub(super) buffer: &'a mut [u8],
    pub(super) pipes: &'a mut Pipes,
}

/// A task's turn: what the engine lends it.
#[derive(Debug)]
pub struct Turn<'a> {
    buffer: &'a mut [u8],
    pub(super) pipes: &'a mut Pipes,
    now: Instant,
    draining: bool,
    steps: u32,
    /// What [`set_timer`](Self::set_timer) said, if it said anything.
    pub(super) timer: Option<Option<Instant>>,
}

impl<'a> Turn<'a> {
    pub(super) fn new(lent: Lent<'a>, now: Instant, draining: bool) -> Self {
        Self {
            buffer: lent.buffer,
            pipes: lent.pipes,
            now,
            draining,
            steps: 0,
            timer: None,
        }
    }

    /// The buffer that all tasks of this loop share: [`BUFFER`](super::BUFFER) bytes, whose
    /// content does not outlast the turn.
    pub fn buffer(&mut self) -> &mut [u8] {
        &mut self.buffer[..BUFFER]
    }

    /// The same, twice as large: for what is encrypted in one go, which costs a tenth less then.
    pub(super) fn double_buffer(&mut self) -> &mut [u8] {
        self.buffer
    }

    /// When this turn began.
    pub fn now(&self) -> Instant {
        self.now
    }

    /// Wakes the task after `timeout`, in place of what was set before; `None` not at all.
    ///
    /// A task has one timer. It comes at the time or up to a millisecond later.
    pub fn set_timer(&mut self, timeout: Option<Duration>) {
        self.timer = Some(timeout.and_then(|timeout| self.now.checked_add(timeout)));
    }

    /// Whether the engine drains.
    pub fn is_draining(&self) -> bool {
        self.draining
    }

    /// Whether the task should give way with [`Next::Yield`]. To be asked once for each read or
    /// write.
    pub fn is_over(&mut self) -> bool {
        self.steps += 1;
        self.steps.is_multiple_of(STEPS_PER_LOOK) && clock::now() > self.now + SLICE
    }
}
