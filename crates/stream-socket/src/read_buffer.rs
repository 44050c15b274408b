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

/// The largest datagram over UDP: what IPv4 and IPv6 carry without jumbograms.
pub(crate) const DATAGRAM: usize = 64 * 1024;

/// The largest buffer that is kept for later: 128 KiB and what TLS adds to them.
const LARGEST_SPARE: usize = 132 * 1024;

thread_local! {
    /// The last emptied buffer of this thread.
    static SPARE: Cell<Option<Box<Content>>> = const { Cell::new(None) };
}

/// A queue of bytes. Without any it is a pointer to nothing, as most connections have it.
#[derive(Default)]
pub(crate) struct ReadBuffer(Option<Box<Content>>);

/// The bytes between `start` and `end` are not yet read.
#[derive(Default)]
struct Content {
    storage: Vec<u8>,
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
        let content = self.0.as_ref();
        content.map_or(&[], |content| &content.storage[content.start..content.end])
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.bytes().is_empty()
    }

    /// All that it has in memory: the bytes, and what was before them.
    pub(crate) fn memory(&self) -> &[u8] {
        let content = self.0.as_ref();
        content.map_or(&[], |content| &content.storage[..content.end])
    }

    /// How many bytes were found not to hold `ending`, before others came.
    pub(crate) fn searched_for(&self, ending: &[u8]) -> usize {
        let content = self.0.as_ref();
        content.map_or(0, |content| content.searched.by(ending))
    }

    /// Notes that the first `count` bytes don't hold `ending`.
    pub(crate) fn note_searched(&mut self, ending: &[u8], count: usize) {
        if let Some(content) = &mut self.0 {
            content.searched = Searched::new(ending, count);
        }
    }

    /// Marks the first `count` bytes as read.
    pub(crate) fn consume(&mut self, count: usize) {
        self.skip(count);
        self.release_if_empty();
    }

    /// The same, and keeps the memory.
    pub(crate) fn skip(&mut self, count: usize) {
        if let Some(content) = &mut self.0 {
            content.searched = Searched::default();
            content.start = (content.start + count).min(content.end);
        }
    }

    /// Moves as many bytes as fit into `target`; how many.
    pub(crate) fn take(&mut self, target: &mut [u8]) -> usize {
        let bytes = self.bytes();
        let count = target.len().min(bytes.len());
        target[..count].copy_from_slice(&bytes[..count]);
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
        self.make_room(CHUNK)
    }

    /// Room for a whole datagram of `length` bytes, or as long as they are over UDP.
    pub(crate) fn datagram_room(&mut self, length: usize) -> &mut [u8] {
        let length = length.max(DATAGRAM);
        &mut self.make_room(length)[..length]
    }

    pub(crate) fn filled(&mut self, count: usize) {
        if let Some(content) = &mut self.0 {
            content.end += count;
        }
    }

    /// Puts bytes behind what is there.
    pub(crate) fn append(&mut self, bytes: &[u8]) {
        if bytes.is_empty() {
            return;
        }
        self.make_room(bytes.len())[..bytes.len()].copy_from_slice(bytes);
        self.filled(bytes.len());
    }

    /// Gives the buffer back if nothing is in it.
    pub(crate) fn release_if_empty(&mut self) {
        if self.is_empty() {
            self.release();
        }
    }

    /// Room for `size` bytes or more, after what is there.
    fn make_room(&mut self, size: usize) -> &mut [u8] {
        match &mut self.0 {
            Some(content) => content.grow_into_spare(size),
            content => *content = SPARE.take(),
        }
        self.0.get_or_insert_default().room(size)
    }

    #[inline]
    fn release(&mut self) {
        if let Some(content) = self.0.take() {
            content.keep();
        }
    }
}

impl Content {
    #[cfg(feature = "tls")]
    fn of(storage: Vec<u8>) -> Self {
        Self {
            end: storage.len(),
            storage,
            ..Self::default()
        }
    }

    /// Keeps an emptied one for the next buffer of this thread.
    fn keep(mut self: Box<Self>) {
        self.searched = Searched::default();
        (self.start, self.end) = (0, 0);
        // One that a long line has made large is not kept.
        if self.storage.len() <= LARGEST_SPARE {
            let spare = SPARE.take();
            let larger = spare.filter(|spare| spare.storage.len() > self.storage.len());
            SPARE.set(Some(larger.unwrap_or(self)));
        }
    }

    /// Moves to the thread's spare buffer if only that has the room: its memory need not be
    /// cleared, as what would be allocated had to be.
    fn grow_into_spare(&mut self, size: usize) {
        let bytes = &self.storage[self.start..self.end];
        let needed = bytes.len() + size;
        if self.storage.len() >= needed {
            return;
        }
        match SPARE.take() {
            Some(mut spare) if spare.storage.len() >= needed => {
                spare.storage[..bytes.len()].copy_from_slice(bytes);
                (self.start, self.end) = (0, bytes.len());
                self.storage = mem::take(&mut spare.storage);
            }
            spare => SPARE.set(spare),
        }
    }

