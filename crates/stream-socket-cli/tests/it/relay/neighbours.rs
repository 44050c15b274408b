//! What those who use one relay, in one thread, notice of each other.

use std::io::{ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::thread;
use std::time::{Duration, Instant};

use stream_socket::{ConnectOptions, Stream};

use super::conversation::{Conversation, Plan, hold};
use crate::support::{LIMIT, Server};

const FAST: u64 = 100;

/// Two pairs of socket buffers, of at most 6 MiB and 4 MiB each (tcp(7)), and one pipe.
const HELD_AT_MOST: usize = 24 << 20;

/// Sends until nobody has taken anything for a while; how much it was.
fn glut(mut stream: &TcpStream) -> usize {
    stream.set_nonblocking(true).unwrap();
    let (mut sent, mut last) = (0, Instant::now());
    while last.elapsed() < Duration::from_millis(300) {
        match stream.write(&[7; 65536]) {
            Ok(count) => (sent, last) = (sent + count, Instant::now()),
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                thread::sleep(Duration::from_millis(5));
            }
            Err(error) => panic!("after {sent} bytes: {error}"),
        }
    }
    stream.set_nonblocking(false).unwrap();
    sent
}

#[test]
fn who_does_not_read_costs_a_hundred_others_nothing() {
    let target = TcpListener::bind("127.0.0.1:0").unwrap();
    let words = format!(
        "tcp://127.0.0.1:0 tcp://{} --threads 1",
        target.local_addr().unwrap()
    );
    let relay = Server::relay(&words);
    let address = relay.url().strip_prefix("tcp://").unwrap();

    let mut stalled = TcpStream::connect(address).unwrap();
    let (sender, _) = target.accept().unwrap();
    let mut held = glut(&sender);
    assert!(held < HELD_AT_MOST, "{held} bytes were taken");
    // Not even the relay's time.
    relay.rests();

    let plan = Plan {
        up: 200_000,
        down: 200_000,
        breaks: None,
    };
    let begin = |seed| {
        let client = Stream::connect(relay.url(), &ConnectOptions::default()).unwrap();
        let accept = || Stream::try_from(OwnedFd::from(target.accept().unwrap().0)).unwrap();
        Conversation::begin(client, accept, false, seed, plan)
    };
    let mut fast: Vec<_> = (0..FAST).map(begin).collect();
    hold(&mut fast).unwrap();
    drop(fast);
    held += glut(&sender);
    assert!(held < HELD_AT_MOST, "{held} bytes were taken");

    // What is held is kept.
    drop(sender);
    stalled.set_read_timeout(Some(LIMIT)).unwrap();
    let mut bytes = Vec::new();
    stalled.read_to_end(&mut bytes).unwrap();
    assert!(bytes.len() == held && bytes.iter().all(|byte| *byte == 7));
    let log = relay.end();
    let whole = log.matches("up=200000 down=200000 ").count();
    assert_eq!(whole as u64, FAST, "{log}");
}
