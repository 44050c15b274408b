//! Connecting: all addresses of a name, staggered, the first to answer wins.
//!
//! [RFC 8305] ("Happy Eyeballs"): the addresses are taken in turn from both families; each is
//! given a head start over the next, which is then tried beside it; one that fails makes room at
//! once. One deadline covers resolving and all attempts. Sections 3 and 4, about asking for both
//! kinds of address apart, are left to getaddrinfo(3), which gives one ordered answer.
//!
//! [RFC 8305]: https://www.rfc-editor.org/rfc/rfc8305

use std::fmt::Write as _;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::time::Duration;

use super::apply;
use super::bind::bind_or_replace;
use super::endpoint::{Endpoint, open};
use super::inherited::Inherited;
use super::plan::{Plan, interleaved};
use super::prelude::{Prelude, Step};
use super::tls::{ClientContext, PeerName, Session};
use crate::address::SocketAddress;
use crate::deadline::Deadline;
use crate::error::{Error, Limit, Result, Stage};
use crate::options::ConnectOptions;
use crate::proxy_protocol::ProxyHeader;
use crate::sys::socket::Family;
use crate::sys::unix::SocketFile;
use crate::sys::wait::{Events, Watched};
use crate::sys::{self, Errno, failed, option, phrase};
use crate::url::{Host, SocketUrl, Target, Transport};

/// The attempts to connect to one URL.
#[derive(Debug)]
pub(crate) struct Race {
    plan: Arc<Plan>,
    /// What a connection is made TLS with, and whose name it looks for.
    tls: Option<(Arc<ClientContext>, PeerName)>,
    /// What the proxied header says, where not what the options do.
    proxied: Option<Box<ProxyHeader>>,
    deadline: Deadline,
    /// All that may be tried, in order, and how many have been.
    addresses: Arc<[SocketAddress]>,
    tried: usize,
    running: Vec<Attempt>,
    failures: Vec<Failure>,
    /// When the next address is tried beside those that run.
    next_start: Deadline,
    /// Whether a step may wait where nothing else tells of progress.
    waits: bool,
    /// Whether something is sent as soon as it is connected.
    speaks: bool,
    /// A socket that is connected already.
    inherited: Option<Connected>,
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
    pub(crate) fn new(plan: Arc<Plan>) -> Result<Self> {
        if plan.url().transport().is_inherited() {
            return Self::over(Inherited::take_next(&**plan.url())?, plan.options());
        }
        let timeout = Some(plan.timeout());
        let deadline = Deadline::after(timeout);
        let addresses = interleaved(plan.resolve(timeout, deadline)?);
        Self::among(plan, addresses.into(), deadline)
    }

    /// The same of addresses that the name was resolved to before, and that stand in order.
    pub(crate) fn to(plan: Arc<Plan>, addresses: Arc<[SocketAddress]>) -> Result<Self> {
        if plan.url().transport().is_inherited() {
            return Self::new(plan);
        }
        let deadline = Deadline::after(Some(plan.timeout()));
        Self::among(plan, addresses, deadline)
    }

    /// What is connected already: all that is left is to set options, and to say what comes first.
    pub(crate) fn over(inherited: Inherited, options: &ConnectOptions) -> Result<Self> {
        let plan = Plan::connected(inherited.url().clone(), options)?;
        let (socket, peer) = inherited.into_connected()?;
        apply::socket_options(socket.as_fd(), plan.url(), &plan.options().socket)?;
        let deadline = Deadline::after(Some(plan.timeout()));
        let mut race = Self::among(Arc::new(plan), Arc::default(), deadline)?;
        race.inherited = Some(Connected {
            socket,
            peer,
            is_inherited: true,
            file: None,
            prefix: None,
        });
        Ok(race)
    }

    fn among(plan: Arc<Plan>, addresses: Arc<[SocketAddress]>, deadline: Deadline) -> Result<Self> {
        Ok(Self {
            tls: plan.tls()?,
            speaks: plan.speaks_first(),
            plan,
            proxied: None,
            deadline,
            addresses,
            tried: 0,
            running: Vec::new(),
            failures: Vec::new(),
            next_start: Deadline::NEVER,
            waits: false,
            inherited: None,
            prelude: None,
        })
    }

    /// The same, where the header of the PROXY protocol says this.
    pub(crate) fn proxied(mut self, header: Option<Box<ProxyHeader>>) -> Self {
        self.proxied = header;
        self
    }

    /// The same, where the caller has something to send as soon as it is connected.
    pub(crate) fn speaking(mut self) -> Self {
        self.speaks = true;
        self
    }

    /// Whether there is one address alone, and so one socket from the beginning to the end.
    pub(crate) fn is_alone(&self) -> bool {
        self.addresses.len() == 1
    }

