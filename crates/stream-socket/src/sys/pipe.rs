//! Pipes that bytes go through from one socket to another without being copied: [splice(2)].
//!
//! [splice(2)]: https://man7.org/linux/man-pages/man2/splice.2.html

use std::fs;
use std::os::fd::{BorrowedFd, OwnedFd};

use rustix::pipe::{PipeFlags, SpliceFlags, fcntl_setpipe_size, pipe_with, splice};

use super::Errno;
use super::seam::{Call, call, clip};

/// Bytes that a pipe is made to hold; with segments of 1,460 bytes, one for each of its pages, the
/// usual 64 KiB would be full after 23 KB.
const CAPACITY: usize = 256 * 1024;

/// The number of SIGPIPE, as a bit of the masks in proc(5).
const SIGPIPE: u64 = 1 << (13 - 1);

/// A pipe, and how much is in it.
#[derive(Debug)]
pub(crate) struct Pipe {
    reader: OwnedFd,
    writer: OwnedFd,
    held: usize,
}

impl Pipe {
    /// pipe2(2).
    pub(crate) fn new() -> Result<Self, Errno> {
        let (reader, writer) = call(Call::Pipe, || {
            pipe_with(PipeFlags::CLOEXEC | PipeFlags::NONBLOCK)
        })?;
        // Where the user has too much in pipes already, a small one does as well.
        _ = fcntl_setpipe_size(&writer, CAPACITY);
        Ok(Self {
            reader,
            writer,
            held: 0,
        })
    }

    /// Moves what a socket has received into the pipe, which is empty; how much. `EAGAIN` when
    /// there is nothing, zero at the end.
    pub(crate) fn fill(&mut self, socket: BorrowedFd<'_>) -> Result<usize, Errno> {
        let wanted = clip(Call::Receive, CAPACITY);
        let length = call(Call::Receive, || {
            splice(socket, None, &self.writer, None, wanted, FLAGS)
        })?;
        self.held += length;
        Ok(length)
    }

    /// Moves what is in the pipe to a socket; how much. The process must ignore SIGPIPE: see
    /// [`may_splice`].
    pub(crate) fn drain(&mut self, socket: BorrowedFd<'_>) -> Result<usize, Errno> {
        let wanted = clip(Call::Send, self.held);
        let length = call(Call::Send, || {
            splice(&self.reader, None, socket, None, wanted, FLAGS)
        })?;
        self.held = self.held.saturating_sub(length);
        Ok(length)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.held == 0
    }
}

const FLAGS: SpliceFlags = SpliceFlags::NONBLOCK.union(SpliceFlags::MOVE);

/// Whether this process ignores SIGPIPE, as Rust's programs do: splice(2) has no flag against it.
pub(crate) fn may_splice() -> bool {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    mask.is_some_and(|mask| mask & SIGPIPE != 0)
}
