//! Bytes in several places of one buffer, as TLS leaves them where it has decrypted them: between
//! what encloses them.
//!
//! Floor 0.

use std::io::IoSlice;
use std::ops::Range;

use crate::read_buffer::ReadBuffer;

/// As many as one system call sends.
const MOST: usize = 16;

/// What is shorter moves next to what is before it: that costs less than a piece of its own.
#[cfg(feature = "tls")]
const SHORT: usize = 4 * 1024;

/// A queue of bytes that is taken as a whole.
#[derive(Debug, Default)]
pub(crate) struct Pieces {
    memory: ReadBuffer,
    places: [Range<usize>; MOST],
    count: usize,
    length: usize,
}

impl Pieces {
    /// How many bytes there are.
    pub(crate) fn len(&self) -> usize {
        self.length
    }

    /// The bytes from there on, to be written.
    pub(crate) fn slices(&self, from: usize) -> [IoSlice<'_>; MOST] {
        let mut slices = [IoSlice::new(&[]); MOST];
        for (slice, piece) in slices.iter_mut().zip(self.behind(from)) {
            *slice = IoSlice::new(piece);
        }
        slices
    }

    /// The bytes from there on, in one place.
    pub(crate) fn rest(&self, from: usize) -> Box<[u8]> {
        self.behind(from).collect::<Vec<_>>().concat().into()
    }

    fn behind(&self, mut from: usize) -> impl Iterator<Item = &[u8]> {
        let memory = self.memory.memory();
        self.places[..self.count].iter().filter_map(move |place| {
            let piece = &memory[place.clone()];
            let skipped = from.min(piece.len());
            from -= skipped;
            Some(&piece[skipped..]).filter(|piece| !piece.is_empty())
        })
    }
}

#[cfg(feature = "tls")]
impl Pieces {
    /// One more piece, which is at that place of the memory.
    pub(crate) fn add(&mut self, memory: &mut [u8], place: Range<usize>) {
        self.length += place.len();
        let is_short = place.len() < SHORT || self.count == MOST;
        match self.places[..self.count].last_mut() {
            Some(last) if is_short => {
                memory.copy_within(place.clone(), last.end);
                last.end += place.len();
            }
            _ => {
                self.places[self.count] = place;
                self.count += 1;
            }
        }
    }

    /// The memory that they are in.
    pub(crate) fn own(&mut self, memory: ReadBuffer) {
        self.memory = memory;
    }
}

/// What waits in a buffer, as one piece.
impl From<ReadBuffer> for Pieces {
    fn from(memory: ReadBuffer) -> Self {
        let length = memory.bytes().len();
        let end = memory.memory().len();
        let mut pieces = Self {
            memory,
            length,
            ..Self::default()
        };
        (pieces.places[0], pieces.count) = (end - length..end, 1);
        pieces
    }
}

#[cfg(all(test, feature = "tls"))]
mod tests {
    use super::*;

    /// Texts of these lengths, each behind as much as encloses a record.
    #[test]
    fn they_come_in_their_order_from_any_place_on() {
        for lengths in [
            &[][..],
            &[1],
            &[16_384; 8],
            &[3, 5_000, 4, 1, 16_384, 2],
            &[4_096; 20],
            &[1; 5_000],
        ] {
            let (mut memory, mut expected) = (Vec::new(), Vec::new());
            let mut places = Vec::new();
            for (number, &length) in lengths.iter().enumerate() {
                memory.extend_from_slice(b"-----");
                let text: Vec<u8> = (0..length).map(|at| (at * 7 + number) as u8).collect();
                places.push(memory.len()..memory.len() + length);
                memory.extend_from_slice(&text);
                memory.extend_from_slice(b"-----------------");
                expected.extend_from_slice(&text);
            }
            let mut pieces = Pieces::default();
            for place in places {
                pieces.add(&mut memory, place);
            }
            let mut buffer = ReadBuffer::default();
            buffer.append(&memory);
            pieces.own(buffer);
            assert_eq!(pieces.len(), expected.len());
            for from in [0, 1, 3, 5_003, 16_384, 40_000, expected.len()] {
                let expected = expected.get(from..).unwrap_or_default();
                assert_eq!(*pieces.rest(from), *expected, "{lengths:?} from {from}");
                let slices = pieces.slices(from);
                let written: Vec<u8> = slices.iter().flat_map(|slice| slice.to_vec()).collect();
                assert_eq!(written, expected, "{lengths:?} from {from}");
            }
        }
    }

    #[test]
    fn what_waits_in_a_buffer_is_one() {
        let mut buffer = ReadBuffer::default();
        buffer.append(b"abcdef");
        buffer.consume(2);
        assert_eq!(*Pieces::from(buffer).rest(1), *b"def");
    }
}
