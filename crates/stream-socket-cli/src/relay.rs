//! Relaying: the library's relays, in as many threads as asked for, over listeners they all share.
//!
//! A listener of datagrams belongs to one loop.

mod destination;
mod dialler;
mod directory;

use std::sync::Arc;

use stream_socket::engine::{Control, Engine, Relay};
use stream_socket::{Listener, Stream};

pub(crate) use self::destination::{Destination, Patience};
use self::dialler::Dialler;
use crate::failure::Failure;
use crate::limits::Limits;
use crate::loops::{Body, LiveCount, Loops, Settings, Start, lifeline};
use crate::signal::Signals;

/// Relays until it is told to end and the last connection has finished.
pub(crate) fn run(
    listeners: Vec<Listener>,
    limits: Vec<Limits>,
    destination: Destination,
    signals: Signals,
    settings: Settings,
) -> Result<(), Failure> {
    let (closed, open) = lifeline()?;
    let (listeners, destination) = (shared(listeners), Arc::new(destination));
    let live = LiveCount::default();
    let body = |index: usize| -> Body {
        let mine = |listener: &&Arc<Listener>| index == 0 || !listener.transport().is_datagram();
        let listeners: Vec<_> = listeners.iter().filter(mine).cloned().collect();
        let (destination, live, open) = (Arc::clone(&destination), live.clone(), Arc::clone(&open));
        Box::new(move |control, start| {
            relay(control, listeners, &destination, &live, (open, start))
        })
    };
    let watched: Vec<_> = listeners.iter().map(Arc::downgrade).collect();
    let limited: Vec<_> = watched.iter().cloned().zip(limits).collect();
    let bodies = (0..settings.threads.max(1)).map(body).collect();
    drop((listeners, open));
    let loops = Loops {
        bodies,
        closed,
        live,
        listeners: watched,
        drain: settings.drain,
        reload: Box::new(move || {
            destination.renew();
            for (listener, limits) in &limited {
                if let Some(listener) = listener.upgrade() {
                    limits.renew(&listener);
                }
            }
        }),
    };
    loops.run(signals)
}

fn shared(listeners: Vec<Listener>) -> Vec<Arc<Listener>> {
    listeners.into_iter().map(Arc::new).collect()
}

/// One loop, in a thread of its own.
fn relay(
    control: &Control,
    listeners: Vec<Arc<Listener>>,
    destination: &Arc<Destination>,
    live: &LiveCount,
    (open, start): (Arc<Stream>, Start),
) -> stream_socket::Result<()> {
    let mut engine = Engine::new(control)?;
    for listener in listeners {
        let (destination, live) = (Arc::clone(destination), live.clone());
        // Held as long as newcomers are accepted.
        let open = Arc::clone(&open);
        // What datagrams bring is received by a loop that waits for nobody.
        let waits = !listener.transport().is_datagram();
        let towards = Arc::clone(&destination);
        let has_room = move || {
            _ = &open;
            !waits || towards.has_room()
        };
        engine.listen_while(listener, has_room, move |client| {
            let half_closed = destination.patience().half_closed;
            let dialler = Dialler::new(Arc::clone(&destination), live.enter());
            Some(Relay::new(client, dialler).half_closed(half_closed))
        })?;
    }
    drop((open, start));
    engine.run()
}
