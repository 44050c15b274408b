//! What Fibers wait for: one engine for the thread, in which every socket that a Fiber has waited
//! on rests as a [`Watch`].
//!
//! The engine does not run Fibers, as no frame of Rust may be on the stack when they switch: a turn
//! notes who is to go on ([`Event`]), and C goes on with them one after the other. A Fiber is known
//! here as a number, the address of what C knows of it.

mod readiness;

use std::cell::{Cell, RefCell};
use std::collections::{HashMap, VecDeque};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use stream_socket::engine::{Cause, Control, Engine, Next, Task, TaskId, Turn, Wake};
use stream_socket::{Error, Interest, Listener, Stream};

use crate::zend::{Lent, now};
pub(crate) use readiness::{Direction, Fiber, NEVER, Readiness, Waited, Waiter};

/// A server, by its address.
pub(crate) type Server = usize;

/// What C is to do after a turn.
#[derive(Debug)]
pub(crate) enum Event {
    /// Go on with a Fiber.
    Woken(Fiber, Waited),
    /// Start a handler for what a server's listener, by its index, has accepted.
    Arrived(Server, i32, Box<Arrived>),
    /// A signal has come.
    Signal,
}

/// What was accepted. A peer of datagrams is watched already.
#[derive(Debug)]
pub(crate) struct Arrived {
    pub(crate) stream: Stream,
    pub(crate) known: Option<Rc<Readiness>>,
}

/// `SS_AHEAD`, and how many of the next Fibers are told of in advance: `SS_COMING`.
const AHEAD: usize = 4;
pub(crate) const COMING: usize = 1 + 2 * AHEAD;

type Events = Rc<RefCell<VecDeque<Event>>>;

/// A descriptor that Fibers wait on, or only the time.
#[derive(Debug)]
struct Watch {
    descriptor: Lent,
    /// Whether it is the one that tells of signals.
    is_signal: bool,
    /// Whether it is of a peer of datagrams, of which the engine tells only once a wait.
    is_peer: bool,
    /// Whether writing is watched, which it is from the first wait for it.
    watches_writing: bool,
    known: Rc<Readiness>,
    events: Events,
}

impl Watch {
    fn new(descriptor: Lent, events: &Events) -> Self {
        Self {
            descriptor,
            is_signal: false,
            is_peer: false,
            watches_writing: false,
            known: Rc::default(),
            events: Rc::clone(events),
        }
    }

    fn wake(&self, waiter: Option<Waiter>, waited: Waited) {
        if let Some(waiter) = waiter {
            let event = Event::Woken(waiter.fiber, waited);
            self.events.borrow_mut().push_back(event);
        }
    }

    /// Wakes who waits for that, if his time is over.
    fn expire(&self, direction: Direction, now: i64) {
        let place = self.known.waiter(direction);
        if let Some(late) = place.get().filter(|waiter| waiter.due <= now) {
            place.set(None);
            self.wake(Some(late), late.late());
        }
    }

    fn close(&self) {
        self.wake(self.known.waiter(Direction::Read).take(), Waited::Closed);
        self.wake(self.known.waiter(Direction::Write).take(), Waited::Closed);
    }

    fn ready(&self, readable: bool, writable: bool, ended: bool) {
        if ended {
            self.known.note_end();
        }
        if readable {
            self.wake(self.known.ready(Direction::Read), Waited::Ready);
            if self.is_signal {
                self.events.borrow_mut().push_back(Event::Signal);
            }
        }
        if writable {
            self.wake(self.known.ready(Direction::Write), Waited::Ready);
        }
    }

    fn interest(&self) -> Interest {
        if self.watches_writing {
            return Interest::READ.and(Interest::WRITE);
        }
        Interest::READ
    }

