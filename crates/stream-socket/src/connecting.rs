//! A connect that does not wait.

use std::os::fd::{AsFd, BorrowedFd};
use std::time::Duration;

use crate::address::SocketAddress;
use crate::deadline::Deadline;
use crate::error::{Result, Stage};
use crate::options::{ConnectOptions, Options};
use crate::stream::Stream;
use crate::sys::epoll::{Epoll, Mode};
use crate::sys::{Errno, failed};
use crate::transport::{self, Race};
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
    race: Race,
    /// The connection, while its TLS is still to be agreed upon.
    stream: Option<Stream>,
    /// The attempts under way, behind one descriptor.
    attempts: Epoll,
}

impl Connecting {
    /// Resolves the URL's name, which may wait where the target is not numeric, and begins.
    ///
    /// # Errors
    ///
    /// As [`Stream::connect`], but for what only [`advance`](Self::advance) can find out.
    pub fn start<U: ToSocketUrl + ?Sized>(url: &U, options: &ConnectOptions) -> Result<Self> {
        let url = url.to_socket_url()?.into_owned();
        Self::over(Race::new(url, options)?)
    }

    /// Begins with addresses that [`resolve`] has told before, and so never waits. An inherited
    /// socket has none, and is taken.
    ///
    /// # Errors
    ///
    /// As [`start`](Self::start), but for resolving.
    pub fn start_at<U: ToSocketUrl + ?Sized>(
        url: &U,
        addresses: &[SocketAddress],
        options: &ConnectOptions,
    ) -> Result<Self> {
        let url = url.to_socket_url()?.into_owned();
        Self::over(Race::to(url, options, addresses.to_vec())?)
    }

    fn over(race: Race) -> Result<Self> {
        let attempts = Epoll::new().map_err(|errno| failed(Stage::Socket, race.url(), errno))?;
        Ok(Self {
            race,
            stream: None,
            attempts,
        })
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
        if self.stream.is_none()
            && let Some(connected) = self.race.step()?
        {
            Stream::share_connected(&self.race, &connected, true)?;
            let mut stream = Stream::connected(&self.race, connected)?;
            if !stream.is_handshaking() {
                return Ok(Some(stream));
            }
            stream.set_blocking(false);
            self.stream = Some(stream);
        }
        if let Some(stream) = self.stream.take() {
            return self.advance_handshake(stream);
        }
        for (descriptor, events) in self.race.descriptors() {
            let added = match self.attempts.add(descriptor, 0, events, Mode::Level) {
                Err(Errno::EXIST) => self.attempts.modify(descriptor, 0, events, Mode::Level),
                added => added,
            };
            added.map_err(|errno| failed(Stage::Socket, self.race.url(), errno))?;
        }
        Ok(None)
    }

    fn advance_handshake(&mut self, mut stream: Stream) -> Result<Option<Stream>> {
        let awaits = stream
            .handshake()
            .map_err(|error| error.with_url(self.race.url()))?;
        let Some(interest) = awaits else {
            _ = self.attempts.remove(stream.as_fd());
            stream.set_blocking(true);
            return Ok(Some(stream));
        };
        if self.race.remaining().is_some_and(|left| left.is_zero()) {
            return Err(self.race.handshake_timed_out());
        }
        let (descriptor, events) = (stream.as_fd(), interest.events());
        match self.attempts.add(descriptor, 0, events, Mode::Level) {
            Err(Errno::EXIST) => self.attempts.modify(descriptor, 0, events, Mode::Level),
            result => result,
        }
        .map_err(|errno| failed(Stage::Socket, self.race.url(), errno))?;
        self.stream = Some(stream);
        Ok(None)
    }

    /// How long until [`advance`](Self::advance) is due even if the descriptor tells nothing:
    /// another address is to be tried, or the time is up.
    pub fn next_step(&self) -> Option<Duration> {
        match &self.stream {
            None => self.race.next_step(),
            Some(stream) => {
                let handshake = stream.handshake_deadline().remaining();
                [handshake, self.race.remaining()]
                    .into_iter()
                    .flatten()
                    .min()
            }
        }
    }
}

/// The addresses that a connect with these options goes to, best first, within `timeout`: for
/// programs that connect often, or that can't wait when they do. See [`Connecting::start_at`].
///
/// They are those of the URL's target, or of the proxy where the connect goes
/// [`via`](ConnectOptions::via) one.
///
/// # Errors
///
/// At [`Stage::Parse`] for the URL, at [`Stage::Resolve`] for its name.
pub fn resolve<U: ToSocketUrl + ?Sized>(
    url: &U,
    options: &ConnectOptions,
    timeout: Option<Duration>,
) -> Result<Vec<SocketAddress>> {
    let url = url.to_socket_url()?;
    if url.transport().is_inherited() {
        // Connected already, it has no address to go to.
        return Ok(Vec::new());
    }
    let options = options.for_url(&url)?;
    transport::resolve(&url, &options, timeout, Deadline::after(timeout))
}

impl AsFd for Connecting {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.attempts.as_fd()
    }
}
