//! Options of a connecting stream.

use std::fmt;
use std::time::Duration;

use super::socket::SocketOptions;
use super::tls::TlsClientOptions;
use crate::printable::without_password;
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
#[derive(Clone, Default, PartialEq, Eq)]
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
    /// `name:password@` before the host, percent-encoded, is told to a proxy that wants it
    /// ([RFC 1929], [RFC 7617]), and in no error; a URL's query, which is shown, must not have it.
    ///
    /// [RFC 1929]: https://www.rfc-editor.org/rfc/rfc1929
    /// [RFC 7617]: https://www.rfc-editor.org/rfc/rfc7617
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

/// Without the password of a proxy.
impl fmt::Debug for ConnectOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ConnectOptions")
            .field("socket", &self.socket)
            .field("connect_timeout", &self.connect_timeout)
            .field("attempt_delay", &self.attempt_delay)
            .field("bind", &self.bind)
            .field("via", &self.via.as_deref().map(without_password))
            .field("send_proxy", &self.send_proxy)
            .field("proxied", &self.proxied)
            .field("tls", &self.tls)
            .finish()
    }
}
