//! RFC 863: what comes is thrown away.

use std::io;

use stream_socket::{Interest, Selectable, Stream};

use super::{Next, attempt};

#[derive(Debug)]
pub(crate) struct Discard;

impl Discard {
    pub(super) fn ready(
        &mut self,
        stream: &mut Stream,
        buffer: &mut [u8],
        has_ended: bool,
    ) -> io::Result<Next> {
        match attempt::read(stream, buffer)? {
            Some(0) => Ok(Next::Finish),
            Some(count) if count == buffer.len() || has_ended || stream.has_buffered() => {
                Ok(Next::Again)
            }
            _ => Ok(Next::Wait(Interest::READ)),
        }
    }
}
