//! A bound datagram socket.

mod batch;
mod parcel;

use std::fmt;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Duration;

pub use batch::Batch;
pub use parcel::Datagram;

use crate::address::SocketAddress;
use crate::error::{Error, Limit, Result, Stage};
use crate::options::{ListenOptions, Options};
use crate::proxy_protocol::ProxyHeader;
use crate::sys::batch::{Arrival, receive_one, send_one};
use crate::sys::unix::SocketFile;
use crate::sys::wait::{Events, Patience, Stop};
use crate::sys::{self, Errno, LocalAddress, failed, option, timed_out};
use crate::transport::{
    self, Bound, Inherited, inherited_options, refuse_binding, tell_local_address,
};
use crate::trust::Trust;
use crate::url::{SocketUrl, ToSocketUrl, Transport};

/// A socket that whole datagrams come to and go from: udp or udg.
///
/// Each datagram is told with its sender, its true length and, on a wildcard address, the local
/// address that it was sent to, from which an answer should leave. A socket connected to one peer
/// is a [`Stream`](crate::Stream).
///
/// # Examples
///
/// ```
/// use stream_socket::{ConnectOptions, DatagramSocket, ListenOptions, Stream};
/// use std::io::{Read, Write};
///
/// let socket = DatagramSocket::bind("udp://127.0.0.1:0", &ListenOptions::default())?;
/// let mut client = Stream::connect(socket.url(), &ConnectOptions::default())?;
/// client.write_all(b"ping")?;
///
/// let mut buffer = [0; 2048];
/// let received = socket.recv_from(&mut buffer)?;
/// assert_eq!(&buffer[..received.length], b"ping");
/// socket.send_to(b"pong", received.peer.as_ref().unwrap(), received.local)?;
/// assert_eq!(client.read(&mut buffer)?, 4);
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug)]
pub struct DatagramSocket {
    socket: OwnedFd,
    url: SocketUrl,
    address: SocketAddress,
    file: Option<SocketFile>,
    blocking: bool,
    ours: bool,
    /// Whether several datagrams may come as one.
    coalesces: bool,
    read_timeout: Option<Duration>,
    write_timeout: Option<Duration>,
    /// Whose headers are believed, where datagrams begin with them.
    trust: Option<Trust>,
}

/// What is known of a datagram beside its bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Received {
    /// Bytes that are in the buffer.
    pub length: usize,
    /// Bytes of the whole datagram. Where this is more than `length` the buffer was too short, and
    /// the rest is lost.
    pub full_length: usize,
    /// Who sent it; `None` for an unnamed unix socket, which can't be answered.
    pub peer: Option<SocketAddress>,
    /// The local address that it was sent to. Told on a udp socket bound to a wildcard address;
    /// elsewhere it is the one the socket is bound to.
    pub local: Option<LocalAddress>,
}

impl Received {
    /// Whether the buffer was too short for the datagram.
    pub fn is_truncated(&self) -> bool {
        self.full_length > self.length
    }

    fn new(arrival: Arrival, room: usize) -> Self {
        let Arrival {
            length: full_length,
            peer,
            local,
            ..
        } = arrival;
        Self {
            length: full_length.min(room),
            full_length,
            peer,
            local,
        }
    }
}

impl DatagramSocket {
    /// Binds the URL's target: the first of its addresses that can be bound.
    ///
    /// # Errors
    ///
    /// At [`Stage::Parse`] for the URL and its options, [`Stage::Resolve`] for a name,
    /// [`Stage::Socket`] and [`Stage::Bind`] with the number of the system call that failed.
    pub fn bind<U: ToSocketUrl + ?Sized>(url: &U, options: &ListenOptions) -> Result<Self> {
        let url = url.to_socket_url()?;
        if url.transport().is_inherited() {
            return Self::inherit(Inherited::take_next(&*url)?, options);
        }
        let options = receiving(&url, options)?;
        let bound = transport::bind(&url, &options)?;
        Self::new(&url, &options, bound)
    }

    /// A bound socket of datagrams that this process was started with; what `options` say of
    /// binding comes too late for it, and is refused.
    ///
    /// # Errors
    ///
    /// At [`Stage::Parse`] for its options, at [`Stage::Socket`] for what is no socket of
    /// datagrams, is not bound or is connected.
    pub fn inherit(socket: Inherited, options: &ListenOptions) -> Result<Self> {
        let url = socket.url().clone();
        let options = receiving(&url, options)?;
        refuse_binding(&url, &options)?;
        let (socket, address) = socket.into_bound()?;
        inherited_options(socket.as_fd(), &url, &options)?;
        if options.socket.inheritable {
            sys::socket::make_inheritable(socket.as_fd())
                .map_err(|errno| failed(Stage::Socket, &url, errno))?;
        }
        let bound = Bound {
            socket,
            address,
            file: None,
        };
        let mut made = Self::new(&url, &options, bound)?;
        made.ours = false;
        Ok(made)
    }

