//! What the proxy before a stream has told of it.

use stream_socket::{ProxyHeader, ProxyVersion, Stream};

use super::names::text_of;
use super::{Object, Socket};

impl Socket {
    /// The version of the header, and whether the proxy spoke for itself.
    pub(crate) fn proxy_version(&self) -> Option<(u8, bool)> {
        let (_, header) = self.told()?;
        let version = if header.version == ProxyVersion::V1 {
            1
        } else {
            2
        };
        Some((version, header.is_local))
    }

    /// The client, the address that it wrote to, the proxy, and then the extensions with their
    /// types.
    pub(crate) fn proxy_part(&self, part: usize) -> Option<(u8, Vec<u8>)> {
        let (stream, header) = self.told()?;
        let address = match part {
            0 => header.source.as_ref(),
            1 => header.destination.as_ref(),
            2 => stream.proxy_addr(),
            _ => {
                let tlv = header.extensions.get(part - 3)?;
                return Some((tlv.kind, tlv.value.clone()));
            }
        };
        Some((0, text_of(address?)))
    }

    fn told(&self) -> Option<(&Stream, &ProxyHeader)> {
        match &self.object {
            Object::Stream(stream) => Some((stream, stream.proxy_header()?)),
            _ => None,
        }
    }
}
