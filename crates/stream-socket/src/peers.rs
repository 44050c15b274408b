//! The peers of a bound datagram socket: each datagram goes to the one that it came from.
//!
//! Floor 5. A [`Dispatcher`] is shared by a listener and the streams that it accepted. Whoever
//! receives from the shared socket (accept, a read that looks without waiting, or the making of a
//! stream's own descriptor) holds its lock from the receive to the delivery, so that no datagram
//! is ever in between: a stream that takes the lock finds in its mailbox all that was received
//! before. Nobody waits under the lock. The lock of the dispatcher is taken before that of a
//! mailbox.

mod counters;
mod mailbox;
mod notices;
mod own_socket;

use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::mem;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

pub use counters::PeerCounters;
pub(crate) use mailbox::Mailbox;
use mailbox::{Key, Origin};
pub(crate) use notices::{Notices, Subscription};

use crate::address::SocketAddress;
use crate::deadline::Deadline;
use crate::error::{Error, Result, Stage};
use crate::options::ListenOptions;
use crate::sys::batch::receive_one;
use crate::sys::epoll::{Bell, Epoll, Mode};
use crate::sys::wait::Events;
use crate::sys::{self, Errno, failed, fork, option};
use crate::transport::tell_local_address;
use crate::trust::Trust;
use crate::url::SocketUrl;

/// Peers where no limit is given: the backlog of a listener of connections.
const MAX_PEERS: u32 = 4096;

/// Idle time where none is given: twice what RFC 4787 section 4.3 lets the shortest mapping of
/// an address translator live for replies.
pub(crate) const IDLE: Duration = Duration::from_secs(60);

/// How many times in the idle time the peers are looked through.
const SWEEPS: u32 = 16;

/// Bytes that may wait to be read for all peers together: a sixteenth of what the limits of
/// [`MAX_PEERS`] single ones come to.
const QUEUED_BYTES: usize = 64 * 1024 * 1024;

/// The longest datagram over UDP, and over unix sockets under the kernel's default send buffer
/// of 208 KiB, rounded up: who has raised that may send longer ones.
const UDP_DATAGRAM: usize = 64 * 1024;
const UNIX_DATAGRAM: usize = 256 * 1024;

/// What the kernel counts for the smallest datagram in a receive buffer, rounded down.
const SMALLEST: usize = 512;

/// After so many datagrams for others, accept looks at the clock.
const BETWEEN_LOOKS: usize = 64;

/// A bound socket, the peers that are known of it, and their datagrams.
pub(crate) struct Dispatcher {
    socket: OwnedFd,
    url: Arc<SocketUrl>,
    address: SocketAddress,
    options: ListenOptions,
    /// Whose headers are believed, where datagrams begin with them.
    trust: Option<Trust>,
    max_peers: usize,
    idle: Duration,
    /// Whose it is. A child that was forked with it shares the sockets, but must not undo what
    /// its parent goes on with.
    process: u32,
    /// Datagrams that the socket's receive buffer has room for, and more.
    capacity: usize,
    /// Readable while a peer waits to be accepted whose datagram is no longer in the socket.
    bell: Bell,
    queued_bytes: AtomicUsize,
    /// Whether a loop accepts from it, which then is the only one.
    in_loop: AtomicBool,
    state: Mutex<State>,
}

struct State {
    peers: HashMap<Key, Arc<Mailbox>>,
    /// New peers that came to light otherwise than by accept.
    waiting: VecDeque<Arc<Mailbox>>,
    ringing: bool,
    /// Whether the listener is gone, so that nobody will accept.
    closed: bool,
    buffer: Box<[u8]>,
    next_sweep: Deadline,
    counters: PeerCounters,
}

/// What became of a datagram.
enum Delivery {
    /// It is the first of a new peer.
    New(Arc<Mailbox>),
    /// It waits for the stream of its peer, or was dropped and counted.
    Done,
}

/// What there has to be beside a socket for it to have peers.
#[derive(Debug)]
pub(crate) struct Front {
    bell: Bell,
    /// Readable when [`accept`](Dispatcher::accept) has something to do.
    face: Epoll,
    /// Bytes of the socket's receive buffer.
    room: usize,
}

