//! Streams that have a socket of their own: made when something waits, and losing nothing by it.

use super::*;

#[test]
fn a_wait_gives_a_stream_a_descriptor_of_its_own_and_loses_nothing() {
    let listener = bind("udp://127.0.0.1:0");
    let (peer, other) = (client(address(&listener)), client(address(&listener)));
    peer.send(b"1").unwrap();
    let mut stream = accept(&listener);
    peer.send(b"2").unwrap();
    other.send(b"other").unwrap();
    peer.send(b"3").unwrap();

    assert_ne!(stream.as_fd().as_raw_fd(), listener.as_fd().as_raw_fd());
    assert!(is_separate(&stream));
    peer.send(b"4").unwrap();
    for expected in [b"1", b"2", b"3", b"4"] {
        assert_eq!(read(&mut stream), expected);
    }
    stream.write_all(b"answer").unwrap();
    assert_eq!(said(&peer), b"answer");
    // It is no longer in the socket, but the listener's descriptor tells of it.
    let mut members = [Member::new(&listener, Interest::READ)];
    assert_eq!(select(&mut members, NOW).unwrap(), 1);
    assert_eq!(read(&mut accept(&listener)), b"other");
    let mut members = [Member::new(&listener, Interest::READ)];
    assert_eq!(select(&mut members, NOW).unwrap(), 0);
}

#[test]
fn a_read_waits_for_the_peer_alone() {
    let listener = bind("udp://127.0.0.1:0");
    let (peer, other) = (client(address(&listener)), client(address(&listener)));
    peer.send(b"1").unwrap();
    let mut stream = accept(&listener);
    assert_eq!(read(&mut stream), b"1");
    assert!(would_block(&mut stream));
    assert!(!is_separate(&stream));
    stream.set_read_timeout(NOW);
    assert!(stream.read(&mut [0; 8]).is_err());
    assert_eq!(stream.timed_out(), Some(Limit::Read));
    assert!(!is_separate(&stream));

    stream.set_read_timeout(Some(LONG));
    let waiting = thread::spawn(move || (read(&mut stream), stream));
    other.send(b"other").unwrap();
    assert_eq!(read(&mut accept(&listener)), b"other");
    peer.send(b"2").unwrap();
    let (heard, mut stream) = waiting.join().unwrap();
    assert_eq!(heard, b"2");
    stream.set_read_timeout(Some(Duration::from_millis(1)));
    assert!(stream.read(&mut [0; 8]).is_err());
    assert!(is_separate(&stream));
}

#[test]
fn a_second_server_is_refused_before_and_after_a_stream_has_its_own_socket() {
    for host in ["127.0.0.1", "0.0.0.0"] {
        let listener = bind(&format!("udp://{host}:0"));
        let port = address(&listener).port();
        let server = SocketAddr::from(([127, 0, 0, 1], port));
        let refused = || {
            let error = UdpSocket::bind((host, port)).unwrap_err();
            assert_eq!(error.kind(), std::io::ErrorKind::AddrInUse);
            // Also one that would share the address.
            let script = format!(
                "import socket as S;s=S.socket(S.AF_INET,S.SOCK_DGRAM)\n\
                 s.setsockopt(S.SOL_SOCKET,S.SO_REUSEADDR,1)\n\
                 try: s.bind(('127.0.0.1',{port}))\n\
                 except OSError as e: print(e.errno)"
            );
            let tried = Command::new("python3")
                .args(["-c", &script])
                .output()
                .unwrap();
            assert_eq!(tried.stdout, b"98\n");
        };
        refused();
        let clients: Vec<_> = (0..3).map(|_| client(server)).collect();
        let mut streams = Vec::new();
        for client in &clients {
            client.send(b"?").unwrap();
            streams.push(accept(&listener));
            streams.last().unwrap().as_fd();
        }
        assert!(streams.iter().all(is_separate));
        refused();
        streams.truncate(1);
        refused();
        drop((streams, listener));
        UdpSocket::bind((host, port)).unwrap();
    }
}

