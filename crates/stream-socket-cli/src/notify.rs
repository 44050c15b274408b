//! sd_notify(3): tells a service manager how far the server is, where one asked to be told.

use std::env;
use std::ffi::OsStr;
use std::io::Write;
use std::os::unix::ffi::OsStrExt;
use std::time::Duration;

use stream_socket::{ConnectOptions, SocketUrl, Stream, Target, Transport, UnixAddress};

use crate::failure::Failure;

/// A manager that does not read is not waited for longer than this.
const LIMIT: Duration = Duration::from_secs(1);

/// Clients can connect.
pub(crate) fn ready() {
    tell(b"READY=1");
}

/// The server has begun to end.
pub(crate) fn stopping() {
    tell(b"STOPPING=1");
}

/// Without `NOTIFY_SOCKET` there is nobody to be told; to fail at it is no reason to end.
fn tell(state: &[u8]) {
    let Some(socket) = env::var_os("NOTIFY_SOCKET").filter(|socket| !socket.is_empty()) else {
        return;
    };
    if let Err(failure) = send(&socket, state) {
        tracing::warn!(reason = %failure, "the service manager could not be told");
    }
}

fn send(socket: &OsStr, state: &[u8]) -> Result<(), Failure> {
    let address = match socket.as_bytes() {
        [b'@', name @ ..] => UnixAddress::from_abstract(name)?,
        _ => UnixAddress::from_path(socket)?,
    };
    let url = SocketUrl::new(Transport::Udg, Target::Unix(address))?;
    let mut options = ConnectOptions::default();
    options.socket.write_timeout = Some(LIMIT);
    let mut stream = Stream::connect(&url, &options)?;
    stream.write_all(state).map_err(Failure::of_stream)
}
