//! A connected socket, of bytes or of datagrams.

mod accepted;
mod in_call;
mod line;
mod look;
mod out_of_band;
mod parts;
mod peer;
mod proxied;
mod rare;
mod secure;
mod source;
mod splice;
mod tls;

use std::fmt;
use std::io::{self, BufRead, Read, Write};
use std::net::Shutdown;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::time::Duration;

use in_call::InCall;
pub(crate) use peer::PeerEnd;
use rare::Rare;
use secure::Secure;
use source::Source;

use crate::address::SocketAddress;
use crate::error::{Error, Limit, Result, Stage};
use crate::gate::Place;
use crate::options::{ConnectOptions, SocketOptions};
use crate::read_buffer::{DATAGRAM, ReadBuffer};
use crate::sys::socket::{Give, Take};
use crate::sys::wait::{Events, Patience, Stop};
use crate::sys::{self, Errno, PeerCredentials, failed, timed_out};
use crate::transport::{Connected, Plan, Race, interleaved, share};
use crate::url::{SocketUrl, ToSocketUrl, Transport};

/// A connected socket: a stream of bytes over tcp and unix, of datagrams over udp and udg.
///
/// Reading goes through [`Read`] and [`BufRead`], or by [`read_line`](Self::read_line) and
/// [`read_record`](Self::read_record), which keep what is incomplete. A stream holds a buffer
/// only while bytes that were received wait in it to be read. On a stream of datagrams one read
/// is one datagram; where the caller's buffer is shorter, the rest of it comes with the next
/// read, and an empty datagram reads as zero bytes without being the end.
///
/// A stream that a listener of datagrams accepted shares the listener's socket, which costs no
/// descriptor, until something waits on it: a read that finds nothing,
/// [`select`](fn@crate::select), or whoever asks for its descriptor. It then has a socket of its
/// own on the same address, which may seem readable for a datagram that turns out to be another's
/// and is handed on. Once such a peer has idled out, reads tell it as an error
/// ([`Limit::PeerIdle`]) after what had come, and so do writes.
///
/// A read or write takes no longer than the stream's read or write timeout: then it fails as
/// timed out, and the stream stays usable. Calls interrupted by signals go on with the time that
/// is left.
///
/// # Examples
///
/// ```no_run
/// use std::io::{BufRead, Write};
/// use stream_socket::{ConnectOptions, Stream};
///
/// let mut stream = Stream::connect("tcp://example.org:80", &ConnectOptions::default())?;
/// stream.write_all(b"GET / HTTP/1.0\r\nHost: example.org\r\n\r\n")?;
/// for line in stream.lines() {
///     println!("{}", line?);
/// }
/// # Ok::<(), std::io::Error>(())
/// ```
pub struct Stream {
    source: Source,
    transport: Transport,
    peer: Option<SocketAddress>,
    /// The URL of the listener or of the connect: what an error names where no peer has a name.
    origin: Option<Arc<SocketUrl>>,
    buffer: ReadBuffer,
    blocking: bool,
    /// Whether we made the descriptor non-blocking, and so undo that when it leaves us.
    ours: bool,
    at_end: bool,
    /// Whether the URL is a listener's, which is no name of the peer.
    is_accepted: bool,
    /// Where reads may wait in recv(2).
    in_call: Option<InCall>,
    timed_out: Option<Limit>,
    received: u64,
    sent: u64,
    rare: Option<Box<Rare>>,
}

/// What one attempt to receive comes to.
type Step = std::result::Result<usize, Errno>;

impl Stream {
    /// Connects to the URL: resolves its name, tries its addresses, and returns the first that
    /// answers, within [`connect_timeout`](ConnectOptions::connect_timeout). Over TLS that
    /// includes the handshake.
    ///
    /// The addresses are tried staggered, both families by turns ([RFC 8305]). A `udg` stream is
    /// bound to a name that the kernel chooses, so that its peer can answer.
    ///
    /// # Errors
    ///
    /// At [`Stage::Parse`] for the URL and its options, [`Stage::Resolve`] for the name,
    /// [`Stage::Socket`] for a refused option, [`Stage::Bind`] for the local address,
    /// [`Stage::Connect`], naming each address that was tried, with its reason, and
    /// [`Stage::Handshake`] over TLS, as [`handshake`](Self::handshake).
    ///
    /// [RFC 8305]: https://www.rfc-editor.org/rfc/rfc8305
    pub fn connect<U: ToSocketUrl + ?Sized>(url: &U, options: &ConnectOptions) -> Result<Self> {
        let plan = Plan::new(url.to_socket_url()?.into_owned(), options)?;
        Self::won(Race::new(Arc::new(plan))?)
    }

