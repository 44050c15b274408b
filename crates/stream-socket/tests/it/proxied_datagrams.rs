//! Listeners of datagrams behind proxies: before every datagram a header tells whose it is.

use std::io::{Read, Write};
use std::net::UdpSocket;
use std::thread;
use std::time::{Duration, Instant};

use stream_socket::{Batch, ConnectOptions, ListenOptions, Listener, ProxyVersion, Stage, Stream};

use crate::relay::{SHORT, SOON};
use crate::support::{PATIENCE, assert_error, listen, patient, receive_on, until};

const PROXIED: &str = "udp://127.0.0.1:0?proxy_protocol=required&proxy_from=127.0.0.1";

/// A header of version 2 from 192.0.2.1 to 203.0.113.7:53 over UDP, and what follows it.
fn from_client(port: u16, datagram: &[u8]) -> Vec<u8> {
    let mut bytes = b"\r\n\r\n\0\r\nQUIT\n\x21\x12\x00\x0c".to_vec();
    bytes.extend([192, 0, 2, 1, 203, 0, 113, 7]);
    bytes.extend(port.to_be_bytes());
    bytes.extend([0, 53]);
    bytes.extend(datagram);
    bytes
}

fn proxy_before(listener: &Listener) -> UdpSocket {
    let proxy = UdpSocket::bind("127.0.0.1:0").unwrap();
    proxy.connect(listener.local_addr().to_string()).unwrap();
    proxy.set_read_timeout(Some(PATIENCE)).unwrap();
    proxy
}

fn accept(listener: &Listener) -> Stream {
    patient(listener.accept(Some(PATIENCE)).unwrap())
}

fn datagram(stream: &mut Stream) -> Vec<u8> {
    let mut buffer = [0; 64];
    let length = stream.read(&mut buffer).unwrap();
    buffer[..length].to_vec()
}

#[test]
fn clients_of_one_proxy_are_told_apart() {
    let listener = listen(PROXIED);
    let proxy = proxy_before(&listener);
    for (port, text) in [(1, "one"), (2, "two"), (1, "three")] {
        proxy.send(&from_client(port, text.as_bytes())).unwrap();
    }
    proxy.send(&from_client(2, b"")).unwrap();
    let (mut first, mut second) = (accept(&listener), accept(&listener));
    let own = proxy.local_addr().unwrap().to_string();
    for (stream, port) in [(&first, 1), (&second, 2)] {
        assert_eq!(
            stream.peer_addr().unwrap().to_string(),
            format!("192.0.2.1:{port}")
        );
        assert_eq!(
            stream.local_addr().unwrap().unwrap().to_string(),
            "203.0.113.7:53"
        );
        assert_eq!(stream.proxy_addr().unwrap().to_string(), own);
        assert!(stream.proxy_header().unwrap().is_datagram);
    }
    assert_eq!(
        (datagram(&mut first), datagram(&mut first)),
        (b"one".into(), b"three".into())
    );
    assert_eq!(
        (datagram(&mut second), datagram(&mut second)),
        (b"two".into(), b"".into())
    );
    // Answers go to the proxy as they are; which client they are for it knows by its socket.
    second.write_all(b"answer").unwrap();
    let mut buffer = [0; 64];
    assert_eq!(proxy.recv(&mut buffer).unwrap(), 6);
    // A read that waits is woken by what comes for it alone.
    let reader = thread::spawn(move || datagram(&mut first));
    for (port, text) in [(2, "not this"), (1, "this")] {
        proxy.send(&from_client(port, text.as_bytes())).unwrap();
    }
    assert_eq!(reader.join().unwrap(), b"this");
    assert_eq!(datagram(&mut second), b"not this");
}

#[test]
fn what_begins_with_no_good_header_is_dropped_and_counted() {
    let listener = listen(PROXIED);
    let proxy = proxy_before(&listener);
    let whole = from_client(1, b"");
    let mut broken = whole.clone();
    broken[12] = 0x31;
    for bad in [
        b"bare".as_slice(),
        b"",
        b"PROXY UDP4 192.0.2.1 203.0.113.7 1 53\r\nv1",
        b"PROXY TCP4 192.0.2.1 203.0.113.7 1 53\r\nv1",
        &whole[..16],
        &whole[..whole.len() - 1],
        &broken,
    ] {
        proxy.send(bad).unwrap();
    }
    proxy.send(&from_client(9, b"good")).unwrap();
    let mut stream = accept(&listener);
    assert_eq!(datagram(&mut stream), b"good");
    let counted = listener.peers().unwrap();
    assert_eq!(
        (counted.unproxied, counted.known, counted.accepted),
        (7, 1, 1)
    );

    let strict = listen("udp://127.0.0.1:0?proxy_protocol=required&proxy_from=192.0.2.0/24");
    proxy_before(&strict)
        .send(&from_client(1, b"spoofed"))
        .unwrap();
    until("it is dropped", || {
        assert!(
            strict
                .accept(Some(Duration::ZERO))
                .unwrap_err()
                .is_timeout()
        );
        strict.peers().unwrap().unproxied == 1
    });
}

