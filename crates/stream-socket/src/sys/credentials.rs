//! Who is at the other end of a unix stream.

use std::os::fd::BorrowedFd;

use super::Errno;
use super::seam::{Call, call};

/// The process that connected, as the kernel saw it then: `SO_PEERCRED`, [unix(7)].
///
/// For the accepting side it is the client at the time of its `connect`, for the client the
/// process that called `listen`.
///
/// [unix(7)]: https://man7.org/linux/man-pages/man7/unix.7.html
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct PeerCredentials {
    /// Process id; 0 where the peer lives in a process namespace that this one can't see.
    pub process: i32,
    /// Effective user id.
    pub user: u32,
    /// Effective group id.
    pub group: u32,
}

/// getsockopt(SO_PEERCRED).
pub(crate) fn peer(socket: BorrowedFd<'_>) -> Result<PeerCredentials, Errno> {
    let peer = call(Call::Option, || {
        // The safe wrapper's process id can't be 0, which is what a foreign namespace gives.
        nix::sys::socket::getsockopt(&socket, nix::sys::socket::sockopt::PeerCredentials)
            .map_err(|errno| Errno::from_raw_os_error(errno as i32))
    })?;
    Ok(PeerCredentials {
        process: peer.pid(),
        user: peer.uid(),
        group: peer.gid(),
    })
}
