//! Peers over udg, which all read from one socket.

use super::*;

#[test]
fn named_unix_peers_are_answered_over_the_shared_socket() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("server");
    let listener = bind(&format!("udg://{}", path.display()));
    let named = |name: &str| {
        let client = UnixDatagram::bind(folder.path().join(name)).unwrap();
        client.connect(&path).unwrap();
        client.set_read_timeout(Some(LONG)).unwrap();
        client
    };
    let (one, other) = (named("one"), named("other"));
    one.send(b"1").unwrap();
    let mut first = accept(&listener);
    let longest = vec![7; 200_000];
    one.send(&longest).unwrap();
    other.send(b"2").unwrap();
    let mut second = accept(&listener);
    assert_eq!(
        first.peer_addr().unwrap().to_string(),
        folder.path().join("one").display().to_string()
    );
    for (client, stream, text) in [(&one, &mut first, b"1"), (&other, &mut second, b"2")] {
        assert_eq!(read(stream), text);
        stream.write_all(text).unwrap();
        let mut answer = [0; 8];
        assert_eq!(client.recv(&mut answer).unwrap(), 1);
        assert_eq!(&answer[..1], text);
    }
    let mut whole = vec![0; 300_000];
    assert_eq!(first.read(&mut whole).unwrap(), longest.len());
    assert_eq!(
        first.local_addr().unwrap().as_ref(),
        Some(listener.local_addr())
    );

    // Two threads wait for theirs, and a third for a new peer, all on one socket.
    let reading: Vec<_> = [first, second]
        .into_iter()
        .map(|mut stream| thread::spawn(move || (read(&mut stream), stream)))
        .collect();
    let accepting = thread::spawn(move || (read(&mut accept(&listener)), listener));
    let third = named("third");
    other.send(b"to the second").unwrap();
    third.send(b"new").unwrap();
    one.send(b"to the first").unwrap();
    let heard: Vec<_> = reading
        .into_iter()
        .map(|thread| thread.join().unwrap())
        .collect();
    assert_eq!(heard[0].0, b"to the first");
    assert_eq!(heard[1].0, b"to the second");
    let (text, listener) = accepting.join().unwrap();
    assert_eq!(text, b"new");

    // There is no second socket of that name to be had.
    let (stream, _) = (heard.into_iter().next().unwrap().1, ());
    assert!(!is_separate(&stream));
    stream.as_fd();
    assert!(!is_separate(&stream));
    assert_eq!(stream.into_parts().unwrap_err().errno(), Some(95));
    drop(listener);
    assert!(!path.exists());
}

#[test]
fn a_write_to_a_unix_peer_waits_until_it_reads() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("server");
    let listener = bind(&format!("udg://{}", path.display()));
    let client = UnixDatagram::bind(folder.path().join("client")).unwrap();
    client.connect(&path).unwrap();
    client.send(b"?").unwrap();
    let mut stream = accept(&listener);
    stream.set_blocking(false);
    let mut sent = 0_u32;
    while stream.write(&sent.to_ne_bytes()).is_ok() {
        sent += 1;
    }
    stream.set_blocking(true);
    let writing = thread::spawn(move || stream.write_all(&sent.to_ne_bytes()).unwrap());
    for expected in 0..=sent {
        let mut number = [0; 4];
        client.recv(&mut number).unwrap();
        assert_eq!(u32::from_ne_bytes(number), expected);
    }
    writing.join().unwrap();
}

#[test]
fn a_sender_without_a_name_is_a_stream_of_one_datagram() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("server");
    let listener = bind(&format!("udg://{}", path.display()));
    let unnamed = UnixDatagram::unbound().unwrap();
    for text in ["one\n", "two\n"] {
        unnamed.send_to(text.as_bytes(), &path).unwrap();
    }
    for text in ["one\n", "two\n"] {
        let mut stream = accept(&listener);
        assert_eq!(stream.peer_addr(), None);
        let error = stream.write(b"x").unwrap_err().to_string();
        assert!(error.ends_with("(EDESTADDRREQ)"), "{error}");
        assert!(!stream.is_eof().unwrap());
        let mut line = Vec::new();
        assert!(stream.read_line(&mut line, 100).unwrap());
        assert_eq!(line, text.as_bytes());
        assert!(stream.is_eof().unwrap());
        assert!(!stream.read_line(&mut line, 100).unwrap());
        assert_eq!(stream.read(&mut [0; 8]).unwrap(), 0);
    }
    assert_eq!(listener.peers().unwrap().known, 0);
}

#[test]
fn a_waiting_read_is_woken_by_what_an_accept_in_another_thread_received() {
    // Over udg every datagram takes that way: whoever receives it hands it over.
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("server");
    let listener = bind(&format!("udg://{}", path.display()));
    let clients: Vec<_> = (0..4)
        .map(|number| {
            let client = UnixDatagram::bind(folder.path().join(number.to_string())).unwrap();
            client.connect(&path).unwrap();
            client.set_read_timeout(Some(LONG)).unwrap();
            client
        })
        .collect();
    let mut readers = Vec::new();
    for client in &clients {
        client.send(b"?").unwrap();
        let mut stream = accept(&listener);
        readers.push(thread::spawn(move || {
            for _ in 0..=500 {
                let datagram = read(&mut stream);
                stream.write_all(&datagram).unwrap();
            }
        }));
    }
    let done = Arc::new(AtomicBool::new(false));
    let stop = Arc::clone(&done);
    let accepting = thread::spawn(move || {
        while !stop.load(Ordering::SeqCst) {
            _ = listener.accept(Some(Duration::from_millis(20)));
        }
    });
    for number in 0..500_u32 {
        for client in &clients {
            client.send(&number.to_ne_bytes()).unwrap();
        }
        for client in &clients {
            let mut answer = [0; 8];
            if number == 0 {
                assert_eq!(client.recv(&mut answer).unwrap(), 1);
            }
            assert_eq!(client.recv(&mut answer).unwrap(), 4);
            assert_eq!(answer[..4], number.to_ne_bytes());
        }
    }
    readers
        .into_iter()
        .for_each(|thread| thread.join().unwrap());
    done.store(true, Ordering::SeqCst);
    accepting.join().unwrap();
}
