//! The way to a stream: addresses, what is said first, and the handshake of TLS.

use std::os::fd::{AsFd, BorrowedFd};
use std::time::Duration;

use crate::error::Result;
use crate::select::Interest;
use crate::stream::Stream;
use crate::sys::wait::Events;
use crate::transport::{Connected, Race};
use crate::url::SocketUrl;

/// A connect that is advanced by whoever waits for it, and says what to wait for.
#[derive(Debug)]
pub(crate) struct Approach {
    race: Race,
    /// The connection, while its TLS is still to be agreed upon, and what that waits for.
    handshake: Option<(Stream, Interest)>,
}

impl Approach {
    pub(super) fn new(race: Race) -> Self {
        Self {
            race,
            handshake: None,
        }
    }

    /// The same, where the caller has something to send as soon as it is connected.
    pub(crate) fn speaking(mut self) -> Self {
        self.race = self.race.speaking();
        self
    }

    pub(crate) fn url(&self) -> &SocketUrl {
        self.race.url()
    }

    /// Whether one socket alone leads there, which is that of the stream in the end.
    pub(crate) fn is_alone(&self) -> bool {
        self.race.is_alone()
    }

    /// Goes on as far as it can without waiting; `None` while it is undecided.
    pub(crate) fn advance(&mut self) -> Result<Option<Stream>> {
        match self.handshake.take() {
            Some((stream, _)) => self.shake_hands(stream),
            None => {
                let connected = self.race.step()?;
                self.after_race(connected)
            }
        }
    }

    /// The same where the caller has seen that the socket that leads there [alone](Self::is_alone)
    /// can be written to, and is whole.
    pub(crate) fn advance_writable(&mut self) -> Result<Option<Stream>> {
        if self.handshake.is_some() {
            return self.advance();
        }
        let connected = self.race.step_writable()?;
        self.after_race(connected)
    }

    fn after_race(&mut self, connected: Option<Connected>) -> Result<Option<Stream>> {
        let Some(connected) = connected else {
            return Ok(None);
        };
        Stream::share_connected(&self.race, &connected, true)?;
        let mut stream = Stream::connected(&self.race, connected)?;
        if !stream.is_handshaking() {
            return Ok(Some(stream));
        }
        stream.set_blocking(false);
        self.shake_hands(stream)
    }

    fn shake_hands(&mut self, mut stream: Stream) -> Result<Option<Stream>> {
        let awaits = stream
            .handshake()
            .map_err(|error| error.with_url(self.race.url()))?;
        let Some(interest) = awaits else {
            stream.set_blocking(true);
            return Ok(Some(stream));
        };
        if self.race.remaining().is_some_and(|left| left.is_zero()) {
            return Err(self.race.handshake_timed_out());
        }
        self.handshake = Some((stream, interest));
        Ok(None)
    }

    /// What it waits for.
    pub(crate) fn descriptors(&self) -> impl Iterator<Item = (BorrowedFd<'_>, Events)> {
        let handshake = self.handshake.iter();
        let handshake = handshake.map(|(stream, interest)| (stream.as_fd(), interest.events()));
        self.race.descriptors().chain(handshake)
    }

    /// How long until it is to be advanced even if no descriptor tells anything.
    pub(crate) fn next_step(&self) -> Option<Duration> {
        match &self.handshake {
            None => self.race.next_step(),
            Some((stream, _)) => {
                let handshake = stream.handshake_deadline().remaining();
                [handshake, self.race.remaining()]
                    .into_iter()
                    .flatten()
                    .min()
            }
        }
    }
}
