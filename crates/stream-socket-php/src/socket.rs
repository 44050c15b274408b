//! What a PHP stream of ours holds: a socket of the library, and what PHP itself reads of it.

mod facts;
mod head;
mod ip;
mod lookup;
mod named;
mod names;
mod parked;
mod proxied;
mod race;
mod tls;

use std::io::{ErrorKind, Read, Write};
use std::mem;
use std::net::{Shutdown, SocketAddr};
use std::os::fd::{AsFd, AsRawFd, IntoRawFd, OwnedFd};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use stream_socket::{
    ConnectOptions, Connecting, Error, Listener, Lookup, Selectable, SocketAddress, SocketUrl,
    Stream, TlsServerOptions, Transport,
};

use crate::counters::{self, count};
use crate::failure::{self, Failure};
use crate::listening::{self, Bound, Datagrams};
use crate::options::{Wishes, local_address};
use crate::waiting::Readiness;
pub(crate) use head::Head;
use head::Kind;
pub(crate) use ip::Ip;
use names::text_of;
use parked::Idle;
pub(crate) use tls::Handshake;
use tls::Tls;

/// `struct timeval`.
#[derive(Clone, Copy, Debug, Default)]
#[repr(C)]
pub(crate) struct TimeVal {
    pub(crate) seconds: i64,
    pub(crate) microseconds: i64,
}

impl TimeVal {
    /// A span; `None` is for ever, which PHP says by a negative number of seconds.
    pub(crate) fn span(self) -> Option<Duration> {
        let seconds = u64::try_from(self.seconds).ok()?;
        let microseconds = u64::try_from(self.microseconds).unwrap_or(0);
        Some(Duration::from_secs(seconds).saturating_add(Duration::from_micros(microseconds)))
    }

    pub(crate) fn of_span(span: Duration) -> Self {
        Self {
            seconds: i64::try_from(span.as_secs()).unwrap_or(i64::MAX),
            microseconds: i64::from(span.subsec_micros()),
        }
    }
}

/// A PHP stream's data.
#[derive(Debug)]
#[repr(C)]
pub(crate) struct Socket {
    pub(crate) head: Head,
    object: Object,
    /// What a script opened it with, unless a listener has accepted it.
    opening: Option<Box<Opening>>,
    last_error: i32,
    /// What is known of its readiness, once a Fiber has waited on it.
    known: Option<Rc<Readiness>>,
    /// Whether the loop of Fibers hears of its datagrams.
    is_heard: bool,
    /// Of a server's connection, if it may not be idle for ever.
    idle: Option<Box<Idle>>,
    /// Of a listener of TLS, the options that it serves by.
    served: Option<Box<TlsServerOptions>>,
}

#[derive(Debug)]
struct Opening {
    target: Box<[u8]>,
    connect_timeout: TimeVal,
}

#[derive(Debug)]
enum Object {
    Empty,
    Listener(Arc<Listener>),
    Datagrams(Box<Datagrams>),
    Stream(Stream),
    Connecting(Box<Connecting>),
    Lookup(Box<Lookup>),
}

/// In the order of `enum ss_transport`.
const TRANSPORTS: [Transport; 8] = [
    Transport::Tcp,
    Transport::Udp,
    Transport::Unix,
    Transport::Udg,
    Transport::Mptcp,
    Transport::Vsock,
    Transport::Fd,
    Transport::Systemd,
];

/// How a connect came out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Connection {
    Made,
    UnderWay,
}

impl Socket {
    pub(crate) fn new(
        transport: u8,
        timeout: TimeVal,
        connect_timeout: TimeVal,
        target: &[u8],
    ) -> Self {
        let mut socket = Self::with(Head::new(transport, timeout), Object::Empty);
        socket.opening = Some(Box::new(Opening {
            target: target.into(),
            connect_timeout,
        }));
        socket
    }

    #[inline]
    fn with(head: Head, object: Object) -> Self {
        count(&counters::OPEN);
        Self {
            head,
            object,
            opening: None,
            last_error: 0,
            known: None,
            is_heard: false,
            idle: None,
            served: None,
        }
    }

    pub(crate) fn transport(&self) -> Transport {
        TRANSPORTS[usize::from(self.head.transport)]
    }

    pub(crate) fn target(&self) -> (&[u8], TimeVal) {
        let opening = self.opening.as_ref();
        opening.map_or((&[], TimeVal::default()), |opening| {
            (&opening.target, opening.connect_timeout)
        })
    }

    // ---- opening ----

    pub(crate) fn bind_inet(
        &mut self,
        ips: &[Ip],
        port: u16,
        wishes: &Wishes<'_>,
    ) -> Result<(), Failure> {
        let addresses = ips.iter().map(|ip| ip.with_port(port));
        let bound = listening::bind_inet(self.transport(), addresses, wishes);
        self.adopt_bound(bound)
    }

