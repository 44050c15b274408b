//! What is known of one peer, and the datagrams that wait for its stream.

use std::collections::VecDeque;
use std::net::{IpAddr, Shutdown};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use super::Notices;
use crate::address::SocketAddress;
use crate::deadline::Deadline;
use crate::proxy_protocol::ProxyHeader;
use crate::sys::epoll::Bell;
use crate::sys::{self, LocalAddress};

/// Datagrams that may wait for one stream: about what the kernel's default receive buffer of
/// 208 KiB holds of small ones.
const DATAGRAMS: usize = 256;

/// Their bytes: that default, rounded up. A single datagram may be longer.
const BYTES: usize = 256 * 1024;

/// Where a datagram came from, and which address of ours it was sent to where that is in doubt.
#[derive(Clone, Debug)]
pub(crate) struct Origin {
    pub(crate) peer: Option<SocketAddress>,
    pub(crate) local: Option<LocalAddress>,
    /// What the peer, a proxy, tells of its client.
    pub(crate) header: Option<Arc<ProxyHeader>>,
}

/// What tells peers apart: as with connections, both ends of the way.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Key {
    peer: SocketAddress,
    local: Option<IpAddr>,
    /// A proxy may pass several clients on by one socket.
    client: Option<SocketAddress>,
}

impl Origin {
    /// `None` for whoever can't be answered: a unix socket without a name, or a port 0, to which
    /// a socket can't be connected either.
    pub(super) fn key(&self) -> Option<Key> {
        let peer = self.peer.clone().filter(|peer| peer.port() != Some(0))?;
        let local = self.local.map(|local| local.ip);
        let client = self
            .header
            .as_ref()
            .and_then(|header| header.source.clone());
        Some(Key {
            peer,
            local,
            client,
        })
    }
}

/// One peer, shared by its stream and the dispatcher.
#[derive(Debug)]
pub(crate) struct Mailbox {
    origin: Origin,
    key: Option<Key>,
    /// The stream's own descriptor, from when something waits on it.
    socket: OnceLock<OwnedFd>,
    /// Whether that was made since this was last asked.
    made_anew: AtomicBool,
    evicted: AtomicBool,
    /// Whether a datagram went either way since this was last looked at.
    active: AtomicBool,
    inbox: Mutex<Inbox>,
}

#[derive(Debug)]
struct Inbox {
    queue: VecDeque<Box<[u8]>>,
    bytes: usize,
    /// Whether the first in the queue is the datagram that made the peer known.
    opening: bool,
    accepted: bool,
    /// The thread that waits for a datagram, and whether it has been woken.
    waiter: Option<(Arc<Bell>, bool)>,
    /// The loop that serves the stream.
    subscriber: Option<Subscriber>,
    expiry: Deadline,
}

/// A loop that is told of datagrams and of the end.
#[derive(Debug)]
struct Subscriber {
    notices: Arc<Notices>,
    /// `None` until the loop has a place for the stream.
    token: Option<u64>,
    /// Whether it was told since it last took a datagram, or found none.
    told: bool,
}

impl Mailbox {
    /// A new peer, and the datagram that made it known.
    pub(super) fn new(origin: Origin, opening: &[u8], idle: Option<Duration>) -> Self {
        Self {
            key: origin.key(),
            origin,
            socket: OnceLock::new(),
            made_anew: AtomicBool::new(false),
            evicted: AtomicBool::new(false),
            active: AtomicBool::new(false),
            inbox: Mutex::new(Inbox {
                queue: VecDeque::from([Box::from(opening)]),
                bytes: opening.len(),
                opening: true,
                accepted: false,
                waiter: None,
                subscriber: None,
                expiry: Deadline::after(idle),
            }),
        }
    }

    pub(crate) fn origin(&self) -> &Origin {
        &self.origin
    }

    pub(super) fn key(&self) -> Option<&Key> {
        self.key.as_ref()
    }

    /// Whether it can be sent to, and can send again.
    pub(crate) fn is_answerable(&self) -> bool {
        self.key.is_some()
    }

