//! Many datagrams in one system call.

use std::array;
use std::fmt;
use std::os::fd::AsFd;

use super::{DatagramSocket, Received};
use crate::address::SocketAddress;
use crate::error::{Error, Limit, Result, Stage};
use crate::sys::LocalAddress;
use crate::sys::batch::{DATAGRAMS_AT_ONCE, Envelopes, receive, send};
use crate::sys::wait::Events;

/// Room for datagrams that are received, or gathered to be sent, together.
///
/// It is filled by [`DatagramSocket::recv_batch`] or by [`push`](Self::push), and can be used
/// again and again without allocating.
///
/// # Examples
///
/// ```
/// use stream_socket::{Batch, DatagramSocket, ListenOptions};
///
/// let socket = DatagramSocket::bind("udp://127.0.0.1:0", &ListenOptions::default())?;
/// let (mut asked, mut answers) = (Batch::new(32, 2048), Batch::new(32, 2048));
/// # let client = DatagramSocket::bind("udp://127.0.0.1:0", &ListenOptions::default())?;
/// # client.send_to(b"ping", socket.local_addr(), None)?;
/// socket.recv_batch(&mut asked)?;
/// for datagram in asked.iter() {
///     if let Some(peer) = &datagram.received.peer {
///         answers.push(datagram.payload, peer, datagram.received.local)?;
///     }
/// }
/// socket.send_batch(&mut answers)?;
/// assert!(answers.is_empty());
/// # Ok::<(), stream_socket::Error>(())
/// ```
pub struct Batch {
    payloads: Box<[u8]>,
    envelopes: Envelopes,
    slots: Box<[Slot]>,
    /// Bytes that each datagram has room for.
    room: usize,
    /// Slots in use: those from `first` up to `end`.
    first: usize,
    end: usize,
}

#[derive(Clone, Debug, Default)]
struct Slot {
    length: usize,
    received: Option<Received>,
    peer: Option<SocketAddress>,
}

/// A datagram in a [`Batch`].
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Datagram<'a> {
    /// Its bytes.
    pub payload: &'a [u8],
    /// Who sent it, where to, and whether it is whole.
    pub received: &'a Received,
}

impl Batch {
    /// Room for `datagrams` of up to `bytes` each; at least one datagram.
    ///
    /// One system call moves at most 64; more room is of no use to a receive.
    pub fn new(datagrams: usize, bytes: usize) -> Self {
        let datagrams = datagrams.max(1);
        Self {
            payloads: vec![0; datagrams * bytes].into(),
            envelopes: Envelopes::new(datagrams),
            slots: vec![Slot::default(); datagrams].into(),
            room: bytes,
            first: 0,
            end: 0,
        }
    }

    /// How many datagrams are in it.
    pub fn len(&self) -> usize {
        self.end - self.first
    }

    /// Whether none is in it.
    pub fn is_empty(&self) -> bool {
        self.first == self.end
    }

    /// The datagrams that were received.
    pub fn iter(&self) -> impl Iterator<Item = Datagram<'_>> {
        (self.first..self.end).filter_map(|index| {
            let received = self.slots[index].received.as_ref()?;
            Some(Datagram {
                payload: self.payload(index),
                received,
            })
        })
    }

    /// Adds a datagram to be sent to `peer`, from the `local` address if one is given.
    ///
    /// # Errors
    ///
    /// At [`Stage::Io`] when the batch is full or the payload has no room, and nothing is added.
    pub fn push(
        &mut self,
        payload: &[u8],
        peer: &SocketAddress,
        local: Option<LocalAddress>,
    ) -> Result<()> {
        let fail = |reason: String| {
            Err(Error::new(Stage::Io, peer, reason).with_action("add to the batch a datagram for"))
        };
        if self.end == self.slots.len() {
            return fail(format!("it has room for {} datagrams", self.slots.len()));
        }
        if payload.len() > self.room {
            return fail(format!(
                "{} bytes, but there is room for {}",
                payload.len(),
                self.room
            ));
        }
        let start = self.end * self.room;
        self.payloads[start..start + payload.len()].copy_from_slice(payload);
        self.slots[self.end] = Slot {
            length: payload.len(),
            received: None,
            peer: Some(peer.clone()),
        };
        self.envelopes.address(self.end, Some(peer), local);
        self.end += 1;
        Ok(())
    }

    /// Empties it.
    pub fn clear(&mut self) {
        (self.first, self.end) = (0, 0);
    }

    fn payload(&self, index: usize) -> &[u8] {
        let start = index * self.room;
        &self.payloads[start..start + self.slots[index].length]
    }
}

impl fmt::Debug for Batch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Batch")
            .field("len", &self.len())
            .field("datagrams", &self.slots.len())
            .field("bytes", &self.room)
            .finish()
    }
}

impl DatagramSocket {
    /// Receives the datagrams that are there, at least one, in place of what the batch held.
    ///
    /// Waits for the first up to the read timeout and never for further ones.
    ///
    /// # Errors
    ///
    /// As [`recv_from`](Self::recv_from).
    pub fn recv_batch(&self, batch: &mut Batch) -> Result<usize> {
        batch.clear();
        let Batch {
            payloads,
            envelopes,
            slots,
            room,
            ..
        } = batch;
        let room = *room;
        let mut chunks = payloads.chunks_mut(room.max(1));
        let limit = slots.len().min(DATAGRAMS_AT_ONCE);
        let mut buffers: [&mut [u8]; DATAGRAMS_AT_ONCE] =
            array::from_fn(|_| chunks.next().unwrap_or_default());
        let socket = self.as_fd();
        let count = self
            .reading()
            .retry(socket, Events::READ, || {
                receive(socket, envelopes, &mut buffers[..limit])
            })
            .map_err(|stop| self.stopped(stop, Limit::Read))?;
        for (index, slot) in slots.iter_mut().enumerate().take(count) {
            let received = self.received(envelopes.read(index), room);
            *slot = Slot {
                length: received.length,
                received: Some(received),
                peer: None,
            };
        }
        batch.end = count;
        Ok(count)
    }

    /// Sends what is in the batch; how many datagrams left, and are no longer in it.
    ///
    /// # Errors
    ///
    /// As [`send_to`](Self::send_to), for the first datagram left in the batch. One that the
    /// system refuses is taken out, so that a further call goes on with those behind it; when
    /// the time is up or it would block, all that were not sent stay.
    pub fn send_batch(&self, batch: &mut Batch) -> Result<usize> {
        let mut patience = self.writing();
        let mut sent = 0;
        while !batch.is_empty() {
            let mut payloads: [&[u8]; DATAGRAMS_AT_ONCE] = [&[]; DATAGRAMS_AT_ONCE];
            let count = batch.len().min(DATAGRAMS_AT_ONCE);
            let (room, slots, first) = (batch.room, &batch.slots, batch.first);
            for (place, index) in payloads[..count].iter_mut().zip(first..) {
                let start = index * room;
                *place = &batch.payloads[start..start + slots[index].length];
            }
            let envelopes = &mut batch.envelopes;
            let result = patience.retry(self.as_fd(), Events::WRITE, || {
                send(self.as_fd(), envelopes, first, &payloads[..count])
            });
            match result {
                Ok(some) => (batch.first, sent) = (first + some, sent + some),
                Err(stop) => {
                    let error = self.unsent(stop, batch.slots[first].peer.as_ref());
                    if matches!(stop, crate::sys::wait::Stop::System(_)) {
                        batch.first += 1;
                    }
                    return Err(error);
                }
            }
        }
        batch.clear();
        Ok(sent)
    }
}
