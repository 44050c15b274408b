//! What a stream tells about itself in its meta data.

use stream_socket::PeerCredentials;

use super::{Object, Socket};

/// What a stream tells about itself.
#[derive(Debug)]
pub(crate) struct Facts {
    pub(crate) received: u64,
    pub(crate) sent: u64,
    pub(crate) last_error: i32,
    pub(crate) connected: bool,
    pub(crate) credentials: Option<PeerCredentials>,
}

impl Socket {
    pub(crate) fn facts(&self) -> Facts {
        let (received, sent, credentials) = match &self.object {
            Object::Stream(stream) => (
                stream.bytes_received(),
                stream.bytes_sent(),
                stream.peer_credentials().ok(),
            ),
            _ => (0, 0, None),
        };
        Facts {
            received,
            sent,
            last_error: self.last_error,
            connected: matches!(self.object, Object::Stream(_)),
            credentials,
        }
    }
}
