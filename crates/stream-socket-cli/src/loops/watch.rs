//! What the main thread does while the loops work: it waits for signals and for their end.

use std::sync::Weak;
use std::time::{Duration, Instant};

use stream_socket::engine::Control;
use stream_socket::{Interest, Listener, Member, Stream, select};

use super::LiveCount;
use super::handshakes::Handshakes;
use super::refusals::Refusals;
use crate::failure::Failure;
use crate::notify;
use crate::signal::{SAME_SIGNAL, Signal, Signals, ignore_interruption};

/// How often it is looked whether connections are refused, and handshakes failed.
const REPORT: Duration = Duration::from_secs(1);

/// What the main thread does while the loops serve.
pub(super) struct Watch {
    pub(super) control: Control,
    pub(super) signals: Signals,
    /// Ends when nobody can connect any more.
    pub(super) closed: Stream,
    /// Ends when all loops have.
    pub(super) ended: Stream,
    pub(super) live: LiveCount,
    /// What is accepted from, by whichever loop.
    pub(super) listeners: Vec<Weak<Listener>>,
    pub(super) drain: Duration,
    /// What is done on HUP.
    pub(super) reload: Box<dyn FnMut()>,
}

/// A drain that has begun.
struct Drain {
    signal: Signal,
    since: Instant,
    /// Whether everything that newcomers could use is closed, and that has been told.
    is_told: bool,
}

/// What has come while the main thread waited.
struct News {
    closed: bool,
    ended: bool,
}

impl Watch {
    /// Waits for signals until the loops have ended.
    pub(super) fn run(mut self) -> Result<(), Failure> {
        let mut draining: Option<Drain> = None;
        let (mut refusals, mut handshakes) = (Refusals::default(), Handshakes::default());
        let mut looked = Instant::now();
        loop {
            let news = self.wait(draining.as_ref())?;
            if let Some(drain) = draining.as_mut().filter(|_| news.closed) {
                self.tell(drain);
            }
            if news.ended {
                break;
            }
            let (signal, now) = (self.signals.take(), Instant::now());
            // Also with a signal: of a listener that it ends, nothing can be told afterwards.
            if signal.is_some() || now >= looked + REPORT {
                refusals.look(&self.control, &self.listeners);
                handshakes.look(&self.listeners);
                looked = now;
            }
            match (signal, &draining) {
                (None, _) => {}
                (Some(signal), _) if signal.is_hang_up() => {
                    (self.reload)();
                    self.reload_certificates();
                }
                (Some(signal), None) => draining = Some(self.begin_to_drain(signal, now)),
                (Some(_), Some(drain)) if now < drain.since + SAME_SIGNAL => {}
                (Some(signal), Some(_)) => {
                    tracing::info!(signal = signal.name(), "ending at once");
                    return Err(signal.die());
                }
            }
        }
        refusals.look(&self.control, &self.listeners);
        handshakes.look(&self.listeners);
        Ok(())
    }

    /// Reads the files of all certificates again. What can't be used leaves the old ones.
    fn reload_certificates(&self) {
        for listener in self.listeners.iter().filter_map(Weak::upgrade) {
            if !listener.transport().is_tls() {
                continue;
            }
            let (url, fingerprint) = (listener.url(), listener.fingerprint());
            match listener.reload() {
                Ok(true) => {
                    let fingerprint = listener.fingerprint();
                    tracing::info!(%url, fingerprint, "new certificates");
                }
                Ok(false) => tracing::info!(%url, fingerprint, "the same certificates"),
                Err(error) => tracing::warn!(fingerprint, "kept the old certificates: {error}"),
            }
        }
    }

    /// Waits for a signal, for the time to report, or for the end; in a drain that has not been
    /// told yet also until nobody can connect.
    fn wait(&self, draining: Option<&Drain>) -> Result<News, Failure> {
        let mut members = vec![
            Member::new(self.signals.wake(), Interest::READ),
            Member::new(&self.ended, Interest::READ),
        ];
        if draining.is_some_and(|drain| !drain.is_told) {
            members.push(Member::new(&self.closed, Interest::READ));
        }
        ignore_interruption(select(&mut members, Some(REPORT)))?;
        let has_come = |member: &Member<'_>| member.readiness().any();
        Ok(News {
            ended: has_come(&members[1]),
            closed: members.get(2).is_some_and(has_come),
        })
    }

    /// Closes everything that newcomers could use.
    fn begin_to_drain(&self, signal: Signal, now: Instant) -> Drain {
        notify::stopping();
        self.control.drain(self.drain);
        Drain {
            signal,
            since: now,
            is_told: false,
        }
    }

    /// Tells of a drain when it is true: nobody can connect, and the files are gone.
    fn tell(&self, drain: &mut Drain) {
        drain.is_told = true;
        let (signal, connections) = (drain.signal.name(), self.live.get());
        tracing::info!(signal, connections, "draining");
    }
}