    /// Begins a wait of which the engine has to hear.
    fn begin(
        &mut self,
        direction: Direction,
        waiter: Waiter,
        now: i64,
        turn: &mut Turn<'_>,
    ) -> (Next, Waited) {
        self.watches_writing |= direction == Direction::Write;
        if !self.is_peer {
            self.known.tells(true, self.watches_writing);
        }
        let next = Next::Wait(self.interest());
        if waiter.due <= now {
            // Nobody waits, but the next attempt is to know what has come by then.
            return (next, waiter.late());
        }
        self.known.waiter(direction).set(Some(waiter));
        self.look_in_time(now, turn);
        (next, Waited::Begun)
    }

    /// Has the engine look at the time before that of a waiter is over.
    fn look_in_time(&self, now: i64, turn: &mut Turn<'_>) {
        let due = self.known.due();
        if self.known.is_to_look(due) {
            let left = u64::try_from(due.saturating_sub(now)).unwrap_or(0);
            turn.set_timer(Some(Duration::from_nanos(left)));
        }
    }

    fn look(&self, turn: &mut Turn<'_>) {
        let now = now();
        self.known.has_looked();
        self.expire(Direction::Read, now);
        self.expire(Direction::Write, now);
        self.look_in_time(now, turn);
    }
}

impl Task for Watch {
    fn descriptor(&self) -> BorrowedFd<'_> {
        self.descriptor.as_fd()
    }

    fn run(&mut self, wake: Wake, turn: &mut Turn<'_>) -> Next {
        match wake {
            Wake::Ready {
                readable,
                writable,
                ended,
            } => self.ready(readable, writable, ended),
            Wake::Timer => self.look(turn),
            _ => {}
        }
        Next::Rest
    }

    fn placed(&mut self, id: TaskId) {
        self.known.set_watch(id);
    }

    fn given_up(&mut self, _cause: Cause) {
        self.known.tells(false, false);
        self.close();
    }
}

/// The engine, and what its turns have brought.
pub(crate) struct Waiting {
    engine: Engine<Watch>,
    control: Control,
    events: Events,
    /// How many more connections each server has room for.
    room: HashMap<Server, Rc<Cell<usize>>>,
    /// The connection that the last event told of.
    pub(crate) arrived: Option<Box<Arrived>>,
    /// Fibers that wait for something that is no socket of ours.
    visits: HashMap<Fiber, TaskId>,
    /// What stands for the descriptor where only the time is awaited.
    sleepers: Lent,
    /// Events told of since all that come next were told.
    told: usize,
}

impl Waiting {
    /// `signal` becomes readable when a signal has come, and stays open as long as this is there.
    pub(crate) fn new(signal: Lent) -> Result<Self, Error> {
        let control = Control::new();
        let mut waiting = Self {
            engine: Engine::new(&control)?,
            control,
            events: Events::default(),
            room: HashMap::new(),
            arrived: None,
            visits: HashMap::new(),
            sleepers: signal,
            told: 0,
        };
        let mut watch = Watch::new(signal, &waiting.events);
        watch.is_signal = true;
        let id = waiting.engine.rest(watch);
        let watched = |_: &mut Watch, _: &mut Turn<'_>| (Next::Wait(Interest::READ), ());
        waiting.engine.enter(id, watched)?;
        Ok(waiting)
    }

    /// Takes in a descriptor, before the first wait on it.
    pub(crate) fn add(&mut self, descriptor: Lent) -> Rc<Readiness> {
        let watch = Watch::new(descriptor, &self.events);
        let known = Rc::clone(&watch.known);
        self.engine.rest(watch);
        known
    }

    /// Lets a socket go, before it is closed; who waits on it is woken.
    pub(crate) fn remove(&mut self, id: TaskId) {
        self.close(id);
        self.engine.remove(id);
    }

    /// Wakes who waits on a socket that is about to be closed.
    pub(crate) fn close(&mut self, id: TaskId) {
        _ = self.engine.enter(id, |watch, _| {
            watch.close();
            (Next::Rest, ())
        });
    }

