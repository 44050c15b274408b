//! Waiting for descriptors: ppoll(2) against a deadline.

use std::os::fd::{AsFd, BorrowedFd};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec};

use super::Errno;
use super::seam::{Call, call};
use crate::deadline::Deadline;

/// What a descriptor is waited for, and what it turned out to be ready for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Events {
    pub(crate) read: bool,
    pub(crate) write: bool,
    pub(crate) urgent: bool,
    /// `POLLHUP`: both directions have ended. Never waited for, always told.
    pub(crate) hang_up: bool,
    /// `POLLERR`: an error is pending. Never waited for, always told.
    pub(crate) error: bool,
}

impl Events {
    pub(crate) const READ: Events = Events {
        read: true,
        write: false,
        urgent: false,
        hang_up: false,
        error: false,
    };
    pub(crate) const WRITE: Events = Events {
        read: false,
        write: true,
        urgent: false,
        hang_up: false,
        error: false,
    };

    fn flags(self) -> PollFlags {
        let mut flags = PollFlags::empty();
        flags.set(PollFlags::IN, self.read);
        flags.set(PollFlags::OUT, self.write);
        flags.set(PollFlags::PRI, self.urgent);
        flags
    }

    fn from_flags(flags: PollFlags) -> Self {
        Self {
            read: flags.contains(PollFlags::IN),
            write: flags.contains(PollFlags::OUT),
            urgent: flags.contains(PollFlags::PRI),
            hang_up: flags.contains(PollFlags::HUP),
            error: flags.intersects(PollFlags::ERR | PollFlags::NVAL),
        }
    }

    fn any(self) -> bool {
        self != Events::default()
    }
}

/// Descriptors, each with what it is waited for.
#[derive(Debug, Default)]
pub(crate) struct Watched<'fd>(Vec<PollFd<'fd>>);

impl<'fd> Watched<'fd> {
    pub(crate) fn with_capacity(descriptors: usize) -> Self {
        Self(Vec::with_capacity(descriptors))
    }

    pub(crate) fn push(&mut self, descriptor: BorrowedFd<'fd>, events: Events) {
        self.0
            .push(PollFd::from_borrowed_fd(descriptor, events.flags()));
    }

    /// Waits until one of them is ready; how many are, 0 when the deadline passed.
    ///
    /// A signal ends the wait with `EINTR`.
    pub(crate) fn poll(&mut self, deadline: Deadline) -> Result<usize, Errno> {
        poll(&mut self.0, deadline)
    }

    /// What each was ready for when [`poll`](Self::poll) returned, in the order of pushing.
    pub(crate) fn ready(&self) -> impl Iterator<Item = Events> {
        self.0
            .iter()
            .map(|polled| Events::from_flags(polled.revents()))
    }
}

/// Waits for one descriptor; false when the deadline passed. A signal ends it with `EINTR`.
pub(crate) fn poll_one(
    descriptor: impl AsFd,
    events: Events,
    deadline: Deadline,
) -> Result<bool, Errno> {
    let mut one = [PollFd::from_borrowed_fd(descriptor.as_fd(), events.flags())];
    poll(&mut one, deadline)?;
    Ok(Events::from_flags(one[0].revents()).any())
}

/// Whether reading from a socket has been shut down, at this end or the other.
pub(crate) fn is_shut_down(socket: impl AsFd) -> bool {
    let mut one = [PollFd::from_borrowed_fd(socket.as_fd(), PollFlags::RDHUP)];
    poll(&mut one, Deadline::after(Some(Duration::ZERO))).is_ok_and(|count| count > 0)
}

/// Waits for either of two descriptors to be readable; false when the deadline passed.
fn poll_either(pair: [BorrowedFd<'_>; 2], deadline: Deadline) -> Result<bool, Errno> {
    let mut two = pair.map(|fd| PollFd::from_borrowed_fd(fd, Events::READ.flags()));
    poll(&mut two, deadline)?;
    Ok(two.iter().any(|polled| !polled.revents().is_empty()))
}

/// How long to let pass where no poll tells when it is worth trying again.
const MOMENT: Duration = Duration::from_millis(1);

/// How long an operation may wait: not at all, by a deadline, or for ever.
///
/// The clock is first read when there is something to wait for.
#[derive(Debug)]
pub(crate) struct Patience {
    waits: bool,
    timeout: Option<Duration>,
    deadline: Option<Deadline>,
    /// Whether a signal ends the wait, so that the program's handlers get their turn.
    interruptible: bool,
}

/// Why an operation ended without a result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stop {
    /// It would have had to wait and was not to.
    WouldBlock,
    /// The deadline passed.
    TimedOut,
    /// A system call failed.
    System(Errno),
}

impl Patience {
    /// Waits up to `timeout` if `blocking`, else not at all.
    pub(crate) fn new(blocking: bool, timeout: Option<Duration>) -> Self {
        Self {
            waits: blocking,
            timeout,
            deadline: None,
            interruptible: false,
        }
    }

    /// Waits up to `timeout`, or until a signal comes.
    pub(crate) fn interruptible(timeout: Option<Duration>) -> Self {
        Self {
            waits: true,
            timeout,
            deadline: None,
            interruptible: true,
        }
    }

