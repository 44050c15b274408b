//! Certificates and keys: in all their forms, for several names, and renewed while serving.

use std::fs;
use std::io::{Read, Write};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use stream_socket::{
    ConnectOptions, ListenOptions, Listener, Passphrase, Stage, TlsIdentity, tls_ciphers,
};

use super::{both_ends, listen_with};
use crate::support::certificates::{Certificates, serving, trusting};
use crate::support::peer::program;

/// Runs openssl(1), with words that may name files in `folder`.
fn openssl(folder: &Path, words: &str) {
    let mut command = Command::new(program("openssl"));
    command.current_dir(folder).args(words.split(' '));
    let output = command.output().unwrap();
    assert!(output.status.success(), "{words}: {output:?}");
}

/// Makes keys in all their forms, certificates for them, and files with passphrases.
fn make_keys(folder: &Path) {
    let path = |name: &str| folder.join(name);
    fs::write(path("passphrase"), "open sesame\nand nothing else\n").unwrap();
    fs::write(path("wrong"), "close sesame").unwrap();
    for words in [
        "genrsa -out rsa.key 2048",
        "ecparam -genkey -name prime256v1 -noout -out ec.key",
        "req -x509 -new -key rsa.key -subj /CN=localhost -out rsa.pem",
        "req -x509 -new -key ec.key -subj /CN=localhost -out ec.pem",
        "rsa -in rsa.key -traditional -out rsa.pkcs1",
        "ec -in ec.key -out ec.sec1",
        "pkcs8 -topk8 -in rsa.key -passout file:passphrase -out rsa.encrypted",
        "pkcs8 -topk8 -in ec.key -v2 des3 -passout file:passphrase -out ec.des3",
        "rsa -in rsa.key -traditional -aes256 -passout file:passphrase -out rsa.old",
    ] {
        openssl(folder, words);
    }
    // Beside the block, a file of PEM may say anything, in any encoding.
    let encrypted = fs::read(path("rsa.encrypted")).unwrap();
    fs::write(
        path("rsa.commented"),
        [b"Schl\xfcssel\n", &encrypted[..]].concat(),
    )
    .unwrap();
}

#[test]
fn keys_come_in_all_their_forms() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    make_keys(folder.path());
    let options = |certificate: &str, key: &str, passphrase: Option<&str>| {
        let mut options = ListenOptions::default();
        options.tls.certificate = Some(path(certificate));
        options.tls.key = Some(path(key));
        options.tls.passphrase_file = passphrase.map(path);
        options
    };
    let mut client = ConnectOptions::default();
    client.tls.danger_accept_any_certificate = true;
    for (certificate, key, passphrase) in [
        ("rsa.pem", "rsa.key", None),
        ("rsa.pem", "rsa.pkcs1", None),
        ("ec.pem", "ec.key", None),
        ("ec.pem", "ec.sec1", None),
        ("rsa.pem", "rsa.encrypted", Some("passphrase")),
        ("ec.pem", "ec.des3", Some("passphrase")),
        ("rsa.pem", "rsa.commented", Some("passphrase")),
    ] {
        let options = options(certificate, key, passphrase);
        both_ends(&listen_with("tls://127.0.0.1:0", &options), &client);
    }
    let mut given = options("rsa.pem", "rsa.encrypted", None);
    given.tls.passphrase = Some(Passphrase::from("open sesame".to_owned()));
    both_ends(&listen_with("tls://127.0.0.1:0", &given), &client);
    assert!(!format!("{given:?}").contains("sesame"));
    for (key, passphrase, reason) in [
        (
            "rsa.encrypted",
            None,
            "the key is encrypted: give option passphrase_file",
        ),
        (
            "rsa.encrypted",
            Some("wrong"),
            "the passphrase does not fit the key",
        ),
        (
            "rsa.encrypted",
            Some("none"),
            "no such file or directory (ENOENT)",
        ),
        (
            "rsa.old",
            Some("passphrase"),
            "`openssl pkcs8 -topk8` writes it anew",
        ),
    ] {
        let options = options("rsa.pem", key, passphrase);
        let error = Listener::bind("tls://127.0.0.1:0", &options).unwrap_err();
        assert_eq!(error.stage(), Stage::Socket);
        assert!(error.reason().ends_with(reason), "{error}");
    }
}

