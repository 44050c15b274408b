//! What is known of a TLS connection.

use crate::options::TlsVersion;

/// What the two ends of a stream agreed upon: see [`Stream::tls`](crate::Stream::tls).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct TlsFacts {
    /// The version.
    pub version: TlsVersion,
    /// The cipher suite.
    pub cipher: TlsCipher,
    /// The protocol spoken over TLS, where one was agreed upon by ALPN.
    pub alpn: Option<Vec<u8>>,
    /// The name that the client asked for: SNI. Known to the server's end.
    pub server_name: Option<String>,
    /// The certificates that the peer showed, its own first, in DER.
    pub peer_certificates: Vec<Vec<u8>>,
    /// The SHA-256 fingerprint of the peer's own, in hexadecimal.
    pub peer_fingerprint: Option<String>,
    /// Whether an earlier session was resumed.
    pub resumed: bool,
}

impl TlsFacts {
    /// Whom the peer's certificate is for and who issued it, as [RFC 4514] has names:
    /// `CN=client,O=Example`. A name that is none to us is in numbers.
    ///
    /// [RFC 4514]: https://www.rfc-editor.org/rfc/rfc4514
    pub fn peer_subject_and_issuer(&self) -> Option<(String, String)> {
        super::tls::subject_and_issuer(self.peer_certificates.first()?)
    }

    /// The common name that the peer's certificate is for, where it has one that is text.
    pub fn peer_common_name(&self) -> Option<String> {
        super::tls::common_name(self.peer_certificates.first()?)
    }
}

/// A cipher suite.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct TlsCipher {
    /// Its name at IANA: `TLS_AES_256_GCM_SHA384`.
    pub name: &'static str,
    /// Its name in OpenSSL: `ECDHE-RSA-AES256-GCM-SHA384`.
    pub openssl_name: &'static str,
    /// The bits of its key.
    pub bits: u16,
    /// The version of TLS that it belongs to.
    pub version: TlsVersion,
    /// Its number at IANA.
    pub number: u16,
}

const fn cipher(
    number: u16,
    bits: u16,
    version: TlsVersion,
    name: &'static str,
    openssl_name: &'static str,
) -> TlsCipher {
    TlsCipher {
        name,
        openssl_name,
        bits,
        version,
        number,
    }
}

use TlsVersion::{V1_2, V1_3};

#[rustfmt::skip]
pub(super) const CIPHERS: &[TlsCipher] = &[
    cipher(0x1302, 256, V1_3, "TLS_AES_256_GCM_SHA384", "TLS_AES_256_GCM_SHA384"),
    cipher(0x1301, 128, V1_3, "TLS_AES_128_GCM_SHA256", "TLS_AES_128_GCM_SHA256"),
    cipher(0x1303, 256, V1_3, "TLS_CHACHA20_POLY1305_SHA256", "TLS_CHACHA20_POLY1305_SHA256"),
    cipher(0xc02c, 256, V1_2, "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384",
        "ECDHE-ECDSA-AES256-GCM-SHA384"),
    cipher(0xc02b, 128, V1_2, "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256",
        "ECDHE-ECDSA-AES128-GCM-SHA256"),
    cipher(0xcca9, 256, V1_2, "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256",
        "ECDHE-ECDSA-CHACHA20-POLY1305"),
    cipher(0xc030, 256, V1_2, "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384",
        "ECDHE-RSA-AES256-GCM-SHA384"),
    cipher(0xc02f, 128, V1_2, "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256",
        "ECDHE-RSA-AES128-GCM-SHA256"),
    cipher(0xcca8, 256, V1_2, "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256",
        "ECDHE-RSA-CHACHA20-POLY1305"),
];

/// The cipher suites that there are, best first: those that are authenticated, and whose keys can't
/// be recovered later (forward secrecy).
///
/// # Examples
///
/// ```
/// let ciphers = stream_socket::tls_ciphers();
/// assert!(ciphers.iter().any(|cipher| cipher.openssl_name == "ECDHE-RSA-AES128-GCM-SHA256"));
/// ```
pub fn tls_ciphers() -> &'static [TlsCipher] {
    if cfg!(feature = "tls") { CIPHERS } else { &[] }
}
