//! Connecting: all addresses of a name, staggered, the first to answer wins.
//!
//! [RFC 8305] ("Happy Eyeballs"): the addresses are taken in turn from both families; each is
//! given a head start over the next, which is then tried beside it; one that fails makes room at
//! once. One deadline covers resolving and all attempts. Sections 3 and 4, about asking for both
//! kinds of address apart, are left to getaddrinfo(3), which gives one ordered answer.
//!
//! [RFC 8305]: https://www.rfc-editor.org/rfc/rfc8305

use std::collections::VecDeque;
use std::fmt::Write as _;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::time::Duration;

use super::apply;
use super::bind::bind_or_replace;
use super::endpoint::{Endpoint, endpoints, open};
use super::inherited::{Inherited, refuse_connecting};
use super::local::local_endpoint;
use super::prelude::{self, Prelude, Step};
use super::tls::{ClientContext, PeerName, Session};
use super::via::Via;
use crate::address::SocketAddress;
use crate::deadline::Deadline;
use crate::error::{Error, Limit, Result, Stage};
use crate::options::{ConnectOptions, Options};
use crate::sys::socket::Family;
use crate::sys::unix::SocketFile;
use crate::sys::wait::{Events, Watched};
use crate::sys::{self, Errno, failed, option, phrase};
use crate::url::{Host, SocketUrl, Target};

/// PHP's `default_socket_timeout`.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(60);

/// RFC 8305 section 5, "Connection Attempt Delay": the recommended value.
const ATTEMPT_DELAY: Duration = Duration::from_millis(250);

/// The attempts to connect to one URL.
#[derive(Debug)]
pub(crate) struct Race {
    url: SocketUrl,
    options: ConnectOptions,
    local: Option<Endpoint>,
    /// What a connection is made TLS with, and whose name it looks for.
    tls: Option<(Arc<ClientContext>, PeerName)>,
    deadline: Deadline,
    waiting: VecDeque<SocketAddress>,
    running: Vec<Attempt>,
    failures: Vec<Failure>,
    /// When the next address is tried beside those that run.
    next_start: Deadline,
    /// Whether a step may wait where nothing else tells of progress.
    waits: bool,
    /// A socket that is connected already.
    inherited: Option<Connected>,
    /// The proxy that it goes by.
    via: Option<Via>,
    /// The connection on which something is said first.
    prelude: Option<Box<Prelude>>,
}

/// A connect under way.
#[derive(Debug)]
struct Attempt {
    socket: OwnedFd,
    address: SocketAddress,
    file: Option<SocketFile>,
}

/// A connect that failed.
#[derive(Debug)]
struct Failure {
    address: SocketAddress,
    errno: Errno,
}

/// A socket that is connected, and to where.
#[derive(Debug)]
pub(crate) struct Connected {
    pub(crate) socket: OwnedFd,
    /// Where that is; nothing of an inherited socket whose peer has no name.
    pub(crate) peer: Option<SocketAddress>,
    /// Whether the socket was connected by others, who may share it.
    pub(crate) is_inherited: bool,
    /// The file of its own name, to remove when it is closed.
    pub(crate) file: Option<SocketFile>,
    /// What goes before each datagram.
    pub(crate) prefix: Option<Box<[u8]>>,
}

impl Attempt {
    fn connected(self) -> Connected {
        Connected {
            socket: self.socket,
            peer: Some(self.address),
            is_inherited: false,
            file: self.file,
            prefix: None,
        }
    }
}

impl Race {
    /// Resolves the name and lines the addresses up; none is tried yet. An inherited socket is
    /// taken.
    pub(crate) fn new(url: SocketUrl, options: &ConnectOptions) -> Result<Self> {
        if url.transport().is_inherited() {
            return Self::over(Inherited::take_next(&url)?, options);
        }
        let options = options.for_url(&url)?;
        let timeout = options.connect_timeout.unwrap_or(CONNECT_TIMEOUT);
        let deadline = Deadline::after(Some(timeout));
        let addresses = resolve(&url, &options, Some(timeout), deadline)?;
        Self::among(url, options, addresses, deadline)
    }

