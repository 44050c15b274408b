//! Limits in time: kept, named, survived; and signals, which end some waits and no others.

use std::io::{ErrorKind, Read, Write};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use stream_socket::{
    DatagramSocket, Error, Interest, Limit, ListenOptions, Listener, Member, Result, SocketAddress,
    Stage, Stream, Transport, select,
};

use crate::support::signal::{Waiter, interrupting};
use crate::support::{
    PATIENCE, accept, assert_error, connect, line_of, listen, pair, receive_on, tcp_pair,
};

const SHORT: Duration = Duration::from_millis(60);

/// Runs something that must time out after [`SHORT`], and no sooner.
fn timed(run: impl FnOnce() -> Error) -> Error {
    let start = Instant::now();
    let error = run();
    let elapsed = start.elapsed();
    assert!(elapsed >= SHORT, "{elapsed:?} is too soon");
    assert!(elapsed < PATIENCE, "{elapsed:?} is too late");
    assert!(error.is_timeout(), "{error}");
    error
}

/// The library's error inside that of a read or write.
fn ours<T: std::fmt::Debug>(result: std::io::Result<T>) -> Error {
    let error = result.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TimedOut);
    *error.into_inner().unwrap().downcast().unwrap()
}

#[test]
fn accept_waits_as_long_as_it_is_told() {
    for url in ["tcp://127.0.0.1:0", "unix://@"] {
        let listener = listen(url);
        let error = timed(|| listener.accept(Some(SHORT)).unwrap_err());
        let sentence =
            format!("cannot accept from {listener}: accept timed out after 60ms (ETIMEDOUT)");
        assert_error(&error, Stage::Accept, Some(libc::ETIMEDOUT), &sentence);
        assert_eq!(error.limit(), Some(Limit::Accept));
        let _client = connect(listener.url());
        accept(&listener);
    }
}

/// A way of reading, and the error that it ends with.
type Failing = fn(&mut Stream) -> Error;

#[test]
fn a_read_waits_as_long_as_it_is_told_and_the_stream_stays_usable() {
    let reads: [(&str, Failing); 5] = [
        ("read", |s| ours(s.read(&mut [0; 9]))),
        ("fill_buf", |s| {
            ours(std::io::BufRead::fill_buf(s).map(<[u8]>::len))
        }),
        ("peek", |s| s.peek(&mut [0; 9]).unwrap_err()),
        ("read_line", |s| {
            s.read_line(&mut Vec::new(), 9).unwrap_err()
        }),
        ("read_record", |s| {
            s.read_record(&mut Vec::new(), b"||", 9).unwrap_err()
        }),
    ];
    for (name, read) in reads {
        for (mut here, mut there) in [tcp_pair(), pair(Transport::Unix), pair(Transport::Udg)] {
            here.set_read_timeout(Some(SHORT));
            let error = timed(|| read(&mut here));
            let sentence =
                format!("cannot read from {here}: read timed out after 60ms (ETIMEDOUT)");
            assert_error(&error, Stage::Io, Some(libc::ETIMEDOUT), &sentence);
            assert_eq!(error.limit(), Some(Limit::Read), "{name}");
            assert_eq!(here.timed_out(), Some(Limit::Read), "{name}");
            there.write_all(b"after\n").unwrap();
            assert_eq!(line_of(&mut here).unwrap(), b"after\n", "{name}");
            assert_eq!(here.timed_out(), None, "{name}");
        }
    }
}

#[test]
fn a_datagram_is_waited_for_as_long_as_it_is_told() {
    let mut socket = receive_on("udp://127.0.0.1:0");
    socket.set_read_timeout(Some(SHORT));
    let error = timed(|| socket.recv_from(&mut [0; 9]).unwrap_err());
    let sentence = format!("cannot receive on {socket}: read timed out after 60ms (ETIMEDOUT)");
    assert_error(&error, Stage::Io, Some(libc::ETIMEDOUT), &sentence);
    assert_eq!(error.limit(), Some(Limit::Read));
}

#[test]
fn a_datagram_that_finds_no_room_waits_as_long_as_it_is_told() {
    let receiver = receive_on("udg://@");
    let mut sender = receive_on("udg://@");
    sender.set_blocking(false);
    let target: &SocketAddress = receiver.local_addr();
    while sender.send_to(b"x", target, None).is_ok() {}
    sender.set_blocking(true);
    sender.set_write_timeout(Some(SHORT));
    let error = timed(|| sender.send_to(b"x", target, None).unwrap_err());
    let sentence = format!("cannot send from {sender}: write timed out after 60ms (ETIMEDOUT)");
    assert_error(&error, Stage::Io, Some(libc::ETIMEDOUT), &sentence);
    assert_eq!(error.limit(), Some(Limit::Write));
}

