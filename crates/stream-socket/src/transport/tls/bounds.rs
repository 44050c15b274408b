//! What is asked of a certificate beside a chain that rustls finds good, by both ends.

use std::fmt;
use std::sync::Arc;

use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::{CertificateError, DigitallySignedStruct, Error, OtherError, SignatureScheme};
use webpki::{EndEntityCert, KeyUsage};
use x509_parser::prelude::{ASN1Time, FromDer, X509Certificate};

use super::authorities::Authorities;
use super::noted;
use crate::options::TlsCheck;
use crate::printable::excerpt as printable;

/// What a certificate is shown for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Purpose {
    Client,
    Server,
}

#[derive(Debug)]
pub(super) struct Bounds {
    pub(super) purpose: Purpose,
    /// Who is trusted, where it matters who issued a certificate.
    pub(super) authorities: Option<Arc<Authorities>>,
    /// How many certificates up the authority may be.
    pub(super) depth: Option<u32>,
    pub(super) accepts_self_signed: bool,
    pub(super) check: Option<TlsCheck>,
    pub(super) provider: Arc<CryptoProvider>,
}

/// What a peer has shown.
#[derive(Clone, Copy, Debug)]
pub(super) struct Shown<'a> {
    pub(super) own: &'a CertificateDer<'a>,
    pub(super) others: &'a [CertificateDer<'a>],
    pub(super) now: UnixTime,
}

/// Why a certificate is refused that rustls would have accepted: a sentence.
#[derive(Debug)]
pub(super) struct Refusal(pub(super) String);

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Refusal {}

impl Refusal {
    fn error(sentence: impl Into<String>) -> Error {
        let refusal = Self(sentence.into());
        CertificateError::Other(OtherError(Arc::new(refusal))).into()
    }
}

const TOO_DEEP: &str = "the certificate's authority is farther from it than verify_depth allows";

type Verdict = Result<(), Error>;

impl Bounds {
    /// The last word, after that of rustls about the chain.
    pub(super) fn judge(&self, shown: Shown<'_>, verdict: Verdict) -> Verdict {
        match verdict {
            Ok(()) => self.within_depth(shown)?,
            Err(Error::InvalidCertificate(CertificateError::Revoked)) => return verdict,
            // To rustls an authority is no end of a connection, and who certifies himself nobody.
            Err(_) if self.is_known(shown.own) || self.is_let_in(shown.own) => {
                shown.is_good_for(self.purpose)?;
            }
            Err(error) => {
                if error == CertificateError::UnknownIssuer.into() {
                    shown.note_issuer();
                }
                return Err(error);
            }
        }
        self.check(shown)
    }

    fn is_known(&self, certificate: &CertificateDer<'_>) -> bool {
        let authorities = self.authorities.as_ref();
        authorities.is_some_and(|authorities| authorities.have(certificate))
    }

    /// Whether its own word for itself is enough.
    fn is_let_in(&self, certificate: &CertificateDer<'_>) -> bool {
        self.accepts_self_signed
            && X509Certificate::from_der(certificate)
                .is_ok_and(|(_, own)| own.issuer().as_raw() == own.subject().as_raw())
    }

    /// Looks for a chain that is short enough: rustls may have found another.
    fn within_depth(&self, shown: Shown<'_>) -> Verdict {
        let (Some(depth), Some(authorities)) = (self.depth, &self.authorities) else {
            return Ok(());
        };
        if self.is_known(shown.own) {
            return Ok(());
        }
        let is_short = |path: &webpki::VerifiedPath<'_>| {
            let below = path.intermediate_certificates().count();
            match u32::try_from(below) {
                Ok(below) if below < depth => Ok(()),
                _ => Err(webpki::Error::MaximumPathDepthExceeded),
            }
        };
        let usage = match self.purpose {
            Purpose::Client => KeyUsage::client_auth(),
            Purpose::Server => KeyUsage::server_auth(),
        };
        let certificate =
            EndEntityCert::try_from(shown.own).map_err(|_| CertificateError::BadEncoding)?;
        certificate
            .verify_for_usage(
                self.provider.signature_verification_algorithms.all,
                &authorities.roots.roots,
                shown.others,
                shown.now,
                usage,
                None,
                Some(&is_short),
            )
            .map(|_| ())
            .map_err(|_| Refusal::error(TOO_DEEP))
    }

    fn check(&self, shown: Shown<'_>) -> Verdict {
        let Some(check) = &self.check else {
            return Ok(());
        };
        let all = [shown.own].into_iter().chain(shown.others);
        let all: Vec<&[u8]> = all.map(|certificate| certificate.as_ref()).collect();
        check.look(&all).map_err(Refusal::error)
    }
}

/// Whether a peer has the key of its certificate: RFC 5246 section 7.4.8, RFC 8446 section 4.4.3.
impl Bounds {
    pub(super) fn verify_tls12(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signed, algorithms)
    }

    pub(super) fn verify_tls13(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signed, algorithms)
    }

    pub(super) fn schemes(&self) -> Vec<SignatureScheme> {
        let algorithms = &self.provider.signature_verification_algorithms;
        algorithms.supported_schemes()
    }
}

impl Shown<'_> {
    /// Whether a certificate that no chain has to vouch for may be used now, and for this.
    fn is_good_for(&self, purpose: Purpose) -> Verdict {
        let (_, own) =
            X509Certificate::from_der(self.own).map_err(|_| CertificateError::BadEncoding)?;
        let now = i64::try_from(self.now.as_secs()).unwrap_or(i64::MAX);
        let now = ASN1Time::from_timestamp(now).map_err(|_| CertificateError::BadEncoding)?;
        if now < own.validity().not_before {
            return Err(CertificateError::NotValidYet.into());
        }
        if now > own.validity().not_after {
            return Err(CertificateError::Expired.into());
        }
        match own.extended_key_usage() {
            Ok(None) => Ok(()),
            Ok(Some(uses)) => {
                let uses = uses.value;
                let is_for_it = match purpose {
                    Purpose::Client => uses.client_auth,
                    Purpose::Server => uses.server_auth,
                };
                if uses.any || is_for_it {
                    return Ok(());
                }
                Err(CertificateError::InvalidPurpose.into())
            }
            Err(_) => Err(CertificateError::BadEncoding.into()),
        }
    }
}

/// How many certificates a sentence names: real chains have up to four.
const NAMED: usize = 5;

/// The names in a chain as its certificates have them, whom nobody has checked.
impl Shown<'_> {
    /// Notes whom the end of the chain names as its issuer, and by way of whom, for the sentence
    /// about it.
    fn note_issuer(&self) {
        let chain = [self.own].into_iter().chain(self.others);
        let parsed = chain.map_while(|one| Some(X509Certificate::from_der(one).ok()?.1));
        let mut names = Vec::new();
        for one in parsed.take(NAMED) {
            if names.is_empty() {
                names.push(printable(&one.subject().to_string()).to_string());
            }
            names.push(printable(&one.issuer().to_string()).to_string());
        }
        match names.as_slice() {
            [] => {}
            [_, issuer] => noted::unknown_issuer(issuer.clone()),
            [.., issuer] => {
                let chain = names.join(" by ");
                noted::unknown_issuer(format!("{issuer} (the chain is {chain})"));
            }
        }
    }
}
