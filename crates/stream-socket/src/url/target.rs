//! The target of a URL: what stands between `://` and the query.
//!
//! Floor 1. Which form a target has is told by its transport.

use std::ffi::OsStr;
use std::fmt;
use std::net::{Ipv6Addr, SocketAddr};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use super::host::Host;
use super::percent;
use super::port::Port;
use super::transport::{TargetForm, Transport};
use super::vsock;
use crate::address::{SocketAddress, UnixAddress, VsockAddress};
use crate::error::Error;
use crate::printable::excerpt;

/// What stands unescaped in a path or an abstract name, besides letters, digits and `-._~`: what
/// RFC 3986 section 3.3 allows, but for the `@` that would make a path abstract.
const PLAIN_IN_PATH: &[u8] = b"/:!$&'()*+,;=";

/// What a transport is to open.
///
/// # Examples
///
/// ```
/// use stream_socket::{Host, Port, SocketUrl, Target};
///
/// let url: SocketUrl = "tcp://localhost:http".parse()?;
/// let Target::Inet { host, port } = url.target() else { unreachable!() };
/// assert_eq!(*host, Host::Name("localhost".to_owned()));
/// assert_eq!(*port, Port::Service("http".to_owned()));
/// # Ok::<(), stream_socket::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Target {
    /// `host:port`, for the transports over IP.
    Inet {
        /// Where.
        host: Host,
        /// Which service there.
        port: Port,
    },
    /// A path or an abstract name, for `unix` and `udg`.
    Unix(UnixAddress),
    /// `@` alone: an abstract name that the kernel chooses at bind, for `unix` and `udg`
    /// ([unix(7)](https://man7.org/linux/man-pages/man7/unix.7.html), "Autobind feature").
    Autobind,
    /// `cid:port`, for `vsock`.
    Vsock(VsockAddress),
    /// The number of a descriptor, for `fd`.
    Descriptor(u32),
    /// The name that a service manager has given to sockets, for `systemd`; `None`, written `*`,
    /// is all of them.
    Activated(Option<String>),
}

impl Target {
    pub(super) fn parse(transport: Transport, text: &str) -> Result<Self, String> {
        match transport.target_form() {
            TargetForm::Inet => parse_inet(text),
            TargetForm::Unix => parse_unix(transport, text),
            TargetForm::Vsock => vsock::parse(text).map(Target::Vsock),
            TargetForm::Descriptor => parse_descriptor(text),
            TargetForm::Activated => parse_activated(text),
        }
    }

    /// Whether a value put together by hand is one that [`parse`](Self::parse) could have made.
    pub(super) fn check(&self, transport: Transport) -> Result<(), String> {
        match (transport.target_form(), self) {
            (TargetForm::Inet, Target::Inet { host, port }) => host.check().and(port.check()),
            (TargetForm::Unix, Target::Unix(address)) => check_unix(address),
            (TargetForm::Unix, Target::Autobind) => Ok(()),
            (TargetForm::Vsock, Target::Vsock(_)) => Ok(()),
            (TargetForm::Descriptor, Target::Descriptor(number)) => check_descriptor(*number),
            (TargetForm::Activated, Target::Activated(name)) => match name.as_deref() {
                Some("") => Err(NAMELESS.to_owned()),
                _ => Ok(()),
            },
            (TargetForm::Vsock, _) => Err(format!("{transport} needs a CID and a port")),
            (TargetForm::Descriptor, _) => Err(format!("{transport} needs a number")),
            (TargetForm::Activated, _) => Err(format!("{transport} needs a name or *")),
            (TargetForm::Inet, _) => Err(format!("{transport} needs a host and a port")),
            (TargetForm::Unix, _) => Err(format!("{transport} needs a path or an abstract name")),
        }
    }
}

/// The target by which a client reaches `address`. An IPv6 flow label is no part of it.
impl From<&SocketAddress> for Target {
    fn from(address: &SocketAddress) -> Self {
        match address {
            SocketAddress::Inet(address) => {
                let host = match address {
                    SocketAddr::V4(v4) => Host::V4(*v4.ip()),
                    SocketAddr::V6(v6) => {
                        let zone = (v6.scope_id() != 0).then(|| v6.scope_id().to_string());
                        Host::V6 {
                            address: *v6.ip(),
                            zone,
                        }
                    }
                };
                Target::Inet {
                    host,
                    port: Port::Number(address.port()),
                }
            }
            SocketAddress::Unix(address) => Target::Unix(address.clone()),
            SocketAddress::Vsock(address) => Target::Vsock(*address),
        }
    }
}

fn parse_inet(text: &str) -> Result<Target, String> {
    let (host_text, port_text) = split_port(text)?;
    let host = Host::parse(host_text)?;
    let port = Port::parse(port_text).map_err(|reason| match Transport::named(host_text) {
        // To the letter, `unix:/run/s` and `tcp:host:80` are a host and a port.
        Ok(transport) => format!("write {transport}:// with two slashes"),
        Err(_) => reason,
    })?;
    Ok(Target::Inet { host, port })
}

