//! `fd://`: sockets that this process was started with. Here they are made as a parent makes them:
//! open across exec, and known by their number alone.

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::{AsFd, AsRawFd, IntoRawFd, OwnedFd, RawFd};
use std::sync::Mutex;
use std::time::Duration;

use rustix::io::{FdFlags, fcntl_dupfd_cloexec, fcntl_getfd, fcntl_setfd};
use rustix::net::{AddressFamily, SocketType};
use stream_socket::{
    ConnectOptions, DatagramSocket, Error, Inherited, ListenOptions, Listener, Stage, Stream,
    Transport,
};

use crate::support::{
    PATIENCE, assert_error, connect, listen, pair, patient, receive_on, tcp_pair,
};

/// Its number, as a parent would leave it: one that was never taken, since each is only once.
fn passed_on(socket: impl Into<OwnedFd>) -> RawFd {
    static NEXT: Mutex<RawFd> = Mutex::new(300);

    let mut next = NEXT.lock().unwrap();
    let socket = fcntl_dupfd_cloexec(socket.into(), *next).unwrap();
    fcntl_setfd(&socket, FdFlags::empty()).unwrap();
    *next = socket.as_raw_fd() + 1;
    socket.into_raw_fd()
}

fn stream_passed_on(stream: Stream) -> RawFd {
    passed_on(stream.into_parts().unwrap().0)
}

fn is_close_on_exec(socket: impl AsFd) -> bool {
    fcntl_getfd(socket).unwrap().contains(FdFlags::CLOEXEC)
}

#[test]
fn listeners_are_what_the_kernel_says() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("s");
    for (url, transport) in [
        ("tcp://127.0.0.1:0".to_owned(), Transport::Tcp),
        ("tcp://[::1]:0".to_owned(), Transport::Tcp),
        (format!("unix://{}", path.display()), Transport::Unix),
        ("unix://@".to_owned(), Transport::Unix),
        ("udp://127.0.0.1:0".to_owned(), Transport::Udp),
        ("udg://@".to_owned(), Transport::Udg),
    ] {
        let original = listen(&url);
        let bound = original.url().clone();
        let number = passed_on(original);
        let listener = listen(&format!("fd://{number}?receive_buffer=64KiB"));
        assert_eq!(
            (listener.transport(), listener.url()),
            (transport, &bound),
            "{url}"
        );
        if !transport.is_datagram() {
            assert!(listener.as_fd().as_raw_fd() == number && is_close_on_exec(&listener));
        }
        let mut client = connect(&bound);
        client.write_all(b"question").unwrap();
        let mut served = patient(listener.accept(Some(PATIENCE)).unwrap());
        served.read_exact(&mut [0; 8]).unwrap();
        served.write_all(b"answer").unwrap();
        client.read_exact(&mut [0; 6]).unwrap();
    }
    assert!(path.exists(), "the file is its maker's to remove");
}

#[test]
fn a_socket_of_datagrams_goes_on_receiving() {
    let original = receive_on("udp://127.0.0.1:0");
    let bound = original.url().clone();
    let url = format!("fd://{}", passed_on(original));
    let mut options = ListenOptions::default();
    options.socket.inheritable = true;
    let mut socket = DatagramSocket::bind(&*url, &options).unwrap();
    assert!(!is_close_on_exec(&socket));
    socket.set_read_timeout(Some(PATIENCE));
    assert_eq!(socket.url(), &bound);
    connect(&bound).write_all(b"here").unwrap();
    assert_eq!(socket.recv_from(&mut [0; 16]).unwrap().length, 4);
}

#[test]
fn connected_sockets_are_streams() {
    let udp = listen("udp://127.0.0.1:0");
    let mut asking = connect(udp.url());
    asking.write_all(b"?").unwrap();
    let answering = udp.accept(Some(PATIENCE)).unwrap();
    for (one, mut other) in [
        tcp_pair(),
        pair(Transport::Unix),
        pair(Transport::Udg),
        (asking, answering),
    ] {
        let transport = one.transport();
        let url = format!("fd://{}?read_timeout=20s", stream_passed_on(one));
        let mut stream = Stream::connect(&*url, &ConnectOptions::default()).unwrap();
        assert_eq!(stream.transport(), transport);
        other.write_all(b"to").unwrap();
        stream.read_exact(&mut [0; 2]).unwrap();
        stream.write_all(b"and fro").unwrap();
        let mut buffer = [0; 16];
        let length = other.read(&mut buffer).unwrap();
        assert!(buffer[..length].ends_with(b"?") || &buffer[..length] == b"and fro");
    }
}

#[test]
fn what_is_taken_can_be_looked_at_first() {
    let original = listen("tcp://127.0.0.1:0");
    let bound = original.url().clone();
    let url = format!("fd://{}?max_connections=7", passed_on(original));
    let taken = Inherited::take(&*url).unwrap();
    let [socket] = <[Inherited; 1]>::try_from(taken).unwrap();
    assert_eq!(
        socket.url().to_string(),
        format!("{bound}?max_connections=7")
    );
    assert_eq!(socket.url().without_query(), bound);
    Listener::inherit(socket, &ListenOptions::default()).unwrap();
}

fn refused_as_listener(number: RawFd) -> Error {
    let url = format!("fd://{number}");
    Listener::bind(&*url, &ListenOptions::default()).unwrap_err()
}

fn refused_as_stream(number: RawFd) -> Error {
    let url = format!("fd://{number}");
    Stream::connect(&*url, &ConnectOptions::default()).unwrap_err()
}

