//! The calls of `crypto.c`: TLS on listeners and streams.
//!
//! C hands over pointers that are valid for the call, see [`ffi`](super::ffi).

use std::ffi::c_int;
use std::time::Duration;

use super::ffi::{Outcome, Text, bytes};
use crate::socket::{Handshake, Socket};
use crate::tls::{self, TlsWishes};
use crate::waiting::Direction;

/// `ss_tls_options`
#[derive(Debug)]
#[repr(C)]
pub(super) struct Options {
    certificate: Text,
    key: Text,
    protocols: Text,
    handshake_timeout: i64,
    oldest: u8,
    newest: u8,
}

/// `ss_tls_facts`
#[derive(Debug)]
#[repr(C)]
pub(super) struct Facts {
    cipher: *const u8,
    cipher_length: usize,
    bits: u16,
    minor: u8,
    is_truncated: bool,
}

/// `ss_handshakes`
#[derive(Debug)]
#[repr(C)]
pub(super) struct Handshakes {
    finished: u64,
    failed: u64,
    timed_out: u64,
    evicted: u64,
}

const _: () = assert!(size_of::<Options>() == 64 && size_of::<Facts>() == 24);

/// `enum ss_shaking`
const FAILED: c_int = -1;
const WAITS_TO_READ: c_int = 0;
const WAITS_TO_WRITE: c_int = 1;
const DONE: c_int = 2;

fn shaking(handshake: Option<Handshake>) -> c_int {
    match handshake {
        None => FAILED,
        Some(Handshake::Waits(Direction::Read)) => WAITS_TO_READ,
        Some(Handshake::Waits(Direction::Write)) => WAITS_TO_WRITE,
        Some(Handshake::Done) => DONE,
    }
}

/// # Safety
///
/// As [`bytes`], of each text.
unsafe fn wishes(options: &Options) -> TlsWishes<'_> {
    let Options {
        certificate,
        key,
        protocols,
        ..
    } = options;
    // SAFETY: C keeps the texts for the call.
    let certificate = unsafe { bytes(certificate.bytes, certificate.length) };
    // SAFETY: as above.
    let key = unsafe { bytes(key.bytes, key.length) };
    // SAFETY: as above.
    let protocols = unsafe { bytes(protocols.bytes, protocols.length) };
    let timeout = u64::try_from(options.handshake_timeout).ok();
    TlsWishes {
        certificate,
        key,
        protocols,
        handshake_timeout: timeout.map(Duration::from_nanos),
        oldest: options.oldest,
        newest: options.newest,
    }
}

/// Has the connections of a listener carry TLS from now on.
///
/// # Safety
///
/// Pointers are as `shim.h` says.
#[unsafe(no_mangle)]
pub(super) unsafe extern "C" fn ss_tls_serve(
    socket: *const Socket,
    options: *const Options,
    outcome: *mut Outcome,
) {
    // SAFETY: C passes the data of a live stream, which nothing else changes during the call.
    let socket = unsafe { &*socket };
    // SAFETY: C passes options that it has just filled in.
    let options = unsafe { &*options };
    // SAFETY: their texts are C's, and stay during the call.
    let wishes = unsafe { wishes(options) };
    // SAFETY: C passes a zeroed outcome on its stack.
    let outcome = unsafe { &mut *outcome };
    _ = outcome.of(|| socket.serve_tls(&wishes.to_serve()?));
}

/// Begins TLS on a connection as the server's end: `enum ss_shaking`.
///
/// # Safety
///
/// Pointers are as `shim.h` says.
#[unsafe(no_mangle)]
pub(super) unsafe extern "C" fn ss_tls_start(
    socket: *mut Socket,
    options: *const Options,
    waits: bool,
    outcome: *mut Outcome,
) -> c_int {
    // SAFETY: C passes the data of a live stream, which nothing else uses during the call.
    let socket = unsafe { &mut *socket };
    // SAFETY: C passes options that it has just filled in.
    let options = unsafe { &*options };
    // SAFETY: their texts are C's, and stay during the call.
    let wishes = unsafe { wishes(options) };
    // SAFETY: C passes a zeroed outcome on its stack.
    let outcome = unsafe { &mut *outcome };
    shaking(outcome.of(|| socket.start_tls(&wishes.to_serve()?, waits)))
}

