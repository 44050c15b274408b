//! The calls of C that make and unmake sockets.
//!
//! C hands over pointers that are valid for the call, see [`ffi`](super::ffi).

use std::ffi::{c_char, c_int};
use std::ptr;
use std::slice;

use super::ffi::{Options, Outcome, Target, bytes, wishes};
use crate::socket::{Connection, Ip, Socket, TimeVal};
use crate::target::{self, Found};

/// `EINPROGRESS`
const IN_PROGRESS: c_int = 115;

/// A stream's data without a socket, owned by C until [`ss_free`]; null after a panic.
///
/// # Safety
///
/// Pointers are as `shim.h` says.
#[unsafe(no_mangle)]
pub(super) unsafe extern "C" fn ss_new(
    transport: c_int,
    timeout: *const TimeVal,
    connect_timeout: *const TimeVal,
    target: *const u8,
    length: usize,
    outcome: *mut Outcome,
) -> *mut Socket {
    // SAFETY: C passes a valid timeval or null.
    let timeout = unsafe { timeout.as_ref() }.copied();
    // SAFETY: C passes a valid timeval or null.
    let connect_timeout = unsafe { connect_timeout.as_ref() }.copied();
    // SAFETY: C passes that many bytes, which stay as they are during the call.
    let target = unsafe { bytes(target, length) }.unwrap_or_default();
    let transport = u8::try_from(transport).unwrap_or_default();
    let timeout = timeout.unwrap_or_default();
    let connect_timeout = connect_timeout.unwrap_or_default();
    // SAFETY: C passes a zeroed outcome on its stack.
    let outcome = unsafe { &mut *outcome };
    let made = outcome.of(|| Ok(Socket::new(transport, timeout, connect_timeout, target)));
    made.map_or(ptr::null_mut(), |socket| Box::into_raw(Box::new(socket)))
}

/// Closes and forgets.
///
/// # Safety
///
/// Pointers are as `shim.h` says.
#[unsafe(no_mangle)]
pub(super) unsafe extern "C" fn ss_free(socket: *mut Socket, outcome: *mut Outcome) {
    // SAFETY: it came from `Box::into_raw`, and C gives it up.
    let socket = unsafe { Box::from_raw(socket) };
    // SAFETY: C passes a zeroed outcome on its stack.
    let outcome = unsafe { &mut *outcome };
    _ = outcome.of(|| {
        drop(socket);
        Ok(())
    });
}

/// Takes back the text of an outcome.
///
/// # Safety
///
/// Pointers are as `shim.h` says.
#[unsafe(no_mangle)]
pub(super) unsafe extern "C" fn ss_text_free(text: *mut c_char, length: usize) {
    if text.is_null() {
        return;
    }
    let text = ptr::slice_from_raw_parts_mut(text.cast::<u8>(), length + 1);
    // SAFETY: it came from `Box::into_raw` in `Outcome::tell`, with this length and a NUL.
    drop(unsafe { Box::from_raw(text) });
}

/// Splits `host:port`.
///
/// # Safety
///
/// Pointers are as `shim.h` says.
#[unsafe(no_mangle)]
pub(super) unsafe extern "C" fn ss_parse_inet(
    text: *const u8,
    length: usize,
    parsed: *mut Target,
    outcome: *mut Outcome,
) {
    // SAFETY: C passes that many bytes, which stay as they are during the call.
    let text = unsafe { bytes(text, length) }.unwrap_or_default();
    // SAFETY: C passes a zeroed outcome on its stack.
    let outcome = unsafe { &mut *outcome };
    // SAFETY: C passes a target on its stack.
    let parsed = unsafe { &mut *parsed };
    if let Some(target) = outcome.of(|| target::parse(text)) {
        parsed.host = target.host.as_ptr();
        parsed.host_length = target.host.len();
        parsed.port = target.port;
    }
}

