//! The cipher suites, by the names that people have for them.

use std::fmt;
use std::sync::Arc;

use rustls::crypto::CryptoProvider;
use rustls::{CipherSuite, SupportedCipherSuite};

use super::{text, unusable};
use crate::error::Result;
use crate::nearest::suggestion;
use crate::transport::tls_facts::{CIPHERS, TlsCipher};

/// The provider, with all suites or with those of the names given, in the order given.
pub(super) fn provider(url: &impl fmt::Display, names: &[String]) -> Result<Arc<CryptoProvider>> {
    if names.is_empty() {
        return Ok(super::provider());
    }
    let mut provider = CryptoProvider::clone(&super::provider());
    provider.cipher_suites = names
        .iter()
        .map(|name| supported(url, name))
        .collect::<Result<_>>()?;
    Ok(Arc::new(provider))
}

fn supported(url: &impl fmt::Display, name: &str) -> Result<SupportedCipherSuite> {
    let is_named = |suite: &&SupportedCipherSuite| {
        let known = named(suite.suite());
        known.is_some_and(|known| known.name == name || known.openssl_name == name)
    };
    let all = text::suites().iter();
    all.copied().find(|suite| is_named(&suite)).ok_or_else(|| {
        let names = CIPHERS.iter().flat_map(|one| [one.name, one.openssl_name]);
        let hint = suggestion(name, names);
        unusable(
            url,
            format_args!("option ciphers: there is no {name:?}{hint}"),
        )
    })
}

/// The entry of a suite in the table.
pub(super) fn named(suite: CipherSuite) -> Option<&'static TlsCipher> {
    let number = u16::from(suite);
    CIPHERS.iter().find(|cipher| cipher.number == number)
}

#[cfg(test)]
mod tests {
    use rustls::crypto::aws_lc_rs;

    use super::*;

    #[test]
    fn the_table_has_every_suite_once() {
        assert_eq!(CIPHERS.len(), aws_lc_rs::ALL_CIPHER_SUITES.len());
        for suite in aws_lc_rs::ALL_CIPHER_SUITES {
            let known = named(suite.suite()).unwrap();
            let ours = format!("{:?}", suite.suite()).replace("TLS13_", "TLS_");
            assert_eq!(known.name, ours);
        }
    }
}