    /// Room for `size` bytes or more, after what is there.
    fn room(&mut self, size: usize) -> &mut [u8] {
        if self.start > 0 && self.storage.len() - self.end < size {
            self.storage.copy_within(self.start..self.end, 0);
            self.end -= self.start;
            self.start = 0;
        }
        if self.storage.len() - self.end < size {
            // Doubled, so that a long line is not copied again for every chunk, and not beyond
            // what can be kept for later where that is enough.
            let (needed, doubled) = (self.end + size, 2 * self.storage.len());
            let larger = if needed <= LARGEST_SPARE {
                needed.max(doubled.min(LARGEST_SPARE))
            } else {
                needed.max(doubled)
            };
            self.storage.reserve_exact(larger - self.storage.len());
            self.storage.resize(larger, 0);
        }
        &mut self.storage[self.end..]
    }
}

impl Searched {
    fn new(ending: &[u8], count: usize) -> Self {
        let mut searched = Self::default();
        if let Some(room) = searched.ending.get_mut(..ending.len()) {
            room.copy_from_slice(ending);
            searched.length = ending.len() as u8;
            searched.count = u32::try_from(count).unwrap_or(0);
        }
        searched
    }

    /// How many are known not to hold `ending`.
    fn by(&self, ending: &[u8]) -> usize {
        let noted = &self.ending[..usize::from(self.length)];
        if noted == ending {
            self.count as usize
        } else {
            0
        }
    }
}

/// What TLS needs besides.
#[cfg(feature = "tls")]
impl ReadBuffer {
    /// The bytes, for TLS to decrypt them in place.
    pub(crate) fn bytes_mut(&mut self) -> &mut [u8] {
        let content = self.0.as_mut();
        content.map_or(&mut [], |content| {
            &mut content.storage[content.start..content.end]
        })
    }

    /// The memory, see [`memory`](Self::memory).
    pub(crate) fn memory_mut(&mut self) -> &mut [u8] {
        let content = self.0.as_mut();
        content.map_or(&mut [], |content| &mut content.storage[..content.end])
    }

    /// Gives the memory away; the bytes move to some of their own.
    pub(crate) fn part_with_memory(&mut self) -> Self {
        let mut left = Self::default();
        if !self.is_empty() {
            let storage = self.bytes().to_vec();
            left.0 = Some(Box::new(Content::of(storage)));
        }
        mem::replace(self, left)
    }

    /// Room for `size` bytes or more.
    pub(crate) fn room_for(&mut self, size: usize) -> &mut [u8] {
        self.make_room(size)
    }

    /// Room for `most` bytes, or for as many, but `least`, as leave the buffer one that can be
    /// kept for later.
    pub(crate) fn room_between(&mut self, least: usize, most: usize) -> &mut [u8] {
        let kept = LARGEST_SPARE.saturating_sub(self.bytes().len());
        let size = most.min(kept.max(least));
        &mut self.make_room(size)[..size]
    }

    /// What is left is kept for longer: in no more memory than it needs.
    pub(crate) fn settle(&mut self) {
        self.release_if_empty();
        let bytes = self.bytes();
        if self
            .0
            .as_ref()
            .is_some_and(|it| it.storage.len() > 2 * bytes.len())
        {
            let storage = bytes.to_vec();
            self.release();
            self.0 = Some(Box::new(Content::of(storage)));
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
        let memory = first.bytes().as_ptr();
        first.consume(3);
        assert!(first.0.is_none());
        let mut second = ReadBuffer::default();
        fill(&mut second, b"d");
        assert_eq!(second.bytes().as_ptr(), memory);
        assert_eq!(second.bytes(), b"d");
    }

    #[test]
    fn what_has_to_grow_moves_to_the_spare_buffer_if_that_has_the_room() {
        for (size, moves) in [(DATAGRAM - 3, true), (DATAGRAM, false)] {
            SPARE.set(None);
            let mut buffer = ReadBuffer::default();
            fill(&mut buffer, b"abc");
            let mut other = ReadBuffer::default();
            let spare = other.datagram_room(0).as_ptr();
            other.release_if_empty();
            buffer.make_room(size);
            assert_eq!(buffer.bytes(), b"abc");
            assert_eq!(buffer.bytes().as_ptr() == spare, moves, "{size}");
        }
    }

    #[test]
    #[cfg(feature = "tls")]
    fn what_tls_receives_fits_a_buffer_that_is_kept() {
        const LEAST: usize = 17 * 1024;
        const MOST: usize = 124 * 1024;
        for (held, room) in [
            (0, MOST),
            (16 * 1024, 116 * 1024),
            // More than a record, as the parts of a long message are.
            (120 * 1024, LEAST),
        ] {
            SPARE.set(None);
            let mut buffer = ReadBuffer::default();
            buffer.append(&vec![1; held]);
            assert_eq!(buffer.room_between(LEAST, MOST).len(), room, "{held}");
            let storage = buffer.0.as_ref().map_or(0, |it| it.storage.len());
            assert!(storage <= LARGEST_SPARE || held > 115 * 1024, "{storage}");
        }
    }

    #[test]
    #[cfg(feature = "tls")]
    fn memory_goes_away_with_what_was_skipped_and_without_what_is_left() {
        for skipped in [0, 3, 6] {
            let mut buffer = ReadBuffer::default();
            fill(&mut buffer, b"abcdef");
            buffer.skip(skipped);
            let given = buffer.part_with_memory();
            assert_eq!(given.memory(), b"abcdef");
            assert_eq!(buffer.bytes(), &b"abcdef"[skipped..]);
            assert_eq!(buffer.0.is_none(), skipped == 6);
        }
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
