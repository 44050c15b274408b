//! Options of a bound socket.

use std::time::Duration;

use super::socket::SocketOptions;
use super::tls::TlsServerOptions;
use super::unix::UnixOptions;
use crate::proxy_protocol::ProxyReading;

/// How a [`Listener`](crate::Listener) or a [`DatagramSocket`](crate::DatagramSocket) is bound.
///
/// Each field but [`bind_only`](Self::bind_only) and [`coalesce`](Self::coalesce) is also a key of
/// the URL's query, which overrides it; the table of [`keys`](crate::keys) lists them.
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
    /// Takes an address at once on which connections of a former listener linger: `SO_REUSEADDR`.
    /// On by default. tcp.
    pub reuse_address: Option<bool>,
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
    /// Connections that there may be at once; no limit by default. tcp, unix.
    ///
    /// The rest waits in the backlog, unless [`close_when_full`](Self::close_when_full).
    pub max_connections: Option<u32>,
    /// Connections that there may be at once from one IP address; no limit by default. The rest
    /// is closed. tcp.
    pub max_connections_per_ip: Option<u32>,
    /// Closes connections for which there is no place or no descriptor, instead of leaving them
    /// in the backlog. tcp, unix.
    pub close_when_full: Option<bool>,
    /// How long the [engine](crate::engine) keeps a connection on which nothing moves; no limit
    /// by default. tcp, unix.
    pub idle_timeout: Option<Duration>,
    /// How long the [engine](crate::engine) keeps a connection at all; no limit by default. tcp,
    /// unix.
    pub lifetime: Option<Duration>,
    /// Peers that a listener of datagrams knows at a time: those with a stream and those that wait
    /// to be accepted. 4096 by default, as many as the backlog of a listener of connections; what
    /// comes from further ones is dropped and counted. udp, udg; of a
    /// [`Listener`](crate::Listener).
    pub max_peers: Option<u32>,
    /// How long a peer may be idle, without a datagram either way while nobody waits for one,
    /// until its stream ends. 60 s by default; [`Duration::MAX`] is no limit. udp, udg; of a
    /// [`Listener`](crate::Listener).
    pub peer_idle_timeout: Option<Duration>,
    /// Whether connections begin with a header of the PROXY protocol, v1 or v2, which tells whose
    /// they are; not by default. Accept returns those alone whose header has come, and so, over
    /// TLS, has the handshake behind it. tcp, unix, vsock.
    ///
    /// Over udp and udg every datagram begins with one, of v2, and is dropped without; answers go
    /// to the proxy, as they are. A [`DatagramSocket`](crate::DatagramSocket) receives it with the
    /// rest, see [`without_header`](crate::DatagramSocket::without_header).
    pub proxy_protocol: Option<ProxyReading>,
    /// The networks whose headers are believed, as in `10.0.0.0/8`; who comes from elsewhere is
    /// refused. Needed where a header is required over tcp or udp. Over unix and vsock whoever can
    /// connect is believed.
    pub proxy_from: Vec<String>,
    /// How long a header may take; 5 s by default. tcp, unix.
    pub proxy_timeout: Option<Duration>,
    /// The file of a unix socket. unix, udg.
    pub unix: UnixOptions,
    /// Certificate, key and the like. tls, ssl, tlsv1.2, tlsv1.3, tls+unix.
    pub tls: TlsServerOptions,
    /// Receives datagrams that came in one go together, where the system can: `UDP_GRO`. Such a
    /// socket is read by [`recv_batch`](crate::DatagramSocket::recv_batch) alone, into batches with
    /// room for 65,536 bytes. Ignored on transports other than udp. Off by default.
    pub coalesce: bool,
    /// Binds without listening; [`Listener::listen`](crate::Listener::listen) does that later.
    pub bind_only: bool,
}
