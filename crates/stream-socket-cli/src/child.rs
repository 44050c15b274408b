//! Ending processes that this command has started.

use std::io;
use std::process::{Child, ExitStatus};

use stream_socket::kill_group;

/// Kills a child that leads a process group and was not reaped, and with it what it has started,
/// which holds its sockets as well; how it ended.
pub(crate) fn kill(child: &mut Child) -> io::Result<ExitStatus> {
    // It fails where nobody is left.
    _ = kill_group(child);
    child.kill().and_then(|()| child.wait())
}

/// How a child ended, in words.
pub(crate) fn phrase(ended: &io::Result<ExitStatus>) -> String {
    match ended {
        Ok(status) => status.to_string(),
        Err(error) => format!("unknown: {error}"),
    }
}
