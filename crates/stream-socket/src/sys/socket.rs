//! Sockets: created, bound, listened to, accepted from, connected, read and written. One path each.
//!
//! What is made here is non-blocking and close-on-exec from birth. Reads and writes carry
//! `MSG_DONTWAIT` besides, so that an inherited descriptor, whose mode others share, is never
//! waited on inside a call; `MSG_NOSIGNAL` keeps SIGPIPE away.

use std::io::{self, IoSlice, IoSliceMut};
use std::net::Shutdown;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::OFlags;
use rustix::net::{
    self, AddressFamily, RecvFlags, ReturnFlags, SendFlags, SocketAddrUnix, SocketFlags, SocketType,
};
use socket2::{SockAddr, SockRef};

use super::seam::{Call, call, clip};
use super::{Errno, ffi, inherited, name};
use crate::address::SocketAddress;
use crate::url::Transport;

/// What a descriptor is, told by the kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Kind {
    pub(crate) family: Family,
    pub(crate) datagram: bool,
    pub(crate) listening: bool,
    /// Whether it is of multipath TCP.
    pub(crate) multipath: bool,
}

/// An address family.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Family {
    V4,
    V6,
    Unix,
    Vsock,
}

impl Family {
    /// The family that an address belongs to.
    pub(crate) fn of(address: &SocketAddress) -> Self {
        match address {
            SocketAddress::Inet(inet) if inet.is_ipv4() => Family::V4,
            SocketAddress::Inet(_) => Family::V6,
            SocketAddress::Unix(_) => Family::Unix,
            SocketAddress::Vsock(_) => Family::Vsock,
        }
    }

    fn system(self) -> AddressFamily {
        match self {
            Family::V4 => AddressFamily::INET,
            Family::V6 => AddressFamily::INET6,
            Family::Unix => AddressFamily::UNIX,
            Family::Vsock => AddressFamily::VSOCK,
        }
    }
}

const OURS: SocketFlags = SocketFlags::CLOEXEC.union(SocketFlags::NONBLOCK);

fn system_type(datagram: bool) -> SocketType {
    if datagram {
        SocketType::DGRAM
    } else {
        SocketType::STREAM
    }
}

/// socket(2).
pub(crate) fn open(family: Family, datagram: bool) -> Result<OwnedFd, Errno> {
    call(Call::Socket, || {
        net::socket_with(family.system(), system_type(datagram), OURS, None)
    })
}

/// socket(2), of multipath TCP, or of TCP where the system has none.
pub(crate) fn open_multipath(family: Family) -> Result<OwnedFd, Errno> {
    let (family, protocol) = (family.system(), Some(net::ipproto::MPTCP));
    let opened = call(Call::Socket, || {
        net::socket_with(family, SocketType::STREAM, OURS, protocol)
    });
    match opened {
        // Not built in, or switched off: mptcp(7), net.mptcp.enabled.
        Err(Errno::PROTONOSUPPORT | Errno::NOPROTOOPT | Errno::INVAL) => call(Call::Socket, || {
            net::socket_with(family, SocketType::STREAM, OURS, None)
        }),
        opened => opened,
    }
}

/// socketpair(2), of unix sockets.
pub(crate) fn pair(datagram: bool) -> Result<(OwnedFd, OwnedFd), Errno> {
    call(Call::Socket, || {
        net::socketpair(AddressFamily::UNIX, system_type(datagram), OURS, None)
    })
}

/// What an inherited descriptor is; `EPROTONOSUPPORT` for a family or type that we don't serve.
pub(crate) fn kind(socket: BorrowedFd<'_>) -> Result<Kind, Errno> {
    let family = match call(Call::Option, || net::sockopt::socket_domain(socket))? {
        AddressFamily::INET => Family::V4,
        AddressFamily::INET6 => Family::V6,
        AddressFamily::UNIX => Family::Unix,
        AddressFamily::VSOCK => Family::Vsock,
        _ => return Err(Errno::PROTONOSUPPORT),
    };
    let datagram = match call(Call::Option, || net::sockopt::socket_type(socket))? {
        SocketType::STREAM => false,
        SocketType::DGRAM => true,
        _ => return Err(Errno::PROTONOSUPPORT),
    };
    let listening = call(Call::Option, || net::sockopt::socket_acceptconn(socket))?;
    let protocol = call(Call::Option, || net::sockopt::socket_protocol(socket))?;
    Ok(Kind {
        family,
        datagram,
        listening,
        multipath: protocol == Some(net::ipproto::MPTCP),
    })
}

