//! What there is to accept, without waiting.

use std::os::fd::{AsFd, OwnedFd};
use std::sync::{Arc, PoisonError};

use super::Listener;
use super::tls::Tls;
use crate::address::SocketAddress;
use crate::error::Error;
use crate::gate::Gate;
use crate::peers::Dispatcher;
use crate::stream::{PeerEnd, Stream};
use crate::sys::{self, Errno};
use crate::transport;

/// Connections that may fail one after the other before it is looked at the deadline again.
const FAULTS_IN_A_ROW: usize = 64;

/// What there is to accept.
#[derive(Debug)]
pub(crate) enum Arrival {
    Stream(Stream),
    /// Nobody is there.
    None,
    /// All places are taken, and who is there waits.
    Full,
    /// Somebody was there, found no place and was closed.
    ClosedFull,
    /// The same, for want of a place for its address.
    ClosedForAddress,
    Failed(Errno),
    /// It was accepted, but an option could not be set on it.
    Refused(Error),
}

impl Listener {
    /// What there is to accept.
    pub(crate) fn arrival(&self) -> Arrival {
        self.arrival_by(true)
    }

    /// The same; of tcp the peer's address may be left with the system unless it is `named`.
    #[inline]
    pub(super) fn arrival_by(&self, named: bool) -> Arrival {
        match &self.peers {
            Some(peers) => self.arrival_of_peer(peers.dispatcher()),
            None => self.arrival_of_connection(named),
        }
    }

    fn arrival_of_peer(&self, dispatcher: &Arc<Dispatcher>) -> Arrival {
        if let Err(error) = dispatcher.refuse_in_child(self, "accept from") {
            return Arrival::Refused(error);
        }
        match dispatcher.accept() {
            Ok(Some(mailbox)) => {
                let end = PeerEnd::new(Arc::clone(dispatcher), mailbox);
                Arrival::Stream(Stream::of_peer(end, &self.url, &self.options.socket))
            }
            Ok(None) => Arrival::None,
            Err(errno) => Arrival::Failed(errno),
        }
    }

    /// One connection, without waiting. Over TLS its handshake is still to be made.
    pub(crate) fn arrival_of_connection(&self, named: bool) -> Arrival {
        if let Some(gate) = &self.gate {
            return self.arrival_through(gate);
        }
        match self.accept_now(named) {
            Ok(Some((socket, peer))) => self.arrived(socket, peer),
            Ok(None) => Arrival::None,
            Err(errno) => Arrival::Failed(errno),
        }
    }

    /// The same where connections are limited. Apart from that, which needs little of it.
    #[inline(never)]
    fn arrival_through(&self, gate: &Arc<Gate>) -> Arrival {
        // The place comes first, so that a connection for which there is none stays where it is.
        let place = match self.handshakes_in_accept() {
            Some(_) => gate.look(),
            None => gate.enter(),
        };
        if place.is_none() && !gate.closes() {
            return Arrival::Full;
        }
        let (socket, peer) = match self.accept_now(true) {
            Ok(Some(accepted)) => accepted,
            Ok(None) => return Arrival::None,
            Err(errno) => return Arrival::Failed(errno),
        };
        let Some(mut place) = place else {
            return Arrival::ClosedFull;
        };
        let proxied = self.tls.get().is_some_and(Tls::has_proxies);
        // Behind a proxy it is the client's that counts, once that is known.
        let ip = peer.as_ref().and_then(SocketAddress::ip);
        if !proxied && !place.admit(ip) {
            return Arrival::ClosedForAddress;
        }
        let mut arrival = self.arrived(socket, peer);
        if let Arrival::Stream(stream) = &mut arrival {
            stream.hold(place);
        }
        arrival
    }

    #[inline]
    fn arrived(&self, socket: OwnedFd, peer: Option<SocketAddress>) -> Arrival {
        let options = &self.options.socket;
        if let Err(error) = transport::accepted_options(socket.as_fd(), &self.url, options) {
            return Arrival::Refused(error);
        }
        let (origin, transport) = (Some(Arc::clone(&self.url)), self.url.transport());
        let mut stream = Stream::new(socket, transport, peer, origin, options);
        stream.admit();
        match self.tls.get() {
            Some(tls) => tls
                .opened(stream, &self.url)
                .map_or_else(Arrival::Refused, Arrival::Stream),
            None => Arrival::Stream(stream),
        }
    }

    /// As [`arrival`](Self::arrival), while no loop gives up the reserve.
    pub(crate) fn arrival_in_turn(&self) -> Arrival {
        let _turn = self.reserve.as_ref().map(|reserve| reserve.read());
        self.arrival()
    }

    /// Accepts one connection with the reserve descriptor and closes it; whether that went well.
    pub(crate) fn close_one(&self) -> bool {
        let Some(reserve) = &self.reserve else {
            return false;
        };
        let mut reserve = reserve.write().unwrap_or_else(PoisonError::into_inner);
        if reserve.take().is_none() {
            *reserve = sys::reserve().ok();
            return false;
        }
        let closed = matches!(self.arrival(), Arrival::Stream(_));
        *reserve = sys::reserve().ok();
        closed
    }

    fn accept_now(
        &self,
        named: bool,
    ) -> std::result::Result<Option<(OwnedFd, Option<SocketAddress>)>, Errno> {
        let inheritable = self.options.socket.inheritable;
        for _ in 0..FAULTS_IN_A_ROW {
            match sys::socket::accept(self.socket.as_fd(), inheritable, named) {
                Ok(accepted) => return Ok(Some(accepted)),
                Err(Errno::AGAIN) => return Ok(None),
                Err(Errno::INTR) => {}
                Err(errno) if sys::socket::is_one_connections_fault(errno) => {}
                Err(errno) => return Err(errno),
            }
        }
        Ok(None)
    }
}
