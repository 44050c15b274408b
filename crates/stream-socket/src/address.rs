//! The addresses that sockets have: what getsockname(2), getpeername(2) and recvfrom(2) return.
//!
//! Floor 1. How an address is written in a URL, and read from one, is the matter of `url`.

use std::ffi::OsStr;
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use crate::error::{Error, Result, Stage};
use crate::printable::{excerpt, printable};
use crate::url::Transport;

/// The longest name of a unix socket: `sun_path` has 108 bytes, of which one is the NUL that ends
/// a path or begins an abstract name
/// ([unix(7)](https://man7.org/linux/man-pages/man7/unix.7.html)).
const UNIX_NAME_BYTES: usize = 107;

/// The address of a unix socket that has one: a path, or a name in Linux's abstract namespace.
///
/// See [unix(7)](https://man7.org/linux/man-pages/man7/unix.7.html). A socket without a name, as
/// most clients are, has no `UnixAddress`. Two addresses are equal when their bytes are: `/run/s`
/// and `/run//s` are different names of one file.
///
/// [`Display`](fmt::Display) prints a path as it is and an abstract name as `@name`, with control
/// characters and bytes that are not UTF-8 escaped, since a peer chooses its own name. The
/// loss-free text is that of [`SocketUrl`](crate::SocketUrl).
///
/// # Examples
///
/// ```
/// use stream_socket::UnixAddress;
///
/// let address = UnixAddress::from_path("/run/daytime.sock")?;
/// assert_eq!(address.to_string(), "/run/daytime.sock");
/// assert_eq!(UnixAddress::from_abstract("daytime")?.to_string(), "@daytime");
/// # Ok::<(), stream_socket::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct UnixAddress(Name);

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Name {
    /// 1 to 107 bytes (108 from the kernel), none of them NUL. Not a `PathBuf`, which compares by
    /// components.
    Path(Box<OsStr>),
    /// 0 to 107 bytes of any value; the NUL before them is not kept.
    Abstract(Box<[u8]>),
}

impl UnixAddress {
    /// The address of a socket file: 1 to 107 bytes, any but NUL.
    ///
    /// # Errors
    ///
    /// [`Stage::Parse`] when the path is empty, too long, or contains a NUL byte.
    pub fn from_path(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref().as_os_str();
        match check_path(path.as_bytes()) {
            Ok(()) => Ok(Self(Name::Path(path.into()))),
            Err(reason) => Err(Error::new(
                Stage::Parse,
                excerpt(&path.to_string_lossy()),
                reason,
            )),
        }
    }

    /// An abstract name: up to 107 bytes of any value, without the NUL that precedes them.
    ///
    /// The empty name is one as well. It is not the request that the kernel choose a name; that
    /// is [`Target::Autobind`](crate::Target::Autobind).
    ///
    /// # Errors
    ///
    /// [`Stage::Parse`] when the name is too long.
    pub fn from_abstract(name: impl AsRef<[u8]>) -> Result<Self> {
        let name = name.as_ref();
        if name.len() > UNIX_NAME_BYTES {
            let reason = too_long("the abstract name", name.len());
            return Err(Error::new(
                Stage::Parse,
                format_args!("@{}", printable(name)),
                reason,
            ));
        }
        Ok(Self(Name::Abstract(name.into())))
    }

    /// A path as the kernel told it: another program may have bound one of 108 bytes.
    pub(crate) fn from_kernel_path(path: &[u8]) -> Self {
        Self(Name::Path(OsStr::from_bytes(path).into()))
    }

    /// An abstract name as the kernel told it.
    pub(crate) fn from_kernel_abstract(name: &[u8]) -> Self {
        Self(Name::Abstract(name.into()))
    }

    /// The path, unless the name is abstract.
    pub fn as_path(&self) -> Option<&Path> {
        match &self.0 {
            Name::Path(path) => Some(Path::new(path)),
            Name::Abstract(_) => None,
        }
    }

    /// The abstract name without the NUL that precedes it, unless it is a path.
    pub fn as_abstract(&self) -> Option<&[u8]> {
        match &self.0 {
            Name::Path(_) => None,
            Name::Abstract(name) => Some(name),
        }
    }
}

fn check_path(path: &[u8]) -> std::result::Result<(), String> {
    if path.is_empty() {
        Err("the path is empty".to_owned())
    } else if path.contains(&0) {
        Err("the path contains a NUL byte".to_owned())
    } else if path.len() > UNIX_NAME_BYTES {
        Err(too_long("the path", path.len()))
    } else {
        Ok(())
    }
}