#[test]
fn a_proxy_that_speaks_for_itself_is_the_peer() {
    let listener = listen(PROXIED);
    let proxy = proxy_before(&listener);
    proxy
        .send(b"\r\n\r\n\0\r\nQUIT\n\x20\x00\x00\x00ping")
        .unwrap();
    let mut stream = accept(&listener);
    let own = proxy.local_addr().unwrap().to_string();
    assert_eq!(stream.peer_addr().unwrap().to_string(), own);
    assert!(stream.proxy_header().unwrap().is_local);
    assert_eq!(datagram(&mut stream), b"ping");
}

#[test]
fn what_we_send_we_understand() {
    for url in [PROXIED, "udg://@?proxy_protocol=required"] {
        let listener = listen(url);
        let mut options = ConnectOptions::default();
        options.send_proxy = Some(ProxyVersion::V2);
        let mut client = patient(Stream::connect(listener.url(), &options).unwrap());
        client.write_all(b"question").unwrap();
        let mut stream = accept(&listener);
        assert_eq!(stream.peer_addr(), client.local_addr().unwrap().as_ref());
        assert_eq!(datagram(&mut stream), b"question");
        stream.write_all(b"answer").unwrap();
        assert_eq!(datagram(&mut client), b"answer");
    }
}

#[test]
fn options_that_can_not_be_meant_are_refused() {
    for (url, reason) in [
        (
            "udp://127.0.0.1:0?proxy_protocol=required",
            "option proxy_protocol needs proxy_from: the networks whose headers are believed",
        ),
        (
            "udp://127.0.0.1:0?proxy_timeout=1s",
            "option proxy_timeout applies to tcp, unix, vsock, not to udp",
        ),
    ] {
        let error = Listener::bind(url, &ListenOptions::default()).unwrap_err();
        assert_error(
            &error,
            Stage::Parse,
            None,
            &format!("cannot parse {url}: {reason}"),
        );
    }
}

#[test]
fn a_socket_of_datagrams_takes_headers_off_by_hand() {
    let told = (b"question".to_vec(), "192.0.2.1:7".to_owned());
    for (network, expected) in [("127.0.0.0/8", vec![told]), ("10.0.0.0/8", Vec::new())] {
        let url = format!("udp://127.0.0.1:0?proxy_protocol=required&proxy_from={network}");
        let socket = receive_on(&url);
        let proxy = UdpSocket::bind("127.0.0.1:0").unwrap();
        let to = socket.local_addr().to_string();
        proxy.send_to(&from_client(7, b"question"), &to).unwrap();
        proxy.send_to(b"bare", &to).unwrap();
        let (mut batch, mut seen, mut believed) = (Batch::new(2, 2048), 0, Vec::new());
        while seen < 2 {
            seen += socket.recv_batch(&mut batch).unwrap();
            for datagram in batch.iter() {
                if let Some((bytes, header)) = socket.without_header(&datagram) {
                    let client = header.unwrap().source.unwrap();
                    believed.push((bytes.to_vec(), client.to_string()));
                }
            }
        }
        assert_eq!(believed, expected);
    }
}

#[test]
fn what_a_header_makes_too_long_is_not_told_as_sent() {
    let target = UdpSocket::bind("127.0.0.1:0").unwrap();
    let url = format!("udp://{}?send_proxy=v2", target.local_addr().unwrap());
    let listener = crate::engine::listener("udp://127.0.0.1:0?peer_idle_timeout=300ms");
    let client = UdpSocket::bind("127.0.0.1:0").unwrap();
    client.connect(listener.local_addr().to_string()).unwrap();
    let (mut engine, endings) = crate::relay::turned_for(listener, &url, SOON);
    client.send(&[0; 65_507]).unwrap();
    client.send(b"short").unwrap();
    let begun = Instant::now();
    let ending = loop {
        engine.turn(Some(SHORT)).unwrap();
        match endings.try_recv() {
            Ok(ending) => break ending,
            Err(_) => assert!(begun.elapsed() < SOON),
        }
    };
    assert_eq!(ending, (5, 0, "idle for too long".to_owned()));
    let mut buffer = [0; 64];
    let length = target.recv(&mut buffer).unwrap();
    assert!(buffer[..length].ends_with(b"short"));
}
