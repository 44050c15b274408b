//! The loop: waits for descriptors and timers, and runs the tasks that they wake.

mod accepting;
mod forked;
mod handshake;

use std::cell::RefCell;
use std::collections::VecDeque;
use std::fmt;
use std::os::fd::{AsFd, BorrowedFd};
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use handshake::Work;

use super::BUFFER;
use super::accept::{Acceptor, Tokens};
use super::control::{Control, Counts};
use super::pipes::Pipes;
use super::post::{NEWS, Post, WRITABLE};
use super::slot::{Limits, Slot};
use super::slots::{Slots, Token};
use super::task::{Cause, Lent, Next, Task, TaskId, Turn, Wake};
use super::timers::Timers;
use crate::crowd::Crowd;
use crate::deadline::{Moment, clock};
use crate::error::{Error, Result, Stage};
use crate::listener::Listener;
use crate::peers::Subscription;
use crate::select::Interest;
use crate::stream::Stream;
use crate::sys::epoll::{Bell, Epoll, Mode};
use crate::sys::wait::Events;
use crate::sys::{Errno, failed, fork};

/// Indexes from here on are not tasks: the bell, and the listeners.
const FIRST_ACCEPTOR: u32 = 1 << 30;
const FIRST_GATE: u32 = 2 << 30;
const BELL: u32 = u32::MAX;

/// What a loop lends to a task while that is borrowed from the same loop.
macro_rules! lent {
    ($engine:expr) => {
        Lent {
            buffer: &mut $engine.buffer,
            pipes: &mut $engine.pipes,
        }
    };
}

/// What a task said in its first turn.
struct First {
    next: Next,
    /// The timer that it set, if it said anything of one.
    timer: Option<Option<Instant>>,
}

/// A readiness loop over tasks, for the thread that runs it.
pub struct Engine<T> {
    epoll: Epoll,
    control: Control,
    bell: Arc<Bell>,
    slots: Slots<Slot<Work<T>>>,
    timers: Timers,
    /// Tasks that gave way and have more to do.
    yielded: VecDeque<Token>,
    acceptors: Vec<Acceptor<T>>,
    post: Post,
    /// The slots of handshakes that are under way.
    handshakes: Crowd<Token>,
    /// Those that are finished and for which there is no place.
    parked: VecDeque<Token>,
    buffer: Box<[u8]>,
    pipes: Pipes,
    draining: bool,
    /// The process that the epoll descriptor was made in.
    generation: u32,
}

impl<T: Task> Engine<T> {
    /// A loop that drives nothing yet, told to end by `control`.
    ///
    /// # Errors
    ///
    /// At [`Stage::Socket`] when the system has no descriptors left.
    pub fn new(control: &Control) -> Result<Self> {
        let (epoll, bell) = Self::descriptors().map_err(refused)?;
        control.add(Arc::clone(&bell));
        Ok(Self {
            epoll,
            control: control.clone(),
            bell,
            slots: Slots::new(),
            timers: Timers::default(),
            yielded: VecDeque::new(),
            acceptors: Vec::new(),
            post: Post::default(),
            handshakes: Crowd::numbered_from(0),
            parked: VecDeque::new(),
            buffer: vec![0; 2 * BUFFER].into(),
            pipes: Pipes::default(),
            draining: false,
            generation: fork::generation(),
        })
    }

    fn descriptors() -> std::result::Result<(Epoll, Arc<Bell>), Errno> {
        let (epoll, bell) = (Epoll::new()?, Arc::new(Bell::new()?));
        let token = Token {
            index: BELL,
            generation: 0,
        };
        epoll.add(bell.as_fd(), token.to_u64(), Events::READ, Mode::Level)?;
        Ok((epoll, bell))
    }

