//! Descriptors of sockets for other programs.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;

/// Another descriptor of a socket that waits, as a program expects it, which knows nothing of
/// `EAGAIN`: for all who share the socket. Ours stays.
pub(crate) fn blocking(socket: &impl AsFd) -> io::Result<OwnedFd> {
    // To clear the flag, ioctl(FIONBIO), it does not matter which kind of socket it is.
    let socket = UnixStream::from(socket.as_fd().try_clone_to_owned()?);
    socket.set_nonblocking(false)?;
    Ok(socket.into())
}
