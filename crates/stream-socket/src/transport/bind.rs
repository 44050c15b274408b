//! Binding, and listening where that is asked for.

use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use super::apply::{self, refused};
use super::endpoint::{Endpoint, endpoints, open};
use crate::address::SocketAddress;
use crate::deadline::Deadline;
use crate::error::{Error, Result, Stage};
use crate::options::{ListenOptions, UnixOptions};
use crate::sys::unix::{self, SocketFile};
use crate::sys::{self, Errno, failed, option};
use crate::url::SocketUrl;

/// The backlog where none is given: what the kernel cuts at `net.core.somaxconn`, whose own
/// default is 4096 since Linux 5.4.
const BACKLOG: u32 = 4096;

/// How often a port that the kernel chose for one address is tried for all of them.
const PORT_ATTEMPTS: usize = 16;

/// A bound socket.
#[derive(Debug)]
pub(crate) struct Bound {
    pub(crate) socket: OwnedFd,
    /// Its name, with the port or the abstract name that the kernel chose.
    pub(crate) address: SocketAddress,
    /// The file to remove when it is closed.
    pub(crate) file: Option<SocketFile>,
}

/// Binds the first of the URL's addresses that can be bound.
pub(crate) fn bind(url: &SocketUrl, options: &ListenOptions) -> Result<Bound> {
    let mut last = None;
    for endpoint in endpoints(url, None, Deadline::NEVER)? {
        match bind_endpoint(url, &endpoint, options) {
            Ok(bound) => return Ok(bound),
            Err(error) => last = Some(error),
        }
    }
    Err(last.unwrap_or_else(|| Error::new(Stage::Resolve, url, "the name has no address")))
}

/// Binds every address of the URL, all to the same port where the kernel chooses it.
pub(crate) fn bind_all(url: &SocketUrl, options: &ListenOptions) -> Result<Vec<Bound>> {
    let endpoints = endpoints(url, None, Deadline::NEVER)?;
    let mut attempt = 1;
    loop {
        match bind_each(url, &endpoints, options) {
            // The port that was free on the first address is taken on another.
            Err(error)
                if error.errno() == Some(Errno::ADDRINUSE.raw_os_error())
                    && endpoints.len() > 1
                    && chooses_port(&endpoints)
                    && attempt < PORT_ATTEMPTS =>
            {
                attempt += 1;
            }
            result => return result,
        }
    }
}

fn bind_each(
    url: &SocketUrl,
    endpoints: &[Endpoint],
    options: &ListenOptions,
) -> Result<Vec<Bound>> {
    let mut bound: Vec<Bound> = Vec::with_capacity(endpoints.len());
    for endpoint in endpoints {
        let mut endpoint = endpoint.clone();
        let chosen = bound.first().and_then(|first| first.address.port());
        if let (Endpoint::Address(SocketAddress::Inet(inet)), Some(port)) = (&mut endpoint, chosen)
        {
            inet.set_port(port);
        }
        bound.push(bind_endpoint(url, &endpoint, options)?);
    }
    Ok(bound)
}

fn chooses_port(endpoints: &[Endpoint]) -> bool {
    endpoints
        .iter()
        .all(|endpoint| matches!(endpoint, Endpoint::Address(address) if address.port() == Some(0)))
}

fn bind_endpoint(url: &SocketUrl, endpoint: &Endpoint, options: &ListenOptions) -> Result<Bound> {
    let datagram = url.transport().is_datagram();
    let socket = open(url.transport(), endpoint.family())
        .map_err(|errno| failed(Stage::Socket, url, errno))?;
    apply::socket_options(socket.as_fd(), url, &options.socket)?;
    apply::listen_options(socket.as_fd(), endpoint.family(), url, options)?;
    if !datagram && url.transport().is_inet() {
        // A listener can be opened again at once after a restart. Not for datagrams, where it
        // would let a second socket take what is meant for the first.
        option::reuse_address(socket.as_fd(), options.reuse_address.unwrap_or(true))
            .map_err(|errno| failed(Stage::Socket, url, errno))?;
    }
    let file = bind_socket(url, endpoint, &socket, options)?;
    if !datagram && !options.bind_only {
        listen(url, &socket, options)?;
    }
    if options.socket.inheritable {
        // A listener stays non-blocking, or accept might wait beyond its deadline.
        share(&socket, datagram).map_err(|errno| failed(Stage::Socket, url, errno))?;
    }
    let address = sys::socket::local_address(socket.as_fd())
        .map_err(|errno| failed(Stage::Bind, url, errno))?
        .ok_or_else(|| Error::new(Stage::Bind, url, "the socket has no name"))?;
    Ok(Bound {
        socket,
        address,
        file,
    })
}

/// Makes a socket one that programs can inherit; `blocking` as they expect it.
pub(crate) fn share(socket: &OwnedFd, blocking: bool) -> std::result::Result<(), Errno> {
    sys::socket::make_inheritable(socket.as_fd())?;
    if blocking {
        sys::socket::set_blocking(socket, true)?;
    }
    Ok(())
}

