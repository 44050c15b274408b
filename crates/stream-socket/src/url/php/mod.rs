//! Addresses as PHP's engine reads them, byte for byte, for the PHP extension.
//!
//! Where [`SocketUrl`](crate::SocketUrl) refuses what is doubtful, PHP's stream sockets take it:
//! a port wraps at 16 bits, what follows it is ignored, a long path is cut. Scripts rely on some
//! of that, so this parser does the same, with the same error texts, and tells beside each result
//! what was lost, from which a stricter caller makes errors. Everything is bytes: PHP strings have
//! no encoding. PHP's manual describes the addresses under
//! [Socket Transports](https://www.php.net/manual/en/transports.php); what it leaves open was
//! observed on PHP 8.2, and a test compares the two.
//!
//! Floor 1. No option query exists here: `?` means what it means in PHP, which is nothing.

mod inet;
mod unix;

use std::fmt;

pub use self::inet::{InetTarget, PhpPort, inet_target};
pub use self::unix::{UnixTarget, unix_target};

/// How much of an unknown transport's name PHP repeats in its error.
const SHOWN_TRANSPORT_BYTES: usize = 31;

/// How the target of a registered transport is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum TargetKind {
    /// As `host:port`: `tcp`, `udp` and every TLS transport of PHP.
    Inet,
    /// As a path or, after a NUL byte, an abstract name: `unix` and `udg`.
    Unix,
}

/// An address taken apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct PhpAddress<'a> {
    /// The name before `://`; `tcp` where there is none.
    pub transport: &'a [u8],
    /// What comes after it.
    pub target: PhpTarget<'a>,
}

/// A target, by the kind of its transport.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum PhpTarget<'a> {
    /// `host:port`.
    Inet(InetTarget<'a>),
    /// A path or an abstract name.
    Unix(UnixTarget<'a>),
}

/// Why PHP refuses an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum PhpAddressError<'a> {
    /// No transport of this name is registered.
    UnknownTransport(&'a [u8]),
    /// The target of an internet transport contains a NUL byte.
    NulByte,
    /// A target that begins with a bracket has no `]:` where the first bracket closes.
    Ipv6(&'a [u8]),
    /// The target has no colon, or only one at its end.
    Address(&'a [u8]),
}

impl PhpAddressError<'_> {
    /// PHP's own text, as it appears in `$error_message`.
    pub fn message(&self) -> Vec<u8> {
        match self {
            Self::UnknownTransport(name) => {
                let shown = &name[..name.len().min(SHOWN_TRANSPORT_BYTES)];
                [
                    b"Unable to find the socket transport \"",
                    shown,
                    b"\" - did you forget to enable it when you configured PHP?",
                ]
                .concat()
            }
            Self::NulByte => b"The hostname must not contain null bytes".to_vec(),
            Self::Ipv6(target) => [b"Failed to parse IPv6 address \"", *target, b"\""].concat(),
            Self::Address(target) => [b"Failed to parse address \"", *target, b"\""].concat(),
        }
    }
}

/// [`message`](PhpAddressError::message), with `\u{fffd}` for what is not UTF-8.
impl fmt::Display for PhpAddressError<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&String::from_utf8_lossy(&self.message()))
    }
}

impl std::error::Error for PhpAddressError<'_> {}

