//! The loop that serves: one thread, one `select` over everything, nothing that waits.
//!
//! The engine will take its place, with the sessions of `service` unchanged.

mod connection;
mod correspondence;
mod entrance;
mod mailbox;

use std::time::{Duration, Instant};

use stream_socket::{Interest, Member, Readiness, select};

use self::connection::{Connection, Ending};
use self::correspondence::Correspondence;
pub(crate) use self::entrance::Entrances;
use self::entrance::{ACCEPTS_A_TURN, Entrance};
use self::mailbox::Mailbox;
use crate::failure::Failure;
use crate::notify;
use crate::service::Service;
use crate::signal::{Signal, Signals};

/// What all connections are read into, in turn: one buffer a thread, and none a connection.
const BUFFER_BYTES: usize = 60 * 1024;

/// A second signal this soon is the first one told twice: timeout(1) sends it to the process and
/// then to its whole group.
const SAME_SIGNAL: Duration = Duration::from_millis(100);

/// As many as the library's backlog has places, unless somebody asked for more.
const TURNS_TO_EMPTY_A_BACKLOG: usize = 4096 / ACCEPTS_A_TURN;

/// EINTR: a signal came, whose bytes are found in the next round.
const INTERRUPTED: std::io::ErrorKind = std::io::ErrorKind::Interrupted;

/// Everything that is served.
pub(crate) struct Server {
    service: Service,
    signals: Signals,
    entrances: Vec<Entrance>,
    mailboxes: Vec<Mailbox>,
    connections: Vec<Connection>,
    buffer: Box<[u8]>,
    correspondence: Correspondence,
    drain: Duration,
    draining: Option<Draining>,
    ready: Vec<(Source, Readiness)>,
}

/// The server has been told to end.
#[derive(Clone, Copy)]
struct Draining {
    since: Instant,
    /// When connections that have not finished are cut off; `None` is never.
    until: Option<Instant>,
}

/// What was waited for.
#[derive(Clone, Copy)]
enum Source {
    Signals,
    Entrance(usize),
    Mailbox(usize),
    Connection(usize),
}

impl Server {
    pub(crate) fn new(
        service: Service,
        entrances: Entrances,
        signals: Signals,
        drain: Duration,
    ) -> Self {
        let Entrances {
            entrances,
            mailboxes,
        } = entrances;
        Self {
            correspondence: Correspondence::new(&mailboxes),
            service,
            signals,
            entrances,
            mailboxes,
            connections: Vec::new(),
            buffer: vec![0; BUFFER_BYTES].into(),
            drain,
            draining: None,
            ready: Vec::new(),
        }
    }

    /// Serves until it is told to end and the last connection has finished.
    pub(crate) fn run(mut self) -> Result<(), Failure> {
        while !self.has_ended() {
            self.wait(Instant::now())?;
            let now = Instant::now();
            self.serve(now)?;
            self.expire(now);
        }
        Ok(())
    }

    fn has_ended(&self) -> bool {
        self.draining.is_some() && self.connections.is_empty()
    }

    /// Waits until something is ready or due; what is ready is then in `self.ready`.
    fn wait(&mut self, now: Instant) -> Result<(), Failure> {
        let mut members = vec![Member::new(self.signals.wake(), Interest::READ)];
        let mut sources = vec![Source::Signals];
        for (index, entrance) in self.entrances.iter().enumerate() {
            if entrance.paused(now).is_none() {
                members.push(Member::new(entrance.listener(), Interest::READ));
                sources.push(Source::Entrance(index));
            }
        }
        for (index, mailbox) in self.mailboxes.iter().enumerate() {
            members.push(Member::new(mailbox.socket(), Interest::READ));
            sources.push(Source::Mailbox(index));
        }
        for (index, connection) in self.connections.iter().enumerate() {
            members.push(Member::new(connection.stream(), connection.interest()));
            sources.push(Source::Connection(index));
        }
        let due = self.next_due(now);
        let timeout = due.map(|due| due.saturating_duration_since(now));
        match select(&mut members, timeout) {
            Err(error) if error.io_kind() != INTERRUPTED => return Err(error.into()),
            _ => {}
        }
        let readiness = members.iter().map(Member::readiness);
        self.ready.clear();
        self.ready.extend(
            sources
                .into_iter()
                .zip(readiness)
                .filter(|(_, ready)| ready.any()),
        );
        Ok(())
    }

