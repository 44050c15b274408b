//! How many system calls and allocations an operation costs: figures of the design.
//!
//! strace(1) is the witness of what really happens; the seam, where it is built in, says the same
//! without it.

use std::fs;
use std::io::{Read, Write};
use std::time::Duration;

use allocation_counter::measure;
use stream_socket::{Batch, Interest, Listener, Member, Stream, Transport, select};

use crate::support::child;
use crate::support::peer::program;
use crate::support::{PATIENCE, connect, listen, pair, receive_on, tcp_pair};

/// What an operation costs where data is ready.
const COSTS: &[(&str, &str)] = &[
    ("accept", "accept4"),
    ("read", "recvfrom"),
    ("write", "sendto"),
    ("lines", "recvfrom"),
    ("close", "close"),
    ("receive", "recvmmsg"),
    ("send", "sendmmsg"),
    ("select", "ppoll"),
    ("is_eof", "recvfrom"),
    ("blocking mode and timeouts", ""),
];

/// A system call that nothing else makes, before and after each operation.
fn mark() {
    nix::unistd::getppid();
}

fn between_marks<T>(run: impl FnOnce() -> T) -> T {
    mark();
    let result = run();
    mark();
    result
}

/// Each of [`COSTS`], in that order.
fn spend() {
    let listener: Listener = listen("tcp://127.0.0.1:0");
    let mut client = connect(listener.url());
    let (socket, sender) = (
        receive_on("udp://127.0.0.1:0"),
        receive_on("udp://127.0.0.1:0"),
    );
    sender.send_to(b"x", socket.local_addr(), None).unwrap();
    let mut buffer = [0; 64];
    let mut line = Vec::with_capacity(64);
    warm_up();

    let mut served = between_marks(|| listener.accept(Some(PATIENCE))).unwrap();
    client.write_all(b"data").unwrap();
    between_marks(|| served.read(&mut buffer)).unwrap();
    between_marks(|| served.write_all(b"data")).unwrap();
    assert_eq!(client.read(&mut buffer).unwrap(), 4);
    client.write_all(b"one\ntwo\nthree\n").unwrap();
    between_marks(|| (0..3).for_each(|_| assert!(served.read_line(&mut line, 99).unwrap())));
    between_marks(|| drop(client));
    between_marks(|| socket.recv_from(&mut buffer)).unwrap();
    between_marks(|| sender.send_to(b"x", socket.local_addr(), None)).unwrap();
    let mut members = [Member::new(&socket, Interest::READ)];
    between_marks(|| select(&mut members, Some(PATIENCE))).unwrap();
    between_marks(|| served.is_eof()).unwrap();
    between_marks(|| {
        served.set_blocking(false);
        served.set_read_timeout(Some(Duration::ZERO));
    });
}

/// The first line that a thread reads costs it a buffer.
fn warm_up() {
    let (mut here, mut there) = pair(Transport::Unix);
    there.write_all(b"x\n").unwrap();
    here.read_line(&mut Vec::with_capacity(99), 99).unwrap();
}

#[test]
fn strace_sees_one_call_where_data_is_ready() {
    let name = "system_calls::strace_sees_one_call_where_data_is_ready";
    if child::is_body(name) {
        return spend();
    }
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("log");
    let strace = program("strace");
    let binary = std::env::current_exe().unwrap();
    let words = [
        strace.as_os_str(),
        "-f".as_ref(),
        "-qq".as_ref(),
        "-o".as_ref(),
        log.as_ref(),
    ];
    let words = words
        .into_iter()
        .chain([binary.as_os_str()])
        .map(Into::into)
        .collect();
    child::check(name, &child::command(name, words).output().unwrap());

    let sections = sections(&fs::read_to_string(&log).unwrap());
    assert_eq!(sections.len(), COSTS.len(), "{sections:?}");
    for ((operation, expected), calls) in COSTS.iter().zip(sections) {
        // With debug assertions std looks, before it closes a descriptor, whether it is open.
        let looks = cfg!(debug_assertions) && *expected == "close";
        let calls: Vec<_> = calls
            .iter()
            .filter(|c| !looks || *c != "fcntl")
            .cloned()
            .collect();
        assert_eq!(calls.join(" "), *expected, "{operation}");
    }
}