impl Front {
    pub(crate) fn of(socket: &OwnedFd, url: &SocketUrl, address: &SocketAddress) -> Result<Self> {
        let unmade = |errno| failed(Stage::Socket, url, errno);
        tell_local_address(socket, address).map_err(unmade)?;
        let bell = Bell::new().map_err(unmade)?;
        let face = Epoll::new().map_err(unmade)?;
        for descriptor in [socket.as_fd(), bell.as_fd()] {
            face.add(descriptor, 0, Events::READ, Mode::Level)
                .map_err(unmade)?;
        }
        let room = option::receive_buffer_size(socket.as_fd()).map_err(unmade)?;
        Ok(Self { bell, face, room })
    }
}

impl Dispatcher {
    /// Takes charge of a bound socket; with it, the descriptor of its front.
    pub(crate) fn new(
        socket: OwnedFd,
        front: Front,
        url: &Arc<SocketUrl>,
        address: &SocketAddress,
        options: &ListenOptions,
    ) -> (Arc<Self>, OwnedFd) {
        let Front { bell, face, room } = front;
        let longest = if url.transport().is_unix() {
            UNIX_DATAGRAM
        } else {
            UDP_DATAGRAM
        };
        let idle = options.peer_idle_timeout.unwrap_or(IDLE);
        let dispatcher = Self {
            socket,
            url: Arc::clone(url),
            address: address.clone(),
            options: options.clone(),
            trust: Trust::of(options),
            max_peers: options.max_peers.unwrap_or(MAX_PEERS) as usize,
            idle,
            process: fork::generation(),
            capacity: room.div_ceil(SMALLEST).max(BETWEEN_LOOKS),
            bell,
            queued_bytes: AtomicUsize::new(0),
            in_loop: AtomicBool::new(false),
            state: Mutex::new(State {
                peers: HashMap::new(),
                waiting: VecDeque::new(),
                ringing: false,
                closed: false,
                buffer: vec![0; longest].into(),
                next_sweep: Deadline::after(Some(idle / SWEEPS)),
                counters: PeerCounters::default(),
            }),
        };
        (Arc::new(dispatcher), face.into())
    }

    /// The next new peer, with the datagram that it sent. `None` when there is none, or when it is
    /// time to look at the clock: the descriptor is readable then.
    pub(crate) fn accept(&self) -> std::result::Result<Option<Arc<Mailbox>>, Errno> {
        for _ in 0..BETWEEN_LOOKS {
            match self.next_peer() {
                Ok(None) | Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => break,
                result => return result,
            }
        }
        Ok(None)
    }

    fn next_peer(&self) -> std::result::Result<Option<Arc<Mailbox>>, Errno> {
        let mut state = self.state();
        let mailbox = match self.next_waiting(&mut state) {
            Some(mailbox) => mailbox,
            None => match self.receive(&mut state)? {
                Delivery::New(mailbox) => mailbox,
                Delivery::Done => return Ok(None),
            },
        };
        mailbox.mark_accepted();
        state.counters.accepted += 1;
        Ok(Some(mailbox))
    }

    fn next_waiting(&self, state: &mut State) -> Option<Arc<Mailbox>> {
        let mailbox = state.waiting.pop_front();
        if state.waiting.is_empty() && state.ringing {
            state.ringing = false;
            self.bell.silence();
        }
        mailbox
    }

    /// Receives what has come, as much as the socket holds, until there is something for
    /// `mailbox`.
    pub(crate) fn receive_for(&self, mailbox: &Mailbox) -> std::result::Result<(), Errno> {
        for _ in 0..self.capacity {
            if mailbox.has_queued() {
                break;
            }
            match self.receive_and_keep(&mut self.state()) {
                Ok(()) | Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => break,
                Err(errno) => return Err(errno),
            }
        }
        Ok(())
    }

