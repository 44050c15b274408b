//! The calls of C that use a socket.
//!
//! C hands over pointers that are valid for the call, see [`ffi`](super::ffi).

use std::ffi::c_int;
use std::slice;

use super::ffi::{FAILED, Facts, Outcome, bytes};
use crate::counters::Counters;
use crate::socket::{Socket, TimeVal};

/// Reads once: a length, 0 where nothing is there, or -1.
///
/// # Safety
///
/// Pointers are as `shim.h` says.
#[unsafe(no_mangle)]
pub(super) unsafe extern "C" fn ss_read(
    socket: *mut Socket,
    buffer: *mut u8,
    length: usize,
    look_once: bool,
    eof: *mut bool,
    outcome: *mut Outcome,
) -> isize {
    // SAFETY: C passes the data of a live stream, which nothing else uses during the call.
    let socket = unsafe { &mut *socket };
    // SAFETY: PHP's buffer has room for that many bytes.
    let buffer = unsafe { slice::from_raw_parts_mut(buffer, length) };
    // SAFETY: C passes a zeroed outcome on its stack.
    let outcome = unsafe { &mut *outcome };
    // SAFETY: C passes a flag on its stack.
    let eof = unsafe { &mut *eof };
    match outcome.of(|| socket.read(buffer, look_once)) {
        Some((length, at_end)) => {
            *eof = at_end;
            isize::try_from(length.unwrap_or(0)).unwrap_or(isize::MAX)
        }
        None => {
            *eof = outcome.status == FAILED;
            -1
        }
    }
}

/// Copies what a read would take.
///
/// # Safety
///
/// Pointers are as `shim.h` says.
#[unsafe(no_mangle)]
pub(super) unsafe extern "C" fn ss_peek(
    socket: *mut Socket,
    buffer: *mut u8,
    length: usize,
    outcome: *mut Outcome,
) -> isize {
    // SAFETY: C passes the data of a live stream, which nothing else uses during the call.
    let socket = unsafe { &mut *socket };
    // SAFETY: PHP's buffer has room for that many bytes.
    let buffer = unsafe { slice::from_raw_parts_mut(buffer, length) };
    // SAFETY: C passes a zeroed outcome on its stack.
    let outcome = unsafe { &mut *outcome };
    let length = outcome.of(|| socket.peek(buffer));
    length.map_or(-1, |length| isize::try_from(length).unwrap_or(isize::MAX))
}

/// Writes once: a length, or -1.
///
/// # Safety
///
/// Pointers are as `shim.h` says.
#[unsafe(no_mangle)]
pub(super) unsafe extern "C" fn ss_write(
    socket: *mut Socket,
    data: *const u8,
    length: usize,
    outcome: *mut Outcome,
) -> isize {
    // SAFETY: C passes the data of a live stream, which nothing else uses during the call.
    let socket = unsafe { &mut *socket };
    // SAFETY: C passes that many bytes, which stay as they are during the call.
    let data = unsafe { bytes(data, length) }.unwrap_or_default();
    // SAFETY: C passes a zeroed outcome on its stack.
    let outcome = unsafe { &mut *outcome };
    let length = outcome.of(|| socket.write(data));
    length.map_or(-1, |length| isize::try_from(length).unwrap_or(isize::MAX))
}

/// Whether the end has not been reached.
///
/// # Safety
///
/// Pointers are as `shim.h` says.
#[unsafe(no_mangle)]
pub(super) unsafe extern "C" fn ss_is_alive(socket: *mut Socket, outcome: *mut Outcome) -> bool {
    // SAFETY: C passes the data of a live stream, which nothing else uses during the call.
    let socket = unsafe { &mut *socket };
    // SAFETY: C passes a zeroed outcome on its stack.
    let outcome = unsafe { &mut *outcome };
    outcome.of(|| Ok(socket.is_alive())) == Some(true)
}

/// Ends a direction: 0 reading, 1 writing, 2 both.
///
/// # Safety
///
/// Pointers are as `shim.h` says.
#[unsafe(no_mangle)]
pub(super) unsafe extern "C" fn ss_shutdown(
    socket: *mut Socket,
    how: c_int,
    outcome: *mut Outcome,
) {
    // SAFETY: C passes the data of a live stream, which nothing else uses during the call.
    let socket = unsafe { &mut *socket };
    // SAFETY: C passes a zeroed outcome on its stack.
    let outcome = unsafe { &mut *outcome };
    _ = outcome.of(|| socket.shutdown(how));
}

