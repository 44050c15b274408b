//! Whose certificate a client accepts.

use std::fmt;
use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{CertificateError, DigitallySignedStruct, Error, RootCertStore, SignatureScheme};

use super::pem::Named;
use super::server::authorities;
use super::{provider, unusable};
use crate::error::Result;
use crate::options::TlsClientOptions;

/// The verifier that the options ask for.
pub(super) fn verifier(
    url: &impl fmt::Display,
    options: &TlsClientOptions,
) -> Result<Arc<dyn ServerCertVerifier>> {
    if options.danger_accept_any_certificate {
        return Ok(Arc::new(Lenient {
            chain: None,
            provider: provider(),
        }));
    }
    let roots = Arc::new(roots(url, options)?);
    let chain = WebPkiServerVerifier::builder_with_provider(roots, provider())
        .build()
        .map_err(|error| unusable(url, error))?;
    if options.danger_accept_any_name {
        return Ok(Arc::new(Lenient {
            chain: Some(chain),
            provider: provider(),
        }));
    }
    Ok(chain)
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

/// Accepts certificates of any name, or any certificate: where a program has asked for that.
#[derive(Debug)]
struct Lenient {
    /// What is still asked of the certificate.
    chain: Option<Arc<WebPkiServerVerifier>>,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for Lenient {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> std::result::Result<ServerCertVerified, Error> {
        let Some(chain) = &self.chain else {
            return Ok(ServerCertVerified::assertion());
        };
        let verdict =
            chain.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now);
        match verdict {
            // The name is looked at last, so all else was found good.
            Err(Error::InvalidCertificate(
                CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
            )) => Ok(ServerCertVerified::assertion()),
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