/// Reads the address that `stream_socket_server` or `stream_socket_client` was given.
///
/// `registered` are the transports that PHP knows, with the kind of each one's target.
///
/// # Errors
///
/// What PHP reports with an `$error_code` of 0, in its words.
///
/// # Examples
///
/// ```
/// use stream_socket::php::{self, PhpTarget, TargetKind};
///
/// let registered = [(b"tcp".as_slice(), TargetKind::Inet)];
/// let address = php::parse(b"tcp://127.0.0.1:70000/x", &registered).unwrap();
/// let PhpTarget::Inet(target) = address.target else { unreachable!() };
/// assert_eq!((target.host, target.port.number), (b"127.0.0.1".as_slice(), 4464));
/// assert!(!target.port.is_in_range());
///
/// let error = php::parse(b"localhost", &registered).unwrap_err();
/// assert_eq!(error.to_string(), r#"Failed to parse address "localhost""#);
/// ```
pub fn parse<'a>(
    address: &'a [u8],
    registered: &[(&[u8], TargetKind)],
) -> Result<PhpAddress<'a>, PhpAddressError<'a>> {
    let (transport, target) = split_transport(address);
    let target = match registered.iter().find(|(name, _)| *name == transport) {
        Some((_, TargetKind::Inet)) => PhpTarget::Inet(inet_target(target)?),
        Some((_, TargetKind::Unix)) => PhpTarget::Unix(unix_target(target)),
        None => return Err(PhpAddressError::UnknownTransport(transport)),
    };
    Ok(PhpAddress { transport, target })
}

/// The transport and the target of an address.
///
/// A transport is two or more ASCII letters, digits, `+`, `-` and `.` before `://`. Without one
/// it is `tcp`, and the whole address the target: so `a://b:1` is a host called `a`.
pub fn split_transport(address: &[u8]) -> (&[u8], &[u8]) {
    let is_name = |byte: &u8| byte.is_ascii_alphanumeric() || b"+-.".contains(byte);
    let length = address.iter().take_while(|byte| is_name(byte)).count();
    let (name, rest) = address.split_at(length);
    match rest.strip_prefix(b"://") {
        Some(target) if length >= 2 => (name, target),
        _ => (b"tcp", address),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const REGISTERED: [(&[u8], TargetKind); 4] = [
        (b"tcp", TargetKind::Inet),
        (b"udp", TargetKind::Inet),
        (b"unix", TargetKind::Unix),
        (b"udg", TargetKind::Unix),
    ];

    #[test]
    fn transports_are_split_off() {
        for (address, transport, target) in [
            ("tcp://h:1", "tcp", "h:1"),
            ("tlsv1.2://h:1", "tlsv1.2", "h:1"),
            ("+-://h:1", "+-", "h:1"),
            ("TCP://h:1", "TCP", "h:1"),
            ("a://h:1", "tcp", "a://h:1"),
            ("://h:1", "tcp", "://h:1"),
            ("x_y://h:1", "tcp", "x_y://h:1"),
            ("tcp:/h:1", "tcp", "tcp:/h:1"),
            ("udp://udp://h:1", "udp", "udp://h:1"),
            ("tc\0p://h", "tcp", "tc\0p://h"),
            ("", "tcp", ""),
        ] {
            let split = split_transport(address.as_bytes());
            assert_eq!(
                split,
                (transport.as_bytes(), target.as_bytes()),
                "{address:?}"
            );
        }
    }

    #[test]
    fn refusals_are_in_phps_words() {
        for (address, message) in [
            ("tcp://h:1\0", "The hostname must not contain null bytes"),
            ("udp://[::1]", "Failed to parse IPv6 address \"[::1]\""),
            (
                "udp://[::1]x:7",
                "Failed to parse IPv6 address \"[::1]x:7\"",
            ),
            (
                "udp://[a]b]:80",
                "Failed to parse IPv6 address \"[a]b]:80\"",
            ),
            ("udp://[", "Failed to parse address \"[\""),
            ("127.0.0.1:", "Failed to parse address \"127.0.0.1:\""),
            ("tcp://", "Failed to parse address \"\""),
        ] {
            let error = parse(address.as_bytes(), &REGISTERED).unwrap_err();
            assert_eq!(error.to_string(), message);
        }
        let error = parse(b"\xff", &REGISTERED).unwrap_err();
        assert_eq!(error.message(), b"Failed to parse address \"\xff\"");
        let unknown = "x".repeat(32) + "://h:1";
        let message = format!(
            "Unable to find the socket transport \"{}\" \
             - did you forget to enable it when you configured PHP?",
            "x".repeat(31)
        );
        let error = parse(unknown.as_bytes(), &REGISTERED).unwrap_err();
        assert_eq!(error.to_string(), message);
    }
}
