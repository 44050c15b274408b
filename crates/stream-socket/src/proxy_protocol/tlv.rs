//! Extensions of version 2: type, length, value; section 2.2.1 and what follows it.

use super::Fault;

/// `PP2_TYPE_CRC32C`, section 2.2.3.
const CRC32C: u8 = 0x03;
/// `PP2_TYPE_SSL`, section 2.2.6.
pub(super) const SSL: u8 = 0x20;

const SSL_VERSION: u8 = 0x21;
const SSL_COMMON_NAME: u8 = 0x22;
const SSL_CIPHER: u8 = 0x23;

/// `PP2_CLIENT_SSL`: the client came by TLS.
const CLIENT_SSL: u8 = 0x01;
/// `PP2_CLIENT_CERT_CONN`, `PP2_CLIENT_CERT_SESS`: it showed a certificate.
const CLIENT_CERTIFICATE: u8 = 0x02 | 0x04;

/// Type and length.
const HEAD: usize = 3;

/// An extension: its type, as the protocol numbers it, and its value.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Tlv {
    /// The type: `0x01` ALPN, `0x02` the name that the client asked for, `0x05` an identifier of
    /// the connection, `0x20` TLS, `0xe0` to `0xef` whatever was agreed on.
    pub kind: u8,
    /// The value; at most 65,535 bytes.
    pub value: Vec<u8>,
}

impl Tlv {
    /// ALPN, as negotiated with the client.
    pub const ALPN: u8 = 0x01;
    /// The name that the client asked for: SNI.
    pub const AUTHORITY: u8 = 0x02;
    /// A checksum of the whole header.
    pub const CRC32C: u8 = CRC32C;
    /// An identifier of the connection.
    pub const UNIQUE_ID: u8 = 0x05;

    /// An extension to be sent.
    pub fn new(kind: u8, value: impl Into<Vec<u8>>) -> Self {
        let value = value.into();
        Self { kind, value }
    }
}

/// What a proxy says of the client's TLS connection: section 2.2.6.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ProxyTls {
    /// The version, as OpenSSL names it: `TLSv1.3`.
    pub version: Option<String>,
    /// The cipher suite.
    pub cipher: Option<String>,
    /// The common name of the certificate that the client showed.
    pub common_name: Option<String>,
    /// Whether it showed one.
    pub has_certificate: bool,
    /// Whether it showed one that was found good.
    pub is_verified: bool,
}

impl ProxyTls {
    /// Reads the value of the extension; `None` where the client did not come by TLS, or what is
    /// said of it can't be understood.
    pub(super) fn parse(value: &[u8]) -> Option<Self> {
        let ([client, verify @ ..], parts) = value.split_first_chunk::<5>()?;
        if client & CLIENT_SSL == 0 {
            return None;
        }
        let parts = parse(parts).ok()?;
        let text = |kind| {
            let tlv = parts.iter().find(|tlv| tlv.kind == kind)?;
            Some(String::from_utf8_lossy(&tlv.value).into_owned())
        };
        let has_certificate = client & CLIENT_CERTIFICATE != 0;
        Some(Self {
            version: text(SSL_VERSION),
            cipher: text(SSL_CIPHER),
            common_name: text(SSL_COMMON_NAME),
            has_certificate,
            is_verified: has_certificate && *verify == [0; 4],
        })
    }

    /// The extension that says so.
    pub fn to_extension(&self) -> Tlv {
        let certificate = if self.has_certificate {
            CLIENT_CERTIFICATE
        } else {
            0
        };
        let mut value = vec![CLIENT_SSL | certificate];
        let unverified = u32::from(self.has_certificate && !self.is_verified);
        value.extend(unverified.to_be_bytes());
        let parts = [
            (SSL_VERSION, &self.version),
            (SSL_COMMON_NAME, &self.common_name),
            (SSL_CIPHER, &self.cipher),
        ];
        let parts = parts.into_iter().filter_map(|(kind, text)| {
            let text = text.as_ref()?;
            Some(Tlv::new(kind, text.as_bytes()))
        });
        value.extend(write(&parts.collect::<Vec<_>>()));
        Tlv::new(SSL, value)
    }
}

/// The extensions in `bytes`, which end with the last one.
pub(super) fn parse(mut bytes: &[u8]) -> Result<Vec<Tlv>, Fault> {
    const CUT: Fault = Fault("an extension of it is cut short");
    let mut extensions = Vec::new();
    while let Some((&kind, rest)) = bytes.split_first() {
        let (length, rest) = rest.split_first_chunk::<2>().ok_or(CUT)?;
        let length = usize::from(u16::from_be_bytes(*length));
        let (value, rest) = rest.split_at_checked(length).ok_or(CUT)?;
        extensions.push(Tlv::new(kind, value));
        bytes = rest;
    }
    Ok(extensions)
}

/// The extensions, one after the other.
pub(super) fn write(extensions: &[Tlv]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for Tlv { kind, value } in extensions {
        bytes.push(*kind);
        // A longer one makes the header longer than may be sent.
        let length = u16::try_from(value.len()).unwrap_or(u16::MAX);
        bytes.extend(length.to_be_bytes());
        bytes.extend(value);
    }
    bytes
}

/// Verifies the checksum in the last `length` bytes of a header, if there is one: it is made with
/// zeros in its own place.
pub(super) fn check_sum(header: &[u8], length: usize) -> Result<(), Fault> {
    let mut at = header.len() - length;
    while let Some([kind, high, low, ..]) = header.get(at..) {
        let value = at + HEAD..at + HEAD + usize::from(u16::from_be_bytes([*high, *low]));
        if *kind == CRC32C {
            let told = header.get(value.clone()).unwrap_or_default();
            let zeroed = header.iter().enumerate().map(|(index, byte)| {
                let is_told = value.contains(&index);
                if is_told { 0 } else { *byte }
            });
            return if told == crc32c(zeroed).to_be_bytes() {
                Ok(())
            } else {
                Err(Fault("its checksum is wrong"))
            };
        }
        at = value.end;
    }
    Ok(())
}

/// The checksum of Castagnoli's polynomial, RFC 9260 appendix A. Bit by bit: headers are short,
/// and few have one.
fn crc32c(bytes: impl Iterator<Item = u8>) -> u32 {
    !bytes.fold(u32::MAX, |sum, byte| {
        (0..8).fold(sum ^ u32::from(byte), |sum, _| {
            (sum >> 1) ^ (0x82f6_3b78 * (sum & 1))
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_checksum_is_castagnoli_s() {
        // RFC 3720 appendix B.4.
        assert_eq!(crc32c([0; 32].into_iter()), 0x8a91_36aa);
        assert_eq!(crc32c(b"123456789".iter().copied()), 0xe306_9283);
    }
}
