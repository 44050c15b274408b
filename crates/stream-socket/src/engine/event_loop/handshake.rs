//! TLS handshakes as work of a loop: what leads from an accepted connection to a task.
//!
//! Each loop makes those of the connections that it accepted, so that loops share nothing but the
//! listener's caps and its log.

use std::os::fd::{AsFd, BorrowedFd};
use std::ptr;
use std::sync::{Arc, Weak};
use std::time::Instant;

use super::super::accept::{Acceptor, Make};
use super::super::control::Counts;
use super::super::slot::{Limits, Slot};
use super::super::slots::Token;
use super::super::task::{Cause, Next, Second, Task, TaskId, Turn, Wake};
use super::{Engine, tokens};
use crate::deadline::Moment;
use crate::error::{Error, Stage};
use crate::handshake_log::HandshakeLog;
use crate::listener::Listener;
use crate::select::Interest;
use crate::stream::Stream;

/// What a slot is for.
pub(super) enum Work<T> {
    Task(T),
    Handshake(Box<Handshake<T>>),
}

impl<T: Task> Task for Work<T> {
    fn descriptor(&self) -> BorrowedFd<'_> {
        match self {
            Work::Task(task) => task.descriptor(),
            Work::Handshake(handshake) => handshake.stream.as_fd(),
        }
    }

    fn second(&self) -> Option<Second<'_>> {
        match self {
            Work::Task(task) => task.second(),
            Work::Handshake(_) => None,
        }
    }

    fn owns_descriptors(&self) -> bool {
        match self {
            Work::Task(task) => task.owns_descriptors(),
            Work::Handshake(_) => false,
        }
    }

    fn is_stalled(&self) -> bool {
        match self {
            Work::Task(task) => task.is_stalled(),
            Work::Handshake(_) => false,
        }
    }

    fn is_moving(&mut self) -> bool {
        match self {
            Work::Task(task) => task.is_moving(),
            Work::Handshake(_) => false,
        }
    }

    fn run(&mut self, wake: Wake, turn: &mut Turn<'_>) -> Next {
        match self {
            Work::Task(task) => task.run(wake, turn),
            Work::Handshake(handshake) => {
                let next = handshake.run();
                turn.timer = Some(handshake.due());
                next
            }
        }
    }

    fn placed(&mut self, id: TaskId) {
        match self {
            Work::Task(task) => task.placed(id),
            Work::Handshake(_) => {}
        }
    }

    fn given_up(&mut self, cause: Cause) {
        match self {
            Work::Task(task) => task.given_up(cause),
            Work::Handshake(handshake) => handshake.given_up(cause),
        }
    }
}

/// A connection whose TLS is still to be agreed upon.
pub(super) struct Handshake<T> {
    stream: Box<Stream>,
    /// Whose it is, if that is still there: in a drain nobody is to find it open on our account.
    listener: Weak<Listener>,
    make: Make<T>,
    failure: Option<Error>,
    /// Its number among those that are under way.
    number: u64,
    /// It is finished, and there has been no place for its connection.
    is_finished: bool,
    /// It is among those that wait for one.
    is_parked: bool,
}

impl<T> Handshake<T> {
    pub(super) fn new(stream: Box<Stream>, listener: &Arc<Listener>, make: &Make<T>) -> Self {
        Self {
            stream,
            listener: Arc::downgrade(listener),
            make: Make::clone(make),
            failure: None,
            number: 0,
            is_finished: false,
            is_parked: false,
        }
    }

    /// When its time is over.
    fn due(&self) -> Option<Instant> {
        self.stream.handshake_deadline().instant()
    }

    /// Goes on without waiting; done when it is finished or has failed.
    pub(super) fn run(&mut self) -> Next {
        match self.stream.handshake() {
            Ok(Some(interest)) => Next::Wait(interest),
            Ok(None) if self.stream.takes_place() => Next::Done,
            Ok(None) if self.closes_when_full() => {
                self.failure = Some(crate::handshakes::without_place(&self.stream));
                Next::Done
            }
            Ok(None) => {
                self.is_finished = true;
                Next::Wait(Interest::default())
            }
            Err(error) => {
                self.failure = Some(error);
                Next::Done
            }
        }
    }

    fn closes_when_full(&self) -> bool {
        let listener = self.listener.upgrade();
        listener.is_some_and(|listener| listener.gate().is_some_and(|gate| gate.closes()))
    }

    /// Has the listener's log take note of what became of it.
    fn note(&self, result: impl FnOnce(&HandshakeLog)) {
        let listener = self.listener.upgrade();
        if let Some(log) = listener
            .as_ref()
            .and_then(|listener| listener.handshake_log())
        {
            result(log);
        }
    }

    /// The task, if the handshake is finished and the connection is wanted.
    fn finish(mut self) -> Option<T> {
        if let Some(failure) = self.failure.take() {
            self.note(|log| log.failed(failure));
            return None;
        }
        self.note(HandshakeLog::finished);
        (self.make.borrow_mut())(*self.stream)
    }

    /// Is told that it has to make room for another.
    fn crowded_out(&self) {
        self.note(|log| log.evicted(crate::handshakes::crowded_out(&self.stream)));
    }

    /// Is told why it ends before it is finished.
    pub(super) fn given_up(&self, cause: Cause) {
        let reason = match cause {
            Cause::Idle => "nothing moved for too long",
            Cause::Lifetime => "its lifetime is over",
            Cause::Drain => "the server ends",
            Cause::Unwatched => "the system can't watch it",
        };
        self.note(|log| log.failed(Error::new(Stage::Handshake, &self.stream, reason)));
    }
}

