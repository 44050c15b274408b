//! Accepting peers of datagrams: whose datagram reaches whom, in which order, over which socket.

mod crowd;
mod in_loop;
mod own_socket;
#[cfg(feature = "simulation")]
mod simulated;
mod unix;

use std::collections::HashMap;
use std::io::{BufRead, Read, Write};
use std::net::{IpAddr, Shutdown, SocketAddr, UdpSocket};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::net::UnixDatagram;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Barrier, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use stream_socket::{
    Interest, Limit, ListenOptions, Listener, Member, Selectable, SocketAddress, Stage, Stream,
    select,
};

/// Longer than anything takes that works.
const LONG: Duration = Duration::from_secs(30);
const ROUNDS: u32 = 300;
const NOW: Option<Duration> = Some(Duration::ZERO);

fn bind(url: &str) -> Listener {
    let mut options = ListenOptions::default();
    options.socket.receive_buffer = Some(4 << 20);
    options.socket.read_timeout = Some(LONG);
    Listener::bind(url, &options).unwrap()
}

fn address(listener: &Listener) -> SocketAddr {
    match listener.local_addr() {
        SocketAddress::Inet(address) => *address,
        other => panic!("{other}"),
    }
}

fn accept(listener: &Listener) -> Stream {
    listener.accept(Some(LONG)).unwrap()
}

/// A client that is not ours.
fn client(server: SocketAddr) -> UdpSocket {
    let socket = UdpSocket::bind((IpAddr::from([127, 0, 0, 1]), 0)).unwrap();
    socket.connect(server).unwrap();
    socket.set_read_timeout(Some(LONG)).unwrap();
    socket
}

fn said(client: &UdpSocket) -> Vec<u8> {
    let mut buffer = vec![0; 65536];
    let length = client.recv(&mut buffer).unwrap();
    buffer.truncate(length);
    buffer
}

fn read(stream: &mut Stream) -> Vec<u8> {
    let mut buffer = vec![0; 65536];
    let length = stream.read(&mut buffer).unwrap();
    buffer.truncate(length);
    buffer
}

fn would_block(stream: &mut Stream) -> bool {
    stream.set_blocking(false);
    let result = stream.read(&mut [0; 64]);
    stream.set_blocking(true);
    result.is_err_and(|error| error.kind() == std::io::ErrorKind::WouldBlock)
}

/// Whether the stream has a descriptor of its own by now, told without asking for it.
fn is_separate(stream: &Stream) -> bool {
    !format!("{stream:?}").contains("socket: OnceLock(<uninit>)")
}

#[test]
fn the_manuals_server_answers_peers_that_are_not_ours() {
    let listener = bind("udp://127.0.0.1:0");
    let server = address(&listener);
    let port = server.port();
    let python = format!(
        "import socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.settimeout(60)
s.sendto(b'?', ('127.0.0.1', {port}))
print(s.recv(99).decode(), end='')"
    );
    let php = format!(
        "$s = stream_socket_client('udp://127.0.0.1:{port}');
fwrite($s, '?'); echo fread($s, 99);"
    );
    let target = format!("UDP:127.0.0.1:{port}");
    let asking: [(&str, &[&str]); 3] = [
        ("socat", &["-T20", "-", &target]),
        ("python3", &["-c", &python]),
        ("php", &["-n", "-r", &php]),
    ];
    let serving = thread::spawn(move || {
        for number in 0..3 {
            let mut peer = accept(&listener);
            let line = format!("The local time is {number}\n");
            peer.write_all(line.as_bytes()).unwrap();
        }
    });
    for (number, (program, arguments)) in asking.into_iter().enumerate() {
        let mut process = Command::new(program)
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut asked = process.stdin.take().unwrap();
        asked.write_all(b"\n").unwrap();
        let mut answer = String::new();
        let mut output = std::io::BufReader::new(process.stdout.take().unwrap());
        output.read_line(&mut answer).unwrap();
        assert_eq!(answer, format!("The local time is {number}\n"), "{program}");
        drop(asked);
        _ = process.kill();
        process.wait().unwrap();
    }
    serving.join().unwrap();
}

