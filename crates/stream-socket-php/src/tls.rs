//! The `ssl` section of a stream context, turned into the library's options.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::time::Duration;

use stream_socket::{
    Passphrase, TlsClientOptions, TlsFacts, TlsIdentity, TlsServerOptions, TlsVersion,
};

use crate::ciphers;
use crate::failure::{self, Failure};
use crate::peer::{Fingerprint, Wanted};

/// What a context says of a server. Paths are absolute; C has looked whether PHP may read them.
#[derive(Debug)]
pub(crate) struct TlsWishes<'a> {
    pub(crate) certificate: Option<&'a [u8]>,
    pub(crate) key: Option<&'a [u8]>,
    pub(crate) protocols: Option<&'a [u8]>,
    pub(crate) passphrase: Option<&'a [u8]>,
    /// A list of OpenSSL's, for TLS 1.2.
    pub(crate) ciphers: Option<&'a [u8]>,
    pub(crate) identities: Vec<Named<'a>>,
    pub(crate) peer: Peer<'a>,
    /// How many each client gets; the library's default where it is not said.
    pub(crate) tickets: Option<u32>,
    pub(crate) handshake_timeout: Option<Duration>,
    /// TLS 1.2 or 1.3, by what follows the dot.
    pub(crate) oldest: u8,
    pub(crate) newest: u8,
    /// Of a client, the name that it asks a server for, and whether it tells it.
    pub(crate) host: Option<&'a [u8]>,
    pub(crate) tells_host: bool,
}

/// What is asked of the peer's certificate.
#[derive(Debug)]
pub(crate) struct Peer<'a> {
    /// Whether a client is asked for one, and has to show it; whether a server's is verified.
    pub(crate) is_asked: bool,
    pub(crate) must_show: bool,
    /// Who is trusted: a file or a folder.
    pub(crate) authorities: Option<&'a [u8]>,
    pub(crate) depth: Option<u32>,
    pub(crate) accepts_self_signed: bool,
    pub(crate) name: Option<&'a [u8]>,
    /// Pairs of an algorithm and a digest in hexadecimal.
    pub(crate) fingerprints: Vec<(&'a [u8], &'a [u8])>,
}

/// A certificate for a name that clients ask for.
#[derive(Debug)]
pub(crate) struct Named<'a> {
    pub(crate) name: &'a [u8],
    pub(crate) certificate: &'a [u8],
    pub(crate) key: Option<&'a [u8]>,
}

impl TlsWishes<'_> {
    pub(crate) fn to_serve(&self) -> Result<TlsServerOptions, Failure> {
        let mut options = TlsServerOptions::default();
        options.certificate = self.certificate.map(path);
        options.key = self.key.map(path);
        options.alpn = self.protocols.map_or(Ok(Vec::new()), protocols)?;
        options.passphrase = self.passphrase.map(passphrase).transpose()?;
        options.ciphers = self.ciphers.map_or(Ok(Vec::new()), ciphers)?;
        let identities = self.identities.iter().map(Named::to_serve);
        options.more_certificates = identities.collect::<Result<_, _>>()?;
        options.handshake_timeout = self.handshake_timeout;
        options.min_version = Some(version(self.oldest));
        options.max_version = Some(version(self.newest));
        options.tickets = self.tickets;
        if self.peer.is_asked {
            options.client_ca = self.peer.authorities.map(path);
            options.client_optional = Some(!self.peer.must_show);
            options.verify_depth = self.peer.depth;
            options.danger_accept_self_signed = self.peer.accepts_self_signed;
            options.check = self.peer.wanted()?.check();
        }
        // To stock PHP it is an end like any other. Streams tell of it in their meta data.
        options.danger_accept_truncation = true;
        Ok(options)
    }
}

impl TlsWishes<'_> {
    pub(crate) fn to_connect(&self) -> Result<TlsClientOptions, Failure> {
        let mut options = TlsClientOptions::default();
        options.certificate = self.certificate.map(path);
        options.key = self.key.map(path);
        options.alpn = self.protocols.map_or(Ok(Vec::new()), protocols)?;
        options.passphrase = self.passphrase.map(passphrase).transpose()?;
        options.ciphers = self.ciphers.map_or(Ok(Vec::new()), ciphers)?;
        options.handshake_timeout = self.handshake_timeout;
        options.min_version = Some(version(self.oldest));
        options.max_version = Some(version(self.newest));
        options.ca = self.peer.authorities.map(path);
        options.verify_depth = self.peer.depth;
        options.peer_name = self.host.map(|name| text("peer_name", name)).transpose()?;
        options.sni = Some(self.tells_host);
        options.check = self.peer.wanted()?.check();
        options.danger_accept_any_certificate = !self.peer.is_asked;
        options.danger_accept_self_signed = self.peer.accepts_self_signed;
        // Names are looked for as PHP does, by the check.
        options.danger_accept_any_name = true;
        options.danger_accept_truncation = true;
        Ok(options)
    }
}

impl Peer<'_> {
    fn wanted(&self) -> Result<Wanted, Failure> {
        let fingerprints = self.fingerprints.iter();
        let fingerprints =
            fingerprints.map(|(algorithm, digest)| Fingerprint::new(algorithm, digest));
        Ok(Wanted {
            name: self.name.map(|name| text("peer_name", name)).transpose()?,
            fingerprints: fingerprints.collect::<Result<_, _>>()?,
        })
    }
}

impl Named<'_> {
    fn to_serve(&self) -> Result<TlsIdentity, Failure> {
        let mut identity = TlsIdentity::new(path(self.certificate));
        identity.key = self.key.map(path);
        identity.names = vec![text("SNI_server_certs", self.name)?];
        Ok(identity)
    }
}

fn text(option: &str, bytes: &[u8]) -> Result<String, Failure> {
    String::from_utf8(bytes.to_owned())
        .map_err(|_| Failure::of_words(format!("option {option} is not UTF-8")))
}

fn passphrase(bytes: &[u8]) -> Result<Passphrase, Failure> {
    text("passphrase", bytes).map(Passphrase::from)
}

/// What the library lacks is not supported.
fn ciphers(list: &[u8]) -> Result<Vec<String>, Failure> {
    let listed = std::str::from_utf8(list).ok().and_then(ciphers::listed);
    listed.ok_or_else(|| Failure::of_system(failure::NOT_SUPPORTED))
}

fn path(bytes: &[u8]) -> PathBuf {
    OsStr::from_bytes(bytes).into()
}

fn version(minor: u8) -> TlsVersion {
    if minor < 3 {
        TlsVersion::V1_2
    } else {
        TlsVersion::V1_3
    }
}

/// The names of a list with commas, as PHP has it.
fn protocols(list: &[u8]) -> Result<Vec<String>, Failure> {
    let name = |name: &[u8]| match std::str::from_utf8(name) {
        Ok(text) if (1..=255).contains(&name.len()) => Ok(text.to_owned()),
        _ => Err(Failure::of_words("alpn_protocols is no list of names")),
    };
    list.split(|byte| *byte == b',').map(name).collect()
}

/// What follows the dot in the name of its version.
pub(crate) fn minor(facts: &TlsFacts) -> u8 {
    if facts.version == TlsVersion::V1_2 {
        2
    } else {
        3
    }
}
