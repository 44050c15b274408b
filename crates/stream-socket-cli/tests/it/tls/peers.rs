//! Other programs that speak TLS, as clients of ours and as servers for it.

use std::net::TcpStream;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use super::programs::serve;
use super::{authority, certified};
use crate::support::certificates::Certificates;
use crate::support::{Folder, LIMIT, Outcome, Script, Server, free_port, shell};

/// Runs a script with `$PORT`, `$CA`, `$CERTIFICATES`, the folder of all of them, and `$FILE`.
fn ask(script: &str, port: &str, file: &str) -> Outcome {
    let (ca, certificates) = (authority(), Certificates::shared().folder());
    let variables = [
        ("PORT", port),
        ("CA", &ca),
        ("CERTIFICATES", &certificates),
        ("FILE", file),
    ];
    shell(script, &variables)
}

/// A line comes back from a program that reads one and ends.
#[test]
fn every_client_is_served() {
    let s_client = "openssl s_client -connect localhost:$PORT -CAfile $CA -quiet \
                    -verify_return_error -verify_hostname localhost";
    let clients = [
        format!("echo hello | {s_client} -tls1_3"),
        format!("echo hello | {s_client} -tls1_2"),
        format!("echo hello | {s_client} -groups P-384"),
        format!("echo hello | {s_client} -ciphersuites TLS_CHACHA20_POLY1305_SHA256"),
        format!("echo hello | {s_client} -tls1_2 -cipher CHACHA20"),
        "echo hello | gnutls-cli --x509cafile=$CA --logfile=/dev/null -p $PORT localhost"
            .to_owned(),
        "echo hello | gnutls-cli --x509cafile=$CA --logfile=/dev/null -p $PORT localhost \
         --priority NORMAL:-VERS-TLS1.3"
            .to_owned(),
        // It closes at the end of its input, answered or not.
        "(echo hello; sleep 1) | ncat --ssl-verify --ssl-trustfile $CA localhost $PORT".to_owned(),
        "echo hello | socat -t10 - OPENSSL:localhost:$PORT,cafile=$CA".to_owned(),
        "echo hello | $BIN connect tls://localhost:$PORT --ca $CA".to_owned(),
    ];
    for certificate in ["localhost", "rsa"] {
        let certificate = Certificates::shared().file(&format!("{certificate}.pem"));
        let words = format!("tls://127.0.0.1:0 --certificate {certificate}");
        let server = crate::programs::serve(&words, &["head", "-n1"]);
        for client in &clients {
            let outcome = ask(client, server.port(), "");
            assert_eq!(
                (outcome.code, outcome.text()),
                (Some(0), "hello\n"),
                "{outcome:?}"
            );
        }
        server.end();
    }
}

#[test]
fn curl_is_served_https() {
    let answer = r#"while read -r line && [ "$line" != "$(printf '\r')" ]; do :; done
        printf 'HTTP/1.0 200 OK\r\n\r\n'; seq 100000"#;
    let server = serve("tls://127.0.0.1:0 --alpn http/1.1", &["bash", "-c", answer]);
    let expected = shell("seq 100000 | cksum", &[]);
    for version in ["--tlsv1.3", "--tls-max 1.2"] {
        let client = format!(
            "curl -sS --fail --cacert $CA {version} https://localhost:$PORT/ --resolve \
             localhost:$PORT:127.0.0.1 | cksum"
        );
        let outcome = ask(&client, server.port(), "");
        outcome.prints(expected.text());
    }
    server.end();
}

#[test]
fn s_client_sees_alpn_and_resumes_its_session() {
    let folder = Folder::new();
    let server = serve("tls://127.0.0.1:0 --alpn h2,http/1.1", &["head", "-n1"]);
    let file = folder.text("session");
    for version in ["-tls1_3", "-tls1_2"] {
        let client = format!(
            "s_client() {{ echo hello | openssl s_client -connect localhost:$PORT -CAfile $CA \
             -ign_eof -alpn ftp,http/1.1 {version} \"$@\" 2>&1; }}; s_client -sess_out $FILE | \
             grep -E '^(New|ALPN protocol)'; s_client -sess_in $FILE | grep -cE '^Reused'"
        );
        let outcome = ask(&client, server.port(), &file);
        let (first, second) = outcome.text().split_once('\n').unwrap();
        assert!(first.starts_with("New, TLSv1."), "{outcome:?}");
        assert_eq!(second, "ALPN protocol: http/1.1\n1\n", "{outcome:?}");
    }
    server.end();
}

