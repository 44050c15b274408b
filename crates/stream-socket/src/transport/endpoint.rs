//! The addresses that a URL stands for.

use std::os::fd::OwnedFd;
use std::time::Duration;

use crate::address::SocketAddress;
use crate::deadline::Deadline;
use crate::error::{Error, Limit, Result, Stage};
use crate::sys::resolve::{Failure, resolve};
use crate::sys::socket::Family;
use crate::sys::{self, Errno, phrase};
use crate::url::{SocketUrl, Target, Transport};

/// An address to bind or to connect to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Endpoint {
    Address(SocketAddress),
    /// An abstract unix name that the kernel chooses.
    Autobind,
}

impl Endpoint {
    pub(super) fn family(&self) -> Family {
        match self {
            Endpoint::Address(address) => Family::of(address),
            Endpoint::Autobind => Family::Unix,
        }
    }
}

/// Every address of the URL's target, best first.
pub(super) fn endpoints(
    url: &SocketUrl,
    timeout: Option<Duration>,
    deadline: Deadline,
) -> Result<Vec<Endpoint>> {
    match url.target() {
        Target::Unix(unix) => Ok(vec![Endpoint::Address(SocketAddress::Unix(unix.clone()))]),
        Target::Autobind => Ok(vec![Endpoint::Autobind]),
        Target::Vsock(vsock) => Ok(vec![Endpoint::Address(SocketAddress::Vsock(*vsock))]),
        // It is open already.
        Target::Descriptor(_) | Target::Activated(_) => Ok(Vec::new()),
        Target::Inet { host, port } => {
            let found = resolve(host, port, url.transport().is_datagram(), deadline)
                .map_err(|failure| unresolved(url, timeout, failure))?;
            let endpoint = |address| Endpoint::Address(SocketAddress::Inet(address));
            Ok(found.into_iter().map(endpoint).collect())
        }
    }
}

fn unresolved(url: &SocketUrl, timeout: Option<Duration>, failure: Failure) -> Error {
    match failure {
        Failure::Resolver(words) => Error::new(Stage::Resolve, url, words),
        Failure::System(errno) => Error::new(Stage::Resolve, url, phrase(errno)),
        Failure::TimedOut => sys::timed_out(Stage::Resolve, url, Limit::Connect, timeout),
    }
}

/// A socket for a transport.
pub(super) fn open(transport: Transport, family: Family) -> std::result::Result<OwnedFd, Errno> {
    match transport {
        Transport::Mptcp => sys::socket::open_multipath(family),
        _ => sys::socket::open(family, transport.is_datagram()),
    }
}
