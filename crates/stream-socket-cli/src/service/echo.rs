//! RFC 862: what comes goes back.

use std::io;

use stream_socket::{Interest, Selectable, Stream};

use super::{Next, attempt};

/// What one read brought is written before the next is made: a peer that does not take its bytes
/// back is not read from, and can't fill our memory.
#[derive(Debug, Default)]
pub(crate) struct Echo {
    waiting: Vec<u8>,
}

impl Echo {
    pub(super) fn ready(
        &mut self,
        stream: &mut Stream,
        buffer: &mut [u8],
        has_ended: bool,
    ) -> io::Result<Next> {
        if !self.waiting.is_empty() {
            return self.go_on(stream);
        }
        let room = buffer.len();
        let received = match attempt::read(stream, buffer)? {
            None => return Ok(Next::Wait(Interest::READ)),
            Some(0) => return Ok(Next::Finish),
            Some(count) => &buffer[..count],
        };
        let count = attempt::write(stream, received)?;
        if count == received.len() {
            let was_last = count < room && !has_ended && !stream.has_buffered();
            return Ok(if was_last {
                Next::Wait(Interest::READ)
            } else {
                Next::Again
            });
        }
        self.waiting = received[count..].to_vec();
        Ok(Next::Wait(Interest::WRITE))
    }

    fn go_on(&mut self, stream: &mut Stream) -> io::Result<Next> {
        let count = attempt::write(stream, &self.waiting)?;
        self.waiting.drain(..count);
        if !self.waiting.is_empty() {
            return Ok(Next::Wait(Interest::WRITE));
        }
        // An idle connection holds no buffer.
        self.waiting = Vec::new();
        Ok(Next::Again)
    }
}
