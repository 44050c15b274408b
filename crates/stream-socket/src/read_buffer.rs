//! Bytes that were received and not yet read, or written and not yet sent.
//!
//! Floor 0. A connection holds a buffer only while there are bytes in it. An emptied one is kept
//! for the next connection of the same thread, so that reading line by line allocates nothing,
//! and ten thousand idle connections hold nothing.

use std::cell::Cell;
use std::fmt;
use std::mem;

/// What one receive of a byte stream may bring: PHP's chunk size.
const CHUNK: usize = 8 * 1024;

/// The largest datagram, over UDP or unix: what IPv4 and IPv6 carry without jumbograms.
pub(crate) const DATAGRAM: usize = 64 * 1024;

/// The largest buffer that is kept for later: 64 KiB and what TLS adds to them.
const LARGEST_SPARE: usize = 68 * 1024;

thread_local! {
    /// The last emptied buffer of this thread.
    static SPARE: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

/// A queue of bytes; those between `start` and `end` are not yet read.
#[derive(Default)]
pub(crate) struct ReadBuffer {
    storage: Box<[u8]>,
    start: usize,
    end: usize,
    searched: Searched,
}

/// How many of the bytes are known not to begin with an ending: a line that trickles in is not
/// searched anew with every byte. Of endings longer than this holds nothing is noted.
#[derive(Clone, Copy, Debug, Default)]
struct Searched {
    count: u32,
    ending: [u8; 3],
    length: u8,
}

impl ReadBuffer {
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.storage[self.start..self.end]
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.start == self.end
    }

    /// How many bytes were found not to hold `ending`, before others came.
    pub(crate) fn searched_for(&self, ending: &[u8]) -> usize {
        let searched = &self.searched;
        let noted = &searched.ending[..usize::from(searched.length)];
        if noted == ending {
            searched.count as usize
        } else {
            0
        }
    }

    /// Notes that the first `count` bytes don't hold `ending`.
    pub(crate) fn note_searched(&mut self, ending: &[u8], count: usize) {
        let mut searched = Searched::default();
        if let Some(room) = searched.ending.get_mut(..ending.len()) {
            room.copy_from_slice(ending);
            searched.length = ending.len() as u8;
            searched.count = u32::try_from(count).unwrap_or(0);
        }
        self.searched = searched;
    }

    /// Marks the first `count` bytes as read.
    pub(crate) fn consume(&mut self, count: usize) {
        self.searched = Searched::default();
        self.start = (self.start + count).min(self.end);
        if self.is_empty() {
            self.release();
        }
    }

    /// Moves as many bytes as fit into `target`; how many.
    pub(crate) fn take(&mut self, target: &mut [u8]) -> usize {
        let count = target.len().min(self.end - self.start);
        target[..count].copy_from_slice(&self.bytes()[..count]);
        self.consume(count);
        count
    }

    /// Moves the first `count` bytes to the end of `target`.
    pub(crate) fn append_to(&mut self, target: &mut Vec<u8>, count: usize) {
        target.extend_from_slice(&self.bytes()[..count]);
        self.consume(count);
    }

    /// Room for a receive, after what is there; tell [`filled`](Self::filled) what came.
    pub(crate) fn room(&mut self) -> &mut [u8] {
        self.make_room(CHUNK);
        &mut self.storage[self.end..]
    }

    /// Room for a whole datagram.
    pub(crate) fn datagram_room(&mut self) -> &mut [u8] {
        self.make_room(DATAGRAM);
        &mut self.storage[self.end..self.end + DATAGRAM]
    }

    pub(crate) fn filled(&mut self, count: usize) {
        self.end += count;
    }

    /// Puts bytes behind what is there.
    pub(crate) fn append(&mut self, bytes: &[u8]) {
        if bytes.is_empty() {
            return;
        }
        self.make_room(bytes.len());
        self.storage[self.end..self.end + bytes.len()].copy_from_slice(bytes);
        self.end += bytes.len();
    }

    /// Gives the buffer back if nothing is in it.
    pub(crate) fn release_if_empty(&mut self) {
        if self.is_empty() {
            self.release();
        }
    }

    fn make_room(&mut self, size: usize) {
        if self.storage.is_empty() {
            self.storage = SPARE.take().into();
        }
        if self.start > 0 && self.storage.len() - self.end < size {
            self.storage.copy_within(self.start..self.end, 0);
            self.end -= self.start;
            self.start = 0;
        }
        if self.storage.len() - self.end < size {
            // Doubled at least, so that a long line is not copied again for every chunk.
            let larger = (self.end + size).max(2 * self.storage.len());
            let mut storage = mem::take(&mut self.storage).into_vec();
            storage.reserve_exact(larger - storage.len());
            storage.resize(larger, 0);
            self.storage = storage.into();
        }
    }

    fn release(&mut self) {
        (self.start, self.end) = (0, 0);
        let storage = mem::take(&mut self.storage).into_vec();
        // One that a long line has made large is not kept.
        if !storage.is_empty() && storage.len() <= LARGEST_SPARE {
            let spare = SPARE.take();
            SPARE.set(if spare.len() > storage.len() {
                spare
            } else {
                storage
            });
        }
    }
}

