//! An instant by which an operation ends, or never. The only reader of the clock.
//!
//! Floor 0. A timeout (a span) is turned into a [`Deadline`] (an instant) once, when an operation
//! begins; every step of it then asks how long is left.

use std::num::NonZeroU64;
use std::time::{Duration, Instant};

/// The instant by which an operation must end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Deadline(Option<Instant>);

impl Deadline {
    /// No limit.
    pub(crate) const NEVER: Deadline = Deadline(None);

    /// `timeout` from now; `None`, or a span that leads past the end of the clock, is no limit.
    pub(crate) fn after(timeout: Option<Duration>) -> Self {
        // A zero timeout looks once and never needs the clock.
        Self(timeout.and_then(|span| clock::now().checked_add(span)))
    }

    /// How long is left, zero when it has passed; `None` without a limit.
    pub(crate) fn remaining(self) -> Option<Duration> {
        self.0
            .map(|instant| instant.saturating_duration_since(clock::now()))
    }

    /// Whether it has passed.
    pub(crate) fn has_passed(self) -> bool {
        self.remaining().is_some_and(|left| left.is_zero())
    }

    /// The instant, if there is one.
    pub(crate) fn instant(self) -> Option<Instant> {
        self.0
    }

    /// The earlier of the two.
    pub(crate) fn min(self, other: Deadline) -> Self {
        match (self.0, other.0) {
            (Some(a), Some(b)) => Self(Some(a.min(b))),
            (a, b) => Self(a.or(b)),
        }
    }
}

/// An instant in half the memory: nanoseconds since a time before all others of this process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Moment(NonZeroU64);

impl Moment {
    /// `span` later; `None` past the end of the clock, in six hundred years.
    pub(crate) fn after(self, span: Duration) -> Option<Self> {
        let span = u64::try_from(span.as_nanos()).ok()?;
        self.0.checked_add(span).map(Self)
    }

    /// The instant.
    pub(crate) fn instant(self) -> Instant {
        clock::origin() + Duration::from_nanos(self.0.get() - 1)
    }
}

impl From<Instant> for Moment {
    fn from(instant: Instant) -> Self {
        let since = instant.saturating_duration_since(clock::origin());
        let since = u64::try_from(since.as_nanos()).unwrap_or(u64::MAX);
        Self(NonZeroU64::MIN.saturating_add(since))
    }
}

/// The clock: the system's, and in simulation one that tests push forward.
pub(crate) mod clock {
    use std::sync::OnceLock;
    use std::time::Instant;

    /// What moments are counted from.
    pub(super) fn origin() -> Instant {
        static ORIGIN: OnceLock<Instant> = OnceLock::new();
        *ORIGIN.get_or_init(Instant::now)
    }

    #[cfg(not(feature = "simulation"))]
    pub(crate) fn now() -> Instant {
        Instant::now()
    }

    #[cfg(feature = "simulation")]
    pub use simulated::advance;
    #[cfg(feature = "simulation")]
    pub(crate) use simulated::now;

    #[cfg(feature = "simulation")]
    mod simulated {
        use std::cell::Cell;
        use std::time::{Duration, Instant};

        thread_local! {
            static AHEAD: Cell<Duration> = const { Cell::new(Duration::ZERO) };
        }

        pub(crate) fn now() -> Instant {
            Instant::now() + AHEAD.get()
        }

        /// Pushes this thread's clock forward.
        pub fn advance(span: Duration) {
            AHEAD.set(AHEAD.get() + span);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_timeout_and_an_endless_one_never_pass() {
        for timeout in [None, Some(Duration::MAX)] {
            let deadline = Deadline::after(timeout);
            assert_eq!(deadline, Deadline::NEVER, "{timeout:?}");
            assert_eq!(deadline.remaining(), None);
            assert!(!deadline.has_passed());
        }
    }

    #[test]
    fn zero_has_passed_at_once() {
        let deadline = Deadline::after(Some(Duration::ZERO));
        assert!(deadline.has_passed());
        assert_eq!(deadline.remaining(), Some(Duration::ZERO));
    }

    #[test]
    fn a_moment_is_an_instant() {
        let now = clock::now();
        let (here, span) = (Moment::from(now), Duration::from_millis(1500));
        assert_eq!(here.instant(), now.max(clock::origin()));
        assert_eq!(here.after(span), Some(Moment::from(here.instant() + span)));
        assert_eq!(here.after(Duration::MAX), None);
        assert!(here < Moment::from(now + span));
        assert_eq!(size_of::<Option<Moment>>(), 8);
    }

    #[test]
    fn the_earlier_of_two_counts() {
        let soon = Deadline::after(Some(Duration::from_secs(1)));
        let late = Deadline::after(Some(Duration::from_secs(100)));
        assert_eq!(soon.min(late), soon);
        assert_eq!(Deadline::NEVER.min(soon), soon);
        assert_eq!(soon.min(Deadline::NEVER), soon);
    }
}
