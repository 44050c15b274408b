//! Any socket from one URL: `transport://target`.
#![deny(unsafe_code)]

mod address;
mod connecting;
mod datagram;
mod deadline;
mod error;
mod listener;
mod nearest;
mod options;
mod printable;
mod read_buffer;
mod select;
mod stream;
mod sys;
mod transport;
mod url;

pub use address::{SocketAddress, UnixAddress};
pub use connecting::Connecting;
pub use datagram::{Batch, Datagram, DatagramSocket, Received};
pub use error::{Error, Limit, Result, Stage};
pub use listener::{Incoming, Listener};
pub use options::{
    ConnectOptions, Key, Kind, ListenOptions, Role, SocketOptions, UnixOptions, keys,
};
pub use select::{Interest, Member, Readiness, Selectable, select};
pub use stream::Stream;
pub use sys::{LocalAddress, PeerCredentials};
#[doc(hidden)]
pub use url::php;
pub use url::{Host, Port, SocketUrl, Target, ToSocketUrl, Transport};

/// System calls that fail and clocks that jump, for tests: see the seam in floor 3.
#[cfg(feature = "simulation")]
#[doc(hidden)]
pub mod simulation {
    pub use crate::sys::seam::{Call, Fault, Plan, calls};
}
