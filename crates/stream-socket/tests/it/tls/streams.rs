//! Bytes through TLS: whole, in order, to their end.

use std::io::{BufRead, ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::thread;
use std::time::Duration;

use stream_socket::{
    Connecting, Interest, Limit, Member, Poller, Selectable, Stage, Stream, TlsVersion, select,
};

use super::{both_ends, listen, listen_with, tls_pair};
use crate::support::certificates::{serving, trusting};
use crate::support::{PATIENCE, accept, line_of, noise, patient, rest_of};

#[test]
fn each_transport_has_its_versions() {
    let folder = tempfile::tempdir().unwrap();
    let unix = format!(
        "tls+unix://{}/s?handshake_timeout=20s",
        folder.path().display()
    );
    for (url, version) in [
        ("tls://127.0.0.1:0", TlsVersion::V1_3),
        ("tls://[::1]:0", TlsVersion::V1_3),
        ("ssl://127.0.0.1:0", TlsVersion::V1_3),
        ("tlsv1.2://127.0.0.1:0", TlsVersion::V1_2),
        ("tlsv1.3://127.0.0.1:0", TlsVersion::V1_3),
        ("tls://127.0.0.1:0?max_version=1.2", TlsVersion::V1_2),
        (unix.as_str(), TlsVersion::V1_3),
    ] {
        let listener = listen(url);
        let mut options = trusting();
        if listener.transport().is_unix() {
            options.tls.peer_name = Some("localhost".to_owned());
        }
        let (mut client, mut served) = both_ends(&listener, &options);
        client.write_all(b"question\n").unwrap();
        assert_eq!(line_of(&mut served).unwrap(), b"question\n");
        served.write_all(b"answer").unwrap();
        drop(served);
        assert_eq!(rest_of(&mut client), b"answer");
        assert_eq!(client.tls().unwrap().version, version, "{url}");
        assert_eq!(client.transport(), listener.transport());
        assert_eq!((client.bytes_sent(), client.bytes_received()), (9, 6));
    }
}

#[test]
fn much_goes_both_ways_at_once() {
    let (client, served) = tls_pair();
    let total = 5_000_000;
    thread::scope(|scope| {
        for (mut stream, seeds) in [(client, [1, 2]), (served, [2, 1])] {
            scope.spawn(move || {
                // One end reads while the other writes: neither has a thread for each direction.
                let (ours, theirs) = (noise(total, seeds[0]), noise(total, seeds[1]));
                stream.set_blocking(false);
                let (mut sent, mut got) = (0, Vec::<u8>::new());
                let mut chunk = vec![0; 60 * 1024];
                while sent < total || got.len() < total {
                    let interest = if sent < total {
                        Interest::READ.and(Interest::WRITE)
                    } else {
                        Interest::READ
                    };
                    select(&mut [Member::new(&stream, interest)], Some(PATIENCE)).unwrap();
                    match stream.write(&ours[sent..(sent + 100_000).min(total)]) {
                        Ok(length) => sent += length,
                        Err(error) => assert_eq!(error.kind(), ErrorKind::WouldBlock),
                    }
                    match stream.read(&mut chunk) {
                        Ok(length) => got.extend(&chunk[..length]),
                        Err(error) => assert_eq!(error.kind(), ErrorKind::WouldBlock),
                    }
                }
                assert!(got == theirs);
                stream.set_blocking(true);
                stream.flush().unwrap();
            });
        }
    });
}

#[test]
fn a_short_write_goes_on_where_it_stopped_and_nowhere_else() {
    let (mut client, mut served) = tls_pair();
    served.set_blocking(false);
    let bytes = noise(20_000_000, 3);
    let mut sent = 0;
    loop {
        match served.write(&bytes[sent..]) {
            Ok(length) => sent += length,
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::WouldBlock);
                break;
            }
        }
    }
    assert!(sent > 0 && sent < bytes.len());
    assert_eq!(
        served.awaits(Interest::READ),
        Interest::READ.and(Interest::WRITE)
    );
    let reader = thread::spawn(move || {
        let mut got = vec![0; 20_000_000];
        client.read_exact(&mut got).unwrap();
        got
    });
    served.set_blocking(true);
    let other = [!bytes[sent]];
    // It would have to go on in plain.
    let error = served.stop_tls().unwrap_err();
    assert!(
        error.reason().ends_with("has to go on before TLS ends"),
        "{error}"
    );
    // With room again, what is not the continuation is refused and does no harm.
    select(&mut [Member::new(&served, Interest::WRITE)], Some(PATIENCE)).unwrap();
    let error = served.write(&other).unwrap_err();
    assert!(
        error.to_string().contains("has to go on where it stopped"),
        "{error}"
    );
    // It may go on in other portions than it began in.
    for portion in [1, 100, 20_000] {
        let length = served.write(&bytes[sent..sent + portion]).unwrap();
        assert!((1..=portion).contains(&length));
        sent += length;
    }
    served.write_all(&bytes[sent..]).unwrap();
    assert!(reader.join().unwrap() == bytes);
    assert_eq!(served.bytes_sent(), bytes.len() as u64);
}

