//! How a loop is told of the peers that it serves: whose datagram has come, and who has ended.
//!
//! A loop serves all its peers over the listener's socket. Whoever delivers a datagram posts the
//! token of its peer, and the loop looks through what was posted at each of its turns.

use std::mem;
use std::os::fd::{AsRawFd, BorrowedFd, RawFd};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use super::Mailbox;
use crate::sys::epoll::Bell;

/// What was posted to one loop and not yet heard.
#[derive(Debug)]
pub(crate) struct Notices {
    /// The loop's.
    bell: Arc<Bell>,
    posted: Mutex<Posted>,
}

#[derive(Debug, Default)]
struct Posted {
    tokens: Vec<u64>,
    /// Whether the loop may be waiting, so that the bell has to be rung.
    asleep: bool,
}

impl Notices {
    pub(crate) fn new(bell: Arc<Bell>) -> Self {
        Self {
            bell,
            posted: Mutex::default(),
        }
    }

    /// Tells the loop of one of its peers.
    pub(super) fn post(&self, token: u64) {
        let mut posted = self.posted();
        posted.tokens.push(token);
        if mem::take(&mut posted.asleep) {
            self.bell.ring();
        }
    }

    /// The loop is going to wait; false if there is something to be heard before.
    pub(crate) fn sleep(&self) -> bool {
        let mut posted = self.posted();
        posted.asleep = posted.tokens.is_empty();
        posted.asleep
    }

    /// The loop waits no more.
    pub(crate) fn awake(&self) {
        self.posted().asleep = false;
    }

    /// Gives what was posted in exchange for an empty list.
    pub(crate) fn exchange(&self, heard: &mut Vec<u64>) {
        mem::swap(&mut self.posted().tokens, heard);
    }

    fn posted(&self) -> MutexGuard<'_, Posted> {
        self.posted.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A loop's interest in one peer, until it is dropped.
///
/// Meanwhile the peer's stream makes no descriptor of its own for those who ask for one. It does
/// not keep the stream's part alive: that may leave with its descriptor.
#[derive(Debug)]
pub(crate) struct Subscription {
    mailbox: Weak<Mailbox>,
    /// The listener's socket.
    shared: RawFd,
}

impl Subscription {
    pub(super) fn new(
        mailbox: &Arc<Mailbox>,
        shared: BorrowedFd<'_>,
        notices: &Arc<Notices>,
    ) -> Self {
        mailbox.subscribe(notices);
        Self {
            mailbox: Arc::downgrade(mailbox),
            shared: shared.as_raw_fd(),
        }
    }

    /// From now on `token` is posted.
    pub(crate) fn begin(&self, token: u64) {
        if let Some(mailbox) = self.mailbox.upgrade() {
            mailbox.begin_notices(token);
        }
    }

    /// Who was told has done what it wanted. It is told again if it read and left something.
    pub(crate) fn go_on(&self) {
        if let Some(mailbox) = self.mailbox.upgrade() {
            mailbox.go_on_with_notices();
        }
    }

    /// Whether `descriptor` is the listener's socket, which is not to be watched for one peer.
    pub(crate) fn is_shared(&self, descriptor: BorrowedFd<'_>) -> bool {
        descriptor.as_raw_fd() == self.shared && self.mailbox.strong_count() > 0
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        if let Some(mailbox) = self.mailbox.upgrade() {
            mailbox.unsubscribe();
        }
    }
}
