//! No client can hold up a listener.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use rustix::net::{AddressFamily, SocketType};
use stream_socket::{
    HandshakeTime, Interest, Limit, Listener, Member, Poller, Selectable, Stage, Stream, select,
};

use super::{listen, listen_with};
use crate::support::certificates::{serving, trusting};
use crate::support::{PATIENCE, accept, patient, rest_of, until};

fn address(listener: &Listener) -> SocketAddr {
    listener.url().target().to_string().parse().unwrap()
}

/// A plain connection to a listener, from another loopback address.
fn connect_from(host: u8, listener: &Listener) -> TcpStream {
    let socket = rustix::net::socket(AddressFamily::INET, SocketType::STREAM, None).unwrap();
    rustix::net::bind(&socket, &SocketAddr::from(([127, 0, 0, host], 0))).unwrap();
    rustix::net::connect(&socket, &address(listener)).unwrap();
    TcpStream::from(socket)
}

#[test]
fn a_silent_client_keeps_nobody_waiting() {
    let mut options = serving("localhost");
    options.tls.handshake_timeout = Some(Duration::from_secs(2));
    let listener = listen_with("tls://127.0.0.1:0", &options);
    let mut silent = TcpStream::connect(address(&listener)).unwrap();
    let url = listener.url().clone();
    let client = thread::spawn(move || {
        let start = Instant::now();
        let mut client = Stream::connect(&url, &trusting()).unwrap();
        client.read_to_end(&mut Vec::new()).unwrap();
        start.elapsed()
    });
    drop(accept(&listener));
    assert!(client.join().unwrap() < Duration::from_millis(1500));
    // Accept's own time is not that of a handshake.
    let start = Instant::now();
    let error = listener
        .accept(Some(Duration::from_millis(100)))
        .unwrap_err();
    assert_eq!(
        (error.stage(), error.limit()),
        (Stage::Accept, Some(Limit::Accept))
    );
    assert!(start.elapsed() >= Duration::from_millis(100));
    assert!(start.elapsed() < Duration::from_millis(1500));
    // And the silent one is closed at its own.
    assert!(listener.accept(Some(Duration::from_millis(2500))).is_err());
    silent.set_read_timeout(Some(PATIENCE)).unwrap();
    assert_eq!(silent.read(&mut [0]).unwrap(), 0);
    let counters = listener.handshakes().unwrap();
    assert_eq!(
        (counters.finished, counters.timed_out, counters.failed),
        (1, 1, 0)
    );
    let failures = listener.take_handshake_failures();
    let peer = silent.local_addr().unwrap();
    assert_eq!(
        failures[0].to_string(),
        format!(
            "cannot shake hands with tls://{peer}: the handshake timed out after 2s (ETIMEDOUT)"
        )
    );
    assert!(listener.take_handshake_failures().is_empty());
}

#[test]
fn who_finishes_first_is_accepted_first() {
    let listener = listen("tls://127.0.0.1:0");
    // Three connect in order; their handshakes go on in another.
    let clients: Vec<TcpStream> = (0..3)
        .map(|_| TcpStream::connect(address(&listener)).unwrap())
        .collect();
    assert!(listener.accept(Some(Duration::from_millis(50))).is_err());
    let names: Vec<SocketAddr> = clients
        .iter()
        .map(|client| client.local_addr().unwrap())
        .collect();
    let mut clients: Vec<Option<TcpStream>> = clients.into_iter().map(Some).collect();
    for index in [2, 0, 1] {
        let socket = clients[index].take().unwrap();
        let client = thread::spawn(move || {
            let mut stream = Stream::try_from(std::os::fd::OwnedFd::from(socket)).unwrap();
            let mut options = trusting().tls;
            options.peer_name = Some("localhost".to_owned());
            stream.start_tls_client(&options).unwrap();
            stream
        });
        let served = accept(&listener);
        assert_eq!(
            served.peer_addr().unwrap().to_string(),
            names[index].to_string()
        );
        client.join().unwrap();
    }
}

