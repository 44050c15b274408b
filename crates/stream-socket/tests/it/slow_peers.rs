//! Silent and slow peers beside a fast one: a loop of non-blocking streams and select, in which
//! nobody waits for anybody else.

use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::fd::OwnedFd;
use std::sync::mpsc::{self, Sender};
use std::thread::{self, JoinHandle};

use stream_socket::{Interest, Listener, Member, Stream, Transport, select};

use crate::support::peer::Peer;
use crate::support::{PATIENCE, listen, noise};

/// A server that sends every line back, each client's as it comes, until it is told to stop.
struct Server {
    address: SocketAddr,
    _stop: Stream,
    /// What the server tells: lines that it served.
    served: mpsc::Receiver<Vec<u8>>,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    fn start() -> Self {
        let listener = listen("tcp://127.0.0.1:0");
        let address = listener.local_addr().to_string().parse().unwrap();
        let (stop, stopped) = Stream::pair(Transport::Unix).unwrap();
        let (tell, served) = mpsc::channel();
        let thread = thread::spawn(move || serve(&listener, &stopped, &tell));
        Self {
            address,
            _stop: stop,
            served,
            thread: Some(thread),
        }
    }

    fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // The loop ends when its end of the pair does.
        self._stop.shutdown(std::net::Shutdown::Both).unwrap();
        let result = self.thread.take().unwrap().join();
        assert!(result.is_ok() || thread::panicking());
    }
}

/// A client, and what it is still owed.
struct Client {
    stream: Stream,
    owed: Vec<u8>,
}

fn serve(listener: &Listener, stopped: &Stream, tell: &Sender<Vec<u8>>) {
    let mut clients: Vec<Client> = Vec::new();
    loop {
        let mut members = vec![
            Member::new(stopped, Interest::READ),
            Member::new(listener, Interest::READ),
        ];
        members.extend(clients.iter().map(|client| {
            let writes = if client.owed.is_empty() {
                Interest::default()
            } else {
                Interest::WRITE
            };
            Member::new(&client.stream, Interest::READ.and(writes))
        }));
        select(&mut members, None).unwrap();
        let ready: Vec<_> = members.iter().map(|member| member.readiness()).collect();
        if ready[0].any() {
            return;
        }
        let mut turn = ready[2..].iter();
        clients.retain_mut(|client| !turn.next().unwrap().any() || advance(client, tell));
        if ready[1].readable {
            let mut stream = listener.accept(None).unwrap();
            stream.set_blocking(false);
            clients.push(Client {
                stream,
                owed: Vec::new(),
            });
        }
    }
}

/// Goes on with one client as far as that can be done now; whether it stays.
fn advance(client: &mut Client, tell: &Sender<Vec<u8>>) -> bool {
    loop {
        if !client.owed.is_empty() {
            match client.stream.write(&client.owed) {
                Ok(length) => drop(client.owed.drain(..length)),
                Err(error) => return error.kind() == ErrorKind::WouldBlock,
            }
            continue;
        }
        let mut line = Vec::new();
        match client.stream.read_line(&mut line, 1 << 20) {
            Ok(true) => {
                // The test may have seen enough.
                _ = tell.send(line.clone());
                client.owed = line;
            }
            Ok(false) => return false,
            Err(error) => return error.io_kind() == ErrorKind::WouldBlock,
        }
    }
}

fn ask(stream: &mut TcpStream, line: &str) -> String {
    stream.write_all(line.as_bytes()).unwrap();
    let mut answer = String::new();
    BufReader::new(stream).read_line(&mut answer).unwrap();
    answer
}

#[test]
fn silent_and_slow_clients_hold_up_nobody() {
    let server = Server::start();
    let silent: Vec<_> = (0..20).map(|_| server.connect()).collect();
    let mut slow = server.connect();
    for byte in b"slow" {
        slow.write_all(&[*byte]).unwrap();
        let mut fast = server.connect();
        for round in 0..50 {
            let line = format!("line {round}\n");
            assert_eq!(ask(&mut fast, &line), line);
        }
    }
    // Its half line was kept all the while.
    assert_eq!(ask(&mut slow, "ly\n"), "slowly\n");
    let mut last = silent.into_iter().next_back().unwrap();
    assert_eq!(ask(&mut last, "at last\n"), "at last\n");
}

/// A client that asks for much and reads nothing is owed it; nobody else is the poorer.
#[test]
fn a_client_that_does_not_read_holds_up_nobody() {
    let server = Server::start();
    let mut greedy = server.connect();
    let mut writer = greedy.try_clone().unwrap();
    let mut line = noise(1 << 19, 4);
    line.retain(|byte| *byte != b'\n');
    line.push(b'\n');
    let lines = 40;
    let sent = line.clone();
    let writing = thread::spawn(move || (0..lines).for_each(|_| writer.write_all(&sent).unwrap()));
    // The server has begun to owe it something.
    assert_eq!(server.served.recv_timeout(PATIENCE).unwrap(), line);
    let mut fast = server.connect();
    for round in 0..50 {
        let text = format!("line {round}\n");
        assert_eq!(ask(&mut fast, &text), text);
    }
    let mut answer = vec![0; line.len()];
    for _ in 0..lines {
        greedy.read_exact(&mut answer).unwrap();
        assert!(answer == line);
    }
    writing.join().unwrap();
}

#[test]
fn a_client_that_is_killed_holds_up_nobody() {
    let server = Server::start();
    let target = format!("TCP:{}", server.address);
    let mut killed = Peer::start("socat", &["-", &target]);
    killed.tell(b"half a li");
    let mut fast = server.connect();
    assert_eq!(ask(&mut fast, "before\n"), "before\n");
    drop(killed);
    assert_eq!(ask(&mut fast, "after\n"), "after\n");
}

/// One that resets is no different.
#[test]
fn a_client_that_resets_holds_up_nobody() {
    let server = Server::start();
    let mut fast = server.connect();
    for _ in 0..20 {
        let rude = socket2::Socket::from(OwnedFd::from(server.connect()));
        rude.set_linger(Some(std::time::Duration::ZERO)).unwrap();
        rude.send(b"half a li").unwrap();
        drop(rude);
        assert_eq!(ask(&mut fast, "still\n"), "still\n");
    }
}
