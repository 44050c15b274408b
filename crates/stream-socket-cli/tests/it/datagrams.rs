//! What is special to udp and udg: where answers leave from, how large they are, and who gets none.

use std::process::Command;

use crate::support::{BINARY, Folder, Server, is_root, shell};

/// Sends each line of the script's arguments from an address, and tells who answered what.
const ASK: &str = "
import socket, sys
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.bind((sys.argv[1], int(sys.argv[2]))); s.settimeout(float(sys.argv[4]))
port = int(sys.argv[3])
for host in sys.argv[5:]:
    s.sendto(b'question', (host, port))
    try:
        answer, peer = s.recvfrom(1000)
        print(peer[0], peer[1] == port, answer.decode())
    except socket.timeout:
        print('nothing')
";

#[test]
fn a_wildcard_socket_answers_from_the_address_that_was_asked() {
    let server = Server::start("udp://0.0.0.0:0 echo");
    let variables = [("PORT", server.port()), ("ASK", ASK)];
    let script = "python3 -c \"$ASK\" 0.0.0.0 0 $PORT 10 127.0.0.2 127.0.0.1 127.1.2.3";
    shell(script, &variables)
        .prints("127.0.0.2 True question\n127.0.0.1 True question\n127.1.2.3 True question\n");
    // A connected client hears nothing from another address.
    shell(
        "printf hello | $BIN connect udp://127.0.0.2:$PORT",
        &variables,
    )
    .prints("hello");
    server.end();
}

#[test]
fn an_ipv6_wildcard_socket_answers_both_families() {
    let server = Server::start("udp://[::]:0 echo");
    let variables = [("PORT", server.port())];
    for host in ["[::1]", "127.0.0.2"] {
        let script = format!("printf hello | $BIN connect udp://{host}:$PORT");
        shell(&script, &variables).prints("hello");
    }
    server.end();
}

#[test]
fn other_servers_are_not_answered() {
    if !is_root() {
        eprintln!("skipped: only root may send from port 19");
        return;
    }
    let mut server = Server::start("udp://127.0.0.1:0 echo");
    for port in [7, 9, 13, 17, 19, 37] {
        let script = format!("python3 -c \"$ASK\" 127.0.0.9 {port} $PORT 0.2 127.0.0.1 127.0.0.1");
        let variables = [("PORT", server.port()), ("ASK", ASK)];
        shell(&script, &variables).prints("nothing\nnothing\n");
    }
    let line = server.wait_for_log("refused");
    assert!(line.contains("peer=127.0.0.9:7 "), "{line}");
    let log = server.end();
    assert_eq!(log.matches(" refused ").count(), 1, "{log}");
    assert!(log.contains("received=12 answered=0 refused=12"), "{log}");
}