impl<T: Task> Engine<T> {
    /// Begins the handshake of a new connection, at the cost of another if there are too many.
    pub(super) fn start_handshake(
        &mut self,
        mut handshake: Handshake<T>,
        limits: Limits,
        now: Instant,
    ) {
        let next = handshake.run();
        if next == Next::Done {
            return self.hand_over(handshake, limits, now);
        }
        let excess = self.handshakes.excess(handshake.stream.counts_for());
        self.crowd_out(excess);
        let has_begun = handshake.stream.has_begun_handshake();
        let due = handshake.due();
        let token = self.slots.insert(|token| {
            let peer = handshake.stream.counts_for();
            handshake.number = self.handshakes.insert(peer, has_begun, token);
            let work = Work::Handshake(Box::new(handshake));
            let mut slot = Slot::new(work, Some(limits), None, now);
            slot.task_due = due.map(Moment::from);
            slot
        });
        self.go_on_with(token, next);
    }

    fn go_on_with(&mut self, token: Token, next: Next) {
        self.note_beginning(token);
        if self.settle(token, next).is_ok() {
            self.park(token);
        }
    }

    /// Has one that is finished wait for a place.
    fn park(&mut self, token: Token) {
        let Some(slot) = self.slots.get_mut(token) else {
            return;
        };
        let Work::Handshake(handshake) = &mut slot.task else {
            return;
        };
        if !handshake.is_finished || handshake.is_parked {
            return;
        }
        handshake.is_parked = true;
        slot.task_due = None;
        self.parked.push_back(token);
        for (acceptor, index) in self.acceptors.iter_mut().zip(0..) {
            if ptr::eq(
                Arc::as_ptr(acceptor.listener()),
                handshake.listener.as_ptr(),
            ) {
                acceptor.fill(&self.epoll, tokens(index));
            }
        }
    }

    /// There may be places for those that wait for one: in the order in which they were finished,
    /// until a listener is found to have none.
    pub(super) fn place_parked(&mut self, now: Instant) {
        let mut full: Vec<Weak<Listener>> = Vec::new();
        for _ in 0..self.parked.len() {
            let Some(token) = self.parked.pop_front() else {
                return;
            };
            let Some(Work::Handshake(handshake)) =
                self.slots.get_mut(token).map(|slot| &mut slot.task)
            else {
                continue;
            };
            let listener = Weak::clone(&handshake.listener);
            if full.iter().any(|other| Weak::ptr_eq(other, &listener)) {
                self.parked.push_back(token);
                continue;
            }
            handshake.is_parked = false;
            self.wake(token, Wake::Turn, now);
            if self.parked.back() == Some(&token) {
                full.push(listener);
            }
        }
    }

    /// Does what a handshake said it does next: at its end it becomes a task, or nothing.
    pub(super) fn after_handshaking(&mut self, token: Token, next: Next, now: Instant) {
        if next != Next::Done {
            return self.go_on_with(token, next);
        }
        let Some(slot) = self.slots.remove(token) else {
            return;
        };
        self.timers.forget(&slot.timer);
        _ = self.epoll.remove(slot.task.descriptor());
        if let Work::Handshake(handshake) = slot.task {
            self.forget(&handshake);
            self.hand_over(*handshake, slot.limits, now);
        }
    }

    fn hand_over(&mut self, handshake: Handshake<T>, limits: Limits, now: Instant) {
        let Some(task) = handshake.finish() else {
            self.acceptors.iter_mut().for_each(Acceptor::hurry);
            return;
        };
        Counts::raise(&self.control.counts().accepted);
        _ = self.start(task, Some(limits), now);
    }

    fn crowd_out(&mut self, number: Option<u64>) {
        let member = number.and_then(|number| self.handshakes.get_mut(number));
        let Some(token) = member.map(|member| member.content) else {
            return;
        };
        if let Some(Work::Handshake(handshake)) = self.slots.get(token).map(|slot| &slot.task) {
            handshake.crowded_out();
        }
        self.end(token);
    }

    /// Notes that the client has said what it wants, and who it is, where a proxy tells.
    fn note_beginning(&mut self, token: Token) {
        let Some(Work::Handshake(handshake)) = self.slots.get(token).map(|slot| &slot.task) else {
            return;
        };
        let (number, stream) = (handshake.number, &handshake.stream);
        if let Some(member) = self.handshakes.get_mut(number) {
            member.has_begun = stream.has_begun_handshake();
        }
        let excess = self.handshakes.recognize(number, stream.counts_for());
        self.crowd_out(excess);
    }

    /// It is no longer under way.
    pub(super) fn forget(&mut self, handshake: &Handshake<T>) {
        self.handshakes.remove(handshake.number);
    }

    /// Drops a slot of which another process has the connection as well.
    pub(super) fn abandon(&mut self, token: Token) {
        if let Some(Work::Handshake(handshake)) = self.slots.remove(token).map(|slot| slot.task) {
            self.forget(&handshake);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::connecting::Route;
    use crate::engine::relay::{Dial, Relay};
    use crate::error::Result;

    /// What the command's relay knows of a client.
    struct Known([usize; 6]);

    impl Dial for Known {
        fn dial(&mut self, client: &Stream) -> Result<Route> {
            Err(Error::new(
                Stage::Connect,
                client,
                format_args!("{:?}", self.0),
            ))
        }

        fn failed(&mut self, _error: &Error) -> Option<std::time::Duration> {
            None
        }
    }

    /// Thousands of pairs that say nothing are to cost as many of these, and nothing more.
    #[test]
    fn an_idle_connection_is_small() {
        for (what, size, most) in [
            ("a stream", size_of::<Stream>(), 96),
            ("its slot", size_of::<Slot<Work<Stream>>>(), 168),
            ("a relay", size_of::<Slot<Work<Relay<Known>>>>(), 400),
        ] {
            assert!(size <= most, "{what} takes {size} bytes, not {most}");
        }
    }
}
