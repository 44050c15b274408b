//! Floor 3, the system: every system call of the library is made here.
//!
//! The only floor that names an operating system or one of its crates. Each call passes
//! [`seam`], where tests make it fail, be interrupted, short or slow. Functions return the bare
//! [`Errno`]; the floor above adds the stage and the URL.

pub(crate) mod batch;
mod control;
mod credentials;
pub(crate) mod epoll;
mod errno;
#[allow(unsafe_code, reason = "the one audited file; see its head")]
mod ffi;
#[cfg(feature = "tls")]
pub(crate) mod file;
pub(crate) mod fork;
pub(crate) mod inherited;
pub(crate) mod limit;
pub(crate) mod lookup;
mod name;
pub(crate) mod option;
pub(crate) mod pipe;
pub(crate) mod resolve;
pub(crate) mod seam;
pub(crate) mod socket;
pub(crate) mod timer;
pub(crate) mod unix;
pub(crate) mod wait;

pub use control::LocalAddress;
pub use credentials::PeerCredentials;
pub(crate) use credentials::peer as peer_credentials;
pub(crate) use errno::{Errno, failed, is_exhaustion, phrase, timed_out};
pub(crate) use fork::{
    child_descriptor, end_with_parent, ended_child, kill_group_of, reap, terminate,
};
pub(crate) use socket::reserve;
