//! Descriptors: none leaks into a child, none is changed that others share, and each can be
//! handed over.

use std::fs::File;
use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream, UdpSocket};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::{UnixDatagram, UnixListener, UnixStream};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use rustix::fs::{OFlags, fcntl_getfl};
use rustix::io::{FdFlags, fcntl_setfd};
use stream_socket::{
    ConnectOptions, Connecting, DatagramSocket, Error, ListenOptions, Listener, Stage, Stream,
    Transport,
};

use crate::support::child::{self, Surroundings};
use crate::support::{
    accept, assert_error, both_ends, connect, line_of, listen, pair, receive_on, rest_of, tcp_pair,
    until,
};

const SHORT: Duration = Duration::from_millis(60);

/// The numbers of the descriptors that a program started now is given.
fn descriptors_of_a_child() -> Vec<String> {
    let output = Command::new("ls").arg("/proc/self/fd").output().unwrap();
    String::from_utf8(output.stdout)
        .unwrap()
        .lines()
        .map(str::to_owned)
        .collect()
}

#[test]
fn a_child_is_given_none_of_our_descriptors() {
    child::run(Surroundings::Alone, || {
        let before = descriptors_of_a_child();
        let folder = tempfile::tempdir().unwrap();
        let path = format!("unix://{}/s", folder.path().display());
        let listeners = ["tcp://127.0.0.1:0", "tcp://[::1]:0", "unix://@", &path].map(listen);
        let streams: Vec<_> = listeners.iter().map(both_ends).collect();
        let sockets = ["udp://127.0.0.1:0", "udp://[::]:0", "udg://@"].map(receive_on);
        let clients: Vec<_> = [&sockets[0], &sockets[2]].map(|s| connect(s.url())).into();
        let pairs = [pair(Transport::Unix), pair(Transport::Udg)];
        let full = crate::error::FullBacklog::new();
        let url = format!("tcp://{}", full.address());
        let mut connecting = Connecting::start(&*url, &ConnectOptions::default()).unwrap();
        assert!(connecting.advance().unwrap().is_none());
        assert_eq!(descriptors_of_a_child(), before);

        // One that is to be seen is seen.
        fcntl_setfd(&listeners[0], FdFlags::empty()).unwrap();
        assert_eq!(descriptors_of_a_child().len(), before.len() + 1);
        drop((streams, sockets, clients, pairs, connecting));
    });
}

fn is_blocking(socket: impl AsFd) -> bool {
    !fcntl_getfl(socket).unwrap().contains(OFlags::NONBLOCK)
}

#[test]
fn what_is_handed_over_is_blocking_again() {
    let (client, served) = tcp_pair();
    assert!(!is_blocking(&client) && !is_blocking(&served));
    assert!(is_blocking(client.into_parts().unwrap().0));
    assert!(is_blocking(served.into_parts().unwrap().0));

    let listener = listen("tcp://127.0.0.1:0");
    let url = listener.url().clone();
    let listener = OwnedFd::from(listener);
    assert!(is_blocking(&listener));
    let _client = connect(&url);
    TcpListener::from(listener).accept().unwrap();

    assert!(is_blocking(OwnedFd::from(receive_on("udp://127.0.0.1:0"))));
    assert!(is_blocking(OwnedFd::from(receive_on("udg://@"))));
}

#[test]
fn unread_bytes_come_along() {
    let (mut here, mut there) = tcp_pair();
    there.write_all(b"one\ntwo\nthree").unwrap();
    there.shutdown(Shutdown::Write).unwrap();
    until("all has come", || {
        let mut buffer = [0; 13];
        here.peek(&mut buffer).unwrap() == 13
    });
    assert_eq!(line_of(&mut here).unwrap(), b"one\n");
    let (socket, unread) = here.into_parts().unwrap();
    assert_eq!(unread, b"two\nthree");
    let mut std = TcpStream::from(socket);
    assert_eq!(rest_of(&mut std), b"");
    std.write_all(b"answer").unwrap();
    drop(std);
    assert_eq!(rest_of(&mut there), b"answer");
}

/// An inherited descriptor of each kind, with a peer that keeps silent, and its mode as it came.
fn inherited() -> Vec<(OwnedFd, OwnedFd)> {
    let (one, other) = UnixStream::pair().unwrap();
    let (datagrams, peer) = UnixDatagram::pair().unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let served = listener.accept().unwrap().0;
    vec![
        (one.into(), other.into()),
        (datagrams.into(), peer.into()),
        (client.into(), served.into()),
    ]
}

