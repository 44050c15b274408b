//! RFC 864: lines of characters, without end.

use std::io;
use std::sync::LazyLock;

use stream_socket::{Interest, Stream};

use super::{Next, attempt};

/// The printable characters of ASCII, whose ring every line is cut from.
const RING: std::ops::RangeInclusive<u8> = b' '..=b'~';
const RING_BYTES: usize = 95;
/// 72 characters, carriage return and line feed.
const LINE_BYTES: usize = 74;
/// After as many lines as there are characters it begins again.
const CYCLE_BYTES: usize = RING_BYTES * LINE_BYTES;
/// So many cycles are written at once: about 56 KiB.
const CYCLES: usize = 8;
/// The most characters of a datagram, by the RFC.
const DATAGRAM_BYTES: usize = 512;

static TEXT: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let mut text = Vec::with_capacity(CYCLES * CYCLE_BYTES);
    for first in (0..RING_BYTES).cycle().take(CYCLES * RING_BYTES) {
        text.extend(RING.cycle().skip(first).take(LINE_BYTES - 2));
        text.extend_from_slice(b"\r\n");
    }
    text
});

/// Sends until the client closes; what the client sends is thrown away, and its end is no reason
/// to stop: it may want to listen only.
#[derive(Debug, Default)]
pub(crate) struct Chargen {
    /// How far into the cycle it is.
    position: usize,
    has_input_ended: bool,
    is_draining: bool,
}

impl Chargen {
    pub(super) fn ready(&mut self, stream: &mut Stream, buffer: &mut [u8]) -> io::Result<Next> {
        let mut has_more = false;
        if !self.has_input_ended {
            let read = attempt::read(stream, buffer)?;
            (self.has_input_ended, has_more) =
                (read == Some(0), read.is_some_and(|count| count > 0));
        }
        let text = if self.is_draining {
            &TEXT[self.position..self.position.next_multiple_of(LINE_BYTES)]
        } else {
            &TEXT[self.position..]
        };
        let count = attempt::write(stream, text)?;
        if self.is_draining && count == text.len() {
            return Ok(Next::Finish);
        }
        self.position = (self.position + count) % CYCLE_BYTES;
        if has_more || count == text.len() {
            return Ok(Next::Again);
        }
        Ok(Next::Wait(if self.has_input_ended {
            Interest::WRITE
        } else {
            Interest::WRITE.and(Interest::READ)
        }))
    }

    /// It ends with the line that it has begun.
    pub(super) fn drain(&mut self) {
        self.is_draining = true;
    }
}

/// What a datagram is answered: as much as was asked, but a line at least where `limit` allows.
pub(super) fn datagram(asked: usize, limit: usize) -> &'static [u8] {
    &TEXT[..asked.max(LINE_BYTES).min(limit).min(DATAGRAM_BYTES)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lines_are_those_of_the_rfc() {
        let text = str::from_utf8(&TEXT).unwrap();
        let lines: Vec<_> = text.split_terminator("\r\n").collect();
        assert_eq!(lines.len(), CYCLES * RING_BYTES);
        assert!(lines.iter().all(|line| line.len() == 72));
        assert!(lines[0].starts_with(" !\"#$") && lines[0].ends_with("efg"));
        assert!(lines[1].starts_with("!\"#$%") && lines[1].ends_with("fgh"));
        assert!(lines[94].starts_with("~ !\"#"));
        assert_eq!(lines[95], lines[0]);
    }

    #[test]
    fn a_datagram_is_a_line_or_as_much_as_was_asked_within_the_limits() {
        for (asked, limit, expected) in [
            (0, 56, 56),
            (0, 96, 74),
            (10, 86, 74),
            (200, 656, 200),
            (9000, 27_056, 512),
        ] {
            assert_eq!(datagram(asked, limit).len(), expected, "{asked} {limit}");
        }
    }
}
