//! The TLS handshakes that are under way at a listener, all advanced together.
//!
//! Whoever accepts takes a turn: it waits for whatever has news, takes it as far as it goes
//! without waiting, and keeps what is finished in the order in which it was. So no client can
//! hold up another. What is computed for a client is computed outside the lock, so that several
//! threads that accept work at the same time.
//!
//! All of it stands behind one epoll descriptor, which is what foreign loops wait for. Such a
//! descriptor must not be shared with a forked child, so each process has a [`Front`] of its own.

use std::collections::VecDeque;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use crate::crowd::Crowd;
use crate::deadline::Deadline;
use crate::error::{Error, Result, Stage};
use crate::gate::Waiting;
use crate::handshake_log::HandshakeLog;
use crate::listener::{Arrival, Listener};
use crate::select::Interest;
use crate::stream::Stream;
use crate::sys::epoll::{Bell, Mode, WatchSet};
use crate::sys::timer::Timer;
use crate::sys::wait::Events;
use crate::sys::{Errno, failed, fork, is_exhaustion};

const LISTENER: u64 = 0;
const TIMER: u64 = 1;
const GATE: u64 = 2;
const BELL: u64 = 3;
const FIRST: u64 = 16;

/// The handshakes of one listener, in whatever process.
#[derive(Debug)]
pub(crate) struct Handshakes {
    first: Front,
    log: HandshakeLog,
}

/// The handshakes of one listener in one process.
#[derive(Debug)]
struct Front {
    process: u32,
    epoll: WatchSet,
    /// Comes when the time of a handshake is over: of the first whose is.
    timer: Timer,
    /// Rings while finished ones wait and nobody is about to take them.
    bell: Bell,
    table: Mutex<Table>,
    /// That of a child which was forked off this process.
    child: OnceLock<Box<Front>>,
}

#[derive(Debug)]
struct Table {
    underway: Crowd<Underway>,
    finished: VecDeque<Stream>,
    listening: Listening,
    /// When the timer comes.
    due: Deadline,
    is_bell_rung: bool,
}

/// Whether newcomers are let in.
#[derive(Debug)]
enum Listening {
    Open,
    /// The listener has no place for a connection.
    Full(Waiting),
    /// The system refused to watch the listener again: tried with every turn.
    Lost,
}

#[derive(Debug)]
struct Underway {
    /// `None` while somebody advances it.
    stream: Option<Stream>,
    /// It had news meanwhile.
    again: bool,
    awaits: Interest,
    deadline: Deadline,
}

impl Handshakes {
    pub(crate) fn new(socket: BorrowedFd<'_>) -> std::result::Result<Self, Errno> {
        Ok(Self {
            first: Front::new(socket)?,
            log: HandshakeLog::default(),
        })
    }

    pub(crate) fn log(&self) -> &HandshakeLog {
        &self.log
    }

    /// What is readable when there is progress to be made.
    pub(crate) fn descriptor<'a>(&'a self, socket: BorrowedFd<'a>) -> BorrowedFd<'a> {
        // A child that can't have its own sees at least those who come.
        self.front(socket)
            .map_or(socket, |front| front.epoll.as_fd())
    }

    /// A connection whose handshake is finished, of those that were already.
    pub(crate) fn next(&self, listener: &Listener) -> Result<Option<Stream>> {
        let front = self.front_of(listener)?;
        let mut table = front.table();
        while let Some(mut stream) = table.finished.pop_front() {
            if stream.takes_place() {
                front.ring_if_needed(&mut table, listener);
                self.log.finished();
                stream.set_blocking(true);
                return Ok(Some(stream));
            }
            if listener.gate().is_some_and(|gate| gate.closes()) {
                self.log.failed(without_place(&stream));
                continue;
            }
            table.finished.push_front(stream);
            front.close_for_room(&mut table, listener);
            break;
        }
        front.ring_if_needed(&mut table, listener);
        Ok(None)
    }

    /// Whether a connection is finished.
    pub(crate) fn has_finished(&self, listener: &Listener) -> bool {
        self.front_of(listener).is_ok_and(|front| {
            let mut table = front.table();
            // Who asks may wait for the descriptor afterwards.
            front.ring_if_needed(&mut table, listener);
            table.has_someone_for(listener)
        })
    }

    /// Waits until there is news, up to `timeout`, and goes on with what has some.
    pub(crate) fn turn(&self, listener: &Listener, timeout: Option<Duration>) -> Result<()> {
        let front = self.front_of(listener)?;
        let (mut is_time, mut is_open, mut has_arrival) = (false, false, false);
        let each = |token| match token {
            LISTENER => has_arrival = true,
            TIMER => is_time = true,
            GATE => is_open = true,
            BELL => {}
            token => self.advance(front, token),
        };
        front
            .epoll
            .collect(timeout, each)
            .map_err(|errno| failed(Stage::Accept, listener, errno))?;
        if is_time {
            self.expire(front);
        }
        front.open_again(listener, is_open);
        let admitted = if has_arrival {
            self.admit(front, listener)
        } else {
            Ok(())
        };
        // Who is told of an error does not take those that this turn has finished.
        admitted.inspect_err(|_| front.ring_if_needed(&mut front.table(), listener))
    }

