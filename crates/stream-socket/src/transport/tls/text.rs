//! Text is taken from where it was decrypted.
//!
//! rustls decrypts records within the buffer that it is given, copies each text into memory that it
//! allocates, and lends that. So the one who decrypts for it notes where the text is, and hands on
//! its first byte as a token: an allocation of one byte for a record, in place of 16 KiB and a
//! copy. What is decrypted, and what is done with all that is no text, stays rustls's own.

use std::cell::Cell;
use std::ops::Range;
use std::sync::OnceLock;

use rustls::crypto::cipher::{
    AeadKey, InboundOpaqueMessage, InboundPlainMessage, Iv, KeyBlockShape, MessageDecrypter,
    MessageEncrypter, Tls12AeadAlgorithm, Tls13AeadAlgorithm, UnsupportedOperationError,
};
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::{
    CipherSuiteCommon, ConnectionTrafficSecrets, ContentType, Error, SupportedCipherSuite,
    Tls12CipherSuite, Tls13CipherSuite,
};

thread_local! {
    /// The text of the last record. rustls tells of it before it decrypts another.
    static TEXT: Cell<Option<Place>> = const { Cell::new(None) };
}

/// Where a text is.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    address: usize,
    length: usize,
}

impl Place {
    /// Where in this memory it is.
    pub(super) fn within(self, memory: &[u8]) -> Option<Range<usize>> {
        let start = self.address.checked_sub(memory.as_ptr().addr())?;
        let place = start..start.checked_add(self.length)?;
        (place.end <= memory.len()).then_some(place)
    }
}

/// Where the text is that rustls tells of.
pub(super) fn take() -> Option<Place> {
    TEXT.take()
}

/// rustls's provider, whose suites decrypt in place.
pub(super) fn provider() -> CryptoProvider {
    let mut provider = aws_lc_rs::default_provider();
    for suite in &mut provider.cipher_suites {
        let number = suite.suite();
        let all = suites().iter();
        *suite = *all
            .clone()
            .find(|one| one.suite() == number)
            .unwrap_or(suite);
    }
    provider
}

/// All suites there are.
pub(super) fn suites() -> &'static [SupportedCipherSuite] {
    static SUITES: OnceLock<Vec<SupportedCipherSuite>> = OnceLock::new();
    SUITES.get_or_init(|| aws_lc_rs::ALL_CIPHER_SUITES.iter().map(in_place).collect())
}

/// The suite, decrypting in place. It lives as long as the process, as rustls's own do.
fn in_place(suite: &SupportedCipherSuite) -> SupportedCipherSuite {
    match *suite {
        SupportedCipherSuite::Tls13(suite) => {
            SupportedCipherSuite::Tls13(Box::leak(Box::new(Tls13CipherSuite {
                common: common(&suite.common),
                hkdf_provider: suite.hkdf_provider,
                aead_alg: Box::leak(Box::new(InPlace(suite.aead_alg))),
                quic: suite.quic,
            })))
        }
        SupportedCipherSuite::Tls12(suite) => {
            SupportedCipherSuite::Tls12(Box::leak(Box::new(Tls12CipherSuite {
                common: common(&suite.common),
                prf_provider: suite.prf_provider,
                kx: suite.kx,
                sign: suite.sign,
                aead_alg: Box::leak(Box::new(InPlace(suite.aead_alg))),
            })))
        }
    }
}

fn common(common: &CipherSuiteCommon) -> CipherSuiteCommon {
    CipherSuiteCommon { ..*common }
}

/// An algorithm, or one who decrypts, of rustls's, whose texts are noted.
struct InPlace<T>(T);

impl MessageDecrypter for InPlace<Box<dyn MessageDecrypter>> {
    fn decrypt<'a>(
        &mut self,
        record: InboundOpaqueMessage<'a>,
        number: u64,
    ) -> Result<InboundPlainMessage<'a>, Error> {
        let mut plain = self.0.decrypt(record, number)?;
        // rustls counts those that are empty, and tells of none.
        if plain.typ == ContentType::ApplicationData && !plain.payload.is_empty() {
            TEXT.set(Some(Place {
                address: plain.payload.as_ptr().addr(),
                length: plain.payload.len(),
            }));
            plain.payload = &plain.payload[..1];
        }
        Ok(plain)
    }
}

impl Tls13AeadAlgorithm for InPlace<&'static dyn Tls13AeadAlgorithm> {
    fn encrypter(&self, key: AeadKey, iv: Iv) -> Box<dyn MessageEncrypter> {
        self.0.encrypter(key, iv)
    }

    fn decrypter(&self, key: AeadKey, iv: Iv) -> Box<dyn MessageDecrypter> {
        Box::new(InPlace(self.0.decrypter(key, iv)))
    }

    fn key_len(&self) -> usize {
        self.0.key_len()
    }

    fn extract_keys(
        &self,
        key: AeadKey,
        iv: Iv,
    ) -> Result<ConnectionTrafficSecrets, UnsupportedOperationError> {
        self.0.extract_keys(key, iv)
    }

    fn fips(&self) -> bool {
        self.0.fips()
    }
}

impl Tls12AeadAlgorithm for InPlace<&'static dyn Tls12AeadAlgorithm> {
    fn encrypter(&self, key: AeadKey, iv: &[u8], extra: &[u8]) -> Box<dyn MessageEncrypter> {
        self.0.encrypter(key, iv, extra)
    }

    fn decrypter(&self, key: AeadKey, iv: &[u8]) -> Box<dyn MessageDecrypter> {
        Box::new(InPlace(self.0.decrypter(key, iv)))
    }

    fn key_block_shape(&self) -> KeyBlockShape {
        self.0.key_block_shape()
    }

    fn extract_keys(
        &self,
        key: AeadKey,
        iv: &[u8],
        explicit: &[u8],
    ) -> Result<ConnectionTrafficSecrets, UnsupportedOperationError> {
        self.0.extract_keys(key, iv, explicit)
    }

    fn fips(&self) -> bool {
        self.0.fips()
    }
}