/// The names of the calls between each pair of marks, from a log in which every line begins with
/// the number of a thread.
fn sections(log: &str) -> Vec<Vec<String>> {
    let calls = log.lines().filter_map(|line| {
        let (thread, call) = line.split_once(' ')?;
        Some((thread, call.trim_start().split_once('(')?.0.to_owned()))
    });
    let mut marker = None;
    let mut sections: Vec<Vec<String>> = Vec::new();
    let mut is_inside = false;
    for (thread, call) in calls {
        if call == "getppid" {
            marker = Some(thread);
            is_inside = !is_inside;
            if is_inside {
                sections.push(Vec::new());
            }
        } else if is_inside && marker == Some(thread) {
            sections.last_mut().unwrap().push(call);
        }
    }
    sections
}

#[test]
fn calls_between_marks_are_found_in_a_log() {
    let log = "7 getppid() = 1\n7 accept4(3, ...) = 4\n8 read(0) = 1\n7 getppid() = 1\n\
               7 close(3) = 0\n7 getppid() = 1\n7 +++ exited\n7 getppid() = 1\n";
    assert_eq!(sections(log), [vec!["accept4".to_owned()], vec![]]);
}

#[cfg(feature = "simulation")]
#[test]
fn the_seam_sees_one_call_where_data_is_ready() {
    use stream_socket::simulation::{Call, calls};
    let listener = listen("tcp://127.0.0.1:0");
    let mut client = connect(listener.url());
    let (served, made) = calls(|| listener.accept(Some(PATIENCE)));
    let mut served = served.unwrap();
    assert_eq!(made, [Call::Accept]);
    client.write_all(b"one\ntwo\nthree\nrest").unwrap();
    let mut lines = 0;
    let (_, made) = calls(|| {
        while lines < 3 {
            assert!(served.read_line(&mut Vec::new(), 99).unwrap());
            lines += 1;
        }
    });
    assert_eq!(made, [Call::Receive]);
    assert_eq!(calls(|| served.read(&mut [0; 99]).unwrap()), (4, vec![]));
    assert_eq!(
        calls(|| served.write(b"data").unwrap()),
        (4, vec![Call::Send])
    );
    assert_eq!(
        calls(|| client.read(&mut [0; 99]).unwrap()),
        (4, vec![Call::Receive])
    );
    // With nothing there: a look, a wait, and a look.
    let (_, made) = calls(|| {
        client.set_read_timeout(Some(Duration::ZERO));
        client.read(&mut [0; 99]).unwrap_err()
    });
    assert_eq!(made, [Call::Receive, Call::Poll]);
}

#[cfg(feature = "simulation")]
#[test]
fn after_a_look_in_vain_accept_waits_first() {
    use stream_socket::simulation::{Call, calls};
    let listener = listen("tcp://127.0.0.1:0");
    let look_in_vain = || {
        let (result, made) = calls(|| listener.accept(Some(Duration::from_millis(1))));
        assert!(result.unwrap_err().is_timeout());
        made
    };
    let serve_one = |timeout| {
        let _client = connect(listener.url());
        let (served, made) = calls(|| listener.accept(Some(timeout)));
        served.unwrap();
        made
    };
    assert_eq!(look_in_vain(), [Call::Accept, Call::Poll]);
    assert_eq!(serve_one(PATIENCE), [Call::Poll, Call::Accept]);
    assert_eq!(serve_one(PATIENCE), [Call::Accept]);
    assert_eq!(look_in_vain(), [Call::Accept, Call::Poll]);
    // One that does not wait is for who knows already that somebody is there.
    assert_eq!(serve_one(Duration::ZERO), [Call::Accept]);
    assert_eq!(look_in_vain(), [Call::Poll]);
}