    /// Connects to addresses that [`resolve`](crate::resolve) has told before, as
    /// [`connect`](Self::connect) does to those of the URL's name.
    ///
    /// # Errors
    ///
    /// As [`connect`](Self::connect), but for resolving.
    pub fn connect_at<U: ToSocketUrl + ?Sized>(
        url: &U,
        addresses: &[SocketAddress],
        options: &ConnectOptions,
    ) -> Result<Self> {
        let plan = Plan::new(url.to_socket_url()?.into_owned(), options)?;
        let addresses = interleaved(addresses.to_vec());
        Self::won(Race::to(Arc::new(plan), addresses.into())?)
    }

    pub(super) fn won(mut race: Race) -> Result<Self> {
        let connected = race.run()?;
        Self::share_connected(&race, &connected, true)?;
        let mut stream = Self::connected(&race, connected)?;
        stream.handshake_in_race(&race)?;
        Ok(stream)
    }

    /// Begins to connect and returns at once: PHP's `STREAM_CLIENT_ASYNC_CONNECT`.
    ///
    /// The first of the URL's addresses that does not refuse at once is taken, and no other is
    /// tried afterwards; a name is waited for. The stream is writable once the connect has come
    /// out. Until then reads and writes wait as any, and one of them tells why it failed.
    /// [`Connecting`](crate::Connecting) tries all addresses and tells the stage.
    ///
    /// # Errors
    ///
    /// As [`connect`](Self::connect), as far as it comes without waiting.
    pub fn begin<U: ToSocketUrl + ?Sized>(url: &U, options: &ConnectOptions) -> Result<Self> {
        let plan = Plan::new(url.to_socket_url()?.into_owned(), options)?;
        let mut race = Race::new(Arc::new(plan))?;
        let connected = race.begin()?;
        Self::share_connected(&race, &connected, false)?;
        let mut stream = Self::connected(&race, connected)?;
        // Its descriptor stays non-blocking.
        stream.forget_in_call();
        Ok(stream)
    }

    /// Makes what was connected one that programs can inherit, if that is asked for.
    pub(crate) fn share_connected(race: &Race, made: &Connected, blocking: bool) -> Result<()> {
        if !race.options().socket.inheritable {
            return Ok(());
        }
        let blocking = blocking && !made.is_inherited;
        share(&made.socket, blocking).map_err(|errno| failed(Stage::Socket, race.url(), errno))
    }

    /// Two streams connected to each other: socketpair(2).
    ///
    /// # Errors
    ///
    /// At [`Stage::Parse`] for a transport that is not `unix` or `udg`, the only ones that Linux
    /// makes pairs of; at [`Stage::Socket`] when the system has none to give.
    pub fn pair(transport: Transport) -> Result<(Self, Self)> {
        let name = format!("a pair of {transport}");
        if !transport.is_unix() {
            return Err(Error::new(
                Stage::Parse,
                name,
                "pairs are made of unix or udg alone",
            ));
        }
        let (one, other) = sys::socket::pair(transport.is_datagram())
            .map_err(|errno| failed(Stage::Socket, name, errno))?;
        let stream = |socket| Self::new(socket, transport, None, None, &SocketOptions::default());
        Ok((stream(one), stream(other)))
    }

    /// What a race has come to. Over TLS its handshake is still to be made.
    pub(crate) fn connected(race: &Race, connected: Connected) -> Result<Self> {
        let (url, options) = (race.url(), &race.options().socket);
        let origin = Some(Arc::clone(url));
        let Connected {
            socket,
            peer,
            file,
            prefix,
            is_inherited,
        } = connected;
        let mut stream = Self::new(socket, url.transport(), peer, origin, options);
        if file.is_some() || prefix.is_some() {
            let rare = stream.rare_mut();
            (rare.file, rare.prefix) = (file, prefix);
        }
        if is_inherited {
            // Who shares the descriptor shares its mode and the time of its reads.
            stream.ours = false;
            stream.forget_in_call();
        }
        Ok(match race.session()? {
            Some(session) => stream.secured(session),
            None => stream,
        })
    }

