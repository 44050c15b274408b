//! Datagrams with their addresses, one or many in a system call.

use std::os::fd::BorrowedFd;

use super::control::{self, LocalAddress};
use super::ffi::{self, Envelope};
use super::seam::{Call, call};
use super::{Errno, name};
use crate::address::SocketAddress;

/// The most datagrams that one system call moves.
///
/// The kernel allows 1,024; measured on loopback, nothing is won beyond 64.
pub(crate) const DATAGRAMS_AT_ONCE: usize = 64;

/// Where datagrams go to or come from, and how they fared: one entry for each.
#[derive(Clone, Debug)]
pub(crate) struct Envelopes(Box<[Envelope]>);

impl Envelopes {
    /// Room for `datagrams`.
    pub(crate) fn new(datagrams: usize) -> Self {
        Self(vec![Envelope::default(); datagrams].into())
    }

    /// What was learnt of datagram `index` when it was received.
    pub(crate) fn read(&self, index: usize) -> Arrival {
        arrival(&self.0[index])
    }

    /// Addresses datagram `index`: to `peer`, or the connected one; from `local`, or any; in pieces
    /// of `segment` bytes, or whole.
    pub(crate) fn address(
        &mut self,
        index: usize,
        peer: Option<&SocketAddress>,
        local: Option<LocalAddress>,
        segment: Option<u16>,
    ) {
        address(&mut self.0[index], peer, local, segment);
    }
}

/// A datagram that arrived.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Arrival {
    /// Of the whole datagram, also where the buffer was shorter.
    pub(crate) length: usize,
    pub(crate) peer: Option<SocketAddress>,
    pub(crate) local: Option<LocalAddress>,
    /// Bytes of each of the datagrams that came as one; the last may be shorter.
    pub(crate) segment: Option<usize>,
}

/// recvmmsg(2) of one datagram, without waiting.
pub(crate) fn receive_one(socket: BorrowedFd<'_>, buffer: &mut [u8]) -> Result<Arrival, Errno> {
    let mut envelope = [Envelope::default()];
    call(Call::Receive, || {
        ffi::receive(socket, &mut envelope, &mut [buffer])
    })?;
    Ok(arrival(&envelope[0]))
}

/// sendmmsg(2) of one datagram, without waiting.
pub(crate) fn send_one(
    socket: BorrowedFd<'_>,
    payload: &[u8],
    peer: Option<&SocketAddress>,
    local: Option<LocalAddress>,
) -> Result<(), Errno> {
    let mut envelope = [Envelope::default()];
    address(&mut envelope[0], peer, local, None);
    call(Call::Send, || ffi::send(socket, &mut envelope, &[payload])).map(drop)
}

/// recvmmsg(2), without waiting: datagram `i` to `buffers[i]`; how many came.
pub(crate) fn receive(
    socket: BorrowedFd<'_>,
    envelopes: &mut Envelopes,
    buffers: &mut [&mut [u8]],
) -> Result<usize, Errno> {
    call(Call::Receive, || {
        ffi::receive(socket, &mut envelopes.0, buffers)
    })
}

/// sendmmsg(2), without waiting, of `payloads` by the envelopes from `first` on; how many left.
pub(crate) fn send(
    socket: BorrowedFd<'_>,
    envelopes: &mut Envelopes,
    first: usize,
    payloads: &[&[u8]],
) -> Result<usize, Errno> {
    call(Call::Send, || {
        ffi::send(socket, &mut envelopes.0[first..], payloads)
    })
}

fn arrival(envelope: &Envelope) -> Arrival {
    let contents = control::read(&envelope.control.0[..envelope.control_length]);
    Arrival {
        length: envelope.length,
        peer: name::read(&envelope.name[..envelope.name_length]),
        local: contents.local,
        segment: contents.segment,
    }
}

fn address(
    envelope: &mut Envelope,
    peer: Option<&SocketAddress>,
    local: Option<LocalAddress>,
    segment: Option<u16>,
) {
    envelope.name_length = peer.map_or(0, |peer| name::write(peer, &mut envelope.name));
    envelope.control_length = control::write(local, segment, &mut envelope.control.0);
}
