//! Readiness of many descriptors at a cost that does not grow with the idle ones: [epoll(7)].
//!
//! [epoll(7)]: https://man7.org/linux/man-pages/man7/epoll.7.html

use std::cell::OnceCell;
use std::fmt;
use std::mem::MaybeUninit;
use std::ops::Deref;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::time::Duration;

use rustix::buffer::spare_capacity;
use rustix::event::epoll::{self, CreateFlags, EventData, EventFlags};
use rustix::event::{EventfdFlags, Timespec, eventfd};

use super::Errno;
use super::seam::{Call, call};
use super::wait::Events;

/// Events that one wait may bring; more come with the next.
const EVENTS: usize = 256;

/// How a descriptor is watched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    /// Reported as long as it is ready.
    Level,
    /// Reported when it becomes ready, and the end of what the peer sends as well.
    Edge,
    /// Level, and of several sets that watch it only one or some are told: `EPOLLEXCLUSIVE`.
    Exclusive,
}

/// A set of watched descriptors, each with a token of the caller's. Threads may share it.
#[derive(Debug)]
pub(crate) struct WatchSet(OwnedFd);

/// A set, and room for what a loop hears of it.
pub(crate) struct Epoll {
    set: WatchSet,
    events: Vec<epoll::Event>,
}

impl fmt::Debug for Epoll {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Epoll")
            .field("set", &self.set)
            .finish_non_exhaustive()
    }
}

impl Epoll {
    /// epoll_create1(2).
    pub(crate) fn new() -> Result<Self, Errno> {
        Ok(Self {
            set: WatchSet::new()?,
            events: Vec::new(),
        })
    }

    /// epoll_wait(2): waits for events up to `timeout`; how many came. A signal ends it (`EINTR`).
    pub(crate) fn wait(&mut self, timeout: Option<Duration>) -> Result<usize, Errno> {
        self.events.clear();
        self.events.reserve(EVENTS);
        let span = timeout.map(timespec);
        let (set, events) = (&self.set, &mut self.events);
        match call(Call::Poll, || {
            epoll::wait(&set.0, spare_capacity(events), span.as_ref())
        }) {
            // A simulated wait in which nothing happened.
            Err(Errno::TIME) => Ok(0),
            result => result,
        }
    }

    /// The event at `index` of the last wait: the token, and what its descriptor is ready for.
    pub(crate) fn event(&self, index: usize) -> (u64, Readiness) {
        let event = self.events[index];
        (event.data.u64(), readiness(event.flags))
    }

    /// Puts the events of the last wait into another order.
    #[cfg(feature = "simulation")]
    pub(crate) fn swap_events(&mut self, one: usize, other: usize) {
        self.events.swap(one, other);
    }
}

impl Deref for Epoll {
    type Target = WatchSet;

    fn deref(&self) -> &WatchSet {
        &self.set
    }
}

impl WatchSet {
    /// epoll_create1(2).
    pub(crate) fn new() -> Result<Self, Errno> {
        call(Call::Watch, || epoll::create(CreateFlags::CLOEXEC)).map(Self)
    }

    /// epoll_ctl(EPOLL_CTL_ADD). A descriptor that is closed everywhere leaves by itself.
    pub(crate) fn add(
        &self,
        descriptor: BorrowedFd<'_>,
        token: u64,
        events: Events,
        mode: Mode,
    ) -> Result<(), Errno> {
        let (data, flags) = (EventData::new_u64(token), flags(events, mode));
        call(Call::Watch, || epoll::add(&self.0, descriptor, data, flags))
    }

    /// epoll_ctl(EPOLL_CTL_MOD): what it is watched for. Ready at once, it is reported again.
    pub(crate) fn modify(
        &self,
        descriptor: BorrowedFd<'_>,
        token: u64,
        events: Events,
        mode: Mode,
    ) -> Result<(), Errno> {
        let (data, flags) = (EventData::new_u64(token), flags(events, mode));
        call(Call::Watch, || {
            epoll::modify(&self.0, descriptor, data, flags)
        })
    }

    /// epoll_ctl(EPOLL_CTL_DEL).
    pub(crate) fn remove(&self, descriptor: BorrowedFd<'_>) -> Result<(), Errno> {
        call(Call::Watch, || epoll::delete(&self.0, descriptor))
    }

