//! The command as its users have it: the real binary against programs that are not ours.
//!
//! `services` has every service over every transport, `datagrams` what is special to udp and udg,
//! `connect` the other side, `patience` peers that are slow, silent or many, `ending` signals and
//! what they leave behind, `refusals` what goes wrong and how it is said, `messages` what is told
//! to whom. `support` starts processes and ends them.
#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    clippy::unwrap_used,
    reason = "helpers of tests may do what tests may"
)]

mod connect;
mod datagrams;
mod ending;
mod messages;
mod patience;
mod refusals;
mod services;
mod support;
