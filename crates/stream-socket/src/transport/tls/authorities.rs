//! Certificates that are trusted as such.

use std::collections::HashSet;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::{env, fmt};

use aws_lc_rs::digest::{SHA256, digest};
use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;

use super::cache::Cache;
use super::pem::Named;
use super::reason::reason;
use super::unusable;
use crate::error::Result;
use crate::sys::file::{Stamp, stamps};

/// Those that a file or folder holds, or the system.
#[derive(Debug)]
pub(super) struct Authorities {
    pub(super) roots: Arc<RootCertStore>,
    /// By their digests, which take less memory than they do.
    known: HashSet<Vec<u8>>,
}

/// Where they come from.
#[derive(Debug, PartialEq, Eq)]
enum Source {
    Place(PathBuf, Vec<Option<Stamp>>),
    /// The values of `VARIABLES`.
    System([Option<OsString>; 2]),
}

/// By which OpenSSL, and rustls-native-certs after it, find the system's in another place.
const VARIABLES: [&str; 2] = ["SSL_CERT_FILE", "SSL_CERT_DIR"];

/// The system's are more than a hundred, which take milliseconds to read.
static LOADED: Cache<Source, Authorities> = Cache::new();

impl Authorities {
    /// Those of a file, or of a folder in which they are named by their hash; the system's where
    /// neither is given. They are read again where a file has changed, the system's are not.
    pub(super) fn of(url: &impl fmt::Display, place: Option<Named<'_>>) -> Result<Arc<Self>> {
        let source = match place {
            Some(Named { path, .. }) => Source::Place(path.to_owned(), stamps(path)),
            None => Source::System(VARIABLES.map(env::var_os)),
        };
        LOADED.get(source, || Self::load(url, place))
    }

    fn load(url: &impl fmt::Display, place: Option<Named<'_>>) -> Result<Self> {
        let found = match place {
            Some(place) if place.path.is_dir() => of_folder(place.path),
            Some(place) => return Self::of_file(url, place),
            None => rustls_native_certs::load_native_certs(),
        };
        let mut roots = RootCertStore::empty();
        let known = found.certs.iter().map(known_by).collect();
        // The system's store may hold some that are too old to be understood, which verify nothing.
        roots.add_parsable_certificates(found.certs);
        if roots.is_empty() {
            let errors = found.errors.first().map(|error| format!(" ({error})"));
            let why = format!("has no authority to trust{}", errors.unwrap_or_default());
            return Err(match place {
                Some(Named { option, path }) => {
                    let path = path.display();
                    unusable(url, format_args!("option {option}: {path} {why}"))
                }
                None => unusable(url, format_args!("the system {why}")),
            });
        }
        Ok(Self {
            roots: Arc::new(roots),
            known,
        })
    }

    fn of_file(url: &impl fmt::Display, file: Named<'_>) -> Result<Self> {
        let (mut roots, mut known) = (RootCertStore::empty(), HashSet::new());
        for certificate in file.certificates(url)? {
            known.insert(known_by(&certificate));
            roots
                .add(certificate)
                .map_err(|error| file.refused(url, reason(&error)))?;
        }
        Ok(Self {
            roots: Arc::new(roots),
            known,
        })
    }

    /// Whether this very certificate is one of them.
    pub(super) fn have(&self, certificate: &CertificateDer<'_>) -> bool {
        self.known.contains(&known_by(certificate))
    }
}

fn of_folder(path: &Path) -> rustls_native_certs::CertificateResult {
    rustls_native_certs::load_certs_from_paths(None, Some(path))
}

fn known_by(certificate: &CertificateDer<'_>) -> Vec<u8> {
    digest(&SHA256, certificate).as_ref().to_vec()
}
