//! What `proxy.c` asks of the header of the PROXY protocol that a stream began with.

use std::ffi::c_int;

use super::ffi::Outcome;
use crate::socket::Socket;

/// The proxy has spoken for itself.
const ITSELF: u8 = 0x80;

/// The version of a stream's header; 0 where there is none.
///
/// # Safety
///
/// Pointers are as `shim.h` says.
#[unsafe(no_mangle)]
pub(super) unsafe extern "C" fn ss_proxy_version(
    socket: *const Socket,
    outcome: *mut Outcome,
) -> u8 {
    // SAFETY: C passes the data of a live stream, which nothing else changes during the call.
    let socket = unsafe { &*socket };
    // SAFETY: C passes a zeroed outcome on its stack.
    let outcome = unsafe { &mut *outcome };
    let told = outcome.of(|| Ok(socket.proxy_version())).flatten();
    told.map_or(0, |(version, is_local)| {
        version | if is_local { ITSELF } else { 0 }
    })
}

/// A part of it, as the text of the outcome: the client, the address that the client wrote to, the
/// proxy, and then the extensions, whose type is returned; -1 where there is none.
///
/// # Safety
///
/// Pointers are as `shim.h` says.
#[unsafe(no_mangle)]
pub(super) unsafe extern "C" fn ss_proxy_part(
    socket: *const Socket,
    part: usize,
    outcome: *mut Outcome,
) -> c_int {
    // SAFETY: C passes the data of a live stream, which nothing else changes during the call.
    let socket = unsafe { &*socket };
    // SAFETY: C passes a zeroed outcome on its stack.
    let outcome = unsafe { &mut *outcome };
    match outcome.of(|| Ok(socket.proxy_part(part))).flatten() {
        Some((kind, text)) => {
            outcome.tell(text);
            kind.into()
        }
        None => -1,
    }
}
