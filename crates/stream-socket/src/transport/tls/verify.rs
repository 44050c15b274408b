//! Whose certificate a client accepts.

use std::fmt;
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{WebPkiServerVerifier, verify_server_name};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{CertificateError, DigitallySignedStruct, Error, SignatureScheme};

use super::authorities::Authorities;
use super::bounds::{Bounds, Purpose, Shown};
use super::fingerprint::{fingerprint, normal};
use super::pem::Named;
use super::unusable;
use crate::error::Result;
use crate::options::TlsClientOptions;

/// The verifier that the options ask for.
pub(super) fn verifier(
    url: &impl fmt::Display,
    options: &TlsClientOptions,
    provider: Arc<CryptoProvider>,
) -> Result<Arc<dyn ServerCertVerifier>> {
    let pins = options.fingerprint.iter();
    let pins = pins.map(|pin| normal(url, pin)).collect::<Result<_>>()?;
    let authorities = if looks_at_chains(options) {
        let path = options.ca.as_deref();
        let place = path.map(|path| Named { option: "ca", path });
        Some(Authorities::of(url, place)?)
    } else {
        None
    };
    let chain = match &authorities {
        Some(authorities) => {
            let roots = Arc::clone(&authorities.roots);
            let chain = WebPkiServerVerifier::builder_with_provider(roots, Arc::clone(&provider));
            Some(chain.build().map_err(|error| unusable(url, error))?)
        }
        None => None,
    };
    Ok(Arc::new(Verifier {
        pins,
        chain,
        any_name: options.danger_accept_any_name,
        bounds: Bounds {
            purpose: Purpose::Server,
            authorities,
            depth: options.verify_depth,
            accepts_self_signed: options.danger_accept_self_signed,
            check: options.check.clone(),
            provider,
        },
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

/// Looks at a server's certificate as far as the options ask for.
#[derive(Debug)]
struct Verifier {
    /// Fingerprints of which it must have one, if there are any.
    pins: Vec<String>,
    chain: Option<Arc<WebPkiServerVerifier>>,
    any_name: bool,
    bounds: Bounds,
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
        let verdict = match &self.chain {
            Some(chain) => chain
                .verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now)
                .map(|_| ()),
            None => Ok(()),
        };
        let shown = Shown {
            own: end_entity,
            others: intermediates,
            now,
        };
        match verdict {
            // The name is looked at last, so all else was found good.
            Err(Error::InvalidCertificate(
                CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
            )) => self.bounds.judge(shown, Ok(()))?,
            verdict => self.bounds.judge(shown, verdict)?,
        }
        if self.chain.is_some() && !self.any_name {
            verify_server_name(&ParsedCertificate::try_from(end_entity)?, server_name)?;
        }
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> std::result::Result<HandshakeSignatureValid, Error> {
        self.bounds.verify_tls12(message, certificate, signed)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> std::result::Result<HandshakeSignatureValid, Error> {
        self.bounds.verify_tls13(message, certificate, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.bounds.schemes()
    }
}