/// The host, in its brackets if it has any, and the text of the port.
fn split_port(text: &str) -> Result<(&str, &str), String> {
    let end = if text.starts_with('[') {
        text.find(']').ok_or("the bracket [ is never closed")? + 1
    } else {
        bare_v6(text).map_or(Ok(()), Err)?;
        text.find(':').unwrap_or(text.len())
    };
    match text.split_at(end) {
        (host, "" | ":") => Err(match Host::parse(host) {
            Ok(host) => format!("the port is missing; write {host}:PORT"),
            Err(reason) => reason,
        }),
        (host, rest) => match rest.strip_prefix(':') {
            Some(port) => Ok((host, port)),
            None => Err(format!("{} stands between ] and the port", excerpt(rest))),
        },
    }
}

/// What to write instead, if `text` is an IPv6 address without brackets.
fn bare_v6(text: &str) -> Option<String> {
    let is_v6 = |text: &str| {
        let address = text.split_once('%').map_or(text, |(address, _)| address);
        address.parse::<Ipv6Addr>().is_ok()
    };
    let (host, port) = match text.rsplit_once(':')? {
        (host, port) if is_v6(host) && Port::parse(port).is_ok() => (host, port),
        _ if is_v6(text) => (text, "PORT"),
        _ => return None,
    };
    Some(format!(
        "an IPv6 address stands in brackets; write [{}]:{}",
        excerpt(host),
        excerpt(port)
    ))
}

const NAMELESS: &str = "the name is missing; write * for all sockets";

/// Numbers of descriptors are those of a C int.
fn check_descriptor(number: u32) -> Result<(), String> {
    match i32::try_from(number) {
        Ok(_) => Ok(()),
        Err(_) => Err(format!("{number} is no number of a descriptor")),
    }
}

fn parse_descriptor(text: &str) -> Result<Target, String> {
    let is_plain = text.bytes().all(|byte| byte.is_ascii_digit());
    let number = text.parse().ok().filter(|_| is_plain);
    let number = number.ok_or_else(|| {
        let text = excerpt(text);
        format!("\"{text}\" is no number of a descriptor")
    })?;
    check_descriptor(number).map(|()| Target::Descriptor(number))
}

fn parse_activated(text: &str) -> Result<Target, String> {
    if text == "*" {
        return Ok(Target::Activated(None));
    }
    let name = String::from_utf8(percent::decode(text)?)
        .map_err(|_| "the name is not UTF-8".to_owned())?;
    if name.is_empty() {
        return Err(NAMELESS.to_owned());
    }
    Ok(Target::Activated(Some(name)))
}

/// The kernel may report a path of 108 bytes, which could not be opened by its URL.
fn check_unix(address: &UnixAddress) -> Result<(), String> {
    match address.as_path().map(UnixAddress::from_path) {
        Some(Err(error)) => Err(error.reason().to_owned()),
        Some(Ok(_)) | None => Ok(()),
    }
}

fn parse_unix(transport: Transport, text: &str) -> Result<Target, String> {
    if text.is_empty() {
        return Err(format!(
            "the path is missing; write {transport}://@ for a name chosen by the kernel"
        ));
    }
    if text == "@" {
        return Ok(Target::Autobind);
    }
    let address = match text.strip_prefix(['@', '\0']) {
        Some(name) => UnixAddress::from_abstract(percent::decode(name)?),
        None => match &*percent::decode(text)? {
            [0, name @ ..] => UnixAddress::from_abstract(name),
            path => UnixAddress::from_path(Path::new(OsStr::from_bytes(path))),
        },
    };
    address
        .map(Target::Unix)
        .map_err(|error: Error| error.reason().to_owned())
}

/// The target as it stands in a URL: percent-encoded, so that it parses back to the same.
impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Target::Inet { host, port } => write!(f, "{host}:{port}"),
            Target::Unix(address) => write_unix(f, address),
            Target::Autobind => f.write_str("@"),
            Target::Vsock(address) => address.fmt(f),
            Target::Descriptor(number) => number.fmt(f),
            Target::Activated(None) => f.write_str("*"),
            Target::Activated(Some(name)) => percent::encode(name.as_bytes(), b"@:").fmt(f),
        }
    }
}

fn write_unix(f: &mut fmt::Formatter<'_>, address: &UnixAddress) -> fmt::Result {
    match (address.as_path(), address.as_abstract()) {
        (Some(path), _) => {
            write!(
                f,
                "{}",
                percent::encode(path.as_os_str().as_bytes(), PLAIN_IN_PATH)
            )
        }
        // `@` alone would ask the kernel for a name; this is the name without a character.
        (None, Some([])) => f.write_str("%00"),
        (None, name) => {
            write!(
                f,
                "@{}",
                percent::encode(name.unwrap_or_default(), PLAIN_IN_PATH)
            )
        }
    }
}
