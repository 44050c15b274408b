//! Many datagrams in one system call.

use std::array;
use std::fmt;
use std::os::fd::AsFd;

use super::DatagramSocket;
use super::parcel::{Datagram, Parcel};
use crate::address::SocketAddress;
use crate::error::{Error, Limit, Result, Stage};
use crate::read_buffer::DATAGRAM;
use crate::sys::batch::{DATAGRAMS_AT_ONCE, Envelopes, receive, send, send_one};
use crate::sys::wait::{Events, Patience, Stop};
use crate::sys::{Errno, LocalAddress};

/// Bytes between places, so that those of a batch do not all fall on the same lines of a cache.
const GAP: usize = 64;

/// Room for datagrams that are received, or gathered to be sent, together.
///
/// It is filled by [`DatagramSocket::recv_batch`] or by [`push`](Self::push), and can be used
/// again and again without allocating. Datagrams of one size that are pushed for one udp peer
/// travel through the system as one (`UDP_SEGMENT`), and share a place.
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
///     if let Some(peer) = datagram.peer {
///         answers.push(datagram.payload, peer, datagram.local)?;
///     }
/// }
/// socket.send_batch(&mut answers)?;
/// assert!(answers.is_empty());
/// # Ok::<(), stream_socket::Error>(())
/// ```
pub struct Batch {
    payloads: Box<[u8]>,
    envelopes: Envelopes,
    parcels: Box<[Parcel]>,
    /// Bytes that each place has room for.
    room: usize,
    /// Places in use: those from `first` up to `end`.
    first: usize,
    end: usize,
    /// Whether the system has taken several datagrams as one so far.
    coalesces: bool,
}

impl Batch {
    /// Room for `datagrams` of up to `bytes` each; at least one datagram.
    ///
    /// One system call moves at most 64; more room is of no use to a receive.
    pub fn new(datagrams: usize, bytes: usize) -> Self {
        let datagrams = datagrams.max(1);
        Self {
            payloads: vec![0; datagrams * (bytes + GAP)].into(),
            envelopes: Envelopes::new(datagrams),
            parcels: vec![Parcel::default(); datagrams].into(),
            room: bytes,
            first: 0,
            end: 0,
            coalesces: true,
        }
    }

    /// How many datagrams are in it.
    pub fn len(&self) -> usize {
        self.parcels[self.first..self.end]
            .iter()
            .map(Parcel::count)
            .sum()
    }

    /// Whether none is in it.
    pub fn is_empty(&self) -> bool {
        self.first == self.end
    }

    /// Whether all places are taken. A datagram may still be pushed that shares the last one.
    pub fn is_full(&self) -> bool {
        self.end == self.parcels.len()
    }

    /// The datagrams in it, in order.
    pub fn iter(&self) -> impl Iterator<Item = Datagram<'_>> {
        (self.first..self.end).flat_map(|index| {
            let parcel = &self.parcels[index];
            parcel.datagrams(payload(&self.payloads, index, self.room, parcel.length))
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
        if self.is_empty() {
            self.clear();
        }
        if self.join(payload, peer, local) {
            return Ok(());
        }
        if self.is_full() {
            return fail(format!("it has room for {} datagrams", self.parcels.len()));
        }
        if payload.len() > self.room {
            let (length, room) = (payload.len(), self.room);
            return fail(format!("{length} bytes, but there is room for {room}"));
        }
        let index = self.end;
        let start = index * (self.room + GAP);
        self.payloads[start..start + payload.len()].copy_from_slice(payload);
        self.parcels[index] = Parcel::of(payload.len(), peer.clone(), local);
        self.envelopes.address(index, Some(peer), local, None);
        self.end += 1;
        Ok(())
    }

    /// Adds a datagram to the last place, if it can travel with what is there.
    fn join(&mut self, payload: &[u8], peer: &SocketAddress, local: Option<LocalAddress>) -> bool {
        let Some(index) = self.end.checked_sub(1).filter(|index| *index >= self.first) else {
            return false;
        };
        let parcel = &mut self.parcels[index];
        let length = parcel.length;
        let may_join = self.coalesces && peer.ip().is_some() && length + payload.len() <= self.room;
        if !may_join || !parcel.add(payload.len(), peer, local) {
            return false;
        }
        let start = index * (self.room + GAP) + length;
        self.payloads[start..start + payload.len()].copy_from_slice(payload);
        self.envelopes
            .address(index, Some(peer), local, parcel.segment());
        true
    }

    /// Takes the first `gone` bytes out of the first place.
    fn keep_rest(&mut self, gone: usize) {
        let (index, parcel) = (self.first, &mut self.parcels[self.first]);
        let start = index * (self.room + GAP);
        self.payloads
            .copy_within(start + gone..start + parcel.length, start);
        parcel.take_off(gone);
        self.envelopes
            .address(index, parcel.peer.as_ref(), parcel.local, parcel.segment());
    }

    /// Takes out the first place.
    fn drop_first(&mut self) {
        self.first += 1;
        if self.is_empty() {
            self.clear();
        }
    }

    /// Empties it.
    pub fn clear(&mut self) {
        (self.first, self.end) = (0, 0);
    }
}

/// What is said of `UDP_SEGMENT` where the system or the network device can't do it.
const CANNOT_COALESCE: [Errno; 3] = [Errno::IO, Errno::OPNOTSUPP, Errno::NOPROTOOPT];

/// Whether datagrams that travel as one have to be sent one by one: they are larger than the
/// packets on their way, or the system can't do that.
fn must_part(parcel: &Parcel, errno: Errno) -> bool {
    let too_large = [Errno::INVAL, Errno::MSGSIZE];
    let may_go_apart = too_large.contains(&errno) || CANNOT_COALESCE.contains(&errno);
    parcel.segment().is_some() && may_go_apart
}

/// The bytes of a place.
fn payload(payloads: &[u8], index: usize, room: usize, length: usize) -> &[u8] {
    let start = index * (room + GAP);
    &payloads[start..start + length]
}

impl fmt::Debug for Batch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Batch")
            .field("len", &self.len())
            .field("datagrams", &self.parcels.len())
            .field("bytes", &self.room)
            .finish()
    }
}

