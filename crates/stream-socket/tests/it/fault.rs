//! System calls that fail, are interrupted, move little or take long: what comes of each.
//!
//! Every operation is first run undisturbed, to see which calls it makes; then once for each of
//! these calls and each error that it can meet.

use std::fs;
use std::io::{BufRead, Read, Write};
use std::iter::repeat_n;
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use stream_socket::simulation::{Call, Fault, Plan, calls};
use stream_socket::{
    Batch, ConnectOptions, Connecting, DatagramSocket, Error, Interest, Limit, ListenOptions,
    Listener, Member, Result, Stage, Stream, Transport, select,
};

use crate::support::child::{self, Surroundings};
use crate::support::{PATIENCE, connect, listen, noise, pair, receive_on, tcp_pair};

/// A thing to do, once and again; what it needs stands ready.
type Attempt = Box<dyn FnMut() -> Result<()>>;

/// Something that the library does.
struct Operation {
    name: &'static str,
    prepare: fn() -> Attempt,
    /// Faults that lead to where the calls are that are of interest: to a wait, for one.
    before: &'static [(Call, Fault)],
    /// At which stages it may fail when a call of this kind does.
    stages: fn(Call) -> &'static [Stage],
    /// Whether a signal that comes while it waits ends it.
    interruptible: bool,
}

const fn operation(
    name: &'static str,
    prepare: fn() -> Attempt,
    stages: fn(Call) -> &'static [Stage],
) -> Operation {
    Operation {
        name,
        prepare,
        before: &[],
        stages,
        interruptible: false,
    }
}

const fn waiting(
    name: &'static str,
    prepare: fn() -> Attempt,
    before: &'static [(Call, Fault)],
) -> Operation {
    Operation {
        before,
        ..operation(name, prepare, |_| &[Stage::Io])
    }
}

const RECEIVE_WAITS: &[(Call, Fault)] = &[(Call::Receive, Fault::Errno(libc::EAGAIN))];
const SEND_WAITS: &[(Call, Fault)] = &[(Call::Send, Fault::Errno(libc::EAGAIN))];

const LATER: &str = "connect, asynchronous";

const OPERATIONS: &[Operation] = &[
    operation(
        "bind tcp",
        || bind("tcp://127.0.0.1:0?nodelay=1"),
        of_binding,
    ),
    operation(
        "bind tcp v6",
        || bind("tcp://[::1]:0?reuse_port=1&v6only=1"),
        of_binding,
    ),
    operation(
        "bind unix",
        || bind("unix://@?send_buffer=65536"),
        of_binding,
    ),
    operation("bind unix path", bind_path, of_binding),
    operation("bind udp", || bind_datagrams("udp://0.0.0.0:0"), of_binding),
    operation("bind udg", || bind_datagrams("udg://@"), of_binding),
    operation(
        "accept tcp",
        || accept("tcp://127.0.0.1:0"),
        |_| &[Stage::Accept],
    ),
    operation("accept unix", || accept("unix://@"), |_| &[Stage::Accept]),
    Operation {
        before: &[(Call::Accept, Fault::Errno(libc::EAGAIN))],
        interruptible: true,
        ..operation(
            "accept, waiting",
            || accept("tcp://127.0.0.1:0"),
            |_| &[Stage::Accept],
        )
    },
    operation(
        "connect tcp",
        || connecting("tcp://127.0.0.1:0", "?nodelay=1"),
        of_connecting,
    ),
    operation("connect unix", || connecting("unix://@", ""), of_connecting),
    operation(
        "connect from",
        || connecting("tcp://127.0.0.1:0", "?bind=127.0.0.1"),
        of_connecting,
    ),
    operation("connect udg", connecting_udg, of_connecting),
    operation(LATER, connecting_later, of_connecting_later),
    operation(
        "pair",
        || Box::new(|| Stream::pair(Transport::Udg).map(drop)),
        |_| &[Stage::Socket],
    ),
    operation("read", || read(tcp_pair()), |_| &[Stage::Io]),
    operation(
        "read datagram",
        || read(pair(Transport::Udg)),
        |_| &[Stage::Io],
    ),
    waiting("read, waiting", || read(tcp_pair()), RECEIVE_WAITS),
    operation("read line", read_line, |_| &[Stage::Io]),
    waiting("read line, waiting", read_line, RECEIVE_WAITS),
    operation("peek", peek, |_| &[Stage::Io]),
    operation("write", || write(tcp_pair()), |_| &[Stage::Io]),
    waiting("write, waiting", || write(tcp_pair()), SEND_WAITS),
    operation("shutdown", shutdown, |_| &[Stage::Io]),
    operation("local address", local_address, |_| &[Stage::Io]),
    operation("credentials", credentials, |_| &[Stage::Io]),
    operation("receive", receive, |_| &[Stage::Io]),
    waiting("receive, waiting", receive, RECEIVE_WAITS),
    operation("send", send, |_| &[Stage::Io]),
    waiting("send, waiting", send, SEND_WAITS),
    operation("receive batch", receive_batch, |_| &[Stage::Io]),
    operation("send batch", send_batch, |_| &[Stage::Io]),
    Operation {
        interruptible: true,
        ..operation("select", selecting, |_| &[Stage::Io])
    },
];

