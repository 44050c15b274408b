//! What failed, in words.

use std::time::Duration;

use rustls::pki_types::UnixTime;
use rustls::{AlertDescription, CertificateError, Error, OtherError, PeerIncompatible};

use super::bounds::Refusal;

/// The end of a sentence that says why TLS failed.
pub(super) fn reason(error: &Error) -> String {
    match error {
        Error::InvalidCertificate(error) => certificate(error),
        Error::AlertReceived(alert) => format!("the peer refused: {}", alert_words(*alert)),
        Error::NoCertificatesPresented => "the client showed no certificate".to_owned(),
        Error::InvalidMessage(_) => "what the peer sent is not TLS".to_owned(),
        Error::PeerIncompatible(why) => incompatible(why),
        Error::NoApplicationProtocol => "the peer speaks none of the protocols of alpn".to_owned(),
        Error::DecryptError => "a record could not be decrypted".to_owned(),
        other => format!("TLS failed: {other}"),
    }
}

fn certificate(error: &CertificateError) -> String {
    match error {
        CertificateError::Expired => "the certificate has expired".to_owned(),
        CertificateError::ExpiredContext { time, not_after } => {
            format!(
                "the certificate has expired {} ago",
                span(*time, *not_after)
            )
        }
        CertificateError::NotValidYet => "the certificate is not valid yet".to_owned(),
        CertificateError::NotValidYetContext { time, not_before } => {
            format!(
                "the certificate is valid only in {}",
                span(*not_before, *time)
            )
        }
        CertificateError::UnknownIssuer => {
            "the certificate's issuer is none of the trusted ones".to_owned()
        }
        CertificateError::NotValidForName => "the certificate is for another name".to_owned(),
        CertificateError::NotValidForNameContext {
            expected,
            presented,
        } => {
            let names = match presented.as_slice() {
                [] => "no name".to_owned(),
                names => names
                    .iter()
                    .map(|name| bare(name))
                    .collect::<Vec<_>>()
                    .join(", "),
            };
            format!(
                "the certificate is not for {}, but for {names}",
                expected.to_str()
            )
        }
        CertificateError::ApplicationVerificationFailure => {
            "the certificate's fingerprint is none of those given".to_owned()
        }
        CertificateError::Revoked => "the certificate was revoked".to_owned(),
        CertificateError::BadEncoding => "the certificate can't be read".to_owned(),
        CertificateError::BadSignature => "the certificate's signature is wrong".to_owned(),
        CertificateError::InvalidPurpose | CertificateError::InvalidPurposeContext { .. } => {
            "the certificate is for another purpose".to_owned()
        }
        CertificateError::Other(OtherError(other)) => {
            if let Some(Refusal(sentence)) = other.downcast_ref() {
                return sentence.clone();
            }
            if let Some(webpki::Error::CaUsedAsEndEntity) = other.downcast_ref() {
                return "the certificate is an authority's, which is none of the trusted ones"
                    .to_owned();
            }
            format!("the certificate is refused: {other}")
        }
        other => format!("the certificate is refused: {other}"),
    }
}

/// The name in what rustls calls it: `DnsName("example.org")`, `IpAddress(127.0.0.1)`.
fn bare(name: &str) -> &str {
    let inner = name
        .split_once('(')
        .and_then(|(_, rest)| rest.strip_suffix(')'));
    inner.unwrap_or(name).trim_matches('"')
}

fn incompatible(why: &PeerIncompatible) -> String {
    match why {
        PeerIncompatible::NoCipherSuitesInCommon => {
            "the two ends have no cipher suite in common".to_owned()
        }
        PeerIncompatible::NoKxGroupsInCommon => {
            "the two ends have no key exchange group in common".to_owned()
        }
        PeerIncompatible::ServerDoesNotSupportTls12Or13
        | PeerIncompatible::ServerTlsVersionIsDisabledByOurConfig
        | PeerIncompatible::SupportedVersionsExtensionRequired
        | PeerIncompatible::Tls12NotOffered
        | PeerIncompatible::Tls12NotOfferedOrEnabled
        | PeerIncompatible::Tls13RequiredForQuic => {
            "the two ends have no version of TLS in common".to_owned()
        }
        other => format!("the two ends can't agree: {other:?}"),
    }
}

/// The time from `earlier` to `later`, to the largest unit that is in it.
fn span(later: UnixTime, earlier: UnixTime) -> String {
    let seconds = Duration::from_secs(later.as_secs().saturating_sub(earlier.as_secs())).as_secs();
    let (count, unit) = match seconds {
        0..60 => (seconds, "second"),
        60..3600 => (seconds / 60, "minute"),
        3600..86_400 => (seconds / 3600, "hour"),
        _ => (seconds / 86_400, "day"),
    };
    format!("{count} {unit}{}", if count == 1 { "" } else { "s" })
}

/// RFC 8446 section 6.2.
fn alert_words(alert: AlertDescription) -> String {
    match alert {
        AlertDescription::BadCertificate => "it does not accept the certificate".to_owned(),
        AlertDescription::CertificateExpired => "the certificate has expired".to_owned(),
        AlertDescription::CertificateRequired => "it wants a client certificate".to_owned(),
        AlertDescription::CertificateUnknown => "it does not accept the certificate".to_owned(),
        AlertDescription::UnknownCA => "it does not know the certificate's issuer".to_owned(),
        AlertDescription::HandshakeFailure => "it can't agree to any offer".to_owned(),
        AlertDescription::ProtocolVersion => "it has no version of TLS in common".to_owned(),
        AlertDescription::NoApplicationProtocol => "it speaks none of the protocols".to_owned(),
        AlertDescription::UnrecognisedName => "it does not know the name".to_owned(),
        other => format!("alert {other:?}"),
    }
}
