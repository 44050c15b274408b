//! What became of a listener's TLS handshakes: counted, and the last failures kept.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use crate::error::{Error, Limit};

/// Failures that are kept until somebody asks for them.
const KEPT: usize = 256;

#[derive(Debug, Default)]
pub(crate) struct HandshakeLog {
    finished: AtomicU64,
    failed: AtomicU64,
    timed_out: AtomicU64,
    evicted: AtomicU64,
    last: Mutex<VecDeque<Error>>,
}

/// How many TLS handshakes of a listener came to what: see
/// [`Listener::handshakes`](crate::Listener::handshakes).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct HandshakeCounters {
    /// Finished, and the connection was accepted.
    pub finished: u64,
    /// Failed, in whatever way but those that follow.
    pub failed: u64,
    /// Not finished within `handshake_timeout`, or without their header within `proxy_timeout`.
    pub timed_out: u64,
    /// Closed before they had begun, because too many were under way.
    pub evicted: u64,
}

impl HandshakeLog {
    pub(crate) fn finished(&self) {
        self.finished.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn failed(&self, error: Error) {
        let count = match error.limit() {
            Some(Limit::Handshake | Limit::Proxy) => &self.timed_out,
            _ => &self.failed,
        };
        count.fetch_add(1, Ordering::Relaxed);
        self.keep(error);
    }

    pub(crate) fn evicted(&self, error: Error) {
        self.evicted.fetch_add(1, Ordering::Relaxed);
        self.keep(error);
    }

    fn keep(&self, error: Error) {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if last.len() == KEPT {
            last.pop_front();
        }
        last.push_back(error);
    }

    pub(crate) fn counters(&self) -> HandshakeCounters {
        let read = |count: &AtomicU64| count.load(Ordering::Relaxed);
        HandshakeCounters {
            finished: read(&self.finished),
            failed: read(&self.failed),
            timed_out: read(&self.timed_out),
            evicted: read(&self.evicted),
        }
    }

    /// The failures since the last call.
    pub(crate) fn take_failures(&self) -> Vec<Error> {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        last.drain(..).collect()
    }
}
