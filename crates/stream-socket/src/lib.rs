//! Any socket from one URL: `transport://target`.
//!
//! One URL opens any socket, one call binds it, one call accepts from it, and what comes back is
//! read and written line by line, with timeouts, blocking modes and select. It is the system that
//! PHP's manual describes on its page of [`stream_socket_server`], as a Rust library.
//!
//! It is synchronous, starts no runtime, and keeps no buffer for an idle connection. Threads are
//! started behind the caller's back in one case only: a name that is looked up under a deadline,
//! or beside (see [`Lookup`]), since getaddrinfo(3) can't be given a time.
//!
//! It is not an HTTP library, nor an asynchronous one. It runs on 64-bit Linux.
//!
//! # Examples
//!
//! A server that tells each client the time, as the manual's does:
//!
//! ```no_run
//! use std::io::Write;
//! use stream_socket::{ListenOptions, Listener};
//!
//! let listener = Listener::bind("tcp://0.0.0.0:8000", &ListenOptions::default())?;
//! for client in listener.incoming() {
//!     client?.write_all(b"The local time is 11/22/2026 2:06 pm\n")?;
//! }
//! # Ok::<(), std::io::Error>(())
//! ```
//!
//! A client, with a limit for connecting and for each read:
//!
//! ```no_run
//! use stream_socket::{ConnectOptions, Stream};
//!
//! let url = "tcp://localhost:8000?connect_timeout=2s&read_timeout=5s";
//! let mut stream = Stream::connect(url, &ConnectOptions::default())?;
//! let mut line = Vec::new();
//! while stream.read_line(&mut line, 1024)? {
//!     print!("{}", String::from_utf8_lossy(&line));
//!     line.clear();
//! }
//! # Ok::<(), stream_socket::Error>(())
//! ```
//!
//! The same server over udp: each datagram of a new peer makes a stream, and what is written to
//! it goes back to that peer. See [`Listener`] for whose datagram reaches whom.
//!
//! ```no_run
//! # use std::io::Write;
//! # use stream_socket::{ListenOptions, Listener};
//! let listener = Listener::bind("udp://0.0.0.0:13", &ListenOptions::default())?;
//! for peer in listener.incoming() {
//!     peer?.write_all(b"The local time is 11/22/2026 2:06 pm\n")?;
//! }
//! # Ok::<(), std::io::Error>(())
//! ```
//!
//! Datagrams by themselves, each answered from the address that it was sent to:
//!
//! ```no_run
//! use stream_socket::{DatagramSocket, ListenOptions};
//!
//! let socket = DatagramSocket::bind("udp://[::]:7", &ListenOptions::default())?;
//! let mut buffer = [0; 65535];
//! loop {
//!     let received = socket.recv_from(&mut buffer)?;
//!     if let Some(peer) = &received.peer {
//!         socket.send_to(&buffer[..received.length], peer, received.local)?;
//!     }
//! }
//! # #[allow(unreachable_code)]
//! # Ok::<(), stream_socket::Error>(())
//! ```
//!
//! # Transports
//!
//! | transport | socket | target |
//! |---|---|---|
//! | `tcp` | a stream of bytes over IPv4 or IPv6 | `host:port` |
//! | `udp` | datagrams over IPv4 or IPv6 | `host:port` |
//! | `unix` | a stream of bytes within this host | a path, or `@name` |
//! | `udg` | datagrams within this host | a path, or `@name` |
//! | `mptcp` | tcp over several paths, where both ends have it | `host:port` |
//! | `vsock` | stream between a virtual machine and its host | `cid:port`, also `host:port` |
//! | `fd` | a socket that this process was started with | its number |
//! | `systemd` | sockets that a service manager has opened | their name, or `*` |
//! | `tls`, `ssl` | TLS over tcp, 1.3 or else 1.2 | `host:port` |
//! | `tlsv1.2`, `tlsv1.3` | TLS of that version alone | `host:port` |
//! | `tls+unix` | TLS over unix | a path, or `@name` |
//!
//! A URL without `transport://` means tcp. A host is a name, an IPv4 address, or an IPv6 address
//! in brackets, with a zone if need be (`[fe80::1%eth0]`); a port is a number, 0 for one that the
//! kernel chooses, or a service name. A path is percent-decoded, so that `?`, which begins the
//! options, is written `%3F`; `@name` is a name in Linux's abstract namespace, and `@` alone one
//! that the kernel chooses.
//!
//! # TLS
//!
//! A [`Listener`] over TLS makes the handshakes of all its clients together, and accepts those
//! that are finished in the order in which they are: none can hold up another. A [`Stream`] is
//! read and written as any other, and [`Stream::start_tls_client`] begins TLS on one that was
//! plain. It needs the feature `tls`, which is on by default. A program that forks had better be
//! built with `AWS_LC_SYS_NO_JITTER_ENTROPY=1` in its environment, as cargo's `[env]` sets it: else
//! each process spends some 30 ms of a processor on random numbers besides the kernel's.
//!
//! ```no_run
//! # use std::io::Write;
//! # use stream_socket::{ConnectOptions, ListenOptions, Listener, Stream};
//! let mut options = ListenOptions::default();
//! options.tls.certificate = Some("site.pem".into());
//! let listener = Listener::bind("tls://[::]:443?key=site.key", &options)?;
//! let mut served = listener.accept(None)?;
//! if let Some(facts) = served.tls() {
//!     writeln!(served, "this is {}, {}", facts.version, facts.cipher.name)?;
//! }
//!
//! let client = Stream::connect("tls://example.org:443?alpn=h2", &ConnectOptions::default())?;
//! # Ok::<(), std::io::Error>(())
//! ```
//!
//! # Errors
//!
//! Every [`Error`] says at which [`Stage`] an operation failed, the system's number if it came so
//! far, and the whole story in one sentence: `cannot bind tcp://[::1]:80: permission denied
//! (EACCES)`. Text that can't be understood is refused before any system call.
//!
//! [`stream_socket_server`]: https://www.php.net/manual/en/function.stream-socket-server.php
#![doc = concat!("\n", include_str!("../OPTIONS.md"))]
#![deny(unsafe_code)]

