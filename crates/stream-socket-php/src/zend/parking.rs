//! The calls of `fibers.h`: what Fibers wait for, and who is to go on.
//!
//! C hands over pointers that are valid for the call, see [`ffi`](super::ffi). None of these calls
//! waits but [`ss_loop_turn`], and none runs a Fiber.

use std::ffi::c_int;
use std::os::fd::{AsFd, AsRawFd};
use std::ptr;
use std::sync::Arc;
use std::time::Duration;

use super::boundary::{Ended, guarded};
use super::ffi::{FAILED, Outcome, bytes, now};
use super::lent::Lent;
use crate::failure::{Failure, NO_SOCKET};
use crate::socket::Socket;
use crate::waiting::{
    self, COMING, Direction, Event, Fiber, NEVER, Server, Waited, Waiter, Waiting,
};

/// `ss_patience`: how long an operation may wait, in nanoseconds, and until when by the clock;
/// zero before its first wait.
#[derive(Debug)]
#[repr(C)]
pub(super) struct Patience {
    timeout: i64,
    until: i64,
}

impl Patience {
    /// When it is over, if it begins now at the latest, or [`NEVER`].
    fn due(&mut self, now: i64) -> i64 {
        if self.timeout < 0 {
            return NEVER;
        }
        if self.until == 0 {
            self.until = now.saturating_add(self.timeout).max(1);
        }
        self.until
    }
}

/// `ss_event`
#[derive(Debug)]
#[repr(C)]
pub(super) struct Happened {
    kind: c_int,
    /// How the wait ended, or which listener it is.
    detail: c_int,
    /// The Fiber or the server.
    key: usize,
    /// The Fibers that have the next turns, or 0.
    coming: [Fiber; COMING],
}

/// `enum ss_event_kind`
const WOKEN: c_int = 0;
const ARRIVED: c_int = 1;
const SIGNAL: c_int = 2;

/// `SS_WOULD_WAIT`: what an attempt says that would have to wait.
const WOULD_WAIT: isize = -2;

fn direction(number: c_int) -> Direction {
    if number == 0 {
        Direction::Read
    } else {
        Direction::Write
    }
}

fn waiting<R>(go: impl FnOnce(&mut Waiting) -> R) -> Result<R, Failure> {
    waiting::with(go).ok_or_else(|| Failure::of_words("there is no loop"))
}

fn span(nanoseconds: i64) -> Option<Duration> {
    u64::try_from(nanoseconds).ok().map(Duration::from_nanos)
}

fn length(length: usize) -> isize {
    isize::try_from(length).unwrap_or(isize::MAX)
}

/// Makes the loop, of which `signal` is a part: it is told when that becomes readable.
///
/// # Safety
///
/// Pointers are as `shim.h` says.
#[unsafe(no_mangle)]
pub(super) unsafe extern "C" fn ss_loop_begin(signal: c_int, outcome: *mut Outcome) {
    // SAFETY: C passes a zeroed outcome on its stack.
    let outcome = unsafe { &mut *outcome };
    _ = outcome.of(|| {
        let signal = Lent::new(signal).ok_or_else(|| Failure::of_system(NO_SOCKET))?;
        waiting::begin(Waiting::new(signal)?);
        Ok(())
    });
}

/// Waits up to so many nanoseconds, for ever where negative, and notes what has come.
///
/// # Safety
///
/// Pointers are as `shim.h` says.
#[unsafe(no_mangle)]
pub(super) unsafe extern "C" fn ss_loop_turn(timeout: i64, outcome: *mut Outcome) {
    // SAFETY: C passes a zeroed outcome on its stack.
    let outcome = unsafe { &mut *outcome };
    _ = outcome.of(|| Ok(waiting(|waiting| waiting.turn(span(timeout)))??));
}

