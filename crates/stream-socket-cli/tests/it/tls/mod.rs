//! TLS by the command: what it serves, connects to and relays.
//!
//! `programs` are those that serve a connection over TLS, `refusals` what is not accepted, and how
//! that is told, `renewal` certificates that change, `guide` the lines of docs/tls.md, `peers`
//! other programs that speak TLS, `crowds` clients that mean no good.

mod crowds;
mod guide;
mod peers;
mod programs;
mod refusals;
mod renewal;

use crate::support::certificates::Certificates;
use crate::support::{Folder, Server, abstract_name, shell};

/// Sends two megabytes of random data through `$URL` to an echo, and compares.
const ROUND_TRIP: &str = "head -c 2000000 /dev/urandom > $FILE && \
     $BIN connect $URL --ca $CA --peer-name localhost --timeout 20s < $FILE | cmp - $FILE && \
     echo equal";

/// The flag that has the certificate for localhost shown.
pub(crate) fn certified() -> String {
    format!(
        "--certificate {}",
        Certificates::shared().file("localhost.pem")
    )
}

pub(crate) fn authority() -> String {
    Certificates::shared().file("ca.pem")
}

#[test]
fn every_transport_of_tls_is_served_and_connected_to() {
    let folder = Folder::new();
    let words = format!(
        "tls://127.0.0.1:0 ssl://[::1]:0 tlsv1.2://127.0.0.1:0 tlsv1.3://localhost:0 \
         tls+unix://{} tls+unix://@{} echo {}",
        folder.text("socket"),
        abstract_name("tls"),
        certified()
    );
    let server = Server::start(&words);
    let (file, ca) = (folder.text("data"), authority());
    assert!(server.urls().len() >= 6);
    for url in server.urls() {
        let variables = [("URL", url.as_str()), ("FILE", &file), ("CA", &ca)];
        shell(ROUND_TRIP, &variables).prints("equal\n");
    }
    let log = server.end();
    assert_eq!(
        log.matches("received=2000000 sent=2000000").count(),
        6,
        "{log}"
    );
}

/// It is not known before the end of the input what the answer is.
#[test]
fn each_direction_ends_by_itself() {
    let server = programs::serve("tls://127.0.0.1:0", &["sort", "-n"]);
    let ask = "seq 100000 -1 1 | $BIN connect $URL --ca $CA | cksum; seq 100000 | cksum";
    let outcome = shell(ask, &[("URL", server.url()), ("CA", &authority())]);
    let sums: Vec<_> = outcome.text().lines().collect();
    assert_eq!(sums[0], sums[1], "{outcome:?}");
    server.end();
}

#[test]
fn relays_put_tls_on_and_take_it_off() {
    let folder = Folder::new();
    let (certified, ca, file) = (certified(), authority(), folder.text("data"));
    let plain = Server::start("tcp://127.0.0.1:0 echo");
    let secure = Server::start(&format!("tls://localhost:0 echo {certified}"));
    let trusting = format!("--ca {ca}");
    for (listen, target, flags) in [
        ("tls://127.0.0.1:0", plain.url(), &certified),
        ("tcp://127.0.0.1:0", secure.url(), &trusting),
        (
            "tls://127.0.0.1:0",
            secure.url(),
            &format!("{certified} {trusting}"),
        ),
    ] {
        let relay = Server::relay(&format!("{listen} {target} {flags}"));
        let is_secure = listen.starts_with("tls");
        let trust = if is_secure { "--ca $CA" } else { "" };
        let variables = [("URL", relay.url()), ("FILE", &file), ("CA", &ca)];
        let script = ROUND_TRIP.replace("--ca $CA --peer-name localhost", trust);
        shell(&script, &variables).prints("equal\n");
        let log = relay.end();
        assert!(log.contains("up=2000000 down=2000000"), "{log}");
    }
}

#[test]
fn verbose_tells_what_was_agreed_upon() {
    let server = Server::start(&format!(
        "tls://127.0.0.1:0 discard --alpn h2,http/1.1 {}",
        certified()
    ));
    let variables = [("URL", server.url()), ("CA", &authority())];
    let ask = |flags: &str| {
        let script = format!("$BIN connect $URL --ca $CA --verbose {flags} </dev/null");
        let outcome = shell(&script, &variables);
        outcome.prints("");
        outcome.err
    };
    let told = ask("--alpn http/1.1");
    let (first, second) = told.split_once('\n').unwrap();
    assert!(first.starts_with("connected to tls://127.0.0.1:"), "{told}");
    assert_eq!(
        second,
        "TLS 1.3, TLS_AES_256_GCM_SHA384, ALPN http/1.1; the certificate is verified for \
         127.0.0.1"
    );
    let told = ask("--max-version 1.2 --peer-name localhost");
    assert!(
        told.ends_with(
            "\nTLS 1.2, TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384, no ALPN; the certificate is \
             verified for localhost"
        ),
        "{told}"
    );
    let told = ask("--alpn h2 --log json");
    let line: serde_json::Value = serde_json::from_str(&told).unwrap();
    let field = |name: &str| line[name].as_str().unwrap_or_default();
    assert_eq!(
        (field("tls"), field("alpn"), field("verified_for")),
        ("TLS 1.3", "h2", "127.0.0.1"),
        "{told}"
    );
    // Of a connection that is open already the name is its peer's address.
    let script = "exec 7<>/dev/tcp/127.0.0.1/$PORT; \
                  $BIN connect tls+fd://7 --ca $CA --verbose </dev/null";
    let outcome = shell(script, &[("PORT", server.port()), ("CA", &authority())]);
    assert!(
        outcome.err.ends_with("is verified for 127.0.0.1"),
        "{outcome:?}"
    );
}
