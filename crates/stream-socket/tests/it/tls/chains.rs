//! What leads from a certificate to one that is trusted, and what else is asked of it, by servers
//! of clients and by clients of servers.

use stream_socket::{ConnectOptions, ListenOptions, Listener, TlsCheck};

use super::{both_ends, failure, listen_with};
use crate::support::certificates::{Certificates, self_signed, serving, trusting};

/// Both ends of connections whose one end shows the certificate of a file, and whose other end
/// looks at it by the options given.
struct Case {
    file: &'static str,
    ca: Option<&'static str>,
    depth: Option<u32>,
    accepts_self_signed: bool,
    check: Option<TlsCheck>,
    /// `None` where all is well.
    refused: Option<&'static str>,
}

const UNKNOWN: Option<&str> = Some("the certificate's issuer is none of the trusted ones");
const AUTHORITY: Option<&str> =
    Some("the certificate is an authority's, which is none of the trusted ones");
const PURPOSE: Option<&str> = Some("the certificate is for another purpose");

fn certificates() -> Certificates {
    let own = Certificates::of("Root");
    let middle = own.below("Middle");
    middle.certify("deep", &["localhost"]);
    std::fs::copy(middle.file("deep.pem"), own.file("deep.pem")).unwrap();
    own.certify("direct", &["localhost"]);
    self_signed(&own, "own", |_| {});
    self_signed(&own, "strange", |_| {});
    self_signed(&own, "old", |params| {
        params.not_before = rcgen::date_time_ymd(2001, 1, 1);
        params.not_after = rcgen::date_time_ymd(2002, 1, 1);
    });
    self_signed(&own, "mail", |params| {
        params.extended_key_usages = vec![rcgen::ExtendedKeyUsagePurpose::EmailProtection];
    });
    self_signed(&own, "leaf", |params| {
        params.is_ca = rcgen::IsCa::ExplicitNoCa
    });
    own
}

#[rustfmt::skip]
fn cases() -> Vec<(&'static str, Case)> {
    let case = |file, ca, depth, refused| Case {
        file, ca, depth, refused, accepts_self_signed: false, check: None,
    };
    let own = |file, ca, refused| Case {
        accepts_self_signed: true, ..case(file, ca, None, refused)
    };
    let checked = |file, check: TlsCheck, refused| Case {
        check: Some(check), ..case(file, Some("ca"), None, refused)
    };
    let counts = TlsCheck::new("two certificates", |shown| match shown.len() {
        2 => Ok(()),
        count => Err(format!("there are {count} certificates")),
    });
    let too_deep = Some("the certificate's authority is farther from it than verify_depth allows");
    vec![
        ("chain of three", case("deep", Some("ca"), None, None)),
        ("not too deep", case("deep", Some("ca"), Some(2), None)),
        ("too deep", case("deep", Some("ca"), Some(1), too_deep)),
        ("depth of one", case("direct", Some("ca"), Some(1), None)),
        ("depth of none", case("direct", Some("ca"), Some(0), too_deep)),
        ("its own authority", case("own", Some("own"), None, None)),
        ("its own authority, at no depth", case("own", Some("own"), Some(0), None)),
        ("its own authority, which is none", case("leaf", Some("leaf"), Some(0), None)),
        ("another of the same name", case("strange", Some("own"), None, AUTHORITY)),
        ("its own, but old", case("old", Some("old"), None, Some("the certificate has expired"))),
        ("its own, for mail", case("mail", Some("mail"), None, PURPOSE)),
        ("self-signed", own("strange", Some("ca"), None)),
        ("self-signed, and old", own("old", Some("ca"), Some("the certificate has expired"))),
        ("from an authority, where self-signed are let in", own("deep", Some("ca"), None)),
        ("from a stranger, where self-signed are let in", own("direct", Some("own"), UNKNOWN)),
        ("checked", checked("deep", counts.clone(), None)),
        ("checked in vain", checked("direct", counts, Some("there are 1 certificates"))),
    ]
}