#[test]
fn an_inherited_stream_keeps_its_mode_and_still_never_waits_too_long() {
    for blocking in [true, false] {
        for (socket, _peer) in inherited() {
            let shared = socket.try_clone().unwrap();
            rustix::io::ioctl_fionbio(&shared, !blocking).unwrap();
            let mut stream = Stream::try_from(socket).unwrap();
            stream.set_read_timeout(Some(SHORT));
            stream.set_write_timeout(Some(SHORT));
            let start = Instant::now();
            assert_eq!(
                stream.read(&mut [0; 9]).unwrap_err().kind(),
                ErrorKind::TimedOut
            );
            assert!(
                stream
                    .read_line(&mut Vec::new(), 9)
                    .unwrap_err()
                    .is_timeout()
            );
            assert!(start.elapsed() >= 2 * SHORT);
            let full = loop {
                if let Err(error) = stream.write(&[0; 4096]) {
                    break error;
                }
            };
            assert_eq!(full.kind(), ErrorKind::TimedOut);
            stream.set_blocking(false);
            assert_eq!(
                stream.read(&mut [0; 9]).unwrap_err().kind(),
                ErrorKind::WouldBlock
            );
            assert_eq!(is_blocking(&shared), blocking);
            let (socket, _) = stream.into_parts().unwrap();
            assert_eq!(is_blocking(socket), blocking);
        }
    }
}

#[test]
fn an_inherited_listener_never_waits_too_long_and_gets_its_mode_back() {
    let folder = tempfile::tempdir().unwrap();
    let unix = UnixListener::bind(folder.path().join("s")).unwrap();
    let tcp = TcpListener::bind("127.0.0.1:0").unwrap();
    for socket in [OwnedFd::from(unix), tcp.into()] {
        let shared = socket.try_clone().unwrap();
        let listener = Listener::try_from(socket).unwrap();
        let start = Instant::now();
        assert!(listener.accept(Some(SHORT)).unwrap_err().is_timeout());
        assert!(start.elapsed() >= SHORT);
        both_ends(&listener);
        // Another's accept may be quicker after a poll; only this keeps ours from waiting then.
        assert!(!is_blocking(&shared));
        assert!(is_blocking(OwnedFd::from(listener)));
    }
    assert!(
        folder.path().join("s").exists(),
        "the file is its maker's to remove"
    );
}

#[test]
fn an_inherited_socket_of_datagrams_keeps_its_mode() {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let shared = OwnedFd::from(socket.try_clone().unwrap());
    let mut socket = DatagramSocket::try_from(OwnedFd::from(socket)).unwrap();
    socket.set_read_timeout(Some(SHORT));
    assert!(socket.recv_from(&mut [0; 9]).unwrap_err().is_timeout());
    connect(socket.url()).write_all(b"x").unwrap();
    socket.set_read_timeout(Some(crate::support::PATIENCE));
    assert_eq!(socket.recv_from(&mut [0; 9]).unwrap().length, 1);
    assert!(is_blocking(&shared));
    assert!(is_blocking(OwnedFd::from(socket)));
}

#[test]
fn an_inherited_stream_knows_its_transport_and_its_peer() {
    let transports = [Transport::Unix, Transport::Udg, Transport::Tcp];
    for ((socket, _peer), transport) in inherited().into_iter().zip(transports) {
        let stream = Stream::try_from(socket).unwrap();
        assert_eq!(stream.transport(), transport);
        assert_eq!(stream.peer_addr().is_some(), transport == Transport::Tcp);
    }
    let one = UdpSocket::bind("127.0.0.1:0").unwrap();
    let receiver = receive_on("udp://127.0.0.1:0");
    one.connect(receiver.local_addr().to_string()).unwrap();
    let mut stream = Stream::try_from(OwnedFd::from(one)).unwrap();
    assert_eq!(
        (stream.transport(), stream.peer_addr()),
        (Transport::Udp, Some(receiver.local_addr()))
    );
    stream.write_all(b"x").unwrap();
    assert_eq!(receiver.recv_from(&mut [0; 2]).unwrap().length, 1);
}

/// A socket of a type that we don't serve.
fn packets() -> OwnedFd {
    socket2::Socket::new(socket2::Domain::UNIX, socket2::Type::SEQPACKET, None)
        .unwrap()
        .into()
}

