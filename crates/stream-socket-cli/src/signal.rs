//! The signals that ask the command to end, TERM and INT, and the one to look again: HUP.

use std::io::{self, ErrorKind, Read};
use std::process;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use signal_hook::consts::{SIGCHLD, SIGHUP, SIGINT, SIGTERM};
use signal_hook::{flag, low_level};
use stream_socket::{Stream, Transport};

use crate::failure::Failure;

/// A second signal this soon is the first one told twice: timeout(1) sends it to the process and
/// then to its whole group.
pub(crate) const SAME_SIGNAL: Duration = Duration::from_millis(100);

/// Whether this is process 1, as in a container, to which the kernel gives all orphans.
pub(crate) fn is_init() -> bool {
    process::id() == 1
}

/// The numbers of the signals, kept until the loop has time for them.
#[derive(Debug)]
pub(crate) struct Signals {
    /// Readable when a signal has come.
    wake: Stream,
    /// The last of those that ask to end.
    last: Arc<AtomicUsize>,
    /// HUP, which must not take the place of one that asks to end.
    hang_up: Arc<AtomicUsize>,
    /// What is no more than a reason to wake.
    _others: Arc<AtomicUsize>,
}

impl Signals {
    /// From here on TERM and INT no longer end the process by themselves.
    pub(crate) fn install() -> Result<Self, Failure> {
        Self::of(&[SIGTERM, SIGINT])
    }

    /// The same, and HUP does not either.
    pub(crate) fn install_with_hang_up() -> Result<Self, Failure> {
        Self::of(&[SIGTERM, SIGINT, SIGHUP])
    }

    /// The same; and where orphans are this process's to reap, it wakes for them, too.
    pub(crate) fn install_as_parent() -> Result<Self, Failure> {
        let signals: &[i32] = &[SIGTERM, SIGINT, SIGHUP, SIGCHLD];
        Self::of(if is_init() { signals } else { &signals[..3] })
    }

    fn of(signals: &[i32]) -> Result<Self, Failure> {
        let (mut wake, sender) = Stream::pair(Transport::Unix)?;
        wake.set_blocking(false);
        let (sender, _) = sender.into_parts()?;
        let (last, hang_up, others) = <(Arc<AtomicUsize>, Arc<_>, Arc<_>)>::default();
        for &signal in signals {
            let place = match signal {
                SIGHUP => &hang_up,
                SIGCHLD => &others,
                _ => &last,
            };
            // In this order: the number is there when the loop wakes.
            let installed = flag::register_usize(signal, Arc::clone(place), signal as usize)
                .and_then(|_| sender.try_clone())
                .and_then(|sender| low_level::pipe::register(signal, sender));
            installed.map_err(|error| {
                Failure::System("cannot install a signal handler".to_owned(), error)
            })?;
        }
        Ok(Self {
            wake,
            last,
            hang_up,
            _others: others,
        })
    }

    /// What becomes readable with a signal.
    pub(crate) fn wake(&self) -> &Stream {
        &self.wake
    }

    /// The signal that has come since the last call: rather one that asks to end, of which HUP is
    /// then left for the next.
    pub(crate) fn take(&mut self) -> Option<Signal> {
        let mut bytes = [0; 64];
        while matches!(self.wake.read(&mut bytes), Ok(count) if count == bytes.len()) {}
        let places = [&self.last, &self.hang_up];
        let mut numbers = places
            .into_iter()
            .map(|place| place.swap(0, Ordering::SeqCst));
        numbers.find(|number| *number != 0).map(Signal)
    }
}

/// A signal that came.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Signal(usize);

impl Signal {
    /// Its name, as in `TERM`.
    pub(crate) fn name(self) -> &'static str {
        match i32::try_from(self.0) {
            Ok(SIGINT) => "INT",
            Ok(SIGHUP) => "HUP",
            _ => "TERM",
        }
    }

    /// Whether it asks to look again at what may have changed, not to end.
    pub(crate) fn is_hang_up(self) -> bool {
        i32::try_from(self.0) == Ok(SIGHUP)
    }

    /// Ends the process as the signal would have: the shell tells 128 and its number. It returns
    /// in process 1, for which the kernel has no such end.
    pub(crate) fn die(self) -> Failure {
        let number = i32::try_from(self.0).unwrap_or(SIGTERM);
        if is_init() {
            return Failure::Signal(self.name(), self.0.try_into().unwrap_or_default());
        }
        let error = match low_level::emulate_default_handler(number) {
            Err(error) => error,
            Ok(()) => io::Error::from(io::ErrorKind::Other),
        };
        Failure::System(format!("cannot die of {}", self.name()), error)
    }
}

/// A signal that interrupts a wait is found in its own place.
pub(crate) fn ignore_interruption(result: stream_socket::Result<usize>) -> Result<(), Failure> {
    match result {
        Err(error) if error.io_kind() != ErrorKind::Interrupted => Err(error.into()),
        _ => Ok(()),
    }
}
