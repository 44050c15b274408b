//! A clock that a loop can wait for as for any descriptor: [timerfd_create(2)].
//!
//! [timerfd_create(2)]: https://man7.org/linux/man-pages/man2/timerfd_create.2.html

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Duration;

use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create,
    timerfd_settime,
};

use super::Errno;
use super::seam::{Call, call};

/// Readable once its time has come.
#[derive(Debug)]
pub(crate) struct Timer(OwnedFd);

impl Timer {
    /// One that never comes, until it is set.
    pub(crate) fn new() -> Result<Self, Errno> {
        let flags = TimerfdFlags::CLOEXEC | TimerfdFlags::NONBLOCK;
        call(Call::Watch, || {
            timerfd_create(TimerfdClockId::Monotonic, flags)
        })
        .map(Self)
    }

    /// Lets it come after `span`, in place of what was set before, and not be readable until then.
    pub(crate) fn set(&self, span: Duration) -> Result<(), Errno> {
        // A time of zero would disarm it.
        let span = span.max(Duration::from_nanos(1));
        let zero = Timespec {
            tv_sec: 0,
            tv_nsec: 0,
        };
        let time = Itimerspec {
            it_interval: zero,
            it_value: Timespec {
                tv_sec: i64::try_from(span.as_secs()).unwrap_or(i64::MAX),
                tv_nsec: i64::from(span.subsec_nanos()),
            },
        };
        call(Call::Watch, || {
            timerfd_settime(&self.0, TimerfdTimerFlags::empty(), &time)
        })
        .map(drop)
    }

    /// It has come and been noticed: it is no longer readable.
    pub(crate) fn silence(&self) {
        _ = rustix::io::read(&self.0, &mut [0_u8; 8]);
    }
}

impl AsFd for Timer {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}
