//! A relay holds nothing back: what came at once leaves at once.

use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::fd::OwnedFd;

use rustix::net::sockopt::tcp_nodelay;
use rustix::process::{Pid, PidfdFlags, PidfdGetfdFlags, pidfd_getfd, pidfd_open};

use crate::support::Server;

/// Whether `TCP_NODELAY` is on at the two ends of a connection that a relay has, started with these
/// queries and this flag.
fn of_both_ends(listen: &str, target: &str, flag: &str) -> Vec<bool> {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let relay = Server::relay(&format!(
        "tcp://127.0.0.1:0{listen} tcp://{address}{target} {flag}"
    ));
    let mut client = TcpStream::connect(format!("127.0.0.1:{}", relay.port())).unwrap();
    client.write_all(b"a").unwrap();
    let (mut server, _) = listener.accept().unwrap();
    // The relay has both ends then.
    server.read_exact(&mut [0]).unwrap();
    let process = Pid::from_raw(relay.id().cast_signed()).unwrap();
    let process = pidfd_open(process, PidfdFlags::empty()).unwrap();
    let list = fs::read_dir(format!("/proc/{}/fd", relay.id())).unwrap();
    list.filter_map(|entry| {
        let number = entry.unwrap().file_name().to_str()?.parse().ok()?;
        let copy = pidfd_getfd(&process, number, PidfdGetfdFlags::empty()).ok()?;
        is_connected(&copy).then(|| tcp_nodelay(&copy).unwrap())
    })
    .collect()
}

fn is_connected(socket: &OwnedFd) -> bool {
    let is_tcp = tcp_nodelay(socket).is_ok();
    is_tcp && rustix::net::getpeername(socket).is_ok()
}

#[test]
fn the_second_part_of_a_message_waits_for_no_acknowledgement() {
    for (listen, target, flag, expected) in [
        ("", "", "", [true, true]),
        ("?nodelay=0", "?nodelay=0", "", [false, false]),
        ("", "", "--nodelay=0", [false, false]),
        ("", "?nodelay=0", "", [false, true]),
    ] {
        let mut found = of_both_ends(listen, target, flag);
        found.sort_unstable();
        assert_eq!(found, expected, "{listen} {target} {flag}");
    }
}
