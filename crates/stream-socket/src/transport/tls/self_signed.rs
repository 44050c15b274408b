//! A certificate that nobody but its owner vouches for, made on the spot.

use std::fmt;
use std::sync::Arc;

use rustls::crypto::CryptoProvider;
use rustls::sign::CertifiedKey;

use super::unusable;
use crate::error::Result;
use crate::url::SocketUrl;

/// One for the host of the URL and for this host.
#[cfg(feature = "self-signed")]
pub(super) fn make(
    url: &impl fmt::Display,
    host: Option<&SocketUrl>,
    provider: &CryptoProvider,
) -> Result<Arc<CertifiedKey>> {
    use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};

    use crate::url::{Host, Target};

    let failed = |why: &dyn fmt::Display| unusable(url, format_args!("option self_signed: {why}"));
    let mut names = ["localhost", "127.0.0.1", "::1"]
        .map(str::to_owned)
        .to_vec();
    if let Some(Target::Inet { host, .. }) = host.map(SocketUrl::target) {
        let name = match host {
            Host::Name(name) => name.clone(),
            Host::V4(address) => address.to_string(),
            Host::V6 { address, .. } => address.to_string(),
        };
        if !names.contains(&name) {
            names.push(name);
        }
    }
    let made = rcgen::generate_simple_self_signed(names).map_err(|error| failed(&error))?;
    let key = PrivatePkcs8KeyDer::from(made.signing_key.serialize_der());
    let chain = vec![made.cert.der().clone()];
    CertifiedKey::from_der(chain, PrivateKeyDer::Pkcs8(key), provider)
        .map(Arc::new)
        .map_err(|error| failed(&error))
}

/// This build has nothing to make one with.
#[cfg(not(feature = "self-signed"))]
pub(super) fn make(
    url: &impl fmt::Display,
    _host: Option<&SocketUrl>,
    _provider: &CryptoProvider,
) -> Result<Arc<CertifiedKey>> {
    Err(unusable(
        url,
        "option self_signed: this build can't make certificates",
    ))
}
