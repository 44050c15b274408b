//! Peers that are slow, silent or too many, beside one that is quick.

use std::process::Command;

use crate::support::{BINARY, Script, Server, shell};

/// Connections that say and read nothing, held until the script's input ends.
const HOLD: &str = "python3 -c '
import select, socket, sys
port, count, text = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3].encode()
held = [socket.create_connection((\"127.0.0.1\", port)) for _ in range(count)]
for s in held:
    s.setblocking(False)
    while text and select.select([], [s], [], 0.3)[1]:
        try: s.send(text * 10000)
        except BlockingIOError: pass
        except OSError: break
print(\"held\", flush=True); sys.stdin.read()' $PORT ";

#[test]
fn silent_clients_and_slow_readers_delay_nobody() {
    for (service, text) in [
        ("echo", "''"),
        ("echo", "slow"),
        ("chargen", "''"),
        ("discard", "''"),
    ] {
        let server = Server::start(&format!("tcp://127.0.0.1:0 {service}"));
        let variables = [("PORT", server.port())];
        let mut held = Script::start(&format!("{HOLD} 10 {text}"), &variables);
        assert_eq!(held.line(), "held");
        server.rests();
        let quick = match service {
            "echo" => "seq 1000 | $BIN connect 127.0.0.1:$PORT --timeout 10s | tail -1",
            "chargen" => {
                "$BIN connect 127.0.0.1:$PORT --timeout 10s </dev/null | \
                 head -c 1000000 | tail -c 1000 | wc -c"
            }
            _ => "seq 1000 | $BIN connect 127.0.0.1:$PORT --timeout 10s; echo 1000",
        };
        shell(quick, &variables).prints("1000\n");
        held.finish();
        server.end();
    }
}

#[test]
fn a_client_that_has_its_answer_and_never_closes_delays_nobody() {
    let server = Server::start("tcp://127.0.0.1:0 daytime");
    let variables = [("PORT", server.port())];
    let mut held = Script::start(&format!("{HOLD} 50 ''"), &variables);
    assert_eq!(held.line(), "held");
    let quick = shell(
        "$BIN connect 127.0.0.1:$PORT </dev/null | wc -l",
        &variables,
    );
    quick.prints("1\n");
    held.finish();
    server.end();
}

#[test]
fn a_client_that_has_ended_and_does_not_read_costs_nothing() {
    let server = Server::start("tcp://127.0.0.1:0 chargen");
    let deaf = "python3 -c '
import socket, sys
s = socket.create_connection((\"127.0.0.1\", int(sys.argv[1]))); s.shutdown(socket.SHUT_WR)
print(\"deaf\", flush=True); sys.stdin.read()' $PORT";
    let mut deaf = Script::start(deaf, &[("PORT", server.port())]);
    assert_eq!(deaf.line(), "deaf");
    shell("sleep 0.5", &[]);
    server.rests();
    deaf.finish();
    server.end();
}

#[test]
fn an_echo_client_that_does_not_read_is_not_read_from() {
    let server = Server::start("tcp://127.0.0.1:0 echo --receive-buffer 64KiB --send-buffer 64KiB");
    // What the kernel's buffers and one read hold is all that it can get rid of.
    let greedy = "python3 -c '
import select, socket, sys
s = socket.create_connection((\"127.0.0.1\", int(sys.argv[1]))); s.setblocking(False)
sent = 0
while select.select([], [s], [], 1)[1]:
    try: sent += s.send(b\"x\" * 65536)
    except BlockingIOError: pass
    if sent > 1 << 26: break
print(sent < 1 << 26)
s.setblocking(True); s.shutdown(socket.SHUT_WR)
back = 0
while chunk := s.recv(1 << 20): back += len(chunk)
print(back == sent)' $PORT";
    shell(greedy, &[("PORT", server.port())]).prints("True\nTrue\n");
    server.end();
}

#[test]
fn read_and_write_timeouts_end_idle_connections() {
    let mut server = Server::start(
        "tcp://127.0.0.1:0?read_timeout=200ms tcp://127.0.0.1:0 echo \
         --read-timeout 1h --write-timeout 300ms",
    );
    let script = format!("{HOLD} 1 ''");
    let mut silent = Script::start(&script, &[("PORT", server.port())]);
    assert_eq!(silent.line(), "held");
    let line = server.wait_for_log("closed");
    assert!(line.contains("reason=read timed out after 200ms"), "{line}");
    let (_, second) = server.urls()[1].rsplit_once(':').unwrap();
    let script = format!("{HOLD} 1 deaf");
    let mut deaf = Script::start(&script, &[("PORT", second)]);
    assert_eq!(deaf.line(), "held");
    let line = server.wait_for_log("closed");
    assert!(
        line.contains("reason=write timed out after 300ms"),
        "{line}"
    );
    drop((silent, deaf));
    server.end();
}

#[test]
fn a_client_that_takes_it_slowly_is_not_idle() {
    let script = "python3 -c '
import socket, sys, time
s = socket.socket(); s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 32768)
s.connect((\"127.0.0.1\", int(sys.argv[1])))
begun, left, read = time.time(), 8 << 20, 0
while (passed := time.time() - begun) < 3:
    time.sleep(0.01)
    while read < passed * 100000 and (got := s.recv(1000)): read += len(got)
while left > 0:
    got = len(s.recv(65536)); left -= got
    if not got: sys.exit(\"cut off\")
print(\"all\")' $PORT";
    for limit in ["--idle-timeout 1s", "--write-timeout 1s"] {
        let server = Server::start(&format!("tcp://127.0.0.1:0 chargen {limit}"));
        shell(script, &[("PORT", server.port())]).prints("all\n");
        server.end();
    }
}

#[test]
fn a_lack_of_descriptors_pauses_accepting_and_no_more() {
    let mut command = Command::new("bash");
    let script = format!("ulimit -n 20; exec {BINARY} serve tcp://127.0.0.1:0 echo");
    command.args(["-c", &script]);
    let mut server = Server::start_command(command, 1);
    let port = server.port().to_owned();
    let variables = [("PORT", port.as_str())];
    let mut held = Script::start(&format!("{HOLD} 40 ''"), &variables);
    assert_eq!(held.line(), "held");
    let line = server.wait_for_log("refused");
    assert!(line.contains("full=0 per_ip=0 exhausted="), "{line}");
    held.finish();
    server.rests();
    shell("echo hello | $BIN connect 127.0.0.1:$PORT", &variables).prints("hello\n");
    server.end();
}

#[test]
fn a_client_that_resets_ends_itself_alone() {
    let mut server = Server::start("tcp://127.0.0.1:0 echo");
    let variables = [("PORT", server.port())];
    let mut held = Script::start("$BIN connect 127.0.0.1:$PORT", &variables);
    held.write("one\n");
    assert_eq!(held.line(), "one");
    let reset = "python3 -c '
import socket, struct, sys
s = socket.create_connection((\"127.0.0.1\", int(sys.argv[1]))); s.send(b\"x\"); s.recv(1)
s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack(\"ii\", 1, 0)); s.close()' $PORT";
    shell(reset, &variables).prints("");
    let line = server.wait_for_log("ECONNRESET");
    assert!(line.contains("closed"), "{line}");
    held.write("two\n");
    assert_eq!(held.finish(), (Some(0), "two\n".to_owned()));
    server.end();
}