/// Fails when a thousand times an operation, on streams that have been used before, allocate.
fn assert_allocates_nothing(operation: &str, mut run: impl FnMut()) {
    run();
    let spent = measure(|| (0..1000).for_each(|_| run()));
    assert_eq!(spent.count_total, 0, "{operation} allocates {spent:?}");
}

#[test]
fn reading_and_writing_allocate_nothing() {
    for (mut here, mut there) in [tcp_pair(), pair(Transport::Unix), pair(Transport::Udg)] {
        let mut buffer = [0; 99];
        let mut line = Vec::with_capacity(99);
        assert_allocates_nothing("a write and a read", || {
            there.write_all(b"a line\n").unwrap();
            assert_eq!(here.read(&mut buffer).unwrap(), 7);
        });
        assert_allocates_nothing("a line", || {
            there.write_all(b"a line\n").unwrap();
            line.clear();
            here.read_line(&mut line, 99).unwrap();
        });
        assert_allocates_nothing("a record", || {
            there.write_all(b"a||").unwrap();
            line.clear();
            here.read_record(&mut line, b"||", 99).unwrap();
        });
        here.set_blocking(false);
        assert_allocates_nothing("a read that would have to wait", || {
            here.read(&mut buffer).unwrap_err();
        });
        assert_allocates_nothing("a line that would have to wait", || {
            here.read_line(&mut line, 99).unwrap_err();
        });
        while here.write(&[0; 10_000]).is_ok() {}
        assert_allocates_nothing("a write that would have to wait", || {
            here.write(&buffer).unwrap_err();
        });
    }
}

#[test]
fn receiving_and_sending_allocate_nothing() {
    let (mut socket, sender) = (
        receive_on("udp://[::]:0?v6only=0"),
        receive_on("udp://127.0.0.1:0"),
    );
    let port = socket.local_addr().port().unwrap();
    let target = std::net::SocketAddr::from(([127, 0, 0, 2], port)).into();
    let mut buffer = [0; 99];
    assert_allocates_nothing("a datagram and its answer", || {
        sender.send_to(b"a question", &target, None).unwrap();
        let received = socket.recv_from(&mut buffer).unwrap();
        socket
            .send_to(
                b"an answer",
                received.peer.as_ref().unwrap(),
                received.local,
            )
            .unwrap();
        sender.recv_from(&mut buffer).unwrap();
    });
    socket.set_blocking(false);
    assert_allocates_nothing("a receive that would have to wait", || {
        socket.recv_from(&mut buffer).unwrap_err();
    });
    let mut batch = Batch::new(4, 99);
    assert_allocates_nothing("a batch that would have to wait", || {
        socket.recv_batch(&mut batch).unwrap_err();
    });
}

#[test]
fn an_allocation_would_be_counted() {
    let spent = measure(|| drop(std::hint::black_box(Vec::<u8>::with_capacity(1))));
    assert_eq!(spent.count_total, 1);
}

/// Ten thousand idle connections are to cost ten thousand of these and nothing more.
#[test]
fn an_idle_stream_holds_no_buffer() {
    let (mut here, mut there) = pair(Transport::Unix);
    let held = measure(|| {
        there.write_all(b"a line\n").unwrap();
        here.read_line(&mut Vec::with_capacity(99), 99).unwrap();
        drop(spare_of_another());
    });
    // One spare buffer stays with the thread, none with the stream.
    assert!(held.bytes_current <= 8 * 1024 + 64, "{held:?}");
    assert!(size_of::<Stream>() <= 96, "{} bytes", size_of::<Stream>());
}

fn spare_of_another() -> (Stream, Stream) {
    let (mut here, mut there) = pair(Transport::Unix);
    there.write_all(b"x\n").unwrap();
    here.read_line(&mut Vec::with_capacity(99), 99).unwrap();
    (here, there)
}