    /// The next instant at which something is to be done that no socket tells.
    fn next_due(&self, now: Instant) -> Option<Instant> {
        let connections = self.connections.iter().filter_map(Connection::due);
        let entrances = self
            .entrances
            .iter()
            .filter_map(|entrance| entrance.paused(now));
        let draining = self.draining.and_then(|draining| draining.until);
        connections.chain(entrances).chain(draining).min()
    }

    fn serve(&mut self, now: Instant) -> Result<(), Failure> {
        let mut ready = std::mem::take(&mut self.ready);
        // From the back: a connection that ends gives its place to the last one, which has had
        // its turn by then, and those that are accepted come behind all of them.
        while let Some((source, _)) = ready.pop() {
            match source {
                Source::Connection(index) => self.turn(index, now),
                Source::Mailbox(index) => self.answer(index),
                Source::Entrance(index) => _ = self.accept(index, now),
                Source::Signals => self.signalled(now)?,
            }
        }
        self.ready = ready;
        Ok(())
    }

    fn turn(&mut self, index: usize, now: Instant) {
        if let Some(ending) = self.connections[index].turn(&mut self.buffer, now) {
            self.connections.swap_remove(index).close(&ending, now);
        }
    }

    fn answer(&mut self, index: usize) {
        self.correspondence
            .answer(&mut self.mailboxes[index], &self.service);
    }

    /// Accepts those that wait, as many as one turn allows; whether there may be more.
    fn accept(&mut self, index: usize, now: Instant) -> bool {
        let entrance = &mut self.entrances[index];
        let streams = entrance.accept(now);
        let may_be_more = streams.len() == ACCEPTS_A_TURN;
        for stream in streams {
            let mut connection =
                Connection::new(stream, self.service.session(), entrance.limits(), now);
            // Who is answered at once need not be waited for.
            match connection.turn(&mut self.buffer, now) {
                Some(ending) => connection.close(&ending, now),
                None => self.connections.push(connection),
            }
        }
        may_be_more
    }

    fn signalled(&mut self, now: Instant) -> Result<(), Failure> {
        match (self.signals.take(), self.draining) {
            (None, _) => Ok(()),
            (Some(signal), None) => {
                self.begin_to_drain(signal, now);
                Ok(())
            }
            (Some(_), Some(draining)) if now < draining.since + SAME_SIGNAL => Ok(()),
            (Some(signal), Some(_)) => {
                tracing::info!(signal = signal.name(), "ending at once");
                Err(signal.die())
            }
        }
    }

    /// Closes everything that newcomers could use; what has come already is served.
    fn begin_to_drain(&mut self, signal: Signal, now: Instant) {
        notify::stopping();
        for index in 0..self.entrances.len() {
            // To close a listener resets who waits in its backlog.
            let mut turns = 0..TURNS_TO_EMPTY_A_BACKLOG;
            while turns.next().is_some() && self.accept(index, now) {}
        }
        (0..self.mailboxes.len()).for_each(|index| self.answer(index));
        self.entrances.clear();
        self.mailboxes.drain(..).for_each(Mailbox::close);
        // Told when it is true: nobody can connect, and the files are gone.
        let connections = self.connections.len();
        tracing::info!(signal = signal.name(), connections, "draining");
        self.connections.iter_mut().for_each(Connection::drain);
        self.draining = Some(Draining {
            since: now,
            until: now.checked_add(self.drain),
        });
    }

    /// Ends what has taken too long.
    fn expire(&mut self, now: Instant) {
        let cut_off = self
            .draining
            .and_then(|draining| draining.until)
            .is_some_and(|until| until <= now);
        for index in (0..self.connections.len()).rev() {
            let expired = self.connections[index].expired(now);
            if let Some(ending) = expired.or(cut_off.then_some(Ending::CutOff)) {
                self.connections.swap_remove(index).close(&ending, now);
            }
        }
    }
}
