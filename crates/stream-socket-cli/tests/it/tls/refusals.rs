//! What is not accepted, and how that is told.

use std::io::{Read, Write};
use std::net::TcpStream;

use super::{authority, certified};
use crate::support::certificates::Certificates;
use crate::support::{Server, shell};

#[test]
fn a_bad_certificate_is_named_in_one_sentence() {
    let shared = Certificates::shared();
    let strangers = Certificates::of("Another Authority");
    let stranger = strangers.file("ca.pem");
    for (file, flags, reason) in [
        ("expired", "", "the certificate has expired "),
        (
            "example",
            "",
            "the certificate is not for 127.0.0.1, but for example.org",
        ),
        (
            "localhost",
            "--peer-name www.example.org",
            "the certificate is not for www.example.org, but for localhost, 127.0.0.1, ",
        ),
        (
            "localhost",
            "--ca $STRANGER",
            "the certificate's issuer is none of the trusted ones",
        ),
    ] {
        let certificate = shared.file(&format!("{file}.pem"));
        let words = format!("tls://127.0.0.1:0 daytime --certificate {certificate}");
        let mut server = Server::start(&words);
        let trust = if flags.contains("--ca") {
            ""
        } else {
            "--ca $CA"
        };
        let ca = authority();
        let variables = [("URL", server.url()), ("CA", &ca), ("STRANGER", &stranger)];
        let script = format!("$BIN connect $URL {trust} {flags} </dev/null");
        let outcome = shell(&script, &variables);
        let start = format!(
            "stream-socket: cannot shake hands with {}: {reason}",
            server.url()
        );
        assert!(outcome.err.starts_with(&start), "{outcome:?}");
        assert_eq!((outcome.code, outcome.err.lines().count()), (Some(1), 1));
        let line = server.wait_for_log("no handshake");
        assert!(line.contains("reason=\"the peer refused: "), "{line}");
        assert!(line.contains("peer=\"tls://127.0.0.1:"), "{line}");
    }
}

#[test]
fn what_is_typed_wrong_is_told_before_anything_is_opened() {
    let shared = Certificates::shared();
    let variables = [
        ("PEM", shared.file("localhost.pem")),
        ("KEY", shared.file("client.key")),
        ("CA", shared.file("ca.pem")),
    ];
    let variables: Vec<_> = variables
        .iter()
        .map(|(name, value)| (*name, value.as_str()))
        .collect();
    for (words, code, reason) in [
        (
            "serve tls://127.0.0.1:0 echo",
            2,
            "option certificate is missing",
        ),
        (
            "serve tls://127.0.0.1:0 echo --certificate /none.pem",
            1,
            "option certificate: /none.pem: no such file or directory (ENOENT)",
        ),
        (
            "serve tls://127.0.0.1:0 echo --certificate $PEM --key $KEY",
            1,
            "the private key is another certificate's",
        ),
        (
            "serve tls://127.0.0.1:0 echo --certificate $CA",
            1,
            "there is no private key in it",
        ),
        (
            "serve tcp://127.0.0.1:0 echo --certificate $PEM",
            2,
            "--certificate applies to TLS, and no URL given is such",
        ),
        (
            "connect tls+unix:///none",
            2,
            "there is no name to verify: give option peer_name",
        ),
        (
            "connect tls://127.0.0.1:1 --ca /none.pem",
            1,
            "option ca: /none.pem: ",
        ),
        ("serve tlsv1.1://127.0.0.1:0 echo", 2, "tlsv1.1"),
        (
            "relay tls://127.0.0.1:0 tcp://127.0.0.1:1",
            2,
            "option certificate is missing",
        ),
    ] {
        let outcome = shell(&format!("$BIN {words} </dev/null"), &variables);
        assert_eq!(outcome.code, Some(code), "{outcome:?}");
        assert!(outcome.err.contains(reason), "{outcome:?}");
        assert_eq!(outcome.err.lines().count(), 1, "{outcome:?}");
    }
}

/// Who it was and why, but not each of a flood.
#[test]
fn failed_handshakes_are_told_a_few_in_a_second() {
    let mut server = Server::start(&format!("tls://127.0.0.1:0 echo {}", certified()));
    let address = server.url().strip_prefix("tls://").unwrap().to_owned();
    for _ in 0..200 {
        let mut client = TcpStream::connect(&address).unwrap();
        client.write_all(b"GET / HTTP/1.0\r\n\r\n").unwrap();
    }
    let line = server.wait_for_log("no handshake with others");
    assert!(line.contains("not told one by one count="), "{line}");
    let log = server.end();
    let told = log.matches("what the peer sent is not TLS").count();
    assert!((10..=60).contains(&told), "{log}");
    let counted = log
        .lines()
        .filter_map(|line| line.split_once("count=")?.1.parse::<usize>().ok());
    assert_eq!(told + counted.sum::<usize>(), 200, "{log}");
}

#[test]
fn a_handshake_that_failed_just_before_the_end_is_told_of() {
    let server = Server::start(&format!("tls://127.0.0.1:0 echo {}", certified()));
    let mut client = TcpStream::connect(server.url().strip_prefix("tls://").unwrap()).unwrap();
    client.write_all(b"GET / HTTP/1.0\r\n\r\n").unwrap();
    // Whether by an end or by a reset, it is over.
    _ = client.read_to_end(&mut Vec::new());
    let log = server.end();
    assert!(log.contains("what the peer sent is not TLS"), "{log}");
}

#[test]
fn a_target_that_is_not_trusted_is_told_of_and_given_up() {
    let secure = Server::start(&format!("tls://127.0.0.1:0 echo {}", certified()));
    let stranger = Certificates::of("Another Authority");
    let mut relay = Server::relay(&format!(
        "tcp://127.0.0.1:0 {} --retry 0s --ca {}",
        secure.url(),
        stranger.file("ca.pem")
    ));
    shell("$BIN connect $URL", &[("URL", relay.url())]).prints("");
    let line = relay.wait_for_log("issuer is none of the trusted ones");
    assert!(line.contains("warning: "), "{line}");
}
