//! The stream's end of a peer that a listener of datagrams accepted.
//!
//! It shares the listener's socket while nothing waits on it: its datagrams are then brought by
//! whoever receives from that socket. What waits, or asks for the descriptor, is given one of its
//! own; see `peers/own_socket.rs`. A waiting thread is woken as well when a datagram for it turns
//! up elsewhere: those that were on the way when its own descriptor was made, broadcasts, and all
//! of them where it can't have one, as over udg.

use std::collections::VecDeque;
use std::fmt;
use std::net::Shutdown;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::time::Duration;

use crate::address::SocketAddress;
use crate::error::Result;
use crate::peers::{Dispatcher, Mailbox, Notices, Subscription};
use crate::proxy_protocol::ProxyHeader;
use crate::read_buffer::ReadBuffer;
use crate::sys::batch::send_one;
use crate::sys::epoll::Bell;
use crate::sys::socket::Give;
use crate::sys::wait::{Events, Patience, Stop};
use crate::sys::{self, Errno};

/// How long after its making what was on its way to the listener's socket may still turn up
/// there: the kernel looks for the socket first and queues the datagram later. That takes
/// microseconds, unless a virtual processor loses its turn in between.
const ON_ITS_WAY: Duration = Duration::from_millis(20);

/// A stream's part in the socket of the listener.
#[derive(Debug)]
pub(crate) struct PeerEnd {
    dispatcher: Arc<Dispatcher>,
    mailbox: Arc<Mailbox>,
    write_ended: bool,
    /// Whether the peer is no longer the dispatcher's.
    released: bool,
}

impl PeerEnd {
    pub(crate) fn new(dispatcher: Arc<Dispatcher>, mailbox: Arc<Mailbox>) -> Self {
        Self {
            dispatcher,
            mailbox,
            write_ended: false,
            released: false,
        }
    }

    /// Refuses what a child that was forked can't do.
    pub(super) fn refuse_in_child(
        &self,
        stream: &dyn fmt::Display,
        action: &'static str,
    ) -> Result<()> {
        self.dispatcher.refuse_in_child(stream, action)
    }

    /// Who it is, unless it has no name.
    pub(super) fn address(&self) -> Option<&SocketAddress> {
        self.mailbox.origin().peer.as_ref()
    }

    /// What it tells of its client, where it is a proxy.
    pub(super) fn header(&self) -> Option<&Arc<ProxyHeader>> {
        self.mailbox.origin().header.as_ref()
    }

    /// The address that the peer wrote to.
    pub(super) fn local_address(&self) -> SocketAddress {
        self.dispatcher.address_for(&self.mailbox)
    }

    /// One datagram into `target`, what it has no room for into `rest`; its whole length. `None`
    /// when there is none and none will come.
    pub(super) fn receive(
        &self,
        patience: &mut Patience,
        target: &mut [u8],
        rest: &mut ReadBuffer,
    ) -> std::result::Result<Option<usize>, Stop> {
        loop {
            let ended = self.has_ended();
            match self.look(target, rest) {
                Ok(length) => {
                    self.mailbox.touch();
                    return Ok(Some(length));
                }
                Err(Errno::AGAIN) if ended => return Ok(None),
                Err(Errno::AGAIN) => self.wait(patience)?,
                Err(Errno::INTR) => {}
                Err(errno) => return Err(Stop::System(errno)),
            }
        }
    }

    /// The length of the next datagram, the beginning of which is copied; `None` at the end.
    pub(super) fn peek(
        &self,
        patience: &mut Patience,
        target: &mut [u8],
    ) -> std::result::Result<Option<usize>, Stop> {
        loop {
            let ended = self.has_ended();
            match self.fetch() {
                Ok(()) | Err(Errno::AGAIN | Errno::INTR) => {}
                Err(errno) => return Err(Stop::System(errno)),
            }
            let copy = |datagram: &[u8]| copy(datagram, target);
            match self.mailbox.peek(copy) {
                Some(length) => return Ok(Some(length)),
                None if ended => return Ok(None),
                None => self.wait(patience)?,
            }
        }
    }

