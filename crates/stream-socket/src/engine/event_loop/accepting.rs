//! Accepting from the listeners: what comes becomes a task, or a handshake that becomes one.

use std::time::Instant;

use super::handshake::Handshake;
use super::{Engine, tokens};
use crate::deadline::clock;
use crate::engine::accept::{Accepted, Acceptor};
use crate::engine::control::Counts;
use crate::engine::task::Task;
use crate::stream::Stream;

/// Connections accepted at the beginning of a drain: the largest backlog of an ordinary system.
const LAST_ACCEPTED: usize = 4096;

impl<T: Task> Engine<T> {
    pub(super) fn accept(&mut self, index: usize, now: Instant) {
        let mut left = Acceptor::<T>::AT_ONCE;
        while left > 0 && self.accept_one(index, now) {
            left -= 1;
        }
        if let Some(acceptor) = self.acceptors.get_mut(index) {
            if left == Acceptor::<T>::AT_ONCE {
                acceptor.came_in_vain(self.control.counts(), now);
            }
            acceptor.after_accepting(&self.epoll, tokens(index as u32));
        }
    }

    /// Accepts what waits, and no more than can have waited.
    pub(super) fn accept_last(&mut self, index: usize) {
        let (mut left, now) = (LAST_ACCEPTED, clock::now());
        while left > 0 && self.accept_one(index, now) {
            left -= 1;
        }
    }

    /// Accepts one connection; whether there may be more.
    fn accept_one(&mut self, index: usize, now: Instant) -> bool {
        let Some(acceptor) = self.acceptors.get_mut(index) else {
            return false;
        };
        match acceptor.accept(self.control.counts(), now) {
            Accepted::Nobody => false,
            Accepted::Lost => true,
            Accepted::Stream(stream) => {
                self.serve(index, stream, now);
                true
            }
            Accepted::Handshake(stream) => {
                let (listener, make) = (acceptor.listener(), acceptor.make());
                let handshake = Handshake::new(stream, listener, make);
                let limits = acceptor.limits(now);
                self.start_handshake(handshake, limits, now);
                true
            }
        }
    }

    /// Drives what the acceptor at `index` makes of a connection.
    fn serve(&mut self, index: usize, stream: Stream, now: Instant) {
        let Some(acceptor) = self.acceptors.get(index) else {
            return;
        };
        let subscription = acceptor.subscription(&stream);
        let mut made = (acceptor.make().borrow_mut())(stream);
        // Run where it is, since a task is large and most are done at once.
        let Some(task) = &mut made else {
            return;
        };
        Counts::raise(&self.control.counts().accepted);
        let Some(first) = self.begin(task, now) else {
            return;
        };
        let limits = self
            .acceptors
            .get(index)
            .map(|acceptor| acceptor.limits(now));
        if let Some(task) = made {
            // Whom it concerns has been told.
            _ = self.keep(task, first, limits, subscription, now);
        }
    }

    pub(super) fn open_gate(&mut self, index: usize, now: Instant) {
        if let Some(acceptor) = self.acceptors.get_mut(index) {
            acceptor.open(&self.epoll, tokens(index as u32));
        }
        self.place_parked(now);
    }
}
