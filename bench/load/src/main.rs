//! The load of `cargo xtask bench`: one client, on one core, that compares every reply.
//!
//! It speaks with the benchmark in lines, so that the server is sampled exactly around the work:
//! it prints `ready` once everything is set up, begins when it reads a line, prints `done` with
//! what it counted, and keeps its connections until its input ends.
//!
//! It has no event loop. Its blocking sockets stand in a ring: the answer of one is read and its
//! next request sent, then it is the next one's turn. Thus all but one always have a request under
//! way, for two system calls a round trip, which no loop could do for less.

#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a program that talks to the benchmark"
)]

mod arguments;
mod bursts;
mod echo;
mod failure;
mod idle;
mod lines;
mod relay;
mod reply;
mod secure;
mod selects;
mod socket;
mod tls;
mod turn;
mod udp_echo;

use std::env;
use std::process::ExitCode;

use arguments::Arguments;
use failure::Failure;

fn main() -> ExitCode {
    let words: Vec<String> = env::args().skip(1).collect();
    match Arguments::parse(&words).and_then(|arguments| run(&arguments)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("bench-load: {failure}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &Arguments) -> Result<(), Failure> {
    socket::raise_descriptor_limit()?;
    match arguments.mode.as_str() {
        "bursts" => bursts::run(arguments),
        "lines" => lines::run(arguments),
        "echo" => echo::run(arguments),
        "udp-echo" => udp_echo::run(arguments),
        "idle" => idle::run(arguments),
        "selects" => selects::run(arguments),
        "relay-bulk" => relay::bulk::run(arguments),
        "relay-connections" => relay::connections::run(arguments),
        "relay-echo" => relay::echo::run(arguments),
        "relay-idle" => relay::idle::run(arguments),
        "relay-tls-connections" => relay::secure::connections(arguments),
        "relay-tls-bulk" => relay::secure::bulk(arguments),
        "tls-handshakes" => tls::handshakes(arguments),
        "tls-receive" => tls::receive(arguments),
        "tls-idle" => tls::idle(arguments),
        other => Err(Failure::new(format!("there is no mode `{other}`"))),
    }
}
