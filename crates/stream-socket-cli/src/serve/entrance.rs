//! Where clients come in: a listener, and what it does when accepting fails.

use std::io::ErrorKind;
use std::time::{Duration, Instant};

use stream_socket::{DatagramSocket, ListenOptions, Listener, SocketUrl, Stream};

use super::connection::Limits;
use super::mailbox::Mailbox;
use crate::failure::Failure;
use crate::options;

/// Connections accepted in one turn; the others have theirs in between.
pub(super) const ACCEPTS_A_TURN: usize = 64;

/// What makes accepting fail, as a lack of descriptors, is not mended by trying again at once.
const PAUSE: Duration = Duration::from_millis(100);

/// Everything that is bound.
pub(crate) struct Entrances {
    pub(super) entrances: Vec<Entrance>,
    pub(super) mailboxes: Vec<Mailbox>,
}

impl Entrances {
    /// Binds every address of every URL, all or none.
    pub(crate) fn bind(urls: &[SocketUrl], options: &[ListenOptions]) -> Result<Self, Failure> {
        let mut bound = Self {
            entrances: Vec::new(),
            mailboxes: Vec::new(),
        };
        for (url, options) in urls.iter().zip(options) {
            if url.transport().is_datagram() {
                let sockets = DatagramSocket::bind_all(url, options)?;
                bound
                    .mailboxes
                    .extend(sockets.into_iter().map(Mailbox::new));
            } else {
                let limits = Limits::of(&options::merged_listening(url, options)?);
                let listeners = Listener::bind_all(url, options)?;
                let entrances = listeners
                    .into_iter()
                    .map(|listener| Entrance::new(listener, limits));
                bound.entrances.extend(entrances);
            }
        }
        Ok(bound)
    }

    /// The URL of each socket, by which clients reach it.
    pub(crate) fn urls(&self) -> impl Iterator<Item = &SocketUrl> {
        let entrances = self
            .entrances
            .iter()
            .map(|entrance| entrance.listener.url());
        entrances.chain(self.mailboxes.iter().map(|mailbox| mailbox.socket().url()))
    }
}

/// A listener.
pub(super) struct Entrance {
    listener: Listener,
    limits: Limits,
    paused_until: Option<Instant>,
    /// Whether the last attempt to accept failed, and that has been told.
    is_failing: bool,
}

impl Entrance {
    fn new(listener: Listener, limits: Limits) -> Self {
        Self {
            listener,
            limits,
            paused_until: None,
            is_failing: false,
        }
    }

    pub(super) fn listener(&self) -> &Listener {
        &self.listener
    }

    pub(super) fn limits(&self) -> Limits {
        self.limits
    }

    /// When the pause that it makes will be over, if it makes one.
    pub(super) fn paused(&self, now: Instant) -> Option<Instant> {
        self.paused_until.filter(|until| *until > now)
    }

    /// Accepts those that wait.
    pub(super) fn accept(&mut self, now: Instant) -> Vec<Stream> {
        let mut streams = Vec::new();
        while streams.len() < ACCEPTS_A_TURN {
            match self.listener.accept(Some(Duration::ZERO)) {
                Ok(stream) => {
                    tracing::info!(peer = %stream, url = %self.listener, "accepted");
                    self.is_failing = false;
                    streams.push(stream);
                }
                Err(error) if error.is_timeout() => break,
                Err(error) if error.io_kind() == ErrorKind::Interrupted => break,
                Err(error) => {
                    self.pause(&error, now);
                    break;
                }
            }
        }
        streams
    }

    fn pause(&mut self, error: &stream_socket::Error, now: Instant) {
        self.paused_until = Some(now + PAUSE);
        if !self.is_failing {
            self.is_failing = true;
            tracing::warn!(
                url = %self.listener,
                reason = %error,
                errno = error.errno(),
                "refused",
            );
        }
    }
}