#[test]
fn clients_are_asked_for_a_certificate() {
    let client = "echo hello | openssl s_client -connect localhost:$PORT -CAfile $CA -quiet";
    let shown = "-cert $CERTIFICATES/client.pem -key $CERTIFICATES/client.key";
    let strangers = Certificates::of("Another Authority");
    let key = rcgen::KeyPair::generate().unwrap();
    strangers.certify("stranger", &["client.example.org"], key, |_| {});
    let stranger = strangers.file("stranger.pem");
    for version in ["-tls1_3", "-tls1_2"] {
        let mut server = serve(
            &format!("tls://127.0.0.1:0 --client-ca {}", authority()),
            &["head", "-n1"],
        );
        for (certificate, reason) in [
            (shown.to_owned(), None),
            (String::new(), Some("the client showed no certificate")),
            (
                format!("-cert {stranger} -key {stranger}"),
                Some("the certificate's issuer is none of the trusted ones"),
            ),
        ] {
            let script = format!("{client} {version} {certificate}");
            let outcome = ask(&script, server.port(), "");
            match reason {
                None => outcome.prints("hello\n"),
                Some(reason) => {
                    assert_eq!(outcome.text(), "", "{outcome:?}");
                    server.wait_for_log(reason);
                }
            }
        }
        server.end();
    }
}

/// A server that is not ours, which listens on `$PORT` with the certificate for localhost.
struct Foreign {
    _script: Script,
    port: String,
}

impl Foreign {
    /// On another port where somebody was quicker to take the first.
    fn start(script: &str) -> Self {
        let start = Instant::now();
        while start.elapsed() < LIMIT {
            if let Some(foreign) = Self::try_to_start(script) {
                return foreign;
            }
        }
        panic!("nobody listens: {script}");
    }