/// What was reported as sent is with the system, as on a plain stream.
#[test]
fn a_stream_that_is_dropped_amid_a_write_loses_nothing_that_was_reported() {
    let (folder, bytes) = (tempfile::tempdir().unwrap(), noise(20_000_000, 9));
    let unix = format!("tls+unix://{}/s", folder.path().display());
    for url in ["tlsv1.2://127.0.0.1:0", "tlsv1.3://127.0.0.1:0", &unix] {
        let listener = listen(url);
        let mut options = trusting();
        options.tls.peer_name = Some("localhost".to_owned());
        for portion in [700, 50_000, 20_000_000] {
            let (mut client, mut served) = both_ends(&listener, &options);
            served.set_blocking(false);
            let mut sent = 0;
            while let Ok(length) = served.write(&bytes[sent..sent + portion.min(20_000_000 - sent)])
            {
                sent += length;
            }
            drop(served);
            let mut got = Vec::new();
            _ = client.read_to_end(&mut got);
            // A byte may only have said that a write had begun.
            assert!(
                got.len() + 1 >= sent,
                "{url} {portion}: {} of {sent}",
                got.len()
            );
            assert!(got == bytes[..got.len()]);
        }
    }
}

/// A socket that is full has room for the end of TLS all the same.
#[test]
fn a_stream_that_is_dropped_with_its_socket_full_ends_well() {
    let folder = tempfile::tempdir().unwrap();
    let listener = listen(&format!("tls+unix://{}/s", folder.path().display()));
    let mut options = trusting();
    options.tls.peer_name = Some("localhost".to_owned());
    for portion in [700, 16_000, 60_000] {
        let portion = vec![7; portion];
        let mut whole = 0;
        // First it is found out how much there is room for, and then written exactly that.
        for is_rehearsal in [true, false] {
            let (mut client, mut served) = both_ends(&listener, &options);
            served.set_blocking(false);
            if is_rehearsal {
                let writes = std::iter::from_fn(|| served.write(&portion).ok());
                whole = writes.take_while(|length| *length == portion.len()).count();
                continue;
            }
            for _ in 0..whole {
                assert_eq!(served.write(&portion).unwrap(), portion.len());
            }
            drop(served);
            let mut got = Vec::new();
            client.read_to_end(&mut got).unwrap();
            assert_eq!(got.len(), whole * portion.len());
        }
    }
}