/// listen(2) with the backlog of the options.
pub(crate) fn listen(url: &SocketUrl, socket: &OwnedFd, options: &ListenOptions) -> Result<()> {
    sys::socket::listen(socket.as_fd(), backlog(options))
        .map_err(|errno| failed(Stage::Listen, url, errno))
}

/// On a wildcard address every datagram is to come with the address that it was sent to.
pub(crate) fn tell_local_address(
    socket: impl AsFd,
    address: &SocketAddress,
) -> std::result::Result<(), Errno> {
    match address.ip() {
        Some(ip) if !ip.is_unspecified() => Ok(()),
        Some(ip) if ip.is_ipv4() => option::packet_info_v4(socket.as_fd()),
        Some(_) => option::packet_info_v6(socket.as_fd()),
        None => Ok(()),
    }
}

pub(super) fn backlog(options: &ListenOptions) -> u32 {
    options.backlog.unwrap_or(BACKLOG)
}

fn bind_socket(
    url: &SocketUrl,
    endpoint: &Endpoint,
    socket: &OwnedFd,
    options: &ListenOptions,
) -> Result<Option<SocketFile>> {
    let unix = match endpoint {
        Endpoint::Address(SocketAddress::Unix(unix)) => unix.as_path(),
        _ => None,
    };
    let Some(path) = unix else {
        bind_name(endpoint, socket).map_err(|errno| failed(Stage::Bind, url, errno))?;
        return Ok(None);
    };
    bind_path(url, endpoint, socket, path, &options.unix)
}

fn bind_name(endpoint: &Endpoint, socket: &OwnedFd) -> std::result::Result<(), Errno> {
    match endpoint {
        Endpoint::Address(address) => sys::socket::bind(socket.as_fd(), address),
        Endpoint::Autobind => sys::socket::autobind(socket.as_fd()),
    }
}

/// Binds a path, and gives the file its mode and owner before anybody can connect.
fn bind_path(
    url: &SocketUrl,
    endpoint: &Endpoint,
    socket: &OwnedFd,
    path: &Path,
    options: &UnixOptions,
) -> Result<Option<SocketFile>> {
    let (user, group) = (owner(url, options)?, group(url, options)?);
    if let Some(mode) = options.mode {
        unix::limit_mode(socket, mode).map_err(|errno| refused(url, "mode", errno))?;
    }
    let unlink = options.unlink.unwrap_or(true);
    bind_or_replace(endpoint, socket, unlink, user)
        .map_err(|errno| failed(Stage::Bind, url, errno))?;
    // From here on the file is ours to remove, when an option is refused as well.
    let file = SocketFile::adopt(path).map_err(|errno| failed(Stage::Bind, url, errno))?;
    if user.is_some() || group.is_some() {
        let name = if user.is_some() { "owner" } else { "group" };
        unix::set_owner(path, user, group).map_err(|errno| refused(url, name, errno))?;
    }
    if let Some(mode) = options.mode {
        // The umask may have taken bits that were asked for.
        unix::set_mode(path, mode).map_err(|errno| refused(url, "mode", errno))?;
    }
    if unlink {
        return Ok(Some(file));
    }
    file.leave();
    Ok(None)
}

/// Binds, in place of a dead socket of this user's where `unlink` allows that.
pub(super) fn bind_or_replace(
    endpoint: &Endpoint,
    socket: &OwnedFd,
    unlink: bool,
    owner: Option<u32>,
) -> std::result::Result<(), Errno> {
    let taken = match bind_name(endpoint, socket) {
        Err(Errno::ADDRINUSE) if unlink => Errno::ADDRINUSE,
        result => return result,
    };
    let Endpoint::Address(SocketAddress::Unix(address)) = endpoint else {
        return Err(taken);
    };
    let datagram = sys::socket::kind(socket.as_fd())?.datagram;
    if unix::remove_dead(address, datagram, owner)? {
        bind_name(endpoint, socket)
    } else {
        Err(taken)
    }
}

fn owner(url: &SocketUrl, options: &UnixOptions) -> Result<Option<u32>> {
    look_up(url, "user", options.owner.as_deref(), unix::user_id)
}

fn group(url: &SocketUrl, options: &UnixOptions) -> Result<Option<u32>> {
    look_up(url, "group", options.group.as_deref(), unix::group_id)
}

fn look_up(
    url: &SocketUrl,
    what: &str,
    name: Option<&str>,
    find: impl FnOnce(&str) -> Option<u32>,
) -> Result<Option<u32>> {
    let Some(name) = name else { return Ok(None) };
    let unknown = || Error::new(Stage::Parse, url, format!("there is no {what} {name:?}"));
    find(name).map(Some).ok_or_else(unknown)
}