    fn adopt_bound(&mut self, bound: Result<Bound, Failure>) -> Result<(), Failure> {
        let bound = bound.inspect_err(|_| count(&counters::FAILED))?;
        count(&counters::BOUND);
        (self.head.kind, self.head.net.socket, self.object) = match bound {
            Bound::Listener(listener) => {
                let descriptor = listener.socket().as_raw_fd();
                // Of TLS nothing is known yet.
                self.head.proxied = listener.handshakes().is_some();
                (
                    Kind::Listener,
                    descriptor,
                    Object::Listener(Arc::new(*listener)),
                )
            }
            Bound::Datagrams(datagrams) => {
                let descriptor = datagrams.socket.as_fd().as_raw_fd();
                (Kind::Datagrams, descriptor, Object::Datagrams(datagrams))
            }
        };
        Ok(())
    }

    pub(crate) fn listen(&mut self) -> Result<(), Failure> {
        match &self.object {
            Object::Listener(listener) => Ok(listener.listen()?),
            Object::Datagrams(_) => Err(Failure::of_system(failure::NOT_SUPPORTED)),
            _ => Err(Failure::of_system(failure::INVALID)),
        }
    }

    /// Connects to the first address that answers, all within `timeout`; with `begin`, to the
    /// first that does not refuse at once, and without waiting.
    pub(crate) fn connect_inet(
        &mut self,
        ips: &[Ip],
        port: u16,
        timeout: Option<Duration>,
        begin: bool,
        wishes: &Wishes<'_>,
    ) -> Result<Connection, Failure> {
        let addresses: Vec<SocketAddr> = ips.iter().map(|ip| ip.with_port(port)).collect();
        if wishes.races() && !begin && !self.transport().is_datagram() {
            let raced = self.race(&addresses, timeout, wishes);
            return raced.inspect_err(|_| count(&counters::FAILED));
        }
        let deadline = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
        let mut last = Failure::of_words("the name has no address");
        for address in addresses {
            let left = deadline.map(|at| at.saturating_duration_since(Instant::now()));
            match self.connect_to(address, left, begin, wishes) {
                Ok(connection) => return Ok(connection),
                Err(failure) => last = failure,
            }
            if last.timed_out {
                break;
            }
        }
        count(&counters::FAILED);
        Err(last)
    }

    fn connect_to(
        &mut self,
        address: SocketAddr,
        left: Option<Duration>,
        begin: bool,
        wishes: &Wishes<'_>,
    ) -> Result<Connection, Failure> {
        let transport = self.transport();
        let mut options = wishes.to_connect(transport.is_datagram())?;
        if let Some(bindto) = wishes.bindto {
            options.bind = Some(local_address(bindto, address.ip())?);
        }
        let url = SocketUrl::from_address(transport, &SocketAddress::Inet(address))?;
        self.open(&url, options, left, begin)
    }

    fn open(
        &mut self,
        url: &SocketUrl,
        mut options: ConnectOptions,
        timeout: Option<Duration>,
        begin: bool,
    ) -> Result<Connection, Failure> {
        options.connect_timeout = Some(timeout.filter(|_| !begin).unwrap_or(Duration::MAX));
        let stream = if begin {
            Stream::begin(url, &options)?
        } else {
            Stream::connect(url, &options)?
        };
        self.connected(stream);
        Ok(if begin {
            Connection::UnderWay
        } else {
            Connection::Made
        })
    }

    fn connected(&mut self, stream: Stream) {
        count(&counters::CONNECTED);
        self.head.kind = Kind::Stream;
        self.head.net.socket = stream.as_fd().as_raw_fd();
        self.object = Object::Stream(stream);
    }

    // ---- accepting ----

    /// The next stream.
    pub(crate) fn accept(
        &mut self,
        timeout: Option<Duration>,
        named: bool,
    ) -> Result<Box<Socket>, Failure> {
        if matches!(self.object, Object::Stream(_)) {
            return Err(Failure::of_system(failure::INVALID));
        }
        let listener = self.listener()?;
        let stream = match named {
            true => listener.accept(timeout)?,
            false => listener.accept_unnamed(timeout)?,
        };
        Ok(self.around(stream))
    }

    /// A stream that this listener has accepted.
    pub(crate) fn around(&self, stream: Stream) -> Box<Socket> {
        count(&counters::ACCEPTED);
        let mut head = Head::new(self.head.transport, self.head.net.timeout);
        head.timeout_given = self.head.timeout_given;
        head.accepted = true;
        head.proxied = stream.proxy_header().is_some();
        if self.transport().is_datagram() {
            // A descriptor of its own is made when something waits on it.
            head.kind = Kind::Peer;
        } else {
            head.kind = Kind::Stream;
            head.net.socket = stream.as_fd().as_raw_fd();
            if self.head.tls == Tls::Listener {
                head.tls = Tls::On;
            }
        }
        Box::new(Self::with(head, Object::Stream(stream)))
    }

