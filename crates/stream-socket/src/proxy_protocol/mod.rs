//! The PROXY protocol: what a proxy tells of the connection that it passes on.
//!
//! Floor 1. Parsers and writers of both versions, without I/O: text, [`v1`], and binary, [`v2`],
//! with its extensions, [`tlv`]. The protocol is HAProxy's,
//! <https://www.haproxy.org/download/3.0/doc/proxy-protocol.txt>; sections are those of that text.

mod tlv;
mod v1;
mod v2;

use std::fmt;

pub use tlv::{ProxyTls, Tlv};

use crate::address::SocketAddress;
use crate::error::{Error, Result, Stage};

/// Bytes that a header may have. A proxy adds names and certificates as it likes, up to 64 KiB;
/// what HAProxy sends in practice stays below 600 bytes.
pub(crate) const LONGEST: usize = 4096;

/// How the header of the PROXY protocol is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ProxyVersion {
    /// A line of text, for tcp alone.
    V1,
    /// Binary, for every transport, with extensions.
    #[default]
    V2,
}

/// Whether connections begin with a header of the PROXY protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ProxyReading {
    /// None does.
    Absent,
    /// Every one does, or is refused.
    Required,
}

/// A header of the PROXY protocol: whose connection it is that a proxy passes on.
///
/// # Examples
///
/// ```
/// use stream_socket::ProxyHeader;
///
/// let text = b"PROXY TCP4 192.0.2.1 203.0.113.7 4321 443\r\nGET /";
/// let (header, length) = ProxyHeader::parse(text)?.expect("it is complete");
/// assert_eq!(header.source.unwrap().to_string(), "192.0.2.1:4321");
/// assert_eq!(&text[length..], b"GET /");
/// # Ok::<(), stream_socket::Error>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ProxyHeader {
    /// Which version it is written in, or was.
    pub version: ProxyVersion,
    /// Whether the proxy speaks for itself, as in its health checks: `LOCAL` of version 2.
    pub is_local: bool,
    /// Whether datagrams are passed on.
    pub is_datagram: bool,
    /// The client. `None` where the proxy does not know or does not say (`UNKNOWN`), and for a
    /// unix client without a name.
    pub source: Option<SocketAddress>,
    /// The address that the client wrote to.
    pub destination: Option<SocketAddress>,
    /// The extensions of version 2, in their order.
    pub extensions: Vec<Tlv>,
}

impl ProxyHeader {
    /// What is to be said of a connection from `source` to `destination`.
    pub fn new(
        version: ProxyVersion,
        source: Option<SocketAddress>,
        destination: Option<SocketAddress>,
    ) -> Self {
        Self {
            version,
            source,
            destination,
            ..Self::default()
        }
    }

    /// Reads the header that `bytes` begin with: it and its length, or `None` while more is
    /// needed to tell.
    ///
    /// At most 107 bytes are a header of version 1, and 4,096 one of version 2. A header of
    /// version 2 with a checksum is verified.
    ///
    /// # Errors
    ///
    /// At [`Stage::Proxy`] as soon as it can't become a header any more, saying why.
    pub fn parse(bytes: &[u8]) -> Result<Option<(Self, usize)>> {
        read(bytes).map_err(|fault| {
            Error::new(Stage::Proxy, "a PROXY header", fault.0).with_action("parse")
        })
    }

    /// The header as it is sent.
    ///
    /// Addresses of different kinds can't stand beside each other: version 1 then says `UNKNOWN`
    /// and version 2 `UNSPEC`; an IPv4 address beside an IPv6 one is written as a mapped one.
    /// Version 1 has no place for extensions and for what is not tcp.
    ///
    /// # Errors
    ///
    /// At [`Stage::Proxy`] when the extensions make it longer than 4,096 bytes.
    pub fn to_bytes(&self) -> Result<Vec<u8>> {
        let bytes = match self.version {
            ProxyVersion::V1 => v1::write(self),
            ProxyVersion::V2 => v2::write(self),
        };
        if bytes.len() > LONGEST {
            let reason = format!("it has {} bytes, and {LONGEST} are the limit", bytes.len());
            return Err(Error::new(Stage::Proxy, "a PROXY header", reason).with_action("write"));
        }
        Ok(bytes)
    }

    /// The value of the first extension of this kind.
    pub fn extension(&self, kind: u8) -> Option<&[u8]> {
        let tlv = self.extensions.iter().find(|tlv| tlv.kind == kind)?;
        Some(&tlv.value)
    }

    /// What the proxy says of the client's TLS connection, if it had one.
    pub fn tls(&self) -> Option<ProxyTls> {
        ProxyTls::parse(self.extension(tlv::SSL)?)
    }
}

/// Why bytes are no header: the rest of a sentence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Fault(pub(crate) &'static str);

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

/// What parsing comes to: the header and its length, `None` while it is incomplete.
pub(crate) type Parsed = std::result::Result<Option<(ProxyHeader, usize)>, Fault>;

/// Reads the header of either version.
pub(crate) fn read(bytes: &[u8]) -> Parsed {
    if begins_like(bytes, v2::SIGNATURE) {
        v2::parse(bytes)
    } else if begins_like(bytes, v1::SIGNATURE) {
        v1::parse(bytes)
    } else {
        Err(Fault("it begins with something else"))
    }
}

/// Whether one of the two is the beginning of the other.
fn begins_like(bytes: &[u8], signature: &[u8]) -> bool {
    bytes.iter().zip(signature).all(|(one, other)| one == other)
}
