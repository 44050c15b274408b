//! vsock, as far as this machine has it.

use std::io::{Read, Write};
use std::time::Duration;

use stream_socket::{
    ConnectOptions, ListenOptions, Listener, SocketAddress, SocketUrl, Stage, Stream, Transport,
    VsockAddress,
};

use crate::support::{PATIENCE, assert_error};

/// A listener on a port that the kernel chooses; `None` where the kernel has no vsock.
fn listen(url: &str) -> Option<Listener> {
    match Listener::bind(url, &ListenOptions::default()) {
        Ok(listener) => Some(listener),
        Err(error) => {
            const EAFNOSUPPORT: Option<i32> = Some(97);
            let sentence = format!(
                "cannot open {url}: address family not supported by protocol (EAFNOSUPPORT)"
            );
            assert_error(&error, Stage::Socket, EAFNOSUPPORT, &sentence);
            println!("skipped: this kernel has no vsock");
            None
        }
    }
}

#[test]
fn a_listener_knows_the_port_that_the_kernel_chose() {
    let Some(listener) = listen("vsock://any:any") else {
        return;
    };
    let SocketAddress::Vsock(address) = listener.local_addr() else {
        panic!("{listener} has another address");
    };
    assert_eq!(address.cid, VsockAddress::ANY);
    assert_ne!(address.port, VsockAddress::PORT_ANY);
    assert_eq!(
        listener.url().to_string(),
        format!("vsock://any:{}", address.port)
    );
    let error = listener.accept(Some(Duration::ZERO)).unwrap_err();
    assert!(error.is_timeout());
    let again = Listener::bind(listener.url(), &ListenOptions::default()).unwrap_err();
    let sentence = format!(
        "cannot bind {}: address already in use (EADDRINUSE)",
        listener.url()
    );
    assert_error(&again, Stage::Bind, Some(98), &sentence);
}

#[test]
fn bytes_go_both_ways_over_the_loopback() {
    let Some(listener) = listen("vsock://any:any") else {
        return;
    };
    let SocketAddress::Vsock(VsockAddress { port, .. }) = *listener.local_addr() else {
        panic!("{listener} has another address");
    };
    let url: SocketUrl = format!("vsock://local:{port}").parse().unwrap();
    let mut options = ConnectOptions::default();
    options.connect_timeout = Some(Duration::from_secs(1));
    let mut client = match Stream::connect(&url, &options) {
        Ok(client) => client,
        Err(error) => {
            assert_eq!(error.stage(), Stage::Connect, "{error}");
            println!("skipped: {error}; the module vsock_loopback would make it run");
            return;
        }
    };
    let mut served = listener.accept(Some(PATIENCE)).unwrap();
    assert_eq!(served.transport(), Transport::Vsock);
    assert!(
        served
            .peer_addr()
            .unwrap()
            .to_string()
            .starts_with("local:")
    );
    client.write_all(b"question").unwrap();
    served.read_exact(&mut [0; 8]).unwrap();
    served.write_all(b"answer").unwrap();
    drop(served);
    let mut answer = String::new();
    client.read_to_string(&mut answer).unwrap();
    assert_eq!(answer, "answer");
}

#[test]
fn options_of_other_transports_are_refused() {
    for (url, reason) in [
        (
            "vsock://any:1?nodelay=1",
            "option nodelay applies to tcp, not to vsock",
        ),
        (
            "vsock://any:1?proxy_from=::/0",
            "option proxy_from applies to tcp, udp, not to vsock",
        ),
        (
            "vsock://any:1?mode=0600",
            "option mode applies to unix, udg, not to vsock",
        ),
        ("tls+vsock://any:1", "option certificate is missing"),
    ] {
        let error = Listener::bind(url, &ListenOptions::default()).unwrap_err();
        let sentence = format!("cannot parse {url}: {reason}");
        assert_error(&error, Stage::Parse, None, &sentence);
    }
}
