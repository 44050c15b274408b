//! A socket and the TLS session over it.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use crate::pieces::Pieces;
use crate::read_buffer::ReadBuffer;
use crate::sys::wait::Events;
use crate::transport::tls::{Hindrance, Session};

/// Says close_notify when dropped, as far as that can be done without waiting, unless it is cut.
#[derive(Debug)]
pub(super) struct Secure {
    pub(super) socket: OwnedFd,
    session: Session,
    /// What the handshake waits for.
    blocked: Events,
}

impl Secure {
    pub(super) fn new(socket: OwnedFd, session: Session) -> Self {
        // A client speaks first.
        let blocked = if session.is_client() {
            Events::WRITE
        } else {
            Events::READ
        };
        Self {
            socket,
            session,
            blocked,
        }
    }

    pub(super) fn session(&self) -> &Session {
        &self.session
    }

    /// What the handshake waits for.
    pub(super) fn blocked(&self) -> Events {
        self.blocked
    }

    pub(super) fn handshake(&mut self, rest: &mut ReadBuffer) -> Result<(), Hindrance> {
        let result = self.session.handshake(self.socket.as_fd(), rest);
        if let Err(Hindrance::Blocked(events)) = result {
            self.blocked = events;
        }
        result
    }

    pub(super) fn read(
        &mut self,
        target: &mut [u8],
        rest: &mut ReadBuffer,
    ) -> Result<usize, Hindrance> {
        self.session.read(self.socket.as_fd(), target, rest)
    }

    pub(super) fn read_in_place(&mut self) -> Result<Pieces, Hindrance> {
        self.session.read_in_place(self.socket.as_fd())
    }

    pub(super) fn write(
        &mut self,
        bytes: &[u8],
        rest: &mut ReadBuffer,
    ) -> Result<usize, Hindrance> {
        self.session.write(self.socket.as_fd(), bytes, rest)
    }

    pub(super) fn take(&mut self, bytes: &[u8], rest: &mut ReadBuffer) -> Result<(), Hindrance> {
        self.session.take(self.socket.as_fd(), bytes, rest)
    }

    pub(super) fn cut(&mut self) {
        self.session.cut();
    }

    pub(super) fn close(&mut self, rest: &mut ReadBuffer) -> Result<(), Hindrance> {
        self.session.close(self.socket.as_fd(), rest)
    }

    /// Takes the socket out, and what was received behind the end of TLS; leaves `place`.
    pub(super) fn take_apart(&mut self, place: OwnedFd, rest: &mut ReadBuffer) -> OwnedFd {
        self.session.take_unread(rest);
        std::mem::replace(&mut self.socket, place)
    }

    pub(super) fn flush(&mut self) -> Result<(), Hindrance> {
        self.session.flush(self.socket.as_fd())
    }
}

impl AsFd for Secure {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

impl Drop for Secure {
    fn drop(&mut self) {
        self.session.end(self.socket.as_fd());
    }
}
