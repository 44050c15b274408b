//! What is different on a stream that a listener of datagrams accepted.

use std::io;
use std::sync::Arc;

use super::{PeerEnd, Source, Stream};
use crate::error::{Error, Limit, Result, Stage};
use crate::options::SocketOptions;
use crate::peers::{Notices, Subscription};
use crate::sys::Errno;
use crate::sys::wait::{Patience, Stop};
use crate::url::SocketUrl;

/// The length of a datagram, `None` where none will come any more; or why there is none.
type Received = std::result::Result<Option<usize>, Stop>;

/// Each `*_of_peer` is `None` on any other stream.
impl Stream {
    pub(crate) fn of_peer(end: PeerEnd, origin: &Arc<SocketUrl>, options: &SocketOptions) -> Self {
        let (transport, peer) = (origin.transport(), end.address().cloned());
        let header = end.header().cloned();
        let (source, origin) = (Source::Peer(Box::new(end)), Some(Arc::clone(origin)));
        let stream = Self::over(source, transport, peer, origin, options);
        match header {
            Some(header) => stream.of_a_proxy(&header),
            None => stream,
        }
    }

    /// Has the loop of `notices` told of the peer's datagrams.
    pub(crate) fn subscribe(&self, notices: &Arc<Notices>) -> Option<Subscription> {
        let peer = self.source.peer()?;
        Some(peer.subscribe(notices))
    }

    pub(super) fn read_of_peer(&mut self, target: &mut [u8]) -> Option<io::Result<usize>> {
        let peer = self.source.peer()?;
        if let Err(error) = peer.refuse_in_child(self, "read from") {
            return Some(Err(error.into()));
        }
        self.timed_out = None;
        let mut patience = Patience::new(self.blocking, self.read_timeout());
        let result = peer.receive(&mut patience, target, &mut self.buffer);
        let length = self.count(result).map(|length| length.min(target.len()));
        Some(length.map_err(io::Error::from))
    }

    pub(super) fn fill_of_peer(&mut self, patience: &mut Patience) -> Option<Result<usize>> {
        let peer = self.source.peer()?;
        if let Err(error) = peer.refuse_in_child(self, "read from") {
            return Some(Err(error));
        }
        let result = peer.receive(patience, &mut [], &mut self.buffer);
        Some(self.count(result))
    }

    pub(super) fn peek_of_peer(&mut self, target: &mut [u8]) -> Option<Result<usize>> {
        let peer = self.source.peer()?;
        if let Err(error) = peer.refuse_in_child(self, "read from") {
            return Some(Err(error));
        }
        self.timed_out = None;
        let mut patience = Patience::new(self.blocking, self.read_timeout());
        let result = peer.peek(&mut patience, target);
        Some(self.judge(result))
    }

    fn count(&mut self, result: Received) -> Result<usize> {
        let length = self.judge(result)?;
        self.received += length as u64;
        Ok(length)
    }

    /// The length of a datagram, 0 at the end of an unnamed peer; the error that tells of one that
    /// was idle for too long.
    fn judge(&mut self, result: Received) -> Result<usize> {
        match result.map_err(|stop| self.stopped(stop, Limit::Read))? {
            Some(length) => Ok(length),
            None => {
                self.refuse_if_idled_out("read from")?;
                self.at_end = true;
                Ok(0)
            }
        }
    }

    /// Refuses to write where the peer is gone, or belongs to the parent of a forked child.
    pub(super) fn refuse_to_write(&self) -> Result<()> {
        let Some(peer) = self.source.peer() else {
            return Ok(());
        };
        peer.refuse_in_child(self, "write to")?;
        self.refuse_if_idled_out("write to")
    }

    /// Refuses where the peer of a listener of datagrams was idle for too long.
    pub(crate) fn refuse_if_idled_out(&self, action: &'static str) -> Result<()> {
        let Some(idle) = self.source.peer().and_then(PeerEnd::idled_out) else {
            return Ok(());
        };
        let reason = format!("the peer was idle for {idle:?} and is forgotten (ETIMEDOUT)");
        Err(Error::new(Stage::Io, self, reason)
            .with_errno(Errno::TIMEDOUT.raw_os_error())
            .with_limit(Limit::PeerIdle)
            .with_action(action))
    }
}
