//! Serving: the library's engine in as many threads as asked for, over listeners they all share.
//!
//! The main thread waits for signals and for the loops to end. Each loop accepts from every
//! listener of connections; a socket of datagrams belongs to one loop, which answers in batches or
//! receives for all the peers.

mod connection;
mod correspondence;
mod dialogue;
mod entrances;
mod live;
mod mailbox;
mod process;
mod program;
mod refusals;
mod running;
mod served;
mod servers;
mod spares;

use std::io::ErrorKind;
use std::sync::{Arc, Weak};
use std::thread;
use std::time::{Duration, Instant};

use stream_socket::engine::{Control, Engine};
use stream_socket::{
    DatagramSocket, Interest, ListenOptions, Listener, Member, Stream, Transport, select,
};

pub(crate) use self::entrances::Entrances;
use self::live::LiveCount;
pub(crate) use self::program::Program;
use self::refusals::Refusals;
use self::served::Desk;
use crate::failure::Failure;
use crate::notify;
use crate::service::Service;
use crate::signal::{Signal, Signals};

/// A second signal this soon is the first one told twice: timeout(1) sends it to the process and
/// then to its whole group.
const SAME_SIGNAL: Duration = Duration::from_millis(100);

/// How often it is looked whether connections are refused.
const REPORT: Duration = Duration::from_secs(1);

/// Who answers clients.
#[derive(Debug)]
pub(crate) enum Answerer {
    /// One of the small services.
    Service(Service),
    /// A program, started anew for each connection.
    Program(Arc<Program>),
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
    signals: Signals,
    settings: Settings,
) -> Result<(), Failure> {
    let control = Control::new();
    let (closed, open) = lifeline()?;
    let (ended, alive) = lifeline()?;
    let desk = Desk::new(Arc::new(answerer), entrances.addresses(), open);
    let mut loops = Vec::with_capacity(settings.threads);
    let peers: Vec<_> = entrances
        .peers
        .iter()
        .map(|(listener, _)| Arc::downgrade(listener))
        .collect();
    let shares = share(entrances.sockets, settings.threads);
    let shares = shares
        .into_iter()
        .zip(share(entrances.peers, settings.threads));
    for (sockets, peers) in shares {
        let (control, alive) = (control.clone(), alive.clone());
        let (mut listeners, desk) = (entrances.listeners.clone(), desk.clone());
        listeners.extend(peers);
        loops.push(thread::spawn(move || {
            let result = serve(&control, listeners, sockets, desk);
            if result.is_err() {
                control.stop();
            }
            drop(alive);
            result
        }));
    }
    let live = desk.live().clone();
    drop((alive, entrances.listeners, desk));
    let watch = Watch {
        control,
        signals,
        closed,
        ended,
        live,
        peers,
        drain: settings.drain,
    };
    watch.run()?;
    loops
        .into_iter()
        .try_for_each(|engine| match engine.join() {
            Ok(result) => result.map_err(Failure::from),
            Err(panic) => std::panic::resume_unwind(panic),
        })
}

/// A stream that ends when the last clone of the other one is dropped, in whatever thread.
fn lifeline() -> Result<(Stream, Arc<Stream>), Failure> {
    let (here, there) = Stream::pair(Transport::Unix)?;
    Ok((here, Arc::new(there)))
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
) -> stream_socket::Result<()> {
    let mut engine = Engine::new(control)?;
    for (listener, options) in listeners {
        let (desk, url) = (desk.clone(), listener.url().clone());
        engine.listen(listener, move |stream| {
            tracing::info!(peer = %stream, %url, "accepted");
            desk.serve(stream, &options)
        })?;
    }
    for mailbox in desk.mailboxes(sockets) {
        engine.add(mailbox)?;
    }
    drop(desk);
    engine.run()
}

/// What the main thread does while the loops serve.
struct Watch {
    control: Control,
    signals: Signals,
    /// Ends when nobody can connect any more.
    closed: Stream,
    /// Ends when all loops have.
    ended: Stream,
    live: LiveCount,
    /// What peers of datagrams are accepted from.
    peers: Vec<Weak<Listener>>,
    drain: Duration,
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
    fn run(mut self) -> Result<(), Failure> {
        let mut draining: Option<Drain> = None;
        let (mut refusals, mut looked) = (Refusals::default(), Instant::now());
        loop {
            let news = self.wait(draining.as_ref())?;
            if let Some(drain) = draining.as_mut().filter(|_| news.closed) {
                self.tell(drain);
            }
            if news.ended {
                break;
            }
            let now = Instant::now();
            if now >= looked + REPORT {
                refusals.look(&self.control, &self.peers);
                looked = now;
            }
            match (self.signals.take(), &draining) {
                (None, _) => {}
                (Some(signal), None) => draining = Some(self.begin_to_drain(signal, now)),
                (Some(_), Some(drain)) if now < drain.since + SAME_SIGNAL => {}
                (Some(signal), Some(_)) => {
                    tracing::info!(signal = signal.name(), "ending at once");
                    return Err(signal.die());
                }
            }
        }
        refusals.look(&self.control, &self.peers);
        Ok(())
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

/// A signal that interrupts a wait is found in its own place.
fn ignore_interruption(result: stream_socket::Result<usize>) -> Result<(), Failure> {
    match result {
        Err(error) if error.io_kind() != ErrorKind::Interrupted => Err(error.into()),
        _ => Ok(()),
    }
}
