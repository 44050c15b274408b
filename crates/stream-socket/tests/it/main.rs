//! The library seen from outside, through its public names alone: one module for each concept.
//!
//! What several modules need is in `support`. Programs that are talked to come from Debian's
//! packages; a test whose program is missing fails and says what to install.
#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "helpers of tests may do what tests may"
)]

mod connect;
mod datagram;
mod descriptor;
mod documentation;
mod engine;
mod engine_edges;
#[cfg(feature = "simulation")]
mod engine_schedules;
mod error;
mod examples;
#[cfg(feature = "simulation")]
mod fault;
mod inheritable;
mod inherited;
mod line;
mod lookup;
mod mptcp;
mod option_properties;
mod options;
mod php_address;
mod proxied;
mod proxied_datagrams;
mod proxy_protocol;
mod relay;
mod relay_dialling;
#[cfg(feature = "simulation")]
mod relay_schedules;
mod select;
mod slow_peers;
mod support;
mod system_calls;
mod tcp;
mod tidy;
mod timeout;
#[cfg(feature = "tls")]
mod tls;
mod udg;
mod udp;
mod udp_accept;
mod unix;
mod unix_file;
mod url_properties;
mod via;
mod vsock;
