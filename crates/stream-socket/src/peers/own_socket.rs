//! A descriptor of its own for one stream: a socket on the listener's address, connected to the
//! peer.
//!
//! From bind(2) to connect(2) the new socket gets what others send as well, since it is bound at
//! least as precisely as the listener and later. So the listener's queue is received first, which
//! holds what is older; then what the new socket got is handed to whom it belongs, all before the
//! lock is released: the order of every peer's datagrams is kept.

use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;

use super::{Delivery, Dispatcher, Mailbox, State};
use crate::error::{Error, Result, Stage};
use crate::sys::{self, Errno, LocalAddress, failed};
use crate::transport::bind_beside;

impl Dispatcher {
    /// The own descriptor of `mailbox`, made if there is none yet.
    pub(crate) fn separate<'a>(&self, mailbox: &'a Mailbox) -> Result<BorrowedFd<'a>> {
        if mailbox.socket().is_none() {
            self.make_own_socket(mailbox)?;
        }
        mailbox.socket().ok_or_else(|| self.inseparable())
    }

    fn make_own_socket(&self, mailbox: &Mailbox) -> Result<()> {
        let peer = match &mailbox.origin().peer {
            Some(peer) if self.may_separate(mailbox) => peer,
            _ => return Err(self.inseparable()),
        };
        let mut state = self.state();
        if mailbox.socket().is_some() {
            return Ok(());
        }
        // Twice, so that little is left for when the new socket takes the traffic.
        self.empty(&mut state, self.socket.as_fd(), None);
        let address = self.address_for(mailbox);
        let socket = bind_beside(self.socket.as_fd(), &address, &self.url, &self.options)?;
        self.empty(&mut state, self.socket.as_fd(), None);
        let connected = sys::socket::connect(socket.as_fd(), peer);
        self.empty(&mut state, socket.as_fd(), mailbox.origin().local);
        connected.map_err(|errno| failed(Stage::Connect, &self.url, errno))?;
        mailbox.set_socket(socket);
        Ok(())
    }

    /// A unix name belongs to one socket alone, and so may the clients of a proxy; what is sent to
    /// a multicast address reaches every socket that is bound to it, so that each datagram would
    /// come twice.
    pub(crate) fn may_separate(&self, mailbox: &Mailbox) -> bool {
        self.is_of_this_process()
            && !self.is_proxied()
            && mailbox.is_answerable()
            && !mailbox.is_evicted()
            && self.address.ip().is_some_and(|ip| !ip.is_multicast())
    }

    pub(crate) fn inseparable(&self) -> Error {
        let reason = "its peer can't have a socket of its own";
        Error::new(Stage::Socket, &self.url, reason).with_errno(Errno::OPNOTSUPP.raw_os_error())
    }

    /// Delivers what waits in `socket`, and no more than it has room for.
    fn empty(&self, state: &mut State, socket: BorrowedFd<'_>, at: Option<LocalAddress>) {
        for _ in 0..self.capacity {
            match self.receive_from(state, socket, at) {
                Ok(Delivery::New(mailbox)) => self.keep_waiting(state, mailbox),
                Ok(Delivery::Done) | Err(Errno::INTR) => {}
                // What is wrong with the socket is found by whoever reads from it next.
                Err(_) => break,
            }
        }
    }

    /// Delivers what waits in the own socket of a stream that is dropped. Connected to itself, the
    /// socket gets nothing more.
    pub(super) fn empty_own_socket(&self, state: &mut State, mailbox: &Arc<Mailbox>) {
        let Some(socket) = mailbox.socket().filter(|_| self.is_of_this_process()) else {
            return;
        };
        if let Ok(Some(address)) = sys::socket::local_address(socket) {
            _ = sys::socket::connect(socket, &address);
        }
        self.empty(state, socket, mailbox.origin().local);
    }
}
