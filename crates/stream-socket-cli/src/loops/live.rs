//! How many connections are served at the moment, by whichever loop.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// The count, of which clones are the same.
#[derive(Clone, Default)]
pub(crate) struct LiveCount(Arc<AtomicU64>);

/// One of those that are counted, until it is dropped.
pub(crate) struct Live(LiveCount);

impl LiveCount {
    pub(crate) fn enter(&self) -> Live {
        self.0.fetch_add(1, Ordering::Relaxed);
        Live(self.clone())
    }

    pub(crate) fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        self.0.0.fetch_sub(1, Ordering::Relaxed);
    }
}
