//! The command as its users have it: the real binary against programs that are not ours.
//!
//! `services` has every service over every transport, `datagrams` what is special to udp and udg,
//! `connect` the other side, `patience` peers that are slow, silent or many, `neighbours` what the
//! clients of one thread notice of each other, `crowds` thousands of them, `exhaustion` the end of
//! descriptors, `programs` a program for each connection, `dialogues` one for each peer of
//! datagrams, `ending` signals and what they leave behind, `relay` connections that are passed on,
//! `cookbook` the lines of docs/relay.md, `inherited` sockets that are open already, `activate`
//! those that workers inherit, `php` PHP in its place, `tls` all of that over TLS, `guide` pages of
//! docs/ to be followed, `refusals` what goes wrong and how it is said, `messages` what is told to
//! whom.
//! `support` starts processes and ends them.
#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    clippy::unwrap_used,
    reason = "helpers of tests may do what tests may"
)]

mod activate;
mod connect;
mod cookbook;
mod crowds;
mod datagrams;
mod dialogues;
mod ending;
mod exhaustion;
mod guide;
mod inherited;
mod messages;
mod neighbours;
mod patience;
mod php;
mod programs;
mod refusals;
mod relay;
mod services;
mod support;
mod tls;