    /// The listener; one of datagrams becomes one when it accepts for the first time.
    pub(crate) fn listener(&mut self) -> Result<&Arc<Listener>, Failure> {
        if let Object::Datagrams(_) = &self.object {
            self.begin_to_accept()?;
        }
        match &self.object {
            Object::Listener(listener) => Ok(listener),
            _ => Err(Failure::of_system(failure::NO_SOCKET)),
        }
    }

    #[cold]
    fn begin_to_accept(&mut self) -> Result<(), Failure> {
        if let Object::Datagrams(bound) = mem::replace(&mut self.object, Object::Empty) {
            let Datagrams { socket, options } = *bound;
            let made = Listener::over(socket, &options);
            self.object = match made {
                Ok(listener) => Object::Listener(Arc::new(listener)),
                Err(unmade) => {
                    let (socket, error) = *unmade;
                    self.object = Object::Datagrams(Box::new(Datagrams { socket, options }));
                    return Err(error.into());
                }
            };
        }
        Ok(())
    }

    // ---- reading and writing ----

    /// Bytes or one datagram; whether that was the end. `None`: nothing is there, and it does not
    /// wait. A look leaves alone what is told of the last read that might have waited.
    pub(crate) fn read(
        &mut self,
        buffer: &mut [u8],
        look_once: bool,
    ) -> Result<(Option<usize>, bool), Failure> {
        let timeout = self.timeout(look_once);
        let (datagram, waits) = (self.transport().is_datagram(), self.waits() && !look_once);
        if waits {
            self.head.net.timeout_event = 0;
        }
        let result = match &mut self.object {
            Object::Stream(stream) => {
                stream.set_blocking(waits);
                if waits {
                    stream.set_read_timeout(timeout);
                }
                stream.read(buffer).map_err(Failure::from)
            }
            Object::Datagrams(datagrams) => {
                datagrams.socket.set_read_timeout(timeout);
                datagrams
                    .socket
                    .recv_from(buffer)
                    .map(|received| received.length)
                    .map_err(Failure::from)
            }
            _ => Err(Failure::of_system(failure::NOT_CONNECTED)),
        };
        match result {
            Ok(0) if !datagram => Ok((Some(0), true)),
            Ok(0) => Ok((Some(0), self.is_at_end())),
            Ok(length) => Ok((Some(length), false)),
            Err(failure) if failure.timed_out || failure.number == failure::AGAIN => {
                if waits {
                    self.head.net.timeout_event = 1;
                    return Err(failure);
                }
                Ok((None, false))
            }
            Err(failure) => Err(self.noted(failure)),
        }
    }

    pub(crate) fn peek(&mut self, buffer: &mut [u8]) -> Result<usize, Failure> {
        let timeout = self.timeout(false);
        let Object::Stream(stream) = &mut self.object else {
            return Err(Failure::of_system(failure::NOT_CONNECTED));
        };
        stream.set_read_timeout(timeout);
        Ok(stream.peek(buffer)?)
    }

    /// How much was sent; zero where nothing can be and it does not wait.
    #[inline]
    pub(crate) fn write(&mut self, bytes: &[u8]) -> Result<usize, Failure> {
        let waits = self.waits();
        let result = match &mut self.object {
            Object::Stream(stream) => {
                // Most writes need not wait, and for them no time has to be noted.
                stream.set_blocking(false);
                let looked = stream.write(bytes);
                stream.set_blocking(waits);
                match looked {
                    Err(error) if waits && error.kind() == ErrorKind::WouldBlock => {
                        stream.set_write_timeout(self.head.net.timeout.span());
                        stream.write(bytes).map_err(Failure::from)
                    }
                    result => result.map_err(Failure::from),
                }
            }
            Object::Datagrams(_) => Err(Failure::of_system(failure::NO_DESTINATION)),
            _ => Err(Failure::of_system(failure::PIPE)),
        };
        match result {
            Err(failure) if failure.timed_out || failure.number == failure::AGAIN => {
                if !waits {
                    return Ok(0);
                }
                self.head.net.timeout_event = 1;
                Err(Failure::of_system(failure::AGAIN))
            }
            Err(failure) => Err(self.noted(failure)),
            sent => sent,
        }
    }

    /// Remembers why reading or writing ended, for the meta data.
    fn noted(&mut self, mut failure: Failure) -> Failure {
        if failure.number == 0 {
            // What breaks TLS has no number of the system's.
            failure.number = failure::PROTOCOL;
        }
        self.last_error = failure.number;
        failure
    }