    /// Lets one newcomer in, and takes its handshake as far as it goes.
    fn admit(&self, front: &Front, listener: &Listener) -> Result<()> {
        match listener.arrival_of_connection(true) {
            Arrival::Stream(stream) => self.begin(front, stream),
            Arrival::None if listener.is_shut_down() => {
                return Err(failed(Stage::Accept, listener, Errno::INVAL));
            }
            Arrival::None | Arrival::ClosedFull | Arrival::ClosedForAddress => {}
            Arrival::Full => front.close_for_room(&mut front.table(), listener),
            Arrival::Failed(errno) => {
                // Those who keep silent have the descriptors that are missing.
                let silent = front.table().underway.oldest_silent();
                let Some(silent) = silent.filter(|_| is_exhaustion(errno)) else {
                    return Err(failed(Stage::Accept, listener, errno));
                };
                self.evict(front, Some(silent));
            }
            Arrival::Refused(error) => return Err(error),
        }
        Ok(())
    }

    /// A connection that was accepted elsewhere.
    pub(crate) fn take_in(&self, listener: &Listener, stream: Stream) {
        match self.front_of(listener) {
            Ok(front) => self.begin(front, stream),
            Err(error) => self.log.failed(error),
        }
    }

    fn begin(&self, front: &Front, mut stream: Stream) {
        stream.set_blocking(false);
        let awaits = match stream.handshake() {
            Ok(Some(awaits)) => awaits,
            Ok(None) => {
                front.table().finished.push_back(stream);
                return;
            }
            Err(error) => return self.log.failed(error),
        };
        let excess = front.table().underway.excess(stream.counts_for());
        self.evict(front, excess);
        if let Err(error) = front.insert(stream, awaits) {
            self.log.failed(error);
        }
    }

    /// Closes one to make room for another, if one has to go.
    fn evict(&self, front: &Front, number: Option<u64>) {
        if let Some(stream) = number.and_then(|number| front.remove(number)) {
            self.log.evicted(crowded_out(&stream));
        }
    }

    /// Takes a handshake as far as it goes.
    fn advance(&self, front: &Front, token: u64) {
        while let Some(mut stream) = front.check_out(token) {
            let result = stream.handshake();
            let mut table = front.table();
            match result {
                Ok(Some(awaits)) => {
                    let excess = table.underway.recognize(token, stream.counts_for());
                    let again = front.check_in(&mut table, token, stream, awaits);
                    drop(table);
                    self.evict(front, excess);
                    if !again {
                        return;
                    }
                }
                Ok(None) => {
                    front.leave(&mut table, token, &stream);
                    table.finished.push_back(stream);
                    return;
                }
                Err(error) => {
                    front.leave(&mut table, token, &stream);
                    drop(table);
                    self.log.failed(error);
                    return;
                }
            }
        }
    }

    /// Ends the handshakes whose time is over, unless they are finished by what has come.
    fn expire(&self, front: &Front) {
        front.timer.silence();
        let late: Vec<u64> = {
            let mut table = front.table();
            table.due = Deadline::NEVER;
            let late = table.underway.iter();
            late.filter(|(_, one)| one.content.deadline.has_passed())
                .map(|(number, _)| number)
                .collect()
        };
        late.into_iter()
            .for_each(|number| self.advance(front, number));
        let mut table = front.table();
        let left = table.underway.iter();
        let next = left
            .map(|(_, one)| one.content.deadline)
            .fold(Deadline::NEVER, Deadline::min);
        front.set_timer(&mut table, next);
    }

    fn front_of(&self, listener: &Listener) -> Result<&Front> {
        self.front(listener.socket())
            .map_err(|errno| failed(Stage::Accept, listener, errno))
    }

    /// That of this process.
    fn front(&self, socket: BorrowedFd<'_>) -> std::result::Result<&Front, Errno> {
        let process = fork::generation();
        let mut front = &self.first;
        while front.process != process {
            front = match front.child.get() {
                Some(child) => child,
                None => {
                    let child = Front::new(socket)?;
                    // The parent's are closed here; they stay open there, and hear nothing of it.
                    *front.table() = Table::new();
                    front.child.get_or_init(|| Box::new(child))
                }
            };
        }
        Ok(front)
    }
}

