//! One relay's way to its target, and the line that tells of its end.

use std::sync::Arc;
use std::time::{Duration, Instant};

use stream_socket::engine::{Dial, RelayEnding, RelayReport};
use stream_socket::{Error, Result, Route, Stage, Stream};

use super::destination::{Destination, Short};
use crate::log::milliseconds;
use crate::loops::Live;

/// The pause before a target is tried again: twice as long each time.
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// ENFILE and EMFILE: no descriptor is left, of the system's or of the process's.
const LACKS: [i32; 2] = [23, 24];

/// Connects for one client.
pub(super) struct Dialler {
    destination: Arc<Destination>,
    begun: Instant,
    /// How often it has been tried in vain.
    tries: u32,
    /// While it has found no descriptor.
    short: Option<Short>,
    _live: Live,
}

impl Dialler {
    pub(super) fn new(destination: Arc<Destination>, live: Live) -> Self {
        Self {
            destination,
            begun: Instant::now(),
            tries: 0,
            short: None,
            _live: live,
        }
    }
}

impl Dial for Dialler {
    fn dial(&mut self, client: &Stream) -> Result<Route> {
        self.short = None;
        self.destination.route_for(client)
    }

    fn failed(&mut self, error: &Error) -> Option<Duration> {
        if error.stage() != Stage::Resolve {
            self.destination.look_again();
        }
        // A descriptor is taken once, and a second look would hide why it was refused.
        if self.destination.url().transport().is_inherited() {
            return None;
        }
        if error.errno().is_some_and(|errno| LACKS.contains(&errno)) {
            self.short = Some(Short::new(&self.destination));
        }
        let pause = FIRST_PAUSE
            .saturating_mul(1 << self.tries.min(5))
            .min(LONGEST_PAUSE);
        self.tries += 1;
        // The last time when it is over.
        let left = self
            .destination
            .patience()
            .retry
            .saturating_sub(self.begun.elapsed());
        (!left.is_zero()).then(|| pause.min(left))
    }

    fn ended(&mut self, report: &RelayReport<'_>) {
        if !tracing::enabled!(tracing::Level::WARN) {
            return;
        }
        let RelayReport {
            client,
            up,
            down,
            ending,
            ..
        } = report;
        let target = report.target.filter(|_| self.destination.is_direct());
        let target = target.map_or_else(
            || self.destination.url().to_string(),
            |target| target.to_string(),
        );
        let milliseconds = milliseconds(self.begun.elapsed());
        if let RelayEnding::Unreached(_) = ending {
            tracing::warn!(peer = %client, %target, up, down, milliseconds, "{ending}");
        } else {
            tracing::info!(peer = %client, %target, up, down, milliseconds, "{ending}");
        }
    }
}
