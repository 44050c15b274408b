//! Waits of an hour by the simulated clock.

use std::io::{Read, Write};
use std::time::{Duration, Instant};

use stream_socket::simulation::{Call, Fault, Plan};
use stream_socket::{
    ConnectOptions, Error, Interest, Limit, Member, Stage, Stream, Transport, select,
};

use super::unwrapped;
use crate::support::{PATIENCE, listen, pair};

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
