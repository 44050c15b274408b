//! What this process has done, for phpinfo().

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

pub(crate) static BOUND: AtomicU64 = AtomicU64::new(0);
pub(crate) static ACCEPTED: AtomicU64 = AtomicU64::new(0);
pub(crate) static CONNECTED: AtomicU64 = AtomicU64::new(0);
pub(crate) static FAILED: AtomicU64 = AtomicU64::new(0);
pub(crate) static OPEN: AtomicU64 = AtomicU64::new(0);
/// Of streams on which a script began TLS.
pub(crate) static HANDSHAKES_FAILED: AtomicU64 = AtomicU64::new(0);

/// The counters at one moment, in the order of `ss_counters`.
#[derive(Debug)]
#[repr(C)]
pub(crate) struct Counters {
    bound: u64,
    accepted: u64,
    connected: u64,
    failed: u64,
    open: u64,
    handshakes_failed: u64,
}

impl Counters {
    pub(crate) fn now() -> Self {
        Self {
            bound: BOUND.load(Relaxed),
            accepted: ACCEPTED.load(Relaxed),
            connected: CONNECTED.load(Relaxed),
            failed: FAILED.load(Relaxed),
            open: OPEN.load(Relaxed),
            handshakes_failed: HANDSHAKES_FAILED.load(Relaxed),
        }
    }
}

pub(crate) fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Relaxed);
}