/// Writes until the kernel takes no more.
fn fill(stream: &mut Stream) {
    stream.set_blocking(false);
    while stream.write(&[7; 1 << 16]).is_ok() {}
    stream.set_blocking(true);
}

#[test]
fn a_write_waits_as_long_as_it_is_told_and_the_stream_stays_usable() {
    for (mut here, mut there) in [tcp_pair(), pair(Transport::Unix)] {
        fill(&mut here);
        here.set_write_timeout(Some(SHORT));
        let error = timed(|| ours(here.write(&[7; 1 << 16])));
        let sentence = format!("cannot write to {here}: write timed out after 60ms (ETIMEDOUT)");
        assert_error(&error, Stage::Io, Some(libc::ETIMEDOUT), &sentence);
        assert_eq!(here.timed_out(), Some(Limit::Write));
        let mut left = usize::try_from(here.bytes_sent()).unwrap();
        let mut buffer = vec![0; 1 << 20];
        while left > 0 {
            left -= there.read(&mut buffer).unwrap();
        }
        here.write_all(b"after\n").unwrap();
        assert_eq!(line_of(&mut there).unwrap(), b"after\n");
    }
}

#[test]
fn zero_looks_once() {
    let nothing = Some(Duration::ZERO);
    let start = Instant::now();
    let listener = listen("tcp://127.0.0.1:0");
    assert_eq!(
        listener.accept(nothing).unwrap_err().limit(),
        Some(Limit::Accept)
    );
    let _client = connect(listener.url());
    listener.accept(nothing).unwrap();

    let (mut here, mut there) = pair(Transport::Unix);
    here.set_read_timeout(nothing);
    here.set_write_timeout(nothing);
    assert_eq!(ours(here.read(&mut [0; 9])).limit(), Some(Limit::Read));
    there.write_all(b"x").unwrap();
    assert_eq!(here.read(&mut [0; 9]).unwrap(), 1);
    here.write_all(b"x").unwrap();
    fill(&mut here);
    assert_eq!(ours(here.write(b"x")).limit(), Some(Limit::Write));

    let mut members = [Member::new(&here, Interest::READ)];
    assert_eq!(select(&mut members, nothing).unwrap(), 0);
    assert!(start.elapsed() < PATIENCE);
}

#[test]
fn without_waiting_is_another_error_than_too_late() {
    let (mut here, _there) = tcp_pair();
    here.set_blocking(false);
    assert!(!here.is_blocking());
    let plain = here.read(&mut [0; 9]).unwrap_err();
    assert_eq!(plain.kind(), ErrorKind::WouldBlock);
    let error = here.read_line(&mut Vec::new(), 9).unwrap_err();
    let sentence = "cannot go on with a socket that does not wait: try again (EAGAIN)";
    assert_error(&error, Stage::Io, Some(libc::EAGAIN), sentence);
    assert_eq!(
        (error.is_timeout(), error.io_kind()),
        (false, ErrorKind::WouldBlock)
    );
    assert_eq!(here.timed_out(), None);
}

#[test]
fn timeouts_come_from_the_options_of_the_listener_and_of_the_client() {
    let listener = listen("unix://@?read_timeout=60ms");
    let mut client = Stream::connect(
        &*format!("{}?read_timeout=60ms", listener.url()),
        &stream_socket::ConnectOptions::default(),
    )
    .unwrap();
    let mut served = listener.accept(None).unwrap();
    for stream in [&mut client, &mut served] {
        timed(|| ours(stream.read(&mut [0; 9])));
    }
    let options = ListenOptions::default();
    let socket = DatagramSocket::bind("udp://127.0.0.1:0?read_timeout=60ms", &options).unwrap();
    timed(|| socket.recv_from(&mut [0; 9]).unwrap_err());
}

/// A peer that never lets half the timeout pass without moving a little.
fn trickle(mut step: impl FnMut() -> bool + Send + 'static) -> mpsc::Sender<()> {
    let (stop, stopped) = mpsc::channel::<()>();
    thread::spawn(move || {
        let pause = SHORT / 4;
        while stopped.recv_timeout(pause) == Err(mpsc::RecvTimeoutError::Timeout) && step() {}
    });
    stop
}

