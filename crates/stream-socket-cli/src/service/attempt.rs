//! Reads and writes that may find that they would have to wait.

use std::io::{self, ErrorKind, Read, Write};

use stream_socket::Stream;

/// What a read brought, zero at the end; `None` where it would have to wait.
pub(super) fn read(stream: &mut Stream, buffer: &mut [u8]) -> io::Result<Option<usize>> {
    match stream.read(buffer) {
        Ok(count) => Ok(Some(count)),
        Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(None),
        Err(error) => Err(error),
    }
}

/// How much a write took: nothing where it would have to wait.
pub(super) fn write(stream: &mut Stream, bytes: &[u8]) -> io::Result<usize> {
    taken(stream.write(bytes))
}

/// The same of what the end follows.
pub(super) fn write_last(stream: &mut Stream, bytes: &[u8]) -> io::Result<usize> {
    taken(stream.write_last(bytes))
}

fn taken(written: io::Result<usize>) -> io::Result<usize> {
    match written {
        Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(0),
        result => result,
    }
}
