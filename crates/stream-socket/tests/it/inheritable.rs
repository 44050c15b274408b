//! Sockets that programs inherit: open across exec, blocking, and in time all the same.

use std::io::{ErrorKind, Read, Write};
use std::os::fd::AsFd;
use std::thread;
use std::time::{Duration, Instant};

use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};
use rustix::io::{FdFlags, fcntl_getfd};
use rustix::net::sockopt::{self, Timeout};
use stream_socket::{
    ConnectOptions, DatagramSocket, Interest, ListenOptions, Listener, Member, Stage, Stream,
    select,
};

use crate::support::{PATIENCE, connect, receive_on, until};

const SHORT: Duration = Duration::from_millis(60);

/// Whether it stays open across exec, and whether it is blocking.
fn modes(socket: impl AsFd) -> (bool, bool) {
    let flags = fcntl_getfd(&socket).unwrap();
    let status = fcntl_getfl(&socket).unwrap();
    (
        !flags.contains(FdFlags::CLOEXEC),
        !status.contains(OFlags::NONBLOCK),
    )
}

fn receive_timeout(stream: &Stream) -> Option<Duration> {
    sockopt::socket_timeout(stream, Timeout::Recv).unwrap()
}

fn inheritable() -> (Listener, Stream, Stream) {
    let mut options = ListenOptions::default();
    options.socket.inheritable = true;
    let listener = Listener::bind("tcp://127.0.0.1:0", &options).unwrap();
    let mut options = ConnectOptions::default();
    options.socket.inheritable = true;
    let client = Stream::connect(listener.url(), &options).unwrap();
    let served = listener.accept(Some(PATIENCE)).unwrap();
    (listener, client, served)
}

#[test]
fn they_are_open_across_exec_and_blocking_but_for_listeners() {
    let (listener, client, served) = inheritable();
    assert_eq!(modes(&listener), (true, false));
    assert_eq!(
        (modes(&client), modes(&served)),
        ((true, true), (true, true))
    );
    let mut options = ListenOptions::default();
    options.socket.inheritable = true;
    let socket = DatagramSocket::bind("udp://127.0.0.1:0", &options).unwrap();
    assert_eq!(modes(&socket), (true, true));
}

#[test]
fn a_read_that_waits_in_the_call_ends_in_time_and_goes_on() {
    let (_listener, mut client, mut served) = inheritable();
    let mut buffer = [0; 16];
    for timeout in [SHORT, SHORT / 2, SHORT] {
        served.set_read_timeout(Some(timeout));
        let began = Instant::now();
        let error = served.read(&mut buffer).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::TimedOut);
        assert!(began.elapsed() >= timeout && began.elapsed() < timeout + PATIENCE);
    }
    served.set_read_timeout(Some(PATIENCE));
    let writer = thread::spawn(move || {
        client.write_all(b"late").unwrap();
        client
    });
    assert_eq!(served.read(&mut buffer).unwrap(), 4);
    drop(writer.join().unwrap());
    assert_eq!(served.read(&mut buffer).unwrap(), 0);
}

#[test]
fn a_descriptor_that_another_made_non_blocking_does_not_end_a_read() {
    let (_listener, mut client, mut served) = inheritable();
    served.set_read_timeout(Some(SHORT));
    served.read(&mut [0]).unwrap_err();
    let flags = fcntl_getfl(&served).unwrap();
    fcntl_setfl(&served, flags | OFlags::NONBLOCK).unwrap();
    let began = Instant::now();
    assert_eq!(
        served.read(&mut [0]).unwrap_err().kind(),
        ErrorKind::TimedOut
    );
    assert!(began.elapsed() >= SHORT);
    client.write_all(b"x").unwrap();
    assert_eq!(served.read(&mut [0]).unwrap(), 1);
}

#[test]
fn a_connect_that_was_begun_is_told_by_the_stream() {
    let (listener, _client, _served) = inheritable();
    let mut begun = Stream::begin(listener.url(), &ConnectOptions::default()).unwrap();
    select(&mut [Member::new(&begun, Interest::WRITE)], Some(PATIENCE)).unwrap();
    begun.write_all(b"here").unwrap();
    let mut served = listener.accept(Some(PATIENCE)).unwrap();
    assert_eq!(served.read(&mut [0; 16]).unwrap(), 4);

    let url = listener.url().clone();
    drop(listener);
    let mut refused = match Stream::begin(&url, &ConnectOptions::default()) {
        Ok(stream) => stream,
        // The loopback may answer at once.
        Err(error) => return assert_eq!(error.stage(), Stage::Connect),
    };
    let error = refused.read(&mut [0]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
}

#[test]
fn a_socket_of_datagrams_becomes_a_listener() {
    let socket = receive_on("udp://127.0.0.1:0");
    let mut client = connect(socket.url());
    client.write_all(b"raw").unwrap();
    let mut buffer = [0; 16];
    assert_eq!(socket.recv_from(&mut buffer).unwrap().length, 3);
    client.write_all(b"accepted").unwrap();
    let mut options = ListenOptions::default();
    options.max_peers = Some(1);
    let listener = Listener::over(socket, &options).unwrap();
    let mut served = listener.accept(Some(PATIENCE)).unwrap();
    assert_eq!(served.read(&mut buffer).unwrap(), 8);
    let mut second = connect(listener.url());
    second.write_all(b"no place").unwrap();
    until("a peer is dropped", || {
        _ = listener.accept(Some(Duration::ZERO));
        listener.peers().unwrap().refused > 0
    });
}

#[test]
fn who_shares_the_descriptor_waits_as_long_as_it_likes() {
    let (_listener, mut client, mut served) = inheritable();
    served.set_read_timeout(Some(SHORT));
    served.read(&mut [0]).unwrap_err();
    assert!(receive_timeout(&served).is_some());
    served.share_descriptor().unwrap();
    assert_eq!(receive_timeout(&served), None);
    client.write_all(b"x").unwrap();
    assert_eq!(served.read(&mut [0]).unwrap(), 1);
    assert_eq!(
        served.read(&mut [0]).unwrap_err().kind(),
        ErrorKind::TimedOut
    );
}
