//! select: who is ready, for what, and how soon.

use std::io::{Read, Write};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use stream_socket::{Interest, Member, Readiness, Selectable, Stream, Transport, select};

use crate::support::child::{self, Surroundings};
use crate::support::{PATIENCE, connect, line_of, listen, pair, receive_on, tcp_pair};

const SOON: Option<Duration> = Some(PATIENCE);
const NOW: Option<Duration> = Some(Duration::ZERO);
const EITHER: Interest = Interest::READ.and(Interest::WRITE);

/// What one socket is ready for.
fn readiness(socket: &dyn Selectable, interest: Interest, timeout: Option<Duration>) -> Readiness {
    let mut members = [Member::new(socket, interest)];
    let count = select(&mut members, timeout).unwrap();
    assert_eq!(count, usize::from(members[0].readiness().any()));
    members[0].readiness()
}

fn flags(readiness: Readiness) -> (bool, bool, bool) {
    (readiness.readable, readiness.writable, readiness.urgent)
}

#[test]
fn a_stream_is_readable_and_writable_each_when_it_is() {
    for (here, mut there) in [tcp_pair(), pair(Transport::Unix), pair(Transport::Udg)] {
        assert_eq!(flags(readiness(&here, EITHER, NOW)), (false, true, false));
        assert_eq!(
            flags(readiness(&here, Interest::READ, NOW)),
            (false, false, false)
        );
        there.write_all(b"x").unwrap();
        assert_eq!(flags(readiness(&here, EITHER, SOON)), (true, true, false));
        assert_eq!(
            flags(readiness(&here, Interest::WRITE, SOON)),
            (false, true, false)
        );
    }
}

#[test]
fn a_full_stream_is_not_writable_until_its_peer_reads() {
    let (mut here, mut there) = pair(Transport::Unix);
    here.set_blocking(false);
    while here.write(&[0; 65536]).is_ok() {}
    assert_eq!(
        flags(readiness(&here, Interest::WRITE, NOW)),
        (false, false, false)
    );
    there.set_blocking(false);
    let mut buffer = vec![0; 1 << 20];
    while there.read(&mut buffer).is_ok() {}
    assert_eq!(
        flags(readiness(&here, Interest::WRITE, SOON)),
        (false, true, false)
    );
}

#[test]
fn whatever_has_a_descriptor_can_take_part() {
    let listener = listen("tcp://127.0.0.1:0");
    assert!(!readiness(&listener, Interest::READ, NOW).any());
    let _client = connect(listener.url());
    assert!(readiness(&listener, Interest::READ, SOON).readable);

    let socket = receive_on("udp://127.0.0.1:0");
    assert!(!readiness(&socket, Interest::READ, NOW).any());
    connect(socket.url()).write_all(b"").unwrap();
    assert!(
        readiness(&socket, Interest::READ, SOON).readable,
        "an empty datagram"
    );

    let (reader, mut writer) = std::io::pipe().unwrap();
    let reader = OwnedFd::from(reader);
    assert!(!readiness(&reader, Interest::READ, NOW).any());
    writer.write_all(b"x").unwrap();
    assert!(readiness(&reader, Interest::READ, SOON).readable);
    assert!(readiness(&reader.as_fd(), Interest::READ, SOON).readable);
}

/// PHP shows only the buffered ones (its behaviour reference, section 18, row 5).
#[test]
fn buffered_bytes_count_and_hide_nobody_else() {
    let (mut buffered, mut there) = pair(Transport::Unix);
    there.write_all(b"one\ntwo\n").unwrap();
    assert_eq!(line_of(&mut buffered).unwrap(), b"one\n");
    let (writable, _peer) = pair(Transport::Unix);
    let (with_data, mut peer) = pair(Transport::Unix);
    peer.write_all(b"x").unwrap();
    let (idle, _idle_peer) = pair(Transport::Unix);
    let start = Instant::now();
    let mut members = [
        Member::new(&buffered, Interest::READ),
        Member::new(&writable, Interest::WRITE),
        Member::new(&with_data, Interest::READ),
        Member::new(&idle, Interest::READ),
    ];
    assert_eq!(select(&mut members, None).unwrap(), 3);
    let ready: Vec<_> = members.iter().map(|m| flags(m.readiness())).collect();
    let (readable, writable, nothing) = (
        (true, false, false),
        (false, true, false),
        (false, false, false),
    );
    assert_eq!(ready, [readable, writable, readable, nothing]);
    assert!(start.elapsed() < PATIENCE);
    // Buffered bytes are of no interest to who waits to write.
    assert_eq!(flags(readiness(&buffered, Interest::WRITE, NOW)), writable);
}

