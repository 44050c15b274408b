//! Connections that are told a line and closed, a queue full at a time: the row `accept`.
//!
//! To open a connection costs the client twice what it costs the server, so a server under steady
//! load is asleep half of the time, and what is measured is how it sleeps. Here it is stopped while
//! its queue is filled, and then works without a pause; only that time counts.

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;

use crate::arguments::Arguments;
use crate::failure::Failure;
use crate::lines::{SLACK, check};
use crate::reply::Sample;
use crate::socket::Connection;
use crate::turn::Work;

pub(crate) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let size: usize = arguments.number("--connections")?;
    let server = Pid::from_raw(arguments.number("--server")?);
    let sample = Sample::new(arguments.text("--sample")?.as_bytes());
    let mut buffer = vec![0; sample.len() + SLACK];
    Work::in_turns(arguments.span()?, |work| {
        let mut count = 0;
        while work.has_time() {
            send(server, Signal::SIGSTOP)?;
            let burst = (0..size)
                .map(|_| Connection::open(arguments.address))
                .collect::<Result<Vec<_>, _>>()?;
            work.part(|| {
                send(server, Signal::SIGCONT)?;
                // The queue is a queue: when the last has its line, all have.
                let last = burst.last().map(|last| check(last, &sample, &mut buffer));
                last.unwrap_or(Ok(()))
            })?;
            for connection in burst.iter().rev().skip(1) {
                check(connection, &sample, &mut buffer)?;
            }
            count += size as u64;
        }
        Ok(count)
    })
}

/// To the process group of the server, which the benchmark has started and names.
fn send(server: Pid, signal: Signal) -> Result<(), Failure> {
    killpg(server, signal).map_err(|errno| Failure::call("stop the server for a moment", errno))
}
