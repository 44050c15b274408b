//! A connect that does not wait.

mod approach;
mod lookup;
mod route;

use std::os::fd::{AsFd, BorrowedFd};
use std::time::Duration;

pub(crate) use self::approach::Approach;
pub use self::lookup::Lookup;
pub use self::route::{Route, resolve};
use crate::error::{Result, Stage};
use crate::options::ConnectOptions;
use crate::stream::Stream;
use crate::sys::epoll::{Epoll, Mode};
use crate::sys::{Errno, failed};
use crate::url::ToSocketUrl;

/// A connect under way: PHP's `STREAM_CLIENT_ASYNC_CONNECT`, that tells how it ended.
///
/// Its descriptor is readable when there is progress; [`advance`](Self::advance) then says
/// whether the stream is there, has failed, or is still awaited.
///
/// # Examples
///
/// ```
/// use stream_socket::{ConnectOptions, Connecting, Interest, ListenOptions, Listener, Member};
///
/// let listener = Listener::bind("tcp://127.0.0.1:0", &ListenOptions::default())?;
/// let mut connecting = Connecting::start(listener.url(), &ConnectOptions::default())?;
/// let stream = loop {
///     if let Some(stream) = connecting.advance()? {
///         break stream;
///     }
///     let wait = connecting.next_step();
///     stream_socket::select(&mut [Member::new(&connecting, Interest::READ)], wait)?;
/// };
/// assert_eq!(stream.peer_addr(), Some(listener.local_addr()));
/// # Ok::<(), stream_socket::Error>(())
/// ```
#[derive(Debug)]
pub struct Connecting {
    approach: Approach,
    /// What is waited for, behind one descriptor.
    attempts: Epoll,
}

impl Connecting {
    /// Resolves the URL's name, which may wait where the target is not numeric, and begins.
    ///
    /// # Errors
    ///
    /// As [`Stream::connect`], but for what only [`advance`](Self::advance) can find out.
    pub fn start<U: ToSocketUrl + ?Sized>(url: &U, options: &ConnectOptions) -> Result<Self> {
        Self::on(&Route::new(url, options)?)
    }

    /// The same on a route, which does not wait if that [has its addresses](Route::to).
    ///
    /// # Errors
    ///
    /// As [`start`](Self::start).
    pub fn on(route: &Route) -> Result<Self> {
        Self::over(route.approach()?)
    }

    pub(crate) fn over(approach: Approach) -> Result<Self> {
        let attempts =
            Epoll::new().map_err(|errno| failed(Stage::Socket, approach.url(), errno))?;
        Ok(Self { approach, attempts })
    }

    /// Goes on as far as it can without waiting; `None` while it is undecided.
    ///
    /// The first call starts the first attempt. To call it before there is progress is harmless.
    ///
    /// # Errors
    ///
    /// As [`Stream::connect`]: all addresses failed, each with its reason, the handshake of TLS
    /// did, or the time is up.
    pub fn advance(&mut self) -> Result<Option<Stream>> {
        let stream = self.approach.advance()?;
        match &stream {
            // It is the caller's from here on.
            Some(stream) => _ = self.attempts.remove(stream.as_fd()),
            None => self.watch()?,
        }
        Ok(stream)
    }

    fn watch(&self) -> Result<()> {
        for (descriptor, events) in self.approach.descriptors() {
            match self.attempts.add(descriptor, 0, events, Mode::Level) {
                Err(Errno::EXIST) => self.attempts.modify(descriptor, 0, events, Mode::Level),
                added => added,
            }
            .map_err(|errno| failed(Stage::Socket, self.approach.url(), errno))?;
        }
        Ok(())
    }

    /// How long until [`advance`](Self::advance) is due even if the descriptor tells nothing:
    /// another address is to be tried, or the time is up.
    pub fn next_step(&self) -> Option<Duration> {
        self.approach.next_step()
    }
}

impl AsFd for Connecting {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.attempts.as_fd()
    }
}
