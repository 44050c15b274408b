//! Loops of the library's engine, each in a thread of its own, and the main thread that waits for
//! signals and for their end.

mod handshakes;
mod live;
mod refusals;
mod watch;

use std::sync::{Arc, Barrier, Weak};
use std::thread;
use std::time::Duration;

use stream_socket::engine::Control;
use stream_socket::{Listener, Stream, Transport};

pub(crate) use self::live::{Live, LiveCount};
use self::watch::Watch;
use crate::failure::Failure;
use crate::signal::Signals;

/// What one thread does: it makes a loop, drops the start, and runs the loop until the control ends
/// it.
pub(crate) type Body = Box<dyn FnOnce(&Control, Start) -> stream_socket::Result<()> + Send>;

/// Dropping it waits until all loops are made: those who come before would take the descriptors
/// that the last one needs.
pub(crate) struct Start(Arc<Barrier>);

impl Drop for Start {
    fn drop(&mut self) {
        self.0.wait();
    }
}

/// How many loops there are, and how they end.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Settings {
    pub(crate) threads: usize,
    pub(crate) drain: Duration,
}

/// What there is to be run.
pub(crate) struct Loops {
    /// One for each thread.
    pub(crate) bodies: Vec<Body>,
    /// Ends when nobody can connect any more.
    pub(crate) closed: Stream,
    pub(crate) live: LiveCount,
    /// What is accepted from, by whichever loop.
    pub(crate) listeners: Vec<Weak<Listener>>,
    pub(crate) drain: Duration,
    /// What is done on HUP, where that does not end the command.
    pub(crate) reload: Box<dyn FnMut()>,
}

impl Loops {
    /// Runs them until a signal has ended them and the last connection has finished.
    pub(crate) fn run(self, signals: Signals) -> Result<(), Failure> {
        let control = Control::new();
        let (ended, alive) = lifeline()?;
        let made = Arc::new(Barrier::new(self.bodies.len()));
        let start = |body: Body| {
            let (control, alive) = (control.clone(), Arc::clone(&alive));
            let start = Start(Arc::clone(&made));
            thread::spawn(move || {
                let result = body(&control, start);
                if result.is_err() {
                    control.stop();
                }
                drop(alive);
                result
            })
        };
        let threads: Vec<_> = self.bodies.into_iter().map(start).collect();
        drop(alive);
        let watch = Watch {
            control,
            signals,
            closed: self.closed,
            ended,
            live: self.live,
            listeners: self.listeners,
            drain: self.drain,
            reload: self.reload,
        };
        watch.run()?;
        threads
            .into_iter()
            .try_for_each(|engine| match engine.join() {
                Ok(result) => result.map_err(Failure::from),
                Err(panic) => std::panic::resume_unwind(panic),
            })
    }
}

/// A stream that ends when the last clone of the other one is dropped, in whatever thread.
pub(crate) fn lifeline() -> Result<(Stream, Arc<Stream>), Failure> {
    let (here, there) = Stream::pair(Transport::Unix)?;
    Ok((here, Arc::new(there)))
}
