//! Sockets that are kept open, and the workers that inherit them.
//!
//! One thread, which waits for signals, for the ends of workers and for the time; all that it knows
//! of them is in the `Crew`.

mod crew;
mod launcher;
mod post;
mod sockets;
mod worker;

use std::time::Instant;

use stream_socket::{Interest, Member, select};

pub(crate) use self::crew::{Crew, Terms};
pub(crate) use self::launcher::{Launcher, launched};
pub(crate) use self::sockets::Sockets;
use crate::failure::Failure;
use crate::notify;
use crate::signal::{SAME_SIGNAL, Signals, ignore_interruption};

/// Keeps the workers until a signal ends them, and they have.
pub(crate) fn run(mut crew: Crew, mut signals: Signals) -> Result<(), Failure> {
    let mut draining: Option<Instant> = None;
    while !crew.is_gone() {
        if wait(&crew, &signals)? {
            crew.call();
        }
        let now = Instant::now();
        crew.tend(now);
        match (signals.take(), draining) {
            (None, _) => {}
            (Some(signal), None) if signal.is_hang_up() => crew.replace(now),
            (Some(signal), Some(_)) if signal.is_hang_up() => {}
            (Some(signal), None) => {
                draining = Some(now);
                notify::stopping();
                let workers = crew.count();
                crew.dismiss(now);
                tracing::info!(signal = signal.name(), workers, "draining");
            }
            (Some(_), Some(since)) if now < since + SAME_SIGNAL => {}
            (Some(signal), Some(_)) => {
                tracing::info!(signal = signal.name(), "ending at once");
                drop(crew);
                return Err(signal.die());
            }
        }
    }
    Ok(())
}

/// Waits for a signal, for the end of a worker, or until something is due; whether a client has
/// come whom nobody else waits for.
fn wait(crew: &Crew, signals: &Signals) -> Result<bool, Failure> {
    let now = Instant::now();
    let sockets = crew.awaited(now);
    let awaited = sockets
        .iter()
        .map(|socket| Member::new(socket, Interest::READ));
    let mut members: Vec<_> = awaited.collect();
    members.push(Member::new(signals.wake(), Interest::READ));
    members.extend(crew.ends().map(|end| Member::new(end, Interest::READ)));
    let timeout = crew.due(now).map(|due| due.saturating_duration_since(now));
    ignore_interruption(select(&mut members, timeout))?;
    let mut awaited = members.iter().take(sockets.len());
    Ok(awaited.any(|socket| socket.readiness().any()))
}
