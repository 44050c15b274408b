//! Programs that answer datagrams: one for each peer, and for a datagram a datagram.

use std::fs;
use std::net::UdpSocket;
use std::os::unix::net::UnixDatagram;
use std::process::Command;
use std::time::{Duration, Instant};

use crate::programs::{children, exists, process, serve, variables};
use crate::support::{BINARY, Folder, LIMIT, Server, abstract_name, is_root, shell};

/// Answers each datagram with who it is, how many came and what this one was.
const NUMBERED: &str = "
import os
for count in range(1 << 30):
    asked = os.read(0, 70000)
    os.write(1, b'%d %d ' % (os.getpid(), count) + asked)
    if asked == b'end': break";

fn client(server: &Server) -> UdpSocket {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let port: u16 = server.port().parse().unwrap();
    socket.connect(("127.0.0.1", port)).unwrap();
    socket.set_read_timeout(Some(LIMIT)).unwrap();
    socket
}

fn said(client: &UdpSocket) -> Vec<u8> {
    let mut buffer = vec![0; 70_000];
    let length = client.recv(&mut buffer).unwrap();
    buffer.truncate(length);
    buffer
}

/// An answer of the numbered program: its process, its count, and what it was asked.
fn numbered(client: &UdpSocket) -> (u32, u32, Vec<u8>) {
    let answer = said(client);
    let mut parts = answer.splitn(3, |byte| *byte == b' ');
    let mut number = || {
        let text = String::from_utf8(parts.next().unwrap().to_vec()).unwrap();
        text.parse().unwrap()
    };
    (number(), number(), parts.next().unwrap().to_vec())
}

#[test]
fn each_of_many_peers_has_a_program_of_its_own() {
    let server = serve(
        "udp://127.0.0.1:0 --threads 2",
        &["python3", "-c", NUMBERED],
    );
    let clients: Vec<_> = (0..20).map(|_| client(&server)).collect();
    // Before any of the programs runs, and in turn.
    for number in 0..10 {
        for (index, client) in clients.iter().enumerate() {
            client.send(format!("{index} {number}").as_bytes()).unwrap();
        }
    }
    let mut processes: Vec<_> = clients
        .iter()
        .enumerate()
        .map(|(index, client)| {
            let answers: Vec<_> = (0..10).map(|_| numbered(client)).collect();
            let (process, _, _) = answers[0];
            for (number, answer) in answers.into_iter().enumerate() {
                let asked = format!("{index} {number}").into_bytes();
                assert_eq!(answer, (process, u32::try_from(number).unwrap(), asked));
            }
            process
        })
        .collect();
    processes.sort_unstable();
    processes.dedup();
    assert_eq!(processes.len(), clients.len());
    // And afterwards.
    for client in &clients {
        for asked in [&b""[..], &vec![b'x'; 65_000]] {
            client.send(asked).unwrap();
            let (process, _, said) = numbered(client);
            assert!(said == asked && processes.contains(&process));
        }
        client.send(b"end").unwrap();
        numbered(client);
    }
    let log = server.end();
    // The last of them may be found to have ended by the drain.
    let ended = log.matches("status=\"exit status: 0").count();
    assert_eq!(ended, clients.len(), "{log}");
    assert_eq!(log.matches(" lost=0 ").count(), clients.len(), "{log}");
}

#[test]
fn over_udp_it_is_told_both_addresses() {
    let told = "env | grep -E '^(PROTO|TCP|UD|UNIX)'";
    for (url, to, ip) in [
        ("udp://127.0.0.1:0", "127.0.0.1", "127.0.0.1"),
        ("udp://[::1]:0", "[::1]", "::1"),
        ("udp://0.0.0.0:0", "127.0.0.2", "127.0.0.2"),
        ("udp://[::]:0?v6only=0", "127.0.0.1", "127.0.0.1"),
    ] {
        let server = serve(url, &["sh", "-c", told]);
        let any = if to == "[::1]" { "[::]:0" } else { "0.0.0.0:0" };
        let client = UdpSocket::bind(any).unwrap();
        client.connect(format!("{to}:{}", server.port())).unwrap();
        client.set_read_timeout(Some(LIMIT)).unwrap();
        client.send(b"?").unwrap();
        let from = client.local_addr().unwrap();
        let expected = [
            "PROTO=UDP".to_owned(),
            format!("UDPLOCALIP={ip}"),
            format!("UDPLOCALPORT={}", server.port()),
            format!("UDPREMOTEIP={}", from.ip()),
            format!("UDPREMOTEPORT={}", from.port()),
        ];
        let text = String::from_utf8(said(&client)).unwrap();
        assert_eq!(variables(&text), expected, "{url} {to}");
        server.end();
    }
}