mod address;
mod child;
mod connecting;
mod crowd;
mod datagram;
mod deadline;
pub mod engine;
mod error;
mod gate;
mod handshake_log;
mod handshakes;
mod listener;
mod nearest;
mod network;
mod options;
mod peers;
mod pieces;
mod poller;
mod printable;
mod proxy_protocol;
mod read_buffer;
mod select;
mod stream;
mod sys;
mod transport;
mod trust;
mod url;

pub use address::{SocketAddress, UnixAddress, VsockAddress};
pub use child::{ChildEnd, end_with_parent, keep_descriptors, kill_group, reap_orphans, terminate};
pub use connecting::{Connecting, Lookup, Route, resolve};
pub use datagram::{Batch, Datagram, DatagramSocket, Received};
pub use error::{Error, Limit, Result, Stage};
pub use gate::Place;
pub use handshake_log::HandshakeCounters;
pub use listener::{Incoming, Listener};
pub use options::{
    ConnectOptions, HandshakeTime, Key, Kind, ListenOptions, Passphrase, Role, SocketOptions,
    TlsCheck, TlsClientOptions, TlsIdentity, TlsServerOptions, TlsVersion, UnixOptions, keys,
    parse_span,
};
pub use peers::PeerCounters;
pub use poller::{Poller, Ready};
pub use proxy_protocol::{ProxyHeader, ProxyReading, ProxyTls, ProxyVersion, Tlv};
pub use select::{Interest, Member, Readiness, Selectable, select};
pub use stream::Stream;
pub use sys::{LocalAddress, PeerCredentials};
pub use transport::{Inherited, TlsCipher, TlsFacts, tls_ciphers};
#[doc(hidden)]
pub use url::php;
pub use url::{Host, Port, SocketUrl, Target, ToSocketUrl, Transport};

/// System calls that fail and clocks that jump, for tests: see the seam in floor 3.
#[cfg(feature = "simulation")]
#[doc(hidden)]
pub mod simulation {
    pub use crate::deadline::clock::advance;
    pub use crate::sys::fork::in_forked_child;
    pub use crate::sys::seam::{Call, Fault, Plan, calls};
}
