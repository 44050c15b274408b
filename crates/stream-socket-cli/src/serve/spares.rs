//! Descriptors that are kept back, so that the last one does not go to a connection that then can't
//! be served.

use std::fs::File;
use std::sync::{Mutex, PoisonError};

/// What one spawn takes: the socket as standard input and as standard output.
///
/// All loops share them. More would be lost to accepting where the limit is low.
const SPARES: usize = 2;

/// The descriptors, as many as could be had.
#[derive(Debug, Default)]
pub(super) struct Spares(Mutex<Vec<File>>);

/// Spares that have been given up; they are taken again when this is dropped.
pub(super) struct Lent<'a>(&'a Spares);

impl Spares {
    /// Gives them up, so that others can be made.
    pub(super) fn lend(&self) -> Lent<'_> {
        self.held(Vec::clear);
        Lent(self)
    }

    /// Takes those again that are missing, if they can be had.
    pub(super) fn refill(&self) {
        self.held(|held| {
            while held.len() < SPARES
                && let Ok(file) = File::open("/dev/null")
            {
                held.push(file);
            }
        });
    }

    fn held(&self, with: impl FnOnce(&mut Vec<File>)) {
        with(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

impl Drop for Lent<'_> {
    fn drop(&mut self) {
        self.0.refill();
    }
}