fn no_socket() -> OwnedFd {
    File::open("/dev/null").unwrap().into()
}

fn listening() -> OwnedFd {
    TcpListener::bind("127.0.0.1:0").unwrap().into()
}

fn connected() -> OwnedFd {
    UnixStream::pair().unwrap().0.into()
}

fn without_peer() -> OwnedFd {
    UdpSocket::bind("127.0.0.1:0").unwrap().into()
}

fn unbound() -> OwnedFd {
    UnixDatagram::unbound().unwrap().into()
}

const NO_SOCKET: &str = "socket operation on non-socket (ENOTSOCK)";
const NOT_SERVED: &str = "protocol not supported (EPROTONOSUPPORT)";
const LISTENS: &str = "it listens: take it as a Listener";
const CONNECTED: &str = "it is connected: take it as a Stream";
const NOT_CONNECTED: &str = "transport endpoint is not connected (ENOTCONN)";

#[test]
fn descriptors_that_do_not_fit_are_refused_with_the_reason() {
    let stream = |socket| Stream::try_from(socket).unwrap_err();
    let listener = |socket| Listener::try_from(socket).unwrap_err();
    let datagrams = |socket| DatagramSocket::try_from(socket).unwrap_err();
    for (error, errno, reason) in [
        (stream(no_socket()), Some(libc::ENOTSOCK), NO_SOCKET),
        (listener(no_socket()), Some(libc::ENOTSOCK), NO_SOCKET),
        (datagrams(no_socket()), Some(libc::ENOTSOCK), NO_SOCKET),
        (stream(packets()), Some(libc::EPROTONOSUPPORT), NOT_SERVED),
        (stream(listening()), None, LISTENS),
        (listener(connected()), None, CONNECTED),
        (datagrams(connected()), None, "it is no socket of datagrams"),
        (datagrams(unbound()), None, "it is not bound"),
    ] {
        let sentence = format!("cannot open an inherited descriptor: {reason}");
        assert_error(&error, Stage::Socket, errno, &sentence);
    }
    let sentence = format!("cannot connect to an inherited descriptor: {NOT_CONNECTED}");
    let error = stream(without_peer());
    assert_error(&error, Stage::Connect, Some(libc::ENOTCONN), &sentence);
}

/// Alone, since another test's write to a program that has ended may raise the signal as well.
#[test]
fn a_write_to_a_peer_that_is_gone_is_an_error_and_no_signal() {
    child::run(Surroundings::Alone, || {
        let raised = Arc::new(AtomicBool::new(false));
        signal_hook::flag::register(signal_hook::consts::SIGPIPE, Arc::clone(&raised)).unwrap();
        for (mut here, there) in [tcp_pair(), pair(Transport::Unix), pair(Transport::Udg)] {
            drop(there);
            let error = std::iter::repeat_with(|| here.write(b"x"))
                .find_map(Result::err)
                .unwrap();
            let errno = Error::in_io(&error).unwrap().errno().unwrap();
            assert!(
                [libc::EPIPE, libc::ECONNRESET, libc::ECONNREFUSED].contains(&errno),
                "{error}"
            );
        }
        assert!(!raised.load(Ordering::Relaxed));
        // A write that does not ask to be spared is not.
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        assert!(rustix::io::write(writer, b"x").is_err());
        assert!(raised.load(Ordering::Relaxed));
    });
}

#[test]
fn a_broken_pipe_is_told() {
    let (mut here, mut there) = pair(Transport::Unix);
    there.shutdown(Shutdown::Read).unwrap();
    let error = here.write(b"x").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::BrokenPipe);
    let sentence = "cannot write to an unnamed unix peer: broken pipe (EPIPE)";
    assert_error(
        Error::in_io(&error).unwrap(),
        Stage::Io,
        Some(libc::EPIPE),
        sentence,
    );
}

#[test]
fn a_closed_listener_lets_go_of_its_port_and_name() {
    child::run(Surroundings::Alone, || {
        for url in ["tcp://127.0.0.1:0", "unix://@"] {
            let listener = listen(url);
            let url = listener.url().clone();
            let (_client, _served) = both_ends(&listener);
            drop(listener);
            let again = Listener::bind(&url, &ListenOptions::default()).unwrap();
            let _client = connect(&url);
            accept(&again);
        }
    });
}
