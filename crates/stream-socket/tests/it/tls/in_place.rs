//! STARTTLS: TLS on a stream that was plain before.

use std::io::{Read, Write};
use std::thread;

use stream_socket::{
    ConnectOptions, Interest, ListenOptions, Listener, Member, Stage, Stream, TlsClientOptions,
    TlsServerOptions, Transport, select,
};

use crate::support::certificates::{serving, trusting};
use crate::support::signal::Waiter;
use crate::support::{PATIENCE, line_of, pair, tcp_pair};

fn server() -> TlsServerOptions {
    serving("localhost").tls
}

fn client() -> TlsClientOptions {
    let mut options = trusting().tls;
    options.peer_name = Some("localhost".to_owned());
    options
}

#[test]
fn both_ends_begin_tls_where_they_were_plain() {
    for (mut near, mut far) in [tcp_pair(), pair(Transport::Unix)] {
        near.write_all(b"STARTTLS\r\n").unwrap();
        assert_eq!(line_of(&mut far).unwrap(), b"STARTTLS\r\n");
        far.write_all(b"go\n").unwrap();
        assert_eq!(line_of(&mut near).unwrap(), b"go\n");
        thread::scope(|scope| {
            scope.spawn(|| assert_eq!(far.start_tls_server(&server()).unwrap(), None));
            assert_eq!(near.start_tls_client(&client()).unwrap(), None);
        });
        near.write_all(b"secret\n").unwrap();
        assert_eq!(line_of(&mut far).unwrap(), b"secret\n");
        assert_eq!((near.bytes_sent(), far.bytes_received()), (17, 17));
        assert!(near.tls().is_some() && far.tls().is_some());
        let error = near.start_tls_client(&client()).unwrap_err();
        assert!(error.reason().contains("carries TLS already"));
        assert!(near.into_parts().is_err());
    }
}

#[test]
fn a_listener_begins_tls_and_changes_its_certificate() {
    let listener = Listener::bind("tcp://127.0.0.1:0", &ListenOptions::default()).unwrap();
    let mut options = TlsServerOptions::default();
    let error = listener.start_tls(&options).unwrap_err();
    assert!(error.reason().contains("option certificate is missing"));
    for (file, name) in [("localhost", "localhost"), ("example", "example.org")] {
        options = serving(file).tls;
        listener.start_tls(&options).unwrap();
        let mut wishes = client();
        wishes.peer_name = Some(name.to_owned());
        let mut near = Stream::connect(listener.url(), &ConnectOptions::default()).unwrap();
        thread::scope(|scope| {
            scope.spawn(|| near.start_tls_client(&wishes).unwrap());
            let served = listener.accept(Some(PATIENCE)).unwrap();
            assert!(served.tls().is_some());
        });
        assert!(near.tls().is_some());
    }
    // What can't be used leaves what was there.
    options.certificate = Some("/nowhere".into());
    listener.start_tls(&options).unwrap_err();
    // To read its files again is to read those that it goes by now.
    assert!(!listener.reload().unwrap());
    let mut near = Stream::connect(listener.url(), &ConnectOptions::default()).unwrap();
    let mut wishes = client();
    wishes.peer_name = Some("example.org".to_owned());
    thread::scope(|scope| {
        scope.spawn(|| near.start_tls_client(&wishes).unwrap());
        listener.accept(Some(PATIENCE)).unwrap();
    });
}

#[test]
fn who_waits_already_is_given_finished_connections_alone() {
    let listener = Listener::bind("tcp://127.0.0.1:0", &ListenOptions::default()).unwrap();
    thread::scope(|scope| {
        let (tell, told) = std::sync::mpsc::channel();
        let listener = &listener;
        let waiting = scope.spawn(move || {
            tell.send(Waiter::this_thread()).unwrap();
            listener.accept(Some(PATIENCE)).unwrap()
        });
        told.recv().unwrap().await_call(libc::SYS_ppoll);
        listener.start_tls(&server()).unwrap();
        let mut near = Stream::connect(listener.url(), &ConnectOptions::default()).unwrap();
        near.start_tls_client(&client()).unwrap();
        assert!(waiting.join().unwrap().tls().is_some());
    });
}

#[test]
fn reading_files_again_undoes_no_other_change() {
    let listener = Listener::bind("tls://127.0.0.1:0", &serving("localhost")).unwrap();
    let over = std::sync::atomic::AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            while !over.load(std::sync::atomic::Ordering::Relaxed) {
                listener.reload().unwrap();
            }
        });
        let mut shown = Vec::new();
        for round in 0..600 {
            let file = ["localhost", "example"][round % 2];
            listener.start_tls(&serving(file).tls).unwrap();
            shown.push(listener.fingerprint().unwrap());
        }
        over.store(true, std::sync::atomic::Ordering::Relaxed);
        assert!(shown.windows(3).all(|of| of[0] == of[2] && of[0] != of[1]));
    });
}

#[test]
fn an_accepted_stream_knows_no_name_to_verify() {
    let (_near, mut far) = tcp_pair();
    let mut nameless = client();
    nameless.peer_name = None;
    let error = far.start_tls_client(&nameless).unwrap_err();
    assert_eq!(error.stage(), Stage::Parse);
    let reason = "there is no name to verify: give option peer_name";
    assert_eq!(error.reason(), reason);
}

