//! What it costs to pass connections on, of ours and of what it stands in for.
//!
//! All in a network of their own with packets as long as on Ethernet; the load is the client and
//! the target.

pub(super) mod bulk;
pub(super) mod connections;
pub(super) mod echo;
pub(super) mod idle;
mod peers;
pub(super) mod tls;
