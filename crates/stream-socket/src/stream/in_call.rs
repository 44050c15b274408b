//! Waiting inside recv(2): one system call in place of a look, a poll and another look.
//!
//! Only on a descriptor that is blocking and ours, which is what
//! [`inheritable`](crate::SocketOptions::inheritable) makes: the time is bounded by `SO_RCVTIMEO`,
//! which belongs to the socket and so to everybody who has it. A forked child never sets it, or
//! its parent would wait by the child's time; and it is taken back before a program inherits the
//! socket. What ends such a wait early (a signal, somebody who
//! made the descriptor non-blocking) leaves the rest of it to poll(2).

use std::os::fd::{AsFd, BorrowedFd};
use std::time::Duration;

use super::Stream;
use crate::error::{Error, Stage};
use crate::sys::socket::Take;
use crate::sys::wait::{Events, Patience, Stop};
use crate::sys::{self, Errno, failed, fork, option};
use crate::url::Transport;

/// The socket's timeout as this process has set it.
#[derive(Debug)]
pub(super) struct InCall {
    process: u32,
    in_force: Option<Option<Duration>>,
}

impl Default for InCall {
    fn default() -> Self {
        Self {
            process: fork::generation(),
            in_force: None,
        }
    }
}

impl InCall {
    /// Receives, waiting for it; `None` where the wait is left to others.
    pub(super) fn receive(
        &mut self,
        socket: BorrowedFd<'_>,
        target: &mut [u8],
        timeout: Option<Duration>,
        patience: &mut Patience,
    ) -> Option<Result<usize, Stop>> {
        if timeout == Some(Duration::ZERO) || self.process != fork::generation() {
            return None;
        }
        if self.in_force != Some(timeout) {
            match sys::socket::receive(socket, target, Take::Consume) {
                Err(Errno::AGAIN) => {}
                result => return finished(result),
            }
            option::receive_timeout(socket, timeout).ok()?;
            self.in_force = Some(timeout);
        }
        patience.begin();
        finished(sys::socket::receive(socket, target, Take::Await))
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
        let Some(in_call) = self.forget_in_call() else {
            return Ok(());
        };
        // In a forked child it is the parent's, which goes on relying on it.
        if in_call.in_force.flatten().is_none() || in_call.process != fork::generation() {
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
        let socket = self.source.as_fd();
        if self.blocking
            && let Some(in_call) = self.rare.as_mut().and_then(|rare| rare.in_call.as_mut())
            && let Some(result) = in_call.receive(socket, target, timeout, &mut patience)
        {
            return result;
        }
        // Who does not wait here may wait for an edge.
        let goes_on = self.transport == Transport::Unix && !self.blocking;
        patience.retry(socket, Events::READ, || match goes_on {
            true => sys::socket::receive_unix(socket, target),
            false => sys::socket::receive(socket, target, Take::Consume),
        })
    }
}

fn finished(result: Result<usize, Errno>) -> Option<Result<usize, Stop>> {
    match result {
        Err(Errno::AGAIN | Errno::INTR) => None,
        result => Some(result.map_err(Stop::System)),
    }
}
