//! A listening socket.

mod arrival;
mod habit;
mod inherited;
mod limits;
mod tls;

use std::fmt;
use std::net::Shutdown;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::{Arc, OnceLock, RwLock};
use std::time::Duration;

pub(crate) use arrival::Arrival;
use habit::Habit;
use limits::Spans;
use tls::Tls;

use crate::address::SocketAddress;
use crate::datagram::DatagramSocket;
use crate::error::{Error, Limit, Result, Stage};
use crate::gate::Gate;
use crate::options::{ListenOptions, Options};
use crate::peers::{self, Dispatcher, Front, PeerCounters, Peers};
use crate::stream::Stream;
use crate::sys::unix::SocketFile;
use crate::sys::wait::{Events, Patience, Stop};
use crate::sys::{self, Errno, failed, timed_out};
use crate::transport::{self, Bound, Inherited};
use crate::url::{SocketUrl, ToSocketUrl, Transport};

/// A socket that streams are accepted from: connections over tcp and unix, peers that send
/// datagrams over udp and udg.
///
/// # Datagrams
///
/// Over udp and udg, [`accept`](Self::accept) waits for a datagram from a peer that has no live
/// stream. The first read of the stream it returns is that datagram, and what is written to it
/// goes to the peer, from the address that the peer wrote to. Further datagrams of the peer are
/// kept for that stream while accept goes on. A peer is told from another by both ends, as a
/// connection is: who writes to two addresses of a wildcard listener is two peers. Dropping the
/// stream forgets the peer; datagrams that came meanwhile and were not read, but for the one
/// that accept brought, make it known anew.
///
/// A stream shares the listener's socket until something waits on it, and then has a descriptor
/// of its own; see [`Stream`]. Over udg it can't have one, and a sender without a name can't be
/// answered: each datagram of such a one is a stream by itself, which ends after it.
///
/// How many peers there may be and how long they may be idle is limited by
/// [`max_peers`](ListenOptions::max_peers) and
/// [`peer_idle_timeout`](ListenOptions::peer_idle_timeout); the latter is looked after whenever
/// datagrams are received from the shared socket. [`peers`](Self::peers) counts what was dropped.
/// The address is free again when the listener and all its streams are gone. A listener of
/// datagrams and its streams belong to the process that made them: in a child that is forked
/// later, they refuse to be used (`EPERM`), and can be dropped.
///
/// # TLS
///
/// [`accept`](Self::accept) returns connections whose handshake is finished, in the order in which
/// they are, and advances all that are under way meanwhile: no client can hold up another, and
/// each is closed when its [`handshake_timeout`](crate::TlsServerOptions::handshake_timeout) is
/// over. At most 1,024 are under way, and 256 from one address, or network of 64 bits of IPv6; the
/// oldest that has not begun makes room for the next. Handshakes that fail don't end accept:
/// [`handshakes`](Self::handshakes) counts them,
/// [`take_handshake_failures`](Self::take_handshake_failures) tells who and why. A forked child
/// goes on with handshakes of its own, and those of its parent stay the parent's.
///
/// # Files
///
/// The file of a unix socket is removed when the listener is dropped, by the process that made
/// it, unless [`unlink`](crate::UnixOptions::unlink) is off.
///
/// # Examples
///
/// ```
/// use std::io::{Read, Write};
/// use stream_socket::{ConnectOptions, ListenOptions, Listener, Stream};
///
/// let listener = Listener::bind("tcp://127.0.0.1:0", &ListenOptions::default())?;
/// let mut client = Stream::connect(listener.url(), &ConnectOptions::default())?;
///
/// let mut served = listener.accept(None)?;
/// served.write_all(b"hello")?;
/// drop(served);
///
/// let mut text = String::new();
/// client.read_to_string(&mut text)?;
/// assert_eq!(text, "hello");
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug)]
pub struct Listener {
    /// What is readable when there is something to accept: the listening socket or, for
    /// datagrams, an epoll descriptor over the bound one and the bell of `peers`.
    socket: OwnedFd,
    peers: Option<Peers>,
    /// Where connections carry TLS, which can begin while it listens.
    tls: OnceLock<Tls>,
    url: Arc<SocketUrl>,
    options: ListenOptions,
    address: SocketAddress,
    file: Option<SocketFile>,
    /// Whether we made the descriptor non-blocking, and so undo that when it leaves us.
    ours: bool,
    gate: Option<Arc<Gate>>,
    habit: Habit,
    spans: RwLock<Spans>,
    /// A descriptor to be given up when none is left, so that a newcomer can be accepted and
    /// closed: where that is the policy. Who accepts holds it for reading, who gives it up for
    /// writing, so that no other loop takes what is given up.
    reserve: Option<RwLock<Option<OwnedFd>>>,
}