    /// A stream over a socket of our own making.
    pub(crate) fn new(
        socket: OwnedFd,
        transport: Transport,
        peer: Option<SocketAddress>,
        origin: Option<Arc<SocketUrl>>,
        options: &SocketOptions,
    ) -> Self {
        Self::over(Source::Socket(socket), transport, peer, origin, options)
    }

    #[inline]
    fn over(
        source: Source,
        transport: Transport,
        peer: Option<SocketAddress>,
        origin: Option<Arc<SocketUrl>>,
        options: &SocketOptions,
    ) -> Self {
        Self {
            source,
            transport,
            peer,
            origin,
            buffer: ReadBuffer::default(),
            blocking: true,
            ours: true,
            at_end: false,
            is_accepted: false,
            in_call: options.inheritable.then(InCall::here),
            timed_out: None,
            received: 0,
            sent: 0,
            rare: Rare::of(options),
        }
    }

    /// Takes its place among its listener's connections, if it has not; false while none is free.
    pub(crate) fn takes_place(&mut self) -> bool {
        self.place_mut().is_none_or(Place::take)
    }

    /// Its listener hands it out.
    pub(crate) fn admit(&mut self) {
        self.is_accepted = true;
    }

    /// Ends one direction or both: shutdown(2). The peer then reads the end; what it sends
    /// can still be read after [`Shutdown::Write`], what it has sent after the others too. Of
    /// datagrams and of TLS, nothing is received after these.
    ///
    /// Over TLS a close_notify goes before; on a stream that does not wait, that may have to be
    /// tried again.
    ///
    /// # Errors
    ///
    /// At [`Stage::Io`]: `ENOTCONN` when the connection is gone; `EAGAIN` as above.
    pub fn shutdown(&mut self, how: Shutdown) -> Result<()> {
        self.close_tls(how)?;
        self.source
            .shutdown(how)
            .map_err(|errno| failed(Stage::Io, &self, errno).with_action("shut down"))?;
        // A socket of bytes gives those that have come first, and the end then.
        let is_plain = !self.transport.is_datagram() && self.source.secure().is_none();
        self.at_end |= how != Shutdown::Write && !is_plain;
        Ok(())
    }

    /// Whether reads and writes wait. If not, they fail with
    /// [`WouldBlock`](io::ErrorKind::WouldBlock) where they would have to. True at first.
    ///
    /// It is a property of this object and makes no system call.
    pub fn set_blocking(&mut self, blocking: bool) {
        self.blocking = blocking;
    }

    /// Whether reads and writes wait.
    pub fn is_blocking(&self) -> bool {
        self.blocking
    }

    /// How long one read may take; `None` is without limit, zero looks once.
    pub fn set_read_timeout(&mut self, timeout: Option<Duration>) {
        if timeout != self.read_timeout() {
            self.rare_mut().read_timeout = timeout;
        }
        self.timed_out = None;
    }

    /// How long one write may take; `None` is without limit, zero tries once.
    pub fn set_write_timeout(&mut self, timeout: Option<Duration>) {
        if timeout != self.write_timeout() {
            self.rare_mut().write_timeout = timeout;
        }
        self.timed_out = None;
    }

    /// Which limit ended the last read or write, if one did.
    pub fn timed_out(&self) -> Option<Limit> {
        self.timed_out
    }

    /// The transport.
    pub fn transport(&self) -> Transport {
        self.transport
    }

    /// This end's address: getsockname(2). `None` for an unnamed unix socket.
    ///
    /// # Errors
    ///
    /// At [`Stage::Io`] when the system has none to give.
    pub fn local_addr(&self) -> Result<Option<SocketAddress>> {
        if let Some(told) = self.told_destination() {
            return Ok(Some(told.clone()));
        }
        if let Some(peer) = self.source.peer() {
            return Ok(Some(peer.local_address()));
        }
        sys::socket::local_address(self.source.as_fd())
            .map_err(|errno| failed(Stage::Io, self, errno).with_action("name"))
    }

    /// The peer's address, as it was when the connection was made: also after it is gone. `None`
    /// for an unnamed unix socket, or if [not asked for](crate::Listener::accept_unnamed).
    pub fn peer_addr(&self) -> Option<&SocketAddress> {
        self.peer.as_ref()
    }

