//! What relays do with a stream beside reading and writing, and the last write.

use std::io::{self, Write};
use std::os::fd::AsFd;
use std::time::Duration;

use super::{Source, Stream};
use crate::error::{Limit, Result, Stage};
use crate::pieces::Pieces;
use crate::sys::pipe::Pipe;
use crate::sys::socket::Give;
use crate::sys::wait::Stop;
use crate::sys::{self, Errno, failed, option};
use crate::url::Transport;

impl Stream {
    /// Whether its bytes are those of its socket, as they come and go there: neither datagrams nor
    /// what is to be decrypted. A short read of such a stream has taken all there was.
    pub(crate) fn is_plain(&self) -> bool {
        self.ours
            && matches!(self.source, Source::Socket(_))
            && matches!(self.transport, Transport::Tcp | Transport::Unix)
    }

    /// Whether it carries TLS, over a socket that it has for itself. A short read of such a stream
    /// has decrypted all there was.
    pub(crate) fn is_secure(&self) -> bool {
        self.ours && matches!(self.source, Source::Secure(_))
    }

    /// Whether nobody else has its descriptor, or may inherit it.
    pub(crate) fn is_unshared(&self) -> bool {
        self.ours && self.in_call.is_none() && !self.transport.is_datagram()
    }

    /// Whether bytes that were received are in its buffer.
    pub(crate) fn has_bytes(&self) -> bool {
        !self.buffer.is_empty()
    }

    /// Whether descriptors came with what was read, over unix, and were closed: not with what went
    /// into a pipe, of which nobody is told.
    pub(crate) fn has_lost_descriptors(&self) -> bool {
        self.rare
            .as_ref()
            .is_some_and(|rare| rare.has_lost_descriptors)
    }

    /// Takes these.
    pub(crate) fn take_buffered(&mut self) -> Vec<u8> {
        let bytes = self.buffer.bytes().to_vec();
        self.buffer.consume(bytes.len());
        bytes
    }

    /// Moves what has come into a pipe, without waiting; zero at the end. The stream is plain and
    /// its buffer empty.
    pub(crate) fn fill_pipe(&mut self, pipe: &mut Pipe) -> io::Result<usize> {
        let length = retried(|| pipe.fill(self.source.as_fd()))
            .map_err(|errno| self.splice_error(errno, Limit::Read))?;
        self.received += length as u64;
        self.at_end |= length == 0;
        Ok(length)
    }

    /// Writes what the end is to follow at once: [`shutdown`](Self::shutdown) of writing, before
    /// the stream is dropped. Over TCP the last bytes then go in one segment with the end, which
    /// saves both sides a good part of a short connection; until then the system may hold them
    /// back (`MSG_MORE`, send(2)). Anywhere else it is a write like any other.
    ///
    /// # Errors
    ///
    /// As a write.
    pub fn write_last(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self.is_plain() {
            true => Ok(self.send(bytes, Give::More)?),
            false => self.write(bytes),
        }
    }

    /// Moves what is in a pipe to the peer, without waiting.
    pub(crate) fn drain_pipe(&mut self, pipe: &mut Pipe) -> io::Result<usize> {
        let length = retried(|| pipe.drain(self.source.as_fd()))
            .map_err(|errno| self.splice_error(errno, Limit::Write))?;
        self.sent += length as u64;
        Ok(length)
    }

    /// Writes the pieces from there on, without waiting. The stream is plain.
    pub(crate) fn write_pieces(&mut self, pieces: &Pieces, from: usize) -> io::Result<usize> {
        let slices = pieces.slices(from);
        let length = retried(|| sys::socket::send_slices(self.source.as_fd(), &slices))
            .map_err(|errno| self.splice_error(errno, Limit::Write))?;
        self.sent += length as u64;
        Ok(length)
    }

    fn splice_error(&mut self, errno: Errno, limit: Limit) -> io::Error {
        if errno == Errno::AGAIN {
            return io::ErrorKind::WouldBlock.into();
        }
        self.stopped(Stop::System(errno), limit).into()
    }

    /// The error that is pending on its socket, such as a reset: no read tells it again.
    pub(crate) fn pending_error(&self) -> Result<()> {
        sys::socket::take_error(self.source.as_fd())
            .map_err(|errno| failed(Stage::Io, self, errno).with_action("read from"))
    }

    /// Lets the end that comes with dropping it be a reset where the transport has that, and one
    /// without close_notify over TLS, so that what the peer has got can't be taken for the whole.
    pub(crate) fn reset_on_close(&mut self) {
        if let Some(secure) = self.source.secure_mut() {
            secure.cut();
        }
        if self.transport.carrier() == Transport::Tcp {
            // Without it the peer reads an ordinary end.
            _ = option::linger(self.source.as_fd(), Duration::ZERO);
        }
    }
}

fn retried(
    mut call: impl FnMut() -> std::result::Result<usize, Errno>,
) -> std::result::Result<usize, Errno> {
    loop {
        match call() {
            Err(Errno::INTR) => {}
            result => return result,
        }
    }
}
