//! Socket options: one function each, named as setsockopt names them.

use std::os::fd::BorrowedFd;
use std::time::Duration;

use rustix::net::sockopt;
use socket2::SockRef;

use super::seam::{Call, call};
use super::{Errno, ffi};

type Set = Result<(), Errno>;

fn set(run: impl FnOnce() -> Set) -> Set {
    call(Call::SetOption, run)
}

/// `SO_REUSEADDR`, [socket(7)](https://man7.org/linux/man-pages/man7/socket.7.html).
pub(crate) fn reuse_address(socket: BorrowedFd<'_>, on: bool) -> Set {
    set(|| sockopt::set_socket_reuseaddr(socket, on))
}

/// `SO_REUSEPORT`, socket(7).
pub(crate) fn reuse_port(socket: BorrowedFd<'_>, on: bool) -> Set {
    set(|| sockopt::set_socket_reuseport(socket, on))
}

/// `SO_BROADCAST`, socket(7).
pub(crate) fn broadcast(socket: BorrowedFd<'_>, on: bool) -> Set {
    set(|| sockopt::set_socket_broadcast(socket, on))
}

/// `SO_RCVBUF`, socket(7): bytes; the kernel doubles it and cuts it at `net.core.rmem_max`.
pub(crate) fn receive_buffer(socket: BorrowedFd<'_>, bytes: usize) -> Set {
    set(|| sockopt::set_socket_recv_buffer_size(socket, bytes))
}

/// `SO_RCVBUF` as the kernel counts it, with what it needs itself.
pub(crate) fn receive_buffer_size(socket: BorrowedFd<'_>) -> Result<usize, Errno> {
    call(Call::Option, || sockopt::socket_recv_buffer_size(socket))
}

/// Twice as much room as there is, as far as `net.core.wmem_max` allows.
#[cfg(feature = "tls")]
pub(crate) fn double_send_buffer(socket: BorrowedFd<'_>) -> Set {
    // What is told has been doubled already, and is doubled again.
    set(|| {
        let bytes = sockopt::socket_send_buffer_size(socket)?;
        sockopt::set_socket_send_buffer_size(socket, bytes)
    })
}

/// `SO_SNDBUF`, socket(7): bytes; the kernel doubles it and cuts it at `net.core.wmem_max`.
pub(crate) fn send_buffer(socket: BorrowedFd<'_>, bytes: usize) -> Set {
    set(|| sockopt::set_socket_send_buffer_size(socket, bytes))
}

/// `SO_SNDTIMEO`, socket(7): for the one call that can't be polled for, see `transport/race.rs`.
pub(crate) fn send_timeout(socket: BorrowedFd<'_>, span: Option<Duration>) -> Set {
    set(|| sockopt::set_socket_timeout(socket, sockopt::Timeout::Send, span))
}

/// `SO_RCVTIMEO`, socket(7): see `stream/in_call.rs`.
pub(crate) fn receive_timeout(socket: BorrowedFd<'_>, span: Option<Duration>) -> Set {
    set(|| sockopt::set_socket_timeout(socket, sockopt::Timeout::Recv, span))
}

/// `SO_LINGER`, socket(7): whole seconds; zero resets the connection on close.
pub(crate) fn linger(socket: BorrowedFd<'_>, span: Duration) -> Set {
    set(|| sockopt::set_socket_linger(socket, Some(span)))
}

/// `SO_KEEPALIVE`, socket(7).
pub(crate) fn keepalive(socket: BorrowedFd<'_>, on: bool) -> Set {
    set(|| sockopt::set_socket_keepalive(socket, on))
}

/// `TCP_KEEPIDLE`, [tcp(7)](https://man7.org/linux/man-pages/man7/tcp.7.html): whole seconds.
pub(crate) fn keepalive_idle(socket: BorrowedFd<'_>, span: Duration) -> Set {
    set(|| sockopt::set_tcp_keepidle(socket, span))
}

/// `TCP_KEEPINTVL`, tcp(7): whole seconds.
pub(crate) fn keepalive_interval(socket: BorrowedFd<'_>, span: Duration) -> Set {
    set(|| sockopt::set_tcp_keepintvl(socket, span))
}

/// `TCP_KEEPCNT`, tcp(7).
pub(crate) fn keepalive_count(socket: BorrowedFd<'_>, probes: u32) -> Set {
    set(|| sockopt::set_tcp_keepcnt(socket, probes))
}

