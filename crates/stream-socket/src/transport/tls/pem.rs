//! Certificates and keys from PEM files.

use std::fmt;
use std::path::Path;

use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use super::unusable;
use crate::error::{Error, Result};
use crate::sys::{file, phrase};

/// A file that an option names.
#[derive(Clone, Copy, Debug)]
pub(super) struct Named<'a> {
    pub(super) option: &'static str,
    pub(super) path: &'a Path,
}

impl Named<'_> {
    fn read(&self, url: &impl fmt::Display) -> Result<Vec<u8>> {
        file::read(self.path).map_err(|errno| {
            self.refused(url, phrase(errno))
                .with_errno(errno.raw_os_error())
        })
    }

    pub(super) fn refused(&self, url: &impl fmt::Display, why: impl fmt::Display) -> Error {
        let (option, path) = (self.option, self.path.display());
        unusable(url, format_args!("option {option}: {path}: {why}"))
    }

    /// All certificates of the file, in order.
    pub(super) fn certificates(
        &self,
        url: &impl fmt::Display,
    ) -> Result<Vec<CertificateDer<'static>>> {
        let text = self.read(url)?;
        let found: std::result::Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&text).collect();
        let found = found.map_err(|error| self.refused(url, words(&error)))?;
        if found.is_empty() {
            return Err(self.refused(url, "there is no certificate in it"));
        }
        Ok(found)
    }

    /// The first private key of the file.
    pub(super) fn key(&self, url: &impl fmt::Display) -> Result<PrivateKeyDer<'static>> {
        let text = self.read(url)?;
        PrivateKeyDer::from_pem_slice(&text).map_err(|error| match error {
            pem::Error::NoItemsFound => self.refused(url, "there is no private key in it"),
            error => self.refused(url, words(&error)),
        })
    }
}

fn words(error: &pem::Error) -> String {
    format!("it is not PEM: {error}")
}