/// The name of one end, in the text of the outcome.
///
/// # Safety
///
/// Pointers are as `shim.h` says.
#[unsafe(no_mangle)]
pub(super) unsafe extern "C" fn ss_name(socket: *mut Socket, peer: bool, outcome: *mut Outcome) {
    // SAFETY: C passes the data of a live stream, which nothing else uses during the call.
    let socket = unsafe { &mut *socket };
    // SAFETY: C passes a zeroed outcome on its stack.
    let outcome = unsafe { &mut *outcome };
    if let Some(name) = outcome.of(|| socket.name(peer)) {
        outcome.tell(name);
    }
}

/// The descriptor, or -1.
///
/// # Safety
///
/// Pointers are as `shim.h` says.
#[unsafe(no_mangle)]
pub(super) unsafe extern "C" fn ss_descriptor(
    socket: *mut Socket,
    for_waiting: bool,
    outcome: *mut Outcome,
) -> c_int {
    // SAFETY: C passes the data of a live stream, which nothing else uses during the call.
    let socket = unsafe { &mut *socket };
    // SAFETY: C passes a zeroed outcome on its stack.
    let outcome = unsafe { &mut *outcome };
    let descriptor = outcome.of(|| Ok(socket.descriptor(for_waiting)));
    descriptor.unwrap_or(-1)
}

/// Whether a read has something that the descriptor does not tell.
///
/// # Safety
///
/// Pointers are as `shim.h` says.
#[unsafe(no_mangle)]
pub(super) unsafe extern "C" fn ss_has_pending(
    socket: *const Socket,
    outcome: *mut Outcome,
) -> bool {
    // SAFETY: C passes the data of a live stream, which nothing else changes during the call.
    let socket = unsafe { &*socket };
    // SAFETY: C passes a zeroed outcome on its stack.
    let outcome = unsafe { &mut *outcome };
    outcome.of(|| Ok(socket.has_pending())) == Some(true)
}

/// Gives the descriptor up, which is C's then; -1 where there is none.
///
/// # Safety
///
/// Pointers are as `shim.h` says.
#[unsafe(no_mangle)]
pub(super) unsafe extern "C" fn ss_release(socket: *mut Socket, outcome: *mut Outcome) -> c_int {
    // SAFETY: C passes the data of a live stream, which nothing else uses during the call.
    let socket = unsafe { &mut *socket };
    // SAFETY: C passes a zeroed outcome on its stack.
    let outcome = unsafe { &mut *outcome };
    outcome.of(|| Ok(socket.release())).unwrap_or(-1)
}

/// What a client was opened with: its target, and how long it had.
///
/// # Safety
///
/// Pointers are as `shim.h` says.
#[unsafe(no_mangle)]
pub(super) unsafe extern "C" fn ss_target_of(
    socket: *const Socket,
    length: *mut usize,
    connect_timeout: *mut TimeVal,
) -> *const u8 {
    // SAFETY: C passes the data of a live stream, which nothing else changes during the call.
    let socket = unsafe { &*socket };
    let (target, timeout) = socket.target();
    // SAFETY: C passes a length on its stack.
    unsafe { length.write(target.len()) };
    // SAFETY: C passes a timeval on its stack.
    unsafe { connect_timeout.write(timeout) };
    target.as_ptr()
}

/// What a stream has to tell beside PHP's own meta data.
///
/// # Safety
///
/// Pointers are as `shim.h` says.
#[unsafe(no_mangle)]
pub(super) unsafe extern "C" fn ss_tell(
    socket: *const Socket,
    facts: *mut Facts,
    outcome: *mut Outcome,
) {
    // SAFETY: C passes the data of a live stream, which nothing else changes during the call.
    let socket = unsafe { &*socket };
    // SAFETY: C passes a zeroed outcome on its stack.
    let outcome = unsafe { &mut *outcome };
    let Some(told) = outcome.of(|| Ok(socket.facts())) else {
        return;
    };
    let credentials = told.credentials.as_ref();
    let facts_of_stream = Facts {
        received: told.received,
        sent: told.sent,
        process: credentials.map_or(0, |who| who.process),
        user: credentials.map_or(0, |who| who.user),
        group: credentials.map_or(0, |who| who.group),
        last_error: told.last_error,
        connected: told.connected,
        has_credentials: credentials.is_some(),
    };
    // SAFETY: C passes room on its stack.
    unsafe { facts.write(facts_of_stream) };
}

/// The counters of the process.
///
/// # Safety
///
/// Pointers are as `shim.h` says.
#[unsafe(no_mangle)]
pub(super) unsafe extern "C" fn ss_count(counters: *mut Counters) {
    // SAFETY: C passes room on its stack.
    unsafe { counters.write(Counters::now()) };
}
