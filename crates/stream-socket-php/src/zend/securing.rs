//! The calls of `crypto.c`: TLS on listeners and streams.
//!
//! C hands over pointers that are valid for the call, see [`ffi`](super::ffi).

use std::ffi::c_int;
use std::slice;
use std::time::Duration;

use super::ffi::{Outcome, Text, bytes};
use crate::socket::{Handshake, Socket};
use crate::tls::{self, Named, Peer, TlsWishes};
use crate::waiting::Direction;

/// `ss_tls_identity`
#[derive(Debug)]
#[repr(C)]
pub(super) struct Identity {
    name: Text,
    certificate: Text,
    key: Text,
}

/// `ss_tls_fingerprint`
#[derive(Debug)]
#[repr(C)]
pub(super) struct Digest {
    algorithm: Text,
    digest: Text,
}

/// `ss_tls_options`
#[derive(Debug)]
#[repr(C)]
pub(super) struct Options {
    certificate: Text,
    key: Text,
    protocols: Text,
    passphrase: Text,
    ciphers: Text,
    identities: *const Identity,
    identity_count: usize,
    authorities: Text,
    peer_name: Text,
    fingerprints: *const Digest,
    fingerprint_count: usize,
    handshake_timeout: i64,
    depth: i64,
    tickets: i64,
    oldest: u8,
    newest: u8,
    is_asked: bool,
    must_show: bool,
    accepts_self_signed: bool,
    is_client: bool,
    tells_host: bool,
    host: Text,
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
    is_resumed: bool,
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

const _: () = assert!(size_of::<Options>() == 192 && size_of::<Facts>() == 24);

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
unsafe fn named(identity: &Identity) -> Named<'_> {
    let Identity {
        name,
        certificate,
        key,
    } = identity;
    // SAFETY: as the caller promises.
    let name = unsafe { bytes(name.bytes, name.length) };
    // SAFETY: as above.
    let certificate = unsafe { bytes(certificate.bytes, certificate.length) };
    // SAFETY: as above.
    let key = unsafe { bytes(key.bytes, key.length) };
    Named {
        name: name.unwrap_or_default(),
        certificate: certificate.unwrap_or_default(),
        key,
    }
}

/// # Safety
///
/// As [`bytes`], of each text.
unsafe fn peer(options: &Options) -> Peer<'_> {
    let Options {
        authorities,
        peer_name,
        ..
    } = options;
    // SAFETY: as the caller promises.
    let authorities = unsafe { bytes(authorities.bytes, authorities.length) };
    // SAFETY: as above.
    let name = unsafe { bytes(peer_name.bytes, peer_name.length) };
    let fingerprints: &[Digest] = if options.fingerprints.is_null() {
        &[]
    } else {
        // SAFETY: C passes an array of that many.
        unsafe { slice::from_raw_parts(options.fingerprints, options.fingerprint_count) }
    };
    let fingerprints = fingerprints.iter().map(|Digest { algorithm, digest }| {
        // SAFETY: as above.
        let algorithm = unsafe { bytes(algorithm.bytes, algorithm.length) };
        // SAFETY: as above.
        let digest = unsafe { bytes(digest.bytes, digest.length) };
        (algorithm.unwrap_or_default(), digest.unwrap_or_default())
    });
    Peer {
        is_asked: options.is_asked,
        must_show: options.must_show,
        authorities,
        depth: u32::try_from(options.depth).ok(),
        accepts_self_signed: options.accepts_self_signed,
        name,
        fingerprints: fingerprints.collect(),
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
        passphrase,
        ciphers,
        host,
        ..
    } = options;
    // SAFETY: C keeps the texts for the call.
    let certificate = unsafe { bytes(certificate.bytes, certificate.length) };
    // SAFETY: as above.
    let key = unsafe { bytes(key.bytes, key.length) };
    // SAFETY: as above.
    let protocols = unsafe { bytes(protocols.bytes, protocols.length) };
    // SAFETY: as above.
    let passphrase = unsafe { bytes(passphrase.bytes, passphrase.length) };
    // SAFETY: as above.
    let ciphers = unsafe { bytes(ciphers.bytes, ciphers.length) };
    // SAFETY: as above.
    let host = unsafe { bytes(host.bytes, host.length) };
    let identities: &[Identity] = if options.identities.is_null() {
        &[]
    } else {
        // SAFETY: C passes an array of that many.
        unsafe { slice::from_raw_parts(options.identities, options.identity_count) }
    };
    let identities = identities.iter().map(|identity| {
        // SAFETY: as above.
        unsafe { named(identity) }
    });
    let timeout = u64::try_from(options.handshake_timeout).ok();
    // SAFETY: as above.
    let peer = unsafe { peer(options) };
    TlsWishes {
        peer,
        certificate,
        key,
        protocols,
        passphrase,
        ciphers,
        identities: identities.collect(),
        tickets: u32::try_from(options.tickets).ok(),
        handshake_timeout: timeout.map(Duration::from_nanos),
        oldest: options.oldest,
        newest: options.newest,
        host,
        tells_host: options.tells_host,
    }
}