    /// Receives one datagram; a new peer waits to be accepted.
    fn receive_and_keep(&self, state: &mut State) -> std::result::Result<(), Errno> {
        if let Delivery::New(mailbox) = self.receive(state)? {
            self.keep_waiting(state, mailbox);
        }
        Ok(())
    }

    fn keep_waiting(&self, state: &mut State, mailbox: Arc<Mailbox>) {
        state.waiting.push_back(mailbox);
        if !state.ringing {
            state.ringing = true;
            self.bell.ring();
        }
    }

    /// Receives one datagram from the shared socket and delivers it.
    fn receive(&self, state: &mut State) -> std::result::Result<Delivery, Errno> {
        self.evict_idle(state);
        self.receive_from(state, self.socket.as_fd(), None)
    }

    /// Receives one datagram from `socket` and delivers it. `at` is the address it was sent to
    /// where the kernel does not tell that.
    fn receive_from(
        &self,
        state: &mut State,
        socket: BorrowedFd<'_>,
        at: Option<sys::LocalAddress>,
    ) -> std::result::Result<Delivery, Errno> {
        let length = sys::socket::length_of_next(socket, self.url.transport())?;
        if length > state.buffer.len() {
            state.buffer = vec![0; length].into();
        }
        let arrival = receive_one(socket, &mut state.buffer)?;
        let mut origin = Origin {
            peer: arrival.peer,
            local: arrival.local.or(at),
            header: None,
        };
        let buffer = mem::take(&mut state.buffer);
        let length = arrival.length.min(buffer.len());
        state.counters.cut += u64::from(arrival.length > length);
        let delivery = match self.unwrapped(&mut origin, &buffer[..length]) {
            Some(datagram) => self.deliver(state, origin, datagram),
            None => {
                state.counters.unproxied += 1;
                Delivery::Done
            }
        };
        state.buffer = buffer;
        Ok(delivery)
    }