#[test]
fn over_udg_it_is_told_names() {
    let folder = Folder::new();
    let (path, name) = (folder.text("server"), abstract_name("dialogue"));
    let told = "env | grep -E '^(PROTO|TCP|UD|UNIX)'";
    let server = serve(&format!("udg://{path} udg://@{name}"), &["sh", "-c", told]);
    let bound = UnixDatagram::bind(folder.path("client")).unwrap();
    bound.set_read_timeout(Some(LIMIT)).unwrap();
    bound.send_to(b"?", &path).unwrap();
    let mut buffer = [0; 1000];
    let length = bound.recv(&mut buffer).unwrap();
    let text = String::from_utf8(buffer[..length].to_vec()).unwrap();
    let expected = [
        "PROTO=UDG".to_owned(),
        format!("UDGLOCALPATH={path}"),
        format!("UDGREMOTEPATH={}", folder.text("client")),
    ];
    assert_eq!(variables(&text), expected);
    // A client that is ours has a name that the kernel chose.
    let outcome = shell("echo ? | $BIN connect udg://@$NAME", &[("NAME", &name)]);
    let told = variables(outcome.text());
    let expected = ["PROTO=UDG".to_owned(), format!("UDGLOCALPATH=@{name}")];
    assert_eq!(told[..2], expected);
    assert!(told[2].starts_with("UDGREMOTEPATH=@"), "{told:?}");
    server.end();
}

#[test]
fn one_without_a_name_is_heard_and_not_answered() {
    let folder = Folder::new();
    let (path, heard) = (folder.text("server"), folder.text("heard"));
    let hear = format!("cat >>{heard}; echo an answer");
    let mut server = serve(&format!("udg://{path}"), &["sh", "-c", &hear]);
    for text in ["one\n", "two\n"] {
        UnixDatagram::unbound()
            .unwrap()
            .send_to(text.as_bytes(), &path)
            .unwrap();
        let line = server.wait_for_log("closed");
        let status = "status=\"exit status: 0, the peer has no name to answer to\"";
        assert!(line.contains(status) && line.contains("lost=1"), "{line}");
    }
    assert_eq!(fs::read_to_string(heard).unwrap(), "one\ntwo\n");
    server.end();
}

#[test]
fn a_program_that_ends_is_started_anew_for_the_next_datagram() {
    let mut server = serve(
        "udp://127.0.0.1:0",
        &["dd", "bs=1000", "count=1", "status=none"],
    );
    let client = client(&server);
    for text in ["one", "two", "three"] {
        client.send(text.as_bytes()).unwrap();
        assert_eq!(said(&client), text.as_bytes());
        let line = server.wait_for_log("closed");
        assert!(line.contains("status=\"exit status: 0\""), "{line}");
        assert!(!exists(process(&line)), "{line}");
    }
    assert_eq!(children(&server), 0);
    server.rests();
    server.end();
}

#[test]
fn an_idle_peer_ends_and_a_program_that_takes_no_notice_is_killed() {
    let mut server = serve(
        "udp://127.0.0.1:0 --peer-idle-timeout 300ms",
        &[
            "sh",
            "-c",
            "read -r word; case $word in s*) exec sleep 1000;; *) exec cat;; esac",
        ],
    );
    let (polite, stubborn) = (client(&server), client(&server));
    polite.send(b"cat\n").unwrap();
    stubborn.send(b"sleep\n").unwrap();
    let start = Instant::now();
    let line = server.wait_for_log("closed");
    let status = "status=\"exit status: 0, the peer was idle for too long\"";
    assert!(line.contains(status), "{line}");
    assert!(start.elapsed() >= Duration::from_millis(250));
    let line = server.wait_for_log("closed");
    let status = "status=\"signal: 9 (SIGKILL), the peer was idle for too long\"";
    assert!(line.contains(status), "{line}");
    assert!(!exists(process(&line)), "{line}");
    assert_eq!(children(&server), 0);
    server.end();
}

