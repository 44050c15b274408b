//! The signals that ask the command to end, TERM and INT, and the one to look again: HUP.

use std::io::{self, ErrorKind, Read};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::{flag, low_level};
use stream_socket::{Stream, Transport};

use crate::failure::Failure;

/// A second signal this soon is the first one told twice: timeout(1) sends it to the process and
/// then to its whole group.
pub(crate) const SAME_SIGNAL: Duration = Duration::from_millis(100);

/// The numbers of the signals, kept until the loop has time for them.
#[derive(Debug)]
pub(crate) struct Signals {
    /// Readable when a signal has come.
    wake: Stream,
    /// The last of those that ask to end.
    last: Arc<AtomicUsize>,
    /// HUP, which must not take the place of one that asks to end.
    hang_up: Arc<AtomicUsize>,
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

    fn of(signals: &[i32]) -> Result<Self, Failure> {
        let (mut wake, sender) = Stream::pair(Transport::Unix)?;
        wake.set_blocking(false);
        let (sender, _) = sender.into_parts()?;
        let (last, hang_up) = <(Arc<AtomicUsize>, Arc<AtomicUsize>)>::default();
        for &signal in signals {
            let place = if signal == SIGHUP { &hang_up } else { &last };
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

    /// Ends the process as the signal would have: the shell tells 128 and its number.
    pub(crate) fn die(self) -> Failure {
        let number = i32::try_from(self.0).unwrap_or(SIGTERM);
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
