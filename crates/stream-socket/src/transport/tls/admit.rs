//! Which clients a server lets in by their certificates.

use std::fmt;
use std::sync::Arc;

use rustls::crypto::CryptoProvider;
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{
    CertificateError, DigitallySignedStruct, DistinguishedName, Error, SignatureScheme,
    client::danger::HandshakeSignatureValid,
};

use super::authorities::Authorities;
use super::bounds::{Bounds, Purpose, Shown};
use super::pem::Named;
use crate::error::Result;
use crate::options::TlsServerOptions;

/// Who looks at the certificates of clients, if somebody does.
pub(super) fn verifier(
    url: &impl fmt::Display,
    options: &TlsServerOptions,
    provider: &Arc<CryptoProvider>,
) -> Result<Option<Arc<dyn ClientCertVerifier>>> {
    if !asks(options) {
        return Ok(None);
    }
    let place = options.client_ca.as_deref().map(|path| Named {
        option: "client_ca",
        path,
    });
    let authorities = place.map(|place| Authorities::of(url, Some(place)));
    let authorities = authorities.transpose()?;
    let chain = match (&authorities, place) {
        (Some(authorities), Some(place)) => {
            let roots = Arc::clone(&authorities.roots);
            let chain = WebPkiClientVerifier::builder_with_provider(roots, Arc::clone(provider));
            Some(chain.build().map_err(|error| place.refused(url, error))?)
        }
        _ => None,
    };
    Ok(Some(Arc::new(Verifier {
        chain,
        is_optional: options.client_optional == Some(true),
        bounds: Bounds {
            purpose: Purpose::Client,
            authorities,
            depth: options.verify_depth,
            accepts_self_signed: options.danger_accept_self_signed,
            check: options.check.clone(),
            provider: Arc::clone(provider),
        },
    })))
}

/// Whether clients are asked for a certificate.
pub(super) fn asks(options: &TlsServerOptions) -> bool {
    options.client_ca.is_some() || options.danger_accept_self_signed
}

#[derive(Debug)]
struct Verifier {
    /// `None` where nobody is trusted to issue any.
    chain: Option<Arc<dyn ClientCertVerifier>>,
    is_optional: bool,
    bounds: Bounds,
}

impl ClientCertVerifier for Verifier {
    /// Those who certify themselves have no authority that a hint could name.
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        match &self.chain {
            Some(chain) if !self.bounds.accepts_self_signed => chain.root_hint_subjects(),
            _ => &[],
        }
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> std::result::Result<ClientCertVerified, Error> {
        let verdict = match &self.chain {
            Some(chain) => chain.verify_client_cert(end_entity, intermediates, now),
            None => Err(CertificateError::UnknownIssuer.into()),
        };
        let shown = Shown {
            own: end_entity,
            others: intermediates,
            now,
        };
        self.bounds.judge(shown, verdict.map(|_| ()))?;
        Ok(ClientCertVerified::assertion())
    }

    fn client_auth_mandatory(&self) -> bool {
        !self.is_optional
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