#[test]
fn what_can_not_be_meant_is_told() {
    let own = listen("tcp://127.0.0.1:0");
    let folder = tempfile::tempdir().unwrap();
    let file = passed_on(File::create(folder.path().join("f")).unwrap());
    let listening = || passed_on(listen("tcp://127.0.0.1:0"));
    let connected = || stream_passed_on(tcp_pair().0);
    let unused = || {
        let socket = rustix::net::socket(AddressFamily::INET, SocketType::STREAM, None);
        passed_on(socket.unwrap())
    };
    let taken = listening();
    let kept = listen(&format!("fd://{taken}"));
    for (number, refused, errno, reason) in [
        (
            987_654,
            refused_as_listener as fn(RawFd) -> Error,
            Some(9),
            "bad file number (EBADF)",
        ),
        (
            file,
            refused_as_listener,
            Some(88),
            "socket operation on non-socket (ENOTSOCK)",
        ),
        (
            taken,
            refused_as_listener,
            None,
            "descriptor # was taken before",
        ),
        (
            own.as_fd().as_raw_fd(),
            refused_as_listener,
            None,
            "descriptor # was opened by this process, not inherited",
        ),
        (
            connected(),
            refused_as_listener,
            None,
            "it is connected: take it as a Stream",
        ),
        (unused(), refused_as_listener, None, "it does not listen"),
        (
            listening(),
            refused_as_stream,
            None,
            "it listens: take it as a Listener",
        ),
    ] {
        let reason = reason.replace('#', &number.to_string());
        let sentence = format!("cannot open fd://{number}: {reason}");
        assert_error(&refused(number), Stage::Socket, errno, &sentence);
    }
    let number = unused();
    let sentence =
        format!("cannot connect to fd://{number}: transport endpoint is not connected (ENOTCONN)");
    assert_error(
        &refused_as_stream(number),
        Stage::Connect,
        Some(107),
        &sentence,
    );
    // What was refused is still its owner's.
    assert!(own.accept(Some(Duration::ZERO)).unwrap_err().is_timeout());
    assert!(kept.accept(Some(Duration::ZERO)).unwrap_err().is_timeout());
}

#[test]
fn what_this_process_leaves_open_across_exec_is_not_taken_again() {
    let mut options = ListenOptions::default();
    options.socket.inheritable = true;
    let listener = Listener::bind("tcp://127.0.0.1:0", &options).unwrap();
    let _client = connect(listener.url());
    let accepted = listener.accept(Some(PATIENCE)).unwrap();
    for (number, refused) in [
        (
            listener.as_fd().as_raw_fd(),
            refused_as_listener as fn(RawFd) -> Error,
        ),
        (accepted.as_fd().as_raw_fd(), refused_as_stream),
    ] {
        let reason = format!("descriptor {number} was opened by this process, not inherited");
        let sentence = format!("cannot open fd://{number}: {reason}");
        assert_error(&refused(number), Stage::Socket, None, &sentence);
    }
}

#[test]
fn what_is_said_of_opening_comes_too_late() {
    let late = "is for binding, and an inherited socket is bound already";
    for (query, reason) in [
        ("reuse_port=1", format!("option reuse_port {late}")),
        ("v6only=1", format!("option v6only {late}")),
        (
            "mode=0600",
            "option mode applies to unix, udg, not to tcp".to_owned(),
        ),
    ] {
        let original = listen("tcp://127.0.0.1:0");
        let bound = original.url().clone();
        let url = format!("fd://{}?{query}", passed_on(original));
        let error = Listener::bind(&*url, &ListenOptions::default()).unwrap_err();
        let sentence = format!("cannot parse {bound}?{query}: {reason}");
        assert_error(&error, Stage::Parse, None, &sentence);
    }
    let (one, _other) = tcp_pair();
    let peer = one.peer_addr().unwrap().clone();
    let url = format!("fd://{}?bind=127.0.0.1", stream_passed_on(one));
    let error = Stream::connect(&*url, &ConnectOptions::default()).unwrap_err();
    let sentence = format!(
        "cannot parse tcp://{peer}?bind=127.0.0.1: option bind is for connecting, and an \
         inherited socket is connected already"
    );
    assert_error(&error, Stage::Parse, None, &sentence);
}

#[cfg(feature = "tls")]
#[test]
fn tls_goes_over_it() {
    use crate::support::certificates::{serving, trusting};

    let original = listen("tcp://127.0.0.1:0");
    let address = original.local_addr().to_string();
    let url = format!("tls+fd://{}", passed_on(original));
    let listener = Listener::bind(&*url, &serving("localhost")).unwrap();
    assert_eq!(listener.url().to_string(), format!("tls://{address}"));
    let client = std::thread::spawn({
        let (address, options) = (address, trusting());
        move || {
            // The name is that of the peer, which the certificate has, not that of this end.
            let url = format!("tcp://{address}?bind=127.0.0.2");
            let url = format!(
                "tls+fd://{}",
                stream_passed_on(connect(&url.parse().unwrap()))
            );
            let mut client = patient(Stream::connect(&*url, &options).unwrap());
            client.write_all(b"secret").unwrap();
            client
        }
    });
    let mut served = patient(listener.accept(Some(PATIENCE)).unwrap());
    served.read_exact(&mut [0; 6]).unwrap();
    assert!(served.tls().is_some());
    drop(client.join().unwrap());
    let url = format!("tls+fd://{}", passed_on(receive_on("udp://127.0.0.1:0")));
    let error = Listener::bind(&*url, &serving("localhost")).unwrap_err();
    let sentence = format!("cannot open {url}: TLS is for streams of bytes");
    assert_error(&error, Stage::Socket, None, &sentence);
}