#[test]
fn lines_come_as_from_any_stream() {
    let (mut client, mut served) = tls_pair();
    let long = "x".repeat(100_000) + "\n";
    client.write_all(b"one\ntwo\n").unwrap();
    client.write_all(long.as_bytes()).unwrap();
    client.write_all(b"rest").unwrap();
    drop(client);
    for expected in ["one\n", "two\n", &long, "rest"] {
        assert_eq!(line_of(&mut served).unwrap(), expected.as_bytes());
    }
    assert_eq!(line_of(&mut served), None);
    assert!(served.is_eof().unwrap());
    assert_eq!(served.fill_buf().unwrap(), b"");
}

#[test]
fn decrypted_bytes_are_readable() {
    let (mut client, mut served) = tls_pair();
    client.write_all(b"abc").unwrap();
    let mut byte = [0];
    served.read_exact(&mut byte).unwrap();
    // The socket is empty; the rest of the record is not.
    assert!(served.has_buffered());
    let mut members = [Member::new(&served, Interest::READ)];
    assert_eq!(select(&mut members, Some(PATIENCE)).unwrap(), 1);
    let mut two = [0; 2];
    assert_eq!(served.peek(&mut two).unwrap(), 2);
    assert_eq!((&two, served.is_eof().unwrap()), (b"bc", false));
    served.set_blocking(false);
    assert_eq!(served.read(&mut two).unwrap(), 2);
    assert_eq!(
        served.read(&mut two).unwrap_err().kind(),
        ErrorKind::WouldBlock
    );
    assert!(!served.has_buffered() && !served.is_eof().unwrap());
}

#[test]
fn one_direction_ends_before_the_other() {
    let (mut client, mut served) = tls_pair();
    client.write_all(b"all").unwrap();
    client.shutdown(Shutdown::Write).unwrap();
    assert_eq!(
        client.write(b"x").unwrap_err().kind(),
        ErrorKind::BrokenPipe
    );
    assert_eq!(rest_of(&mut served), b"all");
    served.write_all(b"still here").unwrap();
    drop(served);
    assert_eq!(rest_of(&mut client), b"still here");
}

/// Lets the bytes of one connection through to another, and cuts it without a word.
fn cut_off(url: &stream_socket::SocketUrl, behind: usize) -> String {
    let relay = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let target = url.target().to_string();
    let address = relay.local_addr().unwrap();
    thread::spawn(move || {
        let (mut near, _) = relay.accept().unwrap();
        let mut far = TcpStream::connect(target).unwrap();
        let (mut up_from, mut up_to) = (near.try_clone().unwrap(), far.try_clone().unwrap());
        thread::spawn(move || std::io::copy(&mut up_from, &mut up_to));
        let mut left = behind;
        let mut chunk = [0; 1000];
        while left > 0 {
            let most = left.min(chunk.len());
            let length = far.read(&mut chunk[..most]).unwrap();
            if length == 0 {
                break;
            }
            near.write_all(&chunk[..length]).unwrap();
            left -= length;
        }
        near.shutdown(Shutdown::Write).unwrap();
    });
    format!("tls://{address}")
}

#[test]
fn an_end_without_a_word_is_an_error_unless_it_is_asked_for() {
    let listener = listen("tls://127.0.0.1:0");
    let url = listener.url().clone();
    thread::spawn(move || {
        for served in listener.incoming() {
            let mut served = served.unwrap();
            // More than is let through, and then nothing, so that nothing is reset.
            served.write_all(&[7; 20_000]).unwrap();
            served.read_to_end(&mut Vec::new()).ok();
        }
    });
    for accepts in [false, true] {
        let mut options = trusting();
        options.tls.danger_accept_truncation = accepts;
        let mut client = Stream::connect(&cut_off(&url, 15_000), &options).unwrap();
        client.set_read_timeout(Some(PATIENCE));
        let mut got = Vec::new();
        let result = client.read_to_end(&mut got);
        if accepts {
            result.unwrap();
        } else {
            let error = result.unwrap_err();
            assert!(
                error.to_string().contains("without close_notify"),
                "{error}"
            );
            assert!(client.is_eof().is_err());
        }
        assert!(client.is_truncated());
        // Whole records alone are decrypted.
        assert!(got.len() < 15_000 && got.iter().all(|byte| *byte == 7));
    }
}