/// What is to be done next; false when that was all.
///
/// # Safety
///
/// Pointers are as `shim.h` says.
#[unsafe(no_mangle)]
pub(super) unsafe extern "C" fn ss_loop_next(happened: *mut Happened) -> bool {
    let next = guarded(|| {
        waiting(|waiting| {
            let (kind, detail, key) = match waiting.next_event()? {
                Event::Woken(fiber, waited) => (WOKEN, waited as c_int, fiber),
                Event::Signal => (SIGNAL, 0, 0),
                Event::Arrived(server, index, arrived) => {
                    waiting.arrived = Some(arrived);
                    (ARRIVED, index, server)
                }
            };
            Some(Happened {
                kind,
                detail,
                key,
                coming: waiting.coming(),
            })
        })
    });
    let Ended::Well(Some(next)) = next else {
        return false;
    };
    // SAFETY: C passes room on its stack.
    unsafe { happened.write(next) };
    true
}

/// Whether nothing is waited for, so that a turn would never end.
#[unsafe(no_mangle)]
pub(super) extern "C" fn ss_loop_is_idle() -> bool {
    let idle = guarded(|| waiting(|waiting| waiting.is_idle()));
    matches!(idle, Ended::Well(true) | Ended::Failed(_))
}

/// Nanoseconds until a turn has something to do that the loop's descriptor does not tell, or -1.
#[unsafe(no_mangle)]
pub(super) extern "C" fn ss_loop_next_turn() -> i64 {
    match guarded(|| waiting(|waiting| waiting.next_turn())) {
        Ended::Well(Some(span)) => i64::try_from(span.as_nanos()).unwrap_or(i64::MAX),
        _ => -1,
    }
}

/// The loop's descriptor, which is readable when a turn has something to do.
#[unsafe(no_mangle)]
pub(super) extern "C" fn ss_loop_descriptor() -> c_int {
    match guarded(|| waiting(|waiting| waiting.as_fd().as_raw_fd())) {
        Ended::Well(descriptor) => descriptor,
        _ => -1,
    }
}

/// How many events there are to be handled.
#[unsafe(no_mangle)]
pub(super) extern "C" fn ss_loop_events() -> usize {
    match guarded(|| waiting(|waiting| waiting.events())) {
        Ended::Well(count) => count,
        _ => 0,
    }
}

/// Gives the loop up.
#[unsafe(no_mangle)]
pub(super) extern "C" fn ss_loop_drop() {
    _ = guarded(|| {
        waiting::end();
        Ok(())
    });
}

/// Times that accepting paused for want of descriptors, and connections lost.
///
/// # Safety
///
/// Pointers are as `shim.h` says.
#[unsafe(no_mangle)]
pub(super) unsafe extern "C" fn ss_losses(exhausted: *mut u64, lost: *mut u64) {
    let counted = guarded(|| waiting(|waiting| waiting.losses()));
    let (times, connections) = match counted {
        Ended::Well(losses) => losses,
        _ => (0, 0),
    };
    // SAFETY: C passes room on its stack.
    unsafe { exhausted.write(times) };
    // SAFETY: C passes room on its stack.
    unsafe { lost.write(connections) };
}

/// Sees to it that a Fiber that has gone on is not woken by what came before.
#[unsafe(no_mangle)]
pub(super) extern "C" fn ss_loop_forget(fiber: Fiber) {
    _ = guarded(|| waiting(|waiting| waiting.forget(fiber)));
}

/// Has a Fiber go on in its turn.
#[unsafe(no_mangle)]
pub(super) extern "C" fn ss_loop_wake(fiber: Fiber) {
    _ = guarded(|| waiting(|waiting| waiting.wake(fiber)));
}

