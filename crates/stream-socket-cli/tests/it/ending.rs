//! Signals, and what they leave behind.

use std::io::ErrorKind;
use std::net::TcpStream;
use std::os::unix::process::ExitStatusExt;
use std::process::Command;

use crate::support::{BINARY, Folder, Script, Server, children, shell, signal};

#[test]
fn term_and_int_end_it_with_success() {
    for signal in ["TERM", "INT"] {
        let mut server = Server::start("tcp://127.0.0.1:0 udp://127.0.0.1:0 daytime");
        server.wait_for_log("listening");
        server.signal(signal);
        let (status, log) = server.wait();
        assert_eq!(status.code(), Some(0), "{log}");
        assert!(
            log.contains(&format!("draining signal=\"{signal}\"")),
            "{log}"
        );
    }
}

#[test]
fn a_connection_in_flight_finishes_and_newcomers_are_refused() {
    let mut server = Server::start("tcp://127.0.0.1:0 echo --drain 30s");
    let port = server.port().to_owned();
    let variables = [("PORT", port.as_str())];
    let mut client = Script::start("$BIN connect 127.0.0.1:$PORT", &variables);
    client.write("before\n");
    assert_eq!(client.line(), "before");
    server.signal("TERM");
    let line = server.wait_for_log("draining");
    assert!(line.contains("connections=1"), "{line}");
    let late = shell("$BIN connect 127.0.0.1:$PORT </dev/null", &variables);
    assert_eq!(late.code, Some(1));
    assert!(late.err.contains("(ECONNREFUSED)"), "{late:?}");
    client.write("after\n");
    assert_eq!(client.finish(), (Some(0), "after\n".to_owned()));
    let (status, log) = server.wait();
    assert_eq!(status.code(), Some(0), "{log}");
    assert!(log.contains("received=13 sent=13"), "{log}");
}

/// Who is not yet accepted keeps nothing open for others.
#[test]
fn nobody_is_let_in_beside_a_handshake_under_way() {
    let tls = "tls://127.0.0.1:0 --self-signed --handshake-timeout 5m --drain 5m";
    let relay = tls.replacen(" ", " tcp://127.0.0.1:1 ", 1);
    for mut server in [Server::start(&format!("{tls} echo")), Server::relay(&relay)] {
        let address = format!("127.0.0.1:{}", server.port());
        let under_way = TcpStream::connect(&*address).unwrap();
        server.signal("TERM");
        server.wait_for_log("draining");
        let refused = TcpStream::connect(&*address).unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::ConnectionRefused);
        drop(under_way);
        let (status, log) = server.wait();
        assert_eq!(status.code(), Some(0), "{log}");
    }
}

#[test]
fn what_does_not_finish_is_cut_off() {
    let mut server = Server::start("tcp://127.0.0.1:0 echo --drain 200ms");
    let mut client = Script::start("$BIN connect $URL", &[("URL", server.url())]);
    client.write("x\n");
    assert_eq!(client.line(), "x");
    server.signal("INT");
    server.wait_for_log("cut off at the end of the drain");
    let (status, _) = server.wait();
    assert_eq!(status.code(), Some(0));
}

#[test]
fn chargen_ends_with_a_whole_line() {
    let mut server = Server::start("tcp://127.0.0.1:0 chargen --drain 30s");
    let url = server.url().to_owned();
    let client = Script::start(
        "$BIN connect $URL </dev/null | tail -c 200",
        &[("URL", &url)],
    );
    server.wait_for_log("accepted");
    server.signal("TERM");
    let (code, text) = client.finish();
    assert_eq!(code, Some(0));
    let last = text.split_terminator("\r\n").last().unwrap();
    assert!(text.ends_with("\r\n") && last.len() == 72, "{text:?}");
    let (status, log) = server.wait();
    assert_eq!(status.code(), Some(0), "{log}");
}

#[test]
fn process_1_ends_with_the_code_of_the_signal_that_it_can_not_die_of() {
    let mut command = Command::new("unshare");
    command.args(["--pid", "--fork", "--kill-child", "--mount-proc", BINARY]);
    command.args(["serve", "tcp://127.0.0.1:0", "echo", "--drain", "never"]);
    let mut server = Server::start_command(command, 1);
    let mut client = Script::start("$BIN connect $URL", &[("URL", server.url())]);
    client.write("x\n");
    assert_eq!(client.line(), "x");
    let init = children(server.id())[0];
    signal(init, "TERM");
    server.wait_for_log("draining");
    shell("sleep 0.2", &[]);
    signal(init, "TERM");
    let (status, log) = server.wait();
    assert_eq!(status.code(), Some(128 + 15), "{log}");
    assert!(log.ends_with("stream-socket: ended by TERM"), "{log}");
}

#[test]
fn a_signal_to_end_is_not_lost_to_one_to_look_again() {
    let echo = Server::start("tcp://127.0.0.1:0 echo");
    let server = Server::relay(&format!("tcp://127.0.0.1:0 {}", echo.url()));
    // Both have come when it goes on.
    for name in ["STOP", "TERM", "HUP", "CONT"] {
        server.signal(name);
    }
    let (status, log) = server.wait();
    assert_eq!(status.code(), Some(0), "{log}");
}

#[test]
fn a_second_signal_ends_it_at_once() {
    for (name, number) in [("TERM", 15), ("INT", 2)] {
        let mut server = Server::start("tcp://127.0.0.1:0 echo --drain never");
        let mut client = Script::start("$BIN connect $URL", &[("URL", server.url())]);
        client.write("x\n");
        assert_eq!(client.line(), "x");
        server.signal(name);
        server.wait_for_log("draining");
        shell("sleep 0.2", &[]);
        server.signal(name);
        let (status, log) = server.wait();
        assert_eq!(status.signal(), Some(number), "{log}");
    }
}