fn bind(url: &'static str) -> Attempt {
    Box::new(move || Listener::bind(url, &ListenOptions::default()).map(drop))
}

fn bind_path() -> Attempt {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("unix://{}/s?mode=0600&owner=0", folder.path().display());
    let url = url.replace("owner=0", &format!("owner={}", nix::unistd::geteuid()));
    let mut bound = None;
    Box::new(move || {
        let _keep = &folder;
        // A second time it is bound anew, and not in the way of itself.
        bound = None;
        bound = Some(Listener::bind(&*url, &ListenOptions::default())?);
        Ok(())
    })
}

fn bind_datagrams(url: &'static str) -> Attempt {
    Box::new(move || DatagramSocket::bind(url, &ListenOptions::default()).map(drop))
}

fn of_binding(call: Call) -> &'static [Stage] {
    match call {
        Call::Bind | Call::Name => &[Stage::Bind],
        Call::Listen => &[Stage::Listen],
        // What is done to the file is part of binding, but for its owner and mode: options.
        Call::File => &[Stage::Bind, Stage::Socket],
        _ => &[Stage::Socket],
    }
}

fn accept(url: &str) -> Attempt {
    let listener = listen(url);
    // Made and kept outside of the library.
    let connect = move |listener: &Listener| match listener.transport() {
        Transport::Tcp => drop(TcpStream::connect(listener.local_addr().to_string()).unwrap()),
        _ => {
            use std::os::linux::net::SocketAddrExt;
            use std::os::unix::net::SocketAddr;
            let name = &listener.local_addr().to_string()[1..];
            let address = SocketAddr::from_abstract_name(name).unwrap();
            drop(UnixStream::connect_addr(&address).unwrap());
        }
    };
    connect(&listener);
    connect(&listener);
    Box::new(move || listener.accept(Some(PATIENCE)).map(drop))
}

fn connecting(url: &str, query: &str) -> Attempt {
    let listener = listen(url);
    let url = format!("{}{query}", listener.url());
    Box::new(move || {
        let _keep = &listener;
        Stream::connect(&*url, &ConnectOptions::default()).map(drop)
    })
}

fn connecting_udg() -> Attempt {
    let socket = receive_on("udg://@");
    Box::new(move || Stream::connect(socket.url(), &ConnectOptions::default()).map(drop))
}

fn connecting_later() -> Attempt {
    let listener = listen("tcp://127.0.0.1:0");
    Box::new(move || {
        let mut connecting = Connecting::start(listener.url(), &ConnectOptions::default())?;
        while connecting.advance()?.is_none() {}
        Ok(())
    })
}

fn of_connecting(call: Call) -> &'static [Stage] {
    match call {
        Call::Socket | Call::SetOption => &[Stage::Socket],
        Call::Bind => &[Stage::Bind],
        _ => &[Stage::Connect],
    }
}

/// Its set of descriptors is made and filled by calls of the same kind as a poll.
fn of_connecting_later(call: Call) -> &'static [Stage] {
    match call {
        Call::Poll => &[Stage::Socket, Stage::Connect],
        call => of_connecting(call),
    }
}

fn read((mut here, mut there): (Stream, Stream)) -> Attempt {
    there.write_all(b"first").unwrap();
    there.write_all(b"second").unwrap();
    Box::new(move || {
        let _keep = &there;
        here.read(&mut [0; 5]).map(drop).map_err(unwrapped)
    })
}