#[test]
fn select_reports_finished_handshakes_only() {
    let listener = listen("tls://127.0.0.1:0");
    let silent = TcpStream::connect(address(&listener)).unwrap();
    let look = |timeout| {
        let mut members = [Member::new(&listener, Interest::READ)];
        select(&mut members, Some(timeout)).unwrap()
    };
    let start = Instant::now();
    assert_eq!(look(Duration::from_millis(100)), 0);
    assert!(start.elapsed() >= Duration::from_millis(100));
    let url = listener.url().clone();
    let client = thread::spawn(move || Stream::connect(&url, &trusting()).unwrap());
    assert_eq!(look(PATIENCE), 1);
    assert!(listener.has_buffered());
    let start = Instant::now();
    listener.accept(None).unwrap();
    assert!(start.elapsed() < Duration::from_secs(1));
    assert!(!listener.has_buffered());
    drop((client.join().unwrap(), silent));
}

#[test]
fn a_foreign_loop_accepts_until_there_is_nothing() {
    let listener = listen("tls://127.0.0.1:0");
    let url = listener.url().clone();
    let clients = thread::spawn(move || {
        let connect = |_| {
            thread::spawn({
                let url = url.clone();
                move || Stream::connect(&url, &trusting()).unwrap()
            })
        };
        let clients: Vec<_> = (0..5).map(connect).collect();
        clients
            .into_iter()
            .map(|client| client.join().unwrap())
            .collect::<Vec<_>>()
    });
    let (mut poller, mut ready) = (Poller::new().unwrap(), Vec::new());
    poller.add(&listener, 0, Interest::READ).unwrap();
    let mut served = Vec::new();
    while served.len() < 5 {
        assert_eq!(poller.wait(&mut ready, Some(PATIENCE)).unwrap(), 1);
        // One look a wake, so that those that are finished have to be told again.
        served.extend(listener.accept(Some(Duration::ZERO)).ok());
    }
    assert_eq!(
        poller
            .wait(&mut ready, Some(Duration::from_millis(20)))
            .unwrap(),
        0
    );
    clients.join().unwrap();
}

#[test]
fn a_handshake_at_first_use_does_not_keep_accept() {
    let mut options = serving("localhost");
    options.tls.handshake = Some(HandshakeTime::FirstUse);
    let listener = listen_with("tls://127.0.0.1:0", &options);
    let url = listener.url().clone();
    let client = thread::spawn(move || {
        let mut client = Stream::connect(&url, &trusting()).unwrap();
        client.write_all(b"hello").unwrap();
    });
    let mut served = accept(&listener);
    assert!(served.is_handshaking() && served.tls().is_none());
    assert_eq!(rest_of(&mut served), b"hello");
    client.join().unwrap();
    let silent = TcpStream::connect(address(&listener)).unwrap();
    let mut served = accept(&listener);
    served.set_read_timeout(Some(Duration::from_millis(30)));
    let error = served.read(&mut [0]).unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::TimedOut);
    drop(silent);
}

/// Clients that never finish would have all places otherwise; the limit holds all the same.
#[test]
fn a_place_is_taken_when_the_handshake_is_finished() {
    let mut options = serving("localhost");
    options.max_connections = Some(1);
    let listener = listen_with("tls://127.0.0.1:0", &options);
    let silent: Vec<_> = (0..3)
        .map(|_| TcpStream::connect(address(&listener)).unwrap())
        .collect();
    // Both are under way while there is a place.
    let url = listener.url();
    thread::scope(|scope| {
        let clients = [0, 1].map(|_| scope.spawn(|| Stream::connect(url, &trusting()).unwrap()));
        let first = accept(&listener);
        assert!(!listener.has_room());
        let error = listener
            .accept(Some(Duration::from_millis(200)))
            .unwrap_err();
        assert!(error.is_timeout());
        assert_eq!(
            select(
                &mut [Member::new(&listener, Interest::READ)],
                Some(Duration::ZERO)
            )
            .unwrap(),
            0
        );
        drop(first);
        drop(accept(&listener));
        assert!(listener.has_room());
        drop(clients.map(|client| client.join().unwrap()));
    });
    drop(silent);
}

/// What a hostile client does.
#[derive(Clone, Copy, Debug)]
enum Malice {
    Silence,
    Garbage,
    HalfHello,
    HelloOnly,
}

/// The first bytes of a client of ours: its ClientHello.
fn hello() -> Vec<u8> {
    let server = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("tls://{}", server.local_addr().unwrap());
    let client = thread::spawn(move || Stream::connect(&url, &trusting()));
    let (mut socket, _) = server.accept().unwrap();
    let mut bytes = vec![0; 8000];
    let length = socket.read(&mut bytes).unwrap();
    drop(socket);
    assert!(client.join().unwrap().is_err());
    bytes.truncate(length);
    bytes
}

