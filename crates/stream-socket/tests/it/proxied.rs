//! Listeners behind proxies: whose header is believed, what becomes of others, and that none of
//! them is in anybody's way.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::os::unix::net::UnixStream;
use std::sync::mpsc::channel;
use std::thread;
use std::time::{Duration, Instant};

use stream_socket::engine::{Control, Engine, Next, Task, Turn, Wake};
use stream_socket::{ConnectOptions, ListenOptions, Listener, ProxyVersion, Stage, Stream};

use crate::support::listen;

const SOON: Option<Duration> = Some(Duration::from_secs(20));
const HEADER: &[u8] = b"PROXY TCP4 192.0.2.1 203.0.113.7 4321 443\r\n";
const PROXIED: &str = "tcp://127.0.0.1:0?proxy_protocol=required&proxy_from=127.0.0.1";

fn client(listener: &Listener) -> TcpStream {
    TcpStream::connect(listener.local_addr().to_string()).unwrap()
}

/// Accepts one, which must be the client that the header tells of.
fn accept_told(listener: &Listener) -> Stream {
    let stream = listener.accept(SOON).unwrap();
    assert_eq!(stream.peer_addr().unwrap().to_string(), "192.0.2.1:4321");
    let local = stream.local_addr().unwrap().unwrap();
    assert_eq!(local.to_string(), "203.0.113.7:443");
    stream
}

#[test]
fn the_client_is_the_peer_and_the_proxy_is_known_too() {
    let listener = listen(PROXIED);
    let mut proxy = client(&listener);
    proxy.write_all(&[HEADER, b"hello"].concat()).unwrap();
    let mut stream = accept_told(&listener);
    let own = proxy.local_addr().unwrap().to_string();
    assert_eq!(stream.proxy_addr().unwrap().to_string(), own);
    assert_eq!(stream.proxy_header().unwrap().version, ProxyVersion::V1);
    assert_eq!(stream.to_string(), "tcp://192.0.2.1:4321");
    let mut text = [0; 5];
    stream.read_exact(&mut text).unwrap();
    assert_eq!(&text, b"hello");
    assert_eq!(stream.bytes_received(), 5);
}

#[test]
fn a_header_may_come_in_parts_and_nobody_waits_for_it() {
    let listener = listen(PROXIED);
    let mut slow = client(&listener);
    for byte in &HEADER[..20] {
        slow.write_all(&[*byte]).unwrap();
        assert!(
            listener
                .accept(Some(Duration::from_millis(1)))
                .unwrap_err()
                .is_timeout()
        );
    }
    let _silent = client(&listener);
    let mut quick = client(&listener);
    quick
        .write_all(b"PROXY TCP4 192.0.2.9 192.0.2.8 1 2\r\n")
        .unwrap();
    let stream = listener.accept(SOON).unwrap();
    assert_eq!(stream.peer_addr().unwrap().to_string(), "192.0.2.9:1");
    slow.write_all(&HEADER[20..]).unwrap();
    accept_told(&listener);
}

#[test]
fn a_proxy_that_speaks_for_itself_is_the_peer() {
    let listener = listen(PROXIED);
    for header in [&b"PROXY UNKNOWN\r\n"[..], b"\r\n\r\n\0\r\nQUIT\n\x20\0\0\0"] {
        let mut proxy = client(&listener);
        proxy.write_all(header).unwrap();
        let stream = listener.accept(SOON).unwrap();
        let own = proxy.local_addr().unwrap().to_string();
        assert_eq!(stream.peer_addr().unwrap().to_string(), own);
        assert_eq!(
            stream.local_addr().unwrap().as_ref(),
            Some(listener.local_addr())
        );
        assert!(stream.proxy_header().is_some());
    }
}

#[test]
fn who_brings_no_good_header_is_refused_and_counted() {
    let listener = listen(&format!("{PROXIED}&proxy_timeout=300ms"));
    let begun = Instant::now();
    for (said, then, reason) in [
        (
            &b"GET / HTTP/1.1\r\n\r\n"[..],
            None,
            "it begins with something else",
        ),
        (
            &HEADER[..20],
            Some(Shutdown::Write),
            "the connection has ended before",
        ),
        (
            &[b'P'; 1],
            None,
            "the header timed out after 300ms (ETIMEDOUT)",
        ),
        (
            b"\r\n\r\n\0\r\nQUIT\n\x21\x11\xff\xff",
            None,
            "it is longer than 4096 bytes",
        ),
    ] {
        let mut bad = client(&listener);
        bad.write_all(said).unwrap();
        if let Some(how) = then {
            bad.shutdown(how).unwrap();
        }
        let mut failures = Vec::new();
        while failures.is_empty() && begun.elapsed() < SOON.unwrap() {
            assert!(listener.accept(Some(Duration::from_millis(50))).is_err());
            failures = listener.take_handshake_failures();
        }
        let name = format!("tcp://{}", bad.local_addr().unwrap());
        let sentence = format!("cannot read the PROXY header of {name}: {reason}");
        assert_eq!(failures[0].to_string(), sentence);
        assert_eq!(failures[0].stage(), Stage::Proxy);
        bad.set_read_timeout(SOON).unwrap();
        // It has been closed, or reset for what was not read.
        assert!(matches!(bad.read(&mut [0; 10]), Ok(0) | Err(_)));
    }
    let counted = listener.handshakes().unwrap();
    assert_eq!((counted.failed, counted.timed_out), (3, 1));
}