    /// The stream's own descriptor, if it has one by now.
    pub(crate) fn socket(&self) -> Option<BorrowedFd<'_>> {
        self.socket.get().map(AsFd::as_fd)
    }

    pub(super) fn set_socket(&self, socket: OwnedFd) {
        // There is none yet: the dispatcher's lock is held from looking to setting.
        _ = self.socket.set(socket);
        self.made_anew.store(true, Ordering::Relaxed);
    }

    /// Whether the socket was made since this was last asked.
    pub(crate) fn was_made_anew(&self) -> bool {
        self.made_anew.swap(false, Ordering::Relaxed)
    }

    pub(crate) fn into_socket(self) -> Option<OwnedFd> {
        self.socket.into_inner()
    }

    /// Whether the peer was idle for too long and is forgotten.
    pub(crate) fn is_evicted(&self) -> bool {
        self.evicted.load(Ordering::Acquire)
    }

    /// A datagram went either way.
    pub(crate) fn touch(&self) {
        self.active.store(true, Ordering::Relaxed);
    }

    pub(super) fn mark_accepted(&self) {
        self.inbox().accepted = true;
    }

    /// Queues a datagram, and wakes who waits for it; false when too much is queued.
    pub(super) fn push(&self, datagram: &[u8]) -> bool {
        self.touch();
        let mut inbox = self.inbox();
        let room = inbox.queue.is_empty()
            || (inbox.queue.len() < DATAGRAMS && inbox.bytes + datagram.len() <= BYTES);
        if room {
            inbox.bytes += datagram.len();
            inbox.queue.push_back(datagram.into());
            inbox.wake();
        }
        room
    }

    /// Queues a datagram before all others.
    pub(super) fn put_back(&self, datagram: &[u8]) {
        let mut inbox = self.inbox();
        inbox.bytes += datagram.len();
        inbox.queue.push_front(datagram.into());
    }

    /// The datagram that waits longest.
    pub(super) fn take(&self) -> Option<Box<[u8]>> {
        self.inbox().take()
    }

    /// Looks at the datagram that waits longest.
    pub(crate) fn peek<T>(&self, look: impl FnOnce(&[u8]) -> T) -> Option<T> {
        self.inbox().queue.front().map(|datagram| look(datagram))
    }

    pub(crate) fn has_queued(&self) -> bool {
        !self.inbox().queue.is_empty()
    }

    /// All that waits.
    pub(super) fn take_all(&self) -> VecDeque<Box<[u8]>> {
        let mut inbox = self.inbox();
        inbox.bytes = 0;
        inbox.opening = false;
        std::mem::take(&mut inbox.queue)
    }

    /// Removes the opening datagram if it was never read; its length.
    pub(super) fn take_opening(&self) -> usize {
        let mut inbox = self.inbox();
        if !inbox.opening {
            return 0;
        }
        inbox.take().map_or(0, |datagram| datagram.len())
    }

    /// Has `bell` rung when a datagram is queued; false if one is queued already.
    pub(crate) fn begin_wait(&self, bell: &Arc<Bell>) -> bool {
        let mut inbox = self.inbox();
        let waits = inbox.queue.is_empty();
        if waits {
            inbox.waiter = Some((Arc::clone(bell), false));
        }
        waits
    }

    pub(crate) fn end_wait(&self) {
        self.touch();
        let waiter = self.inbox().waiter.take();
        if let Some((bell, true)) = waiter {
            bell.silence();
        }
    }

    /// A loop serves the stream.
    pub(super) fn subscribe(&self, notices: &Arc<Notices>) {
        self.inbox().subscriber = Some(Subscriber {
            notices: Arc::clone(notices),
            token: None,
            told: false,
        });
    }

    pub(super) fn unsubscribe(&self) {
        self.inbox().subscriber = None;
    }

    /// Whether a loop serves the stream.
    pub(crate) fn is_in_loop(&self) -> bool {
        self.inbox().subscriber.is_some()
    }

    /// The loop has a place for the stream, known by `token`.
    pub(super) fn begin_notices(&self, token: u64) {
        if let Some(subscriber) = &mut self.inbox().subscriber {
            subscriber.token = Some(token);
        }
    }

    /// Tells the loop once more if it took a datagram since it was told, and left others.
    pub(super) fn go_on_with_notices(&self) {
        let mut inbox = self.inbox();
        if !inbox.queue.is_empty() {
            inbox.tell();
        }
    }

    /// Ends the stream if it has been idle for the time; whether it did.
    pub(super) fn evict_if_idle(&self, idle: Duration) -> bool {
        let mut inbox = self.inbox();
        let busy = !inbox.accepted
            || inbox.waiter.is_some()
            || self.active.swap(false, Ordering::Relaxed)
            // What came to its own descriptor nobody has told of.
            || self.socket().is_some_and(sys::socket::has_datagram);
        if busy {
            inbox.expiry = Deadline::after(Some(idle));
            return false;
        }
        if !inbox.expiry.has_passed() {
            return false;
        }
        self.evicted.store(true, Ordering::Release);
        if let Some(socket) = self.socket() {
            // It makes the descriptor readable, so that whoever looks at it learns of the end.
            _ = sys::socket::shutdown(socket, Shutdown::Read);
        }
        // A task that was told of datagrams and can't take them now has to know of this as well.
        inbox.tell_anew();
        true
    }

    fn inbox(&self) -> MutexGuard<'_, Inbox> {
        self.inbox.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inbox {
    fn take(&mut self) -> Option<Box<[u8]>> {
        if let Some(subscriber) = &mut self.subscriber {
            subscriber.told = false;
        }
        let datagram = self.queue.pop_front()?;
        self.bytes -= datagram.len();
        self.opening = false;
        Some(datagram)
    }

    fn tell_anew(&mut self) {
        if let Some(subscriber) = &mut self.subscriber {
            subscriber.told = false;
        }
        self.tell();
    }

    fn wake(&mut self) {
        if let Some((bell, woken)) = &mut self.waiter
            && !*woken
        {
            *woken = true;
            bell.ring();
        }
        self.tell();
    }

    /// Tells the loop that serves the stream, if it does not know.
    fn tell(&mut self) {
        if let Some(subscriber) = &mut self.subscriber
            && let Some(token) = subscriber.token
            && !subscriber.told
        {
            subscriber.told = true;
            subscriber.notices.post(token);
        }
    }
}
