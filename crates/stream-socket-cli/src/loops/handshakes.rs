//! What is told of TLS handshakes that failed: who it was and why, a few in a second, and how many
//! more there were.

use std::sync::Weak;

use stream_socket::{Listener, Stage};

/// As many are told one by one, for each time that it is looked. What comes faster is a scan or a
/// flood, and is told as a number.
const TOLD: usize = 10;

/// What was found when it was last looked.
#[derive(Default)]
pub(super) struct Handshakes {
    /// How many had failed since the start.
    failed: u64,
}

impl Handshakes {
    /// Tells of those that failed since the last time.
    pub(super) fn look(&mut self, listeners: &[Weak<Listener>]) {
        let mut failures = Vec::new();
        let mut failed = 0;
        for listener in listeners.iter().filter_map(Weak::upgrade) {
            failures.extend(listener.take_handshake_failures());
            let counters = listener.handshakes().unwrap_or_default();
            failed += counters.failed + counters.timed_out + counters.evicted;
        }
        let told = failures.len().min(TOLD);
        for error in &failures[..told] {
            let (peer, reason) = (error.url(), error.reason());
            match error.stage() {
                Stage::Proxy => tracing::warn!(peer, reason, "no PROXY header"),
                Stage::Accept => tracing::warn!(peer, reason, "not accepted"),
                _ => tracing::warn!(peer, reason, "no handshake"),
            }
        }
        // Of listeners that are gone, nothing is counted any more.
        let failed = failed.max(self.failed + failures.len() as u64);
        let untold = failed - self.failed - told as u64;
        if untold > 0 {
            tracing::warn!(
                count = untold,
                "no handshake with others, not told one by one"
            );
        }
        self.failed = failed;
    }
}
