//! What all connections to like targets have in common.

use std::fmt;
use std::sync::Arc;

use rustls::ClientConfig;
use rustls::client::UnbufferedClientConnection;
use rustls::pki_types::ServerName;

use super::cache::Cache;
use super::connection::Connection;
use super::identity::{Place, mismatch};
use super::reason::reason;
use super::server::protocols;
use super::session::{Limits, Session};
use super::{HANDSHAKE_TIMEOUT, Versions, key_log, suites, unusable, verify};
use crate::error::{Error, Result, Stage};
use crate::options::TlsClientOptions;
use crate::sys::file::{Stamp, stamps};
use crate::url::{Host, SocketUrl, Target, Transport};

/// Whom to trust, what to show, sessions to resume, and limits.
#[derive(Debug)]
pub(crate) struct ClientContext {
    config: Arc<ClientConfig>,
    limits: Limits,
}

/// What a context is made of, and so known by.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Content {
    options: TlsClientOptions,
    versions: Versions,
    files: Vec<Option<Stamp>>,
}

static CONTEXTS: Cache<Content, ClientContext> = Cache::new();

impl ClientContext {
    /// The context that the options ask for; `url` is what an error names.
    pub(crate) fn of(
        url: &impl fmt::Display,
        transport: Transport,
        options: &TlsClientOptions,
    ) -> Result<Arc<Self>> {
        let versions = Versions::of(transport, options.min_version, options.max_version);
        let own = [&options.certificate, &options.key, &options.passphrase_file];
        let named = own.into_iter().chain([&options.ca]).flatten();
        let content = Content {
            // Contexts for several names are the same one.
            options: TlsClientOptions {
                peer_name: None,
                ..options.clone()
            },
            versions,
            files: named.flat_map(|path| stamps(path)).collect(),
        };
        CONTEXTS.get(content, || Self::new(url, versions, options))
    }

    fn new(
        url: &impl fmt::Display,
        versions: Versions,
        options: &TlsClientOptions,
    ) -> Result<Self> {
        let refused = |error| unusable(url, reason(&error));
        let provider = suites::provider(url, &options.ciphers)?;
        let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
            .with_protocol_versions(&versions.supported())
            .map_err(refused)?
            .dangerous()
            .with_custom_certificate_verifier(verify::verifier(url, options, provider)?);
        let mut config = match options.certificate.as_deref() {
            None => builder.with_no_client_auth(),
            Some(certificate) => {
                let place = Place {
                    option: "certificate",
                    certificate,
                    key: options.key.as_deref(),
                    passphrase: options.passphrase.as_ref(),
                    passphrase_file: options.passphrase_file.as_deref(),
                };
                let (chain, key) = place.load(url)?;
                builder
                    .with_client_auth_cert(chain, key)
                    .map_err(|error| unusable(url, mismatch(&error)))?
            }
        };
        config.alpn_protocols = protocols(&options.alpn);
        config.enable_sni = options.sni != Some(false);
        if let Some(path) = options.danger_key_log.as_deref() {
            config.key_log = key_log::at(url, path)?;
        }
        Ok(Self {
            config: Arc::new(config),
            limits: Limits {
                handshake: options.handshake_timeout.unwrap_or(HANDSHAKE_TIMEOUT),
                accepts_truncation: options.danger_accept_truncation,
            },
        })
    }

    /// The client's end of a new connection, to the peer of that name.
    pub(crate) fn session(&self, url: &impl fmt::Display, name: &PeerName) -> Result<Session> {
        let connection = UnbufferedClientConnection::new(Arc::clone(&self.config), name.0.clone())
            .map_err(|error| Error::new(Stage::Handshake, url, reason(&error)))?;
        Ok(Session::new(Connection::Client(connection), self.limits))
    }
}

/// The name that a server's certificate must have.
#[derive(Clone, Debug)]
pub(crate) struct PeerName(ServerName<'static>);

impl PeerName {
    /// The one that the options give, else the host of the URL.
    pub(crate) fn of(url: &SocketUrl, options: &TlsClientOptions) -> Result<Self> {
        if let Some(name) = &options.peer_name {
            return Self::new(url, name);
        }
        match url.target() {
            Target::Inet { host, .. } => match host {
                Host::Name(name) => Self::new(url, name),
                Host::V4(address) => Ok(Self(ServerName::IpAddress((*address).into()))),
                Host::V6 { address, .. } => Ok(Self(ServerName::IpAddress((*address).into()))),
            },
            _ => Self::unknown(url, options),
        }
    }

    /// That of a peer of which only the address is known.
    pub(crate) fn unknown(peer: &impl fmt::Display, options: &TlsClientOptions) -> Result<Self> {
        if !verify::looks_at_names(options) {
            return Self::new(peer, "localhost");
        }
        let reason = "there is no name to verify: give option peer_name";
        Err(Error::new(Stage::Parse, peer, reason))
    }

    pub(crate) fn new(url: &impl fmt::Display, name: &str) -> Result<Self> {
        // A dot at the end makes no other name, and certificates have none.
        let name = name.strip_suffix('.').unwrap_or(name);
        ServerName::try_from(name.to_owned())
            .map(Self)
            .map_err(|_| {
                let reason = format!("{name:?} is no name that a certificate can have");
                Error::new(Stage::Parse, url, reason)
            })
    }
}
