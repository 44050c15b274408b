//! Waiting for many sockets, again and again, at a cost that does not grow with the idle ones.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
use std::time::Duration;

use crate::deadline::Deadline;
use crate::error::{Error, Result, Stage};
use crate::select::{Interest, Readiness, Selectable};
use crate::sys::epoll::{self, Epoll, Mode};
use crate::sys::{Errno, failed, fork};

/// A set of sockets that is waited for as a whole: what [`select`](crate::select) does, for
/// programs that keep their own loop over thousands of them.
///
/// Each member has a key of the caller's choice, by which it is reported. It is reported as long
/// as its descriptor is ready.
///
/// What a [`Stream`](crate::Stream) has buffered, and what it waits for over TLS
/// ([`Selectable::awaits`]), the poller learns when the stream is added. So who has read or
/// written in part [adds](Self::add) it once more, and is told at once of bytes that were
/// decrypted already. Over TLS that goes for each read, write and step of a handshake; who reads
/// until it would block need not, once the handshake is finished.
///
/// A child that is forked goes on with a set of its own, of the same members.
///
/// # Examples
///
/// ```
/// use std::io::Write;
/// use stream_socket::{Interest, Poller, Stream, Transport};
///
/// let (one, mut other) = Stream::pair(Transport::Unix)?;
/// let mut poller = Poller::new()?;
/// poller.add(&one, 7, Interest::READ)?;
/// other.write_all(b"x")?;
///
/// let mut ready = Vec::new();
/// poller.wait(&mut ready, None)?;
/// assert_eq!(ready.len(), 1);
/// assert!(ready[0].key == 7 && ready[0].readiness.readable);
/// # Ok::<(), std::io::Error>(())
/// ```
pub struct Poller {
    epoll: Epoll,
    members: HashMap<RawFd, Watching>,
    again: HashSet<u64>,
    generation: u32,
}

/// What a member is waited for.
#[derive(Clone, Copy)]
struct Watching {
    key: u64,
    interest: Interest,
    /// What its descriptor has to be ready for.
    awaits: Interest,
}

impl Watching {
    fn judge(self, mut ready: epoll::Readiness) -> Readiness {
        if self.awaits != self.interest {
            // Whatever it waited for, the operation that is wanted goes on.
            let any = ready.read || ready.write;
            (ready.read, ready.write) = (any, any);
        }
        Readiness::of(ready, self.interest)
    }
}

/// A member of a [`Poller`] that is ready.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Ready {
    /// The key that it was added with.
    pub key: u64,
    /// What it is ready for.
    pub readiness: Readiness,
}

impl Poller {
    /// An empty set: epoll_create1(2).
    ///
    /// # Errors
    ///
    /// At [`Stage::Socket`] when the system has no descriptors left.
    pub fn new() -> Result<Self> {
        let epoll = Epoll::new().map_err(|errno| failed(Stage::Socket, "a poller", errno))?;
        let generation = fork::generation();
        Ok(Self {
            epoll,
            members: HashMap::new(),
            again: HashSet::new(),
            generation,
        })
    }

    /// Adds a socket, or looks once more at one that is in the set, whose key and interest may
    /// change: epoll_ctl(2). If it has bytes buffered that are wanted, the next wait tells of them
    /// and does not wait.
    ///
    /// It is to be taken out with [`remove`](Self::remove) before it is closed.
    ///
    /// # Errors
    ///
    /// At [`Stage::Io`] when the system can't watch it: `EPERM` for what is always ready, as a
    /// plain file is.
    pub fn add(&mut self, socket: &impl Selectable, key: u64, interest: Interest) -> Result<()> {
        self.settle_in_this_process()?;
        let (descriptor, awaits) = (socket.as_fd(), socket.awaits(interest));
        let events = awaits.events();
        let token = descriptor.as_raw_fd() as u64;
        match self.epoll.add(descriptor, token, events, Mode::Level) {
            Err(Errno::EXIST) => self.epoll.modify(descriptor, token, events, Mode::Level),
            result => result,
        }
        .map_err(unwatched)?;
        let watching = Watching {
            key,
            interest,
            awaits,
        };
        self.members.insert(descriptor.as_raw_fd(), watching);
        if interest.events().read && socket.has_buffered() {
            self.again(key);
        }
        Ok(())
    }