    /// Accepts from `listener`: each connection is given to `accepted`, which makes a task of it,
    /// or `None` to drop it. The stream does not wait.
    ///
    /// Several loops may accept from one listener; a new connection wakes only one or some of
    /// them. The listener's caps and limits in time are in force.
    ///
    /// A listener of datagrams belongs to one loop, which receives for all its peers. The task of
    /// a peer is woken for reading when a datagram has come for it, or when the peer was idle for
    /// too long, which the next read tells. Its stream has no descriptor of its own meanwhile; a
    /// task that waits for something else besides makes that its
    /// [`descriptor`](Task::descriptor). A drain refuses new peers.
    ///
    /// # Errors
    ///
    /// At [`Stage::Io`] when the system can't watch it; when it is of datagrams and belongs to
    /// another loop.
    pub fn listen(
        &mut self,
        listener: Arc<Listener>,
        accepted: impl FnMut(Stream) -> Option<T> + 'static,
    ) -> Result<()> {
        self.admit(Acceptor::new(listener, Rc::new(RefCell::new(accepted))))
    }

    /// As [`listen`](Self::listen), as long as `has_room` says so; what finds no room stays in the
    /// backlog. It is asked before each accept, again when a task ends, and by the clock.
    ///
    /// # Errors
    ///
    /// As [`listen`](Self::listen).
    pub fn listen_while(
        &mut self,
        listener: Arc<Listener>,
        has_room: impl Fn() -> bool + 'static,
        accepted: impl FnMut(Stream) -> Option<T> + 'static,
    ) -> Result<()> {
        let acceptor = Acceptor::new(listener, Rc::new(RefCell::new(accepted)));
        self.admit(acceptor.limited(Box::new(has_room)))
    }

    fn admit(&mut self, mut acceptor: Acceptor<T>) -> Result<()> {
        self.settle_in_this_process().map_err(refused)?;
        if !acceptor.enter(|| self.post.notices(&self.bell)) {
            let reason = "it is of datagrams, and belongs to another loop";
            let error = Error::new(Stage::Io, acceptor.listener(), reason);
            return Err(error.with_action("watch"));
        }
        let index = self.acceptors.len() as u32;
        acceptor
            .watch(&self.epoll, tokens(index).listener)
            .map_err(|errno| failed(Stage::Io, acceptor.listener(), errno).with_action("watch"))?;
        self.acceptors.push(acceptor);
        Ok(())
    }

    /// Takes in a task that rests: nothing wakes it before it is [entered](Self::enter).
    ///
    /// This and the two calls below are for coroutines, which can't be run from within a turn:
    /// the task notes what it is woken for, and whoever turns the engine goes on with the
    /// coroutine afterwards.
    pub fn rest(&mut self, task: T) -> TaskId {
        let token = self.place(Slot::new(Work::Task(task), None, None, clock::now()));
        TaskId(token)
    }

    fn place(&mut self, slot: Slot<Work<T>>) -> Token {
        let token = self.slots.insert(|token| slot.placed(token));
        if let Some(slot) = self.slots.get_mut(token) {
            slot.task.placed(TaskId(token));
        }
        token
    }