/// What TLS needs besides.
#[cfg(feature = "tls")]
impl ReadBuffer {
    /// The bytes, for TLS to decrypt them in place.
    pub(crate) fn bytes_mut(&mut self) -> &mut [u8] {
        &mut self.storage[self.start..self.end]
    }

    /// Room for `size` bytes or more.
    pub(crate) fn room_for(&mut self, size: usize) -> &mut [u8] {
        self.make_room(size);
        &mut self.storage[self.end..]
    }

    /// What is left is kept for longer: in no more memory than it needs.
    pub(crate) fn settle(&mut self) {
        let length = self.end - self.start;
        if length == 0 {
            self.release();
        } else if self.storage.len() > 2 * length {
            let kept = self.bytes().to_vec();
            self.release();
            (self.storage, self.end) = (kept.into(), length);
        }
    }
}

/// Only how many bytes wait: what they are is the connection's, and the rest of the memory may
/// hold another's.
impl fmt::Debug for ReadBuffer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes", self.bytes().len())
    }
}

impl Drop for ReadBuffer {
    fn drop(&mut self) {
        self.release();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fill(buffer: &mut ReadBuffer, bytes: &[u8]) {
        buffer.room()[..bytes.len()].copy_from_slice(bytes);
        buffer.filled(bytes.len());
    }

    #[test]
    fn bytes_come_out_in_the_order_they_went_in() {
        let mut buffer = ReadBuffer::default();
        let (mut put, mut got) = (Vec::new(), Vec::new());
        for round in 0_u16..2000 {
            let chunk: Vec<u8> = (0..round % 61).map(|byte| (byte ^ round) as u8).collect();
            fill(&mut buffer, &chunk);
            put.extend_from_slice(&chunk);
            let count = buffer.bytes().len().min(usize::from(round % 47));
            buffer.append_to(&mut got, count);
        }
        let left = buffer.bytes().len();
        buffer.append_to(&mut got, left);
        assert_eq!(got, put);
    }

    #[test]
    fn an_empty_buffer_holds_no_memory_and_the_next_one_reuses_it() {
        let mut first = ReadBuffer::default();
        fill(&mut first, b"abc");
        let memory = first.storage.as_ptr();
        first.consume(3);
        assert!(first.storage.is_empty());
        let mut second = ReadBuffer::default();
        fill(&mut second, b"d");
        assert_eq!(second.storage.as_ptr(), memory);
        assert_eq!(second.bytes(), b"d");
    }

    #[test]
    fn its_bytes_are_not_shown() {
        let mut buffer = ReadBuffer::default();
        fill(&mut buffer, b"abc");
        assert_eq!(format!("{buffer:?}"), "3 bytes");
    }

    #[test]
    fn what_was_searched_is_known_until_something_is_read() {
        let mut buffer = ReadBuffer::default();
        fill(&mut buffer, b"abcdef");
        buffer.note_searched(b"||", 6);
        fill(&mut buffer, b"gh");
        for (ending, searched) in [(&b"||"[..], 6), (b"|", 0), (b"", 0), (b"||\0", 0)] {
            assert_eq!(buffer.searched_for(ending), searched, "{ending:?}");
        }
        buffer.consume(1);
        assert_eq!(buffer.searched_for(b"||"), 0);
        buffer.note_searched(b"12345678", 7);
        assert_eq!(buffer.searched_for(b"12345678"), 0);
    }
}