#[test]
fn so_many_run_at_once_and_further_peers_are_counted() {
    let mut server = serve("udp://127.0.0.1:0 --max-peers 2", &["cat"]);
    let clients: Vec<_> = (0..3).map(|_| client(&server)).collect();
    for client in &clients[..2] {
        client.send(b"hello").unwrap();
        assert_eq!(said(client), b"hello");
    }
    clients[2].send(b"hello").unwrap();
    let line = server.wait_for_log("warning: refused");
    assert!(line.contains("peers=1"), "{line}");
    assert_eq!(children(&server), 2);
    server.end();
}

#[test]
fn a_drain_tells_it_the_end_and_kills_it_in_the_end() {
    for (program, status) in [
        ("cat", "status=\"exit status: 0, the server drains\""),
        (
            "cat; exec sleep 1000",
            "status=\"signal: 9 (SIGKILL), cut off at the end of the drain\"",
        ),
    ] {
        let words = "tcp://127.0.0.1:0 udp://127.0.0.1:0 --drain 300ms --threads 2";
        let mut server = serve(words, &["sh", "-c", program]);
        let url = server.urls()[1].clone();
        let asked = "echo hello | $BIN connect $URL --timeout 30s";
        shell(asked, &[("URL", &url)]).prints("hello\n");
        server.signal("TERM");
        let line = server.wait_for_log("closed");
        assert!(line.contains(status), "{line}");
        assert!(!exists(process(&line)), "{line}");
        let (code, log) = server.wait();
        assert_eq!(code.code(), Some(0), "{log}");
    }
}

#[test]
fn what_no_datagram_can_hold_is_counted() {
    let long = "import os; os.read(0, 9); os.write(1, b'x' * 65508); os.write(1, b'y' * 65507)";
    let mut server = serve("udp://127.0.0.1:0", &["python3", "-c", long]);
    let client = client(&server);
    client.send(b"?").unwrap();
    assert_eq!(said(&client), vec![b'y'; 65_507]);
    let line = server.wait_for_log("closed");
    assert!(line.contains("sent=65507 lost=1"), "{line}");
    server.end();
}

#[test]
fn all_are_reaped() {
    let mut server = serve("udp://127.0.0.1:0 --threads 2", &["true"]);
    let clients: Vec<_> = (0..50).map(|_| client(&server)).collect();
    clients
        .iter()
        .for_each(|client| assert_eq!(client.send(b"?").unwrap(), 1));
    (0..50).for_each(|_| drop(server.wait_for_log("closed")));
    assert_eq!(children(&server), 0);
    server.rests();
    server.end();
}

#[test]
fn other_servers_have_no_program() {
    if !is_root() {
        eprintln!("skipped: only root may send from port 19");
        return;
    }
    let mut server = serve("udp://127.0.0.1:0", &["cat"]);
    let forge = "python3 -c '
import socket, sys
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.bind((\"127.0.0.8\", 19)); s.settimeout(0.3)
s.sendto(b\"x\", (\"127.0.0.1\", int(sys.argv[1])))
try: print(s.recv(10))
except socket.timeout: print(\"nothing\")' $PORT";
    shell(forge, &[("PORT", server.port())]).prints("nothing\n");
    let line = server.wait_for_log("warning: refused");
    assert!(line.contains("it is a server like this one"), "{line}");
    server.end();
}

#[test]
fn behind_a_proxy_it_is_told_of_the_client() {
    let tell = "dd bs=64k count=1 2>/dev/null; echo $UDPREMOTEIP:$UDPREMOTEPORT";
    let mut command = Command::new(BINARY);
    command
        .args(["serve", "udp://127.0.0.1:0", "--proxy-protocol", "required"])
        .args(["--proxy-from", "127.0.0.1", "--", "sh", "-c", tell]);
    let server = Server::start_command(command, 1);
    let relay = Server::relay(&format!(
        "udp://127.0.0.1:0 {} --send-proxy v2",
        server.url()
    ));
    let (direct, through) = (UdpSocket::bind("127.0.0.1:0").unwrap(), client(&relay));
    direct
        .connect(format!("127.0.0.1:{}", server.port()))
        .unwrap();
    direct.send(b"bare\n").unwrap();
    through.send(b"hello").unwrap();
    let own = through.local_addr().unwrap();
    assert_eq!(said(&through), b"hello");
    assert_eq!(said(&through), format!("{own}\n").into_bytes());
    direct.set_nonblocking(true).unwrap();
    assert!(direct.recv(&mut [0; 64]).is_err());
}
