//! `transport://target?key=value`: the one text that names any socket.
//!
//! Floor 1. [`SocketUrl`] is strict: whatever is doubtful is an error before any system call. The
//! parts have a file each; `php` is the other parser, which reads addresses as PHP's engine does.
//! What the options of a query mean is decided on floor 2.

mod host;
mod percent;
pub mod php;
mod port;
mod query;
mod target;
mod to_socket_url;
mod transport;
mod vsock;

use std::fmt;
use std::str::FromStr;

pub use self::host::Host;
pub(crate) use self::percent::decode;
pub use self::port::Port;
use self::query::Query;
pub use self::target::Target;
pub use self::to_socket_url::ToSocketUrl;
pub use self::transport::Transport;
use crate::address::SocketAddress;
use crate::error::{Error, Result, Stage};
use crate::printable::excerpt;

/// A parsed `transport://target?key=value&key=value`.
///
/// - Without `transport://` it is `tcp`, as in PHP.
/// - Over IP the target is `host:port`: a name, an IPv4 address or an IPv6 address in brackets,
///   and a number or a service name. See [`Host`] and [`Port`].
/// - For `unix` and `udg` it is a path, `@name` for an abstract name (or a name after a NUL byte,
///   as PHP writes it), or `@` alone for a name that the kernel chooses.
/// - For `vsock` it is `cid:port`, where the machine may be `any`, `local`, `host` or `hypervisor`
///   and the port `any`; for `fd` the number of a descriptor; for `systemd` a name, or `*` for all.
/// - Paths, abstract names and values of options are percent-encoded where they need it
///   ([RFC 3986 section 2.1](https://www.rfc-editor.org/rfc/rfc3986#section-2.1)): `%3F` is a `?`
///   in a path, `%40` a path that begins with `@`, and any byte can be written so. `+` is itself.
/// - Each option has a value and comes once. The values are UTF-8 text.
///
/// [`Display`](fmt::Display) prints the canonical form, which parses back to an equal value. Two
/// URLs are equal when all their parts are, options in order.
///
/// # Examples
///
/// ```
/// use stream_socket::{SocketUrl, Transport};
///
/// let url: SocketUrl = "tcp://[::1]:8000?backlog=64".parse()?;
/// assert_eq!(url.transport(), Transport::Tcp);
/// assert_eq!(url.target().to_string(), "[::1]:8000");
/// assert_eq!(url.query().collect::<Vec<_>>(), [("backlog", "64")]);
///
/// let error = "tcp://localhost:70000".parse::<SocketUrl>().unwrap_err();
/// assert_eq!(
///     error.to_string(),
///     "cannot parse tcp://localhost:70000: port 70000 is not in 0–65535"
/// );
/// # Ok::<(), stream_socket::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct SocketUrl {
    transport: Transport,
    target: Target,
    query: Query,
}

impl SocketUrl {
    /// A URL from its parts, without options.
    ///
    /// # Errors
    ///
    /// [`Stage::Parse`] when the transport takes another form of target, or a part holds what a
    /// URL cannot: a host name with a blank, say.
    ///
    /// # Examples
    ///
    /// ```
    /// use stream_socket::{Host, Port, SocketUrl, Target, Transport};
    ///
    /// let host = Host::Name("localhost".to_owned());
    /// let target = Target::Inet { host, port: Port::Number(80) };
    /// let url = SocketUrl::new(Transport::Tcp, target.clone())?;
    /// assert_eq!(url.to_string(), "tcp://localhost:80");
    /// assert!(SocketUrl::new(Transport::Unix, target).is_err());
    /// # Ok::<(), stream_socket::Error>(())
    /// ```
    pub fn new(transport: Transport, target: Target) -> Result<Self> {
        match target.check(transport) {
            Ok(()) => Ok(Self {
                transport,
                target,
                query: Query::default(),
            }),
            Err(reason) => Err(parse_error(&format!("{transport}://{target}"), reason)),
        }
    }

