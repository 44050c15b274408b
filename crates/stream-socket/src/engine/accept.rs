//! Accepting for a loop: in measure, fairly among loops, and with patience when resources run out.

use std::fmt;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::control::Counts;
use super::event_loop::Limits;
use super::slots::Token;
use crate::listener::{Arrival, Listener};
use crate::stream::Stream;
use crate::sys::epoll::{Bell, Epoll, Mode};
use crate::sys::wait::Events;
use crate::sys::{self, Errno};

/// How long accepting pauses when descriptors or memory have run out, unless a task ends before.
const PAUSE: Duration = Duration::from_millis(100);

/// Connections after which a loop goes to the end of the listener's queue of waiting loops.
///
/// The kernel wakes the first of those that wait, so without that one loop of a half idle server
/// would get nearly all.
const ROTATION: u32 = 16;

type Make<T> = Box<dyn FnMut(Stream) -> Option<T>>;

/// A listener, as one loop accepts from it.
pub(super) struct Acceptor<T> {
    listener: Arc<Listener>,
    make: Make<T>,
    state: State,
    since_rotation: u32,
    /// Given up for a moment when there is no descriptor left, so that a newcomer can be accepted
    /// and closed, where that is the policy.
    reserve: Option<OwnedFd>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Open,
    /// All places are taken: until the gate's bell rings.
    Full,
    /// Descriptors or memory have run out.
    Exhausted {
        until: Instant,
    },
}

impl<T> Acceptor<T> {
    /// Connections accepted in one go, before others have their turn.
    pub(super) const AT_ONCE: usize = 32;

    pub(super) fn new(listener: Arc<Listener>, make: Make<T>) -> Self {
        let mut acceptor = Self {
            listener,
            make,
            state: State::Open,
            since_rotation: 0,
            reserve: None,
        };
        acceptor.keep_reserve();
        acceptor
    }

    fn keep_reserve(&mut self) {
        let closes = self.listener.options().close_when_full == Some(true);
        if closes && self.reserve.is_none() {
            self.reserve = sys::reserve().ok();
        }
    }

    pub(super) fn listener(&self) -> &Arc<Listener> {
        &self.listener
    }

    /// What rings when a place has become free.
    pub(super) fn gate_bell(&self) -> Option<&Bell> {
        self.listener.gate().map(|gate| gate.bell())
    }

    pub(super) fn watch(&self, epoll: &Epoll, token: Token) -> Result<(), Errno> {
        epoll.add(
            self.listener.as_fd(),
            token.to_u64(),
            Events::READ,
            Mode::Exclusive,
        )
    }

    /// The next connection as a task; `None` when there is none to be had now, or when so many
    /// came to nothing that it is the others' turn.
    pub(super) fn accept(&mut self, counts: &Counts, now: Instant) -> Option<(T, Limits)> {
        for _ in 0..Self::AT_ONCE {
            match self.listener.arrival() {
                Arrival::Stream(mut stream) => {
                    self.since_rotation += 1;
                    stream.set_blocking(false);
                    if let Some(task) = (self.make)(stream) {
                        Counts::raise(&counts.accepted);
                        return Some((task, self.limits(now)));
                    }
                }
                Arrival::None => return None,
                Arrival::Full => {
                    self.state = State::Full;
                    return None;
                }
                Arrival::ClosedFull => Counts::raise(&counts.full),
                Arrival::ClosedForAddress => Counts::raise(&counts.full_for_address),
                // That one is lost; the next may fare better.
                Arrival::Refused(_) => {}
                Arrival::Failed(errno) => {
                    if !is_exhaustion(errno) || !self.close_one() {
                        Counts::raise(&counts.exhausted);
                        self.state = State::Exhausted { until: now + PAUSE };
                        return None;
                    }
                    Counts::raise(&counts.full);
                }
            }
        }
        None
    }

    fn limits(&self, now: Instant) -> Limits {
        let options = self.listener.options();
        let expires = options
            .lifetime
            .and_then(|lifetime| now.checked_add(lifetime));
        Limits {
            idle: options.idle_timeout,
            expires,
        }
    }

    /// Accepts one connection with the reserve descriptor and closes it; whether that went well.
    fn close_one(&mut self) -> bool {
        if self.reserve.take().is_none() {
            return false;
        }
        let closed = matches!(self.listener.arrival(), Arrival::Stream(_));
        self.keep_reserve();
        closed
    }

    /// Takes the listener out of the set while it has to wait, and moves it to the end of its
    /// queue now and then.
    pub(super) fn after_accepting(&mut self, epoll: &Epoll, token: Token) {
        if self.state != State::Open {
            _ = epoll.remove(self.listener.as_fd());
            if let Some(gate) = self.listener.gate().filter(|_| self.state == State::Full) {
                gate.await_room();
            }
            return;
        }
        if self.since_rotation >= ROTATION {
            self.since_rotation = 0;
            _ = epoll.remove(self.listener.as_fd());
            self.resume(epoll, token);
        }
    }

    /// The gate's bell has rung: there is room again, or has been.
    pub(super) fn open(&mut self, epoll: &Epoll, token: Token) {
        if let Some(bell) = self.gate_bell() {
            bell.silence();
        }
        if self.state == State::Full {
            if let Some(gate) = self.listener.gate() {
                gate.stop_awaiting();
            }
            self.resume(epoll, token);
        }
    }

    /// When accepting goes on by itself.
    pub(super) fn resumes(&self) -> Option<Instant> {
        match self.state {
            State::Exhausted { until } => Some(until),
            _ => None,
        }
    }

    /// Something was given back: accepting may go on at once.
    pub(super) fn hurry(&mut self) {
        if let State::Exhausted { until } = &mut self.state {
            *until = (*until).min(crate::deadline::clock::now());
        }
    }

    pub(super) fn resume(&mut self, epoll: &Epoll, token: Token) {
        // Another thread may have been quicker to take the descriptor when it was last given up.
        self.keep_reserve();
        self.state = match self.watch(epoll, token) {
            Ok(()) | Err(Errno::EXIST) => State::Open,
            // It is tried again.
            Err(_) => State::Exhausted {
                until: crate::deadline::clock::now() + PAUSE,
            },
        };
    }
}

impl<T> Drop for Acceptor<T> {
    fn drop(&mut self) {
        if self.state == State::Full
            && let Some(gate) = self.listener.gate()
        {
            gate.stop_awaiting();
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

/// accept(2): the process or the system has no descriptors or no memory left.
fn is_exhaustion(errno: Errno) -> bool {
    matches!(
        errno,
        Errno::MFILE | Errno::NFILE | Errno::NOBUFS | Errno::NOMEM
    )
}