/// bind(2).
pub(crate) fn bind(socket: BorrowedFd<'_>, address: &SocketAddress) -> Result<(), Errno> {
    call(Call::Bind, || match address {
        SocketAddress::Inet(inet) => net::bind(socket, inet),
        SocketAddress::Unix(unix) => net::bind(socket, &name::unix(unix)?),
        SocketAddress::Vsock(vsock) => {
            let bound = SockRef::from(&socket).bind(&SockAddr::vsock(vsock.cid, vsock.port));
            bound.map_err(|error| number_of(&error))
        }
    })
}

fn number_of(error: &io::Error) -> Errno {
    Errno::from_io_error(error).unwrap_or(Errno::IO)
}

/// bind(2) to an abstract name that the kernel chooses: "autobind" in unix(7).
pub(crate) fn autobind(socket: BorrowedFd<'_>) -> Result<(), Errno> {
    call(Call::Bind, || {
        net::bind(socket, &SocketAddrUnix::new_unnamed())
    })
}

/// listen(2).
pub(crate) fn listen(socket: BorrowedFd<'_>, backlog: u32) -> Result<(), Errno> {
    let backlog = i32::try_from(backlog).unwrap_or(i32::MAX);
    call(Call::Listen, || net::listen(socket, backlog))
}

/// accept4(2): the connection and, if it is asked for and has a name, its peer. An inheritable one
/// blocks and stays open across exec.
pub(crate) fn accept(
    socket: BorrowedFd<'_>,
    inheritable: bool,
    named: bool,
) -> Result<(OwnedFd, Option<SocketAddress>), Errno> {
    let flags = if inheritable {
        SocketFlags::empty()
    } else {
        OURS
    };
    let mut storage = [0; name::STORAGE];
    let (connection, length) = call(Call::Accept, || {
        let name = named.then_some(&mut storage);
        ffi::accept(socket, flags.bits() as libc::c_int, name)
    })?;
    let peer = name::read(&storage[..length]);
    if inheritable {
        inherited::opened(connection.as_fd());
    }
    Ok((connection, peer))
}

/// Whether accept failed for one connection alone, so that the next can be taken at once.
///
/// accept(2), "Error handling": Linux reports errors that were pending on the new socket, and
/// a firewall's refusal, as its own.
pub(crate) fn is_one_connections_fault(errno: Errno) -> bool {
    const KIN: [Errno; 10] = [
        Errno::CONNABORTED,
        Errno::NETDOWN,
        Errno::PROTO,
        Errno::NOPROTOOPT,
        Errno::HOSTDOWN,
        Errno::NONET,
        Errno::HOSTUNREACH,
        Errno::NETUNREACH,
        Errno::PERM,
        Errno::TIMEDOUT,
    ];
    KIN.contains(&errno)
}

/// connect(2). `EINPROGRESS`: poll for writing, then ask [`take_error`].
pub(crate) fn connect(socket: BorrowedFd<'_>, address: &SocketAddress) -> Result<(), Errno> {
    call(Call::Connect, || match address {
        SocketAddress::Inet(inet) => net::connect(socket, inet),
        SocketAddress::Unix(unix) => net::connect(socket, &name::unix(unix)?),
        SocketAddress::Vsock(vsock) => {
            let begun = SockRef::from(&socket).connect(&SockAddr::vsock(vsock.cid, vsock.port));
            begun.map_err(|error| number_of(&error))
        }
    })
}

/// getsockopt(SO_ERROR): how a connect ended, or what is pending on a socket.
pub(crate) fn take_error(socket: BorrowedFd<'_>) -> Result<(), Errno> {
    call(Call::Option, || {
        net::sockopt::socket_error(socket).and_then(|pending| pending)
    })
}

/// How a read takes bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Take {
    /// Away from the socket.
    Consume,
    /// And leaves them there: `MSG_PEEK`.
    Peek,
    /// The byte sent out of band: `MSG_OOB`.
    Urgent,
    /// Away from the socket, waiting as long as that is set to.
    Await,
}

/// recv(2), without waiting but for [`Take::Await`].
pub(crate) fn receive(
    socket: BorrowedFd<'_>,
    buffer: &mut [u8],
    take: Take,
) -> Result<usize, Errno> {
    let flags = match take {
        Take::Consume => RecvFlags::DONTWAIT,
        Take::Peek => RecvFlags::DONTWAIT | RecvFlags::PEEK,
        Take::Urgent => RecvFlags::DONTWAIT | RecvFlags::OOB,
        Take::Await => RecvFlags::empty(),
    };
    let wanted = clip(Call::Receive, buffer.len());
    let (length, _) = call(Call::Receive, || {
        net::recv(socket, &mut buffer[..wanted], flags)
    })?;
    Ok(length)
}