    /// epoll_wait(2) by any thread, also while others wait in it: tells `each` token of what is
    /// ready, up to 64 at a time. A signal ends it (`EINTR`).
    pub(crate) fn collect(
        &self,
        timeout: Option<Duration>,
        mut each: impl FnMut(u64),
    ) -> Result<(), Errno> {
        let mut events = [MaybeUninit::uninit(); EVENTS / 4];
        let span = timeout.map(timespec);
        let came = match call(Call::Poll, || {
            epoll::wait(&self.0, &mut events, span.as_ref())
        }) {
            Ok((came, _)) => came,
            // A simulated wait in which nothing happened.
            Err(Errno::TIME) => return Ok(()),
            Err(errno) => return Err(errno),
        };
        for event in came {
            let data = event.data;
            each(data.u64());
        }
        Ok(())
    }
}

fn timespec(span: Duration) -> Timespec {
    Timespec {
        tv_sec: i64::try_from(span.as_secs())
            .unwrap_or(i64::MAX)
            .min(1 << 20),
        tv_nsec: i64::from(span.subsec_nanos()),
    }
}

/// Of use to others: what is watched makes it readable.
impl From<Epoll> for OwnedFd {
    fn from(epoll: Epoll) -> Self {
        epoll.set.0
    }
}

impl AsFd for Epoll {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.set.as_fd()
    }
}

impl AsFd for WatchSet {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// What a watched descriptor is ready for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Readiness {
    pub(crate) read: bool,
    pub(crate) write: bool,
    /// The peer has finished sending, an error is pending, or a byte out of band came: reading
    /// must go on until it would block, also after a short read.
    pub(crate) ended: bool,
}

fn flags(events: Events, mode: Mode) -> EventFlags {
    let mut flags = EventFlags::empty();
    flags.set(EventFlags::IN, events.read);
    flags.set(EventFlags::OUT, events.write);
    flags.set(EventFlags::PRI, events.urgent);
    match mode {
        Mode::Level => flags,
        Mode::Edge => flags | EventFlags::ET | EventFlags::RDHUP | EventFlags::PRI,
        Mode::Exclusive => flags | EventFlags::EXCLUSIVE,
    }
}

fn readiness(flags: EventFlags) -> Readiness {
    let broken = flags.intersects(EventFlags::ERR | EventFlags::HUP);
    let ended = broken || flags.intersects(EventFlags::RDHUP | EventFlags::PRI);
    Readiness {
        read: ended || flags.contains(EventFlags::IN),
        write: broken || flags.contains(EventFlags::OUT),
        ended,
    }
}

/// A descriptor that threads ring to wake one another: [eventfd(2)].
///
/// [eventfd(2)]: https://man7.org/linux/man-pages/man2/eventfd.2.html
#[derive(Debug)]
pub(crate) struct Bell(OwnedFd);

thread_local! {
    /// A thread waits for one thing at a time, so one is enough for all its waits.
    static OF_THIS_THREAD: OnceCell<Arc<Bell>> = const { OnceCell::new() };
}

impl Bell {
    pub(crate) fn new() -> Result<Self, Errno> {
        let flags = EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK;
        call(Call::Watch, || eventfd(0, flags)).map(Self)
    }

    /// The one that this thread waits on, made when it first does.
    pub(crate) fn of_this_thread() -> Result<Arc<Self>, Errno> {
        OF_THIS_THREAD.with(|cell| match cell.get() {
            Some(bell) => Ok(Arc::clone(bell)),
            None => {
                let made = Arc::new(Self::new()?);
                Ok(Arc::clone(cell.get_or_init(|| made)))
            }
        })
    }

    /// Makes it readable.
    pub(crate) fn ring(&self) {
        // It fails only when it has been rung 2^64 times and so is readable already.
        _ = rustix::io::write(&self.0, &1_u64.to_ne_bytes());
    }

    /// Makes it unreadable until it is rung again.
    pub(crate) fn silence(&self) {
        _ = rustix::io::read(&self.0, &mut [0_u8; 8]);
    }
}

impl AsFd for Bell {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}
