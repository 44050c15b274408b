//! Certificates that change while they are used, and those that nobody has made.

use std::fs;

use super::authority;
use crate::support::certificates::Certificates;
use crate::support::{Folder, Script, Server, shell};

/// Who is there stays, who comes sees the new one, and a bad file changes nothing.
#[test]
fn certificates_are_read_again_on_hang_up() {
    let (folder, shared) = (Folder::new(), Certificates::shared());
    let file = folder.text("site.pem");
    let install = |name: &str| assert!(fs::copy(shared.file(name), &file).unwrap() > 0);
    let plain = Server::start("tcp://127.0.0.1:0 echo");
    for words in [
        "serve tls://127.0.0.1:0 echo".to_owned(),
        "serve tls://127.0.0.1:0 -- cat".to_owned(),
        format!("relay tls://127.0.0.1:0 {}", plain.url()),
    ] {
        install("localhost.pem");
        let mut command = std::process::Command::new(crate::support::BINARY);
        let (words, program) = words.split_once(" -- ").unwrap_or((&words, ""));
        command.args(words.split_whitespace());
        command.args(["--certificate", &file]);
        if !program.is_empty() {
            command.args(["--", program]);
        }
        let mut server = Server::start_command(command, 1);
        let ca = authority();
        let variables = [("URL", server.url()), ("CA", ca.as_str())];
        let connect = "exec $BIN connect $URL --ca $CA";
        let mut early = Script::start(&format!("{connect} --peer-name localhost"), &variables);
        early.write("early\n");
        assert_eq!(early.line(), "early");
        fs::write(&file, "no certificate").unwrap();
        server.signal("HUP");
        server.wait_for_log("kept the old certificates: cannot open tls://127.0.0.1:");
        install("example.pem");
        server.signal("HUP");
        server.wait_for_log("new certificates");
        server.signal("HUP");
        server.wait_for_log("the same certificates");
        let variables = [("URL", server.url()), ("CA", ca.as_str())];
        let late = format!("echo late | ({connect} --peer-name example.org)");
        shell(&late, &variables).prints("late\n");
        early.write("still there\n");
        assert_eq!(early.line(), "still there");
        drop(early);
        server.end();
    }
}

/// Whom the relay trusts is read then, and not with each connection.
#[test]
fn authorities_of_a_target_are_read_again_on_hang_up() {
    let (folder, shared) = (Folder::new(), Certificates::shared());
    let file = folder.text("ca.pem");
    let pem = shared.file("localhost.pem");
    let echo = Server::start(&format!("tls://127.0.0.1:0 echo --certificate {pem}"));
    let install = |of: &Certificates| assert!(fs::copy(of.file("ca.pem"), &file).unwrap() > 0);
    install(shared);
    let target = format!("{}?ca={file}&peer_name=localhost", echo.url());
    let mut relay = Server::relay(&format!("tcp://127.0.0.1:0 {target} --retry 0s"));
    let url = relay.url().to_owned();
    let ask = || shell("printf hello | $BIN connect $URL", &[("URL", &url)]);
    fs::write(&file, "no certificate").unwrap();
    ask().prints("hello");
    relay.signal("HUP");
    relay.wait_for_log("kept the old certificates: cannot open tls://127.0.0.1:");
    ask().prints("hello");
    // One that has not issued the server's.
    install(&Certificates::of("Another Authority"));
    relay.signal("HUP");
    relay.wait_for_log("new certificates");
    assert_eq!(ask().text(), "");
    install(shared);
    relay.signal("HUP");
    relay.wait_for_log("new certificates");
    ask().prints("hello");
}

#[test]
fn a_certificate_is_made_to_try_things_out_and_known_by_its_fingerprint() {
    let mut server = Server::start("tls://127.0.0.1:0 qotd --self-signed");
    let line = server.wait_for_log("listening");
    let (_, fingerprint) = line.split_once("fingerprint=\"").expect(&line);
    let fingerprint = fingerprint.trim_end_matches('"');
    let variables = [("URL", server.url()), ("PRINT", fingerprint)];
    let ask = |flags: &str| {
        shell(
            &format!("$BIN connect $URL -v {flags} </dev/null"),
            &variables,
        )
    };
    for (flags, told) in [
        (
            "--fingerprint $PRINT",
            "the certificate is one of those given",
        ),
        (
            "--danger-accept-any-certificate",
            "whose certificate it is was not verified",
        ),
    ] {
        let outcome = ask(flags);
        assert_eq!(outcome.code, Some(0), "{outcome:?}");
        assert!(
            !outcome.out.is_empty() && outcome.err.contains(told),
            "{outcome:?}"
        );
    }
    let other = "0".repeat(64);
    for flags in [
        "",
        "--danger-accept-any-name",
        &format!("--fingerprint {other}"),
    ] {
        let outcome = ask(flags);
        assert_eq!((outcome.code, outcome.text()), (Some(1), ""), "{outcome:?}");
    }
    server.end();
}

/// What weakens is a flag, and is for TLS.
#[test]
fn no_url_weakens_and_no_plain_one_is_weakened() {
    for (words, reason) in [
        (
            "connect tls://127.0.0.1:1?danger_accept_any_certificate=1",
            "danger_accept_any_certificate",
        ),
        (
            "connect tcp://127.0.0.1:1 --danger-accept-any-name",
            "--danger-accept-any-name applies to TLS, and tcp://127.0.0.1:1 is none",
        ),
        (
            "relay tcp://127.0.0.1:0 tcp://127.0.0.1:1 --danger-accept-truncation",
            "--danger-accept-truncation applies to TLS",
        ),
    ] {
        let outcome = shell(&format!("$BIN {words}"), &[]);
        assert_eq!(outcome.code, Some(2), "{outcome:?}");
        assert!(outcome.err.contains(reason), "{outcome:?}");
    }
}