    /// Sends one datagram to the peer.
    pub(super) fn send(
        &self,
        patience: &mut Patience,
        bytes: &[u8],
    ) -> std::result::Result<usize, Stop> {
        if self.write_ended {
            return Err(Stop::System(Errno::PIPE));
        }
        if !self.mailbox.is_answerable() {
            return Err(Stop::System(Errno::DESTADDRREQ));
        }
        let sent = match self.mailbox.socket() {
            Some(own) => patience.retry(own, Events::WRITE, || {
                sys::socket::send(own, bytes, Give::Now)
            }),
            None => self.send_shared(patience, bytes),
        };
        // A try in vain is no sign of life of a peer that does not read, or it never idled out.
        if sent.is_ok() {
            self.mailbox.touch();
        }
        sent
    }

    /// Over the listener's socket, from the address that the peer wrote to.
    ///
    /// Apart, since it wants room on the stack that no other stream is to pay for.
    #[inline(never)]
    fn send_shared(
        &self,
        patience: &mut Patience,
        bytes: &[u8],
    ) -> std::result::Result<usize, Stop> {
        let shared = self.dispatcher.socket();
        let (peer, local) = (self.address(), self.dispatcher.answers_from(&self.mailbox));
        patience.retry(shared, Events::WRITE, || {
            send_one(shared, bytes, peer, local).map(|()| bytes.len())
        })
    }

    /// Notes it; the listener's socket goes on.
    pub(super) fn shutdown(&mut self, how: Shutdown) {
        self.write_ended |= how != Shutdown::Read;
        if let Some(own) = self.mailbox.socket() {
            // It can't fail on a connected socket, and what it would do is noted already.
            _ = sys::socket::shutdown(own, how);
        }
    }

    /// Whether nothing comes any more beside what waits already.
    fn has_ended(&self) -> bool {
        self.mailbox.is_evicted() || !self.mailbox.is_answerable()
    }

    /// Whether nothing waits and nothing will come.
    pub(super) fn is_at_end(&self) -> bool {
        self.has_ended() && !self.has_datagram()
    }

    /// Whether a read has something to tell of which the descriptor does not know.
    pub(super) fn has_news(&self) -> bool {
        self.mailbox.has_queued() || self.has_ended()
    }

    /// The idle time that has run out, if it has.
    pub(super) fn idled_out(&self) -> Option<Duration> {
        self.mailbox.is_evicted().then(|| self.dispatcher.idle())
    }

    fn has_datagram(&self) -> bool {
        let own = self.mailbox.socket();
        self.mailbox.has_queued() || own.is_some_and(sys::socket::has_datagram)
    }

    /// Takes a datagram without waiting: from the queue, then from the socket.
    fn look(&self, target: &mut [u8], rest: &mut ReadBuffer) -> std::result::Result<usize, Errno> {
        if let Some(length) = self.take(target, rest) {
            return Ok(length);
        }
        match self.mailbox.socket() {
            Some(own) => self.receive_own(own, target, rest),
            None if self.has_ended() => Err(Errno::AGAIN),
            None => {
                self.dispatcher.receive_for(&self.mailbox)?;
                self.take(target, rest).ok_or(Errno::AGAIN)
            }
        }
    }

    fn take(&self, target: &mut [u8], rest: &mut ReadBuffer) -> Option<usize> {
        let datagram = self.dispatcher.take(&self.mailbox)?;
        let copied = copy(&datagram, target);
        rest.append(&datagram[copied..]);
        Some(datagram.len())
    }

