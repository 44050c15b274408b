//! Serving: the library's engine in as many threads as asked for, over listeners they all share.
//!
//! The main thread waits for signals and for the loops to end. Each loop accepts from every
//! listener; a socket of datagrams belongs to one loop, since its answers go in batches.

mod connection;
mod correspondence;
mod entrances;
mod mailbox;
mod program;
mod served;

use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use stream_socket::engine::{Control, Engine};
use stream_socket::{DatagramSocket, Interest, ListenOptions, Listener, Member, Stream, select};

pub(crate) use self::entrances::Entrances;
use self::mailbox::Mailbox;
pub(crate) use self::program::Program;
use self::served::{Desk, Served};
use crate::failure::Failure;
use crate::notify;
use crate::service::Service;
use crate::signal::{Signal, Signals};

/// A second signal this soon is the first one told twice: timeout(1) sends it to the process and
/// then to its whole group.
const SAME_SIGNAL: Duration = Duration::from_millis(100);

/// How often it is looked whether connections were refused, which is then told once for all.
const REPORT: Duration = Duration::from_secs(1);

/// Who answers clients.
#[derive(Debug)]
pub(crate) enum Answerer {
    /// One of the small services.
    Service(Service),
    /// A program, started anew for each connection.
    Program(Program),
}

/// How it is served.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Settings {
    pub(crate) threads: usize,
    pub(crate) drain: Duration,
}

/// Serves until it is told to end and the last connection has finished.
pub(crate) fn run(
    answerer: Answerer,
    entrances: Entrances,
    mut signals: Signals,
    settings: Settings,
) -> Result<(), Failure> {
    let control = Control::new();
    let answerer = Arc::new(answerer);
    let (ended, loops_alive) = Stream::pair(stream_socket::Transport::Unix)?;
    let loops_alive = Arc::new(loops_alive);
    let own = entrances.addresses();
    let listeners = Arc::new(entrances.listeners);
    let mut shares = share(entrances.sockets, settings.threads);
    let mut loops = Vec::with_capacity(settings.threads);
    while let Some(sockets) = shares.pop() {
        let (control, alive) = (control.clone(), Arc::clone(&loops_alive));
        let desk = Desk::new(Arc::clone(&answerer), own.clone());
        let listeners = Arc::clone(&listeners);
        loops.push(thread::spawn(move || {
            let result = serve(&control, &listeners, sockets, desk);
            drop(listeners);
            if result.is_err() {
                control.stop();
            }
            drop(alive);
            result
        }));
    }
    drop((loops_alive, listeners));
    watch(&mut signals, &ended, &control, settings.drain)?;
    loops
        .into_iter()
        .try_for_each(|engine| match engine.join() {
            Ok(result) => result.map_err(Failure::from),
            Err(panic) => std::panic::resume_unwind(panic),
        })
}

/// Gives each socket of datagrams to one of the loops.
fn share(sockets: Vec<DatagramSocket>, threads: usize) -> Vec<Vec<DatagramSocket>> {
    let mut shares: Vec<Vec<DatagramSocket>> = (0..threads.max(1)).map(|_| Vec::new()).collect();
    let count = shares.len();
    for (index, socket) in sockets.into_iter().enumerate() {
        shares[index % count].push(socket);
    }
    shares
}

/// One loop, in a thread of its own.
fn serve(
    control: &Control,
    listeners: &[(Arc<Listener>, ListenOptions)],
    sockets: Vec<DatagramSocket>,
    desk: Desk,
) -> stream_socket::Result<()> {
    let mut engine = Engine::new(control)?;
    for (listener, options) in listeners {
        let (desk, options) = (desk.clone(), options.clone());
        let url = listener.url().clone();
        engine.listen(Arc::clone(listener), move |stream| {
            tracing::info!(peer = %stream, %url, "accepted");
            desk.serve(stream, &options)
        })?;
    }
    for socket in sockets {
        engine.add(Served::Mailbox(desk.mailbox(Mailbox::new(socket))))?;
    }
    engine.run()
}

/// Waits for signals until the loops have ended.
fn watch(
    signals: &mut Signals,
    ended: &Stream,
    control: &Control,
    drain: Duration,
) -> Result<(), Failure> {
    let mut draining: Option<Instant> = None;
    let mut refused = 0;
    loop {
        let mut members = [
            Member::new(signals.wake(), Interest::READ),
            Member::new(ended, Interest::READ),
        ];
        let told = control.counters();
        match select(&mut members, (told.accepted > 0).then_some(REPORT)) {
            Err(error) if error.io_kind() != std::io::ErrorKind::Interrupted => {
                return Err(error.into());
            }
            _ => {}
        }
        if members[1].readiness().any() {
            return Ok(());
        }
        refused = report(control, refused);
        let now = Instant::now();
        match (signals.take(), draining) {
            (None, _) => {}
            (Some(signal), None) => {
                begin_to_drain(control, signal, drain);
                draining = Some(now);
            }
            (Some(_), Some(since)) if now < since + SAME_SIGNAL => {}
            (Some(signal), Some(_)) => {
                tracing::info!(signal = signal.name(), "ending at once");
                return Err(signal.die());
            }
        }
    }
}

fn begin_to_drain(control: &Control, signal: Signal, drain: Duration) {
    notify::stopping();
    let counters = control.counters();
    let connections = counters.accepted.saturating_sub(counters.closed);
    tracing::info!(signal = signal.name(), connections, "draining");
    control.drain(drain);
}

/// Tells of connections that were refused since the last time.
fn report(control: &Control, told: u64) -> u64 {
    let counters = control.counters();
    let (full, per_ip) = (counters.refused_full, counters.refused_per_ip);
    let exhausted = counters.exhausted;
    let refused = full + per_ip + exhausted;
    if refused > told {
        tracing::warn!(
            full,
            per_ip,
            exhausted,
            "refused for lack of places or descriptors; counted since the start"
        );
    }
    refused
}