/// Looks a name up within the time given, of which it leaves what is left.
///
/// # Safety
///
/// Pointers are as `shim.h` says.
#[unsafe(no_mangle)]
pub(super) unsafe extern "C" fn ss_resolve(
    host: *const u8,
    length: usize,
    timeout: *mut TimeVal,
    ips: *mut Ip,
    room: usize,
    code: *mut c_int,
    outcome: *mut Outcome,
) -> usize {
    // SAFETY: C passes that many bytes, which stay as they are during the call.
    let host = unsafe { bytes(host, length) }.unwrap_or_default();
    // SAFETY: C passes a timeval on its stack.
    let timeout = unsafe { &mut *timeout };
    // SAFETY: C passes an array with that much room, all of it zeroed.
    let ips = unsafe { slice::from_raw_parts_mut(ips, room) };
    // SAFETY: C passes a number on its stack.
    let code = unsafe { &mut *code };
    // SAFETY: C passes a zeroed outcome on its stack.
    let outcome = unsafe { &mut *outcome };
    let Some(span) = timeout.span() else {
        return 0;
    };
    let Some((found, left)) = outcome.of(|| target::look_up(host, span)) else {
        return 0;
    };
    *timeout = TimeVal::of_span(left);
    tell_found(found, ips, code)
}

/// Begins to look a name up for a socket; what to wait on, or -1.
///
/// # Safety
///
/// Pointers are as `shim.h` says.
#[unsafe(no_mangle)]
pub(super) unsafe extern "C" fn ss_lookup_begin(
    socket: *mut Socket,
    host: *const u8,
    length: usize,
    outcome: *mut Outcome,
) -> c_int {
    // SAFETY: C passes the data of a live stream, which nothing else uses during the call.
    let socket = unsafe { &mut *socket };
    // SAFETY: C passes that many bytes, which stay as they are during the call.
    let host = unsafe { bytes(host, length) }.unwrap_or_default();
    // SAFETY: C passes a zeroed outcome on its stack.
    let outcome = unsafe { &mut *outcome };
    let begun = outcome.of(|| Ok(socket.look_up(host)));
    begun.flatten().unwrap_or(-1)
}

/// Ends it: how many addresses were found.
///
/// # Safety
///
/// Pointers are as `shim.h` says.
#[unsafe(no_mangle)]
pub(super) unsafe extern "C" fn ss_lookup_end(
    socket: *mut Socket,
    ips: *mut Ip,
    room: usize,
    code: *mut c_int,
    outcome: *mut Outcome,
) -> usize {
    // SAFETY: C passes the data of a live stream, which nothing else uses during the call.
    let socket = unsafe { &mut *socket };
    // SAFETY: C passes an array with that much room, all of it zeroed.
    let ips = unsafe { slice::from_raw_parts_mut(ips, room) };
    // SAFETY: C passes a number on its stack.
    let code = unsafe { &mut *code };
    // SAFETY: C passes a zeroed outcome on its stack.
    let outcome = unsafe { &mut *outcome };
    let found = outcome.of(|| socket.looked_up());
    found.map_or(0, |found| tell_found(found, ips, code))
}

fn tell_found(found: Found, ips: &mut [Ip], code: &mut c_int) -> usize {
    match found {
        Found::Addresses(found) => {
            for (place, ip) in ips.iter_mut().zip(&found) {
                *place = (*ip).into();
            }
            found.len().min(ips.len())
        }
        Found::Unknown(number) => {
            *code = number;
            0
        }
        Found::Unasked => 0,
    }
}

/// Binds the first address that can be bound.
///
/// # Safety
///
/// Pointers are as `shim.h` says.
#[unsafe(no_mangle)]
pub(super) unsafe extern "C" fn ss_bind_inet(
    socket: *mut Socket,
    ips: *const Ip,
    count: usize,
    port: u16,
    options: *const Options,
    outcome: *mut Outcome,
) {
    // SAFETY: C passes the data of a live stream, which nothing else uses during the call.
    let socket = unsafe { &mut *socket };
    // SAFETY: C passes an array of that many addresses.
    let ips = unsafe { slice::from_raw_parts(ips, count) };
    // SAFETY: C passes options that it has just filled in, with strings of the context.
    let options = unsafe { &*options };
    // SAFETY: as above.
    let wishes = unsafe { wishes(options) };
    // SAFETY: C passes a zeroed outcome on its stack.
    let outcome = unsafe { &mut *outcome };
    _ = outcome.of(|| socket.bind_inet(ips, port, &wishes));
}

