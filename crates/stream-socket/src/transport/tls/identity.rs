//! A certificate and its key.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use rustls::crypto::CryptoProvider;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;

use super::pem::{Named, Secret};
use super::reason::reason;
use crate::error::Result;
use crate::options::Passphrase;

/// Where a certificate and its key are.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place<'a> {
    pub(super) option: &'static str,
    pub(super) certificate: &'a Path,
    pub(super) key: Option<&'a Path>,
    pub(super) passphrase: Option<&'a Passphrase>,
    pub(super) passphrase_file: Option<&'a Path>,
}

impl Place<'_> {
    fn chain(&self) -> Named<'_> {
        Named {
            option: self.option,
            path: self.certificate,
        }
    }

    /// What the files hold.
    pub(super) fn load(
        &self,
        url: &impl fmt::Display,
    ) -> Result<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>)> {
        let chain = self.chain();
        let key = match self.key {
            Some(path) => Named {
                option: "key",
                path,
            },
            None => chain,
        };
        let secret = Secret {
            passphrase: self.passphrase,
            file: self.passphrase_file,
        };
        Ok((chain.certificates(url)?, key.key(url, secret)?))
    }

    /// What a server can show and prove.
    pub(super) fn certified(
        &self,
        url: &impl fmt::Display,
        provider: &CryptoProvider,
    ) -> Result<Arc<CertifiedKey>> {
        let (chain, key) = self.load(url)?;
        CertifiedKey::from_der(chain, key, provider)
            .map(Arc::new)
            .map_err(|error| self.chain().refused(url, mismatch(&error)))
    }
}

/// Why a certificate and a key are no pair.
pub(super) fn mismatch(error: &rustls::Error) -> String {
    match error {
        rustls::Error::InconsistentKeys(_) => "the private key is another certificate's".to_owned(),
        other => reason(other),
    }
}