#[test]
fn a_peer_that_is_gone_is_an_error_at_once() {
    let (client, mut served) = tls_pair();
    // It ends with bytes unread, and so with a reset.
    served.write_all(&[0; 1000]).unwrap();
    select(&mut [Member::new(&client, Interest::READ)], Some(PATIENCE)).unwrap();
    drop(client);
    let start = std::time::Instant::now();
    let error = loop {
        match served.write_all(&[0; 1000]) {
            Ok(()) => assert!(start.elapsed() < PATIENCE),
            Err(error) => break error,
        }
    };
    assert!(
        matches!(
            error.kind(),
            ErrorKind::BrokenPipe | ErrorKind::ConnectionReset
        ),
        "{error}"
    );
}

#[test]
fn reads_and_writes_keep_their_time() {
    let (_client, mut served) = tls_pair();
    served.set_read_timeout(Some(Duration::from_millis(50)));
    let error = served.read(&mut [0]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TimedOut);
    assert_eq!(served.timed_out(), Some(Limit::Read));
    served.set_write_timeout(Some(Duration::from_millis(50)));
    let error = served.write_all(&vec![0; 20_000_000]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TimedOut);
    assert_eq!(served.timed_out(), Some(Limit::Write));
}

#[test]
fn a_connect_can_be_driven_by_the_callers_loop() {
    let listener = listen("tls://127.0.0.1:0");
    let mut connecting = Connecting::start(listener.url(), &trusting()).unwrap();
    let (mut client, mut served) = (None, None);
    while client.is_none() || served.is_none() {
        if client.is_none() {
            client = connecting.advance().unwrap();
        }
        if served.is_none() {
            served = listener.accept(Some(Duration::ZERO)).ok();
        }
        let mut members = vec![Member::new(&listener, Interest::READ)];
        if client.is_none() {
            members.push(Member::new(&connecting, Interest::READ));
        }
        if client.is_none() || served.is_none() {
            select(&mut members, Some(Duration::from_millis(50))).unwrap();
        }
    }
    let (mut client, mut served) = (patient(client.unwrap()), patient(served.unwrap()));
    client.write_all(b"x").unwrap();
    served.read_exact(&mut [0]).unwrap();
}

#[test]
fn a_silent_server_is_given_up_in_time() {
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("tls://{}", silent.local_addr().unwrap());
    for (option, limit) in [
        ("connect_timeout", Limit::Connect),
        ("handshake_timeout", Limit::Handshake),
    ] {
        let error = Stream::connect(&format!("{url}?{option}=60ms"), &trusting()).unwrap_err();
        assert_eq!(
            (error.stage(), error.limit()),
            (Stage::Handshake, Some(limit))
        );
        assert!(
            error
                .to_string()
                .starts_with(&format!("cannot shake hands with {url}")),
            "{error}"
        );
    }
}

#[test]
fn what_the_ends_agreed_upon_is_known() {
    let mut options = serving("localhost");
    options.tls.alpn = vec!["h2".to_owned(), "http/1.1".to_owned()];
    options.tls.client_ca =
        Some(crate::support::certificates::Certificates::shared().file("ca.pem"));
    let listener = listen_with("tls://localhost:0", &options);
    let mut options = trusting();
    options.tls.alpn = vec!["http/1.1".to_owned()];
    options.tls.certificate =
        Some(crate::support::certificates::Certificates::shared().file("client.pem"));
    let url = listener
        .url()
        .to_string()
        .replace("127.0.0.1", "localhost")
        .replace("[::1]", "localhost");
    let (client, served) = thread::scope(|scope| {
        let client = scope.spawn(|| Stream::connect(&url, &options).unwrap());
        let served = accept(&listener);
        (client.join().unwrap(), served)
    });
    let (theirs, ours) = (client.tls().unwrap(), served.tls().unwrap());
    assert_eq!(ours.server_name.as_deref(), Some("localhost"));
    assert_eq!(theirs.server_name, None);
    for facts in [&theirs, &ours] {
        assert_eq!(facts.alpn.as_deref(), Some(b"http/1.1".as_slice()));
        assert_eq!(facts.peer_certificates.len(), 1);
        assert!(
            facts.cipher.name.starts_with("TLS_"),
            "{}",
            facts.cipher.name
        );
    }
}

