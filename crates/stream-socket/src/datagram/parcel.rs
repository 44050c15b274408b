//! What one place of a batch holds: a datagram, or several of one size that travel as one.

use crate::address::SocketAddress;
use crate::sys::LocalAddress;
use crate::sys::batch::Arrival;

/// Datagrams that one parcel may hold: `UDP_MAX_SEGMENTS` of Linux 4.18.
const DATAGRAMS: usize = 64;

/// Bytes that one parcel may hold: what fits a datagram of IPv4 with room for its headers.
const BYTES: usize = 65_000;

/// A datagram in a [`Batch`](super::Batch).
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Datagram<'a> {
    /// Its bytes; less than all of them where the batch had too little room.
    pub payload: &'a [u8],
    /// Bytes of the whole datagram.
    pub full_length: usize,
    /// Who sent it, or is to have it; `None` for an unnamed unix socket, which can't be answered.
    pub peer: Option<&'a SocketAddress>,
    /// The local address that it was sent to, or is to leave from.
    pub local: Option<LocalAddress>,
}

impl Datagram<'_> {
    /// Whether the batch had too little room for the datagram.
    pub fn is_truncated(&self) -> bool {
        self.full_length > self.payload.len()
    }
}

/// What one place holds, but for its bytes.
#[derive(Clone, Debug, Default)]
pub(super) struct Parcel {
    /// Bytes that are there.
    pub(super) length: usize,
    full_length: usize,
    /// Bytes of each datagram; the last may be shorter.
    segment: usize,
    pub(super) peer: Option<SocketAddress>,
    pub(super) local: Option<LocalAddress>,
}

impl Parcel {
    /// What came into a place with `room`.
    pub(super) fn received(arrival: Arrival, room: usize) -> Self {
        let Arrival {
            length: full_length,
            peer,
            local,
            segment,
        } = arrival;
        let segment = segment.filter(|size| *size > 0).unwrap_or(full_length);
        Self {
            length: full_length.min(room),
            full_length,
            segment,
            peer,
            local,
        }
    }

    /// One datagram to be sent.
    pub(super) fn of(length: usize, peer: SocketAddress, local: Option<LocalAddress>) -> Self {
        Self {
            length,
            full_length: length,
            segment: length,
            peer: Some(peer),
            local,
        }
    }

    /// How many datagrams it holds.
    pub(super) fn count(&self) -> usize {
        // An empty datagram is one as well.
        self.length.div_ceil(self.segment.max(1)).max(1)
    }

    /// Bytes of each datagram, where there are several.
    pub(super) fn segment(&self) -> Option<u16> {
        if self.count() > 1 {
            u16::try_from(self.segment).ok()
        } else {
            None
        }
    }

    /// Adds a datagram to those that travel as one, if it can; whether it could.
    ///
    /// They go between the same addresses, and all are of one size but the last, which may be
    /// shorter.
    pub(super) fn add(
        &mut self,
        length: usize,
        peer: &SocketAddress,
        local: Option<LocalAddress>,
    ) -> bool {
        let is_open = self.length > 0 && self.length.is_multiple_of(self.segment);
        let fits = (1..=self.segment).contains(&length)
            && self.length + length <= BYTES
            && self.count() < DATAGRAMS;
        let joins = is_open && fits && self.peer.as_ref() == Some(peer) && self.local == local;
        if joins {
            self.length += length;
            self.full_length = self.length;
        }
        joins
    }

    /// Forgets the first datagrams, of `bytes` together.
    pub(super) fn take_off(&mut self, bytes: usize) {
        self.length -= bytes;
        self.full_length = self.length;
    }

    /// The datagrams whose bytes are `payload`.
    pub(super) fn datagrams<'a>(&'a self, payload: &'a [u8]) -> impl Iterator<Item = Datagram<'a>> {
        (0..self.count()).map(move |index| {
            let start = index * self.segment;
            let end = (start + self.segment).min(payload.len());
            Datagram {
                payload: &payload[start.min(end)..end],
                full_length: self.segment.min(self.full_length - start),
                peer: self.peer.as_ref(),
                local: self.local,
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn peer(port: u16) -> SocketAddress {
        SocketAddress::Inet(([127, 0, 0, 1], port).into())
    }

    #[test]
    fn equal_datagrams_for_one_peer_travel_as_one_until_a_shorter_one_closes_them() {
        let mut parcel = Parcel::of(100, peer(1), None);
        assert!(!parcel.add(100, &peer(2), None), "another peer");
        assert!(!parcel.add(101, &peer(1), None), "a longer one");
        assert!(!parcel.add(0, &peer(1), None), "an empty one");
        assert_eq!(parcel.segment(), None);
        assert!(parcel.add(100, &peer(1), None));
        assert!(parcel.add(30, &peer(1), None));
        assert!(!parcel.add(30, &peer(1), None), "after a shorter one");
        assert_eq!(
            (parcel.count(), parcel.segment(), parcel.length),
            (3, Some(100), 230)
        );
    }

    #[test]
    fn a_parcel_has_its_limits() {
        let mut small = Parcel::of(1, peer(1), None);
        while small.add(1, &peer(1), None) {}
        assert_eq!(small.count(), DATAGRAMS);
        let mut large = Parcel::of(2000, peer(1), None);
        while large.add(2000, &peer(1), None) {}
        assert!(large.length <= BYTES && large.length > BYTES - 2000);
        assert!(!Parcel::of(0, peer(1), None).add(0, &peer(1), None));
    }

    #[test]
    fn what_came_as_one_is_told_apart() {
        let arrival = |length, segment| Arrival {
            length,
            peer: None,
            local: None,
            segment,
        };
        for (length, room, segment, expected) in [
            (5, 9, None, vec![(5, 5)]),
            (0, 9, None, vec![(0, 0)]),
            (20, 9, None, vec![(9, 20)]),
            (8, 9, Some(3), vec![(3, 3), (3, 3), (2, 2)]),
            (6, 9, Some(3), vec![(3, 3), (3, 3)]),
        ] {
            let parcel = Parcel::received(arrival(length, segment), room);
            let payload = vec![0; parcel.length];
            let lengths: Vec<_> = parcel
                .datagrams(&payload)
                .map(|datagram| (datagram.payload.len(), datagram.full_length))
                .collect();
            assert_eq!(lengths, expected, "{length} {segment:?}");
        }
    }
}
