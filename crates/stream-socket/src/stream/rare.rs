//! What only a few streams have, kept out of the way of the others.

use std::time::Duration;

use super::Stream;
use super::proxied::Proxied;
use crate::gate::Place;
use crate::options::SocketOptions;
use crate::sys::unix::SocketFile;

#[derive(Debug, Default)]
pub(super) struct Rare {
    pub(super) read_timeout: Option<Duration>,
    pub(super) write_timeout: Option<Duration>,
    /// The `SO_RCVTIMEO` that reads which wait in recv(2) have set.
    pub(super) in_force: Option<Option<Duration>>,
    /// What it takes of its listener's connections.
    pub(super) place: Option<Place>,
    /// The file that it was bound to, removed with it.
    pub(super) file: Option<SocketFile>,
    /// What goes before each datagram.
    pub(super) prefix: Option<Box<[u8]>>,
    /// The proxy by which it came.
    pub(super) proxied: Option<Proxied>,
    /// Whether descriptors came with what was received.
    pub(super) has_lost_descriptors: bool,
}

impl Rare {
    /// What the options ask for; `None` where that is nothing of the kind.
    pub(super) fn of(options: &SocketOptions) -> Option<Box<Self>> {
        let (read_timeout, write_timeout) = (options.read_timeout, options.write_timeout);
        let is_asked = read_timeout.or(write_timeout).is_some();
        is_asked.then(|| {
            Box::new(Self {
                read_timeout,
                write_timeout,
                ..Self::default()
            })
        })
    }

    pub(super) fn prefix(rare: &Option<Box<Self>>) -> Option<&[u8]> {
        rare.as_ref()?.prefix.as_deref()
    }
}

impl Stream {
    pub(super) fn rare_mut(&mut self) -> &mut Rare {
        self.rare.get_or_insert_with(Box::default)
    }

    pub(super) fn read_timeout(&self) -> Option<Duration> {
        self.rare.as_ref()?.read_timeout
    }

    pub(super) fn write_timeout(&self) -> Option<Duration> {
        self.rare.as_ref()?.write_timeout
    }

    pub(super) fn in_force(&self) -> Option<Option<Duration>> {
        self.rare.as_ref()?.in_force
    }

    /// Reads never wait in recv(2) from here on. The time that they have limited it to, if any.
    pub(super) fn forget_in_call(&mut self) -> Option<Duration> {
        self.in_call = None;
        self.rare.as_mut()?.in_force.take()?
    }

    /// It takes one of the places among its listener's connections.
    pub(crate) fn hold(&mut self, place: Place) {
        self.rare_mut().place = Some(place);
    }

    pub(super) fn place_mut(&mut self) -> Option<&mut Place> {
        self.rare.as_mut()?.place.as_mut()
    }
}
