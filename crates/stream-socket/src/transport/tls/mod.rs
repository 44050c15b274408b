//! TLS over a stream of bytes: the only folder that names rustls.
//!
//! A [`Session`] is one end of one connection and never waits: it says what the socket must be
//! ready for. A context is what all connections of a listener, or to like targets, share: keys,
//! certificates, tickets. It is made once and found again by its content.
//!
//! rustls is used by its unbuffered interface, so that a session holds no memory beside its state
//! but records that have not come, or not gone, as a whole.

mod admit;
mod authorities;
mod bounds;
mod cache;
mod certificates;
mod client;
mod connection;
mod distinguished_name;
mod facts;
mod fingerprint;
mod identity;
mod key_log;
mod noted;
mod pem;
mod reason;
mod self_signed;
mod server;
mod session;
mod suites;
mod text;
mod verify;

pub(crate) use client::{ClientContext, PeerName};
pub(crate) use distinguished_name::{common_name, subject_and_issuer};
pub(crate) use server::ServerContext;
pub(crate) use session::{Hindrance, Session};

use std::fmt;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use rustls::SupportedProtocolVersion;
use rustls::crypto::CryptoProvider;

use crate::error::{Error, Stage};
use crate::options::TlsVersion;
use crate::url::Transport;

/// A handshake's limit where none is given. Browsers give up after about as long.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);

fn provider() -> Arc<CryptoProvider> {
    static PROVIDER: OnceLock<Arc<CryptoProvider>> = OnceLock::new();
    Arc::clone(PROVIDER.get_or_init(|| Arc::new(text::provider())))
}

/// The versions that a transport and the options leave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Versions {
    oldest: TlsVersion,
    newest: TlsVersion,
}

impl Versions {
    pub(crate) fn of(
        transport: Transport,
        oldest: Option<TlsVersion>,
        newest: Option<TlsVersion>,
    ) -> Self {
        let (first, last) = match transport {
            Transport::Tlsv12 => (TlsVersion::V1_2, TlsVersion::V1_2),
            Transport::Tlsv13 => (TlsVersion::V1_3, TlsVersion::V1_3),
            _ => (TlsVersion::V1_2, TlsVersion::V1_3),
        };
        Self {
            oldest: oldest.map_or(first, |oldest| oldest.max(first)),
            newest: newest.map_or(last, |newest| newest.min(last)),
        }
    }

    fn supported(self) -> Vec<&'static SupportedProtocolVersion> {
        let all = [
            (TlsVersion::V1_3, &rustls::version::TLS13),
            (TlsVersion::V1_2, &rustls::version::TLS12),
        ];
        let within = |version| self.oldest <= version && version <= self.newest;
        let supported = all.into_iter().filter(|(version, _)| within(*version));
        supported.map(|(_, supported)| supported).collect()
    }
}

/// The error of an option that TLS can't do with.
fn unusable(url: impl fmt::Display, why: impl fmt::Display) -> Error {
    Error::new(Stage::Socket, url, why)
}
