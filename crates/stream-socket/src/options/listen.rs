//! Options of a bound socket.

use std::time::Duration;

use super::socket::SocketOptions;
use super::unix::UnixOptions;

/// How a [`Listener`](crate::Listener) or a [`DatagramSocket`](crate::DatagramSocket) is bound.
///
/// Each field but [`bind_only`](Self::bind_only) is also a key of the URL's query, which
/// overrides it; the table of [`keys`](crate::keys) lists them.
///
/// # Examples
///
/// ```
/// use stream_socket::{ListenOptions, Listener};
///
/// let mut options = ListenOptions::default();
/// options.socket.nodelay = Some(true);
/// let listener = Listener::bind("tcp://127.0.0.1:0?backlog=64", &options)?;
/// # Ok::<(), stream_socket::Error>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ListenOptions {
    /// What every socket can be given.
    pub socket: SocketOptions,
    /// Connections that may wait to be accepted: listen(2). 4096 by default, which the kernel
    /// cuts at `net.core.somaxconn`. tcp, unix.
    pub backlog: Option<u32>,
    /// Lets several sockets share one address: `SO_REUSEPORT`. tcp, udp.
    ///
    /// Closing one of them resets the connections that wait in its queue.
    pub reuse_port: Option<bool>,
    /// Whether an IPv6 socket refuses IPv4 clients: `IPV6_V6ONLY`. tcp, udp.
    pub v6only: Option<bool>,
    /// Accepts data in a client's first packet: `TCP_FASTOPEN`. tcp.
    pub fast_open: Option<bool>,
    /// Reports a connection only when data has come, and drops it after this time, in whole
    /// seconds: `TCP_DEFER_ACCEPT`. tcp.
    pub defer_accept: Option<Duration>,
    /// The file of a unix socket. unix, udg.
    pub unix: UnixOptions,
    /// Binds without listening; [`Listener::listen`](crate::Listener::listen) does that later.
    pub bind_only: bool,
}
