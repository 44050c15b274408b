//! What is known of a TLS connection.

use crate::options::TlsVersion;

/// What the two ends of a stream agreed upon: see [`Stream::tls`](crate::Stream::tls).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct TlsFacts {
    /// The version.
    pub version: TlsVersion,
    /// The cipher suite, by its name at IANA: `TLS13_AES_256_GCM_SHA384`.
    pub cipher: String,
    /// The protocol spoken over TLS, where one was agreed upon by ALPN.
    pub alpn: Option<Vec<u8>>,
    /// The name that the client asked for: SNI. Known to the server's end.
    pub server_name: Option<String>,
    /// The certificates that the peer showed, its own first, in DER.
    pub peer_certificates: Vec<Vec<u8>>,
    /// Whether an earlier session was resumed.
    pub resumed: bool,
}
