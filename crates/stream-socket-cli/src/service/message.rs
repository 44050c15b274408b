//! A message that is sent at once, after which the connection ends: daytime, time, qotd.

use std::io;
use std::sync::Arc;

use stream_socket::{Interest, Stream};

use super::{Next, attempt};

#[derive(Debug)]
pub(crate) struct Message {
    /// Shared by all who are told the same.
    message: Arc<[u8]>,
    sent: usize,
}

impl Message {
    pub(super) fn new(message: Arc<[u8]>) -> Self {
        Self { message, sent: 0 }
    }

    pub(super) fn ready(&mut self, stream: &mut Stream) -> io::Result<Next> {
        self.sent += attempt::write_last(stream, &self.message[self.sent..])?;
        if self.sent == self.message.len() {
            Ok(Next::Finish)
        } else {
            Ok(Next::Wait(Interest::WRITE))
        }
    }
}
