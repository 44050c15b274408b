//! Options of TLS.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use super::tls_check::TlsCheck;
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
    /// The certificate and those that lead from it to a root, in PEM. Needed, unless
    /// [`self_signed`](Self::self_signed). It is shown to whoever asks for no other's name.
    pub certificate: Option<PathBuf>,
    /// The certificate's private key, in PEM: PKCS#8, encrypted or not, PKCS#1 or SEC1. By default
    /// it is in the certificate's file.
    pub key: Option<PathBuf>,
    /// What the private key is encrypted with. No key of a URL; `passphrase_file` is one.
    pub passphrase: Option<Passphrase>,
    /// A file whose first line is the passphrase.
    pub passphrase_file: Option<PathBuf>,
    /// Certificates for further names, each shown to those who ask for it (SNI). In a URL they are
    /// paths of files that hold certificate and key.
    pub more_certificates: Vec<TlsIdentity>,
    /// Makes a certificate for the listener's host, `localhost` and the loopback addresses, in
    /// place of one from a file. To try things out: no client trusts it, unless it knows the
    /// [`fingerprint`](crate::Listener::fingerprint). Needs the feature `self-signed`.
    pub self_signed: Option<bool>,
    /// Certificates, in PEM, of the authorities whose clients are let in: clients are then asked
    /// for a certificate. A file, or a folder in which OpenSSL's `rehash` has named them by their
    /// hash. A client whose very certificate is one of them is let in as well.
    pub client_ca: Option<PathBuf>,
    /// Whether clients without a certificate are let in where one is asked for. Off by default.
    pub client_optional: Option<bool>,
    /// How many certificates up from the client's its authority may be: 1 lets in those that an
    /// authority has itself certified. No limit by default, though webpki ends at 7.
    pub verify_depth: Option<u32>,
    /// What else must be true of a client's certificates, where they are asked for. No key of a
    /// URL.
    pub check: Option<TlsCheck>,
    /// The protocols that may be spoken over TLS, best first: ALPN, [RFC 7301]. A client that
    /// offers others alone is refused.
    ///
    /// [RFC 7301]: https://www.rfc-editor.org/rfc/rfc7301
    pub alpn: Vec<String>,
    /// The oldest version of TLS. 1.2 by default, the oldest there is here.
    pub min_version: Option<TlsVersion>,
    /// The newest version of TLS. 1.3 by default.
    pub max_version: Option<TlsVersion>,
    /// The cipher suites that may be agreed upon, best first, by their names at IANA or in OpenSSL.
    /// By default all of [`tls_ciphers`](crate::tls_ciphers), and the client's choice.
    pub ciphers: Vec<String>,
    /// How many tickets a client gets, with which it resumes its session in a later connection, to
    /// any process that serves with this listener: 2 by default. 0 has every connection begin anew.
    /// TLS 1.2 has no more than one.
    pub tickets: Option<u32>,
    /// When handshakes are made.
    pub handshake: Option<HandshakeTime>,
    /// How long a client has for its handshake: 10 s by default.
    pub handshake_timeout: Option<Duration>,
    /// Asks clients for a certificate, and lets in whoever has made his own. Together with a
    /// [`check`](Self::check) that knows them, this is no danger.
    pub danger_accept_self_signed: bool,
    /// Takes the end of a connection without close_notify for the end of what the peer sent. Who
    /// can cut connections can then cut messages short.
    pub danger_accept_truncation: bool,
    /// Writes the secrets of each connection to a file, for Wireshark and the like: the
    /// [NSS key log format]. Who has the file reads the connections.
    ///
    /// [NSS key log format]: https://www.ietf.org/archive/id/draft-ietf-tls-keylogfile-05.html
    pub danger_key_log: Option<PathBuf>,
}