#[test]
fn a_stream_is_one_peers_and_its_first_read_is_what_made_it() {
    let listener = bind("udp://127.0.0.1:0");
    let (one, other) = (client(address(&listener)), client(address(&listener)));
    one.send(b"one").unwrap();
    let mut first = accept(&listener);
    one.send(b"more").unwrap();
    other.send(b"other").unwrap();
    let mut second = accept(&listener);

    assert_eq!(first.peer_addr(), Some(&one.local_addr().unwrap().into()));
    assert_eq!(
        first.local_addr().unwrap().as_ref(),
        Some(listener.local_addr())
    );
    assert_eq!(read(&mut second), b"other");
    assert_eq!(read(&mut first), b"one");
    assert_eq!(read(&mut first), b"more");
    assert_eq!((first.bytes_received(), second.bytes_received()), (7, 5));
    second.write_all(b"to other").unwrap();
    first.write_all(b"to one").unwrap();
    assert_eq!(
        (said(&one), said(&other)),
        (b"to one".to_vec(), b"to other".to_vec())
    );
    assert!(!is_separate(&first) && !is_separate(&second));
    let known = listener.peers().unwrap();
    assert_eq!((known.known, known.accepted, known.queued_bytes), (2, 2, 0));
}

#[test]
fn a_dropped_stream_forgets_its_peer() {
    let listener = bind("udp://127.0.0.1:0");
    let peer = client(address(&listener));
    for round in 0..3_u8 {
        peer.send(&[round]).unwrap();
        let mut stream = accept(&listener);
        assert_eq!(read(&mut stream), [round]);
    }
    assert_eq!(listener.peers().unwrap().known, 0);
    assert!(listener.accept(NOW).unwrap_err().is_timeout());
}

#[test]
fn what_a_dropped_stream_had_not_read_makes_the_peer_known_anew() {
    let listener = bind("udp://127.0.0.1:0");
    let (peer, other) = (client(address(&listener)), client(address(&listener)));
    for separate in [false, true] {
        peer.send(b"opening").unwrap();
        let stream = accept(&listener);
        if separate {
            stream.as_fd();
        }
        for text in ["second", "third"] {
            peer.send(text.as_bytes()).unwrap();
        }
        // It brings what came before it into the queue of the stream.
        other.send(b"other").unwrap();
        drop(accept(&listener));
        drop(stream);
        let mut again = accept(&listener);
        assert_eq!(read(&mut again), b"second", "{separate}");
        assert_eq!(read(&mut again), b"third", "{separate}");
        drop(again);
        assert!(listener.accept(NOW).unwrap_err().is_timeout());
        assert_eq!(listener.peers().unwrap().queued_bytes, 0);
    }
}

#[test]
fn datagrams_are_whole_empty_or_full() {
    let listener = bind("udp://127.0.0.1:0");
    let peer = client(address(&listener));
    let full: Vec<u8> = (0..65_507_u32).map(|at| (at % 251) as u8).collect();
    for separate in [false, true] {
        peer.send(&[]).unwrap();
        let mut stream = accept(&listener);
        if separate {
            stream.as_fd();
        }
        peer.send(&full).unwrap();
        peer.send(&[]).unwrap();
        peer.send(&full).unwrap();
        peer.send(b"end").unwrap();
        assert_eq!(read(&mut stream), b"");
        assert!(!stream.is_eof().unwrap());
        assert_eq!(read(&mut stream), full);
        assert_eq!(read(&mut stream), b"");
        // Into a short buffer: the rest comes with the next read.
        let (mut start, mut rest) = ([0; 1000], vec![0; 65536]);
        assert_eq!(stream.read(&mut start).unwrap(), 1000);
        assert_eq!(stream.read(&mut rest).unwrap(), 64_507);
        assert_eq!(
            (&start[..], &rest[..64_507]),
            (&full[..1000], &full[1000..])
        );
        assert_eq!(read(&mut stream), b"end");
        stream.write_all(&full).unwrap();
        assert_eq!(said(&peer), full);
        stream.write_all(&[]).unwrap();
        assert_eq!(said(&peer), b"");
        assert_eq!(
            stream.write(&vec![0; 65_508]).unwrap_err().raw_os_error(),
            None
        );
        assert_eq!(
            (stream.bytes_received(), stream.bytes_sent()),
            (131_017, 65_507)
        );
    }
}