#[test]
fn one_deadline_covers_a_whole_line() {
    let (mut here, mut there) = pair(Transport::Unix);
    here.set_read_timeout(Some(SHORT));
    let _feeding = trickle(move || there.write_all(b"x").is_ok());
    timed(|| here.read_line(&mut Vec::new(), usize::MAX).unwrap_err());
    let kept = here.bytes_received();
    assert!(kept > 0, "what had come is kept");
    let mut line = Vec::new();
    assert!(here.read_line(&mut line, 1).unwrap());
    assert_eq!(line, b"x");
}

#[test]
fn one_deadline_covers_a_whole_write() {
    let (mut here, mut there) = pair(Transport::Unix);
    fill(&mut here);
    here.set_write_timeout(Some(SHORT));
    let before = here.bytes_sent();
    let _draining = trickle(move || there.read(&mut vec![0; 1 << 18]).is_ok_and(|n| n > 0));
    let error = timed(|| ours(here.write_all(&vec![7; 64 << 20])));
    assert_eq!(error.limit(), Some(Limit::Write));
    assert!(here.bytes_sent() > before, "it had gone on meanwhile");
}

#[test]
fn a_signal_ends_accept_so_that_its_handler_has_its_turn() {
    let listener = listen("tcp://127.0.0.1:0");
    let (result, signals) = interrupting(|| listener.accept(Some(PATIENCE)));
    assert!(signals > 0);
    let error = result.unwrap_err();
    let sentence = format!("cannot accept from {listener}: interrupted system call (EINTR)");
    assert_error(&error, Stage::Accept, Some(libc::EINTR), &sentence);
    assert_eq!(error.io_kind(), ErrorKind::Interrupted);
    let _client = connect(listener.url());
    accept(&listener);
}

#[test]
fn a_signal_ends_select() {
    let (here, _there) = pair(Transport::Unix);
    let mut members = [Member::new(&here, Interest::READ)];
    let (result, _) = interrupting(|| select(&mut members, Some(PATIENCE)));
    let sentence = "cannot wait for 1 sockets: interrupted system call (EINTR)";
    assert_error(&result.unwrap_err(), Stage::Io, Some(libc::EINTR), sentence);
}

#[test]
fn signals_neither_end_nor_prolong_a_read_or_a_write() {
    let (mut here, _there) = pair(Transport::Unix);
    fill(&mut here);
    here.set_read_timeout(Some(SHORT));
    here.set_write_timeout(Some(SHORT));
    let mut socket = receive_on("udp://127.0.0.1:0");
    socket.set_read_timeout(Some(SHORT));
    let waits: [fn(&mut Stream, &DatagramSocket) -> Error; 4] = [
        |here, _| ours(here.read(&mut [0; 9])),
        |here, _| ours(here.write(b"x")),
        |here, _| here.read_line(&mut Vec::new(), 9).unwrap_err(),
        |_, socket| socket.recv_from(&mut [0; 9]).unwrap_err(),
    ];
    for wait in waits {
        let (_, signals) = interrupting(|| timed(|| wait(&mut here, &socket)));
        assert!(signals > 1, "{signals} signals came");
    }
}

#[test]
fn incoming_goes_on_after_a_signal() {
    let listener = listen("tcp://127.0.0.1:0");
    let waiter = Waiter::this_thread();
    thread::scope(|scope| {
        scope.spawn(|| {
            waiter.interrupt();
            waiter.interrupt();
            connect(listener.url())
        });
        listener.incoming().next().unwrap().unwrap();
    });
}

#[test]
fn connecting_goes_on_after_a_signal() {
    let full = crate::error::FullBacklog::new();
    let url = format!("tcp://{}?connect_timeout=60ms", full.address());
    let options = stream_socket::ConnectOptions::default();
    let connect = || -> Result<Stream> { Stream::connect(&*url, &options) };
    let (error, signals) = interrupting(|| timed(|| connect().unwrap_err()));
    assert_eq!(error.limit(), Some(Limit::Connect));
    assert!(signals > 1, "{signals} signals came");
}

#[test]
fn of_two_that_wait_for_one_connection_the_other_times_out() {
    let listener = listen("tcp://127.0.0.1:0");
    let outcomes: Vec<Result<Stream>> = thread::scope(|scope| {
        let waits = [(); 2].map(|()| {
            let listener: &Listener = &listener;
            scope.spawn(move || listener.accept(Some(SHORT * 4)))
        });
        let _client = connect(listener.url());
        waits.map(|wait| wait.join().unwrap()).into_iter().collect()
    });
    let accepted = outcomes.iter().filter(|outcome| outcome.is_ok()).count();
    assert_eq!(accepted, 1);
}
