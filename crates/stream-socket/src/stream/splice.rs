//! What relays do with a stream beside reading and writing.

use std::io;
use std::os::fd::AsFd;
use std::time::Duration;

use super::{Source, Stream};
use crate::error::Limit;
use crate::sys::pipe::Pipe;
use crate::sys::wait::Stop;
use crate::sys::{Errno, option};
use crate::url::Transport;

impl Stream {
    /// Whether its bytes are those of its socket, as they come and go there: neither datagrams nor
    /// what is to be decrypted. A short read of such a stream has taken all there was.
    pub(crate) fn is_plain(&self) -> bool {
        self.ours
            && matches!(self.source, Source::Socket(_))
            && matches!(self.transport, Transport::Tcp | Transport::Unix)
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

    /// Moves what is in a pipe to the peer, without waiting.
    pub(crate) fn drain_pipe(&mut self, pipe: &mut Pipe) -> io::Result<usize> {
        let length = retried(|| pipe.drain(self.source.as_fd()))
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

fn retried(mut call: impl FnMut() -> Result<usize, Errno>) -> Result<usize, Errno> {
    loop {
        match call() {
            Err(Errno::INTR) => {}
            result => return result,
        }
    }
}