impl Front {
    fn new(socket: BorrowedFd<'_>) -> std::result::Result<Self, Errno> {
        let (epoll, timer, bell) = (WatchSet::new()?, Timer::new()?, Bell::new()?);
        epoll.add(socket, LISTENER, Events::READ, Mode::Exclusive)?;
        epoll.add(timer.as_fd(), TIMER, Events::READ, Mode::Level)?;
        epoll.add(bell.as_fd(), BELL, Events::READ, Mode::Level)?;
        Ok(Self {
            process: fork::generation(),
            epoll,
            timer,
            bell,
            table: Mutex::new(Table::new()),
            child: OnceLock::new(),
        })
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn insert(&self, stream: Stream, awaits: Interest) -> Result<()> {
        let mut table = self.table();
        let (deadline, has_begun) = (stream.handshake_deadline(), stream.has_begun_handshake());
        let underway = Underway {
            stream: None,
            again: false,
            awaits,
            deadline,
        };
        let number = table
            .underway
            .insert(stream.counts_for(), has_begun, underway);
        let watched = self
            .epoll
            .add(stream.as_fd(), number, awaits.events(), Mode::Edge);
        if let Err(errno) = watched {
            table.underway.remove(number);
            return Err(failed(Stage::Handshake, &stream, errno));
        }
        if let Some(one) = table.underway.get_mut(number) {
            one.content.stream = Some(stream);
        }
        self.set_timer(&mut table, deadline);
        Ok(())
    }

    /// Has the timer come by then, if it would not before.
    fn set_timer(&self, table: &mut Table, by: Deadline) {
        let Some(span) = by.remaining().filter(|_| by.min(table.due) != table.due) else {
            return;
        };
        // If it fails, the next handshake tries again.
        if self.timer.set(span).is_ok() {
            table.due = by;
        }
    }

    /// Takes a stream out of the table to advance it; none, if somebody else does.
    fn check_out(&self, number: u64) -> Option<Stream> {
        let mut table = self.table();
        let one = &mut table.underway.get_mut(number)?.content;
        one.again = one.stream.is_none();
        one.stream.take()
    }

    /// Puts it back; whether there was news meanwhile.
    fn check_in(&self, table: &mut Table, number: u64, stream: Stream, awaits: Interest) -> bool {
        let Some(one) = table.underway.get_mut(number) else {
            return false;
        };
        if one.content.awaits != awaits {
            // Edge-triggered, it is reported at once if it is ready already.
            _ = self
                .epoll
                .modify(stream.as_fd(), number, awaits.events(), Mode::Edge);
            one.content.awaits = awaits;
        }
        one.has_begun = stream.has_begun_handshake();
        // The header of a proxy and the handshake after it have each their own.
        let deadline = stream.handshake_deadline();
        one.content.deadline = deadline;
        one.content.stream = Some(stream);
        let again = one.content.again;
        self.set_timer(table, deadline);
        again
    }

    /// Forgets a handshake that is over.
    fn leave(&self, table: &mut Table, number: u64, stream: &Stream) {
        _ = self.epoll.remove(stream.as_fd());
        table.underway.remove(number);
    }

    /// Takes one out before it is over; none, if somebody advances it.
    fn remove(&self, number: u64) -> Option<Stream> {
        let mut table = self.table();
        let stream = table.underway.get_mut(number)?.content.stream.take()?;
        self.leave(&mut table, number, &stream);
        Some(stream)
    }

    /// Rings while finished ones are left, so that others who wait come for them.
    fn ring_if_needed(&self, table: &mut Table, listener: &Listener) {
        let is_needed = table.has_someone_for(listener);
        match (is_needed, table.is_bell_rung) {
            (true, false) => self.bell.ring(),
            (false, true) => self.bell.silence(),
            _ => {}
        }
        table.is_bell_rung = is_needed;
    }

    /// Lets nobody in until there is a place.
    fn close_for_room(&self, table: &mut Table, listener: &Listener) {
        let Some(gate) = listener.gate() else { return };
        let waiting = gate.await_room();
        let bell = waiting.bell().as_fd();
        if self
            .epoll
            .add(bell, GATE, Events::READ, Mode::Level)
            .is_ok()
        {
            _ = self.epoll.remove(listener.socket());
            table.listening = Listening::Full(waiting);
        }
    }

    /// Lets newcomers in again, where that was not so.
    fn open_again(&self, listener: &Listener, has_place: bool) {
        let mut table = self.table();
        match &table.listening {
            Listening::Full(waiting) if has_place => {
                _ = self.epoll.remove(waiting.bell().as_fd());
            }
            Listening::Lost => {}
            Listening::Open | Listening::Full(_) => return,
        }
        let socket = listener.socket();
        table.listening = match self
            .epoll
            .add(socket, LISTENER, Events::READ, Mode::Exclusive)
        {
            Ok(()) | Err(Errno::EXIST) => Listening::Open,
            Err(_) => Listening::Lost,
        };
    }
}

impl Table {
    /// Whether one is finished and may be accepted now.
    fn has_someone_for(&self, listener: &Listener) -> bool {
        let closes = || listener.gate().is_some_and(|gate| gate.closes());
        !self.finished.is_empty() && (listener.has_room() || closes())
    }

    fn new() -> Self {
        Self {
            underway: Crowd::numbered_from(FIRST),
            finished: VecDeque::new(),
            listening: Listening::Open,
            due: Deadline::NEVER,
            is_bell_rung: false,
        }
    }
}

/// The error of a connection that came too late for a place, where such are closed.
pub(crate) fn without_place(stream: &Stream) -> Error {
    let reason = "all places were taken when its handshake was finished";
    Error::new(Stage::Accept, stream, reason)
}

/// The error of a handshake that had to make room for another.
pub(crate) fn crowded_out(stream: &Stream) -> Error {
    let reason = "too many handshakes are under way, and it was the least likely to finish";
    Error::new(Stage::Handshake, stream, reason)
}
