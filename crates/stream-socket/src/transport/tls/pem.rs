//! Certificates and keys from PEM files.

use std::fmt;
use std::path::Path;

use pkcs8::{EncryptedPrivateKeyInfoRef, SecretDocument};
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use zeroize::Zeroizing;

use super::unusable;
use crate::error::{Error, Result};
use crate::options::Passphrase;
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

    /// The first private key of the file. What was read of it does not stay in memory.
    pub(super) fn key(
        &self,
        url: &impl fmt::Display,
        secret: Secret<'_>,
    ) -> Result<PrivateKeyDer<'static>> {
        let text = Zeroizing::new(self.read(url)?);
        if let Some(block) = block(&text, ENCRYPTED) {
            return self.decrypted(url, block, secret);
        }
        if find(&text, OLD_FORM).is_some() {
            let why = "the key is encrypted in a form that is no longer safe; \
                       `openssl pkcs8 -topk8` writes it anew";
            return Err(self.refused(url, why));
        }
        PrivateKeyDer::from_pem_slice(&text).map_err(|error| match error {
            pem::Error::NoItemsFound => self.refused(url, "there is no private key in it"),
            error => self.refused(url, words(&error)),
        })
    }
}

/// What a private key may be encrypted with.
#[derive(Clone, Copy, Debug)]
pub(super) struct Secret<'a> {
    pub(super) passphrase: Option<&'a Passphrase>,
    /// A file whose first line it is.
    pub(super) file: Option<&'a Path>,
}

impl Secret<'_> {
    fn bytes(&self, url: &impl fmt::Display) -> Result<Option<Zeroizing<Vec<u8>>>> {
        let bytes = match (self.passphrase, self.file) {
            (Some(passphrase), _) => passphrase.bytes().to_vec(),
            (None, Some(path)) => {
                let option = "passphrase_file";
                let text = Zeroizing::new(Named { option, path }.read(url)?);
                let line = text.split(|byte| *byte == b'\n').next().unwrap_or_default();
                line.strip_suffix(b"\r").unwrap_or(line).to_vec()
            }
            (None, None) => return Ok(None),
        };
        Ok(Some(Zeroizing::new(bytes)))
    }
}

impl Named<'_> {
    fn decrypted(
        &self,
        url: &impl fmt::Display,
        block: &[u8],
        secret: Secret<'_>,
    ) -> Result<PrivateKeyDer<'static>> {
        let Some(passphrase) = secret.bytes(url)? else {
            return Err(self.refused(url, "the key is encrypted: give option passphrase_file"));
        };
        let unreadable = |error: &dyn fmt::Display| {
            self.refused(
                url,
                format_args!("the encrypted key can't be read: {error}"),
            )
        };
        let block = std::str::from_utf8(block).map_err(|error| unreadable(&error))?;
        let (_, document) = SecretDocument::from_pem(block).map_err(|error| unreadable(&error))?;
        let encrypted = EncryptedPrivateKeyInfoRef::try_from(document.as_bytes())
            .map_err(|error| unreadable(&error))?;
        let key = encrypted
            .decrypt(passphrase.as_slice())
            .map_err(|_| self.refused(url, "the passphrase does not fit the key"))?;
        Ok(PrivatePkcs8KeyDer::from(key.as_bytes().to_vec()).into())
    }
}

/// A key of PKCS#8 that is encrypted: RFC 7468 section 11.
const ENCRYPTED: &str = "ENCRYPTED PRIVATE KEY";

/// The encryption of PEM itself, of RFC 1421, as OpenSSL once did it: a single round of MD5.
const OLD_FORM: &[u8] = b"Proc-Type: 4,ENCRYPTED";

/// The first block of that label. What stands around it may be in any encoding.
fn block<'a>(text: &'a [u8], label: &str) -> Option<&'a [u8]> {
    let end_line = format!("-----END {label}-----");
    let start = find(text, format!("-----BEGIN {label}-----").as_bytes())?;
    let end = start + find(&text[start..], end_line.as_bytes())? + end_line.len();
    Some(&text[start..end])
}

fn find(text: &[u8], sought: &[u8]) -> Option<usize> {
    let mut windows = text.windows(sought.len());
    windows.position(|window| window == sought)
}

fn words(error: &pem::Error) -> String {
    format!("it is not PEM: {error}")
}