    /// Receives from its own socket, which may still hold what others sent while it was made.
    fn receive_own(
        &self,
        own: BorrowedFd<'_>,
        target: &mut [u8],
        rest: &mut ReadBuffer,
    ) -> std::result::Result<usize, Errno> {
        let room = rest.datagram_room(0);
        let received = sys::socket::receive_datagram_from(own, target, room);
        if let Ok((length, peer)) = &received {
            let beyond = length.saturating_sub(target.len());
            if peer.as_ref() == self.address() {
                rest.filled(beyond);
            } else {
                let within = target.len().min(*length);
                let whole = [&target[..within], &room[..beyond]].concat();
                self.dispatcher
                    .hand_over(peer.clone(), &self.mailbox, &whole);
            }
        }
        rest.release_if_empty();
        match received? {
            (length, peer) if peer.as_ref() == self.address() => Ok(length),
            _ => Err(Errno::INTR),
        }
    }

    /// Sees to it that the next datagram is in the queue, if there is one.
    fn fetch(&self) -> std::result::Result<(), Errno> {
        if self.mailbox.has_queued() {
            return Ok(());
        }
        match self.mailbox.socket() {
            None if self.has_ended() => Ok(()),
            None => self.dispatcher.receive_for(&self.mailbox),
            Some(own) => {
                let mut datagram = ReadBuffer::default();
                self.receive_own(own, &mut [], &mut datagram)?;
                self.dispatcher.put_back(&self.mailbox, datagram.bytes());
                Ok(())
            }
        }
    }

    /// Waits until there may be something to take.
    fn wait(&self, patience: &mut Patience) -> std::result::Result<(), Stop> {
        patience.may_wait()?;
        let socket = self.as_fd();
        let bell = Bell::of_this_thread().map_err(Stop::System)?;
        if !self.mailbox.begin_wait(&bell) {
            return Ok(());
        }
        let pair = [socket, bell.as_fd()];
        let fresh = self.mailbox.was_made_anew();
        let result = if fresh {
            patience.wait_a_while_for_either(pair, ON_ITS_WAY)
        } else {
            patience.wait_for_either(pair)
        };
        self.mailbox.end_wait();
        if fresh {
            self.dispatcher
                .receive_for(&self.mailbox)
                .map_err(Stop::System)?;
        }
        result
    }

    /// Has the loop of `notices` told of what comes.
    pub(super) fn subscribe(&self, notices: &Arc<Notices>) -> Subscription {
        self.dispatcher.subscribe(&self.mailbox, notices)
    }

    /// Parts from the listener: the stream's own descriptor and what was not read.
    pub(super) fn into_socket(mut self) -> Result<(OwnedFd, VecDeque<Box<[u8]>>)> {
        self.dispatcher.separate(&self.mailbox)?;
        let unread = self.dispatcher.release(&self.mailbox);
        self.released = true;
        let (dispatcher, mailbox) = (Arc::clone(&self.dispatcher), Arc::clone(&self.mailbox));
        drop(self);
        // Nobody else has it: neither the dispatcher any more, nor another stream ever.
        let socket = Arc::into_inner(mailbox).and_then(Mailbox::into_socket);
        Ok((socket.ok_or_else(|| dispatcher.inseparable())?, unread))
    }
}

fn copy(datagram: &[u8], target: &mut [u8]) -> usize {
    let length = datagram.len().min(target.len());
    target[..length].copy_from_slice(&datagram[..length]);
    length
}

impl AsFd for PeerEnd {
    /// Its own, made if need be; the listener's where there can be none, or in a loop, which is
    /// told of datagrams.
    fn as_fd(&self) -> BorrowedFd<'_> {
        if self.dispatcher.may_separate(&self.mailbox) && !self.mailbox.is_in_loop() {
            // Where it can't be had now, the shared socket does as well.
            _ = self.dispatcher.separate(&self.mailbox);
        }
        self.mailbox.socket().unwrap_or(self.dispatcher.socket())
    }
}

impl Drop for PeerEnd {
    fn drop(&mut self) {
        if !self.released {
            self.dispatcher.forget(&self.mailbox);
        }
    }
}
