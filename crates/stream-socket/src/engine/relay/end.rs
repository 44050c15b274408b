//! One end of a relay: a stream, and what is known of its readiness.

use std::io::{self, ErrorKind, Write};
use std::net::Shutdown;

use super::flow::LARGE;
use crate::engine::task::Wake;
use crate::error::{Error, Stage};
use crate::pieces::Pieces;
use crate::select::Interest;
use crate::stream::Stream;
use crate::sys::Errno;
use crate::sys::pipe::Pipe;
use crate::url::Transport;

/// A stream that is relayed.
#[derive(Debug)]
pub(super) struct End {
    pub(super) stream: Stream,
    pub(super) ready: Ready,
    /// Whether a write had to wait, be it for the connection: from then on it is watched for both.
    was_full: bool,
    /// Whether a write was told that the peer is gone, so that no read will be.
    is_gone: bool,
}

/// What it is ready for: it is watched edge-triggered, and told of that once.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Ready {
    /// Whether a read may bring something.
    pub(super) readable: bool,
    /// Whether a write may be taken.
    pub(super) writable: bool,
    /// Whether the peer has finished sending or is gone: a short read is not the last one.
    ended: bool,
}

impl Ready {
    /// Takes note of why the task was woken.
    pub(super) fn note(&mut self, wake: Wake) {
        if let Wake::Ready {
            readable,
            writable,
            ended,
        }
        | Wake::Second {
            readable,
            writable,
            ended,
        } = wake
        {
            self.readable |= readable;
            self.writable |= writable;
            self.ended |= ended;
        }
    }
}

impl End {
    pub(super) fn new(mut stream: Stream) -> Self {
        stream.set_blocking(false);
        // Something may have been received already that no descriptor tells of.
        let readable = !stream.is_plain() || stream.has_buffered();
        let ready = Ready {
            readable,
            writable: true,
            ended: false,
        };
        Self {
            stream,
            ready,
            was_full: false,
            is_gone: false,
        }
    }

    /// One that has been watched for both before it was connected, and what was told of it.
    pub(super) fn watched(stream: Stream, before: Ready) -> Self {
        let mut end = Self::new(stream);
        end.ready.readable |= before.readable;
        end.ready.ended = before.ended;
        end.was_full = true;
        end
    }

    pub(super) fn interest(&self) -> Interest {
        let writes = if self.stream.transport().is_datagram() {
            !self.ready.writable
        } else {
            self.was_full || !self.stream.is_plain()
        };
        if writes {
            Interest::READ.and(Interest::WRITE)
        } else {
            Interest::READ
        }
    }

    /// Whether it is worth while to look, before there is anybody to pass it on to, at what it has
    /// sent: a read tells how much there is, and datagrams would be lost.
    pub(super) fn is_heard_before(&self) -> bool {
        self.stream.is_plain() || self.stream.is_secure()
    }

    /// Whether the end may follow what a read brought, `length` bytes where there was room for
    /// `room`.
    pub(super) fn may_be_the_last(&self, length: usize, room: usize) -> bool {
        length < room && self.ready.ended && self.stream.is_plain()
    }

    /// Whether a datagram was longer than the buffer, and goes where it has to stay one.
    pub(super) fn has_a_rest_for(&self, to: &End) -> bool {
        let are_datagrams =
            self.stream.transport().is_datagram() && to.stream.transport().is_datagram();
        are_datagrams && self.stream.has_bytes()
    }

    /// A read brought `length` bytes where there was room for `room`.
    pub(super) fn has_read(&mut self, length: usize, room: usize) {
        // What is large takes so long to decrypt that more has come meanwhile.
        let had_all = self.stream.is_plain() || (length < LARGE && self.stream.is_secure());
        if length < room && !self.ready.ended && had_all && !self.stream.has_buffered() {
            self.ready.readable = false;
        }
    }

    /// Whether nothing more comes after a read of nothing: an empty datagram is no end.
    ///
    /// # Errors
    ///
    /// When the end is that of a broken connection.
    pub(super) fn is_at_end(&mut self) -> io::Result<bool> {
        if self.stream.transport().is_datagram() {
            return Ok(self.stream.is_eof().unwrap_or(true));
        }
        if self.is_gone {
            return Err(ErrorKind::ConnectionReset.into());
        }
        self.refuse_descriptors()?;
        Ok(true)
    }