    /// Goes on without waiting: starts what is due and looks at what runs; what is first to be
    /// said on a connection is said.
    ///
    /// `None` while nothing is decided.
    pub(crate) fn step(&mut self) -> Result<Option<Connected>> {
        let step = match self.prelude.take() {
            Some(prelude) => prelude.advance(self.url())?,
            None => match self.connect_next()? {
                Some(connected) => return self.begin_prelude(connected),
                None => return Ok(None),
            },
        };
        self.after_prelude(step)
    }

    /// The same where the caller has seen that the one socket can be written to and is whole, so
    /// that nobody need be asked whether it is connected.
    pub(crate) fn step_writable(&mut self) -> Result<Option<Connected>> {
        match self.running.pop() {
            Some(attempt) => self.begin_prelude(attempt.connected()),
            None => self.step(),
        }
    }

    fn begin_prelude(&mut self, connected: Connected) -> Result<Option<Connected>> {
        // The others have lost.
        self.running.clear();
        self.tried = self.addresses.len();
        let proxied = self.proxied.as_deref();
        let step = Prelude::begin(connected, &self.plan, proxied)?;
        self.after_prelude(step)
    }

    fn after_prelude(&mut self, step: Step) -> Result<Option<Connected>> {
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
        while self.has_more() && (self.running.is_empty() || self.next_start.has_passed()) {
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

    fn has_more(&self) -> bool {
        self.tried < self.addresses.len()
    }

    /// When the next address is due, if there is one.
    fn due(&self) -> Deadline {
        if self.has_more() {
            self.next_start
        } else {
            Deadline::NEVER
        }
    }

    /// Goes on until it is decided.
    pub(crate) fn run(&mut self) -> Result<Connected> {
        self.waits = true;
        loop {
            if let Some(connected) = self.step()? {
                return Ok(connected);
            }
            match self.watched().poll(self.deadline.min(self.due())) {
                Ok(_) | Err(Errno::INTR) => {}
                Err(errno) => return Err(failed(Stage::Connect, self.url(), errno)),
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
            if self.plan.has_prelude() {
                return self.run();
            }
            if let Some(attempt) = self.running.pop() {
                return Ok(attempt.connected());
            }
        }
    }

    pub(crate) fn url(&self) -> &Arc<SocketUrl> {
        self.plan.url()
    }

    pub(crate) fn options(&self) -> &ConnectOptions {
        self.plan.options()
    }

    /// The client's end of TLS, where the transport has it.
    pub(crate) fn session(&self) -> Result<Option<Session>> {
        let Some((context, name)) = &self.tls else {
            return Ok(None);
        };
        context.session(self.url(), name).map(Some)
    }

    /// How long is left for all of it.
    pub(crate) fn remaining(&self) -> Option<Duration> {
        self.deadline.remaining()
    }

    /// The error of a handshake for which there was no time left.
    pub(crate) fn handshake_timed_out(&self) -> Error {
        let timeout = Some(self.plan.timeout());
        sys::timed_out(Stage::Handshake, self.url(), Limit::Connect, timeout)
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
        self.deadline.min(self.due()).remaining()
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
            Err(errno) => return Err(failed(Stage::Connect, self.url(), errno)),
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
        let Some(address) = self.addresses.get(self.tried).cloned() else {
            return Ok(None);
        };
        self.tried += 1;
        if self.has_more() {
            self.next_start = Deadline::after(Some(self.plan.attempt_delay()));
        }
        let socket = match open(self.url().transport(), Family::of(&address)) {
            Ok(socket) => socket,
            // A family that this host lacks says nothing about the other one.
            Err(Errno::AFNOSUPPORT) => {
                self.fail(address, Errno::AFNOSUPPORT);
                return Ok(None);
            }
            Err(errno) => return Err(failed(Stage::Socket, self.url(), errno)),
        };
        apply::socket_options(socket.as_fd(), self.url(), &self.options().socket)?;
        let local = self.plan.local.as_ref();
        if local.is_some_and(|local| local.family() != Family::of(&address)) {
            self.fail(address, Errno::AFNOSUPPORT);
            return Ok(None);
        }
        let file = self.bind_local(&socket)?;
        if self.speaks && self.url().transport().carrier() == Transport::Tcp {
            // The last segment of TCP's handshake then is the first with bytes. It may be refused.
            _ = option::acknowledge_later(socket.as_fd());
        }
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
        let Some(local) = &self.plan.local else {
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
                let from = self.options().bind.as_deref().unwrap_or("@");
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
        Error::new(Stage::Connect, self.url(), self.reasons()).with_errno(last.raw_os_error())
    }

    fn timed_out(&self) -> Error {
        let timeout = Some(self.plan.timeout());
        sys::timed_out(Stage::Connect, self.url(), Limit::Connect, timeout)
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
            self.url().target(),
            Target::Inet {
                host: Host::Name(_),
                ..
            }
        )
    }
}
