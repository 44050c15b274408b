//! The name that a socket is to be connected or bound to, looked up while its Fiber is parked.

use std::mem;
use std::os::fd::{AsFd, AsRawFd, RawFd};

use super::{Object, Socket};
use crate::failure::Failure;
use crate::target::{self, Found};

impl Socket {
    /// Begins; what to wait on, or `None` where PHP's own resolver is to be asked.
    pub(crate) fn look_up(&mut self, host: &[u8]) -> Option<RawFd> {
        let lookup = target::look_up_beside(host)?;
        let descriptor = lookup.as_fd().as_raw_fd();
        self.object = Object::Lookup(Box::new(lookup));
        Some(descriptor)
    }

    /// Ends it, over or not.
    pub(crate) fn looked_up(&mut self) -> Result<Found, Failure> {
        let Object::Lookup(mut lookup) = mem::replace(&mut self.object, Object::Empty) else {
            return Ok(Found::Unasked);
        };
        let found = lookup.advance().transpose();
        found.map_or(Ok(Found::Unasked), Found::of)
    }
}
