//! System calls that fail, are interrupted, move little or take long: what comes of each.
//!
//! Every operation is first run undisturbed, to see which calls it makes; then once for each of
//! these calls and each error that it can meet.

mod operations;
mod schedule;
mod slow;

use std::fs;
use std::io::{Read, Write};
use std::iter::repeat_n;
use std::time::Duration;

use stream_socket::simulation::{Call, Fault, Plan, calls};
use stream_socket::{ConnectOptions, Error, ListenOptions, Listener, Stage, Stream};

use crate::support::child::{self, Surroundings};
use crate::support::{connect, listen, receive_on};
use operations::{LATER, OPERATIONS, Operation};

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
fn without_descriptors_a_socket_of_datagrams_goes_on_as_it_was() {
    let socket = receive_on("udp://127.0.0.1:0");
    let mut client = connect(socket.url());
    client.write_all(b"still here").unwrap();
    let plan = Plan::new([(Call::Watch, Fault::Errno(libc::EMFILE))]);
    let (socket, error) = *Listener::over(socket, &ListenOptions::default()).unwrap_err();
    assert_eq!((error.errno(), plan.left()), (Some(libc::EMFILE), 0));
    assert_eq!(socket.recv_from(&mut [0; 99]).unwrap().length, 10);
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