impl DatagramSocket {
    /// Receives the datagrams that are there, at least one, in place of what the batch held; how
    /// many.
    ///
    /// Waits for the first up to the read timeout and never for further ones.
    ///
    /// # Errors
    ///
    /// As [`recv_from`](Self::recv_from); where the socket coalesces, when the batch has not room
    /// for 65,536 bytes a datagram.
    pub fn recv_batch(&self, batch: &mut Batch) -> Result<usize> {
        if self.coalesces && batch.room < DATAGRAM {
            let reason = "it coalesces datagrams, and the batch has too little room for that";
            return Err(Error::new(Stage::Io, &self.url, reason).with_action("receive on"));
        }
        batch.clear();
        let Batch {
            payloads,
            envelopes,
            parcels,
            room,
            ..
        } = batch;
        let room = *room;
        let mut places = payloads.chunks_mut(room + GAP);
        let limit = parcels.len().min(DATAGRAMS_AT_ONCE);
        let mut buffers: [&mut [u8]; DATAGRAMS_AT_ONCE] = array::from_fn(|_| {
            places
                .next()
                .map(|place| &mut place[..room])
                .unwrap_or_default()
        });
        let socket = self.as_fd();
        let count = self
            .reading()
            .retry(socket, Events::READ, || {
                receive(socket, envelopes, &mut buffers[..limit])
            })
            .map_err(|stop| self.stopped(stop, Limit::Read))?;
        for (index, parcel) in parcels.iter_mut().enumerate().take(count) {
            let mut arrival = envelopes.read(index);
            arrival.local = arrival.local.or_else(|| self.bound_ip());
            *parcel = Parcel::received(arrival, room);
        }
        batch.end = count;
        Ok(batch.len())
    }

    /// Sends what is in the batch; how many datagrams left, and are no longer in it.
    ///
    /// # Errors
    ///
    /// As [`send_to`](Self::send_to), for the first datagram left in the batch. One that the
    /// system refuses is taken out, with those that travel with it, so that a further call goes on
    /// with those behind; when the time is up or it would block, all that were not sent stay.
    pub fn send_batch(&self, batch: &mut Batch) -> Result<usize> {
        let mut patience = self.writing();
        let mut sent = 0;
        while !batch.is_empty() {
            let first = batch.first;
            match self.send_parcels(batch, &mut patience) {
                Ok(count) => {
                    let gone = &batch.parcels[first..first + count];
                    sent += gone.iter().map(Parcel::count).sum::<usize>();
                    batch.first += count;
                }
                Err(Stop::System(errno)) if must_part(&batch.parcels[first], errno) => {
                    let apart = self.send_apart(batch, &mut patience)?;
                    // It is not the size of these: the system can't do it at all.
                    batch.coalesces &= !(apart > 0 && CANNOT_COALESCE.contains(&errno));
                    sent += apart;
                }
                Err(stop) => {
                    let error = self.unsent(stop, batch.parcels[first].peer.as_ref());
                    if matches!(stop, Stop::System(_)) {
                        batch.drop_first();
                    }
                    return Err(error);
                }
            }
        }
        batch.clear();
        Ok(sent)
    }

    /// Sends as many parcels as one system call takes; how many.
    fn send_parcels(
        &self,
        batch: &mut Batch,
        patience: &mut Patience,
    ) -> std::result::Result<usize, Stop> {
        let mut payloads: [&[u8]; DATAGRAMS_AT_ONCE] = [&[]; DATAGRAMS_AT_ONCE];
        let (first, room) = (batch.first, batch.room);
        let count = (batch.end - first).min(DATAGRAMS_AT_ONCE);
        for (place, index) in payloads[..count].iter_mut().zip(first..) {
            *place = payload(&batch.payloads, index, room, batch.parcels[index].length);
        }
        let envelopes = &mut batch.envelopes;
        patience.retry(self.as_fd(), Events::WRITE, || {
            send(self.as_fd(), envelopes, first, &payloads[..count])
        })
    }

    /// Sends the datagrams of the first parcel one by one; how many left.
    fn send_apart(&self, batch: &mut Batch, patience: &mut Patience) -> Result<usize> {
        let index = batch.first;
        let parcel = &batch.parcels[index];
        let bytes = payload(&batch.payloads, index, batch.room, parcel.length);
        let (mut sent, mut gone) = (0, 0);
        let (mut refused, mut stopped) = (None, None);
        for datagram in parcel.datagrams(bytes) {
            let result = patience.retry(self.as_fd(), Events::WRITE, || {
                send_one(
                    self.as_fd(),
                    datagram.payload,
                    datagram.peer,
                    datagram.local,
                )
            });
            match result {
                Ok(()) => sent += 1,
                Err(stop @ Stop::System(_)) => refused = refused.or(Some(stop)),
                Err(stop) => {
                    stopped = Some(stop);
                    break;
                }
            }
            gone += datagram.payload.len();
        }
        let error = stopped
            .or(refused)
            .map(|stop| self.unsent(stop, parcel.peer.as_ref()));
        if stopped.is_some() {
            batch.keep_rest(gone);
        } else {
            batch.drop_first();
        }
        error.map_or(Ok(sent), Err)
    }
}