    /// Goes into a task between two turns: `go` stands in for a [run](Task::run), and says what
    /// the task does next. `None` when it is gone.
    ///
    /// # Errors
    ///
    /// At [`Stage::Io`] when the system can't watch its descriptor; the task is dropped.
    pub fn enter<R>(
        &mut self,
        id: TaskId,
        go: impl FnOnce(&mut T, &mut Turn<'_>) -> (Next, R),
    ) -> Result<Option<R>> {
        self.settle_in_this_process().map_err(refused)?;
        let Some(slot) = self.slots.get_mut(id.0) else {
            return Ok(None);
        };
        let lent = Lent {
            buffer: &mut self.buffer,
            pipes: &mut self.pipes,
        };
        let mut turn = Turn::new(lent, clock::now(), self.draining);
        let Work::Task(task) = &mut slot.task else {
            return Ok(None);
        };
        let (next, result) = go(task, &mut turn);
        slot.note(turn.timer);
        self.settle(id.0, next).map_err(unwatched)?;
        Ok(Some(result))
    }

    /// Drops a task, before its descriptor is closed.
    pub fn remove(&mut self, id: TaskId) {
        self.end(id.0);
    }

    /// Drives a task from now on.
    ///
    /// # Errors
    ///
    /// At [`Stage::Io`] when the system can't watch its descriptor; the task is dropped.
    pub fn add(&mut self, task: T) -> Result<()> {
        self.settle_in_this_process().map_err(refused)?;
        self.start(task, None, clock::now()).map_err(unwatched)
    }

    /// The listeners that it accepts from.
    pub fn listeners(&self) -> impl Iterator<Item = &Arc<Listener>> {
        self.acceptors.iter().map(Acceptor::listener)
    }

    /// How many tasks it drives.
    pub fn len(&self) -> usize {
        self.slots.len()
    }

    /// Whether it drives no task.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Turns until the [`Control`] has ended it, or there is neither a listener nor a task.
    ///
    /// # Errors
    ///
    /// At [`Stage::Io`] when waiting fails. Whatever fails for one task ends that task alone.
    pub fn run(&mut self) -> Result<()> {
        while self.turn(None)? {}
        Ok(())
    }

    /// Waits up to `timeout` for what is due, and does it; false when it has ended, see
    /// [`run`](Self::run). For ever with `None`, not at all with zero.
    ///
    /// A signal ends the wait as if the time were over.
    ///
    /// # Errors
    ///
    /// As [`run`](Self::run).
    pub fn turn(&mut self, timeout: Option<Duration>) -> Result<bool> {
        self.settle_in_this_process().map_err(refused)?;
        let count = match self.epoll.wait(self.patience(timeout)) {
            Ok(count) => count,
            Err(Errno::INTR) => 0,
            Err(errno) => return Err(failed(Stage::Io, "the engine", errno).with_action("wait in")),
        };
        #[cfg(feature = "simulation")]
        crate::sys::seam::shuffle(count, |one, other| self.epoll.swap_events(one, other));
        self.post.awake();
        let now = clock::now();
        for index in 0..count {
            let (token, ready) = self.epoll.event(index);
            let token = Token::from_u64(token);
            match token.index {
                BELL => self.bell.silence(),
                index if index >= FIRST_GATE => self.open_gate((index - FIRST_GATE) as usize, now),
                index if index >= FIRST_ACCEPTOR => {
                    self.accept((index - FIRST_ACCEPTOR) as usize, now)
                }
                _ => {
                    let (token, is_second) = token.unmarked();
                    self.wake(token, Wake::of(ready, is_second), now);
                }
            }
        }
        self.expire(now);
        self.go_on(now);
        self.hear(now);
        Ok(self.obey())
    }

    /// How long until a turn has something to do that no descriptor tells: a timer, a task that
    /// gave way, the end of a pause or of a drain. `None` when there is no such thing.
    pub fn next_turn(&self) -> Option<Duration> {
        self.patience(None)
    }

    /// How long to wait: what was asked, but no longer than until something is due.
    fn patience(&self, timeout: Option<Duration>) -> Option<Duration> {
        if !self.yielded.is_empty() || !self.post.sleep() || self.control.is_stopped() {
            return Some(Duration::ZERO);
        }
        let now = clock::now();
        let timer = self.timers.next().map(Moment::instant);
        let accepting = self.acceptors.iter().filter_map(|one| one.due(now)).min();
        let due = timer.into_iter().chain(accepting).min();
        let due = due.map(|due| due.saturating_duration_since(now));
        let drain = self.control.drain_until().map(|until| {
            // What the control said has not been heard yet: it is done at the end of this turn.
            if self.draining {
                until.remaining()
            } else {
                Some(Duration::ZERO)
            }
        });
        [timeout, due, drain.flatten()].into_iter().flatten().min()
    }

    fn start(
        &mut self,
        mut task: T,
        limits: Option<Limits>,
        now: Instant,
    ) -> std::result::Result<(), Errno> {
        match self.begin(&mut task, now) {
            Some(first) => self.keep(task, first, limits, None, now),
            None => Ok(()),
        }
    }

    /// Runs a task for the first time. Many are done then, and need no place and no watching.
    fn begin(&mut self, task: &mut T, now: Instant) -> Option<First> {
        let mut turn = Turn::new(lent!(self), now, self.draining);
        let next = task.run(Wake::Start, &mut turn);
        if next == Next::Done {
            Counts::raise(&self.control.counts().closed);
            return None;
        }
        let timer = turn.timer;
        Some(First { next, timer })
    }

    /// Gives a place to a task that was not done at once.
    fn keep(
        &mut self,
        task: T,
        first: First,
        limits: Option<Limits>,
        subscription: Option<Subscription>,
        now: Instant,
    ) -> std::result::Result<(), Errno> {
        let mut slot = Slot::new(Work::Task(task), limits, subscription, now);
        slot.note(first.timer);
        let token = self.place(slot);
        self.settle(token, first.next)
    }

    fn wake(&mut self, token: Token, wake: Wake, now: Instant) {
        let Some(slot) = self.slots.get_mut(token) else {
            return;
        };
        let due = slot.task_due;
        let next = slot.run(wake, lent!(self), now, self.draining);
        if let Work::Handshake(_) = slot.task {
            return self.after_handshaking(token, next, now);
        }
        let is_still = slot.task_due == due && slot.limits.idle.is_none();
        if next == Next::Rest && is_still && matches!(wake, Wake::Ready { .. }) {
            // A coroutine's, which has noted it: neither clock nor descriptor hears of that.
            return;
        }
        // Whom it concerns has been told.
        _ = self.settle(token, next);
    }

    /// Does what a task said it does next. One that can't be watched is given up.
    fn settle(&mut self, token: Token, next: Next) -> std::result::Result<(), Errno> {
        match next {
            Next::Done => {
                self.end(token);
                return Ok(());
            }
            Next::Yield => self.yielded.push_back(token),
            Next::Rest => {}
            Next::Wait(interest) => {
                if let Err(errno) = self.watch(token, interest) {
                    Counts::raise(&self.control.counts().failed);
                    self.give_up(token, Cause::Unwatched);
                    return Err(errno);
                }
            }
        }
        if let Some(slot) = self.slots.get_mut(token) {
            let due = slot.due();
            self.timers.set(&mut slot.timer, token, due);
        }
        Ok(())
    }

    fn watch(&mut self, token: Token, interest: Interest) -> std::result::Result<(), Errno> {
        match self.slots.get_mut(token) {
            Some(slot) => slot.watch(&self.epoll, token, interest),
            None => Ok(()),
        }
    }

    fn give_up(&mut self, token: Token, cause: Cause) {
        if let Some(slot) = self.slots.get_mut(token) {
            slot.task.given_up(cause);
        }
        self.end(token);
    }

    fn end(&mut self, token: Token) {
        if let Some(mut slot) = self.slots.remove(token) {
            self.timers.forget(&slot.timer);
            if self.is_in_its_process() {
                slot.leave(&self.epoll);
            }
            match slot.task {
                Work::Task(_) => Counts::raise(&self.control.counts().closed),
                Work::Handshake(handshake) => self.forget(&handshake),
            }
            // What it held may be what accepting has been waiting for.
            self.acceptors.iter_mut().for_each(Acceptor::hurry);
        }
    }

    /// Wakes the tasks whose time has come. One that sets its timer to now has to wait for the
    /// next turn.
    fn expire(&mut self, now: Instant) {
        let slots = &self.slots;
        self.timers
            .tidy(|token, at| slots.get(token).is_some_and(|slot| slot.timer.is_at(at)));
        for (at, token) in self.timers.due(now.into()) {
            let Some(slot) = self.slots.get_mut(token) else {
                continue;
            };
            if self.timers.come(&mut slot.timer, token, at) {
                self.strike(token, now);
            }
        }
    }

    /// A task's time has come: its own, or that of a limit.
    fn strike(&mut self, token: Token, now: Instant) {
        let Some(slot) = self.slots.get_mut(token) else {
            return;
        };
        let (counts, moment) = (self.control.counts(), Moment::from(now));
        if slot.limits.expires.is_some_and(|expires| expires <= moment) {
            Counts::raise(&counts.lifetime);
            self.give_up(token, Cause::Lifetime);
        } else if slot.idles_out().is_some_and(|idle| idle <= moment) {
            if slot.is_idle(moment) {
                Counts::raise(&counts.idle);
                return self.give_up(token, Cause::Idle);
            }
            let due = slot.due();
            self.timers.set(&mut slot.timer, token, due);
        } else if slot.is_to_retry(moment) {
            self.wake(token, WRITABLE, now);
        } else {
            slot.task_due = None;
            self.wake(token, Wake::Timer, now);
        }
    }

    /// Runs the tasks that gave way before this turn.
    fn go_on(&mut self, now: Instant) {
        for _ in 0..self.yielded.len() {
            if let Some(token) = self.yielded.pop_front() {
                self.wake(token, Wake::Turn, now);
            }
        }
        let mut has_come = self.draining;
        for (acceptor, index) in self.acceptors.iter_mut().zip(0..) {
            if acceptor.due(now).is_some_and(|at| at <= now) {
                acceptor.come(&self.epoll, tokens(index));
                has_come = true;
            }
        }
        if has_come {
            self.place_parked(now);
        }
    }

    /// Wakes the tasks whose peers have posted.
    fn hear(&mut self, now: Instant) {
        let heard = self.post.hear();
        for token in &heard {
            self.wake(Token::from_u64(*token), NEWS, now);
        }
        self.post.keep(heard);
    }

    /// Does what the control says; false when the loop has ended.
    fn obey(&mut self) -> bool {
        if self.control.is_stopped() {
            return false;
        }
        let Some(until) = self.control.drain_until() else {
            return !(self.acceptors.is_empty() && self.is_empty());
        };
        if !self.draining {
            // Those who are in the backlog have connected in good faith.
            (0..self.acceptors.len()).for_each(|index| self.accept_last(index));
            self.draining = true;
            self.acceptors
                .retain_mut(|acceptor| acceptor.drain(&self.epoll));
            for (acceptor, index) in self.acceptors.iter_mut().zip(0..) {
                acceptor.resume(&self.epoll, tokens(index));
            }
            let tokens: Vec<Token> = self.slots.tokens().collect();
            let now = clock::now();
            tokens
                .into_iter()
                .for_each(|token| self.wake(token, Wake::Drain, now));
        }
        if until.has_passed() {
            for token in self.slots.tokens().collect::<Vec<_>>() {
                Counts::raise(&self.control.counts().undrained);
                self.give_up(token, Cause::Drain);
            }
        }
        !self.is_empty()
    }
}

/// Readable when a descriptor has something for a turn to do: for loops that the engine is part
/// of. What is due by the clock it does not tell; [`next_turn`](Engine::next_turn) does.
impl<T> AsFd for Engine<T> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.epoll.as_fd()
    }
}

impl<T> Drop for Engine<T> {
    fn drop(&mut self) {
        self.control.remove(&self.bell);
    }
}

impl<T> fmt::Debug for Engine<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Engine")
            .field("tasks", &self.slots.len())
            .field("listeners", &self.acceptors.len())
            .finish_non_exhaustive()
    }
}

/// The tokens of the acceptor at `index`.
fn tokens(index: u32) -> Tokens {
    let token = |first| Token {
        index: first + index,
        generation: 0,
    };
    Tokens {
        listener: token(FIRST_ACCEPTOR),
        gate: token(FIRST_GATE),
    }
}

fn unwatched(errno: Errno) -> Error {
    failed(Stage::Io, "a task's descriptor", errno).with_action("watch")
}

fn refused(errno: Errno) -> Error {
    failed(Stage::Socket, "the engine", errno)
}
