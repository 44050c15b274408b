//! `stream-socket transports`.

use std::fmt::Write;

use stream_socket::Transport;

use crate::failure::Failure;
use crate::output;

/// Prints the transports of this build, one a line.
pub(super) fn run() -> Result<(), Failure> {
    let mut list = String::new();
    for transport in Transport::ALL {
        // Writing to a string can't fail.
        _ = writeln!(list, "{transport}");
    }
    output::data(list.as_bytes())
}
