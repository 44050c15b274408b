//! The `ssl` section of a stream context, turned into the library's options.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::time::Duration;

use stream_socket::{TlsFacts, TlsServerOptions, TlsVersion};

use crate::failure::Failure;

/// What a context says of a server. Paths are absolute; C has looked whether PHP may read them.
#[derive(Debug)]
pub(crate) struct TlsWishes<'a> {
    pub(crate) certificate: Option<&'a [u8]>,
    pub(crate) key: Option<&'a [u8]>,
    pub(crate) protocols: Option<&'a [u8]>,
    pub(crate) handshake_timeout: Option<Duration>,
    /// TLS 1.2 or 1.3, by what follows the dot.
    pub(crate) oldest: u8,
    pub(crate) newest: u8,
}

impl TlsWishes<'_> {
    pub(crate) fn to_serve(&self) -> Result<TlsServerOptions, Failure> {
        let mut options = TlsServerOptions::default();
        options.certificate = self.certificate.map(path);
        options.key = self.key.map(path);
        options.alpn = self.protocols.map_or(Ok(Vec::new()), protocols)?;
        options.handshake_timeout = self.handshake_timeout;
        options.min_version = Some(version(self.oldest));
        options.max_version = Some(version(self.newest));
        // To stock PHP it is an end like any other. Streams tell of it in their meta data.
        options.danger_accept_truncation = true;
        Ok(options)
    }
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