/// The name in the certificate that a client sees, which asks for `name`.
fn shown(listener: &Listener, name: &str) -> Vec<u8> {
    let mut options = trusting();
    options.tls.peer_name = Some(name.to_owned());
    options.tls.danger_accept_any_name = true;
    let (client, served) = both_ends(listener, &options);
    assert_eq!(served.tls().unwrap().server_name.as_deref(), Some(name));
    client.tls().unwrap().peer_certificates.concat()
}

#[test]
fn the_name_is_told_unless_it_is_to_be_secret() {
    let listener = listen_with("tls://127.0.0.1:0", &serving("localhost"));
    for (sni, told) in [(None, Some("localhost")), (Some(false), None)] {
        let mut options = trusting();
        options.tls.peer_name = Some("localhost".to_owned());
        options.tls.sni = sni;
        let (_, served) = both_ends(&listener, &options);
        assert_eq!(served.tls().unwrap().server_name.as_deref(), told);
    }
}

fn contains(certificate: &[u8], name: &str) -> bool {
    certificate
        .windows(name.len())
        .any(|window| window == name.as_bytes())
}

#[test]
fn each_name_has_its_certificate() {
    let certificates = Certificates::shared();
    certificates.certify("wild", &["*.wild.example"]);
    let mut options = serving("localhost");
    let mut given = TlsIdentity::new(certificates.file("client.pem"));
    given.names = vec!["given.example".to_owned()];
    options.tls.more_certificates = vec![
        TlsIdentity::new(certificates.file("example.pem")),
        TlsIdentity::new(certificates.file("wild.pem")),
        given,
    ];
    let listener = listen_with("tls://127.0.0.1:0", &options);
    for (name, expected) in [
        ("localhost", "localhost"),
        ("example.org", "example.org"),
        ("EXAMPLE.org", "example.org"),
        ("a.wild.example", "*.wild.example"),
        ("wild.example", "localhost"),
        ("a.b.wild.example", "localhost"),
        ("given.example", "client.example.org"),
        ("other.example", "localhost"),
    ] {
        let certificate = shown(&listener, &name.to_lowercase());
        assert!(contains(&certificate, expected), "{name}");
    }
    let url = format!(
        "tls://127.0.0.1:0?more_certificates={},{}",
        certificates.file("example.pem").display(),
        certificates.file("wild.pem").display()
    );
    let listener = listen_with(&url, &serving("localhost"));
    assert!(contains(&shown(&listener, "example.org"), "example.org"));
}

#[test]
fn a_certificate_is_renewed_and_no_connection_ends() {
    let certificates = Certificates::of("Test Authority");
    certificates.certify("site", &["localhost", "old.example"]);
    let mut options = ListenOptions::default();
    options.tls.certificate = Some(certificates.file("site.pem"));
    let listener = listen_with("tls://127.0.0.1:0", &options);
    let mut client = trusting();
    client.tls.ca = Some(certificates.file("ca.pem"));
    client.tls.peer_name = Some("localhost".to_owned());
    let names = || {
        let (mut near, mut far) = both_ends(&listener, &client);
        far.write_all(b"x").unwrap();
        near.read_exact(&mut [0]).unwrap();
        let facts = near.tls().unwrap();
        ((near, far), facts)
    };
    let (mut early, facts) = names();
    assert!(contains(&facts.peer_certificates[0], "old.example"));
    assert!(!listener.reload().unwrap());
    let old = listener.fingerprint().unwrap();
    assert_eq!(facts.peer_fingerprint, Some(old.clone()));

    certificates.certify("site", &["localhost", "new.example"]);
    assert!(listener.reload().unwrap());
    assert!(!listener.reload().unwrap());
    assert_ne!(listener.fingerprint().unwrap(), old);
    early.0.write_all(b"y").unwrap();
    early.1.read_exact(&mut [0]).unwrap();
    // A session goes on; who begins one anew sees the new certificate.
    assert!(names().1.resumed);
    client.tls.handshake_timeout = Some(Duration::from_secs(12));
    let (near, _far) = both_ends(&listener, &client);
    assert!(contains(
        &near.tls().unwrap().peer_certificates[0],
        "new.example"
    ));

    fs::write(certificates.file("site.pem"), "half a file").unwrap();
    let error = listener.reload().unwrap_err();
    assert!(error.reason().contains("site.pem"), "{error}");
    both_ends(&listener, &client);
}

