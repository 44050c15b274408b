//! A socket in the hands of Fibers: attempts that never wait, and what is known for the next one.

use std::mem;
use std::rc::Rc;

use stream_socket::engine::TaskId;

use super::{Kind, Object, Socket};
use crate::failure::{self, Failure};
use crate::waiting::{self, Direction, Fiber, Readiness, Waiter};

/// How long nothing may move on a connection, in nanoseconds, and since when nothing has.
#[derive(Debug)]
pub(super) struct Idle {
    limit: i64,
    since: Option<i64>,
    is_over: bool,
}

impl Socket {
    /// The watch of its descriptor, once a Fiber has waited on it.
    pub(crate) fn watch(&self) -> Option<TaskId> {
        self.known.as_ref().and_then(|known| known.watch())
    }

    pub(crate) fn known(&self) -> Option<&Readiness> {
        self.known.as_deref()
    }

    pub(crate) fn set_known(&mut self, known: Rc<Readiness>) {
        self.known = Some(known);
    }

    /// The same, of a peer of whose datagrams the loop hears.
    pub(crate) fn set_heard(&mut self, known: Option<Rc<Readiness>>) {
        self.is_heard = known.is_some();
        self.known = known;
    }

    /// Whether what comes for it may be told to nobody but who looks: a peer that no loop serves.
    pub(crate) fn is_to_be_looked_at(&self) -> bool {
        self.head.kind == Kind::Peer && !self.is_heard
    }

    /// Takes it out of what is watched, and from its server.
    #[inline]
    pub(super) fn let_go(&mut self) {
        if let Some(id) = self.watch() {
            waiting::with(|waiting| waiting.remove(id));
        }
        self.known = None;
        self.leave_server();
    }

    /// Takes a listener from its server.
    #[inline]
    pub(crate) fn leave_server(&mut self) {
        if let Object::Listener(listener) = &self.object {
            waiting::with(|waiting| waiting.leave(listener));
        }
    }

    pub(crate) fn has_room(&self) -> bool {
        match &self.object {
            Object::Listener(listener) => listener.has_room(),
            _ => true,
        }
    }

    /// Limits in time that its server has set, in nanoseconds, or negative: of being idle, and of a
    /// write.
    pub(crate) fn limit(&mut self, idle: i64, write: i64) {
        self.idle = (idle >= 0).then(|| {
            Box::new(Idle {
                limit: idle,
                since: None,
                is_over: false,
            })
        });
        self.head.write_timeout = write;
    }

    /// A Fiber that begins to wait now, until `due`, or until this has been idle for too long.
    pub(crate) fn waiter(&mut self, fiber: Fiber, due: i64, now: i64) -> Waiter {
        let over = self.idle.as_mut().map(|idle| {
            let since = *idle.since.get_or_insert(now);
            since.saturating_add(idle.limit)
        });
        let over = over.filter(|over| *over <= due);
        Waiter {
            fiber,
            due: over.unwrap_or(due),
            idles: over.is_some(),
        }
    }

    /// Nothing more is read or written: it was idle for too long.
    pub(crate) fn idle_out(&mut self) {
        if let Some(idle) = &mut self.idle {
            idle.is_over = true;
        }
        self.last_error = failure::TIMED_OUT;
    }

    fn has_idled_out(&self) -> bool {
        self.idle.as_ref().is_some_and(|idle| idle.is_over)
    }

    /// Bytes have come or gone, so that it is not idle.
    fn has_moved(&mut self) {
        if let Some(idle) = &mut self.idle {
            idle.since = None;
        }
    }

    /// Whether the last attempt would have waited, and nothing has come since. What a look has
    /// brought into the stream's own buffer, no descriptor tells of.
    fn is_exhausted(&self, direction: Direction) -> bool {
        if self.is_to_be_looked_at() || (direction == Direction::Read && self.has_pending()) {
            return false;
        }
        self.known
            .as_ref()
            .is_some_and(|known| !known.of(direction))
    }

    pub(crate) fn exhausted(&self, direction: Direction) {
        if let Some(known) = &self.known {
            known.exhausted(direction);
        }
    }

    /// As [`read`](Self::read), but never waits: then there is no length.
    pub(crate) fn try_read(&mut self, buffer: &mut [u8]) -> Result<(Option<usize>, bool), Failure> {
        if self.has_idled_out() {
            return Err(Failure::of_system(failure::TIMED_OUT));
        }
        if self.is_exhausted(Direction::Read) {
            return Ok((None, false));
        }
        let result = self.read(buffer, true);
        if let Ok((length, false)) = result {
            if length.is_some() {
                self.has_moved();
            }
            // An end of TLS that came with the last bytes is no news of the descriptor's.
            let took_all = length.is_none_or(|length| length < buffer.len() && !self.has_pending());
            if took_all && !(self.transport().is_datagram() && length.is_some()) {
                self.exhausted(Direction::Read);
            }
        }
        result
    }

    /// As [`write`](Self::write), but never waits: zero where it would.
    pub(crate) fn try_write(&mut self, bytes: &[u8]) -> Result<usize, Failure> {
        if self.has_idled_out() {
            return Err(Failure::of_system(failure::TIMED_OUT));
        }
        if self.is_exhausted(Direction::Write) {
            return Ok(0);
        }
        let before = mem::replace(&mut self.head.net.is_blocked, 0);
        let result = self.write(bytes);
        self.head.net.is_blocked = before;
        if let Ok(length) = result {
            if length > 0 {
                self.has_moved();
            }
            if length < bytes.len() {
                self.exhausted(Direction::Write);
            }
        }
        result
    }

    /// Copies what a read would take, without waiting: `None` where it would.
    pub(crate) fn try_peek(&mut self, buffer: &mut [u8]) -> Result<Option<usize>, Failure> {
        if self.is_exhausted(Direction::Read) {
            return Ok(None);
        }
        let Object::Stream(stream) = &mut self.object else {
            return Err(Failure::of_system(failure::NOT_CONNECTED));
        };
        stream.set_blocking(false);
        match stream.peek(buffer).map_err(Failure::from) {
            Ok(length) => Ok(Some(length)),
            Err(failure) if failure.timed_out || failure.number == failure::AGAIN => {
                self.exhausted(Direction::Read);
                Ok(None)
            }
            Err(failure) => {
                self.last_error = failure.number;
                Err(failure)
            }
        }
    }
}
