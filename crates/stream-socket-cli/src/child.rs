//! Ending processes that this command has started.

use std::process::Child;

use stream_socket::kill_group;

/// Kills a child that leads a process group and was not reaped, and with it what it has started,
/// which holds its sockets as well; how it ended.
pub(crate) fn kill(child: &mut Child) -> String {
    // It fails where nobody is left.
    _ = kill_group(child);
    let ended = child.kill().and_then(|()| child.wait());
    ended.map_or_else(|error| error.to_string(), |status| status.to_string())
}
