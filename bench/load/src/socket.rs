//! Blocking sockets with a timeout, connected to the server that is measured.

use std::io::{self, IoSlice, IoSliceMut, Read, Write};
use std::net::{Ipv4Addr, SocketAddrV4, TcpListener};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use nix::errno::Errno;
use nix::libc;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::sys::socket::sockopt::{Linger, ReceiveTimeout, SendTimeout};
use nix::sys::socket::{
    AddressFamily, MsgFlags, Shutdown, SockFlag, SockType, SockaddrIn, bind, connect, recv, send,
    setsockopt, shutdown, socket,
};
use nix::sys::time::TimeVal;

use crate::failure::Failure;

/// A server that doesn't answer for so long has failed. Ten retries of a SYN fit into it.
pub(crate) const PATIENCE_SECONDS: i64 = 20;
/// Connections from one address: below the 28,232 ports of Linux's `ip_local_port_range`.
const PER_SOURCE: usize = 10_000;

/// As many descriptors as the system allows.
pub(crate) fn raise_descriptor_limit() -> Result<(), Failure> {
    let failed = |errno| Failure::call("raise the descriptor limit", errno);
    let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE).map_err(failed)?;
    setrlimit(Resource::RLIMIT_NOFILE, hard, hard).map_err(failed)
}

/// A connected stream. Its close is a reset, so that no port is left in TIME_WAIT on either side.
#[derive(Debug)]
pub(crate) struct Connection(OwnedFd);

impl Connection {
    pub(crate) fn open(server: SocketAddrV4) -> Result<Self, Failure> {
        Self::open_from(None, server)
    }

    /// The `index`th of many: each ten thousand have a source address of their own.
    pub(crate) fn open_nth(server: SocketAddrV4, index: usize) -> Result<Self, Failure> {
        let last = u8::try_from(1 + index / PER_SOURCE)
            .map_err(|_| Failure::new("too many connections for 127.0.0.0/24"))?;
        Self::open_from(Some(Ipv4Addr::new(127, 0, 0, last)), server)
    }

    fn open_from(source: Option<Ipv4Addr>, server: SocketAddrV4) -> Result<Self, Failure> {
        let failed = |errno| Failure::call("connect", errno);
        let descriptor = patient(SockType::Stream)?;
        close_by_reset(&descriptor)?;
        if let Some(source) = source {
            let source = SockaddrIn::from(SocketAddrV4::new(source, 0));
            bind(descriptor.as_raw_fd(), &source).map_err(failed)?;
        }
        connect(descriptor.as_raw_fd(), &SockaddrIn::from(server)).map_err(failed)?;
        Ok(Self(descriptor))
    }

    pub(crate) fn descriptor(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }

    pub(crate) fn send(&self, bytes: &[u8]) -> Result<(), Failure> {
        // A blocking send takes all or waits; what it took less than all, the timeout has cut.
        match send(self.0.as_raw_fd(), bytes, MsgFlags::MSG_NOSIGNAL) {
            Ok(count) if count == bytes.len() => Ok(()),
            Ok(_) => Err(Failure::call("send", Errno::EAGAIN)),
            Err(errno) => Err(Failure::call("send", errno)),
        }
    }

    /// Fills the buffer unless the stream ends before.
    pub(crate) fn receive_all(&self, buffer: &mut [u8]) -> Result<usize, Failure> {
        recv(self.0.as_raw_fd(), buffer, MsgFlags::MSG_WAITALL)
            .map_err(|errno| Failure::call("receive", errno))
    }

    /// Sends what can be sent at once.
    pub(crate) fn send_some(&self, bytes: &[u8]) -> Result<usize, Failure> {
        let flags = MsgFlags::MSG_NOSIGNAL | MsgFlags::MSG_DONTWAIT;
        at_once(send(self.0.as_raw_fd(), bytes, flags), "send")
    }

    /// Receives what is there.
    pub(crate) fn receive_some(&self, buffer: &mut [u8]) -> Result<usize, Failure> {
        match recv(self.0.as_raw_fd(), buffer, MsgFlags::MSG_DONTWAIT) {
            Ok(0) => Err(Failure::new("the stream ended too early")),
            result => at_once(result, "receive"),
        }
    }