/// Two sockets of one server could be made to answer each other by a forged sender.
#[test]
fn our_own_sockets_are_not_answered() {
    let folder = Folder::new();
    let (one, two) = (folder.text("one"), folder.text("two"));
    let server = Server::start(&format!("udg://{one} udg://{two} echo"));
    // The file stays the first socket's own name under which the second is then asked.
    let forge = "python3 -c '
import os, socket, sys
one, two = sys.argv[1:]
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
os.rename(one, one + \".away\"); s.bind(one); s.sendto(b\"x\", two); os.rename(one + \".away\", one)
s.settimeout(0.3)
try: print(s.recv(10))
except socket.timeout: print(\"nothing\")' $ONE $TWO";
    shell(forge, &[("ONE", &one), ("TWO", &two)]).prints("nothing\n");
    let log = server.end();
    assert!(log.contains("refused=1"), "{log}");
}

#[test]
fn an_unnamed_client_is_counted() {
    let folder = Folder::new();
    let path = folder.text("echo");
    let mut server = Server::start(&format!("udg://{path} echo"));
    shell("printf x | socat - UNIX-SENDTO:$NAMED", &[("NAMED", &path)]).prints("");
    let line = server.wait_for_log("refused");
    assert!(line.contains("the peer has no name"), "{line}");
    shell("printf y | $BIN connect udg://$NAMED", &[("NAMED", &path)]).prints("y");
    let log = server.end();
    assert!(log.contains("received=2 answered=1 refused=1"), "{log}");
}

#[test]
fn an_answer_larger_than_three_times_the_question_is_not_sent() {
    let format = "x".repeat(100);
    let server = Server::start(&format!(
        "udp://127.0.0.1:0 daytime --daytime-format {format}"
    ));
    let variables = [("URL", server.url())];
    shell("printf 12345678901234 | $BIN connect $URL", &variables).prints("");
    // 3 × (28 + 15) − 28 = 101 bytes: the line and its end.
    let enough = shell("printf 123456789012345 | $BIN connect $URL", &variables);
    enough.prints(&format!("{format}\n"));
    let log = server.end();
    assert!(log.contains("more than three times"), "{log}");
    assert!(log.contains("answered=1 refused=1"), "{log}");
}

#[test]
fn an_unsendable_answer_ends_nothing() {
    let folder = Folder::new();
    let path = folder.text("echo");
    let server = Server::start(&format!("udg://{path} echo"));
    // The client is gone, or reads nothing, before the answer comes.
    let rude = "python3 -c '
import os, socket, sys
def client(name):
    s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM); s.bind(name); return s
gone = client(sys.argv[1] + \".gone\"); os.unlink(sys.argv[1] + \".gone\")
gone.sendto(b\"x\", sys.argv[1]); gone.close()
deaf = client(sys.argv[1] + \".deaf\")
for _ in range(3000): deaf.sendto(b\"x\" * 1000, sys.argv[1])
polite = client(sys.argv[1] + \".polite\"); polite.settimeout(10)
polite.sendto(b\"hello\", sys.argv[1]); print(polite.recv(10).decode())' $NAMED";
    shell(rude, &[("NAMED", &path)]).prints("hello\n");
    let log = server.end();
    assert!(log.contains("the answer could not be sent"), "{log}");
}

#[test]
fn a_burst_is_answered_in_batches_and_whole() {
    let server = Server::start("udp://127.0.0.1:0 echo");
    let burst = "python3 -c '
import socket, sys
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.settimeout(10)
s.connect((\"127.0.0.1\", int(sys.argv[1])))
for n in range(100): s.send(b\"%d\" % n)
print([int(s.recv(10)) for _ in range(100)] == list(range(100)))' $PORT";
    shell(burst, &[("PORT", server.port())]).prints("True\n");
    server.end();
}

/// Whoever asks from port 0, which no answer can be sent to, is root and has a raw socket.
#[test]
fn of_answers_that_travel_together_and_are_refused_each_is_counted() {
    if !is_root() {
        return;
    }
    let server = Server::start("udp://127.0.0.1:0 echo --threads 1");
    let ask = "python3 -c '
import socket, struct, sys
port, to = int(sys.argv[1]), (\"127.0.0.1\", 0)
raw = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_UDP)
for i in range(7): raw.sendto(struct.pack(\">HHHH\", 0, port, 13, 0) + b\"hello\", to)
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.sendto(b\"hello\", (to[0], port))' $PORT";
    // Stopped, it finds them all at once.
    server.signal("STOP");
    shell(ask, &[("PORT", server.port())]).prints("");
    server.signal("CONT");
    let hello = "echo hello | $BIN connect $URL --timeout 5s";
    shell(hello, &[("URL", server.url())]).prints("hello\n");
    let log = server.end();
    assert!(log.contains("received=9 answered=2 refused=7"), "{log}");
}

/// A batch has room for 64 datagrams of 64 KiB, and there are two of them.
#[test]
fn sockets_share_the_room_for_datagrams() {
    let size = |sockets: usize| {
        let mut command = Command::new(BINARY);
        command
            .arg("serve")
            .args(vec!["udp://127.0.0.1:0"; sockets]);
        // An arena of malloc's for a thread is 64 MiB of addresses.
        command
            .args(["echo", "--threads", "1"])
            .env("MALLOC_ARENA_MAX", "1");
        let server = Server::start_command(command, sockets);
        // Who answers has all that he works with.
        shell("printf hello | $BIN connect $URL", &[("URL", server.url())]).prints("hello");
        let size = "awk '/^VmSize/ { print $2 }' /proc/$ID/status";
        let outcome = shell(size, &[("ID", &server.id().to_string())]);
        server.end();
        outcome.text().trim().parse::<u64>().unwrap()
    };
    let (one, many) = (size(1), size(17));
    assert!(many < one + (16 << 10), "{one} KiB, {many} KiB");
}