#[test]
fn lines_peeks_and_ends_are_those_of_any_stream() {
    let listener = bind("udp://127.0.0.1:0");
    let peer = client(address(&listener));
    for separate in [false, true] {
        peer.send(b"one\ntwo").unwrap();
        let mut stream = accept(&listener);
        if separate {
            stream.as_fd();
        }
        let mut seen = [0; 3];
        assert_eq!(stream.peek(&mut seen).unwrap(), 3);
        assert_eq!(&seen, b"one");
        let mut line = Vec::new();
        assert!(stream.read_line(&mut line, 100).unwrap());
        assert!(stream.read_line(&mut line, 100).unwrap());
        assert_eq!(line, b"one\ntwo");
        peer.send(b"three\n").unwrap();
        assert_eq!(stream.peek(&mut seen).unwrap(), 3);
        assert_eq!(stream.fill_buf().unwrap(), b"three\n");
        stream.consume(6);
        assert_eq!(stream.bytes_received(), 13);
        for error in [
            stream.read_urgent().unwrap_err(),
            stream.write_urgent(1).unwrap_err(),
        ] {
            assert_eq!(error.errno(), Some(95), "{error}");
        }
        stream.shutdown(Shutdown::Write).unwrap();
        assert!(
            stream
                .write(b"x")
                .unwrap_err()
                .to_string()
                .ends_with("(EPIPE)")
        );
        peer.send(b"heard").unwrap();
        assert_eq!(read(&mut stream), b"heard");
        stream.shutdown(Shutdown::Both).unwrap();
        assert_eq!(stream.read(&mut [0; 8]).unwrap(), 0);
        assert!(stream.is_eof().unwrap() && stream.has_buffered());
        // The listener's socket is none the worse.
        drop(stream);
        peer.send(b"again").unwrap();
        let mut again = accept(&listener);
        again.write_all(b"yes").unwrap();
        assert_eq!(said(&peer), b"yes");
    }
}

#[test]
fn a_listener_becomes_its_socket_and_an_inherited_socket_a_listener() {
    let listener = bind("udp://127.0.0.1:0");
    let server = address(&listener);
    let peer = client(server);
    peer.send(b"1").unwrap();
    let mut stream = accept(&listener);
    let socket = UdpSocket::from(OwnedFd::from(listener));
    assert_eq!(socket.local_addr().unwrap(), server);
    let other = client(server);
    other.send(b"2").unwrap();
    assert_eq!(said(&socket), b"2");
    stream.write_all(b"answer").unwrap();
    assert_eq!(said(&peer), b"answer");
    drop(stream);

    let listener = Listener::try_from(OwnedFd::from(socket)).unwrap();
    other.send(b"3").unwrap();
    assert_eq!(read(&mut accept(&listener)), b"3");
    let connected = client(server);
    let error = Listener::try_from(OwnedFd::from(connected)).unwrap_err();
    assert_eq!(error.stage(), Stage::Socket);
    assert!(error.reason().contains("connected"), "{error}");
}

#[test]
fn limits_of_peers_are_kept_and_counted() {
    let options = ListenOptions::default();
    let listener = Listener::bind("udp://127.0.0.1:0?max_peers=2", &options).unwrap();
    let server = address(&listener);
    let clients: Vec<_> = (0..3).map(|_| client(server)).collect();
    for client in &clients {
        client.send(b"?").unwrap();
    }
    let mut streams = vec![accept(&listener), accept(&listener)];
    assert!(listener.accept(NOW).unwrap_err().is_timeout());
    let counted = listener.peers().unwrap();
    assert_eq!((counted.known, counted.refused), (2, 1));
    // One that leaves makes room.
    streams.pop();
    clients[2].send(b"!").unwrap();
    assert_eq!(read(&mut accept(&listener)), b"!");

    // Too much for one peer is dropped, and counted.
    for _ in 0..300 {
        clients[0].send(b"x").unwrap();
        assert!(listener.accept(NOW).is_err());
    }
    let counted = listener.peers().unwrap();
    assert_eq!((counted.overflowed, counted.queued_bytes), (300 - 255, 256));
    for option in ["max_peers=0", "peer_idle_timeout=0s"] {
        let url = format!("udp://127.0.0.1:0?{option}");
        let error = Listener::bind(&url, &options).unwrap_err();
        assert_eq!(error.stage(), Stage::Parse, "{error}");
        let url = url.replace('0', "1");
        let error = stream_socket::DatagramSocket::bind(&url, &options).unwrap_err();
        assert!(error.reason().contains("is for a Listener"), "{error}");
    }
    assert_eq!(bind("tcp://127.0.0.1:0").peers(), None);
}