    /// Lines up addresses that the name was resolved to before.
    pub(crate) fn to(
        url: SocketUrl,
        options: &ConnectOptions,
        addresses: Vec<SocketAddress>,
    ) -> Result<Self> {
        if url.transport().is_inherited() {
            return Self::over(Inherited::take_next(&url)?, options);
        }
        let options = options.for_url(&url)?;
        let timeout = options.connect_timeout.unwrap_or(CONNECT_TIMEOUT);
        Self::among(url, options, addresses, Deadline::after(Some(timeout)))
    }

    /// What is connected already: all that is left is to set options, and to say what comes first.
    pub(crate) fn over(inherited: Inherited, options: &ConnectOptions) -> Result<Self> {
        let url = inherited.url().clone();
        refuse_connecting(&url, options)?;
        let mut options = options.for_url(&url)?;
        refuse_connecting(&url, &options)?;
        let (socket, peer) = inherited.into_connected()?;
        apply::socket_options(socket.as_fd(), &url, &options.socket)?;
        // Its name is no name to be taken, and its peer's no address to go to.
        options.bind = None;
        let timeout = options.connect_timeout.unwrap_or(CONNECT_TIMEOUT);
        let mut race = Self::among(url, options, Vec::new(), Deadline::after(Some(timeout)))?;
        race.inherited = Some(Connected {
            socket,
            peer,
            is_inherited: true,
            file: None,
            prefix: None,
        });
        Ok(race)
    }

    fn among(
        url: SocketUrl,
        options: ConnectOptions,
        addresses: Vec<SocketAddress>,
        deadline: Deadline,
    ) -> Result<Self> {
        let via = prelude::via(&options, &url)?;
        let local = local_endpoint(&url, options.bind.as_deref())?;
        let tls = match url.transport() {
            transport if transport.is_tls() => Some((
                ClientContext::of(&url, transport, &options.tls)?,
                PeerName::of(&url, &options.tls)?,
            )),
            _ => None,
        };
        let waiting = interleaved(addresses);
        let (running, failures) = (Vec::new(), Vec::new());
        let next_start = Deadline::NEVER;
        Ok(Self {
            url,
            options,
            local,
            tls,
            deadline,
            waiting,
            running,
            failures,
            next_start,
            waits: false,
            inherited: None,
            via,
            prelude: None,
        })
    }

    /// Goes on without waiting: starts what is due and looks at what runs; what is first to be
    /// said on a connection is said.
    ///
    /// `None` while nothing is decided.
    pub(crate) fn step(&mut self) -> Result<Option<Connected>> {
        let step = match self.prelude.take() {
            Some(prelude) => prelude.advance(&self.url)?,
            None => match self.connect_next()? {
                Some(connected) => {
                    // The others have lost.
                    self.running.clear();
                    self.waiting.clear();
                    Prelude::begin(connected, self.via.take(), &self.options, &self.url)?
                }
                None => return Ok(None),
            },
        };
        match step {
            Step::Done(connected) => Ok(Some(connected)),
            Step::Wait(_) if self.deadline.has_passed() => Err(self.timed_out()),
            Step::Wait(prelude) => {
                self.prelude = Some(prelude);
                Ok(None)
            }
        }
    }

    /// Goes on until one address has answered.
    fn connect_next(&mut self) -> Result<Option<Connected>> {
        if let Some(connected) = self.inherited.take() {
            return Ok(Some(connected));
        }
        if let Some(connected) = self.finished()? {
            return Ok(Some(connected));
        }
        while !self.waiting.is_empty() && (self.running.is_empty() || self.next_start.has_passed())
        {
            if let Some(connected) = self.start_next()? {
                return Ok(Some(connected));
            }
        }
        if !self.running.is_empty() && self.deadline.has_passed() {
            // What has just been started may be answered already: a zero timeout looks once.
            return match self.finished()? {
                None if !self.running.is_empty() => Err(self.timed_out()),
                None => Err(self.lost()),
                connected => Ok(connected),
            };
        }
        if self.running.is_empty() {
            return Err(self.lost());
        }
        Ok(None)
    }

