//! The functions that `shim.c` calls, declared in `shim.h`.
//!
//! C hands over pointers that are valid for the call: a stream's data, which only PHP's one
//! thread of execution for it uses, and buffers of PHP's. None is kept.

use std::ffi::{c_char, c_int, c_void};
use std::ptr;
use std::slice;

use super::boundary::{Ended, guarded};
use crate::counters::Counters;
use crate::failure::Failure;
use crate::options::{Numbers, Wishes};
use crate::socket::{Connection, Ip, Socket, TimeVal};
use crate::strip_tags::TagStripper;
use crate::target;

/// `enum ss_status`
const FAILED: c_int = 1;
const PANICKED: c_int = 2;
const TIMED_OUT: c_int = 3;

/// `EINPROGRESS`
const IN_PROGRESS: c_int = 115;

/// `ss_outcome`
#[derive(Debug)]
#[repr(C)]
pub(super) struct Outcome {
    status: c_int,
    number: c_int,
    text: *mut u8,
    text_length: usize,
}

/// A string of PHP's.
#[derive(Debug)]
#[repr(C)]
pub(super) struct Text {
    bytes: *const u8,
    length: usize,
}

/// `ss_options`
#[derive(Debug)]
#[repr(C)]
pub(super) struct Options {
    bindto: Text,
    unix_owner: Text,
    unix_group: Text,
    numbers: Numbers,
}

/// `ss_target`
#[derive(Debug)]
#[repr(C)]
pub(super) struct Target {
    host: *const u8,
    host_length: usize,
    port: u16,
}

/// `ss_facts`
#[derive(Debug)]
#[repr(C)]
pub(super) struct Facts {
    received: u64,
    sent: u64,
    process: i32,
    user: u32,
    group: u32,
    last_error: c_int,
    connected: bool,
    has_credentials: bool,
}

const _: () = assert!(size_of::<Outcome>() == 24 && size_of::<Ip>() == 24);

impl Outcome {
    fn tell(&mut self, text: Vec<u8>) {
        if text.is_empty() {
            return;
        }
        let text = text.into_boxed_slice();
        self.text_length = text.len();
        self.text = Box::into_raw(text).cast();
    }

    fn fail(&mut self, failure: Failure) {
        self.status = if failure.timed_out { TIMED_OUT } else { FAILED };
        self.number = failure.number;
        self.tell(failure.text.unwrap_or_default().into_bytes());
    }

    /// The value of a call that went well; else what went wrong is told.
    fn of<T>(&mut self, body: impl FnOnce() -> Result<T, Failure>) -> Option<T> {
        match guarded(body) {
            Ended::Well(value) => return Some(value),
            Ended::Failed(failure) => self.fail(failure),
            Ended::Panicked(text) => {
                self.status = PANICKED;
                self.tell(text.into_bytes());
            }
        }
        None
    }
}

/// Bytes of PHP's, for the length of a call.
///
/// # Safety
///
/// `bytes` is null or points to `length` bytes that nobody changes meanwhile.
unsafe fn bytes<'a>(bytes: *const u8, length: usize) -> Option<&'a [u8]> {
    if bytes.is_null() {
        return None;
    }
    // SAFETY: as the caller promises.
    Some(unsafe { slice::from_raw_parts(bytes, length) })
}

/// # Safety
///
/// As [`bytes`], of each text.
unsafe fn wishes(options: &Options) -> Wishes<'_> {
    let Options {
        bindto,
        unix_owner,
        unix_group,
        numbers,
    } = options;
    // SAFETY: PHP keeps the strings of a context while its options are read.
    let bindto = unsafe { bytes(bindto.bytes, bindto.length) };
    // SAFETY: as above.
    let unix_owner = unsafe { bytes(unix_owner.bytes, unix_owner.length) };
    // SAFETY: as above.
    let unix_group = unsafe { bytes(unix_group.bytes, unix_group.length) };
    Wishes {
        numbers,
        bindto,
        unix_owner,
        unix_group,
    }
}

unsafe extern "C" {
    /// The module's entry, a static of `shim.c`.
    fn ss_module() -> *mut c_void;
}

/// What PHP looks for in an extension.
#[unsafe(no_mangle)]
pub(super) extern "C" fn get_module() -> *mut c_void {
    // SAFETY: it returns the address of a static and has no preconditions.
    unsafe { ss_module() }
}

/// A stream's data without a socket, owned by C until [`ss_free`].
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
    Box::into_raw(Box::new(Socket::new(
        transport,
        timeout,
        connect_timeout,
        target,
    )))
}