impl Listener {
    /// Binds the URL's target and listens on it: the first of its addresses that can be bound.
    ///
    /// Port 0, or the unix name `@`, leaves the choice to the kernel; [`url`](Self::url) then
    /// tells it.
    ///
    /// # Errors
    ///
    /// At [`Stage::Parse`] for the URL and its options, [`Stage::Resolve`] for a name,
    /// [`Stage::Socket`], [`Stage::Bind`] and [`Stage::Listen`] with the number of the system
    /// call that failed.
    pub fn bind<U: ToSocketUrl + ?Sized>(url: &U, options: &ListenOptions) -> Result<Self> {
        let url = url.to_socket_url()?;
        if url.transport().is_inherited() {
            return Self::inherit(Inherited::take_next(&*url)?, options);
        }
        let options = accepting(&url, options)?;
        let bound = transport::bind(&url, &options)?;
        Self::new(&url, &options, bound)
    }

    /// Binds every address of the URL, as `tcp://localhost:80` has two, each with a listener of
    /// its own: all to the same port where the kernel chooses it, all or none.
    ///
    /// # Errors
    ///
    /// As [`bind`](Self::bind), for the first address that can't be bound.
    pub fn bind_all<U: ToSocketUrl + ?Sized>(
        url: &U,
        options: &ListenOptions,
    ) -> Result<Vec<Self>> {
        let url = url.to_socket_url()?;
        if url.transport().is_inherited() {
            let sockets = Inherited::take(&*url)?.into_iter();
            return sockets
                .map(|socket| Self::inherit(socket, options))
                .collect();
        }
        let options = accepting(&url, options)?;
        let bound = transport::bind_all(&url, &options)?;
        bound
            .into_iter()
            .map(|bound| Self::new(&url, &options, bound))
            .collect()
    }

    /// Accepts peers from a bound socket of datagrams that was received on and sent from so far.
    ///
    /// What `options` say of binding is past; its limits count.
    ///
    /// # Errors
    ///
    /// At [`Stage::Parse`] for limits that can't be meant, at [`Stage::Socket`] when the system
    /// has no descriptor left. The socket comes back with it.
    pub fn over(
        socket: DatagramSocket,
        options: &ListenOptions,
    ) -> std::result::Result<Self, Box<(DatagramSocket, Error)>> {
        let parts = accepting(socket.url(), options).and_then(|options| {
            let parts = Parts::of(
                socket.url(),
                &options,
                socket.owned_fd(),
                socket.local_addr(),
            );
            Ok((parts?, options))
        });
        match parts {
            Ok((parts, options)) => Ok(Self::of_parts(parts, &options, socket.into_bound())),
            Err(error) => Err(Box::new((socket, error))),
        }
    }

    /// Ends one direction or both: shutdown(2). To end reading lets accept fail, for all who share
    /// the socket.
    ///
    /// # Errors
    ///
    /// At [`Stage::Io`] with the system's number.
    pub fn shutdown(&self, how: Shutdown) -> Result<()> {
        sys::socket::shutdown(self.socket.as_fd(), how)
            .map_err(|errno| failed(Stage::Io, &self.url, errno).with_action("shut down"))
    }

    fn new(asked: &SocketUrl, options: &ListenOptions, bound: Bound) -> Result<Self> {
        let parts = Parts::of(asked, options, &bound.socket, &bound.address)?;
        Ok(Self::of_parts(parts, options, bound))
    }

    fn of_parts(parts: Parts, options: &ListenOptions, bound: Bound) -> Self {
        let Bound {
            socket,
            address,
            file,
        } = bound;
        let url = parts.url;
        let (socket, peers) = match parts.front {
            Some(front) => {
                let (dispatcher, face) = Dispatcher::new(socket, front, &url, &address, options);
                (face, Some(Peers::new(dispatcher)))
            }
            None => (socket, None),
        };
        Self {
            socket,
            peers,
            tls: parts.tls,
            url,
            options: options.clone(),
            address,
            file,
            ours: true,
            gate: parts.gate,
            habit: Habit::default(),
            spans: RwLock::new(Spans::new(options)),
            reserve: reserve(options),
        }
    }