/// Binds what is no address of IP: a path, an abstract name, or what is open already.
///
/// # Safety
///
/// Pointers are as `shim.h` says.
#[unsafe(no_mangle)]
pub(super) unsafe extern "C" fn ss_bind_named(
    socket: *mut Socket,
    name: *const u8,
    length: usize,
    options: *const Options,
    outcome: *mut Outcome,
) {
    // SAFETY: C passes the data of a live stream, which nothing else uses during the call.
    let socket = unsafe { &mut *socket };
    // SAFETY: C passes that many bytes, which stay as they are during the call.
    let name = unsafe { bytes(name, length) }.unwrap_or_default();
    // SAFETY: C passes options that it has just filled in, with strings of the context.
    let options = unsafe { &*options };
    // SAFETY: as above.
    let wishes = unsafe { wishes(options) };
    // SAFETY: C passes a zeroed outcome on its stack.
    let outcome = unsafe { &mut *outcome };
    _ = outcome.of(|| socket.bind_named(name, &wishes));
}

/// Listens.
///
/// # Safety
///
/// Pointers are as `shim.h` says.
#[unsafe(no_mangle)]
pub(super) unsafe extern "C" fn ss_listen(socket: *mut Socket, outcome: *mut Outcome) {
    // SAFETY: C passes the data of a live stream, which nothing else uses during the call.
    let socket = unsafe { &mut *socket };
    // SAFETY: C passes a zeroed outcome on its stack.
    let outcome = unsafe { &mut *outcome };
    _ = outcome.of(|| socket.listen());
}

/// Connects to the first address that answers.
///
/// # Safety
///
/// Pointers are as `shim.h` says.
#[unsafe(no_mangle)]
pub(super) unsafe extern "C" fn ss_connect_inet(
    socket: *mut Socket,
    ips: *const Ip,
    count: usize,
    port: u16,
    timeout: *const TimeVal,
    begin: bool,
    options: *const Options,
    outcome: *mut Outcome,
) {
    // SAFETY: C passes the data of a live stream, which nothing else uses during the call.
    let socket = unsafe { &mut *socket };
    // SAFETY: C passes an array of that many addresses.
    let ips = unsafe { slice::from_raw_parts(ips, count) };
    // SAFETY: C passes a valid timeval or null.
    let timeout = unsafe { timeout.as_ref() }.copied();
    // SAFETY: C passes options that it has just filled in, with strings of the context.
    let options = unsafe { &*options };
    // SAFETY: as above.
    let wishes = unsafe { wishes(options) };
    // SAFETY: C passes a zeroed outcome on its stack.
    let outcome = unsafe { &mut *outcome };
    let timeout = timeout.and_then(TimeVal::span);
    let result = outcome.of(|| socket.connect_inet(ips, port, timeout, begin, &wishes));
    if let Some(Connection::UnderWay) = result {
        outcome.number = IN_PROGRESS;
    }
}