#[test]
fn sessions_are_resumed() {
    for (url, expected) in [
        ("tlsv1.2://127.0.0.1:0", [false, true, true]),
        ("tlsv1.3://127.0.0.1:0", [false, true, true]),
        ("tlsv1.3://127.0.0.1:0?tickets=1", [false, true, true]),
        ("tlsv1.2://127.0.0.1:0?tickets=0", [false; 3]),
        ("tlsv1.3://127.0.0.1:0?tickets=0", [false; 3]),
    ] {
        let listener = listen(url);
        let mut options = trusting();
        // A context of its own, which has met nobody yet.
        options.tls.handshake_timeout = Some(Duration::from_secs(11));
        let mut resumed = Vec::new();
        for _ in 0..3 {
            let (mut client, mut served) = both_ends(&listener, &options);
            served.write_all(b"x").unwrap();
            drop(served);
            assert_eq!(rest_of(&mut client), b"x");
            resumed.push(client.tls().unwrap().resumed);
        }
        assert_eq!(resumed, expected, "{url}");
    }
}

#[test]
fn a_poller_tells_of_bytes_that_are_decrypted() {
    let (mut near, mut far) = tls_pair();
    let (mut poller, mut ready) = (Poller::new().unwrap(), Vec::new());
    poller.add(&near, 7, Interest::READ).unwrap();
    far.write_all(b"one\ntwo\n").unwrap();
    for line in [b"one\n", b"two\n"] {
        assert_eq!(poller.wait(&mut ready, Some(PATIENCE)).unwrap(), 1);
        assert!(ready[0].key == 7 && ready[0].readiness.readable);
        assert_eq!(line_of(&mut near).unwrap(), line);
        poller.add(&near, 7, Interest::READ).unwrap();
    }
    let shortly = Some(Duration::from_millis(20));
    assert_eq!(poller.wait(&mut ready, shortly).unwrap(), 0);
    far.write_all(b"three").unwrap();
    assert_eq!(near.read(&mut [0]).unwrap(), 1);
    // Who only writes is not told, and who was taken out neither.
    poller.add(&near, 7, Interest::URGENT).unwrap();
    assert_eq!(poller.wait(&mut ready, shortly).unwrap(), 0);
    poller.add(&near, 7, Interest::READ).unwrap();
    poller.remove(&near).unwrap();
    assert_eq!(poller.wait(&mut ready, shortly).unwrap(), 0);
}

#[test]
fn a_poller_drives_a_handshake() {
    let listener = listen("tls://127.0.0.1:0");
    thread::scope(|scope| {
        scope.spawn(|| accept(&listener).write_all(b"served").unwrap());
        let mut client = Stream::begin(listener.url(), &trusting()).unwrap();
        client.set_blocking(false);
        let (mut poller, mut ready) = (Poller::new().unwrap(), Vec::new());
        let mut text = Vec::new();
        while text.len() < 6 {
            poller.add(&client, 0, Interest::READ).unwrap();
            assert_eq!(poller.wait(&mut ready, Some(PATIENCE)).unwrap(), 1);
            assert!(ready[0].readiness.readable);
            let mut bytes = [0; 6];
            match client.read(&mut bytes) {
                Ok(length) => text.extend_from_slice(&bytes[..length]),
                Err(error) => assert_eq!(error.kind(), ErrorKind::WouldBlock),
            }
        }
        assert_eq!(text, b"served");
    });
}