fn read_line() -> Attempt {
    let (mut here, mut there) = tcp_pair();
    there.write_all(b"first\nsecond\n").unwrap();
    let mut expected = [b"first\n".to_vec(), b"second\n".to_vec()]
        .into_iter()
        .peekable();
    Box::new(move || {
        let _keep = &there;
        let mut line = Vec::new();
        here.read_line(&mut line, 99)?;
        assert_eq!(Some(line), expected.next(), "nothing is lost by a failure");
        Ok(())
    })
}

fn peek() -> Attempt {
    let (mut here, mut there) = tcp_pair();
    there.write_all(b"x").unwrap();
    Box::new(move || {
        let _keep = &there;
        here.peek(&mut [0; 5]).map(|length| assert_eq!(length, 1))
    })
}

fn write((mut here, there): (Stream, Stream)) -> Attempt {
    Box::new(move || {
        let _keep = &there;
        here.write_all(b"x").map_err(unwrapped)
    })
}

fn shutdown() -> Attempt {
    let (mut here, there) = tcp_pair();
    Box::new(move || {
        let _keep = &there;
        here.shutdown(std::net::Shutdown::Write)
    })
}

fn local_address() -> Attempt {
    let (here, there) = tcp_pair();
    Box::new(move || {
        let _keep = &there;
        here.local_addr().map(drop)
    })
}

fn credentials() -> Attempt {
    let (here, there) = pair(Transport::Unix);
    Box::new(move || {
        let _keep = &there;
        here.peer_credentials().map(drop)
    })
}

/// A socket that two datagrams wait on, and who sent them.
fn with_datagrams() -> (DatagramSocket, DatagramSocket) {
    let (socket, sender) = (
        receive_on("udp://127.0.0.1:0"),
        receive_on("udp://127.0.0.1:0"),
    );
    for payload in [b"first", b"again"] {
        sender.send_to(payload, socket.local_addr(), None).unwrap();
    }
    (socket, sender)
}

fn receive() -> Attempt {
    let (socket, _) = with_datagrams();
    Box::new(move || socket.recv_from(&mut [0; 9]).map(drop))
}

fn send() -> Attempt {
    let (socket, sender) = with_datagrams();
    Box::new(move || sender.send_to(b"x", socket.local_addr(), None))
}

fn receive_batch() -> Attempt {
    let (socket, sender) = with_datagrams();
    Box::new(move || {
        // So that there is something for a second time as well.
        sender
            .send_to(b"x", socket.local_addr(), None)
            .map_err(drop)
            .ok();
        socket.recv_batch(&mut Batch::new(8, 9)).map(drop)
    })
}

fn send_batch() -> Attempt {
    let (socket, sender) = with_datagrams();
    Box::new(move || {
        let mut batch = Batch::new(8, 9);
        batch.push(b"x", socket.local_addr(), None).unwrap();
        sender.send_batch(&mut batch).map(drop)
    })
}

fn selecting() -> Attempt {
    let (here, mut there) = pair(Transport::Unix);
    there.write_all(b"x").unwrap();
    Box::new(move || {
        let _keep = &there;
        let mut members = [Member::new(&here, Interest::READ)];
        select(&mut members, Some(PATIENCE)).map(|ready| assert_eq!(ready, 1))
    })
}

fn unwrapped(error: std::io::Error) -> Error {
    *error.into_inner().unwrap().downcast().unwrap()
}

/// The errors that each kind of call can meet, of those that say something about us or the
/// system; what the kernel can't answer to such a call is left out.
fn errors_of(call: Call) -> &'static [i32] {
    use libc::*;
    match call {
        Call::Socket => &[EMFILE, ENFILE, ENOBUFS, ENOMEM, EACCES],
        Call::SetOption => &[EPERM, ENOPROTOOPT, ENOMEM, EINVAL],
        Call::Option => &[ENOBUFS, EPERM],
        Call::Bind => &[EACCES, EADDRNOTAVAIL, ENOENT, ENOTDIR, EROFS, ENOMEM],
        Call::Listen => &[EADDRINUSE, EOPNOTSUPP],
        Call::Accept => &[
            EMFILE,
            ENFILE,
            ENOBUFS,
            ENOMEM,
            EINVAL,
            EINTR,
            EAGAIN,
            ECONNABORTED,
            EPROTO,
            ENETDOWN,
            ENOPROTOOPT,
            EHOSTDOWN,
            ENONET,
            EHOSTUNREACH,
            ENETUNREACH,
            EPERM,
            ETIMEDOUT,
        ],
        Call::Connect => &[
            ECONNREFUSED,
            ENETUNREACH,
            EHOSTUNREACH,
            EACCES,
            EPERM,
            EADDRNOTAVAIL,
            ETIMEDOUT,
        ],
        Call::Receive => &[
            ECONNRESET,
            ETIMEDOUT,
            EHOSTUNREACH,
            ECONNREFUSED,
            ENOMEM,
            ENOBUFS,
            EINTR,
            EAGAIN,
        ],
        Call::Send => &[
            ECONNRESET,
            EPIPE,
            EHOSTUNREACH,
            ECONNREFUSED,
            EMSGSIZE,
            EACCES,
            ENOBUFS,
            ENOMEM,
            EINTR,
            EAGAIN,
        ],
        Call::Poll => &[ENOMEM, EINTR],
        Call::Shutdown => &[ENOTCONN],
        Call::Name => &[ENOBUFS],
        Call::File => &[EPERM, EROFS, ENOENT],
        Call::Mode => &[EPERM],
        _ => &[],
    }
}

