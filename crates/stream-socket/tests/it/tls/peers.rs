//! Ours with programs of another make, either way.

use std::io::{Read, Write};
use std::process::{Command, Stdio};
use std::thread;

use stream_socket::{Listener, Stream, TlsVersion};

use super::{listen, listen_with};
use crate::support::certificates::{Certificates, serving, trusting};
use crate::support::peer::{Peer, own_address, program};
use crate::support::{PATIENCE, accept, line_of, patient, until};

fn path(name: &str) -> String {
    Certificates::shared().file(name).display().to_string()
}

fn port(listener: &Listener) -> String {
    let target = listener.url().target().to_string();
    target.rsplit(':').next().unwrap().to_owned()
}

/// Serves one who says a line, and answers another.
fn answer(listener: &Listener) -> (Vec<u8>, Stream) {
    let mut served = accept(listener);
    let line = line_of(&mut served).unwrap();
    served.write_all(b"answer\n").unwrap();
    (line, served)
}

#[test]
fn clients_of_every_make_are_served() {
    let ca = path("ca.pem");
    for version in ["tlsv1.2", "tlsv1.3"] {
        let listener = listen(&format!("{version}://127.0.0.1:0"));
        let port = port(&listener);
        let openssl = format!(
            "s_client -connect 127.0.0.1:{port} -CAfile {ca} -verify_return_error -quiet \
             -servername localhost"
        );
        let gnutls = format!("--x509cafile {ca} --port {port} localhost");
        let ncat = format!(
            "--ssl-verify --ssl-trustfile {ca} --ssl-servername localhost localhost {port}"
        );
        let socat = format!("- OPENSSL:localhost:{port},cafile={ca}");
        for (name, arguments) in [
            ("openssl", openssl),
            ("gnutls-cli", gnutls),
            ("ncat", ncat),
            ("socat", socat),
        ] {
            let arguments: Vec<&str> = arguments.split_whitespace().collect();
            let mut peer = Peer::start(name, &arguments);
            peer.tell(b"question\n");
            let (line, served) = answer(&listener);
            assert_eq!(line, b"question\n", "{name}");
            assert_eq!(peer.line_with("answer"), "answer", "{name}");
            drop(served);
        }
    }
}

#[test]
fn curl_fetches_a_page() {
    let mut options = serving("localhost");
    options.tls.alpn = vec!["http/1.1".to_owned()];
    let listener = listen_with("tls://127.0.0.1:0", &options);
    let url = format!("https://localhost:{}/", port(&listener));
    let ca = path("ca.pem");
    let client = thread::spawn(move || {
        let mut curl = Command::new(program("curl"));
        curl.args(["-sS", "--cacert", &ca, "--ipv4", "--max-time", "20", &url]);
        curl.output().unwrap()
    });
    let mut served = accept(&listener);
    while line_of(&mut served).unwrap() != b"\r\n" {}
    served
        .write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello")
        .unwrap();
    assert_eq!(
        served.tls().unwrap().alpn.as_deref(),
        Some(b"http/1.1".as_slice())
    );
    drop(served);
    let output = client.join().unwrap();
    assert_eq!(output.stdout, b"hello", "{output:?}");
}

#[test]
fn servers_of_every_make_are_understood() {
    let (pem, ca) = (path("localhost.pem"), path("ca.pem"));
    for version in [TlsVersion::V1_2, TlsVersion::V1_3] {
        let flag = if version == TlsVersion::V1_2 {
            "-tls1_2"
        } else {
            "-tls1_3"
        };
        let query = if version == TlsVersion::V1_2 {
            "?max_version=1.2"
        } else {
            "?min_version=1.3"
        };
        let [one, two, three] = [(); 3].map(|()| own_address());
        for (name, arguments, address) in [
            (
                "openssl",
                format!("s_server -accept {one} -cert {pem} -key {pem} {flag} -rev -quiet"),
                one,
            ),
            (
                "ncat",
                format!(
                    "-l --ssl --ssl-cert {pem} --ssl-key {pem} -e /bin/cat {} {}",
                    two.ip(),
                    two.port()
                ),
                two,
            ),
            (
                "socat",
                format!(
                    "OPENSSL-LISTEN:{},bind={},cert={pem},cafile={ca},verify=0 EXEC:cat",
                    three.port(),
                    three.ip()
                ),
                three,
            ),
        ] {
            let arguments: Vec<&str> = arguments.split_whitespace().collect();
            let peer = Peer::start(name, &arguments);
            let url = format!("tls://{address}{query}&peer_name=localhost");
            let mut client = None;
            until("the server is there", || {
                client = Stream::connect(&url, &trusting()).ok();
                client.is_some()
            });
            let mut client = patient(client.unwrap());
            client.write_all(b"level\n").unwrap();
            assert_eq!(line_of(&mut client).unwrap(), b"level\n", "{name}");
            assert_eq!(client.tls().unwrap().version, version);
            drop((client, peer));
        }
    }
}

#[test]
fn openssl_shows_its_certificate_and_resumes_its_session() {
    let mut options = serving("localhost");
    options.tls.client_ca = Some(Certificates::shared().file("ca.pem"));
    options.tls.client_optional = Some(true);
    for version in ["tlsv1.2", "tlsv1.3"] {
        let listener = listen_with(&format!("{version}://127.0.0.1:0"), &options);
        let folder = tempfile::tempdir().unwrap();
        let session = folder.path().join("session").display().to_string();
        let common = format!(
            "s_client -connect 127.0.0.1:{} -CAfile {} -cert {} -servername localhost",
            port(&listener),
            path("ca.pem"),
            path("client.pem")
        );
        for (flag, resumed) in [("-sess_out", false), ("-sess_in", true)] {
            let arguments = format!("{common} {flag} {session}");
            let arguments: Vec<&str> = arguments.split_whitespace().collect();
            let mut peer = Peer::start("openssl", &arguments);
            peer.tell(b"question\n");
            let (_, served) = answer(&listener);
            peer.line_with("answer");
            let facts = served.tls().unwrap();
            assert_eq!(facts.resumed, resumed, "{version}");
            assert!(!facts.peer_certificates.is_empty());
            // It ends, and writes its session, when the connection does.
            drop(served);
            until("it has ended", || peer.has_ended());
        }
    }
}

#[test]
fn a_scanner_finds_nothing_weak() {
    let listener = listen("tls://127.0.0.1:0");
    let target = listener.url().target().to_string();
    thread::spawn(move || {
        while let Ok(mut served) = listener.accept(Some(PATIENCE)) {
            thread::spawn(move || served.read(&mut [0; 100]));
        }
    });
    let mut scan = Command::new(program("sslscan"));
    scan.args(["--no-colour", &target]).stdin(Stdio::null());
    let output = scan.output().unwrap();
    let report = String::from_utf8_lossy(&output.stdout);
    for expected in [
        "SSLv2     disabled",
        "SSLv3     disabled",
        "TLSv1.0   disabled",
        "TLSv1.1   disabled",
        "TLSv1.2   enabled",
        "TLSv1.3   enabled",
        "TLSv1.3 not vulnerable to heartbleed",
        "TLSv1.2 not vulnerable to heartbleed",
    ] {
        assert!(report.contains(expected), "{expected}:\n{report}");
    }
    let accepted = report
        .lines()
        .filter(|line| line.starts_with("Preferred") || line.starts_with("Accepted"));
    for line in accepted {
        assert!(line.contains("GCM") || line.contains("CHACHA20"), "{line}");
    }
}
