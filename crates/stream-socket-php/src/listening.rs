//! Binding: the first of several addresses that can be bound, as PHP does it.

use std::net::SocketAddr;

use stream_socket::{
    DatagramSocket, Error, Inherited, ListenOptions, Listener, SocketAddress, SocketUrl, Target,
    Transport, UnixAddress, php,
};

use crate::failure::Failure;
use crate::options::{Wishes, without_tcp};

/// A bound socket. One of datagrams is a listener once it accepts.
#[derive(Debug)]
pub(crate) enum Bound {
    Listener(Box<Listener>),
    Datagrams(Box<Datagrams>),
}

/// A bound socket of datagrams, and the limits of peers for when it accepts.
#[derive(Debug)]
pub(crate) struct Datagrams {
    pub(crate) socket: DatagramSocket,
    pub(crate) options: ListenOptions,
}

/// Binds the first address that can be bound; the failure is that of the last.
pub(crate) fn bind_inet(
    transport: Transport,
    addresses: impl Iterator<Item = SocketAddr>,
    wishes: &Wishes<'_>,
) -> Result<Bound, Failure> {
    let mut last = Failure::of_words("the name has no address");
    for address in addresses {
        let url = SocketUrl::from_address(transport, &SocketAddress::Inet(address))?;
        let options = wishes.to_listen(transport.is_datagram(), address.is_ipv6())?;
        match bind(&url, options) {
            Ok(bound) => return Ok(bound),
            Err(error) => last = error.into(),
        }
    }
    Err(last)
}

/// Binds a path, an abstract name or, where the target is empty, a name of the kernel's choice.
pub(crate) fn bind_unix(
    transport: Transport,
    name: &[u8],
    wishes: &Wishes<'_>,
) -> Result<Bound, Failure> {
    let target = unix_target(name)?;
    let is_file = matches!(&target, Target::Unix(unix) if unix.as_path().is_some());
    let mut options = wishes.to_listen_unix(transport.is_datagram(), is_file)?;
    without_tcp(&mut options.socket);
    let url = SocketUrl::new(transport, target)?;
    Ok(bind(&url, options)?)
}

/// Binds what a URL names that is neither of IP nor of unix.
pub(crate) fn bind_url(url: &SocketUrl, wishes: &Wishes<'_>) -> Result<Bound, Failure> {
    let mut options = wishes.to_listen_unix(url.transport().is_datagram(), false)?;
    options.max_connections_per_ip = None;
    without_tcp(&mut options.socket);
    Ok(bind(url, options)?)
}

/// Goes on with a socket that PHP was started with. What the context says of binding comes too
/// late, and a backlog counts only if it is given.
pub(crate) fn inherit(socket: Inherited, wishes: &Wishes<'_>) -> Result<Bound, Failure> {
    let transport = socket.url().transport();
    let datagram = transport.is_datagram();
    let mut options = if transport.carrier() == Transport::Tcp || transport == Transport::Udp {
        wishes.to_listen(datagram, false)?
    } else {
        let mut options = wishes.to_listen_unix(datagram, false)?;
        options.max_connections_per_ip = None;
        without_tcp(&mut options.socket);
        options
    };
    options.bind_only = false;
    options.backlog = options.backlog.filter(|_| wishes.has_backlog());
    options.reuse_address = None;
    options.reuse_port = None;
    if !datagram {
        let listener = Listener::inherit(socket, &options)?;
        return Ok(Bound::Listener(Box::new(listener)));
    }
    let limits = limits_of_peers(&mut options);
    let socket = DatagramSocket::inherit(socket, &options)?;
    Ok(Bound::Datagrams(Box::new(Datagrams {
        socket,
        options: limits,
    })))
}

/// The target that a unix name is. One that the kernel would cut or not see whole is refused.
pub(crate) fn unix_target(name: &[u8]) -> Result<Target, Failure> {
    let parsed = php::unix_target(name);
    if parsed.truncated {
        return Err(Failure::of_words(format!(
            "the socket path is {} bytes long, and at most {} are possible",
            name.len(),
            parsed.limit()
        )));
    }
    if !parsed.is_whole() {
        return Err(Failure::of_words("the socket path contains a null byte"));
    }
    match name {
        [] => Ok(Target::Autobind),
        [0, abstract_name @ ..] => Ok(Target::Unix(UnixAddress::from_abstract(abstract_name)?)),
        path => Ok(Target::Unix(unix_path(path)?)),
    }
}

fn unix_path(path: &[u8]) -> Result<UnixAddress, Error> {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;
    UnixAddress::from_path(OsStr::from_bytes(path))
}

fn bind(url: &SocketUrl, mut options: ListenOptions) -> Result<Bound, Error> {
    if !url.transport().is_datagram() {
        let listener = Listener::bind(url, &options)?;
        return Ok(Bound::Listener(Box::new(listener)));
    }
    let limits = limits_of_peers(&mut options);
    let socket = DatagramSocket::bind(url, &options)?;
    Ok(Bound::Datagrams(Box::new(Datagrams {
        socket,
        options: limits,
    })))
}

/// What is for a listener of the options, and leaves what is for a socket of datagrams.
fn limits_of_peers(options: &mut ListenOptions) -> ListenOptions {
    options.max_connections = None;
    options.max_connections_per_ip = None;
    options.close_when_full = None;
    options.fast_open = None;
    options.defer_accept = None;
    options.proxy_timeout = None;
    let limits = options.clone();
    options.max_peers = None;
    options.peer_idle_timeout = None;
    options.proxy_protocol = None;
    options.proxy_from.clear();
    limits
}