/// Reads without waiting: [`WOULD_WAIT`] where it would.
///
/// # Safety
///
/// Pointers are as `shim.h` says.
#[unsafe(no_mangle)]
pub(super) unsafe extern "C" fn ss_try_read(
    socket: *mut Socket,
    buffer: *mut u8,
    count: usize,
    eof: *mut bool,
    outcome: *mut Outcome,
) -> isize {
    // SAFETY: C passes the data of a live stream, which nothing else uses during the call.
    let socket = unsafe { &mut *socket };
    // SAFETY: PHP's buffer has room for that many bytes.
    let buffer = unsafe { std::slice::from_raw_parts_mut(buffer, count) };
    // SAFETY: C passes a zeroed outcome on its stack.
    let outcome = unsafe { &mut *outcome };
    // SAFETY: C passes a flag on its stack.
    let eof = unsafe { &mut *eof };
    match outcome.of(|| socket.try_read(buffer)) {
        Some((Some(came), at_end)) => {
            *eof = at_end;
            length(came)
        }
        Some((None, _)) => WOULD_WAIT,
        None => {
            *eof = outcome.status == FAILED;
            -1
        }
    }
}

/// Copies what a read would take, without waiting: [`WOULD_WAIT`] where it would.
///
/// # Safety
///
/// Pointers are as `shim.h` says.
#[unsafe(no_mangle)]
pub(super) unsafe extern "C" fn ss_try_peek(
    socket: *mut Socket,
    buffer: *mut u8,
    count: usize,
    outcome: *mut Outcome,
) -> isize {
    // SAFETY: C passes the data of a live stream, which nothing else uses during the call.
    let socket = unsafe { &mut *socket };
    // SAFETY: PHP's buffer has room for that many bytes.
    let buffer = unsafe { std::slice::from_raw_parts_mut(buffer, count) };
    // SAFETY: C passes a zeroed outcome on its stack.
    let outcome = unsafe { &mut *outcome };
    match outcome.of(|| socket.try_peek(buffer)) {
        Some(Some(came)) => length(came),
        Some(None) => WOULD_WAIT,
        None => -1,
    }
}

/// Writes without waiting; zero where it would have to wait.
///
/// # Safety
///
/// Pointers are as `shim.h` says.
#[unsafe(no_mangle)]
pub(super) unsafe extern "C" fn ss_try_write(
    socket: *mut Socket,
    data: *const u8,
    count: usize,
    outcome: *mut Outcome,
) -> isize {
    // SAFETY: C passes the data of a live stream, which nothing else uses during the call.
    let socket = unsafe { &mut *socket };
    // SAFETY: C passes that many bytes, which stay as they are during the call.
    let data = unsafe { bytes(data, count) }.unwrap_or_default();
    // SAFETY: C passes a zeroed outcome on its stack.
    let outcome = unsafe { &mut *outcome };
    outcome.of(|| socket.try_write(data)).map_or(-1, length)
}

/// Begins a Fiber's wait on a stream's socket, or says why there is none: `enum ss_waited`.
///
/// # Safety
///
/// Pointers are as `shim.h` says.
#[unsafe(no_mangle)]
pub(super) unsafe extern "C" fn ss_wait_begin(
    socket: *mut Socket,
    way: c_int,
    fiber: Fiber,
    patience: *mut Patience,
    outcome: *mut Outcome,
) -> c_int {
    // SAFETY: C passes the data of a live stream, which nothing else uses during the call.
    let socket = unsafe { &mut *socket };
    // SAFETY: C passes a patience on its stack.
    let patience = unsafe { &mut *patience };
    // SAFETY: C passes a zeroed outcome on its stack.
    let outcome = unsafe { &mut *outcome };
    let (direction, now) = (direction(way), now());
    let waiter = socket.waiter(fiber, patience.due(now), now);
    let began = socket
        .known()
        .and_then(|known| known.begin(direction, waiter, now));
    let began = match began {
        Some(began) => Some(began),
        None => outcome.of(|| begin(socket, direction, waiter, now)),
    };
    let waited = began.unwrap_or(Waited::Closed);
    if waited == Waited::Idle {
        socket.idle_out();
    }
    waited as c_int
}

