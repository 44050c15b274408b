//! The pipes of a loop: used for the time that bytes are in them, and kept for the next relay.

use std::sync::Arc;

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
    /// Each loan has a clone.
    lent: Arc<()>,
    /// Whether the process may splice at all, once that has been asked.
    allowed: Option<bool>,
}

/// A pipe that a relay has for a time; one that ends with it is counted no more.
#[derive(Debug)]
pub(super) struct Loan {
    pub(super) pipe: Pipe,
    _counted: Arc<()>,
}

impl Pipes {
    /// A pipe with nothing in it; `None` where bytes have to be copied.
    pub(super) fn take(&mut self) -> Option<Loan> {
        if Arc::strong_count(&self.lent) > IN_USE || !*self.allowed.get_or_insert_with(may_splice) {
            return None;
        }
        // Without a descriptor left it is copied.
        let pipe = self.spare.pop().or_else(|| Pipe::new().ok())?;
        let _counted = Arc::clone(&self.lent);
        Some(Loan { pipe, _counted })
    }

    /// Takes a pipe back; one with something in it is closed.
    pub(super) fn give_back(&mut self, Loan { pipe, .. }: Loan) {
        if pipe.is_empty() && self.spare.len() < SPARE {
            self.spare.push(pipe);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pipe_that_ends_with_its_relay_is_in_use_no_more() {
        let mut pipes = Pipes::default();
        let loans: Vec<Loan> = (0..IN_USE).map_while(|_| pipes.take()).collect();
        assert_eq!(loans.len(), IN_USE);
        assert!(pipes.take().is_none());
        drop(loans);
        assert!(pipes.take().is_some());
    }
}