    /// Binds every address of the URL, each with a socket of its own: all to the same port where
    /// the kernel chooses it, all or none.
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
        let options = receiving(&url, options)?;
        let bound = transport::bind_all(&url, &options)?;
        bound
            .into_iter()
            .map(|bound| Self::new(&url, &options, bound))
            .collect()
    }

    fn new(asked: &SocketUrl, options: &ListenOptions, bound: Bound) -> Result<Self> {
        let Bound {
            socket,
            address,
            file,
        } = bound;
        let url = SocketUrl::from_address(asked.transport(), &address)?;
        tell_local_address(&socket, &address)
            .map_err(|errno| failed(Stage::Socket, &url, errno))?;
        let coalesces = options.coalesce && url.transport() == Transport::Udp;
        if coalesces {
            match option::coalesce(socket.as_fd()) {
                // An older kernel brings them one by one.
                Ok(()) | Err(Errno::NOPROTOOPT) => {}
                Err(errno) => return Err(failed(Stage::Socket, &url, errno)),
            }
        }
        Ok(Self {
            socket,
            url,
            address,
            file,
            blocking: true,
            ours: true,
            coalesces,
            read_timeout: options.socket.read_timeout,
            write_timeout: options.socket.write_timeout,
            trust: Trust::of(options),
        })
    }

    pub(crate) fn owned_fd(&self) -> &OwnedFd {
        &self.socket
    }

    /// Taken apart again, for a listener.
    pub(crate) fn into_bound(self) -> Bound {
        Bound {
            socket: self.socket,
            address: self.address,
            file: self.file,
        }
    }

    /// The bytes of a datagram behind the header of the PROXY protocol that it has to begin with,
    /// and that header, where [`proxy_protocol`](ListenOptions::proxy_protocol) asks for one; all
    /// of them elsewhere. It was received with its header, and is answered at the proxy.
    ///
    /// `None` for one that begins with no header of version 2, or comes from outside of
    /// [`proxy_from`](ListenOptions::proxy_from).
    pub fn without_header<'a>(
        &self,
        datagram: &Datagram<'a>,
    ) -> Option<(&'a [u8], Option<ProxyHeader>)> {
        let Some(trust) = &self.trust else {
            return Some((datagram.payload, None));
        };
        let ip = datagram.peer.and_then(SocketAddress::ip);
        let (header, payload) = trust.unwrap(ip, datagram.payload)?;
        Some((payload, Some(header)))
    }

    /// Receives one datagram into `buffer`, waiting for it up to the read timeout.
    ///
    /// # Errors
    ///
    /// At [`Stage::Io`]: the time is up, it would block, or the system call failed.
    pub fn recv_from(&self, buffer: &mut [u8]) -> Result<Received> {
        if self.coalesces {
            let reason = "it coalesces datagrams: use recv_batch";
            return Err(Error::new(Stage::Io, &self.url, reason).with_action("receive on"));
        }
        let room = buffer.len();
        let socket = self.socket.as_fd();
        let arrival = self
            .reading()
            .retry(socket, Events::READ, || receive_one(socket, buffer))
            .map_err(|stop| self.stopped(stop, Limit::Read))?;
        Ok(self.received(arrival, room))
    }

    /// Sends one datagram to `peer`: the whole of it, or an error.
    ///
    /// `local` is the address that it leaves from; an answer passes on the
    /// [`local`](Received::local) of what it answers. `None` leaves the choice to the system.
    ///
    /// # Errors
    ///
    /// At [`Stage::Io`], naming the peer: `EMSGSIZE` for one too long, `EACCES` for a broadcast
    /// that was not allowed, or whatever else the system call says; the write timeout is up, or
    /// it would block.
    pub fn send_to(
        &self,
        payload: &[u8],
        peer: &SocketAddress,
        local: Option<LocalAddress>,
    ) -> Result<()> {
        let socket = self.socket.as_fd();
        let local = self.source(local);
        self.writing()
            .retry(socket, Events::WRITE, || {
                send_one(socket, payload, Some(peer), local)
            })
            .map_err(|stop| self.unsent(stop, Some(peer)))
    }

    /// Whether calls wait. If not, they fail where they would have to. True at first.
    pub fn set_blocking(&mut self, blocking: bool) {
        self.blocking = blocking;
    }

    /// How long one receive may take; `None` is without limit, zero looks once.
    pub fn set_read_timeout(&mut self, timeout: Option<Duration>) {
        self.read_timeout = timeout;
    }

    /// How long one send may take; `None` is without limit, zero tries once.
    pub fn set_write_timeout(&mut self, timeout: Option<Duration>) {
        self.write_timeout = timeout;
    }

    /// The URL that clients on this host can send to, with the port or name that the kernel chose.
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

    fn reading(&self) -> Patience {
        Patience::new(self.blocking, self.read_timeout)
    }

    fn writing(&self) -> Patience {
        Patience::new(self.blocking, self.write_timeout)
    }

    fn received(&self, mut arrival: Arrival, room: usize) -> Received {
        arrival.local = arrival.local.or_else(|| self.bound_ip());
        Received::new(arrival, room)
    }

    /// The one address that this socket has, unless it is a wildcard or a unix name.
    fn bound_ip(&self) -> Option<LocalAddress> {
        let ip = self.address.ip().filter(|ip| !ip.is_unspecified())?;
        Some(LocalAddress { ip, interface: 0 })
    }

    /// A socket bound to one address can only send from that one: nothing to be said.
    fn source(&self, local: Option<LocalAddress>) -> Option<LocalAddress> {
        local.filter(|_| self.address.ip().is_some_and(|ip| ip.is_unspecified()))
    }

    fn unsent(&self, stop: Stop, peer: Option<&SocketAddress>) -> Error {
        match (stop, peer) {
            (Stop::System(errno), Some(peer)) => {
                let target = format!("{}://{peer}", self.transport());
                failed(Stage::Io, target, errno).with_action("send to")
            }
            _ => self.stopped(stop, Limit::Write),
        }
    }

    fn stopped(&self, stop: Stop, limit: Limit) -> Error {
        let (action, timeout) = match limit {
            Limit::Write => ("send from", self.write_timeout),
            _ => ("receive on", self.read_timeout),
        };
        match stop {
            Stop::WouldBlock => Error::would_block(),
            Stop::TimedOut => timed_out(Stage::Io, &self.url, limit, timeout),
            Stop::System(errno) => failed(Stage::Io, &self.url, errno),
        }
        .with_action(action)
    }
}

