//! Multipath TCP, which falls back to TCP.

use std::io::{Read, Write};
use std::net::TcpStream;

use socket2::SockRef;
use stream_socket::{ConnectOptions, Stream};

use crate::support::listen;

/// `IPPROTO_MPTCP` of linux/in.h.
const MPTCP: i32 = 262;

/// Whether the system has it, and lets it be used; otherwise all here is about falling back.
fn is_enabled() -> bool {
    let enabled = std::fs::read_to_string("/proc/sys/net/mptcp/enabled");
    enabled.is_ok_and(|text| text.trim() == "1")
}

fn protocol(socket: &impl std::os::fd::AsFd) -> i32 {
    SockRef::from(socket).protocol().unwrap().unwrap().into()
}

#[test]
fn bytes_go_both_ways_over_multipath_tcp() {
    let listener = listen("mptcp://127.0.0.1:0?nodelay=1&keepalive_idle=60s");
    assert!(listener.url().to_string().starts_with("mptcp://127.0.0.1:"));
    let mut client = Stream::connect(listener.url(), &ConnectOptions::default()).unwrap();
    let mut served = listener.accept(None).unwrap();
    if is_enabled() {
        assert_eq!((protocol(&listener), protocol(&client)), (MPTCP, MPTCP));
    }
    client.write_all(b"question").unwrap();
    served.read_exact(&mut [0; 8]).unwrap();
    served.write_all(b"answer").unwrap();
    drop(served);
    let mut answer = String::new();
    client.read_to_string(&mut answer).unwrap();
    assert_eq!(answer, "answer");
}

#[test]
fn a_peer_without_it_gets_tcp() {
    let listener = listen("mptcp://127.0.0.1:0");
    let mut plain = TcpStream::connect(listener.local_addr().to_string()).unwrap();
    listener.accept(None).unwrap().write_all(b"hello").unwrap();
    let mut text = String::new();
    plain.read_to_string(&mut text).unwrap();
    assert_eq!(text, "hello");
    let tcp = listen("tcp://127.0.0.1:0");
    let url = format!("mptcp://{}", tcp.local_addr());
    let mut client = Stream::connect(&*url, &ConnectOptions::default()).unwrap();
    tcp.accept(None).unwrap().write_all(b"hello").unwrap();
    text.clear();
    client.read_to_string(&mut text).unwrap();
    assert_eq!(text, "hello");
}

/// What the system does not have, it says by one of these.
#[cfg(feature = "simulation")]
#[test]
fn a_system_without_it_has_tcp() {
    use stream_socket::simulation::{Call, Fault, Plan};

    const EPROTONOSUPPORT: i32 = 93;
    const ENOPROTOOPT: i32 = 92;
    for errno in [EPROTONOSUPPORT, ENOPROTOOPT] {
        let _plan = Plan::new([(Call::Socket, Fault::Errno(errno))]);
        let listener = listen("mptcp://127.0.0.1:0");
        assert_ne!(protocol(&listener), MPTCP);
        assert!(TcpStream::connect(listener.local_addr().to_string()).is_ok());
    }
}