#[test]
fn who_is_not_trusted_is_refused_with_the_best_of_headers() {
    let listener = listen("tcp://127.0.0.1:0?proxy_protocol=required&proxy_from=10.0.0.0/8,::1");
    let mut liar = client(&listener);
    liar.write_all(HEADER).unwrap();
    assert!(
        listener
            .accept(Some(Duration::from_millis(100)))
            .unwrap_err()
            .is_timeout()
    );
    let failure = listener.take_handshake_failures().remove(0).to_string();
    assert!(
        failure.ends_with(": it is in none of the networks of proxy_from"),
        "{failure}"
    );
}

#[test]
fn over_unix_the_file_s_mode_says_who_is_trusted() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("socket");
    let listener = listen(&format!(
        "unix://{}?proxy_protocol=required",
        path.display()
    ));
    let mut proxy = UnixStream::connect(&path).unwrap();
    proxy.write_all(HEADER).unwrap();
    let stream = accept_told(&listener);
    assert_eq!(
        (stream.proxy_addr(), stream.proxy_header().is_some()),
        (None, true)
    );
    // The client did not come over unix.
    assert!(stream.to_string().starts_with("tcp://192.0.2."), "{stream}");
}

#[test]
fn the_client_s_address_counts_against_its_limit() {
    let listener = listen(&format!("{PROXIED}&max_connections_per_ip=1"));
    let come = |ip: u8| {
        let mut proxy = client(&listener);
        let header = format!("PROXY TCP4 192.0.2.{ip} 192.0.2.8 1 2\r\n");
        proxy.write_all(header.as_bytes()).unwrap();
        let accepted = listener.accept(Some(Duration::from_millis(200)));
        accepted.ok().map(|stream| (proxy, stream))
    };
    let first = come(1);
    assert!(first.is_some() && come(2).is_some() && come(1).is_none());
    drop(first);
    assert!(come(1).is_some());
}

/// Tells whose task it is, and is done.
struct Tell(Stream);

impl Task for Tell {
    fn descriptor(&self) -> std::os::fd::BorrowedFd<'_> {
        std::os::fd::AsFd::as_fd(&self.0)
    }

    fn run(&mut self, _wake: Wake, _turn: &mut Turn<'_>) -> Next {
        let name = self.0.peer_addr().unwrap().to_string();
        self.0.write_all(name.as_bytes()).unwrap();
        Next::Done
    }
}

#[test]
fn a_loop_s_tasks_begin_with_their_header_known() {
    let listener = std::sync::Arc::new(listen(&format!("{PROXIED}&proxy_timeout=300ms")));
    let (control, shared) = (Control::new(), std::sync::Arc::clone(&listener));
    let of_loop = control.clone();
    let (ready, is_ready) = channel();
    let engine = thread::spawn(move || {
        let mut engine = Engine::new(&of_loop).unwrap();
        engine.listen(shared, |stream| Some(Tell(stream))).unwrap();
        ready.send(()).unwrap();
        engine.run().unwrap();
    });
    is_ready.recv().unwrap();
    let mut silent = client(&listener);
    let mut slow = client(&listener);
    slow.write_all(&HEADER[..9]).unwrap();
    thread::sleep(Duration::from_millis(20));
    slow.write_all(&HEADER[9..]).unwrap();
    let mut text = String::new();
    slow.read_to_string(&mut text).unwrap();
    assert_eq!(text, "192.0.2.1:4321");
    silent.set_read_timeout(SOON).unwrap();
    assert_eq!(silent.read(&mut [0]).unwrap(), 0);
    control.stop();
    engine.join().unwrap();
    let counted = listener.handshakes().unwrap();
    assert_eq!((counted.finished, counted.timed_out), (1, 1));
    assert_eq!(control.counters().accepted, 1);
}

#[cfg(feature = "tls")]
#[test]
fn the_header_comes_before_tls() {
    use crate::support::certificates::{serving, trusting};

    let url = PROXIED.replacen("tcp", "tls", 1);
    let listener = Listener::bind(&*url, &serving("localhost")).unwrap();
    let server = listener.url().to_string();
    let client = thread::spawn(move || {
        let mut options: ConnectOptions = trusting();
        options.send_proxy = Some(ProxyVersion::V2);
        let mut stream = Stream::connect(&*server, &options).unwrap();
        stream.write_all(b"hello").unwrap();
        stream.local_addr().unwrap()
    });
    let mut stream = listener.accept(SOON).unwrap();
    let mut text = [0; 5];
    stream.read_exact(&mut text).unwrap();
    assert_eq!(&text, b"hello");
    assert!(stream.tls().is_some());
    assert_eq!(stream.peer_addr(), client.join().unwrap().as_ref());
    assert_eq!(stream.proxy_header().unwrap().version, ProxyVersion::V2);
}

#[test]
fn what_can_t_be_meant_is_refused() {
    for (query, reason) in [
        (
            "proxy_protocol=required",
            "option proxy_protocol needs proxy_from: the networks whose headers are believed",
        ),
        (
            "proxy_from=::1",
            "option proxy_from needs proxy_protocol=required",
        ),
        (
            "proxy_timeout=1s",
            "option proxy_timeout needs proxy_protocol=required",
        ),
        (
            "proxy_protocol=required&proxy_from=10.0.0.1/8",
            "option proxy_from takes networks without bits beyond their prefix",
        ),
        (
            "proxy_protocol=required&proxy_from=localhost",
            "option proxy_from takes networks, as in 192.0.2.0/24,2001:db8::/32",
        ),
        (
            "proxy_protocol=perhaps",
            "option proxy_protocol is \"perhaps\", but takes required or absent",
        ),
    ] {
        let url = format!("tcp://127.0.0.1:0?{query}");
        let error = Listener::bind(&*url, &ListenOptions::default()).unwrap_err();
        assert_eq!((error.stage(), error.reason()), (Stage::Parse, reason));
    }
}
