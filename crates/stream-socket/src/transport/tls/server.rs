//! What all connections of a server have in common.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use rustls::crypto::aws_lc_rs::Ticketer;
use rustls::server::{
    ClientHello, ResolvesServerCert, UnbufferedServerConnection, WebPkiClientVerifier,
};
use rustls::sign::CertifiedKey;
use rustls::{RootCertStore, ServerConfig};

use super::cache::Cache;
use super::connection::Connection;
use super::pem::Named;
use super::reason::reason;
use super::session::{Limits, Session};
use super::{HANDSHAKE_TIMEOUT, Versions, provider, unusable};
use crate::error::{Result, Stage};
use crate::options::TlsServerOptions;
use crate::sys::file::{Stamp, stamp};
use crate::url::Transport;

/// Keys, certificates, tickets and limits.
#[derive(Debug)]
pub(crate) struct ServerContext {
    config: Arc<ServerConfig>,
    limits: Limits,
}

/// What a context is made of, and so known by.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Content {
    options: TlsServerOptions,
    versions: Versions,
    files: Vec<Option<Stamp>>,
}

static CONTEXTS: Cache<Content, ServerContext> = Cache::new();

impl ServerContext {
    /// The context that the options ask for; `url` is what an error names.
    pub(crate) fn of(
        url: &impl fmt::Display,
        transport: Transport,
        options: &TlsServerOptions,
    ) -> Result<Arc<Self>> {
        let versions = Versions::of(transport, options.min_version, options.max_version);
        let named = [&options.certificate, &options.key, &options.client_ca];
        let files = named.map(|path| path.as_deref().and_then(stamp));
        let content = Content {
            options: options.clone(),
            versions,
            files: files.to_vec(),
        };
        CONTEXTS.get(content, || Self::new(url, versions, options))
    }

    fn new(
        url: &impl fmt::Display,
        versions: Versions,
        options: &TlsServerOptions,
    ) -> Result<Self> {
        let refused = |error| unusable(url, reason(&error));
        let builder = ServerConfig::builder_with_provider(provider())
            .with_protocol_versions(&versions.supported())
            .map_err(refused)?;
        let builder = match options.client_ca.as_deref() {
            None => builder.with_no_client_auth(),
            Some(path) => {
                let file = Named {
                    option: "client_ca",
                    path,
                };
                let mut verifier = WebPkiClientVerifier::builder_with_provider(
                    Arc::new(authorities(url, file)?),
                    provider(),
                );
                if options.client_optional == Some(true) {
                    verifier = verifier.allow_unauthenticated();
                }
                let verifier = verifier.build().map_err(|error| file.refused(url, error))?;
                builder.with_client_cert_verifier(verifier)
            }
        };
        let certificates = Certificates {
            default: Arc::new(identity(url, options)?),
        };
        let mut config = builder.with_cert_resolver(Arc::new(certificates));
        config.alpn_protocols = protocols(&options.alpn);
        config.ticketer = Ticketer::new().map_err(refused)?;
        Ok(Self {
            config: Arc::new(config),
            limits: Limits {
                handshake: options.handshake_timeout.unwrap_or(HANDSHAKE_TIMEOUT),
                accepts_truncation: options.danger_accept_truncation,
            },
        })
    }

    /// The server's end of a new connection.
    pub(crate) fn session(&self, url: &impl fmt::Display) -> Result<Session> {
        let connection = UnbufferedServerConnection::new(Arc::clone(&self.config))
            .map_err(|error| crate::error::Error::new(Stage::Handshake, url, reason(&error)))?;
        Ok(Session::new(Connection::Server(connection), self.limits))
    }
}

/// Names of protocols as ALPN has them.
pub(super) fn protocols(names: &[String]) -> Vec<Vec<u8>> {
    names.iter().map(|name| name.as_bytes().to_vec()).collect()
}

/// The certificates of a file as such to be trusted.
pub(super) fn authorities(url: &impl fmt::Display, file: Named<'_>) -> Result<RootCertStore> {
    let mut roots = RootCertStore::empty();
    for certificate in file.certificates(url)? {
        roots
            .add(certificate)
            .map_err(|error| file.refused(url, reason(&error)))?;
    }
    Ok(roots)
}

/// The certificate and the key of a server.
fn identity(url: &impl fmt::Display, options: &TlsServerOptions) -> Result<CertifiedKey> {
    let Some(certificate) = options.certificate.as_deref() else {
        return Err(unusable(url, "option certificate is missing"));
    };
    let (chain, key) = chain_and_key(url, certificate, options.key.as_deref())?;
    let file = Named {
        option: "certificate",
        path: certificate,
    };
    CertifiedKey::from_der(chain, key, &provider())
        .map_err(|error| file.refused(url, mismatch(&error)))
}

/// What two files hold, or one.
pub(super) fn chain_and_key(
    url: &impl fmt::Display,
    certificate: &Path,
    key: Option<&Path>,
) -> Result<(
    Vec<rustls::pki_types::CertificateDer<'static>>,
    rustls::pki_types::PrivateKeyDer<'static>,
)> {
    let chain = Named {
        option: "certificate",
        path: certificate,
    };
    let key = match key {
        Some(path) => Named {
            option: "key",
            path,
        },
        None => chain,
    };
    Ok((chain.certificates(url)?, key.key(url)?))
}

/// Why a certificate and a key are no pair.
pub(super) fn mismatch(error: &rustls::Error) -> String {
    match error {
        rustls::Error::InconsistentKeys(_) => "the private key is another certificate's".to_owned(),
        other => reason(other),
    }
}

/// The certificates that a server has to show.
#[derive(Debug)]
struct Certificates {
    default: Arc<CertifiedKey>,
}

impl ResolvesServerCert for Certificates {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        server_names::note(hello.server_name());
        Some(Arc::clone(&self.default))
    }
}

/// The name that a client asks for, which rustls tells to whoever chooses the certificate, and to
/// nobody else where connections are unbuffered. The choice is made within the call that advances
/// the connection, on the same thread.
pub(super) mod server_names {
    use std::cell::RefCell;

    thread_local! {
        static NOTED: RefCell<Option<Box<str>>> = const { RefCell::new(None) };
    }

    pub(super) fn note(name: Option<&str>) {
        NOTED.set(name.map(Box::from));
    }

    /// Runs `advance`, and keeps the name that was noted meanwhile.
    pub(in super::super) fn noting<T>(
        name: &mut Option<Box<str>>,
        advance: impl FnOnce() -> T,
    ) -> T {
        let result = advance();
        if let Some(noted) = NOTED.take() {
            *name = Some(noted);
        }
        result
    }
}
