//! Raw bytes into TLS: a server's handshake, a client's, and both ends of an established
//! connection. Nothing panics, nothing goes on for ever, and nothing made up is taken for data.

#![no_main]

use std::io::{ErrorKind, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;

use libfuzzer_sys::fuzz_target;
use stream_socket::{Stream, TlsClientOptions, TlsServerOptions, Transport};

/// More steps than a handshake has.
const STEPS: usize = 20;

fn server() -> TlsServerOptions {
    let mut options = TlsServerOptions::default();
    options.self_signed = Some(true);
    options
}

fn client() -> TlsClientOptions {
    let mut options = TlsClientOptions::default();
    options.danger_accept_any_certificate = true;
    options
}

fn pair() -> (Stream, Stream) {
    let (mut near, mut far) = Stream::pair(Transport::Unix).expect("there are descriptors");
    near.set_blocking(false);
    far.set_blocking(false);
    (near, far)
}

fn is_blocked(result: std::io::Result<usize>) -> bool {
    result.is_err_and(|error| error.kind() == ErrorKind::WouldBlock)
}

/// The bytes, and then the end, where a handshake should be.
fn into_a_handshake(stream: &mut Stream, peer: Stream, bytes: &[u8]) {
    let mut peer = peer;
    _ = peer.write(bytes);
    _ = stream.handshake();
    drop(peer);
    let mut steps = 0;
    while let Ok(Some(_)) = stream.handshake() {
        steps += 1;
        assert!(steps < STEPS, "the end is never seen");
    }
    assert!(stream.read(&mut [0; 100]).is_err());
}

/// The bytes where records should be.
fn into_a_connection(bytes: &[u8], to_server: bool) {
    let (mut near, mut far) = pair();
    let copy = |stream: &Stream| -> UnixStream {
        let copy: OwnedFd = stream.as_fd().try_clone_to_owned().expect("a descriptor");
        copy.into()
    };
    let (near_wire, far_wire) = (copy(&near), copy(&far));
    near.start_tls_server(&server()).expect("a server");
    far.start_tls_client(&client()).expect("a client");
    for _ in 0..STEPS {
        near.handshake().expect("both are honest");
        far.handshake().expect("both are honest");
    }
    assert!(near.tls().is_some() && far.tls().is_some());
    let (victim, mut wire) = if to_server {
        (&mut near, far_wire)
    } else {
        (&mut far, near_wire)
    };
    assert!(is_blocked(victim.read(&mut [0; 100])));
    _ = wire.write(bytes);
    let result = victim.read(&mut [0; 100]);
    assert!(
        !result.is_ok_and(|length| length > 0),
        "made up bytes are taken for data"
    );
    _ = victim.write(b"x");
    _ = victim.is_eof();
}

fuzz_target!(|bytes: &[u8]| {
    let Some((choice, bytes)) = bytes.split_first() else {
        return;
    };
    let (mut near, far) = pair();
    match choice % 4 {
        0 => {
            near.start_tls_server(&server()).expect("a server");
            into_a_handshake(&mut near, far, bytes);
        }
        1 => {
            near.start_tls_client(&client()).expect("a client");
            into_a_handshake(&mut near, far, bytes);
        }
        choice => into_a_connection(bytes, choice == 2),
    }
});