#[test]
fn an_urgent_byte_is_told_to_who_asks_for_it() {
    let (mut here, mut there) = tcp_pair();
    assert!(!readiness(&here, Interest::URGENT, NOW).any());
    there.write_urgent(b'!').unwrap();
    assert_eq!(
        flags(readiness(&here, Interest::URGENT, SOON)),
        (false, false, true)
    );
    assert_eq!(flags(readiness(&here, EITHER, NOW)), (false, true, false));
    assert_eq!(here.read_urgent().unwrap(), b'!');
    assert!(!readiness(&here, Interest::URGENT, NOW).any());
}

#[test]
fn the_end_and_an_error_are_read_and_written_without_waiting() {
    for (mut here, there) in [tcp_pair(), pair(Transport::Unix)] {
        drop(there);
        assert!(readiness(&here, Interest::READ, SOON).readable);
        assert_eq!(here.read(&mut [0; 9]).unwrap(), 0);
        assert!(readiness(&here, Interest::WRITE, SOON).writable);
    }
    let listener = listen("tcp://127.0.0.1:0?linger=0s");
    let client = connect(listener.url());
    drop(crate::support::accept(&listener));
    assert_eq!(flags(readiness(&client, EITHER, SOON)), (true, true, false));
}

#[test]
fn the_time_is_kept() {
    let (here, _there) = pair(Transport::Unix);
    let span = Duration::from_millis(50);
    let start = Instant::now();
    assert!(!readiness(&here, Interest::READ, Some(span)).any());
    assert!(start.elapsed() >= span);
    assert!(start.elapsed() < PATIENCE);
    let start = Instant::now();
    assert_eq!(select(&mut [], Some(span)).unwrap(), 0);
    assert!(
        start.elapsed() >= span,
        "nobody at all is waited for as long"
    );
}

#[test]
fn one_who_comes_late_is_seen() {
    let (here, mut there) = pair(Transport::Unix);
    let waiter = crate::support::signal::Waiter::this_thread();
    thread::scope(|scope| {
        scope.spawn(move || {
            waiter.await_call(libc::SYS_ppoll);
            there.write_all(b"x").unwrap();
            there
        });
        assert!(readiness(&here, Interest::READ, None).readable);
    });
}

/// PHP stops at descriptor 1024 (section 18, row 4).
#[test]
fn three_thousand_descriptors_are_watched() {
    child::run(Surroundings::Alone, || {
        const PAIRS: usize = 1500;
        let hard = getrlimit(Resource::Nofile).maximum;
        let wanted = 2 * PAIRS as u64 + 100;
        assert!(
            hard.is_none_or(|hard| hard >= wanted),
            "the hard limit on descriptors is {hard:?}"
        );
        let raised = Rlimit {
            current: Some(wanted),
            maximum: hard,
        };
        setrlimit(Resource::Nofile, raised).unwrap();
        let mut pairs: Vec<(Stream, Stream)> = (0..PAIRS).map(|_| pair(Transport::Unix)).collect();
        assert!(pairs.last().unwrap().0.as_fd().as_raw_fd() > 1024);
        let busy = [0, 7, 600, PAIRS - 1];
        for index in busy {
            pairs[index].1.write_all(b"x").unwrap();
        }
        let mut members: Vec<_> = pairs
            .iter()
            .map(|(here, _)| Member::new(here, Interest::READ))
            .collect();
        assert_eq!(select(&mut members, None).unwrap(), busy.len());
        let ready = members
            .iter()
            .enumerate()
            .filter(|(_, m)| m.readiness().readable);
        assert_eq!(ready.map(|(index, _)| index).collect::<Vec<_>>(), busy);
    });
}

#[test]
fn more_members_than_there_may_be_descriptors_are_refused() {
    child::run(Surroundings::Alone, || {
        let (here, _there) = pair(Transport::Unix);
        let limit = Rlimit {
            current: Some(64),
            maximum: getrlimit(Resource::Nofile).maximum,
        };
        setrlimit(Resource::Nofile, limit).unwrap();
        let mut members: Vec<_> = (0..65)
            .map(|_| Member::new(&here, Interest::READ))
            .collect();
        let error = select(&mut members, NOW).unwrap_err();
        assert_eq!(
            error.to_string(),
            "cannot wait for 65 sockets: invalid argument (EINVAL)"
        );
    });
}
