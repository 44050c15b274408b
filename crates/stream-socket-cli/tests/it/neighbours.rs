//! A few clients of one thread, seen from outside: who is greedy, idle, old or one of too many,
//! and what the others notice of it.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use crate::support::{LIMIT, Server, shell};

fn connect(server: &Server) -> TcpStream {
    let address = server.url().strip_prefix("tcp://").unwrap();
    let stream = TcpStream::connect(address).unwrap();
    stream.set_nodelay(true).unwrap();
    stream.set_read_timeout(Some(LIMIT)).unwrap();
    stream
}

fn ask(mut stream: &TcpStream) {
    stream.write_all(b"x").unwrap();
    stream.read_exact(&mut [0]).unwrap();
}

/// Sends until nobody takes it any more, and never reads; how much it was.
fn glut(mut stream: &TcpStream) -> usize {
    stream
        .set_write_timeout(Some(Duration::from_millis(300)))
        .unwrap();
    let mut sent = 0;
    loop {
        match stream.write(&[b'x'; 65536]) {
            Ok(count) => sent += count,
            Err(error) if error.kind() == ErrorKind::WouldBlock => return sent,
            Err(error) => panic!("after {sent} bytes: {error}"),
        }
    }
}

#[test]
fn who_never_reads_delays_nobody_in_the_same_thread() {
    let server = Server::start("tcp://127.0.0.1:0 echo --threads 1");
    let greedy: Vec<_> = (0..5).map(|_| connect(&server)).collect();
    for client in &greedy {
        assert!(glut(client) > 1 << 20);
    }
    server.rests();
    let honest = connect(&server);
    (0..1000).for_each(|_| ask(&honest));
    drop((greedy, honest));
    server.end();

    let server = Server::start("tcp://127.0.0.1:0 chargen --threads 1");
    let deaf: Vec<_> = (0..5).map(|_| connect(&server)).collect();
    // That each has been served so far shows in what a newcomer gets.
    let mut honest = connect(&server);
    let mut text = vec![0; 10 << 20];
    honest.read_exact(&mut text).unwrap();
    drop(honest);
    server.rests();
    drop(deaf);
    server.end();
}

/// A client that is served without end takes turns with the others.
#[test]
fn who_never_stops_reading_delays_nobody_in_the_same_thread() {
    let server = Server::start("tcp://127.0.0.1:0 chargen --threads 1");
    let script = "$BIN connect $URL </dev/null | head -c $BYTES | wc -c";
    let busy: Vec<_> = (0..3)
        .map(|_| {
            let variables = [("URL", server.url()), ("BYTES", "100000000")];
            crate::support::Script::start(script, &variables)
        })
        .collect();
    let variables = [("URL", server.url()), ("BYTES", "1000000")];
    shell(script, &variables).prints("1000000\n");
    for client in busy {
        assert_eq!(client.finish().1, "100000000\n");
    }
    server.end();
}

#[test]
fn each_byte_is_answered_by_itself() {
    let server = Server::start("tcp://127.0.0.1:0 echo --threads 1");
    let mut client = connect(&server);
    for byte in (0..=255).cycle().take(3000) {
        client.write_all(&[byte]).unwrap();
        let mut back = [0];
        client.read_exact(&mut back).unwrap();
        assert_eq!(back, [byte]);
    }
    drop(client);
    let log = server.end();
    assert!(log.contains("received=3000 sent=3000"), "{log}");
}

#[test]
fn an_idle_connection_is_closed_and_a_busy_one_is_not() {
    let mut server = Server::start("tcp://127.0.0.1:0 echo --idle-timeout 1s");
    let (start, busy) = (Instant::now(), connect(&server));
    let (mut idle, mut buffer) = (connect(&server), [0]);
    // Pauses that are shorter than the limit, and together longer.
    while start.elapsed() < Duration::from_millis(1500) {
        ask(&busy);
        shell("sleep 0.1", &[]);
    }
    let last = Instant::now();
    ask(&busy);
    assert_eq!(idle.read(&mut buffer).unwrap(), 0);
    let line = server.wait_for_log("closed");
    assert!(
        line.contains("received=0 sent=0") && line.contains("reason=idle for too long"),
        "{line}"
    );
    assert_eq!((&busy).read(&mut buffer).unwrap(), 0);
    assert!(
        last.elapsed() >= Duration::from_secs(1),
        "{:?}",
        last.elapsed()
    );
    let line = server.wait_for_log("closed");
    assert!(line.contains("reason=idle for too long"), "{line}");
    server.end();
}

#[test]
fn a_connection_ends_with_its_lifetime_however_busy_it_is() {
    let mut server = Server::start("tcp://127.0.0.1:0 echo --lifetime 500ms --idle-timeout 10s");
    let (start, mut client) = (Instant::now(), connect(&server));
    let mut answers = 0;
    while client.write_all(b"x").is_ok() && client.read(&mut [0]).is_ok_and(|count| count == 1) {
        answers += 1;
    }
    assert!(
        start.elapsed() >= Duration::from_millis(500),
        "{:?}",
        start.elapsed()
    );
    assert!(answers > 10, "{answers}");
    let line = server.wait_for_log("closed");
    assert!(line.contains("reason=its lifetime is over"), "{line}");
    server.end();
}

#[test]
fn an_address_has_its_share_and_others_have_theirs() {
    let mut server = Server::start("tcp://127.0.0.1:0 echo --max-connections-per-ip 2 --threads 2");
    let (first, second) = (connect(&server), connect(&server));
    ask(&first);
    ask(&second);
    assert_eq!(connect(&server).read(&mut [0]).unwrap(), 0);
    let other = "python3 -c '
import socket, sys
s = socket.create_connection((\"127.0.0.1\", int(sys.argv[1])), source_address=(\"127.0.0.2\", 0))
s.sendall(b\"other\"); print(s.recv(10).decode())' $PORT";
    shell(other, &[("PORT", server.port())]).prints("other\n");
    let line = server.wait_for_log("warning");
    assert!(line.contains("per_ip=1"), "{line}");
    drop(first);
    // Its end has to be noticed first.
    let start = Instant::now();
    let mut answer = [0];
    while answer != *b"x" {
        assert!(start.elapsed() < LIMIT);
        let mut next = connect(&server);
        // Whoever is closed with a question unread is reset.
        _ = next.write_all(b"x").and_then(|()| next.read(&mut answer));
    }
    drop(second);
    server.end();
}