/// Begins to connect to all the addresses, staggered, and says how long to wait at most for what
/// the socket's descriptor tells.
///
/// # Safety
///
/// Pointers are as `shim.h` says.
#[unsafe(no_mangle)]
pub(super) unsafe extern "C" fn ss_race_begin(
    socket: *mut Socket,
    ips: *const Ip,
    count: usize,
    port: u16,
    timeout: *const TimeVal,
    options: *const Options,
    pause: *mut TimeVal,
    outcome: *mut Outcome,
) {
    // SAFETY: C passes the data of a live stream, which nothing else uses during the call.
    let socket = unsafe { &mut *socket };
    // SAFETY: C passes an array of that many addresses.
    let ips = unsafe { slice::from_raw_parts(ips, count) };
    // SAFETY: C passes a valid timeval or null.
    let timeout = unsafe { timeout.as_ref() }.copied();
    // SAFETY: C passes options that it has just filled in, with strings of the context.
    let options = unsafe { &*options };
    // SAFETY: as above.
    let wishes = unsafe { wishes(options) };
    // SAFETY: C passes a timeval on its stack.
    let pause = unsafe { &mut *pause };
    // SAFETY: C passes a zeroed outcome on its stack.
    let outcome = unsafe { &mut *outcome };
    let timeout = timeout.and_then(TimeVal::span);
    if let Some(Connection::UnderWay) =
        outcome.of(|| socket.race_begin(ips, port, timeout, &wishes))
    {
        outcome.number = IN_PROGRESS;
        *pause = socket.race_pause();
    }
}

/// Goes on with it.
///
/// # Safety
///
/// Pointers are as `shim.h` says.
#[unsafe(no_mangle)]
pub(super) unsafe extern "C" fn ss_race_on(
    socket: *mut Socket,
    pause: *mut TimeVal,
    outcome: *mut Outcome,
) {
    // SAFETY: C passes the data of a live stream, which nothing else uses during the call.
    let socket = unsafe { &mut *socket };
    // SAFETY: C passes a timeval on its stack.
    let pause = unsafe { &mut *pause };
    // SAFETY: C passes a zeroed outcome on its stack.
    let outcome = unsafe { &mut *outcome };
    if let Some(Connection::UnderWay) = outcome.of(|| socket.race_on()) {
        outcome.number = IN_PROGRESS;
        *pause = socket.race_pause();
    }
}

/// Connects to what is no address of IP, or takes what is connected already.
///
/// # Safety
///
/// Pointers are as `shim.h` says.
#[unsafe(no_mangle)]
pub(super) unsafe extern "C" fn ss_connect_named(
    socket: *mut Socket,
    name: *const u8,
    length: usize,
    timeout: *const TimeVal,
    begin: bool,
    options: *const Options,
    outcome: *mut Outcome,
) {
    // SAFETY: C passes the data of a live stream, which nothing else uses during the call.
    let socket = unsafe { &mut *socket };
    // SAFETY: C passes that many bytes, which stay as they are during the call.
    let name = unsafe { bytes(name, length) }.unwrap_or_default();
    // SAFETY: C passes a valid timeval or null.
    let timeout = unsafe { timeout.as_ref() }.copied();
    // SAFETY: C passes options that it has just filled in, with strings of the context.
    let options = unsafe { &*options };
    // SAFETY: as above.
    let wishes = unsafe { wishes(options) };
    // SAFETY: C passes a zeroed outcome on its stack.
    let outcome = unsafe { &mut *outcome };
    let timeout = timeout.and_then(TimeVal::span);
    let result = outcome.of(|| socket.connect_named(name, timeout, begin, &wishes));
    if let Some(Connection::UnderWay) = result {
        outcome.number = IN_PROGRESS;
    }
}

/// Accepts; null when there is nobody.
///
/// # Safety
///
/// Pointers are as `shim.h` says.
#[unsafe(no_mangle)]
pub(super) unsafe extern "C" fn ss_accept(
    socket: *mut Socket,
    timeout: *const TimeVal,
    named: bool,
    outcome: *mut Outcome,
) -> *mut Socket {
    // SAFETY: C passes the data of a live stream, which nothing else uses during the call.
    let socket = unsafe { &mut *socket };
    // SAFETY: C passes a valid timeval or null.
    let timeout = unsafe { timeout.as_ref() }.copied();
    // SAFETY: C passes a zeroed outcome on its stack.
    let outcome = unsafe { &mut *outcome };
    let timeout = timeout.and_then(TimeVal::span);
    let accepted = outcome.of(|| socket.accept(timeout, named));
    accepted.map_or(ptr::null_mut(), Box::into_raw)
}