/// `TCP_NODELAY`, tcp(7).
pub(crate) fn nodelay(socket: BorrowedFd<'_>, on: bool) -> Set {
    set(|| sockopt::set_tcp_nodelay(socket, on))
}

/// `TCP_QUICKACK`, tcp(7), off: the next acknowledgement may wait for bytes that it can go with.
pub(crate) fn acknowledge_later(socket: BorrowedFd<'_>) -> Set {
    set(|| sockopt::set_tcp_quickack(socket, false))
}

/// `TCP_USER_TIMEOUT`, tcp(7): milliseconds.
pub(crate) fn user_timeout(socket: BorrowedFd<'_>, span: Duration) -> Set {
    let milliseconds = u32::try_from(span.as_millis()).unwrap_or(u32::MAX);
    set(|| sockopt::set_tcp_user_timeout(socket, milliseconds))
}

/// `TCP_FASTOPEN`, tcp(7): how many connections may wait that have sent data but no final ACK.
pub(crate) fn fast_open(socket: BorrowedFd<'_>, pending: u32) -> Set {
    set(|| {
        ffi::set_option(
            socket,
            libc::IPPROTO_TCP,
            libc::TCP_FASTOPEN,
            integer(pending),
        )
    })
}

/// `TCP_DEFER_ACCEPT`, tcp(7): whole seconds.
pub(crate) fn defer_accept(socket: BorrowedFd<'_>, span: Duration) -> Set {
    let seconds = integer(span.as_secs().try_into().unwrap_or(u32::MAX));
    set(|| ffi::set_option(socket, libc::IPPROTO_TCP, libc::TCP_DEFER_ACCEPT, seconds))
}

/// `IPV6_V6ONLY`, [ipv6(7)](https://man7.org/linux/man-pages/man7/ipv6.7.html).
pub(crate) fn v6only(socket: BorrowedFd<'_>, on: bool) -> Set {
    set(|| sockopt::set_ipv6_v6only(socket, on))
}

/// `SO_BINDTODEVICE`, socket(7).
pub(crate) fn device(socket: BorrowedFd<'_>, name: &str) -> Set {
    set(|| {
        SockRef::from(&socket)
            .bind_device(Some(name.as_bytes()))
            .map_err(errno)
    })
}

/// `SO_MARK`, socket(7): needs CAP_NET_ADMIN.
pub(crate) fn mark(socket: BorrowedFd<'_>, mark: u32) -> Set {
    set(|| SockRef::from(&socket).set_mark(mark).map_err(errno))
}

/// `IP_PKTINFO`, [ip(7)](https://man7.org/linux/man-pages/man7/ip.7.html): each datagram comes
/// with the local address that it was sent to.
pub(crate) fn packet_info_v4(socket: BorrowedFd<'_>) -> Set {
    set(|| ffi::set_option(socket, libc::IPPROTO_IP, libc::IP_PKTINFO, 1))
}

/// `IPV6_RECVPKTINFO`, ipv6(7) and RFC 3542 section 4.
pub(crate) fn packet_info_v6(socket: BorrowedFd<'_>) -> Set {
    set(|| ffi::set_option(socket, libc::IPPROTO_IPV6, libc::IPV6_RECVPKTINFO, 1))
}

/// `UDP_GRO`, [udp(7)](https://man7.org/linux/man-pages/man7/udp.7.html): datagrams that came in
/// one go are received as one, with their size beside them.
pub(crate) fn coalesce(socket: BorrowedFd<'_>) -> Set {
    set(|| ffi::set_option(socket, libc::SOL_UDP, libc::UDP_GRO, 1))
}

/// Bytes that were sent over a stream and that its peer has not taken; `SIOCOUTQ`, tcp(7).
pub(crate) fn queued(socket: BorrowedFd<'_>) -> Result<usize, Errno> {
    let length = call(Call::Option, || ffi::queued(socket))?;
    Ok(usize::try_from(length).unwrap_or_default())
}

fn integer(value: u32) -> libc::c_int {
    libc::c_int::try_from(value).unwrap_or(libc::c_int::MAX)
}

fn errno(error: std::io::Error) -> Errno {
    error
        .raw_os_error()
        .map_or(Errno::INVAL, Errno::from_raw_os_error)
}
