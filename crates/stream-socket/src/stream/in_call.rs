//! Waiting inside recv(2): one system call in place of a look, a poll and another look.
//!
//! Only on a descriptor that is blocking and ours, which is what
//! [`inheritable`](crate::SocketOptions::inheritable) makes: the time is bounded by `SO_RCVTIMEO`,
//! which belongs to the socket and so to everybody who has it. A forked child never sets it, or
//! its parent would wait by the child's time; and it is taken back before a program inherits the
//! socket. What ends such a wait early (a signal, somebody who
//! made the descriptor non-blocking) leaves the rest of it to poll(2).

use std::num::NonZeroU16;
use std::os::fd::AsFd;
use std::time::Duration;

use super::Stream;
use crate::error::{Error, Stage};
use crate::sys::socket::Take;
use crate::sys::wait::{Events, Patience, Stop};
use crate::sys::{self, Errno, failed, fork, option};
use crate::url::Transport;

/// That reads may wait in recv(2), in the process that made the socket: its
/// [`generation`](fork::generation), counted from one, in the two bytes that a stream has left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct InCall(NonZeroU16);

impl InCall {
    /// In this process.
    pub(super) fn here() -> Self {
        let count = u16::try_from(fork::generation()).unwrap_or(u16::MAX);
        Self(NonZeroU16::MIN.saturating_add(count))
    }

    /// A child has another number, but for those that are beyond counting.
    fn is_here(self) -> bool {
        self != Self(NonZeroU16::MAX) && self == Self::here()
    }
}

impl Stream {
    /// To be called before somebody else uses the descriptor of an
    /// [`inheritable`](crate::SocketOptions::inheritable) stream: takes back the `SO_RCVTIMEO`
    /// that reads may have set on it, which would end the other's waits. Reads poll from then on.
    ///
    /// # Errors
    ///
    /// At [`Stage::Io`] when the system refuses.
    pub fn share_descriptor(&mut self) -> Result<(), Error> {
        let is_here = self.in_call.is_some_and(InCall::is_here);
        let in_force = self.forget_in_call();
        // In a forked child it is the parent's, which goes on relying on it.
        if in_force.is_none() || !is_here {
            return Ok(());
        }
        option::receive_timeout(self.source.as_fd(), None)
            .map_err(|errno| failed(Stage::Io, self, errno).with_action("share"))
    }

    /// Receives past the buffer, from a socket of bytes.
    pub(super) fn receive_bytes(&mut self, target: &mut [u8]) -> std::result::Result<usize, Stop> {
        self.timed_out = None;
        let timeout = self.read_timeout();
        let mut patience = Patience::new(self.blocking, timeout);
        if self.blocking
            && let Some(result) = self.receive_in_call(target, timeout, &mut patience)
        {
            return result;
        }
        let socket = self.source.as_fd();
        // Who does not wait here may wait for an edge.
        let goes_on = self.transport == Transport::Unix && !self.blocking;
        let mut has_lost = false;
        let received = patience.retry(socket, Events::READ, || match goes_on {
            true => sys::socket::receive_unix(socket, target, &mut has_lost),
            false => sys::socket::receive(socket, target, Take::Consume),
        });
        if has_lost {
            self.rare_mut().has_lost_descriptors = true;
        }
        received
    }

    /// Receives, waiting for it; `None` where the wait is left to others.
    fn receive_in_call(
        &mut self,
        target: &mut [u8],
        timeout: Option<Duration>,
        patience: &mut Patience,
    ) -> Option<std::result::Result<usize, Stop>> {
        if timeout == Some(Duration::ZERO) || !self.in_call?.is_here() {
            return None;
        }
        let socket = self.source.as_fd();
        if self.in_force() != Some(timeout) {
            match sys::socket::receive(socket, target, Take::Consume) {
                Err(Errno::AGAIN) => {}
                result => return finished(result),
            }
            option::receive_timeout(socket, timeout).ok()?;
            self.rare_mut().in_force = Some(timeout);
        }
        patience.begin();
        finished(sys::socket::receive(
            self.source.as_fd(),
            target,
            Take::Await,
        ))
    }
}

fn finished(result: Result<usize, Errno>) -> Option<Result<usize, Stop>> {
    match result {
        Err(Errno::AGAIN | Errno::INTR) => None,
        result => Some(result.map_err(Stop::System)),
    }
}