    /// Makes a call that does not wait, again and again until it need not, waiting in between.
    pub(crate) fn retry<T>(
        &mut self,
        descriptor: impl AsFd,
        events: Events,
        mut call: impl FnMut() -> Result<T, Errno>,
    ) -> Result<T, Stop> {
        let mut waits = 0;
        loop {
            match call() {
                Ok(value) => return Ok(value),
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => {
                    if waits > 1 {
                        self.pause()?;
                    }
                    self.wait(&descriptor, events)?;
                    waits += 1;
                }
                Err(errno) => return Err(Stop::System(errno)),
            }
        }
    }

    /// Lets a moment pass, if the deadline leaves one.
    ///
    /// A poll may call ready what is not, again and again: an unconnected unix socket of
    /// datagrams is always writable, even while its receiver's queue is full.
    fn pause(&mut self) -> Result<(), Stop> {
        let deadline = self.deadline.unwrap_or(Deadline::NEVER);
        if deadline.has_passed() {
            return Err(Stop::TimedOut);
        }
        match poll(&mut [], deadline.min(Deadline::after(Some(MOMENT)))) {
            Err(errno) if errno != Errno::INTR || self.interruptible => Err(Stop::System(errno)),
            _ => Ok(()),
        }
    }

    /// Fails when the time is over, without waiting.
    pub(crate) fn check(&mut self) -> Result<(), Stop> {
        let timeout = self.timeout;
        let deadline = self
            .deadline
            .get_or_insert_with(|| Deadline::after(timeout));
        if deadline.has_passed() {
            Err(Stop::TimedOut)
        } else {
            Ok(())
        }
    }

    /// Waits until the descriptor is ready.
    pub(crate) fn wait(&mut self, descriptor: impl AsFd, events: Events) -> Result<(), Stop> {
        self.wait_by(|deadline| poll_one(&descriptor, events, deadline))
    }

    /// Waits until the descriptor is ready, or `bound` has passed.
    pub(crate) fn wait_until(
        &mut self,
        descriptor: impl AsFd,
        events: Events,
        bound: Deadline,
    ) -> Result<(), Stop> {
        self.wait_by(|deadline| {
            Ok(poll_one(&descriptor, events, deadline.min(bound))? || !deadline.has_passed())
        })
    }

    /// Waits until either of two descriptors is readable.
    pub(crate) fn wait_for_either(&mut self, pair: [BorrowedFd<'_>; 2]) -> Result<(), Stop> {
        self.wait_by(|deadline| poll_either(pair, deadline))
    }

    /// The same, but no longer than `span` at a time.
    pub(crate) fn wait_a_while_for_either(
        &mut self,
        pair: [BorrowedFd<'_>; 2],
        span: Duration,
    ) -> Result<(), Stop> {
        self.wait_by(|deadline| {
            let a_while = Deadline::after(Some(span)).min(deadline);
            Ok(poll_either(pair, a_while)? || !deadline.has_passed())
        })
    }

    /// Whether the operation may wait at all, if only for a moment.
    pub(crate) fn may_wait(&self) -> Result<(), Stop> {
        match (self.waits, self.timeout) {
            (false, _) => Err(Stop::WouldBlock),
            (true, Some(Duration::ZERO)) => Err(Stop::TimedOut),
            (true, _) => Ok(()),
        }
    }

    /// Whether the time is up, for a loop that has much to do without waiting.
    pub(crate) fn is_over(&mut self) -> bool {
        self.waits && self.deadline().has_passed()
    }

    /// Whether it has waited already, or has begun to count the time.
    pub(crate) fn has_begun(&self) -> bool {
        self.deadline.is_some()
    }

    /// The time runs from here, and not only from the first wait.
    pub(crate) fn begin(&mut self) {
        _ = self.deadline();
    }

    /// When the time is over; it runs from here, if it did not yet.
    pub(crate) fn deadline(&mut self) -> Deadline {
        *self
            .deadline
            .get_or_insert_with(|| Deadline::after(self.timeout))
    }

    /// Waits by a poll that tells whether it came before the deadline.
    fn wait_by(
        &mut self,
        mut poll: impl FnMut(Deadline) -> Result<bool, Errno>,
    ) -> Result<(), Stop> {
        if !self.waits {
            return Err(Stop::WouldBlock);
        }
        let deadline = self.deadline();
        loop {
            match poll(deadline) {
                Ok(true) => return Ok(()),
                Ok(false) => return Err(Stop::TimedOut),
                Err(Errno::INTR) if !self.interruptible => {}
                Err(errno) => return Err(Stop::System(errno)),
            }
        }
    }
}

fn poll(descriptors: &mut [PollFd<'_>], deadline: Deadline) -> Result<usize, Errno> {
    let span = deadline.remaining().map(timespec);
    match call(Call::Poll, || {
        rustix::event::poll(descriptors, span.as_ref())
    }) {
        // A simulated wait in which nothing happened.
        Err(Errno::TIME) => Ok(0),
        result => result,
    }
}

fn timespec(span: Duration) -> Timespec {
    Timespec {
        tv_sec: i64::try_from(span.as_secs()).unwrap_or(i64::MAX),
        tv_nsec: i64::from(span.subsec_nanos()),
    }
}