    /// Goes on until it is decided.
    pub(crate) fn run(&mut self) -> Result<Connected> {
        self.waits = true;
        loop {
            if let Some(connected) = self.step()? {
                return Ok(connected);
            }
            let due = if self.waiting.is_empty() {
                Deadline::NEVER
            } else {
                self.next_start
            };
            match self.watched().poll(self.deadline.min(due)) {
                Ok(_) | Err(Errno::INTR) => {}
                Err(errno) => return Err(failed(Stage::Connect, &self.url, errno)),
            }
        }
    }

    /// Starts and does not wait: the first socket whose connect was not refused at once.
    pub(crate) fn begin(&mut self) -> Result<Connected> {
        loop {
            if let Some(connected) = self.step()? {
                return Ok(connected);
            }
            // One that has something to say first is waited for: it is the first who speaks.
            if self.via.is_some() || self.options.send_proxy.is_some() {
                return self.run();
            }
            if let Some(attempt) = self.running.pop() {
                return Ok(attempt.connected());
            }
        }
    }

    pub(crate) fn url(&self) -> &SocketUrl {
        &self.url
    }

    pub(crate) fn options(&self) -> &ConnectOptions {
        &self.options
    }

    /// The client's end of TLS, where the transport has it.
    pub(crate) fn session(&self) -> Result<Option<Session>> {
        let Some((context, name)) = &self.tls else {
            return Ok(None);
        };
        context.session(&self.url, name).map(Some)
    }

    /// How long is left for all of it.
    pub(crate) fn remaining(&self) -> Option<Duration> {
        self.deadline.remaining()
    }

    /// The error of a handshake for which there was no time left.
    pub(crate) fn handshake_timed_out(&self) -> Error {
        let timeout = self.options.connect_timeout.unwrap_or(CONNECT_TIMEOUT);
        sys::timed_out(Stage::Handshake, &self.url, Limit::Connect, Some(timeout))
    }

    /// The descriptors of the attempts that run, and what each waits for.
    pub(crate) fn descriptors(&self) -> impl Iterator<Item = (BorrowedFd<'_>, Events)> {
        let prelude = self.prelude.iter();
        let prelude = prelude.map(|prelude| (prelude.connected().socket.as_fd(), prelude.events()));
        let attempts = self.running.iter();
        attempts
            .map(|attempt| (attempt.socket.as_fd(), Events::WRITE))
            .chain(prelude)
    }

    /// How long until [`step`](Self::step) has something to do that no descriptor tells.
    pub(crate) fn next_step(&self) -> Option<Duration> {
        let due = if self.waiting.is_empty() {
            Deadline::NEVER
        } else {
            self.next_start
        };
        self.deadline.min(due).remaining()
    }