/// Begins a wait of which the engine has to hear.
#[cold]
fn begin(
    socket: &mut Socket,
    direction: Direction,
    waiter: Waiter,
    now: i64,
) -> Result<Waited, Failure> {
    waiting(|waiting| {
        if socket.watch().is_none() {
            let lent = Lent::new(socket.descriptor(true));
            let lent = lent.ok_or_else(|| Failure::of_system(NO_SOCKET))?;
            socket.set_known(waiting.add(lent));
            socket.exhausted(direction);
        }
        let id = socket.watch();
        let id = id.ok_or_else(|| Failure::of_system(NO_SOCKET))?;
        Ok(waiting.begin(id, direction, waiter, now)?)
    })?
}

/// Notes that an attempt by other means found that it would wait.
///
/// # Safety
///
/// Pointers are as `shim.h` says.
#[unsafe(no_mangle)]
pub(super) unsafe extern "C" fn ss_exhausted(socket: *const Socket, way: c_int) {
    // SAFETY: C passes the data of a live stream, which nothing else changes during the call.
    let socket = unsafe { &*socket };
    socket.exhausted(direction(way));
}

/// Whether a listener has a place for another connection.
///
/// # Safety
///
/// Pointers are as `shim.h` says.
#[unsafe(no_mangle)]
pub(super) unsafe extern "C" fn ss_has_room(socket: *const Socket) -> bool {
    // SAFETY: C passes the data of a live stream, which nothing else changes during the call.
    let socket = unsafe { &*socket };
    socket.has_room()
}

/// Whether a wait on it has to look by itself now and then.
///
/// # Safety
///
/// Pointers are as `shim.h` says.
#[unsafe(no_mangle)]
pub(super) unsafe extern "C" fn ss_is_to_be_looked_at(socket: *const Socket) -> bool {
    // SAFETY: C passes the data of a live stream, which nothing else changes during the call.
    let socket = unsafe { &*socket };
    socket.is_to_be_looked_at()
}

/// Ends a wait that nothing ended.
///
/// # Safety
///
/// Pointers are as `shim.h` says.
#[unsafe(no_mangle)]
pub(super) unsafe extern "C" fn ss_wait_cancel(socket: *const Socket, way: c_int, fiber: Fiber) {
    // SAFETY: C passes the data of a live stream, which nothing else changes during the call.
    let socket = unsafe { &*socket };
    _ = guarded(|| {
        let cancel = |waiting: &mut Waiting, known| waiting.cancel(known, direction(way), fiber);
        waiting(|waiting| socket.known().map(|known| cancel(waiting, known)))
    });
}

/// Notes that a connection was idle for too long.
///
/// # Safety
///
/// Pointers are as `shim.h` says.
#[unsafe(no_mangle)]
pub(super) unsafe extern "C" fn ss_idle_out(socket: *mut Socket) {
    // SAFETY: C passes the data of a live stream, which nothing else uses during the call.
    let socket = unsafe { &mut *socket };
    socket.idle_out();
}

/// Wakes who waits on a stream that is about to be closed.
///
/// # Safety
///
/// Pointers are as `shim.h` says.
#[unsafe(no_mangle)]
pub(super) unsafe extern "C" fn ss_wake_waiters(socket: *const Socket) {
    // SAFETY: C passes the data of a live stream, which nothing else changes during the call.
    let socket = unsafe { &*socket };
    _ = guarded(|| waiting(|waiting| socket.watch().map(|id| waiting.close(id))));
}

/// Begins a wait until a descriptor is readable, or, with -1, for the time alone.
///
/// # Safety
///
/// Pointers are as `shim.h` says.
#[unsafe(no_mangle)]
pub(super) unsafe extern "C" fn ss_visit_begin(
    descriptor: c_int,
    fiber: Fiber,
    patience: *mut Patience,
    outcome: *mut Outcome,
) {
    // SAFETY: C passes a patience on its stack.
    let patience = unsafe { &mut *patience };
    // SAFETY: C passes a zeroed outcome on its stack.
    let outcome = unsafe { &mut *outcome };
    let waiter = Waiter {
        fiber,
        due: patience.due(now()),
        idles: false,
    };
    _ = outcome.of(|| {
        Ok(waiting(|waiting| {
            waiting.await_descriptor(Lent::new(descriptor), waiter)
        })??)
    });
}

