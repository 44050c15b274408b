//! What all connections of a server have in common.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs::Ticketer;
use rustls::server::{NoServerSessionStorage, UnbufferedServerConnection};

use super::cache::Cache;
use super::certificates::Certificates;
use super::connection::Connection;
use super::reason::reason;
use super::session::{Limits, Session};
use super::{HANDSHAKE_TIMEOUT, Versions, admit, key_log, suites, unusable};
use crate::error::{Error, Result, Stage};
use crate::options::TlsServerOptions;
use crate::sys::file::{Stamp, stamps};
use crate::url::{SocketUrl, Transport};

/// Keys, certificates, tickets and limits.
#[derive(Debug)]
pub(crate) struct ServerContext {
    config: Arc<ServerConfig>,
    limits: Limits,
    fingerprint: Option<String>,
    options: TlsServerOptions,
}

/// What a context is made of, and so known by.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Content {
    options: TlsServerOptions,
    versions: Versions,
    /// Whose certificate is made where there is none.
    host: Option<SocketUrl>,
    files: Vec<Option<Stamp>>,
}

static CONTEXTS: Cache<Content, ServerContext> = Cache::new();

impl ServerContext {
    /// The context that the options ask for; `url` is what an error names.
    ///
    /// One that was in use `before` leaves its tickets to it, so that clients go on to resume
    /// their sessions: unless clients show certificates, which may no longer be trusted.
    pub(crate) fn of(
        url: &impl fmt::Display,
        transport: Transport,
        host: Option<&SocketUrl>,
        options: &TlsServerOptions,
        before: Option<&Self>,
    ) -> Result<Arc<Self>> {
        let content = Content {
            options: options.clone(),
            versions: Versions::of(transport, options.min_version, options.max_version),
            host: host.filter(|_| options.self_signed == Some(true)).cloned(),
            files: files(options).flat_map(stamps).collect(),
        };
        let versions = content.versions;
        CONTEXTS.get(content, || Self::new(url, versions, host, options, before))
    }

    fn new(
        url: &impl fmt::Display,
        versions: Versions,
        host: Option<&SocketUrl>,
        options: &TlsServerOptions,
        before: Option<&Self>,
    ) -> Result<Self> {
        let refused = |error| unusable(url, reason(&error));
        let provider = suites::provider(url, &options.ciphers)?;
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_protocol_versions(&versions.supported())
            .map_err(refused)?;
        let builder = match admit::verifier(url, options, &provider)? {
            None => builder.with_no_client_auth(),
            Some(verifier) => builder.with_client_cert_verifier(verifier),
        };
        let certificates = Certificates::load(url, host, options, &provider)?;
        let fingerprint = certificates.fingerprint();
        let mut config = builder.with_cert_resolver(Arc::new(certificates));
        config.alpn_protocols = protocols(&options.alpn);
        config.ignore_client_order = !options.ciphers.is_empty();
        resume(&mut config, options, before).map_err(refused)?;
        if let Some(path) = options.danger_key_log.as_deref() {
            config.key_log = key_log::at(url, path)?;
        }
        Ok(Self {
            config: Arc::new(config),
            limits: Limits {
                handshake: options.handshake_timeout.unwrap_or(HANDSHAKE_TIMEOUT),
                accepts_truncation: options.danger_accept_truncation,
            },
            fingerprint,
            options: options.clone(),
        })
    }

    /// The server's end of a new connection.
    pub(crate) fn session(&self, url: &impl fmt::Display) -> Result<Session> {
        let connection = UnbufferedServerConnection::new(Arc::clone(&self.config))
            .map_err(|error| Error::new(Stage::Handshake, url, reason(&error)))?;
        Ok(Session::new(Connection::Server(connection), self.limits))
    }

    /// What it was made of, for it to be made again.
    pub(crate) fn options(&self) -> &TlsServerOptions {
        &self.options
    }

    /// The fingerprint of the certificate that is shown by default.
    pub(crate) fn fingerprint(&self) -> Option<&str> {
        self.fingerprint.as_deref()
    }
}

/// How clients come back to a session: by what they keep of it themselves, if at all.
fn resume(
    config: &mut ServerConfig,
    options: &TlsServerOptions,
    before: Option<&ServerContext>,
) -> std::result::Result<(), rustls::Error> {
    if let Some(count) = options.tickets {
        config.send_tls13_tickets = usize::try_from(count).unwrap_or(usize::MAX);
    }
    if options.tickets == Some(0) {
        config.session_storage = Arc::new(NoServerSessionStorage {});
        return Ok(());
    }
    let goes_on = |before: &&ServerContext| {
        before.config.ticketer.enabled() && !admit::asks(&before.options) && !admit::asks(options)
    };
    config.ticketer = match before.filter(goes_on) {
        Some(before) => Arc::clone(&before.config.ticketer),
        None => Ticketer::new()?,
    };
    Ok(())
}

/// The files that the options name.
fn files(options: &TlsServerOptions) -> impl Iterator<Item = &Path> {
    let own = [
        options.certificate.as_deref(),
        options.key.as_deref(),
        options.passphrase_file.as_deref(),
        options.client_ca.as_deref(),
    ];
    let more = options.more_certificates.iter();
    let more = more.flat_map(|one| [Some(one.certificate.as_path()), one.key.as_deref()]);
    own.into_iter().chain(more).flatten()
}

/// Names of protocols as ALPN has them.
pub(super) fn protocols(names: &[String]) -> Vec<Vec<u8>> {
    names.iter().map(|name| name.as_bytes().to_vec()).collect()
}