#[test]
fn a_wildcard_listener_answers_from_the_address_that_was_asked() {
    for (host, asked) in [
        ("0.0.0.0", "127.0.0.2"),
        ("[::]", "127.0.0.2"),
        ("[::]", "::1"),
    ] {
        let listener = bind(&format!("udp://{host}:0"));
        let ip: IpAddr = asked.parse().unwrap();
        let server = SocketAddr::from((ip, address(&listener).port()));
        let any: SocketAddr = if ip.is_ipv4() {
            "127.0.0.1:0"
        } else {
            "[::1]:0"
        }
        .parse()
        .unwrap();
        let peer = UdpSocket::bind(any).unwrap();
        // Connected: it hears nobody but the address that it asked.
        peer.connect(server).unwrap();
        peer.set_read_timeout(Some(LONG)).unwrap();
        peer.send(b"1").unwrap();
        let mut stream = accept(&listener);
        let local = stream.local_addr().unwrap().unwrap();
        assert_eq!(local.ip().unwrap().to_canonical(), ip);
        stream.write_all(b"shared").unwrap();
        assert_eq!(said(&peer), b"shared", "{host} {asked}");
        stream.as_fd();
        assert!(is_separate(&stream));
        stream.write_all(b"own").unwrap();
        assert_eq!(said(&peer), b"own", "{host} {asked}");
        peer.send(b"2").unwrap();
        assert_eq!(
            (read(&mut stream), read(&mut stream)),
            (b"1".to_vec(), b"2".to_vec())
        );
        assert_eq!(stream.local_addr().unwrap().unwrap(), local);
    }
}

#[test]
fn a_peer_of_two_of_our_addresses_is_two_peers() {
    let listener = bind("udp://0.0.0.0:0");
    let port = address(&listener).port();
    let peer = UdpSocket::bind("127.0.0.1:0").unwrap();
    peer.send_to(b"1", ("127.0.0.1", port)).unwrap();
    let mut one = accept(&listener);
    peer.send_to(b"2", ("127.0.0.2", port)).unwrap();
    let mut two = accept(&listener);
    one.as_fd();
    two.as_fd();
    assert_eq!(
        (read(&mut one), read(&mut two)),
        (b"1".to_vec(), b"2".to_vec())
    );
    peer.send_to(b"4", ("127.0.0.2", port)).unwrap();
    peer.send_to(b"3", ("127.0.0.1", port)).unwrap();
    assert_eq!(
        (read(&mut one), read(&mut two)),
        (b"3".to_vec(), b"4".to_vec())
    );
}

#[test]
fn a_stream_goes_on_when_the_listener_is_gone() {
    let listener = bind("udp://127.0.0.1:0");
    let server = address(&listener);
    let (peer, own, late) = (client(server), client(server), client(server));
    peer.send(b"1").unwrap();
    let mut shared = accept(&listener);
    own.send(b"1").unwrap();
    let mut separate = accept(&listener);
    separate.as_fd();
    drop(listener);
    late.send(b"nobody accepts").unwrap();
    for (client, stream) in [(&peer, &mut shared), (&own, &mut separate)] {
        client.send(b"2").unwrap();
        assert_eq!((read(stream), read(stream)), (b"1".to_vec(), b"2".to_vec()));
        stream.write_all(b"3").unwrap();
        assert_eq!(said(client), b"3");
    }
    drop((shared, separate));
    UdpSocket::bind(server).unwrap();
}

#[test]
fn a_stream_taken_apart_is_a_connected_socket() {
    let listener = bind("udp://127.0.0.1:0");
    let peer = client(address(&listener));
    peer.send(b"one").unwrap();
    let stream = accept(&listener);
    peer.send(b"two").unwrap();
    let (descriptor, unread) = stream.into_parts().unwrap();
    assert_eq!(unread, b"onetwo");
    let socket = UdpSocket::from(descriptor);
    assert_eq!(socket.peer_addr().unwrap(), peer.local_addr().unwrap());
    peer.send(b"three").unwrap();
    assert_eq!(said(&socket), b"three");
    assert_eq!(listener.peers().unwrap().known, 0);
    assert!(listener.accept(NOW).unwrap_err().is_timeout());
}

#[test]
fn a_shared_address_is_shared_by_its_streams_too() {
    let listener = bind("udp://127.0.0.1:0?reuse_port=1");
    let server = address(&listener);
    let peer = client(server);
    peer.send(b"1").unwrap();
    let mut stream = accept(&listener);
    stream.as_fd();
    assert!(is_separate(&stream));
    peer.send(b"2").unwrap();
    assert_eq!(
        (read(&mut stream), read(&mut stream)),
        (b"1".to_vec(), b"2".to_vec())
    );
    let url = format!("udp://{server}?reuse_port=1");
    drop(Listener::bind(&url, &ListenOptions::default()).unwrap());
}