    /// The URL by which a client reaches `address`: that of a bound socket, with its real port.
    ///
    /// Nothing of the address is lost but an IPv6 flow label, which is not one's to choose for
    /// others.
    ///
    /// # Errors
    ///
    /// [`Stage::Parse`] when the transport has other addresses, and for the path of 108 bytes that
    /// another program may have bound: the system would not take it back.
    ///
    /// # Examples
    ///
    /// ```
    /// use stream_socket::{SocketAddress, SocketUrl, Transport, UnixAddress};
    ///
    /// let address = SocketAddress::from(UnixAddress::from_path("/run/what?")?);
    /// let url = SocketUrl::from_address(Transport::Unix, &address)?;
    /// assert_eq!(url.to_string(), "unix:///run/what%3F");
    /// # Ok::<(), stream_socket::Error>(())
    /// ```
    pub fn from_address(transport: Transport, address: &SocketAddress) -> Result<Self> {
        Self::new(transport, Target::from(address))
    }

    /// The part before `://`.
    pub fn transport(&self) -> Transport {
        self.transport
    }

    /// The part between `://` and `?`.
    pub fn target(&self) -> &Target {
        &self.target
    }

    /// The options after `?`, decoded, in the order in which they were written.
    pub fn query(&self) -> impl Iterator<Item = (&str, &str)> {
        self.query.iter()
    }

    /// The same URL without its options.
    #[must_use]
    pub fn without_query(&self) -> Self {
        Self {
            query: Query::default(),
            ..self.clone()
        }
    }

    /// The same URL with the transport and the target that an inherited socket was found to have.
    pub(crate) fn found_as(&self, transport: Transport, target: Target) -> Self {
        Self {
            transport,
            target,
            query: self.query.clone(),
        }
    }

    fn parse(text: &str) -> std::result::Result<Self, String> {
        refuse_blank_ends(text)?;
        // A ? ends the target whatever the transport, so :// behind it belongs to an option.
        let (address, query) = match text.split_once('?') {
            Some((address, query)) => (address, Some(query)),
            None => (text, None),
        };
        let (transport, target) = match address.split_once("://") {
            Some((name, target)) => (Transport::named(name)?, target),
            None => (Transport::Tcp, address),
        };
        let target = Target::parse(transport, target)?;
        let query = query.map_or(Ok(Query::default()), Query::parse)?;
        Ok(Self {
            transport,
            target,
            query,
        })
    }
}

fn refuse_blank_ends(text: &str) -> std::result::Result<(), &'static str> {
    if text.starts_with(char::is_whitespace) {
        Err("it begins with a blank")
    } else if text.ends_with(char::is_whitespace) {
        Err("it ends with a blank")
    } else {
        Ok(())
    }
}

fn parse_error(url: &str, reason: String) -> Error {
    Error::new(Stage::Parse, excerpt(url), reason)
}

/// # Errors
///
/// [`Stage::Parse`] with the text as typed and the part of it that is wrong.
impl FromStr for SocketUrl {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        Self::parse(text).map_err(|reason| parse_error(text, reason))
    }
}