/// Ends it.
#[unsafe(no_mangle)]
pub(super) extern "C" fn ss_visit_end(fiber: Fiber) {
    _ = guarded(|| waiting(|waiting| waiting.leave_descriptor(fiber)));
}

/// Has a server accept from a listener, which is its `index`th.
///
/// # Safety
///
/// Pointers are as `shim.h` says.
#[unsafe(no_mangle)]
pub(super) unsafe extern "C" fn ss_server_listen(
    socket: *mut Socket,
    server: Server,
    index: c_int,
    outcome: *mut Outcome,
) {
    // SAFETY: C passes the data of a live stream, which nothing else uses during the call.
    let socket = unsafe { &mut *socket };
    // SAFETY: C passes a zeroed outcome on its stack.
    let outcome = unsafe { &mut *outcome };
    _ = outcome.of(|| {
        let listener = Arc::clone(socket.listener()?);
        Ok(waiting(|waiting| waiting.listen(listener, server, index))??)
    });
}

/// Takes a listener from its server.
///
/// # Safety
///
/// Pointers are as `shim.h` says.
#[unsafe(no_mangle)]
pub(super) unsafe extern "C" fn ss_server_leave(socket: *mut Socket) {
    // SAFETY: C passes the data of a live stream, which nothing else uses during the call.
    let socket = unsafe { &mut *socket };
    _ = guarded(|| {
        socket.leave_server();
        Ok(())
    });
}

/// Says that a server has room for so many more.
#[unsafe(no_mangle)]
pub(super) extern "C" fn ss_server_add_room(server: Server, more: usize) {
    _ = guarded(|| waiting(|waiting| waiting.add_room(server, more)));
}

/// Takes a place of a server, if there is one.
#[unsafe(no_mangle)]
pub(super) extern "C" fn ss_server_take_room(server: Server) -> bool {
    let taken = guarded(|| waiting(|waiting| waiting.take_room(server)));
    matches!(taken, Ended::Well(true))
}

/// Has a server accept no more; peers of datagrams that it has go on.
#[unsafe(no_mangle)]
pub(super) extern "C" fn ss_server_close(server: Server) {
    _ = guarded(|| waiting(|waiting| waiting.close_server(server)));
}

/// Forgets a server.
#[unsafe(no_mangle)]
pub(super) extern "C" fn ss_server_end(server: Server) {
    _ = guarded(|| waiting(|waiting| waiting.end_server(server)));
}

/// Makes a stream's data of the connection that the last event told of. Limits are in nanoseconds,
/// or negative.
///
/// # Safety
///
/// Pointers are as `shim.h` says.
#[unsafe(no_mangle)]
pub(super) unsafe extern "C" fn ss_take_arrived(
    listener: *const Socket,
    idle: i64,
    write: i64,
    outcome: *mut Outcome,
) -> *mut Socket {
    // SAFETY: C passes the data of a live stream, which nothing else changes during the call.
    let listener = unsafe { &*listener };
    // SAFETY: C passes a zeroed outcome on its stack.
    let outcome = unsafe { &mut *outcome };
    let made = outcome.of(|| {
        let arrived = waiting(|waiting| waiting.arrived.take())?;
        Ok(arrived.map(|arrived| {
            let mut socket = listener.around(arrived.stream);
            socket.set_heard(arrived.known);
            socket.limit(idle, write);
            socket
        }))
    });
    made.flatten().map_or(ptr::null_mut(), Box::into_raw)
}

/// Sets the limits of a stream that was accepted otherwise.
///
/// # Safety
///
/// Pointers are as `shim.h` says.
#[unsafe(no_mangle)]
pub(super) unsafe extern "C" fn ss_limit(socket: *mut Socket, idle: i64, write: i64) {
    // SAFETY: C passes the data of a live stream, which nothing else uses during the call.
    let socket = unsafe { &mut *socket };
    socket.limit(idle, write);
}
