//! What can be seen of a stream without taking it away.

use std::os::fd::AsFd;

use super::{PeerEnd, Stream};
use crate::error::{Limit, Result};
use crate::sys::socket::Take;
use crate::sys::wait::Stop;
use crate::sys::{self, Errno};

impl Stream {
    /// Whether there is nothing more to read, looked at without waiting.
    ///
    /// True once the peer has finished sending and all it sent has been read. An empty datagram
    /// is not the end, and a stream of datagrams ends only by [`shutdown`](Self::shutdown) or,
    /// where a listener accepted it, when the peer was idle for too long or has no name.
    ///
    /// # Errors
    ///
    /// At [`Stage::Io`](crate::Stage::Io) when the connection was reset, which is no orderly end.
    pub fn is_eof(&mut self) -> Result<bool> {
        if !self.buffer.is_empty() || self.at_end {
            return Ok(self.buffer.is_empty());
        }
        if self.transport.is_datagram() {
            return Ok(self.source.peer().is_some_and(PeerEnd::is_at_end));
        }
        if self.source.secure().is_some() {
            return self.is_eof_of_tls();
        }
        match sys::socket::receive(self.source.as_fd(), &mut [0], Take::Peek) {
            Ok(length) => {
                self.at_end = length == 0;
                Ok(self.at_end)
            }
            Err(Errno::AGAIN | Errno::INTR) => Ok(false),
            Err(errno) => Err(self.stopped(Stop::System(errno), Limit::Read)),
        }
    }

    /// Copies received bytes without taking them away: `MSG_PEEK`. Waits as a read does.
    ///
    /// Bytes that wait in the stream's buffer are all that is seen while there are any.
    ///
    /// # Errors
    ///
    /// As a read.
    pub fn peek(&mut self, buffer: &mut [u8]) -> Result<usize> {
        if !self.buffer.is_empty() {
            let bytes = self.buffer.bytes();
            let count = bytes.len().min(buffer.len());
            buffer[..count].copy_from_slice(&bytes[..count]);
            return Ok(count);
        }
        if let Some(result) = self.peek_of_peer(buffer) {
            return result;
        }
        if self.source.secure().is_some() {
            return self.peek_tls(buffer);
        }
        self.receive_with(|socket, _| sys::socket::receive(socket, buffer, Take::Peek))
            .map_err(|stop| self.stopped(stop, Limit::Read))
    }
}
