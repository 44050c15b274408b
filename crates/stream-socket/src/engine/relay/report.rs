//! How a relay ended.

use std::fmt;

use crate::engine::task::Cause;
use crate::error::Error;
use crate::stream::Stream;

/// One of the two whom a relay joins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Side {
    /// Who connected to us.
    Client,
    /// Whom we connected to.
    Target,
}

impl Side {
    pub(super) fn other(self) -> Self {
        match self {
            Side::Client => Side::Target,
            Side::Target => Side::Client,
        }
    }

    pub(super) fn name(self) -> &'static str {
        match self {
            Side::Client => "client",
            Side::Target => "target",
        }
    }
}

impl fmt::Display for Side {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// Why a relay ended.
#[derive(Debug)]
#[non_exhaustive]
pub enum RelayEnding {
    /// Both sides have ended, and all that they sent is delivered.
    Finished {
        /// Who ended first.
        first: Side,
    },
    /// One side failed: what it had not taken, or had not sent, is lost, and the other side was
    /// reset if its transport can be.
    Failed(Side, Error),
    /// The target was not reached.
    Unreached(Error),
    /// One side had ended, and the other was silent for too long.
    HalfClosed {
        /// Who had ended.
        first: Side,
    },
    /// One side had ended, and took no more of what the other sent: it was reset if its transport
    /// can be.
    Stalled {
        /// Who had ended.
        first: Side,
    },
    /// The engine drained, and no datagram came or went for a second.
    Quiet,
    /// The engine ended it.
    GivenUp(Cause),
}

/// The end of the sentence that tells of it: `closed by client`.
impl fmt::Display for RelayEnding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            RelayEnding::Finished { first } => write!(f, "closed by {first}"),
            RelayEnding::Failed(side, error) => write!(f, "{side} failed: {error}"),
            RelayEnding::Unreached(error) => write!(f, "target not reached: {error}"),
            RelayEnding::HalfClosed { first } => {
                write!(f, "closed by {first}, and {} kept silent", first.other())
            }
            RelayEnding::Stalled { first } => {
                write!(f, "closed by {first}, which took no more")
            }
            RelayEnding::Quiet => f.write_str("silent while draining"),
            RelayEnding::GivenUp(Cause::Idle) => f.write_str("idle for too long"),
            RelayEnding::GivenUp(Cause::Lifetime) => f.write_str("its lifetime was over"),
            RelayEnding::GivenUp(Cause::Drain) => f.write_str("not finished when draining ended"),
            RelayEnding::GivenUp(Cause::Unwatched) => f.write_str("the system can't watch it"),
        }
    }
}

/// What is told of a relay at its end.
#[derive(Debug)]
#[non_exhaustive]
pub struct RelayReport<'a> {
    /// Who connected to us.
    pub client: &'a Stream,
    /// Whom we connected to, if that came about.
    pub target: Option<&'a Stream>,
    /// Bytes that the target has taken from the client.
    pub up: u64,
    /// Bytes that the client has taken from the target.
    pub down: u64,
    /// Why it ended.
    pub ending: &'a RelayEnding,
}
