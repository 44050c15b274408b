//! Waiting for many sockets at once.

use std::fmt;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Duration;

use crate::child::ChildEnd;
use crate::connecting::{Connecting, Lookup};
use crate::datagram::DatagramSocket;
use crate::deadline::Deadline;
use crate::error::{Result, Stage};
use crate::listener::Listener;
use crate::poller::Poller;
use crate::stream::Stream;
use crate::sys::wait::{Events, Watched};
use crate::sys::{Errno, epoll, failed};

/// What a member of [`select`] is waited for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Interest(u8);

impl Interest {
    /// Bytes, a datagram, a connection, the end, or an error can be had without waiting.
    pub const READ: Interest = Interest(1);
    /// Bytes can be written without waiting.
    pub const WRITE: Interest = Interest(2);
    /// A byte was sent out of band.
    pub const URGENT: Interest = Interest(4);

    /// Both this and that.
    pub const fn and(self, other: Interest) -> Interest {
        Interest(self.0 | other.0)
    }

    fn has(self, other: Interest) -> bool {
        self.0 & other.0 != 0
    }

    pub(crate) fn events(self) -> Events {
        Events {
            read: self.has(Interest::READ),
            write: self.has(Interest::WRITE),
            urgent: self.has(Interest::URGENT),
            ..Events::default()
        }
    }
}

/// What a member of [`select`] was found ready for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Readiness {
    /// A read won't wait: bytes are there, or buffered, or the end, or an error.
    pub readable: bool,
    /// A write won't wait: there is room, or an error.
    pub writable: bool,
    /// A byte out of band is there, or an error.
    pub urgent: bool,
}

impl Readiness {
    /// Whether it is ready for anything that it was waited for.
    pub fn any(self) -> bool {
        self != Self::default()
    }

    pub(crate) const READABLE: Readiness = Readiness {
        readable: true,
        writable: false,
        urgent: false,
    };

    /// What a member of a poller was found ready for.
    pub(crate) fn of(ready: epoll::Readiness, interest: Interest) -> Self {
        Self {
            readable: interest.has(Interest::READ) && ready.read,
            writable: interest.has(Interest::WRITE) && ready.write,
            urgent: interest.has(Interest::URGENT) && ready.ended,
        }
    }

    /// An error or a hang-up is found by whatever is tried next, so it counts as that.
    fn new(events: Events, buffered: bool, interest: Interest) -> Self {
        let ended = events.error || events.hang_up;
        Self {
            readable: interest.has(Interest::READ) && (events.read || ended || buffered),
            writable: interest.has(Interest::WRITE) && (events.write || ended),
            urgent: interest.has(Interest::URGENT) && (events.urgent || ended),
        }
    }
}

/// Something that [`select`] can wait for: any descriptor, with a say on what is buffered.
pub trait Selectable: AsFd {
    /// Whether bytes can be read of which the descriptor does not know.
    fn has_buffered(&self) -> bool {
        false
    }

    /// What the descriptor must be ready for, for what is wanted to go on:
    /// [`Stream::awaits`](crate::Stream::awaits).
    fn awaits(&self, wanted: Interest) -> Interest {
        wanted
    }

    /// Whether a descriptor that is readable means something to the caller. A listener of TLS
    /// connections first goes on with its handshakes, without waiting, and says whether one is
    /// finished.
    fn is_readable(&self) -> bool {
        true
    }
}

impl Selectable for Stream {
    fn has_buffered(&self) -> bool {
        Stream::has_buffered(self)
    }

    fn awaits(&self, wanted: Interest) -> Interest {
        Stream::awaits(self, wanted)
    }
}

impl Selectable for Listener {
    fn has_buffered(&self) -> bool {
        self.has_finished()
    }

    fn is_readable(&self) -> bool {
        self.has_arrival()
    }
}

impl Selectable for DatagramSocket {}
impl Selectable for Connecting {}
impl Selectable for Lookup {}
impl Selectable for Poller {}
impl Selectable for ChildEnd {}
impl Selectable for OwnedFd {}
impl Selectable for BorrowedFd<'_> {}

