//! Relays between TLS and a target without: what is decrypted is sent from where that was done,
//! once there is much of it; what is encrypted is held as that where it can't be sent.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener};
use std::os::fd::AsFd;
use std::os::unix::net::UnixListener;
use std::sync::Arc;
use std::thread;

use stream_socket::Stream;

use super::listen;
use crate::relay::{Ending, SHORT, SOON, turned_for};
use crate::support::certificates::trusting;
use crate::support::{noise, patient, rest_of};

const BULK: usize = 3 * 1024 * 1024;

/// What `send` sends through a relay from `url` to `target`, as `receive` receives it there, and
/// how the relay ended.
fn relayed<T: Send>(
    url: &str,
    target: &str,
    send: impl FnOnce(Stream) + Send,
    receive: impl FnOnce() -> T + Send,
) -> (T, Ending) {
    let listener = listen(url);
    let url = listener.url().clone();
    let (mut engine, endings) = turned_for(Arc::new(listener), target, SOON);
    thread::scope(|scope| {
        let mut options = trusting();
        options.tls.peer_name = Some("localhost".to_owned());
        scope.spawn(move || send(patient(Stream::connect(&url, &options).unwrap())));
        let received = scope.spawn(receive);
        let ending = loop {
            engine.turn(Some(SHORT)).unwrap();
            if let Ok(ending) = endings.try_recv() {
                break ending;
            }
        };
        // Whom the relay has left learns it when the engine is gone.
        drop(engine);
        (received.join().unwrap(), ending)
    })
}

#[test]
fn what_is_decrypted_in_place_arrives_as_it_was_sent() {
    let content = noise(BULK, 1);
    // A unix socket takes less than one read brings, so that the rest has to be held.
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("target");
    let backend = UnixListener::bind(&path).unwrap();
    let target = format!("unix://{}", path.display());
    // The lengths of writes, and so of records: full ones, some of each, many that are short.
    let tables: [&[usize]; 4] = [
        &[256 * 1024],
        &[16_384, 1, 40_000, 5, 300, 70_000],
        &[200_000, 200_000, 100, 100, 100, 4_095, 4_096, 4_097],
        &[100_000, 60],
    ];
    for version in ["tlsv1.2", "tlsv1.3"] {
        for lengths in tables {
            let send = |mut client: Stream| {
                let mut rest = &content[..];
                for length in lengths.iter().cycle() {
                    let (now, later) = rest.split_at(rest.len().min(*length));
                    client.write_all(now).unwrap();
                    rest = later;
                    if rest.is_empty() {
                        break;
                    }
                }
                client.shutdown(Shutdown::Write).unwrap();
                assert_eq!(client.read(&mut [0]).unwrap(), 0);
            };
            let receive = || {
                let (mut target, _) = backend.accept().unwrap();
                target.set_read_timeout(Some(SOON)).unwrap();
                rest_of(&mut target)
            };
            let url = format!("{version}://127.0.0.1:0");
            let (got, (up, down, _)) = relayed(&url, &target, send, receive);
            assert!(got == content, "{lengths:?} over {version}: {}", got.len());
            assert_eq!((up, down), (BULK as u64, 0));
        }
    }
}

/// A unix socket takes less than one read brings, so that TLS has to hold the rest.
#[test]
fn what_is_encrypted_arrives_as_it_was_sent() {
    let content = noise(BULK, 3);
    let folder = tempfile::tempdir().unwrap();
    let url = format!("tls+unix://{}/relay", folder.path().display());
    for (lengths, reads) in [
        (&[256 * 1024][..], 100_000),
        (&[16_384, 1, 40_000, 5, 300, 70_000], 3_000),
        (&[200_000, 200_000, 100, 100, 100, 100], 60_000),
    ] {
        let backend = TcpListener::bind("127.0.0.1:0").unwrap();
        let target = format!("tcp://{}", backend.local_addr().unwrap());
        let receive = |mut client: Stream| {
            let (mut got, mut buffer) = (Vec::new(), vec![0; reads]);
            loop {
                match client.read(&mut buffer).unwrap() {
                    0 => break,
                    length => got.extend_from_slice(&buffer[..length]),
                }
            }
            assert!(got == content, "{lengths:?}: {}", got.len());
        };
        let send = || {
            let (mut target, _) = backend.accept().unwrap();
            target.set_write_timeout(Some(SOON)).unwrap();
            let mut rest = &content[..];
            for length in lengths.iter().cycle() {
                let (now, later) = rest.split_at(rest.len().min(*length));
                target.write_all(now).unwrap();
                rest = later;
                if rest.is_empty() {
                    break;
                }
            }
        };
        let ((), (up, down, _)) = relayed(&url, &target, receive, send);
        assert_eq!((up, down), (0, BULK as u64), "{lengths:?}");
    }
}

#[test]
fn an_end_without_a_word_after_bulk_is_passed_on_as_a_reset() {
    let send = |mut client: Stream| {
        client.write_all(&noise(BULK, 2)).unwrap();
        rustix::net::shutdown(client.as_fd(), rustix::net::Shutdown::Write).unwrap();
        _ = client.read_to_end(&mut Vec::new());
    };
    let backend = TcpListener::bind("127.0.0.1:0").unwrap();
    let target = format!("tcp://{}", backend.local_addr().unwrap());
    let receive = || {
        let (mut target, _) = backend.accept().unwrap();
        target.set_read_timeout(Some(SOON)).unwrap();
        target.read_to_end(&mut Vec::new()).is_err()
    };
    let (is_reset, (_, _, sentence)) = relayed("tls://127.0.0.1:0", &target, send, receive);
    assert!(is_reset);
    assert!(sentence.contains("without close_notify"), "{sentence}");
}