/// The canonical form: always with its transport, percent-encoded wherever needed.
impl fmt::Display for SocketUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}{}", self.transport, self.target, self.query)
    }
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv6Addr, SocketAddr, SocketAddrV6};

    use super::*;
    use crate::address::UnixAddress;

    #[test]
    fn urls_print_in_canonical_form_and_parse_back() {
        for (text, canonical) in [
            ("tcp://127.0.0.1:80", "tcp://127.0.0.1:80"),
            ("localhost:80", "tcp://localhost:80"),
            ("udp:13", "tcp://udp:13"),
            ("udp://[0::1]:0013", "udp://[::1]:13"),
            ("tcp://[fe80::1%eth0]:http", "tcp://[fe80::1%eth0]:http"),
            ("h:1?to=udp://h:2", "tcp://h:1?to=udp://h:2"),
            ("h:1?a=b?c", "tcp://h:1?a=b%3Fc"),
            ("unix:///run/a b", "unix:///run/a%20b"),
            ("unix://relative#x", "unix://relative%23x"),
            ("unix:///a://b", "unix:///a://b"),
            ("unix:///caf\u{e9}", "unix:///caf%C3%A9"),
            ("unix:///%ff%3f?mode=0600", "unix:///%FF%3F?mode=0600"),
            ("unix://%40x", "unix://%40x"),
            ("unix://@", "unix://@"),
            ("udg://@a/b%00@", "udg://@a/b%00%40"),
            ("unix://%00name", "unix://@name"),
            ("unix://\0name", "unix://@name"),
            ("unix://%00", "unix://%00"),
            ("unix://\0", "unix://%00"),
        ] {
            let url: SocketUrl = text.parse().unwrap();
            assert_eq!(url.to_string(), canonical, "{text:?}");
            assert_eq!(canonical.parse::<SocketUrl>().unwrap(), url);
        }
    }

    fn assert_refused(text: &str, reason: &str) {
        let error = text.parse::<SocketUrl>().unwrap_err();
        assert_eq!(error.reason(), reason, "{text:?}");
        assert_eq!((error.stage(), error.errno()), (Stage::Parse, None));
    }

    #[test]
    fn doubtful_transports_are_refused() {
        for (text, reason) in [
            ("", "the host is missing"),
            (" tcp://h:1", "it begins with a blank"),
            ("tcp://h:1\n", "it ends with a blank"),
            ("://h:1", "the transport before :// is missing"),
            ("TCP://h:1", "unknown transport TCP; did you mean \"tcp\"?"),
            (
                "http://h/",
                "unknown transport http; known are tcp, udp, unix, udg, mptcp, vsock, fd, systemd, \
                 tls, ssl, tlsv1.2, tlsv1.3, tls+unix, tls+vsock, tls+fd, tls+systemd",
            ),
            ("tcp:/h:1", "write tcp:// with two slashes"),
            ("unix:/run/s", "write unix:// with two slashes"),
        ] {
            assert_refused(text, reason);
        }
    }

    #[test]
    fn doubtful_hosts_and_ports_are_refused() {
        for (text, reason) in [
            ("tcp://", "the host is missing"),
            ("tcp://:80", "the host is missing"),
            (
                "tcp://*:80",
                "* is not a host; write 0.0.0.0 or [::] for every address",
            ),
            ("tcp://user@h:80", "a host name cannot contain @"),
            ("tcp://h/p", "a host name cannot contain /"),
            ("tcp://h", "the port is missing; write h:PORT"),
            ("tcp://h:", "the port is missing; write h:PORT"),
            ("tcp://[::1]", "the port is missing; write [::1]:PORT"),
            ("tcp://[::1]80", "80 stands between ] and the port"),
            ("tcp://[::1:80", "the bracket [ is never closed"),
            (
                "tcp://a:80:90",
                ":90 after port 80 has no meaning in an address",
            ),
            (
                "tcp://h:80/p",
                "/p after port 80 has no meaning in an address",
            ),
        ] {
            assert_refused(text, reason);
        }
        for (text, better) in [
            ("::1:80", "[::1]:80"),
            ("fe80::1%eth0:x", "[fe80::1%eth0]:x"),
            ("1:2:3:4:5:6:7:8", "[1:2:3:4:5:6:7:8]:PORT"),
            ("::", "[::]:PORT"),
        ] {
            let reason = format!("an IPv6 address stands in brackets; write {better}");
            assert_refused(&format!("udp://{text}"), &reason);
        }
    }

    #[test]
    fn doubtful_paths_and_options_are_refused() {
        let missing = "the path is missing; write unix://@ for a name chosen by the kernel";
        for (text, reason) in [
            ("unix://", missing),
            ("unix://?a=1", missing),
            (
                "unix:///a%0",
                "%0 is not an escape; write %25 for a percent sign",
            ),
            (
                "unix:///a\tb",
                "a control character has to be escaped; write %09",
            ),
            ("unix:///a%00b", "the path contains a NUL byte"),
            (
                "tcp://h:1?",
                "no option follows the ?; write %3F for a ? in a path",
            ),
            ("tcp://h:1?a=1&a=1", "option a is given twice"),
        ] {
            assert_refused(text, reason);
        }
    }

    #[test]
    fn names_of_unix_sockets_may_have_107_bytes() {
        for (prefix, what) in [("unix:///", "the path"), ("unix://@", "the abstract name")] {
            let fits = if prefix.ends_with('/') { 106 } else { 107 };
            let escaped = format!("{prefix}{}", "%01".repeat(fits));
            assert!(escaped.parse::<SocketUrl>().is_ok());
            let error = format!("{escaped}x").parse::<SocketUrl>().unwrap_err();
            let expected = format!("{what} is 108 bytes long; the system's limit is 107");
            assert_eq!(error.reason(), expected);
        }
    }

    #[test]
    fn an_error_is_one_readable_line() {
        let error = "tcp://a\x1b[2Jb\n:80".parse::<SocketUrl>().unwrap_err();
        let sentence = r"cannot parse tcp://a\u{1b}[2Jb\n:80: a host name cannot contain \u{1b}";
        assert_eq!(error.to_string(), sentence);
        let long = format!("tcp://{}:80", "a".repeat(100_000));
        let error = long.parse::<SocketUrl>().unwrap_err();
        assert!(error.url().ends_with("aaa…"));
        assert!(error.to_string().len() < 300, "{error}");
    }

    #[test]
    fn addresses_become_urls_and_urls_the_same_addresses() {
        let scoped = SocketAddrV6::new("fe80::1".parse().unwrap(), 80, 0, 3);
        let path = UnixAddress::from_path("@/\u{202e}?%").unwrap();
        for (transport, address, text) in [
            (
                Transport::Tcp,
                SocketAddr::from(([0, 0, 0, 0], 8000)).into(),
                "tcp://0.0.0.0:8000",
            ),
            (
                Transport::Udp,
                SocketAddr::from((Ipv6Addr::LOCALHOST, 1)).into(),
                "udp://[::1]:1",
            ),
            (
                Transport::Tcp,
                SocketAddr::from(scoped).into(),
                "tcp://[fe80::1%3]:80",
            ),
            (Transport::Unix, path.into(), "unix://%40/%E2%80%AE%3F%25"),
            (
                Transport::Udg,
                UnixAddress::from_abstract("").unwrap().into(),
                "udg://%00",
            ),
        ] {
            let url = SocketUrl::from_address(transport, &address).unwrap();
            assert_eq!(url.to_string(), text);
            assert_eq!(text.parse::<SocketUrl>().unwrap(), url);
        }
    }

    #[test]
    fn a_path_that_only_the_kernel_can_have_has_no_url() {
        let address = UnixAddress::from_kernel_path(&[b'p'; 108]).into();
        let error = SocketUrl::from_address(Transport::Unix, &address).unwrap_err();
        assert_eq!(
            error.reason(),
            "the path is 108 bytes long; the system's limit is 107"
        );
    }

    #[test]
    fn parts_put_together_by_hand_are_judged_like_text() {
        let inet = |host, port| Target::Inet { host, port };
        let name = |text: &str| Host::Name(text.to_owned());
        let zoned = Host::V6 {
            address: Ipv6Addr::LOCALHOST,
            zone: Some("a]".to_owned()),
        };
        for (transport, target, sentence) in [
            (
                Transport::Tcp,
                inet(name("a b"), Port::Number(1)),
                "cannot parse tcp://a b:1: a host name cannot contain a blank",
            ),
            (
                Transport::Tcp,
                inet(name("h"), Port::Service("80".to_owned())),
                "cannot parse tcp://h:80: port 80 is neither a number nor the name of a service",
            ),
            (
                Transport::Udp,
                inet(zoned, Port::Number(1)),
                "cannot parse udp://[::1%a]]:1: a zone cannot contain ]",
            ),
            (
                Transport::Udg,
                inet(name("h"), Port::Number(1)),
                "cannot parse udg://h:1: udg needs a path or an abstract name",
            ),
            (
                Transport::Tcp,
                Target::Autobind,
                "cannot parse tcp://@: tcp needs a host and a port",
            ),
        ] {
            assert_eq!(
                SocketUrl::new(transport, target).unwrap_err().to_string(),
                sentence
            );
        }
    }

    #[test]
    fn options_can_be_read_and_left_out() {
        let url: SocketUrl = "tcp://h:1?b=x%26y&a=".parse().unwrap();
        assert_eq!(url.query().collect::<Vec<_>>(), [("b", "x&y"), ("a", "")]);
        assert_eq!(url.without_query(), "tcp://h:1".parse().unwrap());
        assert_eq!(url.without_query().query().count(), 0);
    }
}
