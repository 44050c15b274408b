//! What is known of a socket without asking the system, and who waits for it.
//!
//! A socket and its [`Watch`](super::Watch) share it, and all that most waits need is here: those
//! begin and end without a word to the engine.

use std::cell::Cell;

use stream_socket::engine::TaskId;

/// A Fiber that waits, by its address.
pub(crate) type Fiber = usize;

/// A time by the clock of C ([`now`](crate::zend::now)) that never comes.
pub(crate) const NEVER: i64 = i64::MAX;

/// What a Fiber waits to do: `enum ss_direction`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Direction {
    Read,
    Write,
}

/// How a wait ended: `enum ss_waited`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(i32)]
pub(crate) enum Waited {
    Ready,
    TimedOut,
    /// Nothing has moved on the connection for as long as its server allows.
    Idle,
    /// The stream was closed by somebody else.
    Closed,
    /// Another Fiber waits for the same.
    Busy,
    /// It has begun: the Fiber is to be parked.
    Begun,
}

/// A Fiber that waits, until some time.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Waiter {
    pub(crate) fiber: Fiber,
    /// Or [`NEVER`].
    pub(crate) due: i64,
    /// Whether the connection has been idle for too long then.
    pub(crate) idles: bool,
}

impl Waiter {
    /// How the wait ends because of the time.
    pub(super) fn late(self) -> Waited {
        if self.idles {
            Waited::Idle
        } else {
            Waited::TimedOut
        }
    }
}

#[derive(Debug)]
pub(crate) struct Readiness {
    readable: Cell<bool>,
    writable: Cell<bool>,
    /// A short read is not the last one.
    ended: Cell<bool>,
    /// Whether the system tells when it becomes ready: to read, and to write as well.
    tells_reading: Cell<bool>,
    tells_writing: Cell<bool>,
    /// By which the engine knows its watch.
    watch: Cell<Option<TaskId>>,
    /// When the engine will look at the time for it.
    looks: Cell<i64>,
    reader: Cell<Option<Waiter>>,
    writer: Cell<Option<Waiter>>,
}

impl Default for Readiness {
    fn default() -> Self {
        Self {
            readable: Cell::new(true),
            writable: Cell::new(true),
            ended: Cell::new(false),
            tells_reading: Cell::new(false),
            tells_writing: Cell::new(false),
            watch: Cell::new(None),
            looks: Cell::new(NEVER),
            reader: Cell::new(None),
            writer: Cell::new(None),
        }
    }
}

impl Readiness {
    pub(crate) fn watch(&self) -> Option<TaskId> {
        self.watch.get()
    }

    pub(super) fn set_watch(&self, id: TaskId) {
        self.watch.set(Some(id));
    }

    pub(crate) fn of(&self, direction: Direction) -> bool {
        match direction {
            Direction::Read => self.readable.get(),
            Direction::Write => self.writable.get(),
        }
    }

    /// Notes that it would have waited, and the system will tell when it would not.
    pub(crate) fn exhausted(&self, direction: Direction) {
        match direction {
            Direction::Read => self.readable.set(self.ended.get()),
            Direction::Write => self.writable.set(false),
        }
    }

    /// Notes what the system has told; who goes on for that, if anybody does.
    pub(super) fn ready(&self, direction: Direction) -> Option<Waiter> {
        match direction {
            Direction::Read => self.readable.set(true),
            Direction::Write => self.writable.set(true),
        }
        self.waiter(direction).take()
    }

    pub(super) fn note_end(&self) {
        self.ended.set(true);
    }

    pub(super) fn waiter(&self, direction: Direction) -> &Cell<Option<Waiter>> {
        match direction {
            Direction::Read => &self.reader,
            Direction::Write => &self.writer,
        }
    }

    /// Begins a wait, or says why there is none; `None` where the engine has to hear of it first.
    pub(crate) fn begin(&self, direction: Direction, waiter: Waiter, now: i64) -> Option<Waited> {
        let place = self.waiter(direction);
        if place.get().is_some() {
            return Some(Waited::Busy);
        }
        if self.of(direction) {
            return Some(Waited::Ready);
        }
        let tells = match direction {
            Direction::Read => &self.tells_reading,
            Direction::Write => &self.tells_writing,
        };
        if !tells.get() || waiter.due < self.looks.get() || waiter.due <= now {
            return None;
        }
        place.set(Some(waiter));
        Some(Waited::Begun)
    }

    /// Ends the wait of that Fiber, if it has one.
    pub(super) fn cancel(&self, direction: Direction, fiber: Fiber) {
        let place = self.waiter(direction);
        if place.get().is_some_and(|waiter| waiter.fiber == fiber) {
            place.set(None);
        }
    }

    /// Notes whether the system tells of it from now on.
    pub(super) fn tells(&self, reading: bool, writing: bool) {
        self.tells_reading.set(reading);
        self.tells_writing.set(writing);
    }

    /// When the time of the first who waits is over.
    pub(super) fn due(&self) -> i64 {
        let waiters = [self.reader.get(), self.writer.get()];
        let due = waiters.into_iter().flatten().map(|waiter| waiter.due);
        due.min().unwrap_or(NEVER)
    }

    /// Notes that the engine is to look at the time by then; false where it does so anyway.
    pub(super) fn is_to_look(&self, due: i64) -> bool {
        let is_news = due < self.looks.get();
        if is_news {
            self.looks.set(due);
        }
        is_news
    }

    /// The engine has looked at the time.
    pub(super) fn has_looked(&self) {
        self.looks.set(NEVER);
    }
}