/// Whether the operation is to go on as if nothing had been.
fn goes_on(operation: &Operation, call: Call, errno: i32) -> bool {
    match (call, errno) {
        // accept(2), "Error handling": errors of one connection that never came to be.
        (Call::Accept, errno) => ![
            libc::EMFILE,
            libc::ENFILE,
            libc::ENOBUFS,
            libc::ENOMEM,
            libc::EINVAL,
        ]
        .contains(&errno),
        (Call::Poll, libc::EINTR) => !operation.interruptible,
        (_, libc::EINTR | libc::EAGAIN) => true,
        _ => false,
    }
}

#[test]
fn every_fault_is_told_and_leaks_nothing() {
    child::run(Surroundings::Alone, || OPERATIONS.iter().for_each(walk));
}

fn walk(operation: &Operation) {
    let mut attempt = (operation.prepare)();
    let plan = Plan::new(operation.before.iter().copied());
    let (result, calls) = calls(&mut attempt);
    drop(plan);
    result.unwrap_or_else(|error| panic!("{}, undisturbed: {error}", operation.name));
    drop(attempt);
    assert!(!calls.is_empty());
    for (index, call) in calls.iter().enumerate() {
        let earlier = calls[..index]
            .iter()
            .filter(|earlier| *earlier == call)
            .count();
        let forced = operation
            .before
            .iter()
            .filter(|(kind, _)| kind == call)
            .count();
        if earlier < forced {
            continue;
        }
        for errno in errors_of(*call) {
            // epoll_create(2) and epoll_ctl(2) are never interrupted.
            if operation.name != LATER || (*call, *errno) != (Call::Poll, libc::EINTR) {
                disturb(operation, *call, earlier - forced, *errno);
            }
        }
    }
}

/// Makes the call of this kind fail that comes after the forced ones and `passing` others.
fn disturb(operation: &Operation, call: Call, passing: usize, errno: i32) {
    let what = format!("{}, {call:?} failing with {errno}", operation.name);
    let before = descriptors();
    let mut attempt = (operation.prepare)();
    let faults = operation.before.iter().copied();
    let faults = faults.chain(repeat_n((call, Fault::Pass), passing));
    let plan = Plan::new(faults.chain([(call, Fault::Errno(errno))]));
    let result = attempt();
    assert_eq!(plan.left(), 0, "{what}: the call was never made");
    drop(plan);
    match result {
        Ok(()) => assert!(goes_on(operation, call, errno), "{what}: nobody was told"),
        Err(error) => {
            assert!(!goes_on(operation, call, errno), "{what}: {error}");
            check(operation, call, errno, &error, &what);
        }
    }
    attempt().unwrap_or_else(|error| panic!("{what}, then a second time: {error}"));
    drop(attempt);
    assert_eq!(descriptors(), before, "{what}: descriptors were leaked");
}

fn check(operation: &Operation, call: Call, errno: i32, error: &Error, what: &str) {
    let name = format!("({:?})", nix::errno::Errno::from_raw(errno));
    assert_eq!(error.errno(), Some(errno), "{what}: {error}");
    assert!(error.to_string().starts_with("cannot "), "{what}: {error}");
    assert!(error.to_string().contains(&name), "{what}: {error}");
    assert!(!error.is_timeout(), "{what}: {error}");
    let stages = (operation.stages)(call);
    assert!(stages.contains(&error.stage()), "{what}: {error:?}");
}

