//! What passes between C and Rust, as `shim.h` declares it.
//!
//! C hands over pointers that are valid for the call: a stream's data, which only PHP's one
//! thread of execution for it uses, and buffers of PHP's. None is kept.

use std::ffi::{c_int, c_void};
use std::slice;

use super::boundary::{Ended, guarded};
use crate::failure::Failure;
use crate::options::{Numbers, Wishes};
use crate::socket::Ip;

/// `enum ss_status`
pub(super) const FAILED: c_int = 1;
const PANICKED: c_int = 2;
const TIMED_OUT: c_int = 3;

/// `ss_outcome`
#[derive(Debug)]
#[repr(C)]
pub(super) struct Outcome {
    pub(super) status: c_int,
    pub(super) number: c_int,
    pub(super) text: *mut u8,
    pub(super) text_length: usize,
}

/// A string of PHP's.
#[derive(Debug)]
#[repr(C)]
pub(super) struct Text {
    pub(super) bytes: *const u8,
    pub(super) length: usize,
}

/// `ss_options`
#[derive(Debug)]
#[repr(C)]
pub(super) struct Options {
    bindto: Text,
    unix_owner: Text,
    unix_group: Text,
    proxy_protocol: Text,
    proxy_from: Text,
    numbers: Numbers,
}

/// `ss_target`
#[derive(Debug)]
#[repr(C)]
pub(super) struct Target {
    pub(super) host: *const u8,
    pub(super) host_length: usize,
    pub(super) port: u16,
}

/// `ss_facts`
#[derive(Debug)]
#[repr(C)]
pub(super) struct Facts {
    pub(super) received: u64,
    pub(super) sent: u64,
    pub(super) process: i32,
    pub(super) user: u32,
    pub(super) group: u32,
    pub(super) last_error: c_int,
    pub(super) connected: bool,
    pub(super) has_credentials: bool,
}

const _: () = assert!(size_of::<Outcome>() == 24 && size_of::<Ip>() == 24);

impl Outcome {
    /// A NUL stands behind the text: PHP's own printf measures a string by it, even where it is
    /// told the length.
    pub(super) fn tell(&mut self, mut text: Vec<u8>) {
        if text.is_empty() {
            return;
        }
        self.text_length = text.len();
        text.push(0);
        self.text = Box::into_raw(text.into_boxed_slice()).cast();
    }

    fn fail(&mut self, failure: Failure) {
        self.status = if failure.timed_out { TIMED_OUT } else { FAILED };
        self.number = failure.number;
        self.tell(failure.text.unwrap_or_default().into_bytes());
    }

    /// The value of a call that went well; else what went wrong is told.
    pub(super) fn of<T>(&mut self, body: impl FnOnce() -> Result<T, Failure>) -> Option<T> {
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
pub(super) unsafe fn bytes<'a>(bytes: *const u8, length: usize) -> Option<&'a [u8]> {
    if bytes.is_null() {
        return None;
    }
    // SAFETY: as the caller promises.
    Some(unsafe { slice::from_raw_parts(bytes, length) })
}

/// # Safety
///
/// As [`bytes`], of each text.
pub(super) unsafe fn wishes(options: &Options) -> Wishes<'_> {
    let Options {
        bindto,
        unix_owner,
        unix_group,
        proxy_protocol,
        proxy_from,
        numbers,
    } = options;
    // SAFETY: PHP keeps the strings of a context while its options are read.
    let bindto = unsafe { bytes(bindto.bytes, bindto.length) };
    // As in stock PHP, whoever has no wish may say so by an empty one.
    let bindto = bindto.filter(|bindto| !bindto.is_empty());
    // SAFETY: as above.
    let unix_owner = unsafe { bytes(unix_owner.bytes, unix_owner.length) };
    // SAFETY: as above.
    let unix_group = unsafe { bytes(unix_group.bytes, unix_group.length) };
    // SAFETY: as above.
    let proxy_protocol = unsafe { bytes(proxy_protocol.bytes, proxy_protocol.length) };
    // SAFETY: C keeps what it has made of the context's networks until it reads another context.
    let proxy_from = unsafe { bytes(proxy_from.bytes, proxy_from.length) };
    Wishes {
        numbers,
        bindto,
        unix_owner,
        unix_group,
        proxy_protocol,
        proxy_from,
    }
}

unsafe extern "C" {
    /// The module's entry, a static of `module.c`.
    fn ss_module() -> *mut c_void;
    fn ss_now() -> i64;
}

/// Nanoseconds by the clock of `CLOCK_MONOTONIC`.
pub(crate) fn now() -> i64 {
    // SAFETY: it has no preconditions, and returns to here whatever happens.
    unsafe { ss_now() }
}

/// What PHP looks for in an extension.
#[unsafe(no_mangle)]
pub(super) extern "C" fn get_module() -> *mut c_void {
    // SAFETY: it returns the address of a static and has no preconditions.
    unsafe { ss_module() }
}
