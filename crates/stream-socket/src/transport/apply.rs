//! Options onto a socket. One that the system refuses is an error that names it.

use std::fmt;
use std::os::fd::BorrowedFd;

use crate::error::{Error, Result, Stage};
use crate::options::{ListenOptions, SocketOptions};
use crate::sys::socket::Family;
use crate::sys::{Errno, option, phrase};
use crate::url::SocketUrl;

/// Sets what every socket can be given.
pub(super) fn socket_options(
    socket: BorrowedFd<'_>,
    url: &SocketUrl,
    options: &SocketOptions,
) -> Result<()> {
    buffers(socket, url, options)?;
    let on = Setter { url };
    on.set("broadcast", options.broadcast, |value| {
        option::broadcast(socket, value)
    })?;
    on.set("device", options.device.as_deref(), |name| {
        option::device(socket, name)
    })?;
    on.set("mark", options.mark, |mark| option::mark(socket, mark))?;
    on.set("nodelay", options.nodelay, |value| {
        option::nodelay(socket, value)
    })?;
    on.set("linger", options.linger, |span| {
        option::linger(socket, span)
    })?;
    on.set("user_timeout", options.user_timeout, |span| {
        option::user_timeout(socket, span)
    })?;
    keepalive(socket, url, options)
}

/// Sets on an accepted stream what it does not have from its listener.
///
/// The kernel hands every option down but the sizes of a unix socket's buffers.
pub(crate) fn accepted_options(
    socket: BorrowedFd<'_>,
    url: &SocketUrl,
    options: &SocketOptions,
) -> Result<()> {
    if url.transport().is_unix() {
        buffers(socket, url, options)
    } else {
        Ok(())
    }
}

fn buffers(socket: BorrowedFd<'_>, url: &SocketUrl, options: &SocketOptions) -> Result<()> {
    let on = Setter { url };
    on.set("receive_buffer", options.receive_buffer, |bytes| {
        option::receive_buffer(socket, bytes)
    })?;
    on.set("send_buffer", options.send_buffer, |bytes| {
        option::send_buffer(socket, bytes)
    })
}

fn keepalive(socket: BorrowedFd<'_>, url: &SocketUrl, options: &SocketOptions) -> Result<()> {
    let on = Setter { url };
    // To ask for its times is to ask for it.
    let implied = options.keepalive_idle.is_some()
        || options.keepalive_interval.is_some()
        || options.keepalive_count.is_some();
    let keepalive = options.keepalive.or(implied.then_some(true));
    on.set("keepalive", keepalive, |value| {
        option::keepalive(socket, value)
    })?;
    on.set("keepalive_idle", options.keepalive_idle, |span| {
        option::keepalive_idle(socket, span)
    })?;
    on.set("keepalive_interval", options.keepalive_interval, |span| {
        option::keepalive_interval(socket, span)
    })?;
    on.set("keepalive_count", options.keepalive_count, |probes| {
        option::keepalive_count(socket, probes)
    })
}

/// Sets on a socket that is bound and listens already what can be set still.
pub(crate) fn inherited_options(
    socket: BorrowedFd<'_>,
    url: &SocketUrl,
    options: &ListenOptions,
) -> Result<()> {
    socket_options(socket, url, &options.socket)?;
    // The family matters to an option that comes too late.
    listen_options(socket, Family::V6, url, options)
}

/// Sets what a bound socket can be given besides.
pub(super) fn listen_options(
    socket: BorrowedFd<'_>,
    family: Family,
    url: &SocketUrl,
    options: &ListenOptions,
) -> Result<()> {
    let on = Setter { url };
    on.set("reuse_port", options.reuse_port, |value| {
        option::reuse_port(socket, value)
    })?;
    if options.v6only.is_some() && family != Family::V6 {
        let reason = "option v6only applies to IPv6 addresses, and this one is IPv4";
        return Err(Error::new(Stage::Socket, url, reason));
    }
    on.set("v6only", options.v6only, |value| {
        option::v6only(socket, value)
    })?;
    // As many may be half open as may wait to be accepted.
    let pending = options
        .fast_open
        .map(|on| if on { super::bind::backlog(options) } else { 0 });
    on.set("fast_open", pending, |pending| {
        option::fast_open(socket, pending)
    })?;
    on.set("defer_accept", options.defer_accept, |span| {
        option::defer_accept(socket, span)
    })
}

struct Setter<'a> {
    url: &'a SocketUrl,
}

impl Setter<'_> {
    fn set<T>(
        &self,
        name: &str,
        value: Option<T>,
        set: impl FnOnce(T) -> std::result::Result<(), Errno>,
    ) -> Result<()> {
        value
            .map_or(Ok(()), set)
            .map_err(|errno| refused(self.url, name, errno))
    }
}

/// The error of an option that the system refused.
pub(super) fn refused(url: impl fmt::Display, name: &str, errno: Errno) -> Error {
    Error::new(
        Stage::Socket,
        url,
        format!("option {name} was refused: {}", phrase(errno)),
    )
    .with_errno(errno.raw_os_error())
}
