//! Whose certificate a client accepts.

use std::fmt;
use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{CertificateError, DigitallySignedStruct, Error, RootCertStore, SignatureScheme};
use x509_parser::prelude::{FromDer, X509Certificate};

use super::fingerprint::{fingerprint, normal};
use super::pem::Named;
use super::server::authorities;
use super::{noted, unusable};
use crate::error::Result;
use crate::options::TlsClientOptions;
use crate::printable::excerpt as printable;

/// The verifier that the options ask for.
pub(super) fn verifier(
    url: &impl fmt::Display,
    options: &TlsClientOptions,
    provider: Arc<CryptoProvider>,
) -> Result<Arc<dyn ServerCertVerifier>> {
    let pins = options.fingerprint.iter();
    let pins = pins.map(|pin| normal(url, pin)).collect::<Result<_>>()?;
    let chain = if looks_at_chains(options) {
        let roots = Arc::new(roots(url, options)?);
        let chain = WebPkiServerVerifier::builder_with_provider(roots, Arc::clone(&provider));
        Some(chain.build().map_err(|error| unusable(url, error))?)
    } else {
        None
    };
    Ok(Arc::new(Verifier {
        pins,
        chain,
        any_name: options.danger_accept_any_name,
        provider,
    }))
}

/// Whether it matters who issued a certificate, and for what name.
fn looks_at_chains(options: &TlsClientOptions) -> bool {
    let is_pinned = !options.fingerprint.is_empty() && options.ca.is_none();
    !options.danger_accept_any_certificate && !is_pinned
}

/// Whether the name of a certificate matters.
pub(super) fn looks_at_names(options: &TlsClientOptions) -> bool {
    looks_at_chains(options) && !options.danger_accept_any_name
}

fn roots(url: &impl fmt::Display, options: &TlsClientOptions) -> Result<RootCertStore> {
    let found = match options.ca.as_deref() {
        Some(path) if path.is_dir() => rustls_native_certs::load_certs_from_paths(None, Some(path)),
        Some(path) => return authorities(url, Named { option: "ca", path }),
        None => rustls_native_certs::load_native_certs(),
    };
    let mut roots = RootCertStore::empty();
    // The system's store may hold some that are too old to be understood, which verify nothing.
    roots.add_parsable_certificates(found.certs);
    if roots.is_empty() {
        let place = match options.ca.as_deref() {
            Some(path) => format!("option ca: {}", path.display()),
            None => "the system".to_owned(),
        };
        let errors = found.errors.first().map(|error| format!(" ({error})"));
        let errors = errors.unwrap_or_default();
        return Err(unusable(
            url,
            format_args!("{place} has no authority to trust{errors}"),
        ));
    }
    Ok(roots)
}

/// Looks at a server's certificate as far as the options ask for.
#[derive(Debug)]
struct Verifier {
    /// Fingerprints of which it must have one, if there are any.
    pins: Vec<String>,
    chain: Option<Arc<WebPkiServerVerifier>>,
    any_name: bool,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> std::result::Result<ServerCertVerified, Error> {
        if !self.pins.is_empty() && !self.pins.contains(&fingerprint(end_entity)) {
            return Err(CertificateError::ApplicationVerificationFailure.into());
        }
        let Some(chain) = &self.chain else {
            return Ok(ServerCertVerified::assertion());
        };
        let verdict =
            chain.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now);
        match verdict {
            // The name is looked at last, so all else was found good.
            Err(Error::InvalidCertificate(
                CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
            )) if self.any_name => Ok(ServerCertVerified::assertion()),
            Err(Error::InvalidCertificate(CertificateError::UnknownIssuer)) => {
                note_issuer(intermediates.last().unwrap_or(end_entity));
                verdict
            }
            verdict => verdict,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> std::result::Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        rustls::crypto::verify_tls12_signature(message, certificate, signed, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> std::result::Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, certificate, signed, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider
            .signature_verification_algorithms
            .supported_schemes()
    }
}

/// Notes whom the end of a chain names as its issuer, for the sentence about it.
fn note_issuer(last: &CertificateDer<'_>) {
    if let Ok((_, last)) = X509Certificate::from_der(last) {
        noted::unknown_issuer(printable(&last.issuer().to_string()).to_string());
    }
}
