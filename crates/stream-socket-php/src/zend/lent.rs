//! A descriptor that somebody else keeps open.

use std::os::fd::{AsFd, BorrowedFd, RawFd};

/// A descriptor of a PHP stream, or of C, that is watched. Whoever closes it takes it out first.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Lent(RawFd);

impl Lent {
    /// `None` for what is no descriptor.
    pub(crate) fn new(descriptor: RawFd) -> Option<Self> {
        (descriptor >= 0).then_some(Self(descriptor))
    }
}

impl AsFd for Lent {
    fn as_fd(&self) -> BorrowedFd<'_> {
        // SAFETY: it is not -1, and it is open: a socket's watch is removed in `Socket::let_go`,
        // before the descriptor is closed, and C ends a wait before it closes what it lent.
        unsafe { BorrowedFd::borrow_raw(self.0) }
    }
}
