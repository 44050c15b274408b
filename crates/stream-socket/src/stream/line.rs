//! Lines and records: PHP's `fgets` and `stream_get_line`, without losing what is incomplete.

use memchr::memmem;

use super::Stream;
use crate::error::{Error, Result, Stage};
use crate::sys::wait::Patience;

impl Stream {
    /// Appends a line to `line`, with its line feed: the sense of PHP's `fgets`.
    ///
    /// It ends after the first line feed, after `limit` bytes, or at the end of the stream,
    /// whichever comes first; on a stream of datagrams also at the end of a datagram. False, with
    /// nothing appended, when the stream had ended. `usize::MAX` is no limit.
    ///
    /// One read timeout covers the whole line. A line that is incomplete when it passes, or when
    /// a stream that does not wait runs dry, stays where it was and comes whole with a later call.
    ///
    /// # Errors
    ///
    /// At [`Stage::Io`](crate::Stage::Io), nothing being appended: the read timed out, would
    /// block, or failed; the limit is 0.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::io::Write;
    /// use stream_socket::{Stream, Transport};
    ///
    /// let (mut here, mut there) = Stream::pair(Transport::Unix)?;
    /// there.write_all(b"one\ntwo")?;
    /// drop(there);
    ///
    /// let mut line = Vec::new();
    /// assert!(here.read_line(&mut line, 1024)?);
    /// assert_eq!(line, b"one\n");
    /// assert!(here.read_line(&mut line, 1024)?);
    /// assert_eq!(line, b"one\ntwo");
    /// assert!(!here.read_line(&mut line, 1024)?);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn read_line(&mut self, line: &mut Vec<u8>, limit: usize) -> Result<bool> {
        self.read_piece(line, b"\n", limit, true)
    }

    /// Appends a record to `record`, without the `ending` that closes it: the sense of PHP's
    /// `stream_get_line`.
    ///
    /// Where the first `limit` bytes hold no ending, they are the record; an ending that follows
    /// them then closes an empty one. At the end of the stream what is left is a record. False
    /// when the stream had ended. With an empty ending a record is `limit` bytes, or what is left.
    ///
    /// # Errors
    ///
    /// As [`read_line`](Self::read_line).
    pub fn read_record(
        &mut self,
        record: &mut Vec<u8>,
        ending: &[u8],
        limit: usize,
    ) -> Result<bool> {
        self.read_piece(record, ending, limit, false)
    }

    fn read_piece(
        &mut self,
        piece: &mut Vec<u8>,
        ending: &[u8],
        limit: usize,
        with_ending: bool,
    ) -> Result<bool> {
        if limit == 0 {
            return Err(
                Error::new(Stage::Io, &self, "the limit is 0 bytes").with_action("read from")
            );
        }
        let mut patience = Patience::new(self.blocking, self.read_timeout());
        let mut searched = self.buffer.searched_for(ending);
        loop {
            let bytes = self.buffer.bytes();
            let window = &bytes[..bytes.len().min(limit)];
            if let Some(at) = find(window, ending, searched) {
                let length = if with_ending { at + ending.len() } else { at };
                self.buffer.append_to(piece, length);
                self.buffer.consume(at + ending.len() - length);
                return Ok(true);
            }
            searched = window.len();
            if searched == limit || (searched > 0 && self.is_complete()) {
                self.buffer.append_to(piece, searched);
                return Ok(true);
            }
            if self.at_end {
                return Ok(false);
            }
            self.buffer.note_searched(ending, searched);
            if self.fill(&mut patience)? == 0 && self.transport.is_datagram() && !self.at_end {
                return Ok(true);
            }
        }
    }

    /// Whether what is buffered won't be continued.
    fn is_complete(&self) -> bool {
        self.at_end || self.transport.is_datagram()
    }
}

/// Where `ending` begins in `bytes`, of which the first `searched` have been looked at before.
fn find(bytes: &[u8], ending: &[u8], searched: usize) -> Option<usize> {
    if ending.is_empty() {
        return None;
    }
    // An ending may have begun in what was searched.
    let from = searched.saturating_sub(ending.len() - 1);
    memmem::find(bytes.get(from..)?, ending).map(|at| from + at)
}