    /// A relay passes on bytes alone.
    ///
    /// # Errors
    ///
    /// When descriptors came with them: who gets the bytes would wait for those.
    pub(super) fn refuse_descriptors(&self) -> io::Result<()> {
        if !self.stream.has_lost_descriptors() {
            return Ok(());
        }
        let reason = "it sends descriptors, and only bytes can be passed on";
        Err(Error::new(Stage::Io, &self.stream, reason)
            .with_action("relay")
            .into())
    }

    /// While what it has sent finds no room it is not read from, so no read tells that it was idle
    /// for too long.
    ///
    /// # Errors
    ///
    /// When it was.
    pub(super) fn may_wait(&self) -> io::Result<()> {
        Ok(self.stream.refuse_if_idled_out("wait for")?)
    }

    /// Whether a read failed for having nothing to read now.
    pub(super) fn would_block(&mut self, error: &io::Error) -> bool {
        let would_block = error.kind() == ErrorKind::WouldBlock;
        self.ready.readable &= !would_block;
        would_block
    }

    /// Writes without waiting; `ends` says that the end follows at once.
    pub(super) fn write(&mut self, bytes: &[u8], ends: bool) -> io::Result<usize> {
        let mut written = match ends {
            true => self.stream.write_last(bytes),
            false => self.stream.write(bytes),
        };
        if written.as_ref().is_err_and(|error| self.is_passing(error)) {
            // It may have been told of the last datagram, and this one has not been tried.
            written = self.stream.write(bytes);
        }
        self.looked_at(written)
    }

    /// Whether it can [take](Self::take) more than can be sent.
    pub(super) fn takes_all(&self) -> bool {
        self.stream.is_secure() && !self.stream.is_handshaking()
    }

    /// Has TLS encrypt all of these, to be [sent](Self::send_taken).
    pub(super) fn take(&mut self, bytes: &[u8]) -> io::Result<()> {
        let taken = self.stream.take_whole(bytes);
        self.looked_at(taken)
    }

    /// Sends what TLS has encrypted; it would block as long as some of that is left.
    pub(super) fn send_taken(&mut self) -> io::Result<()> {
        let sent = self.stream.flush();
        self.looked_at(sent)
    }

    /// Writes the pieces from there on.
    pub(super) fn write_pieces(&mut self, pieces: &Pieces, from: usize) -> io::Result<usize> {
        let written = self.stream.write_pieces(pieces, from);
        self.looked_at(written)
    }

    /// Moves what a pipe holds.
    pub(super) fn drain(&mut self, pipe: &mut Pipe) -> io::Result<usize> {
        let drained = self.stream.drain_pipe(pipe);
        self.looked_at(drained)
    }

    /// The system tells once that a connection is broken, and then reads an end. After EPIPE that
    /// end is a true one: what the peer had to say came before.
    fn looked_at<T>(&mut self, result: io::Result<T>) -> io::Result<T> {
        match &result {
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                (self.ready.writable, self.was_full) = (false, true);
            }
            Err(error) => self.is_gone |= error.kind() != ErrorKind::BrokenPipe,
            Ok(_) => {}
        }
        result
    }

    /// Tells the peer that nothing more comes; false where there is no room for that, as there may
    /// not be over TLS. A peer that is gone already needs not be told.
    pub(super) fn is_told_the_end(&mut self) -> bool {
        match self.stream.shutdown(Shutdown::Write) {
            Err(error) if error.io_kind() == ErrorKind::WouldBlock => {
                (self.ready.writable, self.was_full) = (false, true);
                false
            }
            _ => true,
        }
    }

    /// Sends what TLS holds of what it has taken, as far as there is room.
    #[inline]
    pub(super) fn flush(&mut self) {
        // What fails here, the next write or read tells.
        if !self.stream.is_plain() && self.stream.flush().is_err() {
            self.was_full = true;
        }
    }

    /// Whether the error is of one datagram over udp, after which others go on: nobody listens on
    /// the port now, the way is not open, it was too large.
    pub(super) fn is_passing(&self, error: &io::Error) -> bool {
        use ErrorKind::*;
        let kind = error.kind();
        let is_of_one = matches!(
            kind,
            ConnectionRefused
                | HostUnreachable
                | NetworkUnreachable
                | NetworkDown
                | PermissionDenied
        );
        let errno = Error::in_io(error).and_then(Error::errno);
        self.stream.transport() == Transport::Udp && (is_of_one || errno.is_some_and(is_too_much))
    }
}

/// A datagram that is too large, or one more than the system has memory for.
fn is_too_much(errno: i32) -> bool {
    [Errno::MSGSIZE, Errno::NOBUFS]
        .iter()
        .any(|known| known.raw_os_error() == errno)
}