/// Closes and forgets.
///
/// # Safety
///
/// Pointers are as `shim.h` says.
#[unsafe(no_mangle)]
pub(super) unsafe extern "C" fn ss_free(socket: *mut Socket) {
    // SAFETY: it came from `Box::into_raw`, and C gives it up.
    let socket = unsafe { Box::from_raw(socket) };
    _ = guarded(|| {
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
    let text = ptr::slice_from_raw_parts_mut(text.cast::<u8>(), length);
    // SAFETY: it came from `Box::into_raw` in `Outcome::tell`, with this length.
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

/// Binds a path or an abstract name.
///
/// # Safety
///
/// Pointers are as `shim.h` says.
#[unsafe(no_mangle)]
pub(super) unsafe extern "C" fn ss_bind_unix(
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
    _ = outcome.of(|| socket.bind_unix(name, &wishes));
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

/// Connects to a path or an abstract name.
///
/// # Safety
///
/// Pointers are as `shim.h` says.
#[unsafe(no_mangle)]
pub(super) unsafe extern "C" fn ss_connect_unix(
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
    let result = outcome.of(|| socket.connect_unix(name, timeout, begin, &wishes));
    if let Some(Connection::UnderWay) = result {
        outcome.number = IN_PROGRESS;
    }
}

/// Accepts; the text of the outcome is the peer's name. Null when there is nobody.
///
/// # Safety
///
/// Pointers are as `shim.h` says.
#[unsafe(no_mangle)]
pub(super) unsafe extern "C" fn ss_accept(
    socket: *mut Socket,
    timeout: *const TimeVal,
    outcome: *mut Outcome,
) -> *mut Socket {
    // SAFETY: C passes the data of a live stream, which nothing else uses during the call.
    let socket = unsafe { &mut *socket };
    // SAFETY: C passes a valid timeval or null.
    let timeout = unsafe { timeout.as_ref() }.copied();
    // SAFETY: C passes a zeroed outcome on its stack.
    let outcome = unsafe { &mut *outcome };
    let timeout = timeout.and_then(TimeVal::span);
    match outcome.of(|| socket.accept(timeout)) {
        Some((accepted, name)) => {
            outcome.tell(name);
            Box::into_raw(accepted)
        }
        None => ptr::null_mut(),
    }
}

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
pub(super) unsafe extern "C" fn ss_is_alive(socket: *mut Socket) -> bool {
    // SAFETY: C passes the data of a live stream, which nothing else uses during the call.
    let socket = unsafe { &mut *socket };
    matches!(guarded(|| Ok(socket.is_alive())), Ended::Well(true))
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
pub(super) unsafe extern "C" fn ss_descriptor(socket: *mut Socket, for_waiting: bool) -> c_int {
    // SAFETY: C passes the data of a live stream, which nothing else uses during the call.
    let socket = unsafe { &mut *socket };
    match guarded(|| Ok(socket.descriptor(for_waiting))) {
        Ended::Well(descriptor) => descriptor,
        _ => -1,
    }
}

/// Whether a read has something that the descriptor does not tell.
///
/// # Safety
///
/// Pointers are as `shim.h` says.
#[unsafe(no_mangle)]
pub(super) unsafe extern "C" fn ss_has_pending(socket: *const Socket) -> bool {
    // SAFETY: C passes the data of a live stream, which nothing else changes during the call.
    let socket = unsafe { &*socket };
    matches!(guarded(|| Ok(socket.has_pending())), Ended::Well(true))
}

/// Gives the descriptor up, which is C's then; -1 where there is none.
///
/// # Safety
///
/// Pointers are as `shim.h` says.
#[unsafe(no_mangle)]
pub(super) unsafe extern "C" fn ss_release(socket: *mut Socket) -> c_int {
    // SAFETY: C passes the data of a live stream, which nothing else uses during the call.
    let socket = unsafe { &mut *socket };
    match guarded(|| Ok(socket.release())) {
        Ended::Well(descriptor) => descriptor,
        _ => -1,
    }
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
pub(super) unsafe extern "C" fn ss_tell(socket: *const Socket, facts: *mut Facts) {
    // SAFETY: C passes the data of a live stream, which nothing else changes during the call.
    let socket = unsafe { &*socket };
    let told = socket.facts();
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

/// A stripper of tags, owned by C until [`ss_stripper_free`].
#[unsafe(no_mangle)]
pub(super) extern "C" fn ss_stripper_new(at_start: bool) -> *mut TagStripper {
    Box::into_raw(Box::new(TagStripper::new(at_start)))
}

/// Forgets a stripper.
///
/// # Safety
///
/// It came from [`ss_stripper_new`], and C gives it up.
#[unsafe(no_mangle)]
pub(super) unsafe extern "C" fn ss_stripper_free(stripper: *mut TagStripper) {
    // SAFETY: as the caller promises.
    drop(unsafe { Box::from_raw(stripper) });
}

/// Takes the tags out of a piece, whose rest is the outcome's text; whether no tag is open.
///
/// # Safety
///
/// Pointers are as `shim.h` says.
#[unsafe(no_mangle)]
pub(super) unsafe extern "C" fn ss_strip(
    stripper: *mut TagStripper,
    piece: *const u8,
    length: usize,
    allowed: *const u8,
    allowed_length: usize,
    outcome: *mut Outcome,
) -> bool {
    // SAFETY: C passes a live stripper, which nothing else uses during the call.
    let stripper = unsafe { &mut *stripper };
    // SAFETY: C passes that many bytes, which stay as they are during the call.
    let piece = unsafe { bytes(piece, length) }.unwrap_or_default();
    // SAFETY: as above.
    let allowed = unsafe { bytes(allowed, allowed_length) }.unwrap_or_default();
    // SAFETY: C passes a zeroed outcome on its stack.
    let outcome = unsafe { &mut *outcome };
    let kept = outcome.of(|| {
        let mut kept = Vec::with_capacity(piece.len());
        stripper.strip(piece, allowed, &mut kept);
        Ok(kept)
    });
    outcome.tell(kept.unwrap_or_default());
    stripper.is_idle()
}