    /// The datagram without the header that it has to begin with, if it has; `None` where that is
    /// missing or not to be believed.
    fn unwrapped<'a>(&self, origin: &mut Origin, datagram: &'a [u8]) -> Option<&'a [u8]> {
        let Some(trust) = &self.trust else {
            return Some(datagram);
        };
        let proxy = origin.peer.as_ref().and_then(SocketAddress::ip);
        let (header, datagram) = trust.unwrap(proxy, datagram)?;
        origin.header = Some(Arc::new(header));
        Some(datagram)
    }

    /// Whether datagrams begin with headers.
    pub(crate) fn is_proxied(&self) -> bool {
        self.trust.is_some()
    }

    fn deliver(&self, state: &mut State, origin: Origin, datagram: &[u8]) -> Delivery {
        let queued = self.queued_bytes.load(Ordering::Relaxed);
        if queued + datagram.len() > QUEUED_BYTES {
            state.counters.overflowed += 1;
            return Delivery::Done;
        }
        let key = origin.key();
        if let Some(mailbox) = key.as_ref().and_then(|key| state.peers.get(key)) {
            if mailbox.push(datagram) {
                self.queued_bytes
                    .fetch_add(datagram.len(), Ordering::Relaxed);
            } else {
                state.counters.overflowed += 1;
            }
            return Delivery::Done;
        }
        let known = state.peers.len().max(state.waiting.len());
        if state.closed || known >= self.max_peers {
            state.counters.refused += 1;
            return Delivery::Done;
        }
        let mailbox = Arc::new(Mailbox::new(origin, datagram, Some(self.idle)));
        self.queued_bytes
            .fetch_add(datagram.len(), Ordering::Relaxed);
        if let Some(key) = key {
            state.peers.insert(key, Arc::clone(&mailbox));
        }
        Delivery::New(mailbox)
    }

    /// Delivers a datagram that a stream's own descriptor got and should not have got.
    pub(crate) fn hand_over(&self, peer: Option<SocketAddress>, of: &Mailbox, datagram: &[u8]) {
        let mut state = self.state();
        let local = of.origin().local;
        let header = None;
        self.deliver_and_keep(
            &mut state,
            Origin {
                peer,
                local,
                header,
            },
            datagram,
        );
    }

    fn deliver_and_keep(&self, state: &mut State, origin: Origin, datagram: &[u8]) {
        if let Delivery::New(mailbox) = self.deliver(state, origin, datagram) {
            self.keep_waiting(state, mailbox);
        }
    }

    /// The datagram that waits longest for the stream of `mailbox`.
    pub(crate) fn take(&self, mailbox: &Mailbox) -> Option<Box<[u8]>> {
        let datagram = mailbox.take()?;
        self.queued_bytes
            .fetch_sub(datagram.len(), Ordering::Relaxed);
        Some(datagram)
    }

    /// Puts a datagram back that was taken only to be looked at.
    pub(crate) fn put_back(&self, mailbox: &Mailbox, datagram: &[u8]) {
        self.queued_bytes
            .fetch_add(datagram.len(), Ordering::Relaxed);
        mailbox.put_back(datagram);
    }

    /// Forgets a peer whose stream is dropped.
    ///
    /// The datagram that accept handed out goes with the stream. Further ones that were not read
    /// are as good as later ones: they make the peer known anew.
    pub(crate) fn forget(&self, mailbox: &Arc<Mailbox>) {
        if !self.is_of_this_process() {
            // The bell would ring for the parent, who has nothing to silence it for.
            return;
        }
        let mut state = self.state();
        state.remove(mailbox);
        let opening = mailbox.take_opening();
        self.queued_bytes.fetch_sub(opening, Ordering::Relaxed);
        for datagram in mailbox.take_all() {
            self.queued_bytes
                .fetch_sub(datagram.len(), Ordering::Relaxed);
            self.deliver_and_keep(&mut state, mailbox.origin().clone(), &datagram);
        }
        self.empty_own_socket(&mut state, mailbox);
    }

    /// Forgets a peer whose stream leaves us with its descriptor; what it had not read.
    pub(crate) fn release(&self, mailbox: &Arc<Mailbox>) -> VecDeque<Box<[u8]>> {
        self.state().remove(mailbox);
        let unread = mailbox.take_all();
        let bytes: usize = unread.iter().map(|datagram| datagram.len()).sum();
        self.queued_bytes.fetch_sub(bytes, Ordering::Relaxed);
        unread
    }

    /// Has the loop of `notices` told of what comes for `mailbox`.
    pub(crate) fn subscribe(&self, mailbox: &Arc<Mailbox>, notices: &Arc<Notices>) -> Subscription {
        Subscription::new(mailbox, self.socket.as_fd(), notices)
    }

    /// A loop is going to accept; false if there is one that does.
    pub(crate) fn enter_loop(&self) -> bool {
        !self.in_loop.swap(true, Ordering::AcqRel)
    }

    /// The loop accepts no more.
    pub(crate) fn leave_loop(&self) {
        self.in_loop.store(false, Ordering::Release);
    }

    /// How long until peers have to be looked through though no datagram comes; `None` while
    /// there are none.
    pub(crate) fn next_sweep(&self) -> Option<Duration> {
        let state = self.state();
        let remaining = state.next_sweep.remaining();
        remaining.filter(|_| !state.peers.is_empty())
    }

    /// Forgets the peers that have been idle for too long.
    pub(crate) fn sweep(&self) {
        self.evict_idle(&mut self.state());
    }

    fn evict_idle(&self, state: &mut State) {
        if !state.next_sweep.has_passed() || !self.is_of_this_process() {
            return;
        }
        state.next_sweep = Deadline::after(Some(self.idle / SWEEPS));
        let before = state.peers.len();
        let idle = self.idle;
        state
            .peers
            .retain(|_, mailbox| !mailbox.evict_if_idle(idle));
        state.counters.evicted += (before - state.peers.len()) as u64;
    }

    /// Nobody will accept any more: new peers are refused.
    pub(crate) fn close(&self) {
        if !self.is_of_this_process() {
            return;
        }
        let mut state = self.state();
        state.closed = true;
        for mailbox in mem::take(&mut state.waiting) {
            state.remove(&mailbox);
            for datagram in mailbox.take_all() {
                self.queued_bytes
                    .fetch_sub(datagram.len(), Ordering::Relaxed);
                state.counters.refused += 1;
            }
        }
    }

    pub(crate) fn counters(&self) -> PeerCounters {
        let state = self.state();
        PeerCounters {
            known: state.peers.len(),
            waiting: state.waiting.len(),
            queued_bytes: self.queued_bytes.load(Ordering::Relaxed),
            ..state.counters
        }
    }

    /// The shared socket.
    pub(crate) fn socket(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }

    /// The address that `mailbox` was written to: a wildcard only where the kernel did not tell.
    pub(crate) fn address_for(&self, mailbox: &Mailbox) -> SocketAddress {
        match (&self.address, mailbox.origin().local) {
            (SocketAddress::Inet(bound), Some(local)) if bound.ip().is_unspecified() => {
                SocketAddress::Inet(local.with_port(bound.port()))
            }
            _ => self.address.clone(),
        }
    }

    /// The local address that an answer must be told to leave from.
    pub(crate) fn answers_from(&self, mailbox: &Mailbox) -> Option<sys::LocalAddress> {
        let is_wildcard = self.address.ip().is_some_and(|ip| ip.is_unspecified());
        mailbox.origin().local.filter(|_| is_wildcard)
    }

    /// The idle time after which a stream ends.
    pub(crate) fn idle(&self) -> Duration {
        self.idle
    }

    /// Refuses to act in a child that was forked: it would take its parent's datagrams, and wait
    /// for ever for a lock that a thread of its parent had.
    pub(crate) fn refuse_in_child(
        &self,
        of: &dyn fmt::Display,
        action: &'static str,
    ) -> Result<()> {
        if self.is_of_this_process() {
            return Ok(());
        }
        let reason = "it belongs to the process that made it, and this one was forked (EPERM)";
        Err(Error::new(Stage::Io, of, reason)
            .with_errno(Errno::PERM.raw_os_error())
            .with_action(action))
    }

    fn is_of_this_process(&self) -> bool {
        fork::generation() == self.process
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Removes the entry of `mailbox`, unless it is another's by now.
    fn remove(&mut self, mailbox: &Arc<Mailbox>) {
        let Some(key) = mailbox.key() else { return };
        if self
            .peers
            .get(key)
            .is_some_and(|entry| Arc::ptr_eq(entry, mailbox))
        {
            self.peers.remove(key);
        }
    }
}

