//! The time after the answer, in which a client may still be sending.

use std::io::{self, Read};
use std::time::{Duration, Instant};

use stream_socket::Stream;

/// How long, and for how many bytes, a client that has its answer may go on sending.
///
/// To close while received bytes are unread resets the connection, and the reset may overtake the
/// answer (RFC 1122 section 4.2.2.13, RFC 2525 section 2.17). A client on the other side of the
/// world needs a few tenths of a second to close; more than a mebibyte is no question.
const LONGEST: Duration = Duration::from_secs(2);
const MOST: usize = 1 << 20;

/// All is sent, and what the client still sends is thrown away.
pub(super) struct Lingering {
    /// When it is enough.
    pub(super) until: Instant,
    left: usize,
}

impl Lingering {
    pub(super) fn since(now: Instant) -> Self {
        Self {
            until: now + LONGEST,
            left: MOST,
        }
    }

    /// Throws away what one read brings; whether that was the end, or enough.
    pub(super) fn throw_away(
        &mut self,
        stream: &mut Stream,
        buffer: &mut [u8],
    ) -> io::Result<bool> {
        let count = stream.read(buffer)?;
        self.left = self.left.saturating_sub(count);
        Ok(count == 0 || self.left == 0)
    }
}