/// Goes on with a handshake: `enum ss_shaking`.
///
/// # Safety
///
/// Pointers are as `shim.h` says.
#[unsafe(no_mangle)]
pub(super) unsafe extern "C" fn ss_tls_shake(
    socket: *mut Socket,
    waits: bool,
    outcome: *mut Outcome,
) -> c_int {
    // SAFETY: C passes the data of a live stream, which nothing else uses during the call.
    let socket = unsafe { &mut *socket };
    // SAFETY: C passes a zeroed outcome on its stack.
    let outcome = unsafe { &mut *outcome };
    shaking(outcome.of(|| socket.shake_hands(waits)))
}

/// Whether a listener has a connection to accept, after its descriptor became readable.
///
/// # Safety
///
/// Pointers are as `shim.h` says.
#[unsafe(no_mangle)]
pub(super) unsafe extern "C" fn ss_tls_has_arrival(
    socket: *const Socket,
    outcome: *mut Outcome,
) -> bool {
    // SAFETY: C passes the data of a live stream, which nothing else changes during the call.
    let socket = unsafe { &*socket };
    // SAFETY: C passes a zeroed outcome on its stack.
    let outcome = unsafe { &mut *outcome };
    outcome.of(|| Ok(socket.has_arrival())).unwrap_or(true)
}

/// What a stream has agreed upon; the text of the outcome is the protocol that ALPN chose. False
/// where there is no TLS yet.
///
/// # Safety
///
/// Pointers are as `shim.h` says.
#[unsafe(no_mangle)]
pub(super) unsafe extern "C" fn ss_tls_tell(
    socket: *const Socket,
    facts: *mut Facts,
    outcome: *mut Outcome,
) -> bool {
    // SAFETY: C passes the data of a live stream, which nothing else changes during the call.
    let socket = unsafe { &*socket };
    // SAFETY: C passes a zeroed outcome on its stack.
    let outcome = unsafe { &mut *outcome };
    let Some((agreed, is_truncated)) = outcome.of(|| Ok(socket.tls())).flatten() else {
        return false;
    };
    let cipher = agreed.cipher.openssl_name;
    let told = Facts {
        cipher: cipher.as_ptr(),
        cipher_length: cipher.len(),
        bits: agreed.cipher.bits,
        minor: tls::minor(&agreed),
        is_truncated,
    };
    outcome.tell(agreed.alpn.unwrap_or_default());
    // SAFETY: C passes room on its stack.
    unsafe { facts.write(told) };
    true
}

/// What became of a listener's handshakes; false where it makes none. The text of the outcome are
/// the failures since the last call, a line for each.
///
/// # Safety
///
/// Pointers are as `shim.h` says.
#[unsafe(no_mangle)]
pub(super) unsafe extern "C" fn ss_tls_tell_handshakes(
    socket: *const Socket,
    handshakes: *mut Handshakes,
    outcome: *mut Outcome,
) -> bool {
    // SAFETY: C passes the data of a live stream, which nothing else changes during the call.
    let socket = unsafe { &*socket };
    // SAFETY: C passes a zeroed outcome on its stack.
    let outcome = unsafe { &mut *outcome };
    let told = outcome.of(|| Ok((socket.handshakes(), socket.take_handshake_failures())));
    let Some((Some(counters), failures)) = told else {
        return false;
    };
    outcome.tell(failures.into_bytes());
    let told = Handshakes {
        finished: counters.finished,
        failed: counters.failed,
        timed_out: counters.timed_out,
        evicted: counters.evicted,
    };
    // SAFETY: C passes room on its stack.
    unsafe { handshakes.write(told) };
    true
}
