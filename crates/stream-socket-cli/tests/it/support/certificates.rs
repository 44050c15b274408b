//! Certificates for tests, made anew in each run, so that none is ever too old.

use std::fs;
use std::path::PathBuf;
use std::sync::OnceLock;

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, PKCS_RSA_SHA256, date_time_ymd,
};
use tempfile::TempDir;

/// An authority, and what it has certified, as PEM files in a folder of their own.
pub(crate) struct Certificates {
    folder: TempDir,
    issuer: Issuer<'static, KeyPair>,
}

impl Certificates {
    /// Those that all tests share: `localhost`, `rsa` and `expired` for servers here, `example` for
    /// example.org, `client` for a client.
    pub(crate) fn shared() -> &'static Self {
        static SHARED: OnceLock<Certificates> = OnceLock::new();
        SHARED.get_or_init(|| {
            let shared = Self::of("Test Authority");
            let here = ["localhost", "127.0.0.1", "::1"];
            let new_key = || KeyPair::generate().unwrap();
            shared.certify("localhost", &here, new_key(), |_| {});
            shared.certify("example", &["example.org"], new_key(), |_| {});
            shared.certify("client", &["client.example.org"], new_key(), |_| {});
            let rsa = KeyPair::generate_for(&PKCS_RSA_SHA256).unwrap();
            shared.certify("rsa", &here, rsa, |_| {});
            shared.certify("expired", &here, new_key(), |params| {
                params.not_before = date_time_ymd(2001, 1, 1);
                params.not_after = date_time_ymd(2002, 1, 1);
            });
            shared
        })
    }

    /// A new authority, whose certificate is in `ca.pem`.
    pub(crate) fn of(name: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, name);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let certificate = params.self_signed(&key).unwrap();
        fs::write(folder.path().join("ca.pem"), certificate.pem()).unwrap();
        let issuer = Issuer::new(params, key);
        Self { folder, issuer }
    }

    /// Makes `FILE.pem` with certificate and key, and `FILE.key` with the key alone.
    pub(crate) fn certify(
        &self,
        file: &str,
        names: &[&str],
        key: KeyPair,
        adapt: impl FnOnce(&mut CertificateParams),
    ) {
        let names: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
        let mut params = CertificateParams::new(names).unwrap();
        params.distinguished_name.push(DnType::CommonName, file);
        params.use_authority_key_identifier_extension = true;
        params.extended_key_usages = vec![
            ExtendedKeyUsagePurpose::ServerAuth,
            ExtendedKeyUsagePurpose::ClientAuth,
        ];
        adapt(&mut params);
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        let pair = certificate.pem() + &key.serialize_pem();
        fs::write(self.path(&format!("{file}.pem")), pair).unwrap();
        fs::write(self.path(&format!("{file}.key")), key.serialize_pem()).unwrap();
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn file(&self, name: &str) -> String {
        self.path(name).to_str().unwrap().to_owned()
    }

    /// The folder of all of them.
    pub(crate) fn folder(&self) -> String {
        self.file("")
    }
}
