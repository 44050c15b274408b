//! The PHP extension `stream_socket`: loaded into stock PHP, it serves the transports `tcp`, `udp`,
//! `unix`, `udg`, `mptcp` and `vsock` of every stream function of PHP, and sockets that PHP was
//! started with, by the library `stream-socket`.
//!
//! `zend/` is what PHP sees: a shim in C that unpacks what PHP hands over, and the functions that
//! it calls. The rest is safe Rust and knows nothing of PHP but its manners.

#![deny(unsafe_code)]

mod ciphers;
mod counters;
mod failure;
mod listening;
mod options;
mod peer;
mod socket;
mod strip_tags;
mod target;
mod tls;
mod waiting;
mod zend;
