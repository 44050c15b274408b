//! What is refused, by whom, and in which words.

use stream_socket::{ConnectOptions, ListenOptions, Listener, Stage, Stream};

use super::{both_ends, failure, listen, listen_with};
use crate::support::certificates::{Certificates, serving, trusting};

#[test]
fn a_certificate_is_refused_in_words_that_say_why() {
    let strangers = Certificates::of("Another Authority");
    let mut stranger = trusting();
    stranger.tls.ca = Some(strangers.file("ca.pem"));
    let mut named = trusting();
    named.tls.peer_name = Some("www.example.org".to_owned());
    for (file, options, client, server) in [
        (
            "expired",
            trusting(),
            "the certificate has expired ",
            "the peer refused: the certificate has expired",
        ),
        (
            "localhost",
            stranger,
            "the certificate's issuer is none of the trusted ones: it is CN=Test Authority",
            "the peer refused: it does not know the certificate's issuer",
        ),
        (
            "localhost",
            named,
            "the certificate is not for www.example.org, but for ",
            "the peer refused: ",
        ),
    ] {
        let listener = listen_with("tls://127.0.0.1:0", &serving(file));
        let (ours, theirs) = failure(&listener, &options);
        assert!(ours.starts_with(client), "{ours}");
        assert!(theirs.starts_with(server), "{theirs}");
    }
}

#[test]
fn danger_accepts_what_it_says() {
    let listener = listen_with("tls://127.0.0.1:0", &serving("example"));
    let mut any_name = trusting();
    any_name.tls.danger_accept_any_name = true;
    let mut any = ConnectOptions::default();
    any.tls.danger_accept_any_certificate = true;
    for options in [any_name.clone(), any] {
        both_ends(&listener, &options);
    }
    let strangers = Certificates::of("Another Authority");
    any_name.tls.ca = Some(strangers.file("ca.pem"));
    let (ours, _) = failure(&listener, &any_name);
    let expected = "the certificate's issuer is none of the trusted ones: it is CN=Test Authority";
    assert_eq!(ours, expected);
}

#[test]
fn whom_nobody_knows_is_named_with_the_whole_chain() {
    let middle = Certificates::of("Root\n").below("Middle");
    middle.certify("leaf", &["localhost"]);
    let mut options = ListenOptions::default();
    options.tls.certificate = Some(middle.file("leaf.pem"));
    let listener = listen_with("tls://127.0.0.1:0", &options);
    let (ours, _) = failure(&listener, &trusting());
    let expected = "the certificate's issuer is none of the trusted ones: it is CN=Root\\n \
                    (the chain is CN=leaf by CN=Middle by CN=Root\\n)";
    assert_eq!(ours, expected);
}

#[test]
fn a_client_certificate_is_required_or_optional() {
    let mut options = serving("localhost");
    options.tls.client_ca = Some(Certificates::shared().file("ca.pem"));
    let mut known = trusting();
    known.tls.certificate = Some(Certificates::shared().file("client.pem"));
    known.tls.key = Some(Certificates::shared().file("client.key"));
    let listener = listen_with("tlsv1.2://127.0.0.1:0", &options);
    both_ends(&listener, &known);
    let (ours, theirs) = failure(&listener, &trusting());
    assert_eq!(theirs, "the client showed no certificate");
    assert!(ours.starts_with("the peer refused"), "{ours}");
    options.tls.client_optional = Some(true);
    let listener = listen_with("tls://127.0.0.1:0", &options);
    let (_, served) = both_ends(&listener, &trusting());
    assert_eq!(served.tls().unwrap().peer_certificates.len(), 0);
}

#[test]
fn ends_without_anything_in_common_say_so() {
    let listener = listen("tlsv1.2://127.0.0.1:0");
    let mut options = trusting();
    options.tls.min_version = Some(stream_socket::TlsVersion::V1_3);
    let url = listener.url().to_string().replace("tlsv1.2", "tls");
    let error = std::thread::scope(|scope| {
        let client = scope.spawn(|| Stream::connect(&url, &options).unwrap_err());
        while !client.is_finished() {
            _ = listener.accept(Some(std::time::Duration::from_millis(10)));
        }
        client.join().unwrap()
    });
    assert!(error.reason().contains("version of TLS"), "{error}");
    let mut options = serving("localhost");
    options.tls.alpn = vec!["h2".to_owned()];
    let listener = listen_with("tls://127.0.0.1:0", &options);
    let mut options = trusting();
    options.tls.alpn = vec!["ftp".to_owned()];
    let (ours, theirs) = failure(&listener, &options);
    assert_eq!(theirs, "the peer speaks none of the protocols of alpn");
    assert_eq!(ours, "the peer refused: it speaks none of the protocols");
}

#[test]
fn options_that_cannot_be_used_are_named() {
    let shared = Certificates::shared();
    let path = |name: &str| shared.file(name).display().to_string();
    let bind = |query: &str| {
        let url = format!("tls://127.0.0.1:0?{query}");
        Listener::bind(&url, &ListenOptions::default()).unwrap_err()
    };
    let (pem, other_key, missing) = (path("localhost.pem"), path("client.key"), path("missing"));
    for (query, stage, reason) in [
        (
            String::new(),
            Stage::Parse,
            "option certificate is missing".to_owned(),
        ),
        (
            format!("certificate={missing}"),
            Stage::Socket,
            format!("option certificate: {missing}: no such file or directory (ENOENT)"),
        ),
        (
            format!("certificate={other_key}"),
            Stage::Socket,
            format!("option certificate: {other_key}: there is no certificate in it"),
        ),
        (
            format!("certificate={}", path("ca.pem")),
            Stage::Socket,
            format!(
                "option certificate: {}: there is no private key in it",
                path("ca.pem")
            ),
        ),
        (
            format!("certificate={pem}&key={other_key}"),
            Stage::Socket,
            format!("option certificate: {pem}: the private key is another certificate's"),
        ),
        (
            format!("certificate={pem}&client_optional=1"),
            Stage::Parse,
            "option client_optional needs client_ca".to_owned(),
        ),
        (
            format!("certificate={pem}&tickets=101"),
            Stage::Parse,
            "option tickets is more than 100".to_owned(),
        ),
        (
            format!("certificate={pem}&min_version=1.3&max_version=1.2"),
            Stage::Parse,
            "option min_version is newer than max_version".to_owned(),
        ),
        (
            format!("certificate={pem}&min_version=1.1"),
            Stage::Parse,
            "option min_version is \"1.1\", but takes 1.2 or 1.3".to_owned(),
        ),
        (
            format!("certificate={pem}&alpn=a,,b"),
            Stage::Parse,
            "option alpn is \"a,,b\", but takes words with commas between them".to_owned(),
        ),
    ] {
        let error = if query.is_empty() {
            Listener::bind("tls://127.0.0.1:0", &ListenOptions::default()).unwrap_err()
        } else {
            bind(&query)
        };
        assert_eq!((error.reason(), error.stage()), (reason.as_str(), stage));
    }
}

#[test]
fn a_peer_without_a_name_cannot_be_verified() {
    let error = Stream::connect("tls+unix:///none", &trusting()).unwrap_err();
    assert_eq!(
        error.reason(),
        "there is no name to verify: give option peer_name"
    );
}

#[test]
fn options_of_tls_are_for_tls() {
    let error = Stream::connect("tcp://127.0.0.1:1?alpn=h2", &ConnectOptions::default());
    assert!(
        error
            .unwrap_err()
            .reason()
            .starts_with("option alpn applies to tls")
    );
}