#[test]
fn select_finds_new_peers_and_datagrams_of_known_ones() {
    let listener = bind("udp://127.0.0.1:0");
    let server = address(&listener);
    let mut streams: Vec<Stream> = Vec::new();
    let clients: Vec<_> = (0..50).map(|_| client(server)).collect();
    for round in 0..3_u8 {
        for (number, client) in clients.iter().enumerate() {
            client.send(&[number as u8, round]).unwrap();
        }
        let mut left = clients.len();
        while left > 0 {
            let mut members = vec![Member::new(&listener, Interest::READ)];
            members.extend(
                streams
                    .iter()
                    .map(|stream| Member::new(stream, Interest::READ)),
            );
            assert!(select(&mut members, Some(LONG)).unwrap() > 0);
            let ready: Vec<_> = members
                .iter()
                .map(|member| member.readiness().readable)
                .collect();
            for (stream, _) in streams
                .iter_mut()
                .zip(&ready[1..])
                .filter(|(_, ready)| **ready)
            {
                let datagram = read(stream);
                assert_eq!(datagram[1], round);
                stream.write_all(&datagram).unwrap();
                left -= 1;
            }
            if ready[0]
                && let Ok(stream) = listener.accept(NOW)
            {
                streams.push(stream);
            }
        }
        for (number, client) in clients.iter().enumerate() {
            assert_eq!(said(client), [number as u8, round]);
        }
    }
    assert_eq!(streams.len(), clients.len());
}

#[test]
fn select_knows_at_once_of_what_came_before_the_descriptor_was_made() {
    let listener = bind("udp://127.0.0.1:0");
    let peer = client(address(&listener));
    peer.send(b"1").unwrap();
    let mut stream = accept(&listener);
    assert_eq!(read(&mut stream), b"1");
    peer.send(b"2").unwrap();
    let start = Instant::now();
    let mut members = [Member::new(&stream, Interest::READ)];
    assert_eq!(select(&mut members, Some(LONG)).unwrap(), 1);
    assert!(start.elapsed() < LONG / 2);
    assert_eq!(read(&mut stream), b"2");
}

/// A stream and a second hold of its own socket, by which a test sends astray what the kernel
/// sends astray but seldom.
fn held(listener: &Listener, peer: &UdpSocket) -> (Stream, UdpSocket) {
    peer.send(b"opening").unwrap();
    let mut stream = accept(listener);
    assert_eq!(read(&mut stream), b"opening");
    let own = stream.as_fd().try_clone_to_owned().unwrap();
    assert!(is_separate(&stream));
    (stream, UdpSocket::from(own))
}

#[test]
fn what_an_own_socket_got_of_others_reaches_them() {
    let listener = bind("udp://127.0.0.1:0");
    let server = address(&listener);
    let [peer, known, new] = [(); 3].map(|()| client(server));
    known.send(b"known").unwrap();
    let mut other = accept(&listener);
    let (mut stream, own) = held(&listener, &peer);
    for (sender, text) in [(&known, b"1"), (&known, b"2"), (&new, b"3")] {
        own.connect(sender.local_addr().unwrap()).unwrap();
        sender.send(text).unwrap();
    }
    own.connect(peer.local_addr().unwrap()).unwrap();
    peer.send(b"mine").unwrap();
    // The first is met by a look, the others by a read into too short a buffer.
    let mut seen = [0; 4];
    assert_eq!(stream.peek(&mut seen).unwrap(), 4);
    assert_eq!(&seen, b"mine");
    assert_eq!(stream.read(&mut seen[..2]).unwrap(), 2);
    assert_eq!(read(&mut stream), b"ne");
    assert!(would_block(&mut stream));
    for text in [&b"known"[..], b"1", b"2"] {
        assert_eq!(read(&mut other), text);
    }
    assert_eq!(read(&mut listener.accept(NOW).unwrap()), b"3");
}

#[test]
fn what_was_on_its_way_when_an_own_socket_was_made_is_read_without_an_accept() {
    let listener = bind("udp://127.0.0.1:0");
    let [peer, elsewhere] = [(); 2].map(|()| client(address(&listener)));
    let (mut stream, own) = held(&listener, &peer);
    own.connect(elsewhere.local_addr().unwrap()).unwrap();
    peer.send(b"late").unwrap();
    own.connect(peer.local_addr().unwrap()).unwrap();
    assert_eq!(read(&mut stream), b"late");
}

#[test]
fn a_wait_on_an_own_socket_is_woken_by_what_accept_received() {
    let listener = bind("udp://127.0.0.1:0");
    let [peer, elsewhere] = [(); 2].map(|()| client(address(&listener)));
    let (mut stream, own) = held(&listener, &peer);
    // Past the look at what was on its way.
    stream.set_read_timeout(Some(Duration::from_millis(50)));
    assert!(stream.read(&mut [0; 8]).is_err());
    stream.set_read_timeout(Some(LONG));
    let waiting = thread::spawn(move || read(&mut stream));
    own.connect(elsewhere.local_addr().unwrap()).unwrap();
    peer.send(b"handed over").unwrap();
    assert!(listener.accept(NOW).is_err());
    assert_eq!(waiting.join().unwrap(), b"handed over");
}