fn too_long(what: &str, length: usize) -> String {
    format!("{what} is {length} bytes long; the system's limit is {UNIX_NAME_BYTES}")
}

/// The path, or `@` and the abstract name, on one line.
impl fmt::Display for UnixAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Name::Path(path) => printable(OsStr::as_bytes(path)).fmt(f),
            Name::Abstract(name) => write!(f, "@{}", printable(name)),
        }
    }
}

/// The address of a socket between a virtual machine and its host: a machine and a port there.
///
/// See [vsock(7)](https://man7.org/linux/man-pages/man7/vsock.7.html). Ports below 1024 are for
/// the privileged.
///
/// # Examples
///
/// ```
/// use stream_socket::VsockAddress;
///
/// let address = VsockAddress { cid: VsockAddress::HOST, port: 9000 };
/// assert_eq!(address.to_string(), "host:9000");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(clippy::exhaustive_structs, reason = "struct sockaddr_vm has no more")]
pub struct VsockAddress {
    /// The machine, by its context identifier.
    pub cid: u32,
    /// The port.
    pub port: u32,
}

impl VsockAddress {
    /// Any machine, to bind: `VMADDR_CID_ANY`, written `any`.
    pub const ANY: u32 = u32::MAX;
    /// The hypervisor: `VMADDR_CID_HYPERVISOR`, written `hypervisor`.
    pub const HYPERVISOR: u32 = 0;
    /// The machine itself, where it has a loopback: `VMADDR_CID_LOCAL`, written `local`.
    pub const LOCAL: u32 = 1;
    /// The host of the machine: `VMADDR_CID_HOST`, written `host`.
    pub const HOST: u32 = 2;
    /// A port that the kernel chooses at bind: `VMADDR_PORT_ANY`, written `any`.
    pub const PORT_ANY: u32 = u32::MAX;

    /// The machines that have names.
    pub(crate) const NAMED: [(&str, u32); 4] = [
        ("any", Self::ANY),
        ("hypervisor", Self::HYPERVISOR),
        ("local", Self::LOCAL),
        ("host", Self::HOST),
    ];
}

/// As in a URL: `cid:port`, by name where there is one.
impl fmt::Display for VsockAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match Self::NAMED.iter().find(|(_, cid)| *cid == self.cid) {
            Some((name, _)) => f.write_str(name)?,
            None => self.cid.fmt(f)?,
        }
        match self.port {
            Self::PORT_ANY => f.write_str(":any"),
            port => write!(f, ":{port}"),
        }
    }
}

/// The address of a socket or of its peer.
///
/// What getsockname(2), getpeername(2), accept(2) and recvfrom(2) return. A unix socket without a
/// name has none: functions that may meet one return an `Option`.
///
/// [`Display`](fmt::Display) prints `127.0.0.1:80`, `[::1]:80`, `[fe80::1%2]:80`, a path,
/// `@name` for an abstract name, or `host:9000` of vsock.
///
/// # Examples
///
/// ```
/// use std::net::SocketAddr;
/// use stream_socket::SocketAddress;
///
/// let address = SocketAddress::from(SocketAddr::from(([127, 0, 0, 1], 8000)));
/// assert_eq!(address.to_string(), "127.0.0.1:8000");
/// assert_eq!(address.port(), Some(8000));
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum SocketAddress {
    /// An IPv4 or IPv6 address and a port
    /// ([ip(7)](https://man7.org/linux/man-pages/man7/ip.7.html),
    /// [ipv6(7)](https://man7.org/linux/man-pages/man7/ipv6.7.html)).
    Inet(SocketAddr),
    /// A path or an abstract name ([unix(7)](https://man7.org/linux/man-pages/man7/unix.7.html)).
    Unix(UnixAddress),
    /// A machine and a port ([vsock(7)](https://man7.org/linux/man-pages/man7/vsock.7.html)).
    Vsock(VsockAddress),
}

impl SocketAddress {
    /// The IP address, where there is one.
    pub fn ip(&self) -> Option<IpAddr> {
        match self {
            SocketAddress::Inet(address) => Some(address.ip()),
            SocketAddress::Unix(_) | SocketAddress::Vsock(_) => None,
        }
    }