    /// Ends what is sent, and nothing else.
    pub(crate) fn finish(&self) -> Result<(), Failure> {
        shutdown(self.0.as_raw_fd(), Shutdown::Write).map_err(|errno| Failure::call("end", errno))
    }
}

/// Nothing, where the call would have had to wait.
fn at_once(result: nix::Result<usize>, what: &str) -> Result<usize, Failure> {
    match result {
        Err(Errno::EAGAIN) => Ok(0),
        result => result.map_err(|errno| Failure::call(what, errno)),
    }
}

/// What accepts connections, as patiently as they are.
#[derive(Debug)]
pub(crate) struct Listener(TcpListener);

impl Listener {
    pub(crate) fn open(address: SocketAddrV4) -> Result<Self, Failure> {
        let failed = |error| Failure::new(format!("cannot listen on {address}: {error}"));
        let listener = TcpListener::bind(address).map_err(failed)?;
        be_patient(&listener)?;
        Ok(Self(listener))
    }

    pub(crate) fn accept(&self) -> Result<Connection, Failure> {
        let (stream, _) = self.0.accept().map_err(|error| {
            let errno = error
                .raw_os_error()
                .map_or(Errno::UnknownErrno, Errno::from_raw);
            Failure::call("accept", errno)
        })?;
        be_patient(&stream)?;
        close_by_reset(&stream)?;
        Ok(Connection(stream.into()))
    }
}

impl Read for Connection {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        Ok(recv(self.0.as_raw_fd(), buffer, MsgFlags::empty())?)
    }
}

impl Write for Connection {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        Ok(send(self.0.as_raw_fd(), bytes, MsgFlags::MSG_NOSIGNAL)?)
    }

    /// As one segment: a second would wait for the first to be acknowledged.
    fn write_vectored(&mut self, parts: &[IoSlice<'_>]) -> io::Result<usize> {
        let whole: Vec<u8> = parts.iter().flat_map(|part| part.iter().copied()).collect();
        self.write(&whole)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A datagram socket connected to `server`.
pub(crate) fn datagram(server: SocketAddrV4) -> Result<OwnedFd, Failure> {
    let descriptor = patient(SockType::Datagram)?;
    connect(descriptor.as_raw_fd(), &SockaddrIn::from(server))
        .map_err(|errno| Failure::call("connect", errno))?;
    Ok(descriptor)
}

fn patient(kind: SockType) -> Result<OwnedFd, Failure> {
    let failed = |errno| Failure::call("open a socket", errno);
    let descriptor =
        socket(AddressFamily::Inet, kind, SockFlag::SOCK_CLOEXEC, None).map_err(failed)?;
    be_patient(&descriptor)?;
    Ok(descriptor)
}

fn be_patient(socket: &impl AsFd) -> Result<(), Failure> {
    let patience = TimeVal::new(PATIENCE_SECONDS, 0);
    setsockopt(socket, ReceiveTimeout, &patience)
        .and_then(|()| setsockopt(socket, SendTimeout, &patience))
        .map_err(|errno| Failure::call("limit the patience of a socket", errno))
}

fn close_by_reset(socket: &impl AsFd) -> Result<(), Failure> {
    let reset = libc::linger {
        l_onoff: 1,
        l_linger: 0,
    };
    setsockopt(socket, Linger, &reset)
        .map_err(|errno| Failure::call("have a socket closed by reset", errno))
}

/// The parts of a batch as the system call wants them.
pub(crate) fn parts(buffers: &[Vec<u8>]) -> Vec<[IoSlice<'_>; 1]> {
    buffers.iter().map(|bytes| [IoSlice::new(bytes)]).collect()
}

/// As [`parts`], to be filled.
pub(crate) fn parts_mut(buffers: &mut [Vec<u8>]) -> Vec<[IoSliceMut<'_>; 1]> {
    buffers
        .iter_mut()
        .map(|bytes| [IoSliceMut::new(bytes)])
        .collect()
}
