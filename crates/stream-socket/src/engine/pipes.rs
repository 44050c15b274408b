//! The pipes of a loop: used for the time that bytes are in them, and kept for the next relay.

use crate::sys::pipe::{Pipe, may_splice};

/// Pipes kept for later: as many directions of relays as are bulky at a time, mostly one.
const SPARE: usize = 16;

/// Pipes that may hold what could not be sent. Beyond them relays copy: a pipe takes two
/// descriptors and up to 256 KiB.
const IN_USE: usize = 256;

/// The pipes that the relays of a loop share.
#[derive(Debug, Default)]
pub(super) struct Pipes {
    spare: Vec<Pipe>,
    in_use: usize,
    /// Whether the process may splice at all, once that has been asked.
    allowed: Option<bool>,
}

impl Pipes {
    /// A pipe with nothing in it; `None` where bytes have to be copied.
    pub(super) fn take(&mut self) -> Option<Pipe> {
        if self.in_use >= IN_USE || !*self.allowed.get_or_insert_with(may_splice) {
            return None;
        }
        // Without a descriptor left it is copied.
        let pipe = self.spare.pop().or_else(|| Pipe::new().ok())?;
        self.in_use += 1;
        Some(pipe)
    }

    /// Takes a pipe back; one with something in it is closed.
    pub(super) fn give_back(&mut self, pipe: Pipe) {
        self.in_use = self.in_use.saturating_sub(1);
        if pipe.is_empty() && self.spare.len() < SPARE {
            self.spare.push(pipe);
        }
    }
}
