//! With the clock and the system calls in the hand of the test.

use super::*;
use stream_socket::simulation::{Call, Fault, Plan, calls};

/// Lets this thread's clock go on by so much while an accept waits in vain.
fn pass(listener: &Listener, span: Duration) {
    let plan = Plan::new([(Call::Poll, Fault::Slow(span))]);
    assert!(listener.accept(Some(span)).unwrap_err().is_timeout());
    assert_eq!(plan.left(), 0);
}

#[test]
fn an_answer_costs_one_receive_and_one_send() {
    let listener = bind("udp://127.0.0.1:0");
    let peer = client(address(&listener));
    for _ in 0..2 {
        peer.send(b"?").unwrap();
        let ((), made) = calls(|| accept(&listener).write_all(b"!").unwrap());
        assert_eq!(made, [Call::Receive, Call::Send]);
    }
}

#[test]
fn idle_peers_are_forgotten_and_their_streams_end() {
    let listener = bind("udp://127.0.0.1:0?peer_idle_timeout=60s");
    let server = address(&listener);
    let clients: Vec<_> = (0..3).map(|_| client(server)).collect();
    let mut streams = Vec::new();
    for client in &clients {
        client.send(b"?").unwrap();
        streams.push(accept(&listener));
    }
    let (mut writes, mut shared, mut own) =
        (streams.remove(0), streams.remove(0), streams.remove(0));
    own.as_fd();
    for _ in 0..3 {
        pass(&listener, Duration::from_secs(30));
        writes.write_all(b"a datagram either way").unwrap();
    }
    pass(&listener, Duration::from_secs(5));
    let counted = listener.peers().unwrap();
    assert_eq!((counted.known, counted.evicted), (1, 2));

    for stream in [&mut shared, &mut own] {
        // What came is still read, then comes the end.
        assert!(stream.has_buffered() && !stream.is_eof().unwrap());
        assert_eq!(read(stream), b"?");
        assert!(stream.is_eof().unwrap());
        let mut members = [Member::new(stream, Interest::READ)];
        assert_eq!(select(&mut members, NOW).unwrap(), 1);
        let error = stream.read(&mut [0; 8]).unwrap_err();
        let error = stream_socket::Error::in_io(&error).unwrap();
        assert_eq!(
            (error.limit(), error.errno()),
            (Some(Limit::PeerIdle), Some(110))
        );
        assert!(error.reason().contains("idle for 60s"), "{error}");
        assert!(stream.write(b"x").is_err());
    }
    writes.write_all(b"still there").unwrap();
    // A later datagram makes a new stream.
    clients[1].send(b"back").unwrap();
    assert_eq!(read(&mut accept(&listener)), b"back");
    clients[2].send(b"back too").unwrap();
    drop(own);
    assert_eq!(read(&mut accept(&listener)), b"back too");
}

#[test]
fn a_peer_whose_datagrams_wait_in_its_own_socket_is_not_idle() {
    let listener = bind("udp://127.0.0.1:0");
    let peer = client(address(&listener));
    peer.send(b"1").unwrap();
    let mut stream = accept(&listener);
    stream.as_fd();
    pass(&listener, Duration::from_secs(50));
    peer.send(b"2").unwrap();
    pass(&listener, Duration::from_secs(50));
    assert_eq!(
        (read(&mut stream), read(&mut stream)),
        (b"1".to_vec(), b"2".to_vec())
    );
    assert_eq!(listener.peers().unwrap().evicted, 0);
}

#[test]
fn a_unix_peer_that_does_not_read_is_idle_however_often_it_is_written_to() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("server");
    let listener = bind(&format!("udg://{}?peer_idle_timeout=60s", path.display()));
    let client = UnixDatagram::bind(folder.path().join("client")).unwrap();
    client.connect(&path).unwrap();
    client.send(b"?").unwrap();
    let mut stream = accept(&listener);
    assert_eq!(read(&mut stream), b"?");
    stream.set_blocking(false);
    while stream.write(b"!").is_ok() {}
    let mut waits = 0;
    while listener.peers().unwrap().evicted == 0 {
        pass(&listener, Duration::from_secs(10));
        _ = stream.write(b"!");
        waits += 1;
        assert!(waits < 20);
    }
    // In the first of them it was still written to.
    assert!(waits >= 6, "{waits}");
    let error = stream.write(b"!").unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::TimedOut);
}

#[test]
fn without_a_descriptor_to_spare_a_stream_waits_on_the_listeners() {
    let listener = bind("udp://127.0.0.1:0");
    let (peer, other) = (client(address(&listener)), client(address(&listener)));
    peer.send(b"1").unwrap();
    let mut stream = accept(&listener);
    assert_eq!(read(&mut stream), b"1");
    for call in [Call::Socket, Call::Bind, Call::Connect] {
        let plan = Plan::new([(call, Fault::Errno(24))]);
        stream.as_fd();
        assert_eq!(plan.left(), 0);
        assert!(!is_separate(&stream), "{call:?}");
    }
    let waiting = thread::spawn(move || {
        let _plan = Plan::new([(Call::Socket, Fault::Errno(24))]);
        let first = read(&mut stream);
        (first, is_separate(&stream))
    });
    other.send(b"other").unwrap();
    assert_eq!(read(&mut accept(&listener)), b"other");
    peer.send(b"2").unwrap();
    assert!(listener.accept(NOW).is_err());
    assert_eq!(waiting.join().unwrap().0, b"2");
    UdpSocket::bind(address(&listener)).unwrap_err();
}

#[test]
fn a_forked_child_is_refused_and_harms_nobody_when_it_drops_all() {
    use crate::support::child::{Surroundings, run};
    use stream_socket::simulation::in_forked_child;

    // Alone: the child would keep the sockets of other tests open.
    run(Surroundings::Alone, || {
        let listener = bind("udp://127.0.0.1:0");
        let peer = client(address(&listener));
        peer.send(b"first").unwrap();
        let stream = accept(&listener);
        peer.send(b"second").unwrap();
        let held = std::cell::Cell::new(Some((listener, stream)));
        let child = || {
            let (listener, mut stream) = held.take().unwrap();
            let errors = [
                listener.accept(None).unwrap_err(),
                stream.read_line(&mut Vec::new(), 9).unwrap_err(),
                stream.peek(&mut [0]).unwrap_err(),
            ];
            let write = stream.write(b"x").unwrap_err();
            let why = "it belongs to the process that made it, and this one was forked (EPERM)";
            errors
                .iter()
                .all(|error| error.errno() == Some(libc::EPERM) && error.to_string().ends_with(why))
                && write.to_string() == format!("cannot write to {stream}: {why}")
        };
        assert!(in_forked_child(child, || {}), "the child was not refused");
        let (listener, mut stream) = held.take().unwrap();
        assert_eq!(read(&mut stream), b"first");
        assert_eq!(read(&mut stream), b"second");
        stream.write_all(b"answer").unwrap();
        assert_eq!(said(&peer), b"answer");
        assert!(listener.accept(NOW).unwrap_err().is_timeout());
    });
}
