//! Which certificate a server shows to whom.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use rustls::crypto::CryptoProvider;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use x509_parser::prelude::{FromDer, GeneralName, X509Certificate};

use super::fingerprint::fingerprint;
use super::identity::Place;
use super::{noted, self_signed, unusable};
use crate::error::Result;
use crate::options::TlsServerOptions;
use crate::url::SocketUrl;

/// The certificates of a server.
#[derive(Debug)]
pub(super) struct Certificates {
    /// For those who ask for no name, or for one that there is none for.
    default: Arc<CertifiedKey>,
    /// By names in lower case, `*.` and the rest of a name standing for one more label.
    by_name: HashMap<String, Arc<CertifiedKey>>,
}

impl Certificates {
    pub(super) fn load(
        url: &impl fmt::Display,
        host: Option<&SocketUrl>,
        options: &TlsServerOptions,
        provider: &CryptoProvider,
    ) -> Result<Self> {
        let default = match options.certificate.as_deref() {
            Some(certificate) => Place {
                option: "certificate",
                certificate,
                key: options.key.as_deref(),
                passphrase: options.passphrase.as_ref(),
                passphrase_file: options.passphrase_file.as_deref(),
            }
            .certified(url, provider)?,
            None if options.self_signed == Some(true) => self_signed::make(url, host, provider)?,
            None => return Err(unusable(url, "option certificate is missing")),
        };
        let mut by_name = HashMap::new();
        for identity in &options.more_certificates {
            let certified = Place {
                option: "more_certificates",
                certificate: &identity.certificate,
                key: identity.key.as_deref(),
                passphrase: identity.passphrase.as_ref(),
                passphrase_file: None,
            }
            .certified(url, provider)?;
            let names = match identity.names.as_slice() {
                [] => names_in(&certified),
                names => names.to_vec(),
            };
            if names.is_empty() {
                let path = identity.certificate.display();
                let why = format_args!("option more_certificates: {path}: it is for no name");
                return Err(unusable(url, why));
            }
            for name in names {
                by_name
                    .entry(name.to_ascii_lowercase())
                    .or_insert_with(|| Arc::clone(&certified));
            }
        }
        Ok(Self { default, by_name })
    }

    /// The fingerprint of the one that is shown by default.
    pub(super) fn fingerprint(&self) -> Option<String> {
        self.default.cert.first().map(|own| fingerprint(own))
    }

    fn named(&self, name: &str) -> Option<&Arc<CertifiedKey>> {
        if self.by_name.is_empty() {
            return None;
        }
        let name = name.to_ascii_lowercase();
        self.by_name.get(&name).or_else(|| {
            let (_, parent) = name.split_once('.')?;
            self.by_name.get(&format!("*.{parent}"))
        })
    }
}

impl ResolvesServerCert for Certificates {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let name = hello.server_name();
        noted::server_name(name);
        let named = name.and_then(|name| self.named(name));
        Some(Arc::clone(named.unwrap_or(&self.default)))
    }
}

/// The DNS names that a certificate is for.
fn names_in(certified: &CertifiedKey) -> Vec<String> {
    let Some(own) = certified.cert.first() else {
        return Vec::new();
    };
    let Ok((_, certificate)) = X509Certificate::from_der(own) else {
        return Vec::new();
    };
    let Ok(Some(alternatives)) = certificate.subject_alternative_name() else {
        return Vec::new();
    };
    let names = alternatives.value.general_names.iter();
    names
        .filter_map(|name| match name {
            GeneralName::DNSName(name) => Some((*name).to_owned()),
            _ => None,
        })
        .collect()
}