    /// Begins a wait of which the engine has to hear.
    pub(crate) fn begin(
        &mut self,
        id: TaskId,
        direction: Direction,
        waiter: Waiter,
        now: i64,
    ) -> Result<Waited, Error> {
        let entered = self
            .engine
            .enter(id, |watch, turn| watch.begin(direction, waiter, now, turn));
        if entered.is_err() {
            // It was told that it is given up, but has not begun.
            self.forget(waiter.fiber);
        }
        Ok(entered?.unwrap_or(Waited::Closed))
    }

    /// Ends a wait that nothing ended: the Fiber goes on for another reason.
    pub(crate) fn cancel(&mut self, known: &Readiness, direction: Direction, fiber: Fiber) {
        known.cancel(direction, fiber);
        self.forget(fiber);
    }

    /// Sees to it that no event names a Fiber that has gone on.
    pub(crate) fn forget(&mut self, fiber: Fiber) {
        let names = |event: &Event| matches!(event, Event::Woken(woken, _) if *woken == fiber);
        self.events.borrow_mut().retain(|event| !names(event));
    }

    /// Begins a wait for a descriptor that is no socket of ours, or for the time alone.
    pub(crate) fn await_descriptor(
        &mut self,
        descriptor: Option<Lent>,
        waiter: Waiter,
    ) -> Result<(), Error> {
        let known = self.add(descriptor.unwrap_or(self.sleepers));
        let Some(id) = known.watch() else {
            return Ok(());
        };
        known.exhausted(Direction::Read);
        self.visits.insert(waiter.fiber, id);
        self.engine.enter(id, |watch, turn| {
            known.waiter(Direction::Read).set(Some(waiter));
            watch.look_in_time(now(), turn);
            match descriptor {
                Some(_) => (Next::Wait(Interest::READ), ()),
                None => (Next::Rest, ()),
            }
        })?;
        Ok(())
    }

    /// Ends that wait, whatever ended it.
    pub(crate) fn leave_descriptor(&mut self, fiber: Fiber) {
        if let Some(id) = self.visits.remove(&fiber) {
            self.engine.remove(id);
            self.forget(fiber);
        }
    }

    /// Wakes a Fiber that waits for the time alone, or has given way.
    pub(crate) fn wake(&mut self, fiber: Fiber) {
        let event = Event::Woken(fiber, Waited::Ready);
        self.events.borrow_mut().push_back(event);
    }

    /// Accepts from `listener` for a server, of which it is the `index`th.
    pub(crate) fn listen(
        &mut self,
        listener: Arc<Listener>,
        server: Server,
        index: i32,
    ) -> Result<(), Error> {
        let (room, events) = (Rc::clone(self.room_of(server)), Rc::clone(&self.events));
        let arrive = move |arrived| {
            let event = Event::Arrived(server, index, Box::new(arrived));
            events.borrow_mut().push_back(event);
        };
        if listener.transport().is_datagram() {
            return self.listen_to_peers(listener, room, arrive);
        }
        let taken = Rc::clone(&room);
        let has_room = move || room.get() > 0;
        self.engine.listen_while(listener, has_room, move |stream| {
            taken.set(taken.get().saturating_sub(1));
            let known = None;
            arrive(Arrived { stream, known });
            None
        })
    }

    /// Peers for which there is no room are forgotten: their datagrams would be in the way of
    /// those for others.
    fn listen_to_peers(
        &mut self,
        listener: Arc<Listener>,
        room: Rc<Cell<usize>>,
        arrive: impl Fn(Arrived) + 'static,
    ) -> Result<(), Error> {
        let events = Rc::clone(&self.events);
        self.engine.listen(listener, move |stream| {
            room.set(room.get().checked_sub(1)?);
            let shared = Lent::new(stream.as_fd().as_raw_fd())?;
            let mut watch = Watch::new(shared, &events);
            watch.is_peer = true;
            let known = Some(Rc::clone(&watch.known));
            arrive(Arrived { stream, known });
            Some(watch)
        })
    }