    /// Listens, where it was bound with [`bind_only`](ListenOptions::bind_only); else it does so
    /// already. Of datagrams a listener needs no more than to be bound.
    ///
    /// # Errors
    ///
    /// At [`Stage::Listen`] with the number of listen(2).
    pub fn listen(&self) -> Result<()> {
        if self.peers.is_some() || !self.options.bind_only {
            return Ok(());
        }
        transport::listen(&self.url, &self.socket, &self.options)
    }

    /// Waits for a connection, or a datagram of a new peer, and accepts it: up to `timeout`, or
    /// for ever with `None`; zero looks once.
    ///
    /// Connections that their peers have given up meanwhile are passed over. Descriptors of
    /// accepted streams are close-on-exec.
    ///
    /// # Errors
    ///
    /// At [`Stage::Accept`]: nobody came in time ([`is_timeout`](Error::is_timeout)); a signal
    /// came (`EINTR`), so that the caller's handlers run; the socket does not listen (`EINVAL`);
    /// no descriptors or memory are left (`EMFILE`, `ENFILE`, `ENOBUFS`, `ENOMEM`), and the
    /// connection then stays in the backlog.
    pub fn accept(&self, timeout: Option<Duration>) -> Result<Stream> {
        self.accept_by(timeout, true)
    }

    /// As [`accept`](Self::accept), for who does not ask who it is: over tcp the peer's address may
    /// be left with the system, and then [`Stream::peer_addr`] is `None`.
    ///
    /// # Errors
    ///
    /// As [`accept`](Self::accept).
    pub fn accept_unnamed(&self, timeout: Option<Duration>) -> Result<Stream> {
        // Who is counted by its address, or trusted for it, is asked.
        let is_asked = self.gate.is_some() || self.tls.get().is_some();
        self.accept_by(timeout, is_asked || self.transport() != Transport::Tcp)
    }

    #[inline]
    fn accept_by(&self, timeout: Option<Duration>, named: bool) -> Result<Stream> {
        let mut patience = Patience::interruptible(timeout);
        let mut first_look = self.habit_within(timeout);
        let mut waited = Ok(());
        if first_look.is_some_and(Habit::waits_first) {
            first_look = None;
            waited = self.await_arrival(&mut patience);
        }
        loop {
            if let Err(stop) = waited {
                return Err(self.in_vain(stop, timeout));
            }
            // Another thread may begin TLS while this one waits.
            if let Some(handshakes) = self.handshakes_in_accept() {
                return self.accept_finished(handshakes, patience.deadline(), timeout);
            }
            let arrival = self.arrival_by(named);
            if let Some(habit) = first_look.take() {
                habit.found(!matches!(arrival, Arrival::None));
            }
            waited = match arrival {
                Arrival::Stream(stream) if self.handshakes_in_accept().is_none() => {
                    return Ok(stream);
                }
                Arrival::Stream(stream) => match self.handed_out(stream) {
                    Some(stream) => return Ok(stream),
                    None => Ok(()),
                },
                Arrival::None if patience.has_begun() && self.is_shut_down() => {
                    Err(Stop::System(Errno::INVAL))
                }
                Arrival::None => self.await_arrival(&mut patience),
                Arrival::Full => self.await_room(&mut patience),
                Arrival::ClosedFull | Arrival::ClosedForAddress => patience.check(),
                Arrival::Failed(errno) => Err(Stop::System(errno)),
                Arrival::Refused(error) => return Err(error),
            };
        }
    }

    /// Why accept has nobody to return.
    #[cold]
    fn in_vain(&self, stop: Stop, timeout: Option<Duration>) -> Error {
        match stop {
            Stop::System(errno) => failed(Stage::Accept, &self.url, errno),
            Stop::TimedOut | Stop::WouldBlock => {
                timed_out(Stage::Accept, &self.url, Limit::Accept, timeout)
            }
        }
    }

    /// By what an accept may wait first: one of connections that may wait at all.
    fn habit_within(&self, timeout: Option<Duration>) -> Option<&Habit> {
        let waits = self.peers.is_none() && timeout != Some(Duration::ZERO);
        (waits && self.handshakes_in_accept().is_none()).then_some(&self.habit)
    }

    fn await_arrival(&self, patience: &mut Patience) -> std::result::Result<(), Stop> {
        // Datagrams for others than new peers make it readable as well, without end.
        if self.peers.is_some() && patience.is_over() {
            return Err(Stop::TimedOut);
        }
        patience.wait(&self.socket, Events::READ)
    }

    fn await_room(&self, patience: &mut Patience) -> std::result::Result<(), Stop> {
        let Some(gate) = &self.gate else {
            return Ok(());
        };
        let waiting = gate.await_room();
        patience.wait(waiting.bell(), Events::READ)
    }