    fn try_to_start(script: &str) -> Option<Self> {
        let (port, ca, certificates) = (free_port(), authority(), Certificates::shared().folder());
        let variables = [
            ("PORT", port.as_str()),
            ("CA", &ca),
            ("CERTIFICATES", &certificates),
        ];
        let mut script = Script::start(&format!("exec {script}"), &variables);
        while TcpStream::connect(format!("127.0.0.1:{port}")).is_err() {
            if script.child.try_wait().unwrap().is_some() {
                return None;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        // Not that it is somebody else's.
        script.child.try_wait().unwrap().is_none().then_some(Self {
            _script: script,
            port,
        })
    }
}

#[test]
fn every_server_is_connected_to() {
    let s_server = "openssl s_server -accept 127.0.0.1:$PORT -cert $CERTIFICATES/localhost.pem \
                    -quiet -rev";
    let rsa = s_server.replace("localhost.pem", "rsa.pem");
    let echo = "--x509certfile $CERTIFICATES/localhost.pem --x509keyfile \
                $CERTIFICATES/localhost.key --port $PORT --echo --quiet";
    for (server, answer) in [
        (format!("{s_server} -tls1_3"), "olleh\n"),
        (format!("{s_server} -tls1_2"), "olleh\n"),
        (
            format!("{rsa} -tls1_3 -ciphersuites TLS_AES_128_GCM_SHA256"),
            "olleh\n",
        ),
        (format!("{rsa} -tls1_2"), "olleh\n"),
        (format!("gnutls-serv {echo}"), "hello\n"),
        (
            format!("gnutls-serv {echo} --priority NORMAL:-VERS-TLS1.3"),
            "hello\n",
        ),
        (
            "ncat --ssl --ssl-cert $CERTIFICATES/localhost.pem --ssl-key \
             $CERTIFICATES/localhost.key -lk 127.0.0.1 $PORT --exec /bin/cat"
                .to_owned(),
            "hello\n",
        ),
        (
            "socat OPENSSL-LISTEN:$PORT,bind=127.0.0.1,reuseaddr,fork,verify=0,\
             cert=$CERTIFICATES/localhost.pem EXEC:'head -n1'"
                .to_owned(),
            "hello\n",
        ),
    ] {
        let foreign = Foreign::start(&server);
        // Not all of them answer one who has ended.
        let client = "exec $BIN connect tls://localhost:$PORT --ca $CA --verbose";
        let variables = [("PORT", foreign.port.as_str()), ("CA", &authority())];
        let mut client = Script::start(client, &variables);
        client.write("hello\n");
        assert_eq!(client.line() + "\n", answer, "{server}");
        client.finish();
    }
}

/// In a page that it makes, `s_server` says what it knows of the connection.
const S_SERVER: &str = "openssl s_server -accept 127.0.0.1:$PORT -cert \
    $CERTIFICATES/localhost.pem -CAfile $CA -Verify 1 -verify_return_error -alpn http/1.1 -www";

#[test]
fn s_server_asks_for_a_certificate_and_sees_it() {
    let foreign = Foreign::start(S_SERVER);
    for version in ["1.3", "1.2"] {
        let connect = format!(
            "printf 'GET / HTTP/1.0\\r\\n\\r\\n' | $BIN connect tls://localhost:$PORT --ca $CA \
             --alpn h2,http/1.1 --verbose --max-version {version}"
        );
        let shown = "--certificate $CERTIFICATES/client.pem --key $CERTIFICATES/client.key";
        let outcome = ask(&format!("{connect} {shown}"), &foreign.port, "");
        let page = outcome.text();
        assert!(page.contains("Subject: CN=client"), "{outcome:?}");
        assert!(page.contains("Verify return code: 0 (ok)"), "{outcome:?}");
        assert!(outcome.err.contains(", ALPN http/1.1; "), "{outcome:?}");
        let outcome = ask(&connect, &foreign.port, "");
        assert!(outcome.err.contains("the peer refused: "), "{outcome:?}");
        assert_eq!((outcome.code, outcome.text()), (Some(1), ""));
    }
}

/// The sessions of a relay's connections to its target are resumed.
#[test]
fn a_relay_resumes_its_sessions() {
    let s_server = S_SERVER.replace("-Verify 1 -verify_return_error", "");
    let foreign = Foreign::start(&s_server);
    for version in ["1.3", "1.2"] {
        let relay = Server::relay(&format!(
            "tcp://127.0.0.1:0 tls://localhost:{} --ca {} --max-version {version}",
            foreign.port,
            authority()
        ));
        let client = "curl -sS http://127.0.0.1:$PORT/ | grep -oE '^(New|Reused), TLSv1.[23]'";
        for kind in ["New", "Reused"] {
            let outcome = ask(client, relay.port(), "");
            assert_eq!(
                outcome.text(),
                format!("{kind}, TLSv{version}\n"),
                "{outcome:?}"
            );
        }
        relay.end();
    }
}

/// HAProxy with TLS towards its client, on `$SOCKET`, and towards `$TARGET`, whose name it checks.
const HAPROXY: &str = "
cat > $FILE <<END
defaults
    mode tcp
    timeout connect 10s
    timeout client 30s
    timeout server 30s
listen tls_server
    bind unix@$SOCKET ssl crt $CERTIFICATES/localhost.pem
    server target 127.0.0.1:$TARGET ssl verify required ca-file $CA verifyhost localhost
END
exec haproxy -f $FILE -db";

#[test]
fn haproxy_is_a_client_and_a_server() {
    let folder = Folder::new();
    let server = Server::start(&format!("tls://127.0.0.1:0 echo {}", certified()));
    let (file, socket) = (folder.text("haproxy.cfg"), folder.text("socket"));
    let (ca, certificates) = (authority(), Certificates::shared().folder());
    let variables = [
        ("FILE", file.as_str()),
        ("SOCKET", &socket),
        ("CA", &ca),
        ("CERTIFICATES", &certificates),
        ("TARGET", server.port()),
    ];
    let _haproxy = Script::start(HAPROXY, &variables);
    let start = Instant::now();
    while !Path::new(&socket).exists() {
        assert!(start.elapsed() < LIMIT, "HAProxy does not listen");
        std::thread::sleep(Duration::from_millis(20));
    }
    let client = "head -c 2000000 /dev/urandom > $FILE.data; exec $BIN connect \
                  tls+unix://$SOCKET --ca $CA --peer-name localhost <$FILE.data | \
                  cmp - $FILE.data && echo equal";
    shell(client, &variables).prints("equal\n");
    let log = server.end();
    assert!(log.contains("received=2000000 sent=2000000"), "{log}");
}

/// What it warns of, and what it finds too weak, stands in red or yellow; so each line is known.
#[test]
fn sslscan_finds_no_weakness() {
    for certificate in ["localhost", "rsa"] {
        let certificate = Certificates::shared().file(&format!("{certificate}.pem"));
        let server = Server::start(&format!(
            "tls://127.0.0.1:0 daytime --certificate {certificate}"
        ));
        let output = Command::new("sslscan")
            .args(["--no-colour", &format!("localhost:{}", server.port())])
            .output()
            .unwrap();
        let text = String::from_utf8_lossy(&output.stdout);
        for version in ["SSLv2  ", "SSLv3  ", "TLSv1.0", "TLSv1.1"] {
            assert!(text.contains(&format!("{version}   disabled")), "{text}");
        }
        for line in [
            "TLSv1.2   enabled",
            "TLSv1.3   enabled",
            "Session renegotiation not supported",
        ] {
            assert!(text.contains(line), "{line:?} is missing: {text}");
        }
        assert_eq!(
            text.matches(" not vulnerable to heartbleed").count(),
            2,
            "{text}"
        );
        assert_eq!(text.matches("vulnerable").count(), 2, "{text}");
        let ciphers: Vec<_> = text
            .lines()
            .filter(|line| line.starts_with("Preferred") || line.starts_with("Accepted"))
            .collect();
        assert!(ciphers.len() >= 6, "{text}");
        for cipher in ciphers {
            let is_aead = cipher.contains("GCM") || cipher.contains("POLY1305");
            let is_ephemeral = cipher.contains("ECDHE") || cipher.contains("TLSv1.3");
            assert!(
                is_aead && is_ephemeral && !cipher.contains(" 112 bits"),
                "{cipher}"
            );
        }
        assert!(text.contains("128 bits  x25519"), "{text}");
        assert!(
            !text.contains("Key Strength:    1024") && !text.contains("sha1"),
            "{text}"
        );
        server.end();
    }
}

#[test]
fn a_client_is_shown_the_certificate_of_the_name_it_asks_for() {
    let example = Certificates::shared().file("example.pem");
    let words = format!("tls://127.0.0.1:0 --more-certificates {example}");
    let server = serve(&words, &["head", "-n1"]);
    for (name, subject) in [
        ("example.org", "subject=CN = example\n"),
        ("localhost", "subject=CN = localhost\n"),
        ("elsewhere.net", "subject=CN = localhost\n"),
    ] {
        let client = format!(
            "echo | openssl s_client -connect localhost:$PORT -servername {name} 2>/dev/null | \
             openssl x509 -noout -subject"
        );
        ask(&client, server.port(), "").prints(subject);
    }
    let client = "echo hello | $BIN connect tls://127.0.0.1:$PORT --peer-name example.org --ca $CA";
    ask(client, server.port(), "").prints("hello\n");
    server.end();
}

/// The passphrase comes from a file and is told to nobody.
#[test]
fn a_key_that_openssl_has_encrypted_is_used() {
    let folder = Folder::new();
    let (key, secret) = (folder.text("key"), folder.text("secret"));
    let made = "openssl pkcs8 -topk8 -v2 aes-256-cbc -in $CERTIFICATES/localhost.key -out $FILE \
                -passout pass:sesame";
    ask(made, "", &key).prints("");
    let words = format!("tls://127.0.0.1:0 echo --key {key} --passphrase-file {secret}");
    std::fs::write(&secret, "sesame\n").unwrap();
    let server = Server::start(&format!("{words} {}", certified()));
    let client = "echo hello | $BIN connect tls://localhost:$PORT --ca $CA";
    ask(client, server.port(), "").prints("hello\n");
    server.end();
    std::fs::write(&secret, "barley\n").unwrap();
    let outcome = shell(&format!("$BIN serve {words} {}", certified()), &[]);
    assert_eq!(outcome.code, Some(1), "{outcome:?}");
    assert!(outcome.err.contains("option key: "), "{outcome:?}");
    assert!(!outcome.err.contains("barley"), "{outcome:?}");
}