#[test]
fn a_handshake_can_be_driven_without_waiting() {
    let (mut near, mut far) = pair(Transport::Unix);
    near.set_blocking(false);
    far.set_blocking(false);
    // The client speaks first, and then both wait for the other to speak.
    assert_eq!(
        far.start_tls_server(&server()).unwrap(),
        Some(Interest::READ)
    );
    assert_eq!(
        near.start_tls_client(&client()).unwrap(),
        Some(Interest::READ)
    );
    assert!(near.is_handshaking() && far.is_handshaking());
    assert_eq!(near.tls(), None);
    let mut waits = 0;
    while near.is_handshaking() || far.is_handshaking() {
        for stream in [&mut near, &mut far] {
            stream.handshake().unwrap();
        }
        waits += 1;
        assert!(waits < 10);
    }
    // Writes and reads would have made it as well.
    let (mut near, mut far) = pair(Transport::Unix);
    near.set_blocking(false);
    far.set_blocking(false);
    far.start_tls_server(&server()).unwrap();
    near.start_tls_client(&client()).unwrap();
    let mut got = [0; 5];
    loop {
        _ = near.write(b"hello");
        if far.read(&mut got).is_ok() {
            break;
        }
        select(&mut [Member::new(&near, Interest::WRITE)], Some(PATIENCE)).unwrap();
    }
    assert_eq!(&got, b"hello");
}

#[test]
fn bytes_that_came_ahead_are_refused() {
    let (mut near, mut far) = tcp_pair();
    near.write_all(b"STARTTLS\r\nRCPT TO:<me>\r\n").unwrap();
    assert_eq!(line_of(&mut far).unwrap(), b"STARTTLS\r\n");
    let error = far.start_tls_server(&server()).unwrap_err();
    assert_eq!(error.stage(), Stage::Handshake);
    assert!(
        error.reason().starts_with("bytes came ahead of TLS"),
        "{error}"
    );
    // Those that were not received yet are no TLS.
    let (mut near, mut far) = tcp_pair();
    near.write_all(b"RCPT TO:<me>\r\n").unwrap();
    select(&mut [Member::new(&far, Interest::READ)], Some(PATIENCE)).unwrap();
    let error = far.start_tls_server(&server()).unwrap_err();
    assert_eq!(error.reason(), "what the peer sent is not TLS");
    assert!(far.read(&mut [0]).is_err());
}

#[test]
fn tls_can_end_before_the_stream() {
    let (mut near, mut far) = tcp_pair();
    thread::scope(|scope| {
        scope.spawn(|| far.start_tls_server(&server()).unwrap());
        near.start_tls_client(&client()).unwrap();
    });
    near.write_all(b"secret\n").unwrap();
    thread::scope(|scope| {
        scope.spawn(|| {
            far.stop_tls().unwrap();
            far.write_all(b"plain again\n").unwrap();
        });
        near.stop_tls().unwrap();
    });
    assert!(near.tls().is_none() && far.tls().is_none());
    assert_eq!(line_of(&mut far).unwrap(), b"secret\n");
    assert_eq!(line_of(&mut near).unwrap(), b"plain again\n");
    assert_eq!((near.bytes_received(), far.bytes_received()), (12, 7));
    // And it can begin again, or the descriptor go to somebody else.
    thread::scope(|scope| {
        scope.spawn(|| far.start_tls_server(&server()).unwrap());
        near.start_tls_client(&client()).unwrap();
    });
    near.set_blocking(false);
    let error = near.stop_tls().unwrap_err();
    assert_eq!(error.io_kind(), std::io::ErrorKind::WouldBlock);
    far.stop_tls().unwrap();
    select(&mut [Member::new(&near, Interest::READ)], Some(PATIENCE)).unwrap();
    near.stop_tls().unwrap();
    assert!(near.into_parts().is_ok());
}

#[test]
fn datagrams_have_no_tls() {
    let (mut near, _far) = pair(Transport::Udg);
    let error = near.start_tls_client(&client()).unwrap_err();
    assert_eq!(error.reason(), "TLS is for streams of bytes");
    let mut nameless = client();
    nameless.peer_name = None;
    let (mut near, _far) = pair(Transport::Unix);
    let error = Stream::start_tls_client(&mut near, &nameless).unwrap_err();
    assert_eq!(
        error.reason(),
        "there is no name to verify: give option peer_name"
    );
}

#[test]
fn to_end_tls_takes_no_more_memory_than_there_is_to_read_first() {
    let (mut near, mut far) = super::tls_pair();
    near.set_read_timeout(Some(PATIENCE));
    let sender = thread::spawn(move || while far.write_all(&[7; 64 * 1024]).is_ok() {});
    let error = near.stop_tls().unwrap_err();
    assert_eq!(error.stage(), Stage::Io);
    let reason = "more than 1 MiB came ahead of the end of TLS, which has to be read first";
    assert_eq!(error.reason(), reason);
    // Nothing of it is lost, and to go on reading is to go on.
    let mut bytes = vec![0; 3 << 20];
    near.read_exact(&mut bytes).unwrap();
    assert!(bytes.iter().all(|byte| *byte == 7));
    drop(near);
    sender.join().unwrap();
}
