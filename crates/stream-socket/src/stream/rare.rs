//! What only a few streams have, kept out of the way of the others.

use std::time::Duration;

use super::Stream;
use super::in_call::InCall;
use super::proxied::Proxied;
use crate::gate::Place;
use crate::options::SocketOptions;
use crate::sys::unix::SocketFile;

#[derive(Debug, Default)]
pub(super) struct Rare {
    pub(super) read_timeout: Option<Duration>,
    pub(super) write_timeout: Option<Duration>,
    /// Where reads may wait in recv(2).
    pub(super) in_call: Option<InCall>,
    /// What it takes of its listener's connections.
    pub(super) place: Option<Place>,
    /// The file that it was bound to, removed with it.
    pub(super) file: Option<SocketFile>,
    /// What goes before each datagram.
    pub(super) prefix: Option<Box<[u8]>>,
    /// The proxy by which it came.
    pub(super) proxied: Option<Proxied>,
}

impl Rare {
    /// What the options ask for; `None` where that is nothing of the kind.
    pub(super) fn of(options: &SocketOptions) -> Option<Box<Self>> {
        let (read_timeout, write_timeout) = (options.read_timeout, options.write_timeout);
        let is_asked = options.inheritable || read_timeout.or(write_timeout).is_some();
        is_asked.then(|| {
            Box::new(Self {
                read_timeout,
                write_timeout,
                in_call: options.inheritable.then(InCall::default),
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

    /// Reads never wait in recv(2) from here on.
    pub(super) fn forget_in_call(&mut self) -> Option<InCall> {
        self.rare.as_mut()?.in_call.take()
    }

    pub(super) fn place_mut(&mut self) -> Option<&mut Place> {
        self.rare.as_mut()?.place.as_mut()
    }
}
