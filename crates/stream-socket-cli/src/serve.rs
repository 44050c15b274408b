//! Serving: the library's engine in as many threads as asked for, over listeners they all share.
//!
//! Each loop accepts from every listener of connections; a socket of datagrams belongs to one loop,
//! which answers in batches or receives for all the peers.

mod beside;
mod connection;
mod conversation;
mod correspondence;
mod dialogue;
mod entrances;
mod lingering;
mod mailbox;
mod process;
mod program;
mod running;
mod served;
mod servers;
mod spares;

use std::sync::Arc;

use stream_socket::engine::{Control, Engine};
use stream_socket::{DatagramSocket, ListenOptions, Listener, Stream};

pub(crate) use self::entrances::Entrances;
pub(crate) use self::program::Program;
use self::served::Desk;
use crate::failure::Failure;
use crate::loops::{Body, Loops, Settings, Start, lifeline};
use crate::service::Service;
use crate::signal::Signals;

/// Who answers clients.
#[derive(Debug)]
pub(crate) enum Answerer {
    /// One of the small services.
    Service(Service),
    /// A program, started anew for each connection.
    Program(Arc<Program>),
}

/// Serves until it is told to end and the last connection has finished.
pub(crate) fn run(
    answerer: Answerer,
    entrances: Entrances,
    signals: Signals,
    settings: Settings,
) -> Result<(), Failure> {
    let (closed, open) = lifeline()?;
    let desk = Desk::new(Arc::new(answerer), entrances.addresses());
    let watched = entrances.listeners.iter().chain(&entrances.peers);
    let watched = watched
        .map(|(listener, _)| Arc::downgrade(listener))
        .collect();
    let live = desk.live().clone();
    let shares = share(entrances.sockets, settings.threads).into_iter();
    let shares = shares.zip(share(entrances.peers, settings.threads));
    let bodies = shares.map(|(sockets, peers)| -> Body {
        let (mut listeners, desk) = (entrances.listeners.clone(), desk.clone());
        let open = Arc::clone(&open);
        listeners.extend(peers);
        Box::new(move |control, start| serve(control, listeners, sockets, desk, (open, start)))
    });
    let bodies = bodies.collect();
    drop((entrances.listeners, desk, open));
    let loops = Loops {
        bodies,
        closed,
        live,
        listeners: watched,
        drain: settings.drain,
        reload: Box::new(|| ()),
    };
    loops.run(signals)
}

/// Gives each socket of datagrams to one of the loops.
fn share<T>(sockets: Vec<T>, threads: usize) -> Vec<Vec<T>> {
    let mut shares: Vec<Vec<T>> = (0..threads.max(1)).map(|_| Vec::new()).collect();
    let count = shares.len();
    for (index, socket) in sockets.into_iter().enumerate() {
        shares[index % count].push(socket);
    }
    shares
}

/// One loop, in a thread of its own.
fn serve(
    control: &Control,
    listeners: Vec<(Arc<Listener>, ListenOptions)>,
    sockets: Vec<DatagramSocket>,
    desk: Desk,
    (open, start): (Arc<Stream>, Start),
) -> stream_socket::Result<()> {
    let mut engine = Engine::new(control)?;
    for (listener, options) in listeners {
        let (desk, url) = (desk.clone(), listener.url().clone());
        let has_room = desk.room(listener.transport(), Arc::clone(&open));
        engine.listen_while(listener, has_room, move |stream| {
            tracing::info!(peer = %stream, %url, "accepted");
            desk.serve(stream, &options)
        })?;
    }
    for mailbox in desk.mailboxes(sockets, &open) {
        engine.add(mailbox)?;
    }
    drop((desk, open, start));
    engine.run()
}
