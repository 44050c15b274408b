//! Accepting for a loop: in measure, fairly among loops, and with patience when resources run out.

use std::cell::RefCell;
use std::fmt;
use std::os::fd::AsFd;
use std::rc::Rc;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use super::control::Counts;
use super::slot::Limits;
use super::slots::Token;
use crate::deadline::{Moment, clock};
use crate::gate::Waiting;
use crate::listener::{Arrival, Listener};
use crate::peers::{Notices, Subscription};
use crate::stream::Stream;
use crate::sys::epoll::{Epoll, Mode};
use crate::sys::wait::Events;
use crate::sys::{Errno, is_exhaustion};

/// How long accepting pauses when descriptors or memory have run out, unless a task ends before.
const PAUSE: Duration = Duration::from_millis(100);

/// Connections after which a loop goes to the end of the listener's queue of waiting loops.
///
/// The kernel wakes the first of those that wait, so without that one loop of a half idle server
/// would get nearly all. It costs as much as eight small system calls.
const ROTATION: u32 = 16;
/// The same where all other loops there may be are those of other processes.
const ROTATION_ALONE: u32 = 64;

/// What makes a task of a connection. A handshake that outlasts the accepting has it too.
pub(super) type Make<T> = Rc<RefCell<dyn FnMut(Stream) -> Option<T>>>;
type Room = Box<dyn Fn() -> bool>;

/// A listener, as one loop accepts from it.
pub(super) struct Acceptor<T> {
    /// Dropped before `make`, whose end tells the program that nobody can connect any more.
    listener: Arc<Listener>,
    make: Make<T>,
    /// Whether the program has room for another one, if it has a say in that.
    room: Option<Room>,
    /// Where the peers of a listener of datagrams post.
    notices: Option<Arc<Notices>>,
    state: State,
    since_rotation: u32,
}

#[derive(Debug)]
enum State {
    Open,
    /// All places are taken: until the gate's bell rings.
    Full(Waiting),
    /// Descriptors or memory have run out, or the program has no room.
    Exhausted {
        until: Instant,
    },
}

/// What an attempt to accept came to.
pub(super) enum Accepted {
    Stream(Stream),
    /// A connection whose TLS is still to be agreed upon.
    Handshake(Box<Stream>),
    /// Somebody came and was not served; the next may be.
    Lost,
    /// There is nobody to be had now.
    Nobody,
}

impl<T> Acceptor<T> {
    /// Connections accepted in one go, before other tasks, and other loops, have their turn.
    pub(super) const AT_ONCE: usize = ROTATION as usize;

    pub(super) fn new(listener: Arc<Listener>, make: Make<T>) -> Self {
        Self {
            listener,
            make,
            room: None,
            notices: None,
            state: State::Open,
            since_rotation: 0,
        }
    }

    /// The same, letting `room` say whether there is room for another connection.
    pub(super) fn limited(mut self, room: Room) -> Self {
        self.room = Some(room);
        self
    }

    /// Has the peers of a listener of datagrams post to `notices`; false if another loop accepts
    /// from it. True for a listener of connections, which any number of loops share.
    pub(super) fn enter(&mut self, notices: impl FnOnce() -> Arc<Notices>) -> bool {
        let Some(dispatcher) = self.listener.dispatcher() else {
            return true;
        };
        let entered = dispatcher.enter_loop();
        self.notices = entered.then(notices);
        entered
    }

    pub(super) fn listener(&self) -> &Arc<Listener> {
        &self.listener
    }

    pub(super) fn make(&self) -> &Make<T> {
        &self.make
    }

    pub(super) fn watch(&self, epoll: &Epoll, token: Token) -> Result<(), Errno> {
        // A listener of datagrams has one loop alone, and is an epoll descriptor, which the kernel
        // does not watch exclusively.
        let mode = if self.notices.is_some() {
            Mode::Level
        } else {
            Mode::Exclusive
        };
        // The socket itself: handshakes of TLS are each loop's own.
        epoll.add(self.listener.socket(), token.to_u64(), Events::READ, mode)
    }

    /// The next connection.
    pub(super) fn accept(&mut self, counts: &Counts, now: Instant) -> Accepted {
        if self.room.as_ref().is_some_and(|has_room| !has_room()) {
            self.state = State::Exhausted { until: now + PAUSE };
            return Accepted::Nobody;
        }
        match self.listener.arrival_in_turn() {
            Arrival::Stream(mut stream) => {
                self.since_rotation += 1;
                stream.set_blocking(false);
                // Also one that has no handshake to make has to take its place.
                if (stream.is_handshaking() || !stream.takes_place()) && !self.listener.is_lazy() {
                    return Accepted::Handshake(Box::new(stream));
                }
                return Accepted::Stream(stream);
            }
            Arrival::None => return Accepted::Nobody,
            Arrival::Full => {
                if let Some(gate) = self.listener.gate() {
                    self.state = State::Full(gate.await_room());
                }
                return Accepted::Nobody;
            }
            Arrival::ClosedFull => Counts::raise(&counts.full),
            Arrival::ClosedForAddress => Counts::raise(&counts.full_for_address),
            Arrival::Refused(_) => Counts::raise(&counts.failed),
            Arrival::Failed(errno) if is_exhaustion(errno) && self.listener.close_one() => {
                Counts::raise(&counts.full);
            }
            Arrival::Failed(errno) => {
                let exhausted = is_exhaustion(errno);
                Counts::raise(if exhausted {
                    &counts.exhausted
                } else {
                    &counts.failed
                });
                self.state = State::Exhausted { until: now + PAUSE };
                return Accepted::Nobody;
            }
        }
        Accepted::Lost
    }