    /// Who is at the other end of a unix stream.
    ///
    /// # Errors
    ///
    /// At [`Stage::Io`]: on transports other than `unix` there is no such thing.
    pub fn peer_credentials(&self) -> Result<PeerCredentials> {
        if self.transport.carrier() != Transport::Unix {
            let reason = "only a unix stream knows who its peer is";
            return Err(Error::new(Stage::Io, self, reason).with_action("identify the peer of"));
        }
        sys::peer_credentials(self.source.as_fd())
            .map_err(|errno| failed(Stage::Io, self, errno).with_action("identify the peer of"))
    }

    /// Bytes received from the peer so far, those not yet read included.
    pub fn bytes_received(&self) -> u64 {
        let of_tls = self
            .source
            .secure()
            .map(|secure| secure.session().received());
        self.received + of_tls.unwrap_or_default()
    }

    /// Bytes handed to the system for the peer so far.
    pub fn bytes_sent(&self) -> u64 {
        self.sent
    }

    /// Bytes that the system holds for the peer, who has not taken them; zero where it does not
    /// tell. They become fewer long before a slow peer leaves room for a write.
    pub fn bytes_queued(&self) -> usize {
        sys::option::queued(self.source.as_fd()).unwrap_or_default()
    }

    /// Whether a read has something to tell of which the descriptor does not know.
    pub(crate) fn has_buffered(&self) -> bool {
        let of_peer = |peer: &PeerEnd| self.at_end || peer.has_news();
        let of_tls = |secure: &Secure| secure.session().has_ended();
        !self.buffer.is_empty()
            || self.source.peer().is_some_and(of_peer)
            || self.source.secure().is_some_and(of_tls)
    }

    /// Receives once into the buffer; how many bytes came, zero at the end.
    ///
    /// While waiting, an empty buffer is given back, so that an idle stream holds none.
    fn fill(&mut self, patience: &mut Patience) -> Result<usize> {
        self.timed_out = None;
        if let Some(result) = self.fill_of_peer(patience) {
            return result;
        }
        if self.source.secure().is_some() {
            return self.fill_tls(patience);
        }
        let (socket, buffer, transport) = (self.source.as_fd(), &mut self.buffer, self.transport);
        let result = patience.retry(socket, Events::READ, || {
            let result = if transport.is_datagram() {
                let room = buffer.datagram_room(sys::socket::length_of_next(socket, transport)?);
                sys::socket::receive_datagram(socket, room, &mut [])
            } else {
                sys::socket::receive(socket, buffer.room(), Take::Consume)
            };
            match result {
                Ok(length) => buffer.filled(length),
                Err(_) => buffer.release_if_empty(),
            }
            result
        });
        self.buffer.release_if_empty();
        self.account(result)
    }