    /// The port of an IP address.
    pub fn port(&self) -> Option<u16> {
        match self {
            SocketAddress::Inet(address) => Some(address.port()),
            SocketAddress::Unix(_) | SocketAddress::Vsock(_) => None,
        }
    }

    /// The transport that it is named with: `own`, unless a proxy has told of a client that came
    /// by another.
    pub(crate) fn carrier(&self, own: Transport) -> Transport {
        match (self, own.is_datagram()) {
            (SocketAddress::Inet(_), _) if own.is_inet() => own,
            (SocketAddress::Unix(_), _) if own.is_unix() => own,
            (SocketAddress::Inet(_), false) => Transport::Tcp,
            (SocketAddress::Inet(_), true) => Transport::Udp,
            (SocketAddress::Unix(_), false) => Transport::Unix,
            (SocketAddress::Unix(_), true) => Transport::Udg,
            (SocketAddress::Vsock(_), _) => own,
        }
    }
}

/// The address alone, without a transport.
impl fmt::Display for SocketAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SocketAddress::Inet(address) => address.fmt(f),
            SocketAddress::Unix(address) => address.fmt(f),
            SocketAddress::Vsock(address) => address.fmt(f),
        }
    }
}

impl From<SocketAddr> for SocketAddress {
    fn from(address: SocketAddr) -> Self {
        SocketAddress::Inet(address)
    }
}

impl From<VsockAddress> for SocketAddress {
    fn from(address: VsockAddress) -> Self {
        SocketAddress::Vsock(address)
    }
}

impl From<UnixAddress> for SocketAddress {
    fn from(address: UnixAddress) -> Self {
        SocketAddress::Unix(address)
    }
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv6Addr, SocketAddrV6};

    use super::*;

    #[test]
    fn paths_are_1_to_107_bytes_without_nul() {
        let longest = "p".repeat(107);
        assert_eq!(
            UnixAddress::from_path(&longest).unwrap().as_path(),
            Some(Path::new(&longest))
        );
        for (path, sentence) in [
            ("", "cannot parse \"\": the path is empty"),
            ("a\0b", r"cannot parse a\0b: the path contains a NUL byte"),
        ] {
            assert_eq!(
                UnixAddress::from_path(path).unwrap_err().to_string(),
                sentence
            );
        }
        let error = UnixAddress::from_path("p".repeat(108)).unwrap_err();
        assert_eq!(
            error.reason(),
            "the path is 108 bytes long; the system's limit is 107"
        );
        assert_eq!(error.stage(), Stage::Parse);
    }

    #[test]
    fn abstract_names_are_at_most_107_bytes_of_any_value() {
        for name in [b"".as_slice(), b"a\0b\xff", &[b'n'; 107]] {
            let address = UnixAddress::from_abstract(name).unwrap();
            assert_eq!(
                (address.as_abstract(), address.as_path()),
                (Some(name), None)
            );
        }
        let error = UnixAddress::from_abstract([b'n'; 108]).unwrap_err();
        assert_eq!(
            error.reason(),
            "the abstract name is 108 bytes long; the system's limit is 107"
        );
    }

    #[test]
    fn different_bytes_are_different_addresses() {
        let address = |path| UnixAddress::from_path(path).unwrap();
        assert_ne!(address("/run/s"), address("/run//s"));
        assert_ne!(address("@x"), UnixAddress::from_abstract("x").unwrap());
    }

    #[test]
    fn addresses_print_as_people_write_them() {
        let scoped = SocketAddrV6::new("fe80::1".parse().unwrap(), 80, 0, 2);
        let mapped = SocketAddrV6::new(Ipv6Addr::from([0, 0, 0, 0, 0, 0xffff, 0x7f00, 1]), 1, 0, 0);
        for (address, text) in [
            (
                SocketAddress::from(SocketAddr::from(([127, 0, 0, 1], 80))),
                "127.0.0.1:80",
            ),
            (SocketAddr::from((Ipv6Addr::LOCALHOST, 0)).into(), "[::1]:0"),
            (SocketAddr::from(scoped).into(), "[fe80::1%2]:80"),
            (SocketAddr::from(mapped).into(), "[::ffff:127.0.0.1]:1"),
            (
                UnixAddress::from_path("/run/a b").unwrap().into(),
                "/run/a b",
            ),
            (
                UnixAddress::from_abstract(b"a\x1b\xff").unwrap().into(),
                r"@a\u{1b}\xff",
            ),
        ] {
            assert_eq!(address.to_string(), text);
        }
    }
}
