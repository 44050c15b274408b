//! A set of descriptors behind one descriptor: [epoll(7)].
//!
//! [epoll(7)]: https://man7.org/linux/man-pages/man7/epoll.7.html

use std::os::fd::{BorrowedFd, OwnedFd};

use rustix::event::epoll::{self, CreateFlags, EventData, EventFlags};

use super::Errno;
use super::seam::{Call, call};

/// epoll_create1(2).
pub(crate) fn create() -> Result<OwnedFd, Errno> {
    call(Call::Poll, || epoll::create(CreateFlags::CLOEXEC))
}

/// epoll_ctl(2): makes the set readable when `descriptor` can be written to.
///
/// One that is already in the set stays; a closed one leaves it by itself.
pub(crate) fn add_for_write(set: &OwnedFd, descriptor: BorrowedFd<'_>) -> Result<(), Errno> {
    match call(Call::Poll, || {
        epoll::add(set, descriptor, EventData::new_u64(0), EventFlags::OUT)
    }) {
        Err(Errno::EXIST) => Ok(()),
        result => result,
    }
}