    /// Whether one of its [`max_connections`](ListenOptions::max_connections) is free.
    ///
    /// While none is, the descriptor is readable for those who wait in the backlog and yet there
    /// is nothing to accept: a loop of select or of a poller leaves it out for so long.
    pub fn has_room(&self) -> bool {
        self.gate.as_ref().is_none_or(|gate| gate.has_room())
    }

    /// Whether it was called readable for having been shut down. Over tcp accept(2) then says so,
    /// but over unix it says for ever that there is nobody, where it does not wait.
    pub(crate) fn is_shut_down(&self) -> bool {
        self.transport() == Transport::Unix && sys::wait::is_shut_down(&self.socket)
    }

    pub(crate) fn gate(&self) -> Option<&Arc<Gate>> {
        self.gate.as_ref()
    }

    /// What a listener of datagrams shares with its streams.
    pub(crate) fn dispatcher(&self) -> Option<&Arc<Dispatcher>> {
        self.peers.as_ref().map(Peers::dispatcher)
    }

    /// What a listener of datagrams knows of its peers and has dropped; `None` over tcp and unix.
    pub fn peers(&self) -> Option<PeerCounters> {
        Some(self.dispatcher()?.counters())
    }

    /// The connections that come, without end; a wait interrupted by a signal goes on.
    pub fn incoming(&self) -> Incoming<'_> {
        Incoming { listener: self }
    }

    /// The URL that clients on this host can connect to: the bound address, with the port or
    /// name that the kernel chose, and no options.
    pub fn url(&self) -> &SocketUrl {
        &self.url
    }

    /// The transport.
    pub fn transport(&self) -> Transport {
        self.url.transport()
    }

    /// The address it is bound to.
    pub fn local_addr(&self) -> &SocketAddress {
        &self.address
    }
}

fn reserve(options: &ListenOptions) -> Option<RwLock<Option<OwnedFd>>> {
    let closes = options.close_when_full == Some(true);
    closes.then(|| RwLock::new(sys::reserve().ok()))
}

fn accepting(url: &SocketUrl, options: &ListenOptions) -> Result<ListenOptions> {
    let merged = options.for_url(url)?;
    peers::check_limits(url, &merged)?;
    Ok(merged)
}

/// What a bound socket needs to become a listener, and can fail to get.
struct Parts {
    url: Arc<SocketUrl>,
    gate: Option<Arc<Gate>>,
    tls: OnceLock<Tls>,
    /// Of datagrams.
    front: Option<Front>,
}

impl Parts {
    fn of(
        asked: &SocketUrl,
        options: &ListenOptions,
        socket: &OwnedFd,
        address: &SocketAddress,
    ) -> Result<Self> {
        let url = Arc::new(SocketUrl::from_address(asked.transport(), address)?);
        let is_datagram = url.transport().is_datagram();
        Ok(Self {
            gate: Gate::new(options).map_err(|errno| failed(Stage::Socket, &url, errno))?,
            tls: Tls::new(socket, &url, options)?,
            front: is_datagram
                .then(|| Front::of(socket, &url, address))
                .transpose()?,
            url,
        })
    }
}

/// The connections that come to a [`Listener`]: see [`Listener::incoming`].
#[derive(Debug)]
pub struct Incoming<'a> {
    listener: &'a Listener,
}

impl Iterator for Incoming<'_> {
    type Item = Result<Stream>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            match self.listener.accept(None) {
                Err(error) if error.errno() == Some(Errno::INTR.raw_os_error()) => {}
                result => return Some(result),
            }
        }
    }
}

impl AsFd for Listener {
    /// For polling: readable when there is something to accept. Over tcp and unix it is the
    /// listening socket. Over udp and udg it is an epoll descriptor, since a new peer may be known
    /// whose datagram is no longer in the socket; accept may find then that it was another's.
    ///
    /// Over TLS it is an epoll descriptor as well, over the listening socket and the handshakes
    /// that are under way. It is readable whenever one of them can go on, which accept sees to, and
    /// so a loop other than [`select`](fn@crate::select) calls accept with a timeout of zero, which
    /// may find that none is finished. [`HandshakeTime::FirstUse`](crate::HandshakeTime) leaves it
    /// at the listening socket.
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self.handshakes_in_accept() {
            Some(handshakes) => handshakes.descriptor(self.socket.as_fd()),
            None => self.socket.as_fd(),
        }
    }
}

impl fmt::Display for Listener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.url.fmt(f)
    }
}
