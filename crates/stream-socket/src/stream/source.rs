//! Where a stream reads from and writes to.

use std::net::Shutdown;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use super::peer::PeerEnd;
use crate::sys::wait::{Events, Patience, Stop};
use crate::sys::{self, Errno};

/// A socket of the stream's own, or a part in that of a listener of datagrams.
#[derive(Debug)]
pub(super) enum Source {
    Socket(OwnedFd),
    Peer(Box<PeerEnd>),
}

impl Source {
    pub(super) fn send(
        &self,
        patience: &mut Patience,
        prefix: Option<&[u8]>,
        bytes: &[u8],
        urgent: bool,
    ) -> Result<usize, Stop> {
        match (self, prefix) {
            (Source::Socket(socket), Some(prefix)) => patience.retry(socket, Events::WRITE, || {
                sys::socket::send_with_prefix(socket.as_fd(), prefix, bytes)
            }),
            (Source::Socket(socket), None) => patience.retry(socket, Events::WRITE, || {
                sys::socket::send(socket.as_fd(), bytes, urgent)
            }),
            (Source::Peer(_), _) if urgent => Err(Stop::System(Errno::OPNOTSUPP)),
            (Source::Peer(peer), _) => peer.send(patience, bytes),
        }
    }

    pub(super) fn shutdown(&mut self, how: Shutdown) -> Result<(), Errno> {
        match self {
            Source::Socket(socket) => sys::socket::shutdown(socket.as_fd(), how),
            Source::Peer(peer) => {
                peer.shutdown(how);
                Ok(())
            }
        }
    }

    /// The peer of a listener of datagrams, where this is one.
    pub(super) fn peer(&self) -> Option<&PeerEnd> {
        match self {
            Source::Socket(_) => None,
            Source::Peer(peer) => Some(peer),
        }
    }
}

impl AsFd for Source {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Source::Socket(socket) => socket.as_fd(),
            Source::Peer(peer) => peer.as_fd(),
        }
    }
}