    fn room_of(&mut self, server: Server) -> &Rc<Cell<usize>> {
        self.room.entry(server).or_default()
    }

    /// Says that a server has room for so many more.
    pub(crate) fn add_room(&mut self, server: Server, more: usize) {
        let room = self.room_of(server);
        room.set(room.get().saturating_add(more));
    }

    /// Takes a place of a server, if there is one.
    pub(crate) fn take_room(&mut self, server: Server) -> bool {
        let room = self.room_of(server);
        let left = room.get();
        room.set(left.saturating_sub(1));
        left > 0
    }

    /// Has a server accept no more; peers of datagrams that it has go on.
    pub(crate) fn close_server(&mut self, server: Server) {
        self.room_of(server).set(0);
    }

    pub(crate) fn leave(&mut self, listener: &Arc<Listener>) {
        self.engine.leave(listener);
    }

    /// Forgets a server, with the connections that it has not begun with.
    pub(crate) fn end_server(&mut self, server: Server) {
        self.room.remove(&server);
        let is_of = |event: &Event| match event {
            Event::Arrived(of, ..) => *of == server,
            Event::Woken(..) | Event::Signal => false,
        };
        self.events.borrow_mut().retain(|event| !is_of(event));
    }

    /// Waits up to `timeout` and notes what has come.
    pub(crate) fn turn(&mut self, timeout: Option<Duration>) -> Result<(), Error> {
        let none_left = self.events.borrow().is_empty();
        let timeout = if none_left {
            timeout
        } else {
            Some(Duration::ZERO)
        };
        self.engine.turn(timeout).map(drop)
    }

    /// How many events there are to be handled.
    pub(crate) fn events(&self) -> usize {
        self.events.borrow().len()
    }

    pub(crate) fn next_event(&mut self) -> Option<Event> {
        self.events.borrow_mut().pop_front()
    }

    /// The Fibers of the next events, or 0: all of them once in a while, else the first alone.
    pub(crate) fn coming(&mut self) -> [Fiber; COMING] {
        self.told = (self.told + 1) % AHEAD;
        let events = self.events.borrow();
        let mut coming = [0; COMING];
        let told = if self.told == 0 { COMING } else { 1 };
        for (place, event) in coming.iter_mut().zip(events.iter()).take(told) {
            if let Event::Woken(fiber, _) = event {
                *place = *fiber;
            }
        }
        coming
    }

    /// Whether it waits for nothing but signals.
    pub(crate) fn is_idle(&self) -> bool {
        let watches = self.engine.len() <= 1 && self.engine.listeners().next().is_none();
        watches && self.events.borrow().is_empty()
    }

    /// How long until a turn has something to do that its descriptor does not tell.
    pub(crate) fn next_turn(&self) -> Option<Duration> {
        if self.events.borrow().is_empty() {
            return self.engine.next_turn();
        }
        Some(Duration::ZERO)
    }

    /// Times that accepting paused for want of descriptors, and connections lost.
    pub(crate) fn losses(&self) -> (u64, u64) {
        let counters = self.control.counters();
        (
            counters.exhausted,
            counters.failed + counters.refused_full + counters.refused_per_ip,
        )
    }
}

thread_local! {
    static OF_THIS_THREAD: RefCell<Option<Waiting>> = const { RefCell::new(None) };
}

/// What this thread's Fibers wait for, if any ever did.
pub(crate) fn with<R>(go: impl FnOnce(&mut Waiting) -> R) -> Option<R> {
    OF_THIS_THREAD.with_borrow_mut(|waiting| waiting.as_mut().map(go))
}

/// Makes it.
pub(crate) fn begin(waiting: Waiting) {
    OF_THIS_THREAD.set(Some(waiting));
}

/// Gives it up.
pub(crate) fn end() {
    OF_THIS_THREAD.set(None);
}

impl AsFd for Waiting {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.engine.as_fd()
    }
}