/// timeout(1) sends TERM to its child, and at once again to the whole group.
#[test]
fn a_signal_told_twice_is_one() {
    // A busy machine may let more time pass between the two than it takes to mean it.
    assert!((0..5).any(|_| is_one_where_it_is_told_twice()));
}

fn is_one_where_it_is_told_twice() -> bool {
    let mut server = Server::start("tcp://127.0.0.1:0 echo --drain 30s");
    let mut client = Script::start("$BIN connect $URL", &[("URL", server.url())]);
    client.write("before\n");
    assert_eq!(client.line(), "before");
    let script = "kill -TERM $ID; sleep 0.02; kill -TERM $ID";
    shell(script, &[("ID", &server.id().to_string())]).prints("");
    server.wait_for_log("draining");
    client.write("after\n");
    let (code, answer) = client.finish();
    let (status, log) = server.wait();
    if status.signal().is_some() {
        return false;
    }
    assert_eq!((code, &*answer), (Some(0), "after\n"), "{log}");
    assert_eq!(status.code(), Some(0), "{log}");
    true
}

#[test]
fn timeout_ends_it_with_success() {
    let folder = Folder::new();
    let path = folder.text("echo");
    let script = "
        timeout -s TERM 1 $BIN serve unix://$NAMED echo >/dev/null &
        for i in $(seq 50); do [ -S $NAMED ] && break; sleep 0.02; done
        { echo x; sleep 1.5; } | $BIN connect unix://$NAMED
        wait $!; echo $?; ls $NAMED 2>/dev/null";
    let outcome = shell(script, &[("NAMED", &path)]);
    // 124 is what timeout(1) says of a child that it had to end, and that ended well.
    assert_eq!(outcome.text(), "x\n124\n", "{outcome:?}");
    assert!(outcome.err.contains("draining") && !outcome.err.contains("at once"));
}

#[test]
fn socket_files_are_removed_and_dead_ones_replaced() {
    let folder = Folder::new();
    let (path, datagrams) = (folder.path("time"), folder.path("time.dg"));
    let words = format!(
        "unix://{} udg://{} time",
        path.display(),
        datagrams.display()
    );
    let server = Server::start(&words);
    assert!(path.exists() && datagrams.exists());
    server.end();
    assert!(!path.exists() && !datagrams.exists());

    let server = Server::start(&words);
    server.signal("KILL");
    server.wait();
    assert!(
        path.exists() && datagrams.exists(),
        "nobody could remove them"
    );
    let server = Server::start(&words);
    shell(
        "$BIN connect $URL </dev/null | wc -c",
        &[("URL", server.url())],
    )
    .prints("4\n");
    server.end();
    assert!(!path.exists());
}

#[test]
fn the_file_is_gone_as_soon_as_nobody_is_accepted() {
    let folder = Folder::new();
    let path = folder.path("echo");
    let mut server = Server::start(&format!("unix://{} echo --drain never", path.display()));
    let mut client = Script::start("$BIN connect $URL", &[("URL", server.url())]);
    client.write("x\n");
    assert_eq!(client.line(), "x");
    server.signal("TERM");
    server.wait_for_log("draining");
    assert!(!path.exists());
    client.finish();
    let (status, log) = server.wait();
    assert_eq!(status.code(), Some(0), "{log}");
}

#[test]
fn who_was_in_the_backlog_is_served() {
    let server = Server::start("tcp://127.0.0.1:0 echo --drain 30s");
    // Stopped, it accepts nobody; the clients are connected all the same.
    server.signal("STOP");
    let variables = [("PORT", server.port())];
    let clients = "python3 -c '
import socket, sys
clients = [socket.create_connection((\"127.0.0.1\", int(sys.argv[1]))) for _ in range(200)]
for s in clients: s.sendall(b\"waited\"); s.shutdown(socket.SHUT_WR)
print(\"connected\", flush=True); sys.stdin.readline()
print(sum(s.recv(10) == b\"waited\" for s in clients))' $PORT";
    let mut clients = Script::start(clients, &variables);
    assert_eq!(clients.line(), "connected");
    server.signal("TERM");
    server.signal("CONT");
    clients.write("\n");
    assert_eq!(clients.finish(), (Some(0), "200\n".to_owned()));
    let (status, log) = server.wait();
    assert_eq!(status.code(), Some(0), "{log}");
}

#[test]
fn sockets_of_datagrams_are_not_taken_for_connections() {
    let folder = Folder::new();
    let udg = format!("udg://{}", folder.text("echo"));
    let words = format!("tcp://127.0.0.1:0 udp://127.0.0.1:0 udp://[::1]:0 {udg} echo");
    for threads in ["1", "4"] {
        let mut server = Server::start(&format!("{words} --threads {threads} --drain 30s"));
        shell("echo x | $BIN connect $URL", &[("URL", server.url())]).prints("x\n");
        server.wait_for_log("closed");
        let mut clients =
            [0, 1].map(|_| Script::start("$BIN connect $URL", &[("URL", server.url())]));
        for client in &mut clients {
            client.write("x\n");
            assert_eq!(client.line(), "x");
        }
        server.signal("TERM");
        let line = server.wait_for_log("draining");
        assert!(line.contains("connections=2"), "{line}");
        for client in clients {
            client.finish();
        }
        let (status, log) = server.wait();
        assert_eq!(status.code(), Some(0), "{log}");
    }
}