/// recvmsg(2) from a unix stream, without waiting.
///
/// The kernel ends a receive behind bytes that came with descriptors (unix(7)), though more are
/// there. This goes on: who is told once that there is something takes a short receive for the
/// last one. The descriptors are closed, which `has_lost` is set for.
pub(crate) fn receive_unix(
    socket: BorrowedFd<'_>,
    buffer: &mut [u8],
    has_lost: &mut bool,
) -> Result<usize, Errno> {
    let mut length = 0;
    loop {
        let wanted = clip(Call::Receive, buffer.len() - length);
        let room = &mut buffer[length..length + wanted];
        let (bytes, flags) = match receive_message(socket, room, &mut []) {
            Ok(message) => (message.bytes, message.flags),
            // What has come is told; an error is met again.
            Err(_) if length > 0 => return Ok(length),
            Err(errno) => return Err(errno),
        };
        length += bytes;
        *has_lost |= flags.contains(ReturnFlags::CTRUNC);
        // Asked before, so that no receive takes an error that is to be told by the next one.
        let goes_on = flags.contains(ReturnFlags::CTRUNC)
            && length < buffer.len()
            && rustix::io::ioctl_fionread(socket).is_ok_and(|waiting| waiting > 0);
        if !goes_on {
            return Ok(length);
        }
    }
}

/// recvmsg(2) of one datagram, without waiting, into two buffers, one after the other.
///
/// The second takes what the first has no room for, so that a short buffer loses nothing.
/// `EMSGSIZE`: not even both had room, and the datagram is lost. Over unix it may have any size.
pub(crate) fn receive_datagram(
    socket: BorrowedFd<'_>,
    first: &mut [u8],
    second: &mut [u8],
) -> Result<usize, Errno> {
    receive_message(socket, first, second).map(|message| message.bytes)
}

/// The same, with its sender: a socket that was connected after it was bound may hold what
/// others sent in between.
pub(crate) fn receive_datagram_from(
    socket: BorrowedFd<'_>,
    first: &mut [u8],
    second: &mut [u8],
) -> Result<(usize, Option<SocketAddress>), Errno> {
    let message = receive_message(socket, first, second)?;
    Ok((message.bytes, name::ours(message.address.as_ref())))
}

fn receive_message(
    socket: BorrowedFd<'_>,
    first: &mut [u8],
    second: &mut [u8],
) -> Result<net::RecvMsg, Errno> {
    let mut buffers = [IoSliceMut::new(first), IoSliceMut::new(second)];
    let message = call(Call::Receive, || {
        let mut control = net::RecvAncillaryBuffer::default();
        net::recvmsg(socket, &mut buffers, &mut control, RecvFlags::DONTWAIT)
    })?;
    if message.flags.contains(ReturnFlags::TRUNC) {
        return Err(Errno::MSGSIZE);
    }
    Ok(message)
}

/// ioctl(FIONREAD): bytes of the datagram that is received next over unix, where it may have any
/// size; 0 where there is none, and over udp.
pub(crate) fn length_of_next(socket: BorrowedFd<'_>, transport: Transport) -> Result<usize, Errno> {
    if !transport.is_unix() {
        return Ok(0);
    }
    let length = call(Call::Option, || rustix::io::ioctl_fionread(socket))?;
    Ok(usize::try_from(length).unwrap_or(usize::MAX))
}

/// Whether a datagram waits: recv(2) of nothing, with `MSG_PEEK`.
pub(crate) fn has_datagram(socket: BorrowedFd<'_>) -> bool {
    receive(socket, &mut [], Take::Peek).is_ok()
}

/// How a write gives bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Give {
    Now,
    /// The last one out of band: `MSG_OOB`.
    Urgent,
    /// In one segment with what follows at once: `MSG_MORE`.
    More,
}

/// send(2), without waiting.
pub(crate) fn send(socket: BorrowedFd<'_>, bytes: &[u8], give: Give) -> Result<usize, Errno> {
    let manner = match give {
        Give::Now => SendFlags::empty(),
        Give::Urgent => SendFlags::OOB,
        Give::More => SendFlags::MORE,
    };
    let flags = SendFlags::DONTWAIT | SendFlags::NOSIGNAL | manner;
    let wanted = clip(Call::Send, bytes.len());
    call(Call::Send, || net::send(socket, &bytes[..wanted], flags))
}