/// A thousand of them, from seven addresses.
pub(super) fn attack(listener: &Listener) -> Vec<TcpStream> {
    let hello = hello();
    let mut attackers = Vec::new();
    for (malice, count) in [
        (Malice::Silence, 600),
        (Malice::Garbage, 200),
        (Malice::HalfHello, 100),
        (Malice::HelloOnly, 100),
    ] {
        for number in 0..count {
            let mut socket = connect_from(2 + (number % 7) as u8, listener);
            let bytes: &[u8] = match malice {
                Malice::Silence => b"",
                Malice::Garbage => b"GET / HTTP/1.0\r\n\r\n",
                Malice::HalfHello => &hello[..hello.len() / 2],
                Malice::HelloOnly => &hello,
            };
            // Who was closed meanwhile is none the less there to be asked.
            _ = socket.write_all(bytes);
            attackers.push(socket);
        }
    }
    attackers
}

/// A hundred honest clients, one every ten milliseconds; how long each waited to be served.
fn honest(listener: &Listener) -> Vec<Duration> {
    let url = listener.url();
    thread::scope(|scope| {
        let clients: Vec<_> = (0..100)
            .map(|_| {
                thread::park_timeout(Duration::from_millis(10));
                scope.spawn(|| {
                    let start = Instant::now();
                    let mut client = patient(Stream::connect(url, &trusting()).unwrap());
                    assert_eq!(rest_of(&mut client), b"served");
                    start.elapsed()
                })
            })
            .collect();
        clients
            .into_iter()
            .map(|client| client.join().unwrap())
            .collect()
    })
}

fn serve_a_crowd(accept: impl Fn(&Listener) -> Option<Stream> + Send + Sync + 'static) {
    let mut options = serving("localhost");
    options.tls.handshake_timeout = Some(PATIENCE);
    let listener = Arc::new(listen_with("tls://127.0.0.1:0", &options));
    let over = Arc::new(AtomicBool::new(false));
    let server = thread::spawn({
        let (listener, over) = (Arc::clone(&listener), Arc::clone(&over));
        move || {
            while !over.load(Ordering::Relaxed) {
                if let Some(mut stream) = accept(&listener) {
                    stream.write_all(b"served").unwrap();
                }
            }
        }
    });
    let attackers = attack(&listener);
    let mut waits = honest(&listener);
    waits.sort();
    println!(
        "half waited {:?} at most, 99 in a hundred {:?}",
        waits[50], waits[98]
    );
    // Generous, for a machine that does something else; what is promised is measured apart.
    assert!(waits[98] < Duration::from_secs(2), "{:?}", waits[98]);
    over.store(true, Ordering::Relaxed);
    server.join().unwrap();
    let counters = listener.handshakes().unwrap();
    assert_eq!(counters.finished, 100);
    assert_eq!(counters.failed, 200);
    drop(attackers);
}

#[test]
fn a_crowd_of_hostile_clients_harms_no_honest_one() {
    serve_a_crowd(|listener| listener.accept(Some(Duration::from_millis(50))).ok());
}

#[test]
fn nor_where_accept_follows_a_select_and_has_no_timeout() {
    serve_a_crowd(|listener| {
        let mut members = [Member::new(listener, Interest::READ)];
        let ready = select(&mut members, Some(Duration::from_millis(50))).unwrap();
        (ready > 0).then(|| listener.accept(None).unwrap())
    });
}

#[test]
fn when_too_many_are_under_way_the_least_likely_go() {
    let listener = listen("tls://127.0.0.1:0");
    let mut silent = Vec::new();
    for _ in 0..300 {
        silent.push(connect_from(9, &listener));
        _ = listener.accept(Some(Duration::ZERO));
    }
    until("the excess is closed", || {
        _ = listener.accept(Some(Duration::ZERO));
        listener.handshakes().unwrap().evicted == 300 - 256
    });
    silent[0].set_read_timeout(Some(PATIENCE)).unwrap();
    assert_eq!(silent[0].read(&mut [0]).unwrap(), 0);
    let reason = "too many handshakes are under way, and it was the least likely to finish";
    assert_eq!(listener.take_handshake_failures()[0].reason(), reason);
}

