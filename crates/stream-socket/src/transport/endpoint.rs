//! The addresses that a URL stands for.

use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::time::Duration;

use crate::address::SocketAddress;
use crate::deadline::Deadline;
use crate::error::{Error, Limit, Result, Stage};
use crate::sys::lookup::Lookup;
use crate::sys::resolve::{Failure, begin, resolve};
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
            Ok(inet(found))
        }
    }
}

fn inet(addresses: Vec<SocketAddr>) -> Vec<Endpoint> {
    let endpoint = |address| Endpoint::Address(SocketAddress::Inet(address));
    addresses.into_iter().map(endpoint).collect()
}

/// Begins to look for the same beside. Where there is no name, that is over at once.
pub(super) fn look_up(url: &SocketUrl) -> Result<Lookup> {
    let begun = match url.target() {
        Target::Inet { host, port } => begin(host, port, url.transport().is_datagram()),
        _ => Lookup::done(Vec::new()).map_err(Failure::System),
    };
    begun.map_err(|failure| unresolved(url, None, failure))
}

/// What such a lookup has found; `None` while it is under way.
pub(super) fn looked_up(url: &SocketUrl, lookup: &Lookup) -> Result<Option<Vec<Endpoint>>> {
    let found = match (lookup.answer(), url.target()) {
        (None, _) => return Ok(None),
        (Some(answer), Target::Inet { .. }) => {
            inet(answer.map_err(|failure| unresolved(url, None, failure))?)
        }
        (Some(_), _) => endpoints(url, None, Deadline::NEVER)?,
    };
    Ok(Some(found))
}

fn unresolved(url: &SocketUrl, timeout: Option<Duration>, failure: Failure) -> Error {
    match failure {
        Failure::Resolver(words, code) => {
            let error = Error::new(Stage::Resolve, url, words);
            code.into_iter().fold(error, Error::with_resolver_code)
        }
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
