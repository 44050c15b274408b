//! A message that is sent at once, after which the connection ends: daytime, time, qotd.

use std::io;

use stream_socket::{Interest, Stream};

use super::{Next, attempt};

#[derive(Debug)]
pub(crate) struct Message {
    unsent: Vec<u8>,
}

impl Message {
    pub(super) fn new(message: Vec<u8>) -> Self {
        Self { unsent: message }
    }

    pub(super) fn ready(&mut self, stream: &mut Stream) -> io::Result<Next> {
        let count = attempt::write(stream, &self.unsent)?;
        self.unsent.drain(..count);
        if self.unsent.is_empty() {
            Ok(Next::Finish)
        } else {
            Ok(Next::Wait(Interest::WRITE))
        }
    }
}