#[test]
fn who_finishes_and_finds_no_place_is_counted_once() {
    let mut options = serving("localhost");
    options.max_connections = Some(1);
    options.close_when_full = Some(true);
    let listener = listen_with("tls://127.0.0.1:0", &options);
    thread::scope(|scope| {
        let url = listener.url();
        // Both find a place as they come.
        let sockets = [0, 1].map(|_| TcpStream::connect(address(&listener)).unwrap());
        for _ in &sockets {
            assert!(listener.accept(Some(Duration::from_millis(20))).is_err());
        }
        let clients = sockets.map(|socket| {
            scope.spawn(move || {
                let mut client = Stream::try_from(std::os::fd::OwnedFd::from(socket)).unwrap();
                let mut options = trusting().tls;
                options.peer_name = Some("localhost".to_owned());
                client.start_tls_client(&options)?;
                Ok::<_, stream_socket::Error>(client)
            })
        });
        let first = accept(&listener);
        until("the other is closed", || {
            _ = listener.accept(Some(Duration::from_millis(10)));
            listener.handshakes().unwrap().failed == 1
        });
        assert_eq!(listener.handshakes().unwrap().finished, 1, "{url}");
        drop((first, clients.map(|client| client.join().unwrap())));
    });
}

#[test]
fn behind_a_proxy_it_is_clients_who_are_too_many() {
    let url = "tls://127.0.0.1:0?proxy_protocol=required&proxy_from=127.0.0.1";
    let listener = listen_with(url, &serving("localhost"));
    let mut proxy = Vec::new();
    let mut come = |client: &dyn Fn(usize) -> String, count: usize| {
        let start = proxy.len();
        for _ in 0..count {
            proxy.push(TcpStream::connect(address(&listener)).unwrap());
            _ = listener.accept(Some(Duration::ZERO));
        }
        // They are under way by now, and only then it is known whose they are.
        for (socket, number) in proxy[start..].iter_mut().zip(0..) {
            let header = format!("PROXY TCP4 {} 192.0.2.8 1 2\r\n", client(number));
            socket.write_all(header.as_bytes()).unwrap();
        }
    };
    let look = || {
        _ = listener.accept(Some(Duration::from_millis(50)));
        listener.handshakes().unwrap()
    };
    come(&|number| format!("10.0.{}.9", number % 250), 300);
    assert_eq!(look().evicted, 0);
    come(&|_| "10.1.1.1".to_owned(), 300);
    until("some are closed", || look().evicted >= 300 - 256);
    assert_eq!((look().evicted, look().failed), (300 - 256, 0));
}

#[test]
fn the_time_of_a_header_is_kept_while_handshakes_have_more() {
    let url = "tls://127.0.0.1:0?proxy_protocol=required&proxy_from=127.0.0.1&proxy_timeout=300ms";
    let listener = listen_with(url, &serving("localhost"));
    let mut shaking = TcpStream::connect(address(&listener)).unwrap();
    shaking.write_all(b"PROXY UNKNOWN\r\n").unwrap();
    assert!(listener.accept(Some(Duration::from_millis(50))).is_err());
    let silent = TcpStream::connect(address(&listener)).unwrap();
    let start = Instant::now();
    // The handshake has ten seconds.
    while start.elapsed() < PATIENCE && listener.handshakes().unwrap().timed_out == 0 {
        assert!(listener.accept(Some(Duration::from_millis(900))).is_err());
    }
    assert!(
        start.elapsed() < Duration::from_secs(5),
        "{:?}",
        start.elapsed()
    );
    let failures = listener.take_handshake_failures();
    let reason = "the header timed out after 300ms (ETIMEDOUT)";
    assert_eq!(failures.len(), 1);
    let name = format!("tls://{}", silent.local_addr().unwrap());
    let sentence = format!("cannot read the PROXY header of {name}: {reason}");
    assert_eq!(failures[0].to_string(), sentence);
}

#[test]
fn a_connect_that_was_begun_shakes_hands_by_what_select_says() {
    let listener = Arc::new(listen("tls://127.0.0.1:0"));
    let server = thread::spawn({
        let listener = Arc::clone(&listener);
        move || accept(&listener).write_all(b"served").unwrap()
    });
    let mut client = Stream::begin(listener.url(), &trusting()).unwrap();
    client.set_blocking(false);
    for wanted in [Interest::WRITE, Interest::READ] {
        until("it goes on", || {
            let mut members = [Member::new(&client, wanted)];
            assert_eq!(
                select(&mut members, Some(Duration::from_secs(3))).unwrap(),
                1
            );
            client.handshake().unwrap().is_none()
        });
    }
    client.set_blocking(true);
    assert_eq!(rest_of(&mut client), b"served");
    server.join().unwrap();
}