fn server(certificates: &Certificates, case: &Case) -> (Listener, ConnectOptions) {
    let mut options = serving("localhost");
    let tls = &mut options.tls;
    tls.client_ca = case.ca.map(|ca| certificates.file(&format!("{ca}.pem")));
    tls.verify_depth = case.depth;
    tls.danger_accept_self_signed = case.accepts_self_signed;
    tls.check = case.check.clone();
    let mut client = trusting();
    client.tls.certificate = Some(certificates.file(&format!("{}.pem", case.file)));
    (listen_with("tlsv1.2://127.0.0.1:0", &options), client)
}

fn client(certificates: &Certificates, case: &Case) -> (Listener, ConnectOptions) {
    let mut options = ListenOptions::default();
    options.tls.certificate = Some(certificates.file(&format!("{}.pem", case.file)));
    let mut client = ConnectOptions::default();
    let tls = &mut client.tls;
    tls.peer_name = Some("localhost".to_owned());
    tls.ca = case.ca.map(|ca| certificates.file(&format!("{ca}.pem")));
    tls.verify_depth = case.depth;
    tls.danger_accept_self_signed = case.accepts_self_signed;
    tls.check = case.check.clone();
    (listen_with("tls://127.0.0.1:0", &options), client)
}

#[test]
fn a_certificate_leads_to_one_that_is_trusted() {
    let certificates = certificates();
    for (name, case) in cases() {
        for is_server in [true, false] {
            let ends = if is_server { server } else { client };
            let (listener, options) = ends(&certificates, &case);
            let Some(expected) = case.refused else {
                both_ends(&listener, &options);
                continue;
            };
            let (ours, theirs) = failure(&listener, &options);
            let said = if is_server { theirs } else { ours };
            assert!(said.starts_with(expected), "{name}: {said}");
        }
    }
}

#[test]
fn a_self_signed_certificate_has_the_right_name() {
    let certificates = certificates();
    for accepts_self_signed in [false, true] {
        let case = Case {
            file: "own",
            ca: Some("own"),
            depth: None,
            accepts_self_signed,
            check: None,
            refused: None,
        };
        let (listener, mut options) = client(&certificates, &case);
        options.tls.peer_name = Some("example.org".to_owned());
        let (ours, _) = failure(&listener, &options);
        let expected = "the certificate is not for example.org, but for localhost";
        assert_eq!(ours, expected);
        options.tls.danger_accept_any_name = true;
        both_ends(&listener, &options);
    }
}

#[test]
fn clients_certify_themselves_where_no_authority_is_given() {
    let certificates = certificates();
    let mut options = serving("localhost");
    options.tls.danger_accept_self_signed = true;
    let known = TlsCheck::new("those of localhost", |shown| {
        let is_known = shown[0].windows(9).any(|window| window == b"localhost");
        is_known
            .then_some(())
            .ok_or_else(|| "he is unknown".to_owned())
    });
    options.tls.check = Some(known);
    let listener = listen_with("tlsv1.2://127.0.0.1:0", &options);
    let mut client = trusting();
    client.tls.certificate = Some(certificates.file("own.pem"));
    let (_, served) = both_ends(&listener, &client);
    assert_eq!(served.tls().unwrap().peer_certificates.len(), 1);
    client.tls.certificate = Some(certificates.file("direct.pem"));
    assert!(failure(&listener, &client).1.starts_with(UNKNOWN.unwrap()));
    let error = failure(&listener, &trusting()).1;
    assert_eq!(error, "the client showed no certificate");
}

#[test]
fn a_folder_of_authorities_lets_clients_in() {
    let certificates = certificates();
    let folder = tempfile::tempdir().unwrap();
    std::fs::copy(
        certificates.file("ca.pem"),
        folder.path().join("0123abcd.0"),
    )
    .unwrap();
    let mut options = serving("localhost");
    options.tls.client_ca = Some(folder.path().to_owned());
    let listener = listen_with("tls://127.0.0.1:0", &options);
    let mut client = trusting();
    client.tls.certificate = Some(certificates.file("deep.pem"));
    both_ends(&listener, &client);
}

#[test]
fn what_is_asked_of_clients_needs_that_they_are_asked() {
    let url = "tls://127.0.0.1:0?verify_depth=2";
    let error = Listener::bind(url, &serving("localhost")).unwrap_err();
    assert_eq!(error.reason(), "option verify_depth needs client_ca");
}
