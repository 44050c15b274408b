//! Waiting for many sockets, again and again, at a cost that does not grow with the idle ones.

use std::collections::HashMap;
use std::fmt;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
use std::time::Duration;

use crate::deadline::Deadline;
use crate::error::{Error, Result, Stage};
use crate::select::{Interest, Readiness};
use crate::sys::epoll::{Epoll, Mode};
use crate::sys::{Errno, failed, fork};

/// A set of sockets that is waited for as a whole: what [`select`](crate::select) does, for
/// programs that keep their own loop over thousands of them.
///
/// Each member has a key of the caller's choice, by which it is reported. It is reported as long
/// as it is ready. The poller does not see what a [`Stream`](crate::Stream) has buffered: who
/// stops reading lines while there are more says so with [`again`](Self::again).
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
    members: HashMap<RawFd, (u64, Interest)>,
    again: Vec<u64>,
    generation: u32,
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
            again: Vec::new(),
            generation,
        })
    }

    /// Adds a socket, or changes the key and the interest of one that is in the set: epoll_ctl(2).
    ///
    /// It is to be taken out with [`remove`](Self::remove) before it is closed.
    ///
    /// # Errors
    ///
    /// At [`Stage::Io`] when the system can't watch it: `EPERM` for what is always ready, as a
    /// plain file is.
    pub fn add(&mut self, socket: &impl AsFd, key: u64, interest: Interest) -> Result<()> {
        self.settle_in_this_process()?;
        let (descriptor, events) = (socket.as_fd(), interest.events());
        let token = descriptor.as_raw_fd() as u64;
        match self.epoll.add(descriptor, token, events, Mode::Level) {
            Err(Errno::EXIST) => self.epoll.modify(descriptor, token, events, Mode::Level),
            result => result,
        }
        .map_err(unwatched)?;
        self.members.insert(descriptor.as_raw_fd(), (key, interest));
        Ok(())
    }

    /// Takes a socket out.
    ///
    /// # Errors
    ///
    /// At [`Stage::Io`] when it is not in the set (`ENOENT`).
    pub fn remove(&mut self, socket: &impl AsFd) -> Result<()> {
        self.settle_in_this_process()?;
        self.members.remove(&socket.as_fd().as_raw_fd());
        self.epoll.remove(socket.as_fd()).map_err(unwatched)
    }

    /// Reports a member as readable by the next wait, which then does not wait: the stream has
    /// bytes buffered of which the system knows nothing.
    pub fn again(&mut self, key: u64) {
        self.again.push(key);
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
            let Some((key, interest)) = self.members.get(&(number as RawFd)) else {
                continue;
            };
            let (key, readiness) = (*key, Readiness::of(events, *interest));
            ready.push(Ready { key, readiness });
        }
        for key in self.again.drain(..) {
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
        for (number, (_, interest)) in &self.members {
            let added = fork::with_inherited(*number, |descriptor| {
                epoll.add(descriptor, *number as u64, interest.events(), Mode::Level)
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
