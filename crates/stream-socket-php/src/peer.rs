//! What PHP asks of a peer's certificate besides the chain: a name, and fingerprints of any kind.
//!
//! Names are looked for as PHP looks for them: among the alternative names, and where none is the
//! one, in the subject too.

use std::net::IpAddr;

use md5::Md5;
use sha1::Sha1;
use sha2::{Digest, Sha224, Sha256, Sha384, Sha512};
use stream_socket::TlsCheck;
use x509_parser::prelude::{FromDer, GeneralName, X509Certificate};

use crate::failure::{self, Failure};

/// What the certificate that a peer shows must be.
#[derive(Clone, Debug, Default)]
pub(crate) struct Wanted {
    pub(crate) name: Option<String>,
    /// All of these have to be right.
    pub(crate) fingerprints: Vec<Fingerprint>,
}

#[derive(Clone, Debug)]
pub(crate) struct Fingerprint {
    algorithm: Algorithm,
    /// In hexadecimal, of lower case.
    digest: String,
}

#[derive(Clone, Copy, Debug)]
enum Algorithm {
    Md5,
    Sha1,
    Sha224,
    Sha256,
    Sha384,
    Sha512,
}

impl Fingerprint {
    /// By the name that OpenSSL has for the algorithm. Some that it knows are not supported.
    pub(crate) fn new(algorithm: &[u8], digest: &[u8]) -> Result<Self, Failure> {
        let algorithm = match algorithm.to_ascii_lowercase().as_slice() {
            b"md5" => Algorithm::Md5,
            b"sha1" => Algorithm::Sha1,
            b"sha224" => Algorithm::Sha224,
            b"sha256" => Algorithm::Sha256,
            b"sha384" => Algorithm::Sha384,
            b"sha512" => Algorithm::Sha512,
            _ => return Err(Failure::of_system(failure::NOT_SUPPORTED)),
        };
        Ok(Self {
            algorithm,
            digest: String::from_utf8_lossy(digest).to_ascii_lowercase(),
        })
    }

    fn is_of(&self, certificate: &[u8]) -> bool {
        let digest = match self.algorithm {
            Algorithm::Md5 => hexadecimal(&Md5::digest(certificate)),
            Algorithm::Sha1 => hexadecimal(&Sha1::digest(certificate)),
            Algorithm::Sha224 => hexadecimal(&Sha224::digest(certificate)),
            Algorithm::Sha256 => hexadecimal(&Sha256::digest(certificate)),
            Algorithm::Sha384 => hexadecimal(&Sha384::digest(certificate)),
            Algorithm::Sha512 => hexadecimal(&Sha512::digest(certificate)),
        };
        digest == self.digest
    }
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

impl Wanted {
    /// The library's question to the peer, if there is one.
    pub(crate) fn check(&self) -> Option<TlsCheck> {
        if self.name.is_none() && self.fingerprints.is_empty() {
            return None;
        }
        let wanted = self.clone();
        Some(TlsCheck::new(format!("PHP's {self:?}"), move |shown| {
            let own = shown.first().copied().unwrap_or_default();
            wanted.look(own)
        }))
    }

    fn look(&self, certificate: &[u8]) -> Result<(), String> {
        if !self.fingerprints.iter().all(|one| one.is_of(certificate)) {
            // PHP's words.
            return Err("peer_fingerprint match failure".to_owned());
        }
        match &self.name {
            Some(name) => look_for_name(certificate, name),
            None => Ok(()),
        }
    }
}

fn look_for_name(certificate: &[u8], name: &str) -> Result<(), String> {
    let (_, certificate) = X509Certificate::from_der(certificate)
        .map_err(|_| "the certificate can't be read".to_owned())?;
    let name = name.strip_suffix('.').unwrap_or(name);
    let names = names(&certificate);
    if names.iter().any(|pattern| matches(pattern, name)) {
        return Ok(());
    }
    let names = match names.as_slice() {
        [] => "no name".to_owned(),
        names => names.join(", "),
    };
    Err(format!(
        "the certificate is not for {name}, but for {names}"
    ))
}

/// All that a certificate is for. A name with a NUL in it is none: who reads it as C does would
/// see another.
fn names(certificate: &X509Certificate<'_>) -> Vec<String> {
    let alternatives = certificate.subject_alternative_name().ok().flatten();
    let alternatives = alternatives.map_or(&[][..], |found| &found.value.general_names);
    let common = certificate.subject().iter_common_name().next();
    let common = common.and_then(|name| name.as_str().ok());
    alternatives
        .iter()
        .filter_map(alternative)
        .chain(common.map(str::to_owned))
        .filter(|name| !name.contains('\0'))
        .collect()
}

fn alternative(name: &GeneralName<'_>) -> Option<String> {
    match name {
        GeneralName::DNSName(name) => Some(name.strip_suffix('.').unwrap_or(name).to_owned()),
        GeneralName::IPAddress(bytes) => {
            let address = <[u8; 4]>::try_from(*bytes)
                .map(IpAddr::from)
                .or_else(|_| <[u8; 16]>::try_from(*bytes).map(IpAddr::from));
            address.ok().map(|address| address.to_string())
        }
        _ => None,
    }
}

/// Whether `name` is the one, where a `*` in the first label of the pattern stands for any part of
/// a label.
fn matches(pattern: &str, name: &str) -> bool {
    if let (Ok(one), Ok(other)) = (pattern.parse::<IpAddr>(), name.parse::<IpAddr>()) {
        return one == other;
    }
    let (pattern, name) = (pattern.to_ascii_lowercase(), name.to_ascii_lowercase());
    let Some((start, end)) = pattern.split_once('*') else {
        return pattern == name;
    };
    let middle = name
        .strip_prefix(start)
        .and_then(|rest| rest.strip_suffix(end));
    pattern == name || !start.contains('.') && middle.is_some_and(|part| !part.contains('.'))
}
