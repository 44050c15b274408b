//! The byte that goes past all others: `MSG_OOB`.

use std::os::fd::AsFd;

use super::Stream;
use crate::error::{Limit, Result};
use crate::sys::socket::{Give, Take};
use crate::sys::wait::Stop;
use crate::sys::{self, Errno};

impl Stream {
    /// Reads the byte that the peer sent out of band: `MSG_OOB`, tcp(7). Never waits.
    ///
    /// # Errors
    ///
    /// At [`Stage::Io`](crate::Stage::Io): `EINVAL` when there is none, `EOPNOTSUPP` on transports
    /// without.
    pub fn read_urgent(&mut self) -> Result<u8> {
        let mut byte = [0];
        // Asked for on a socket of datagrams, the kernel would cut one to pieces; below TLS it is
        // nobody's.
        if self.transport.is_datagram() || self.source.secure().is_some() {
            return Err(self.stopped(Stop::System(Errno::OPNOTSUPP), Limit::Read));
        }
        sys::socket::receive(self.source.as_fd(), &mut byte, Take::Urgent)
            .map_err(|errno| self.stopped(Stop::System(errno), Limit::Read))?;
        self.received += 1;
        Ok(byte[0])
    }

    /// Sends one byte out of band: `MSG_OOB`, tcp(7). Waits as a write does.
    ///
    /// # Errors
    ///
    /// As a write; `EOPNOTSUPP` on transports without.
    pub fn write_urgent(&mut self, byte: u8) -> Result<()> {
        self.send(&[byte], Give::Urgent).map(drop)
    }
}
