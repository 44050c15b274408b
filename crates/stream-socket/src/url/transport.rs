//! The transports: the name before `://`, and what kind of target follows it.
//!
//! Floor 1. The list at the head of this file is the only one; a new transport is a new line there.

use std::fmt;
use std::str::FromStr;

use crate::error::{Error, Result, Stage};
use crate::nearest::suggestion;
use crate::printable::excerpt;

/// How a transport's target is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TargetForm {
    /// `host:port`
    Inet,
    /// A path, `@name`, or `@` alone.
    Unix,
    /// `cid:port`
    Vsock,
    /// The number of a descriptor.
    Descriptor,
    /// The name of sockets that a service manager has opened, or `*`.
    Activated,
}

/// Whether a transport carries a stream of bytes or whole datagrams.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Carries {
    Bytes,
    Datagrams,
}

/// Makes the enum, [`Transport::ALL`] and the table of facts from one list, so that they agree.
macro_rules! transports {
    ($($(#[$doc:meta])* $variant:ident = $name:literal, $form:ident, $carries:ident;)*) => {
        /// How bytes travel: the part of a URL before `://`.
        ///
        /// Names are matched byte for byte, as in PHP: `TCP` is unknown. PHP's list is in its
        /// manual under [Socket Transports](https://www.php.net/manual/en/transports.php).
        ///
        /// # Examples
        ///
        /// ```
        /// use stream_socket::Transport;
        ///
        /// assert_eq!("udg".parse::<Transport>()?, Transport::Udg);
        /// let error = "TCP".parse::<Transport>().unwrap_err();
        /// assert_eq!(error.reason(), "unknown transport TCP; did you mean \"tcp\"?");
        /// # Ok::<(), stream_socket::Error>(())
        /// ```
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum Transport {
            $($(#[$doc])* $variant,)*
        }

        impl Transport {
            const KNOWN: &[Transport] = &[$(Transport::$variant),*];

            const fn facts(self) -> (&'static str, TargetForm, Carries) {
                match self {
                    $(Transport::$variant => ($name, TargetForm::$form, Carries::$carries),)*
                }
            }
        }
    };
}

transports! {
    /// `tcp://host:port`: a stream over IPv4 or IPv6
    /// ([tcp(7)](https://man7.org/linux/man-pages/man7/tcp.7.html)).
    Tcp = "tcp", Inet, Bytes;
    /// `udp://host:port`: datagrams over IPv4 or IPv6
    /// ([udp(7)](https://man7.org/linux/man-pages/man7/udp.7.html)).
    Udp = "udp", Inet, Datagrams;
    /// `unix:///path` or `unix://@name`: a stream within this machine
    /// ([unix(7)](https://man7.org/linux/man-pages/man7/unix.7.html)).
    Unix = "unix", Unix, Bytes;
    /// `udg:///path` or `udg://@name`: datagrams within this machine
    /// ([unix(7)](https://man7.org/linux/man-pages/man7/unix.7.html)).
    Udg = "udg", Unix, Datagrams;
    /// `mptcp://host:port`: tcp over several paths at once, or plain tcp where an end can't
    /// ([RFC 8684](https://www.rfc-editor.org/rfc/rfc8684)).
    Mptcp = "mptcp", Inet, Bytes;
    /// `vsock://cid:port`: a stream between a virtual machine and its host
    /// ([vsock(7)](https://man7.org/linux/man-pages/man7/vsock.7.html)).
    Vsock = "vsock", Vsock, Bytes;
    /// `fd://3`: a socket that this process was started with, by its number. What it is, the
    /// kernel tells; see [`Inherited`](crate::Inherited).
    Fd = "fd", Descriptor, Bytes;
    /// `systemd://name` or `systemd://*`: sockets that a service manager has opened
    /// ([sd_listen_fds(3)](https://man7.org/linux/man-pages/man3/sd_listen_fds.3.html)); see
    /// [`Inherited`](crate::Inherited).
    Systemd = "systemd", Activated, Bytes;
    /// `tls://host:port`: TLS over tcp, in the best version that both ends have.
    Tls = "tls", Inet, Bytes;
    /// `ssl://host:port`: another name for `tls`, as in PHP.
    Ssl = "ssl", Inet, Bytes;
    /// `tlsv1.2://host:port`: TLS 1.2 alone.
    Tlsv12 = "tlsv1.2", Inet, Bytes;
    /// `tlsv1.3://host:port`: TLS 1.3 alone.
    Tlsv13 = "tlsv1.3", Inet, Bytes;
    /// `tls+unix:///path` or `tls+unix://@name`: TLS over unix.
    TlsUnix = "tls+unix", Unix, Bytes;
    /// `tls+vsock://cid:port`: TLS over vsock.
    TlsVsock = "tls+vsock", Vsock, Bytes;
    /// `tls+fd://3`: TLS over a socket that this process was started with.
    TlsFd = "tls+fd", Descriptor, Bytes;
    /// `tls+systemd://name`: TLS over sockets that a service manager has opened.
    TlsSystemd = "tls+systemd", Activated, Bytes;
}

/// The transports that every build has come first.
const PLAIN: usize = 8;

/// What is broken, and refused by its name: RFC 8996, RFC 7568, RFC 6176.
const BROKEN: [&str; 4] = ["tlsv1.0", "tlsv1.1", "sslv3", "sslv2"];

impl Transport {
    /// Every transport of this build, in the order in which they are listed to people.
    pub const ALL: &[Transport] = if cfg!(feature = "tls") {
        Self::KNOWN
    } else {
        Self::KNOWN.split_at(PLAIN).0
    };

    /// The name as it stands before `://`.
    pub const fn name(self) -> &'static str {
        self.facts().0
    }

    /// Whether one write is one message, and one read too. Of an inherited socket only the kernel
    /// knows.
    pub fn is_datagram(self) -> bool {
        self.facts().2 == Carries::Datagrams
    }

    /// Whether its socket was opened by whoever started this process, and so is of a transport that
    /// the kernel tells.
    pub fn is_inherited(self) -> bool {
        matches!(self.carrier(), Transport::Fd | Transport::Systemd)
    }

    /// Whether its addresses are those of IP.
    pub(crate) fn is_inet(self) -> bool {
        self.target_form() == TargetForm::Inet
    }

    /// Whether its addresses are paths and abstract names.
    pub fn is_unix(self) -> bool {
        self.target_form() == TargetForm::Unix
    }

    /// Whether it is TLS over another transport.
    pub fn is_tls(self) -> bool {
        self.carrier() != self && self != Transport::Mptcp
    }

    /// What TLS and mptcp are carried by, whose options they have too: tcp, unix, vsock or, until
    /// it is known what an inherited socket is, fd or systemd. Any other carries itself.
    pub fn carrier(self) -> Transport {
        match self {
            Transport::Tls | Transport::Ssl | Transport::Tlsv12 | Transport::Tlsv13 => {
                Transport::Tcp
            }
            Transport::Mptcp => Transport::Tcp,
            Transport::TlsUnix => Transport::Unix,
            Transport::TlsVsock => Transport::Vsock,
            Transport::TlsFd => Transport::Fd,
            Transport::TlsSystemd => Transport::Systemd,
            plain => plain,
        }
    }

    /// TLS over this transport, where there can be.
    pub(crate) fn under_tls(self) -> Option<Transport> {
        match self {
            Transport::Tcp | Transport::Mptcp => Some(Transport::Tls),
            Transport::Unix => Some(Transport::TlsUnix),
            Transport::Vsock => Some(Transport::TlsVsock),
            _ => None,
        }
    }

    pub(super) fn target_form(self) -> TargetForm {
        self.facts().1
    }

    /// The transport of that name, or the reason why there is none.
    pub(super) fn named(name: &str) -> std::result::Result<Self, String> {
        match Self::ALL.iter().find(|transport| transport.name() == name) {
            Some(transport) => Ok(*transport),
            None if name.is_empty() => Err("the transport before :// is missing".to_owned()),
            None if BROKEN.contains(&name) => Err(format!(
                "{name} is broken and not served; tls takes the best version both ends have"
            )),
            None if Self::KNOWN.iter().any(|known| known.name() == name) => {
                Err(format!("this build has no TLS, and so no {name}"))
            }
            None => Err(unknown(name)),
        }
    }
}

fn unknown(name: &str) -> String {
    let known: Vec<_> = Transport::ALL
        .iter()
        .map(|transport| transport.name())
        .collect();
    let mut hint = suggestion(name, known.iter().copied());
    if hint.is_empty() {
        hint = format!("; known are {}", known.join(", "));
    }
    format!("unknown transport {}{hint}", excerpt(name))
}

impl fmt::Display for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// The transport of exactly that name.
///
/// # Errors
///
/// [`Stage::Parse`] for any other name; the sentence names the nearest known one.
impl FromStr for Transport {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self> {
        Self::named(name).map_err(|reason| Error::new(Stage::Parse, excerpt(name), reason))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_transport_is_found_by_its_name() {
        for transport in Transport::ALL {
            assert_eq!(transport.name().parse::<Transport>().unwrap(), *transport);
            assert_eq!(transport.to_string(), transport.name());
        }
    }

    #[test]
    fn facts() {
        for (transport, datagram, unix) in [
            (Transport::Tcp, false, false),
            (Transport::Udp, true, false),
            (Transport::Unix, false, true),
            (Transport::Udg, true, true),
            (Transport::Tls, false, false),
            (Transport::TlsUnix, false, true),
            (Transport::TlsVsock, false, false),
        ] {
            assert_eq!(
                (transport.is_datagram(), transport.is_unix()),
                (datagram, unix)
            );
        }
    }

    #[test]
    fn other_names_are_refused() {
        for (name, reason) in [
            ("TCP", "unknown transport TCP; did you mean \"tcp\"?"),
            ("unx", "unknown transport unx; did you mean \"unix\"?"),
            (
                "gopher",
                "unknown transport gopher; known are tcp, udp, unix, udg, mptcp, vsock, fd, \
                 systemd, tls, ssl, tlsv1.2, tlsv1.3, tls+unix, tls+vsock, tls+fd, tls+systemd",
            ),
            (
                "tlsv1.1",
                "tlsv1.1 is broken and not served; tls takes the best version both ends have",
            ),
            (" tcp", "unknown transport  tcp; did you mean \"tcp\"?"),
            ("", "the transport before :// is missing"),
        ] {
            let error = name.parse::<Transport>().unwrap_err();
            assert_eq!((error.reason(), error.stage()), (reason, Stage::Parse));
        }
    }
}
