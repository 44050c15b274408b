//! Programs that serve a connection over TLS, of which they know nothing.

use super::{authority, certified};
use crate::programs::{exists, process};
use crate::support::certificates::Certificates;
use crate::support::{Folder, Script, Server, shell};

/// A program for each connection over TLS.
pub(super) fn serve(words: &str, program: &[&str]) -> Server {
    crate::programs::serve(&format!("{words} {}", certified()), program)
}

#[test]
fn a_program_serves_tls_until_its_client_ends() {
    let folder = Folder::new();
    let words = format!("tls://127.0.0.1:0 tls+unix://{}", folder.text("socket"));
    let mut server = serve(&words, &["cat"]);
    let expected = shell("seq 200000 | cksum", &[]);
    for url in server.urls().to_vec() {
        let client = "seq 200000 | $BIN connect $URL --ca $CA --peer-name localhost | cksum";
        shell(client, &[("URL", &url), ("CA", &authority())]).prints(expected.text());
        let line = server.wait_for_log("closed");
        assert!(
            line.contains("status=\"exit status: 0\" received=1288895 sent=1288895"),
            "{line}"
        );
    }
    server.end();
}

#[test]
fn it_is_told_of_the_connection_and_of_tls() {
    let server = serve("tls://127.0.0.1:0", &["env"]);
    let ask = "$BIN connect tls://localhost:$PORT --ca $CA --bind 127.0.0.1:0 | \
               grep -E '^(PROTO|TCP.*|SSL_[CPST].*)=' | grep -v PORT= | \
               grep -v SSL_CERT | sort";
    shell(ask, &[("PORT", server.port()), ("CA", &authority())]).prints(
        "PROTO=SSL\nSSL_CIPHER=TLS_AES_256_GCM_SHA384\nSSL_CIPHER_USEKEYSIZE=256\n\
         SSL_CLIENT_VERIFY=NONE\nSSL_PROTOCOL=TLSv1.3\nSSL_SESSION_RESUMED=Initial\n\
         SSL_TLS_SNI=localhost\nSSL_TLS_SNI_SERVERNAME=localhost\nTCPLOCALIP=127.0.0.1\n\
         TCPREMOTEIP=127.0.0.1\n",
    );
    server.end();
}

/// With its certificate, a client is known by name.
#[test]
fn it_is_told_who_the_client_is() {
    let words = format!("tls://127.0.0.1:0 --client-ca {}", authority());
    let server = serve(&words, &["sh", "-c", "env | grep ^SSL_CLIENT_ | sort"]);
    let ask = "$BIN connect tls://localhost:$PORT --ca $CA --certificate $OWN";
    let own = Certificates::shared().file("client.pem");
    let variables = [("PORT", server.port()), ("CA", &authority()), ("OWN", &own)];
    shell(ask, &variables).prints(
        "SSL_CLIENT_I_DN=CN=Test Authority\nSSL_CLIENT_S_DN=CN=client\n\
         SSL_CLIENT_VERIFY=SUCCESS\n",
    );
    server.end();
}

/// What it says at last reaches a client that is still sending.
#[test]
fn a_program_that_does_not_read_is_heard_all_the_same() {
    let server = serve("tls://127.0.0.1:0", &["sh", "-c", "seq 100000"]);
    let client = "seq 100000 | $BIN connect $URL --ca $CA --timeout 20s | cksum";
    let expected = shell("seq 100000 | cksum", &[]);
    for _ in 0..5 {
        shell(client, &[("URL", server.url()), ("CA", &authority())]).prints(expected.text());
    }
    server.end();
}

/// A connection that is cut off is not one that has ended: `cat` exits with 1.
#[test]
fn a_part_is_not_taken_for_the_whole() {
    let mut server = serve("tls://127.0.0.1:0", &["cat"]);
    let script = "exec $BIN connect $URL --ca $CA";
    let mut client = Script::start(script, &[("URL", server.url()), ("CA", &authority())]);
    client.write("hello\n");
    assert_eq!(client.line(), "hello");
    shell(
        "kill -KILL $(cat /proc/$ID/task/$ID/children)",
        &[("ID", &client.child.id().to_string())],
    );
    let line = server.wait_for_log("closed");
    assert!(line.contains("status=\"exit status: 1, "), "{line}");
    assert!(
        line.contains("the connection ended without close_notify"),
        "{line}"
    );
    let log = server.end();
    assert!(log.contains("Connection reset by peer"), "{log}");
}

#[test]
fn its_client_has_to_wait_while_it_does_not_read() {
    let server = serve("tls://127.0.0.1:0", &["sh", "-c", "sleep 1; cksum"]);
    let client = "head -c 20000000 /dev/zero | $BIN connect $URL --ca $CA --timeout 20s";
    let expected = shell("head -c 20000000 /dev/zero | cksum", &[]);
    shell(client, &[("URL", server.url()), ("CA", &authority())]).prints(expected.text());
    server.end();
}

/// A daemon's connection lasts as long as somebody has it.
#[test]
fn what_a_program_leaves_behind_may_go_on_speaking() {
    let server = serve(
        "tls://127.0.0.1:0",
        &["sh", "-c", "(sleep 0.5; echo late) &"],
    );
    let client = "$BIN connect $URL --ca $CA </dev/null";
    shell(client, &[("URL", server.url()), ("CA", &authority())]).prints("late\n");
    server.end();
}

#[test]
fn it_is_killed_at_the_end_of_its_lifetime_and_of_the_drain() {
    for (flag, reason) in [
        ("--lifetime 500ms", "its lifetime is over"),
        ("--drain 300ms", "cut off at the end of the drain"),
    ] {
        let mut server = serve(
            &format!("tls://127.0.0.1:0 {flag}"),
            &["sh", "-c", "echo up; exec cat"],
        );
        let script = "exec $BIN connect $URL --ca $CA";
        let mut client = Script::start(script, &[("URL", server.url()), ("CA", &authority())]);
        assert_eq!(client.line(), "up");
        server.signal(if flag.starts_with("--drain") {
            "TERM"
        } else {
            "CONT"
        });
        let line = server.wait_for_log("closed");
        assert!(line.contains(reason), "{line}");
        assert!(!exists(process(&line)));
    }
}

#[test]
fn an_idle_connection_costs_no_time() {
    let server = serve("tls://127.0.0.1:0", &["sh", "-c", "echo up; exec cat"]);
    let script = "exec $BIN connect $URL --ca $CA";
    let mut client = Script::start(script, &[("URL", server.url()), ("CA", &authority())]);
    assert_eq!(client.line(), "up");
    server.rests();
    client.write("still there\n");
    assert_eq!(client.line(), "still there");
    server.rests();
    drop(client);
    server.end();
}