/// Has the connections of a listener carry TLS from now on.
///
/// # Safety
///
/// Pointers are as `shim.h` says.
#[unsafe(no_mangle)]
pub(super) unsafe extern "C" fn ss_tls_serve(
    socket: *mut Socket,
    options: *const Options,
    outcome: *mut Outcome,
) {
    // SAFETY: C passes the data of a live stream, which nothing else uses during the call.
    let socket = unsafe { &mut *socket };
    // SAFETY: C passes options that it has just filled in.
    let options = unsafe { &*options };
    // SAFETY: their texts are C's, and stay during the call.
    let wishes = unsafe { wishes(options) };
    // SAFETY: C passes a zeroed outcome on its stack.
    let outcome = unsafe { &mut *outcome };
    _ = outcome.of(|| socket.serve_tls(&wishes.to_serve()?));
}

/// Begins TLS on a connection: `enum ss_shaking`.
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
    shaking(outcome.of(|| {
        if options.is_client {
            return socket.start_tls_as_client(&wishes.to_connect()?, waits);
        }
        socket.start_tls(&wishes.to_serve()?, waits)
    }))
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

/// Ends TLS, and goes on in plain.
///
/// # Safety
///
/// Pointers are as `shim.h` says.
#[unsafe(no_mangle)]
pub(super) unsafe extern "C" fn ss_tls_stop(
    socket: *mut Socket,
    waits: bool,
    outcome: *mut Outcome,
) {
    // SAFETY: C passes the data of a live stream, which nothing else uses during the call.
    let socket = unsafe { &mut *socket };
    // SAFETY: C passes a zeroed outcome on its stack.
    let outcome = unsafe { &mut *outcome };
    _ = outcome.of(|| socket.stop_tls(waits));
}

/// Whether the library knows all ciphers and kinds of fingerprints.
///
/// # Safety
///
/// Pointers are as `shim.h` says.
#[unsafe(no_mangle)]
pub(super) unsafe extern "C" fn ss_tls_knows(
    options: *const Options,
    outcome: *mut Outcome,
) -> bool {
    // SAFETY: C passes options that it has just filled in.
    let options = unsafe { &*options };
    // SAFETY: their texts are C's, and stay during the call.
    let wishes = unsafe { wishes(options) };
    // SAFETY: C passes a zeroed outcome on its stack.
    let outcome = unsafe { &mut *outcome };
    outcome.of(|| Ok(wishes.to_serve().is_ok())) == Some(true)
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
        is_resumed: agreed.resumed,
    };
    outcome.tell(agreed.alpn.unwrap_or_default());
    // SAFETY: C passes room on its stack.
    unsafe { facts.write(told) };
    true
}

/// One of the certificates that the peer showed, its own at 0: its DER is the text of the outcome.
/// False where there is none.
///
/// # Safety
///
/// Pointers are as `shim.h` says.
#[unsafe(no_mangle)]
pub(super) unsafe extern "C" fn ss_tls_certificate(
    socket: *const Socket,
    index: usize,
    outcome: *mut Outcome,
) -> bool {
    // SAFETY: C passes the data of a live stream, which nothing else changes during the call.
    let socket = unsafe { &*socket };
    // SAFETY: C passes a zeroed outcome on its stack.
    let outcome = unsafe { &mut *outcome };
    let shown = outcome.of(|| Ok(socket.tls())).flatten();
    let certificates = shown.map(|(facts, _)| facts.peer_certificates);
    let certificate = certificates.and_then(|all| all.into_iter().nth(index));
    let is_there = certificate.is_some();
    outcome.tell(certificate.unwrap_or_default());
    is_there
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