#[test]
fn a_folder_of_authorities_is_read_again_where_a_file_in_it_has_changed() {
    let (others, folder) = (
        Certificates::of("Test Authority"),
        tempfile::tempdir().unwrap(),
    );
    let file = folder.path().join("authority.pem");
    fs::copy(others.file("ca.pem"), &file).unwrap();
    openssl(folder.path(), "rehash .");
    let listener = listen_with("tls://127.0.0.1:0", &serving("localhost"));
    let mut options = ConnectOptions::default();
    options.tls.ca = Some(folder.path().to_owned());
    let (ours, _) = super::failure(&listener, &options);
    assert!(
        ours.contains("none of the trusted ones") || ours.contains("signature"),
        "{ours}"
    );
    // In its place, so that the folder itself stays as it was.
    fs::write(
        &file,
        fs::read(Certificates::shared().file("ca.pem")).unwrap(),
    )
    .unwrap();
    both_ends(&listener, &options);
}

#[cfg(feature = "self-signed")]
#[test]
fn a_certificate_made_on_the_spot_is_known_by_its_fingerprint() {
    use stream_socket::Stream;

    use super::failure;

    let listener = listen_with("tls://127.0.0.1:0?self_signed=1", &ListenOptions::default());
    let fingerprint = listener.fingerprint().unwrap();
    let colons: Vec<String> = fingerprint
        .as_bytes()
        .chunks(2)
        .map(|pair| String::from_utf8(pair.to_vec()).unwrap().to_uppercase())
        .collect();
    for known in [fingerprint.clone(), colons.join(":")] {
        let mut options = ConnectOptions::default();
        options.tls.fingerprint = vec![known];
        let (client, _) = both_ends(&listener, &options);
        assert_eq!(
            client.tls().unwrap().peer_fingerprint,
            Some(fingerprint.clone())
        );
    }
    let mut options = ConnectOptions::default();
    options.tls.fingerprint = vec!["00".repeat(32)];
    let (ours, _) = failure(&listener, &options);
    assert_eq!(ours, "the certificate's fingerprint is none of those given");
    options.tls.fingerprint = vec!["cafe".to_owned()];
    let error = Stream::connect(listener.url(), &options).unwrap_err();
    assert!(error.reason().contains("is no SHA-256 digest"), "{error}");
    // With an authority besides, both have to be right.
    let mut both = trusting();
    both.tls.fingerprint = vec![fingerprint];
    let (ours, _) = failure(&listener, &both);
    assert!(
        ours.starts_with("the certificate's issuer is none of the trusted ones"),
        "{ours}"
    );
}

#[test]
fn ciphers_are_chosen_by_either_name() {
    for cipher in tls_ciphers()
        .iter()
        .filter(|cipher| !cipher.openssl_name.contains("RSA"))
    {
        for name in [cipher.name, cipher.openssl_name] {
            let mut options = serving("localhost");
            options.tls.ciphers = vec![name.to_owned()];
            options.tls.min_version = Some(cipher.version);
            options.tls.max_version = Some(cipher.version);
            let listener = listen_with("tls://127.0.0.1:0", &options);
            let (client, served) = both_ends(&listener, &trusting());
            assert_eq!(client.tls().unwrap().cipher, *cipher);
            assert_eq!(served.tls().unwrap().cipher, *cipher);
        }
    }
    let url = "tls://127.0.0.1:0?ciphers=ECDHE-RSA-AES256-GCM-SHA84";
    let error = Listener::bind(url, &serving("localhost")).unwrap_err();
    let expected = "option ciphers: there is no \"ECDHE-RSA-AES256-GCM-SHA84\"; \
                    did you mean \"ECDHE-RSA-AES256-GCM-SHA384\"?";
    assert_eq!(error.reason(), expected);
}

#[test]
fn secrets_are_logged_where_that_is_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    let mut options = serving("localhost");
    options.tls.danger_key_log = Some(folder.path().join("keys"));
    both_ends(&listen_with("tls://127.0.0.1:0", &options), &trusting());
    let keys = fs::read_to_string(folder.path().join("keys")).unwrap();
    assert!(
        keys.starts_with("CLIENT_HANDSHAKE_TRAFFIC_SECRET "),
        "{keys}"
    );
    let mode = std::os::unix::fs::PermissionsExt::mode(
        &fs::metadata(folder.path().join("keys"))
            .unwrap()
            .permissions(),
    );
    assert_eq!(mode & 0o777, 0o600);
}