    fn watched(&self) -> Watched<'_> {
        let mut watched = Watched::with_capacity(self.running.len() + 1);
        for (descriptor, events) in self.descriptors() {
            watched.push(descriptor, events);
        }
        watched
    }

    /// The attempt that has been answered, if one has; those that failed are put aside.
    fn finished(&mut self) -> Result<Option<Connected>> {
        if self.running.is_empty() {
            return Ok(None);
        }
        let mut watched = self.watched();
        match watched.poll(Deadline::after(Some(Duration::ZERO))) {
            Ok(0) | Err(Errno::INTR) => return Ok(None),
            Ok(_) => {}
            Err(errno) => return Err(failed(Stage::Connect, &self.url, errno)),
        }
        let ready: Vec<bool> = watched
            .ready()
            .map(|events| events != Events::default())
            .collect();
        for index in (0..ready.len()).rev().filter(|index| ready[*index]) {
            let attempt = self.running.remove(index);
            match sys::socket::take_error(attempt.socket.as_fd()) {
                Ok(()) => return Ok(Some(attempt.connected())),
                Err(errno) => self.fail(attempt.address, errno),
            }
        }
        Ok(None)
    }

    /// A failure lets the next address start at once.
    fn fail(&mut self, address: SocketAddress, errno: Errno) {
        self.failures.push(Failure { address, errno });
        self.next_start = Deadline::after(Some(Duration::ZERO));
    }

    fn start_next(&mut self) -> Result<Option<Connected>> {
        let Some(address) = self.waiting.pop_front() else {
            return Ok(None);
        };
        let delay = self.options.attempt_delay.unwrap_or(ATTEMPT_DELAY);
        self.next_start = Deadline::after(Some(delay));
        let socket = match open(self.url.transport(), Family::of(&address)) {
            Ok(socket) => socket,
            // A family that this host lacks says nothing about the other one.
            Err(Errno::AFNOSUPPORT) => {
                self.fail(address, Errno::AFNOSUPPORT);
                return Ok(None);
            }
            Err(errno) => return Err(failed(Stage::Socket, &self.url, errno)),
        };
        apply::socket_options(socket.as_fd(), &self.url, &self.options.socket)?;
        let local = self.local.as_ref();
        if local.is_some_and(|local| local.family() != Family::of(&address)) {
            self.fail(address, Errno::AFNOSUPPORT);
            return Ok(None);
        }
        let file = self.bind_local(&socket)?;
        let result = self.connect(&socket, &address);
        let attempt = Attempt {
            socket,
            address,
            file,
        };
        match result {
            Ok(()) => return Ok(Some(attempt.connected())),
            Err(Errno::INPROGRESS) => self.running.push(attempt),
            Err(errno) => self.fail(attempt.address, errno),
        }
        Ok(None)
    }

    /// Binds to the local address; the file that was made, if it is a path.
    fn bind_local(&self, socket: &OwnedFd) -> Result<Option<SocketFile>> {
        let Some(local) = &self.local else {
            return Ok(None);
        };
        bind_or_replace(local, socket, true, None)
            .and_then(|()| match local {
                Endpoint::Address(SocketAddress::Unix(unix)) => {
                    unix.as_path().map(SocketFile::adopt).transpose()
                }
                _ => Ok(None),
            })
            .map_err(|errno| {
                let from = self.options.bind.as_deref().unwrap_or("@");
                failed(Stage::Bind, from, errno)
            })
    }

    /// connect(2), which answers at once for unix sockets and starts an attempt for others.
    fn connect(&self, socket: &OwnedFd, address: &SocketAddress) -> std::result::Result<(), Errno> {
        match sys::socket::connect(socket.as_fd(), address) {
            Err(Errno::AGAIN) if self.waits => self.connect_waiting(socket, address),
            result => result,
        }
    }

    /// connect(2) to a unix listener whose backlog is full, which `EAGAIN` told.
    ///
    /// No poll tells when there is room; only a blocking connect waits for that, and
    /// `SO_SNDTIMEO` bounds it (unix(7)). A signal ends it without having begun anything.
    fn connect_waiting(
        &self,
        socket: &OwnedFd,
        address: &SocketAddress,
    ) -> std::result::Result<(), Errno> {
        sys::socket::set_blocking(socket, true)?;
        let result = loop {
            let left = self.deadline.remaining();
            if left.is_some_and(|left| left.is_zero()) {
                break Err(Errno::TIMEDOUT);
            }
            option::send_timeout(socket.as_fd(), left)?;
            match sys::socket::connect(socket.as_fd(), address) {
                Err(Errno::AGAIN | Errno::INTR) => {}
                result => break result,
            }
        };
        option::send_timeout(socket.as_fd(), None)?;
        sys::socket::set_blocking(socket, false)?;
        result
    }

    fn lost(&self) -> Error {
        let last = self
            .failures
            .last()
            .map_or(Errno::TIMEDOUT, |failure| failure.errno);
        if last == Errno::TIMEDOUT && self.deadline.has_passed() {
            return self.timed_out();
        }
        Error::new(Stage::Connect, &self.url, self.reasons()).with_errno(last.raw_os_error())
    }

    fn timed_out(&self) -> Error {
        let timeout = self.options.connect_timeout.unwrap_or(CONNECT_TIMEOUT);
        sys::timed_out(Stage::Connect, &self.url, Limit::Connect, Some(timeout))
            .with_detail(&self.details())
    }

    /// What became of each address, where there were several; else the one reason.
    fn reasons(&self) -> String {
        match self.failures.as_slice() {
            [only] if !self.is_named() => phrase(only.errno),
            _ => self.details(),
        }
    }

    fn details(&self) -> String {
        let mut text = String::new();
        if self.failures.is_empty() && !self.is_named() {
            return text;
        }
        for Failure { address, errno } in &self.failures {
            let separator = if text.is_empty() { "" } else { "; " };
            _ = write!(text, "{separator}{address}: {}", phrase(*errno));
        }
        for Attempt { address, .. } in &self.running {
            let separator = if text.is_empty() { "" } else { "; " };
            _ = write!(text, "{separator}{address}: no answer");
        }
        text
    }

    /// Whether the URL does not itself say which address was tried.
    fn is_named(&self) -> bool {
        matches!(
            self.url.target(),
            Target::Inet {
                host: Host::Name(_),
                ..
            }
        )
    }
}

