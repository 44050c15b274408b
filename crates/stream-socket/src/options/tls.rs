//! Options of TLS.

use std::path::PathBuf;
use std::time::Duration;

use super::value::Choice;

/// How a listener's handshakes are made, and streams whose server end begins TLS.
///
/// Each field but those whose name begins with `danger` is also a key of the URL's query, which
/// overrides it; the table of [`keys`](crate::keys) lists them. Files are read once, when the
/// listener is made.
///
/// # Examples
///
/// ```no_run
/// use stream_socket::{ListenOptions, Listener};
///
/// let mut options = ListenOptions::default();
/// options.tls.certificate = Some("/etc/ssl/site.pem".into());
/// options.tls.key = Some("/etc/ssl/site.key".into());
/// let listener = Listener::bind("tls://[::]:443", &options)?;
/// # Ok::<(), stream_socket::Error>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct TlsServerOptions {
    /// The certificate and those that lead from it to a root, in PEM. Needed.
    pub certificate: Option<PathBuf>,
    /// The certificate's private key, in PEM: PKCS#8, PKCS#1 or SEC1. By default it is in the
    /// certificate's file.
    pub key: Option<PathBuf>,
    /// Certificates, in PEM, of the authorities whose clients are let in: clients are then asked
    /// for a certificate.
    pub client_ca: Option<PathBuf>,
    /// Whether clients without a certificate are let in where one is asked for. Off by default.
    pub client_optional: Option<bool>,
    /// The protocols that may be spoken over TLS, best first: ALPN, [RFC 7301]. A client that
    /// offers others alone is refused.
    ///
    /// [RFC 7301]: https://www.rfc-editor.org/rfc/rfc7301
    pub alpn: Vec<String>,
    /// The oldest version of TLS. 1.2 by default, the oldest there is here.
    pub min_version: Option<TlsVersion>,
    /// The newest version of TLS. 1.3 by default.
    pub max_version: Option<TlsVersion>,
    /// When handshakes are made.
    pub handshake: Option<HandshakeTime>,
    /// How long a client has for its handshake: 10 s by default.
    pub handshake_timeout: Option<Duration>,
    /// Takes the end of a connection without close_notify for the end of what the peer sent. Who
    /// can cut connections can then cut messages short.
    pub danger_accept_truncation: bool,
}

/// How a connecting stream begins TLS.
///
/// Each field but those whose name begins with `danger` is also a key of the URL's query, which
/// overrides it; the table of [`keys`](crate::keys) lists them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct TlsClientOptions {
    /// Certificates of the authorities that are trusted, in PEM: a file, or a folder in which
    /// OpenSSL's `rehash` has named them by their hash. The system's by default.
    pub ca: Option<PathBuf>,
    /// The name that the server's certificate must have. The URL's host by default.
    pub peer_name: Option<String>,
    /// A certificate to show to the server, with those that lead from it to a root, in PEM.
    pub certificate: Option<PathBuf>,
    /// Its private key, in PEM. By default it is in the certificate's file.
    pub key: Option<PathBuf>,
    /// The protocols to offer, best first: ALPN, [RFC 7301].
    ///
    /// [RFC 7301]: https://www.rfc-editor.org/rfc/rfc7301
    pub alpn: Vec<String>,
    /// The oldest version of TLS. 1.2 by default, the oldest there is here.
    pub min_version: Option<TlsVersion>,
    /// The newest version of TLS. 1.3 by default.
    pub max_version: Option<TlsVersion>,
    /// How long the handshake may take: 10 s by default. A connect's own limit counts besides.
    pub handshake_timeout: Option<Duration>,
    /// Accepts any certificate, of whomever and for whatever name.
    pub danger_accept_any_certificate: bool,
    /// Accepts a trusted certificate of any name.
    pub danger_accept_any_name: bool,
    /// As [`TlsServerOptions::danger_accept_truncation`].
    pub danger_accept_truncation: bool,
}

/// A version of TLS. Older ones than these are broken, and not to be had ([RFC 8996]).
///
/// [RFC 8996]: https://www.rfc-editor.org/rfc/rfc8996
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum TlsVersion {
    /// TLS 1.2, [RFC 5246](https://www.rfc-editor.org/rfc/rfc5246).
    V1_2,
    /// TLS 1.3, [RFC 8446](https://www.rfc-editor.org/rfc/rfc8446).
    V1_3,
}

/// As people write it: `TLS 1.3`.
impl std::fmt::Display for TlsVersion {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            TlsVersion::V1_2 => "TLS 1.2",
            TlsVersion::V1_3 => "TLS 1.3",
        })
    }
}

/// When a listener makes the handshakes of its connections.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum HandshakeTime {
    /// Within accept, which advances those of all clients together and returns the first that is
    /// finished: a client that is slow or silent harms no other.
    #[default]
    Accept,
    /// Within the first read or write of the accepted stream: for programs with a thread for each
    /// connection, and for loops that must know a new one by the listening socket alone.
    FirstUse,
}

impl Choice for Option<TlsVersion> {
    fn is_set(&self) -> bool {
        self.is_some()
    }

    fn choose(&mut self, word: &str) -> bool {
        *self = match word {
            "1.2" => Some(TlsVersion::V1_2),
            "1.3" => Some(TlsVersion::V1_3),
            _ => return false,
        };
        true
    }

    fn expected(&self) -> &'static str {
        "1.2 or 1.3"
    }
}

impl Choice for Option<HandshakeTime> {
    fn is_set(&self) -> bool {
        self.is_some()
    }

    fn choose(&mut self, word: &str) -> bool {
        *self = match word {
            "accept" => Some(HandshakeTime::Accept),
            "first-use" => Some(HandshakeTime::FirstUse),
            _ => return false,
        };
        true
    }

    fn expected(&self) -> &'static str {
        "accept or first-use"
    }
}
