//! What is told of those that were refused: that it has begun, not each of them, and how many
//! there were when it is over.

use std::sync::Weak;

use stream_socket::Listener;
use stream_socket::engine::Control;

/// What was found when it was last looked.
#[derive(Default)]
pub(super) struct Refusals {
    counted: Counted,
    go_on: bool,
}

/// How many were refused since the start, and why.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
struct Counted {
    full: u64,
    per_ip: u64,
    exhausted: u64,
    /// Datagrams of new peers that found no place.
    peers: u64,
    /// Datagrams that came faster than they were read.
    overflowed: u64,
    /// Datagrams without the header of a proxy that is believed.
    unproxied: u64,
}

impl Refusals {
    /// Looks whether there were any since the last time, of connections or of the peers of these
    /// listeners.
    pub(super) fn look(&mut self, control: &Control, listeners: &[Weak<Listener>]) {
        let counted = self.counted.now(control, listeners);
        let go_on = counted != self.counted;
        self.counted = counted;
        let Counted {
            full,
            per_ip,
            exhausted,
            peers,
            overflowed,
            unproxied,
        } = counted;
        if go_on && !self.go_on {
            tracing::warn!(
                full,
                per_ip,
                exhausted,
                peers,
                overflowed,
                unproxied,
                "refused for lack of places, descriptors or headers; counted since the start"
            );
        } else if self.go_on && !go_on {
            tracing::info!(
                full,
                per_ip,
                exhausted,
                peers,
                overflowed,
                unproxied,
                "no longer refused; counted since the start"
            );
        }
        self.go_on = go_on;
    }
}

impl Counted {
    fn now(self, control: &Control, listeners: &[Weak<Listener>]) -> Self {
        let counters = control.counters();
        let mut counted = Self {
            full: counters.refused_full,
            per_ip: counters.refused_per_ip,
            exhausted: counters.exhausted,
            ..Self::default()
        };
        for listener in listeners.iter().filter_map(Weak::upgrade) {
            let dropped = listener.peers().unwrap_or_default();
            counted.peers += dropped.refused;
            counted.overflowed += dropped.overflowed;
            counted.unproxied += dropped.unproxied;
        }
        // Of listeners that are gone, what was counted last remains.
        counted.peers = counted.peers.max(self.peers);
        counted.overflowed = counted.overflowed.max(self.overflowed);
        counted.unproxied = counted.unproxied.max(self.unproxied);
        counted
    }
}
