//! A second socket on the address of one that is bound exclusively: see `peers/own_socket.rs`.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use super::{apply, tell_local_address};
use crate::address::SocketAddress;
use crate::error::{Result, Stage};
use crate::options::ListenOptions;
use crate::sys::socket::Family;
use crate::sys::{self, Errno, failed, option};
use crate::url::SocketUrl;

/// Binds a socket of datagrams to `address`, which is that of `listener` or, where the listener
/// has a wildcard address, one of those that it stands for.
///
/// Linux lets two sockets of datagrams have one address if both have `SO_REUSEADDR` at the time
/// of the second bind(2). The listener has it for that one call; the new socket keeps it, since
/// otherwise it would be in the way of the next one. Any other socket is refused then as before,
/// since it needs the listener's consent too.
pub(crate) fn bind_beside(
    listener: BorrowedFd<'_>,
    address: &SocketAddress,
    url: &SocketUrl,
    options: &ListenOptions,
) -> Result<OwnedFd> {
    let unmade = |errno| failed(Stage::Socket, url, errno);
    let family = Family::of(address);
    let socket = sys::socket::open(family, true).map_err(unmade)?;
    apply::socket_options(socket.as_fd(), url, &options.socket)?;
    apply::listen_options(socket.as_fd(), family, url, options)?;
    tell_local_address(&socket, address).map_err(unmade)?;
    if options.reuse_port == Some(true) {
        // Sharing is what was asked for, and the kernel's own way to it.
        bind(&socket, address).map_err(|errno| failed(Stage::Bind, url, errno))?;
        return Ok(socket);
    }
    option::reuse_address(socket.as_fd(), true).map_err(unmade)?;
    option::reuse_address(listener, true).map_err(unmade)?;
    let bound = bind(&socket, address);
    let exclusive = option::reuse_address(listener, false);
    bound.map_err(|errno| failed(Stage::Bind, url, errno))?;
    exclusive.map_err(unmade)?;
    Ok(socket)
}

fn bind(socket: &OwnedFd, address: &SocketAddress) -> std::result::Result<(), Errno> {
    sys::socket::bind(socket.as_fd(), address)
}
