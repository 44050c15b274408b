//! The way to the target.

use std::os::fd::{AsFd, BorrowedFd};
use std::time::Duration;

use super::end::{End, Ready};
use crate::connecting::{Approach, Connecting, Route};
use crate::engine::task::Wake;
use crate::error::Result;
use crate::select::Interest;

/// A target that is being connected to.
#[derive(Debug)]
pub(super) enum Reaching {
    /// By one socket, which the engine watches from here to the end of the relay.
    Alone {
        approach: Approach,
        /// What the engine has told of it, which it does not tell again.
        ready: Ready,
        is_watched: bool,
    },
    /// By one of several sockets, behind a descriptor for all of them.
    Several(Connecting),
}

impl Reaching {
    /// Begins nothing yet; `speaks` says that something waits to be sent there.
    pub(super) fn new(route: &Route, speaks: bool) -> Result<Self> {
        let mut approach = route.approach()?;
        if speaks {
            approach = approach.speaking();
        }
        if !approach.is_alone() {
            return Connecting::over(approach).map(Self::Several);
        }
        Ok(Self::Alone {
            approach,
            ready: Ready::default(),
            is_watched: false,
        })
    }

    /// Goes on without waiting; `None` while it is undecided.
    pub(super) fn advance(&mut self, wake: Wake) -> Result<Option<End>> {
        let (approach, ready, is_watched) = match self {
            Self::Several(connecting) => return Ok(connecting.advance()?.map(End::new)),
            Self::Alone {
                approach,
                ready,
                is_watched,
            } => (approach, ready, is_watched),
        };
        if matches!(wake, Wake::Second { .. }) {
            ready.note(wake);
        }
        let stream = match wake {
            Wake::Second {
                writable: true,
                ended: false,
                ..
            } => approach.advance_writable()?,
            _ => approach.advance()?,
        };
        let was_watched = std::mem::replace(is_watched, true);
        Ok(stream.map(|stream| match was_watched {
            true => End::watched(stream, *ready),
            false => End::new(stream),
        }))
    }

    /// What is watched for it.
    pub(super) fn watched(&self) -> Option<(BorrowedFd<'_>, Interest)> {
        match self {
            Self::Several(connecting) => Some((connecting.as_fd(), Interest::READ)),
            Self::Alone { approach, .. } => {
                let (descriptor, _) = approach.descriptors().next()?;
                Some((descriptor, Interest::READ.and(Interest::WRITE)))
            }
        }
    }

    /// Whether what is watched is the socket of the stream that comes of it.
    pub(super) fn is_alone(&self) -> bool {
        matches!(self, Self::Alone { .. })
    }

    /// How long until it is to be advanced even if nothing is told.
    pub(super) fn next_step(&self) -> Option<Duration> {
        match self {
            Self::Alone { approach, .. } => approach.next_step(),
            Self::Several(connecting) => connecting.next_step(),
        }
    }
}
