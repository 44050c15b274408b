//! Certificates for tests, made anew in each run, so that none is ever too old.

use std::fs;
use std::path::PathBuf;
use std::sync::OnceLock;

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, SanType, date_time_ymd,
};
use stream_socket::{ConnectOptions, ListenOptions};
use tempfile::TempDir;

/// An authority, and what it has certified, as PEM files in a folder of their own.
pub(crate) struct Certificates {
    folder: TempDir,
    issuer: Issuer<'static, KeyPair>,
    /// What leads from those it has certified to one that clients know, in PEM.
    chain: String,
}

impl Certificates {
    /// Those that all tests share.
    pub(crate) fn shared() -> &'static Self {
        static SHARED: OnceLock<Certificates> = OnceLock::new();
        SHARED.get_or_init(|| {
            let certificates = Self::of("Test Authority");
            certificates.certify("localhost", &["localhost", "127.0.0.1", "::1"]);
            certificates.certify("example", &["example.org"]);
            certificates.certify("client", &["client.example.org"]);
            certificates.certify_with("expired", &["localhost"], |params| {
                params.not_before = date_time_ymd(2001, 1, 1);
                params.not_after = date_time_ymd(2002, 1, 1);
            });
            certificates
        })
    }

    /// A new authority.
    pub(crate) fn of(name: &str) -> Self {
        let (params, key) = (authority(name), KeyPair::generate().unwrap());
        let certificate = params.self_signed(&key).unwrap().pem();
        Self::certified(params, key, &certificate, String::new())
    }

    /// An authority that this one has certified.
    pub(crate) fn below(&self, name: &str) -> Self {
        let (params, key) = (authority(name), KeyPair::generate().unwrap());
        let certificate = params.signed_by(&key, &self.issuer).unwrap().pem();
        let chain = certificate.clone() + &self.chain;
        Self::certified(params, key, &certificate, chain)
    }

    fn certified(
        params: CertificateParams,
        key: KeyPair,
        certificate: &str,
        chain: String,
    ) -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("ca.pem"), certificate).unwrap();
        let issuer = Issuer::new(params, key);
        Self {
            folder,
            issuer,
            chain,
        }
    }

    pub(crate) fn certify(&self, file: &str, names: &[&str]) {
        self.certify_with(file, names, |_| {});
    }

    /// Makes `FILE.pem` with certificate, key and chain, and `FILE.key` with the key alone.
    pub(crate) fn certify_with(
        &self,
        file: &str,
        names: &[&str],
        adapt: impl FnOnce(&mut CertificateParams),
    ) {
        let names: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(names).unwrap();
        params.distinguished_name.push(DnType::CommonName, file);
        params.use_authority_key_identifier_extension = true;
        params.extended_key_usages = vec![
            ExtendedKeyUsagePurpose::ServerAuth,
            ExtendedKeyUsagePurpose::ClientAuth,
        ];
        adapt(&mut params);
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        let all = certificate.pem() + &key.serialize_pem() + &self.chain;
        fs::write(self.file(&format!("{file}.pem")), all).unwrap();
        fs::write(self.file(&format!("{file}.key")), key.serialize_pem()).unwrap();
    }

    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }
}

fn authority(name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.distinguished_name.push(DnType::CommonName, name);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params
}

/// Writes `FILE.pem`: a certificate that nobody but itself vouches for, and its key.
pub(crate) fn self_signed(
    certificates: &Certificates,
    file: &str,
    adapt: impl FnOnce(&mut CertificateParams),
) {
    let (mut params, key) = (authority("localhost"), KeyPair::generate().unwrap());
    params.subject_alt_names = vec![SanType::DnsName("localhost".try_into().unwrap())];
    adapt(&mut params);
    let pair = params.self_signed(&key).unwrap().pem() + &key.serialize_pem();
    fs::write(certificates.file(&format!("{file}.pem")), pair).unwrap();
}

/// Options of a server that shows the certificate of `FILE.pem`.
pub(crate) fn serving(file: &str) -> ListenOptions {
    let mut options = ListenOptions::default();
    let file = Certificates::shared().file(&format!("{file}.pem"));
    options.tls.certificate = Some(file);
    options
}

/// Options of a client that trusts the authority of the tests.
pub(crate) fn trusting() -> ConnectOptions {
    let mut options = ConnectOptions::default();
    options.tls.ca = Some(Certificates::shared().file("ca.pem"));
    options
}