    /// Takes a socket out.
    ///
    /// # Errors
    ///
    /// At [`Stage::Io`] when it is not in the set (`ENOENT`).
    pub fn remove(&mut self, socket: &impl AsFd) -> Result<()> {
        self.settle_in_this_process()?;
        if let Some(watching) = self.members.remove(&socket.as_fd().as_raw_fd()) {
            self.again.remove(&watching.key);
        }
        self.epoll.remove(socket.as_fd()).map_err(unwatched)
    }

    /// Reports a member as readable by the next wait, which then does not wait: the stream has
    /// bytes buffered of which the system knows nothing.
    pub fn again(&mut self, key: u64) {
        self.again.insert(key);
    }

    /// How many members there are.
    pub fn len(&self) -> usize {
        self.members.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    /// Waits until a member is ready, or `timeout` is over, and puts those that are in place of
    /// what `ready` held; how many. `None` waits for ever. At most 256 come at once, the others
    /// with the next wait.
    ///
    /// # Errors
    ///
    /// At [`Stage::Io`]: a signal came (`EINTR`), so that the caller's handlers run.
    pub fn wait(&mut self, ready: &mut Vec<Ready>, timeout: Option<Duration>) -> Result<usize> {
        self.settle_in_this_process()?;
        ready.clear();
        let timeout = if self.again.is_empty() {
            timeout
        } else {
            Some(Duration::ZERO)
        };
        let deadline = Deadline::after(timeout);
        let count = self
            .epoll
            .wait(deadline.remaining())
            .map_err(|errno| failed(Stage::Io, "a poller", errno).with_action("wait in"))?;
        for index in 0..count {
            let (number, events) = self.epoll.event(index);
            // One that was closed without being taken out is nobody's any more.
            let Some(watching) = self.members.get(&(number as RawFd)) else {
                continue;
            };
            let (key, readiness) = (watching.key, watching.judge(events));
            ready.push(Ready { key, readiness });
        }
        for key in self.again.drain() {
            match ready.iter_mut().find(|ready| ready.key == key) {
                Some(ready) => ready.readiness.readable = true,
                None => ready.push(Ready {
                    key,
                    readiness: Readiness::READABLE,
                }),
            }
        }
        Ok(ready.len())
    }

    /// In a child that was forked, makes a set of its own: that of the parent reports to both.
    fn settle_in_this_process(&mut self) -> Result<()> {
        if self.generation == fork::generation() {
            return Ok(());
        }
        let epoll = Epoll::new().map_err(|errno| failed(Stage::Socket, "a poller", errno))?;
        for (number, watching) in &self.members {
            let added = fork::with_inherited(*number, |descriptor| {
                epoll.add(
                    descriptor,
                    *number as u64,
                    watching.awaits.events(),
                    Mode::Level,
                )
            });
            match added {
                // It was closed without being taken out.
                Ok(()) | Err(Errno::BADF | Errno::PERM) => {}
                Err(errno) => return Err(unwatched(errno)),
            }
        }
        (self.epoll, self.generation) = (epoll, fork::generation());
        Ok(())
    }
}

/// Readable when a member is ready: a poller can be a member of another, or of a foreign loop.
impl AsFd for Poller {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.epoll.as_fd()
    }
}

impl fmt::Debug for Poller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Poller")
            .field("members", &self.members.len())
            .finish_non_exhaustive()
    }
}

fn unwatched(errno: Errno) -> Error {
    failed(Stage::Io, "a member of a poller", errno).with_action("watch")
}