    /// It was called readable in vain, which goes on for ever once it is shut down.
    pub(super) fn came_in_vain(&mut self, counts: &Counts, now: Instant) {
        if matches!(self.state, State::Open) && self.listener.is_shut_down() {
            Counts::raise(&counts.failed);
            self.state = State::Exhausted { until: now + PAUSE };
        }
    }

    /// What the peer of a connection is heard by, where that is not its own descriptor.
    pub(super) fn subscription(&self, stream: &Stream) -> Option<Subscription> {
        stream.subscribe(self.notices.as_ref()?)
    }

    /// The limits in time of a connection that was accepted now.
    pub(super) fn limits(&self, now: Instant) -> Limits {
        let spans = self.listener.spans();
        let expires = spans
            .lifetime
            .and_then(|lifetime| now.checked_add(lifetime));
        Limits {
            idle: spans.idle,
            expires: expires.map(Moment::from),
        }
    }

    /// Takes the listener out of the set while it has to wait, and moves it to the end of its
    /// queue now and then.
    pub(super) fn after_accepting(&mut self, epoll: &Epoll, tokens: Tokens) {
        match &self.state {
            State::Open if self.since_rotation >= ROTATION && self.notices.is_none() => {
                let is_alone = Arc::strong_count(&self.listener) == 1;
                if is_alone && self.since_rotation < ROTATION_ALONE {
                    return;
                }
                self.since_rotation = 0;
                _ = epoll.remove(self.listener.socket());
                self.resume(epoll, tokens);
                if !is_alone {
                    // In a burst all loops are awake, and one that runs would go on until it has
                    // used up its turn on the processor: some thousand connections.
                    thread::yield_now();
                }
            }
            State::Open => {}
            State::Exhausted { .. } => _ = epoll.remove(self.listener.socket()),
            State::Full(waiting) => {
                _ = epoll.remove(self.listener.socket());
                let (bell, token) = (waiting.bell().as_fd(), tokens.gate.to_u64());
                let watched = epoll.add(bell, token, Events::READ, Mode::Level);
                if watched.is_err() {
                    // It is tried again by the clock.
                    self.state = State::Exhausted {
                        until: clock::now() + PAUSE,
                    };
                }
            }
        }
    }

    /// There is no place for one whose handshake is finished.
    pub(super) fn fill(&mut self, epoll: &Epoll, tokens: Tokens) {
        if let (State::Open, Some(gate)) = (&self.state, self.listener.gate()) {
            self.state = State::Full(gate.await_room());
            self.after_accepting(epoll, tokens);
        }
    }

    /// The gate's bell has rung: there is room again, or has been.
    pub(super) fn open(&mut self, epoll: &Epoll, tokens: Tokens) {
        if let State::Full(waiting) = &self.state {
            _ = epoll.remove(waiting.bell().as_fd());
            self.resume(epoll, tokens);
        }
    }

    /// Leaves a set that goes on without it: the listener may be kept open by others.
    pub(super) fn leave(&self, epoll: &Epoll) {
        // Not there, if it has to wait.
        _ = epoll.remove(self.listener.socket());
        if let State::Full(waiting) = &self.state {
            _ = epoll.remove(waiting.bell().as_fd());
        }
    }

    /// Drains: accepts no more. Whether there are peers for which the loop has to go on receiving;
    /// if not, it is to be dropped.
    pub(super) fn drain(&mut self, epoll: &Epoll) -> bool {
        self.leave(epoll);
        let Some(dispatcher) = self.listener.dispatcher() else {
            return false;
        };
        dispatcher.close();
        (self.make, self.room) = (Rc::new(RefCell::new(|_| None)), None);
        true
    }

    /// When it has something to do by the clock: accepting goes on, or peers are looked through.
    pub(super) fn due(&self, now: Instant) -> Option<Instant> {
        match self.state {
            State::Exhausted { until } => Some(until),
            _ => now.checked_add(self.listener.dispatcher()?.next_sweep()?),
        }
    }

    /// Does what is due.
    pub(super) fn come(&mut self, epoll: &Epoll, tokens: Tokens) {
        match (&self.state, self.listener.dispatcher()) {
            (State::Open, Some(dispatcher)) => dispatcher.sweep(),
            _ => self.resume(epoll, tokens),
        }
    }

    /// Something was given back: accepting may go on at once.
    pub(super) fn hurry(&mut self) {
        if let State::Exhausted { until } = &mut self.state {
            *until = (*until).min(clock::now());
        }
    }

    pub(super) fn resume(&mut self, epoll: &Epoll, tokens: Tokens) {
        self.state = match self.watch(epoll, tokens.listener) {
            Ok(()) | Err(Errno::EXIST) => State::Open,
            // It is tried again.
            Err(_) => State::Exhausted {
                until: clock::now() + PAUSE,
            },
        };
    }
}

/// By which events of an acceptor are known.
#[derive(Clone, Copy, Debug)]
pub(super) struct Tokens {
    pub(super) listener: Token,
    pub(super) gate: Token,
}

impl<T> Drop for Acceptor<T> {
    fn drop(&mut self) {
        if let (Some(_), Some(dispatcher)) = (&self.notices, self.listener.dispatcher()) {
            dispatcher.leave_loop();
        }
    }
}

impl<T> fmt::Debug for Acceptor<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Acceptor")
            .field("listener", &self.listener)
            .field("state", &self.state)
            .finish_non_exhaustive()
    }
}