/// sendmsg(2) of bytes from several places, without waiting.
pub(crate) fn send_slices(socket: BorrowedFd<'_>, slices: &[IoSlice<'_>]) -> Result<usize, Errno> {
    let length = slices.iter().map(|slice| slice.len()).sum();
    let wanted = clip(Call::Send, length);
    let mut first = [IoSlice::new(&[])];
    let slices = match slices.iter().find(|_| wanted < length) {
        Some(slice) => {
            first[0] = IoSlice::new(&slice[..wanted.min(slice.len())]);
            &first
        }
        None => slices,
    };
    let flags = SendFlags::DONTWAIT | SendFlags::NOSIGNAL;
    call(Call::Send, || {
        net::sendmsg(
            socket,
            slices,
            &mut net::SendAncillaryBuffer::default(),
            flags,
        )
    })
}

/// sendmsg(2) of one datagram that begins with `prefix`, without waiting; bytes sent after that.
pub(crate) fn send_with_prefix(
    socket: BorrowedFd<'_>,
    prefix: &[u8],
    bytes: &[u8],
) -> Result<usize, Errno> {
    let parts = [IoSlice::new(prefix), IoSlice::new(bytes)];
    let flags = SendFlags::DONTWAIT | SendFlags::NOSIGNAL;
    let sent = call(Call::Send, || {
        net::sendmsg(
            socket,
            &parts,
            &mut net::SendAncillaryBuffer::default(),
            flags,
        )
    })?;
    Ok(sent.saturating_sub(prefix.len()))
}

/// shutdown(2).
pub(crate) fn shutdown(socket: BorrowedFd<'_>, how: Shutdown) -> Result<(), Errno> {
    let how = match how {
        Shutdown::Read => net::Shutdown::Read,
        Shutdown::Write => net::Shutdown::Write,
        Shutdown::Both => net::Shutdown::Both,
    };
    call(Call::Shutdown, || net::shutdown(socket, how))
}

/// getsockname(2); `None` for an unnamed unix socket.
pub(crate) fn local_address(socket: BorrowedFd<'_>) -> Result<Option<SocketAddress>, Errno> {
    call(Call::Name, || net::getsockname(socket)).map(|address| name::ours(Some(&address)))
}

/// getpeername(2); `None` for an unnamed unix socket.
pub(crate) fn peer_address(socket: BorrowedFd<'_>) -> Result<Option<SocketAddress>, Errno> {
    call(Call::Name, || net::getpeername(socket)).map(|address| name::ours(address.as_ref()))
}

/// dup2(2): makes `target` another descriptor of `socket`, in place of what it was.
pub(crate) fn replace(target: &mut OwnedFd, socket: BorrowedFd<'_>) -> Result<(), Errno> {
    call(Call::Mode, || {
        rustix::io::dup3(socket, target, rustix::io::DupFlags::CLOEXEC)
    })
}

/// fcntl(F_SETFD): leaves the descriptor open across exec.
pub(crate) fn make_inheritable(socket: BorrowedFd<'_>) -> Result<(), Errno> {
    inherited::opened(socket);
    call(Call::Mode, || {
        rustix::io::fcntl_setfd(socket, rustix::io::FdFlags::empty())
    })
}

/// fcntl(F_SETFL): whether calls on the descriptor wait, for whoever has it after us.
pub(crate) fn set_blocking(socket: impl AsFd, blocking: bool) -> Result<(), Errno> {
    let socket = socket.as_fd();
    let flags = call(Call::Mode, || rustix::fs::fcntl_getfl(socket))?;
    let wanted = if blocking {
        flags - OFlags::NONBLOCK
    } else {
        flags | OFlags::NONBLOCK
    };
    call(Call::Mode, || rustix::fs::fcntl_setfl(socket, wanted))
}

/// fcntl(F_SETFL, O_NONBLOCK); whether the descriptor was blocking before.
pub(crate) fn stop_blocking(socket: BorrowedFd<'_>) -> Result<bool, Errno> {
    let flags = call(Call::Mode, || rustix::fs::fcntl_getfl(socket))?;
    if flags.contains(OFlags::NONBLOCK) {
        return Ok(false);
    }
    call(Call::Mode, || {
        rustix::fs::fcntl_setfl(socket, flags | OFlags::NONBLOCK)
    })?;
    Ok(true)
}

/// A descriptor of no use but to be closed when another is needed and none is left.
pub(crate) fn reserve() -> Result<OwnedFd, Errno> {
    call(Call::Socket, || {
        rustix::fs::open(
            "/dev/null",
            OFlags::RDONLY | OFlags::CLOEXEC,
            rustix::fs::Mode::empty(),
        )
    })
}