/// The open descriptors of this process and what they are.
fn descriptors() -> Vec<String> {
    let entries = fs::read_dir("/proc/self/fd").unwrap();
    let mut names: Vec<_> = entries
        .flatten()
        // The folder that is being read is not among them.
        .filter(|entry| !fs::read_link(entry.path()).is_ok_and(|link| link.ends_with("fd")))
        .map(|entry| entry.file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

/// From the moment at which it is ours, the file goes when the rest fails.
#[test]
fn a_refused_option_leaves_no_file() {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("unix://{}/s?mode=0600", folder.path().display());
    for passing in 0..3 {
        let earlier = repeat_n((Call::File, Fault::Pass), passing);
        let _plan = Plan::new(earlier.chain([(Call::File, Fault::Errno(libc::EPERM))]));
        let error = Listener::bind(&*url, &ListenOptions::default()).unwrap_err();
        assert_eq!(error.errno(), Some(libc::EPERM));
        // Where it can't even be looked at, nobody knows whose it is.
        let is_unknown = error.stage() == Stage::Bind;
        let left = fs::read_dir(folder.path()).unwrap().count();
        assert_eq!(left, usize::from(is_unknown), "{passing}: {error}");
        _ = fs::remove_file(folder.path().join("s"));
    }
}

#[test]
fn a_leak_would_be_seen() {
    child::run(Surroundings::Alone, || {
        let before = descriptors();
        let kept = listen("unix://@");
        assert_eq!(descriptors().len(), before.len() + 1);
        drop(kept);
        assert_eq!(descriptors(), before);
    });
}

#[test]
fn without_descriptors_the_connection_stays_in_the_backlog() {
    let listener = listen("tcp://127.0.0.1:0");
    let mut client = connect(listener.url());
    let plan = Plan::new([(Call::Accept, Fault::Errno(libc::EMFILE))]);
    let error = listener.accept(None).unwrap_err();
    let sentence = format!("cannot accept from {listener}: too many open files (EMFILE)");
    assert_eq!((error.to_string(), plan.left()), (sentence, 0));
    client.write_all(b"still here").unwrap();
    let mut served = listener.accept(Some(Duration::ZERO)).unwrap();
    assert_eq!(served.read(&mut [0; 99]).unwrap(), 10);
}

#[test]
fn a_family_that_is_missing_says_nothing_about_the_other() {
    let listener = listen("tcp://127.0.0.1:0");
    let url = listener.url().to_string();
    let _plan = Plan::new([(Call::Socket, Fault::Errno(libc::EAFNOSUPPORT))]);
    let error = Stream::connect(&*url, &ConnectOptions::default()).unwrap_err();
    assert_eq!(
        (error.stage(), error.errno()),
        (Stage::Connect, Some(libc::EAFNOSUPPORT))
    );
}

/// A small random number generator, so that a schedule can be had again by its seed.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % limit
    }

    fn fault(&mut self) -> Fault {
        match self.below(8) {
            0 => Fault::Errno(libc::EINTR),
            1 => Fault::Errno(libc::EAGAIN),
            2 => Fault::Pass,
            3 => Fault::Short(1),
            _ => Fault::Short(1 + self.below(9000) as usize),
        }
    }
}

#[test]
fn short_and_interrupted_transfers_lose_nothing() {
    for seed in 0..3000 {
        transfer(seed, pair(Transport::Unix), 3000);
    }
    for seed in 0..4 {
        transfer(seed, pair(Transport::Unix), 1 << 20);
        transfer(seed, tcp_pair(), 1 << 20);
    }
}

/// Moves bytes from one end to the other, in pieces that the kernel has room for.
fn transfer(seed: u64, (mut here, mut there): (Stream, Stream), length: usize) {
    const PIECE: usize = 32 * 1024;
    let mut random = Random(seed);
    let sent = noise(length, seed);
    let mut received = Vec::new();
    for piece in sent.chunks(PIECE) {
        let faults = (0..40).map(|_| {
            let call = if random.below(2) == 0 {
                Call::Send
            } else {
                Call::Receive
            };
            (call, random.fault())
        });
        let _plan = Plan::new(faults.collect::<Vec<_>>());
        here.write_all(piece).unwrap();
        let wanted = received.len() + piece.len();
        while received.len() < wanted {
            take_some(&mut there, &mut received, wanted, &mut random);
        }
    }
    assert!(received == sent, "seed {seed}");
    let counted = (here.bytes_sent(), there.bytes_received());
    assert_eq!(counted, (length as u64, length as u64), "seed {seed}");
}