    fn waits(&self) -> bool {
        self.head.net.is_blocked != 0
    }

    fn timeout(&self, look_once: bool) -> Option<Duration> {
        if look_once || !self.waits() {
            return Some(Duration::ZERO);
        }
        self.head.net.timeout.span()
    }

    fn is_at_end(&mut self) -> bool {
        match &mut self.object {
            Object::Stream(stream) => stream.is_eof().unwrap_or(true),
            _ => false,
        }
    }

    /// Whether there is something to read still, or may be: `feof` asks this.
    pub(crate) fn is_alive(&mut self) -> bool {
        let waits = self.waits();
        match &mut self.object {
            Object::Stream(stream) => match ends(stream, waits) {
                Ok(at_end) => !at_end,
                Err(error) => {
                    self.last_error = error.errno().unwrap_or(0);
                    false
                }
            },
            Object::Listener(_) | Object::Datagrams(_) => true,
            Object::Empty | Object::Connecting(_) | Object::Lookup(_) => false,
        }
    }

    pub(crate) fn shutdown(&mut self, how: i32) -> Result<(), Failure> {
        let how = match how {
            0 => Shutdown::Read,
            1 => Shutdown::Write,
            _ => Shutdown::Both,
        };
        match &mut self.object {
            Object::Stream(stream) => Ok(stream.shutdown(how)?),
            Object::Listener(listener) if !self.head.is_datagram() => Ok(listener.shutdown(how)?),
            _ => Err(Failure::of_system(failure::NOT_CONNECTED)),
        }
    }

    // ---- what it is ----

    /// This end's name or the peer's; empty where there is none.
    pub(crate) fn name(&self, peer: bool) -> Result<Vec<u8>, Failure> {
        match &self.object {
            Object::Stream(stream) if peer => {
                Ok(stream.peer_addr().map(text_of).unwrap_or_default())
            }
            Object::Stream(stream) => Ok(stream
                .local_addr()?
                .as_ref()
                .map(text_of)
                .unwrap_or_default()),
            Object::Listener(_) | Object::Datagrams(_) if peer => {
                Err(Failure::of_system(failure::NOT_CONNECTED))
            }
            Object::Listener(listener) => Ok(text_of(listener.local_addr())),
            Object::Datagrams(datagrams) => Ok(text_of(datagrams.socket.local_addr())),
            Object::Empty | Object::Connecting(_) | Object::Lookup(_) => {
                Err(Failure::of_system(failure::NO_SOCKET))
            }
        }
    }

    /// The descriptor; what waits on it gets the one that is readable when there is something.
    pub(crate) fn descriptor(&mut self, for_waiting: bool) -> i32 {
        match &mut self.object {
            Object::Stream(stream) => {
                if !for_waiting {
                    // It can't fail on an open socket.
                    _ = stream.share_descriptor();
                }
                self.head.net.socket = stream.as_fd().as_raw_fd();
            }
            Object::Listener(listener) if for_waiting => {
                return listener.as_fd().as_raw_fd();
            }
            _ => {}
        }
        self.head.net.socket
    }

    /// Whether a read has something of which the descriptor does not know.
    pub(crate) fn has_pending(&self) -> bool {
        match &self.object {
            Object::Stream(stream) => stream.has_buffered(),
            _ => false,
        }
    }

    /// Gives the descriptor up to whoever goes on with it; -1 where there is none.
    pub(crate) fn release(&mut self) -> i32 {
        self.let_go();
        self.head.kind = Kind::Empty;
        self.head.net.socket = -1;
        let descriptor: Option<OwnedFd> = match mem::replace(&mut self.object, Object::Empty) {
            Object::Stream(stream) => stream.into_parts().ok().map(|(descriptor, _)| descriptor),
            // A server may go on with it.
            Object::Listener(listener) => Arc::into_inner(listener).map(OwnedFd::from),
            Object::Datagrams(datagrams) => Some(datagrams.socket.into()),
            Object::Empty | Object::Connecting(_) | Object::Lookup(_) => None,
        };
        descriptor.map_or(-1, IntoRawFd::into_raw_fd)
    }
}

/// Whether there is nothing more to read. Of datagrams it is an error that one was refused, as
/// stock PHP sees it: a persistent stream to who was not there is opened anew.
fn ends(stream: &mut Stream, waits: bool) -> Result<bool, Error> {
    let at_end = stream.is_eof()?;
    if at_end || !stream.transport().is_datagram() {
        return Ok(at_end);
    }
    stream.set_blocking(false);
    let looked = stream.peek(&mut [0]);
    stream.set_blocking(waits);
    match looked {
        Err(error) if error.errno() != Some(failure::AGAIN) => Err(error),
        _ => Ok(false),
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        self.let_go();
        counters::OPEN.fetch_sub(1, Relaxed);
    }
}