/// A participant in a [`select`].
pub struct Member<'a> {
    socket: &'a dyn Selectable,
    interest: Interest,
    readiness: Readiness,
}

impl<'a> Member<'a> {
    /// Waits for `socket` to be ready for what is of `interest`.
    pub fn new(socket: &'a dyn Selectable, interest: Interest) -> Self {
        Self {
            socket,
            interest,
            readiness: Readiness::default(),
        }
    }

    /// What it is ready for, its descriptor being ready for `events`.
    fn judge(&self, mut events: Events) -> Readiness {
        if self.socket.awaits(self.interest) != self.interest {
            // Whatever it waited for, the operation that is wanted goes on.
            let ready = events.read || events.write;
            (events.read, events.write) = (ready, ready);
        }
        let wants_read = self.interest.has(Interest::READ);
        if events.read && wants_read && !self.socket.is_readable() {
            events.read = false;
        }
        Readiness::new(events, self.socket.has_buffered(), self.interest)
    }

    /// What it was ready for when [`select`] returned.
    pub fn readiness(&self) -> Readiness {
        self.readiness
    }
}

impl fmt::Debug for Member<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Member")
            .field("socket", &self.socket.as_fd())
            .field("interest", &self.interest)
            .field("readiness", &self.readiness)
            .finish()
    }
}

/// Waits until a member is ready, or `timeout` is over; how many are ready. `None` waits for ever.
///
/// Bytes that a stream has buffered make it readable at once, and the other members are looked at
/// all the same. There is no limit on the number of a descriptor. This is ppoll(2): its cost
/// grows with the number of members.
///
/// # Errors
///
/// At [`Stage::Io`]: a signal came (`EINTR`), so that the caller's handlers run; there are more
/// members than the process may have descriptors (`EINVAL`).
///
/// # Examples
///
/// ```
/// use std::io::Write;
/// use std::time::Duration;
/// use stream_socket::{Interest, Member, Stream, Transport, select};
///
/// let (one, mut other) = Stream::pair(Transport::Unix)?;
/// other.write_all(b"x")?;
/// let mut members = [Member::new(&one, Interest::READ), Member::new(&other, Interest::READ)];
/// assert_eq!(select(&mut members, Some(Duration::from_secs(1)))?, 1);
/// assert!(members[0].readiness().readable);
/// assert!(!members[1].readiness().any());
/// # Ok::<(), std::io::Error>(())
/// ```
pub fn select(members: &mut [Member<'_>], timeout: Option<Duration>) -> Result<usize> {
    let deadline = Deadline::after(timeout);
    loop {
        let woken = look(members, deadline).map_err(|errno| {
            failed(Stage::Io, format_args!("{} sockets", members.len()), errno)
                .with_action("wait for")
        })?;
        let count = members
            .iter()
            .filter(|member| member.readiness.any())
            .count();
        // What woke it may be nothing to its callers: a step of a handshake.
        if count > 0 || !woken || deadline.has_passed() {
            return Ok(count);
        }
    }
}

/// Waits once; whether a descriptor was ready.
fn look(members: &mut [Member<'_>], deadline: Deadline) -> std::result::Result<bool, Errno> {
    let mut watched = Watched::with_capacity(members.len());
    for member in members.iter() {
        watched.push(
            member.socket.as_fd(),
            member.socket.awaits(member.interest).events(),
        );
    }
    // Only now: a descriptor that is made on demand may have brought datagrams along.
    let is_buffered =
        |member: &Member<'_>| member.interest.has(Interest::READ) && member.socket.has_buffered();
    let deadline = if members.iter().any(is_buffered) {
        Deadline::after(Some(Duration::ZERO))
    } else {
        deadline
    };
    let woken = watched.poll(deadline)? > 0;
    let ready: Vec<Events> = watched.ready().collect();
    for (member, events) in members.iter_mut().zip(ready) {
        member.readiness = member.judge(events);
    }
    Ok(woken)
}
