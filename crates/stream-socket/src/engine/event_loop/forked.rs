//! A loop that finds itself in a forked child, and what is left without harm to the parent's.

use std::sync::Arc;

use super::super::task::Task;
use super::{Engine, Post, tokens};
use crate::listener::Listener;
use crate::sys::{Errno, fork};

impl<T: Task> Engine<T> {
    /// Accepts no more from `listener`. Who waits in its backlog is left there.
    pub fn leave(&mut self, listener: &Arc<Listener>) {
        if self.is_in_its_process() {
            let acceptors = self.acceptors.iter();
            acceptors.for_each(|acceptor| acceptor.leave(&self.epoll));
        }
        self.acceptors
            .retain(|acceptor| !Arc::ptr_eq(acceptor.listener(), listener));
        if !self.is_in_its_process() {
            return;
        }
        // Events know them by their place.
        for (acceptor, index) in self.acceptors.iter_mut().zip(0..) {
            acceptor.resume(&self.epoll, tokens(index));
        }
    }

    /// Whether its descriptors are this process's own. What leaves those of a parent would leave
    /// them for the parent, too.
    pub(super) fn is_in_its_process(&self) -> bool {
        self.generation == fork::generation()
    }

    /// In a child that was forked, makes descriptors of its own: those of the parent would
    /// report to both. Connections that were accepted before, and listeners of datagrams, stay the
    /// parent's; the child drops its half of them.
    pub(super) fn settle_in_this_process(&mut self) -> Result<(), Errno> {
        if self.is_in_its_process() {
            return Ok(());
        }
        let (epoll, bell) = Self::descriptors()?;
        self.control.remove(&self.bell);
        self.control.add(Arc::clone(&bell));
        (self.epoll, self.bell, self.post) = (epoll, bell, Post::default());
        self.acceptors
            .retain(|acceptor| acceptor.listener().dispatcher().is_none());
        for (acceptor, index) in self.acceptors.iter_mut().zip(0..) {
            acceptor.resume(&self.epoll, tokens(index));
        }
        for token in self.slots.tokens().collect::<Vec<_>>() {
            let Some(slot) = self.slots.get_mut(token) else {
                continue;
            };
            let interest = slot.unwatched();
            if slot.accepted {
                self.abandon(token);
            } else if let Some(interest) = interest {
                self.watch(token, interest)?;
            }
        }
        self.generation = fork::generation();
        Ok(())
    }
}