/// Every address that is connected to, best first: those of the URL's target, or of the proxy.
pub(crate) fn resolve(
    url: &SocketUrl,
    options: &ConnectOptions,
    timeout: Option<Duration>,
    deadline: Deadline,
) -> Result<Vec<SocketAddress>> {
    let address = |endpoint| match endpoint {
        Endpoint::Address(address) => Ok(address),
        Endpoint::Autobind => {
            let reason = "@ alone is a name to bind, not one to connect to";
            Err(Error::new(Stage::Parse, url, reason))
        }
    };
    let via = prelude::via(options, url)?;
    let reached = via.as_ref().map_or(url, Via::url);
    endpoints(reached, timeout, deadline)?
        .into_iter()
        .map(address)
        .collect()
}

/// RFC 8305 section 4: the families by turns, beginning with that of the best address.
fn interleaved(addresses: Vec<SocketAddress>) -> VecDeque<SocketAddress> {
    let first_family = addresses.first().map(Family::of);
    let (first, second): (VecDeque<_>, VecDeque<_>) = addresses
        .into_iter()
        .partition(|address| Some(Family::of(address)) == first_family);
    let mut queues = [first, second];
    let mut order = VecDeque::new();
    while let Some(address) = queues[0].pop_front() {
        order.push_back(address);
        queues.swap(0, 1);
        if queues[0].is_empty() {
            queues.swap(0, 1);
        }
    }
    order
}

#[cfg(test)]
mod tests {
    use super::*;

    fn addresses(text: &str) -> Vec<SocketAddress> {
        text.split_whitespace()
            .map(|a| SocketAddress::Inet(a.parse().unwrap()))
            .collect()
    }

    #[test]
    fn families_take_turns_and_none_is_lost() {
        for (given, expected) in [
            ("", ""),
            ("1.1.1.1:1", "1.1.1.1:1"),
            (
                "[::1]:1 [::2]:1 1.1.1.1:1 1.1.1.2:1",
                "[::1]:1 1.1.1.1:1 [::2]:1 1.1.1.2:1",
            ),
            (
                "1.1.1.1:1 [::1]:1 [::2]:1 [::3]:1",
                "1.1.1.1:1 [::1]:1 [::2]:1 [::3]:1",
            ),
            (
                "[::1]:1 [::2]:1 [::3]:1 1.1.1.1:1",
                "[::1]:1 1.1.1.1:1 [::2]:1 [::3]:1",
            ),
        ] {
            assert_eq!(
                interleaved(addresses(given)),
                addresses(expected),
                "{given}"
            );
        }
    }
}
