//! Where a stream reads from and writes to.

use std::net::Shutdown;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use super::peer::PeerEnd;
use super::secure::Secure;
use crate::sys::socket::Give;
use crate::sys::wait::{Events, Patience, Stop};
use crate::sys::{self, Errno};

/// A socket of the stream's own, with or without TLS over it, or a part in that of a listener of
/// datagrams.
#[derive(Debug)]
pub(super) enum Source {
    Socket(OwnedFd),
    Secure(Box<Secure>),
    Peer(Box<PeerEnd>),
}

impl Source {
    #[inline]
    pub(super) fn send(
        &self,
        patience: &mut Patience,
        prefix: Option<&[u8]>,
        bytes: &[u8],
        give: Give,
    ) -> Result<usize, Stop> {
        match (self, prefix) {
            (Source::Socket(socket), Some(prefix)) => patience.retry(socket, Events::WRITE, || {
                sys::socket::send_with_prefix(socket.as_fd(), prefix, bytes)
            }),
            (Source::Socket(socket), None) => patience.retry(socket, Events::WRITE, || {
                sys::socket::send(socket.as_fd(), bytes, give)
            }),
            (Source::Peer(_) | Source::Secure(_), _) if give == Give::Urgent => {
                Err(Stop::System(Errno::OPNOTSUPP))
            }
            // What goes through TLS takes another way, and nothing goes around it.
            (Source::Secure(_), _) => Err(Stop::System(Errno::PROTO)),
            (Source::Peer(peer), _) => peer.send(patience, bytes),
        }
    }

    pub(super) fn shutdown(&mut self, how: Shutdown) -> Result<(), Errno> {
        match self {
            Source::Socket(_) | Source::Secure(_) => sys::socket::shutdown(self.as_fd(), how),
            Source::Peer(peer) => {
                peer.shutdown(how);
                Ok(())
            }
        }
    }

    /// The peer of a listener of datagrams, where this is one.
    pub(super) fn peer(&self) -> Option<&PeerEnd> {
        match self {
            Source::Socket(_) | Source::Secure(_) => None,
            Source::Peer(peer) => Some(peer),
        }
    }

    /// The socket with its TLS, where there is TLS.
    pub(super) fn secure(&self) -> Option<&Secure> {
        match self {
            Source::Secure(secure) => Some(secure),
            Source::Socket(_) | Source::Peer(_) => None,
        }
    }

    /// The same, to be used.
    pub(super) fn secure_mut(&mut self) -> Option<&mut Secure> {
        match self {
            Source::Secure(secure) => Some(secure),
            Source::Socket(_) | Source::Peer(_) => None,
        }
    }
}

impl AsFd for Source {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Source::Socket(socket) => socket.as_fd(),
            Source::Secure(secure) => secure.as_fd(),
            Source::Peer(peer) => peer.as_fd(),
        }
    }
}
