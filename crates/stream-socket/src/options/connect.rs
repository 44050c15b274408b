//! Options of a connecting stream.

use std::time::Duration;

use super::socket::SocketOptions;
use super::tls::TlsClientOptions;
use crate::proxy_protocol::{ProxyHeader, ProxyVersion};

/// How a [`Stream`](crate::Stream) is connected.
///
/// Each field is also a key of the URL's query, which overrides it; the table of
/// [`keys`](crate::keys) lists them.
///
/// # Examples
///
/// ```no_run
/// use std::time::Duration;
/// use stream_socket::{ConnectOptions, Stream};
///
/// let mut options = ConnectOptions::default();
/// options.connect_timeout = Some(Duration::from_secs(2));
/// let stream = Stream::connect("tcp://example.org:80", &options)?;
/// # Ok::<(), stream_socket::Error>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ConnectOptions {
    /// What every socket can be given.
    pub socket: SocketOptions,
    /// How long resolving the name, trying all its addresses and, over TLS, the handshake may take
    /// together. 60 s by default, as PHP's `default_socket_timeout`; [`Duration::MAX`] is no limit.
    pub connect_timeout: Option<Duration>,
    /// How long one address is tried before the next one is tried beside it: 250 ms by default,
    /// the "Connection Attempt Delay" of [RFC 8305 section 5]. tcp.
    ///
    /// [RFC 8305 section 5]: https://www.rfc-editor.org/rfc/rfc8305#section-5
    pub attempt_delay: Option<Duration>,
    /// The local address to connect from: `127.0.0.2`, `127.0.0.2:5000`, `[::1]:0` for tcp and
    /// udp; a path or `@name` for unix and udg. A dead socket file in the way is replaced, and ours
    /// removed with the stream.
    pub bind: Option<String>,
    /// The proxy by which the target is reached: `socks5://host:port` ([RFC 1928]) or
    /// `http://host:port`, which is asked to CONNECT. The target's name is resolved there. tcp.
    ///
    /// [RFC 1928]: https://www.rfc-editor.org/rfc/rfc1928
    pub via: Option<String>,
    /// Begins with a header of the PROXY protocol, written in this version: once over tcp and
    /// unix, before every datagram over udp and udg, which version 1 is not made for.
    pub send_proxy: Option<ProxyVersion>,
    /// What that header says: whose connection is passed on. By default the two addresses of the
    /// new connection itself. No key of a URL.
    pub proxied: Option<ProxyHeader>,
    /// Whom to trust, and the like. tls, ssl, tlsv1.2, tlsv1.3, tls+unix.
    pub tls: TlsClientOptions,
}