/// Reads in one of the ways there are, and never more than is on its way.
fn take_some(stream: &mut Stream, received: &mut Vec<u8>, wanted: usize, random: &mut Random) {
    let left = wanted - received.len();
    match random.below(4) {
        0 => {
            let mut buffer = vec![0; left.min(1 + random.below(5000) as usize)];
            let length = stream.read(&mut buffer).unwrap();
            received.extend_from_slice(&buffer[..length]);
        }
        1 => {
            let bytes = stream.fill_buf().unwrap();
            let length = bytes.len().min(left);
            received.extend_from_slice(&bytes[..length]);
            stream.consume(length);
        }
        2 => {
            let limit = left.min(1 + random.below(5000) as usize);
            stream.read_record(received, b"", limit).unwrap();
        }
        _ => {
            let limit = left.min(1 + random.below(300) as usize);
            stream.read_line(received, limit).unwrap();
        }
    }
}

const HOUR: Duration = Duration::from_secs(3600);

/// Something that waits for an hour in vain, and the error it ends with.
type Wait = fn() -> Error;

const WAITS: &[(&str, Wait, Stage, Limit)] = &[
    (
        "accept",
        || slowly(|| listen("tcp://127.0.0.1:0").accept(Some(HOUR)).unwrap_err()),
        Stage::Accept,
        Limit::Accept,
    ),
    (
        "read",
        || slow_stream(|s| unwrapped(s.read(&mut [0; 9]).unwrap_err())),
        Stage::Io,
        Limit::Read,
    ),
    (
        "read line",
        || slow_stream(|s| s.read_line(&mut Vec::new(), 9).unwrap_err()),
        Stage::Io,
        Limit::Read,
    ),
    (
        "write",
        || {
            slow_stream(|s| {
                s.set_blocking(false);
                while s.write(&[0; 65536]).is_ok() {}
                s.set_blocking(true);
                unwrapped(s.write_all(b"x").unwrap_err())
            })
        },
        Stage::Io,
        Limit::Write,
    ),
    (
        "connect",
        || {
            let full = crate::error::FullBacklog::new();
            let url = format!("tcp://{}?connect_timeout=1h", full.address());
            slowly(|| Stream::connect(&*url, &ConnectOptions::default()).unwrap_err())
        },
        Stage::Connect,
        Limit::Connect,
    ),
];

/// Runs something under a plan by which its wait takes an hour.
fn slowly<T>(run: impl FnOnce() -> T) -> T {
    let _plan = Plan::new([(Call::Poll, Fault::Slow(HOUR))]);
    run()
}

fn slow_stream(run: fn(&mut Stream) -> Error) -> Error {
    let (mut here, _there) = pair(Transport::Unix);
    here.set_read_timeout(Some(HOUR));
    here.set_write_timeout(Some(HOUR));
    slowly(|| run(&mut here))
}

#[test]
fn an_hour_of_the_simulated_clock_ends_every_wait_and_takes_no_time() {
    let start = Instant::now();
    for (name, wait, stage, limit) in WAITS {
        let error = wait();
        assert_eq!(
            (error.stage(), error.limit()),
            (*stage, Some(*limit)),
            "{name}: {error}"
        );
        assert_eq!(error.errno(), Some(libc::ETIMEDOUT), "{name}");
        assert!(
            error.to_string().contains("timed out after 3600s"),
            "{name}: {error}"
        );
    }
    let (here, _there) = pair(Transport::Unix);
    let mut members = [Member::new(&here, Interest::READ)];
    assert_eq!(slowly(|| select(&mut members, Some(HOUR))).unwrap(), 0);
    assert!(start.elapsed() < PATIENCE);
}

/// A receive that brings something, but late, does not set the clock back.
#[test]
fn one_deadline_covers_a_whole_line_however_slow_its_pieces() {
    let (mut here, mut there) = pair(Transport::Unix);
    here.set_read_timeout(Some(HOUR));
    there.write_all(b"no line feed").unwrap();
    let _plan = Plan::new([
        // The first wait sets the deadline.
        (Call::Receive, Fault::Errno(libc::EAGAIN)),
        (Call::Receive, Fault::Slow(HOUR)),
    ]);
    let start = Instant::now();
    let error = here.read_line(&mut Vec::new(), 99).unwrap_err();
    assert_eq!(error.limit(), Some(Limit::Read), "{error}");
    assert!(start.elapsed() < PATIENCE);
}