/// How a connecting stream begins TLS.
///
/// Each field but those whose name begins with `danger` is also a key of the URL's query, which
/// overrides it; the table of [`keys`](crate::keys) lists them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct TlsClientOptions {
    /// Certificates of the authorities that are trusted, in PEM: a file, or a folder in which
    /// OpenSSL's `rehash` has named them by their hash. The system's by default. A server whose
    /// very certificate is one of them is trusted as well.
    pub ca: Option<PathBuf>,
    /// How many certificates up from the server's its authority may be. As
    /// [`TlsServerOptions::verify_depth`].
    pub verify_depth: Option<u32>,
    /// The name that the server's certificate must have. The URL's host by default.
    pub peer_name: Option<String>,
    /// Whether the server is told which name is asked for (SNI), which everybody on the way can
    /// read. On by default; names alone are told, never addresses.
    pub sni: Option<bool>,
    /// SHA-256 fingerprints of certificates, in hexadecimal, with or without colons: the server's
    /// must be one of these. Where no [`ca`](Self::ca) is given, that is enough, whoever issued it
    /// and for whatever name; else it must be trusted besides.
    pub fingerprint: Vec<String>,
    /// What else must be true of the server's certificates. No key of a URL.
    pub check: Option<TlsCheck>,
    /// A certificate to show to the server, with those that lead from it to a root, in PEM.
    pub certificate: Option<PathBuf>,
    /// Its private key, in PEM. By default it is in the certificate's file.
    pub key: Option<PathBuf>,
    /// As [`TlsServerOptions::passphrase`].
    pub passphrase: Option<Passphrase>,
    /// A file whose first line is the passphrase.
    pub passphrase_file: Option<PathBuf>,
    /// The protocols to offer, best first: ALPN, [RFC 7301].
    ///
    /// [RFC 7301]: https://www.rfc-editor.org/rfc/rfc7301
    pub alpn: Vec<String>,
    /// The oldest version of TLS. 1.2 by default, the oldest there is here.
    pub min_version: Option<TlsVersion>,
    /// The newest version of TLS. 1.3 by default.
    pub max_version: Option<TlsVersion>,
    /// As [`TlsServerOptions::ciphers`].
    pub ciphers: Vec<String>,
    /// How long the handshake may take: 10 s by default. A connect's own limit counts besides.
    pub handshake_timeout: Option<Duration>,
    /// Accepts any certificate, of whomever and for whatever name.
    pub danger_accept_any_certificate: bool,
    /// Accepts a certificate of the right name that nobody but itself vouches for.
    pub danger_accept_self_signed: bool,
    /// Accepts a trusted certificate of any name.
    pub danger_accept_any_name: bool,
    /// As [`TlsServerOptions::danger_accept_truncation`].
    pub danger_accept_truncation: bool,
    /// As [`TlsServerOptions::danger_key_log`].
    pub danger_key_log: Option<PathBuf>,
}

/// A certificate with its key, beside the one that is shown by default.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct TlsIdentity {
    /// The certificate and those that lead from it to a root, in PEM.
    pub certificate: PathBuf,
    /// Its private key, in PEM. By default it is in the certificate's file.
    pub key: Option<PathBuf>,
    /// What the private key is encrypted with.
    pub passphrase: Option<Passphrase>,
    /// The names that it is shown for; those in the certificate where there are none.
    /// `*.example.org` stands for every name with one more label.
    pub names: Vec<String>,
}

impl TlsIdentity {
    /// A file that holds certificate and key, for the names in the certificate.
    pub fn new(certificate: impl Into<PathBuf>) -> Self {
        Self {
            certificate: certificate.into(),
            key: None,
            passphrase: None,
            names: Vec::new(),
        }
    }
}

/// What a private key is encrypted with. It is never shown.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Passphrase(String);

impl Passphrase {
    /// The bytes that the key's encryption is derived from.
    #[cfg(feature = "tls")]
    pub(crate) fn bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }
}

impl From<String> for Passphrase {
    fn from(text: String) -> Self {
        Self(text)
    }
}

impl fmt::Debug for Passphrase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Passphrase(…)")
    }
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
impl fmt::Display for TlsVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
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