fn receiving(url: &SocketUrl, options: &ListenOptions) -> Result<ListenOptions> {
    if !url.transport().is_datagram() {
        let reason = format!("{} has no datagrams: bind a Listener", url.transport());
        return Err(Error::new(Stage::Parse, url, reason));
    }
    let merged = options.for_url(url)?;
    let of_a_listener = [
        ("max_peers", merged.max_peers.is_some()),
        ("peer_idle_timeout", merged.peer_idle_timeout.is_some()),
    ];
    match of_a_listener.iter().find(|(_, given)| *given) {
        Some((name, _)) => {
            let reason = format!("option {name} is for a Listener, which accepts peers");
            Err(Error::new(Stage::Parse, url, reason))
        }
        None => Ok(merged),
    }
}

impl AsFd for DatagramSocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

impl fmt::Display for DatagramSocket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.url.fmt(f)
    }
}

/// A datagram socket over an inherited descriptor, whose transport is asked of the kernel.
impl TryFrom<OwnedFd> for DatagramSocket {
    type Error = Error;

    /// # Errors
    ///
    /// At [`Stage::Socket`] for what is no socket of datagrams, or is not bound.
    fn try_from(socket: OwnedFd) -> Result<Self> {
        let inherited = Inherited::over(socket)?;
        let url = inherited.url().clone();
        if !inherited.is_datagram() {
            let reason = "it is no socket of datagrams";
            return Err(Error::new(Stage::Socket, inherited, reason));
        }
        let (socket, address) = inherited.into_bound()?;
        let bound = Bound {
            socket,
            address,
            file: None,
        };
        let mut made = Self::new(&url, &ListenOptions::default(), bound)?;
        made.ours = false;
        Ok(made)
    }
}

/// Hands the descriptor over, bound still. The file of a unix socket stays: it is the new
/// owner's to remove.
impl From<DatagramSocket> for OwnedFd {
    fn from(datagrams: DatagramSocket) -> Self {
        if let Some(file) = datagrams.file {
            file.leave();
        }
        if datagrams.ours {
            // It can't fail on an open socket.
            _ = sys::socket::set_blocking(&datagrams.socket, true);
        }
        datagrams.socket
    }
}