impl fmt::Debug for Dispatcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Dispatcher")
            .field("socket", &self.socket)
            .field("address", &self.address)
            .finish_non_exhaustive()
    }
}

/// The listener's share in a dispatcher: when it is dropped, nobody accepts any more.
#[derive(Debug)]
pub(crate) struct Peers(Arc<Dispatcher>);

impl Peers {
    pub(crate) fn new(dispatcher: Arc<Dispatcher>) -> Self {
        Self(dispatcher)
    }

    pub(crate) fn dispatcher(&self) -> &Arc<Dispatcher> {
        &self.0
    }
}

impl Drop for Peers {
    fn drop(&mut self) {
        self.0.close();
    }
}

/// Refuses limits under which nothing could be accepted, and what belongs to other sockets.
pub(crate) fn check_limits(url: &SocketUrl, options: &ListenOptions) -> Result<()> {
    if options.coalesce && url.transport().is_datagram() {
        let reason = "option coalesce is for a DatagramSocket, which is read in batches";
        return Err(Error::new(Stage::Parse, url, reason));
    }
    let nothing = [
        ("max_peers", options.max_peers == Some(0)),
        (
            "peer_idle_timeout",
            options.peer_idle_timeout == Some(Duration::ZERO),
        ),
    ];
    match nothing.iter().find(|(_, is_zero)| *is_zero) {
        Some((name, _)) => {
            let reason = format!("option {name} is 0, which would accept nobody");
            Err(Error::new(Stage::Parse, url, reason))
        }
        None => Ok(()),
    }
}