    /// Receives past the buffer, straight to the caller.
    fn receive_with(
        &mut self,
        mut receive: impl FnMut(BorrowedFd<'_>, &mut ReadBuffer) -> Step,
    ) -> std::result::Result<usize, Stop> {
        self.timed_out = None;
        let mut patience = Patience::new(self.blocking, self.read_timeout());
        let (socket, buffer) = (self.source.as_fd(), &mut self.buffer);
        patience.retry(socket, Events::READ, || receive(socket, buffer))
    }

    fn account(&mut self, result: std::result::Result<usize, Stop>) -> Result<usize> {
        let length = result.map_err(|stop| self.stopped(stop, Limit::Read))?;
        self.received += length as u64;
        self.at_end |= length == 0 && !self.transport.is_datagram();
        Ok(length)
    }

    /// One datagram into the caller's buffer, what it has no room for into ours; its length.
    fn receive_datagram(&mut self, target: &mut [u8]) -> std::result::Result<usize, Stop> {
        let (wanted, transport) = (target.len(), self.transport);
        if wanted >= DATAGRAM && !transport.is_unix() {
            return self
                .receive_with(|socket, _| sys::socket::receive_datagram(socket, target, &mut []));
        }
        self.receive_with(|socket, buffer| {
            let rest = buffer.datagram_room(sys::socket::length_of_next(socket, transport)?);
            let result = sys::socket::receive_datagram(socket, target, rest);
            buffer.filled(result.map_or(0, |length| length.saturating_sub(wanted)));
            buffer.release_if_empty();
            result
        })
    }

    #[inline]
    fn send(&mut self, bytes: &[u8], give: Give) -> Result<usize> {
        let mut patience = Patience::new(self.blocking, self.write_timeout());
        self.send_within(&mut patience, bytes, give)
    }

    #[inline]
    fn send_within(&mut self, patience: &mut Patience, bytes: &[u8], give: Give) -> Result<usize> {
        self.timed_out = None;
        self.refuse_to_write()?;
        if self.source.secure().is_some() && give != Give::Urgent {
            return self.send_tls(patience, bytes);
        }
        let length = self
            .source
            .send(patience, Rare::prefix(&self.rare), bytes, give)
            .map_err(|stop| self.stopped(stop, Limit::Write))?;
        self.sent += length as u64;
        Ok(length)
    }

    /// The error of an operation that ended without a result.
    fn stopped(&mut self, stop: Stop, limit: Limit) -> Error {
        let (action, timeout) = match limit {
            Limit::Write => ("write to", self.write_timeout()),
            _ => ("read from", self.read_timeout()),
        };
        match stop {
            Stop::WouldBlock => Error::would_block(),
            Stop::TimedOut => {
                self.timed_out = Some(limit);
                timed_out(Stage::Io, &self, limit, timeout)
            }
            Stop::System(errno) => failed(Stage::Io, &self, errno),
        }
        .with_action(action)
    }
}

impl Read for Stream {
    fn read(&mut self, target: &mut [u8]) -> io::Result<usize> {
        if self.source.secure().is_some() {
            return self.read_tls(target);
        }
        if !self.buffer.is_empty() {
            return Ok(self.buffer.take(target));
        }
        if self.at_end || (target.is_empty() && !self.transport.is_datagram()) {
            return Ok(0);
        }
        if let Some(result) = self.read_of_peer(target) {
            return result;
        }
        let result = if self.transport.is_datagram() {
            self.receive_datagram(target)
        } else {
            self.receive_bytes(target)
        };
        // What the caller's buffer had no room for of a datagram is in ours.
        Ok(self.account(result)?.min(target.len()))
    }
}

impl BufRead for Stream {
    /// On a stream of datagrams, one datagram at a time.
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.buffer.is_empty() && !self.at_end {
            let mut patience = Patience::new(self.blocking, self.read_timeout());
            self.fill(&mut patience)?;
        }
        Ok(self.buffer.bytes())
    }

    fn consume(&mut self, count: usize) {
        self.buffer.consume(count);
    }
}

impl Write for Stream {
    /// On a stream of datagrams, one datagram: the whole of it, or an error.
    ///
    /// Over TLS, a write that was cut short has to go on where it stopped: up to 64 KiB of its rest
    /// are encrypted and wait to be sent. What was reported is with the system, as on any stream,
    /// but for a single byte where the system took less than a record: a write that takes none
    /// would block, and has not begun.
    #[inline]
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if bytes.is_empty() && !self.transport.is_datagram() {
            return Ok(0);
        }
        Ok(self.send(bytes, Give::Now)?)
    }

    /// All of it within one write timeout. When it fails, [`Stream::bytes_sent`] tells how far
    /// it came.
    fn write_all(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        if self.transport.is_datagram() {
            return self.write(bytes).map(drop);
        }
        let mut patience = Patience::new(self.blocking, self.write_timeout());
        while !bytes.is_empty() {
            let length = self.send_within(&mut patience, bytes, Give::Now)?;
            bytes = &bytes[length..];
        }
        Ok(())
    }

    /// Nothing is held back: does nothing but over TLS, where it sends what the socket did not
    /// take of the records of the last write.
    fn flush(&mut self) -> io::Result<()> {
        Ok(self.flush_tls()?)
    }
}

impl AsFd for Stream {
    /// On a stream that a listener of datagrams accepted, this makes a descriptor of its own, a
    /// socket connected to the peer. Where there can be none, over udg, in an engine or when the
    /// process has no descriptor left, it is the listener's socket: readable on any peer's
    /// datagram, so that a read may say that it would block. Datagrams that were received before
    /// it was made, it does not know of:
    /// [`Selectable::has_buffered`](crate::Selectable::has_buffered) does.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.source.as_fd()
    }
}

/// The peer, as an error names it: `tcp://192.0.2.1:4321`.
impl fmt::Display for Stream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.peer, &self.origin) {
            (Some(peer), _) => write!(f, "{}://{peer}", peer.carrier(self.transport)),
            (None, Some(origin)) => write!(f, "a client of {origin}"),
            (None, None) => write!(f, "an unnamed {} peer", self.transport),
        }
    }
}

impl fmt::Debug for Stream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stream")
            .field("source", &self.source)
            .field("transport", &self.transport)
            .field("peer", &self.peer)
            .finish_non_exhaustive()
    }
}
